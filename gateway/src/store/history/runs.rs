//! The rows of runs and their blocks.
//!
//! A run is written block by block in several transactions and counts from the one that makes it `whole`; until then, and after it has been merged into another
//! or is too old, no chart reads it. What no longer counts is taken away a little at a time by `upkeep.rs`. A run that was broken off by a crash stays
//! `writing` until the next one of its kind begins. Runs are ordered by `upto`, the newest journal batch in them.

use rusqlite::{Connection, OptionalExtension, params};

use super::block::{Block, decode};
use super::ordered::{Ordered, Source};
use super::{Key, Point};
use crate::store::{Problem, int, unint};
use crate::units::Steady;

const WRITING: &str = "writing";
const WHOLE: &str = "whole";
const GOING: &str = "going";

/// What makes a run, beside its blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub number: i64,
    /// How many times its points were merged.
    pub level: u32,
    /// The newest journal batch in it.
    pub upto: u64,
    /// When its first and its last batch came.
    pub began: Steady,
    pub steady: Steady,
    /// Times of its earliest and latest point.
    pub first: i64,
    pub last: i64,
    pub points: u64,
}

/// Runs of this level are not merged any more.
pub const LEVEL_TOP: u32 = 15;

/// A new run; its number. What was begun by a sealing that was broken off, or by a merging, is given up: there is only one of each at a time.
pub fn begin(connection: &Connection, level: u32) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("UPDATE history_runs SET state = ?1 WHERE state = ?2 AND (level = 0) = (?3 = 0)")?
        .execute(params![GOING, WRITING, level])?;
    connection
        .prepare_cached(
            "INSERT INTO history_runs (state, level, upto, began, steady, first, last, points) VALUES (?1, ?2, 0, 0, 0, 0, 0, 0)",
        )?
        .execute(params![WRITING, level])?;
    Ok(connection.last_insert_rowid())
}

/// More blocks of a run, in order.
pub fn add(connection: &Connection, run: i64, blocks: &[Block]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO history_blocks (run, last_series, last_time, first_series, first_time, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for Block { first, last, bytes } in blocks {
        statement.execute(params![run, int(last.0), last.1, int(first.0), first.1, bytes])?;
    }
    Ok(())
}

/// From now on it counts.
pub fn finish(connection: &Connection, run: &Run) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE history_runs SET state = ?2, upto = ?3, began = ?4, steady = ?5, first = ?6, last = ?7, points = ?8
             WHERE run = ?1",
        )?
        .execute(params![
            run.number,
            WHOLE,
            int(run.upto),
            int(run.began.0),
            int(run.steady.0),
            run.first,
            run.last,
            int(run.points),
        ])?;
    Ok(())
}

/// All that counts, the oldest first.
pub fn whole(connection: &Connection) -> rusqlite::Result<Vec<Run>> {
    connection
        .prepare_cached(
            "SELECT run, level, upto, began, steady, first, last, points FROM history_runs WHERE state = ?1 ORDER BY upto, run",
        )?
        .query_map([WHOLE], |row| {
            Ok(Run {
                number: row.get(0)?,
                level: row.get(1)?,
                upto: unint(row.get(2)?),
                began: Steady(unint(row.get(3)?)),
                steady: Steady(unint(row.get(4)?)),
                first: row.get(5)?,
                last: row.get(6)?,
                points: unint(row.get(7)?),
            })
        })?
        .collect()
}

/// Adds the blocks of runs, the oldest run first, that may have points with `from <= key < to`.
pub fn add_pieces(
    connection: &Connection,
    runs: impl IntoIterator<Item = i64>,
    (from, to): (Key, Key),
    ordered: &mut Ordered,
) -> rusqlite::Result<()> {
    // Answered from the index alone.
    let mut statement = connection.prepare_cached(
        "SELECT id, first_series, first_time FROM history_blocks
         WHERE run = ?1 AND (last_series, last_time) >= (?2, ?3) ORDER BY last_series, last_time",
    )?;
    for (place, run) in runs.into_iter().enumerate() {
        let mut rows = statement.query(params![run, int(from.0), from.1])?;
        while let Some(row) = rows.next()? {
            let first = (unint(row.get(1)?), row.get(2)?);
            if to <= first {
                break;
            }
            ordered.add(Source::Block { run: place, id: row.get(0)? }, first.max(from));
        }
    }
    Ok(())
}

/// The points of a block, or those of one series. A damaged block counts as empty: the rest is still worth having.
pub fn load(connection: &Connection, id: i64, only: Option<u64>) -> Result<Vec<Point>, Problem> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM history_blocks WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    // Gone while it was being merged: it has become too old.
    let Some(row) = rows.next()? else { return Ok(Vec::new()) };
    let points = decode(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?, only);
    Ok(points.unwrap_or_else(|damage| {
        metrics::counter!("gridwarden_history_damaged_total").increment(1);
        tracing::error!(block = id, %damage, "its points are missing in charts");
        Vec::new()
    }))
}

/// It no longer counts.
pub fn give_up(connection: &Connection, run: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE history_runs SET state = ?2 WHERE run = ?1")?
        .execute(params![run, GOING])?;
    Ok(())
}

/// Runs whose newest batch came before this no longer count.
pub fn drop_old(connection: &Connection, before: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE history_runs SET state = ?1 WHERE state = ?2 AND steady < ?3")?
        .execute(params![GOING, WHOLE, before])?;
    Ok(())
}

/// Takes away at most so many rows of runs that no longer count. How many there were.
pub fn sweep(connection: &Connection, rows_max: usize) -> rusqlite::Result<usize> {
    let mut swept = 0;
    while swept < rows_max {
        let going: Option<i64> = connection
            .prepare_cached("SELECT run FROM history_runs WHERE state = ?1 LIMIT 1")?
            .query_row([GOING], |row| row.get(0))
            .optional()?;
        let Some(run) = going else { break };
        let room = rows_max - swept;
        let blocks = connection
            .prepare_cached(
                "DELETE FROM history_blocks WHERE id IN (SELECT id FROM history_blocks WHERE run = ?1 LIMIT ?2)",
            )?
            .execute(params![run, room as i64])?;
        swept += blocks;
        if blocks < room {
            swept += connection.prepare_cached("DELETE FROM history_runs WHERE run = ?1")?.execute([run])?;
        }
    }
    Ok(swept)
}

/// Makes runs of blocks whose run is lost, as the oldest there are. Blocks of a run that was merged before are among them: they say the same twice.
pub fn adopt(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO history_runs (run, state, level, upto, began, steady, first, last, points)
         SELECT run, ?1, ?2, 0, steady, steady, ?3, ?4, 0
         FROM (SELECT DISTINCT run FROM history_blocks WHERE run NOT IN (SELECT run FROM history_runs)),
            (SELECT coalesce(max(steady), 0) AS steady FROM journal)",
        params![WHOLE, LEVEL_TOP, i64::MIN, i64::MAX],
    )
}
