//! The journal: batches in order, a cursor for each consumer, and what is dropped when the bound is reached.
//!
//! A cursor is the number of the last batch its consumer has confirmed. Retention drops the oldest batches beyond the limits,
//! counts what a cursor had not reached, and never touches alarms, outbox or dead letters.

use tokio::sync::watch;

use super::{Store, StoreError};
use crate::model::{Batch, DeadLetter};

impl Store {
    /// Number of the newest committed batch; changes wake the consumers.
    pub fn newest(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// Batches after `seq`, oldest first, up to about `bytes_max` of stored size but at least one when there is one. Batches dropped by retention are skipped.
    pub async fn batches_after(&self, seq: u64, bytes_max: usize) -> Result<Vec<Batch>, StoreError> {
        let _ = (seq, bytes_max);
        todo!()
    }

    /// 0 when the consumer has confirmed nothing yet.
    pub async fn cursor(&self, consumer: &'static str) -> Result<u64, StoreError> {
        let _ = consumer;
        todo!()
    }

    /// Everything up to `seq` is confirmed, except what is put into the dead letters in the same transaction. Never moves back.
    pub async fn move_cursor(
        &self,
        consumer: &'static str,
        seq: u64,
        dead: Vec<DeadLetter>,
    ) -> Result<(), StoreError> {
        let _ = (consumer, seq, dead);
        todo!()
    }

    /// Newest first, before row `before` when given.
    pub async fn dead_letters(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, DeadLetter)>, StoreError> {
        let _ = (before, limit);
        todo!()
    }
}
