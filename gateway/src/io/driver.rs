//! Events → engine → store → acknowledge → act, in that order. The one task that owns the engine.
//!
//! The order of the lines in [`Driver::commit`] is the design: nothing is acknowledged, shown or sent before it is on disk. While one commit
//! runs, the next batch gathers in the queues. Routine telemetry may wait a little so that many messages share one sync; a fire never waits, and
//! overtakes everything but what its own device said before it: an older "all clear" must not end a newer fire.
//!
//! What one device says beyond its allowance is thinned here, before the journal ([`RateLimit`]), and acknowledged with the rest.
//!
//! When the store cannot be written, the driver holds the batch and tries again: its messages stay unacknowledged, the queues fill, the
//! sources stop reading, and senders keep what they have. It stops only when it is told to.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::acks::Ticket;
use super::inlet::{Inbound, Outlet, QUEUE_MAX, Safe};
use super::letters::Letters;
use crate::clock::{Clock, ticks};
use crate::engine::backoff::Backoff;
use crate::engine::rate_limit::RateLimit;
use crate::engine::{Answer, Applied, Effect, Engine};
use crate::live::Live;
use crate::model::{Batch, DeadLetter, DeviceIx, Event};
use crate::store::{Commit, Committed, Store, StoreError};
use crate::units::{Millis, Now};
use crate::world::{self, World};

/// Messages in one batch at the most.
const BATCH_MAX: usize = 2_000;
/// Urgent messages in one batch at the most, and routine ones that go along with them, so that a storm of alarms does not stop telemetry.
const URGENT_MAX: usize = 500;
const ALONG_MAX: usize = 100;
/// A pause of this length, with this many messages waiting, means that a sender's window is full: it waits for us.
const STALL: Duration = Duration::from_millis(3);
const STALL_MESSAGES: usize = 8;
/// A snapshot of the engine is taken after this many events or this long, so that a restart replays no more.
const SNAPSHOT_EVENTS: usize = 200_000;
const SNAPSHOT_AFTER: Duration = Duration::from_secs(300);

/// Where batches go: the [`Store`], or a faulty one in a simulation.
pub trait Disk: Send + Sync {
    /// Returns when it is on disk. After an error nothing of it is, or the same is refused as [`StoreError::OutOfOrder`].
    fn commit(&self, commit: &Commit) -> impl Future<Output = Result<Committed, StoreError>> + Send;
}

impl Disk for Store {
    fn commit(&self, commit: &Commit) -> impl Future<Output = Result<Committed, StoreError>> + Send {
        Store::commit(self, commit)
    }
}

pub struct Driver<D = Store> {
    pub engine: Engine,
    pub store: D,
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
    /// Routine messages taken from the queue that are in no batch yet, oldest first.
    waiting: VecDeque<Inbound>,
    limit: RateLimit,
    letters: Letters,
}

/// What belongs to one batch besides its events.
#[derive(Default)]
struct Gathered {
    events: Vec<Event>,
    dead: Vec<DeadLetter>,
    tickets: Vec<Ticket>,
    /// Place of the action in `events`, and who waits for what becomes of it.
    askers: Vec<(usize, tokio::sync::oneshot::Sender<Answer>)>,
}

enum Turn {
    /// Empty when only time has passed.
    Batch(Vec<Inbound>),
    World(World),
    End,
}

impl<D: Disk> Driver<D> {
    #[expect(clippy::too_many_arguments, reason = "each is a neighbour; app.rs names them")]
    pub fn new(
        engine: Engine,
        store: D,
        live: Arc<Live>,
        clock: Clock,
        outlet: Outlet,
        world: world::Shared,
        worlds: mpsc::Receiver<World>,
        commit_interval: Millis,
        seq: u64,
    ) -> Self {
        let limit = RateLimit::new(engine.rules().allowance(), engine.loud_devices(), clock.now());
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
            waiting: VecDeque::new(),
            limit,
            letters: Letters::default(),
        }
    }

    /// Ends when every source has dropped its inlet, after a last snapshot. `give_up` ends it when the store stays broken.
    pub async fn run(mut self, give_up: CancellationToken) -> anyhow::Result<()> {
        loop {
            match self.gather().await {
                Turn::Batch(inbounds) => {
                    let now = self.clock.now();
                    let mut gathered = self.merge(inbounds, now);
                    let snapshot = self.since_snapshot >= SNAPSHOT_EVENTS
                        || (self.since_snapshot > 0 && self.snapshot_at <= ticks());
                    let applied = self.step(std::mem::take(&mut gathered.events), now);
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
        self.limit.set_allowance(world.rules.allowance());
        self.world.store(Arc::new(world));
        Ok(())
    }

    fn snapshot_taken(&mut self) {
        self.since_snapshot = 0;
        self.snapshot_at = ticks() + SNAPSHOT_AFTER;
    }

    /// Waits for something to do, and for what may share its commit.
    async fn gather(&mut self) -> Turn {
        let wakes = [self.engine.wake_at(), self.limit.wake_at(), self.letters.wake_at()];
        let wake = wakes.into_iter().flatten().min().map(|at| self.clock.instant_of(at));
        let due = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        select! {
            biased;
            inbound = self.outlet.urgent.recv() => match inbound {
                Some(inbound) => return self.urgent(inbound),
                // Every source has ended; what they had sent before is still to be done.
                None => if self.waiting.is_empty() {
                    match self.outlet.routine.recv().await {
                        Some(inbound) => self.waiting.push_back(inbound),
                        None => return Turn::End,
                    }
                },
            },
            Some(world) = self.worlds.recv() => return Turn::World(world),
            () = due => return Turn::Batch(Vec::new()),
            () = std::future::ready(()), if !self.waiting.is_empty() => (),
            Some(inbound) = self.outlet.routine.recv() => self.waiting.push_back(inbound),
        }
        let interval = sleep(self.commit_interval.as_duration());
        tokio::pin!(interval);
        while self.waiting.len() < BATCH_MAX {
            if let Ok(inbound) = self.outlet.urgent.try_recv() {
                return self.urgent(inbound);
            }
            if let Ok(inbound) = self.outlet.routine.try_recv() {
                self.waiting.push_back(inbound);
                continue;
            }
            select! {
                biased;
                Some(inbound) = self.outlet.urgent.recv() => return self.urgent(inbound),
                () = &mut interval => break,
                inbound = self.outlet.routine.recv() => match inbound {
                    Some(inbound) => self.waiting.push_back(inbound),
                    None => break,
                },
                () = sleep(STALL), if self.waiting.len() >= STALL_MESSAGES => break,
            }
        }
        let many = self.waiting.len().min(BATCH_MAX);
        Turn::Batch(self.waiting.drain(..many).collect())
    }

    /// The urgent messages there are, after what their devices said before them and a little of what waits longest.
    fn urgent(&mut self, first: Inbound) -> Turn {
        let mut urgent = vec![first];
        while urgent.len() < URGENT_MAX
            && let Ok(next) = self.outlet.urgent.try_recv()
        {
            urgent.push(next);
        }
        while self.waiting.len() < BATCH_MAX + QUEUE_MAX
            && let Ok(next) = self.outlet.routine.try_recv()
        {
            self.waiting.push_back(next);
        }
        let devices: BTreeSet<DeviceIx> = urgent.iter().flat_map(devices).collect();
        let (mut batch, mut waiting) = (Vec::new(), VecDeque::with_capacity(self.waiting.len()));
        for (at, inbound) in self.waiting.drain(..).enumerate() {
            if at < ALONG_MAX || self::devices(&inbound).any(|device| devices.contains(&device)) {
                batch.push(inbound);
            } else {
                waiting.push_back(inbound);
            }
        }
        self.waiting = waiting;
        batch.append(&mut urgent);
        Turn::Batch(batch)
    }

    /// One batch of it, with every device kept within its allowance and dead letters within theirs.
    fn merge(&mut self, inbounds: Vec<Inbound>, now: Now) -> Gathered {
        let mut gathered = Gathered::default();
        for inbound in inbounds {
            match inbound.safe {
                Safe::Nobody => (),
                Safe::Ticket(ticket) => gathered.tickets.push(ticket),
                Safe::Answer(asker) => gathered.askers.push((gathered.events.len(), asker)),
            }
            for event in inbound.events {
                match event {
                    Event::Report(report) => {
                        gathered.events.extend(self.limit.take(report, now).into_iter().map(Event::Report));
                    }
                    Event::Gone { .. } | Event::Action(_) => gathered.events.push(event),
                }
            }
            gathered.dead.extend(self.letters.take(inbound.dead, now.steady));
        }
        gathered.events.extend(self.limit.due(now).into_iter().map(Event::Report));
        gathered.dead.extend(self.letters.due(now.steady));
        metrics::counter!("gridwarden_reports_thinned_total").increment(self.limit.take_thinned());
        gathered
    }

    /// Lets the engine decide. `None` when nothing happened that anybody must remember.
    fn step(&mut self, events: Vec<Event>, now: Now) -> Option<(Batch, Applied)> {
        let batch = Batch { seq: self.seq + 1, now, events };
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
                // Trying again cannot help; the next start replays what is on disk.
                Err(fault @ (StoreError::OutOfOrder { .. } | StoreError::Stopped)) => {
                    return Err(fault.into());
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

fn devices(inbound: &Inbound) -> impl Iterator<Item = DeviceIx> + '_ {
    inbound.events.iter().filter_map(|event| match event {
        Event::Report(report) => Some(report.device),
        Event::Gone { device, .. } => Some(*device),
        Event::Action(_) => None,
    })
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
