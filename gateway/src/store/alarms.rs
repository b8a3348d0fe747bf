//! Alarms and their history, for the API.
//!
//! An alarm is one record; the columns beside it are for searching. Nothing is deleted.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::chain::{self, Chain, Link};
use super::{Problem, Store, StoreError, int, record, unint};
use crate::indicators::Told;
use crate::model::{Alarm, AlarmId, AlarmState, DeviceIx, Entry, SignalClass};
use crate::units::Timestamp;

/// Which alarms to list; empty lists mean all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub states: Vec<AlarmState>,
    pub classes: Vec<SignalClass>,
    /// Cell codes; an alarm matches when its cell is one of them. The caller adds the cells below.
    pub cells: Vec<String>,
    pub device: Option<DeviceIx>,
    /// Only those that somebody may see. `None`: all.
    pub seen: Option<Seen>,
    /// Only alarms with a smaller number: the last one of the page before.
    pub before: Option<AlarmId>,
    pub limit: u32,
}

/// In these cells, or a case of these people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub cells: Vec<String>,
    pub people: Vec<String>,
}

impl Store {
    /// Newest first. A damaged record is left out and logged.
    pub async fn alarms(&self, query: Query) -> Result<Vec<Alarm>, StoreError> {
        self.read(move |connection| {
            let (sql, values) = select(&query);
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut alarms = Vec::new();
            while let Some(row) = rows.next()? {
                match alarm(AlarmId(unint(row.get(0)?)), record::text(row.get_ref(1)?)) {
                    Ok(alarm) => alarms.push(alarm),
                    Err(damage) => tracing::error!(%damage, "left out of the list"),
                }
            }
            Ok(alarms)
        })
        .await
    }

    pub async fn alarm(&self, id: AlarmId) -> Result<Option<Alarm>, StoreError> {
        self.read(move |connection| load(connection, id)).await
    }

    /// Oldest first, with row numbers.
    pub async fn entries(&self, alarm: AlarmId) -> Result<Vec<(u64, Entry)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, alarm, at, what, who, detail FROM entries WHERE alarm = ?1 ORDER BY number",
            )?;
            let mut rows = statement.query([int(alarm.0)])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(entry(row)?);
            }
            Ok(entries)
        })
        .await
    }

    /// History lines of all alarms after row `number`, oldest first, each with its alarm as it is now.
    pub async fn entries_after(
        &self,
        number: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Alarm, Entry)>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, alarm, at, what, who, detail, alarms.record
                 FROM entries JOIN alarms ON alarms.id = entries.alarm
                 WHERE number > ?1 ORDER BY number LIMIT ?2",
            )?;
            let mut rows = statement.query(params![int(number), limit])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                let (number, entry) = entry(row)?;
                let text = record::text(row.get_ref(6)?);
                entries.push((number, alarm(entry.alarm, text)?, entry));
            }
            Ok(entries)
        })
        .await
    }

    /// Those raised from a moment up to another, exercises left out, oldest first, and whether there are more than `most`: then the oldest are left out. Numbers are given in the order
    /// of raising, so the search ends with the first that is older.
    pub async fn alarms_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        most: u32,
    ) -> Result<(Vec<Alarm>, bool), StoreError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, record FROM alarms ORDER BY id DESC")?;
            let mut rows = statement.query(())?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                match alarm(AlarmId(unint(row.get(0)?)), record::text(row.get_ref(1)?)) {
                    Ok(alarm) if alarm.raised < from => break,
                    Ok(alarm) if to <= alarm.raised || alarm.exercise().is_some() => (),
                    Ok(_) if found.len() == most as usize => {
                        found.reverse();
                        return Ok((found, true));
                    }
                    Ok(alarm) => found.push(alarm),
                    Err(damage) => tracing::error!(%damage, "left out of the indicators"),
                }
            }
            found.reverse();
            Ok((found, false))
        })
        .await
    }

    /// Who was to be told of which alarm when, newest first, and whether there are more than `most`. Numbers are given in the order of time, as in [`Store::alarms_between`].
    pub async fn told_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        most: u32,
    ) -> Result<(Vec<Told>, bool), StoreError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT person, alarm, at FROM outbox ORDER BY id DESC")?;
            let mut rows = statement.query(())?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let at = Timestamp(row.get(2)?);
                if at < from {
                    break;
                }
                let person: Option<String> = row.get(0)?;
                let Some(person) = person.filter(|_| at < to) else { continue };
                if found.len() == most as usize {
                    return Ok((found, true));
                }
                found.push(Told { person, alarm: AlarmId(unint(row.get(1)?)), at });
            }
            Ok((found, false))
        })
        .await
    }

    /// These lines of history, each with its alarm as it is now. One whose alarm is damaged is left out and logged.
    pub async fn with_alarms(
        &self,
        lines: Vec<(u64, Entry)>,
    ) -> Result<Vec<(u64, Alarm, Entry)>, StoreError> {
        self.read(move |connection| {
            let mut found = Vec::with_capacity(lines.len());
            for (number, entry) in lines {
                match load(connection, entry.alarm) {
                    Ok(alarm) => found.extend(alarm.map(|alarm| (number, alarm, entry))),
                    Err(Problem::Store(damage)) => tracing::error!(%damage, "a line of history is not shown"),
                    Err(fault @ Problem::Sql(_)) => return Err(fault),
                }
            }
            Ok(found)
        })
        .await
    }

    /// Row number of the newest history line; 0 when there is none.
    pub async fn newest_entry(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT coalesce(max(number), 0) FROM entries")?;
            Ok(statement.query_row((), |row| Ok(unint(row.get(0)?)))?)
        })
        .await
    }

    /// How many alarms of each class are open; classes without any are left out.
    pub async fn open_by_class(&self) -> Result<Vec<(SignalClass, u64)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT class, count(*) FROM alarms WHERE state <> 'closed' GROUP BY class ORDER BY class",
            )?;
            let mut rows = statement.query(())?;
            let mut counts = Vec::new();
            while let Some(row) = rows.next()? {
                counts.push((class(row.get(0)?)?, unint(row.get(1)?)));
            }
            Ok(counts)
        })
        .await
    }
}

/// The statement for a query. `+` before a column keeps SQLite from using its index where another way is shorter: open alarms are few, and
/// walking all alarms from the newest on needs no sorting.
fn select(query: &Query) -> (String, Vec<Value>) {
    let only_open = !query.states.is_empty() && !query.states.contains(&AlarmState::Closed);
    let plus = if only_open { "+" } else { "" };
    let mut sql = "SELECT id, record FROM alarms WHERE id < ?".to_owned();
    let mut values = vec![Value::Integer(query.before.map_or(i64::MAX, |id| int(id.0)))];
    if !query.states.is_empty() {
        sql.push_str(" AND +state IN (SELECT value FROM json_each(?))");
        let names: Vec<_> = query.states.iter().map(|state| state.name()).collect();
        values.push(list(&names));
    }
    if only_open {
        sql.push_str(" AND state <> 'closed'"); // The condition of the index of open alarms.
    }
    match query.classes[..] {
        [] => (),
        [class] => {
            sql.push_str(&format!(" AND {plus}class = ?"));
            values.push(Value::Integer(rank(class)));
        }
        [..] => {
            sql.push_str(" AND +class IN (SELECT value FROM json_each(?))");
            let ranks: Vec<_> = query.classes.iter().map(|&class| rank(class)).collect();
            values.push(list(&ranks));
        }
    }
    if !query.cells.is_empty() {
        sql.push_str(&format!(" AND {plus}cell IN (SELECT value FROM json_each(?))"));
        values.push(list(&query.cells));
    }
    if let Some(Seen { cells, people }) = &query.seen {
        const CASES: &str =
            "id IN (SELECT alarm FROM cases WHERE person IN (SELECT value FROM json_each(?)))";
        const CELLS: &str = "cell IN (SELECT value FROM json_each(?))";
        match (cells.is_empty(), people.is_empty()) {
            (true, true) => sql.push_str(" AND 0"),
            (true, false) => sql.push_str(&format!(" AND {CASES}")),
            (false, true) => sql.push_str(&format!(" AND {plus}{CELLS}")),
            (false, false) => sql.push_str(&format!(" AND (+{CELLS} OR {CASES})")),
        }
        values.extend([cells, people].into_iter().filter(|some| !some.is_empty()).map(|some| list(some)));
    }
    if let Some(device) = query.device {
        sql.push_str(&format!(" AND {plus}device = ?"));
        values.push(Value::Integer(i64::from(device.0)));
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(Value::Integer(i64::from(query.limit)));
    (sql, values)
}

fn list<T: serde::Serialize>(items: &[T]) -> Value {
    Value::Text(serde_json::to_string(items).expect("texts and numbers always become JSON"))
}

/// Worst first.
pub(super) fn rank(class: SignalClass) -> i64 {
    class as i64
}

pub(super) fn class(rank: i64) -> Result<SignalClass, StoreError> {
    usize::try_from(rank)
        .ok()
        .and_then(|place| SignalClass::ALL.get(place).copied())
        .ok_or_else(|| StoreError::Damaged(format!("there is no signal class {rank}")))
}

pub(super) fn save(connection: &Connection, alarm: &Alarm) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO alarms (id, state, class, cell, device, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, class = excluded.class, cell = excluded.cell,
                device = excluded.device, record = excluded.record",
        )?
        .execute(params![
            int(alarm.id.0),
            alarm.state.name(),
            rank(alarm.class),
            alarm.cell_code,
            alarm.device.map(|device| device.0),
            record::write(alarm),
        ])?;
    Ok(())
}

pub(super) fn load(connection: &Connection, id: AlarmId) -> Result<Option<Alarm>, Problem> {
    let text: Option<String> = connection
        .prepare_cached("SELECT record FROM alarms WHERE id = ?1")?
        .query_row([int(id.0)], |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| alarm(id, &text)).transpose()?)
}

pub(super) fn alarm(id: AlarmId, text: &str) -> Result<Alarm, StoreError> {
    record::read(text, format_args!("alarm {id}"))
}

/// Writes lines of history one behind the other. Where their chain ends is asked once, so no other may write while one of these is in use.
pub(super) struct Lines<'a> {
    connection: &'a Connection,
    link: Option<Link>,
}

impl<'a> Lines<'a> {
    pub fn new(connection: &'a Connection) -> Self {
        Self { connection, link: None }
    }

    /// The line's number.
    pub fn add(&mut self, entry: &Entry) -> rusqlite::Result<u64> {
        let link = match self.link.take() {
            Some(link) => link,
            None => Chain::Entries.next(self.connection)?,
        };
        let what = record::word(&entry.what);
        let (alarm, at, who) = (int(entry.alarm.0), entry.at.0, entry.who.as_deref());
        let hash = chain::entry(&link, alarm, at, &what, who, &entry.detail);
        self.connection
            .prepare_cached(
                "INSERT INTO entries (number, alarm, at, what, who, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![link.number, alarm, at, what, who, entry.detail, hash])?;
        self.link = Some(link.next(&hash));
        Ok(unint(link.number))
    }
}

fn entry(row: &rusqlite::Row<'_>) -> Result<(u64, Entry), Problem> {
    let number = unint(row.get(0)?);
    let what = record::from_word(row.get(3)?, format_args!("history line {number}"))?;
    let entry = Entry {
        alarm: AlarmId(unint(row.get(1)?)),
        at: Timestamp(row.get(2)?),
        what,
        who: row.get(4)?,
        detail: row.get(5)?,
    };
    Ok((number, entry))
}
