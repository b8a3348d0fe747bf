//! Exactly one person owns an open alarm.

use super::handling::does;
use super::*;
use crate::model::HandTo;

const A: AlarmId = AlarmId(1);

fn owner(engine: &Engine) -> Option<&str> {
    engine.open_alarms().next().unwrap().owner.as_deref()
}

fn hand_over(who: &'static str, to: HandTo) -> Does {
    does(who, Deed::HandOver { alarm: A, to, reason: "beyond my authority".into() })
}

#[test]
fn handing_over_changes_the_owner_and_calls_him_first() {
    let mut engine = engine();
    let script = [(0, smoke(true)), (5, ack(1)), (10, hand_over("ann", HandTo::Up)), (130, Does::Waits)];
    let found = play(&mut engine, &script, true);
    let found: Vec<_> = found[5..].iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(
        found,
        [
            (10, "withdraw A-1"),
            (10, "A-1 HandedOver Unacknowledged"),
            (10, "A-1 Escalated Unacknowledged"),
            (10, "A-1/2/carl/push"),
            (10, "A-1/2/carl/sms"),
            (130, "A-1 Escalated Unacknowledged"),
            (130, "A-1/3/carl/push"),
        ]
    );
    assert_eq!(owner(&engine), Some("carl"));
    play(&mut engine, &[(140, hand_over("carl", HandTo::Up))], true);
    assert_eq!(owner(&engine), Some("dora"), "from where he stands, not from the cell");
    let refused = play(&mut engine, &[(150, hand_over("dora", HandTo::Up))], true);
    assert_eq!(refused[0].1, "alarm A-1 cannot be handed over: nobody else answers further up the tree");
}

#[test]
fn to_a_person_or_a_role() {
    for (to, expected) in [
        (HandTo::Person("dora".into()), Ok("dora")),
        (HandTo::Person("ann".into()), Err("alarm A-1 belongs to ann already")),
        (HandTo::Person("chief".into()), Err("alarm A-1 cannot be handed over: `chief` has no duty now")),
        (HandTo::Role("worker".into()), Ok("bob")),
        (HandTo::Role("lead".into()), Ok("carl")),
        (
            HandTo::Role("deputy".into()),
            Err(
                "alarm A-1 cannot be handed over: nobody else has the role `deputy` here or further up the tree",
            ),
        ),
    ] {
        let mut engine = engine();
        let found = play(&mut engine, &[(0, smoke(true)), (10, hand_over("ann", to.clone()))], true);
        match expected {
            Ok(person) => assert_eq!(owner(&engine), Some(person), "{to:?}"),
            Err(words) => assert_eq!(found.last().unwrap().1, words, "{to:?}"),
        }
    }
}

/// Ann's duty ends at 100 s; afterwards bob, the worker, answers for the cell.
fn with_an_end() -> Engine {
    let mut rows = rows();
    rows.duties[0].until = Some(timestamp(100.0));
    let registry = Registry::build(rows);
    let book = book(RULES, &registry);
    Engine::new(registry, book, now(0))
}

#[test]
fn whose_duty_ends_loses_it_in_the_same_step() {
    let roster = does("gridwarden", Deed::Roster);
    let mut engine = with_an_end();
    play(&mut engine, &[(50, smoke(true)), (60, ack(1)), (99, roster.clone())], true);
    assert_eq!(owner(&engine), Some("ann"));
    let found = play(&mut engine, &[(100, roster)], true);
    let found: Vec<_> = found.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        found,
        ["A-1 OwnerChanged Acknowledged", "A-1 Escalated Acknowledged", "A-1/2/bob/push", "A-1/2/bob/sms"]
    );
    assert_eq!(owner(&engine), Some("bob"));
}

#[test]
fn who_is_on_the_way_keeps_it_until_he_resolves() {
    let roster = || does("gridwarden", Deed::Roster);
    let mut engine = with_an_end();
    let go = does("ann", Deed::OnTheWay { alarm: A, note: None });
    play(&mut engine, &[(50, smoke(true)), (60, go), (100, roster())], true);
    assert_eq!(owner(&engine), Some("ann"));
    play(&mut engine, &[(110, resolve(1)), (111, roster())], true);
    assert_eq!(owner(&engine), Some("bob"));
}

#[test]
fn who_leaves_loses_it_at_the_take_over_even_under_way() {
    let mut engine = engine();
    let go = does("ann", Deed::OnSite { alarm: A, note: None });
    play(&mut engine, &[(0, smoke(true)), (10, go)], true);
    let mut rows = rows();
    rows.people.retain(|person| person.id != "ann");
    rows.duties.retain(|duty| duty.person != "ann");
    let registry = Registry::build(rows);
    let book = book(RULES, &registry);
    let effects = engine.reconfigure(registry, book, now(20_000));
    assert_eq!(line(&effects[0]), "A-1 OwnerChanged Acknowledged");
    assert_eq!(owner(&engine), Some("bob"));
}

#[test]
fn an_alarm_that_nobody_owned_gets_an_owner() {
    let mut empty = rows();
    empty.duties.clear();
    let registry = Registry::build(empty);
    let rules = book(RULES, &registry);
    let mut engine = Engine::new(registry, rules, now(0));
    play(&mut engine, &[(0, smoke(true))], true);
    assert_eq!(owner(&engine), None);
    let registry = Registry::build(rows());
    let rules = book(RULES, &registry);
    engine.reconfigure(registry, rules, now(1000));
    assert_eq!(owner(&engine), Some("ann"));
}

#[test]
fn who_takes_it_in_hand_owns_it_if_he_has_a_duty_there() {
    for (who, expected) in [("bob", "bob"), ("dora", "dora"), ("chief", "ann"), ("desk", "ann")] {
        let mut engine = engine();
        let answer = does(who, Deed::Acknowledge { alarm: A, note: None });
        play(&mut engine, &[(0, smoke(true)), (10, answer)], true);
        assert_eq!(owner(&engine), Some(expected), "{who}");
    }
}
