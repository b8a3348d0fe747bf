//! A step that calls whoever is nearest: a question, and an answer that need not come.

use super::*;
use crate::model::What;

fn engine() -> Engine {
    let registry = Registry::build(rows());
    let rules = RULES.replacen(
        "{ after_s = 120, who = [\"up:1\"], channels = [\"push\"] }",
        "{ after_s = 120, who = [\"up:1\", \"nearest:2\"], channels = [\"push\"] },
         { after_s = 200, who = [\"nearest\"], channels = [\"sms\"] }",
        1,
    );
    let book = book(&rules, &registry);
    Engine::new(registry, book, now(0))
}

fn nearest(step: u32, people: &[(&str, u32)]) -> Does {
    let people = people.iter().map(|(person, metres)| ((*person).to_owned(), *metres)).collect();
    Does::Acts("gridwarden", Deed::Nearest { alarm: AlarmId(1), step, people })
}

fn lines(script: &[(u64, Does)]) -> Vec<String> {
    let found = play(&mut engine(), script, false);
    assert_eq!(found, play(&mut engine(), script, true), "with restarts");
    found.into_iter().filter(|(at, _)| 0 < *at).map(|(at, line)| format!("{at} {line}")).collect()
}

#[test]
fn the_others_are_told_at_once_and_the_nearest_when_they_are_known() {
    let mut asked = engine();
    play(&mut asked, &[(0, smoke(true)), (121, Does::Waits)], true);
    let questions: Vec<_> = asked.questions().collect();
    let [question] = questions.as_slice() else { panic!("{questions:?}") };
    assert_eq!((question.alarm, question.step, question.count), (AlarmId(1), 2, 2));
    assert_eq!((question.cell, question.device), (CellIx(2), Some(KITCHEN)));
    assert_eq!(question.besides, ["carl"], "who was told by the step already");

    let script = [
        (0, smoke(true)),
        (121, nearest(2, &[("bob", 50), ("ann", 400)])),
        (122, nearest(2, &[("dora", 50)])),
    ];
    assert_eq!(
        lines(&script),
        [
            "120 A-1 Escalated Unacknowledged",
            "120 A-1/2/carl/push",
            "121 A-1 Escalated Unacknowledged",
            "121 A-1/2/bob/push",
            "121 A-1/2/ann/push",
        ],
        "a second answer comes to nothing"
    );
    let mut engine = engine();
    play(&mut engine, &script[..1], false);
    play(&mut engine, &[(120, Does::Waits)], false);
    let event = script[1].1.clone().event(now(121_000).wall);
    let applied = engine.apply(&Batch { seq: 9, now: now(121_000), events: event.into_iter().collect() });
    let details = applied.effects.iter().filter_map(|effect| match effect {
        Effect::Alarm(_, entry) if entry.what == What::Escalated => Some(entry.detail.as_str()),
        Effect::Alarm(..) | Effect::Tell(_) | Effect::Withdraw(_) => None,
    });
    let details: Vec<_> = details.collect();
    assert_eq!(details, ["step 2, the nearest: bob within 50 m, ann within 400 m by push"]);
}

#[test]
fn without_positions_the_lead_is_told() {
    let script = [(0, smoke(true)), (121, nearest(2, &[])), (201, nearest(3, &[]))];
    assert_eq!(
        lines(&script),
        [
            "120 A-1 Escalated Unacknowledged",
            "120 A-1/2/carl/push",
            "121 A-1 Escalated Unacknowledged",
            "121 A-1/2/ann/push",
            "200 A-1 Escalated Unacknowledged",
            "201 A-1 Escalated Unacknowledged",
            "201 A-1/3/ann/sms",
        ]
    );
}

/// In a cell of nobody, with nobody above: the ladder does not wait.
#[test]
fn when_there_is_nobody_at_all_the_next_step_follows() {
    let lost = Does::Says(says(LOST, &[("smoke", 1.0)]));
    let found = lines(&[(0, lost), (1, nearest(2, &[])), (2, nearest(3, &[]))]);
    assert_eq!(
        found,
        [
            "1 A-1 NobodyToTell Unacknowledged",
            "1 A-1 Escalated Unacknowledged",
            "2 A-1 NobodyToTell Unacknowledged",
            "2 A-1 Escalated Unacknowledged",
            "2 A-1/4/chief/voice",
        ]
    );
}

#[test]
fn who_has_it_in_hand_is_not_called_again() {
    for (before, told) in [(ack(1), 0), (Does::Waits, 2)] {
        let script = [(0, smoke(true)), (120, Does::Waits), (121, before), (122, nearest(2, &[("bob", 50)]))];
        let found = lines(&script);
        assert_eq!(found.iter().filter(|line| line.starts_with("122")).count(), told, "{found:?}");
    }
}

/// Begun and over within one batch, as a reload after a long stop can have it: nothing stays behind that nobody will ever answer.
#[test]
fn what_ends_in_the_turn_that_asks_leaves_no_question() {
    let registry = Registry::build(rows());
    let at_once = RULES.replacen("who = [\"responsible\", \"lead\"]", "who = [\"nearest\"]", 1);
    let rules = book(&at_once, &registry);
    let mut engine = Engine::new(registry, rules, now(0));
    let drill = Deed::Drill { cell: CellIx(2), class: SignalClass::Fire, note: None };
    let events = [Does::Acts("dora", drill), ack(1), resolve(1)];
    let events: Vec<_> = events.into_iter().filter_map(|does| does.event(now(10).wall)).collect();
    let asking = engine.apply(&Batch { seq: 1, now: now(10), events: events[..1].to_vec() });
    assert!(!asking.effects.is_empty() && engine.alarms.questions.len() == 1, "{asking:?}");
    let mut engine = Engine::new(engine.registry.clone(), engine.rules.clone(), now(0));
    let applied = engine.apply(&Batch { seq: 1, now: now(10), events });
    assert_eq!((engine.open_alarms().count(), engine.alarms.questions.len()), (0, 0), "{applied:?}");
}
