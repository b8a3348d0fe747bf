//! The steps of the people: on the way, on site, resolved, verified by another, evaluated; sent back, re-opened, without progress, several needed.

use super::*;
use crate::model::{Stage, Verdict};

pub fn does(who: &'static str, what: Deed) -> Does {
    Does::Acts(who, what)
}

const A: AlarmId = AlarmId(1);

fn way(who: &'static str) -> Does {
    does(who, Deed::OnTheWay { alarm: A, note: None })
}

fn site(who: &'static str) -> Does {
    does(who, Deed::OnSite { alarm: A, note: None })
}

fn verify(who: &'static str) -> Does {
    does(who, Deed::Verify { alarm: A, note: None })
}

fn evaluate(who: &'static str) -> Does {
    does(who, Deed::Evaluate { alarm: A, verdict: Verdict::Nuisance, note: None })
}

fn send_back(who: &'static str) -> Does {
    does(who, Deed::SendBack { alarm: A, reason: "no photograph".into() })
}

fn with(rules: &[(&str, &str)]) -> Engine {
    let registry = Registry::build(rows());
    let mut text = RULES.to_owned();
    for (before, after) in rules {
        assert!(text.contains(before), "{before}");
        text = text.replacen(before, after, 1);
    }
    let book = book(&text, &registry);
    Engine::new(registry, book, now(0))
}

/// The fire ladder with `keys`, and the fire rule closing as `close`.
fn engine_with(close: &str, keys: &str) -> Engine {
    with(&[
        ("state = { flag = \"smoke\" }", &format!("state = {{ flag = \"smoke\" }}\nclose = \"{close}\"")),
        ("then = \"city\"", &format!("then = \"city\"\n{keys}")),
    ])
}

fn lines(engine: &mut Engine, script: &[(u64, Does)]) -> Vec<String> {
    let found = play(engine, script, true);
    found
        .into_iter()
        .filter(|(_, line)| !line.contains('/'))
        .map(|(at, line)| format!("{at} {line}"))
        .collect()
}

fn stage(engine: &Engine) -> Option<Stage> {
    engine.open_alarms().next().map(Alarm::stage)
}

#[test]
fn the_seven_steps_in_order() {
    let mut engine = engine_with("evaluated", "");
    let steps = [
        (0, smoke(true), Some(Stage::Dispatched)),
        (10, ack(1), Some(Stage::Acknowledged)),
        (20, way("ann"), Some(Stage::OnTheWay)),
        (30, site("ann"), Some(Stage::OnSite)),
        (40, resolve(1), Some(Stage::Resolved)),
        (50, smoke(false), Some(Stage::Resolved)),
        (60, verify("carl"), Some(Stage::Verified)),
        (70, evaluate("carl"), None),
    ];
    let mut found = Vec::new();
    for (at, does, expected) in steps {
        found.extend(lines(&mut engine, &[(at, does)]));
        assert_eq!(stage(&engine), expected, "at {at} s");
    }
    assert_eq!(
        found,
        [
            "0 A-1 Raised Unacknowledged",
            "10 A-1 Acknowledged Acknowledged",
            "10 withdraw A-1",
            "20 A-1 OnTheWay Acknowledged",
            "30 A-1 OnSite Acknowledged",
            "40 A-1 Resolved Acknowledged",
            "50 A-1 Returned Returned",
            "60 A-1 Verified Returned",
            "70 A-1 Evaluated Returned",
            "70 A-1 Closed Closed",
        ]
    );
}

#[test]
fn whoever_had_a_hand_in_it_does_not_supervise() {
    let mut engine = engine_with("verified", "");
    let script = [
        (0, smoke(true)),
        (1, verify("carl")),
        (2, ack(1)),
        (3, way("bob")),
        (4, resolve(1)),
        (5, verify("ann")),
        (6, verify("bob")),
        (7, send_back("bob")),
        (8, evaluate("ann")),
        (9, smoke(false)),
        (10, verify("carl")),
    ];
    assert_eq!(
        lines(&mut engine, &script)[1..],
        [
            "1 alarm A-1 must be resolved first",
            "2 A-1 Acknowledged Acknowledged",
            "2 withdraw A-1",
            "3 A-1 OnTheWay Acknowledged",
            "4 A-1 Resolved Acknowledged",
            "5 ann had a hand in alarm A-1; somebody else must look at it",
            "6 bob had a hand in alarm A-1; somebody else must look at it",
            "7 bob had a hand in alarm A-1; somebody else must look at it",
            "8 ann had a hand in alarm A-1; somebody else must look at it",
            "9 A-1 Returned Returned",
            "10 A-1 Verified Returned",
            "10 A-1 Closed Closed",
        ]
    );
}

#[test]
fn on_the_way_acknowledges_when_nobody_has_and_is_said_once() {
    let mut engine = engine_with("resolved", "");
    let script = [(0, smoke(true)), (5, way("bob")), (6, way("bob")), (7, way("ann")), (8, ack(1))];
    assert_eq!(
        lines(&mut engine, &script)[1..],
        [
            "5 A-1 Acknowledged Acknowledged",
            "5 withdraw A-1",
            "5 A-1 OnTheWay Acknowledged",
            "6 bob has said before that he is on the way, for alarm A-1",
            "7 A-1 OnTheWay Acknowledged",
            "8 alarm A-1 was already acknowledged by bob",
        ]
    );
    let alarm = engine.open_alarms().next().unwrap();
    assert_eq!(alarm.owner.as_deref(), Some("bob"), "who went first owns it");
}

#[test]
fn what_is_sent_back_must_be_answered_anew() {
    let mut engine = engine_with("verified", "");
    let script =
        [(0, smoke(true)), (1, ack(1)), (2, resolve(1)), (3, smoke(false)), (100, send_back("carl"))];
    lines(&mut engine, &script);
    let alarm = engine.open_alarms().next().unwrap();
    assert_eq!(alarm.state, crate::model::AlarmState::ReturnedUnacknowledged);
    assert_eq!((&alarm.resolved, &alarm.acknowledged), (&None, &None));
    assert_eq!(alarm.handling.sent_back.as_ref().unwrap().note.as_deref(), Some("no photograph"));
    let found = play(&mut engine, &[(230, Does::Waits)], true);
    assert!(found.contains(&(220, "A-1/3/carl/push".into())), "the ladder began anew: {found:?}");
    // And ann, who handled it before, still may not verify what bob does now.
    let again = does("bob", Deed::Acknowledge { alarm: A, note: None });
    let disposition = Disposition::DeviceFault;
    let settled = does("bob", Deed::Resolve { alarm: A, disposition, cause: None, note: None });
    let found =
        lines(&mut engine, &[(240, again), (241, settled), (242, verify("ann")), (243, verify("dora"))]);
    assert_eq!(found[3], "242 ann had a hand in alarm A-1; somebody else must look at it");
    assert_eq!(found.last().unwrap(), "243 A-1 Closed Closed");
}

#[test]
fn a_resolved_alarm_whose_sensor_is_back_is_open_again() {
    let mut engine = engine_with("verified", "");
    let script = [
        (0, smoke(true)),
        (1, ack(1)),
        (2, resolve(1)),
        (3, smoke(false)),
        (4, verify("ann")),
        (50, smoke(true)),
    ];
    let found = play(&mut engine, &script, true);
    let end: Vec<_> = found.iter().filter(|(at, _)| *at == 50).map(|(_, line)| line.as_str()).collect();
    assert_eq!(end, ["A-1 ActiveAgain Unacknowledged", "A-1/2/ann/push", "A-1/2/ann/sms"]);
    assert_eq!(stage(&engine), Some(Stage::Dispatched), "nothing that was said counts any more");
}

#[test]
fn an_acknowledgement_without_progress_does_not_stop_the_ladder() {
    let mut engine = engine_with("resolved", "progress_within_s = 60");
    let found = play(&mut engine, &[(0, smoke(true)), (10, ack(1)), (300, Does::Waits)], true);
    let found: Vec<_> = found[3..].iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(
        found,
        [
            (10, "A-1 Acknowledged Acknowledged"),
            (10, "withdraw A-1"),
            (70, "A-1 NoProgress Unacknowledged"),
            (70, "A-1 Escalated Unacknowledged"),
            (70, "A-1/2/carl/push"),
            (250, "A-1 Escalated Unacknowledged"),
            (250, "A-1/3/dora/voice"),
            (250, "A-1/3/chief/voice"),
        ],
        "it goes on where it stood"
    );
    for progress in [way("ann"), site("ann"), resolve(1)] {
        let mut engine = engine_with("resolved", "progress_within_s = 60");
        let script = [(0, smoke(true)), (10, ack(1)), (69, progress), (300, Does::Waits)];
        assert!(lines(&mut engine, &script).iter().all(|line| !line.contains("NoProgress")));
    }
}

#[test]
fn as_many_must_acknowledge_as_the_steps_say() {
    let needs =
        ("who = [\"up:1\"], channels = [\"push\"]", "who = [\"up:1\"], channels = [\"push\"], need = 2");
    let mut engine = with(&[needs]);
    let by = |who| does(who, Deed::Acknowledge { alarm: A, note: None });
    let script = [
        (0, smoke(true)),
        (130, by("ann")),
        (140, by("ann")),
        (301, Does::Waits),
        (310, by("carl")),
        (311, by("bob")),
        (2000, Does::Waits),
    ];
    let found: Vec<_> = lines(&mut engine, &script).into_iter().skip(2).collect();
    assert_eq!(
        found,
        [
            "130 A-1 Acknowledged Acknowledged",
            "140 alarm A-1 was already acknowledged by ann",
            "300 A-1 Escalated Acknowledged",
            "310 A-1 Acknowledged Acknowledged",
            "310 withdraw A-1",
            "311 alarm A-1 was already acknowledged by ann",
        ]
    );
}
