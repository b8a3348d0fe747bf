//! A store that is beyond repair: moved aside, and what can be read is copied into a new one, the most important first.
//!
//! Row by row: where a page cannot be read the search goes on behind it, in steps that double. When not even the first page makes sense, a new store's
//! first page is put in its place: all stores are laid out alike by `schema.rs`. The old file stays, with the moment in its name, until somebody deletes it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::file::{self, beside};
use super::{StoreError, chain, history, journal, record, registry, schema};
use crate::clock;

/// Most important first. All have a number as their key, except the last two words.
const TABLES: &[&str] = &[
    "registry",
    "cells",
    "devices",
    "people",
    "duties",
    "absences",
    "teams",
    "buildings",
    "households",
    "plans",
    "pins",
    "alarms",
    "entries",
    "cards",
    "tallies",
    "cell_tallies",
    "proposals",
    "ratings",
    "outbox",
    "cases",
    "attempts",
    "push_subscriptions",
    "repeats",
    "points",
    "visits",
    "audit",
    "passes",
    "snapshots",
    "journal",
    "chunks",
    "history_runs",
    "history_blocks",
    "waiting",
    "orders",
    "dead_letters",
    "attachments",
    "attachment_parts",
    "stills",
    "still_parts",
    "plan_pictures",
    "plan_parts",
];
const NAMED_TABLES: &[&str] = &["memo", "cursors", "accounts", "anchors"];
/// Small and needed for work: looked through at every start.
const LOOKED_THROUGH: &[&str] = &[
    "registry",
    "cells",
    "devices",
    "people",
    "duties",
    "absences",
    "teams",
    "buildings",
    "households",
    "plans",
    "pins",
    "memo",
    "cursors",
    "snapshots",
    "alarms",
    "outbox",
    "accounts",
];
const PAGE: usize = 4096;
/// Rows in one transaction.
const ROWS: usize = 2_000;

/// What is wrong with the tables the station cannot work without.
pub fn look_through(connection: &Connection) -> Result<(), String> {
    for table in LOOKED_THROUGH {
        let found = connection
            .query_row(&format!("PRAGMA quick_check('{table}')"), (), |row| row.get::<_, String>(0))
            .unwrap_or_else(|error| error.to_string());
        if found != "ok" {
            return Err(format!("table {table}: {found}"));
        }
    }
    connection
        .query_row("SELECT coalesce(max(seq), 0) FROM journal", (), |row| row.get::<_, i64>(0))
        .map(|_| ())
        .map_err(|error| format!("table journal: {error}"))
}

/// Single records that can no longer be used; each is said once, and alerts whose state makes no sense are sent again.
pub fn mend(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut told = registry::mend(connection)?;
    let mut statement = connection.prepare("SELECT id, record FROM alarms")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if !record::is_whole(record::text(row.get_ref(1)?)) {
            let id: i64 = row.get(0)?;
            told.push(format!("alarm A-{id} cannot be read"));
        }
    }
    let strange = connection.execute(
        "UPDATE outbox SET state = 'pending' WHERE state NOT IN ('pending', 'delivered', 'given_up', 'withdrawn')",
        (),
    )?;
    if 0 < strange {
        told.push(format!("{strange} alerts of the outbox are damaged and are sent again"));
    }
    Ok(told)
}

/// Moves the store at `path` aside and puts what can be read into a new one. Says what was done, one sentence each.
pub fn salvage(path: &Path, why: &str) -> Result<Vec<String>, StoreError> {
    let aside = aside(path);
    tracing::error!(why, aside = %aside.display(), "the store is damaged: it is moved aside, and what can be read is copied into a new one");
    let at = |source| StoreError::File { path: path.to_owned(), source };
    fs::rename(path, &aside).map_err(at)?;
    for ending in ["-wal", "-shm"] {
        let _ = fs::rename(beside(path, ending), beside(&aside, ending)); // There may be none.
    }
    let mut told = vec![format!("the store was damaged ({why}) and is kept as {}", aside.display())];
    let mut new = file::open_unlocked(path, true)?;
    new.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(StoreError::Write)?; // Its first page may be needed.
    new.pragma_update(None, "synchronous", "OFF").map_err(StoreError::Write)?; // One sync at the end.
    match open_damaged(&aside, path) {
        Ok(old) => {
            // Tables of a later version are not missing in an older file.
            let has = |table: &&&str| {
                columns(&old, table).is_ok_and(|columns| !columns.is_empty())
                    || columns(&old, "journal").is_ok_and(|columns| columns.is_empty())
            };
            for table in TABLES.iter().filter(has) {
                told.extend(copy(&old, &mut new, table, "rowid").map_err(StoreError::Write)?);
            }
            for table in NAMED_TABLES.iter().filter(has) {
                told.extend(copy_named(&old, &mut new, table));
            }
            let adopted = history::runs::adopt(&new).map_err(StoreError::Write)?;
            if 0 < adopted {
                told.push(format!("table history_runs: {adopted} runs are put together from their blocks"));
            }
            if columns(&old, "anchors").is_ok_and(|columns| columns.is_empty()) {
                // The old file had no chains yet.
                new.execute("DELETE FROM anchors", ()).map_err(StoreError::Write)?;
                chain::begin_all(&new).map_err(StoreError::Write)?;
            }
        }
        Err(error) => told.push(format!("nothing in it can be read: {error}")),
    }
    // An older file has none, and of a damaged one some may be lost.
    new.execute_batch(schema::CASES).map_err(StoreError::Write)?;
    new.pragma_update(None, "synchronous", "FULL").map_err(StoreError::Write)?;
    // Numbers that were given away must not be given again.
    let last = journal::highest_number(&new).map_err(StoreError::Write)?;
    journal::go_on_after(&new, last, None).map_err(StoreError::Write)?;
    new.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(StoreError::Write)?;
    File::open(path).and_then(|file| file.sync_all()).map_err(at)?;
    Ok(told)
}

fn aside(path: &Path) -> PathBuf {
    let stamp: String = clock::wall().rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let name = |n: u32| {
        beside(path, &format!(".damaged-{stamp}{}", if n == 0 { String::new() } else { format!("-{n}") }))
    };
    (0..).map(name).find(|name| !name.exists()).expect("some number is free")
}

fn open_damaged(aside: &Path, new: &Path) -> rusqlite::Result<Connection> {
    let open = || {
        let connection = Connection::open(aside)?;
        connection.query_row("SELECT count(*) FROM journal LIMIT 1", (), |_| Ok(())).or_else(|error| {
            // A damaged row is no reason; a file that is none is.
            if super::is_damage(&error) && connection.prepare("SELECT record FROM alarms").is_ok() {
                Ok(())
            } else {
                Err(error)
            }
        })?;
        Ok(connection)
    };
    open().or_else(|_: rusqlite::Error| {
        let graft = || -> std::io::Result<()> {
            let mut page = vec![0; PAGE];
            let old = File::options().read(true).write(true).open(aside)?;
            old.read_exact_at(&mut page, 0)?;
            fs::write(beside(aside, ".page1"), &page)?;
            File::open(new)?.read_exact_at(&mut page, 0)?;
            let pages = u32::try_from(old.metadata()?.len() / PAGE as u64).unwrap_or(u32::MAX);
            page[28..32].copy_from_slice(&pages.to_be_bytes());
            page[32..40].fill(0); // No free pages are known.
            old.write_all_at(&page, 0)
        };
        graft().map_err(|_| rusqlite::Error::InvalidQuery)?;
        open()
    })
}

/// A sentence when something was lost.
fn copy(old: &Connection, new: &mut Connection, table: &str, key: &str) -> rusqlite::Result<Option<String>> {
    let columns = shared_columns(old, new, table)?;
    let list = columns.join(", ");
    let places = vec!["?"; columns.len()].join(", ");
    let insert = format!("INSERT OR REPLACE INTO {table} ({list}) VALUES ({places})");
    let select = format!("SELECT {key}, {list} FROM {table} WHERE {key} > ? ORDER BY {key}");
    let (mut after, mut step, mut copied, mut gaps) = (-1i64, 0i64, 0u64, 0u64);
    let end = i64::MAX / 4;
    'again: while after < end {
        let mut statement = match old.prepare(&select) {
            Ok(statement) => statement,
            // The file is older than the table.
            Err(error) if error.to_string().contains("no such table") => return Ok(None),
            Err(error) => return Ok(Some(format!("table {table} cannot be read: {error}"))),
        };
        let rows = statement.query([after]);
        let Ok(mut rows) = rows else {
            return Ok(Some(format!("table {table} cannot be read")));
        };
        let transaction = new.transaction()?;
        for _ in 0..ROWS {
            match rows.next() {
                Ok(Some(row)) => {
                    let Ok(number) = row.get::<_, i64>(0) else { break };
                    let values: rusqlite::Result<Vec<Value>> =
                        (1..=columns.len()).map(|at| row.get(at)).collect();
                    if let Ok(values) = values {
                        // A row that no longer fits its table is no row.
                        copied += transaction
                            .prepare_cached(&insert)?
                            .execute(params_from_iter(values))
                            .unwrap_or(0) as u64;
                    }
                    (after, step) = (number.max(after + 1), 0);
                }
                Ok(None) => {
                    transaction.commit()?;
                    break 'again;
                }
                Err(_) => {
                    gaps += u64::from(step == 0);
                    step = (step * 2).max(1);
                    after = after.saturating_add(step).min(end);
                    break;
                }
            }
        }
        transaction.commit()?;
    }
    Ok((gaps > 0).then(|| format!("table {table}: {copied} rows are saved, in {gaps} places some are lost")))
}

/// Tables without a number for a key are small: as far as they can be read.
fn copy_named(old: &Connection, new: &mut Connection, table: &str) -> Option<String> {
    let all = || -> rusqlite::Result<Option<String>> {
        let columns = shared_columns(old, new, table)?;
        let (list, places) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
        let mut statement = old.prepare(&format!("SELECT {list} FROM {table}"))?;
        let mut rows = statement.query(())?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let values =
                        (0..columns.len()).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<Value>>>()?;
                    new.execute(
                        &format!("INSERT OR REPLACE INTO {table} ({list}) VALUES ({places})"),
                        params_from_iter(values),
                    )?;
                }
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(format!("table {table}: rows are lost: {error}"))),
            }
        }
    };
    all().unwrap_or_else(|error| Some(format!("table {table} cannot be read: {error}")))
}

/// Columns that an older file has not got keep what the new table gives them.
fn shared_columns(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let had = columns(old, table).unwrap_or_default();
    let all = columns(new, table)?;
    // When not even the columns can be read, the reason is said where the rows are.
    let known: Vec<_> = all.iter().filter(|column| had.contains(column)).cloned().collect();
    Ok(if known.is_empty() { all } else { known })
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}
