//! Suspended, shelved, out of service: quiet for a while, with a name, a reason and an end.

use super::handling::does;
use super::*;
use crate::model::AlarmState;

const A: AlarmId = AlarmId(1);

fn pressure(value: f64) -> Does {
    Does::Says(says(HYDRANT, &[("pressure", value)]))
}

fn suspend(until: f64) -> Does {
    does("ann", Deed::Suspend { alarm: A, until: timestamp(until), reason: "a part is ordered".into() })
}

fn shelve(until: f64) -> Does {
    does("ann", Deed::Shelve { alarm: A, until: timestamp(until), reason: "road works".into() })
}

fn window(cell: u32, device: Option<DeviceIx>, until: f64) -> Does {
    let (cell, until) = (CellIx(cell), timestamp(until));
    does("carl", Deed::BeginMaintenance { cell, device, until, reason: "flushing".into() })
}

/// The hydrant's low pressure from 30 s on.
fn low() -> Vec<(u64, Does)> {
    vec![(0, pressure(100.0)), (31, Does::Waits)]
}

fn then(script: &[(u64, Does)]) -> Vec<(u64, String)> {
    let mut engine = engine();
    let found = play(&mut engine, &[low(), script.to_vec()].concat(), true);
    let mut found: Vec<_> = found.into_iter().skip(1).collect();
    found.retain(|(_, line)| !line.starts_with("A-2") && !line.starts_with("A-3")); // Devices fall silent.
    found
}

fn expect(found: Vec<(u64, String)>, expected: &[(u64, &str)]) {
    let found: Vec<_> = found.iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_suspended_case_calls_again_at_its_date() {
    expect(
        then(&[(32, suspend(600.0)), (40, ack(1)), (50, suspend(600.0)), (700, Does::Waits)]),
        &[
            (32, "alarm A-1 must be acknowledged first"),
            (40, "A-1 Acknowledged Acknowledged"),
            (40, "withdraw A-1"),
            (50, "A-1 Suspended Acknowledged"),
            (50, "withdraw A-1"),
            (600, "A-1 Resumed Unacknowledged"),
            (660, "A-1 Escalated Unacknowledged"),
            (660, "A-1/1/bob/push"),
        ],
    );
    let resume = || does("ann", Deed::Resume { alarm: A, note: None });
    expect(
        then(&[(40, ack(1)), (50, resume()), (51, suspend(9e9)), (52, suspend(3600.0)), (60, resume())]),
        &[
            (40, "A-1 Acknowledged Acknowledged"),
            (40, "withdraw A-1"),
            (50, "alarm A-1 is not suspended"),
            (51, "the end must lie ahead, by 8784 hours at most"),
            (52, "A-1 Suspended Acknowledged"),
            (52, "withdraw A-1"),
            (60, "A-1 Resumed Unacknowledged"),
        ],
    );
}

#[test]
fn a_shelved_alarm_is_quiet_and_calls_when_its_time_is_over() {
    expect(
        then(&[(40, shelve(1000.0)), (1100, Does::Waits)]),
        &[
            (40, "A-1 Shelved Unacknowledged"),
            (40, "withdraw A-1"),
            (1000, "A-1 Resumed Unacknowledged"),
            (1060, "A-1 Escalated Unacknowledged"),
            (1060, "A-1/1/bob/push"),
        ],
    );
    let unshelve = does("ann", Deed::Unshelve { alarm: A, note: None });
    expect(
        then(&[(40, shelve(90_000.0)), (41, shelve(1000.0)), (42, ack(1)), (43, unshelve)]),
        &[
            (40, "the end must lie ahead, by 24 hours at most"),
            (41, "A-1 Shelved Unacknowledged"),
            (41, "withdraw A-1"),
            (42, "A-1 Acknowledged Acknowledged"),
            (42, "withdraw A-1"),
            (43, "alarm A-1 is not shelved"),
        ],
    );
}

#[test]
fn a_fire_is_not_put_off() {
    let mut engine = engine();
    let found =
        play(&mut engine, &[(0, smoke(true)), (1, shelve(60.0)), (2, ack(1)), (3, suspend(60.0))], true);
    let refused: Vec<_> =
        found.iter().filter(|(_, line)| line.contains("put off")).map(|(at, _)| *at).collect();
    assert_eq!(refused, [1, 3]);
}

#[test]
fn out_of_service_nothing_but_fire_calls_and_what_still_stands_calls_at_the_end() {
    // The window is over the community, the hydrant and the kitchen below it.
    check(
        &[
            (0, window(1, None, 1000.0)),
            (1, window(1, None, 2000.0)),
            (2, pressure(100.0)),
            (40, smoke(true)),
            (50, does("carl", Deed::Acknowledge { alarm: AlarmId(1), note: None })),
            (1100, Does::Waits),
        ],
        &[
            (0, "A-1 Raised Acknowledged"),
            (1, "it is out of service already: A-1"),
            (32, "A-2 Raised Unacknowledged"),
            (32, "A-2 Suppressed Unacknowledged"),
            (40, "A-3 Raised Unacknowledged"),
            (40, "A-3/1/ann/push"),
            (40, "A-3/1/ann/sms"),
            (50, "A-1 is a time out of service; it can only be ended"),
            (160, "A-3 Escalated Unacknowledged"),
            (160, "A-3/2/carl/push"),
            (340, "A-3 Escalated Unacknowledged"),
            (340, "A-3/3/dora/voice"),
            (340, "A-3/3/chief/voice"),
            (940, "A-3 Escalated Unacknowledged"),
            (940, "A-3/4/mayor/voice"),
            (1000, "A-1 Returned Acknowledged"),
            (1000, "A-1 Closed Closed"),
            (1000, "A-2 Resumed Unacknowledged"),
            (1060, "A-2 Escalated Unacknowledged"),
            (1060, "A-2/1/bob/push"),
        ],
    );
}

#[test]
fn what_comes_and_goes_while_out_of_service_is_recorded_and_over() {
    let end = does("carl", Deed::EndMaintenance { alarm: AlarmId(1), note: None });
    check(
        &[
            (0, window(2, Some(HYDRANT), 1000.0)),
            (2, pressure(100.0)),
            (50, pressure(200.0)),
            (120, Does::Waits),
            (130, end.clone()),
            (131, end),
        ],
        &[
            (0, "A-1 Raised Acknowledged"),
            (32, "A-2 Raised Unacknowledged"),
            (32, "A-2 Suppressed Unacknowledged"),
            (110, "A-2 Returned ReturnedUnacknowledged"),
            (110, "A-2 Closed Closed"),
            (110, "withdraw A-2"),
            (130, "A-1 Returned Acknowledged"),
            (130, "A-1 Closed Closed"),
            (131, "there is no time out of service A-1; it may be over"),
        ],
    );
}

#[test]
fn a_window_survives_changed_rules_and_lost_snapshots() {
    let mut engine = engine();
    play(&mut engine, &[(0, window(2, None, 5000.0)), (1, pressure(100.0)), (40, Does::Waits)], true);
    let (registry, rules) = (engine.registry.clone(), engine.rules.clone());
    assert_eq!(engine.reconfigure(registry.clone(), rules.clone(), now(50_000)), []);
    let open: Vec<Alarm> = engine.open_alarms().cloned().collect();
    assert_eq!(
        open.iter().map(|alarm| alarm.state).collect::<Vec<_>>(),
        [AlarmState::Acknowledged, AlarmState::Unacknowledged]
    );
    let mut salvaged = Engine::salvage(registry, rules, now(60_000), AlarmId(2), open);
    let found = play(&mut salvaged, &[(3000, Does::Waits), (5061, Does::Waits)], true);
    assert!(found.contains(&(5060, "A-2/1/bob/push".into())), "{found:?}");
}

/// A clock that was set back: the date has not come.
#[test]
fn a_date_is_a_date_on_the_wall() {
    let mut engine = engine();
    play(&mut engine, &[low(), vec![(40, ack(1)), (50, suspend(600.0))]].concat(), true);
    let at = |steady: u64, wall: f64| Batch {
        seq: 0,
        now: Now { wall: timestamp(wall), steady: Steady(steady * 1000) },
        events: Vec::new(),
    };
    assert_eq!(engine.apply(&at(600, 300.0)).effects, []);
    assert_eq!(engine.apply(&at(899, 599.0)).effects, []);
    assert_eq!(
        engine.apply(&at(900, 600.0)).effects.iter().map(line).collect::<Vec<_>>(),
        ["A-1 Resumed Unacknowledged"]
    );
}
