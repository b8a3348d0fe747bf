//! The one writer: a thread that puts whatever has gathered into one transaction.
//!
//! Each request runs in a savepoint, so one that fails takes back only its own rows; all others are answered after the one sync they share. When
//! the transaction itself fails (disk full, I/O error), nobody's rows are on disk and everybody gets the error. What a request wants to make
//! known ([`News`]) is told after the commit and before the answer. Full: callers wait for a place in the queue.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use metrics::{counter, histogram};
use rusqlite::Connection;
use rusqlite::ffi;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpoints;
use super::history::NewBatch;
use super::mark::Mark;
use super::upkeep::Upkeep;
use super::{Limits, Problem, Signals, StoreError, file, is_damage};
use crate::clock;

/// How many requests may wait, and how many share a transaction at most.
const QUEUE_MAX: usize = 1024;
const GROUP_MAX: usize = 512;

/// What a request works with.
pub struct Writing<'a> {
    pub connection: &'a Connection,
    /// `None` beside a gateway, which keeps the limits itself.
    pub limits: Option<Limits>,
    pub news: News,
}

/// What others learn once it is on disk.
#[derive(Default)]
pub struct News {
    /// A new batch and what the history takes from it.
    pub batch: Option<NewBatch>,
    pub outbox: bool,
}

pub struct Writer {
    requests: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
}

trait Request: Send {
    /// Does the work. After an error its rows must be taken back.
    fn run(&mut self, writing: &mut Writing<'_>) -> Result<(), rusqlite::Error>;
    /// Tells the caller: what came of the work, or why the transaction failed.
    fn answer(self: Box<Self>, failure: Option<rusqlite::Error>);
}

struct Job<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    to: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Request for Job<T, F>
where
    T: Send,
    F: FnOnce(&mut Writing<'_>) -> Result<T, Problem> + Send,
{
    fn run(&mut self, writing: &mut Writing<'_>) -> Result<(), rusqlite::Error> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let (result, how) = match work(writing) {
            Ok(value) => (Ok(value), Ok(())),
            Err(Problem::Sql(error)) => {
                let copy = again(&error);
                (Err(StoreError::Write(error)), Err(copy))
            }
            Err(Problem::Store(error)) => (Err(error), Err(rusqlite::Error::ExecuteReturnedResults)),
        };
        self.result = Some(result);
        how
    }

    fn answer(self: Box<Self>, failure: Option<rusqlite::Error>) {
        let answer = match (self.result, failure) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(failure)) => Err(StoreError::Write(failure)),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::Stopped),
        };
        let _ = self.to.send(answer); // The caller may have given up waiting.
    }
}

impl Writer {
    pub fn start(
        connection: Connection,
        lock: Option<File>,
        mark: Option<Mark>,
        limits: Option<Limits>,
        signals: Arc<Signals>,
        checkpoints: Option<Checkpoints>,
    ) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel(QUEUE_MAX);
        let mut desk = Desk { connection, mark, limits, signals, upkeep: Upkeep::default(), failing: false };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            desk.serve(inbox);
            if let Some(checkpoints) = checkpoints {
                checkpoints.stop(&mut desk.connection);
            }
            drop(desk);
            drop(lock); // Only after the connection is closed.
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    pub async fn ask<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writing<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let (to, answered) = oneshot::channel();
        let job = Box::new(Job { work: Some(work), result: None, to });
        let requests = self.requests.as_ref().ok_or(StoreError::Stopped)?;
        requests.send(job).await.map_err(|_| StoreError::Stopped)?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None; // The thread finishes what waits and ends.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // A panic in it was reported by the panic hook.
        }
    }
}

/// The writer thread's own things.
struct Desk {
    connection: Connection,
    mark: Option<Mark>,
    limits: Option<Limits>,
    signals: Arc<Signals>,
    upkeep: Upkeep,
    failing: bool,
}

impl Desk {
    fn serve(&mut self, mut inbox: mpsc::Receiver<Box<dyn Request>>) {
        let mut group = Vec::new();
        while let Some(first) = inbox.blocking_recv() {
            group.push(first);
            while group.len() < GROUP_MAX
                && let Ok(next) = inbox.try_recv()
            {
                group.push(next);
            }
            let started = clock::instant();
            let failure = self.transact(&mut group).err();
            histogram!("gridwarden_store_commit_seconds").record(started.elapsed().as_secs_f64());
            histogram!("gridwarden_store_group_requests").record(group.len() as f64);
            self.say_when_changed(failure.as_ref());
            for request in group.drain(..) {
                request.answer(failure.as_ref().map(again));
            }
            if let Some(limits) = &self.limits
                && failure.is_none()
            {
                self.upkeep.after_commit(&mut self.connection, limits);
            }
        }
    }

    fn say_when_changed(&mut self, failure: Option<&rusqlite::Error>) {
        match failure {
            Some(error) => {
                counter!("gridwarden_store_failures_total").increment(1);
                if is_damage(error)
                    && let Some(path) = self.connection.path()
                {
                    file::note_broken(Path::new(path), &error.to_string());
                }
                if !self.failing {
                    tracing::error!(%error, "the store cannot commit; whoever asked is told, and nothing of it is on disk");
                }
            }
            None if self.failing => tracing::info!("the store commits again"),
            None => (),
        }
        self.failing = failure.is_some();
    }

    fn transact(&mut self, group: &mut [Box<dyn Request>]) -> rusqlite::Result<()> {
        let told = self.fill_transaction(group).and_then(|told| {
            self.connection.prepare_cached("COMMIT")?.execute(())?;
            Ok(told)
        });
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                if !self.connection.is_autocommit() {
                    // When even this fails the next BEGIN says so.
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                return Err(error);
            }
        };
        counter!("gridwarden_store_commits_total").increment(1);
        for news in told {
            if let Some(batch) = news.batch {
                let seq = batch.seq;
                if let Some(mark) = &self.mark {
                    mark.set(seq, batch.now);
                }
                self.signals.head.take(batch);
                self.signals.newest.send_replace(seq);
            }
            if news.outbox {
                self.signals.outbox.send_modify(|changes| *changes += 1);
            }
        }
        Ok(())
    }

    fn fill_transaction(&self, group: &mut [Box<dyn Request>]) -> rusqlite::Result<Vec<News>> {
        let connection = &self.connection;
        let say = |sql| connection.prepare_cached(sql)?.execute(()).map(|_| ());
        say("BEGIN IMMEDIATE")?;
        let mut told = Vec::with_capacity(group.len());
        for request in group {
            say("SAVEPOINT request")?;
            let mut writing = Writing { connection, limits: self.limits, news: News::default() };
            match request.run(&mut writing) {
                Ok(()) => told.push(writing.news),
                // SQLite has taken back the whole transaction, others' rows too.
                Err(error) if connection.is_autocommit() => return Err(error),
                Err(_) => say("ROLLBACK TO request")?,
            }
            say("RELEASE request")?;
        }
        Ok(told)
    }
}

/// The same error once more: SQLite's errors cannot be cloned.
fn again(error: &rusqlite::Error) -> rusqlite::Error {
    match error.sqlite_error() {
        Some(&code) => rusqlite::Error::SqliteFailure(code, Some(error.to_string())),
        None => rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(error.to_string())),
    }
}
