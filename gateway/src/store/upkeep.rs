//! What the writer clears away between commits: batches and history beyond the limits.
//!
//! Each step is small, so that a fire never waits long behind it; when there is more to do the next commit is followed by the next step. Ages
//! are measured on the steady clock: a wall clock that jumps to next year must not empty the store. Batches after the older of the
//! two kept engine snapshots stay whatever the limits say, all of them as long as there is no snapshot: a restart needs them.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::history::runs;
use super::{Limits, attachments, journal, unint};
use crate::clock;
use crate::units::Millis;

/// How many batches, chunks or blocks one step removes at most.
const STEP_ROWS_MAX: usize = 200;
const EVERY_COMMITS: u32 = 256;
const EVERY: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Upkeep {
    commits: u32,
    last: Option<Instant>,
    more: bool,
    failing: bool,
}

impl Upkeep {
    /// Does one step when one is due.
    pub fn after_commit(&mut self, connection: &mut Connection, limits: &Limits) {
        self.commits += 1;
        let now = clock::instant();
        let last = *self.last.get_or_insert(now);
        if !self.more && self.commits < EVERY_COMMITS && now.duration_since(last) < EVERY {
            return;
        }
        (self.commits, self.last) = (0, Some(now));
        match step(connection, limits) {
            Ok(more) => (self.more, self.failing) = (more, false),
            Err(error) => {
                if !self.failing {
                    tracing::warn!(%error, "cannot clear old records from the store; trying again");
                }
                (self.more, self.failing) = (false, true);
            }
        }
    }
}

/// Whether there is more to remove.
pub fn step(connection: &mut Connection, limits: &Limits) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let batches = drop_batches(&transaction, limits)?;
    let pieces = drop_history(&transaction, limits)?;
    if let Some((_, now)) = journal::last(&transaction)? {
        attachments::clear(&transaction, now, limits.attachments)?; // So few come that one step keeps up.
    }
    transaction.commit()?;
    Ok(batches == STEP_ROWS_MAX || pieces >= STEP_ROWS_MAX)
}

fn drop_batches(connection: &Connection, limits: &Limits) -> rusqlite::Result<usize> {
    let newest = connection
        .prepare_cached("SELECT seq, steady, upto FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((newest, steady, upto)): Option<(i64, i64, i64)> = newest else { return Ok(0) };
    let floor: Option<i64> =
        connection.prepare_cached("SELECT min(seq) FROM snapshots")?.query_row((), |row| row.get(0))?;
    let last_allowed = floor.unwrap_or(0).min(newest - 1);
    let age_max = days(limits.journal_days_max);
    let bytes_max = i64::try_from(limits.journal_bytes_max).unwrap_or(i64::MAX);

    let mut statement = connection.prepare_cached(
        "SELECT seq, steady, readings, upto, length(bytes) FROM journal WHERE seq <= ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![last_allowed, STEP_ROWS_MAX as i64])?;
    let mut doomed: Vec<(i64, i64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (its_steady, its_upto, its_bytes): (i64, i64, i64) = (row.get(1)?, row.get(3)?, row.get(4)?);
        let kept_with_it = upto - (its_upto - its_bytes);
        if kept_with_it <= bytes_max && steady - its_steady <= age_max {
            break;
        }
        doomed.push((row.get(0)?, row.get(2)?));
    }
    let Some(&(last, _)) = doomed.last() else { return Ok(0) };
    count_unconfirmed(connection, &doomed)?;
    connection.prepare_cached("DELETE FROM journal WHERE seq <= ?1")?.execute([last])?;
    Ok(doomed.len())
}

/// Adds the readings that a consumer had not confirmed to its count.
fn count_unconfirmed(connection: &Connection, doomed: &[(i64, i64)]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT consumer, seq FROM cursors")?;
    let cursors = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    for cursor in cursors.collect::<Result<Vec<(String, i64)>, _>>()? {
        let (consumer, confirmed) = cursor;
        let lost: i64 = doomed.iter().filter(|(seq, _)| *seq > confirmed).map(|(_, readings)| readings).sum();
        if lost > 0 {
            connection
                .prepare_cached("UPDATE cursors SET dropped = dropped + ?2 WHERE consumer = ?1")?
                .execute(params![consumer, lost])?;
            metrics::counter!("gridwarden_journal_dropped_total", "consumer" => consumer)
                .increment(unint(lost));
        }
    }
    Ok(())
}

/// How many rows are gone at most in one table; a run stops counting as a whole and goes block by block.
fn drop_history(connection: &Connection, limits: &Limits) -> rusqlite::Result<usize> {
    let Some((_, now)) = journal::last(connection)? else { return Ok(0) };
    let before = super::int(now.steady.0) - days(limits.history_days_max);
    runs::drop_old(connection, before)?;
    let swept = runs::sweep(connection, STEP_ROWS_MAX)?;
    let chunks = connection
        .prepare_cached(
            "DELETE FROM chunks WHERE id IN (SELECT id FROM chunks WHERE steady < ?1 ORDER BY steady LIMIT ?2)",
        )?
        .execute(params![before, STEP_ROWS_MAX as i64])?;
    Ok(swept.max(chunks))
}

fn days(days: u32) -> i64 {
    super::int(Millis::from_secs(u64::from(days) * 24 * 3600).0)
}
