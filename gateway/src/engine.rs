//! The engine: told what happened and when, it says what must be stored and who must be told.
//!
//! Pure: no clock, no I/O, no logging, no random numbers. [`Engine::apply`] is a function of the engine's state, the registry, the rules and one
//! [`Batch`]; replaying the journal from a snapshot therefore gives the same state and the same alarms, which is how a restart
//! works. What the engine knows is saved as one snapshot from time to time, not row by row.
//!
//! A message costs the same with ten devices as with 400,000: presence is a dense table, rules are found by (profile, metric),
//! and only conditions that are not normal are kept.

pub mod backoff;
pub mod rules;

use std::sync::Arc;

use crate::grid::Registry;
use crate::model::{Alarm, AlarmId, Alert, Batch, DeviceIx, Entry};
use crate::units::{Now, Steady, Timestamp};

/// What must be stored, in order, in the same transaction as the batch that caused it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The alarm as it is now, and the line that this change adds to its history.
    Alarm(Box<Alarm>, Entry),
    /// One row for the outbox.
    Tell(Alert),
    /// Alerts about this alarm that have not been sent are no longer wanted, because somebody answered.
    Withdraw(AlarmId),
}

/// What became of an [`crate::model::Action`].
pub type Answer = Result<AlarmId, Refusal>;

/// One variant per thing the person would do something different about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no open alarm {0}; it may have been closed")]
    NoSuchAlarm(AlarmId),
    #[error("alarm {0} was already acknowledged by {1}")]
    AlreadyAcknowledged(AlarmId, String),
    #[error("alarm {0} must be acknowledged before it can be resolved")]
    NotAcknowledged(AlarmId),
    #[error("alarm {0} was already resolved by {1}")]
    AlreadyResolved(AlarmId, String),
}

/// What one batch led to.
#[derive(Debug, Default, PartialEq)]
pub struct Applied {
    pub effects: Vec<Effect>,
    /// For each event that was an action, its place in the batch and what became of it.
    pub answers: Vec<(usize, Answer)>,
}

/// Whether a device is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub last: Option<Timestamp>,
    pub online: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the engine snapshot is of version {0}, which this gateway does not know")]
    Version(u8),
    #[error("the engine snapshot is damaged")]
    Damaged(#[from] postcard::Error),
}

pub struct Engine {
    registry: Arc<Registry>,
    rules: Arc<rules::RuleBook>,
}

impl Engine {
    /// An engine that knows nothing yet; presence of every registered device is armed from `now`.
    pub fn new(registry: Arc<Registry>, rules: Arc<rules::RuleBook>, now: Now) -> Self {
        let _ = now;
        Self { registry, rules }
    }

    /// Continue from a snapshot, with the registry and rules it was taken under.
    pub fn restore(
        snapshot: &[u8],
        registry: Arc<Registry>,
        rules: Arc<rules::RuleBook>,
    ) -> Result<Self, SnapshotError> {
        let _ = (snapshot, registry, rules);
        todo!()
    }

    /// Everything needed to continue later, versioned.
    pub fn snapshot(&self) -> Vec<u8> {
        todo!()
    }

    /// All behaviour starts here: first what the clock makes due, in order, then the events, in order.
    pub fn apply(&mut self, batch: &Batch) -> Applied {
        let _ = batch;
        todo!()
    }

    /// When to call [`Engine::apply`] with a batch without events, if nothing else happens before. Never in the past of the last batch.
    pub fn wake_at(&self) -> Option<Steady> {
        todo!()
    }

    /// Take over a changed registry or changed rules: arm new devices, disarm retired ones, end conditions whose rule is gone.
    pub fn reconfigure(
        &mut self,
        registry: Arc<Registry>,
        rules: Arc<rules::RuleBook>,
        now: Now,
    ) -> Vec<Effect> {
        let _ = (registry, rules, now);
        todo!()
    }

    /// Open alarms, oldest first.
    pub fn open_alarms(&self) -> impl Iterator<Item = &Alarm> {
        std::iter::empty()
    }

    pub fn seen(&self, device: DeviceIx) -> Seen {
        let _ = (device, &self.registry, &self.rules);
        todo!()
    }
}
