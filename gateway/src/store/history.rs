//! Local history: every good reading, compressed per series, for charts without a server.
//!
//! The journal is the durable head; a cursor over it seals points into pco chunks per series. A late point makes a second chunk
//! that is merged on reading.

use super::{Store, StoreError};
use crate::model::{DeviceIx, Metric};
use crate::units::Timestamp;

/// The points of one interval, or one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Time of the first point in it.
    pub time: Timestamp,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub last: f64,
    pub count: u32,
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
        let _ = (device, metric, from, to, points_max);
        todo!()
    }
}
