//! Events → engine → store → acknowledge → act, in that order. The one task that owns the engine.
//!
//! The order of the lines in [`Driver::commit`] is the design: nothing is acknowledged, shown or sent before it is on disk. While one commit
//! runs, the next batch gathers in the queues. Routine telemetry may wait a little so that many messages share one sync; a fire never waits.
//!
//! When the store cannot be written, the messages stay unacknowledged, the queues fill, the sources stop reading, and senders keep what they
//! have. Only alarms go on, from memory: [`without_disk`]. The driver stops only when it is told to.

mod without_disk;

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::acks::Ticket;
use super::inlet::{Inbound, Outlet, Safe};
use crate::clock::{Clock, ticks};
use crate::engine::{Answer, Applied, Effect, Engine};
use crate::health::Check;
use crate::live::Live;
use crate::model::{Batch, DeadLetter, DeviceIx, Event, Freshness, Quality};
use crate::notify::unrecorded::Unrecorded;
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
    /// Where the alerts go that cannot be stored.
    pub unrecorded: Arc<Unrecorded>,
    /// Essential: whether what is decided gets to the disk.
    pub disk: Check,
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

/// One batch as the engine decided it, and who waits until it is on disk.
#[derive(Default)]
struct Decided {
    commit: Arc<Commit>,
    tickets: Vec<Ticket>,
    askers: Vec<(usize, tokio::sync::oneshot::Sender<Answer>)>,
    answers: Vec<(usize, Answer)>,
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
        unrecorded: Arc<Unrecorded>,
        disk: Check,
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
            unrecorded,
            disk,
            since_snapshot: 0,
            snapshot_at: ticks() + SNAPSHOT_AFTER,
        }
    }

    /// Ends when every source has dropped its inlet, after a last snapshot. `give_up` ends it when the store stays broken.
    pub async fn run(mut self, give_up: CancellationToken) -> anyhow::Result<()> {
        self.disk.fine();
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
        self.persist(Decided { commit: Arc::new(commit), ..Decided::default() }, give_up).await?;
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
    fn step(&mut self, mut events: Vec<Event>) -> Option<(Batch, Applied)> {
        if !self.clock.trusted() {
            events.iter_mut().for_each(doubt);
        }
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
        match self.decided(gathered, decided, snapshot) {
            Some(decided) => self.persist(decided, give_up).await,
            None => Ok(()),
        }
    }

    /// `None` when there is nothing to store; then nobody needs to wait.
    fn decided(
        &mut self,
        gathered: Gathered,
        decided: Option<(Batch, Applied)>,
        snapshot: bool,
    ) -> Option<Decided> {
        let (batch, applied) = match decided {
            Some((batch, applied)) => (Some(batch), applied),
            None => (None, Applied::default()),
        };
        let snapshot = snapshot.then(|| self.engine.snapshot());
        if batch.is_none() && gathered.dead.is_empty() && snapshot.is_none() {
            gathered.tickets.into_iter().for_each(Ticket::done);
            return None;
        }
        if snapshot.is_some() {
            self.snapshot_taken();
        }
        let commit =
            Commit { batch, effects: applied.effects, dead: gathered.dead, snapshot, ..Commit::default() };
        let Gathered { tickets, askers, .. } = gathered;
        Some(Decided { commit: Arc::new(commit), tickets, askers, answers: applied.answers })
    }

    /// Until it is on disk, and everything that was decided meanwhile. Gives up only when told to.
    async fn persist(&mut self, decided: Decided, give_up: &CancellationToken) -> anyhow::Result<()> {
        let started = crate::clock::instant();
        let mut attempt = without_disk::attempt(&self.store, &decided);
        match tokio::time::timeout(without_disk::STALLED, &mut attempt).await {
            Ok(Ok(committed)) => {
                metrics::histogram!("gridwarden_commit_seconds").record(started.elapsed().as_secs_f64());
                self.settle(decided, committed.entries);
                Ok(())
            }
            Ok(Err(fault)) => self.without_disk(decided, Err(fault), give_up).await,
            Err(_) => self.without_disk(decided, Ok(attempt), give_up).await,
        }
    }

    /// It is on disk: acknowledge, answer, show.
    fn settle(&mut self, decided: Decided, entries: Vec<u64>) {
        decided.tickets.into_iter().for_each(Ticket::done);
        for (asker, answer) in decided.askers.into_iter().zip(decided.answers) {
            debug_assert_eq!(asker.0, answer.0, "one answer per action, in order");
            let _ = asker.1.send(answer.1); // The asker may have hung up.
        }
        self.show(Arc::unwrap_or_clone(decided.commit), entries);
    }

    /// What the pages see; after the commit.
    fn show(&self, commit: Commit, entries: Vec<u64>) {
        let Commit { batch, effects, .. } = commit;
        if let Some(batch) = batch {
            let reports = batch.events.into_iter().filter_map(|event| match event {
                Event::Report(report) => Some(report),
                Event::Gone { .. } | Event::Action(_) => None,
            });
            self.live.reports(reports);
        }
        let mut entries = entries.into_iter();
        let mut touched: Vec<DeviceIx> = Vec::new();
        for effect in effects {
            match effect {
                Effect::Alarm(alarm, entry) => {
                    touched.extend(alarm.device);
                    if let Some(number) = entries.next() {
                        self.live.alarm(number, *alarm, entry);
                    }
                }
                Effect::Tell(_) => (),
                Effect::Withdraw(alarm) => self.unrecorded.withdraw(alarm),
            }
        }
        for device in touched {
            self.live.seen(device, self.engine.seen(device));
        }
    }
}

/// Our own clock cannot be believed: neither can the times in the event, nor what was made of them. Late by such a clock is not late.
fn doubt(event: &mut Event) {
    match event {
        Event::Report(report) => {
            for value in &mut report.values {
                value.quality = value.quality.max(Quality::Uncertain);
            }
            if report.freshness == Freshness::Backfill {
                report.freshness = Freshness::Live;
            }
        }
        Event::Gone { .. } | Event::Action(_) => (),
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
