//! The audit log: who did or looked at what, searched together with the history of alarms, so that one list answers who knew what, when, and did what.
//!
//! Rows are chained by `chain.rs`. They are taken away by order only, oldest first, and leave an anchor; the history of alarms is never taken away.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::chain::{self, Chain};
use super::{Audit, Problem, Store, StoreError, int, unint};
use crate::units::Timestamp;

/// What to look for; what is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    pub who: Option<String>,
    /// Beginning of the word: `alarm.` finds `alarm.acknowledged`.
    pub what: Option<String>,
    /// A whole word of the target: `A-17` finds `alarm A-17`.
    pub target: Option<String>,
    pub from: Option<Timestamp>,
    /// Not included.
    pub to: Option<Timestamp>,
    /// The last line of the page before.
    pub before: Option<Place>,
    pub limit: u32,
}

/// A line's place in the order of the list: by time, then table, then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub at: Timestamp,
    pub chain: Chain,
    pub number: u64,
}

pub(super) fn add(connection: &Connection, line: &Audit) -> Result<(), Problem> {
    let Audit { at: Timestamp(at), who, what, target, detail } = line;
    let link = Chain::Audit.next(connection)?;
    let hash = chain::audit(&link, *at, [who, what, target, detail]);
    connection
        .prepare_cached(
            "INSERT INTO audit (number, at, who, what, target, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![link.number, at, who, what, target, detail, hash])?;
    Ok(())
}

impl Store {
    /// Newest first, before row `before` when given.
    pub async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<(u64, Audit)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, at, who, what, target, detail FROM audit WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![before.map_or(i64::MAX, int), limit], |row| {
                Ok((unint(row.get(0)?), line(row)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Lines of the audit log and of the alarms' history, newest first. A line of the history has `alarm.` before its word and `alarm A-…` as its target;
    /// whom an alert was for stands in its `who` or at the beginning of its detail.
    pub async fn search_audit(&self, search: Search) -> Result<Vec<(Place, Audit)>, StoreError> {
        self.read(move |connection| {
            let (sql, values) = select(&search);
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| {
                let chain = if row.get::<_, i64>(6)? == 0 { Chain::Audit } else { Chain::Entries };
                Ok((Place { at: Timestamp(row.get(1)?), chain, number: unint(row.get(0)?) }, line(row)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes away the oldest audit rows, up to the first that is not before `before`, and records that. Says how many.
    pub async fn prune_audit(&self, before: Timestamp, line: Audit) -> Result<u64, StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            let first_kept: Option<i64> = connection
                .query_row(
                    "SELECT number FROM audit WHERE at >= ?1 ORDER BY number LIMIT 1",
                    [before.0],
                    |row| row.get(0),
                )
                .optional()?;
            let last = connection
                .query_row(
                    "SELECT number, hash FROM audit WHERE number < ?1 ORDER BY number DESC LIMIT 1",
                    [first_kept.unwrap_or(i64::MAX)],
                    |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)),
                )
                .optional()?;
            let mut gone = 0;
            if let Some((number, hash)) = last {
                connection.execute(
                    "UPDATE anchors SET number = ?2, hash = ?3 WHERE chain = ?1",
                    params![Chain::Audit.name(), number, hash],
                )?;
                gone = connection.execute("DELETE FROM audit WHERE number <= ?1", [number])?;
            }
            let detail = format!("{gone} rows; {}", line.detail);
            add(connection, &Audit { detail, ..line })?;
            Ok(gone as u64)
        })
        .await
    }
}

fn line(row: &rusqlite::Row<'_>) -> rusqlite::Result<Audit> {
    Ok(Audit {
        at: Timestamp(row.get(1)?),
        who: row.get(2)?,
        what: row.get(3)?,
        target: row.get(4)?,
        detail: row.get(5)?,
    })
}

/// Both tables with the same columns, walked newest first along their index of times.
fn select(search: &Search) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut part = |place: i64, columns: &str, table: &str| {
        let mut sql = format!("SELECT * FROM (SELECT {columns}, {place} AS place FROM {table}) WHERE 1");
        let mut and = |condition: &str, with: &[Value]| {
            sql.push_str(condition);
            values.extend_from_slice(with);
        };
        let text = |text: &str| Value::Text(text.to_owned());
        if let Some(who) = &search.who {
            and(
                " AND (who = ? OR (place = 1 AND detail LIKE ? ESCAPE '\\'))",
                &[text(who), text(&format!("{} %", plain(who)))],
            );
        }
        if let Some(what) = &search.what {
            and(" AND what LIKE ? ESCAPE '\\'", &[text(&format!("{}%", plain(what)))]);
        }
        if let Some(target) = &search.target {
            and(" AND ' ' || target || ' ' LIKE ? ESCAPE '\\'", &[text(&format!("% {} %", plain(target)))]);
        }
        if let Some(from) = search.from {
            and(" AND at >= ?", &[Value::Integer(from.0)]);
        }
        if let Some(to) = search.to {
            and(" AND at < ?", &[Value::Integer(to.0)]);
        }
        if let Some(before) = search.before {
            let rank = before.chain as i64;
            let number = Value::Integer(int(before.number));
            and(
                " AND at <= ? AND (at, place, number) < (?, ?, ?)",
                &[Value::Integer(before.at.0), Value::Integer(before.at.0), Value::Integer(rank), number],
            );
        }
        and(" ORDER BY at DESC, number DESC LIMIT ?", &[Value::Integer(i64::from(search.limit))]);
        sql
    };
    let audit = part(0, "number, at, who, what, target, detail", "audit");
    let entries = part(
        1,
        "number, at, coalesce(who, 'gridwarden') AS who, 'alarm.' || what AS what, 'alarm A-' || alarm AS target, detail",
        "entries",
    );
    let sql = format!(
        "SELECT * FROM (SELECT * FROM ({audit}) UNION ALL SELECT * FROM ({entries})) ORDER BY at DESC, place DESC, number DESC LIMIT {}",
        search.limit
    );
    (sql, values)
}

/// For LIKE: the text itself and no pattern.
fn plain(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
