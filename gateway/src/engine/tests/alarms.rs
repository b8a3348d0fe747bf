//! The life of an alarm, and what people may do to it.

use super::*;

const RAISED: [(u64, &str); 3] =
    [(0, "A-1 Raised Unacknowledged"), (0, "A-1/1/ann/push"), (0, "A-1/1/ann/sms")];

fn tamper(on: bool) -> Does {
    Does::Says(says(KITCHEN, &[("tamper", f64::from(u8::from(on)))]))
}

fn check_fire(script: &[(u64, Does)], expected: &[(u64, &str)]) {
    let script: Vec<_> = [(0, smoke(true))].into_iter().chain(script.iter().cloned()).collect();
    let expected: Vec<_> = RAISED.iter().chain(expected).copied().collect();
    check(&script, &expected);
}

#[test]
fn a_fire_needs_answer_return_and_resolution_in_any_order() {
    let acknowledged = [(10, "A-1 Acknowledged Acknowledged"), (10, "withdraw A-1")];
    check_fire(
        &[(10, ack(1)), (20, smoke(false)), (30, resolve(1))],
        &[
            &acknowledged[..],
            &[(20, "A-1 Returned Returned"), (30, "A-1 Resolved Returned"), (30, "A-1 Closed Closed")],
        ]
        .concat(),
    );
    check_fire(
        &[(10, ack(1)), (20, resolve(1)), (30, smoke(false))],
        &[
            &acknowledged[..],
            &[(20, "A-1 Resolved Acknowledged"), (30, "A-1 Returned Returned"), (30, "A-1 Closed Closed")],
        ]
        .concat(),
    );
    check_fire(
        &[(10, smoke(false)), (20, ack(1)), (30, resolve(1))],
        &[
            (10, "A-1 Returned ReturnedUnacknowledged"),
            (20, "A-1 Acknowledged Returned"),
            (20, "withdraw A-1"),
            (30, "A-1 Resolved Returned"),
            (30, "A-1 Closed Closed"),
        ],
    );
}

#[test]
fn refuses_what_makes_no_sense() {
    check_fire(
        &[
            (1, resolve(1)),
            (2, ack(2)),
            (3, resolve(2)),
            (10, ack(1)),
            (11, ack(1)),
            (12, resolve(1)),
            (13, resolve(1)),
            (20, smoke(false)),
            (21, ack(1)),
            (22, resolve(1)),
        ],
        &[
            (1, "alarm A-1 must be acknowledged first"),
            (2, "there is no open alarm A-2; it may have been closed"),
            (3, "there is no open alarm A-2; it may have been closed"),
            (10, "A-1 Acknowledged Acknowledged"),
            (10, "withdraw A-1"),
            (11, "alarm A-1 was already acknowledged by ann"),
            (12, "A-1 Resolved Acknowledged"),
            (13, "alarm A-1 was already resolved by ann"),
            (20, "A-1 Returned Returned"),
            (20, "A-1 Closed Closed"),
            (21, "there is no open alarm A-1; it may have been closed"),
            (22, "there is no open alarm A-1; it may have been closed"),
        ],
    );
}

#[test]
fn a_fire_that_comes_back_must_be_answered_anew() {
    check_fire(
        &[(10, ack(1)), (20, smoke(false)), (30, smoke(true)), (31, resolve(1)), (200, Does::Waits)],
        &[
            (10, "A-1 Acknowledged Acknowledged"),
            (10, "withdraw A-1"),
            (20, "A-1 Returned Returned"),
            (30, "A-1 ActiveAgain Unacknowledged"),
            (30, "A-1/2/ann/push"),
            (30, "A-1/2/ann/sms"),
            (31, "alarm A-1 must be acknowledged first"),
            (150, "A-1 Escalated Unacknowledged"),
            (150, "A-1/3/carl/push"),
        ],
    );
}

#[test]
fn a_chattering_contact_does_not_page_at_every_bounce() {
    let script: Vec<_> = (1..100).map(|n| (n, smoke(n % 2 == 0))).collect();
    let mut engine = engine();
    let found = play(&mut engine, &[&[(0, smoke(true))], &script[..]].concat(), false);
    let told = found.iter().filter(|(_, line)| line.contains("/")).count();
    assert_eq!(told, 2, "the ladder runs on as if it had not bounced");
}

#[test]
fn a_fire_that_nobody_ever_answered_pages_anew_when_it_comes_back_long_after() {
    let alive = |at| [HALL, HYDRANT, LOST].map(|device| (at, Does::Says(says(device, &[]))));
    let script = [
        vec![(1000, smoke(false)), (1199, smoke(true)), (1199, smoke(false)), (1200, smoke(true))],
        vec![(1200, smoke(false)), (1201, smoke(true))],
        alive(1300).to_vec(),
    ]
    .concat();
    let mut engine = engine();
    let mut found = play(&mut engine, &[&[(0, smoke(true))], &script[..]].concat(), true);
    found.retain(|(at, line)| 900 < *at && line.contains('/'));
    assert_eq!(found, [(1200, "A-1/5/ann/push".to_owned()), (1200, "A-1/5/ann/sms".to_owned())]);
}

#[test]
fn trouble_in_hand_stays_in_hand_when_it_comes_back() {
    check(
        &[(0, tamper(true)), (5, tamper(false)), (6, tamper(true)), (10, ack(1)), (20, tamper(false))],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (5, "A-1 Returned ReturnedUnacknowledged"),
            (6, "A-1 ActiveAgain Unacknowledged"),
            (10, "A-1 Acknowledged Acknowledged"),
            (10, "withdraw A-1"),
            (20, "A-1 Returned Returned"),
            (20, "A-1 Closed Closed"),
        ],
    );
}

#[test]
fn after_the_end_it_is_a_new_alarm() {
    check_fire(
        &[(1, ack(1)), (2, smoke(false)), (3, resolve(1)), (4, smoke(true))],
        &[
            (1, "A-1 Acknowledged Acknowledged"),
            (1, "withdraw A-1"),
            (2, "A-1 Returned Returned"),
            (3, "A-1 Resolved Returned"),
            (3, "A-1 Closed Closed"),
            (4, "A-2 Raised Unacknowledged"),
            (4, "A-2/1/ann/push"),
            (4, "A-2/1/ann/sms"),
        ],
    );
}

#[test]
fn raised_by_hand_it_uses_the_ladder_of_its_class() {
    check(
        &[
            (0, raise(2, SignalClass::Fire, "smoke seen")),
            (1, raise(2, SignalClass::Fire, "smoke seen")),
            (2, raise(2, SignalClass::Test, "drill")),
            (3, ack(1)),
            (4, resolve(1)),
            (5, raise(2, SignalClass::Fire, "smoke seen")),
        ],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/ann/push"),
            (0, "A-1/1/ann/sms"),
            (1, "A-1 Repeated Unacknowledged"),
            (2, "A-2 Raised Unacknowledged"),
            (3, "A-1 Acknowledged Acknowledged"),
            (3, "withdraw A-1"),
            (4, "A-1 Resolved Returned"),
            (4, "A-1 Closed Closed"),
            (5, "A-3 Raised Unacknowledged"),
            (5, "A-3/1/ann/push"),
            (5, "A-3/1/ann/sms"),
        ],
    );
}

#[test]
fn what_was_raised_with_words_ends_and_begins_again_with_the_same_words() {
    let end = || {
        let (cell, text) = (CellIx(2), "the station's disk".into());
        Does::Acts("gridwarden", Deed::End { cell, device: None, class: SignalClass::Test, text })
    };
    let begin = || raise(2, SignalClass::Test, "the station's disk");
    check(
        &[(0, begin()), (1, end()), (2, end()), (3, begin())],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (1, "A-1 Returned ReturnedUnacknowledged"),
            (3, "A-1 ActiveAgain Unacknowledged"),
        ],
    );
}

#[test]
fn a_resolved_fire_of_a_device_that_falls_silent_is_over() {
    let others = |at| [HALL, HYDRANT, LOST].map(|device| (at, Does::Says(says(device, &[]))));
    let script = [
        vec![(1, ack(1)), (2, resolve(1))],
        others(3000).to_vec(),
        others(4500).to_vec(),
        vec![(5000, smoke(true))],
    ]
    .concat();
    check_fire(
        &script,
        &[
            (1, "A-1 Acknowledged Acknowledged"),
            (1, "withdraw A-1"),
            (2, "A-1 Resolved Acknowledged"),
            (3600, "A-1 Returned Returned"),
            (3600, "A-1 Closed Closed"),
            (3600, "A-2 Raised Unacknowledged"),
            (5000, "A-2 Returned ReturnedUnacknowledged"),
            (5000, "A-2 Closed Closed"),
            (5000, "withdraw A-2"),
            (5000, "A-3 Raised Unacknowledged"),
            (5000, "A-3/1/ann/push"),
            (5000, "A-3/1/ann/sms"),
        ],
    );
}

#[test]
fn an_alarm_says_who_answers_for_it_and_what_raised_it() {
    let mut engine = engine();
    play(&mut engine, &[(7, smoke(true)), (8, raise(99, SignalClass::Fire, "somewhere"))], false);
    let alarms: Vec<_> = engine.open_alarms().collect();
    assert_eq!(alarms[0].owner.as_deref(), Some("ann"));
    assert_eq!((alarms[0].cell, alarms[0].cell_code.as_str()), (CellIx(2), "b1"));
    assert_eq!(alarms[0].device_id.as_deref(), Some("kitchen"));
    assert_eq!(alarms[0].trigger.as_ref().unwrap().reading, ReadingId { seq: 1, event: 0, value: 0 });
    assert_eq!(alarms[0].raised, timestamp(7.0));
    assert_eq!(
        (alarms[1].rule.as_str(), alarms[1].owner.as_deref()),
        ("manual", None),
        "the cell is unknown"
    );
}
