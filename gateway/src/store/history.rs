//! Local history: every good reading, compressed, for charts without a server.
//!
//! The journal is the durable head; a cursor over it (`history`) seals points into runs, sorted by series and time and cut into blocks (`history/seal.rs`),
//! and eight runs at a time are merged into one (`history/merge.rs`). What is not sealed yet is also kept in memory (`history/head.rs`), so that a chart ends at
//! now. A late point goes into a later run and is merged on reading; of two points of one series and time the one that arrived last is valid.
//! Values of bad quality are left out. Why so: docs/decisions/0025-history-as-sorted-runs.md.

mod block;
mod chunk;
mod head;
mod keep;
mod merge;
mod ordered;
mod query;
pub(super) mod runs;
mod sample;
mod seal;

pub(super) use head::Head;
pub(super) use keep::Tending;
pub use sample::Sample;

use crate::model::{Batch, DeviceIx, Event, Metric, Quality};
use crate::units::{Now, Timestamp};

use super::{Store, StoreError, journal};

/// Name of the cursor.
pub const CONSUMER: &str = "history";

/// One value of one series, as it comes from the journal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub series: u64,
    pub dot: Dot,
}

/// Series and time: what points are sorted by.
type Key = (u64, i64);

impl Point {
    #[inline]
    fn key(&self) -> Key {
        (self.series, self.dot.time)
    }
}

/// One value at its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    pub time: i64,
    pub value: f64,
    pub uncertain: bool,
}

/// The number a series is stored under: what is measured first, so that neighbours in a block are alike.
fn series_number(device: DeviceIx, metric: Metric) -> u64 {
    u64::from(metric.number()) << 32 | u64::from(device.0)
}

/// What the history keeps of a batch.
pub(super) fn points(batch: &Batch) -> Vec<Point> {
    let reports = batch.events.iter().filter_map(|event| match event {
        Event::Report(report) => Some(report),
        Event::Gone { .. } | Event::Action(_) => None,
    });
    let mut points = Vec::with_capacity(reports.clone().map(|report| report.values.len()).sum());
    for report in reports {
        for value in &report.values {
            let uncertain = match value.quality {
                Quality::Good => false,
                Quality::Uncertain => true,
                Quality::Bad => continue,
            };
            points.push(Point {
                series: series_number(report.device, value.metric),
                dot: Dot { time: report.time().0, value: value.value, uncertain },
            });
        }
    }
    points
}

/// In order of series and time, and of those with the same only the one that came last.
fn settle(points: &mut Vec<Point>) {
    points.sort_by_key(Point::key); // Stable: of the same, the last stays last.
    points.dedup_by(|later, kept| {
        let same = later.key() == kept.key();
        if same {
            *kept = *later;
        }
        same
    });
}

impl Store {
    /// Values of one series from `from` up to (not including) `to`, in order of time; down-sampled to at most `points_max` equal intervals
    /// when there are more points. Values of bad quality are left out.
    pub async fn series(
        &self,
        device: DeviceIx,
        metric: Metric,
        from: Timestamp,
        to: Timestamp,
        points_max: u32,
    ) -> Result<Vec<Sample>, StoreError> {
        if to <= from {
            return Ok(Vec::new());
        }
        // The head first: what is sealed in between is then seen twice, and settled, instead of not at all.
        let head = self.shared.signals.head.points(series_number(device, metric), from.0, to.0);
        let asked = query::Asked { device, metric, from: from.0, to: to.0, points_max };
        self.read(move |connection| query::samples(connection, &asked, head)).await
    }

    /// Fills the head from the journal, as far as it may grow.
    pub(super) fn fill_head_at_start(&self) -> Result<(), StoreError> {
        let cursor =
            self.shared.readers.read_here(|connection| Ok(journal::cursor(connection, CONSUMER)?))?;
        self.shared.signals.head.begin_after(cursor);
        while self.catch_up()? {}
        Ok(())
    }

    /// Whether the journal has batches that the head has room for.
    fn lags(&self) -> bool {
        let after = self.shared.signals.head.room_after();
        after.is_some_and(|after| after < *self.shared.signals.newest.borrow())
    }

    /// Takes the next batches of the journal into the head when it lags. Whether there may be more. Blocks.
    fn catch_up(&self) -> Result<bool, StoreError> {
        const BYTES: usize = 4 << 20;
        let head = &self.shared.signals.head;
        let Some(after) = head.room_after().filter(|_| self.lags()) else { return Ok(false) };
        let batches =
            self.shared.readers.read_here(|connection| journal::batches_after(connection, after, BYTES))?;
        let found = !batches.is_empty();
        for batch in batches {
            // Room may come at any time from a sealing; a batch that found none must not be passed by.
            if !head.take_from_journal(batch.seq, batch.now.steady, points(&batch)) {
                break;
            }
        }
        Ok(found)
    }
}

/// What the writer hands over after a commit.
pub(super) struct NewBatch {
    pub seq: u64,
    pub now: Now,
    pub points: Vec<Point>,
}

#[cfg(test)]
mod tests;
