//! Supervision of a resolved alarm: verified, sent back, evaluated, each by somebody who had no hand in it.
//!
//! Closed alarms are not the engine's any more: what may be said of one is decided here, and written by the store, which has it.

use super::Refusal;
use super::alarm::unanswer;
use crate::model::{Alarm, AlarmState, Evaluation, Signed, Verdict};

/// Resolved, and by others than the one who looks at it now.
fn open_to(alarm: &Alarm, who: &str) -> Result<(), Refusal> {
    if alarm.state == AlarmState::Closed {
        return Err(Refusal::NoSuchAlarm(alarm.id));
    }
    if alarm.resolved.is_none() {
        return Err(Refusal::NotResolved(alarm.id));
    }
    if alarm.was_handled_by(who) {
        return Err(Refusal::OwnWork(alarm.id, who.to_owned()));
    }
    Ok(())
}

pub(super) fn verify(alarm: &mut Alarm, signed: Signed) -> Result<(), Refusal> {
    open_to(alarm, &signed.by)?;
    if let Some(before) = &alarm.handling.verified {
        return Err(Refusal::AlreadyVerified(alarm.id, before.by.clone()));
    }
    alarm.handling.verified = Some(signed);
    Ok(())
}

/// Back to be answered; `signed` has the reason.
pub(super) fn send_back(alarm: &mut Alarm, signed: Signed) -> Result<(), Refusal> {
    open_to(alarm, &signed.by)?;
    unanswer(alarm);
    alarm.handling.sent_back = Some(signed);
    Ok(())
}

/// A later verdict takes the place of an earlier one.
pub(super) fn evaluate(alarm: &mut Alarm, signed: Signed, verdict: Verdict) -> Result<(), Refusal> {
    open_to(alarm, &signed.by)?;
    alarm.handling.evaluated = Some(Evaluation { signed, verdict });
    Ok(())
}

/// The same for an alarm that is closed, whether anybody resolved it or it ended by itself.
pub fn judge_closed(alarm: &mut Alarm, signed: Signed, verdict: Verdict) -> Result<(), Refusal> {
    if alarm.is_open() {
        return Err(Refusal::NotResolved(alarm.id));
    }
    if alarm.was_handled_by(&signed.by) {
        return Err(Refusal::OwnWork(alarm.id, signed.by));
    }
    alarm.handling.evaluated = Some(Evaluation { signed, verdict });
    Ok(())
}
