//! The task that looks after the history: seals, catches up with the journal, merges.

use std::sync::{Mutex, PoisonError};

use tokio::select;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use super::merge::{Merging, Plan};
use crate::store::{Store, StoreError, readers};

const RETRY: Duration = Duration::from_secs(30);
/// What four levels make of one sealing's points.
const SLICES_AT_LEAST: usize = 16;

/// What is under way.
pub struct Tending {
    plan: Mutex<Plan>,
    /// Held while sealing: one at a time.
    pub(super) sealing: tokio::sync::Mutex<()>,
    pub(super) merging: tokio::sync::Mutex<Merging>,
}

impl Tending {
    /// How long points are to be kept.
    pub fn new(history_days_max: u32) -> Self {
        let plan = Mutex::new(Plan::new(history_days_max));
        Self { plan, sealing: Default::default(), merging: Default::default() }
    }

    pub(super) fn plan(&self) -> Plan {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Does so whenever something was committed. When the store fails it tries again later: nothing is lost, the journal has it.
    pub async fn keep_history(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut newest = self.newest();
        let mut failing = false;
        loop {
            select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = newest.changed() => changed?,
            }
            match self.tend_history(&stop).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "cannot seal or merge the history; trying again");
                    }
                    failing = true;
                    select! {
                        () = stop.cancelled() => return Ok(()),
                        () = sleep(RETRY.mul_f64(1.0 + fastrand::f64() / 4.0)) => (),
                    }
                }
            }
        }
    }

    /// Merging waits for the others, which keep the memory small; but under a load that never lets them rest it has its share, or there would be ever more runs.
    pub(in crate::store) async fn tend_history(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() {
            if self.shared.signals.head.should_seal() {
                self.seal().await?;
            }
            let store = self.clone();
            let caught_up = self.lags() && readers::blocking(move || store.catch_up()).await?;
            let mut slices = 0;
            while !stop.is_cancelled() && self.merge_a_slice().await? {
                slices += 1;
                if SLICES_AT_LEAST <= slices && (self.shared.signals.head.should_seal() || self.lags()) {
                    break;
                }
            }
            if !caught_up && slices == 0 {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Tending {
    fn set_plan(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// As after an error.
    pub async fn forget_merging(&self) {
        *self.merging.lock().await = Merging::Unknown;
    }
}

#[cfg(test)]
impl Store {
    /// Instead of eight, so that a short life has many mergings.
    pub(in crate::store) fn merge_two_at_a_time(&self) {
        self.shared.tending.set_plan(Plan { runs: 2, ..Plan::new(u32::MAX) });
    }
}
