//! Local history: every good reading, compressed per series, for charts without a server.
//!
//! The journal is the durable head; a cursor over it (`history`) seals points into chunks per series (`history/seal.rs`). What is not sealed yet is
//! also kept in memory (`history/head.rs`), so that a chart ends at now. A late point goes into a later chunk and is merged on reading; of two
//! points of one series and time the one that arrived last is valid. Values of bad quality are left out.

mod chunk;
mod head;
mod query;
mod sample;
mod seal;

pub(super) use head::Head;
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

/// One value at its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    pub time: i64,
    pub value: f64,
    pub uncertain: bool,
}

/// The number a series is stored under.
pub(super) fn series_number(device: DeviceIx, metric: Metric) -> u64 {
    u64::from(device.0) << 16 | u64::from(metric.number())
}

/// What the history keeps of a batch.
pub(super) fn points(batch: &Batch) -> Vec<Point> {
    let mut points = Vec::new();
    for event in &batch.events {
        let Event::Report(report) = event else { continue };
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

/// In order of time, and of those with the same time only the one that came last.
fn settle(dots: &mut Vec<Dot>) {
    dots.sort_by_key(|dot| dot.time); // Stable: of one time, the last stays last.
    dots.dedup_by(|later, kept| {
        let same = later.time == kept.time;
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
        let series = series_number(device, metric);
        // The head first: what is sealed in between is then seen twice, and settled, instead of not at all.
        let head = self.shared.signals.head.dots(series, from.0, to.0);
        self.read(move |connection| query::samples(connection, series, from.0, to.0, points_max, head)).await
    }

    /// Fills the head from the journal, as far as it may grow.
    pub(super) fn fill_head_at_start(&self) -> Result<(), StoreError> {
        let cursor =
            self.shared.readers.read_here(|connection| Ok(journal::cursor(connection, CONSUMER)?))?;
        self.shared.signals.head.begin_after(cursor);
        while self.catch_up()? {}
        Ok(())
    }

    /// Takes the next batches of the journal into the head when it lags. Whether there may be more. Blocks.
    fn catch_up(&self) -> Result<bool, StoreError> {
        const BYTES: usize = 4 << 20;
        let head = &self.shared.signals.head;
        let Some(after) = head.room_after() else { return Ok(false) };
        if after >= *self.shared.signals.newest.borrow() {
            return Ok(false);
        }
        let batches =
            self.shared.readers.read_here(|connection| journal::batches_after(connection, after, BYTES))?;
        let found = !batches.is_empty();
        for batch in batches {
            head.take_from_journal(batch.seq, batch.now.steady, points(&batch));
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
