//! A replay with the rules in force gives exactly the alarms that were; with others, what the script says.
//!
//! The journal is written as the driver writes it: a batch for each event, and an empty one whenever the engine asked to be woken and something came of it.

use proptest::prelude::*;

use super::*;
use crate::config::rules::Rules;
use crate::engine::{Effect, Engine};
use crate::grid::{Cell, Device, Rows};
use crate::model::{
    Action, Alarm, CellIx, Deed, DeviceKind, Disposition, Event, Freshness, Metric, Quality, Report, Value,
};
use crate::units::{Steady, Timestamp};

const RULES: &str = r#"
    [[rule]]
    name = "smoke"
    class = "fire"
    text = "smoke {device}"
    kinds = ["smoke_detector"]
    state = { flag = "smoke" }

    [[rule]]
    name = "low"
    class = "supervisory"
    text = "low {device} {value}"
    kinds = ["hydrant"]
    threshold = { metric = "pressure", below = 140.0, clear_above = 150.0 }
    raise_after_s = 10
    close = "acknowledged"

    [[rule]]
    name = "silent"
    class = "trouble"
    text = "silent {device}"
    kinds = ["smoke_detector", "hydrant"]
    presence = { silent_after_s = 3600 }
    close = "returned"
"#;

const SMOKE: DeviceIx = DeviceIx(0);
const HYDRANT: DeviceIx = DeviceIx(1);

fn registry() -> Arc<Registry> {
    let device = |ix: u32, id: &str, kind| Device {
        ix: DeviceIx(ix),
        id: id.into(),
        kind,
        name: String::new(),
        address: format!("native:{id}"),
        cells: ["c".into()].into(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    };
    let cell = Cell {
        ix: CellIx(0),
        code: "c".into(),
        name: "c".into(),
        scheme: "admin".into(),
        parent: None,
        kind: "residential".into(),
        polygons: Vec::new(),
        retired: false,
    };
    Registry::build(Rows {
        version: 1,
        cells: vec![cell],
        devices: vec![device(0, "SD", DeviceKind::SmokeDetector), device(1, "HY", DeviceKind::Hydrant)],
        ..Rows::default()
    })
}

fn book(text: &str) -> Arc<RuleBook> {
    let rules: Rules = toml::from_str(text).expect("rules");
    Arc::new(RuleBook::compile(&rules, &registry()).0)
}

fn at(ms: u64) -> Now {
    Now { wall: Timestamp(1_700_000_000_000 + ms as i64), steady: Steady(ms) }
}

#[derive(Clone, Debug)]
enum Does {
    Says(DeviceIx, Metric, f64),
    Acks(u64),
    Resolves(u64),
}

impl Does {
    fn event(&self, now: Now) -> Event {
        let action = |what| Event::Action(Action { who: "ann".into(), what });
        match *self {
            Self::Says(device, metric, value) => Event::Report(Report {
                device,
                received: now.wall,
                device_time: None,
                freshness: Freshness::Live,
                values: vec![Value { metric, value, quality: Quality::Good }],
            }),
            Self::Acks(alarm) => action(Deed::Acknowledge { alarm: AlarmId(alarm), note: None }),
            Self::Resolves(alarm) => action(Deed::Resolve {
                alarm: AlarmId(alarm),
                disposition: Disposition::FalseAlarm,
                cause: None,
                note: None,
            }),
        }
    }
}

/// The journal of a script (milliseconds, what happens), and the alarms in the store after it. Before the places of `down` the gateway did not run.
fn lived(script: &[(u64, Does)], down: &[usize]) -> (Vec<Batch>, Vec<Was>) {
    let mut engine = Engine::new(registry(), book(RULES), at(0));
    let mut alarms: BTreeMap<AlarmId, Alarm> = BTreeMap::new();
    let mut batches = vec![Batch { seq: 1, now: at(0), events: Vec::new() }];
    let mut apply = |engine: &mut Engine, ms: u64, events: Vec<Event>| {
        let batch = Batch { seq: batches.len() as u64 + 1, now: at(ms), events };
        let applied = engine.apply(&batch);
        for effect in applied.effects {
            if let Effect::Alarm(alarm, _) = effect {
                alarms.insert(alarm.id, *alarm);
            }
        }
        if !applied.idle {
            batches.push(batch);
        }
    };
    for (place, (ms, does)) in script.iter().enumerate() {
        if !down.contains(&place) {
            while let Some(wake) = engine.wake_at().filter(|wake| wake.0 < *ms) {
                apply(&mut engine, wake.0 + 3, Vec::new()); // A timer is never early.
            }
        }
        apply(&mut engine, *ms, vec![does.event(at(*ms))]);
    }
    (batches, alarms.values().map(Was::of).collect())
}

fn rehearsed(batches: &[Batch], were: Vec<Was>, trial: &str) -> Rehearsal {
    let trial = Trial { rules: book(trial), without: None };
    let mut rehearsal = Rehearsal::new(&registry(), book(RULES), vec![trial], were, batches[0].now);
    batches.iter().for_each(|batch| rehearsal.step(batch));
    rehearsal
}

const ALL: Span = Span { from: Timestamp(0), to: Timestamp(i64::MAX) };

fn low(seconds: u64, kilopascal: f64) -> (u64, Does) {
    (seconds * 1000, Does::Says(HYDRANT, Metric::PRESSURE, kilopascal))
}

fn smoke(seconds: u64, on: bool) -> (u64, Does) {
    (seconds * 1000, Does::Says(SMOKE, Metric::SMOKE, f64::from(u8::from(on))))
}

#[test]
fn a_longer_delay_loses_the_short_ones_and_makes_the_others_later() {
    let script = [low(0, 200.0), low(100, 130.0), low(120, 200.0), low(200, 120.0), low(300, 200.0)];
    let (batches, were) = lived(&script, &[]);
    assert_eq!(were.len(), 1, "nobody acknowledged the first: it came back as the same alarm");
    let script = [
        low(0, 200.0),
        low(100, 130.0),
        low(120, 200.0),
        (150_000, Does::Acks(1)),
        low(200, 120.0),
        low(300, 200.0),
    ];
    let (batches_2, were_2) = lived(&script, &[]);
    assert_eq!(were_2.len(), 2);
    let slower = RULES.replace("raise_after_s = 10", "raise_after_s = 60");
    let difference = rehearsed(&batches, were, &slower).differences(ALL).remove(0);
    assert_eq!((difference.before, difference.after, difference.later), (1, 1, 1), "{difference:#?}");
    let rehearsal = rehearsed(&batches_2, were_2, &slower);
    assert!(rehearsal.against_what_was(ALL).is_none());
    let difference = rehearsal.differences(ALL).remove(0);
    assert_eq!((difference.gone, difference.later, difference.come), (1, 1, 0), "{difference:#?}");
    assert_eq!(difference.later_lines[0].by_ms / 1000, 49, "woken in between, not when the next batch comes");
    assert_eq!(difference.gone_lines[0].alarm.as_deref(), Some("A-1"));
}

#[test]
fn a_fire_that_the_other_rules_do_not_see_is_shouted() {
    let (batches, were) = lived(&[smoke(10, true), smoke(20, false), low(30, 100.0), low(60, 90.0)], &[]);
    let blind = RULES.replace("flag = \"smoke\"", "flag = \"tamper\"");
    let difference = rehearsed(&batches, were, &blind).differences(ALL).remove(0);
    assert_eq!((difference.fires_missed, difference.gone, difference.same), (1, 1, 1), "{difference:#?}");
}

/// The alarms have other numbers under other rules; the resolution of the fire is done to the fire all the same.
#[test]
fn deeds_find_their_alarm_under_another_number() {
    let script = [
        low(0, 100.0),
        low(20, 100.0),
        smoke(30, true),
        (40_000, Does::Acks(2)),
        (50_000, Does::Resolves(2)),
        smoke(60, false),
        smoke(70, true),
    ];
    let (batches, were) = lived(&script, &[]);
    assert_eq!(were.len(), 3, "low pressure, and two fires");
    let deaf = RULES.replace("below = 140.0", "below = 50.0");
    let difference = rehearsed(&batches, were, &deaf).differences(ALL).remove(0);
    assert_eq!((difference.gone, difference.same, difference.fires_missed), (1, 2, 0), "{difference:#?}");
}

/// Raised by the timer in the batch in which it is answered.
#[test]
fn a_deed_at_the_moment_of_the_alarm_is_done_to_it() {
    let script = [low(0, 80.0), (10_000, Does::Acks(1)), low(11, 200.0), low(12, 80.0), smoke(22, false)];
    let (batches, were) = lived(&script, &[]);
    assert_eq!(were.len(), 2, "answered and over: what follows is another");
    let difference = rehearsed(&batches, were, RULES).differences(ALL).remove(0);
    assert!(difference.is_none(), "{difference:#?}");
    assert_eq!(difference.same, 2);
}

/// An hour down: nobody is blamed for silence, under no rules.
#[test]
fn while_the_gateway_was_away_nobody_was_silent() {
    let script =
        [smoke(0, false), low(0, 200.0), smoke(3_000, false), low(9_000, 200.0), smoke(9_001, false)];
    let (batches, were) = lived(&script, &[3]);
    assert_eq!(were, []);
    let nervous = RULES.replace("silent_after_s = 3600", "silent_after_s = 3500");
    let difference = rehearsed(&batches, were, &nervous).differences(ALL).remove(0);
    assert_eq!(difference.come, 0, "{difference:#?}");
}

fn script() -> impl Strategy<Value = (Vec<(u64, Does)>, Vec<usize>)> {
    let does = prop_oneof![
        3 => any::<bool>().prop_map(|on| Does::Says(SMOKE, Metric::SMOKE, f64::from(u8::from(on)))),
        6 => (80.0f64..220.0).prop_map(|value| Does::Says(HYDRANT, Metric::PRESSURE, value)),
        2 => (1u64..8).prop_map(Does::Acks),
        2 => (1u64..8).prop_map(Does::Resolves),
    ];
    let wait = prop_oneof![4 => 1u64..30_000, 1 => 1u64..8_000_000];
    let steps = prop::collection::vec((wait, does), 1..40).prop_map(|steps| {
        let mut ms = 0;
        let absolute = steps.into_iter().map(|(wait, does)| {
            ms += wait;
            (ms, does)
        });
        absolute.collect::<Vec<_>>()
    });
    (steps, prop::collection::vec(0usize..40, 0..3))
}

proptest! {
    /// The same rules, twice: nothing comes, goes or moves, whatever happened and however often the gateway was down.
    #[test]
    fn unchanged_rules_give_exactly_the_alarms_that_were((script, down) in script()) {
        let (batches, were) = lived(&script, &down);
        let count = were.iter().filter(|was| was.identity.rule != "unanswered").count();
        let rehearsal = rehearsed(&batches, were, RULES);
        let was = rehearsal.against_what_was(ALL);
        prop_assert!(was.is_none(), "{was:#?}");
        prop_assert_eq!(was.same as usize, count);
        let difference = rehearsal.differences(ALL).remove(0);
        prop_assert!(difference.is_none(), "{difference:#?}");
    }
}
