//! One failure behind many alarms.

use super::*;

/// Six detectors in one cell; the last of them talks on. A hydrant in each of two cells below the community.
fn town(limits: &str) -> Engine {
    let mut rows = rows();
    let like = |ix: u32, id: String, of: &Device, cell: &str| Device {
        ix: DeviceIx(ix),
        address: format!("native:{id}"),
        id,
        cells: [cell.to_owned()].into(),
        ..of.clone()
    };
    let (detector, hydrant) = (rows.devices[KITCHEN.at()].clone(), rows.devices[HYDRANT.at()].clone());
    let detectors = (0..6).map(|ix| like(ix, format!("d{ix}"), &detector, "b1"));
    let hydrants =
        [(6, "b1"), (7, "b1"), (8, "b2")].map(|(ix, cell)| like(ix, format!("h{ix}"), &hydrant, cell));
    rows.devices = detectors.chain(hydrants).collect();
    let registry = Registry::build(rows);
    let rules = RULES.replacen(
        "kinds = [\"smoke_detector\", \"hydrant\"]",
        "ladder = \"fire\"\n    kinds = [\"smoke_detector\"]",
        1,
    );
    let book = book(&format!("{rules}\n[incidents]\n{limits}"), &registry);
    Engine::new(registry, book, now(0))
}

fn alive(device: u32) -> Does {
    Does::Says(says(DeviceIx(device), &[]))
}

fn pressure(device: u32, value: f64) -> Does {
    Does::Says(says(DeviceIx(device), &[("pressure", value)]))
}

/// Without the alerts, and the same with restarts.
fn lines(limits: &str, script: &[(u64, Does)]) -> Vec<String> {
    let found = play(&mut town(limits), script, false);
    assert_eq!(found, play(&mut town(limits), script, true));
    let kept = found.into_iter().filter(|(_, line)| !line.contains('/'));
    kept.map(|(at, line)| format!("{at} {line}")).collect()
}

/// Five of six fall silent, ten seconds after each other, from 3600 s on.
fn five_fall_silent() -> Vec<(u64, Does)> {
    let mut script: Vec<_> = (0..5).map(|ix| (u64::from(ix) * 10, alive(ix))).collect();
    script.push((3000, alive(5)));
    script
}

#[test]
fn a_cell_that_goes_dark_calls_once() {
    let mut script = five_fall_silent();
    script.extend([
        (3700, ack(6)),
        (6650, Does::Waits),
        (6700, alive(0)),
        (6701, alive(1)),
        (6702, alive(2)),
        (6703, alive(3)),
    ]);
    script.extend([(6710, Does::Waits), (6711, alive(4))]);
    let mut engine = town("");
    play(&mut engine, &script[..6], true);
    play(&mut engine, &[(3641, Does::Waits)], true);
    let dark = engine.open_alarms().last().unwrap();
    assert_eq!((dark.rule.as_str(), dark.class), ("cell-dark", SignalClass::Trouble));
    assert_eq!(dark.text, "整格失联 cell dark: 5 of 6 devices silent, cell b1");
    assert_eq!(
        dark.ladder.as_ref().map(|position| position.ladder.as_str()),
        Some("fire"),
        "the presence rule's"
    );
    assert!(engine.open_alarms().take(5).all(|alarm| alarm.handling.incident == Some(AlarmId(6))));

    let found = lines("", &script);
    let found: Vec<_> = found
        .iter()
        .map(String::as_str)
        .filter(|line| line.contains("A-6") || line.contains("A-7"))
        .collect();
    let expected = [
        "3640 A-6 Raised Unacknowledged",
        "6600 A-7 Raised Unacknowledged",
        "6600 A-7 Suppressed Unacknowledged",
        "6600 A-6 Repeated Acknowledged",
        "6711 A-6 Returned Returned",
        "6711 A-6 Closed Closed",
        "6711 A-7 Resumed Unacknowledged",
    ];
    let found: Vec<_> = found.into_iter().filter(|line| expected.contains(line)).collect();
    assert_eq!(found, expected);
}

#[test]
fn parts_call_no_more_and_what_is_in_hand_stays_so() {
    let mut script = five_fall_silent();
    script.extend([(3605, ack(1)), (3900, Does::Waits)]);
    let found = play(&mut town(""), &script, true);
    let after: Vec<_> = found.iter().filter(|(at, _)| 3640 < *at).map(|(_, line)| line.as_str()).collect();
    assert!(after.iter().all(|line| line.starts_with("A-6")) && !after.is_empty(), "{after:?}");
    let folded: Vec<_> =
        found.iter().map(|(_, line)| line).filter(|line| line.contains("Suppressed")).collect();
    assert_eq!(folded.len(), 4, "the acknowledged one is not: {folded:?}");
}

#[test]
fn what_is_no_dark_cell() {
    let late = [(0, 0), (1, 10), (2, 20), (3, 30), (4, 200)].map(|(ix, at)| (at, alive(ix)));
    let late = [late.to_vec(), vec![(3000, alive(5)), (4000, Does::Waits)]].concat();
    let in_time = [five_fall_silent(), vec![(4000, Does::Waits)]].concat();
    for (limits, script, expected) in [
        ("", &in_time, true),
        ("dark_within_s = 200", &late, true),
        ("", &late, false),
        ("dark_devices_min = 6", &in_time, false),
        ("dark_within_s = 0", &in_time, false),
    ] {
        let found = lines(limits, script);
        assert_eq!(found.iter().any(|line| line.contains("A-6 Raised")), expected, "{limits}: {found:?}");
    }
}

#[test]
fn a_fire_in_a_dark_cell_calls() {
    let script =
        [five_fall_silent(), vec![(3700, Does::Says(says(DeviceIx(5), &[("smoke", 1.0)])))]].concat();
    let found = play(&mut town(""), &script, true);
    let fire: Vec<_> = found.iter().filter(|(at, _)| *at == 3700).map(|(_, line)| line.as_str()).collect();
    assert_eq!(fire[0], "A-7 Raised Unacknowledged");
    assert!(fire.iter().any(|line| line.starts_with("A-7/1/")), "{fire:?}");
}

#[test]
fn somebody_who_resolves_it_does_not_call_forty_others() {
    let script = [five_fall_silent(), vec![(3700, ack(6)), (3701, resolve(6)), (3800, Does::Waits)]].concat();
    let found = lines("", &script);
    assert_eq!(found.last().map(String::as_str), Some("3701 A-6 Resolved Acknowledged"));
}

#[test]
fn a_main_that_fails_calls_once() {
    let low = [(0, pressure(6, 100.0)), (10, pressure(8, 100.0)), (20, pressure(7, 100.0))];
    let back = [(100, pressure(6, 400.0)), (110, pressure(7, 400.0)), (300, Does::Waits)];
    let found = lines("", &[low.to_vec(), back.to_vec()].concat());
    let found: Vec<_> =
        found.iter().map(String::as_str).filter(|line| !line.contains("NobodyToTell")).collect();
    assert_eq!(
        found,
        [
            "30 A-1 Raised Unacknowledged",
            "40 A-2 Raised Unacknowledged",
            "40 A-3 Raised Unacknowledged",
            "40 A-1 Suppressed Unacknowledged",
            "40 withdraw A-1",
            "40 A-2 Suppressed Unacknowledged",
            "40 withdraw A-2",
            "50 A-4 Raised Unacknowledged",
            "50 A-4 Suppressed Unacknowledged",
            "50 A-3 Repeated Unacknowledged",
            "160 A-1 Returned ReturnedUnacknowledged",
            "160 A-1 Closed Closed",
            "160 withdraw A-1",
            "170 A-4 Returned ReturnedUnacknowledged",
            "170 A-4 Closed Closed",
            "170 withdraw A-4",
            "170 A-3 Returned ReturnedUnacknowledged",
            "170 A-3 Closed Closed",
            "170 withdraw A-3",
            "170 A-2 Resumed Unacknowledged",
        ]
    );
}

#[test]
fn what_is_no_failure_of_the_main() {
    for (why, limits, script) in [
        ("one cell", "", vec![(0, pressure(6, 100.0)), (1, pressure(7, 100.0)), (100, Does::Waits)]),
        ("too late", "", vec![(0, pressure(6, 100.0)), (301, pressure(8, 100.0)), (400, Does::Waits)]),
        (
            "off",
            "main_within_s = 0",
            vec![(0, pressure(6, 100.0)), (1, pressure(8, 100.0)), (100, Does::Waits)],
        ),
    ] {
        assert!(lines(limits, &script).iter().all(|line| !line.contains("Suppressed")), "{why}");
    }
}

/// An import that retires the silent devices ends what stands for them.
#[test]
fn a_failure_without_parts_is_over() {
    let mut engine = town("");
    play(&mut engine, &five_fall_silent(), false);
    play(&mut engine, &[(3641, Does::Waits)], false);
    let mut rows = engine.registry.rows().clone();
    rows.devices.iter_mut().take(5).for_each(|device| device.retired = true);
    let registry = Registry::build(rows);
    let rules = book(RULES, &registry);
    engine.reconfigure(registry, rules, now(3_650_000));
    assert_eq!(engine.open_alarms().count(), 0);
}

/// Twelve detectors in two cells below the community, and rules that call for one that is taken apart.
fn street() -> Engine {
    let mut rows = rows();
    let detector = rows.devices[KITCHEN.at()].clone();
    let like = |ix: u32| Device {
        ix: DeviceIx(ix),
        id: format!("d{ix}"),
        address: format!("native:d{ix}"),
        cells: [if ix.is_multiple_of(2) { "b1" } else { "b2" }.to_owned()].into(),
        ..detector.clone()
    };
    rows.devices = (0..14).map(like).collect();
    let registry = Registry::build(rows);
    let book = book(STREET_RULES, &registry);
    Engine::new(registry, book, now(0))
}

const STREET_RULES: &str = r#"
    [[rule]]
    name = "smoke"
    class = "fire"
    text = "Smoke"
    kinds = ["smoke_detector"]
    state = { flag = "smoke" }
    ladder = "one"

    [[rule]]
    name = "tamper"
    class = "trouble"
    text = "Taken apart: {device}"
    kinds = ["smoke_detector"]
    state = { flag = "tamper" }
    ladder = "one"
    close = "returned"

    [[rule]]
    name = "fault"
    class = "trouble"
    text = "Broken: {device}"
    kinds = ["smoke_detector"]
    state = { flag = "fault" }
    ladder = "two"
    close = "returned"

    [[ladder]]
    name = "one"
    step = [{ after_s = 0, who = ["responsible"], channels = ["push"] }]

    [[ladder]]
    name = "two"
    step = [{ after_s = 0, who = ["responsible"], channels = ["push"] }]

    [flood]
    pages_per_person_max = 1000
"#;

fn flag(device: u32, flag: &'static str, on: bool) -> Does {
    Does::Says(says(DeviceIx(device), &[(flag, f64::from(u8::from(on)))]))
}

fn taken_apart(devices: std::ops::Range<u32>, from: u64, every: u64) -> Vec<(u64, Does)> {
    devices.enumerate().map(|(n, device)| (from + n as u64 * every, flag(device, "tamper", true))).collect()
}

/// Lines about these alarms, the same with restarts.
fn about(script: &[(u64, Does)], alarms: &[&str]) -> Vec<String> {
    let found = play(&mut street(), script, false);
    assert_eq!(found, play(&mut street(), script, true));
    let wanted = |line: &String| alarms.iter().any(|id| line.split([' ', '/']).any(|word| word == *id));
    found.into_iter().filter(|(_, line)| wanted(line)).map(|(at, line)| format!("{at} {line}")).collect()
}

#[test]
fn a_storm_is_one_card_that_grows() {
    let mut script = taken_apart(0..12, 0, 10);
    script.push((200, flag(0, "smoke", true)));
    let mut engine = street();
    play(&mut engine, &script[..10], true);
    let storm = engine.open_alarms().last().expect("the tenth begins it");
    assert_eq!(
        (storm.rule.as_str(), storm.class, storm.cell),
        ("alarm-storm", SignalClass::Trouble, CellIx(1))
    );
    assert_eq!(storm.text, "报警集中 alarm storm: 10 alarms of class trouble in 2 cells, cell community");

    assert_eq!(
        about(&script, &["A-1", "A-10", "A-11", "A-12", "A-14"]),
        [
            "0 A-1 Raised Unacknowledged", // The first of all calls at once …
            "0 A-1/1/ann/push",
            "90 A-10 Raised Unacknowledged",
            "90 A-10/1/carl/push",
            "90 A-11 Raised Unacknowledged",
            "90 A-11/1/carl/push",
            "90 A-1 Suppressed Unacknowledged",
            "90 withdraw A-1",
            "90 A-10 Suppressed Unacknowledged",
            "90 withdraw A-10",
            "100 A-12 Raised Unacknowledged", // … and those that follow, not at all.
            "100 A-12 Suppressed Unacknowledged",
            "100 A-11 Repeated Unacknowledged",
            "110 A-11 Repeated Unacknowledged",
            "200 A-14 Raised Unacknowledged",
            "200 A-14/1/ann/push",
        ],
        "a fire is never part of it"
    );
}

#[test]
fn a_storm_ends_and_what_is_left_calls() {
    let mut script = taken_apart(0..10, 0, 1);
    script.extend((0..7).map(|ix| (300 + u64::from(ix), flag(ix, "tamper", false))));
    let storm = about(&script, &["A-11"]);
    assert_eq!(
        storm[2..],
        ["306 A-11 Returned ReturnedUnacknowledged", "306 A-11 Closed Closed", "306 withdraw A-11"]
    );
    let left = about(&script, &["A-8", "A-9", "A-10"]);
    let calls = left.iter().filter(|line| line.starts_with("306") && line.contains('/')).count();
    assert_eq!(calls, 3, "{left:?}");
}

#[test]
fn what_is_no_storm() {
    let slow = taken_apart(0..10, 0, 70); // Nine in 600 s.
    let few = taken_apart(0..9, 0, 1);
    let many = taken_apart(0..10, 0, 1);
    let other_ladder = [many.clone(), vec![(20, flag(11, "fault", true))]].concat();
    let later = [many.clone(), vec![(700, flag(11, "tamper", true))]].concat();
    for (script, storm, alone) in [
        (slow, false, None),
        (few, false, None),
        (many, true, None),
        (other_ladder, true, Some("A-12")),
        (later, true, Some("A-12")),
    ] {
        let mut engine = street();
        play(&mut engine, &script, true);
        assert_eq!(engine.open_alarms().any(|alarm| alarm.rule == "alarm-storm"), storm, "{script:?}");
        if let Some(alone) = alone {
            let lines = about(&script, &[alone]);
            assert!(lines.iter().any(|line| line.contains('/')), "{alone} calls by itself: {lines:?}");
        }
    }
}

#[test]
fn a_storm_that_stands_when_storms_are_turned_off_swallows_nothing_more() {
    let mut engine = street();
    play(&mut engine, &taken_apart(0..10, 0, 1), false);
    let registry = engine.registry.clone();
    let rules = book(&format!("{STREET_RULES}\n[incidents]\nstorm_within_s = 0"), &registry);
    assert_eq!(engine.reconfigure(registry, rules, now(20_000)), [], "what is part of it stays so");
    let found = play(&mut engine, &[(30, flag(11, "tamper", true))], true);
    let found: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(found, [(30, "A-12 Raised Unacknowledged"), (30, "A-12/1/carl/push")]);
}
