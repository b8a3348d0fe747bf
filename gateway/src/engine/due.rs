//! What the clock and the roster do to open alarms: holds end, acknowledgements lapse, ladders climb, nobody answered, another owns it.

use super::ladder::{self, Climb};
use super::open::{MAINTENANCE, New, Open, OpenAlarms, UNANSWERED, ladder_of};
use super::{Turn, alarm, hold, owner};
use crate::model::{AlarmId, Hold, SignalClass, What};

impl OpenAlarms {
    /// Whatever of it is due: the end of a hold, an acknowledgement without progress, a step of its ladder.
    pub fn ripen(&mut self, turn: &mut Turn<'_>, id: AlarmId) {
        let Some(mut open) = self.take(id) else { return };
        if hold::is_due(&mut open.alarm, turn.now) {
            self.hold_over(&mut open, turn, None, "its time is over".to_owned());
        }
        if open.alarm.handling.progress_by.is_some_and(|by| by <= turn.now.steady) {
            no_progress(&mut open, turn);
        }
        let climb = ladder::climb(&mut open.alarm, &mut open.run, turn);
        let unanswered = climb.unanswered;
        turn.record_climb(&open.alarm, climb);
        if unanswered {
            self.say_unanswered(&mut open, turn);
        }
        self.put(open);
    }

    /// The end of a hold; of a time out of service, the end of the alarm that stands for it.
    pub(super) fn hold_over(
        &mut self,
        open: &mut Open,
        turn: &mut Turn<'_>,
        who: Option<String>,
        why: String,
    ) {
        if open.alarm.rule == MAINTENANCE {
            turn.record(&open.alarm, What::Returned, who, why);
            return self.end(open, turn, "");
        }
        let (what, climb) = match hold::release(&mut open.alarm) {
            hold::Released::InHand => (What::Resumed, Climb::default()),
            hold::Released::Calls => {
                let ladder = ladder_of(open, turn);
                ladder::begin(&mut open.alarm, &mut open.run, ladder, turn);
                (What::Resumed, ladder::climb(&mut open.alarm, &mut open.run, turn))
            }
        };
        turn.record_start(&open.alarm, what, who, why, climb);
    }

    /// An alarm of its own, once, in the topmost cell: nobody nearer answered.
    pub(super) fn say_unanswered(&mut self, open: &mut Open, turn: &mut Turn<'_>) {
        if open.alarm.exercise().is_some() {
            let detail = "the ladder is at its end, and the exercise is over".to_owned();
            turn.record(&open.alarm, What::Unanswered, None, detail);
            return self.end(open, turn, "");
        }
        let stands = open.alarm.handling.unanswered.is_some_and(|id| self.open.contains_key(&id));
        if stands {
            return;
        }
        let missing = match open.alarm.acknowledged {
            None => "无人应答 nobody answered",
            Some(_) => "应答人数不足 too few have answered",
        };
        let top = turn.registry.up_from(open.alarm.cell).last().unwrap_or(open.alarm.cell);
        let new = New {
            rule: UNANSWERED.to_owned(),
            class: SignalClass::Trouble,
            text: format!("{missing} {}: {}", open.alarm.id, open.alarm.text),
            cell: top,
            device: open.alarm.device,
            late: None,
            trigger: None,
            ladder: turn.rules.ladder_for(SignalClass::Trouble),
            who: None,
        };
        let id = self.raise(turn, None, new);
        open.alarm.handling.unanswered = Some(id);
        turn.record(&open.alarm, What::Unanswered, None, format!("the ladder is at its end; {id} says so"));
    }

    /// Somebody answered, or there is nothing to answer any more.
    pub(super) fn answered(&mut self, open: &mut Open, turn: &mut Turn<'_>) {
        if let Some(id) = open.alarm.handling.unanswered.take() {
            self.close(turn, id, &format!("{} is answered or over", open.alarm.id));
        }
    }

    /// What was suppressed by this window or failure, and still stands, calls now.
    pub(super) fn release(&mut self, turn: &mut Turn<'_>, window: AlarmId, why: &str) {
        let of_window = |open: &&Open| {
            open.alarm.handling.held.as_ref().is_some_and(|held| held.how == Hold::Suppressed(window))
        };
        let suppressed: Vec<AlarmId> = self.iter().filter(of_window).map(|open| open.alarm.id).collect();
        for id in suppressed {
            let Some(mut open) = self.take(id) else { continue };
            self.hold_over(&mut open, turn, None, format!("{why} ({window})"));
            self.put(open);
        }
    }

    /// Every owner who may no longer answer gives it to the one who does.
    pub fn look_at_owners(&mut self, turn: &mut Turn<'_>) {
        for id in self.ids() {
            let Some(open) = self.open.get(&id) else { continue };
            let next = owner::now(&open.alarm, turn.registry, turn.now.wall);
            if next == open.alarm.owner {
                continue;
            }
            let Some(mut open) = self.take(id) else { continue };
            let before = std::mem::replace(&mut open.alarm.owner, next.clone());
            let detail = match (&before, &next) {
                (Some(before), Some(_)) => format!("{before} does not answer for it any more"),
                (Some(before), None) => {
                    format!("{before} does not answer for it any more, and nobody else does")
                }
                (None, _) => "somebody answers for the cell again".to_owned(),
            };
            let quiet = open.alarm.handling.held.is_some() || open.alarm.resolved.is_some();
            let climb = if quiet {
                Climb::default()
            } else {
                ladder::tell_owner(&mut open.alarm, &mut open.run, turn, "the new owner")
            };
            turn.record(&open.alarm, What::OwnerChanged, next, detail);
            turn.record_climb(&open.alarm, climb);
            self.put(open);
        }
    }
}

/// Acknowledged, and nothing came of it: it must be answered anew, and the ladder goes on where it stood.
fn no_progress(open: &mut Open, turn: &mut Turn<'_>) {
    let by = open.alarm.acknowledged.as_ref().map_or_else(String::new, |signed| signed.by.clone());
    alarm::unanswer(&mut open.alarm);
    let ladder = ladder_of(open, turn);
    ladder::go_on(&mut open.alarm, &mut open.run, ladder, turn);
    turn.record(
        &open.alarm,
        What::NoProgress,
        None,
        format!("{by} acknowledged it, and nothing followed in time"),
    );
}
