//! A few read-only connections, used on threads that may block.
//!
//! Each read is one short transaction: a long one would keep the WAL from being emptied. Full: callers wait for a connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{Problem, StoreError, file, is_damage};

const CONNECTIONS_MAX: usize = 4;

pub struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub fn new(path: &Path) -> Self {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { path: path.to_owned(), idle: Mutex::default(), places }
    }

    /// For callers that may block themselves.
    pub fn read_here<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Problem>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => file::open_to_read(&self.path)
                .map_err(|source| StoreError::Open { path: self.path.clone(), source })?,
        };
        let result = in_one_view(&connection, work);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result.map_err(|problem| match problem {
            Problem::Sql(error) => {
                if is_damage(&error) {
                    file::note_broken(&self.path, &error.to_string());
                }
                StoreError::Read(error)
            }
            Problem::Store(error) => error,
        })
    }
}

pub async fn read<T, F>(readers: &Arc<Readers>, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Problem> + Send + 'static,
{
    let place = readers.places.clone().acquire_owned().await.map_err(|_| StoreError::Stopped)?;
    let readers = readers.clone();
    blocking(move || {
        let _place = place;
        readers.read_here(work)
    })
    .await
}

/// Runs `work` on a thread that may block.
pub async fn blocking<T, F>(work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StoreError::Stopped),
    }
}

fn in_one_view<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let view = connection.unchecked_transaction()?;
    work(&view)
}
