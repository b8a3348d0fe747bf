//! The store: one SQLite file, one writer, many readers.
//!
//! Everything that must survive goes through [`Store::commit`] in one transaction: the journal batch, the alarms it changed, their history, the
//! outbox rows, the dead letters, the engine's snapshot. It returns when the data is on disk (WAL, `synchronous=FULL`). The writer is one
//! thread; whatever requests have gathered while a sync ran go into the next transaction together (group commit). Readers have connections of
//! their own and see the last commit.

pub mod alarms;
pub mod history;
pub mod journal;
pub mod outbox;
pub mod registry;
pub mod schema;

use std::path::{Path, PathBuf};

use crate::engine::Effect;
use crate::model::{Batch, DeadLetter};
use crate::units::{Now, Timestamp};

/// One variant per thing that the caller, or the operator, would do something different about.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the store `{path}`")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the store `{path}` has version {found}; this gateway knows up to {known}: install the newer gateway again, or restore a backup made before the upgrade"
    )]
    TooNew { path: PathBuf, found: u32, known: u32 },
    #[error("the store cannot be written")]
    Write(#[source] rusqlite::Error),
    #[error("the store cannot be read")]
    Read(#[source] rusqlite::Error),
    #[error("a record in the store is damaged: {0}")]
    Damaged(String),
    #[error("the store has stopped")]
    Stopped,
}

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub journal_bytes_max: u64,
    pub journal_days_max: u32,
    pub history_days_max: u32,
    pub dead_letters_max: u32,
    pub outbox_rows_max: u32,
}

/// What goes to disk in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub batch: Option<Batch>,
    pub effects: Vec<Effect>,
    pub dead: Vec<DeadLetter>,
    pub audit: Vec<Audit>,
    /// The engine's state after `batch`.
    pub snapshot: Option<Vec<u8>>,
}

/// Who did or looked at what. Never changed or deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    pub at: Timestamp,
    /// Name of the token or account.
    pub who: String,
    /// Such as `alarm.acknowledge`, `people.read`, `registry.import`.
    pub what: String,
    /// What it was done to: an alarm, a person, a file.
    pub target: String,
    pub detail: String,
}

/// What a commit gave numbers to.
#[derive(Debug, Default)]
pub struct Committed {
    /// Row number of the history entry of each [`Effect::Alarm`], in order. Grows by one for ever: the SSE event id.
    pub entries: Vec<u64>,
}

/// What was found when the store was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Number and moment of the newest batch.
    pub last: Option<(u64, Now)>,
    /// The newest engine snapshot and the batch it was taken after.
    pub snapshot: Option<(u64, Vec<u8>)>,
}

/// A handle; cheap to clone.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens or makes the file, brings its schema up to date and starts the writer.
    pub fn open(path: &Path, limits: Limits) -> Result<(Self, Recovered), StoreError> {
        let _ = (path, limits);
        todo!()
    }

    /// Returns when it is on disk. After an error nothing of it is.
    pub async fn commit(&self, commit: std::sync::Arc<Commit>) -> Result<Committed, StoreError> {
        let _ = commit;
        todo!()
    }
}
