//! Publishes every change of every alarm to MQTT, in order, each at least once.
//!
//! It follows the history in the store with a cursor of its own (the memo [`MEMO`]) that moves only over what was confirmed, so an outage of the
//! broker is a cursor that stands still. The first time it begins with what happens from then on.
//!
//! With a topic for each alarm an open alarm is retained, so that whoever subscribes later finds what is open; when it closes, an empty
//! message takes it away.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::backoff;
use super::mqtt::{CONFIRM_WITHIN, Publisher, fill};
use crate::health::Check;
use crate::live::{Change, Live};
use crate::model::{Alarm, AlarmState, Entry, SignalClass, What};
use crate::store::Store;
use crate::store::alarms::Query;
use crate::view::AlarmChange;
use crate::world;

/// Name of the cursor in the store.
pub const MEMO: &str = "alarm_mqtt";
/// Open alarms that are published again for a publisher that forgets; the listener keeps no more topics.
const OPEN_MAX: u32 = 10_000;
/// History lines read at once; after each such page the cursor is written.
const PAGE: u32 = 64;

#[derive(Clone)]
pub struct AlarmMqtt {
    pub publisher: Arc<dyn Publisher>,
    /// With `{station}`, `{cell}` and `{alarm}`.
    pub topic: String,
    pub station: String,
    pub store: Store,
    pub world: world::Shared,
    pub live: Arc<Live>,
    /// Informative: `alarm_mqtt`.
    pub check: Check,
}

impl AlarmMqtt {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        self.check.fine();
        let mut changes = self.live.follow(); // Before the store is asked, so that nothing falls between.
        let mut cursor = self.begin().await?;
        let mut failures = 0;
        let mut remembered = !self.publisher.forgets();
        loop {
            let confirmed = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                confirmed = self.catch_up(&mut remembered, &mut cursor) => confirmed?,
            };
            let wait = match confirmed {
                Ok(more) => {
                    if 0 < failures {
                        tracing::info!("alarm changes are published again");
                    }
                    failures = 0;
                    self.check.fine();
                    if more {
                        continue;
                    }
                    None
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(
                            error = format!("{error:#}"),
                            "alarm changes cannot be published and wait"
                        );
                    }
                    failures += 1;
                    self.check.wrong(format!("{error:#}"));
                    Some(backoff::wait(failures, SignalClass::Fire, None, fastrand::f64()))
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = news(&mut changes), if wait.is_none() => (),
                () = tokio::time::sleep(wait.unwrap_or_default().as_duration()), if wait.is_some() => (),
            }
        }
    }

    async fn begin(&self) -> anyhow::Result<u64> {
        let newest = self.store.newest_entry().await?;
        let memo = self.store.recall(MEMO).await?;
        let cursor = match memo.as_deref().map(str::parse) {
            Some(Ok(cursor)) if cursor <= newest => return Ok(cursor),
            Some(_) => {
                tracing::warn!(
                    ?memo,
                    newest,
                    "the cursor of alarm_mqtt does not fit this store; it begins anew"
                );
                newest
            }
            None => newest,
        };
        self.store.remember(MEMO, &cursor.to_string()).await?;
        Ok(cursor)
    }

    async fn catch_up(
        &self,
        remembered: &mut bool,
        cursor: &mut u64,
    ) -> anyhow::Result<anyhow::Result<bool>> {
        if !*remembered {
            if let Err(error) = self.publish_open(*cursor).await? {
                return Ok(Err(error));
            }
            *remembered = true;
        }
        self.publish_after(cursor).await
    }

    /// What is open, again, each with its last line up to the cursor: later lines follow in order. Results as of [`Self::publish_after`].
    async fn publish_open(&self, cursor: u64) -> anyhow::Result<anyhow::Result<()>> {
        if !self.retains() {
            return Ok(Ok(()));
        }
        let states = AlarmState::ALL.into_iter().filter(|&state| state != AlarmState::Closed).collect();
        let open = self.store.alarms(Query { states, limit: OPEN_MAX, ..Query::default() }).await?;
        for alarm in open {
            let lines = self.store.entries(alarm.id).await?;
            let Some((number, entry)) = lines.iter().rev().find(|(number, _)| *number <= cursor) else {
                continue;
            };
            if let Err(error) = self.publish(*number, &alarm, entry).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Only where each alarm has a topic of its own does a retained message mean something.
    fn retains(&self) -> bool {
        self.topic.contains("{alarm}")
    }

    /// One page. The inner result: whether there may be more, or why the broker did not confirm; the outer: the store failed.
    async fn publish_after(&self, cursor: &mut u64) -> anyhow::Result<anyhow::Result<bool>> {
        let lines = self.store.entries_after(*cursor, PAGE).await?;
        let more = lines.len() == PAGE as usize;
        let before = *cursor;
        let mut result = Ok(more);
        for (number, alarm, entry) in &lines {
            match self.publish(*number, alarm, entry).await {
                Ok(()) => *cursor = *number,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
            let outcome = "confirmed";
            metrics::counter!("gridwarden_alarm_publishes_total", "outcome" => outcome).increment(1);
        }
        if result.is_err() {
            metrics::counter!("gridwarden_alarm_publishes_total", "outcome" => "failed").increment(1);
        }
        if *cursor != before {
            self.store.remember(MEMO, &cursor.to_string()).await?;
        }
        Ok(result)
    }

    async fn publish(&self, number: u64, alarm: &Alarm, entry: &Entry) -> anyhow::Result<()> {
        let change = AlarmChange::of(number, alarm, entry, &self.world.load().registry);
        let values = [
            ("station", self.station.as_str()),
            ("cell", change.alarm.cell.code.as_str()),
            ("alarm", change.alarm.id.as_str()),
        ];
        let topic = fill(&self.topic, &values);
        let payload = serde_json::to_vec(&change).context("an alarm cannot be written as JSON")?;
        let open = alarm.state != AlarmState::Closed;
        self.confirmed(topic.clone(), payload, self.retains() && open).await?;
        if self.retains() && entry.what == What::Closed {
            self.confirmed(topic, Vec::new(), true).await?;
        }
        Ok(())
    }

    async fn confirmed(&self, topic: String, payload: Vec<u8>, retain: bool) -> anyhow::Result<()> {
        tokio::time::timeout(CONFIRM_WITHIN, self.publisher.publish(topic, payload, retain))
            .await
            .context("the broker did not confirm in time")?
    }
}

/// Waits until the history may have grown. Readings pass by unseen.
pub async fn news(changes: &mut tokio::sync::broadcast::Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Alarm { .. }) | Err(RecvError::Lagged(_)) => return,
            Ok(Change::Report(_) | Change::Presence { .. } | Change::Registry) => (),
            Err(RecvError::Closed) => std::future::pending().await, // The gateway is stopping.
        }
    }
}
