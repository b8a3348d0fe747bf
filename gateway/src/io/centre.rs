//! The city's centre by GB/T 26875.3: we are its transmission device and tell it of fires, each at least once, in order, until it has confirmed.
//!
//! It follows the history of alarms in the store with a cursor of its own (the memo [`MEMO`]) that moves only over what was confirmed or refused, so an outage of the
//! centre is a cursor that stands still, over restarts too. The outbox would be the wrong place: it tells persons, for as long as an alarm is not acknowledged, and the
//! centre must also hear of a fire that somebody has in hand already. What is told is [`report`]'s; bytes and repeating are [`line`]'s.

mod line;
mod report;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use self::line::{Line, Settings, Settled};
use crate::clock;
use crate::config;
use crate::config::gbt26875::Forward;
use crate::health::Check;
use crate::live::{Change, Live};
use crate::model::{Alarm, Entry, SignalClass};
use crate::notify::alarm_mqtt::news;
use crate::notify::backoff;
use crate::store::Store;
use crate::wire::gbt26875::{Content, Label};
use crate::world;

/// Name of the cursor in the store.
pub const MEMO: &str = "centre";
/// History lines read at once.
const PAGE: u32 = 64;

#[derive(Clone)]
pub struct Centre {
    settings: Settings,
    forward: Forward,
    store: Store,
    world: world::Shared,
    live: Arc<Live>,
    /// Informative: `centre`.
    check: Check,
}

impl Centre {
    pub fn new(
        config: &config::gbt26875::Centre,
        station: &str,
        store: Store,
        world: world::Shared,
        live: Arc<Live>,
        check: Check,
    ) -> anyhow::Result<Self> {
        let settings = Settings::of(config, station)?;
        Ok(Self { settings, forward: config.forward, store, world, live, check })
    }

    /// Fails only when the store does.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut changes = self.live.follow(); // Before the store is asked, so that nothing falls between.
        let mut cursor = self.begin().await?;
        let mut failures = 0;
        loop {
            let opened = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                opened = Line::open(&self.settings) => opened,
            };
            let why = match opened {
                Ok(mut line) => {
                    let why = tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        why = self.converse(&mut line, &mut changes, &mut cursor) => why?,
                    };
                    if line.was_heard() {
                        failures = 0;
                    }
                    why
                }
                Err(why) => why,
            };
            if failures == 0 {
                tracing::warn!(centre = %self.settings.place, why, "the city's centre cannot be reached; what it is to be told waits");
            }
            failures += 1;
            metrics::counter!("gridwarden_centre_reports_total", "outcome" => "failed").increment(1);
            self.check.wrong(why);
            let wait = backoff::wait(failures, SignalClass::Fire, None, fastrand::f64());
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait.as_duration()) => (),
            }
        }
    }

    /// The first time, what happens from then on.
    async fn begin(&self) -> anyhow::Result<u64> {
        let newest = self.store.newest_entry().await?;
        let known = self.store.recall(MEMO).await?.and_then(|text| text.parse().ok());
        let cursor = known.filter(|cursor| *cursor <= newest).unwrap_or(newest);
        self.store.remember(MEMO, &cursor.to_string()).await?;
        Ok(cursor)
    }

    /// Tells what there is, then listens, and says now and then that we live; until the connection is lost, for the reason that is returned.
    async fn converse(
        &self,
        line: &mut Line,
        changes: &mut broadcast::Receiver<Change>,
        cursor: &mut u64,
    ) -> anyhow::Result<String> {
        // Whether it is the centre shows when it confirms our state, as the standard obliges it to.
        if let Err(why) = line.heartbeat(self.now()).await {
            return Ok(why);
        }
        let mut heartbeat = tokio::time::interval(self.settings.heartbeat);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeat.reset();
        self.check.fine();
        loop {
            match self.catch_up(line, cursor).await? {
                Ok(true) => continue,
                Ok(false) => (),
                Err(why) => return Ok(why),
            }
            let turn = tokio::select! {
                biased;
                () = news(changes) => Ok(()),
                _ = heartbeat.tick() => line.heartbeat(self.now()).await,
                heard = line.listen(|| self.now()) => heard,
            };
            if let Err(why) = turn {
                return Ok(why);
            }
        }
    }

    /// One page of the history; whether there may be more.
    async fn catch_up(&self, line: &mut Line, cursor: &mut u64) -> anyhow::Result<Result<bool, String>> {
        let lines = self.store.entries_after(*cursor, PAGE).await?;
        let before = *cursor;
        let mut lost = None;
        for (number, alarm, entry) in &lines {
            if alarm.class == SignalClass::Fire && report::may_matter(entry) {
                let history = self.store.entries(alarm.id).await?;
                if let Some(content) = self.report(*number, alarm, &history) {
                    match line.tell(&content, || self.now()).await {
                        Ok(Settled::Confirmed) => self.count("confirmed"),
                        Ok(Settled::Refused) => {
                            self.count("refused");
                            tracing::error!(alarm = %alarm.id, "the city's centre refuses the report of a fire, three times; it is not told again");
                        }
                        Err(why) => {
                            lost = Some(why);
                            break;
                        }
                    }
                }
            }
            *cursor = *number;
        }
        if *cursor != before {
            self.store.remember(MEMO, &cursor.to_string()).await?;
        }
        Ok(match lost {
            Some(why) => Err(why),
            None => Ok(lines.len() == PAGE as usize),
        })
    }

    fn report(&self, number: u64, alarm: &Alarm, history: &[(u64, Entry)]) -> Option<Content> {
        let stands = report::stands(self.forward, number, alarm, history)?;
        let registry = self.world.load().registry.clone();
        Some(report::content(alarm, stands, &registry))
    }

    fn count(&self, outcome: &'static str) {
        metrics::counter!("gridwarden_centre_reports_total", "outcome" => outcome).increment(1);
    }

    /// What the clock on the station's wall shows.
    fn now(&self) -> Label {
        Label::of(self.world.load().registry.rows().zone.shown(clock::wall()))
    }
}

/// For a connection, and for the bytes of a packet to leave.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
