//! One channel's worker: takes what is due from the outbox, sends it as [`turn`] says, and records every attempt.
//!
//! Sending does not wait for recording: what came of attempts is recorded while others are on their way, and shares the store's commits. What a
//! dead channel cannot deliver goes on to another ([`condition`](super::condition)). A worker never ends because of the disk.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use super::condition::Condition;
use super::pace::Pace;
use super::reading::{AHEAD_MAX, Page};
use super::turn::{self, Places};
use super::unrecorded::Unrecorded;
use super::{Channel, Letterhead, Notice, Sent, Terms, backoff};
use crate::clock::{self, Clock};
use crate::health::Check;
use crate::live::Live;
use crate::model::{Alert, Entry, SignalClass};
use crate::store::outbox::{Due, Outcome, Row, ToRecord};
use crate::store::{Store, StoreError};
use crate::units::{Millis, Now, Steady};
use crate::world;

/// Attempts recorded together, of which a new alarm may have to wait for one such group. More wait here.
const RECORD_TOGETHER_MAX: usize = 256;
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
        in_memory.mark_changed();
        let mut left_to_outbox = self.unrecorded.left_to_outbox();
        let mut places = Places::default();
        let mut page = Page::default();
        let mut flying = FuturesUnordered::new();
        let mut recording = FuturesUnordered::new();
        let mut readable = true;
        let mut hurried = false;
        loop {
            let now = self.clock.now();
            if in_memory.has_changed().is_ok_and(|changed| changed) {
                in_memory.mark_unchanged();
                let (go, left) = self.take_fresh(&desk, &mut places, now);
                flying.extend(go.into_iter().map(|rows| self.attempt(rows, &desk)));
                page.add(left, now.steady);
            }
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
                let (mut ended, mut meanwhile) = (Vec::new(), Vec::new());
                let reading = self.read(now.steady, places.keys().clone(), &mut readable);
                tokio::pin!(reading);
                // Neither sending nor a fire just stored waits for the outbox.
                let due = loop {
                    tokio::select! {
                        biased;
                        Some(keys) = flying.next() => ended.push(keys),
                        due = &mut reading => break due,
                        _ = in_memory.changed() => {
                            let now = self.clock.now();
                            let (go, left) = self.take_fresh(&desk, &mut places, now);
                            flying.extend(go.into_iter().map(|rows| self.attempt(rows, &desk)));
                            meanwhile.extend(left);
                            let (go, left) = self.choose_in_memory(&desk, &mut places, now);
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
                meanwhile.retain(|row| !page.holds(&row.alert.key));
                page.add(meanwhile, now.steady);
                ended.iter().for_each(|keys: &Vec<String>| places.free(keys));
            }
            let first = if dead {
                page.rows().len()
            } else {
                turn::to_look_at(page.rows(), &lock(&desk).pace, &places)
            };
            let (go, left) = self.choose(page.take(first), &desk, &mut places, now);
            flying.extend(go.into_iter().map(|rows| self.attempt(rows, &desk)));
            self.keep(&mut page, left).await;
            // While some are being recorded the next gather.
            let mut record_at = None;
            if recording.is_empty() {
                let told = self.unrecorded.to_record(name, now.steady, RECORD_TOGETHER_MAX);
                if told.is_empty() {
                    record_at = self.unrecorded.record_at(name);
                } else {
                    recording.push(self.record(told));
                }
            }
            let memory_at = self.unrecorded.next_at(name).map(|at| {
                // Those that have no place or token are due already; a place that is free wakes us.
                if left_here { at.max(now.steady + AGAIN) } else { at }
            });
            let dead_at = lock(&desk).condition.dead_at().filter(|_| self.terms.or_else.is_some() && !dead);
            let next_at = page.next_at().into_iter().chain(memory_at).chain(record_at).chain(dead_at).min();
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
                _ = in_memory.changed() => in_memory.mark_changed(), // Its other end is ours.
                () = next_due => (),
            }
        }
        // Whoever is cut off here is sent again after the start.
        let drain = async {
            while flying.next().await.is_some() {}
            while recording.next().await.is_some() {}
            self.record(self.unrecorded.to_record(name, self.clock.now().steady, usize::MAX)).await;
        };
        let _ = tokio::time::timeout(DRAIN, drain).await;
        Ok(())
    }

    /// What was just stored: the fires that go out now, and all that is left for the page.
    fn take_fresh(&self, desk: &Mutex<Desk>, places: &mut Places, now: Now) -> (Vec<Vec<Row>>, Vec<Row>) {
        let fresh = self.unrecorded.take_fresh(self.channel.name());
        let (fires, mut others): (Vec<Row>, Vec<Row>) =
            fresh.into_iter().partition(|row| row.alert.class == SignalClass::Fire);
        let (go, Left { stay, wait }) = self.choose(fires.into(), desk, places, now);
        others.extend(stay.into_iter().chain(wait.into_iter().map(|(row, _)| row)));
        (go, others)
    }

    /// What goes out now although the outbox does not bring it, and whether some of it stays for want of a place or a token.
    fn choose_in_memory(&self, desk: &Mutex<Desk>, places: &mut Places, now: Now) -> (Vec<Vec<Row>>, bool) {
        let memory = self.unrecorded.due(self.channel.name(), now.steady, FROM_MEMORY_MAX).into();
        let (go, Left { stay, wait }) = self.choose(memory, desk, places, now);
        go.iter().flatten().for_each(|row| self.unrecorded.fly(&row.alert.key));
        (go, !stay.is_empty() || !wait.is_empty())
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
            let later = wait.iter().map(|(row, until)| (row.alert.key.clone(), *until)).collect();
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

    /// Rows of the outbox that are due; `None` while the store cannot be read. Those on their way, or told and not recorded yet, are still pending there.
    async fn read(&self, now: Steady, flying: BTreeSet<String>, readable: &mut bool) -> Option<Due> {
        let unrecorded = self.unrecorded.clone();
        let in_hand = move |key: &str| flying.contains(key) || unrecorded.holds(key);
        let answer = self.store.due(self.channel.name(), now, AHEAD_MAX, in_hand);
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

    /// When the first of them is due again, if the outbox was told to try again.
    async fn record(&self, told: Vec<ToRecord>) -> Option<Steady> {
        if told.is_empty() {
            return None;
        }
        let recorded = match self.store.attempted(told.clone()).await {
            Ok(recorded) => recorded,
            // The store says itself that it cannot be written.
            Err(_) => {
                let again_at = self.clock.now().steady + AGAIN;
                told.iter().for_each(|attempt| self.unrecorded.not_recorded(&attempt.key, again_at));
                return None;
            }
        };
        let (mut lines, mut again_at) = (Vec::new(), None);
        for (attempt, recorded) in told.iter().zip(recorded) {
            self.unrecorded.recorded(&attempt.key);
            match recorded {
                Ok(line) => {
                    lines.extend(line);
                    again_at = again_at.into_iter().chain(due_again(&attempt.outcome)).min();
                }
                Err(damage) => tracing::error!(damage, "what came of an alert cannot be recorded"),
            }
        }
        self.show(lines).await;
        again_at
    }

    /// For those who watch. Should this fail they fetch the lines when the next is shown.
    async fn show(&self, lines: Vec<(u64, Entry)>) {
        if lines.is_empty() || !self.live.is_followed() {
            return;
        }
        if let Ok(lines) = self.store.with_alarms(lines).await {
            lines.into_iter().for_each(|(number, alarm, entry)| self.live.alarm(number, alarm, entry));
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

fn due_again(outcome: &Outcome) -> Option<Steady> {
    match outcome {
        Outcome::Retry { next_at, .. } => Some(*next_at),
        Outcome::Delivered { .. } | Outcome::GaveUp { .. } | Outcome::HandedOn { .. } => None,
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
