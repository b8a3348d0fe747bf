//! One failure behind many alarms.

use super::*;

/// Six detectors in one cell; the last of them talks on. A hydrant in each of two cells below the community.
fn town(limits: &str) -> Engine {
    let mut rows = rows();
    let like = |ix: u32, id: String, of: &Device, cell: &str| Device {
        ix: DeviceIx(ix),
        address: format!("native:{id}"),
        id,
        cells: vec![cell.to_owned()],
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
