//! Photos and voice notes of alarms: in the one file, so that a backup has them and a crash leaves a whole one or none.
//!
//! A large one comes in parts ([`super::parts`]); what a crash left half done is cleared away by [`clear`]. Bounded by age and by size: what makes room are the oldest of closed alarms; when only those of open ones are left, a new one is refused.

use rusqlite::{Connection, OptionalExtension, params};

use super::parts::{ATTACHMENTS, joined, remove};
use super::{Problem, Store, StoreError, int, unint};
use crate::model::AlarmId;
use crate::units::{Millis, Now, Timestamp};

/// Of one alarm.
pub const EACH_MAX: u32 = 30;
/// One that is not whole after so long never will be.
const HALF_DONE_FOR: Millis = Millis::from_secs(3600);
/// Who has no account; such photos together may have this part of the room, so that strangers cannot use up that of the workers.
pub const RESIDENT: &str = "resident";
const RESIDENTS_PART: u64 = 4;
/// How many are cleared away in one step.
const STEP_MAX: u32 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub bytes_max: u64,
    pub days_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 1 << 30, days_max: 366 }
    }
}

/// Everything but the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub number: u64,
    pub alarm: AlarmId,
    pub at: Timestamp,
    /// Person id or account.
    pub who: String,
    /// Media type, such as `image/jpeg`.
    pub kind: String,
    pub note: String,
    pub bytes: u64,
}

/// One that is to be stored.
#[derive(Clone, Debug)]
pub struct NewAttachment {
    pub alarm: AlarmId,
    pub who: String,
    pub kind: &'static str,
    pub note: String,
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes: the same once more is the one that is there.
    pub hash: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    New(u64),
    /// It came before, and this is its number.
    Before(u64),
    /// The alarm has [`EACH_MAX`].
    TooMany,
    /// There is no room, and nothing that may go.
    Full,
}

impl Store {
    /// Returns when all of it is on disk.
    pub async fn attach(&self, new: NewAttachment, now: Now) -> Result<Stored, StoreError> {
        let NewAttachment { bytes, .. } = &new;
        let bytes = bytes.clone();
        let begun = self.write(move |writing| {
            let limits = writing.limits.map(|limits| limits.attachments).unwrap_or_default();
            begin(writing.connection, &new, now, limits)
        });
        let number = match begun.await? {
            Stored::New(number) => number,
            other @ (Stored::Before(_) | Stored::TooMany | Stored::Full) => return Ok(other),
        };
        self.put_parts(ATTACHMENTS, number, bytes).await?;
        Ok(Stored::New(number))
    }

    /// Oldest first.
    pub async fn attachments(&self, alarm: AlarmId) -> Result<Vec<Attachment>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, alarm, at, who, kind, note, bytes FROM attachments WHERE alarm = ?1 AND whole = 1 ORDER BY number",
            )?;
            let rows = statement.query_map([int(alarm.0)], attachment)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One with its bytes.
    pub async fn attachment(&self, number: u64) -> Result<Option<(Attachment, Vec<u8>)>, StoreError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT number, alarm, at, who, kind, note, bytes FROM attachments WHERE number = ?1 AND whole = 1",
                )?
                .query_row([int(number)], attachment)
                .optional()?;
            let Some(found) = found else { return Ok(None) };
            let bytes = joined(connection, ATTACHMENTS, number, found.bytes)?;
            Ok(Some((found, bytes)))
        })
        .await
    }
}

fn attachment(row: &rusqlite::Row<'_>) -> rusqlite::Result<Attachment> {
    Ok(Attachment {
        number: unint(row.get(0)?),
        alarm: AlarmId(unint(row.get(1)?)),
        at: Timestamp(row.get(2)?),
        who: row.get(3)?,
        kind: row.get(4)?,
        note: row.get(5)?,
        bytes: unint(row.get(6)?),
    })
}

fn begin(connection: &Connection, new: &NewAttachment, now: Now, limits: Limits) -> Result<Stored, Problem> {
    let NewAttachment { alarm, who, kind, note, bytes, hash } = new;
    let before: Option<i64> = connection
        .prepare_cached("SELECT number FROM attachments WHERE alarm = ?1 AND hash = ?2 AND whole = 1")?
        .query_row(params![int(alarm.0), hash], |row| row.get(0))
        .optional()?;
    if let Some(number) = before {
        return Ok(Stored::Before(unint(number)));
    }
    let count: u32 = connection
        .prepare_cached("SELECT count(*) FROM attachments WHERE alarm = ?1")?
        .query_row([int(alarm.0)], |row| row.get(0))?;
    if EACH_MAX <= count {
        return Ok(Stored::TooMany);
    }
    let size = bytes.len() as u64;
    let of_residents = limits.bytes_max / RESIDENTS_PART;
    if who == RESIDENT && !make_room(connection, size, of_residents, Some(RESIDENT))? {
        return Ok(Stored::Full);
    }
    if !make_room(connection, size, limits.bytes_max, None)? {
        return Ok(Stored::Full);
    }
    connection
        .prepare_cached(
            "INSERT INTO attachments (alarm, at, steady, who, kind, note, bytes, hash, whole) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)",
        )?
        .execute(params![int(alarm.0), now.wall.0, int(now.steady.0), who, kind, note, int(size), hash])?;
    Ok(Stored::New(unint(connection.last_insert_rowid())))
}

/// Room within `bytes_max` among what this one sent, or everybody. `false`: what is left belongs to open alarms.
fn make_room(connection: &Connection, size: u64, bytes_max: u64, of: Option<&str>) -> rusqlite::Result<bool> {
    loop {
        let kept: i64 = connection
            .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM attachments WHERE ?1 IS NULL OR who = ?1")?
            .query_row([of], |row| row.get(0))?;
        if unint(kept) + size <= bytes_max {
            return Ok(true);
        }
        let oldest: Option<i64> = connection
            .prepare_cached(
                "SELECT number FROM attachments JOIN alarms ON alarms.id = attachments.alarm
                 WHERE alarms.state = 'closed' AND whole = 1 AND (?1 IS NULL OR who = ?1) ORDER BY number LIMIT 1",
            )?
            .query_row([of], |row| row.get(0))
            .optional()?;
        match oldest {
            None => return Ok(false),
            Some(number) => remove(connection, ATTACHMENTS, number)?,
        }
    }
}

/// Takes away some that are too old, or never became whole. Says how many.
pub(super) fn clear(connection: &Connection, now: Now, limits: Limits) -> rusqlite::Result<u32> {
    let before = |age: Millis| int(now.steady.0) - int(age.0);
    let age = Millis::from_secs(u64::from(limits.days_max) * 24 * 3600);
    let mut statement = connection.prepare_cached(
        "SELECT number FROM attachments LEFT JOIN alarms ON alarms.id = attachments.alarm
         WHERE (whole = 0 AND steady < ?1) OR (steady < ?2 AND coalesce(alarms.state, 'closed') = 'closed') LIMIT ?3",
    )?;
    let doomed = statement
        .query_map(params![before(HALF_DONE_FOR), before(age), STEP_MAX], |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    for &number in &doomed {
        remove(connection, ATTACHMENTS, number)?;
    }
    Ok(doomed.len() as u32)
}
