//! The registry, small memories, and the lists of alarms.

use super::*;
use crate::grid::{Absence, Cell, Device, Duty, Hours, Member, Person, Role, Rows, Team, TeamKind};
use crate::model::{DeviceKind, ReadingId, Signed, Trigger};
use crate::store::alarms::{Query, Seen};
use crate::units::Zone;

fn rows(version: u64, devices: u32) -> Rows {
    let cell = |n: u32| Cell {
        ix: CellIx(n),
        code: format!("c-{n}"),
        name: "仙林".into(),
        scheme: "admin".into(),
        parent: None,
        kind: "residential".into(),
        polygons: vec![vec![vec![[118.123_456_789_012_34, 32.1], [0.1 + 0.2, 1.0 / 3.0]]]],
        retired: false,
    };
    let device = |n: u32| Device {
        ix: DeviceIx(n),
        id: format!("SD-{n}"),
        kind: DeviceKind::SmokeDetector,
        name: "smoke".into(),
        address: format!("native:SD-{n}"),
        cells: ["c-0".into()].into(),
        place: "3栋".into(),
        position: Some([118.9 + f64::from(n) / 7.0, 32.1]),
        silent_after: Some(Millis(5)),
        registered: moment(1).wall,
        retired: false,
    };
    let person = Person {
        id: "wang-li".into(),
        name: "王丽".into(),
        phone: "130".into(),
        contacts: [("email".to_owned(), "wang@example.org".to_owned())].into(),
        trained_until: Some(moment(9).wall),
        retired: false,
    };
    let duty = Duty {
        person: "wang-li".into(),
        cell: "c-0".into(),
        role: Role::Lead,
        from: moment(1).wall,
        until: None,
        hours: Some(Hours::parse("Mon-Fri 08:00-20:00").unwrap()),
    };
    Rows {
        version,
        cells: (0..3).map(cell).collect(),
        devices: (0..devices).map(device).collect(),
        people: vec![person],
        duties: vec![duty],
        absences: vec![Absence {
            person: "wang-li".into(),
            from: moment(2).wall,
            until: Some(moment(3).wall),
            stand_in: None,
            reason: "年休".into(),
        }],
        teams: vec![Team {
            name: "五包一 3-501".into(),
            kind: TeamKind::FiveInOne,
            members: vec![Member { person: "wang-li".into(), part: "网格员".into() }],
            cells: Vec::new(),
            devices: vec!["SD-1".into()],
            flat: Some("3栋501".into()),
            from: moment(1).wall,
            until: None,
        }],
        zone: Zone::named("Asia/Urumqi").unwrap(),
        ..Rows::default()
    }
}

fn audit() -> Audit {
    Audit {
        at: moment(1).wall,
        who: "admin".into(),
        what: "registry.import".into(),
        target: "devices.csv".into(),
        detail: "".into(),
    }
}

#[tokio::test]
async fn the_registry_comes_back_exactly() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(store.load_registry().await.unwrap(), Rows::default());
    assert!(store.save_registry(rows(1, 50), audit()).await.unwrap());
    drop(store);
    let store = place.open();
    assert_eq!(store.load_registry().await.unwrap(), rows(1, 50));

    let mut changed = rows(2, 60);
    changed.devices[3].retired = true;
    changed.people.clear();
    changed.duties.clear();
    changed.absences.clear();
    assert!(store.save_registry(changed.clone(), audit()).await.unwrap());
    assert_eq!(store.load_registry().await.unwrap(), changed);
    assert_eq!(store.audit(None, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn two_imports_at_once_do_not_mix() {
    let place = Place::new();
    let gateway = place.open();
    let import = Store::open_beside(&place.path()).unwrap();
    assert!(import.save_registry(rows(1, 5), audit()).await.unwrap());
    assert_eq!(gateway.registry_version().await.unwrap(), 1);
    assert!(!gateway.save_registry(rows(1, 9), audit()).await.unwrap(), "somebody was faster");
    assert_eq!(gateway.load_registry().await.unwrap(), rows(1, 5));
    assert_eq!(gateway.audit(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_registry_that_would_shift_places_is_refused() {
    let (_place, store) = fresh();
    store.save_registry(rows(1, 5), audit()).await.unwrap();
    let error = store.save_registry(rows(2, 4), audit()).await.unwrap_err();
    assert!(error.to_string().contains("retire"), "{error}");
    let mut shifted = rows(2, 5);
    shifted.devices[1].ix = DeviceIx(9);
    let error = store.save_registry(shifted, audit()).await.unwrap_err();
    assert!(error.to_string().contains("SD-1"), "{error}");
    assert_eq!(store.load_registry().await.unwrap(), rows(1, 5));
}

#[tokio::test]
async fn an_alarm_comes_back_exactly() {
    let (_place, store) = fresh();
    let mut full = alarm(7, SignalClass::Supervisory);
    full.trigger = Some(Trigger {
        reading: ReadingId { seq: 1, event: 2, value: 3 },
        metric: Metric::PRESSURE,
        value: 0.1 + 0.2,
        device_time: Some(Timestamp(-5)),
        received: Timestamp(5),
        freshness: Freshness::Backfill,
    });
    full.acknowledged = Some(Signed { by: "app".into(), at: Timestamp(9), note: Some("去了".into()) });
    let effect = Effect::Alarm(Box::new(full.clone()), entry(7, What::Acknowledged));
    store.commit(&Commit { effects: vec![effect], ..Commit::default() }).await.unwrap();
    assert_eq!(store.alarm(AlarmId(7)).await.unwrap(), Some(full));
    assert_eq!(store.alarm(AlarmId(8)).await.unwrap(), None);
}

/// For these somebody was called, twice.
fn is_told(alarm: u64) -> bool {
    alarm.is_multiple_of(11)
}

fn is_handed(alarm: u64) -> bool {
    alarm.is_multiple_of(13)
}

#[tokio::test]
async fn lists_of_alarms_by_filter_and_page() {
    let (_place, store) = fresh();
    let all: Vec<Alarm> = (1..=60)
        .map(|id| {
            let class = if id % 4 == 0 { SignalClass::Fire } else { SignalClass::Trouble };
            let state = if id % 2 == 0 { AlarmState::Closed } else { AlarmState::Returned };
            let mut alarm = Alarm { state, ..alarm(id, class) };
            alarm.handling.handed_to = is_handed(id).then(|| "li".into());
            alarm
        })
        .collect();
    let raised =
        all.iter().map(|alarm| Effect::Alarm(Box::new(alarm.clone()), entry(alarm.id.0, What::Raised)));
    let told = (1..=60).filter(|&id| is_told(id));
    let told = told.flat_map(|id| [1, 2].map(|step| Effect::Tell(alert(id, SignalClass::Fire, step))));
    let effects = raised.chain(told);
    store.commit(&Commit { effects: effects.collect(), ..Commit::default() }).await.unwrap();

    let open: Vec<_> = AlarmState::ALL.into_iter().filter(|state| *state != AlarmState::Closed).collect();
    let base = Query { limit: 7, ..Query::default() };
    let queries = [
        base.clone(),
        Query { states: open, ..base.clone() },
        Query { states: vec![AlarmState::Closed, AlarmState::Returned], ..base.clone() },
        Query { classes: vec![SignalClass::Fire], ..base.clone() },
        Query { cells: vec!["c-1".into(), "c-2".into(), "c-9".into()], ..base.clone() },
        Query { device: Some(DeviceIx(3)), classes: vec![SignalClass::Trouble], ..base.clone() },
        Query { states: vec![AlarmState::Unacknowledged], ..base.clone() },
        Query { seen: Some(Seen::default()), ..base.clone() },
        Query { seen: Some(Seen { cells: vec!["c-1".into()], people: Vec::new() }), ..base.clone() },
        Query {
            seen: Some(Seen { cells: Vec::new(), people: vec!["wang-li".into(), "li".into()] }),
            ..base.clone()
        },
        Query {
            seen: Some(Seen { cells: vec!["c-1".into()], people: vec!["wang-li".into()] }),
            classes: vec![SignalClass::Trouble],
            ..base.clone()
        },
        Query { limit: 0, ..base },
    ];
    for query in queries {
        let matches = |alarm: &&Alarm| {
            (query.states.is_empty() || query.states.contains(&alarm.state))
                && (query.classes.is_empty() || query.classes.contains(&alarm.class))
                && (query.cells.is_empty() || query.cells.contains(&alarm.cell_code))
                && query.device.is_none_or(|device| alarm.device == Some(device))
                && query.seen.as_ref().is_none_or(|seen| {
                    seen.cells.contains(&alarm.cell_code)
                        || (is_told(alarm.id.0) && seen.people.contains(&"wang-li".into()))
                        || (is_handed(alarm.id.0) && seen.people.contains(&"li".into()))
                })
        };
        let mut expected: Vec<_> = all.iter().rev().filter(matches).collect();
        if query.limit == 0 {
            expected.clear();
        }
        let (mut found, mut page) = (Vec::new(), query.clone());
        loop {
            let alarms = store.alarms(page.clone()).await.unwrap();
            assert!(alarms.len() <= query.limit as usize);
            let Some(last) = alarms.last() else { break };
            page.before = Some(last.id);
            found.extend(alarms);
        }
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query:?}");
    }
}

#[tokio::test]
async fn history_lines_resume_after_any_number() {
    let (_place, store) = fresh();
    for id in 1..=5 {
        let effects = vec![raised(id, SignalClass::Fire)];
        store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
    }
    let seen = store.entries_after(2, 2).await.unwrap();
    let numbers: Vec<_> = seen.iter().map(|(number, alarm, _)| (*number, alarm.id.0)).collect();
    assert_eq!(numbers, [(3, 3), (4, 4)]);
    assert!(store.entries_after(5, 9).await.unwrap().is_empty());
}
