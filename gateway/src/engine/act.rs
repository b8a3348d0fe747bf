//! Actions: each deed to the open alarms it is about.

use super::alarm::Way;
use super::deeds::signed;
use super::failure::Failure;
use super::open::{self, Said};
use super::{Answer, Engine, Refusal, Silence, Turn};
use crate::model::{Action, AlarmId, Deed, Hold, Reporter, SignalClass};

impl Engine {
    pub(super) fn act(&mut self, turn: &mut Turn<'_>, action: &Action) -> Answer {
        let who = action.who.as_str();
        let noted = |note: &Option<String>, turn: &Turn<'_>| signed(who, note.clone(), turn);
        let because = |reason: &String, turn: &Turn<'_>| signed(who, Some(reason.clone()), turn);
        let alarms = &mut self.alarms;
        match &action.what {
            Deed::Acknowledge { alarm, note } => alarms.acknowledge(turn, *alarm, noted(note, turn)),
            Deed::OnTheWay { alarm, note } => alarms.go(turn, *alarm, Way::OnTheWay, noted(note, turn)),
            Deed::OnSite { alarm, note } => alarms.go(turn, *alarm, Way::OnSite, noted(note, turn)),
            Deed::Resolve { alarm, disposition, cause, note } => {
                let ends_by_itself =
                    self.alarms.get(*alarm).is_some_and(|open| self.ends_by_itself(turn, open));
                let what = (*disposition, *cause);
                self.alarms.resolve(turn, *alarm, noted(note, turn), what, ends_by_itself)
            }
            Deed::Verify { alarm, note } => alarms.verify(turn, *alarm, noted(note, turn)),
            Deed::SendBack { alarm, reason } => alarms.send_back(turn, *alarm, because(reason, turn)),
            Deed::Evaluate { alarm, verdict, note } => {
                alarms.evaluate(turn, *alarm, noted(note, turn), *verdict)
            }
            Deed::HandOver { alarm, to, reason } => alarms.hand_over(turn, *alarm, to, because(reason, turn)),
            Deed::Suspend { alarm, until, reason } => {
                alarms.suspend(turn, *alarm, because(reason, turn), *until)
            }
            Deed::Resume { alarm, note } => alarms.resume(turn, *alarm, Hold::Suspended, noted(note, turn)),
            Deed::Shelve { alarm, until, reason } => {
                alarms.shelve(turn, *alarm, because(reason, turn), *until)
            }
            Deed::Unshelve { alarm, note } => alarms.resume(turn, *alarm, Hold::Shelved, noted(note, turn)),
            Deed::BeginMaintenance { cell, device, until, reason } => {
                alarms.begin_maintenance(turn, (*cell, *device), because(reason, turn), *until)
            }
            Deed::EndMaintenance { alarm, note } => alarms.end_maintenance(turn, *alarm, noted(note, turn)),
            Deed::Roster => {
                alarms.look_at_owners(turn);
                Ok(AlarmId(alarms.last()))
            }
            Deed::Raise { cell, device, class, text } => {
                let said = Said { rule: open::MANUAL, cell: *cell, device: *device, class: *class, text };
                Ok(alarms.raise_by_hand(turn, who, said))
            }
            // The API offers no fire here; should one come all the same it is worth a look, and no more.
            Deed::Report { cell, class, by, text } => {
                let rule = match by {
                    Reporter::Worker => open::HAZARD,
                    Reporter::Resident => open::REPORTED,
                };
                let class = if *class == SignalClass::Fire { SignalClass::Supervisory } else { *class };
                Ok(alarms.raise_by_hand(turn, who, Said { rule, cell: *cell, device: None, class, text }))
            }
            Deed::Drill { cell, class, note } => {
                alarms.begin_drill(turn, who, *cell, *class, note.as_deref())
            }
            Deed::RollCall { people, note } => alarms.call_roll(turn, who, people, note.as_deref()),
            Deed::Nearest { alarm, step, people } => alarms.tell_nearest(turn, *alarm, *step, people),
            Deed::End { cell, device, class, text } => {
                let alarm = alarms.raised_by_hand(open::MANUAL, *cell, *device, *class, text);
                let alarm = alarm.ok_or(Refusal::NotRaised)?;
                alarms.returned(turn, alarm, "");
                Ok(alarm)
            }
        }
    }

    /// Whether the device can still report the end: not for what was raised by hand or late, nor when the detector latches or is
    /// silent or retired.
    fn ends_by_itself(&self, turn: &Turn<'_>, open: &open::Open) -> bool {
        let Some(key) = open.key else { return Failure::of(&open.alarm).is_some() };
        let rule = turn.rules.rule(key.rule);
        let silent = self.presence.row(key.device).is_none_or(|known| known.silence == Silence::Yes);
        let by_silence = rule.basis.metric().is_none();
        !key.late
            && rule.basis.quiet().is_none()
            && turn.rules.selects(key.rule, key.device)
            && (by_silence || !silent)
    }
}
