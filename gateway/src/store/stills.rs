//! Pictures of cameras' events: in the one file, bounded by age and by size; what makes room is always the oldest.
//!
//! A picture comes in parts, each a transaction of its own, so that an alarm never waits behind a whole one; nobody sees it before the last. Whoever shows one asks for the right and records the look.

use rusqlite::{Connection, OptionalExtension, params};

use super::parts::{STILLS, joined, remove};
use super::{Store, StoreError, int, unint};
use crate::model::{DeviceIx, Metric};
use crate::units::{Millis, Now, Timestamp};

/// One that is not whole after so long never will be.
const HALF_DONE_FOR: Millis = Millis::from_secs(600);
/// How many go in one step.
const STEP_MAX: u32 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bytes_max: u64,
    pub days_max: u32,
}

/// Everything but the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    pub number: u64,
    pub device: DeviceIx,
    /// When the camera saw it.
    pub at: Timestamp,
    /// Name of the flag that was set.
    pub event: String,
    /// Media type.
    pub kind: String,
    pub bytes: u64,
}

/// One that is to be stored.
#[derive(Clone, Debug)]
pub struct NewStill {
    pub device: DeviceIx,
    pub at: Timestamp,
    pub event: Metric,
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

const COLUMNS: &str = "SELECT number, device, at, event, kind, bytes FROM stills";

impl Store {
    /// Returns its number when all of it is on disk. `None`: it is larger than all that may be kept.
    pub async fn keep_still(
        &self,
        new: NewStill,
        now: Now,
        limits: Limits,
    ) -> Result<Option<u64>, StoreError> {
        let NewStill { device, at, event, kind, bytes } = new;
        let size = bytes.len() as u64;
        if limits.bytes_max < size {
            return Ok(None);
        }
        let number = self.write(move |writing| {
            make_room(writing.connection, size, limits)?;
            writing
                .connection
                .prepare_cached(
                    "INSERT INTO stills (device, at, steady, event, kind, bytes, whole) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
                )?
                .execute(params![device.0, at.0, int(now.steady.0), event.name(), kind, int(size)])?;
            Ok(writing.connection.last_insert_rowid())
        });
        let number = unint(number.await?);
        self.put_parts(STILLS, number, bytes).await?;
        Ok(Some(number))
    }

    /// Newest first.
    pub async fn stills(&self, device: DeviceIx, limit: u32) -> Result<Vec<Still>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{COLUMNS} WHERE device = ?1 AND whole = 1 ORDER BY number DESC LIMIT ?2"
            ))?;
            let rows = statement.query_map(params![device.0, limit], still)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The first one that came of what a camera saw from one moment to another, both counted.
    pub async fn first_still(
        &self,
        device: DeviceIx,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Still>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{COLUMNS} WHERE device = ?1 AND whole = 1 AND at BETWEEN ?2 AND ?3 ORDER BY number LIMIT 1"
            ))?;
            Ok(statement.query_row(params![device.0, from.0, to.0], still).optional()?)
        })
        .await
    }

    /// The newest of each camera.
    pub async fn newest_stills(&self) -> Result<Vec<Still>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "{COLUMNS} WHERE number IN (SELECT max(number) FROM stills WHERE whole = 1 GROUP BY device)"
            ))?;
            let rows = statement.query_map((), still)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One without its bytes.
    pub async fn still(&self, number: u64) -> Result<Option<Still>, StoreError> {
        self.read(move |connection| Ok(one(connection, number)?)).await
    }

    /// The bytes of one.
    pub async fn still_bytes(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |connection| {
            let Some(found) = one(connection, number)? else { return Ok(None) };
            Ok(Some(joined(connection, STILLS, number, found.bytes)?))
        })
        .await
    }

    /// Takes away some that are too old, or never became whole. `true`: there may be more.
    pub async fn clear_stills(&self, now: Now, limits: Limits) -> Result<bool, StoreError> {
        self.write(move |writing| {
            let before = |age: Millis| int(now.steady.0) - int(age.0);
            let age = Millis::from_secs(u64::from(limits.days_max) * 24 * 3600);
            let doomed = {
                let mut statement = writing.connection.prepare_cached(
                    "SELECT number FROM stills WHERE steady < ?1 OR (whole = 0 AND steady < ?2) ORDER BY number LIMIT ?3",
                )?;
                let rows = statement.query_map(params![before(age), before(HALF_DONE_FOR), STEP_MAX], |row| row.get(0))?;
                rows.collect::<Result<Vec<i64>, _>>()?
            };
            for &number in &doomed {
                remove(writing.connection, STILLS, number)?;
            }
            Ok(doomed.len() as u32 == STEP_MAX)
        })
        .await
    }
}

fn one(connection: &Connection, number: u64) -> rusqlite::Result<Option<Still>> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE number = ?1 AND whole = 1"))?
        .query_row([int(number)], still)
        .optional()
}

fn still(row: &rusqlite::Row<'_>) -> rusqlite::Result<Still> {
    Ok(Still {
        number: unint(row.get(0)?),
        device: DeviceIx(row.get(1)?),
        at: Timestamp(row.get(2)?),
        event: row.get(3)?,
        kind: row.get(4)?,
        bytes: unint(row.get(5)?),
    })
}

/// Takes away the oldest until one more of `size` bytes fits.
fn make_room(connection: &Connection, size: u64, limits: Limits) -> rusqlite::Result<()> {
    let kept: i64 = connection
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM stills")?
        .query_row((), |row| row.get(0))?;
    let mut kept = unint(kept);
    while limits.bytes_max < kept + size {
        let oldest: Option<(i64, i64)> = connection
            .prepare_cached("SELECT number, bytes FROM stills ORDER BY number LIMIT 1")?
            .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((number, bytes)) = oldest else { break };
        remove(connection, STILLS, number)?;
        kept = kept.saturating_sub(unint(bytes));
    }
    Ok(())
}
