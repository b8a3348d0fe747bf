//! Who is told when.

use super::*;
use crate::grid::{Member, Team, TeamKind};

fn smoke_at(device: DeviceIx) -> Does {
    Does::Says(says(device, &[("smoke", 1.0)]))
}

fn clear(device: DeviceIx) -> Does {
    Does::Says(says(device, &[("smoke", 0.0)]))
}

#[test]
fn climbs_to_the_top_and_on_to_the_next_ladder() {
    check(
        &[(0, smoke_at(KITCHEN)), (2000, Does::Waits)],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/ann/push"),
            (0, "A-1/1/ann/sms"),
            (120, "A-1 Escalated Unacknowledged"),
            (120, "A-1/2/carl/push"),
            (300, "A-1 Escalated Unacknowledged"),
            (300, "A-1/3/dora/voice"),
            (300, "A-1/3/chief/voice"),
            (900, "A-1 Escalated Unacknowledged"),
            (900, "A-1/4/mayor/voice"),
            (1500, "A-2 Raised Unacknowledged"),
            (1500, "A-1 Unanswered Unacknowledged"),
        ],
    );
}

#[test]
fn that_nobody_answered_is_said_once_and_until_somebody_does() {
    let comes_back = [(2000, clear(KITCHEN)), (2400, smoke_at(KITCHEN))];
    let script =
        [vec![(0, smoke_at(KITCHEN))], comes_back.to_vec(), vec![(3500, Does::Waits), (3550, ack(1))]]
            .concat();
    let mut engine = engine();
    let found = play(&mut engine, &script, true);
    let said: Vec<_> = found
        .iter()
        .map(|(at, line)| (*at, line.as_str()))
        .filter(|(_, line)| {
            line.starts_with("A-2") || line.contains("Unanswered ") || line.contains("withdraw")
        })
        .collect();
    assert_eq!(
        said,
        [
            (1500, "A-2 Raised Unacknowledged"),
            (1500, "A-1 Unanswered Unacknowledged"),
            (3550, "withdraw A-1"),
            (3550, "A-2 Closed Closed"),
            (3550, "withdraw A-2"),
        ]
    );
    assert_eq!(engine.open_alarms().count(), 1);
}

#[test]
fn escalation_moves_the_owner_up() {
    let mut engine = engine();
    for (until, owner) in [(0, "ann"), (119, "ann"), (120, "carl"), (300, "dora"), (900, "dora")] {
        let script = if until == 0 { (0, smoke_at(KITCHEN)) } else { (until, Does::Waits) };
        play(&mut engine, &[script], false);
        assert_eq!(engine.open_alarms().next().unwrap().owner.as_deref(), Some(owner), "at {until} s");
    }
    let position = engine.open_alarms().next().unwrap().ladder.clone().unwrap();
    assert_eq!(
        (position.ladder.as_str(), position.steps_taken, position.next_at),
        ("city", 4, Some(Steady(1_500_000)))
    );
}

#[test]
fn only_an_answer_stops_it() {
    let clear = Does::Says(says(KITCHEN, &[("smoke", 0.0)]));
    check(
        &[(0, smoke_at(KITCHEN)), (10, clear), (130, ack(1)), (2000, Does::Waits)],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/ann/push"),
            (0, "A-1/1/ann/sms"),
            (10, "A-1 Returned ReturnedUnacknowledged"),
            (120, "A-1 Escalated ReturnedUnacknowledged"),
            (120, "A-1/2/carl/push"),
            (130, "A-1 Acknowledged Returned"),
            (130, "withdraw A-1"),
        ],
    );
}

#[test]
fn a_cell_without_people_of_its_own_falls_to_the_parent() {
    let mut engine = engine();
    let found = play(&mut engine, &[(0, smoke_at(HALL)), (121, Does::Waits)], false);
    let told: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(
        told,
        [
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/carl/push"),
            (0, "A-1/1/carl/sms"),
            (120, "A-1 Escalated Unacknowledged"),
            (120, "A-1/2/carl/push"),
        ]
    );
}

#[test]
fn a_step_without_anybody_is_recorded_and_the_next_follows_at_once() {
    // Nobody answers for the park: a fire goes to the channels without a person, and on to the chief, all at once.
    check(
        &[(0, smoke_at(LOST)), (1000, Does::Waits)],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1 NobodyToTell Unacknowledged"),
            (0, "A-1 NobodyToTell Unacknowledged"),
            (0, "A-1 Escalated Unacknowledged"),
            (0, "A-1/1/-/push"),
            (0, "A-1/1/-/sms"),
            (0, "A-1/2/-/push"),
            (0, "A-1/3/chief/voice"),
            (600, "A-1 Escalated Unacknowledged"),
            (600, "A-1/4/mayor/voice"),
        ],
    );
    // Anything else only leaves the record.
    let pressure = Does::Acts(
        "bob",
        Deed::Raise { cell: CellIx(4), device: None, class: SignalClass::Supervisory, text: "low".into() },
    );
    check(
        &[(0, pressure), (100, Does::Waits)],
        &[(0, "A-1 Raised Unacknowledged"), (60, "A-1 NobodyToTell Unacknowledged")],
    );
}

#[test]
fn steps_missed_while_the_gateway_was_down_are_taken_after() {
    check(
        &[(0, smoke_at(KITCHEN)), (1000, Does::WasDown), (1500, Does::Waits), (1601, Does::Waits)],
        &[
            (0, "A-1 Raised Unacknowledged"),
            (0, "A-1/1/ann/push"),
            (0, "A-1/1/ann/sms"),
            (1000, "A-1 Escalated Unacknowledged"),
            (1000, "A-1 Escalated Unacknowledged"),
            (1000, "A-1/2/carl/push"),
            (1000, "A-1/3/dora/voice"),
            (1000, "A-1/3/chief/voice"),
            (1600, "A-1 Escalated Unacknowledged"),
            (1600, "A-1/4/mayor/voice"),
        ],
    );
}

#[test]
fn the_people_are_those_on_duty_then() {
    let mut rows = rows();
    rows.duties[0].until = Some(timestamp(50.0)); // Ann's duty ends; Bob the worker stays.
    let registry = Registry::build(rows);
    let book = book(RULES, &registry);
    for (at, owner, keys) in [
        (49, "ann", vec!["A-1/1/ann/push", "A-1/1/ann/sms"]),
        (50, "bob", vec!["A-1/1/bob/push", "A-1/1/bob/sms"]),
    ] {
        let mut engine = Engine::new(registry.clone(), book.clone(), now(0));
        let found = play(&mut engine, &[(at, smoke_at(KITCHEN))], false);
        let told: Vec<_> =
            found.iter().map(|(_, line)| line.as_str()).filter(|line| line.contains('/')).collect();
        assert_eq!(told, keys);
        assert_eq!(engine.open_alarms().next().unwrap().owner.as_deref(), Some(owner));
    }
}

#[test]
fn a_team_is_called_by_name_or_because_it_is_there_for_the_cell() {
    let team = |name: &str, people: &[&str], cells: &[&str]| Team {
        name: name.into(),
        kind: TeamKind::Response,
        members: people.iter().map(|id| Member { person: (*id).into(), part: "helps".into() }).collect(),
        cells: cells.iter().map(|code| (*code).into()).collect(),
        devices: Vec::new(),
        flat: None,
        from: timestamp(0.0),
        until: None,
    };
    let mut rows = rows();
    rows.teams = vec![
        team("storm", &["dora", "bob"], &["b2"]),
        team("stairs", &["chief"], &["community"]),
        team("elsewhere", &["mayor"], &["nobody"]),
    ];
    let registry = Registry::build(rows);
    for (who, told) in
        [("team:storm", vec!["dora", "bob"]), ("team", vec!["chief"]), ("team:none", vec!["-"])]
    {
        let rules = RULES.replace(
            "\"responsible\", \"lead\"], channels = [\"push\", \"sms\"]",
            &format!("\"{who}\"], channels = [\"push\"]"),
        );
        let mut engine = Engine::new(registry.clone(), book(&rules, &registry), now(0));
        let found = play(&mut engine, &[(0, smoke_at(KITCHEN))], true);
        let first: Vec<_> =
            found.iter().filter_map(|(_, line)| line.strip_prefix("A-1/1/")?.strip_suffix("/push")).collect();
        assert_eq!(first, told, "{who}");
    }
}
