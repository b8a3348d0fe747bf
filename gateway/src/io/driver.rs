//! Events → engine → store → acknowledge → act, in that order. The one task that owns the engine.
//!
//! The order of the lines in [`Driver::commit`] is the design: nothing is acknowledged, shown or sent before it is on disk. While one commit
//! runs, the next batch gathers in the queues ([`gathering`]). A fire never waits, and overtakes everything but what its own device said before it: an older "all clear"
//! must not end a newer fire.
//!
//! What one device says beyond its allowance is thinned here, before the journal ([`RateLimit`]), a frame that comes twice is emptied ([`Repetitions`]), and both are acknowledged with the rest. A device that
//! behaves otherwise than it did is named ([`Behaviour`]). Who is not
//! registered goes to the waiting room ([`crate::waiting`]).
//!
//! When the store cannot be written, the messages stay unacknowledged, the queues fill, the sources stop reading, and senders keep what they
//! have. Only alarms go on, from memory: [`without_disk`]. The driver stops only when it is told to.

mod gathering;
mod without_disk;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::gathering::{Turn, messages};
use super::acks::Ticket;
use super::inlet::{Inbound, Outlet, Safe};
use super::letters::Letters;
use super::own_trouble;
use crate::ahead::reporters;
use crate::card::{Card, Sources};
use crate::clock::{Clock, ticks};
use crate::decode::downlink;
use crate::engine::behaviour::{self, Behaviour, Told};
use crate::engine::rate_limit::RateLimit;
use crate::engine::repetition::Repetitions;
use crate::engine::{Answer, Applied, Effect, Engine, WhoIsNearest};
use crate::grid::Registry;
use crate::health::Check;
use crate::live::Live;
use crate::model::{
    Action, Alarm, AlarmId, Batch, DeadLetter, Deed, DeviceIx, Event, Freshness, Quality, Report,
    SignalClass, What,
};
use crate::notify::unrecorded::Unrecorded;
use crate::store::repeats::{Done, Repeatable};
use crate::store::{Commit, Committed, Store, StoreError};
use crate::units::{Millis, Now, Steady, Timestamp};
use crate::waiting::{Change, Due, SharedRoom, Trouble};
use crate::world::{self, World};

/// A snapshot of the engine is taken after this many events or this long, so that a restart replays no more. A city's is large, and a fire waits while it is taken and written, so not oftener.
const SNAPSHOT_EVENTS: usize = 1_000_000;
const SNAPSHOT_AFTER: Duration = Duration::from_secs(300);
const CHANGED: &str = "设备行为突变 behaves otherwise than it did,";
const MANY_CHANGED: &str = "设备行为突变 many devices behave otherwise than they did, within an hour: look for what they have in common";
/// Of a shorter sleep of the box nobody is told.
const SLEEP_NOTICED: Millis = Millis::from_secs(1);

/// Where batches go: the [`Store`], or a faulty one in a simulation.
pub trait Disk: Clone + Send + Sync + 'static {
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
    /// Where the alerts go that cannot be stored.
    pub unrecorded: Arc<Unrecorded>,
    /// Essential: whether what is decided gets to the disk.
    pub disk: Check,
    /// Devices that are not registered; people look at it and decide over HTTP.
    pub strangers: Arc<SharedRoom>,
    since_snapshot: usize,
    snapshot_at: Instant,
    /// Routine messages taken from the queue that are in no batch yet, oldest first.
    waiting: Vec<Inbound>,
    limit: RateLimit,
    repetitions: Repetitions,
    behaviour: Behaviour,
    letters: Letters,
    /// Of the box's sleep this much is known to the engine.
    slept: Millis,
}

/// What belongs to one batch besides its events.
#[derive(Default)]
struct Gathered {
    events: Vec<Event>,
    dead: Vec<DeadLetter>,
    waiting: Vec<Change>,
    orders: Vec<(downlink::Answer, Timestamp)>,
    tickets: Vec<Ticket>,
    /// Place of the action in `events`, and who waits for what becomes of it.
    askers: Vec<(usize, tokio::sync::oneshot::Sender<Answer>)>,
    /// Place of the action in `events`, and under which name it may come again.
    repeatable: Vec<(usize, Repeatable)>,
}

/// One batch as the engine decided it, and who waits until it is on disk.
#[derive(Default)]
struct Decided {
    commit: Arc<Commit>,
    tickets: Vec<Ticket>,
    askers: Vec<(usize, tokio::sync::oneshot::Sender<Answer>)>,
    answers: Vec<(usize, Answer)>,
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
        unrecorded: Arc<Unrecorded>,
        disk: Check,
    ) -> Self {
        let limit = RateLimit::new(engine.rules().allowance(), engine.loud_devices(), clock.now());
        let behaviour = Behaviour::new(engine.rules().behaviour());
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
            strangers: Arc::default(),
            since_snapshot: 0,
            snapshot_at: ticks() + SNAPSHOT_AFTER,
            waiting: Vec::new(),
            limit,
            repetitions: Repetitions::default(),
            behaviour,
            letters: Letters::default(),
            slept: Millis(0),
        }
    }

    /// Begins with taking over the current world, which may have been edited while the gateway was away. Ends when every source has dropped its inlet,
    /// after a last snapshot. `give_up` ends it when the store stays broken.
    pub async fn run(mut self, give_up: CancellationToken) -> anyhow::Result<()> {
        self.disk.fine();
        self.slept = self.clock.slept();
        self.take_over(World::clone(&self.world.load()), Some(self.engine.last()), &give_up).await?;
        loop {
            let turn = self.gather().await;
            if let Some(since) = self.asleep_since() {
                self.take_over(World::clone(&self.world.load()), Some(since), &give_up).await?;
            }
            match turn {
                Turn::Batch(inbounds) => {
                    let now = self.clock.now();
                    let mut gathered = self.merge(inbounds, now);
                    let snapshot = self.since_snapshot >= SNAPSHOT_EVENTS
                        || (self.since_snapshot > 0 && self.snapshot_at <= ticks());
                    let applied = self.step(std::mem::take(&mut gathered.events), now);
                    self.commit(gathered, applied, snapshot, &give_up).await?;
                }
                Turn::World(world) => self.take_over(world, None, &give_up).await?,
                Turn::End => {
                    let waiting = self.strangers.lock().unsaved();
                    let commit =
                        Commit { waiting, snapshot: Some(self.engine.snapshot()), ..Commit::default() };
                    self.store.commit(&commit).await?;
                    return Ok(());
                }
            }
        }
    }

    /// When the box fell asleep, if it slept since this was asked.
    fn asleep_since(&mut self) -> Option<Steady> {
        let all = self.clock.slept();
        let slept = Millis(all.0.saturating_sub(self.slept.0));
        if slept < SLEEP_NOTICED {
            return None;
        }
        self.slept = all;
        Some(Steady(self.clock.now().steady.0.saturating_sub(slept.0)))
    }

    /// A snapshot and the rules themselves go into the same transaction: a replay must never run old events through new rules, and does not know since
    /// when nobody could be heard, because the program did not run or the box slept.
    async fn take_over(
        &mut self,
        world: World,
        deaf_since: Option<Steady>,
        give_up: &CancellationToken,
    ) -> anyhow::Result<()> {
        let now = self.clock.now();
        if let Some(since) = deaf_since {
            self.engine.was_away(since, now);
        }
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
        self.limit.set_allowance(world.rules.allowance());
        self.behaviour.set_limits(world.rules.behaviour());
        let registered = |address: &str| world.registry.device_by_address(address).is_some();
        self.strangers.lock().settle(registered, now.steady);
        self.world.store(Arc::new(world));
        self.live.registry();
        Ok(())
    }

    fn snapshot_taken(&mut self) {
        self.since_snapshot = 0;
        self.snapshot_at = ticks() + SNAPSHOT_AFTER;
    }

    /// What the engine wants to know of people's positions: answered at once, with people and rounded distances only.
    fn nearest(&self) -> Vec<Inbound> {
        let asked: Vec<WhoIsNearest> = self.engine.questions().collect();
        if asked.is_empty() {
            return Vec::new(); // Nearly always; it is asked before every batch.
        }
        let (registry, now) = (self.world.load().registry.clone(), self.clock.now());
        let where_is = |id: &str| self.live.positions.of(id, now).map(|known| known.lon_lat);
        let answer = |asked: WhoIsNearest| {
            let mut people =
                registry.nearest((asked.cell, asked.device), now.wall, &where_is, &asked.besides);
            people.truncate(asked.count);
            let what = Deed::Nearest { alarm: asked.alarm, step: asked.step, people };
            let action = Action { who: own_trouble::WHO.to_owned(), what };
            Inbound { events: vec![Event::Action(action)], ..Inbound::default() }
        };
        asked.into_iter().map(answer).collect()
    }

    /// One batch of it, with every device kept within its allowance and dead letters within theirs.
    fn merge(&mut self, inbounds: Vec<Inbound>, now: Now) -> Gathered {
        let messages = messages(&inbounds);
        let mut gathered = Gathered { events: Vec::with_capacity(messages), ..Gathered::default() };
        metrics::counter!("gridwarden_messages_total").increment(messages as u64);
        let devices = reporters(inbounds.iter().flat_map(|inbound| &inbound.events));
        self.limit.look_ahead(&devices);
        self.behaviour.look_ahead(&devices);
        for inbound in inbounds {
            gathered.repeatable.extend(inbound.repeatable.map(|one| (gathered.events.len(), *one)));
            match inbound.safe {
                Safe::Nobody => (),
                Safe::Ticket(ticket) => gathered.tickets.push(ticket),
                Safe::Answer(asker) => gathered.askers.push((gathered.events.len(), asker)),
            }
            for event in inbound.events {
                match event {
                    Event::Report(mut report) => {
                        self.repetitions.mark(&mut report);
                        for change in self.behaviour.look(&report, now.steady) {
                            gathered.events.extend(self.changed(report.device, change, now.steady));
                        }
                        gathered.events.extend(self.limit.take(report, now).map(Event::Report));
                    }
                    Event::Gone { .. } | Event::Action(_) => gathered.events.push(event),
                }
            }
            gathered.dead.extend(self.letters.take(inbound.dead, now.steady));
            gathered.orders.extend(inbound.orders);
            if !inbound.strangers.is_empty() {
                let mut room = self.strangers.lock();
                inbound.strangers.into_iter().for_each(|sighting| room.see(sighting, now));
            }
        }
        let Due { changes, troubles } = self.strangers.lock().due(now.steady);
        gathered.waiting = changes;
        if !troubles.is_empty() {
            let registry = self.world.load().registry.clone();
            gathered.events.extend(troubles.into_iter().map(|trouble| action(trouble, &registry)));
        }
        gathered.events.extend(self.limit.due(now).into_iter().map(Event::Report));
        gathered.dead.extend(self.letters.due(now.steady));
        metrics::counter!("gridwarden_reports_thinned_total").increment(self.limit.take_thinned());
        metrics::counter!("gridwarden_frames_repeated_total").increment(self.repetitions.take_found());
        gathered
    }

    /// A device behaves otherwise than it did: a trouble alarm, unless one of its alarms stands, which is the reason for it: no alarm of the plant changes a unit.
    fn changed(&mut self, device: DeviceIx, change: behaviour::Change, now: Steady) -> Option<Event> {
        let registry = self.world.load().registry.clone();
        let (row, cell) = (registry.device(device)?, registry.home(device)?);
        if !change.is_of_unit() && self.engine.open_alarms().any(|alarm| alarm.device == Some(device)) {
            return None;
        }
        let (cell, device, text) = match self.behaviour.tell(now) {
            Told::Alone => (cell, Some(device), format!("{CHANGED} {}: {change}", row.id)),
            Told::WithOthers => (own_trouble::top(&registry), None, MANY_CHANGED.to_owned()),
        };
        let what = Deed::Raise { cell, device, class: SignalClass::Trouble, text };
        Some(Event::Action(Action { who: own_trouble::WHO.to_owned(), what }))
    }

    /// Lets the engine decide. `None` when nothing happened that anybody must remember.
    fn step(&mut self, mut events: Vec<Event>, now: Now) -> Option<(Batch, Applied)> {
        if !self.clock.trusted() {
            events.iter_mut().for_each(doubt);
        }
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
        let nothing = gathered.dead.is_empty()
            && gathered.waiting.is_empty()
            && gathered.orders.is_empty()
            && snapshot.is_none();
        if batch.is_none() && nothing {
            Ticket::all_done(&gathered.tickets);
            return None;
        }
        if snapshot.is_some() {
            self.snapshot_taken();
        }
        let (effects, dead) = (applied.effects, gathered.dead);
        let cards = self.cards(&effects, batch.as_ref());
        let Gathered { waiting, orders, tickets, askers, repeatable, .. } = gathered;
        let done = done(repeatable, &applied.answers);
        let mut commit =
            Commit { batch, effects, cards, dead, done, waiting, orders, snapshot, ..Commit::default() };
        commit.handed_over = self.hand_over(&commit);
        Some(Decided { commit: Arc::new(commit), tickets, askers, answers: applied.answers })
    }

    /// Alerts are told from memory as soon as they are stored: reading them back from the outbox would cost as long as the commit. All of a commit, or none:
    /// it then calls everybody to the outbox.
    fn hand_over(&self, commit: &Commit) -> bool {
        let told = commit.effects.iter().filter(|effect| matches!(effect, Effect::Tell(_))).count();
        if told == 0 || !self.unrecorded.has_room_for(told) {
            return false;
        }
        let rows = without_disk::alerts(commit);
        // The card of an alarm that was raised before is in the store only.
        let all = rows.len() == told && rows.iter().all(|row| row.card.is_some());
        if all {
            self.unrecorded.committing(rows);
        }
        all
    }

    /// One for each alarm that was raised; what the same batch says is known already, such as the pressure that raised it.
    fn cards(&self, effects: &[Effect], batch: Option<&Batch>) -> Vec<(AlarmId, Card)> {
        let raised = effects.iter().filter_map(|effect| match effect {
            Effect::Alarm(alarm, entry) if entry.what == What::Raised => Some(alarm.as_ref()),
            Effect::Alarm(..) | Effect::Tell(_) | Effect::Withdraw(_) => None,
        });
        let raised: Vec<&Alarm> = raised.collect();
        if raised.is_empty() {
            return Vec::new();
        }
        let world = self.world.load();
        let reports = batch.into_iter().flat_map(|batch| &batch.events).filter_map(|event| match event {
            Event::Report(report) => Some(report),
            Event::Gone { .. } | Event::Action(_) => None,
        });
        // In order of devices: every card of a storm asks for several of them.
        let mut reports: Vec<&Report> = reports.collect();
        reports.sort_by_key(|report| report.device);
        let live = |device| {
            let mut now = self.live.device(device);
            let first = reports.partition_point(|report| report.device < device);
            for report in reports[first..].iter().take_while(|report| report.device == device) {
                now.take(report);
            }
            now
        };
        let card = |alarm: &Alarm| {
            let sources = Sources { registry: &world.registry, now: alarm.raised, live: &live };
            (alarm.id, Card::of(alarm, &sources, self.engine.open_alarms().rev()))
        };
        raised.into_iter().map(card).collect()
    }

    /// Until it is on disk, and everything that was decided meanwhile. Gives up only when told to.
    async fn persist(&mut self, decided: Decided, give_up: &CancellationToken) -> anyhow::Result<()> {
        let started = crate::clock::instant();
        let mut attempt = without_disk::attempt(&self.store, &decided);
        match tokio::time::timeout(without_disk::STALLED, &mut attempt).await {
            Ok(Ok(committed)) => {
                metrics::histogram!("gridwarden_commit_seconds").record(started.elapsed().as_secs_f64());
                self.settle(decided, committed);
                Ok(())
            }
            Ok(Err(fault)) => self.without_disk(decided, Err(fault), give_up).await,
            Err(_) => self.without_disk(decided, Ok(attempt), give_up).await,
        }
    }

    /// It is on disk: tell, acknowledge, answer, show.
    fn settle(&mut self, decided: Decided, committed: Committed) {
        let told = decided.commit.effects.iter().filter_map(|effect| match effect {
            Effect::Tell(alert) => Some(alert.key.as_str()),
            Effect::Alarm(..) | Effect::Withdraw(_) => None,
        });
        let raised = decided.commit.cards.iter().map(|(alarm, _)| *alarm);
        self.unrecorded.committed(told, &raised.zip(committed.records).collect());
        Ticket::all_done(&decided.tickets);
        let mut answers = decided.answers.into_iter();
        for (place, asker) in decided.askers {
            // Nobody waits for an answer to what the station does on its own.
            if let Some((_, answer)) = answers.find(|(at, _)| *at == place) {
                let _ = asker.send(answer); // The asker may have hung up.
            }
        }
        self.show(Arc::unwrap_or_clone(decided.commit), committed.entries);
    }

    /// What the pages see; after the commit.
    fn show(&self, commit: Commit, entries: Vec<u64>) {
        let Commit { batch, effects, .. } = commit;
        let mut touched: Vec<DeviceIx> = Vec::new();
        if let Some(batch) = batch {
            self.live.look_ahead(&reporters(&batch.events));
            let mut readings = 0;
            let reports = batch.events.into_iter().filter_map(|event| match event {
                Event::Report(report) => {
                    readings += report.values.len() as u64;
                    Some(report)
                }
                Event::Gone { device, .. } => {
                    touched.push(device);
                    None
                }
                Event::Action(_) => None,
            });
            self.live.reports(reports);
            metrics::counter!("gridwarden_readings_total").increment(readings);
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
                Effect::Tell(_) => (),
                Effect::Withdraw(alarm) => self.unrecorded.withdraw(alarm),
            }
        }
        for device in touched {
            self.live.seen(device, self.engine.seen(device));
        }
    }
}

/// What the waiting room has to say, in the topmost cell.
fn action(trouble: Trouble, registry: &Registry) -> Event {
    let (cell, text) = (own_trouble::top(registry), trouble.text);
    Event::Action(if trouble.begins {
        own_trouble::begins(cell, text)
    } else {
        own_trouble::ends(cell, text)
    })
}

/// The repeatable actions that were allowed.
fn done(repeatable: Vec<(usize, Repeatable)>, answers: &[(usize, Answer)]) -> Vec<Done> {
    let done = |(place, what)| {
        let (_, answer) = answers.iter().find(|(at, _)| *at == place)?;
        answer.as_ref().ok().map(|&alarm| Done { what, alarm })
    };
    repeatable.into_iter().filter_map(done).collect()
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
