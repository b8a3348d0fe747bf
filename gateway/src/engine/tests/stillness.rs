//! Nobody is heard in a flat: who is missed, when, and when nothing can be said.

use proptest::prelude::*;

use super::*;
use crate::grid::dwellings::{Help, Household, Leave};

const DOOR_OF_FLAT: DeviceIx = DeviceIx(0);
const ROOM: DeviceIx = DeviceIx(1);
const NEXT_DOOR: DeviceIx = DeviceIx(2);
const HOUR: u64 = 3_600;
/// The script begins at 06:13:20, so twelve waking hours end at 19:00.
const FIRST_EVENING: u64 = 46_000;
const DAY: u64 = 24 * HOUR;

const RULES: &str = r#"
    [[rule]]
    name = "welfare"
    class = "supervisory"
    text = "{place}: nobody for {value}"
    kinds = ["door_sensor", "motion_sensor"]
    stillness = { metrics = ["door_open", "motion", "flow"], for_h = 12, night = "22:00-07:00" }
    close = "acknowledged"

    [[rule]]
    name = "silence"
    class = "trouble"
    text = "{device} silent"
    kinds = ["door_sensor", "motion_sensor"]
    presence = { silent_after_s = 7200 }
    close = "returned"
"#;

fn flat(help: &[Help], leave: Option<Leave>) -> Rows {
    let mut rows = rows();
    let device = |ix: u32, id: &str, kind, place: &str| Device {
        ix: DeviceIx(ix),
        id: id.into(),
        kind,
        place: place.into(),
        ..rows.devices[0].clone()
    };
    rows.devices = vec![
        device(0, "door", DeviceKind::DoorSensor, "1栋101 门"),
        device(1, "room", DeviceKind::MotionSensor, "1栋101 客厅"),
        device(2, "next", DeviceKind::MotionSensor, "1栋102 客厅"),
    ];
    let household = |place: &str, help: &[Help]| Household {
        cell: "b1".into(),
        place: place.into(),
        people: 1,
        help: help.to_vec(),
        leave,
        ..Household::default()
    };
    rows.households = vec![household("1栋101", help), household("1栋102", &[Help::Child])];
    rows
}

fn engine_of(rows: Rows) -> Engine {
    let registry = Registry::build(rows);
    let book = book(RULES, &registry);
    Engine::new(registry, book, now(0))
}

/// With a sign of life of every sensor each hour, that says what it said before.
fn alive(until: u64, silent: impl Fn(DeviceIx, u64) -> bool, script: &[(u64, Does)]) -> Vec<(u64, Does)> {
    let mut all = script.to_vec();
    for at in (1..until).step_by(HOUR as usize) {
        for device in [DOOR_OF_FLAT, ROOM, NEXT_DOOR] {
            if !silent(device, at) {
                let closed: &[_] =
                    if device == DOOR_OF_FLAT { &[("door_open", 0.0)] } else { &[("battery", 90.0)] };
                all.push((at, Does::Says(says(device, closed))));
            }
        }
    }
    all.push((until, Does::Waits));
    all.sort_by_key(|(at, _)| *at);
    all
}

fn moves(device: DeviceIx, metric: &'static str, value: f64) -> Does {
    Does::Says(says(device, &[(metric, value)]))
}

/// The same with and without restarts.
fn found(rows: Rows, script: &[(u64, Does)]) -> Vec<(u64, String)> {
    let [plain, restarted] =
        [false, true].map(|restarts| play(&mut engine_of(rows.clone()), script, restarts));
    assert_eq!(plain, restarted, "a restart changes nothing");
    plain
}

fn expect(rows: Rows, script: &[(u64, Does)], expected: &[(u64, &str)]) {
    let found = found(rows, script);
    let found: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(found, expected);
}

const RAISED: &str = "A-1 Raised Unacknowledged";

#[test]
fn somebody_who_lives_alone_is_missed_after_the_waking_hours() {
    let alone = || flat(&[Help::LivesAlone, Help::Deaf], None);
    let nobody = |_: DeviceIx, _: u64| false;
    expect(alone(), &alive(FIRST_EVENING + 10, nobody, &[]), &[(FIRST_EVENING, RAISED)]);
    expect(flat(&[Help::Deaf], None), &alive(3 * DAY, nobody, &[]), &[]);
    let mut engine = engine_of(alone());
    play(&mut engine, &alive(FIRST_EVENING + 10, nobody, &[]), false);
    let alarm = engine.open_alarms().next().unwrap();
    assert_eq!((alarm.text.as_str(), alarm.rule.as_str()), ("1栋101 门: nobody for 12 h 00 min", "welfare"));
}

#[test]
fn whatever_somebody_does_begins_the_hours_anew() {
    // 40,000 s is 17:20: four hours and forty minutes that day, the rest until 14:20 of the next.
    let next = 40_000 + 21 * HOUR;
    for (metric, value) in [("motion", 1.0), ("door_open", 1.0), ("flow", 0.2)] {
        let script = alive(next + 10, |_, _| false, &[(40_000, moves(ROOM, metric, value))]);
        expect(flat(&[Help::LivesAlone], None), &script, &[(next, RAISED)]);
    }
    for (device, metric, value) in
        [(ROOM, "motion", 0.0), (ROOM, "flow", 0.0), (ROOM, "temperature", 30.0), (NEXT_DOOR, "motion", 1.0)]
    {
        let script = alive(FIRST_EVENING + 10, |_, _| false, &[(40_000, moves(device, metric, value))]);
        expect(flat(&[Help::LivesAlone], None), &script, &[(FIRST_EVENING, RAISED)]);
    }
}

#[test]
fn the_alarm_ends_when_somebody_is_heard() {
    let script = alive(
        FIRST_EVENING + 2 * HOUR,
        |_, _| false,
        &[(FIRST_EVENING + 60, ack(1)), (FIRST_EVENING + HOUR, moves(DOOR_OF_FLAT, "door_open", 1.0))],
    );
    let found = found(flat(&[Help::LivesAlone], None), &script);
    let lines: Vec<_> = found.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines[0], RAISED);
    assert!(lines.contains(&"A-1 Returned Returned") && lines.contains(&"A-1 Closed Closed"), "{lines:?}");
}

#[test]
fn a_silent_sensor_is_no_silent_person() {
    let silent = |device: DeviceIx, at: u64| device == ROOM && (10_000..60_000).contains(&at);
    let script = alive(FIRST_EVENING + DAY + 10, silent, &[]);
    let found = found(flat(&[Help::LivesAlone], None), &script);
    let raised: Vec<_> = found.iter().filter(|(_, line)| line.contains("Raised")).collect();
    assert_eq!(raised.len(), 2, "{found:?}");
    assert!(raised[0].0 < FIRST_EVENING, "the trouble of the sensor: {found:?}");
    // Heard again at 60,001 (22:53): a whole day of hours after that.
    assert_eq!(*raised[1], (FIRST_EVENING + DAY, "A-2 Raised Unacknowledged".into()));
}

#[test]
fn nobody_is_missed_on_leave_and_all_hours_count_after_it() {
    // Until the third day, 08:13:20.
    let until = 2 * DAY + 2 * HOUR;
    let leave = Leave { from: timestamp(3600.0), until: Some(timestamp(until as f64)) };
    let back = until + 12 * HOUR;
    expect(flat(&[Help::LivesAlone], Some(leave)), &alive(back + 10, |_, _| false, &[]), &[(back, RAISED)]);
    let open = Leave { from: timestamp(0.0), until: None };
    expect(flat(&[Help::LivesAlone], Some(open)), &alive(5 * DAY, |_, _| false, &[]), &[]);
}

/// Back at 17:20: four hours and forty minutes of that day, the rest until 14:20 of the next.
#[test]
fn whoever_came_back_before_he_would_be_missed_has_all_the_hours() {
    let leave = Leave { from: timestamp(3600.0), until: Some(timestamp(40_000.0)) };
    let next = 40_000 + 21 * HOUR;
    let away = || flat(&[Help::LivesAlone], Some(leave));
    expect(away(), &alive(next + 10, |_, _| false, &[]), &[(next, RAISED)]);
    // What he did since then counts as ever.
    let moved = next + HOUR;
    let script = alive(moved + 10, |_, _| false, &[(40_000 + HOUR, moves(ROOM, "motion", 1.0))]);
    expect(away(), &script, &[(moved, RAISED)]);
}

#[test]
fn a_leave_that_is_taken_back_leaves_all_the_hours() {
    let until_later = Leave { from: timestamp(3600.0), until: Some(timestamp(10.0 * DAY as f64)) };
    let ended = Leave { until: Some(timestamp(40_000.0)), ..until_later };
    let next = 40_000 + 21 * HOUR;
    for (leave, edited_at) in [(until_later, 40_000), (ended, 43_000)] {
        let mut engine = engine_of(flat(&[Help::LivesAlone], Some(leave)));
        let script = alive(next + 10, |_, _| false, &[]);
        let (before, after): (Vec<_>, Vec<_>) = script.into_iter().partition(|(at, _)| *at < edited_at);
        assert_eq!(play(&mut engine, &before, false), []);
        let registry = Registry::build(flat(&[Help::LivesAlone], None));
        let rules = book(RULES, &registry);
        assert_eq!(engine.reconfigure(registry, rules, now(edited_at * 1000)), []);
        assert_eq!(play(&mut engine, &after, true), [(next, RAISED.to_owned())], "edited at {edited_at}");
    }
}

#[test]
fn what_the_gateway_slept_through_is_nobodys_stillness() {
    let mut script = alive(HOUR, |_, _| false, &[]);
    script.push((FIRST_EVENING + HOUR, Does::WasDown));
    script.push((FIRST_EVENING + HOUR + 60, moves(DOOR_OF_FLAT, "battery", 90.0)));
    let found = found(flat(&[Help::LivesAlone], None), &script);
    assert!(found.iter().all(|(_, line)| !line.contains("Raised")), "{found:?}");
}

#[test]
fn a_flat_that_is_no_longer_watched_ends_its_alarm() {
    for restart in [false, true] {
        let mut engine = engine_of(flat(&[Help::LivesAlone], None));
        play(&mut engine, &alive(FIRST_EVENING + 10, |_, _| false, &[]), false);
        assert_eq!(engine.open_alarms().count(), 1);
        let registry = Registry::build(flat(&[], None));
        let rules = book(RULES, &registry);
        if restart {
            engine = Engine::restore(&engine.snapshot(), registry.clone(), rules.clone()).unwrap();
        }
        let effects = engine.reconfigure(registry, rules, now((FIRST_EVENING + 20) * 1000));
        let lines: Vec<_> = effects.iter().map(line).collect();
        assert_eq!(lines, ["A-1 Returned ReturnedUnacknowledged"], "restart: {restart}");
        assert_eq!(engine.wake_at().filter(|at| at.0 < 1), None);
    }
}

proptest! {
    /// Whatever happens when: nobody is missed earlier than the hours after the last sign, and everybody is missed who gives none for two days.
    #[test]
    fn nobody_is_missed_too_early_and_everybody_in_the_end(signs in prop::collection::vec((0..3 * DAY, 0..2u32), 0..12)) {
        let script: Vec<_> = signs.iter().map(|&(at, device)| (at, moves(DeviceIx(device), "motion", 1.0))).collect();
        let end = 5 * DAY;
        let found = found(flat(&[Help::LivesAlone], None), &alive(end, |_, _| false, &script));
        let mut raised = found.iter().filter(|(_, line)| line.contains("Raised") || line.contains("ActiveAgain")).map(|(at, _)| *at).collect::<Vec<_>>();
        raised.dedup();
        for &at in &raised {
            prop_assert!(signs.iter().all(|&(sign, _)| at <= sign || sign + 12 * HOUR <= at), "missed at {at} after {signs:?}");
        }
        let last = signs.iter().map(|(at, _)| *at).max().unwrap_or(0);
        prop_assert!(raised.iter().any(|at| last <= *at && *at <= last + 36 * HOUR), "never missed after {last}: {found:?}");
    }
}
