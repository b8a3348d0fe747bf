//! What is always true, whatever happens.

use proptest::prelude::*;

use super::*;
use crate::config::rules::OWN_NAMES;
use crate::model::{AlarmState, Alert, HandTo, Hold, Verdict, What};

const METRICS: [&str; 6] = ["smoke", "test", "tamper", "pressure", "manual_alarm", "battery"];

fn freshness() -> impl Strategy<Value = Freshness> {
    prop_oneof![
        6 => Just(Freshness::Live),
        1 => Just(Freshness::Retained),
        1 => Just(Freshness::Replayed),
        1 => Just(Freshness::Backfill),
    ]
}

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![8 => Just(Quality::Good), 1 => Just(Quality::Uncertain), 1 => Just(Quality::Bad)]
}

pub fn report() -> impl Strategy<Value = Does> {
    let value =
        (prop::sample::select(&METRICS[..]), 0.0f64..1.0, quality()).prop_map(|(metric, value, quality)| {
            let value = match metric {
                "pressure" => value * 400.0,
                "battery" => value * 100.0,
                _ => f64::from(u8::from(0.6 < value)),
            };
            (metric, value, quality)
        });
    let values = prop::collection::vec(value, 0..3);
    (0u32..8, values, freshness(), prop::option::of(0u32..5000)).prop_map(
        |(device, values, freshness, time)| {
            Does::Says(Says { device: DeviceIx(device), values, freshness, device_time: time.map(f64::from) })
        },
    )
}

fn event() -> impl Strategy<Value = Does> {
    prop_oneof![
        8 => report(),
        1 => (0u32..8, 0u32..5000).prop_map(|(device, since)| Does::Gone { device: DeviceIx(device), since: f64::from(since) }),
        4 => deed(),
    ]
}

fn deed() -> impl Strategy<Value = Does> {
    let people = vec!["ann", "bob", "carl", "dora", "chief", "desk"];
    let note = None::<String>;
    let what = (1u64..12, 0u32..22, 0u32..90_000).prop_map(move |(alarm, what, later)| {
        let (alarm, note, reason) = (AlarmId(alarm), note.clone(), "because".to_owned());
        let until = timestamp(f64::from(later));
        let disposition = Disposition::FalseAlarm;
        match what {
            0..=3 => Deed::Acknowledge { alarm, note },
            4 | 5 => Deed::Resolve { alarm, disposition, cause: None, note },
            6 => Deed::Raise {
                cell: CellIx(later % 6),
                device: None,
                class: SignalClass::Fire,
                text: "seen".into(),
            },
            7 => Deed::OnTheWay { alarm, note },
            8 => Deed::OnSite { alarm, note },
            9 | 10 => Deed::Verify { alarm, note },
            11 => Deed::SendBack { alarm, reason },
            12 => Deed::Evaluate { alarm, verdict: Verdict::True, note },
            13 => match later % 3 {
                0 => Deed::HandOver { alarm, to: HandTo::Up, reason },
                1 => Deed::HandOver { alarm, to: HandTo::Person("dora".into()), reason },
                _ => Deed::HandOver { alarm, to: HandTo::Role("worker".into()), reason },
            },
            14 => Deed::Suspend { alarm, until, reason },
            15 => Deed::Shelve { alarm, until, reason },
            16 => Deed::Resume { alarm, note },
            17 => Deed::BeginMaintenance { cell: CellIx(later % 6), device: None, until, reason },
            18 => Deed::EndMaintenance { alarm, note },
            19 => Deed::Drill { cell: CellIx(later % 6), class: SignalClass::Fire, note },
            20 => {
                Deed::RollCall { people: vec![(CellIx(2), "ann".into()), (CellIx(1), "carl".into())], note }
            }
            _ => Deed::Roster,
        }
    });
    (prop::sample::select(people), what).prop_map(|(who, what)| Does::Acts(who, what))
}

/// As [`super::engine`], with everything that a ladder and a rule can ask for; ann's duty ends in between.
fn engine() -> Engine {
    let mut rows = rows();
    rows.duties[0].until = Some(timestamp(4000.0));
    rows.devices.push(Device {
        ix: DeviceIx(7),
        id: "hydrant-2".into(),
        address: "native:hydrant-2".into(),
        cells: ["b2".into()].into(),
        ..rows.devices[HYDRANT.at()].clone()
    });
    let registry = Registry::build(rows);
    let rules = RULES
        .replacen("then = \"city\"", "then = \"city\"\nprogress_within_s = 300", 1)
        .replacen(
            "who = [\"up:1\"], channels = [\"push\"]",
            "who = [\"up:1\"], channels = [\"push\"], need = 2",
            1,
        )
        .replacen("state = { flag = \"smoke\" }", "state = { flag = \"smoke\" }\nclose = \"verified\"", 1)
        .replacen(
            "ladder = \"duty\"\n    close = \"acknowledged\"",
            "ladder = \"duty\"\n    close = \"evaluated\"",
            1,
        );
    let book = book(
        &format!(
            "{rules}\n[incidents]\ndark_devices_min = 2\ndark_within_s = 900\n[flood]\npages_per_person_max = 3
            [[ladder]]
            name = \"roll-call\"
            step = [{{ after_s = 0, who = [\"lead\"], channels = [\"push\"] }}, {{ after_s = 90, who = [\"up:1\"], channels = [\"push\"] }}]"
        ),
        &registry,
    );
    Engine::new(registry, book, now(0))
}

/// Batches with the time since the one before, in milliseconds; sometimes hours.
fn script() -> impl Strategy<Value = Vec<(u64, Vec<Does>)>> {
    let wait = prop_oneof![4 => 0u64..20_000, 2 => 0u64..900_000, 1 => 0u64..20_000_000];
    prop::collection::vec((wait, prop::collection::vec(event(), 0..4)), 1..40)
}

/// The batches as the driver journals them: with an empty one whenever the engine asks to be woken, unless the gateway is down.
fn journal(script: &[(u64, Vec<Does>)], down_every: usize) -> Vec<Batch> {
    let mut engine = engine();
    let (mut batches, mut ms) = (Vec::new(), 0);
    for (number, (wait, does)) in script.iter().enumerate() {
        ms += wait;
        let mut add = |engine: &mut Engine, ms, events| {
            let batch = Batch { seq: batches.len() as u64 + 1, now: now(ms), events };
            engine.apply(&batch);
            batches.push(batch);
        };
        if number % down_every != 0 {
            while let Some(wake) = engine.wake_at().filter(|wake| wake.0 < ms) {
                add(&mut engine, wake.0, Vec::new());
            }
        }
        let received = now(ms).wall;
        add(&mut engine, ms, does.iter().filter_map(|does| does.clone().event(received)).collect());
    }
    batches
}

/// Lines after which people may be told again although somebody had answered.
fn calls_again(what: What, alarm: &Alarm) -> bool {
    match what {
        What::ActiveAgain | What::Resumed => alarm.acknowledged.is_none(),
        What::SentBack | What::HandedOver | What::NoProgress | What::OwnerChanged => true,
        What::Raised
        | What::Repeated
        | What::Told
        | What::Escalated
        | What::Acknowledged
        | What::Returned
        | What::Resolved
        | What::Closed
        | What::NobodyToTell
        | What::NotTold
        | What::OnTheWay
        | What::OnSite
        | What::Verified
        | What::Evaluated
        | What::Suspended
        | What::Shelved
        | What::Suppressed
        | What::Unanswered
        | What::Confirmed
        | What::Folded => false,
    }
}

fn restarted(engine: &Engine) -> Engine {
    Engine::restore(&engine.snapshot(), engine.registry.clone(), engine.rules.clone()).unwrap()
}

/// A timer whose end nobody sees is journaled all the same: else the replay finds it overdue, takes that for an absence of the gateway,
/// and does not raise what the engine had raised.
#[test]
fn a_timer_that_nobody_sees_is_not_idle() {
    let pressure = |value| Does::Says(says(HYDRANT, &[("pressure", value)]));
    // Resolved while it is silent, so that the end of its low pressure later belongs to no alarm.
    let script = [
        (0, vec![pressure(100.0)]),
        (4_000_000, vec![ack(1), resolve(1)]),
        (100_000, vec![pressure(200.0)]),
        (3_700_000, vec![]),
    ];
    let (mut all, mut some, mut unseen) = (engine(), engine(), 0);
    for batch in journal(&script, usize::MAX) {
        let applied = all.apply(&batch);
        if !applied.idle {
            unseen += u32::from(batch.events.is_empty() && applied.effects.is_empty());
            assert_eq!(applied, some.apply(&batch));
        }
    }
    assert!(0 < unseen, "the script has lost its point");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// From a snapshot anywhere and a replay of what follows, everything is as if it had never stopped.
    #[test]
    fn a_restart_changes_nothing(script in script(), stop in 0usize..60, down in 2usize..9) {
        let batches = journal(&script, down);
        let stop = stop % batches.len();
        let (mut steady, mut again) = (engine(), engine());
        let mut saved = None;
        for (number, batch) in batches.iter().enumerate() {
            if number == stop {
                saved = Some(restarted(&steady));
            }
            let effects = steady.apply(batch);
            prop_assert_eq!(&effects, &again.apply(batch), "the same journal, other effects");
            if let Some(saved) = &mut saved {
                prop_assert_eq!(&effects, &saved.apply(batch));
            }
        }
        let saved = saved.expect("stop is one of the batches");
        prop_assert_eq!(steady.snapshot(), saved.snapshot());
    }

    /// An idle batch may be left out of the journal.
    #[test]
    fn idle_batches_change_nothing(script in script(), down in 2usize..9) {
        let (mut all, mut some) = (engine(), engine());
        for batch in journal(&script, down) {
            let effects = all.apply(&batch);
            if !effects.idle {
                prop_assert_eq!(effects, some.apply(&batch));
            }
        }
        prop_assert_eq!(all.snapshot(), some.snapshot());
    }

    /// An explanation tells what would have happened without it.
    #[test]
    fn looking_on_changes_nothing(script in script(), down in 2usize..9) {
        let (mut alone, mut watched) = (engine(), engine());
        watched.watch(crate::engine::watch::Watch::new((0..8).map(DeviceIx), Timestamp(0), 5));
        for batch in journal(&script, down) {
            prop_assert_eq!(alone.apply(&batch), watched.apply(&batch));
        }
        prop_assert_eq!(alone.snapshot(), watched.snapshot());
    }

    #[test]
    fn what_always_holds(script in script(), down in 2usize..9) {
        let mut engine = engine();
        let (mut quiet, mut gone) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for batch in journal(&script, down) {
            let applied = engine.apply(&batch);
            prop_assert!(engine.wake_at().is_none_or(|at| batch.now.steady < at), "it would spin");

            let mut places = std::collections::BTreeSet::new();
            for alarm in engine.open_alarms().filter(|alarm| !OWN_NAMES.contains(&alarm.rule.as_str())) {
                let place = (alarm.device, alarm.rule.clone(), alarm.late.is_some());
                prop_assert!(places.insert(place), "two open alarms of one device and rule");
            }

            for effect in &applied.effects {
                match effect {
                    Effect::Withdraw(alarm) => drop(quiet.insert(*alarm)),
                    Effect::Alarm(alarm, entry) => {
                        prop_assert_eq!(alarm.id, entry.alarm);
                        prop_assert!(alarm.is_open() || !gone.contains(&alarm.id), "{} after its end", alarm.id);
                        if calls_again(entry.what, alarm) {
                            quiet.remove(&alarm.id);
                        }
                        if !alarm.is_open() {
                            gone.insert(alarm.id);
                        }
                    }
                    Effect::Tell(alert) if alert.step == Alert::OVER => {
                        prop_assert!(gone.contains(&alert.alarm), "{} before the end", alert.key);
                    }
                    Effect::Tell(alert) => {
                        prop_assert!(!quiet.contains(&alert.alarm), "{} after the answer", alert.key);
                    }
                }
            }
            for alarm in engine.open_alarms() {
                let climbing = alarm.ladder.as_ref().is_some_and(|position| position.next_at.is_some());
                prop_assert!(!climbing || !alarm.is_answered(), "{} climbs though answered", alarm.id);
                prop_assert!(!climbing || alarm.handling.held.is_none(), "{} climbs though held", alarm.id);
                let answers = engine.registry.responsible(alarm.cell, batch.now.wall).is_some();
                prop_assert!(!answers || alarm.owner.is_some(), "{} has no owner", alarm.id);
                let fire_held = alarm.class == SignalClass::Fire
                    && alarm.handling.held.is_some()
                    && alarm.state != AlarmState::Returned;
                prop_assert!(!fire_held, "an active fire is held");
                if let Some(verified) = &alarm.handling.verified {
                    prop_assert!(!alarm.was_handled_by(&verified.by), "{} verified his own work", verified.by);
                }
            }
        }
        // Left alone, every ladder ends in an acknowledgement or at the top, with an alarm of its own.
        for _ in 0..2000 {
            let Some(at) = engine.wake_at() else { break };
            engine.apply(&Batch { seq: 0, now: now(at.0), events: Vec::new() });
        }
        prop_assert!(engine.wake_at().is_none(), "it never comes to rest");
        for alarm in engine.open_alarms() {
            let without_end = matches!(alarm.class, SignalClass::Test | SignalClass::Disabled)
                || alarm.rule == "unanswered"
                || alarm.ladder.is_none();
            prop_assert!(alarm.exercise().is_none() || alarm.acknowledged.is_some(), "it never ends: {alarm:?}");
            let said = alarm.handling.unanswered.is_some(); // Somebody may have closed it since.
            prop_assert!(alarm.acknowledged.is_some() || without_end || said, "{alarm:?}");
            prop_assert!(alarm.handling.held.as_ref().is_none_or(|held| held.how == Hold::OutOfService));
        }
    }

    /// Whatever else stands, a new fire calls in the same moment, and nothing that is no fire speaks for it.
    #[test]
    fn a_fire_is_part_of_nothing(script in script(), down in 2usize..9) {
        let (mut engine, mut fires) = (engine(), std::collections::BTreeSet::new());
        for batch in journal(&script, down) {
            let effects = engine.apply(&batch).effects;
            let told: std::collections::BTreeSet<AlarmId> =
                effects.iter().filter_map(|effect| match effect {
                    Effect::Tell(alert) => Some(alert.alarm),
                    Effect::Alarm(..) | Effect::Withdraw(_) => None,
                }).collect();
            for effect in &effects {
                let Effect::Alarm(alarm, entry) = effect else { continue };
                if alarm.class != SignalClass::Fire {
                    continue;
                }
                fires.insert(alarm.id);
                prop_assert!(entry.what != What::Raised || told.contains(&alarm.id), "{} calls nobody", alarm.id);
                prop_assert!(entry.what != What::Suppressed, "{} is suppressed", alarm.id);
                prop_assert!(alarm.handling.incident.is_none_or(|first| fires.contains(&first)));
            }
        }
    }

    /// Every live fire leads to an open alarm of class fire, and every key of an alert is used once.
    #[test]
    fn no_fire_is_swallowed(script in script(), down in 2usize..9) {
        let (mut engine, mut keys) = (engine(), std::collections::BTreeSet::new());
        let is_resolve = |event: &Event| {
            matches!(event, Event::Action(Action { what: Deed::Resolve { .. }, .. }))
        };
        for mut batch in journal(&script, down) {
            batch.events.retain(|event| !is_resolve(event));
            for effect in engine.apply(&batch).effects {
                if let Effect::Tell(alert) = effect {
                    prop_assert!(keys.insert(alert.key.clone()), "{} twice", alert.key);
                }
            }
            let Some(Event::Report(report)) = batch.events.last() else { continue };
            let set = |name: &str| {
                report.values.iter().any(|value| value.metric.name() == name && value.value != 0.0)
            };
            let smoke = [KITCHEN, HALL, LOST].contains(&report.device) && set("smoke");
            let called = report.device == CALL_POINT && set("manual_alarm");
            if report.freshness == Freshness::Live && (smoke || called) && !set("test") {
                let clear = report.values.iter().any(|value| value.metric == Metric::SMOKE && value.value == 0.0);
                let open = engine.open_alarms().any(|alarm| {
                    alarm.class == SignalClass::Fire && alarm.device == Some(report.device) && alarm.late.is_none()
                });
                prop_assert!(open || clear);
            }
        }
    }
}
