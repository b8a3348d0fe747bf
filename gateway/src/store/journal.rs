//! The journal: batches in order, a cursor for each consumer, and what is dropped when the bound is reached.
//!
//! A cursor is the number of the last batch its consumer has confirmed. Retention (`upkeep.rs`) drops the oldest batches beyond the limits,
//! counts what a cursor had not reached, and never touches alarms, outbox or dead letters. A batch whose checksum does not match is read as a
//! batch without events, counted and logged: its content is lost, but nobody gets stuck in front of it.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::watch;

use super::{Problem, Recovered, Store, StoreError, commit, int, unint};
use crate::model::{Batch, DeadLetter};
use crate::units::{Now, Steady, Timestamp};
use crate::wire::journal::{decode, encode};

impl Store {
    /// Number of the newest committed batch; changes wake the consumers.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.shared.signals.newest.subscribe()
    }

    /// Batches after `seq`, oldest first, up to about `bytes_max` of stored size but at least one when there is one. Batches dropped by retention are skipped.
    pub async fn batches_after(&self, seq: u64, bytes_max: usize) -> Result<Vec<Batch>, StoreError> {
        self.read(move |connection| batches_after(connection, seq, bytes_max)).await
    }

    /// The batch before the newest ones that are about `bytes` together; 0 when the whole journal is smaller.
    pub async fn before_the_last(&self, bytes: u64) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT seq, length(bytes) FROM journal ORDER BY seq DESC")?;
            let mut rows = statement.query(())?;
            let mut room = bytes;
            while let Some(row) = rows.next()? {
                let size = unint(row.get(1)?);
                if room < size {
                    return Ok(unint(row.get(0)?));
                }
                room -= size;
            }
            Ok(0)
        })
        .await
    }

    /// The batch from which on the batches up to `seq` are about `bytes` together; 0 when they are fewer.
    pub async fn so_much_before(&self, seq: u64, bytes: u64) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT seq FROM journal WHERE seq <= ?1
                     AND upto <= (SELECT upto FROM journal WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1) - ?2
                     ORDER BY seq DESC LIMIT 1",
                )?
                .query_row(params![int(seq), int(bytes)], |row| row.get(0))
                .optional()?;
            Ok(found.map_or(0, unint))
        })
        .await
    }

    /// The batch before the first one of this moment or later; 0 when the journal begins later. The date may have been set back meanwhile: then it is one such place.
    pub async fn batch_before(&self, wall: Timestamp) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let (mut low, mut high): (i64, i64) = connection.query_row(
                "SELECT coalesce(min(seq), 1) - 1, coalesce(max(seq), 0) FROM journal",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let mut next = connection
                .prepare_cached("SELECT seq, wall FROM journal WHERE seq > ?1 ORDER BY seq LIMIT 1")?;
            // Always: `low` is before it, what follows `high` is not.
            while low < high {
                let middle = low + (high - low) / 2;
                let found: (i64, i64) = next.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
                if found.1 < wall.0 {
                    low = found.0;
                } else {
                    high = middle;
                }
            }
            Ok(unint(low))
        })
        .await
    }

    /// 0 when the consumer has confirmed nothing yet.
    pub async fn cursor(&self, consumer: &'static str) -> Result<u64, StoreError> {
        self.read(move |connection| Ok(cursor(connection, consumer)?)).await
    }

    /// Everything up to `seq` is confirmed, except what is put into the dead letters in the same transaction. Never moves back.
    /// From its first call on, what retention drops unconfirmed is counted for this consumer.
    pub async fn move_cursor(
        &self,
        consumer: &'static str,
        seq: u64,
        dead: Vec<DeadLetter>,
    ) -> Result<(), StoreError> {
        self.write(move |writing| {
            set_cursor(writing.connection, consumer, seq)?;
            commit::bury(writing, &dead)
        })
        .await
    }

    /// How many readings retention dropped before this consumer had confirmed them.
    pub async fn dropped(&self, consumer: &'static str) -> Result<u64, StoreError> {
        self.read(move |connection| {
            let dropped = connection
                .prepare_cached("SELECT dropped FROM cursors WHERE consumer = ?1")?
                .query_row([consumer], |row| row.get(0))
                .optional()?;
            Ok(dropped.map_or(0, unint))
        })
        .await
    }

    /// Newest first, before row `before` when given.
    pub async fn dead_letters(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, DeadLetter)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, received, source, address, reason, payload FROM dead_letters
                 WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![before.map_or(i64::MAX, int), limit], letter)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

impl Store {
    /// Those that came between two moments and in which any of these words stands, in the address, the reason or the message; newest first.
    pub async fn dead_letters_naming(
        &self,
        words: Vec<String>,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> Result<Vec<(u64, DeadLetter)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, received, source, address, reason, payload FROM dead_letters
                 WHERE ?1 <= received AND received <= ?2 AND EXISTS (
                    SELECT 1 FROM json_each(?3) WHERE instr(address, value) OR instr(reason, value)
                        OR instr(payload, CAST(value AS BLOB)))
                 ORDER BY number DESC LIMIT ?4",
            )?;
            let words = serde_json::Value::from(words).to_string();
            let rows = statement.query_map(params![from.0, to.0, words, limit], letter)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn letter(row: &Row<'_>) -> rusqlite::Result<(u64, DeadLetter)> {
    Ok((
        unint(row.get(0)?),
        DeadLetter {
            received: Timestamp(row.get(1)?),
            source: row.get(2)?,
            address: row.get(3)?,
            reason: row.get(4)?,
            payload: row.get(5)?,
        },
    ))
}

pub(super) fn cursor(connection: &Connection, consumer: &str) -> rusqlite::Result<u64> {
    let seq = connection
        .prepare_cached("SELECT seq FROM cursors WHERE consumer = ?1")?
        .query_row([consumer], |row| row.get(0))
        .optional()?;
    Ok(seq.map_or(0, unint))
}

pub(super) fn set_cursor(connection: &Connection, consumer: &str, seq: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO cursors (consumer, seq) VALUES (?1, ?2)
             ON CONFLICT (consumer) DO UPDATE SET seq = max(seq, excluded.seq)",
        )?
        .execute(params![consumer, int(seq)])?;
    Ok(())
}

pub(super) fn batches_after(
    connection: &Connection,
    seq: u64,
    bytes_max: usize,
) -> Result<Vec<Batch>, Problem> {
    let mut statement = connection
        .prepare_cached("SELECT seq, wall, steady, bytes FROM journal WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = statement.query([int(seq)])?;
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        bytes += row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?.len();
        if bytes > bytes_max && !batches.is_empty() {
            break;
        }
        batches.push(batch(row)?);
    }
    Ok(batches)
}

fn batch(row: &Row<'_>) -> rusqlite::Result<Batch> {
    let (seq, now) = (unint(row.get(0)?), moment(row, 1)?);
    let bytes = row.get_ref(3)?.as_blob()?;
    Ok(decode(seq, now, bytes).unwrap_or_else(|damage| {
        metrics::counter!("gridwarden_journal_damaged_total").increment(1);
        let damage = StoreError::Damaged(format!("journal batch {seq}: {damage}"));
        tracing::error!(%damage, "the events of this batch are lost; going on with the next");
        Batch { seq, now, events: Vec::new() }
    }))
}

fn moment(row: &Row<'_>, wall: usize) -> rusqlite::Result<Now> {
    Ok(Now { wall: Timestamp(row.get(wall)?), steady: Steady(unint(row.get(wall + 1)?)) })
}

/// Number and moment of the newest batch.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<Option<(u64, Now)>> {
    connection
        .prepare_cached("SELECT seq, wall, steady FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row((), |row| Ok((unint(row.get(0)?), moment(row, 1)?)))
        .optional()
}

/// The highest number that a batch was ever known by.
pub(super) fn highest_number(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .query_row(
            "SELECT max(coalesce((SELECT max(seq) FROM journal), 0), coalesce((SELECT max(seq) FROM snapshots), 0),
                coalesce((SELECT max(seq) FROM cursors), 0))",
            (),
            |row| row.get(0),
        )
        .map(unint)
}

/// Batches up to `seq` are lost: their numbers are not given again, or a cursor would skip what comes under them.
pub(super) fn go_on_after(connection: &Connection, seq: u64, now: Option<Now>) -> rusqlite::Result<()> {
    let last = last(connection)?;
    if seq <= last.map_or(0, |(last, _)| last) {
        return Ok(());
    }
    let moment = |now: Option<Now>| now.unwrap_or_default();
    let (before, marked) = (moment(last.map(|(_, now)| now)), moment(now));
    let now = Now { wall: before.wall.max(marked.wall), steady: before.steady.max(marked.steady) };
    let bytes = encode(&Batch { seq, now, events: Vec::new() });
    connection.execute(
        "INSERT INTO journal (seq, wall, steady, readings, upto, bytes)
         VALUES (?1, ?2, ?3, 0, coalesce((SELECT max(upto) FROM journal), 0) + length(?4), ?4)",
        params![int(seq), now.wall.0, int(now.steady.0), bytes],
    )?;
    Ok(())
}

/// Keeps the newest two: should the last one be damaged, the journal still reaches back to the one before.
pub(super) fn save_snapshot(connection: &Connection, bytes: &[u8]) -> rusqlite::Result<()> {
    let seq = last(connection)?.map_or(0, |(seq, _)| seq);
    connection
        .prepare_cached("INSERT OR REPLACE INTO snapshots (seq, checksum, bytes) VALUES (?1, ?2, ?3)")?
        .execute(params![int(seq), crc32fast::hash(bytes), bytes])?;
    connection
        .prepare_cached(
            "DELETE FROM snapshots WHERE seq NOT IN (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT 2)",
        )?
        .execute(())?;
    Ok(())
}

pub(super) fn recover(connection: &Connection) -> rusqlite::Result<Recovered> {
    let mut statement = connection.prepare("SELECT seq, checksum, bytes FROM snapshots ORDER BY seq DESC")?;
    let mut rows = statement.query(())?;
    let mut snapshot = None;
    while let Some(row) = rows.next()? {
        let (seq, checksum, bytes): (i64, u32, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if crc32fast::hash(&bytes) == checksum {
            snapshot = Some((unint(seq), bytes));
            break;
        }
        tracing::error!(seq, "an engine snapshot is damaged; taking the one before");
    }
    Ok(Recovered { last: last(connection)?, snapshot, ..Recovered::default() })
}
