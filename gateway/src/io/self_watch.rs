//! The station looks after itself: whether its clock can be believed, whether it wears out its disk, and whether telemetry is being lost.
//!
//! Each is a finding for `/readyz`, figures for `/metrics`, and a trouble alarm of the station's own while it stands.

use std::time::Duration;

use tokio::select;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::influx::task::CONSUMER;
use super::losses::Losses;
use super::own_trouble::OwnTrouble;
use super::wear::Wear;
use crate::clock::Clock;
use crate::health::Check;
use crate::store::Store;

const EVERY: Duration = Duration::from_secs(5);
/// The count is kept in the store this often.
const KEEP_EVERY_LOOKS: u32 = 180;
const MEMO: &str = "wear";

pub struct SelfWatch {
    pub clock: Clock,
    pub store: Store,
    /// Bytes in 24 hours; 0: no limit.
    pub written_per_day_max: u64,
    /// Without InfluxDB nobody misses what the journal drops.
    pub sends_to_influx: bool,
    pub clock_check: Check,
    pub wear_check: Check,
    pub journal_check: Check,
    pub clock_trouble: OwnTrouble,
    pub wear_trouble: OwnTrouble,
    pub loss_trouble: OwnTrouble,
}

impl SelfWatch {
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let watched = async {
            let memo = self.store.recall(MEMO).await.ok().flatten();
            let mut wear = memo.as_deref().and_then(Wear::from_text).unwrap_or_default();
            let mut before = written().unwrap_or(0);
            let (mut trusted, mut worn, mut looks) = (true, false, 0u32);
            let (mut losses, mut losing) = (Losses::default(), false);
            let mut look = interval(EVERY);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                look.tick().await;
                let now = written().unwrap_or(before);
                let more = now.saturating_sub(before);
                before = now;
                wear.add(self.clock.now().steady, more);
                metrics::counter!("gridwarden_written_bytes_total").increment(more);
                metrics::gauge!("gridwarden_written_day_bytes").set(wear.last_day() as f64);
                looks += 1;
                if looks.is_multiple_of(KEEP_EVERY_LOOKS) {
                    let _ = self.store.remember(MEMO, &wear.text()).await; // Only a count; the store says itself when it fails.
                }
                worn = self.is_worn(&wear, worn);
                losing = self.is_losing(&mut losses, losing).await;
                self.say_clock(&mut trusted);
                if self.clock_trouble.say(!trusted).await.is_err()
                    || self.wear_trouble.say(worn).await.is_err()
                    || self.loss_trouble.say(losing).await.is_err()
                {
                    return std::future::pending().await; // The gateway is stopping.
                }
            }
        };
        select! {
            () = stop.cancelled() => Ok(()),
            never = watched => never,
        }
    }

    /// Over the limit; and until it is clearly below again, or the alarm would flap.
    fn is_worn(&self, wear: &Wear, was: bool) -> bool {
        let (day, max) = (wear.last_day(), self.written_per_day_max);
        let worn = max != 0 && (max < day || (was && max / 10 * 9 < day));
        if worn {
            let (day, max) = (day >> 20, max >> 20);
            self.wear_check
                .wrong(format!("{day} MB were written in the last 24 hours; the limit is {max} MB"));
            if !was {
                tracing::warn!(
                    written_mb = day,
                    max_mb = max,
                    "more is written to the disk than allowed per day; raise [store] commit_interval_ms, or the limit"
                );
            }
        } else {
            self.wear_check.fine();
        }
        worn
    }

    async fn is_losing(&self, losses: &mut Losses, was: bool) -> bool {
        if !self.sends_to_influx {
            self.journal_check.fine();
            return false;
        }
        let Ok(dropped) = self.store.dropped(CONSUMER).await else { return was }; // The store says itself when it fails.
        let losing = losses.look(dropped, self.clock.now().steady);
        match losing {
            true => self.journal_check.wrong(format!(
                "it is full, and InfluxDB has not taken what is dropped: {dropped} readings so far"
            )),
            false => self.journal_check.fine(),
        }
        if losing && !was {
            tracing::error!(
                dropped,
                "the journal is full and drops readings that InfluxDB has not taken: bring InfluxDB back, or raise [store] journal_max_mb or journal_max_days"
            );
        }
        losing
    }

    fn say_clock(&self, trusted: &mut bool) {
        let now = self.clock.trusted();
        metrics::gauge!("gridwarden_clock_trusted").set(if now { 1.0 } else { 0.0 });
        match (now, std::mem::replace(trusted, now)) {
            (true, true) => (),
            (true, false) => tracing::info!("the clock can be believed again"),
            (false, true) => tracing::warn!(
                wall = %self.clock.now().wall,
                "the clock cannot be believed: it was never set, or has stepped; values are marked as uncertain"
            ),
            (false, false) => (),
        }
        if now {
            self.clock_check.fine();
        } else {
            self.clock_check
                .wrong(format!("it says {}, and was never set or has stepped", self.clock.now().wall));
        }
    }
}

/// Bytes that this process has sent to the disk.
fn written() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}
