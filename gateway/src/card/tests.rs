//! Cards of made-up alarms: what is near, what is marked, what is said first.

use super::*;
use crate::grid::dwellings::Help;
use crate::grid::plan::Picture;
use crate::grid::{Cell, Device, Pin, Rows};
use crate::live::{Latest, StillRef, trend::Trend};
use crate::model::{AlarmId, AlarmState, Freshness, Quality};
use crate::units::Steady;

const NOW: Timestamp = Timestamp(1_795_402_800_000);
const HERE: [f64; 2] = [118.9, 32.1];

fn cell(ix: u32, code: &str, parent: Option<&str>, name: &str) -> Cell {
    Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: name.into(),
        scheme: "admin".into(),
        parent: parent.map(Into::into),
        kind: "residential".into(),
        polygons: Vec::new(),
        retired: false,
    }
}

/// `metres` to the east of the detector.
fn device(ix: u32, kind: DeviceKind, id: &str, place: &str, metres: Option<f64>) -> Device {
    let degrees = |metres: f64| metres / 111_320.0 / HERE[1].to_radians().cos();
    Device {
        ix: DeviceIx(ix),
        id: id.into(),
        kind,
        name: id.into(),
        address: format!("native:{id}"),
        cells: ["G1".into()].into(),
        place: place.into(),
        position: metres.map(|metres| [HERE[0] + degrees(metres), HERE[1]]),
        silent_after: None,
        registered: NOW,
        retired: false,
    }
}

fn registry() -> std::sync::Arc<Registry> {
    let household = Household {
        cell: "G1".into(),
        place: "3栋2单元501".into(),
        people: 2,
        help: vec![Help::CannotWalk, Help::Oxygen],
        contact: "李奶奶".into(),
        phone: "13800000000".into(),
        neighbours: "3栋邻里一组".into(),
        leave: None,
    };
    let building = Building {
        cell: "G1".into(),
        name: "3栋".into(),
        floors: 6,
        structure: "砖混".into(),
        ..Building::default()
    };
    Registry::build(Rows {
        version: 1,
        cells: vec![cell(0, "S1", None, "青溪街道"), cell(1, "G1", Some("S1"), "一格")],
        devices: vec![
            device(0, DeviceKind::SmokeDetector, "SD-1", "3栋2单元501 厨房", Some(0.0)),
            device(1, DeviceKind::Hydrant, "HY-far", "远处", Some(700.0)),
            device(2, DeviceKind::Hydrant, "HY-220", "西门", Some(220.0)),
            device(3, DeviceKind::Hydrant, "HY-80", "东门", Some(80.0)),
            device(4, DeviceKind::Hydrant, "HY-somewhere", "", None),
            device(5, DeviceKind::AccessCamera, "CAM-1", "东门", Some(90.0)),
            device(6, DeviceKind::SmokeDetector, "SD-2", "3栋2单元502", Some(4.0)),
        ],
        buildings: vec![building],
        households: vec![household],
        plans: vec![Plan {
            code: "P-5F".into(),
            cell: "G1".into(),
            name: String::new(),
            shows: Shows::Floor { building: "3栋".into(), floor: 5 },
            picture: Picture { width: 1200, height: 800, ..Picture::default() },
        }],
        pins: vec![Pin { device: "SD-1".into(), plan: "P-5F".into(), at: [0.25, 0.5] }],
        ..Rows::default()
    })
}

fn alarm(id: u64, class: SignalClass, device: Option<u32>) -> Alarm {
    Alarm {
        id: AlarmId(id),
        rule: "smoke".into(),
        class,
        text: format!("alarm {id}"),
        cell: CellIx(1),
        cell_code: "G1".into(),
        device: device.map(DeviceIx),
        device_id: None,
        state: AlarmState::Unacknowledged,
        raised: NOW,
        raised_steady: Steady(0),
        late: None,
        trigger: None,
        repeats: 0,
        owner: None,
        acknowledged: None,
        returned: None,
        resolved: None,
        closed: None,
        ladder: None,
        handling: Default::default(),
    }
}

fn pressure(kpa: f64, age_s: i64, falls_kpa_per_min: f64) -> DeviceNow {
    let at = Timestamp(NOW.0 - age_s * 1_000);
    let mut trend = Trend::default();
    trend.take(Timestamp(at.0 - 120_000), kpa + 2.0 * falls_kpa_per_min);
    let (quality, freshness) = (Quality::Good, Freshness::Live);
    let latest = Latest { metric: Metric::PRESSURE, quality, freshness, value: kpa, time: at, received: at };
    DeviceNow { latest: vec![latest], pressure: Some(Box::new(trend)), ..DeviceNow::default() }
}

fn card(alarm: &Alarm, live: &dyn Fn(DeviceIx) -> DeviceNow, open: &[Alarm]) -> Card {
    let registry = registry();
    Card::of(alarm, &Sources { registry: &registry, now: NOW, live }, open.iter())
}

#[test]
fn a_card_has_the_door_the_people_and_the_water() {
    let live = |device: DeviceIx| match device.0 {
        3 => pressure(320.0, 5, 4.0),
        2 => pressure(95.0, 5, 0.0),
        5 => DeviceNow { still: Some(Box::new(StillRef { number: 17, at: NOW })), ..DeviceNow::default() },
        _ => DeviceNow::default(),
    };
    let alarms = [
        alarm(9, SignalClass::Fire, Some(6)),
        alarm(8, SignalClass::Fire, Some(0)),
        alarm(7, SignalClass::Trouble, None),
    ];
    let card = card(&alarms[1], &live, &alarms);
    assert_eq!((card.cells.join("/").as_str(), card.place.as_str()), ("青溪街道/一格", "3栋2单元501 厨房"));
    let hydrants: Vec<_> = card
        .hydrants
        .iter()
        .map(|one| (one.id.as_str(), one.metres, one.mark, one.trend_kpa_per_min))
        .collect();
    assert_eq!(
        hydrants,
        [
            ("HY-80", Some(80), PressureMark::Good, Some(-4.0)),
            ("HY-220", Some(220), PressureMark::VeryLow, Some(0.0)),
            ("HY-somewhere", None, PressureMark::Unknown, None),
        ]
    );
    let plan = card.plan.as_ref().expect("it hangs there");
    assert_eq!((plan.plan.as_str(), plan.floor, plan.at, plan.width), ("P-5F", 5, [0.25, 0.5], 1200));
    let camera = card.camera.as_ref().expect("one is near");
    assert_eq!((camera.id.as_str(), camera.metres), ("CAM-1", Some(90)));
    assert_eq!(camera.still.as_ref().map(|still| still.id.as_str()), Some("S-17"));
    let nearby: Vec<_> = card.nearby.iter().map(|one| (one.alarm.as_str(), one.metres)).collect();
    assert_eq!(nearby, [("A-9", Some(4)), ("A-7", None)], "the alarm itself is not nearby");
    assert_eq!(card.building.as_ref().map(|building| building.floors), Some(6));
    assert!(card.to_do.contains(&ToDo::HelpThoseWhoCannot) && card.to_do.contains(&ToDo::CallHousehold));
    let card = Card { record: Record { alarms: 4, false_alarms: 3, ..Record::default() }, ..card };
    assert_eq!(
        card.text(true, 500),
        "一格 3栋2单元501 厨房；住2人（行动不便、吸氧）；李奶奶 13800000000；消火栓 东门 80米 0.32MPa↓；附近另有2个报警；该探测器报警4次、误报3次；3栋共6层，砖混"
    );
    assert_eq!(card.text(true, 35), "一格 3栋2单元501 厨房；住2人（行动不便、吸氧）");
    assert_eq!(card.text(false, 40), "一格 3栋2单元501 厨房；消火栓 东门 80米 0.32MPa↓");
    assert_eq!(card.impersonal().household, None);
}

#[test]
fn the_pressure_is_marked_as_the_standard_says() {
    for (kpa, age_s, mark) in [
        (140.0, 0, PressureMark::Good),
        (139.9, 0, PressureMark::Low),
        (100.0, 0, PressureMark::Low),
        (99.9, 0, PressureMark::VeryLow),
        (300.0, 900, PressureMark::Good),
        (300.0, 901, PressureMark::Stale),
        (20.0, 901, PressureMark::Stale),
    ] {
        let card = card(&alarm(1, SignalClass::Fire, Some(0)), &|_| pressure(kpa, age_s, 0.0), &[]);
        assert_eq!(card.hydrants[0].mark, mark, "{kpa} kPa, {age_s} s ago");
    }
}

#[test]
fn without_a_device_the_card_still_says_where() {
    let card = card(&alarm(1, SignalClass::Fire, None), &|_| DeviceNow::default(), &[]);
    assert_eq!(card.text(true, 100), "一格；消火栓 远处 压力未知");
    assert_eq!(card.hydrants.len(), 3, "those of the cell, distance unknown");
    assert_eq!(card.household, None);
}

#[test]
fn a_text_is_never_longer_than_asked() {
    let card = card(&alarm(1, SignalClass::Fire, Some(0)), &|_| pressure(90.0, 0, -3.0), &[]);
    for characters in 0..200 {
        assert!(card.text(true, characters).chars().count() <= characters);
    }
}

#[test]
fn a_storm_does_not_make_a_card_slow_or_long() {
    let open: Vec<_> = (1..5_000).rev().map(|id| alarm(id, SignalClass::Trouble, None)).collect();
    let card = card(&alarm(5_000, SignalClass::Fire, Some(0)), &|_| DeviceNow::default(), &open);
    assert_eq!(card.nearby.len(), NEARBY_MAX);
}
