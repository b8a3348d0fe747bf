//! When values begin and end a condition.

use super::*;

fn pressure(value: f64) -> Does {
    Does::Says(says(HYDRANT, &[("pressure", value)]))
}

fn pump(value: f64) -> Does {
    Does::Says(says(PUMP, &[("pressure", value)]))
}

fn call_point() -> Does {
    Does::Says(says(CALL_POINT, &[("manual_alarm", 1.0)]))
}

/// What a call point's alarm makes at once.
fn called(at: u64, alarm: u64) -> Vec<(u64, String)> {
    vec![
        (at, format!("A-{alarm} Raised Unacknowledged")),
        (at, format!("A-{alarm}/1/ann/push")),
        (at, format!("A-{alarm}/1/ann/sms")),
    ]
}

#[test]
fn a_fire_flag_raises_at_once_and_returns_at_once() {
    check(
        &[(5, smoke(false)), (10, smoke(true)), (20, smoke(false))],
        &[
            (10, "A-1 Raised Unacknowledged"),
            (10, "A-1/1/ann/push"),
            (10, "A-1/1/ann/sms"),
            (20, "A-1 Returned ReturnedUnacknowledged"),
        ],
    );
}

#[test]
fn a_fire_waits_for_nothing() {
    let rules =
        RULES.replace("state = { flag = \"smoke\" }", "state = { flag = \"smoke\" }\nraise_after_s = 60");
    assert_ne!(rules, RULES);
    let registry = Registry::build(rows());
    let book = book(&rules, &registry);
    let mut engine = Engine::new(registry, book, now(0));
    let found = play(&mut engine, &[(10, smoke(true))], false);
    assert_eq!(found[0], (10, "A-1 Raised Unacknowledged".to_owned()));
}

#[test]
fn a_threshold_must_hold_and_clears_beyond_its_other_limit_only() {
    check(
        &[
            (0, pressure(139.0)),
            (20, pressure(150.0)), // Between the limits: not low any more before the 30 s were over.
            (40, pressure(120.0)),
            (65, pressure(139.9)),
            (90, pressure(155.0)),  // Between the limits: still low.
            (100, pressure(161.0)), // Normal, but for 60 s?
            (130, pressure(150.0)), // No.
            (140, pressure(170.0)),
            (190, pressure(170.0)),
            (250, Does::Waits),
        ],
        &[
            (70, "A-1 Raised Unacknowledged"),
            (130, "A-1 Escalated Unacknowledged"),
            (130, "A-1/1/bob/push"),
            (200, "A-1 Returned ReturnedUnacknowledged"),
        ],
    );
}

#[test]
fn bad_quality_is_not_judged_but_fire_is_fire() {
    let bad = |device, metric, value| Does::Says(says(device, &[(metric, value)]).bad());
    check(
        &[
            (0, bad(HYDRANT, "pressure", 1.0)),
            (0, bad(KITCHEN, "tamper", 1.0)),
            (60, bad(LOST, "smoke", 1.0)),
            (61, bad(LOST, "smoke", 0.0)),
        ],
        &[
            (60, "A-1 Raised Unacknowledged"),
            (60, "A-1 NobodyToTell Unacknowledged"),
            (60, "A-1 NobodyToTell Unacknowledged"),
            (60, "A-1 Escalated Unacknowledged"),
            (60, "A-1/1/-/push"),
            (60, "A-1/1/-/sms"),
            (60, "A-1/2/-/push"),
            (60, "A-1/3/chief/voice"),
        ],
    );
}

#[test]
fn a_fast_fall_raises_and_ends_when_it_levels_off() {
    check(
        &[(0, pump(400.0)), (10, pump(350.0)), (20, pump(299.0)), (60, pump(298.0)), (90, pump(297.0))],
        &[
            (20, "A-1 Raised Unacknowledged"),
            (60, "A-1 Repeated Unacknowledged"),
            (90, "A-1 Returned ReturnedUnacknowledged"),
            (90, "A-1 Closed Closed"),
            (90, "withdraw A-1"),
        ],
    );
}

#[test]
fn a_slow_fall_is_no_burst() {
    let script: Vec<_> = (0..40).map(|n| (n * 10, pump(400.0 - 5.0 * n as f64))).collect();
    check(&script, &[]);
}

#[test]
fn a_latched_detector_has_episodes() {
    let mut expected = called(0, 1);
    expected.push((10, "A-1 Repeated Unacknowledged".into()));
    expected.push((20, "A-1 Acknowledged Acknowledged".into()));
    expected.push((20, "withdraw A-1".into()));
    expected.push((30, "A-1 Resolved Returned".into()));
    expected.push((30, "A-1 Closed Closed".into()));
    // Frames at 40 and 600 are still the same episode. Quiet from 600 to 1300 ends it.
    expected.extend(called(1300, 2));
    let expected: Vec<_> = expected.iter().map(|(at, line)| (*at, line.as_str())).collect();
    check(
        &[
            (0, call_point()),
            (10, call_point()),
            (20, ack(1)),
            (30, resolve(1)),
            (40, call_point()),
            (600, call_point()),
            (1300, call_point()),
        ],
        &expected,
    );
}

#[test]
fn a_new_episode_of_an_open_alarm_must_be_answered_anew() {
    check(
        &[(0, call_point()), (10, ack(1)), (700, call_point())],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/ann/push"),
            (0, "A-1/1/ann/sms"),
            (10, "A-1 Acknowledged Acknowledged"),
            (10, "withdraw A-1"),
            (600, "A-1 Returned Returned"),
            (700, "A-1 ActiveAgain Unacknowledged"),
            (700, "A-1/2/ann/push"),
            (700, "A-1/2/ann/sms"),
        ],
    );
}

#[test]
fn a_test_press_is_a_test() {
    let press = |test, smoke| Does::Says(says(KITCHEN, &[("smoke", smoke), ("test", test)]));
    check(
        &[(0, press(1.0, 1.0)), (5, press(0.0, 0.0)), (10, press(0.0, 1.0)), (11, press(1.0, 1.0))],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (5, "A-1 Returned ReturnedUnacknowledged"),
            (5, "A-1 Closed Closed"),
            (5, "withdraw A-1"),
            (10, "A-2 Raised Unacknowledged"),
            (10, "A-2/1/ann/push"),
            (10, "A-2/1/ann/sms"),
            (11, "A-3 Raised Unacknowledged"),
        ],
    );
    let mut engine = engine();
    play(&mut engine, &[(0, press(1.0, 1.0))], false);
    let classes: Vec<_> = engine.open_alarms().map(|alarm| alarm.class).collect();
    assert_eq!(classes, [SignalClass::Test]);
}

#[test]
fn repeats_are_counted_but_leave_few_lines() {
    let mut engine = engine();
    let script: Vec<_> = (0..=1000).map(|n| (n / 10, smoke(true))).collect();
    let lines = play(&mut engine, &script, false);
    assert_eq!(lines.iter().filter(|(_, line)| line.contains("Repeated")).count(), 4, "1, 10, 100, 1000");
    assert_eq!(engine.open_alarms().map(|alarm| alarm.repeats).collect::<Vec<_>>(), [1000]);
}

#[test]
fn downtime_ends_no_episode_and_clears_nothing() {
    check(
        &[(0, call_point()), (10, ack(1)), (20, call_point()), (9000, Does::WasDown), (9001, call_point())],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/ann/push"),
            (0, "A-1/1/ann/sms"),
            (10, "A-1 Acknowledged Acknowledged"),
            (10, "withdraw A-1"),
            (20, "A-1 Repeated Acknowledged"),
        ],
    );
}

#[test]
fn the_text_names_device_place_and_value() {
    for (does, text) in [
        (smoke(true), "Smoke: kitchen, door of kitchen"),
        (Does::Says(says(KITCHEN, &[("tamper", 1.0)])), "Tampering: kitchen"),
    ] {
        let mut engine = engine();
        play(&mut engine, &[(0, does)], false);
        assert_eq!(engine.open_alarms().next().unwrap().text, text);
    }
    let mut engine = engine();
    play(&mut engine, &[(0, pressure(99.456)), (31, Does::Waits)], false);
    let alarm = engine.open_alarms().next().unwrap();
    assert_eq!(alarm.text, "hydrant has 99.46 kPa");
    assert_eq!(alarm.trigger.as_ref().unwrap().value, 99.456);
}
