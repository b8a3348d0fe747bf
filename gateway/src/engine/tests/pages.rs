//! How often one person is paged.

use super::*;
use crate::model::{Alert, What};

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
