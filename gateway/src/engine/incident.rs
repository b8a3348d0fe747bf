//! Several alarms that are one thing.
//!
//! Two devices of one cell that report fire within a time confirm it: both alarms call as ever, and the first takes the next step of its ladder
//! at once. Nothing here keeps a fire from calling.

use super::Turn;
use super::ladder::{self, Climb};
use super::open::{MANUAL, NOWHERE, OpenAlarms};
use crate::model::{Alarm, AlarmId, SignalClass, What};

/// What a person said is known by his words, so these stay as they are.
pub(super) fn belongs_to(alarm: &mut Alarm, first: AlarmId) {
    alarm.handling.incident = Some(first);
    if alarm.rule != MANUAL {
        alarm.text.push_str(&format!(" [与 {first} 同一火情 same fire as {first}]"));
    }
}

impl OpenAlarms {
    /// The first alarm of the fire that this one, not yet among the others, confirms. What is reported late confirms nothing: nobody knows
    /// that it burnt at the same time.
    pub(super) fn confirmed_by(&self, alarm: &Alarm, turn: &Turn<'_>) -> Option<AlarmId> {
        let within = turn.rules.incidents().confirm_within?;
        let is_live_fire = |alarm: &Alarm| alarm.class == SignalClass::Fire && alarm.late.is_none();
        if !is_live_fire(alarm) || alarm.cell == NOWHERE {
            return None;
        }
        self.of_cell(alarm.cell)
            .map(|open| &open.alarm)
            .take_while(|other| turn.now.steady.since(other.raised_steady) <= within)
            .find(|other| is_live_fire(other) && other.device != alarm.device)
            .map(|other| other.handling.incident.unwrap_or(other.id))
    }

    /// The first alarm of a fire waits for nothing more, the first time that another confirms it.
    pub(super) fn confirm(&mut self, turn: &mut Turn<'_>, first: AlarmId, by: AlarmId) {
        let Some(mut open) = self.take(first) else { return };
        let known = open.alarm.handling.incident.replace(first).is_some();
        let climb = match known {
            true => Climb::default(),
            false => ladder::hurry(&mut open.alarm, &mut open.run, turn),
        };
        let unanswered = climb.unanswered;
        turn.record(&open.alarm, What::Confirmed, None, format!("{by} reports fire in the same cell"));
        turn.record_climb(&open.alarm, climb);
        if unanswered {
            self.say_unanswered(&mut open, turn);
        }
        self.put(open);
    }
}
