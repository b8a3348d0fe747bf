//! The card of each alarm, stored in the commit that raises it, and what came of alarms by device, cell and rule.
//!
//! A tally counts how many alarms were raised and as what they were closed; it is kept in the same transaction, so that it
//! always agrees with the alarms, also when a closed one is judged later. Cards hold personal data: whoever shows one asks for the right.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Problem, Store, StoreError, alarms, int, record, unint};
use crate::card::{Card, Record};
use crate::engine::{Refusal, judge_closed};
use crate::model::{Alarm, AlarmId, DeviceIx, Disposition, Entry, Signed, Verdict, What, Worth};
use crate::proposal::Counts;

/// What is counted when an alarm is raised.
const RAISED: &str = "raised";
/// What is counted when it is closed and nobody had said what it was.
const UNSAID: &str = "unsaid";
/// Begins what is counted when it is closed and was evaluated.
const VERDICT: &str = "verdict_";

impl Store {
    pub async fn card(&self, alarm: AlarmId) -> Result<Option<Card>, StoreError> {
        self.read(move |connection| {
            let text: Option<String> = connection
                .prepare_cached("SELECT record FROM cards WHERE alarm = ?1")?
                .query_row([int(alarm.0)], |row| row.get(0))
                .optional()?;
            Ok(text.map(|text| record::read(&text, format_args!("card of {alarm}"))).transpose()?)
        })
        .await
    }

    /// How the alarms of a device ended.
    pub async fn device_record(&self, device: DeviceIx) -> Result<Record, StoreError> {
        self.read(move |connection| Ok(device_record(connection, device)?)).await
    }
}

/// With the device's record as it is now, this alarm included, which is returned.
pub(super) fn save(connection: &Connection, alarm: AlarmId, card: &Card) -> Result<Record, Problem> {
    let device: Option<u32> = connection
        .prepare_cached("SELECT device FROM alarms WHERE id = ?1")?
        .query_row([int(alarm.0)], |row| row.get(0))
        .optional()?
        .flatten();
    let record = match device {
        Some(device) => device_record(connection, DeviceIx(device))?,
        None => Record::default(),
    };
    let card = Card { record, ..card.clone() };
    connection
        .prepare_cached("INSERT OR REPLACE INTO cards (alarm, record) VALUES (?1, ?2)")?
        .execute(params![int(alarm.0), super::record::write(&card)])?;
    Ok(record)
}

/// Counts what this line of an alarm's history ends or begins.
pub(super) fn count(connection: &Connection, alarm: &Alarm, entry: &Entry) -> rusqlite::Result<()> {
    match counted(alarm, entry.what) {
        Some(what) => add(connection, alarm, &what, 1),
        None => Ok(()),
    }
}

fn add(connection: &Connection, alarm: &Alarm, what: &str, more: i32) -> rusqlite::Result<()> {
    if let Some(device) = alarm.device {
        connection
            .prepare_cached(
                "INSERT INTO tallies (device, rule, what, count) VALUES (?1, ?2, ?3, max(?4, 0))
                 ON CONFLICT (device, rule, what) DO UPDATE SET count = max(count + ?4, 0)",
            )?
            .execute(params![device.0, alarm.rule, what, more])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO cell_tallies (cell, rule, what, count) VALUES (?1, ?2, ?3, max(?4, 0))
             ON CONFLICT (cell, rule, what) DO UPDATE SET count = max(count + ?4, 0)",
        )?
        .execute(params![alarm.cell_code, alarm.rule, what, more])?;
    Ok(())
}

/// By what counters are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Rule,
    Cell,
    Device,
}

/// Of one rule, and of one device or cell when asked so.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    pub rule: String,
    pub cell: Option<String>,
    pub device: Option<DeviceIx>,
    pub counts: Counts,
}

impl Store {
    /// What came of all alarms there ever were.
    pub async fn tallies(&self, by: By) -> Result<Vec<Tally>, StoreError> {
        self.read(move |connection| Ok(tallies(connection, by)?)).await
    }

    /// A verdict on an alarm that is closed and that only the store still has. Returns the line of its history with its number, for those who watch.
    pub async fn judge_closed(
        &self,
        id: AlarmId,
        signed: Signed,
        verdict: Verdict,
    ) -> Result<Result<(u64, Alarm, Entry), Refusal>, StoreError> {
        self.write(move |writing| {
            let connection = writing.connection;
            let Some(mut alarm) = alarms::load(connection, id)? else {
                return Ok(Err(Refusal::NoSuchAlarm(id)));
            };
            let before = counted(&alarm, What::Closed);
            let entry = Entry {
                alarm: id,
                at: signed.at,
                what: What::Evaluated,
                who: Some(signed.by.clone()),
                detail: signed.note.clone().unwrap_or_default(),
            };
            if let Err(refusal) = judge_closed(&mut alarm, signed, verdict) {
                return Ok(Err(refusal));
            }
            for (what, more) in [(before, -1), (counted(&alarm, What::Closed), 1)] {
                if let Some(what) = what {
                    add(connection, &alarm, &what, more)?;
                }
            }
            alarms::save(connection, &alarm)?;
            let number = alarms::Lines::new(connection).add(&entry)?;
            Ok(Ok((number, alarm, entry)))
        })
        .await
    }
}

fn tallies(connection: &Connection, by: By) -> rusqlite::Result<Vec<Tally>> {
    let sql = match by {
        By::Rule => "SELECT rule, NULL, NULL, what, sum(count) FROM cell_tallies GROUP BY rule, what",
        By::Cell => "SELECT rule, cell, NULL, what, count FROM cell_tallies",
        By::Device => "SELECT rule, NULL, device, what, count FROM tallies",
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut found: BTreeMap<(String, Option<String>, Option<u32>), Counts> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (what, count): (String, i64) = (row.get(3)?, row.get(4)?);
        let counts = found.entry((row.get(0)?, row.get(1)?, row.get(2)?)).or_default();
        let count = u32::try_from(unint(count)).unwrap_or(u32::MAX);
        if what == RAISED {
            counts.raised = counts.raised.saturating_add(count);
        } else if let Some(worth) = worth(what) {
            counts.add(worth, count);
        }
    }
    let tallies = found.into_iter().map(|((rule, cell, device), counts)| Tally {
        rule,
        cell,
        device: device.map(DeviceIx),
        counts,
    });
    Ok(tallies.collect())
}

/// What a word of the tallies says; `None` for one of a newer gateway.
fn worth(what: String) -> Option<Worth> {
    if what == UNSAID {
        return Some(Worth::Unsaid);
    }
    match what.strip_prefix(VERDICT) {
        Some(verdict) => record::from_word::<Verdict>(verdict.to_owned(), "a tally").ok().map(Into::into),
        None => record::from_word::<Disposition>(what, "a tally").ok().map(Into::into),
    }
}

fn counted(alarm: &Alarm, what: What) -> Option<String> {
    if alarm.exercise().is_some() {
        return None; // Nothing happened, so nothing is learned from it.
    }
    match what {
        What::Raised => Some(RAISED.into()),
        // Who had no hand in it says better what it was than who handled it.
        What::Closed => Some(match (&alarm.handling.evaluated, &alarm.resolved) {
            (Some(evaluation), _) => format!("{VERDICT}{}", record::word(&evaluation.verdict)),
            (None, Some(resolution)) => record::word(&resolution.disposition),
            (None, None) => UNSAID.into(),
        }),
        What::Repeated
        | What::Told
        | What::Escalated
        | What::Acknowledged
        | What::Returned
        | What::ActiveAgain
        | What::Resolved
        | What::NobodyToTell
        | What::NotTold
        | What::OnTheWay
        | What::OnSite
        | What::Verified
        | What::SentBack
        | What::Evaluated
        | What::HandedOver
        | What::OwnerChanged
        | What::Suspended
        | What::Shelved
        | What::Suppressed
        | What::Resumed
        | What::NoProgress
        | What::Unanswered
        | What::Confirmed
        | What::Folded => None,
    }
}

fn device_record(connection: &Connection, device: DeviceIx) -> rusqlite::Result<Record> {
    let mut statement =
        connection.prepare_cached("SELECT what, sum(count) FROM tallies WHERE device = ?1 GROUP BY what")?;
    let mut rows = statement.query([device.0])?;
    let mut outcome = Record::default();
    while let Some(row) = rows.next()? {
        let (what, count): (String, u32) = (row.get(0)?, row.get(1)?);
        if what == RAISED {
            outcome.alarms = count;
            continue;
        }
        match worth(what) {
            Some(Worth::Real | Worth::Missed) => outcome.real += count,
            Some(Worth::False | Worth::Nuisance) => outcome.false_alarms += count,
            Some(Worth::Test) => outcome.tests += count,
            Some(Worth::Fault) => outcome.faults += count,
            Some(Worth::Unsaid) | None => (),
        }
    }
    Ok(outcome)
}
