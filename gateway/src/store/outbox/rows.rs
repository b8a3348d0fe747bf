//! The rows of the outbox and of the attempts, read and written.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::receipts::Receipts;
use super::{Attempt, Line, Outcome, Row, ToRecord, add, handed_on, line};
use crate::card::Card;
use crate::model::{AlarmId, Alert};
use crate::store::writer::Writing;
use crate::store::{Problem, StoreError, alarms, int, record, unint};
use crate::units::{Steady, Timestamp};

/// The columns that [`alert`] reads, from place 0.
macro_rules! alert_columns {
    () => {
        "outbox.key, outbox.alarm, outbox.class, outbox.channel, outbox.person, outbox.step, outbox.at"
    };
}

fn alert(row: &rusqlite::Row<'_>) -> Result<Alert, Problem> {
    Ok(Alert {
        key: row.get(0)?,
        alarm: AlarmId(unint(row.get(1)?)),
        class: alarms::class(row.get(2)?)?,
        channel: row.get(3)?,
        person: row.get(4)?,
        step: row.get(5)?,
        at: Timestamp(row.get(6)?),
    })
}

/// Worst class first, then oldest first, which is the order of the index `outbox_pending`; `+` keeps SQLite from taking another and sorting.
/// A row whose alarm is damaged is logged and left for whoever repairs it. Also whether there are more than were asked for.
pub fn due(
    connection: &Connection,
    channel: &str,
    now: Steady,
    limit: usize,
    in_hand: impl Fn(&str) -> bool,
) -> Result<(Vec<Row>, bool), Problem> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        alert_columns!(),
        ", outbox.attempts, alarms.record, cards.record
         FROM outbox JOIN alarms ON alarms.id = outbox.alarm LEFT JOIN cards ON cards.alarm = outbox.alarm
         WHERE outbox.state = 'pending' AND outbox.channel = ?1 AND +outbox.next_at <= ?2
         ORDER BY outbox.class, outbox.id"
    ))?;
    let mut rows = statement.query(params![channel, int(now.0)])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        if in_hand(record::text(row.get_ref(0)?)) {
            continue;
        }
        if due.len() == limit {
            return Ok((due, true));
        }
        let alert = alert(row)?;
        match alarms::alarm(alert.alarm, record::text(row.get_ref(8)?)) {
            Ok(alarm) => due.push(Row {
                attempts: row.get(7)?,
                card: card(row.get_ref(9)?, alarm.id),
                alert,
                alarm: Box::new(alarm),
            }),
            Err(damage) => tracing::error!(%damage, key = alert.key, "cannot tell anybody about this alarm"),
        }
    }
    Ok((due, false))
}

/// A card that cannot be read must not keep anybody from being told.
fn card(text: ValueRef<'_>, alarm: AlarmId) -> Option<Box<Card>> {
    let ValueRef::Text(_) = text else { return None };
    match record::read(record::text(text), format_args!("card of {alarm}")) {
        Ok(card) => Some(Box::new(card)),
        Err(damage) => {
            tracing::error!(%damage, "told without it");
            None
        }
    }
}

pub fn attempts(connection: &Connection, alarm: AlarmId) -> Result<Vec<Attempt>, Problem> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        alert_columns!(),
        ", attempts.number, attempts.at, attempts.outcome, attempts.detail, attempts.next_at,
         attempts.provider_id, attempts.handed_to, outbox.shown_at, outbox.opened_at
         FROM outbox JOIN attempts ON attempts.row = outbox.id WHERE outbox.alarm = ?1 ORDER BY attempts.id"
    ))?;
    let mut rows = statement.query([int(alarm.0)])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let next_at = row.get::<_, Option<i64>>(11)?.map(|at| Steady(unint(at)));
        let outcome =
            outcome(record::text(row.get_ref(9)?), row.get(10)?, next_at, row.get(12)?, row.get(13)?)?;
        let (shown, opened) = (row.get::<_, Option<i64>>(14)?, row.get::<_, Option<i64>>(15)?);
        attempts.push(Attempt {
            alert: alert(row)?,
            number: row.get(7)?,
            at: Timestamp(row.get(8)?),
            outcome,
            receipts: Receipts { shown: shown.map(Timestamp), opened: opened.map(Timestamp) },
        });
    }
    Ok(attempts)
}

fn outcome(
    word: &str,
    detail: String,
    next_at: Option<Steady>,
    id: Option<String>,
    to: Option<String>,
) -> Result<Outcome, StoreError> {
    match (word, next_at, to) {
        ("delivered", None, None) => Ok(Outcome::Delivered { receipt: detail, id }),
        ("retry", Some(next_at), None) => Ok(Outcome::Retry { error: detail, next_at }),
        ("given_up", None, None) => Ok(Outcome::GaveUp { error: detail }),
        ("handed_on", None, Some(to)) => Ok(Outcome::HandedOn { error: detail, to }),
        _ => Err(StoreError::Damaged(format!("an attempt cannot have come to `{word}`"))),
    }
}

/// Adds the attempt, counts it on its row, ends or postpones that, and writes the line of a final outcome. A row that was withdrawn while it was being sent
/// stays withdrawn, unless it was delivered after all.
pub fn record(
    writing: &mut Writing<'_>,
    attempt: &ToRecord,
    lines: &mut alarms::Lines<'_>,
) -> Result<Line, Problem> {
    let ToRecord { key, at, outcome } = attempt;
    let (row, number, alert) = count(writing.connection, key, outcome)?;
    add_attempt(writing.connection, row, number, *at, outcome)?;
    const GIVE_UP: &str = "UPDATE outbox SET state = 'given_up' WHERE id = ?1 AND state = 'pending'";
    match outcome {
        Outcome::Delivered { .. } => (),
        Outcome::Retry { next_at, .. } => {
            writing
                .connection
                .prepare_cached("UPDATE outbox SET next_at = ?2 WHERE id = ?1 AND state = 'pending'")?
                .execute([row, int(next_at.0)])?;
        }
        Outcome::GaveUp { .. } => {
            writing.connection.prepare_cached(GIVE_UP)?.execute([row])?;
        }
        Outcome::HandedOn { to, .. } => {
            // Nobody takes over what was answered meanwhile.
            if 0 < writing.connection.prepare_cached(GIVE_UP)?.execute([row])? {
                add(writing.connection, &handed_on(&alert, to))?;
                writing.news.outbox = true;
            }
        }
    }
    let Some(entry) = line(&alert, *at, outcome) else { return Ok(None) };
    Ok(Some((lines.add(&entry)?, entry)))
}

/// One attempt more on the row, which ends with a delivery: its id, the number of the attempt, and the alert.
fn count(connection: &Connection, key: &str, outcome: &Outcome) -> Result<(i64, u32, Alert), Problem> {
    let sql = match outcome {
        Outcome::Delivered { .. } => concat!(
            "UPDATE outbox SET attempts = attempts + 1, state = 'delivered' WHERE key = ?1 RETURNING ",
            alert_columns!(),
            ", id, attempts"
        ),
        Outcome::Retry { .. } | Outcome::GaveUp { .. } | Outcome::HandedOn { .. } => concat!(
            "UPDATE outbox SET attempts = attempts + 1 WHERE key = ?1 RETURNING ",
            alert_columns!(),
            ", id, attempts"
        ),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([key], |row| Ok((row.get(7)?, row.get(8)?, alert(row)))).optional()?;
    let Some((row, number, alert)) = found else {
        return Err(StoreError::Damaged(format!("there is no alert `{key}` in the outbox")).into());
    };
    Ok((row, number, alert?))
}

fn add_attempt(
    connection: &Connection,
    row: i64,
    number: u32,
    at: Timestamp,
    outcome: &Outcome,
) -> rusqlite::Result<()> {
    let (word, detail, next_at) = match outcome {
        Outcome::Delivered { receipt, .. } => ("delivered", receipt, None),
        Outcome::Retry { error, next_at } => ("retry", error, Some(int(next_at.0))),
        Outcome::GaveUp { error } => ("given_up", error, None),
        Outcome::HandedOn { error, .. } => ("handed_on", error, None),
    };
    let (id, to) = match outcome {
        Outcome::Delivered { id, .. } => (id.as_deref(), None),
        Outcome::HandedOn { to, .. } => (None, Some(to)),
        Outcome::Retry { .. } | Outcome::GaveUp { .. } => (None, None),
    };
    connection
        .prepare_cached(
            "INSERT INTO attempts (row, number, at, outcome, detail, next_at, provider_id, handed_to)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![row, number, at.0, word, detail, next_at, id, to])?;
    Ok(())
}
