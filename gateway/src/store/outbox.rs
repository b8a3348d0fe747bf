//! The outbox: what must still be told, worst class first, then oldest first; and every attempt ever made.

use tokio::sync::watch;

use super::{Store, StoreError};
use crate::model::{Alarm, AlarmId, Alert};
use crate::units::{Steady, Timestamp};

/// One alert to send, with the alarm as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: u64,
    pub alert: Alert,
    pub alarm: Alarm,
    /// Attempts made so far.
    pub attempts: u32,
}

#[derive(Debug, Default)]
pub struct Due {
    pub rows: Vec<Row>,
    /// When the next row that is not due yet becomes due.
    pub next_at: Option<Steady>,
}

/// What one attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The other side took it; `receipt` is its answer (status, provider's id).
    Delivered { receipt: String },
    /// Worth trying again.
    Retry { error: String, next_at: Steady },
    /// Trying again makes no sense.
    GaveUp { error: String },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub alert: Alert,
    pub number: u32,
    pub at: Timestamp,
    pub outcome: Outcome,
}

impl Store {
    /// Changes whenever a commit added or withdrew rows.
    pub fn outbox_changed(&self) -> watch::Receiver<u64> {
        todo!()
    }

    /// Unsent rows of one channel that are due.
    pub async fn due(&self, channel: &str, now: Steady, limit: u32) -> Result<Due, StoreError> {
        let _ = (channel, now, limit);
        todo!()
    }

    /// Records the attempt, adds a line to the alarm's history when it was delivered or given up, and ends or postpones the row.
    pub async fn attempted(
        &self,
        row: u64,
        at: Timestamp,
        outcome: Outcome,
    ) -> Result<Option<(u64, Alarm, crate::model::Entry)>, StoreError> {
        let _ = (row, at, outcome);
        todo!()
    }

    /// Every attempt to tell somebody about this alarm, oldest first.
    pub async fn attempts(&self, alarm: AlarmId) -> Result<Vec<Attempt>, StoreError> {
        let _ = alarm;
        todo!()
    }
}
