//! Looking after the store: figures for metrics and `gridwarden doctor`, and backups while it runs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{Store, StoreError, alarms, file, readers, unint};
use crate::model::SignalClass;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    pub file_bytes: u64,
    pub wal_bytes: u64,
    pub journal_bytes: u64,
    /// Numbers of the oldest batch that is kept and of the newest; 0 without any.
    pub oldest_seq: u64,
    pub newest_seq: u64,
    pub cursors: Vec<Cursor>,
    pub outbox_pending: BTreeMap<SignalClass, u64>,
    pub dead_letters: u64,
    /// Dead letters dropped because there were too many.
    pub dead_letters_dropped: u64,
    pub alarms_open: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    pub consumer: String,
    pub seq: u64,
    /// Readings that retention dropped before they were confirmed.
    pub dropped: u64,
}

impl Store {
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let path = self.shared.path.clone();
        self.read(move |connection| {
            let number = |sql| connection.prepare_cached(sql)?.query_row((), |row| Ok(unint(row.get(0)?)));
            let mut counts = Counts {
                file_bytes: size(&path),
                wal_bytes: size(&file::wal(&path)),
                journal_bytes: number(
                    "SELECT coalesce((SELECT upto FROM journal ORDER BY seq DESC LIMIT 1)
                        - (SELECT upto - length(bytes) FROM journal ORDER BY seq LIMIT 1), 0)",
                )?,
                oldest_seq: number("SELECT coalesce(min(seq), 0) FROM journal")?,
                newest_seq: number("SELECT coalesce(max(seq), 0) FROM journal")?,
                dead_letters: number("SELECT count(*) FROM dead_letters")?,
                dead_letters_dropped: number("SELECT coalesce(min(number) - 1, 0) FROM dead_letters")?,
                alarms_open: number("SELECT count(*) FROM alarms WHERE state <> 'closed'")?,
                ..Counts::default()
            };
            let mut statement =
                connection.prepare_cached("SELECT consumer, seq, dropped FROM cursors ORDER BY consumer")?;
            let cursors = statement.query_map((), |row| {
                Ok(Cursor { consumer: row.get(0)?, seq: unint(row.get(1)?), dropped: unint(row.get(2)?) })
            })?;
            counts.cursors = cursors.collect::<Result<_, _>>()?;
            let mut statement = connection.prepare_cached(
                "SELECT class, count(*) FROM outbox WHERE state = 'pending' GROUP BY class",
            )?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()? {
                counts.outbox_pending.insert(alarms::class(row.get(0)?)?, unint(row.get(1)?));
            }
            Ok(counts)
        })
        .await
    }

    /// A consistent copy in a new file, made while the gateway runs; on disk when this returns.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_owned();
        if to.exists() {
            let source = std::io::ErrorKind::AlreadyExists.into();
            return Err(StoreError::File { path: to, source });
        }
        let path = self.shared.path.clone();
        readers::blocking(move || copy(&path, &to)).await
    }
}

pub(super) fn copy(path: &Path, to: &PathBuf) -> Result<(), StoreError> {
    let at = |source| StoreError::File { path: to.clone(), source };
    let connection = file::open_to_read(path).map_err(StoreError::Read)?;
    file::make_private(to).map_err(at)?;
    // The whole copy is one read transaction: the WAL grows until it is done, which upkeep mends.
    let copied = connection
        .pragma_update(None, "query_only", false)
        .and_then(|()| connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]));
    if let Err(error) = copied {
        let _ = fs::remove_file(to); // Half a backup is none.
        return Err(StoreError::Write(error));
    }
    File::open(to).and_then(|file| file.sync_all()).map_err(at)?;
    file::sync_folder(file::folder(to))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}
