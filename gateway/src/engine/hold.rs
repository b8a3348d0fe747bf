//! What keeps an alarm from calling for a while: suspended (挂账), shelved, suppressed while its place is out of service.
//!
//! Every hold has a name, a reason and an end. An active fire is never held. When the end comes the alarm calls again, if it still must be answered.

use super::Refusal;
use super::alarm::unanswer;
use crate::model::{Alarm, AlarmId, AlarmState, Held, Hold, SignalClass, Signed};
use crate::units::{Millis, Now, Steady, Timestamp};

pub(super) const SHELVED_MAX: Millis = Millis::from_secs(24 * 3600);
pub(super) const SUSPENDED_MAX: Millis = Millis::from_secs(366 * 24 * 3600);
pub(super) const OUT_OF_SERVICE_MAX: Millis = Millis::from_secs(31 * 24 * 3600);

/// Until a moment within the longest time there is for it.
pub(super) fn held(
    how: Hold,
    signed: Signed,
    until: Timestamp,
    longest: Millis,
    now: Now,
) -> Result<Held, Refusal> {
    if until <= now.wall || longest < until.since(now.wall) {
        return Err(Refusal::BadUntil(longest));
    }
    Ok(Held { how, signed, until, due: due(until, now) })
}

/// When the steady clock will have come to a moment.
fn due(until: Timestamp, now: Now) -> Steady {
    now.steady + until.since(now.wall)
}

/// An acknowledged case that cannot be settled before a date.
pub(super) fn suspend(alarm: &mut Alarm, signed: Signed, until: Timestamp, now: Now) -> Result<(), Refusal> {
    match alarm.state {
        AlarmState::Closed => return Err(Refusal::NoSuchAlarm(alarm.id)),
        AlarmState::Unacknowledged | AlarmState::ReturnedUnacknowledged => {
            return Err(Refusal::NotAcknowledged(alarm.id));
        }
        AlarmState::Acknowledged if alarm.class == SignalClass::Fire => return Err(Refusal::Fire(alarm.id)),
        AlarmState::Acknowledged | AlarmState::Returned => (),
    }
    if let Some(resolution) = &alarm.resolved {
        return Err(Refusal::AlreadyResolved(alarm.id, resolution.signed.by.clone()));
    }
    put(alarm, held(Hold::Suspended, signed, until, SUSPENDED_MAX, now)?);
    Ok(())
}

pub(super) fn shelve(alarm: &mut Alarm, signed: Signed, until: Timestamp, now: Now) -> Result<(), Refusal> {
    if alarm.state == AlarmState::Closed {
        return Err(Refusal::NoSuchAlarm(alarm.id));
    }
    if alarm.class == SignalClass::Fire {
        return Err(Refusal::Fire(alarm.id));
    }
    if let Some(resolution) = &alarm.resolved {
        return Err(Refusal::AlreadyResolved(alarm.id, resolution.signed.by.clone()));
    }
    put(alarm, held(Hold::Shelved, signed, until, SHELVED_MAX, now)?);
    Ok(())
}

/// Raised while its place is out of service, or part of a failure that calls for all.
pub(super) fn suppress(alarm: &mut Alarm, window: AlarmId, of: &Held) {
    put(alarm, Held { how: Hold::Suppressed(window), ..of.clone() });
}

fn put(alarm: &mut Alarm, held: Held) {
    alarm.handling.held = Some(held);
    alarm.handling.progress_by = None;
    if let Some(position) = &mut alarm.ladder {
        position.next_at = None;
    }
}

/// What the end of a hold asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// Nobody has it in hand: its ladder calls.
    Calls,
    /// Somebody acknowledged it meanwhile or before.
    InHand,
}

/// A suspended case must be answered anew.
pub(super) fn release(alarm: &mut Alarm) -> Released {
    let before = alarm.handling.held.take();
    if before.is_some_and(|held| held.how == Hold::Suspended) {
        unanswer(alarm);
    }
    if alarm.acknowledged.is_some() { Released::InHand } else { Released::Calls }
}

/// Looks at a hold whose time may have come; `true` when it has. A wall clock that was set back makes it wait on.
pub(super) fn is_due(alarm: &mut Alarm, now: Now) -> bool {
    let Some(held) = &mut alarm.handling.held else { return false };
    if now.steady < held.due {
        return false;
    }
    if held.until <= now.wall {
        return true;
    }
    held.due = due(held.until, now);
    false
}
