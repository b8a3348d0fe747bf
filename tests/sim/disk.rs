//! The disk of the simulated world: what [`gateway::store::Store`] promises, in memory, with faults in between.
//!
//! Everything of a commit is kept or nothing; after a power cut exactly what was kept is there. A commit may fail, it may be kept and its answer lost, and the
//! power may fail before or after it is kept. With a real store beside it (`shadow`) both must always agree, so that the stand-in stays honest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use gateway::clock::Clock;
use gateway::engine::Effect;
use gateway::io::driver::Disk;
use gateway::model::{Alarm, AlarmId, Alert, Batch, Event, What};
use gateway::store::{Commit, Committed, Store, StoreError};
use gateway::units::{Millis, Steady};
use tokio::time::sleep;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    Pending,
    Delivered,
    Withdrawn,
}

/// One sleep of the box.
pub struct Sleep {
    /// How often the gateway had started before.
    pub starts: usize,
    pub asleep: Steady,
    pub awake: Steady,
}

/// What survives a power cut.
#[derive(Default)]
pub struct Platter {
    pub batches: Vec<Batch>,
    /// What each batch led to.
    pub effects: Vec<Vec<Effect>>,
    pub alarms: BTreeMap<AlarmId, Alarm>,
    /// Who did what to which alarm, from the histories.
    pub deeds: BTreeSet<(AlarmId, &'static str, String)>,
    pub outbox: BTreeMap<String, (Alert, Sending)>,
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// The worlds taken over, by the batch that did it.
    pub worlds: BTreeMap<u64, usize>,
    /// The number of the first batch of every start; the same once more when the power failed before it was kept.
    pub starts: Vec<u64>,
    pub sleeps: Vec<Sleep>,
    /// Device and number of every report in the journal.
    pub reports: BTreeSet<(u32, i64)>,
    entries: u64,
    pub dead: usize,
}

pub struct Faults {
    pub rng: Rng,
    /// Out of a hundred commits so many fail, and of so many the answer is lost.
    pub failing: u32,
    pub losing: u32,
}

struct Shared {
    platter: Mutex<Platter>,
    faults: Mutex<Faults>,
    /// When the last snapshot was taken or the gateway started, and whether events came since.
    snapshot_at: Mutex<(Steady, bool)>,
    clock: Mutex<Option<Clock>>,
    shadow: Mutex<Option<Store>>,
}

#[derive(Clone)]
pub struct Faulty(Arc<Shared>);

/// The number that a simulated device put into its report.
pub fn number_of(event: &Event) -> Option<(u32, i64)> {
    let Event::Report(report) = event else { return None };
    let carrier = report.values.iter().find(|value| value.metric.name() == "temperature")?;
    Some((report.device.0, (carrier.value * 1000.0).round() as i64 - 20_000))
}

impl Faulty {
    pub fn new(seed: u64) -> Self {
        let faults = Faults { rng: Rng::with_seed(seed), failing: 0, losing: 0 };
        Self(Arc::new(Shared {
            platter: Mutex::default(),
            faults: Mutex::new(faults),
            snapshot_at: Mutex::default(),
            clock: Mutex::default(),
            shadow: Mutex::default(),
        }))
    }

    pub fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.platter.lock().unwrap()
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.faults.lock().unwrap()
    }

    /// The gateway has started; from here on a snapshot is due every five minutes.
    pub fn started(&self, clock: Clock, shadow: Option<Store>) {
        *self.0.snapshot_at.lock().unwrap() = (clock.now().steady, false);
        *self.0.clock.lock().unwrap() = Some(clock);
        *self.0.shadow.lock().unwrap() = shadow;
    }

    /// The gateway is gone; a real store beside is closed.
    pub fn close(&self) {
        self.0.shadow.lock().unwrap().take();
    }

    /// While the disk fails, alarms go on from memory and no snapshot is taken; and none while the box sleeps.
    pub fn excuse(&self) {
        if let Some(clock) = *self.0.clock.lock().unwrap() {
            self.0.snapshot_at.lock().unwrap().0 = clock.now().steady;
        }
    }

    fn check_cadence(&self, commit: &Commit) {
        let mut last = self.0.snapshot_at.lock().unwrap();
        let Some(batch) = &commit.batch else {
            if commit.snapshot.is_some() {
                *last = (self.0.clock.lock().unwrap().map_or(last.0, |clock| clock.now().steady), false);
            }
            return;
        };
        if commit.snapshot.is_some() {
            *last = (last.0.max(batch.now.steady), false);
        } else {
            let late = last.1 && Millis::from_secs(301) < batch.now.steady.since(last.0);
            assert!(
                !late,
                "batch {} at {:?} should have brought a snapshot, the last was at {:?}",
                batch.seq, batch.now, last.0
            );
            last.1 |= !batch.events.is_empty();
        }
    }
}

impl Disk for Faulty {
    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let (before, after, fails, loses) = {
            let mut faults = self.faults();
            let (failing, losing) = (faults.failing, faults.losing);
            let rng = &mut faults.rng;
            (rng.u64(50..8_000), rng.u64(50..8_000), rng.u32(0..100) < failing, rng.u32(0..100) < losing)
        };
        sleep(Duration::from_micros(before)).await; // A power cut here loses it …
        if fails || loses {
            self.excuse();
        }
        if fails {
            return Err(broken());
        }
        let kept = self.platter().keep(commit);
        let shadow = self.0.shadow.lock().unwrap().clone();
        if let Some(store) = shadow {
            let (copy, handle) = (commit.clone(), tokio::runtime::Handle::current());
            let work = move || handle.block_on(store.commit(&copy));
            let real = tokio::task::spawn_blocking(work).await.unwrap();
            assert_eq!(real.is_ok(), kept.is_ok(), "the store and its stand-in differ: {real:?} {kept:?}");
        }
        let committed = kept?;
        self.check_cadence(commit);
        sleep(Duration::from_micros(after)).await; // … and here keeps it, and nobody knows.
        if loses { Err(broken()) } else { Ok(committed) }
    }
}

fn broken() -> StoreError {
    StoreError::Write(rusqlite::Error::QueryReturnedNoRows)
}

impl Platter {
    pub fn newest(&self) -> u64 {
        self.batches.len() as u64
    }

    fn keep(&mut self, commit: &Commit) -> Result<Committed, StoreError> {
        if let Some(batch) = &commit.batch {
            if batch.seq != self.newest() + 1 {
                return Err(StoreError::OutOfOrder { newest: self.newest(), offered: batch.seq });
            }
            if let Some(before) = self.batches.last() {
                assert!(before.now.steady <= batch.now.steady, "the steady clock stepped back");
            }
            self.batches.push(batch.clone());
            self.effects.push(commit.effects.clone());
            self.reports.extend(batch.events.iter().filter_map(number_of));
        }
        let mut committed = Committed::default();
        for effect in &commit.effects {
            match effect {
                Effect::Alarm(alarm, entry) => {
                    let deed = match entry.what {
                        What::Acknowledged => Some("acknowledge"),
                        What::Resolved => Some("resolve"),
                        What::OnTheWay => Some("on the way"),
                        What::OnSite => Some("on site"),
                        What::Verified => Some("verify"),
                        What::SentBack => Some("send back"),
                        What::Evaluated => Some("evaluate"),
                        What::HandedOver => Some("hand over"),
                        What::Suspended => Some("suspend"),
                        What::Shelved => Some("shelve"),
                        What::Resumed => Some("resume"),
                        What::Raised => {
                            assert!(!self.alarms.contains_key(&alarm.id), "{} was raised twice", alarm.id);
                            Some("raise")
                        }
                        What::Repeated
                        | What::Told
                        | What::Escalated
                        | What::Returned
                        | What::ActiveAgain
                        | What::Closed
                        | What::NobodyToTell
                        | What::NotTold
                        | What::OwnerChanged
                        | What::Suppressed
                        | What::NoProgress
                        | What::Unanswered
                        | What::Confirmed
                        | What::Folded => None,
                    };
                    self.deeds.extend(deed.zip(entry.who.clone()).map(|(deed, who)| (alarm.id, deed, who)));
                    self.alarms.insert(alarm.id, (**alarm).clone());
                    self.entries += 1;
                    committed.entries.push(self.entries);
                }
                Effect::Tell(alert) => {
                    let row = self.outbox.entry(alert.key.clone());
                    let (kept, _) = row.or_insert_with(|| (alert.clone(), Sending::Pending));
                    assert_eq!(kept, alert, "one key, two alerts");
                }
                Effect::Withdraw(alarm) => {
                    for (alert, state) in self.outbox.values_mut().filter(|row| row.1 == Sending::Pending) {
                        if alert.alarm == *alarm {
                            *state = Sending::Withdrawn;
                        }
                    }
                }
            }
        }
        self.dead += commit.dead.len();
        if let Some((_, text)) = commit.memo.first() {
            let number = text.lines().next().and_then(|line| line.strip_prefix("# world ")).unwrap();
            self.worlds.insert(self.newest(), number.parse().unwrap());
        }
        if let Some(snapshot) = &commit.snapshot {
            self.snapshot = Some((self.newest(), snapshot.clone()));
        }
        Ok(committed)
    }
}
