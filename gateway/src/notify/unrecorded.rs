//! Alerts that are told before, or recorded after, the disk takes them; and fires just stored, which need not be read back to be told.
//!
//! While the store cannot be written, the driver puts its alerts here and the workers send them from memory. Later the same alerts, with the same keys, come into
//! the outbox; whoever was told by then is not told again, what came of it is only recorded. The outcome of every attempt passes through here too:
//! should recording it fail, the row is not sent again and again but recorded when the disk allows. Bounded by what the driver holds and the workers send.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::AlarmId;
use crate::store::outbox::{Outcome, Row, handed_on};
use crate::units::{Steady, Timestamp};

/// A commit's fires come from memory while there are no more than this; the rest of a storm comes from the outbox, page by page.
const FRESH_MAX: usize = 64;

#[derive(Default)]
pub struct Unrecorded {
    alerts: Mutex<BTreeMap<String, Held>>,
    changes: watch::Sender<u64>,
    left: watch::Sender<u64>,
}

struct Held {
    row: Row,
    /// Whether the outbox has a row with this key.
    stored: bool,
    /// Somebody has answered the alarm: what is on its way may arrive, but is not tried again.
    withdrawn: bool,
    state: State,
}

enum State {
    /// Its commit is under way: nobody sends it yet, and nobody reads it from the outbox meanwhile.
    Committing,
    Waiting {
        next_at: Steady,
    },
    Flying,
    Told {
        at: Timestamp,
        outcome: Outcome,
        record_at: Steady,
    },
    Recording {
        outcome: Outcome,
    },
}

/// What came of one attempt, to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct ToRecord {
    pub key: String,
    pub at: Timestamp,
    pub outcome: Outcome,
}

impl Unrecorded {
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What becomes due in the outbox because it was left to it. Whoever reads the outbox must look again.
    pub fn left_to_outbox(&self) -> watch::Receiver<u64> {
        self.left.subscribe()
    }

    /// Whether so many fires may come from memory as soon as they are stored; otherwise the outbox alone brings them.
    pub fn has_room_for(&self, fires: usize) -> bool {
        self.len() + fires <= FRESH_MAX
    }

    /// From the driver: a commit with these begins. [`Unrecorded::committed`] says when they may be told; until then nobody takes them from the outbox
    /// either, or they would be told twice.
    pub fn committing(&self, fires: Vec<Row>) {
        let held = |row| Held { row, stored: false, withdrawn: false, state: State::Committing };
        self.lock().extend(fires.into_iter().map(|row| (row.alert.key.clone(), held(row))));
    }

    /// From the driver: they are on disk. Told from here, a fire need not wait until the outbox is read.
    pub fn committed<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        let mut alerts = self.lock();
        let mut any = false;
        for key in keys {
            let Some(held) = alerts.get_mut(key).filter(|held| matches!(held.state, State::Committing))
            else {
                continue;
            };
            (held.stored, held.state, any) = (true, State::Waiting { next_at: Steady(0) }, true);
        }
        drop(alerts);
        if any {
            self.tell();
        }
    }

    /// These cannot go at once. What is stored comes from the outbox then, with its alarm as it is by that time.
    pub fn leave(&self, rows: impl IntoIterator<Item = Row>) {
        let mut alerts = self.lock();
        let mut any = false;
        for row in rows {
            let fresh = |held: &Held| {
                held.stored && held.row.attempts == 0 && matches!(held.state, State::Waiting { .. })
            };
            if alerts.get(&row.alert.key).is_some_and(fresh) {
                alerts.remove(&row.alert.key);
                any = true;
            }
        }
        drop(alerts);
        if any {
            self.leave_rest();
        }
    }

    /// From the driver: nobody has stored this one, tell it all the same.
    pub fn add(&self, row: Row) {
        let state = State::Waiting { next_at: Steady(0) };
        self.lock().insert(row.alert.key.clone(), Held { row, stored: false, withdrawn: false, state });
        self.tell();
    }

    /// From the driver: somebody has answered this alarm.
    pub fn withdraw(&self, alarm: AlarmId) {
        let mut left = false;
        self.lock().retain(|_, held| {
            held.withdrawn |= held.row.alert.alarm == alarm;
            let keep = !(held.withdrawn && matches!(held.state, State::Waiting { .. }));
            left |= !keep && held.stored; // The outbox knows whether it was told again after that.
            keep
        });
        if left {
            self.leave_rest();
        }
    }

    /// From the driver: this one is in the outbox now. Nobody has tried to send it yet: then the outbox is its only place.
    pub fn stored(&self, key: &str) {
        let mut alerts = self.lock();
        if let Some(held) = alerts.get_mut(key) {
            held.stored = true;
            if held.row.attempts == 0 && matches!(held.state, State::Waiting { .. }) {
                alerts.remove(key);
            }
        }
        drop(alerts);
        self.leave_rest();
    }

    /// Whether the outbox's row with this key must be left alone.
    pub fn holds(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Alerts of one channel to send now, worst class first, then oldest, `most` at the most.
    pub fn due(&self, channel: &str, now: Steady, most: usize) -> Vec<Row> {
        let alerts = self.lock();
        let due = |held: &&Held| {
            held.row.alert.channel == channel
                && matches!(held.state, State::Waiting { next_at } if next_at <= now)
        };
        let mut rows: Vec<&Row> = alerts.values().filter(due).map(|held| &held.row).collect();
        rows.sort_by_key(|row| (row.alert.class, row.alert.alarm, row.alert.step));
        rows.into_iter().take(most).cloned().collect()
    }

    /// When there is something to do for this channel, if nothing changes before.
    pub fn next_at(&self, channel: &str) -> Option<Steady> {
        let alerts = self.lock();
        let of_channel = alerts.values().filter(|held| held.row.alert.channel == channel);
        of_channel
            .filter_map(|held| match held.state {
                State::Waiting { next_at } => Some(next_at),
                State::Told { record_at, .. } => held.stored.then_some(record_at),
                State::Committing | State::Flying | State::Recording { .. } => None,
            })
            .min()
    }

    /// It is on its way.
    pub fn fly(&self, key: &str) {
        if let Some(held) = self.lock().get_mut(key) {
            held.state = State::Flying;
        }
    }

    /// What came of an attempt; of a row that is not here it was the outbox's.
    pub fn told(&self, row: Row, at: Timestamp, outcome: Outcome) {
        let mut alerts = self.lock();
        let held = alerts.get(&row.alert.key);
        let (stored, withdrawn) = held.map_or((true, false), |held| (held.stored, held.withdrawn));
        let mut row = Row { attempts: row.attempts + 1, ..row };
        if stored && matches!(outcome, Outcome::Delivered { .. } | Outcome::GaveUp { .. }) {
            row.card = None; // In a storm thousands wait to be recorded, and nobody is sent this one again.
        }
        let state = match outcome {
            Outcome::Retry { next_at, .. } if !stored && !withdrawn => State::Waiting { next_at },
            outcome @ (Outcome::Delivered { .. }
            | Outcome::Retry { .. }
            | Outcome::GaveUp { .. }
            | Outcome::HandedOn { .. }) => State::Told { at, outcome, record_at: Steady(0) },
        };
        let next = next_row(&row, &state).filter(|_| !stored && !withdrawn);
        alerts.insert(row.alert.key.clone(), Held { row, stored, withdrawn, state });
        if take_over(&mut alerts, next) {
            drop(alerts);
            self.tell();
        }
    }

    /// What can be recorded now for one channel, `most` at the most; each is handed out once.
    pub fn to_record(&self, channel: &str, now: Steady, most: usize) -> Vec<ToRecord> {
        let mut alerts = self.lock();
        let mut found = Vec::new();
        for (key, held) in alerts.iter_mut().filter(|(_, held)| held.stored) {
            if found.len() == most {
                break;
            }
            if held.row.alert.channel == channel
                && let State::Told { at, outcome, record_at } = &held.state
                && *record_at <= now
            {
                found.push(ToRecord { key: key.clone(), at: *at, outcome: outcome.clone() });
                held.state = State::Recording { outcome: outcome.clone() };
            }
        }
        found
    }

    /// The outbox knows it, and who took over from it.
    pub fn recorded(&self, key: &str) {
        let gone = self.lock().remove(key);
        if let Some(next) = gone.and_then(|held| next_row(&held.row, &held.state)) {
            self.stored(&next.alert.key);
        }
    }

    /// The disk did not take it; what was to be tried again is tried from memory, the rest recorded after `again_at`.
    pub fn not_recorded(&self, key: &str, at: Timestamp, again_at: Steady) {
        let mut alerts = self.lock();
        let Some(held) = alerts.get_mut(key) else { return };
        if let State::Recording { outcome } = &held.state {
            held.state = match outcome {
                Outcome::Retry { next_at, .. } if !held.withdrawn => State::Waiting { next_at: *next_at },
                Outcome::Delivered { .. }
                | Outcome::Retry { .. }
                | Outcome::GaveUp { .. }
                | Outcome::HandedOn { .. } => {
                    State::Told { at, outcome: outcome.clone(), record_at: again_at }
                }
            };
            let next = next_row(&held.row, &held.state).filter(|_| !held.withdrawn);
            if take_over(&mut alerts, next) {
                drop(alerts);
                self.tell();
            }
        }
    }

    /// The channel is dead: what waits for another try is due now.
    pub fn hurry(&self, channel: &str) {
        for held in self.lock().values_mut().filter(|held| held.row.alert.channel == channel) {
            if let State::Waiting { next_at } = &mut held.state {
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row on the other channel, when this one was handed on.
fn next_row(row: &Row, state: &State) -> Option<Row> {
    match state {
        State::Told { outcome: Outcome::HandedOn { to, .. }, .. }
        | State::Recording { outcome: Outcome::HandedOn { to, .. } } => Some(Row {
            id: 0,
            alert: handed_on(&row.alert, to),
            alarm: row.alarm.clone(),
            attempts: 0,
            card: row.card.clone(),
        }),
        State::Told { .. }
        | State::Recording { .. }
        | State::Waiting { .. }
        | State::Committing
        | State::Flying => None,
    }
}

/// The disk does not know of it yet, and it is told all the same. `false`: there is nothing to tell.
fn take_over(alerts: &mut BTreeMap<String, Held>, next: Option<Row>) -> bool {
    let Some(row) = next else { return false };
    let state = State::Waiting { next_at: Steady(0) };
    alerts.entry(row.alert.key.clone()).or_insert(Held { row, stored: false, withdrawn: false, state });
    true
}

#[cfg(test)]
mod tests;
