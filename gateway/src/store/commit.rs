//! One [`Commit`] as rows. What can be done before the writer's turn is done by the caller: the batch is encoded there.

use rusqlite::{OptionalExtension, params};

use super::history::{self, NewBatch, Point};
use super::writer::Writing;
use super::{
    Audit, Commit, Committed, Problem, StoreError, alarms, audit, cards, cases, int, journal, orders, outbox,
    registry, repeats, unint, waiting,
};
use crate::card::Card;
use crate::decode::downlink::Answer;
use crate::engine::Effect;
use crate::model::{AlarmId, DeadLetter, Event};
use crate::units::{Now, Timestamp};
use crate::waiting::Change;
use crate::wire::journal::encode;

/// So much of a dead letter's payload is kept, or a flood of large ones would fill the disk.
const PAYLOAD_BYTES_KEPT: usize = 16 << 10;

pub struct Prepared {
    batch: Option<PreparedBatch>,
    effects: Vec<Effect>,
    cards: Vec<(AlarmId, Card)>,
    dead: Vec<DeadLetter>,
    done: Vec<repeats::Done>,
    audit: Vec<Audit>,
    memo: Vec<(&'static str, String)>,
    waiting: Vec<Change>,
    orders: Vec<(Answer, Timestamp)>,
    snapshot: Option<Vec<u8>>,
    handed_over: bool,
}

struct PreparedBatch {
    seq: u64,
    now: Now,
    readings: usize,
    bytes: Vec<u8>,
    points: Vec<Point>,
}

impl Prepared {
    /// Copies what is small; the caller keeps the commit, to try again or to show it.
    pub fn new(commit: &Commit) -> Self {
        let batch = commit.batch.as_ref().map(|batch| PreparedBatch {
            seq: batch.seq,
            now: batch.now,
            readings: batch.events.iter().map(readings).sum(),
            bytes: encode(batch),
            points: history::points(batch),
        });
        let Commit {
            batch: _,
            effects,
            cards,
            dead,
            done,
            audit,
            memo,
            waiting,
            orders,
            snapshot,
            handed_over,
        } = commit;
        Self {
            batch,
            effects: effects.clone(),
            cards: cards.clone(),
            dead: dead.clone(),
            done: done.clone(),
            audit: audit.clone(),
            memo: memo.clone(),
            waiting: waiting.clone(),
            orders: orders.clone(),
            snapshot: snapshot.clone(),
            handed_over: *handed_over,
        }
    }

    pub fn write(self, writing: &mut Writing<'_>) -> Result<Committed, Problem> {
        let at = self.batch.as_ref().map(|batch| batch.now.wall);
        if let Some(batch) = self.batch {
            append(writing, batch)?;
        }
        let mut committed = Committed::default();
        let mut lines = alarms::Lines::new(writing.connection);
        let mut told = false;
        for effect in &self.effects {
            match effect {
                Effect::Alarm(alarm, entry) => {
                    alarms::save(writing.connection, alarm)?;
                    if let Some(person) = &alarm.handling.handed_to {
                        cases::add(writing.connection, person, alarm.id)?;
                    }
                    cards::count(writing.connection, alarm, entry)?;
                    committed.entries.push(lines.add(entry)?);
                }
                Effect::Tell(alert) => {
                    outbox::add(writing.connection, alert)?;
                    if let Some(person) = &alert.person {
                        cases::add(writing.connection, person, alert.alarm)?;
                    }
                    told = true;
                }
                Effect::Withdraw(alarm) => {
                    outbox::withdraw(writing.connection, *alarm)?;
                    writing.news.outbox = true;
                }
            }
        }
        for (alarm, card) in &self.cards {
            committed.records.push(cards::save(writing.connection, *alarm, card)?);
        }
        if told {
            writing.news.outbox |= !self.handed_over;
            outbox::keep_limit(writing, at)?;
        }
        bury(writing, &self.dead)?;
        for done in &self.done {
            repeats::done(writing.connection, done)?;
        }
        for line in &self.audit {
            audit::add(writing.connection, line)?;
        }
        for (name, text) in &self.memo {
            registry::remember(writing.connection, name, text)?;
        }
        waiting::write(writing.connection, &self.waiting)?;
        orders::write(writing.connection, &self.orders)?;
        if let Some(snapshot) = &self.snapshot {
            journal::save_snapshot(writing.connection, snapshot)?;
        }
        Ok(committed)
    }
}

fn readings(event: &Event) -> usize {
    match event {
        Event::Report(report) => report.values.len().max(1),
        Event::Gone { .. } | Event::Action(_) => 1,
    }
}

fn append(writing: &mut Writing<'_>, batch: PreparedBatch) -> Result<(), Problem> {
    let newest = writing
        .connection
        .prepare_cached("SELECT seq, upto FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (newest, upto): (i64, i64) = newest.unwrap_or((0, 0));
    if batch.seq != unint(newest) + 1 {
        return Err(StoreError::OutOfOrder { newest: unint(newest), offered: batch.seq }.into());
    }
    writing
        .connection
        .prepare_cached(
            "INSERT INTO journal (seq, wall, steady, readings, upto, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            int(batch.seq),
            batch.now.wall.0,
            int(batch.now.steady.0),
            batch.readings as i64,
            upto + batch.bytes.len() as i64,
            batch.bytes,
        ])?;
    writing.news.batch = Some(NewBatch { seq: batch.seq, now: batch.now, points: batch.points });
    Ok(())
}

/// Adds dead letters and drops the oldest beyond the limit.
pub fn bury(writing: &Writing<'_>, dead: &[DeadLetter]) -> Result<(), Problem> {
    for letter in dead {
        let whole = letter.payload.len();
        let kept = &letter.payload[..whole.min(PAYLOAD_BYTES_KEPT)];
        let mut reason = letter.reason.clone();
        if kept.len() < whole {
            reason.push_str(&format!(" (The first {} of {whole} bytes are kept.)", kept.len()));
        }
        writing
            .connection
            .prepare_cached(
                "INSERT INTO dead_letters (received, source, address, reason, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![letter.received.0, letter.source, letter.address, reason, kept])?;
    }
    if let Some(limits) = writing.limits
        && !dead.is_empty()
    {
        let dropped = writing
            .connection
            .prepare_cached(
                "DELETE FROM dead_letters WHERE number <= (SELECT max(number) FROM dead_letters) - ?1",
            )?
            .execute([i64::from(limits.dead_letters_max)])?;
        metrics::counter!("gridwarden_dead_letters_dropped_total").increment(dropped as u64);
    }
    Ok(())
}
