//! Whose case an alarm is: it was handed to somebody, or he was called for it, wherever his own cells are. Once a case, always a case: whoever was called may look at what became of it.
//!
//! Written in the transaction that hands over or calls. Whoever has an alarm in hand without either is known by the alarm itself.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::{Store, StoreError, int};
use crate::model::AlarmId;

impl Store {
    /// Whether it is a case of one of these people.
    pub async fn is_case(&self, people: Vec<String>, alarm: AlarmId) -> Result<bool, StoreError> {
        if people.is_empty() {
            return Ok(false);
        }
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT 1 FROM cases WHERE person = ?1 AND alarm = ?2")?;
            for person in &people {
                if statement.exists(params![person, int(alarm.0)])? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// Everybody whose case it is.
    pub async fn called(&self, alarm: AlarmId) -> Result<BTreeSet<String>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT person FROM cases WHERE alarm = ?1")?;
            let people = statement.query_map([int(alarm.0)], |row| row.get(0))?;
            Ok(people.collect::<Result<_, _>>()?)
        })
        .await
    }
}

pub(super) fn add(connection: &Connection, person: &str, alarm: AlarmId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO cases (person, alarm) VALUES (?1, ?2)")?
        .execute(params![person, int(alarm.0)])?;
    Ok(())
}
