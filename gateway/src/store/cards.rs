//! The card of each alarm, stored in the commit that raises it, and what came of a device's alarms.
//!
//! A tally counts per device and rule how many alarms were raised and as what they were closed; it is kept in the same transaction, so that it
//! always agrees with the alarms. Cards hold personal data: whoever shows one asks for the right.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Problem, Store, StoreError, int, record};
use crate::card::{Card, Record};
use crate::model::{Alarm, AlarmId, DeviceIx, Disposition, Entry, Verdict, What};

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

/// With the device's record as it is now, this alarm included.
pub(super) fn save(connection: &Connection, alarm: AlarmId, card: &Card) -> Result<(), Problem> {
    let device: Option<u32> = connection
        .prepare_cached("SELECT device FROM alarms WHERE id = ?1")?
        .query_row([int(alarm.0)], |row| row.get(0))
        .optional()?
        .flatten();
    let before = match device {
        Some(device) => device_record(connection, DeviceIx(device))?,
        None => Record::default(),
    };
    let card = Card { record: before, ..card.clone() };
    connection
        .prepare_cached("INSERT OR REPLACE INTO cards (alarm, record) VALUES (?1, ?2)")?
        .execute(params![int(alarm.0), record::write(&card)])?;
    Ok(())
}

/// Counts what this line of an alarm's history ends or begins.
pub(super) fn count(connection: &Connection, alarm: &Alarm, entry: &Entry) -> rusqlite::Result<()> {
    let (Some(device), Some(what)) = (alarm.device, counted(alarm, entry.what)) else { return Ok(()) };
    connection
        .prepare_cached(
            "INSERT INTO tallies (device, rule, what, count) VALUES (?1, ?2, ?3, 1)
             ON CONFLICT (device, rule, what) DO UPDATE SET count = count + 1",
        )?
        .execute(params![device.0, alarm.rule, what])?;
    Ok(())
}

fn counted(alarm: &Alarm, what: What) -> Option<String> {
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
        if let Some(verdict) = what.strip_prefix(VERDICT) {
            match record::from_word::<Verdict>(verdict.to_owned(), "a tally") {
                Ok(Verdict::True | Verdict::Missed) => outcome.real += count,
                Ok(Verdict::False | Verdict::Nuisance) => outcome.false_alarms += count,
                Err(_) => (), // Of a newer gateway.
            }
            continue;
        }
        match record::from_word::<Disposition>(what, "a tally") {
            Ok(Disposition::RealFire | Disposition::HazardRemoved) => outcome.real += count,
            Ok(Disposition::FalseAlarm) => outcome.false_alarms += count,
            Ok(Disposition::Test) => outcome.tests += count,
            Ok(Disposition::DeviceFault) => outcome.faults += count,
            Ok(Disposition::HandedOver) | Err(_) => (), // Not this house's to judge, or nobody said.
        }
    }
    Ok(outcome)
}
