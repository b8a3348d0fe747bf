//! The store: one SQLite file, one writer, many readers.
//!
//! Everything that must survive goes through [`Store::commit`] in one transaction: the journal batch, the alarms it changed, their history, the
//! outbox rows, the dead letters, the engine's snapshot. It returns when the data is on disk (WAL, `synchronous=FULL`). The writer is one
//! thread; whatever requests have gathered while a sync ran go into the next transaction together (group commit). Readers have connections of
//! their own and see the last commit. Why one file: docs/decisions/0002-one-sqlite-file.md.
//!
//! A change of a table is a new step at the end of `schema.rs`; a change of a stored type is a new variant in `record.rs` or a new version
//! in `wire/journal.rs`.

pub mod accounts;
pub mod alarms;
pub mod attachments;
pub mod audit;
pub mod cards;
pub mod care;
mod cases;
pub mod chain;
mod checkpoint;
mod commit;
mod file;
pub mod history;
pub mod journal;
mod mark;
mod moment;
pub mod orders;
pub mod outbox;
mod parts;
pub mod plans;
pub mod points;
pub mod proposals;
pub mod push;
pub mod ratings;
mod readers;
mod record;
pub mod registry;
pub mod repeats;
pub mod restore;
mod salvage;
mod schema;
pub mod stills;
mod torn;
mod upkeep;
pub mod waiting;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::watch;

use self::checkpoint::Checkpoints;
use self::file::Role;
use self::history::Head;
use self::mark::Mark;
use self::readers::Readers;
use self::writer::{Writer, Writing};
use crate::card::{Card, Record};
use crate::decode::downlink::Answer;
use crate::engine::Effect;
use crate::model::{AlarmId, Batch, DeadLetter};
use crate::units::{Now, Timestamp};
use crate::waiting::Change;

/// One variant per thing that the caller, or the operator, would do something different about.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the store `{path}`")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("cannot use `{path}` for the store")]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "the store `{path}` has version {found}; this gateway knows up to {known}: install the newer gateway again, or restore a backup made before the upgrade"
    )]
    TooNew { path: PathBuf, found: u32, known: u32 },
    #[error(
        "`{path}` is no store of this gateway but another program's file; nothing was changed in it: write another file name into `store.path`"
    )]
    Foreign { path: PathBuf },
    #[error(
        "another gateway runs on the store `{path}`: stop it first, or write another file name into `store.path`"
    )]
    InUse { path: PathBuf },
    #[error(
        "the gateway that runs on the store `{path}` is older than this program: restart it with the new version first"
    )]
    OlderGateway { path: PathBuf },
    #[error("the store cannot be written")]
    Write(#[source] rusqlite::Error),
    #[error("the store cannot be read")]
    Read(#[source] rusqlite::Error),
    #[error("a record in the store is damaged: {0}")]
    Damaged(String),
    #[error("batch {offered} was offered after batch {newest}: batches are numbered without gaps")]
    OutOfOrder { newest: u64, offered: u64 },
    #[error("the store has stopped")]
    Stopped,
}

impl StoreError {
    /// Whether the same may work later: the disk is full, cannot be written or read, or does not answer.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Write(error) | Self::Read(error) | Self::Open { source: error, .. } => !is_damage(error),
            Self::File { .. } => true,
            Self::TooNew { .. }
            | Self::Foreign { .. }
            | Self::InUse { .. }
            | Self::OlderGateway { .. }
            | Self::Damaged(_)
            | Self::OutOfOrder { .. }
            | Self::Stopped => false,
        }
    }
}

/// Whether the file itself is broken: trying again does not help.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub journal_bytes_max: u64,
    pub journal_days_max: u32,
    pub history_days_max: u32,
    pub dead_letters_max: u32,
    pub outbox_rows_max: u32,
    pub attachments: attachments::Limits,
}

/// What goes to disk in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub batch: Option<Batch>,
    pub effects: Vec<Effect>,
    /// Of the alarms that are raised in `effects`.
    pub cards: Vec<(AlarmId, Card)>,
    pub dead: Vec<DeadLetter>,
    /// Deeds in `batch` that may be asked for again.
    pub done: Vec<repeats::Done>,
    pub audit: Vec<Audit>,
    /// Small texts to remember under a name, see [`Store::recall`].
    pub memo: Vec<(&'static str, String)>,
    /// Devices that are not registered.
    pub waiting: Vec<Change>,
    /// What network servers said of orders, and when.
    pub orders: Vec<(Answer, Timestamp)>,
    /// The engine's state after `batch`.
    pub snapshot: Option<Vec<u8>>,
    /// The channels get its alerts from memory: nobody need look for them in the outbox.
    pub handed_over: bool,
}

/// Who did or looked at what. Never changed, and taken away only by `gridwarden audit prune`.
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

/// What is known only when it is stored.
#[derive(Debug, Default)]
pub struct Committed {
    /// Row number of the history entry of each [`Effect::Alarm`], in order. Grows by one for ever: the SSE event id.
    pub entries: Vec<u64>,
    /// Of each of [`Commit::cards`], what the card says of the device's alarms: only the store knows.
    pub records: Vec<Record>,
}

/// What was found when the store was opened.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Number and moment of the newest batch.
    pub last: Option<(u64, Now)>,
    /// The newest intact engine snapshot and the batch it was taken after. Every batch after it is still in the journal.
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// What was damaged and is lost, a sentence each.
    pub findings: Vec<String>,
    /// The file was beyond repair and this is what could be read of it: alarms are more certain than the engine's snapshot.
    pub salvaged: bool,
}

/// A handle; cheap to clone. When the last one is dropped, what was asked for is finished and the file is closed.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    writer: Writer,
    readers: Arc<Readers>,
    signals: Arc<Signals>,
    tending: history::Tending,
}

/// What the writer tells after a commit.
struct Signals {
    newest: watch::Sender<u64>,
    outbox: watch::Sender<u64>,
    head: Head,
}

/// What went wrong inside a request, before it is known whether it was reading or writing.
#[derive(Debug)]
enum Problem {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        Problem::Sql(error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Problem::Store(error)
    }
}

impl Store {
    /// For the gateway, one process per file: opens or makes the file, brings its schema up to date and starts the writer.
    pub fn open(path: &Path, limits: Limits) -> Result<(Self, Recovered), StoreError> {
        let (store, recovered) = Self::start(path, Role::Gateway, Some(limits))?;
        store.fill_head_at_start()?;
        Ok((store, recovered))
    }

    /// For short work beside a running gateway, such as an import: no retention, and of the history only what is sealed.
    pub fn open_beside(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::start(path, Role::Beside, None)?.0)
    }

    fn start(path: &Path, role: Role, limits: Option<Limits>) -> Result<(Self, Recovered), StoreError> {
        let file::Opened { mut connection, lock, findings, salvaged } = file::open(path, role)?;
        let recovered = journal::recover(&connection)
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let recovered = Recovered { findings, salvaged, ..recovered };
        let newest = recovered.last.map_or(0, |(seq, _)| seq);
        let signals = Arc::new(Signals {
            newest: watch::Sender::new(newest),
            outbox: watch::Sender::new(0),
            head: Head::default(),
        });
        let mark = lock.is_some().then(|| Mark::open(path));
        if let (Some(mark), Some((seq, now))) = (&mark, recovered.last) {
            mark.set(seq, now);
        }
        let checkpoints = match role {
            Role::Gateway => Some(Checkpoints::start(&mut connection, path)?),
            Role::Beside => None,
        };
        let writer = Writer::start(connection, lock, mark, limits, signals.clone(), checkpoints)
            .map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let readers = Arc::new(Readers::new(path));
        // Beside a gateway nobody seals or merges.
        let tending = history::Tending::new(limits.map_or(u32::MAX, |limits| limits.history_days_max));
        let shared = Shared { path: path.to_owned(), writer, readers, signals, tending };
        Ok((Self { shared: Arc::new(shared) }, recovered))
    }

    /// Returns when it is on disk. After an error nothing of it is.
    pub async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let prepared = commit::Prepared::new(commit);
        self.write(move |writing| prepared.write(writing)).await
    }

    /// Runs `work` in the writer's next transaction; returns its result after that is on disk.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writing<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.shared.writer.ask(work).await
    }

    /// Runs `work` on a thread that may block, on one consistent view of the last commit.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Problem> + Send + 'static,
    {
        readers::read(&self.shared.readers, work).await
    }
}

/// Numbers as SQLite stores them. Ours count from 0 or 1 and never come near the limit.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
