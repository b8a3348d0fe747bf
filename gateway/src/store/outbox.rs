//! The outbox: what must still be told, worst class first, then oldest first; and every attempt ever made.
//!
//! A row is pending until it is delivered, given up or withdrawn; then it stays as a record. A row that was being sent when the gateway died is
//! simply due again, with the same key. Full (`outbox_rows_max` pending rows): the least important rows are given up, oldest
//! first, with the reason in their history; fire is never given up.

pub mod receipts;
mod rows;

use rusqlite::{Connection, params};
use tokio::sync::watch;

use self::receipts::Receipts;
use super::writer::Writing;
use super::{Problem, Store, StoreError, alarms, int, unint};
use crate::card::Card;
use crate::model::{Alarm, AlarmId, Alert, Entry, SignalClass, What};
use crate::units::{Steady, Timestamp};

/// One alert to send, with the alarm as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub alert: Alert,
    /// Boxed, because rows are moved whenever it is looked at which of them go next.
    pub alarm: Box<Alarm>,
    /// Attempts made so far.
    pub attempts: u32,
    /// What whoever goes there must know.
    pub card: Option<Box<Card>>,
}

#[derive(Debug, Default)]
pub struct Due {
    pub rows: Vec<Row>,
    /// There may be more that are due than were asked for.
    pub more: bool,
    /// When the next row that is not due yet becomes due.
    pub next_at: Option<Steady>,
}

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The other side took it; `receipt` is its answer, `id` its own name for the message.
    Delivered { receipt: String, id: Option<String> },
    /// Worth trying again.
    Retry { error: String, next_at: Steady },
    /// Trying again makes no sense.
    GaveUp { error: String },
    /// Given up here; the same person is told on the channel `to`.
    HandedOn { error: String, to: String },
}

/// One attempt, to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct ToRecord {
    /// Of the alert.
    pub key: String,
    pub at: Timestamp,
    pub outcome: Outcome,
}

/// The line that an attempt adds to its alarm's history, with its number; none when the alert will be tried again.
pub type Line = Option<(u64, Entry)>;

#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub alert: Alert,
    pub number: u32,
    pub at: Timestamp,
    pub outcome: Outcome,
    /// Of the alert, whichever attempt it was.
    pub receipts: Receipts,
}

/// The alert that takes over on another channel. The key is made from the first, so that it is the same each time.
pub fn handed_on(alert: &Alert, to: &str) -> Alert {
    Alert { key: format!("{}>{to}", alert.key), channel: to.to_owned(), ..alert.clone() }
}

impl Store {
    /// Changes whenever a commit added or withdrew rows.
    pub fn outbox_changed(&self) -> watch::Receiver<u64> {
        self.shared.signals.outbox.subscribe()
    }

    /// Unsent rows of one channel that are due, but for those that somebody has in hand, by key.
    pub async fn due(
        &self,
        channel: &str,
        now: Steady,
        limit: usize,
        in_hand: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Due, StoreError> {
        let channel = channel.to_owned();
        self.read(move |connection| {
            let (rows, more) = rows::due(connection, &channel, now, limit, in_hand)?;
            let next_at: Option<i64> = connection
                .prepare_cached(
                    "SELECT min(next_at) FROM outbox WHERE state = 'pending' AND next_at > 0 AND channel = ?1 AND next_at > ?2",
                )?
                .query_row(params![channel, int(now.0)], |row| row.get(0))?;
            Ok(Due { rows, more, next_at: next_at.map(|at| Steady(unint(at))) })
        })
        .await
    }

    /// Records attempts, adds a line to the alarm's history where one was delivered or given up, and ends or postpones the rows. One that cannot be recorded, with
    /// the damage, keeps none of the others back.
    pub async fn attempted(&self, attempts: Vec<ToRecord>) -> Result<Vec<Result<Line, String>>, StoreError> {
        self.write(move |writing| {
            let mut lines = alarms::Lines::new(writing.connection);
            let mut recorded = Vec::with_capacity(attempts.len());
            for attempt in &attempts {
                recorded.push(match rows::record(writing, attempt, &mut lines) {
                    Ok(line) => Ok(line),
                    Err(Problem::Store(StoreError::Damaged(damage))) => Err(damage),
                    Err(problem) => return Err(problem),
                });
            }
            Ok(recorded)
        })
        .await
    }

    /// These rows must wait without having been tried, and make room for others.
    pub async fn postpone(&self, rows: Vec<(String, Steady)>) -> Result<(), StoreError> {
        self.write(move |writing| {
            let mut postpone = writing
                .connection
                .prepare_cached("UPDATE outbox SET next_at = ?2 WHERE key = ?1 AND state = 'pending'")?;
            for (key, until) in rows {
                postpone.execute(params![key, int(until.0)])?;
            }
            writing.news.outbox = true;
            Ok(())
        })
        .await
    }

    /// What waits on this channel for another try is due now: it has somewhere else to go.
    pub async fn hurry(&self, channel: &str) -> Result<(), StoreError> {
        let channel = channel.to_owned();
        self.write(move |writing| {
            let waiting =
                "UPDATE outbox SET next_at = 0 WHERE channel = ?1 AND state = 'pending' AND next_at > 0";
            writing.news.outbox = 0 < writing.connection.prepare_cached(waiting)?.execute([&channel])?;
            Ok(())
        })
        .await
    }

    /// Every attempt to tell somebody about this alarm, oldest first.
    pub async fn attempts(&self, alarm: AlarmId) -> Result<Vec<Attempt>, StoreError> {
        self.read(move |connection| rows::attempts(connection, alarm)).await
    }
}

/// The same key twice is the same alert.
pub(super) fn add(connection: &Connection, alert: &Alert) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO outbox (key, alarm, class, channel, person, step, at, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending')",
        )?
        .execute(params![
            alert.key,
            int(alert.alarm.0),
            alarms::rank(alert.class),
            alert.channel,
            alert.person,
            alert.step,
            alert.at.0,
        ])?;
    Ok(())
}

pub(super) fn withdraw(connection: &Connection, alarm: AlarmId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE outbox SET state = 'withdrawn' WHERE alarm = ?1 AND state = 'pending'")?
        .execute([int(alarm.0)])?;
    Ok(())
}

/// Gives up the least important pending rows when there are too many, and a hundredth more so that it is not done every time.
pub(super) fn keep_limit(writing: &mut Writing<'_>, at: Option<Timestamp>) -> Result<(), Problem> {
    let Some(limits) = writing.limits else { return Ok(()) };
    let pending: i64 = writing
        .connection
        .prepare_cached("SELECT count(*) FROM outbox WHERE state = 'pending'")?
        .query_row((), |row| row.get(0))?;
    let max = i64::from(limits.outbox_rows_max);
    if pending <= max {
        return Ok(());
    }
    let mut statement = writing.connection.prepare_cached(
        "SELECT key, at FROM outbox WHERE state = 'pending' AND class <> ?1 ORDER BY class DESC, id LIMIT ?2",
    )?;
    let victims = statement
        .query_map(params![alarms::rank(SignalClass::Fire), pending - max + max / 100], |row| {
            Ok((row.get(0)?, Timestamp(row.get(1)?)))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    metrics::counter!("gridwarden_outbox_given_up_full_total").increment(victims.len() as u64);
    writing.news.outbox = true;
    let error = format!("the outbox was full ({max} alerts waiting)");
    let mut lines = alarms::Lines::new(writing.connection);
    for (key, alerted) in victims {
        let outcome = Outcome::GaveUp { error: error.clone() };
        rows::record(writing, &ToRecord { key, at: at.unwrap_or(alerted), outcome }, &mut lines)?;
    }
    Ok(())
}

/// The line for the alarm's history, when the outcome is final.
fn line(alert: &Alert, at: Timestamp, outcome: &Outcome) -> Option<Entry> {
    let (what, said) = match outcome {
        Outcome::Delivered { receipt, .. } => (What::Told, receipt.clone()),
        Outcome::GaveUp { error } => (What::NotTold, error.clone()),
        Outcome::HandedOn { error, to } => (What::NotTold, format!("{error}; going on by {to}")),
        Outcome::Retry { .. } => return None,
    };
    let to = alert.person.as_deref().unwrap_or("everybody");
    let detail = format!("{to} by {}: {said}", alert.channel);
    Some(Entry { alarm: alert.alarm, at, what, who: None, detail })
}
