//! Silence, last wills, and what is no device's fault.

use super::*;

fn alive(device: DeviceIx) -> Does {
    Does::Says(says(device, &[]))
}

/// Keeps the others alive, so that a test is about one device.
fn with_others_alive(script: &[(u64, Does)]) -> Vec<(u64, Does)> {
    let end = script.last().unwrap().0;
    let mut all = script.to_vec();
    for at in (0..end).step_by(1000) {
        all.extend([HALL, HYDRANT, LOST].map(|device| (at, alive(device))));
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

fn check(script: &[(u64, Does)], expected: &[(u64, &str)]) {
    super::check(&with_others_alive(script), expected);
}

const RAISED: &str = "A-1 Raised Unacknowledged";

#[test]
fn a_device_that_never_reports_is_noticed() {
    check(&[(3599, Does::Waits)], &[]);
    check(&[(3700, Does::Waits)], &[(3600, RAISED)]);
}

#[test]
fn silence_ends_with_a_sign_of_life() {
    let life = |how| Does::Says(says(KITCHEN, &[]).how(how));
    let ends: &[_] = &[
        (4600, RAISED),
        (4700, "A-1 Returned ReturnedUnacknowledged"),
        (4700, "A-1 Closed Closed"),
        (4700, "withdraw A-1"),
    ];
    for (how, expected) in [
        (Freshness::Live, ends),
        (Freshness::Replayed, ends),
        (Freshness::Backfill, ends),
        (Freshness::Retained, &ends[..1]), // The broker lives; that says nothing of the device.
    ] {
        check(&[(1000, alive(KITCHEN)), (4700, life(how))], expected);
    }
}

#[test]
fn a_will_shortens_the_wait_and_a_report_beats_it() {
    let gone = |since| Does::Gone { device: KITCHEN, since };
    check(&[(100, alive(KITCHEN)), (200, gone(100.0)), (231, Does::Waits)], &[(230, RAISED)]);
    // Heard on a new connection after the old one was last alive: the will is late.
    check(&[(100, alive(KITCHEN)), (200, gone(99.5)), (231, Does::Waits)], &[]);
    // A report after the will, in time.
    check(&[(100, alive(KITCHEN)), (200, gone(150.0)), (229, alive(KITCHEN)), (300, Does::Waits)], &[]);
    // A will of a device that never reported.
    check(&[(200, gone(100.0)), (231, Does::Waits)], &[(230, RAISED)]);
    // A later deadline than the silence itself.
    check(&[(0, alive(KITCHEN)), (3590, gone(3500.0)), (3700, Does::Waits)], &[(3600, RAISED)]);
    // A second will neither helps nor harms.
    check(
        &[(100, alive(KITCHEN)), (200, gone(150.0)), (220, gone(210.0)), (260, Does::Waits)],
        &[(230, RAISED)],
    );
}

#[test]
fn says_whether_a_device_is_heard_of() {
    let mut engine = engine();
    let online = |engine: &Engine| engine.seen(DOOR).online;
    assert_eq!(engine.seen(DOOR), Seen { last: None, online: None }, "its time has not run out");
    play(&mut engine, &[(100, alive(DOOR))], false);
    assert_eq!(engine.seen(DOOR), Seen { last: Some(timestamp(100.0)), online: Some(true) });
    play(&mut engine, &[(200, Does::Gone { device: DOOR, since: 150.0 })], false);
    assert_eq!(online(&engine), Some(false));
    play(&mut engine, &[(201, alive(DOOR))], false);
    assert_eq!(online(&engine), Some(true));
    play(&mut engine, &[(9_000, Does::Waits)], false);
    assert_eq!(engine.seen(KITCHEN), Seen { last: None, online: Some(false) }, "it never came");
    assert_eq!(engine.seen(DeviceIx(9999)), Seen { last: None, online: None });
}

#[test]
fn a_devices_own_time_of_silence_wins_and_needs_no_rule() {
    let mut rows = rows();
    rows.devices[KITCHEN.at()].silent_after = Some(Millis::from_secs(100));
    rows.devices[DOOR.at()].silent_after = Some(Millis::from_secs(200));
    let registry = Registry::build(rows);
    let book = book(RULES, &registry);
    let mut engine = Engine::new(registry, book, now(0));
    let found = play(&mut engine, &[(1000, Does::Waits)], false);
    assert_eq!(
        found,
        [(100, RAISED.to_owned()), (200, "A-2 Raised Unacknowledged".to_owned())],
        "one by its rule's name, one by the built-in rule"
    );
    let said: Vec<_> = engine.open_alarms().map(|alarm| (alarm.rule.as_str(), alarm.text.as_str())).collect();
    assert_eq!(
        said,
        [
            ("silence", "kitchen silent for 100 s"),
            ("built-in-silence", "No sign of life from door for 3 min: door of door"),
        ]
    );
}

#[test]
fn the_gateways_own_downtime_is_nobodys_silence() {
    super::check(
        &[(100, alive(KITCHEN)), (90_000, Does::WasDown), (90_001, Does::Waits), (93_000, Does::Waits)],
        &[],
    );
    // It counts on where it stood: 100 s before the downtime, so 3,500 s are left for those that said nothing.
    let mut found =
        play(&mut engine(), &[(100, alive(KITCHEN)), (90_000, Does::WasDown), (94_000, Does::Waits)], false);
    found.retain(|(_, line)| line.contains("Raised"));
    assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [93_500, 93_500, 93_500, 93_600]);
}

/// Nothing was due while it was away, so nothing is overdue when it is back; what is due just after is put off all the same.
#[test]
fn a_silence_due_just_after_an_absence_is_put_off_by_it() {
    let mut engine = engine();
    play(&mut engine, &[(100, alive(KITCHEN))], false);
    engine.was_away(now(100_000).steady, now(3_590_000));
    let mut engine =
        Engine::restore(&engine.snapshot(), engine.registry.clone(), engine.rules.clone()).unwrap();
    let mut found = play(&mut engine, &[(9_000, Does::Waits)], false);
    found.retain(|(_, line)| line.contains("Raised"));
    assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [7_090, 7_090, 7_090, 7_190]);
}

/// A ladder's step that came due while it was away is climbed at once, and nobody is given the time twice.
#[test]
fn an_absence_holds_up_no_ladder() {
    let mut engine = engine();
    play(&mut engine, &[(100, smoke(true))], false);
    engine.was_away(now(100_000).steady, now(1_000_000));
    let told = play(&mut engine, &[(1_000, Does::WasDown)], false);
    assert!(told.iter().any(|(at, line)| *at == 1_000 && line.contains("Escalated")), "{told:?}");
    let mut silent = play(&mut engine, &[(9_000, Does::Waits)], false);
    silent.retain(|(_, line)| line.contains("Raised"));
    // At 2,200 s the station says that nobody answered the fire.
    assert_eq!(silent.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2_200, 4_500, 4_500, 4_500, 4_600]);
}

#[test]
fn unknown_devices_change_nothing() {
    super::check(
        &[(0, alive(DeviceIx(77))), (1, Does::Gone { device: DeviceIx(u32::MAX), since: 0.0 })],
        &[],
    );
}
