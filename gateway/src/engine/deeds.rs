//! What people do to open alarms: each deed is tried on the alarm alone, and when it is allowed leaves its line, its owner and its alerts.

use super::alarm::{self, Way};
use super::hold::{self, OUT_OF_SERVICE_MAX};
use super::ladder;
use super::open::{MAINTENANCE, New, Open, OpenAlarms, ladder_of};
use super::{Answer, Effect, Refusal, Turn, owner, review};
use crate::model::{
    Alarm, AlarmId, CellIx, DeviceIx, Disposition, FalseCause, HandTo, Hold, SignalClass, Signed, Verdict,
    What,
};
use crate::units::Timestamp;

/// Who, now, with these words.
pub(super) fn signed(who: &str, note: Option<String>, turn: &Turn<'_>) -> Signed {
    Signed { by: who.to_owned(), at: turn.now.wall, note }
}

impl OpenAlarms {
    /// The alarm outside its table, changed by `deed`, and back.
    fn change(
        &mut self,
        turn: &mut Turn<'_>,
        id: AlarmId,
        deed: impl FnOnce(&mut Self, &mut Open, &mut Turn<'_>) -> Result<(), Refusal>,
    ) -> Answer {
        let mut open = self.take(id).ok_or(Refusal::NoSuchAlarm(id))?;
        let answer = match open.alarm.rule == MAINTENANCE {
            true => Err(Refusal::IsMaintenance(id)),
            false => deed(self, &mut open, turn),
        };
        self.put(open);
        answer.map(|()| id)
    }

    pub fn acknowledge(&mut self, turn: &mut Turn<'_>, id: AlarmId, signed: Signed) -> Answer {
        self.change(turn, id, |alarms, open, turn| {
            alarms.take_in_hand(open, turn, signed)?;
            alarms.settle(open, turn);
            Ok(())
        })
    }

    fn take_in_hand(&mut self, open: &mut Open, turn: &mut Turn<'_>, signed: Signed) -> Result<(), Refusal> {
        let first = open.alarm.acknowledged.is_none();
        let (who, mut detail) = (signed.by.clone(), signed.note.clone().unwrap_or_default());
        alarm::acknowledge(&mut open.alarm, signed)?;
        if first {
            owner::taken_by(&mut open.alarm, &who, turn.registry, turn.now.wall);
        }
        let answered = open.alarm.is_answered();
        if answered {
            stop(&mut open.alarm, turn);
        } else {
            let count = 1 + open.alarm.handling.joined.len();
            let count = format!("{count} of {} who are needed", open.alarm.handling.need);
            detail = if detail.is_empty() { count } else { format!("{detail}; {count}") };
        }
        turn.record(&open.alarm, What::Acknowledged, Some(who), detail);
        if answered {
            turn.effects.push(Effect::Withdraw(open.alarm.id));
        }
        self.answered(open, turn);
        Ok(())
    }

    /// On the way or on site. Whoever goes without having said so before acknowledges by it.
    pub fn go(&mut self, turn: &mut Turn<'_>, id: AlarmId, way: Way, signed: Signed) -> Answer {
        self.change(turn, id, |alarms, open, turn| {
            let who = signed.by.clone();
            if open.alarm.acknowledged.is_none() {
                alarms.take_in_hand(open, turn, Signed { note: None, ..signed.clone() })?;
            }
            let detail = signed.note.clone().unwrap_or_default();
            let before = open.alarm.clone();
            alarm::go(&mut open.alarm, way, signed)?;
            open.alarm.owner = owner::when_gone(&before, &who, turn.registry);
            let what = match way {
                Way::OnTheWay => What::OnTheWay,
                Way::OnSite => What::OnSite,
            };
            turn.record(&open.alarm, what, Some(who), detail);
            alarms.settle(open, turn);
            Ok(())
        })
    }

    /// `ends_by_itself`: the device can still report the end. When it cannot, being resolved counts as returned.
    pub fn resolve(
        &mut self,
        turn: &mut Turn<'_>,
        id: AlarmId,
        signed: Signed,
        (disposition, cause): (Disposition, Option<FalseCause>),
        ends_by_itself: bool,
    ) -> Answer {
        self.change(turn, id, |alarms, open, turn| {
            let (who, detail) = (signed.by.clone(), signed.note.clone().unwrap_or_default());
            alarm::resolve(&mut open.alarm, signed, disposition, cause)?;
            if !open.alarm.is_answered() {
                stop(&mut open.alarm, turn); // It needs no more people.
                turn.effects.push(Effect::Withdraw(id));
            }
            open.alarm.handling.progress_by = None;
            if !ends_by_itself {
                alarm::returned(&mut open.alarm, turn.now.wall);
            }
            turn.record(&open.alarm, What::Resolved, Some(who), detail);
            alarms.settle(open, turn);
            Ok(())
        })
    }

    pub fn verify(&mut self, turn: &mut Turn<'_>, id: AlarmId, signed: Signed) -> Answer {
        self.change(turn, id, |alarms, open, turn| {
            let (who, detail) = (signed.by.clone(), signed.note.clone().unwrap_or_default());
            review::verify(&mut open.alarm, signed)?;
            turn.record(&open.alarm, What::Verified, Some(who), detail);
            alarms.settle(open, turn);
            Ok(())
        })
    }

    pub fn evaluate(&mut self, turn: &mut Turn<'_>, id: AlarmId, signed: Signed, verdict: Verdict) -> Answer {
        self.change(turn, id, |alarms, open, turn| {
            let (who, detail) = (signed.by.clone(), signed.note.clone().unwrap_or_default());
            review::evaluate(&mut open.alarm, signed, verdict)?;
            turn.record(&open.alarm, What::Evaluated, Some(who), detail);
            alarms.settle(open, turn);
            Ok(())
        })
    }

    pub fn send_back(&mut self, turn: &mut Turn<'_>, id: AlarmId, signed: Signed) -> Answer {
        self.change(turn, id, |_, open, turn| {
            let (who, reason) = (signed.by.clone(), signed.note.clone().unwrap_or_default());
            review::send_back(&mut open.alarm, signed)?;
            let ladder = ladder_of(open, turn);
            ladder::begin(&mut open.alarm, &mut open.run, ladder, turn);
            let climb = ladder::climb(&mut open.alarm, &mut open.run, turn);
            turn.record_start(&open.alarm, What::SentBack, Some(who), reason, climb);
            Ok(())
        })
    }

    /// The owner changes at once, and is told first; his acknowledgement is asked for.
    pub fn hand_over(&mut self, turn: &mut Turn<'_>, id: AlarmId, to: &HandTo, signed: Signed) -> Answer {
        self.change(turn, id, |_, open, turn| {
            if let Some(resolution) = &open.alarm.resolved {
                return Err(Refusal::AlreadyResolved(id, resolution.signed.by.clone()));
            }
            let next = owner::receiver(&open.alarm, to, turn.registry, turn.now.wall)?;
            let (who, reason) = (signed.by.clone(), signed.note.clone().unwrap_or_default());
            alarm::unanswer(&mut open.alarm);
            open.alarm.handling.note_hand(&who);
            open.alarm.handling.handed_over = Some(signed);
            open.alarm.handling.handed_to = Some(next.clone());
            open.alarm.owner = Some(next.clone());
            let ladder = ladder_of(open, turn);
            let climb =
                ladder::begin_with_owner(&mut open.alarm, &mut open.run, ladder, turn, "the new owner");
            turn.effects.push(Effect::Withdraw(id));
            turn.record(&open.alarm, What::HandedOver, Some(who), format!("to {next}: {reason}"));
            turn.record_climb(&open.alarm, climb);
            Ok(())
        })
    }

    pub fn suspend(&mut self, turn: &mut Turn<'_>, id: AlarmId, signed: Signed, until: Timestamp) -> Answer {
        self.change(turn, id, |_, open, turn| {
            hold::suspend(&mut open.alarm, signed, until, turn.now)?;
            held(&open.alarm, What::Suspended, turn);
            Ok(())
        })
    }

    pub fn shelve(&mut self, turn: &mut Turn<'_>, id: AlarmId, signed: Signed, until: Timestamp) -> Answer {
        self.change(turn, id, |_, open, turn| {
            hold::shelve(&mut open.alarm, signed, until, turn.now)?;
            held(&open.alarm, What::Shelved, turn);
            Ok(())
        })
    }

    /// Ends a suspension or a shelving before its time.
    pub fn resume(&mut self, turn: &mut Turn<'_>, id: AlarmId, how: Hold, signed: Signed) -> Answer {
        self.change(turn, id, |alarms, open, turn| {
            if open.alarm.handling.held.as_ref().is_none_or(|held| held.how != how) {
                return Err(Refusal::NotHeld(id, if how == Hold::Shelved { "shelved" } else { "suspended" }));
            }
            alarms.hold_over(open, turn, Some(signed.by), signed.note.unwrap_or_default());
            Ok(())
        })
    }

    pub fn begin_maintenance(
        &mut self,
        turn: &mut Turn<'_>,
        (cell, device): (CellIx, Option<DeviceIx>),
        signed: Signed,
        until: Timestamp,
    ) -> Answer {
        let same = |open: &&Open| {
            let Alarm { rule, cell: its_cell, device: its_device, .. } = &open.alarm;
            rule == MAINTENANCE && (*its_cell, *its_device) == (cell, device)
        };
        if let Some(open) = self.iter().find(same) {
            return Err(Refusal::AlreadyOutOfService(open.alarm.id));
        }
        let held = hold::held(Hold::OutOfService, signed.clone(), until, OUT_OF_SERVICE_MAX, turn.now)?;
        let new = New {
            rule: MAINTENANCE.to_owned(),
            class: SignalClass::Disabled,
            text: signed.note.clone().unwrap_or_default(),
            cell,
            device,
            late: None,
            trigger: None,
            ladder: None,
            who: Some(signed.by.clone()),
        };
        Ok(self.raise_window(turn, new, signed, held))
    }

    pub fn end_maintenance(&mut self, turn: &mut Turn<'_>, id: AlarmId, signed: Signed) -> Answer {
        let is = self.get(id).is_some_and(|open| open.alarm.rule == MAINTENANCE);
        let mut open = if is { self.take(id) } else { None }.ok_or(Refusal::NoMaintenance(id))?;
        self.hold_over(&mut open, turn, Some(signed.by), signed.note.unwrap_or_default());
        self.put(open);
        Ok(id)
    }
}

/// Enough people have it in hand: the ladder stops, and they are given time.
fn stop(alarm: &mut Alarm, turn: &Turn<'_>) {
    if let Some(position) = &mut alarm.ladder {
        position.next_at = None;
    }
    let gone = alarm.handling.on_the_way.is_some() || alarm.handling.on_site.is_some();
    let within = ladder::progress_within(alarm, turn.rules).filter(|_| !gone && alarm.resolved.is_none());
    alarm.handling.progress_by = within.map(|within| turn.now.steady + within);
}

fn held(alarm: &Alarm, what: What, turn: &mut Turn<'_>) {
    if let Some(held) = &alarm.handling.held {
        let reason = held.signed.note.as_deref().unwrap_or_default();
        let detail = format!("until {}: {reason}", held.until.rfc3339());
        turn.record(alarm, what, Some(held.signed.by.clone()), detail);
        turn.effects.push(Effect::Withdraw(alarm.id));
    }
}
