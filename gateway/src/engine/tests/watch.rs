//! What an onlooker sees is what the engine did, guard by guard; and looking on changes nothing.

use super::*;
use crate::engine::watch::{Sighted, Stand, Watch};
use Freshness::{Backfill, Replayed};

fn pressure(value: f64) -> Does {
    Does::Says(says(HYDRANT, &[("pressure", value)]))
}

/// Plays the script with eyes on one device: what was seen, as `time: metric by rule → outcome`.
fn seen(device: DeviceIx, script: &[(u64, Does)]) -> Vec<String> {
    let mut engine = engine();
    engine.watch(Watch::new([device], Timestamp(i64::MIN), 100));
    play(&mut engine, script, false);
    let sights = engine.watched(device).sights.into_iter().map(|sight| {
        let at = sight.at.since(Timestamp(START)).0 / 1000;
        match sight.what {
            Sighted::SignOfLife { .. } => format!("{at}: alive"),
            Sighted::Value { metric, rule, outcome, .. } => {
                format!("{at}: {} by {} → {outcome:?}", metric.name(), rule.as_deref().unwrap_or("-"))
            }
            Sighted::Time { rule, outcome } => {
                format!("{at}: time of {} → {outcome:?}", rule.as_deref().unwrap_or("-"))
            }
        }
    });
    sights.collect()
}

#[test]
fn every_guard_is_named() {
    let smoke_says = |on: f64| says(KITCHEN, &[("smoke", on)]);
    let call = || Does::Says(says(CALL_POINT, &[("manual_alarm", 1.0)]));
    for (device, script, expected) in [
        (KITCHEN, vec![(1, Does::Says(says(KITCHEN, &[])))], vec!["1: alive"]),
        (
            KITCHEN,
            vec![(1, Does::Says(says(KITCHEN, &[("battery", 80.0)])))],
            vec!["1: battery by - → NoRule"],
        ),
        (
            KITCHEN,
            vec![(1, smoke(true)), (2, smoke(true)), (3, smoke(false))],
            vec!["1: smoke by smoke → Raised", "2: smoke by smoke → Stands", "3: smoke by smoke → Ended"],
        ),
        (
            KITCHEN,
            vec![(1, Does::Says(says(KITCHEN, &[("smoke", 1.0), ("test", 1.0)])))],
            vec!["1: smoke by smoke → TestPress", "1: test by test → Raised"],
        ),
        (
            KITCHEN,
            vec![(1, Does::Says(says(KITCHEN, &[("tamper", 1.0)]).how(Backfill)))],
            vec!["1: tamper by tamper → TooOld"],
        ),
        (
            KITCHEN,
            vec![
                (500, Does::Says(smoke_says(0.0).at(500.0))),
                (501, Does::Says(smoke_says(1.0).at(400.0).how(Replayed))),
                (502, Does::Says(smoke_says(1.0).at(300.0).how(Backfill))),
            ],
            vec![
                "500: smoke by smoke → Normal",
                "501: smoke by - → Repetition",
                "502: smoke by smoke → LateAndKnown",
            ],
        ),
        (
            HYDRANT,
            vec![(1, Does::Says(says(HYDRANT, &[("pressure", 90.0)]).bad()))],
            vec!["1: pressure by low-pressure → BadQuality"],
        ),
        (
            HYDRANT,
            vec![(1, pressure(90.0)), (11, pressure(91.0)), (12, pressure(150.0))],
            vec![
                "1: pressure by low-pressure → Waits(Millis(30000))",
                "11: pressure by low-pressure → Waits(Millis(20000))",
                "12: pressure by low-pressure → TooShort",
            ],
        ),
        (
            HYDRANT,
            vec![(1, pressure(90.0)), (40, pressure(150.0)), (41, pressure(200.0)), (200, Does::Waits)],
            vec![
                "1: pressure by low-pressure → Waits(Millis(30000))",
                "31: time of low-pressure → Raised",
                "40: pressure by low-pressure → Between",
                "41: pressure by low-pressure → Clears(Millis(60000))",
                "101: time of low-pressure → Ended",
            ],
        ),
        (
            CALL_POINT,
            vec![(1, call()), (2, ack(1)), (2, resolve(1)), (3, call())],
            vec!["1: manual_alarm by call-point → Raised", "3: manual_alarm by call-point → SameEpisode"],
        ),
        (
            HYDRANT,
            vec![(1, pressure(300.0)), (4000, Does::Waits)],
            vec!["1: pressure by low-pressure → Normal", "3601: time of silence → Raised"],
        ),
    ] {
        assert_eq!(seen(device, &script), expected);
    }
}

#[test]
fn how_each_rule_stands_and_what_would_raise_it() {
    let mut engine = engine();
    play(&mut engine, &[(10, pressure(90.0)), (20, Does::Waits)], false);
    let said = engine.standing(HYDRANT, Steady(20_000));
    let lines: Vec<_> =
        said.iter().map(|one| (one.rule.as_str(), one.state, one.raises_when.as_str())).collect();
    assert_eq!(
        lines,
        [
            (
                "low-pressure",
                Stand::Waits(Millis(20_000)),
                "`pressure` is below 140 kPa and stays so for 30 s"
            ),
            (
                "silence",
                Stand::Waits(Millis(3_590_000)),
                "nothing is heard of it for 60 min, or for 30 s after its connection broke"
            ),
            ("built-in-flood", Stand::Normal, "`messages_per_minute` is above 6000 a minute"),
        ]
    );
    assert_eq!(
        engine.standing(DOOR, Steady(0)).len(),
        1,
        "none looks at doors but the one for what says too much"
    );
}

#[test]
fn only_the_newest_are_kept_and_the_rest_is_counted() {
    let mut engine = engine();
    engine.watch(Watch::new([KITCHEN], Timestamp(START + 2_000), 3));
    let script: Vec<_> = (0..10).map(|at| (at, Does::Says(says(KITCHEN, &[])))).collect();
    play(&mut engine, &script, false);
    let seen = engine.watched(KITCHEN);
    assert_eq!((seen.sights.len(), seen.left_out), (3, 5), "two came before the beginning");
    assert!(engine.watched(HALL).sights.is_empty(), "nobody looked there");
}
