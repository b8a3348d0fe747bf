//! Alerts that are told before, or recorded after, the disk takes them; and what was just stored, which need not be read back to be told.
//!
//! While the store cannot be written, the driver puts its alerts here and the workers send them from memory. Later the same alerts, with the same keys, come into
//! the outbox; whoever was told by then is not told again, what came of it is only recorded. The outcome of every attempt passes through here too:
//! should recording it fail, the row is not sent again and again but recorded when the disk allows. Bounded by what the driver holds and the workers send.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::card::Record;
use crate::model::{AlarmId, SignalClass};
use crate::store::outbox::{Outcome, Row, ToRecord, handed_on};
use crate::units::{Steady, Timestamp};

/// So many alerts may be on their way to the workers; the rest of a storm comes from the outbox, page by page.
const FRESH_MAX: usize = 1_024;

#[derive(Default)]
pub struct Unrecorded {
    alerts: Mutex<Alerts>,
    changes: watch::Sender<u64>,
    left: watch::Sender<u64>,
}

/// By key, each in one of the three. In a storm hundreds wait for the disk, before they are told or after; whoever looks for what is to be sent does not look at those.
#[derive(Default)]
struct Alerts {
    /// Their commit is under way: nobody sends them yet, and nobody reads them from the outbox meanwhile.
    committing: BTreeMap<String, Row>,
    to_tell: BTreeMap<String, Held<ToTell>>,
    told: BTreeMap<String, Held<Told>>,
}

struct Held<S> {
    row: Row,
    /// Whether the outbox has a row with this key.
    stored: bool,
    /// Somebody has answered the alarm: what is on its way may arrive, but is not tried again.
    withdrawn: bool,
    state: S,
}

enum ToTell {
    Waiting { next_at: Steady },
    Flying,
}

struct Told {
    at: Timestamp,
    outcome: Outcome,
    /// `None` while it is being recorded.
    record_at: Option<Steady>,
}

impl Unrecorded {
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What becomes due in the outbox because it was left to it. Whoever reads the outbox must look again.
    pub fn left_to_outbox(&self) -> watch::Receiver<u64> {
        self.left.subscribe()
    }

    /// Whether so many alerts may come from memory as soon as they are stored; otherwise the outbox alone brings them.
    pub fn has_room_for(&self, alerts: usize) -> bool {
        let held = self.lock();
        held.committing.len() + held.to_tell.len() + alerts <= FRESH_MAX
    }

    /// From the driver: a commit with these begins. [`Unrecorded::committed`] says when they may be told; until then nobody takes them from the outbox
    /// either, or they would be told twice.
    pub fn committing(&self, rows: Vec<Row>) {
        self.lock().committing.extend(rows.into_iter().map(|row| (row.alert.key.clone(), row)));
    }

    /// From the driver: they are on disk. Told from here, they need not wait until the outbox is read. `records`: what their cards say of the devices' alarms.
    pub fn committed<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
        records: &BTreeMap<AlarmId, Record>,
    ) {
        let mut alerts = self.lock();
        let mut any = false;
        for key in keys {
            let Some((key, mut row)) = alerts.committing.remove_entry(key) else { continue };
            if let (Some(card), Some(record)) = (&mut row.card, records.get(&row.alert.alarm)) {
                card.record = *record;
            }
            let state = ToTell::Waiting { next_at: Steady(0) };
            alerts.to_tell.insert(key, Held { row, stored: true, withdrawn: false, state });
            any = true;
        }
        drop(alerts);
        if any {
            self.tell();
        }
    }

    /// What was just stored for one channel, worst class first, then oldest. From now on it is as if its worker had read it from the outbox.
    pub fn take_fresh(&self, channel: &str) -> Vec<Row> {
        let mut alerts = self.lock();
        let fresh =
            alerts.to_tell.extract_if(.., |_, held| held.is_fresh() && held.row.alert.channel == channel);
        let mut rows: Vec<Row> = fresh.map(|(_, held)| held.row).collect();
        rows.sort_by_key(place);
        rows
    }

    /// From the driver: nobody has stored this one, tell it all the same.
    pub fn add(&self, row: Row) {
        self.lock().hold(row, ToTell::Waiting { next_at: Steady(0) });
        self.tell();
    }

    /// From the driver: somebody has answered this alarm.
    pub fn withdraw(&self, alarm: AlarmId) {
        let mut left = false;
        let mut alerts = self.lock();
        alerts.to_tell.retain(|_, held| {
            held.withdrawn |= held.row.alert.alarm == alarm;
            let keep = !(held.withdrawn && matches!(held.state, ToTell::Waiting { .. }));
            left |= !keep && held.stored; // The outbox knows whether it was told again after that.
            keep
        });
        for held in alerts.told.values_mut() {
            held.withdrawn |= held.row.alert.alarm == alarm;
        }
        drop(alerts);
        if left {
            self.leave_rest();
        }
    }

    /// From the driver: this one is in the outbox now. Nobody has tried to send it yet: then the outbox is its only place.
    pub fn stored(&self, key: &str) {
        let mut alerts = self.lock();
        if let Some(held) = alerts.told.get_mut(key) {
            held.stored = true;
        }
        if let Some(held) = alerts.to_tell.get_mut(key) {
            held.stored = true;
            if held.is_fresh() {
                alerts.to_tell.remove(key);
            }
        }
        drop(alerts);
        self.leave_rest();
    }

    /// Whether the outbox's row with this key must be left alone.
    pub fn holds(&self, key: &str) -> bool {
        let alerts = self.lock();
        alerts.told.contains_key(key)
            || alerts.to_tell.contains_key(key)
            || alerts.committing.contains_key(key)
    }

    pub fn len(&self) -> usize {
        let alerts = self.lock();
        alerts.told.len() + alerts.to_tell.len() + alerts.committing.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Alerts of one channel to send now that the outbox does not bring, worst class first, then oldest, `most` at the most.
    pub fn due(&self, channel: &str, now: Steady, most: usize) -> Vec<Row> {
        let alerts = self.lock();
        let due = |held: &&Held<ToTell>| {
            let waited = matches!(held.state, ToTell::Waiting { next_at } if next_at <= now);
            waited && !held.is_fresh() && held.row.alert.channel == channel
        };
        let mut rows: Vec<&Row> = alerts.to_tell.values().filter(due).map(|held| &held.row).collect();
        rows.sort_by_key(|row| place(row));
        rows.into_iter().take(most).cloned().collect()
    }

    /// When one of this channel is to be sent, if nothing changes before.
    pub fn next_at(&self, channel: &str) -> Option<Steady> {
        let alerts = self.lock();
        let of_channel = alerts.to_tell.values().filter(|held| held.row.alert.channel == channel);
        let waiting = of_channel.filter_map(|held| match held.state {
            ToTell::Waiting { next_at } => Some(next_at),
            ToTell::Flying => None,
        });
        waiting.min()
    }

    /// When something of this channel is to be recorded, if nothing changes before.
    pub fn record_at(&self, channel: &str) -> Option<Steady> {
        let alerts = self.lock();
        let of_channel = alerts.told.values().filter(|held| held.stored && held.row.alert.channel == channel);
        of_channel.filter_map(|held| held.state.record_at).min()
    }

    /// It is on its way.
    pub fn fly(&self, key: &str) {
        if let Some(held) = self.lock().to_tell.get_mut(key) {
            held.state = ToTell::Flying;
        }
    }

    /// What came of an attempt; of a row that is not here it was the outbox's.
    pub fn told(&self, row: Row, at: Timestamp, outcome: Outcome) {
        let mut alerts = self.lock();
        let held = alerts.to_tell.remove(&row.alert.key);
        let (stored, withdrawn) = held.map_or((true, false), |held| (held.stored, held.withdrawn));
        let mut row = Row { attempts: row.attempts + 1, ..row };
        if stored && matches!(outcome, Outcome::Delivered { .. } | Outcome::GaveUp { .. }) {
            row.card = None; // In a storm thousands wait to be recorded, and nobody is sent this one again.
        }
        let key = row.alert.key.clone();
        if let Outcome::Retry { next_at, .. } = outcome
            && !stored
            && !withdrawn
        {
            alerts.to_tell.insert(key, Held { row, stored, withdrawn, state: ToTell::Waiting { next_at } });
            return;
        }
        let next = next_row(&row, &outcome).filter(|_| !stored && !withdrawn);
        let state = Told { at, outcome, record_at: Some(Steady(0)) };
        alerts.told.insert(key, Held { row, stored, withdrawn, state });
        if alerts.take_over(next) {
            drop(alerts);
            self.tell();
        }
    }

    /// What can be recorded now for one channel, `most` at the most; each is handed out once.
    pub fn to_record(&self, channel: &str, now: Steady, most: usize) -> Vec<ToRecord> {
        let mut alerts = self.lock();
        let due = alerts.told.iter_mut().filter(|(_, held)| {
            held.stored
                && held.row.alert.channel == channel
                && held.state.record_at.is_some_and(|at| at <= now)
        });
        let to_record = |(key, held): (&String, &mut Held<Told>)| {
            held.state.record_at = None;
            ToRecord { key: key.clone(), at: held.state.at, outcome: held.state.outcome.clone() }
        };
        due.take(most).map(to_record).collect()
    }

    /// The outbox knows it, and who took over from it.
    pub fn recorded(&self, key: &str) {
        let gone = self.lock().told.remove(key);
        if let Some(next) = gone.and_then(|held| next_row(&held.row, &held.state.outcome)) {
            self.stored(&next.alert.key);
        }
    }

    /// The disk did not take it; what was to be tried again is tried from memory, the rest recorded after `again_at`.
    pub fn not_recorded(&self, key: &str, again_at: Steady) {
        let mut alerts = self.lock();
        let Some(held) = alerts.told.get_mut(key) else { return };
        if let Outcome::Retry { next_at, .. } = held.state.outcome
            && !held.withdrawn
        {
            if let Some(Held { row, stored, withdrawn, .. }) = alerts.told.remove(key) {
                let state = ToTell::Waiting { next_at };
                alerts.to_tell.insert(key.to_owned(), Held { row, stored, withdrawn, state });
            }
            return;
        }
        held.state.record_at = Some(again_at);
        let next = next_row(&held.row, &held.state.outcome).filter(|_| !held.withdrawn);
        if alerts.take_over(next) {
            drop(alerts);
            self.tell();
        }
    }

    /// The channel is dead: what waits for another try is due now.
    pub fn hurry(&self, channel: &str) {
        for held in self.lock().to_tell.values_mut().filter(|held| held.row.alert.channel == channel) {
            if let ToTell::Waiting { next_at } = &mut held.state {
                *next_at = Steady(0);
            }
        }
    }

    fn leave_rest(&self) {
        self.left.send_modify(|changes| *changes += 1);
        self.tell();
    }

    fn tell(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Alerts> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<ToTell> {
    /// The outbox has it, and nobody has tried it.
    fn is_fresh(&self) -> bool {
        self.stored && self.row.attempts == 0 && matches!(self.state, ToTell::Waiting { .. })
    }
}

/// Worst class first, then oldest.
fn place(row: &Row) -> (SignalClass, AlarmId, u32) {
    (row.alert.class, row.alert.alarm, row.alert.step)
}

impl Alerts {
    fn hold(&mut self, row: Row, state: ToTell) {
        let key = row.alert.key.clone();
        self.committing.remove(&key);
        self.to_tell.insert(key, Held { row, stored: false, withdrawn: false, state });
    }

    /// The disk does not know of it yet, and it is told all the same. `false`: there is nothing to tell.
    fn take_over(&mut self, next: Option<Row>) -> bool {
        let Some(row) = next else { return false };
        if !self.told.contains_key(&row.alert.key) && !self.to_tell.contains_key(&row.alert.key) {
            self.hold(row, ToTell::Waiting { next_at: Steady(0) });
        }
        true
    }
}

/// The row on the other channel, when this one was handed on.
fn next_row(row: &Row, outcome: &Outcome) -> Option<Row> {
    match outcome {
        Outcome::HandedOn { to, .. } => Some(Row {
            alert: handed_on(&row.alert, to),
            alarm: row.alarm.clone(),
            attempts: 0,
            card: row.card.clone(),
        }),
        Outcome::Delivered { .. } | Outcome::Retry { .. } | Outcome::GaveUp { .. } => None,
    }
}

#[cfg(test)]
mod tests;
