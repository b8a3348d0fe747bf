//! How an alert leaves the house: one worker per channel takes what is due from the outbox and records every attempt.
//!
//! Whether a failure is worth another try is the channel's answer; when, is [`backoff`]'s. Fire goes first and has places of its own, so that slow
//! answers to lesser alerts never hold it up. Delivery is at least once: a crash between sending and recording sends again, with the same key.
//! While the store cannot be written, alerts come from memory ([`unrecorded`]): a worker never ends because of the disk.
//! A channel is added as a file here that implements [`Channel`].

pub mod accepted;
pub mod alarm_mqtt;
pub mod backoff;
pub mod mqtt;
pub mod unrecorded;
pub mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Clock};
use crate::grid::Registry;
use crate::health::Check;
use crate::live::Live;
use crate::model::SignalClass;
use crate::store::outbox::{Due, Outcome, Row};
use crate::store::{Store, StoreError};
use crate::units::{Millis, Steady, Timestamp};
use crate::view::AlarmView;
use crate::world;
use unrecorded::{ToRecord, Unrecorded};

/// Alerts of one channel on their way at the same time, below fire.
const AT_ONCE_MAX: usize = 8;
/// Further places that only fire may take.
const FIRE_AT_ONCE_MAX: usize = 8;
/// With the longest pauses of [`backoff`] this is about a day.
const ATTEMPTS_MAX: u32 = 300;
/// How long attempts on their way may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// A store that does not answer in this time is asked again later.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// When the store failed, it is asked again after this long.
const AGAIN: Millis = Millis(1_000);

/// One way to tell people.
pub trait Channel: Send + Sync + 'static {
    /// As in the ladders of rules.toml.
    fn name(&self) -> &str;

    /// Ends within a time of its own, whatever the other side does.
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent>;
}

/// What the other side said.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    Delivered {
        receipt: String,
    },
    /// `after`: the other side asked to wait at least this long.
    Retry {
        error: String,
        after: Option<Millis>,
    },
    GaveUp {
        error: String,
    },
}

/// What is sent: one alert to one person, with the alarm as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    /// The same for every attempt: drop what you have seen before.
    pub id: String,
    pub station: String,
    pub sent_at: String,
    /// From 1.
    pub attempt: u32,
    pub alert: Telling,
    pub alarm: AlarmView,
    /// Where to POST to take the alarm in hand, below the gateway's address.
    pub acknowledge: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Telling {
    /// Step of the ladder, from 1.
    pub step: u32,
    /// When the step was taken.
    pub at: String,
    pub person: Option<Contact>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contact {
    pub id: String,
    pub name: String,
    pub phone: String,
}

impl Notice {
    pub fn of(row: &Row, station: &str, registry: &Registry, now: Timestamp) -> Self {
        let person = row.alert.person.as_ref().map(|id| match registry.person(id) {
            Some(person) => {
                Contact { id: id.clone(), name: person.name.clone(), phone: person.phone.clone() }
            }
            None => Contact { id: id.clone(), name: String::new(), phone: String::new() },
        });
        Self {
            id: row.alert.key.clone(),
            station: station.to_owned(),
            sent_at: now.rfc3339(),
            attempt: row.attempts + 1,
            alert: Telling { step: row.alert.step, at: row.alert.at.rfc3339(), person },
            alarm: AlarmView::of(&row.alarm, registry),
            acknowledge: format!("/api/v1/alarms/{}/acknowledge", row.alarm.id),
        }
    }
}

/// Empties one channel's part of the outbox.
pub struct Worker {
    pub channel: Arc<dyn Channel>,
    pub station: String,
    pub store: Store,
    pub world: world::Shared,
    pub live: Arc<Live>,
    pub clock: Clock,
    /// Informative: `channel:<name>`.
    pub check: Check,
    /// Shared with the driver and the other workers.
    pub unrecorded: Arc<Unrecorded>,
}

impl Worker {
    /// Runs until `stop`; then attempts on their way get a moment to end.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.check.fine();
        let working = AtomicBool::new(true);
        let mut changed = self.store.outbox_changed();
        let mut in_memory = self.unrecorded.changed();
        let mut places = Places::default();
        let mut flying = FuturesUnordered::new();
        let mut recording = FuturesUnordered::new();
        let mut readable = true;
        loop {
            changed.mark_unchanged(); // Before the store is asked, or a change between would be slept through.
            in_memory.mark_unchanged();
            let now = self.clock.now().steady;
            for row in self.unrecorded.due(self.channel.name(), now) {
                if places.take(&row.alert.key, row.alert.class) {
                    self.unrecorded.fly(&row.alert.key);
                    flying.push(self.attempt(row, &working));
                }
            }
            let due = self.due(now, &places, &mut readable).await;
            for row in due.rows {
                if !self.unrecorded.holds(&row.alert.key) && places.take(&row.alert.key, row.alert.class) {
                    flying.push(self.attempt(row, &working));
                }
            }
            for told in self.unrecorded.to_record(self.channel.name(), now) {
                recording.push(self.record(told));
            }
            let next_at = due.next_at.into_iter().chain(self.unrecorded.next_at(self.channel.name())).min();
            let next_due = async {
                match next_at {
                    // A row that finds no place is due already: the next place that is free wakes us.
                    Some(at) => {
                        tokio::time::sleep_until(self.clock.instant_of(at.max(now + Millis(20)))).await
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(key) = flying.next() => places.free(&key),
                Some(()) = recording.next() => (),
                alive = changed.changed() => alive.map_err(|_| StoreError::Stopped)?,
                _ = in_memory.changed() => (), // Its other end is ours.
                () = next_due => (),
            }
        }
        // Whoever is cut off here is sent again after the start.
        let drain = async {
            while flying.next().await.is_some() {}
            for told in self.unrecorded.to_record(self.channel.name(), self.clock.now().steady) {
                recording.push(self.record(told));
            }
            while recording.next().await.is_some() {}
        };
        let _ = tokio::time::timeout(DRAIN, drain).await;
        Ok(())
    }

    /// Rows of the outbox that are due; none while the store cannot be read.
    async fn due(&self, now: Steady, places: &Places, readable: &mut bool) -> Due {
        let limit = (places.taken.len() + AT_ONCE_MAX + FIRE_AT_ONCE_MAX + self.unrecorded.len()) as u32;
        let asked = self.store.due(self.channel.name(), now, limit);
        let fault = match tokio::time::timeout(READ_WITHIN, asked).await {
            Ok(Ok(due)) => {
                *readable = true;
                return due;
            }
            Ok(Err(fault)) => format!("{:#}", anyhow::Error::from(fault)),
            Err(_) => format!("no answer within {} s", READ_WITHIN.as_secs()),
        };
        if std::mem::replace(readable, false) {
            tracing::error!(channel = self.channel.name(), fault, "the outbox cannot be read; trying again");
        }
        Due { rows: Vec::new(), next_at: Some(now + AGAIN) }
    }

    /// Sends one alert and keeps what came of it, to be recorded.
    async fn attempt(&self, row: Row, working: &AtomicBool) -> String {
        let begun = clock::instant();
        let sent = if !row.alarm.is_open() {
            Sent::GaveUp { error: "not sent: the alarm was closed before".into() }
        } else if ATTEMPTS_MAX <= row.attempts {
            Sent::GaveUp { error: format!("given up after {ATTEMPTS_MAX} attempts") }
        } else {
            let now = self.clock.now().wall;
            let notice = Notice::of(&row, &self.station, &self.world.load().registry, now);
            let sent = self.channel.send(&notice).await;
            self.note(&sent, working);
            sent
        };
        let name = self.channel.name().to_owned();
        let took = clock::instant().duration_since(begun).as_secs_f64();
        metrics::histogram!("gridwarden_alert_seconds", "channel" => name.clone()).record(took);
        let now = self.clock.now();
        let (outcome, word) = match sent {
            Sent::Delivered { receipt } => (Outcome::Delivered { receipt }, "delivered"),
            Sent::GaveUp { error } => (Outcome::GaveUp { error }, "gave_up"),
            Sent::Retry { error, after } => {
                let wait = backoff::wait(row.attempts + 1, row.alert.class, after, fastrand::f64());
                (Outcome::Retry { error, next_at: now.steady + wait }, "retry")
            }
        };
        metrics::counter!("gridwarden_alerts_total", "channel" => name, "outcome" => word).increment(1);
        let key = row.alert.key.clone();
        self.unrecorded.told(row, now.wall, outcome);
        key
    }

    async fn record(&self, told: ToRecord) {
        match self.store.attempted(&told.key, told.at, told.outcome).await {
            Ok(line) => {
                self.unrecorded.recorded(&told.key);
                if let Some((number, alarm, entry)) = line {
                    self.live.alarm(number, alarm, entry);
                }
            }
            Err(StoreError::Damaged(damage)) => {
                tracing::error!(damage, "what came of an alert cannot be recorded");
                self.unrecorded.recorded(&told.key);
            }
            // The store says itself that it cannot be written.
            Err(_) => self.unrecorded.not_recorded(&told.key, told.at, self.clock.now().steady + AGAIN),
        }
    }

    /// Logs once when the channel begins to fail and once when it works again.
    fn note(&self, sent: &Sent, working: &AtomicBool) {
        let channel = self.channel.name();
        match sent {
            Sent::Delivered { .. } => {
                self.check.fine();
                if !working.swap(true, Ordering::Relaxed) {
                    tracing::info!(channel, "alerts are taken again");
                }
            }
            Sent::Retry { error, .. } | Sent::GaveUp { error } => {
                self.check.wrong(error.as_str());
                if working.swap(false, Ordering::Relaxed) {
                    tracing::warn!(channel, error, "an alert was not taken");
                }
            }
        }
    }
}

/// Which rows are on their way.
#[derive(Default)]
struct Places {
    taken: BTreeMap<String, SignalClass>,
}

impl Places {
    /// `false` when it is already on its way, or there is no place for its class.
    fn take(&mut self, key: &str, class: SignalClass) -> bool {
        let most = match class {
            SignalClass::Fire => AT_ONCE_MAX + FIRE_AT_ONCE_MAX,
            SignalClass::Supervisory | SignalClass::Trouble | SignalClass::Disabled | SignalClass::Test => {
                AT_ONCE_MAX
            }
        };
        if self.taken.contains_key(key) || most <= self.taken.len() {
            return false;
        }
        self.taken.insert(key.to_owned(), class);
        true
    }

    fn free(&mut self, key: &str) {
        self.taken.remove(key);
    }
}
