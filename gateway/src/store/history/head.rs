//! The part of the history that is not sealed yet, in memory: points as they came, whatever their series.
//!
//! Two generations: `current` takes what is committed, `sealing` is being written as a run. Full: nothing more is taken, the head lags
//! behind the journal, and after the next sealing it catches up from there; charts end a little before now until then. A chart looks through all points:
//! a part that is complete is shared with it, so that the writer never waits behind it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

use super::{Dot, NewBatch, Point, settle};
use crate::units::{Millis, Steady};

/// Most points in memory; 32 bytes each.
const POINTS_MAX: usize = 1 << 20;
/// Sealed when there are so many points or the oldest is this old.
const SEAL_POINTS: usize = 1 << 18;
const SEAL_AFTER: Millis = Millis::from_secs(3600);
/// Points of one part; as many are looked through with the writer waiting.
const PART_POINTS: usize = 1 << 13;

pub struct Head {
    inner: Mutex<Inner>,
}

struct Inner {
    points_max: usize,
    /// All batches up to this one are in here or sealed.
    upto: u64,
    current: Generation,
    sealing: Option<Generation>,
}

#[derive(Clone, Default)]
struct Generation {
    /// The newest batch in it.
    upto: u64,
    first: Option<Steady>,
    newest: Steady,
    complete: Vec<Arc<Part>>,
    last: Part,
}

/// Points in order of arrival; the series apart, because a chart compares all of them and wants few of the dots.
#[derive(Clone, Default)]
struct Part {
    series: Vec<u64>,
    dots: Vec<Dot>,
}

/// What is to be sealed.
pub struct Sealing {
    pub upto: u64,
    pub began: Steady,
    pub steady: Steady,
    generation: Generation,
}

impl Default for Head {
    fn default() -> Self {
        let inner = Inner { points_max: POINTS_MAX, upto: 0, current: Generation::default(), sealing: None };
        Self { inner: Mutex::new(inner) }
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

    /// From the journal, where retention may have left a gap. Whether there was room; else nothing behind it may be taken either.
    pub fn take_from_journal(&self, seq: u64, steady: Steady, points: Vec<Point>) -> bool {
        let mut inner = self.lock();
        let room = inner.has_room();
        if seq > inner.upto && room {
            inner.push(seq, steady, points);
        }
        room
    }

    /// The batch after which the head goes on, when it has room.
    pub fn room_after(&self) -> Option<u64> {
        let inner = self.lock();
        inner.has_room().then_some(inner.upto)
    }

    /// Points of one series with `from <= time < to`, in order of time, each time once.
    pub fn points(&self, series: u64, from: i64, to: i64) -> Vec<Point> {
        let parts: Vec<Arc<Part>> = {
            let inner = self.lock();
            let generations = inner.sealing.iter().chain([&inner.current]);
            generations.flat_map(|generation| generation.parts_with(series)).collect()
        };
        let points = parts.iter().flat_map(|part| part.of(series));
        let mut points: Vec<Point> =
            points.filter(|point| from <= point.dot.time && point.dot.time < to).collect();
        settle(&mut points);
        points
    }

    /// Whether there is enough, or it is old enough, to be worth a run; or a sealing was broken off.
    pub fn should_seal(&self) -> bool {
        let inner = self.lock();
        let current = &inner.current;
        let age = current.first.map_or(Millis(0), |first| current.newest.since(first));
        inner.sealing.is_some() || !inner.has_room() || current.points() >= SEAL_POINTS || age >= SEAL_AFTER
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
            began: generation.first.unwrap_or(generation.newest),
            steady: generation.newest,
            generation: generation.clone(),
        })
    }

    /// It is all in a run.
    pub fn end_sealing(&self) {
        let done = self.lock().sealing.take();
        drop(done); // Freeing takes a while; not under the lock.
    }
}

impl Inner {
    fn points(&self) -> usize {
        self.current.points() + self.sealing.as_ref().map_or(0, Generation::points)
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
        for point in points {
            current.push(point);
        }
    }
}

impl Generation {
    fn points(&self) -> usize {
        self.complete.len() * PART_POINTS + self.last.dots.len()
    }

    fn push(&mut self, point: Point) {
        if self.last.dots.is_empty() {
            self.last =
                Part { series: Vec::with_capacity(PART_POINTS), dots: Vec::with_capacity(PART_POINTS) };
        }
        self.last.series.push(point.series);
        self.last.dots.push(point.dot);
        if self.last.dots.len() == PART_POINTS {
            self.complete.push(Arc::new(std::mem::take(&mut self.last)));
        }
    }

    /// The complete parts, and of the last one what is of this series.
    fn parts_with(&self, series: u64) -> impl Iterator<Item = Arc<Part>> {
        let mut last = Part::default();
        for point in self.last.of(series) {
            last.series.push(point.series);
            last.dots.push(point.dot);
        }
        self.complete.iter().cloned().chain([Arc::new(last)])
    }
}

impl Part {
    fn of(&self, series: u64) -> impl Iterator<Item = Point> {
        let all = self.series.iter().zip(&self.dots);
        all.filter(move |(its, _)| **its == series).map(|(&series, &dot)| Point { series, dot })
    }
}

impl Sealing {
    /// Sorts where the points stand, not the points, and needs no room beside it while sorting.
    pub fn in_order(self) -> InOrder {
        let Generation { mut complete, last, .. } = self.generation;
        complete.push(Arc::new(last));
        let mut order = Vec::with_capacity(complete.len() * PART_POINTS);
        for part in &complete {
            let all = part.series.iter().zip(&part.dots);
            order.extend(
                all.zip(order.len() as u32..).map(|((&series, dot), place)| (series, dot.time, place)),
            );
        }
        order.sort_unstable(); // No two are alike: of the same series and time, the one that came last stays last.
        InOrder { parts: complete, order: order.into_iter() }
    }
}

/// What is to be sealed, in order of series and time.
pub struct InOrder {
    parts: Vec<Arc<Part>>,
    /// Series and time, and the place of the point among all.
    order: IntoIter<(u64, i64, u32)>,
}

impl InOrder {
    /// The next of them, at most so many; none at the end. Of those with the same series and time only the one that came last.
    pub fn next(&mut self, points_max: usize) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::with_capacity(points_max.min(self.order.len()));
        while points.len() < points_max
            && let Some((series, time, place)) = self.order.next()
        {
            let later = self.order.as_slice().first();
            if later.is_none_or(|later| (later.0, later.1) != (series, time)) {
                let place = place as usize;
                points.push(Point { series, dot: self.parts[place / PART_POINTS].dots[place % PART_POINTS] });
            }
        }
        points
    }
}

#[cfg(test)]
impl Head {
    pub fn set_points_max(&self, points_max: usize) {
        self.lock().points_max = points_max;
    }

    pub fn len(&self) -> usize {
        self.lock().points()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_head_says_so_and_goes_on_after_what_it_has() {
        let head = Head::default();
        head.set_points_max(2);
        let point = Point { series: 1, dot: Dot { time: 1, value: 1.0, uncertain: false } };
        for (seq, room, after) in [(3, true, Some(3)), (3, true, Some(3)), (5, true, None), (6, false, None)]
        {
            assert_eq!(head.take_from_journal(seq, Steady(0), vec![point]), room, "batch {seq}");
            assert_eq!(head.room_after(), after, "after batch {seq}");
        }
        assert!(head.begin_sealing().is_some_and(|sealing| sealing.upto == 5));
        head.end_sealing();
        assert_eq!(head.room_after(), Some(5));
    }
}
