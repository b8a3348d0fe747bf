//! All open alarms: raised, repeated, returned, closed. What people do is in `deeds.rs`, what the clock and the roster do in `due.rs`.
//!
//! One live and one late alarm may be open per device and rule; alarms raised by hand have no such place. What a state allows is decided in
//! `alarm.rs`, who is told in `ladder.rs`; here the two are joined to effects. Closed alarms are forgotten: the store has them.

use std::collections::{BTreeMap, BTreeSet};

use super::alarm::{self, Again};
use super::failure::{Failure, parts_of};
use super::ladder::{self, Climb, Run};
use super::nearest::Question;
use super::rules::{LadderIx, RuleIx};
use super::{Effect, Turn, hold, incident};
use crate::config::rules::Close;
use crate::model::{
    Alarm, AlarmId, AlarmState, CellIx, DeviceIx, Handling, Held, Hold, Late, SignalClass, Signed, Trigger,
    What,
};
use crate::units::{Millis, Steady};

/// Rule name of an alarm that a person raised.
pub(super) const MANUAL: &str = "manual";

/// Rule name of the alarm that says that nobody answered another.
pub(super) const UNANSWERED: &str = "unanswered";

/// Rule name of a time out of service.
pub const MAINTENANCE: &str = "maintenance";

/// Rule name of a hazard that somebody with an account reported.
pub(super) const HAZARD: &str = "hazard";

/// Rule name of what a resident reported, which nobody has checked.
pub(super) const REPORTED: &str = "reported";

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

/// What a person says, and under which name it is raised.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub rule: &'a str,
    pub cell: CellIx,
    pub device: Option<DeviceIx>,
    pub class: SignalClass,
    pub text: &'a str,
}

#[derive(Debug, Default)]
pub(super) struct OpenAlarms {
    pub(super) open: BTreeMap<AlarmId, Taken>,
    by_key: BTreeMap<Key, AlarmId>,
    by_cell: BTreeSet<(CellIx, AlarmId)>,
    due: BTreeSet<(Steady, AlarmId)>,
    /// Places out of service.
    windows: BTreeSet<AlarmId>,
    pub(super) drills: BTreeSet<AlarmId>,
    /// Who is nearest to some of them; answered in the next batch.
    pub(super) questions: Vec<Question>,
    /// Failures that stand, by what they are and where.
    pub(super) failures: BTreeMap<(Failure, CellIx), AlarmId>,
    last: u64,
}

/// An alarm in its table, or outside while it is changed and until [`OpenAlarms::put`]. A kilobyte: a tree that held it in its own nodes would have room for nearly twice as many as there are.
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
        self.open.values().map(AsRef::as_ref)
    }

    pub fn ids(&self) -> Vec<AlarmId> {
        self.open.keys().copied().collect()
    }

    pub fn get(&self, id: AlarmId) -> Option<&Open> {
        self.open.get(&id).map(AsRef::as_ref)
    }

    pub fn find(&self, key: Key) -> Option<AlarmId> {
        self.by_key.get(&key).copied()
    }

    pub fn next_due(&self) -> Option<(Steady, AlarmId)> {
        self.due.first().copied()
    }

    /// The open alarms of a cell, newest first.
    pub(super) fn of_cell(&self, cell: CellIx) -> impl Iterator<Item = &Open> {
        let ids = self.by_cell.range((cell, AlarmId(0))..=(cell, AlarmId(u64::MAX))).rev();
        ids.filter_map(|(_, id)| self.get(*id))
    }

    pub(super) fn take(&mut self, id: AlarmId) -> Option<Taken> {
        let open = self.open.remove(&id)?;
        if let Some(key) = open.key {
            self.by_key.remove(&key);
        }
        if let Some(at) = due(&open.alarm) {
            self.due.remove(&(at, id));
        }
        self.by_cell.remove(&(open.alarm.cell, id));
        self.windows.remove(&id);
        self.drills.remove(&id);
        if let Some(failure) = Failure::of(&open.alarm) {
            self.failures.remove(&(failure, open.alarm.cell));
        }
        Some(open)
    }

    /// Back into the table, unless it is closed.
    pub(super) fn put(&mut self, open: Taken) {
        if open.alarm.is_open() {
            if let Some(key) = open.key {
                self.by_key.insert(key, open.alarm.id);
            }
            if let Some(at) = due(&open.alarm) {
                self.due.insert((at, open.alarm.id));
            }
            if open.alarm.rule == MAINTENANCE {
                self.windows.insert(open.alarm.id);
            }
            if open.alarm.drill().is_some() {
                self.drills.insert(open.alarm.id);
            }
            if let Some(failure) = Failure::of(&open.alarm) {
                self.failures.insert((failure, open.alarm.cell), open.alarm.id);
            }
            self.by_cell.insert((open.alarm.cell, open.alarm.id));
            self.open.insert(open.alarm.id, open);
        }
    }

    /// The next number, and an alarm as it is before anybody knows of it.
    pub(super) fn new_alarm(&mut self, turn: &Turn<'_>, new: &New) -> Alarm {
        self.last += 1;
        Alarm {
            id: AlarmId(self.last),
            rule: new.rule.clone(),
            class: new.class,
            text: new.text.clone(),
            cell: new.cell,
            cell_code: turn.registry.cell(new.cell).map_or_else(String::new, |cell| cell.code.clone()),
            device: new.device,
            device_id: new.device.and_then(|ix| turn.registry.device(ix)).map(|device| device.id.clone()),
            state: AlarmState::Unacknowledged,
            raised: turn.now.wall,
            raised_steady: turn.now.steady,
            late: new.late,
            trigger: new.trigger.clone(),
            repeats: 0,
            owner: turn.registry.responsible(new.cell, turn.now.wall).map(|person| person.id.clone()),
            acknowledged: None,
            returned: None,
            resolved: None,
            closed: None,
            ladder: None,
            handling: Handling::default(),
        }
    }

    pub fn raise(&mut self, turn: &mut Turn<'_>, key: Option<Key>, new: New) -> AlarmId {
        let mut alarm = self.new_alarm(turn, &new);
        let id = alarm.id;
        let first = self.confirmed_by(&alarm, turn);
        if let Some(first) = first {
            incident::belongs_to(&mut alarm, first);
        }
        let mut open = Box::new(Open { alarm, key, run: Run::default() });
        let window = key.and_then(|_| self.window_over(&open.alarm, turn));
        let failure = if window.is_none() { self.failure_over(&open, turn) } else { None };
        if let Some((window, held)) = window {
            turn.record(&open.alarm, What::Raised, new.who, String::new());
            hold::suppress(&mut open.alarm, window, &held);
            let detail = format!("out of service ({window}): {}", held.signed.note.unwrap_or_default());
            turn.record(&open.alarm, What::Suppressed, None, detail);
        } else if let Some(failure) = failure {
            turn.record(&open.alarm, What::Raised, new.who, String::new());
            self.fold(&mut open, failure, turn);
        } else {
            ladder::begin(&mut open.alarm, &mut open.run, new.ladder, turn);
            let climb = ladder::climb(&mut open.alarm, &mut open.run, turn);
            turn.record_start(&open.alarm, What::Raised, new.who, String::new(), climb);
        }
        self.put(open);
        if let Some(first) = first {
            self.confirm(turn, first, id);
        }
        match failure {
            Some(failure) => self.grow(turn, failure),
            None => self.look_for_failure(turn, id),
        }
        self.end_drills(turn, id);
        id
    }

    /// A time out of service: in the hand of the one who asked for it, and closed at its end.
    pub(super) fn raise_window(
        &mut self,
        turn: &mut Turn<'_>,
        new: New,
        signed: Signed,
        held: Held,
    ) -> AlarmId {
        let mut alarm = self.new_alarm(turn, &new);
        let (id, detail) = (alarm.id, format!("until {}", held.until.rfc3339()));
        alarm.state = AlarmState::Acknowledged;
        alarm.acknowledged = Some(signed);
        alarm.handling.held = Some(held);
        turn.record(&alarm, What::Raised, new.who, detail);
        self.put(Box::new(Open { alarm, key: None, run: Run::default() }));
        id
    }

    /// The time out of service that keeps this alarm from calling. None for a fire.
    fn window_over(&self, alarm: &Alarm, turn: &Turn<'_>) -> Option<(AlarmId, Held)> {
        if alarm.class == SignalClass::Fire {
            return None;
        }
        let windows = self.windows.iter().filter_map(|id| self.open.get(id)).map(|open| &open.alarm);
        windows
            .filter(|window| match window.device {
                Some(device) => alarm.device == Some(device),
                None => turn.registry.is_in(alarm.cell, window.cell),
            })
            .find_map(|window| Some((window.id, window.handling.held.clone()?)))
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
        let parts = parts_of(&open, turn);
        if alarm::returned(&mut open.alarm, turn.now.wall) {
            turn.record(&open.alarm, What::Returned, None, why.to_owned());
            let suppressed = open.alarm.handling.held.as_ref();
            if suppressed.is_some_and(|held| matches!(held.how, Hold::Suppressed(_))) {
                self.end(&mut open, turn, "over while it called nobody");
            } else {
                self.settle(&mut open, turn);
            }
        }
        self.put(open);
        for (failure, cell) in parts {
            self.look_whether_over(turn, failure, cell);
        }
    }

    /// The condition is back.
    pub fn again(&mut self, turn: &mut Turn<'_>, id: AlarmId, why: &str) {
        let Some(mut open) = self.take(id) else { return };
        let at_top = ladder::is_at_top(&open.alarm, &open.run, turn.rules);
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
        self.end_drills(turn, id);
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

    /// The same was raised by hand before and still stands.
    /// A new alarm by a person's words, or once more the one that stands with the same words.
    pub fn raise_by_hand(&mut self, turn: &mut Turn<'_>, who: &str, said: Said<'_>) -> AlarmId {
        let Said { rule, cell, device, class, text } = said;
        if let Some(alarm) = self.raised_by_hand(rule, cell, device, class, text) {
            if self.get(alarm).is_some_and(|open| open.alarm.returned.is_some()) {
                self.again(turn, alarm, "raised again");
            } else {
                self.repeated_by_hand(turn, alarm, who.to_owned());
            }
            return alarm;
        }
        let new = New {
            rule: rule.to_owned(),
            class,
            text: text.to_owned(),
            cell,
            device,
            late: None,
            trigger: None,
            ladder: turn.rules.ladder_for(class),
            who: Some(who.to_owned()),
        };
        self.raise(turn, None, new)
    }

    /// The open alarm that people raised under this name with the same words.
    pub fn raised_by_hand(
        &self,
        rule: &str,
        cell: CellIx,
        device: Option<DeviceIx>,
        class: SignalClass,
        text: &str,
    ) -> Option<AlarmId> {
        let same = |alarm: &Alarm| {
            alarm.rule == rule
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
        self.end(&mut open, turn, why);
    }

    /// Closes it when nothing remains to be done.
    pub(super) fn settle(&mut self, open: &mut Open, turn: &mut Turn<'_>) {
        if open.alarm.asked().is_some() && open.alarm.is_answered() {
            return self.end(open, turn, "");
        }
        let mode = match open.key {
            Some(key) => turn.rules.rule(key.rule).close,
            None if Failure::of(&open.alarm).is_some() => Close::Returned,
            None => Close::Resolved,
        };
        if alarm::is_over(&open.alarm, mode) {
            self.end(open, turn, "");
        }
    }

    pub(super) fn end(&mut self, open: &mut Open, turn: &mut Turn<'_>, why: &str) {
        self.answered(open, turn);
        let climbs = next_at(&open.alarm).is_some() || open.alarm.acknowledged.is_none();
        alarm::close(&mut open.alarm, turn.now.wall);
        turn.record(&open.alarm, What::Closed, None, why.to_owned());
        if climbs {
            turn.effects.push(Effect::Withdraw(open.alarm.id));
        }
        if open.alarm.rule == MAINTENANCE {
            self.release(turn, open.alarm.id, "in service again");
        }
        if Failure::of(&open.alarm).is_some() {
            self.release(turn, open.alarm.id, "on its own again");
        }
        for (failure, cell) in parts_of(open, turn) {
            self.look_whether_over(turn, failure, cell);
        }
    }
}

fn next_at(alarm: &Alarm) -> Option<Steady> {
    alarm.ladder.as_ref()?.next_at
}

/// When the clock next does something to it.
fn due(alarm: &Alarm) -> Option<Steady> {
    let hold = alarm.handling.held.as_ref();
    [next_at(alarm), alarm.handling.progress_by, hold.map(|held| held.due)].into_iter().flatten().min()
}

/// The ladder meant for it by its rule, else by its class.
pub(super) fn ladder_of(open: &Open, turn: &Turn<'_>) -> Option<LadderIx> {
    match open.key {
        Some(key) => turn.rules.rule(key.rule).ladder,
        None if open.alarm.asked().is_some() => turn.rules.roll_call(),
        None => turn.rules.ladder_for(open.alarm.calls_as()),
    }
}
