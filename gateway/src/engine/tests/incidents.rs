//! Several alarms that are one thing.

use super::*;

fn pulled() -> Does {
    Does::Says(says(CALL_POINT, &[("manual_alarm", 1.0)]))
}

#[test]
fn a_second_device_confirms_a_fire_and_the_ladder_does_not_wait() {
    check(
        &[(0, smoke(true)), (20, pulled()), (30, raise(2, SignalClass::Fire, "flames")), (301, Does::Waits)],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/ann/push"),
            (0, "A-1/1/ann/sms"),
            (20, "A-2 Raised Unacknowledged"),
            (20, "A-2/1/ann/push"),
            (20, "A-2/1/ann/sms"),
            (20, "A-1 Confirmed Unacknowledged"),
            (20, "A-1 Escalated Unacknowledged"),
            (20, "A-1/2/carl/push"),
            (30, "A-3 Raised Unacknowledged"),
            (30, "A-3/1/ann/push"),
            (30, "A-3/1/ann/sms"),
            (30, "A-1 Confirmed Unacknowledged"), // Once: the next step keeps its time.
            (140, "A-2 Escalated Unacknowledged"),
            (140, "A-2/2/carl/push"),
            (150, "A-3 Escalated Unacknowledged"),
            (150, "A-3/2/carl/push"),
            (300, "A-1 Escalated Unacknowledged"),
            (300, "A-1/3/dora/voice"),
            (300, "A-1/3/chief/voice"),
        ],
    );
}

#[test]
fn all_of_a_fire_name_its_first_alarm() {
    let mut engine = engine();
    play(&mut engine, &[(0, smoke(true)), (20, pulled()), (30, raise(2, SignalClass::Fire, "flames"))], true);
    let of_one = |alarm: &Alarm| alarm.handling.incident == Some(AlarmId(1));
    assert_eq!(engine.open_alarms().filter(|alarm| of_one(alarm)).count(), 3);
    let texts: Vec<_> = engine.open_alarms().map(|alarm| alarm.text.as_str()).collect();
    assert!(texts[1].ends_with("same fire as A-1]"), "{texts:?}");
    assert_eq!(texts[2], "flames", "the words that a person ends it with");
}

#[test]
fn what_confirms_no_fire() {
    let late = Does::Says(says(CALL_POINT, &[("manual_alarm", 1.0)]).how(Freshness::Retained));
    let over = [(10, ack(1)), (11, resolve(1)), (12, smoke(false))];
    for (why, between, second) in [
        ("too late after the first", vec![(301, Does::Waits)], (301, pulled())),
        ("reported late", vec![], (20, late)),
        ("in another cell", vec![], (20, Does::Says(says(HALL, &[("smoke", 1.0)])))),
        ("no fire", vec![], (20, Does::Says(says(KITCHEN, &[("tamper", 1.0)])))),
        ("the first is closed", over.to_vec(), (20, pulled())),
    ] {
        let script = [vec![(0, smoke(true))], between, vec![second]].concat();
        let mut engine = engine();
        let found = play(&mut engine, &script, true);
        assert!(found.iter().all(|(_, line)| !line.contains("Confirmed")), "{why}: {found:?}");
        assert!(engine.open_alarms().all(|alarm| alarm.handling.incident.is_none()), "{why}");
    }
}

/// Somebody has the first in hand: the second calls as every fire does, the first does not call again.
#[test]
fn an_answered_fire_is_confirmed_without_another_call() {
    let found = play(&mut engine(), &[(0, smoke(true)), (10, ack(1)), (20, pulled())], true);
    let after: Vec<_> = found.iter().filter(|(at, _)| *at == 20).map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        after,
        ["A-2 Raised Unacknowledged", "A-2/1/ann/push", "A-2/1/ann/sms", "A-1 Confirmed Acknowledged"]
    );
}
