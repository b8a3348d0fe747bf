//! All open alarms: raised, repeated, answered, returned, closed, and the record each of these leaves.
//!
//! One live and one late alarm may be open per device and rule; alarms raised by hand have no such place. What a state allows is decided in
//! `alarm.rs`, who is told in `ladder.rs`; here the two are joined to effects. Closed alarms are forgotten: the store has them.

use std::collections::{BTreeMap, BTreeSet};

use super::alarm::{self, Again};
use super::ladder::{self, Climb, Run};
use super::rules::{LadderIx, RuleIx};
use super::{Answer, Effect, Refusal, Turn};
use crate::config::rules::Close;
use crate::model::{
    Alarm, AlarmId, AlarmState, CellIx, DeviceIx, Disposition, Entry, Late, SignalClass, Signed, Trigger,
    What,
};
use crate::units::{Millis, Steady};

/// Rule name of an alarm that a person raised.
pub(super) const MANUAL: &str = "manual";

/// Cell of an alarm whose device stands in none.
pub(super) const NOWHERE: CellIx = CellIx(u32::MAX);

/// A fire that nobody answered and that comes back after the ladder reached its top starts the ladder anew, but a chattering contact
/// may do so only this often.
const ANEW_AFTER: Millis = Millis::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub device: DeviceIx,
    pub rule: RuleIx,
    pub late: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Open {
    pub alarm: Alarm,
    /// `None`: raised by hand, or its rule is gone.
    pub key: Option<Key>,
    pub run: Run,
}

/// What a new alarm is about.
pub(super) struct New {
    pub rule: String,
    pub class: SignalClass,
    pub text: String,
    pub cell: CellIx,
    pub device: Option<DeviceIx>,
    pub late: Option<Late>,
    pub trigger: Option<Trigger>,
    pub ladder: Option<LadderIx>,
    /// Account, when a person raised it.
    pub who: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct OpenAlarms {
    open: BTreeMap<AlarmId, Open>,
    by_key: BTreeMap<Key, AlarmId>,
    due: BTreeSet<(Steady, AlarmId)>,
    last: u64,
}

/// The alarm outside its table while it is changed; put back by [`OpenAlarms::put`].
type Taken = Box<Open>;

impl OpenAlarms {
    pub fn from_rows(last: u64, rows: impl IntoIterator<Item = Open>) -> Self {
        let mut alarms = Self { last, ..Self::default() };
        rows.into_iter().for_each(|open| alarms.put(Box::new(open)));
        alarms
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Open> {
        self.open.values()
    }

    pub fn ids(&self) -> Vec<AlarmId> {
        self.open.keys().copied().collect()
    }

    pub fn get(&self, id: AlarmId) -> Option<&Open> {
        self.open.get(&id)
    }

    pub fn find(&self, key: Key) -> Option<AlarmId> {
        self.by_key.get(&key).copied()
    }

    pub fn next_due(&self) -> Option<(Steady, AlarmId)> {
        self.due.first().copied()
    }

    pub(super) fn take(&mut self, id: AlarmId) -> Option<Taken> {
        let open = self.open.remove(&id)?;
        if let Some(key) = open.key {
            self.by_key.remove(&key);
        }
        if let Some(at) = next_at(&open.alarm) {
            self.due.remove(&(at, id));
        }
        Some(Box::new(open))
    }

    /// Back into the table, unless it is closed.
    pub(super) fn put(&mut self, open: Taken) {
        if open.alarm.is_open() {
            if let Some(key) = open.key {
                self.by_key.insert(key, open.alarm.id);
            }
            if let Some(at) = next_at(&open.alarm) {
                self.due.insert((at, open.alarm.id));
            }
            self.open.insert(open.alarm.id, *open);
        }
    }

    pub fn raise(&mut self, turn: &mut Turn<'_>, key: Option<Key>, new: New) -> AlarmId {
        self.last += 1;
        let id = AlarmId(self.last);
        let alarm = Alarm {
            id,
            rule: new.rule,
            class: new.class,
            text: new.text,
            cell: new.cell,
            cell_code: turn.registry.cell(new.cell).map_or_else(String::new, |cell| cell.code.clone()),
            device: new.device,
            device_id: new.device.and_then(|ix| turn.registry.device(ix)).map(|device| device.id.clone()),
            state: AlarmState::Unacknowledged,
            raised: turn.now.wall,
            raised_steady: turn.now.steady,
            late: new.late,
            trigger: new.trigger,
            repeats: 0,
            owner: turn.registry.responsible(new.cell, turn.now.wall).map(|person| person.id.clone()),
            acknowledged: None,
            returned: None,
            resolved: None,
            closed: None,
            ladder: None,
        };
        let mut open = Box::new(Open { alarm, key, run: Run::default() });
        ladder::begin(&mut open.alarm, &mut open.run, new.ladder, turn);
        let climb = ladder::climb(&mut open.alarm, &mut open.run, turn);
        turn.record_start(&open.alarm, What::Raised, new.who, String::new(), climb);
        self.put(open);
        id
    }

    /// The condition was reported again while it stands. Only the 1st, 10th, 100th … repeat leaves a line.
    pub fn repeated(&mut self, turn: &mut Turn<'_>, id: AlarmId) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.alarm.repeats = open.alarm.repeats.saturating_add(1);
        let repeats = open.alarm.repeats;
        if 10u32.pow(repeats.ilog10()) == repeats {
            turn.record(&open.alarm, What::Repeated, None, format!("reported again, {repeats} in all"));
        }
    }

    pub fn returned(&mut self, turn: &mut Turn<'_>, id: AlarmId, why: &str) {
        let Some(mut open) = self.take(id) else { return };
        if alarm::returned(&mut open.alarm, turn.now.wall) {
            turn.record(&open.alarm, What::Returned, None, why.to_owned());
            settle(&mut open, turn);
        }
        self.put(open);
    }

    /// The condition is back.
    pub fn again(&mut self, turn: &mut Turn<'_>, id: AlarmId, why: &str) {
        let Some(mut open) = self.take(id) else { return };
        let at_top = next_at(&open.alarm).is_none();
        let told_long_ago = ANEW_AFTER <= turn.now.steady.since(open.run.last_step_at);
        let anew = match alarm::active_again(&mut open.alarm) {
            Again::StillActive => {
                self.put(open);
                return self.repeated(turn, id);
            }
            Again::Unanswered => true,
            Again::AsBefore => {
                open.alarm.class == SignalClass::Fire
                    && open.alarm.acknowledged.is_none()
                    && at_top
                    && told_long_ago
            }
        };
        let climb = if anew {
            let ladder = ladder_of(&open, turn);
            ladder::begin(&mut open.alarm, &mut open.run, ladder, turn);
            ladder::climb(&mut open.alarm, &mut open.run, turn)
        } else {
            Climb::default()
        };
        turn.record_start(&open.alarm, What::ActiveAgain, None, why.to_owned(), climb);
        self.put(open);
    }

    pub fn climb(&mut self, turn: &mut Turn<'_>, id: AlarmId) {
        let Some(mut open) = self.take(id) else { return };
        let climb = ladder::climb(&mut open.alarm, &mut open.run, turn);
        turn.record_climb(&open.alarm, climb);
        self.put(open);
    }

    /// The ladder it stood on is gone: it starts at the foot of the one that is now meant for it.
    pub fn start_ladder_anew(&mut self, turn: &mut Turn<'_>, id: AlarmId) {
        let Some(mut open) = self.take(id) else { return };
        let ladder = ladder_of(&open, turn);
        ladder::begin(&mut open.alarm, &mut open.run, ladder, turn);
        let climb = ladder::climb(&mut open.alarm, &mut open.run, turn);
        let (what, detail) = match &open.alarm.ladder {
            Some(position) => (What::Escalated, format!("goes on with ladder `{}`", position.ladder)),
            None => (What::NobodyToTell, "its ladder was removed and there is no other".to_owned()),
        };
        turn.record_start(&open.alarm, what, None, detail, climb);
        self.put(open);
    }

    pub fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        id: AlarmId,
        who: &str,
        note: Option<String>,
    ) -> Answer {
        let mut open = self.take(id).ok_or(Refusal::NoSuchAlarm(id))?;
        let detail = note.clone().unwrap_or_default();
        let answer = alarm::acknowledge(&mut open.alarm, who, turn.now.wall, note);
        if answer.is_ok() {
            if let Some(position) = &mut open.alarm.ladder {
                position.next_at = None;
            }
            turn.record(&open.alarm, What::Acknowledged, Some(who.to_owned()), detail);
            turn.effects.push(Effect::Withdraw(id));
            settle(&mut open, turn);
        }
        self.put(open);
        answer.map(|()| id)
    }

    /// `ends_by_itself`: the device can still report the end. When it cannot, being resolved counts as returned.
    pub fn resolve(
        &mut self,
        turn: &mut Turn<'_>,
        id: AlarmId,
        signed: Signed,
        disposition: Disposition,
        ends_by_itself: bool,
    ) -> Answer {
        let mut open = self.take(id).ok_or(Refusal::NoSuchAlarm(id))?;
        let (who, detail) = (signed.by.clone(), signed.note.clone().unwrap_or_default());
        let answer = alarm::resolve(&mut open.alarm, signed, disposition);
        if answer.is_ok() {
            if !ends_by_itself {
                alarm::returned(&mut open.alarm, turn.now.wall);
            }
            turn.record(&open.alarm, What::Resolved, Some(who), detail);
            settle(&mut open, turn);
        }
        self.put(open);
        answer.map(|()| id)
    }

    /// The same was raised by hand before and still stands.
    pub fn raised_by_hand(
        &self,
        cell: CellIx,
        device: Option<DeviceIx>,
        class: SignalClass,
        text: &str,
    ) -> Option<AlarmId> {
        let same = |alarm: &Alarm| {
            alarm.rule == MANUAL
                && (alarm.cell, alarm.device, alarm.class) == (cell, device, class)
                && alarm.text == text
                && alarm.resolved.is_none()
        };
        self.open.values().map(|open| &open.alarm).find(|alarm| same(alarm)).map(|alarm| alarm.id)
    }

    pub fn repeated_by_hand(&mut self, turn: &mut Turn<'_>, id: AlarmId, who: String) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.alarm.repeats = open.alarm.repeats.saturating_add(1);
        turn.record(&open.alarm, What::Repeated, Some(who), "raised again by hand".to_owned());
    }

    /// Alarms of this device that somebody has resolved and whose end the device has not reported.
    pub fn resolved_of(&self, device: DeviceIx) -> Vec<AlarmId> {
        let from = Key { device, rule: RuleIx(0), late: false };
        let to = Key { device, rule: RuleIx(u32::MAX), late: true };
        self.by_key
            .range(from..=to)
            .map(|(_, id)| *id)
            .filter(|id| self.open.get(id).is_some_and(|open| open.alarm.resolved.is_some()))
            .collect()
    }

    /// Ends an alarm whose rule or device is no longer there.
    pub fn close(&mut self, turn: &mut Turn<'_>, id: AlarmId, why: &str) {
        let Some(mut open) = self.take(id) else { return };
        close(&mut open, turn, why);
    }
}

fn next_at(alarm: &Alarm) -> Option<Steady> {
    alarm.ladder.as_ref()?.next_at
}

/// The ladder meant for it by its rule, else by its class.
fn ladder_of(open: &Open, turn: &Turn<'_>) -> Option<LadderIx> {
    match open.key {
        Some(key) => turn.rules.rule(key.rule).ladder,
        None => turn.rules.ladder_for(open.alarm.class),
    }
}

fn settle(open: &mut Open, turn: &mut Turn<'_>) {
    let mode = open.key.map_or(Close::Resolved, |key| turn.rules.rule(key.rule).close);
    if alarm::is_over(&open.alarm, mode) {
        close(open, turn, "");
    }
}

fn close(open: &mut Open, turn: &mut Turn<'_>, why: &str) {
    let answered = open.alarm.acknowledged.is_some();
    alarm::close(&mut open.alarm, turn.now.wall);
    turn.record(&open.alarm, What::Closed, None, why.to_owned());
    if !answered {
        turn.effects.push(Effect::Withdraw(open.alarm.id));
    }
}

impl Turn<'_> {
    fn record(&mut self, alarm: &Alarm, what: What, who: Option<String>, detail: String) {
        let entry = Entry { alarm: alarm.id, at: self.now.wall, what, who, detail };
        self.effects.push(Effect::Alarm(Box::new(alarm.clone()), entry));
    }

    fn record_climb(&mut self, alarm: &Alarm, climb: Climb) {
        for line in climb.lines {
            self.record(alarm, line.what, line.who, line.detail);
        }
        self.effects.extend(climb.alerts.into_iter().map(Effect::Tell));
    }

    /// The line that starts a ladder also says who its first step tells, unless that step moves the alarm to another owner.
    fn record_start(
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
