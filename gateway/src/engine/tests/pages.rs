//! How often one person is paged.

use proptest::prelude::*;

use super::*;
use crate::model::{Alert, HandTo, What};

/// Everybody is told at once, and all of it goes to ann.
fn engine_with(limit: &str) -> Engine {
    let registry = Registry::build(rows());
    let rules = RULES.replace(
        "step = [{ after_s = 60, who = [\"worker\"], channels = [\"push\"] }]",
        "step = [{ after_s = 0, who = [\"responsible\"], channels = [\"push\", \"sms\"] }]",
    );
    let book = book(&format!("{rules}\n[flood]\n{limit}"), &registry);
    Engine::new(registry, book, now(0))
}

/// As [`play`], but whole effects.
fn effects(engine: &mut Engine, script: &[(u64, Does)]) -> Vec<(u64, Effect)> {
    let (mut all, mut seq) = (Vec::new(), 0);
    for (at, does) in script {
        let mut step = |engine: &mut Engine, ms: u64, does: Does| {
            seq += 1;
            let events = does.event(now(ms).wall).into_iter().collect();
            let applied = engine.apply(&Batch { seq, now: now(ms), events });
            assert!(engine.wake_at().is_none_or(|at| ms < at.0), "it would spin at {ms} ms");
            all.extend(applied.effects.into_iter().map(|effect| (ms / 1000, effect)));
            let (registry, rules) = (engine.registry.clone(), engine.rules.clone());
            *engine = Engine::restore(&engine.snapshot(), registry, rules).unwrap();
        };
        while let Some(wake) = engine.wake_at().filter(|wake| wake.0 < at * 1000) {
            step(engine, wake.0, Does::Waits);
        }
        step(engine, at * 1000, does.clone());
    }
    all
}

/// When ann was paged, and of how many alarms each time.
fn pages(effects: &[(u64, Effect)]) -> Vec<(u64, usize)> {
    let mut pages: Vec<(u64, u32, std::collections::BTreeSet<AlarmId>)> = Vec::new();
    for (at, effect) in effects {
        let Effect::Tell(alert) = effect else { continue };
        let joins = |(when, step, alarms): &(u64, u32, std::collections::BTreeSet<AlarmId>)| {
            when == at && *step == alert.step && (*step == Alert::SUMMARY || alarms.contains(&alert.alarm))
        };
        match pages.iter_mut().rfind(|page| joins(page)) {
            Some((_, _, alarms)) => drop(alarms.insert(alert.alarm)),
            None => pages.push((*at, alert.step, [alert.alarm].into())),
        }
    }
    pages.into_iter().map(|(at, _, alarms)| (at, alarms.len())).collect()
}

fn hazard(n: u64) -> Does {
    let text = format!("hazard {n}");
    Does::Acts("bob", Deed::Raise { cell: CellIx(2), device: None, class: SignalClass::Supervisory, text })
}

#[test]
fn beyond_ten_in_ten_minutes_one_summary_grows() {
    let mut script: Vec<_> = (0..14).map(|n| (n, hazard(n))).collect();
    script.push((700, Does::Waits));
    let told = pages(&effects(&mut engine_with(""), &script));
    let mut expected: Vec<_> = (0..9).map(|n| (n, 1)).collect();
    // The tenth place is a summary of the one there is; the rest waits until the first page is ten minutes old.
    expected.extend([(9, 1), (600, 4)]);
    assert_eq!(told, expected);
}

#[test]
fn a_fire_is_told_at_once_by_itself_and_takes_a_place() {
    let mut script: Vec<_> = (0..14).map(|n| (n, hazard(n))).collect();
    script.extend([(20, smoke(true)), (650, Does::Waits)]);
    let all = effects(&mut engine_with(""), &script);
    let fire: Vec<_> = all
        .iter()
        .filter_map(|(at, effect)| match effect {
            Effect::Tell(alert) if alert.class == SignalClass::Fire && *at == 20 => Some(alert.step),
            Effect::Tell(_) | Effect::Alarm(..) | Effect::Withdraw(_) => None,
        })
        .collect();
    assert_eq!(fire, [1, 1], "by push and sms");
    // With the fire eleven were told: the first place that is free again is that of the second.
    assert_eq!(pages(&all).iter().filter(|(at, count)| *at == 601 && *count == 4).count(), 1);
}

#[test]
fn what_is_answered_is_in_no_summary_and_the_history_says_what_became_of_the_rest() {
    let mut script: Vec<_> = (0..13).map(|n| (n, hazard(n))).collect();
    script.extend([(100, ack(11)), (101, ack(12)), (700, Does::Waits)]);
    let all = effects(&mut engine_with(""), &script);
    assert_eq!(pages(&all).last(), Some(&(600, 1)), "two of three are answered");
    let lines: Vec<_> = all
        .iter()
        .filter_map(|(at, effect)| match effect {
            Effect::Alarm(alarm, entry) if entry.what == What::Folded && alarm.id == AlarmId(13) => {
                Some((*at, entry.detail.as_str()))
            }
            Effect::Alarm(..) | Effect::Tell(_) | Effect::Withdraw(_) => None,
        })
        .collect();
    let waits = "ann is paged too often already: it goes into the next summary";
    assert_eq!(lines, [(12, waits), (600, "ann is told in a summary of 1")]);
}

#[test]
fn a_summary_holds_a_hundred_and_the_limit_is_set_in_the_rules() {
    let mut script: Vec<_> = (0..250).map(|n| (1, hazard(n))).collect();
    script.push((400, Does::Waits));
    let told = pages(&effects(&mut engine_with("pages_per_person_max = 2\npages_within_s = 100"), &script));
    // Both places are free again at 101 s: two summaries of a hundred.
    assert_eq!(told, [(1, 1), (1, 1), (101, 200), (201, 48)]);
}

/// The limit changes who is told when, and nothing else.
#[test]
fn nobody_else_notices() {
    let mut script: Vec<_> = (0..40).map(|n| (n * 7, hazard(n))).collect();
    script.extend([(300, smoke(true)), (320, ack(3)), (500, resolve(3)), (5000, Does::Waits)]);
    let rest = |limit: &str| -> Vec<(u64, Effect)> {
        let all = effects(&mut engine_with(limit), &script).into_iter();
        all.filter(|(_, effect)| match effect {
            Effect::Tell(alert) => alert.class == SignalClass::Fire,
            Effect::Alarm(_, entry) => entry.what != What::Folded,
            Effect::Withdraw(_) => true,
        })
        .collect()
    };
    assert_eq!(rest(""), rest("pages_per_person_max = 1000"));
}

fn event() -> impl Strategy<Value = Does> {
    const WHO: [&str; 3] = ["ann", "bob", "carl"];
    let class =
        prop::sample::select(&[SignalClass::Fire, SignalClass::Supervisory, SignalClass::Trouble][..]);
    let text = prop::sample::select(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"][..]);
    let alarm = || (1u64..40).prop_map(AlarmId);
    let who = || prop::sample::select(&WHO[..]);
    prop_oneof![
        8 => (0u32..4, class, text).prop_map(|(cell, class, text)| raise(cell, class, text)),
        1 => (0u32..7, any::<bool>())
            .prop_map(|(device, on)| Does::Says(says(DeviceIx(device), &[("smoke", f64::from(u8::from(on)))]))),
        2 => (who(), alarm()).prop_map(|(who, alarm)| Does::Acts(who, Deed::Acknowledge { alarm, note: None })),
        1 => (who(), alarm())
            .prop_map(|(who, alarm)| Does::Acts(who, Deed::SendBack { alarm, reason: "again".into() })),
        1 => (alarm(), who()).prop_map(|(alarm, to)| {
            Does::Acts("dora", Deed::HandOver { alarm, to: HandTo::Person(to.into()), reason: "yours".into() })
        }),
        1 => alarm().prop_map(|alarm| resolve(alarm.0)),
        1 => (0u32..4).prop_map(|cell| {
            Does::Acts("dora", Deed::Drill { cell: CellIx(cell), class: SignalClass::Fire, note: None })
        }),
        1 => who().prop_map(|who| {
            let people = vec![(CellIx(2), who.to_owned())];
            Does::Acts("dora", Deed::RollCall { people, note: None })
        }),
    ]
}

/// One page of one person.
#[derive(Debug)]
struct Page {
    at: u64,
    step: u32,
    alarm: AlarmId,
    fire: bool,
    practice: bool,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens, in whatever order, over restarts: whenever somebody is paged for anything but a fire, that makes ten pages in ten minutes at the most, an
    /// exercise counting only for itself; and every fire is told in the moment of its step, by itself.
    #[test]
    fn ten_in_ten_minutes_for_anybody(
        script in prop::collection::vec((prop_oneof![4 => 0u64..20, 2 => 0u64..200, 1 => 0u64..1500], event()), 1..80),
        most in 2usize..=10,
    ) {
        let roll_call = "[[ladder]]\nname = \"roll-call\"\nstep = [{ after_s = 0, who = [\"lead\"], channels = [\"push\"] }]";
        let mut engine = engine_with(&format!("pages_per_person_max = {most}\n{roll_call}"));
        let mut at = 0;
        let script: Vec<(u64, Does)> = script.into_iter().map(|(wait, does)| { at += wait; (at, does) }).collect();
        let mut practice = std::collections::BTreeSet::new();
        let mut people: std::collections::BTreeMap<String, Vec<Page>> = std::collections::BTreeMap::new();
        for (at, effect) in effects(&mut engine, &script) {
            let alert = match effect {
                Effect::Alarm(alarm, _) => {
                    practice.extend(alarm.exercise().map(|_| alarm.id));
                    continue;
                }
                Effect::Withdraw(_) => continue,
                Effect::Tell(alert) => alert,
            };
            let (Some(person), false) = (alert.person, alert.step == Alert::OVER) else { continue };
            let fire = alert.class == SignalClass::Fire;
            prop_assert!(!fire || alert.step != Alert::SUMMARY, "a fire was held back: {}", alert.key);
            let page = Page { at, step: alert.step, alarm: alert.alarm, fire, practice: practice.contains(&alert.alarm) };
            let pages = people.entry(person).or_default();
            let same = |other: &Page| {
                other.at == at
                    && other.step == page.step
                    && (page.step == Alert::SUMMARY || other.alarm == page.alarm)
            };
            if !pages.iter().any(same) {
                pages.push(page);
            }
        }
        for (person, pages) in &people {
            for (number, page) in pages.iter().enumerate().filter(|(_, page)| !page.fire) {
                let window = pages[..=number].iter().filter(|other| page.at < other.at + 600);
                let counted = window.filter(|other| page.practice || !other.practice).count();
                prop_assert!(counted <= most, "{person}: {counted} pages, limit {most}, {page:?}");
            }
        }
    }
}
