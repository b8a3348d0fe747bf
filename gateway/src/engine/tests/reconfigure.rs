//! Imports and edited rules while alarms stand.

use super::*;
use crate::grid::Rows;

fn tamper() -> Does {
    Does::Says(says(KITCHEN, &[("tamper", 1.0)]))
}

/// Plays `before`, changes registry and rules at `at` seconds, plays `after`; returns the effects from the change on.
fn change(
    before: &[(u64, Does)],
    at: u64,
    edit: impl Fn(&mut Rows, &mut String),
    after: &[(u64, Does)],
) -> Vec<(u64, String)> {
    let both = [false, true].map(|restart| {
        let mut engine = engine();
        play(&mut engine, before, false);
        let (mut rows, mut rules) = (rows(), RULES.to_owned());
        edit(&mut rows, &mut rules);
        let registry = Registry::build(rows);
        let book = book(&rules, &registry);
        if restart {
            // The gateway was stopped, the files edited, and the gateway started again.
            engine = Engine::restore(&engine.snapshot(), registry.clone(), book.clone()).unwrap();
        }
        let effects = engine.reconfigure(registry.clone(), book.clone(), now(at * 1000));
        assert_eq!(
            engine.reconfigure(registry, book, now(at * 1000)),
            [],
            "a second time it changes nothing"
        );
        let mut lines: Vec<_> = effects.iter().map(|effect| (at, line(effect))).collect();
        lines.extend(play(&mut engine, after, true));
        lines
    });
    // A restart does not know the old time of silence, so only the order is the same.
    let order = |lines: &[(u64, String)]| lines.iter().map(|(_, line)| line.clone()).collect::<Vec<_>>();
    assert_eq!(order(&both[0]), order(&both[1]), "with a restart between");
    both[0].clone()
}

fn expect(found: Vec<(u64, String)>, expected: &[(u64, &str)]) {
    let found: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(found, expected);
}

fn without(rules: &mut String, name: &str) {
    let at = rules.find(&format!("name = \"{name}\"")).unwrap();
    let start = rules[..at].rfind("[[").unwrap();
    let end = rules[at..].find("[[").map_or(rules.len(), |next| at + next);
    rules.replace_range(start..end, "");
}

#[test]
fn without_a_change_nothing_changes() {
    let quiet = change(&[(0, smoke(true)), (1, tamper())], 10, |_, _| (), &[(11, smoke(true))]);
    expect(quiet, &[(11, "A-1 Repeated Unacknowledged")]);
}

#[test]
fn alarms_of_a_removed_rule_are_closed() {
    let found = change(
        &[(0, tamper()), (1, smoke(true))],
        10,
        |_, rules| without(rules, "tamper"),
        &[(20, tamper())],
    );
    expect(found, &[(10, "A-1 Closed Closed"), (10, "withdraw A-1")]);
}

#[test]
fn rules_may_move_about() {
    let found = change(
        &[(0, tamper()), (1, smoke(true))],
        10,
        |_, rules| without(rules, "test"),
        &[(20, smoke(false)), (21, Does::Says(says(KITCHEN, &[("tamper", 0.0)])))],
    );
    expect(
        found,
        &[(20, "A-2 Returned ReturnedUnacknowledged"), (21, "A-1 Returned ReturnedUnacknowledged")],
    );
}

#[test]
fn a_retired_device_keeps_only_its_fire_until_resolved() {
    let found = change(
        &[(0, tamper()), (1, smoke(true)), (2, ack(2))],
        10,
        |rows, _| rows.devices[KITCHEN.at()].retired = true,
        &[(11, smoke(false)), (12, resolve(2)), (4000, Does::Gone { device: KITCHEN, since: 0.0 })],
    );
    let of_kitchen: Vec<_> = found.into_iter().filter(|(at, _)| *at < 3000).collect();
    expect(
        of_kitchen,
        &[
            (10, "A-1 Closed Closed"),
            (10, "withdraw A-1"),
            (12, "A-2 Resolved Returned"),
            (12, "A-2 Closed Closed"),
        ],
    );
}

#[test]
fn a_new_device_is_armed_and_a_retired_one_is_not() {
    let found = change(
        &[(1000, smoke(false))],
        2000,
        |rows, _| {
            let mut new = rows.devices[KITCHEN.at()].clone();
            (new.ix, new.id, new.address) = (DeviceIx(7), "new".into(), "native:new".into());
            rows.devices.push(new);
            for device in [HALL, HYDRANT, LOST] {
                rows.devices[device.at()].retired = true;
            }
        },
        &[(10_000, Does::Waits)],
    );
    expect(found, &[(4600, "A-1 Raised Unacknowledged"), (5600, "A-2 Raised Unacknowledged")]);
}

#[test]
fn a_changed_time_of_silence_counts_from_the_last_sign_of_life() {
    for (silent_after_s, due) in [(5000, 6000), (2000, 3000), (100, 1500)] {
        let found = change(
            &[(1000, smoke(false))],
            1500,
            |rows, _| {
                rows.devices[KITCHEN.at()].silent_after = Some(Millis::from_secs(silent_after_s));
                for device in [HALL, HYDRANT, LOST] {
                    rows.devices[device.at()].retired = true;
                }
            },
            &[(9000, Does::Waits)],
        );
        let found: Vec<_> = found.into_iter().map(|(at, _)| at).collect();
        assert_eq!(found, [due], "silent after {silent_after_s} s");
    }
}

#[test]
fn an_alarm_whose_ladder_is_gone_climbs_another() {
    let found = change(
        &[(0, smoke(true))],
        10,
        |_, rules| {
            *rules = rules
                .replace("\"fire\"\n    then", "\"blaze\"\n    then")
                .replace("ladder = \"fire\"", "ladder = \"blaze\"")
        },
        &[(135, Does::Waits)],
    );
    expect(
        found,
        &[
            (10, "A-1 Escalated Unacknowledged"),
            (10, "A-1/2/ann/push"),
            (10, "A-1/2/ann/sms"),
            (130, "A-1 Escalated Unacknowledged"),
            (130, "A-1/3/carl/push"),
        ],
    );
}

#[test]
fn a_silence_whose_rule_is_replaced_is_judged_by_the_new_one() {
    let found = change(
        &[(3601, Does::Waits)],
        3700,
        |rows, rules| {
            *rules = rules.replace("name = \"silence\"", "name = \"quiet\"");
            for device in [HALL, HYDRANT, LOST] {
                rows.devices[device.at()].retired = true;
            }
        },
        &[(8000, Does::Waits)],
    );
    let raised: Vec<_> = found.into_iter().filter(|(_, line)| line.contains("Raised")).collect();
    expect(raised, &[(7300, "A-5 Raised Unacknowledged")]);
}

/// Else it would be taken for one of them.
#[test]
fn no_rule_has_a_name_of_the_stations_own_alarms() {
    use crate::config::rules::OWN_NAMES;
    use crate::engine::{exercise, failure::Failure, open};
    let failures = [Failure::CellDark, Failure::Main, Failure::Storm(SignalClass::Trouble)];
    let exercises = [exercise::DRILL, exercise::ROLL_CALL];
    let others = [open::MANUAL, open::UNANSWERED, open::MAINTENANCE, open::HAZARD, open::REPORTED];
    let own = failures.map(Failure::rule).into_iter().chain(exercises).chain(others);
    assert_eq!(own.filter(|name| !OWN_NAMES.contains(name)).collect::<Vec<_>>(), Vec::<&str>::new());
}
