//! Chunks, runs and head → samples of a range.
//!
//! Blocks that overlap in time are merged, the others pass one by one, so a long range needs memory for its overlaps only.

use rusqlite::Connection;

use super::ordered::{Ordered, Source};
use super::sample::Sampler;
use super::{Point, Sample, chunk, runs, series_number};
use crate::model::{DeviceIx, Metric};
use crate::store::Problem;

/// A chart's wishes; `from` is before `to`, which is not part of it.
pub struct Asked {
    pub device: DeviceIx,
    pub metric: Metric,
    pub from: i64,
    pub to: i64,
    pub points_max: u32,
}

/// `head`: what is not sealed yet of this series and range, in order.
pub fn samples(connection: &Connection, asked: &Asked, head: Vec<Point>) -> Result<Vec<Sample>, Problem> {
    let Asked { device, metric, from, to, points_max } = *asked;
    let series = series_number(device, metric);
    let mut ordered = Ordered::default();
    chunk::add_pieces(connection, (device, metric), series, (from, to), &mut ordered)?;
    let runs = runs::whole(connection)?.into_iter().filter(|run| from <= run.last && run.first < to);
    let keys = ((series, from), (series, to));
    runs::add_pieces(connection, runs.map(|run| run.number), keys, &mut ordered)?;
    let mut head = Some(head);
    ordered.add(Source::Head, (series, from));

    let mut load = |source| {
        let mut points = match source {
            Source::Chunk(id) => chunk::load(connection, id, series)?,
            Source::Block { id, .. } => runs::load(connection, id, Some(series))?,
            Source::Head => head.take().unwrap_or_default(),
        };
        points.retain(|Point { dot, .. }| from <= dot.time && dot.time < to);
        Ok::<_, Problem>(points)
    };
    let mut sampler = Sampler::new(from, to, points_max);
    while let Some(point) = ordered.next(&mut load)? {
        sampler.add(point.dot);
    }
    Ok(sampler.finish())
}
