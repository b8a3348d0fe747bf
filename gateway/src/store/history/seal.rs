//! From the head into a run, and how a run is written.
//!
//! Done in slices, each one short transaction, so that a fire never waits long for the writer. The last one makes the run count and moves the cursor: a
//! crash before it leaves a run that nobody reads, and the points are sealed once more.

use super::block::{Block, POINTS_MAX};
use super::merge::Merging;
use super::runs::{self, Run};
use super::{CONSUMER, Point};
use crate::store::{Store, StoreError, journal, readers};
use crate::units::Steady;

/// Most points of one transaction, some hundred kilobytes.
pub const SLICE_POINTS: usize = 16 * POINTS_MAX;

/// A run that is being written.
pub struct Building {
    level: u32,
    number: Option<i64>,
    first: i64,
    last: i64,
    points: u64,
}

impl Building {
    pub fn new(level: u32) -> Self {
        Self { level, number: None, first: i64::MAX, last: i64::MIN, points: 0 }
    }

    /// More points, behind all before.
    pub async fn add(&mut self, store: &Store, points: Vec<Point>) -> Result<(), StoreError> {
        for Point { dot, .. } in &points {
            self.first = self.first.min(dot.time);
            self.last = self.last.max(dot.time);
        }
        self.points += points.len() as u64;
        let blocks = move || Ok(points.chunks(POINTS_MAX).filter_map(Block::of).collect());
        let blocks: Vec<Block> = readers::blocking(blocks).await?;
        let (number, level) = (self.number, self.level);
        let write = store.write(move |writing| {
            let number = number.map_or_else(|| runs::begin(writing.connection, level), Ok)?;
            runs::add(writing.connection, number, &blocks)?;
            Ok(number)
        });
        self.number = Some(write.await?);
        Ok(())
    }

    /// What to store when all points are in it; `None` when there were none.
    pub fn whole(self, upto: u64, began: Steady, steady: Steady) -> Option<Run> {
        let Self { level, number, first, last, points } = self;
        Some(Run { number: number?, level, upto, began, steady, first, last, points })
    }
}

impl Store {
    /// Seals what the head holds now.
    pub async fn seal(&self) -> Result<(), StoreError> {
        let _only_one = self.shared.tending.sealing.lock().await;
        let head = &self.shared.signals.head;
        let Some(sealing) = head.begin_sealing() else { return Ok(()) };
        let (upto, began, steady) = (sealing.upto, sealing.began, sealing.steady);
        let mut sorted = readers::blocking(move || Ok(sealing.in_order())).await?;
        let mut building = Building::new(0);
        loop {
            let points;
            (sorted, points) = readers::blocking(move || {
                let points = sorted.next(SLICE_POINTS);
                Ok((sorted, points))
            })
            .await?;
            if points.is_empty() {
                break;
            }
            building.add(self, points).await?;
        }
        let run = building.whole(upto, began, steady);
        self.write(move |writing| {
            if let Some(run) = &run {
                runs::finish(writing.connection, run)?;
            }
            Ok(journal::set_cursor(writing.connection, CONSUMER, upto)?)
        })
        .await?;
        head.end_sealing();
        let mut merging = self.shared.tending.merging.lock().await;
        if let Merging::Nothing = *merging {
            *merging = Merging::Unknown;
        }
        Ok(())
    }
}
