//! Starts tasks, notices when one ends, stops the rest in order.
//!
//! Sources watch the stop token; what is downstream ends when its inbox closes, so accepted work is finished. A task that ends on its
//! own is a bug: everything is stopped cleanly, the process exits non-zero, and systemd starts it again. Outages are handled inside a task.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::select;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the task `{0}` ended: {1}")]
    Ended(&'static str, String),
    #[error("these tasks did not end in time: {}", .0.join(", "))]
    Stuck(Vec<&'static str>),
}

pub struct Supervisor {
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Supervisor {
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, tasks: JoinSet::new(), names: HashMap::new() }
    }

    pub fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Returns when all tasks are down: `Ok` after a wanted stop, else the first fault.
    pub async fn run(mut self, grace: Duration) -> Result<(), Fault> {
        let mut fault = None;
        select! {
            biased; // A task that ends because of `stop` must not look as if it ended on its own.
            () = self.stop.cancelled() => (),
            Some(ended) = self.tasks.join_next_with_id() => {
                let (name, how) = self.settle(ended);
                fault = Some(Fault::Ended(name, how.unwrap_or("without being asked".into())));
            }
        }
        self.stop.cancel();
        let drain = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                let (name, how) = self.settle(ended);
                fault = fault.take().or(how.map(|how| Fault::Ended(name, how)));
            }
        };
        if timeout(grace, drain).await.is_err() {
            let mut stuck: Vec<_> = self.names.into_values().collect();
            stuck.sort_unstable();
            fault = fault.or(Some(Fault::Stuck(stuck)));
        }
        fault.map_or(Ok(()), Err) // Dropping the JoinSet aborts what is stuck.
    }

    /// The task's name, and how it failed if it did.
    fn settle(
        &mut self,
        ended: Result<(Id, anyhow::Result<()>), JoinError>,
    ) -> (&'static str, Option<String>) {
        let (id, how) = match ended {
            Ok((id, Ok(()))) => (id, None),
            Ok((id, Err(error))) => (id, Some(format!("{error:#}"))),
            Err(panic) => (panic.id(), Some(panic.to_string())),
        };
        (self.names.remove(&id).unwrap_or("unknown"), how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wanted_stop_is_no_fault() {
        let stop = CancellationToken::new();
        let mut supervisor = Supervisor::new(stop.clone());
        let watched = stop.clone();
        supervisor.spawn("source", async move {
            watched.cancelled().await;
            Ok(())
        });
        stop.cancel();
        supervisor.run(Duration::from_secs(1)).await.expect("no fault");
    }

    #[tokio::test(start_paused = true)]
    async fn names_what_ends_on_its_own_and_what_hangs() {
        let mut supervisor = Supervisor::new(CancellationToken::new());
        supervisor.spawn("broken", async { anyhow::bail!("no disk") });
        let fault = supervisor.run(Duration::from_secs(1)).await.expect_err("a fault");
        assert_eq!(fault.to_string(), "the task `broken` ended: no disk");

        let stop = CancellationToken::new();
        let mut supervisor = Supervisor::new(stop.clone());
        supervisor.spawn("deaf", std::future::pending());
        stop.cancel();
        let fault = supervisor.run(Duration::from_secs(1)).await.expect_err("a fault");
        assert_eq!(fault.to_string(), "these tasks did not end in time: deaf");
    }
}
