//! One life of the simulated world: devices, people and receivers around the real driver and engine, with every fault the seed asks for.
//!
//! Everything random comes from the seed and time is the runtime's, held still, so that a seed is one exact history.

mod moments;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use gateway::clock::Clock;
use gateway::decode::Message;
use gateway::engine::{Answer, Engine};
use gateway::health::Health;
use gateway::io::acks::AckLine;
use gateway::io::driver::Driver;
use gateway::io::inlet::{self, Inbound, Inlet, Safe};
use gateway::io::intake::intake;
use gateway::live::Live;
use gateway::model::{
    Action, AlarmId, AlarmState, Alert, CellIx, Deed, Disposition, FalseCause, HandTo, SignalClass, Verdict,
};
use gateway::store::{Limits, Store, StoreError};
use gateway::units::{Millis, Now};
use gateway::world::{self, World};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::disk::{Faulty, Sending, Sleep};
use crate::model;
use crate::town::{DETECTORS, DEVICES, FRESH, Town};

/// 2026-11-23T03:00:00Z.
const BEGIN: i64 = 1_795_402_800_000;
/// What a device keeps until it is acknowledged.
const UNACKNOWLEDGED_MAX: usize = 8;

/// The gateway while it runs.
struct Process {
    clock: Clock,
    inlet: Inlet,
    new_worlds: mpsc::Sender<World>,
    world: world::Shared,
    driver: JoinSet<anyhow::Result<()>>,
}

#[derive(Default)]
struct Device {
    line: Option<AckLine<i64>>,
    unacknowledged: VecDeque<(i64, String)>,
    /// So many at the front were sent before.
    tried: usize,
    said: i64,
}

type Told = (AlarmId, &'static str, String, Option<Answer>);

/// What happened, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub reports: u64,
    pub batches: u64,
    pub alarms: u64,
    pub alerts: u64,
    pub deeds: u64,
    pub cuts: u64,
    pub ended_by_itself: u64,
    pub takeovers: u64,
    pub sleeps: u64,
}

pub struct Life {
    rng: Rng,
    disk: Faulty,
    town: Town,
    wall: &'static AtomicI64,
    /// How long the box has slept, in milliseconds.
    asleep: &'static AtomicU64,
    process: Option<Process>,
    devices: Vec<Device>,
    people: JoinSet<Told>,
    answered: Vec<(AlarmId, &'static str, String)>,
    received: BTreeMap<String, Alert>,
    first: Option<Now>,
    /// A real store that must agree with the stand-in.
    shadow: Option<std::path::PathBuf>,
    tally: Tally,
}

/// Lives one seed through and checks it; `shadow` is a folder for a real store beside the stand-in.
pub fn live(seed: u64, shadow: Option<&Path>) -> Tally {
    fastrand::seed(seed); // The driver's jitter.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut life = Life::new(seed, shadow);
        life.start();
        for _ in 0..life.rng.u32(40..160) {
            life.pause().await;
            life.settle().await;
            life.something_happens().await;
        }
        life.ends_well().await;
        life.tally
    })
}

impl Life {
    fn new(seed: u64, shadow: Option<&Path>) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            disk: Faulty::new(seed),
            town: Town::new(),
            wall: Box::leak(Box::new(AtomicI64::new(BEGIN))),
            asleep: Box::leak(Box::default()),
            process: None,
            devices: (0..DEVICES).map(|_| Device::default()).collect(),
            people: JoinSet::new(),
            answered: Vec::new(),
            received: BTreeMap::new(),
            first: None,
            shadow: shadow.map(|folder| folder.join("store.db")),
            tally: Tally::default(),
        }
    }

    fn start(&mut self) {
        let shadow = self.shadow.clone().map(|path| self.open_shadow(&path));
        let (clock, engine, seq) = {
            let mut platter = self.disk.platter();
            let first = platter.newest() + 1;
            platter.starts.push(first);
            let last = platter.batches.last().map(|batch| batch.now);
            let clock = Clock::simulated(last, self.wall, self.asleep);
            let now = clock.now();
            self.first.get_or_insert(now);
            let known = platter.worlds.last_key_value().map_or(0, |(_, number)| *number);
            let World { registry, rules, .. } = self.town.worlds[known].clone();
            let (mut engine, seq) = match &platter.snapshot {
                None => (Engine::new(registry, rules, now), 0),
                Some((seq, bytes)) => (Engine::restore(bytes, registry, rules).unwrap(), *seq),
            };
            for batch in &platter.batches[seq as usize..] {
                engine.apply(batch);
            }
            let open: Vec<_> = engine.open_alarms().cloned().collect();
            let table: Vec<_> = platter.alarms.values().filter(|alarm| alarm.is_open()).cloned().collect();
            for (open, table) in open.iter().zip(&table) {
                assert_eq!(open.id, table.id, "the engine woke up with other alarms than the table has");
                assert_eq!(open.state, table.state, "{} woke up otherwise", open.id);
                assert_eq!(open.owner, table.owner, "{} woke up with another owner", open.id);
                assert_eq!(open.stage(), table.stage(), "{} woke up at another stage", open.id);
            }
            assert_eq!(open.len(), table.len());
            (clock, engine, platter.newest())
        };
        self.disk.started(clock, shadow);
        let (inlet, outlet) = inlet::channel();
        let (new_worlds, worlds) = mpsc::channel(1);
        let world = self.town.worlds.last().unwrap().clone();
        let shared = world.share();
        let interval = Millis(200);
        let driver = Driver::new(
            engine,
            self.disk.clone(),
            Arc::new(Live::default()),
            clock,
            outlet,
            shared.clone(),
            worlds,
            interval,
            seq,
            Arc::default(),
            Arc::<Health>::default().essential("disk"),
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.run(CancellationToken::new()));
        self.process = Some(Process { clock, inlet, new_worlds, world: shared, driver: tasks });
    }

    fn open_shadow(&self, path: &Path) -> Store {
        let limits = Limits {
            journal_bytes_max: 1 << 30,
            journal_days_max: 3650,
            history_days_max: 3650,
            dead_letters_max: 1000,
            outbox_rows_max: 100_000,
            attachments: gateway::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
        };
        let (store, recovered) = Store::open(path, limits).unwrap();
        let platter = self.disk.platter();
        assert_eq!(recovered.last, platter.batches.last().map(|batch| (batch.seq, batch.now)));
        assert_eq!(recovered.snapshot, platter.snapshot);
        store
    }

    /// The power fails wherever the driver stands, and comes back.
    async fn cut(&mut self, away: Duration) {
        let Some(process) = self.process.take() else { return };
        self.tally.cuts += 1;
        let wall = process.clock.now().wall;
        let mut driver = process.driver;
        driver.shutdown().await;
        drop(driver);
        self.disk.close();
        self.people.shutdown().await;
        self.devices.iter_mut().for_each(|device| device.line = None);
        sleep(away).await;
        let slept = self.asleep.load(Ordering::Relaxed) as i64;
        self.wall.store(wall.0 + away.as_millis() as i64 - slept, Ordering::Relaxed);
        self.start();
    }

    async fn pause(&mut self) {
        let most = match self.rng.u32(0..100) {
            0..60 => 100,
            60..90 => 20_000,
            90..99 => 240_000,
            _ => 1_800_000,
        };
        let wait = self.rng.u64(0..most * 1000);
        sleep(Duration::from_micros(wait)).await;
    }

    /// Acknowledgements and answers arrive; alerts go out.
    async fn settle(&mut self) {
        if let Some(process) = &mut self.process
            && let Some(ended) = process.driver.try_join_next()
        {
            let fault =
                ended.expect("the driver does not panic").expect_err("the driver does not end by itself");
            let wanted = matches!(fault.downcast_ref::<StoreError>(), Some(StoreError::OutOfOrder { .. }));
            assert!(wanted, "the driver ended: {fault:#}");
            self.tally.ended_by_itself += 1;
            self.cut(Duration::from_secs(1)).await;
        }
        for (ix, device) in self.devices.iter_mut().enumerate() {
            let Some(line) = &mut device.line else { continue };
            for number in line.take_ready() {
                let kept = self.disk.platter().reports.contains(&(ix as u32, number));
                assert!(kept, "report {number} of device {ix} was acknowledged and is not in the journal");
                let front = device.unacknowledged.pop_front().map(|(front, _)| front);
                assert_eq!(front, Some(number), "acknowledged out of order");
                device.tried -= 1;
            }
        }
        while let Some(told) = self.people.try_join_next() {
            if let Ok((alarm, deed, who, Some(Ok(answer)))) = told {
                match deed {
                    "raise" => (), // It has a number of its own.
                    "roster" | "end" => continue,
                    _ => assert_eq!(alarm, answer),
                }
                let kept = self.disk.platter().deeds.contains(&(answer, deed, who.clone()));
                assert!(kept, "{who} was told that {answer} is done, and it is not stored");
                self.answered.push((answer, deed, who));
            }
        }
        self.post(70);
    }

    /// Of a hundred alerts so many arrive and are recorded; others arrive and the record is lost, or they do not arrive.
    fn post(&mut self, lucky: u32) {
        for (key, (alert, state)) in &mut self.disk.platter().outbox {
            if *state == Sending::Pending && self.rng.u32(0..100) < (lucky + 15).min(100) {
                let before = self.received.entry(key.clone()).or_insert_with(|| alert.clone());
                assert_eq!(before, alert, "one key, two contents");
                if self.rng.u32(0..100) < lucky {
                    *state = Sending::Delivered;
                }
            }
        }
    }

    async fn something_happens(&mut self) {
        match self.rng.u32(0..100) {
            0..50 => {
                let device = self.rng.usize(0..DEVICES as usize);
                if device as u32 != FRESH {
                    self.says(device);
                }
            }
            50..58 => {
                let device = self.rng.usize(0..DEVICES as usize);
                self.hangs_up(device);
            }
            58..76 => self.somebody_acts(),
            76..82 => {
                let away = [0, 3, 60, 3_600][self.rng.usize(0..4)];
                let away = self.rng.u64(0..=away * 1000);
                self.cut(Duration::from_millis(away)).await;
            }
            82..90 => {
                let mut faults = self.disk.faults();
                faults.failing = [0, 0, 30, 100][self.rng.usize(0..4)];
                faults.losing = [0, 0, 0, 20][self.rng.usize(0..4)];
            }
            90..96 => {
                if let Some(process) = &self.process
                    && let Ok(place) = process.new_worlds.try_reserve()
                {
                    self.tally.takeovers += 1;
                    place.send(self.town.change(&mut self.rng));
                }
            }
            96..98 => {
                let step = [-31_536_000_000, -3_600_000, 3_600_000, 31_536_000_000][self.rng.usize(0..4)];
                self.wall.fetch_add(step, Ordering::Relaxed);
            }
            98 => self.the_box_sleeps(),
            _ => {
                for _ in 0..self.rng.u32(5..40) {
                    let device = self.rng.usize(0..DEVICES as usize);
                    if device as u32 != FRESH {
                        self.says(device);
                    }
                }
            }
        }
    }

    /// Everything stands still but the clocks that count it.
    fn the_box_sleeps(&mut self) {
        let Some(process) = &self.process else { return };
        let asleep = process.clock.now().steady;
        let long = self.rng.u64(0..10_000_000);
        self.asleep.fetch_add(long, Ordering::Relaxed);
        self.tally.sleeps += 1;
        let mut platter = self.disk.platter();
        let starts = platter.starts.len();
        platter.sleeps.push(Sleep { starts, asleep, awake: process.clock.now().steady });
        drop(platter);
        self.disk.excuse();
    }

    /// A new report, sent when the device is connected; one that is not connects first and repeats what nobody acknowledged.
    fn says(&mut self, ix: usize) {
        let Some(process) = &self.process else { return };
        if UNACKNOWLEDGED_MAX <= self.devices[ix].unacknowledged.len() {
            return self.hangs_up(ix);
        }
        let wall = process.clock.now().wall.0;
        let device = &mut self.devices[ix];
        device.said += 1;
        let time = match self.rng.u32(0..4) {
            0 => String::new(),
            1 => format!("\"time\":{},", wall - self.rng.i64(0..300_000)),
            _ => format!("\"time\":{wall},"),
        };
        let said = match ix as u32 {
            0..DETECTORS => format!("\"smoke\":{}", self.rng.bool()),
            _ => format!("\"pressure\":{}", self.rng.u32(80..400)),
        };
        let carrier = 20.0 + device.said as f64 / 1000.0;
        device.unacknowledged.push_back((
            device.said,
            format!("{{{time}\"values\":{{{said},\"temperature\":{carrier:.3}}}}}"),
        ));
        self.tally.reports += 1;
        self.send(ix);
    }

    fn send(&mut self, ix: usize) {
        let Some(process) = &self.process else { return };
        let device = &mut self.devices[ix];
        let again = device.line.is_none().then_some(device.tried);
        if again.is_some() {
            device.tried = 0;
        }
        let line = device.line.get_or_insert_default();
        let world = process.world.load();
        while let Some((number, payload)) = device.unacknowledged.get(device.tried) {
            let dup = again.is_some_and(|before| device.tried < before);
            let topic = format!("up/D-{ix}");
            let received = process.clock.now().wall;
            let message =
                Message { topic: &topic, payload: payload.as_bytes(), retained: false, dup, received };
            let (inbound, _) = intake("listener", &message, &world);
            assert!(inbound.dead.is_empty(), "{:?}", inbound.dead);
            let safe = Safe::Ticket(line.issue(*number));
            device.tried += 1;
            assert!(process.inlet.try_send(Inbound { safe, ..inbound }).is_ok() || process.driver.is_empty());
        }
    }

    /// The connection breaks; its last will is published; later the device comes back.
    fn hangs_up(&mut self, ix: usize) {
        let Some(process) = &self.process else { return };
        if self.devices[ix].line.take().is_some() {
            let topic = format!("up/D-{ix}/status");
            let received = process.clock.now().wall;
            let message =
                Message { topic: &topic, payload: b"offline", retained: false, dup: false, received };
            let (inbound, _) = intake("listener", &message, &process.world.load());
            let _ = process.inlet.try_send(inbound);
        } else {
            self.send(ix);
        }
    }

    /// Somebody does something to an open alarm, takes a place out of service, or the roster changes.
    fn somebody_acts(&mut self) {
        let Some(process) = &self.process else { return };
        let platter = self.disk.platter();
        let open: Vec<_> = platter.alarms.values().filter(|alarm| alarm.is_open()).collect();
        let Some(alarm) = self.rng.choice(&open) else { return };
        let id = alarm.id;
        let wall = process.clock.now().wall;
        let until = wall + Millis(self.rng.u64(1..7_200_000));
        let (note, reason) = (None, "because".to_owned());
        let acknowledges = match alarm.state {
            AlarmState::Unacknowledged | AlarmState::ReturnedUnacknowledged => self.rng.u32(0..10) != 0,
            AlarmState::Acknowledged | AlarmState::Returned | AlarmState::Closed => self.rng.u32(0..10) == 0,
        };
        let acknowledge = ("acknowledge", Deed::Acknowledge { alarm: id, note: None });
        // What the simple model of fires does not follow is done to other alarms only.
        let (deed, what) = match (self.rng.u32(0..24), alarm.class) {
            (0 | 1, _) => ("on the way", Deed::OnTheWay { alarm: id, note }),
            (2, _) => ("on site", Deed::OnSite { alarm: id, note }),
            (3..=5, _) => ("verify", Deed::Verify { alarm: id, note }),
            (6, _) => ("send back", Deed::SendBack { alarm: id, reason }),
            (7, _) => ("evaluate", Deed::Evaluate { alarm: id, verdict: Verdict::Nuisance, note }),
            (8, _) => ("roster", Deed::Roster),
            (9, _) => {
                let cell = CellIx(self.rng.u32(0..4));
                ("raise", Deed::BeginMaintenance { cell, device: None, until, reason })
            }
            (10, SignalClass::Disabled) => ("end", Deed::EndMaintenance { alarm: id, note }),
            (10, SignalClass::Supervisory | SignalClass::Trouble) => {
                ("hand over", Deed::HandOver { alarm: id, to: HandTo::Up, reason })
            }
            (11 | 12, SignalClass::Supervisory | SignalClass::Trouble) => {
                ("suspend", Deed::Suspend { alarm: id, until, reason })
            }
            (13, SignalClass::Supervisory | SignalClass::Trouble) => {
                ("shelve", Deed::Shelve { alarm: id, until, reason })
            }
            (14, SignalClass::Supervisory | SignalClass::Trouble) => {
                ("resume", Deed::Resume { alarm: id, note })
            }
            (15, SignalClass::Supervisory | SignalClass::Trouble) => {
                ("resume", Deed::Unshelve { alarm: id, note })
            }
            _ if acknowledges => acknowledge,
            _ => {
                let disposition = Disposition::FalseAlarm;
                let cause = self.rng.bool().then_some(FalseCause::Steam);
                ("resolve", Deed::Resolve { alarm: id, disposition, cause, note })
            }
        };
        self.tally.deeds += 1;
        let who = format!("person-{}", self.tally.deeds);
        let inlet = process.inlet.clone();
        self.people.spawn(async move {
            let answer = inlet.act(Action { who: who.clone(), what }).await.ok();
            (id, deed, who, answer)
        });
    }

    /// The faults end. Everything said arrives, a new fire gets through at once, and then there is quiet.
    async fn ends_well(&mut self) {
        {
            let mut faults = self.disk.faults();
            (faults.failing, faults.losing) = (0, 0);
        }
        let mut rounds = 0;
        while rounds < 10 || self.devices.iter().any(|device| !device.unacknowledged.is_empty()) {
            sleep(Duration::from_secs(1)).await;
            self.settle().await;
            (0..DEVICES as usize).for_each(|ix| self.send(ix));
            rounds += 1;
            assert!(rounds < 100, "not everything is acknowledged long after the faults have ended");
        }
        self.a_new_fire_gets_through().await;
        self.settle().await;
        sleep(Duration::from_secs(60)).await;
        let before = self.disk.platter().newest();
        sleep(Duration::from_secs(60)).await;
        let busy = self.disk.platter().newest() - before;
        assert!(busy <= 40, "{busy} batches in a minute in which nothing happened");

        let Process { inlet, new_worlds, mut driver, .. } = self.process.take().unwrap();
        self.settle().await;
        drop((inlet, new_worlds));
        self.people.shutdown().await;
        let ended = tokio::time::timeout(Duration::from_secs(10), driver.join_next()).await;
        ended.expect("the driver ends").unwrap().expect("it does not panic").expect("it ends well");
        self.disk.close();
        self.post(100);
        self.everything_is_true();
    }

    async fn a_new_fire_gets_through(&mut self) {
        let process = self.process.as_ref().unwrap();
        let time = process.clock.now().wall.0;
        let device = &mut self.devices[FRESH as usize];
        device.said += 1;
        let carrier = 20.0 + device.said as f64 / 1000.0;
        device.unacknowledged.push_back((
            device.said,
            format!("{{\"time\":{time},\"values\":{{\"smoke\":true,\"temperature\":{carrier:.3}}}}}"),
        ));
        self.send(FRESH as usize);
        sleep(Duration::from_millis(100)).await;
        let platter = self.disk.platter();
        let alarm =
            platter.alarms.values().find(|alarm| alarm.device.is_some_and(|device| device.0 == FRESH));
        let alarm = alarm.expect("a new fire is on disk within 100 ms");
        assert_eq!(alarm.class, SignalClass::Fire);
        assert!(platter.outbox.values().any(|(alert, _)| alert.alarm == alarm.id), "somebody is told of it");
    }

    fn everything_is_true(&mut self) {
        let platter = self.disk.platter();
        for deed in &self.answered {
            assert!(platter.deeds.contains(deed), "{deed:?} was answered and is lost");
        }
        for alarm in platter.alarms.values().filter(|alarm| alarm.class == SignalClass::Fire) {
            let told = platter.outbox.values().any(|(alert, _)| alert.alarm == alarm.id);
            assert!(told, "nobody was told of {}", alarm.id);
        }
        for (key, (alert, state)) in &platter.outbox {
            match state {
                Sending::Delivered => assert_eq!(self.received.get(key), Some(alert)),
                Sending::Withdrawn => (),
                Sending::Pending => panic!("{key} was never sent"),
            }
        }
        assert_eq!(platter.dead, 0);
        assert_eq!(
            platter.snapshot.as_ref().map(|(seq, _)| *seq),
            Some(platter.newest()),
            "a clean stop leaves no tail"
        );
        model::fires_are_what_the_journal_says(&platter);
        model::as_if_it_had_never_stopped(&platter, &self.town, self.first.unwrap());
        self.tally.batches = platter.newest();
        self.tally.alarms = platter.alarms.len() as u64;
        self.tally.alerts = platter.outbox.len() as u64;
    }
}
