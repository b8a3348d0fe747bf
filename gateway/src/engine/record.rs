//! The line that every change leaves in an alarm's history, and the alerts of the steps that it caused.

use super::ladder::Climb;
use super::{Effect, Turn};
use crate::model::{Alarm, Entry, What};

impl Turn<'_> {
    pub(super) fn record(&mut self, alarm: &Alarm, what: What, who: Option<String>, detail: String) {
        let entry = Entry { alarm: alarm.id, at: self.now.wall, what, who, detail };
        self.effects.push(Effect::Alarm(Box::new(alarm.clone()), entry));
    }

    pub(super) fn record_climb(&mut self, alarm: &Alarm, climb: Climb) {
        for line in climb.lines {
            self.record(alarm, line.what, line.who, line.detail);
        }
        self.questions.extend(climb.questions);
        self.effects.extend(climb.alerts.into_iter().map(Effect::Tell));
    }

    /// The line that starts a ladder also says who its first step tells, unless that step moves the alarm to another owner.
    pub(super) fn record_start(
        &mut self,
        alarm: &Alarm,
        what: What,
        who: Option<String>,
        mut detail: String,
        mut climb: Climb,
    ) {
        let first = climb.lines.first();
        if first.is_some_and(|line| line.what == What::Escalated && line.who.is_none()) {
            let line = climb.lines.remove(0);
            if !detail.is_empty() {
                detail.push_str("; ");
            }
            detail.push_str(&line.detail);
        }
        self.record(alarm, what, who, detail);
        self.record_climb(alarm, climb);
    }
}
