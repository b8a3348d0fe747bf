//! One channel's worker: takes what is due from the outbox, sends it as [`turn`] says, and records every attempt.
//!
//! Sending does not wait for recording: what came of attempts is recorded while others are on their way, and shares the store's commits. What a
//! dead channel cannot deliver goes on to another ([`condition`](super::condition)). A worker never ends because of the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::condition::Condition;
use super::pace::Pace;
use super::reading::{AHEAD_MAX, Page};
use super::turn::{self, Places};
use super::unrecorded::{ToRecord, Unrecorded};
use super::{Channel, Letterhead, Notice, Sent, Terms, backoff};
use crate::clock::{self, Clock};
use crate::health::Check;
use crate::live::Live;
use crate::model::{Alert, SignalClass};
use crate::store::outbox::{Due, Outcome, Row};
use crate::store::{Store, StoreError};
use crate::units::{Millis, Now, Steady};
use crate::world;

/// Outcomes given to the store at the same time. More wait here: in the store's queue a new alarm would wait behind them.
const RECORD_AT_ONCE_MAX: usize = 128;
/// With the longest pauses of [`backoff`] this is about a day.
const ATTEMPTS_MAX: u32 = 300;
/// How long attempts on their way may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// A store that does not answer in this time is asked again later.
const WITHIN: Duration = Duration::from_secs(3);
/// When the store failed, it is asked again after this long.
const AGAIN: Millis = Millis(1_000);
/// Rows from memory that are looked at together.
const FROM_MEMORY_MAX: usize = 64;
/// A fire with another way does not wait longer than this for a token.
const FIRE_WAITS_MOST: Millis = Millis(2_000);

/// Empties one channel's part of the outbox.
pub struct Worker {
    pub channel: Arc<dyn Channel>,
    pub terms: Terms,
    pub letterhead: Letterhead,
    pub store: Store,
    pub world: world::Shared,
    pub live: Arc<Live>,
    pub clock: Clock,
    /// Informative: `channel:<name>`.
    pub check: Check,
    /// Shared with the driver and the other workers.
    pub unrecorded: Arc<Unrecorded>,
}

/// What the attempts on their way share.
struct Desk {
    pace: Pace,
    condition: Condition,
    /// The log has said that the channel fails.
    failing: bool,
}

/// What is left of the rows that were due.
#[derive(Default)]
struct Left {
    /// For want of a place.
    stay: VecDeque<Row>,
    /// For want of a token, with when there is one.
    wait: Vec<(Row, Steady)>,
}

impl Worker {
    /// Runs until `stop`; then attempts on their way get a moment to end.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.check.fine();
        let name = self.channel.name();
        let desk = Mutex::new(Desk {
            pace: Pace::new(self.terms.limits.clone()),
            condition: Condition::new(self.terms.dead_after),
            failing: false,
        });
        let mut changed = self.store.outbox_changed();
        changed.mark_changed(); // What was there before counts as well.
        let mut in_memory = self.unrecorded.changed();
        let mut left_to_outbox = self.unrecorded.left_to_outbox();
        let mut places = Places::default();
        let mut page = Page::default();
        let mut flying = FuturesUnordered::new();
        let mut recording = FuturesUnordered::new();
        let mut readable = true;
        let mut hurried = false;
        loop {
            in_memory.mark_unchanged();
            let now = self.clock.now();
            let dead = self.terms.or_else.is_some() && lock(&desk).condition.dead(now.steady);
            if dead && !hurried {
                self.unrecorded.hurry(name);
                // When this fails they go on when they would be tried again.
                let _ = tokio::time::timeout(WITHIN, self.store.hurry(name)).await;
            }
            hurried = dead;
            let (go, mut left_here) = self.choose_in_memory(&desk, &mut places, now);
            flying.extend(go.into_iter().map(|rows| self.attempt(rows, &desk)));
            let outbox_changed = changed.has_changed().map_err(|_| StoreError::Stopped)?;
            if outbox_changed
                || left_to_outbox.has_changed().is_ok_and(|left| left)
                || page.is_over(now.steady)
            {
                left_to_outbox.mark_unchanged();
                changed.mark_unchanged(); // Before the store is asked, or a change between would be slept through.
                let mut ended = Vec::new();
                // Rows on their way, or told and not recorded yet, are still pending in the outbox and come along.
                let asked = places.len() + self.unrecorded.len() + AHEAD_MAX;
                let reading = self.read(now.steady, asked, &mut readable);
                tokio::pin!(reading);
                // Neither sending nor a fire just stored waits for the outbox.
                let due = loop {
                    tokio::select! {
                        biased;
                        Some(keys) = flying.next() => ended.push(keys),
                        due = &mut reading => break due,
                        _ = in_memory.changed() => {
                            let (go, left) = self.choose_in_memory(&desk, &mut places, self.clock.now());
                            flying.extend(go.into_iter().map(|rows| self.attempt(rows, &desk)));
                            left_here = left;
                        }
                    }
                };
                let busy = |row: &Row| places.holds(row) || self.unrecorded.holds(&row.alert.key);
                page = match due {
                    Some(due) => Page::new(due, now.steady, busy),
                    None => Page::nothing_until(now.steady + AGAIN),
                };
                ended.iter().for_each(|keys: &Vec<String>| places.free(keys));
            }
            let (go, left) = self.choose(page.take(), &desk, &mut places, now);
            flying.extend(go.into_iter().map(|rows| self.attempt(rows, &desk)));
            self.keep(&mut page, left).await;
            let room = RECORD_AT_ONCE_MAX - recording.len();
            for told in self.unrecorded.to_record(name, now.steady, room) {
                recording.push(self.record(told));
            }
            let memory_at = self.unrecorded.next_at(name).map(|at| {
                // Those that have no place or token are due already; a place that is free wakes us.
                if left_here { at.max(now.steady + AGAIN) } else { at }
            });
            let dead_at = lock(&desk).condition.dead_at().filter(|_| self.terms.or_else.is_some() && !dead);
            let next_at = page.next_at().into_iter().chain(memory_at).chain(dead_at).min();
            // A row that finds no place is due already: the next place that is free wakes us.
            let next_due =
                clock::until(next_at.map(|at| self.clock.instant_of(at.max(now.steady + Millis(20)))));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Before the sending, which would otherwise always have something ready: nothing would be recorded while alerts wait.
                Some(again_at) = recording.next() => if let Some(at) = again_at { page.due_at(at) },
                Some(keys) = flying.next() => places.free(&keys),
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
            for told in self.unrecorded.to_record(name, self.clock.now().steady, usize::MAX) {
                recording.push(self.record(told));
            }
            while recording.next().await.is_some() {}
        };
        let _ = tokio::time::timeout(DRAIN, drain).await;
        Ok(())
    }

    /// What goes out now without having been read from the outbox, and whether some of it stays for want of a place or a token.
    fn choose_in_memory(&self, desk: &Mutex<Desk>, places: &mut Places, now: Now) -> (Vec<Vec<Row>>, bool) {
        let memory = self.unrecorded.due(self.channel.name(), now.steady, FROM_MEMORY_MAX).into();
        let (go, Left { stay, wait }) = self.choose(memory, desk, places, now);
        go.iter().flatten().for_each(|row| self.unrecorded.fly(&row.alert.key));
        let left_here = !stay.is_empty() || !wait.is_empty();
        self.unrecorded.leave(stay.into_iter().chain(wait.into_iter().map(|(row, _)| row)));
        (go, left_here)
    }

    /// The messages that go out now, and the rows that are left. What need not be tried is settled here.
    fn choose(
        &self,
        rows: VecDeque<Row>,
        desk: &Mutex<Desk>,
        places: &mut Places,
        now: Now,
    ) -> (Vec<Vec<Row>>, Left) {
        if rows.is_empty() {
            return Default::default();
        }
        let mut desk = lock(desk);
        let mut worth_trying = VecDeque::new();
        for row in rows {
            match self.settle(&row, &mut desk.condition, now.steady) {
                Some(outcome) => self.told(row, now, outcome),
                None => worth_trying.push_back(row),
            }
        }
        let turn = turn::choose(worth_trying, &mut desk.pace, places, now.steady);
        let mut left = Left { stay: turn.stay, wait: Vec::new() };
        for (row, until) in turn.wait {
            let fire = row.alert.class == SignalClass::Fire && now.steady + FIRE_WAITS_MOST < until;
            match &self.terms.or_else {
                Some(to) if fire => {
                    let error = "not sent: the channel takes no more messages for now".to_owned();
                    self.told(row, now, Outcome::HandedOn { error, to: to.clone() });
                }
                Some(_) | None => left.wait.push((row, until)),
            }
        }
        (turn.go, left)
    }

    /// What comes of a row without an attempt.
    fn settle(&self, row: &Row, condition: &mut Condition, now: Steady) -> Option<Outcome> {
        if !row.alarm.is_open() && row.alert.step != Alert::OVER {
            return Some(Outcome::GaveUp { error: "not sent: the alarm was closed before".into() });
        }
        if ATTEMPTS_MAX <= row.attempts {
            return Some(self.end_here(format!("given up after {ATTEMPTS_MAX} attempts")));
        }
        let to = self.terms.or_else.as_ref()?;
        if condition.worth_trying(row.alert.class == SignalClass::Fire, now) {
            return None;
        }
        let error = "not sent: the channel has been failing for too long".to_owned();
        Some(Outcome::HandedOn { error, to: to.clone() })
    }

    /// The end on this channel, which may be a beginning on another.
    fn end_here(&self, error: String) -> Outcome {
        match &self.terms.or_else {
            Some(to) => Outcome::HandedOn { error, to: to.clone() },
            None => Outcome::GaveUp { error },
        }
    }

    /// Rows for which there was no place stay in the page; those without a token too, unless they would keep others out of it.
    async fn keep(&self, page: &mut Page, left: Left) {
        let Left { mut stay, wait } = left;
        if page.more() && !wait.is_empty() {
            let later = wait.iter().map(|(row, until)| (row.id, *until)).collect();
            // When this fails they come with the next page.
            let _ = tokio::time::timeout(WITHIN, self.store.postpone(later)).await;
        } else {
            for (row, until) in wait {
                page.due_at(until);
                stay.push_back(row);
            }
        }
        page.keep(stay);
    }

    /// Rows of the outbox that are due; `None` while the store cannot be read.
    async fn read(&self, now: Steady, asked: usize, readable: &mut bool) -> Option<Due> {
        let answer = self.store.due(self.channel.name(), now, u32::try_from(asked).unwrap_or(u32::MAX));
        let fault = match tokio::time::timeout(WITHIN, answer).await {
            Ok(Ok(due)) => {
                *readable = true;
                return Some(due);
            }
            Ok(Err(fault)) => format!("{:#}", anyhow::Error::from(fault)),
            Err(_) => format!("no answer within {} s", WITHIN.as_secs()),
        };
        if std::mem::replace(readable, false) {
            tracing::error!(channel = self.channel.name(), fault, "the outbox cannot be read; trying again");
        }
        None
    }

    /// Sends one message and keeps what came of it, to be recorded for each alert in it.
    async fn attempt(&self, rows: Vec<Row>, desk: &Mutex<Desk>) -> Vec<String> {
        let begun = clock::instant();
        let registry = self.world.load().registry.clone();
        let notice = Notice::fold(&rows, &self.letterhead, &registry, self.clock.now().wall);
        let sent = match &notice {
            Some(notice) => self.channel.send(notice).await,
            None => Sent::gave_up("there was nothing to send".into()),
        };
        let name = self.channel.name().to_owned();
        let took = clock::instant().duration_since(begun).as_secs_f64();
        metrics::histogram!("gridwarden_alert_seconds", "channel" => name.clone()).record(took);
        if 1 < rows.len() {
            metrics::counter!("gridwarden_alerts_folded_total", "channel" => name)
                .increment(rows.len() as u64);
        }
        let now = self.clock.now();
        let dead = self.note(&sent, &rows, desk, now.steady);
        let keys = rows.iter().map(|row| row.alert.key.clone()).collect();
        let others = rows.len() - 1;
        for row in rows {
            let outcome = self.outcome(&row, &sent, others, dead, now.steady);
            self.told(row, now, outcome);
        }
        keys
    }

    /// `others`: alerts that went out in the same message.
    fn outcome(&self, row: &Row, sent: &Sent, others: usize, dead: bool, now: Steady) -> Outcome {
        match sent.clone() {
            Sent::Delivered { receipt, id } if others == 0 => Outcome::Delivered { receipt, id },
            Sent::Delivered { receipt, id } => {
                Outcome::Delivered { receipt: format!("{receipt}; in one message with {others} others"), id }
            }
            Sent::GaveUp { error } => self.end_here(error),
            Sent::Retry { error, after } => {
                let too_long = dead || after.is_some_and(|after| self.terms.dead_after <= after);
                match &self.terms.or_else {
                    Some(to) if too_long => Outcome::HandedOn { error, to: to.clone() },
                    Some(_) | None => {
                        let wait = backoff::wait(row.attempts + 1, row.alert.class, after, fastrand::f64());
                        Outcome::Retry { error, next_at: now + wait }
                    }
                }
            }
        }
    }

    fn told(&self, row: Row, now: Now, outcome: Outcome) {
        let word = match &outcome {
            Outcome::Delivered { .. } => "delivered",
            Outcome::GaveUp { .. } => "gave_up",
            Outcome::Retry { .. } => "retry",
            Outcome::HandedOn { .. } => "handed_on",
        };
        let name = self.channel.name().to_owned();
        metrics::counter!("gridwarden_alerts_total", "channel" => name, "outcome" => word).increment(1);
        self.unrecorded.told(row, now.wall, outcome);
    }

    /// When it is due again, if the outbox was told to try again.
    async fn record(&self, told: ToRecord) -> Option<Steady> {
        let again_at = match &told.outcome {
            Outcome::Retry { next_at, .. } => Some(*next_at),
            Outcome::Delivered { .. } | Outcome::GaveUp { .. } | Outcome::HandedOn { .. } => None,
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

    /// Whether the channel is dead now. Logs once when it begins to fail and once when it works again.
    fn note(&self, sent: &Sent, rows: &[Row], desk: &Mutex<Desk>, now: Steady) -> bool {
        let channel = self.channel.name();
        let mut desk = lock(desk);
        match sent {
            Sent::Delivered { .. } => {
                desk.condition.worked();
                self.check.fine();
                if std::mem::replace(&mut desk.failing, false) {
                    tracing::info!(channel, "alerts are taken again");
                }
                return false;
            }
            Sent::Retry { after, .. } => {
                desk.condition.failed(now);
                if let Some(after) = after.filter(|_| !self.terms.limits.is_none()) {
                    let person = rows.first().and_then(|row| row.alert.person.as_deref());
                    let receiver = desk.pace.receiver(person).to_owned();
                    desk.pace.rest(&receiver, now, now + after);
                }
            }
            // It has answered: there is nothing wrong with the channel for others.
            Sent::GaveUp { .. } => (),
        }
        if let Sent::Retry { error, .. } | Sent::GaveUp { error } = sent {
            self.check.wrong(error.as_str());
            if !std::mem::replace(&mut desk.failing, true) {
                tracing::warn!(channel, error, "an alert was not taken");
            }
        }
        desk.condition.dead(now)
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
