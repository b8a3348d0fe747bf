//! The file and who may open it: one gateway at a time, and short helpers beside it.
//!
//! A foreign or newer file is refused before anything in it is changed. Opening costs the same for an empty and a full store: the
//! checks look at the header and the schema only; damage inside is noticed by the checksums of what is read.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::mark::Mark;
use super::schema::{self, Found};
use super::torn::{self, Torn};
use super::{StoreError, is_damage, journal, salvage};

/// Who opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Holds the lock as long as it runs.
    Gateway,
    /// Short work beside a gateway, which may run or not.
    Beside,
}

/// How long to wait for the other process's transaction.
pub const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Beside a gateway the WAL is copied into the database after so many pages of 4 KiB; a gateway has `checkpoint.rs`.
const CHECKPOINT_PAGES: u32 = 2000;
const WAL_BYTES_KEPT: u32 = 64 << 20;

/// An open store.
pub struct Opened {
    /// The writer's connection.
    pub connection: Connection,
    /// To hold while it is open.
    pub lock: Option<File>,
    /// What was damaged and is lost, a sentence each.
    pub findings: Vec<String>,
    /// It is a new file with what could be read of a damaged one.
    pub salvaged: bool,
}

/// A gateway also looks whether what it left behind is still whole.
pub fn open(path: &Path, role: Role) -> Result<Opened, StoreError> {
    let folder = folder(path);
    fs::create_dir_all(folder).map_err(at(folder))?;
    let lock = take_lock(path)?;
    if role == Role::Gateway && lock.is_none() {
        return Err(StoreError::InUse { path: path.to_owned() });
    }
    if role == Role::Beside {
        let connection = open_unlocked(path, lock.is_some())?;
        return Ok(Opened { connection, lock: None, findings: Vec::new(), salvaged: false });
    }
    let (connection, findings, salvaged) = open_whole(path)?;
    Ok(Opened { connection, lock, findings, salvaged })
}

/// Opens what an earlier run left, moves it aside when it is beyond repair, and finds out what is missing.
fn open_whole(path: &Path) -> Result<(Connection, Vec<String>, bool), StoreError> {
    let (mark, torn) = (Mark::read(path), torn::look(&wal(path)));
    let mut findings = Vec::new();
    let mut salvaged = false;
    let opened = open_unlocked(path, true);
    let broken = match &opened {
        Ok(connection) => match fs::read_to_string(broken_flag(path)) {
            Ok(reason) => Some(reason),
            Err(_) => salvage::look_through(connection).err(),
        },
        // Only a file that we have written ourselves is touched.
        Err(fault) if mark.is_some() => unusable(fault),
        Err(_) => None,
    };
    let connection = match broken {
        None => opened?,
        Some(why) => {
            drop(opened);
            findings.extend(salvage::salvage(path, &why)?);
            salvaged = true;
            open_unlocked(path, true)?
        }
    };
    let _ = fs::remove_file(broken_flag(path)); // There rarely is one.
    let failed = |source| refusal(path, source);
    findings.extend(salvage::mend(&connection).map_err(failed)?);
    let newest = journal::last(&connection).map_err(failed)?;
    let have = newest.map_or(0, |(seq, _)| seq);
    let missing = mark.filter(|(seq, _)| have < *seq);
    if let Some((seq, now)) = missing {
        findings.push(format!(
            "the newest {} batches ({} to {seq}) are missing although they were acknowledged",
            seq - have,
            have + 1
        ));
        journal::go_on_after(&connection, seq, Some(now)).map_err(failed)?;
    }
    if let Some(Torn { bytes, frames, commits }) = torn {
        let cut = format!(
            "the end of the write-ahead log was torn: {bytes} bytes in {frames} pages with {commits} ends of transactions were cut off"
        );
        // One transaction that was being written is what any power cut leaves.
        if missing.is_some() || 1 < commits {
            findings.push(cut);
        } else {
            tracing::warn!("{cut}; nobody had been told that they are safe");
        }
    }
    Ok((connection, findings, salvaged))
}

/// Why a file of ours cannot be one any more.
fn unusable(fault: &StoreError) -> Option<String> {
    if let StoreError::Foreign { .. } = fault {
        return Some("its first page makes no sense".to_owned());
    }
    if let StoreError::TooNew { found, .. } = fault
        && *found > schema::KNOWN + 1_000
    {
        return Some(format!("it says that it has version {found}"));
    }
    if let StoreError::Open { source, .. } = fault
        && is_damage(source)
    {
        return Some(source.to_string());
    }
    None
}

/// Where a running gateway leaves word for the next start that the file is broken.
fn broken_flag(path: &Path) -> PathBuf {
    beside(path, "-broken")
}

/// The file turned out to be broken while it was in use; the next start moves it aside.
pub fn note_broken(path: &Path, reason: &str) {
    let flag = broken_flag(path);
    if !flag.exists() {
        tracing::error!(
            reason,
            "the store is damaged; the next start moves it aside and saves what can be read"
        );
        let _ = fs::write(flag, reason); // When even this fails, the next start looks for itself.
    }
}

/// Without asking who else uses it.
pub fn open_unlocked(path: &Path, may_create: bool) -> Result<Connection, StoreError> {
    let folder = folder(path);
    let is_new = !path.exists();
    if is_new && may_create {
        make_private(path).map_err(at(path))?;
    }
    let mut connection = connect(path, may_create).map_err(|source| refusal(path, source))?;
    if is_new {
        // Else a power cut could take the new file's name away with all that is in it.
        sync_folder(folder)?;
    }
    match schema::inspect(&connection).map_err(|source| refusal(path, source))? {
        Found::Foreign => return Err(StoreError::Foreign { path: path.to_owned() }),
        Found::Ours { version } if version > schema::KNOWN => {
            return Err(StoreError::TooNew { path: path.to_owned(), found: version, known: schema::KNOWN });
        }
        Found::Ours { version } if version < schema::KNOWN && !may_create => {
            return Err(StoreError::OlderGateway { path: path.to_owned() });
        }
        Found::Empty | Found::Ours { .. } => (),
    }
    prepare(&mut connection).map_err(|source| refusal(path, source))?;
    Ok(connection)
}

/// A connection that cannot change anything.
pub fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    keep_plans(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    // For one reading: SQLite throws it away before the next when anybody has written meanwhile. There are several, and what they hold of the start would stay.
    connection.pragma_update(None, "cache_size", -1_000)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Where a store stands.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes new and changed names in it survive a power cut.
pub fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// Where the WAL of a store stands.
pub fn wal(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// An empty file that only its owner can read: telephone numbers stand in it. SQLite gives its WAL the same rights.
pub fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The lock file stands beside the store and stays; the system gives the lock back when its holder ends, however it ends.
pub fn take_lock(path: &Path) -> Result<Option<File>, StoreError> {
    let path = beside(path, ".lock");
    let file = File::options().create(true).append(true).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}

pub fn connect(path: &Path, may_create: bool) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if may_create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!("the file system does not allow a write-ahead log (SQLite answers `{mode}`)")),
        ));
    }
    keep_plans(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -4_000)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    connection.set_prepared_statement_cache_capacity(128);
    schema::migrate(connection)
}

/// A statement's plan does not depend on what is bound to it. Otherwise SQLite may look at the values and prepare the statement again for every use.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

pub fn refusal(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::Foreign { path },
        Some(_) | None => StoreError::Open { path, source },
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { path, source }
}
