//! The part of the history that is not sealed yet, in memory.
//!
//! Two generations: `current` takes what is committed, `sealing` is being written as chunks. Full: nothing more is taken, the head lags
//! behind the journal, and after the next sealing it catches up from there; charts end a little before now until then.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Dot, NewBatch, Point};
use crate::units::{Millis, Steady};

/// Most points in memory; 24 bytes each.
const POINTS_MAX: usize = 1_000_000;
/// Sealed when there are so many points or the oldest is this old: one hour of a value every ten seconds makes a good chunk.
const SEAL_POINTS: usize = 500_000;
const SEAL_AFTER: Millis = Millis::from_secs(3600);

pub struct Head {
    inner: Mutex<Inner>,
    /// Held while sealing: one at a time.
    pub sealer: tokio::sync::Mutex<()>,
}

struct Inner {
    points_max: usize,
    /// All batches up to this one are in here or sealed.
    upto: u64,
    current: Generation,
    sealing: Option<Generation>,
}

#[derive(Default)]
struct Generation {
    /// The newest batch in it.
    upto: u64,
    first: Option<Steady>,
    newest: Steady,
    points: usize,
    series: BTreeMap<u64, Vec<Dot>>,
}

/// What is to be sealed.
pub struct Sealing {
    pub upto: u64,
    pub steady: Steady,
    /// In rising order.
    pub series: Vec<u64>,
}

impl Default for Head {
    fn default() -> Self {
        let inner = Inner { points_max: POINTS_MAX, upto: 0, current: Generation::default(), sealing: None };
        Self { inner: Mutex::new(inner), sealer: tokio::sync::Mutex::new(()) }
    }
}

impl Head {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to `seq` is sealed.
    pub fn begin_after(&self, seq: u64) {
        self.lock().upto = seq;
    }

    /// From the writer, right after the commit. Ignored when the head lags or is full.
    pub fn take(&self, batch: NewBatch) {
        let mut inner = self.lock();
        if batch.seq == inner.upto + 1 && inner.has_room() {
            inner.push(batch.seq, batch.now.steady, batch.points);
        }
    }

    /// From the journal, where retention may have left a gap.
    pub fn take_from_journal(&self, seq: u64, steady: Steady, points: Vec<Point>) {
        let mut inner = self.lock();
        if seq > inner.upto && inner.has_room() {
            inner.push(seq, steady, points);
        }
    }

    /// The batch after which the head goes on, when it has room.
    pub fn room_after(&self) -> Option<u64> {
        let inner = self.lock();
        inner.has_room().then_some(inner.upto)
    }

    /// Dots of one series with `from <= time < to`, in order of arrival.
    pub fn dots(&self, series: u64, from: i64, to: i64) -> Vec<Dot> {
        let inner = self.lock();
        let generations = inner.sealing.iter().chain([&inner.current]);
        let dots = generations.filter_map(|generation| generation.series.get(&series)).flatten();
        dots.filter(|dot| from <= dot.time && dot.time < to).copied().collect()
    }

    /// Whether there is enough, or it is old enough, to be worth a chunk; or a sealing was broken off.
    pub fn should_seal(&self) -> bool {
        let inner = self.lock();
        let current = &inner.current;
        let age = current.first.map_or(Millis(0), |first| current.newest.since(first));
        inner.sealing.is_some() || !inner.has_room() || current.points >= SEAL_POINTS || age >= SEAL_AFTER
    }

    /// Begins a sealing, or the broken-off one again. `None` when there is nothing to seal.
    pub fn begin_sealing(&self) -> Option<Sealing> {
        let mut inner = self.lock();
        if inner.sealing.is_none() && inner.current.first.is_some() {
            inner.sealing = Some(std::mem::take(&mut inner.current));
        }
        let generation = inner.sealing.as_ref()?;
        Some(Sealing {
            upto: generation.upto,
            steady: generation.newest,
            series: generation.series.keys().copied().collect(),
        })
    }

    /// The dots of a series that is being sealed, in order of arrival.
    pub fn sealing_dots(&self, series: u64) -> Vec<Dot> {
        let inner = self.lock();
        let generation = inner.sealing.as_ref();
        generation.and_then(|generation| generation.series.get(&series)).cloned().unwrap_or_default()
    }

    /// It is all in chunks.
    pub fn end_sealing(&self) {
        let done = self.lock().sealing.take();
        drop(done); // Freeing many series takes a while; not under the lock.
    }
}

impl Inner {
    fn points(&self) -> usize {
        self.current.points + self.sealing.as_ref().map_or(0, |generation| generation.points)
    }

    fn has_room(&self) -> bool {
        self.points() < self.points_max
    }

    fn push(&mut self, seq: u64, steady: Steady, points: Vec<Point>) {
        self.upto = seq;
        let current = &mut self.current;
        current.upto = seq;
        current.newest = steady;
        current.first.get_or_insert(steady);
        current.points += points.len();
        for point in points {
            current.series.entry(point.series).or_default().push(point.dot);
        }
    }
}

#[cfg(test)]
impl Head {
    pub fn set_points_max(&self, points_max: usize) {
        self.lock().points_max = points_max;
    }

    pub fn points(&self) -> usize {
        self.lock().points()
    }
}
