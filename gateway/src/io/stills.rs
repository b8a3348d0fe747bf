//! Pictures from cameras on their way to the store: made free of metadata, few at a time, and one of an event however often it is repeated.
//!
//! A picture is stored before the event it came with is handed on, so that the alarm's card can name it; but an alarm waits for no picture longer than [`WAIT`]. What does not fit is dropped and counted: a
//! picture is worth less than memory that runs out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::decode::camera::{PICTURE_BYTES_MAX, Still};
use crate::live::{Live, StillRef};
use crate::model::{DeviceIx, Metric};
use crate::picture;
use crate::store::Store;
use crate::store::stills::{Limits, NewStill};
use crate::units::{Millis, Now, Steady};

/// So long an event may wait for its picture.
const WAIT: Duration = Duration::from_millis(500);
/// A camera repeats its event, with a picture each time, while it lasts.
pub const AGAIN_AFTER: Millis = Millis::from_secs(60);
/// Being worked on at the same time.
const AT_ONCE: usize = 8;
const CLEAR_EVERY: Duration = Duration::from_secs(3600);

#[derive(Clone)]
pub struct Stills {
    store: Store,
    live: Arc<Live>,
    clock: Clock,
    limits: Limits,
    room: Arc<Semaphore>,
    /// Those that took longer than their event could wait.
    tasks: TaskTracker,
    kept: Arc<Mutex<BTreeMap<(DeviceIx, Metric), Steady>>>,
}

impl Stills {
    pub fn new(store: Store, live: Arc<Live>, clock: Clock, limits: Limits) -> Self {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        Self { store, live, clock, limits, room, tasks: TaskTracker::new(), kept: Arc::default() }
    }

    /// Returns when they are on disk, dropped, or have taken too long.
    pub async fn keep_all(&self, stills: Vec<Still>) {
        if stills.is_empty() {
            return;
        }
        let own = self.clone();
        let keeping = self.tasks.spawn(async move {
            for still in stills {
                own.keep(still).await;
            }
        });
        let _ = timeout(WAIT, keeping).await; // It goes on by itself.
    }

    /// Returns at once: for pictures that come after their event. What is too much at a time is dropped and counted.
    pub fn keep_beside(&self, stills: Vec<Still>) {
        for still in stills {
            let own = self.clone();
            self.tasks.spawn(async move { own.keep(still).await });
        }
    }

    async fn keep(&self, still: Still) {
        let now = self.clock.now();
        let place = (still.device, still.event);
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = kept();
            if kept.get(&place).is_some_and(|&last| now.steady.since(last) < AGAIN_AFTER) {
                return; // The same event goes on.
            }
            kept.insert(place, now.steady);
        }
        if let Err(why) = self.store_one(still, now).await {
            metrics::counter!("gridwarden_stills_dropped_total", "why" => why).increment(1);
            kept().remove(&place); // The next one may do better.
        }
    }

    /// The error is the word in the metric.
    async fn store_one(&self, still: Still, now: Now) -> Result<(), &'static str> {
        let _room = self.room.try_acquire().map_err(|_| "busy")?;
        let Still { device, event, at, bytes } = still;
        if PICTURE_BYTES_MAX < bytes.len() {
            return Err("size");
        }
        let taken = tokio::task::spawn_blocking(move || picture::take(&bytes)).await;
        let (kind, bytes) = taken.map_err(|_| "damaged")?.map_err(|_| "damaged")?;
        if !kind.is_photo() {
            return Err("damaged");
        }
        let new = NewStill { device, at, event, kind: kind.media_type(), bytes };
        // When the disk does not work, its own alarm says more.
        let number = self.store.keep_still(new, now, self.limits).await.map_err(|_| "store")?;
        self.live.still(device, StillRef { number: number.ok_or("size")?, at });
        Ok(())
    }

    /// Shows the newest of each camera again. Awaited before anything can raise an alarm: a card is written once, and the first after a start must name its picture too.
    pub async fn show_newest(&self) {
        match self.store.newest_stills().await {
            Ok(newest) => {
                for still in newest {
                    self.live.still(still.device, StillRef { number: still.number, at: still.at });
                }
            }
            Err(error) => tracing::warn!(%error, "the newest pictures of cameras cannot be read"),
        }
    }

    /// Takes away what is too old, until `stop`.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = interval(CLEAR_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => (),
            }
            // A disk that does not work is told of elsewhere; the next hour tries again.
            while matches!(self.store.clear_stills(self.clock.now(), self.limits).await, Ok(true)) {}
        }
        self.tasks.close();
        self.tasks.wait().await;
        Ok(())
    }
}
