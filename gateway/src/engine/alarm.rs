//! One alarm: its ISA-18.2 states, and the way of the people to it.
//!
//! Pure and small: each function is one thing that can happen to an alarm. Records and alerts are made by `open.rs` and `deeds.rs`. A new rule
//! of the plant changes this file or its neighbours (`review.rs`, `hold.rs`, `owner.rs`) and their tests, nothing else.
//!
//! ```text
//!  Unacknowledged ──ack──▶ Acknowledged          close = returned      over when returned
//!     │   ▲                  │   ▲               close = acknowledged  over when acknowledged and returned
//!  return again           return again*          close = resolved      over when acknowledged, returned and resolved
//!     ▼   │                  ▼   │               close = verified      … and verified by somebody else
//!  ReturnedUnack ───ack──▶ Returned              close = evaluated     … and evaluated
//!
//!  * A fire, and whatever was resolved already, becomes unacknowledged again; anything else stays in hand.
//!  Whatever else undoes an answer (sent back, handed over, resumed, no progress) goes from the right side to the left.
//! ```

use super::Refusal;
use crate::config::rules::Close;
use crate::model::{Alarm, AlarmState, Disposition, FalseCause, Resolution, SignalClass, Signed};
use crate::units::Timestamp;

/// Somebody has it in hand. More people may follow while a step of the ladder needs them.
pub(super) fn acknowledge(alarm: &mut Alarm, signed: Signed) -> Result<(), Refusal> {
    match alarm.state {
        AlarmState::Unacknowledged => alarm.state = AlarmState::Acknowledged,
        AlarmState::ReturnedUnacknowledged => alarm.state = AlarmState::Returned,
        AlarmState::Acknowledged | AlarmState::Returned => {
            let first = alarm.acknowledged.as_ref().map(|signed| signed.by.as_str()).unwrap_or_default();
            let already = [first]
                .into_iter()
                .chain(alarm.handling.joined.iter().map(|signed| signed.by.as_str()))
                .find(|by| *by == signed.by);
            if let Some(by) = already.or(alarm.is_answered().then_some(first)) {
                return Err(Refusal::AlreadyAcknowledged(alarm.id, by.to_owned()));
            }
            alarm.handling.note_hand(&signed.by);
            alarm.handling.joined.push(signed);
            return Ok(());
        }
        AlarmState::Closed => return Err(Refusal::NoSuchAlarm(alarm.id)),
    }
    alarm.handling.held = None;
    alarm.handling.note_hand(&signed.by);
    alarm.acknowledged = Some(signed);
    Ok(())
}

/// A step of the way to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    OnTheWay,
    OnSite,
}

/// Somebody who acknowledged goes, or is there. Several may go; the newest is shown.
pub(super) fn go(alarm: &mut Alarm, way: Way, signed: Signed) -> Result<(), Refusal> {
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
    let (said, words) = match way {
        Way::OnTheWay => (&mut alarm.handling.on_the_way, "on the way"),
        Way::OnSite => (&mut alarm.handling.on_site, "on site"),
    };
    if said.as_ref().is_some_and(|before| before.by == signed.by) {
        return Err(Refusal::AlreadySaid(alarm.id, signed.by, words));
    }
    let who = signed.by.clone();
    *said = Some(signed);
    alarm.handling.note_hand(&who);
    alarm.handling.progress_by = None;
    alarm.handling.held = None;
    Ok(())
}

/// Somebody says what it was.
pub(super) fn resolve(
    alarm: &mut Alarm,
    signed: Signed,
    disposition: Disposition,
    cause: Option<FalseCause>,
) -> Result<(), Refusal> {
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
    alarm.handling.note_hand(&signed.by);
    alarm.resolved = Some(Resolution { signed, disposition, cause });
    alarm.handling.progress_by = None;
    alarm.handling.held = None;
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
    /// Somebody had it in hand or resolved it, and it must be answered anew.
    Unanswered,
}

pub(super) fn active_again(alarm: &mut Alarm) -> Again {
    let again = match alarm.state {
        AlarmState::Unacknowledged | AlarmState::Acknowledged | AlarmState::Closed => {
            return Again::StillActive;
        }
        AlarmState::ReturnedUnacknowledged => {
            alarm.state = AlarmState::Unacknowledged;
            Again::AsBefore
        }
        AlarmState::Returned if alarm.class == SignalClass::Fire || alarm.resolved.is_some() => {
            unanswer(alarm);
            alarm.state = AlarmState::Unacknowledged;
            Again::Unanswered
        }
        AlarmState::Returned => {
            alarm.state = AlarmState::Acknowledged;
            Again::AsBefore
        }
    };
    alarm.returned = None;
    again
}

/// Back to be answered: what people said since it was acknowledged counts no more. The history has it.
pub(super) fn unanswer(alarm: &mut Alarm) {
    alarm.state = match alarm.state {
        AlarmState::Unacknowledged | AlarmState::Acknowledged => AlarmState::Unacknowledged,
        AlarmState::ReturnedUnacknowledged | AlarmState::Returned => AlarmState::ReturnedUnacknowledged,
        AlarmState::Closed => return,
    };
    (alarm.acknowledged, alarm.resolved) = (None, None);
    let handling = &mut alarm.handling;
    handling.joined.clear();
    handling.need = 0;
    (handling.on_the_way, handling.on_site, handling.verified) = (None, None, None);
    (handling.evaluated, handling.progress_by, handling.held) = (None, None, None);
}

/// Whether nothing remains to be done.
pub(super) fn is_over(alarm: &Alarm, close: Close) -> bool {
    match alarm.state {
        AlarmState::Unacknowledged | AlarmState::Acknowledged => false,
        AlarmState::Closed => true,
        AlarmState::ReturnedUnacknowledged => close == Close::Returned,
        AlarmState::Returned => match close {
            Close::Returned | Close::Acknowledged => true,
            Close::Resolved => alarm.resolved.is_some(),
            Close::Verified => alarm.handling.verified.is_some(),
            Close::Evaluated => alarm.handling.verified.is_some() && alarm.handling.evaluated.is_some(),
        },
    }
}

pub(super) fn close(alarm: &mut Alarm, at: Timestamp) {
    alarm.state = AlarmState::Closed;
    alarm.closed = Some(at);
    (alarm.handling.progress_by, alarm.handling.held) = (None, None);
    if let Some(position) = &mut alarm.ladder {
        position.next_at = None;
    }
}
