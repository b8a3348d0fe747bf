//! Drills and roll-calls: called like the real thing, and never in its way.

use proptest::prelude::*;

use super::*;
use crate::model::{Alert, Played, Told, What};

/// With a ladder for roll-calls: whoever is asked has five minutes.
const ROLL_CALL: &str = r#"
    [[ladder]]
    name = "roll-call"
    unanswered_after_s = 100
    step = [
        { after_s = 0, who = ["responsible"], channels = ["voice"] },
        { after_s = 300, who = ["lead", "up:1"], channels = ["push"] },
    ]
"#;

fn engine() -> Engine {
    let registry = Registry::build(rows());
    let book = book(&format!("{RULES}{ROLL_CALL}"), &registry);
    Engine::new(registry, book, now(0))
}

fn drill(cell: u32, class: SignalClass) -> Does {
    Does::Acts("dora", Deed::Drill { cell: CellIx(cell), class, note: Some("3rd floor".into()) })
}

fn roll_call(people: &[(u32, &str)]) -> Does {
    let people = people.iter().map(|(cell, person)| (CellIx(*cell), (*person).to_owned())).collect();
    Does::Acts("dora", Deed::RollCall { people, note: None })
}

/// As [`check`], in the town of this file.
fn expect(script: &[(u64, Does)], expected: &[(u64, &str)]) -> Engine {
    let found = play(&mut engine(), script, true);
    let found: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert!(found == expected, "found {}\nexpected {}", lined(&found), lined(expected));
    let mut engine = engine();
    assert_eq!(play(&mut engine, script, false).len(), expected.len(), "without restarts");
    engine
}

#[test]
fn a_drill_climbs_the_real_ladder_and_calls_nobody_a_fire() {
    let script = [(10, drill(2, SignalClass::Fire)), (200, Does::Waits)];
    let engine = expect(
        &script,
        &[
            (10, "A-1 Raised Unacknowledged"),
            (10, "A-1/1/ann/push"),
            (10, "A-1/1/ann/sms"),
            (130, "A-1 Escalated Unacknowledged"),
            (130, "A-1/2/carl/push"),
        ],
    );
    let alarm = engine.open_alarms().next().expect("the drill");
    assert_eq!((alarm.rule.as_str(), alarm.class), ("drill", SignalClass::Test));
    assert_eq!((alarm.drill(), alarm.calls_as()), (Some(SignalClass::Fire), SignalClass::Fire));
    assert_eq!(alarm.text, "【演练】[DRILL] 火警演练 fire drill, cell b1: 3rd floor");
    let exercise = alarm.exercise().expect("it is one");
    let told = |person: &str, at, channels: &[&str]| Told {
        person: Some(person.into()),
        at: timestamp(at),
        channels: channels.iter().map(|channel| (*channel).to_owned()).collect(),
    };
    assert_eq!(exercise.told, [told("ann", 10.0, &["push", "sms"]), told("carl", 130.0, &["push"])]);
}

#[test]
fn a_drill_is_over_when_it_is_resolved_or_nobody_answers() {
    let mut engine = engine();
    play(&mut engine, &[(0, drill(2, SignalClass::Fire)), (5, ack(1)), (9, resolve(1))], true);
    assert_eq!(engine.open_alarms().count(), 0, "nobody has to verify it");
    let found = play(&mut engine, &[(20, drill(2, SignalClass::Fire)), (3_000, Does::Waits)], true);
    assert_eq!(
        engine.open_alarms().count(),
        0,
        "it ends with its ladder, and no alarm says that nobody answered"
    );
    let last: Vec<_> = found.iter().rev().take(3).map(|(_, line)| line.as_str()).collect();
    assert_eq!(last, ["withdraw A-2", "A-2 Closed Closed", "A-2 Unanswered Unacknowledged"]);
}

/// In the cell, below and above; and to everybody who was called, after what is real was told.
#[test]
fn what_is_real_ends_the_drill_at_once() {
    let fire = |device| Does::Says(says(device, &[("smoke", 1.0)]));
    expect(
        &[(0, drill(1, SignalClass::Fire)), (1, fire(KITCHEN))],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/carl/push"),
            (0, "A-1/1/carl/sms"),
            (1, "A-2 Raised Unacknowledged"),
            (1, "A-2/1/ann/push"),
            (1, "A-2/1/ann/sms"),
            (1, "A-1 Closed Closed"),
            (1, "withdraw A-1"),
            (1, "A-1/over/carl/push"),
            (1, "A-1/over/carl/sms"),
        ],
    );
    for (drilled, real, ends) in [
        (2, fire(KITCHEN), true),
        (0, fire(KITCHEN), true),
        (3, fire(KITCHEN), false),
        (4, fire(KITCHEN), false),
        (2, raise(0, SignalClass::Fire, "the street burns"), true),
        (2, raise(2, SignalClass::Supervisory, "the valve is shut"), true),
        (2, raise(2, SignalClass::Trouble, "a dead battery"), false),
        (2, raise(2, SignalClass::Test, "a button"), false),
        (2, drill(3, SignalClass::Fire), false),
        (2, roll_call(&[(2, "bob")]), false),
    ] {
        let mut engine = engine();
        let drill =
            Does::Acts("dora", Deed::Drill { cell: CellIx(drilled), class: SignalClass::Fire, note: None });
        let found = play(&mut engine, &[(0, drill), (1, real.clone())], true);
        assert_eq!(engine.open_alarms().all(|alarm| alarm.id != AlarmId(1)), ends, "{drilled} {real:?}");
        assert_eq!(found.iter().any(|(_, line)| line.contains("/over/")), ends, "{found:?}");
    }
}

#[test]
fn the_last_words_of_a_drill_name_what_is_real() {
    let (mut one, mut seq, mut text) = (engine(), 0, String::new());
    for does in [drill(2, SignalClass::Fire), smoke(true)] {
        seq += 1;
        let events = does.event(now(seq).wall).into_iter().collect();
        for effect in one.apply(&Batch { seq, now: now(seq), events }).effects {
            match effect {
                Effect::Alarm(alarm, entry) if entry.what == What::Closed => text = alarm.text.clone(),
                Effect::Tell(alert) if alert.alarm == AlarmId(1) => {
                    assert_eq!(alert.class, SignalClass::Test);
                    assert_eq!(alert.step == Alert::OVER, seq == 2);
                }
                Effect::Alarm(..) | Effect::Tell(_) | Effect::Withdraw(_) => (),
            }
        }
    }
    assert_eq!(
        text,
        "【演练】[DRILL] 演练中止，真实警情 A-2 drill over, this is real: Smoke: kitchen, door of kitchen"
    );
}

#[test]
fn a_drill_does_not_begin_where_something_calls() {
    for (before, cell, class, says) in [
        (smoke(true), 2, SignalClass::Fire, Some("A-1 is real and calls people there")),
        (smoke(true), 0, SignalClass::Trouble, Some("A-1 is real and calls people there")),
        (smoke(true), 3, SignalClass::Fire, None),
        (
            drill(1, SignalClass::Fire),
            2,
            SignalClass::Supervisory,
            Some("there is a drill already, or one above or below: A-1"),
        ),
        (drill(3, SignalClass::Fire), 2, SignalClass::Supervisory, None),
        (Does::Waits, 2, SignalClass::Trouble, Some("rules.toml has no ladder for trouble")),
    ] {
        let mut engine = engine();
        let found = play(&mut engine, &[(0, before.clone()), (1, drill(cell, class))], true);
        // A trouble's drill is refused for want of a ladder before anything else.
        let says =
            if class == SignalClass::Trouble { Some("rules.toml has no ladder for trouble") } else { says };
        let last = found
            .last()
            .map(|(_, line)| line.as_str())
            .filter(|line| !line.contains(['/', ' ']) || says.is_some());
        assert_eq!(last.filter(|_| says.is_some()), says, "{before:?} {found:?}");
        assert_eq!(engine.open_alarms().any(|alarm| alarm.id.0 == 2), says.is_none(), "{before:?}");
    }
}

/// A fire in hand is still a fire; anything else that somebody has in hand calls nobody.
#[test]
fn what_is_in_hand_keeps_no_drill_away_but_a_fire_does() {
    for (class, refused) in [(SignalClass::Fire, true), (SignalClass::Supervisory, false)] {
        let mut engine = engine();
        play(
            &mut engine,
            &[(0, raise(2, class, "seen")), (1, ack(1)), (2, drill(2, SignalClass::Fire))],
            true,
        );
        assert_eq!(engine.open_alarms().count() == 1, refused, "{class:?}");
    }
}

#[test]
fn a_roll_call_asks_each_and_goes_up_when_one_is_silent() {
    let answer = Does::Acts("bob", Deed::Acknowledge { alarm: AlarmId(1), note: None });
    let engine = expect(
        &[(0, roll_call(&[(2, "bob"), (2, "ann"), (2, "nobody")])), (60, answer), (301, Does::Waits)],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/bob/voice"),
            (0, "A-2 Raised Unacknowledged"),
            (0, "A-2/1/ann/voice"),
            (60, "A-1 Acknowledged Acknowledged"),
            (60, "withdraw A-1"),
            (60, "A-1 Closed Closed"),
            (300, "A-2 Escalated Unacknowledged"),
            (300, "A-2/2/ann/push"),
            (300, "A-2/2/carl/push"),
        ],
    );
    let alarm = engine.open_alarms().next().expect("nobody answered for ann");
    assert_eq!((alarm.rule.as_str(), alarm.class, alarm.drill()), ("roll-call", SignalClass::Test, None));
    assert_eq!(alarm.text, "【查岗】[ROLL CALL] ANN，请应答 are you there?");
    let first = AlarmId(1);
    let played = &alarm.exercise().expect("it is one").what;
    assert_eq!(*played, Played::RollCall { asked: "ann".into(), first });
    assert_eq!(alarm.owner.as_deref(), Some("carl"), "it went up");
}

#[test]
fn nobody_is_asked_twice_and_the_end_is_silent() {
    let ask = || roll_call(&[(2, "bob")]);
    let mut engine = engine();
    let found = play(&mut engine, &[(0, ask()), (1, ask()), (500, Does::Waits)], true);
    let refused = "none of these people can be asked: they have left, or are being asked already";
    assert!(found.contains(&(1, refused.to_owned())), "{found:?}");
    assert_eq!(engine.open_alarms().count(), 0, "100 s after the last step it is over");
    assert!(found.iter().all(|(_, line)| !line.starts_with("A-2")), "and no trouble is made of it");
}

/// Whoever is called by what is real is left out of exercises, and nothing real waits for one.
#[test]
fn pages_of_exercises_take_no_place() {
    let rules = format!("{RULES}{ROLL_CALL}\n[flood]\npages_per_person_max = 4").replace(
        "step = [{ after_s = 60, who = [\"worker\"], channels = [\"push\"] }]",
        "step = [{ after_s = 0, who = [\"responsible\"], channels = [\"push\"] }]",
    );
    let registry = Registry::build(rows());
    let town = || Engine::new(registry.clone(), book(&rules, &registry), now(0));
    let hazard = |n: u64| raise(2, SignalClass::Supervisory, ["a", "b", "c", "d"][n as usize]);
    let ask = || roll_call(&[(2, "ann")]);
    let real = |script: &[(u64, Does)]| -> Vec<(u64, bool)> {
        let found = play(&mut town(), script, true);
        let pages = found.iter().filter(|(_, line)| line.ends_with("/ann/push"));
        pages.map(|(at, line)| (*at, line.contains("/0/"))).collect()
    };
    let hazards = |first: u64| (0..4).map(move |n| (first + n, hazard(n))).collect::<Vec<_>>();
    let alone = real(&[hazards(1), vec![(700, Does::Waits)]].concat());
    let called = real(&[vec![(0, ask())], hazards(1), vec![(700, Does::Waits)]].concat());
    assert_eq!(alone, called.iter().copied().filter(|(at, _)| *at != 300).collect::<Vec<_>>());

    let left_out = play(&mut town(), &[hazards(0), vec![(5, ask())]].concat(), true);
    assert!(left_out.contains(&(5, "A-5 NotTold Unacknowledged".to_owned())), "{left_out:?}");
    assert!(left_out.iter().all(|(_, line)| !line.starts_with("A-5/1/")), "{left_out:?}");
}

/// What real alarms do: their lines and alerts, alarms counted in the order of their raising.
fn real(script: &[(u64, Vec<Does>)]) -> Vec<(u64, usize, String)> {
    let mut engine = engine();
    let (mut all, mut order, mut practice) = (Vec::new(), Vec::new(), std::collections::BTreeSet::new());
    let mut ms = 0;
    for (wait, does) in script {
        ms += wait;
        let mut step = |engine: &mut Engine, ms: u64, events: Vec<Event>| {
            for effect in engine.apply(&Batch { seq: 1, now: now(ms), events }).effects {
                let (alarm, words) = match &effect {
                    Effect::Alarm(alarm, entry) => {
                        if alarm.exercise().is_some() {
                            practice.insert(alarm.id);
                        } else if entry.what == What::Raised {
                            order.push(alarm.id);
                        }
                        (alarm.id, format!("{:?} {:?}", entry.what, alarm.state))
                    }
                    Effect::Tell(alert) => {
                        (alert.alarm, format!("{} {:?} {}", alert.step, alert.person, alert.channel))
                    }
                    Effect::Withdraw(alarm) => (*alarm, "withdraw".to_owned()),
                };
                if !practice.contains(&alarm) {
                    let place = order.iter().position(|known| *known == alarm).expect("raised before");
                    all.push((ms, place, words));
                }
            }
        };
        while let Some(wake) = engine.wake_at().filter(|wake| wake.0 < ms) {
            step(&mut engine, wake.0, Vec::new());
        }
        step(&mut engine, ms, does.iter().filter_map(|does| does.clone().event(now(ms).wall)).collect());
    }
    all
}

fn is_exercise(does: &Does) -> bool {
    matches!(does, Does::Acts(_, Deed::Drill { .. } | Deed::RollCall { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// The same night with and without exercises: every real alarm is raised, told and climbs at the same moments, to the same people.
    #[test]
    fn an_exercise_changes_nothing_that_is_real(script in prop::collection::vec(
        (prop_oneof![3 => 0u64..20_000, 2 => 0u64..700_000], prop::collection::vec(prop_oneof![
            4 => super::properties::report(),
            1 => (0u32..5).prop_map(|cell| drill(cell, SignalClass::Fire)),
            1 => (2u32..4).prop_map(|cell| roll_call(&[(cell, "ann"), (cell, "bob"), (1, "carl")])),
        ], 0..4)), 1..40)
    ) {
        let mut without = script.clone();
        without.iter_mut().for_each(|(_, does)| does.retain(|does| !is_exercise(does)));
        prop_assert_eq!(real(&script), real(&without));
    }
}
