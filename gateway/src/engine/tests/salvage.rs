//! What an engine knows that was made from the open alarms alone.

use super::*;

/// Plays `before`; then the snapshot is lost; plays `after` on what the store has. Returns what `after` led to.
fn after_loss(before: &[(u64, Does)], after: &[(u64, Does)]) -> Vec<(u64, String)> {
    let mut kept = engine();
    play(&mut kept, before, false);
    let open: Vec<_> = kept.open_alarms().cloned().collect();
    let mut engine = Engine::salvage(
        kept.registry.clone(),
        kept.rules.clone(),
        kept.now,
        AlarmId(kept.alarms.last()),
        open,
    );
    let (lost, whole) = (play(&mut engine, after, true), play(&mut kept, after, true));
    assert_eq!(lost, whole, "as if the snapshot had not been lost");
    lost
}

#[test]
fn goes_on_with_alarms_ladders_and_conditions() {
    let called = || Does::Says(says(CALL_POINT, &[("manual_alarm", 1.0)]));
    let late = || Does::Says(says(KITCHEN, &[("smoke", 1.0)]).how(Freshness::Retained));
    for (what, before, after, expected) in [
        (
            "a repeat pages nobody",
            vec![(0, smoke(true))],
            vec![(1, smoke(true))],
            "A-1 Repeated Unacknowledged",
        ),
        (
            "the clear ends it",
            vec![(0, smoke(true))],
            vec![(1, smoke(false))],
            "A-1 Returned ReturnedUnacknowledged",
        ),
        ("the ladder climbs on", vec![(0, smoke(true))], vec![(121, Does::Waits)], "A-1/2/carl/push"),
        (
            "on its second ladder too",
            vec![(0, smoke(true)), (301, Does::Waits)],
            vec![(901, Does::Waits)],
            "A-1/4/mayor/voice",
        ),
        (
            "answered is answered",
            vec![(0, smoke(true)), (1, ack(1))],
            vec![(200, resolve(1))],
            "A-1 Resolved Acknowledged",
        ),
        ("numbers go on, and confirm", vec![(0, smoke(true))], vec![(1, called())], "A-1/2/carl/push"),
        (
            "an episode is still the same",
            vec![(0, called())],
            vec![(1, called())],
            "A-1 Repeated Unacknowledged",
        ),
        (
            "a late fire is not raised twice",
            vec![(0, late())],
            vec![(1, late())],
            "A-1 Repeated Unacknowledged",
        ),
        (
            "one raised by hand",
            vec![(0, raise(2, SignalClass::Fire, "seen"))],
            vec![(1, ack(1)), (2, resolve(1))],
            "A-1 Closed Closed",
        ),
        ("silence ends", vec![(3601, Does::Waits)], vec![(3602, smoke(false))], "withdraw A-1"),
    ] {
        let found = after_loss(&before, &after);
        assert_eq!(found.last().map(|(_, line)| line.as_str()), Some(expected), "{what}: {found:?}");
    }
}
