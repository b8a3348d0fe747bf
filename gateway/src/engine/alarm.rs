//! One alarm: its ISA-18.2 states, and who may do what next.
//!
//! Pure and small: each function is one thing that can happen to an alarm. Records and alerts are made by `open.rs`. A new rule of the
//! plant changes this file and its tests, nothing else.
//!
//! ```text
//!  Unacknowledged ──ack──▶ Acknowledged          close = resolved      over when acknowledged, returned and resolved
//!     │   ▲                  │   ▲               close = acknowledged  over when acknowledged and returned
//!  return again           return again*          close = returned      over when returned
//!     ▼   │                  ▼   │
//!  ReturnedUnack ───ack──▶ Returned              * a fire becomes unacknowledged again, anything else stays in hand
//! ```

use super::Refusal;
use crate::config::rules::Close;
use crate::model::{Alarm, AlarmState, Disposition, Resolution, SignalClass, Signed};
use crate::units::Timestamp;

/// Somebody has it in hand.
pub(super) fn acknowledge(
    alarm: &mut Alarm,
    by: &str,
    at: Timestamp,
    note: Option<String>,
) -> Result<(), Refusal> {
    let state = match alarm.state {
        AlarmState::Unacknowledged => AlarmState::Acknowledged,
        AlarmState::ReturnedUnacknowledged => AlarmState::Returned,
        AlarmState::Acknowledged | AlarmState::Returned => {
            let by = alarm.acknowledged.as_ref().map_or_else(String::new, |signed| signed.by.clone());
            return Err(Refusal::AlreadyAcknowledged(alarm.id, by));
        }
        AlarmState::Closed => return Err(Refusal::NoSuchAlarm(alarm.id)),
    };
    alarm.state = state;
    alarm.acknowledged = Some(Signed { by: by.to_owned(), at, note });
    Ok(())
}

/// Somebody says what it was.
pub(super) fn resolve(alarm: &mut Alarm, signed: Signed, disposition: Disposition) -> Result<(), Refusal> {
    match alarm.state {
        AlarmState::Unacknowledged | AlarmState::ReturnedUnacknowledged => {
            return Err(Refusal::NotAcknowledged(alarm.id));
        }
        AlarmState::Closed => return Err(Refusal::NoSuchAlarm(alarm.id)),
        AlarmState::Acknowledged | AlarmState::Returned => (),
    }
    if let Some(resolution) = &alarm.resolved {
        return Err(Refusal::AlreadyResolved(alarm.id, resolution.signed.by.clone()));
    }
    alarm.resolved = Some(Resolution { signed, disposition });
    Ok(())
}

/// The condition is gone. `false` when it already was.
pub(super) fn returned(alarm: &mut Alarm, at: Timestamp) -> bool {
    alarm.state = match alarm.state {
        AlarmState::Unacknowledged => AlarmState::ReturnedUnacknowledged,
        AlarmState::Acknowledged => AlarmState::Returned,
        AlarmState::ReturnedUnacknowledged | AlarmState::Returned | AlarmState::Closed => return false,
    };
    alarm.returned = Some(at);
    true
}

/// The condition is back before the alarm was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It never was gone.
    StillActive,
    /// Active again, and answered (or not) as before.
    AsBefore,
    /// A fire that somebody had in hand must be answered anew.
    Unanswered,
}

pub(super) fn active_again(alarm: &mut Alarm) -> Again {
    let again = match (alarm.state, alarm.class) {
        (AlarmState::Unacknowledged | AlarmState::Acknowledged | AlarmState::Closed, _) => {
            return Again::StillActive;
        }
        (AlarmState::ReturnedUnacknowledged, _) => {
            alarm.state = AlarmState::Unacknowledged;
            Again::AsBefore
        }
        (AlarmState::Returned, SignalClass::Fire) => {
            alarm.state = AlarmState::Unacknowledged;
            alarm.acknowledged = None;
            Again::Unanswered
        }
        (
            AlarmState::Returned,
            SignalClass::Supervisory | SignalClass::Trouble | SignalClass::Disabled | SignalClass::Test,
        ) => {
            alarm.state = AlarmState::Acknowledged;
            Again::AsBefore
        }
    };
    alarm.returned = None;
    again
}

/// Whether nothing remains to be done.
pub(super) fn is_over(alarm: &Alarm, close: Close) -> bool {
    match (close, alarm.state) {
        (_, AlarmState::Unacknowledged | AlarmState::Acknowledged) => false,
        (_, AlarmState::Closed) => true,
        (Close::Returned, AlarmState::ReturnedUnacknowledged | AlarmState::Returned) => true,
        (Close::Acknowledged, AlarmState::Returned) => true,
        (Close::Resolved, AlarmState::Returned) => alarm.resolved.is_some(),
        (Close::Acknowledged | Close::Resolved, AlarmState::ReturnedUnacknowledged) => false,
    }
}

pub(super) fn close(alarm: &mut Alarm, at: Timestamp) {
    alarm.state = AlarmState::Closed;
    alarm.closed = Some(at);
    if let Some(position) = &mut alarm.ladder {
        position.next_at = None;
    }
}
