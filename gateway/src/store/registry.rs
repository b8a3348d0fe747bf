//! Cells, devices, people, their duties, absences and teams, plans and what hangs where, on disk. What an import changes is decided in `grid/import.rs`.
//!
//! May be written by another process beside the gateway, so the version is checked inside the writing transaction.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Audit, Problem, Store, StoreError, int, record, unint};
use crate::grid::dwellings::{Building, Household};
use crate::grid::redraw::CodeMove;
use crate::grid::{Absence, Cell, Device, Duty, Person, Pin, Plan, Rows, Team};
use crate::model::{CellIx, DeviceIx, DeviceKind};
use crate::units::{Timestamp, Zone};

/// Under which name the store keeps the zone in which hours and days are meant.
const ZONE_MEMO: &str = "registry.time_zone";

impl Store {
    pub async fn load_registry(&self) -> Result<Rows, StoreError> {
        self.read(|connection| {
            Ok(Rows {
                version: version(connection)?,
                cells: load(connection, "cells")?,
                devices: load(connection, "devices")?,
                people: load(connection, "people")?,
                duties: load(connection, "duties")?,
                absences: load(connection, "absences")?,
                teams: load(connection, "teams")?,
                zone: recall(connection, ZONE_MEMO)?.and_then(|name| Zone::named(&name)).unwrap_or_default(),
                buildings: load(connection, "buildings")?,
                households: load(connection, "households")?,
                plans: load(connection, "plans")?,
                pins: load(connection, "pins")?,
            })
        })
        .await
    }

    /// Cheap: to notice that another process has imported something.
    pub async fn registry_version(&self) -> Result<u64, StoreError> {
        self.read(|connection| Ok(version(connection)?)).await
    }

    /// Replaces the registry with `rows`, writing only what differs. `rows.version` must be one above the stored version,
    /// else somebody else changed it meanwhile: `Ok(false)`, and nothing is written.
    pub async fn save_registry(&self, rows: Rows, audit: Audit) -> Result<bool, StoreError> {
        self.save_redrawn(rows, Vec::new(), audit).await
    }

    /// The same after cells were redrawn: what hangs on walls with a code says the cell it is in now.
    pub async fn save_redrawn(
        &self,
        rows: Rows,
        codes: Vec<CodeMove>,
        audit: Audit,
    ) -> Result<bool, StoreError> {
        check(&rows)?;
        let grid = [
            ("cells", texts(&rows.cells), true),
            ("devices", texts(&rows.devices), true),
            ("buildings", texts(&rows.buildings), false),
            ("households", texts(&rows.households), false),
        ];
        let tables = grid.into_iter().chain(people_tables(&rows)).chain(plan_tables(&rows)).collect();
        self.replace_tables(rows.version, rows.zone, tables, codes, audit).await
    }

    /// The same for people, duties, absences and teams only: a change by hand must not read and write a city's devices.
    pub async fn save_people(&self, rows: &Rows, audit: Audit) -> Result<bool, StoreError> {
        let tables = people_tables(rows).into_iter().collect();
        self.replace_tables(rows.version, rows.zone.clone(), tables, Vec::new(), audit).await
    }

    /// The same for the one household at this place of the table: a call must not read and write those of a city.
    pub async fn save_household(&self, rows: &Rows, place: usize, audit: Audit) -> Result<bool, StoreError> {
        let (new, text) = (rows.version, rows.households.get(place).map(record::write));
        self.write(move |writing| {
            let connection = writing.connection;
            if version(connection)? + 1 != new {
                return Ok(false);
            }
            let changed = connection
                .prepare_cached("UPDATE households SET record = ?2 WHERE place = ?1 AND ?2 IS NOT NULL")?
                .execute(params![place as i64, text])?;
            if changed != 1 {
                let wrong =
                    format!("there is no household in row {place}; import the table of households again");
                return Err(StoreError::Damaged(wrong).into());
            }
            connection.execute("UPDATE registry SET version = ?1", [int(new)])?;
            super::audit::add(connection, &audit)?;
            Ok(true)
        })
        .await
    }

    /// The same for plans and what hangs on them only.
    pub async fn save_plans(&self, rows: &Rows, audit: Audit) -> Result<bool, StoreError> {
        let tables = plan_tables(rows).into_iter().collect();
        self.replace_tables(rows.version, rows.zone.clone(), tables, Vec::new(), audit).await
    }

    async fn replace_tables(
        &self,
        new: u64,
        zone: Zone,
        tables: Vec<(&'static str, Vec<String>, bool)>,
        codes: Vec<CodeMove>,
        audit: Audit,
    ) -> Result<bool, StoreError> {
        self.write(move |writing| {
            if version(writing.connection)? + 1 != new {
                return Ok(false);
            }
            for (table, texts, only_grows) in tables {
                replace(writing.connection, table, texts, only_grows)?;
            }
            super::points::move_codes(writing.connection, &codes)?;
            remember(writing.connection, ZONE_MEMO, zone.name())?;
            writing.connection.execute("UPDATE registry SET version = ?1", [int(new)])?;
            super::audit::add(writing.connection, &audit)?;
            Ok(true)
        })
        .await
    }

    /// A small text under a name, such as the hash of an imported file.
    pub async fn remember(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let (name, text) = (name.to_owned(), text.to_owned());
        self.write(move |writing| remember(writing.connection, &name, &text)).await
    }

    pub async fn recall(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(move |connection| Ok(recall(connection, &name)?)).await
    }
}

fn people_tables(rows: &Rows) -> [(&'static str, Vec<String>, bool); 4] {
    [
        ("people", texts(&rows.people), false),
        ("duties", texts(&rows.duties), false),
        ("absences", texts(&rows.absences), false),
        ("teams", texts(&rows.teams), false),
    ]
}

fn plan_tables(rows: &Rows) -> [(&'static str, Vec<String>, bool); 2] {
    [("plans", texts(&rows.plans), false), ("pins", texts(&rows.pins), false)]
}

fn recall(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT text FROM memo WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

pub(super) fn remember(connection: &Connection, name: &str, text: &str) -> Result<(), Problem> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO memo (name, text) VALUES (?1, ?2)")?
        .execute([name, text])?;
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<u64> {
    let version =
        connection.prepare_cached("SELECT version FROM registry")?.query_row((), |row| row.get(0))?;
    Ok(unint(version))
}

/// The engine's tables are aligned with the places, so a wrong one must never be stored.
fn check(rows: &Rows) -> Result<(), StoreError> {
    let cell = rows.cells.iter().enumerate().find(|(place, cell)| cell.ix.at() != *place);
    let device = rows.devices.iter().enumerate().find(|(place, device)| device.ix.at() != *place);
    let wrong = match (cell, device) {
        (Some((place, cell)), _) => format!("cell `{}` has number {} at place {place}", cell.code, cell.ix.0),
        (None, Some((place, device))) => {
            format!("device `{}` has number {} at place {place}", device.id, device.ix.0)
        }
        (None, None) => return Ok(()),
    };
    Err(StoreError::Damaged(wrong))
}

fn texts<T: Serialize>(records: &[T]) -> Vec<String> {
    records.iter().map(record::write).collect()
}

fn load<T: DeserializeOwned>(connection: &Connection, table: &str) -> Result<Vec<T>, Problem> {
    let mut statement = connection.prepare(&format!("SELECT place, record FROM {table} ORDER BY place"))?;
    let mut rows = statement.query(())?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(0)?;
        let text = record::text(row.get_ref(1)?);
        records.push(record::read(text, format_args!("row {place} of {table}"))?);
    }
    Ok(records)
}

/// Records that can no longer be read must not keep the station from starting: a cell or device gives way to a retired one in its place, a person, duty,
/// absence or team goes, and the files of `[registry]` are imported anew. Says what is lost.
pub(super) fn mend(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let cell = |place: u32| {
        record::write(&Cell {
            ix: CellIx(place),
            code: format!("damaged-{place}"),
            name: "?".into(),
            scheme: "damaged".into(),
            parent: None,
            kind: "damaged".into(),
            polygons: Vec::new(),
            retired: true,
        })
    };
    let device = |place: u32| {
        record::write(&Device {
            ix: DeviceIx(place),
            id: format!("damaged-{place}"),
            kind: DeviceKind::Other,
            name: "?".into(),
            address: format!("native:damaged-{place}"),
            cells: Arc::default(),
            place: String::new(),
            position: None,
            silent_after: None,
            registered: Timestamp(0),
            retired: true,
        })
    };
    let mut told = Vec::new();
    for place in unreadable::<Cell>(connection, "cells", |cell| Some(cell.ix.0))? {
        connection.execute("UPDATE cells SET record = ?2 WHERE place = ?1", params![place, cell(place)])?;
        told.push(format!("cell {place} of the registry cannot be read and is retired"));
    }
    for place in unreadable::<Device>(connection, "devices", |device| Some(device.ix.0))? {
        connection
            .execute("UPDATE devices SET record = ?2 WHERE place = ?1", params![place, device(place)])?;
        told.push(format!("device {place} of the registry cannot be read and is retired"));
    }
    for (table, what, places) in [
        ("people", "person", unreadable::<Person>(connection, "people", |_| None)?),
        ("duties", "duty", unreadable::<Duty>(connection, "duties", |_| None)?),
        ("absences", "absence", unreadable::<Absence>(connection, "absences", |_| None)?),
        ("teams", "team", unreadable::<Team>(connection, "teams", |_| None)?),
        ("plans", "plan", unreadable::<Plan>(connection, "plans", |_| None)?),
        ("pins", "pin of a plan", unreadable::<Pin>(connection, "pins", |_| None)?),
    ] {
        for place in places {
            connection.execute(&format!("DELETE FROM {table} WHERE place = ?1"), [place])?;
            told.push(format!("{what} {place} of the registry cannot be read and is left out"));
        }
    }
    for place in unreadable::<Building>(connection, "buildings", |_| None)? {
        connection.execute("DELETE FROM buildings WHERE place = ?1", [place])?;
        told.push(format!("building {place} of the registry cannot be read and is left out"));
    }
    for place in unreadable::<Household>(connection, "households", |_| None)? {
        connection.execute("DELETE FROM households WHERE place = ?1", [place])?;
        told.push(format!("household {place} of the registry cannot be read and is left out"));
    }
    if !told.is_empty() {
        connection.execute("DELETE FROM memo WHERE name LIKE 'registry.file:%'", ())?;
    }
    Ok(told)
}

/// Places of records that make no sense, or say that they stand elsewhere.
fn unreadable<T: DeserializeOwned>(
    connection: &Connection,
    table: &str,
    number: impl Fn(&T) -> Option<u32>,
) -> rusqlite::Result<Vec<u32>> {
    let mut statement = connection.prepare(&format!("SELECT place, record FROM {table} ORDER BY place"))?;
    let mut rows = statement.query(())?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        let place: u32 = row.get(0)?;
        let good = row.get_ref(1)?.as_str().is_ok_and(|text| {
            record::read::<T>(text, table).is_ok_and(|record| number(&record).is_none_or(|own| own == place))
        });
        if !good {
            places.push(place);
        }
    }
    Ok(places)
}

/// Writes only what differs: an import of ten thousand devices usually changes a few.
fn replace(
    connection: &Connection,
    table: &str,
    texts: Vec<String>,
    only_grows: bool,
) -> Result<(), Problem> {
    let mut statement = connection.prepare(&format!("SELECT place, record FROM {table}"))?;
    let stored = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut stored: HashMap<i64, String> = stored.collect::<Result<_, _>>()?;
    let mut write =
        connection.prepare(&format!("INSERT OR REPLACE INTO {table} (place, record) VALUES (?1, ?2)"))?;
    for (place, text) in (0..).zip(texts) {
        if stored.remove(&place).as_ref() != Some(&text) {
            write.execute(params![place, text])?;
        }
    }
    if only_grows && !stored.is_empty() {
        let text = format!("{} {table} are missing in the new registry; retire them instead", stored.len());
        return Err(StoreError::Damaged(text).into());
    }
    let mut delete = connection.prepare(&format!("DELETE FROM {table} WHERE place = ?1"))?;
    for place in stored.keys() {
        delete.execute([place])?;
    }
    Ok(())
}
