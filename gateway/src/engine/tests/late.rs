//! Reports that are not live, line by line of the tables in `freshness.rs`.

use super::*;
use Freshness::{Backfill, Replayed, Retained};

fn smoke_by(how: Freshness, on: bool, at: Option<f64>) -> Does {
    let mut says = says(KITCHEN, &[("smoke", f64::from(u8::from(on)))]).how(how);
    says.device_time = at;
    Does::Says(says)
}

fn live(on: bool, at: f64) -> Does {
    smoke_by(Freshness::Live, on, Some(at))
}

const RAISED: [&str; 3] = ["A-1 Raised Unacknowledged", "A-1/1/ann/push", "A-1/1/ann/sms"];

/// Plays a script and returns the alarms raised, as `time: age or live`, and the number of alerts.
fn raised(script: &[(u64, Does)]) -> Vec<String> {
    let (mut engine, mut found) = (engine(), Vec::new());
    for step in script {
        let before = engine.alarms.last();
        play(&mut engine, std::slice::from_ref(step), true);
        for alarm in engine.open_alarms().filter(|alarm| before < alarm.id.0) {
            let how = match alarm.late {
                None => "live".to_owned(),
                Some(Late { age: Some(age) }) => format!("late by {age}"),
                Some(Late { age: None }) => "late".to_owned(),
            };
            assert_eq!(alarm.late.is_some(), alarm.text.starts_with("[late"), "{}", alarm.text);
            found.push(format!("{}: {how}", step.0));
        }
    }
    found
}

fn closed(alarm: u64, at: u64) -> [(u64, Does); 2] {
    [(at, ack(alarm)), (at, resolve(alarm))]
}

#[test]
fn every_line_of_the_tables() {
    let minute = 60.0;
    for (what, script, expected) in [
        (
            "replayed, absent time: never committed",
            vec![(500, smoke_by(Replayed, true, None))],
            vec!["500: live"],
        ),
        ("replayed, fresh", vec![(500, smoke_by(Replayed, true, Some(490.0)))], vec!["500: live"]),
        ("replayed, old", vec![(500, smoke_by(Replayed, true, Some(20.0)))], vec!["500: late by 8 min"]),
        (
            "replayed, not newer: a repetition",
            vec![(490, live(false, 490.0)), (500, smoke_by(Replayed, true, Some(490.0)))],
            vec![],
        ),
        ("backfill with time", vec![(500, smoke_by(Backfill, true, Some(20.0)))], vec!["500: late by 8 min"]),
        ("backfill without", vec![(500, smoke_by(Backfill, true, None))], vec!["500: late"]),
        ("retained with time", vec![(500, smoke_by(Retained, true, Some(20.0)))], vec!["500: late by 8 min"]),
        ("retained without", vec![(500, smoke_by(Retained, true, None))], vec!["500: late"]),
        ("retained clear", vec![(500, smoke_by(Retained, false, None))], vec![]),
        (
            "a test press",
            vec![(500, Does::Says(says(KITCHEN, &[("smoke", 1.0), ("test", 1.0)]).how(Retained)))],
            vec![],
        ),
        (
            "the condition stands",
            vec![(400, live(true, 400.0)), (500, smoke_by(Backfill, true, Some(450.0)))],
            vec!["400: live"],
        ),
        (
            "a late alarm is open",
            vec![
                (500, smoke_by(Backfill, true, Some(10.0))),
                (501, smoke_by(Backfill, true, Some(20.0))),
                (502, smoke_by(Retained, true, None)),
            ],
            vec!["500: late by 8 min"],
        ),
        (
            "given time, already reported late",
            [(500, smoke_by(Backfill, true, Some(20.0)))]
                .into_iter()
                .chain(closed(1, 510))
                .chain([
                    (520, smoke_by(Backfill, true, Some(20.0))),
                    (521, smoke_by(Retained, true, Some(19.0))),
                ])
                .collect(),
            vec!["500: late by 8 min"],
        ),
        (
            "given time, already reported live",
            [(100, live(true, 100.0)), (110, smoke(false))]
                .into_iter()
                .chain(closed(1, 510))
                .chain([(520, smoke_by(Retained, true, Some(100.0)))])
                .collect(),
            vec!["100: live"],
        ),
        (
            "given time, a newer live report has it clear",
            vec![(400, live(false, 400.0)), (500, smoke_by(Backfill, true, Some(300.0)))],
            vec![],
        ),
        (
            "given time, a newer live report that says nothing of smoke",
            vec![
                (400, Does::Says(says(KITCHEN, &[("battery", 90.0)]).at(400.0))),
                (500, smoke_by(Backfill, true, Some(300.0))),
            ],
            vec!["500: late by 3 min"],
        ),
        (
            "given time, newer than the live clear",
            vec![(100, live(false, 100.0)), (500, smoke_by(Backfill, true, Some(101.0)))],
            vec!["500: late by 6 min"],
        ),
        (
            "absent time, delivered again at the next reconnect",
            [(500, smoke_by(Retained, true, None))]
                .into_iter()
                .chain(closed(1, 510))
                .chain([(520, smoke_by(Retained, true, None)), (900, smoke_by(Retained, true, None))])
                .collect(),
            vec!["500: late"],
        ),
        (
            "absent time, after a live clear",
            [(500, smoke_by(Retained, true, None))]
                .into_iter()
                .chain(closed(1, 510))
                .chain([(515, smoke(false)), (520, smoke_by(Retained, true, None))])
                .collect(),
            vec!["500: late", "520: late"],
        ),
        (
            "absent time, after a live fire and its clear",
            [(100, live(true, 100.0))]
                .into_iter()
                .chain(closed(1, 110))
                .chain([(120, smoke(false)), (130, smoke_by(Retained, true, None))])
                .collect(),
            vec!["100: live", "130: late"],
        ),
        (
            "a live fire while a late one is open pages as live",
            vec![(500, smoke_by(Retained, true, None)), (501, smoke(true))],
            vec!["500: late", "501: live"],
        ),
        (
            "retained troubles and late numbers raise nothing",
            vec![
                (400, Does::Says(says(KITCHEN, &[("tamper", 1.0)]).how(Retained))),
                (410, Does::Says(says(HYDRANT, &[("pressure", 1.0)]).how(Backfill).at(minute))),
                (415, Does::Says(says(PUMP, &[("pressure", 500.0)]))),
                (420, Does::Says(says(PUMP, &[("pressure", 1.0)]).how(Backfill).at(minute))),
                (500, Does::Waits),
            ],
            vec![],
        ),
    ] {
        assert_eq!(raised(&script), expected, "{what}");
    }
}

#[test]
fn a_late_fire_pages_its_ladder_until_answered() {
    let [raise, push, sms] = RAISED;
    check(
        &[(500, smoke_by(Retained, true, None)), (700, ack(1)), (701, resolve(1))],
        &[
            (500, raise),
            (500, push),
            (500, sms),
            (620, "A-1 Escalated Unacknowledged"),
            (620, "A-1/2/carl/push"),
            (700, "A-1 Acknowledged Acknowledged"),
            (700, "withdraw A-1"),
            (701, "A-1 Resolved Returned"),
            (701, "A-1 Closed Closed"),
        ],
    );
}

#[test]
fn a_live_clear_ends_a_late_fire_but_a_late_clear_ends_nothing() {
    let [raise, push, sms] = RAISED;
    check(
        &[(500, smoke_by(Retained, true, None)), (510, smoke_by(Backfill, false, Some(505.0)))],
        &[(500, raise), (500, push), (500, sms)],
    );
    check(
        &[(500, smoke_by(Retained, true, None)), (510, smoke(false))],
        &[(500, raise), (500, push), (500, sms), (510, "A-1 Returned ReturnedUnacknowledged")],
    );
    check(
        &[(500, live(true, 500.0)), (510, smoke_by(Retained, false, Some(505.0)))],
        &[(500, raise), (500, push), (500, sms)],
    );
}
