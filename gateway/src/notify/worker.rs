//! One channel's worker: takes what is due from the outbox, sends it, and records every attempt.
//!
//! Fire goes first and has places of its own, so that slow answers to lesser alerts never hold it up. Sending does not wait for recording: what
//! came of attempts is recorded while others are on their way, and shares the store's commits. A worker never ends because of the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::reading::{AHEAD_MAX, Page};
use super::unrecorded::{ToRecord, Unrecorded};
use super::{Channel, Notice, Sent, backoff};
use crate::clock::{self, Clock};
use crate::health::Check;
use crate::live::Live;
use crate::model::SignalClass;
use crate::store::outbox::{Outcome, Row};
use crate::store::{Store, StoreError};
use crate::units::{Millis, Steady};
use crate::world;

/// Alerts of one channel on their way at the same time, below fire.
const AT_ONCE_MAX: usize = 8;
/// Further places that only fire may take.
const FIRE_AT_ONCE_MAX: usize = 8;
/// Outcomes given to the store at the same time. More wait here: in the store's queue a new alarm would wait behind them.
const RECORD_AT_ONCE_MAX: usize = 128;
/// With the longest pauses of [`backoff`] this is about a day.
const ATTEMPTS_MAX: u32 = 300;
/// How long attempts on their way may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// A store that does not answer in this time is asked again later.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// When the store failed, it is asked again after this long.
const AGAIN: Millis = Millis(1_000);

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
        changed.mark_changed(); // What was there before counts as well.
        let mut in_memory = self.unrecorded.changed();
        let mut places = Places::default();
        let mut page = Page::default();
        let mut flying = FuturesUnordered::new();
        let mut recording = FuturesUnordered::new();
        let mut readable = true;
        loop {
            in_memory.mark_unchanged();
            let now = self.clock.now().steady;
            for row in self.unrecorded.due(self.channel.name(), now, places.free_for_fire()) {
                if places.take(&row) {
                    self.unrecorded.fly(&row.alert.key);
                    flying.push(self.attempt(row, &working));
                }
            }
            if changed.has_changed().map_err(|_| StoreError::Stopped)? || page.is_over(now) {
                changed.mark_unchanged(); // Before the store is asked, or a change between would be slept through.
                page = self.read(now, &places, &mut readable).await;
            }
            while let Some(row) = page.next_if(|row| places.take(row)) {
                flying.push(self.attempt(row, &working));
            }
            let room = RECORD_AT_ONCE_MAX - recording.len();
            for told in self.unrecorded.to_record(self.channel.name(), now, room) {
                recording.push(self.record(told));
            }
            let next_at =
                page.next_at().into_iter().chain(self.unrecorded.next_at(self.channel.name())).min();
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
                // Before the sending, which would otherwise always have something ready: nothing would be recorded while alerts wait.
                Some(again_at) = recording.next() => if let Some(at) = again_at { page.due_at(at) },
                Some(key) = flying.next() => places.free(&key),
                alive = changed.changed() => {
                    alive.map_err(|_| StoreError::Stopped)?;
                    changed.mark_changed(); // Seen, but not read yet.
                }
                _ = in_memory.changed() => (), // Its other end is ours.
                () = next_due => (),
            }
        }
        // Whoever is cut off here is sent again after the start.
        let drain = async {
            while flying.next().await.is_some() {}
            for told in self.unrecorded.to_record(self.channel.name(), self.clock.now().steady, usize::MAX) {
                recording.push(self.record(told));
            }
            while recording.next().await.is_some() {}
        };
        let _ = tokio::time::timeout(DRAIN, drain).await;
        Ok(())
    }

    /// Rows of the outbox that are due and that nobody has in hand; none while the store cannot be read.
    async fn read(&self, now: Steady, places: &Places, readable: &mut bool) -> Page {
        // Rows on their way, or told and not recorded yet, are still pending in the outbox and come along.
        let asked = places.taken.len() + self.unrecorded.len() + AHEAD_MAX;
        let answer = self.store.due(self.channel.name(), now, u32::try_from(asked).unwrap_or(u32::MAX));
        let fault = match tokio::time::timeout(READ_WITHIN, answer).await {
            Ok(Ok(due)) => {
                *readable = true;
                let busy = |row: &Row| places.holds(row) || self.unrecorded.holds(&row.alert.key);
                return Page::new(due, now, busy);
            }
            Ok(Err(fault)) => format!("{:#}", anyhow::Error::from(fault)),
            Err(_) => format!("no answer within {} s", READ_WITHIN.as_secs()),
        };
        if std::mem::replace(readable, false) {
            tracing::error!(channel = self.channel.name(), fault, "the outbox cannot be read; trying again");
        }
        Page::nothing_until(now + AGAIN)
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

    /// When it is due again, if the outbox was told to try again.
    async fn record(&self, told: ToRecord) -> Option<Steady> {
        let again_at = match &told.outcome {
            Outcome::Retry { next_at, .. } => Some(*next_at),
            Outcome::Delivered { .. } | Outcome::GaveUp { .. } => None,
        };
        match self.store.attempted(&told.key, told.at, told.outcome).await {
            Ok(line) => {
                self.unrecorded.recorded(&told.key);
                if let Some((number, alarm, entry)) = line {
                    self.live.alarm(number, alarm, entry);
                }
                again_at
            }
            Err(StoreError::Damaged(damage)) => {
                tracing::error!(damage, "what came of an alert cannot be recorded");
                self.unrecorded.recorded(&told.key);
                None
            }
            // The store says itself that it cannot be written.
            Err(_) => {
                self.unrecorded.not_recorded(&told.key, told.at, self.clock.now().steady + AGAIN);
                None
            }
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
    fn take(&mut self, row: &Row) -> bool {
        let most = match row.alert.class {
            SignalClass::Fire => AT_ONCE_MAX + FIRE_AT_ONCE_MAX,
            SignalClass::Supervisory | SignalClass::Trouble | SignalClass::Disabled | SignalClass::Test => {
                AT_ONCE_MAX
            }
        };
        if self.holds(row) || most <= self.taken.len() {
            return false;
        }
        self.taken.insert(row.alert.key.clone(), row.alert.class);
        true
    }

    fn holds(&self, row: &Row) -> bool {
        self.taken.contains_key(&row.alert.key)
    }

    /// Places that are left, with those for fire.
    fn free_for_fire(&self) -> usize {
        AT_ONCE_MAX + FIRE_AT_ONCE_MAX - self.taken.len()
    }

    fn free(&mut self, key: &str) {
        self.taken.remove(key);
    }
}
