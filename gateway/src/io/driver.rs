//! Events → engine → store → acknowledge → act, in that order. The one task that owns the engine.
//!
//! The order of the lines in [`Driver::commit`] is the design: nothing is acknowledged, shown or sent before it is on disk. While one commit
//! runs, the next batch gathers in the queues. Routine telemetry may wait a little so that many messages share one sync; a fire never waits.
//!
//! When the store cannot be written, the driver holds the batch and tries again: its messages stay unacknowledged, the queues fill, the
//! sources stop reading, and senders keep what they have. It stops only when it is told to.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::acks::Ticket;
use super::inlet::{Inbound, Outlet, Safe};
use crate::clock::{Clock, ticks};
use crate::engine::backoff::Backoff;
use crate::engine::{Answer, Applied, Effect, Engine};
use crate::live::Live;
use crate::model::{Batch, DeadLetter, DeviceIx, Event};
use crate::store::{Commit, Store};
use crate::units::Millis;
use crate::world::{self, World};

/// Messages in one batch at the most.
const BATCH_MAX: usize = 2_000;
/// A pause of this length, with this many messages waiting, means that a sender's window is full: it waits for us.
const STALL: Duration = Duration::from_millis(3);
const STALL_MESSAGES: usize = 8;
/// A snapshot of the engine is taken after this many events or this long, so that a restart replays no more.
const SNAPSHOT_EVENTS: usize = 200_000;
const SNAPSHOT_AFTER: Duration = Duration::from_secs(300);

pub struct Driver {
    pub engine: Engine,
    pub store: Store,
    pub live: Arc<Live>,
    pub clock: Clock,
    pub outlet: Outlet,
    /// Where the sources find the current world. Changed only here, after the engine has taken the new one over: a report of a device
    /// that the engine does not know yet would be lost.
    pub world: world::Shared,
    /// A changed registry or changed rules.
    pub worlds: mpsc::Receiver<World>,
    /// How long routine telemetry may wait to be committed together.
    pub commit_interval: Millis,
    /// Number of the newest batch in the journal.
    pub seq: u64,
    since_snapshot: usize,
    snapshot_at: Instant,
}

/// What belongs to one batch besides its events.
#[derive(Default)]
struct Gathered {
    events: Vec<Event>,
    dead: Vec<DeadLetter>,
    tickets: Vec<Ticket>,
    /// Place of the action in `events`, and who waits for what becomes of it.
    askers: Vec<(usize, tokio::sync::oneshot::Sender<Answer>)>,
    messages: usize,
    urgent: bool,
}

impl Gathered {
    fn take(&mut self, inbound: Inbound, urgent: bool) {
        match inbound.safe {
            Safe::Nobody => (),
            Safe::Ticket(ticket) => self.tickets.push(ticket),
            Safe::Answer(asker) => self.askers.push((self.events.len(), asker)),
        }
        self.events.extend(inbound.events);
        self.dead.extend(inbound.dead);
        self.messages += 1;
        self.urgent |= urgent;
    }
}

enum Turn {
    Batch(Gathered),
    World(World),
    End,
}

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "each is a neighbour; app.rs names them")]
    pub fn new(
        engine: Engine,
        store: Store,
        live: Arc<Live>,
        clock: Clock,
        outlet: Outlet,
        world: world::Shared,
        worlds: mpsc::Receiver<World>,
        commit_interval: Millis,
        seq: u64,
    ) -> Self {
        Self {
            engine,
            store,
            live,
            clock,
            outlet,
            world,
            worlds,
            commit_interval,
            seq,
            since_snapshot: 0,
            snapshot_at: ticks() + SNAPSHOT_AFTER,
        }
    }

    /// Ends when every source has dropped its inlet, after a last snapshot. `give_up` ends it when the store stays broken.
    pub async fn run(mut self, give_up: CancellationToken) -> anyhow::Result<()> {
        loop {
            match self.gather().await {
                Turn::Batch(mut gathered) => {
                    let snapshot = self.since_snapshot >= SNAPSHOT_EVENTS
                        || (self.since_snapshot > 0 && self.snapshot_at <= ticks());
                    let applied = self.step(std::mem::take(&mut gathered.events));
                    self.commit(gathered, applied, snapshot, &give_up).await?;
                }
                Turn::World(world) => self.take_over(world, &give_up).await?,
                Turn::End => {
                    let commit = Commit { snapshot: Some(self.engine.snapshot()), ..Commit::default() };
                    self.store.commit(&commit).await?;
                    return Ok(());
                }
            }
        }
    }

    /// A snapshot and the rules themselves go into the same transaction: a replay must never run old events through new rules.
    async fn take_over(&mut self, world: World, give_up: &CancellationToken) -> anyhow::Result<()> {
        let now = self.clock.now();
        let effects = self.engine.reconfigure(world.registry.clone(), world.rules.clone(), now);
        self.seq += 1;
        let commit = Commit {
            batch: Some(Batch { seq: self.seq, now, events: Vec::new() }),
            effects,
            snapshot: Some(self.engine.snapshot()),
            memo: vec![(world::RULES_MEMO, world.rules_text.to_string())],
            ..Commit::default()
        };
        self.snapshot_taken();
        let entries = self.persist(&commit, give_up).await?;
        self.show(commit, entries);
        for device in world.registry.devices() {
            self.live.seen(device.ix, self.engine.seen(device.ix));
        }
        self.world.store(Arc::new(world));
        Ok(())
    }

    fn snapshot_taken(&mut self) {
        self.since_snapshot = 0;
        self.snapshot_at = ticks() + SNAPSHOT_AFTER;
    }

    /// Waits for something to do, and for what may share its commit.
    async fn gather(&mut self) -> Turn {
        let mut gathered = Gathered::default();
        let wake = self.engine.wake_at().map(|at| self.clock.instant_of(at));
        let due = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        select! {
            biased;
            inbound = self.outlet.urgent.recv() => match inbound {
                Some(inbound) => gathered.take(inbound, true),
                // Every source has ended; what they had sent before is still to be done.
                None => match self.outlet.routine.recv().await {
                    Some(inbound) => gathered.take(inbound, false),
                    None => return Turn::End,
                },
            },
            Some(world) = self.worlds.recv() => return Turn::World(world),
            () = due => return Turn::Batch(gathered),
            Some(inbound) = self.outlet.routine.recv() => gathered.take(inbound, false),
        }
        let interval = sleep(self.commit_interval.as_duration());
        tokio::pin!(interval);
        while gathered.messages < BATCH_MAX {
            if let Ok(inbound) = self.outlet.urgent.try_recv() {
                gathered.take(inbound, true);
                continue;
            }
            if gathered.urgent {
                break;
            }
            if let Ok(inbound) = self.outlet.routine.try_recv() {
                gathered.take(inbound, false);
                continue;
            }
            select! {
                biased;
                Some(inbound) = self.outlet.urgent.recv() => gathered.take(inbound, true),
                () = &mut interval => break,
                inbound = self.outlet.routine.recv() => match inbound {
                    Some(inbound) => gathered.take(inbound, false),
                    None => break,
                },
                () = sleep(STALL), if gathered.messages >= STALL_MESSAGES => break,
            }
        }
        Turn::Batch(gathered)
    }

    /// Lets the engine decide. `None` when nothing happened that anybody must remember.
    fn step(&mut self, events: Vec<Event>) -> Option<(Batch, Applied)> {
        let batch = Batch { seq: self.seq + 1, now: self.clock.now(), events };
        let applied = self.engine.apply(&batch);
        if applied.idle {
            return None;
        }
        self.seq = batch.seq;
        self.since_snapshot += batch.events.len();
        Some((batch, applied))
    }

    async fn commit(
        &mut self,
        gathered: Gathered,
        decided: Option<(Batch, Applied)>,
        snapshot: bool,
        give_up: &CancellationToken,
    ) -> anyhow::Result<()> {
        let (batch, applied) = match decided {
            Some((batch, applied)) => (Some(batch), applied),
            None => (None, Applied::default()),
        };
        let snapshot = snapshot.then(|| self.engine.snapshot());
        if batch.is_none() && gathered.dead.is_empty() && snapshot.is_none() {
            gathered.tickets.into_iter().for_each(Ticket::done);
            return Ok(());
        }
        if snapshot.is_some() {
            self.snapshot_taken();
        }
        let commit =
            Commit { batch, effects: applied.effects, dead: gathered.dead, snapshot, ..Commit::default() };
        let entries = self.persist(&commit, give_up).await?;

        gathered.tickets.into_iter().for_each(Ticket::done);
        for (asker, answer) in gathered.askers.into_iter().zip(applied.answers) {
            debug_assert_eq!(asker.0, answer.0, "one answer per action, in order");
            let _ = asker.1.send(answer.1); // The asker may have hung up.
        }
        self.show(commit, entries);
        Ok(())
    }

    /// Until it is on disk. Gives up only when told to.
    async fn persist(&self, commit: &Commit, give_up: &CancellationToken) -> anyhow::Result<Vec<u64>> {
        let started = crate::clock::instant();
        let mut backoff = Backoff::new(Millis(100), Millis::from_secs(5));
        loop {
            let fault = match self.store.commit(commit).await {
                Ok(committed) => {
                    if backoff.failures() > 0 {
                        tracing::info!(after = ?started.elapsed(), "the store can be written again");
                    }
                    metrics::histogram!("gridwarden_commit_seconds").record(started.elapsed().as_secs_f64());
                    return Ok(committed.entries);
                }
                Err(fault) => fault,
            };
            if backoff.failures() == 0 {
                tracing::error!(fault = %Chain(&fault), "cannot write to the store; nothing is acknowledged until this works. Free disk space or repair the disk");
            }
            metrics::counter!("gridwarden_commit_failures_total").increment(1);
            select! {
                () = give_up.cancelled() => return Err(fault.into()),
                () = sleep(backoff.failed(fastrand::f64()).as_duration()) => (),
            }
        }
    }

    /// What the pages see; after the commit.
    fn show(&self, commit: Commit, entries: Vec<u64>) {
        let Commit { batch, effects, .. } = commit;
        let mut touched: Vec<DeviceIx> = Vec::new();
        if let Some(batch) = batch {
            let reports = batch.events.into_iter().filter_map(|event| match event {
                Event::Report(report) => Some(report),
                Event::Gone { device, .. } => {
                    touched.push(device);
                    None
                }
                Event::Action(_) => None,
            });
            self.live.reports(reports);
        }
        let mut entries = entries.into_iter();
        for effect in effects {
            match effect {
                Effect::Alarm(alarm, entry) => {
                    touched.extend(alarm.device);
                    if let Some(number) = entries.next() {
                        self.live.alarm(number, *alarm, entry);
                    }
                }
                Effect::Tell(_) | Effect::Withdraw(_) => (),
            }
        }
        for device in touched {
            self.live.seen(device, self.engine.seen(device));
        }
    }
}

/// An error with all its causes, each once.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
