//! What requests with an `Idempotency-Key` came to, so that the same request sent again gets the first answer and does nothing.
//!
//! That a deed is done is written in the very transaction of the deed ([`Done`] in a commit); its answer follows. A crash in between leaves a deed without an answer, which is
//! enough to do it once. Of each account the newest [`KEPT_EACH`] are kept: a phone that was away for a shift sends far fewer.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Problem, Store, StoreError, int, unint};
use crate::model::AlarmId;

/// Of one account.
pub const KEPT_EACH: u32 = 200;

/// A request that may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeatable {
    pub account: String,
    /// As the client named it.
    pub key: String,
    /// SHA-256 over what was asked: one key is for one request.
    pub request: [u8; 32],
}

/// A repeatable deed that was allowed; stored with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub what: Repeatable,
    pub alarm: AlarmId,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    pub location: Option<String>,
    /// JSON.
    pub body: Vec<u8>,
}

/// What is known of a request that comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub request: [u8; 32],
    /// About which the deed was.
    pub alarm: Option<AlarmId>,
    /// `None`: the deed is done, and its answer was lost in a crash.
    pub answered: Option<Answered>,
}

impl Store {
    pub async fn repeat(&self, account: &str, key: &str) -> Result<Option<Known>, StoreError> {
        let (account, key) = (account.to_owned(), key.to_owned());
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT request, alarm, status, location, body FROM repeats WHERE account = ?1 AND key = ?2",
                )?
                .query_row([account, key], |row| {
                    let status: Option<u16> = row.get(2)?;
                    let (location, body): (_, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
                    let answered =
                        status.map(|status| Answered { status, location, body: body.unwrap_or_default() });
                    let alarm = row.get::<_, Option<i64>>(1)?.map(|id| AlarmId(unint(id)));
                    Ok(Known { request: row.get(0)?, alarm, answered })
                })
                .optional()?;
            Ok(found)
        })
        .await
    }

    /// The first answer, beside its deed when there was one.
    pub async fn answered(&self, what: Repeatable, answered: Answered) -> Result<(), StoreError> {
        self.write(move |writing| {
            let Answered { status, location, body } = answered;
            writing
                .connection
                .prepare_cached(
                    "INSERT INTO repeats (account, key, request, status, location, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (account, key) DO UPDATE SET status = ?4, location = ?5, body = ?6 WHERE status IS NULL",
                )?
                .execute(params![what.account, what.key, what.request, status, location, body])?;
            Ok(keep_limit(writing.connection, &what.account)?)
        })
        .await
    }
}

pub(super) fn done(connection: &Connection, done: &Done) -> Result<(), Problem> {
    let Done { what, alarm } = done;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO repeats (account, key, request, alarm) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![what.account, what.key, what.request, int(alarm.0)])?;
    Ok(keep_limit(connection, &what.account)?)
}

fn keep_limit(connection: &Connection, account: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM repeats WHERE account = ?1 AND number <=
             (SELECT number FROM repeats WHERE account = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![account, KEPT_EACH])?;
    Ok(())
}
