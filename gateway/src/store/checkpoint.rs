//! Copies the write-ahead log into the database beside the writer: a copy takes tens of milliseconds, and a fire would wait behind it.
//!
//! A thread with a connection of its own. Copying needs no turn of the writer (SQLite's passive checkpoint); when all of the log has been copied and nobody reads
//! in it, the next transaction begins at its front again. A writer that never rests copies the little that is left itself, once the log is long: else it would grow
//! for ever. When a copy fails nothing is lost: the log still has it, and the next call copies it.
//!
//! The log has its room from the beginning: a sync of what is written over costs half of one that makes the file longer.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::{StoreError, file};

/// The log is copied after so many further pages of 4 KiB, which is what it has room for at the start. The more, the fewer are copied twice; but the copy ends with a sync of the database, and a fire's
/// commit waits for the disk meanwhile.
const PAGES: i32 = 1_000;
/// From so many on it is to begin anew, and what is left to copy is little.
const LONG: i32 = 8_000;
const LITTLE: i32 = PAGES / 4;
/// So long it is made at the start, with [`FILLER`], which the first write of SQLite goes over.
const ROOM_BYTES: u64 = 4 << 20;
pub const FILLER: u8 = 0x5A;
/// What was written during a copy is copied at once, and what was written during that; each takes a fraction of the one before.
const ROUNDS_MAX: usize = 3;

pub struct Checkpoints(JoinHandle<()>);

impl Checkpoints {
    /// From now on commits of this connection call for the copies.
    pub fn start(writer: &mut Connection, path: &Path) -> Result<Self, StoreError> {
        let beside = file::connect(path, false).map_err(|source| file::refusal(path, source))?;
        if let Err(error) = make_room(writer, &file::wal(path)) {
            tracing::warn!(error, "the write-ahead log could not be made anew; going on with what there is");
        }
        let copied = Arc::new(AtomicI32::new(0));
        let (wake, calls) = sync_channel(1);
        let thread = {
            let copied = copied.clone();
            let work = move || copy_when_called(&beside, &calls, &copied);
            let started = std::thread::Builder::new().name("store-checkpoint".into()).spawn(work);
            started.map_err(|source| StoreError::File { path: path.to_owned(), source })?
        };
        let hook = move |log: &mut Wal, pages: i32| {
            let before = copied.load(Ordering::Relaxed);
            let fresh = pages - before;
            if fresh < 0 {
                copied.store(0, Ordering::Relaxed); // The log began anew.
            } else if 2 * LONG <= pages || LONG <= pages && fresh <= LITTLE {
                let _ = log.checkpoint(); // While the other one copies, or the disk fails, the next commit tries.
            } else if PAGES <= fresh {
                let _ = wake.try_send(()); // Full: it is called already.
            }
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(|source| file::refusal(path, source))?;
        Ok(Self(thread))
    }

    /// Lets a copy that is being made end.
    pub fn stop(self, writer: &mut Connection) {
        let _ = writer.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>); // It is the only one that calls.
        let _ = self.0.join(); // A panic in it was reported by the panic hook.
    }
}

/// A log of one length, of which every page was written by itself: Linux counts pages that came into its cache together, as after a cold start, as written together
/// whenever one of them is, and the count of what wears the disk out would be ten times too high. Before anybody writes; nothing depends on it.
fn make_room(writer: &Connection, log: &Path) -> Result<(), Box<dyn Error>> {
    writer.busy_timeout(Duration::ZERO)?; // Somebody beside us may read in it.
    let emptied = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
    writer.busy_timeout(file::BUSY_WAIT)?;
    emptied?;
    let mut log = File::options().append(true).open(log)?;
    while log.metadata()?.len() < ROOM_BYTES {
        log.write_all(&[FILLER; 4096])?;
    }
    Ok(())
}

fn copy_when_called(connection: &Connection, calls: &Receiver<()>, copied: &AtomicI32) {
    let mut failing = false;
    while calls.recv().is_ok() {
        for _ in 0..ROUNDS_MAX {
            match copy(connection) {
                Ok((pages, done)) => {
                    failing = false;
                    copied.store(done, Ordering::Relaxed);
                    if pages <= done {
                        break;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the write-ahead log cannot be copied into the store; trying again");
                    }
                    break;
                }
            }
        }
    }
}

/// Pages in the log, and how many of them are in the database now.
fn copy(connection: &Connection) -> rusqlite::Result<(i32, i32)> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| Ok((row.get(1)?, row.get(2)?)))
}
