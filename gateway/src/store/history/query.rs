//! Chunks and head → samples of a range.
//!
//! Chunks that overlap in time are merged, the others pass one by one, so a long range needs memory for its overlaps only.

use rusqlite::{Connection, params};

use super::chunk::decode;
use super::sample::Sampler;
use super::{Dot, Sample, settle};
use crate::store::{Problem, int};

/// A chunk in the file; or the head, which is younger than any.
struct Piece {
    id: i64,
    first: i64,
    last: i64,
}

/// The head's place in the order of arrival.
const HEAD: i64 = i64::MAX;

pub fn samples(
    connection: &Connection,
    series: u64,
    from: i64,
    to: i64,
    points_max: u32,
    head: Vec<Dot>,
) -> Result<Vec<Sample>, Problem> {
    if from >= to {
        return Ok(Vec::new());
    }
    let mut pieces = pieces(connection, series, from, to)?;
    let times = || head.iter().map(|dot| dot.time);
    if let (Some(first), Some(last)) = (times().min(), times().max()) {
        pieces.push(Piece { id: HEAD, first, last });
    }
    pieces.sort_by_key(|piece| piece.first);
    let mut sampler = Sampler::new(from, to, points_max);
    let mut left = pieces.as_mut_slice();
    while let Some(first) = left.first() {
        let mut end = first.last;
        let mut count = 1;
        while let Some(next) = left.get(count)
            && next.first <= end
        {
            end = end.max(next.last);
            count += 1;
        }
        let (overlapping, others) = left.split_at_mut(count);
        overlapping.sort_by_key(|piece| piece.id);
        let mut dots = Vec::new();
        for piece in overlapping {
            if piece.id == HEAD {
                dots.extend_from_slice(&head);
            } else {
                dots.append(&mut load(connection, piece.id)?);
            }
        }
        settle(&mut dots);
        for dot in dots.into_iter().filter(|dot| from <= dot.time && dot.time < to) {
            sampler.add(dot);
        }
        left = others;
    }
    Ok(sampler.finish())
}

fn pieces(connection: &Connection, series: u64, from: i64, to: i64) -> rusqlite::Result<Vec<Piece>> {
    connection
        .prepare_cached("SELECT id, first, last FROM chunks WHERE series = ?1 AND last >= ?2 AND first < ?3")?
        .query_map(params![int(series), from, to], |row| {
            Ok(Piece { id: row.get(0)?, first: row.get(1)?, last: row.get(2)? })
        })?
        .collect()
}

/// A damaged chunk counts as empty: the rest of the chart is still worth seeing.
fn load(connection: &Connection, id: i64) -> Result<Vec<Dot>, Problem> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM chunks WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(Vec::new()) };
    let dots = decode(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
    Ok(dots.unwrap_or_else(|damage| {
        metrics::counter!("gridwarden_history_damaged_total").increment(1);
        tracing::error!(chunk = id, %damage, "its points are missing in the chart");
        Vec::new()
    }))
}
