//! The disk does not take what was decided: alarms go on from memory, and nobody is told that anything is safe.
//!
//! While a commit fails or hangs, the driver goes on taking *urgent* messages and what time makes due. The engine decides, and alerts go to the
//! workers from memory ([`crate::notify::unrecorded`]). Everything decided is held in order and committed in order as soon as the disk takes it again; only then
//! are senders acknowledged and people answered. Routine telemetry stays in its queue, so its sources stop reading. Held is at most [`HELD_BYTES_MAX`]; then
//! urgent messages wait too, while time goes on. A crash in between loses nothing acknowledged: senders send again, people are told again.
//! Why: docs/decisions/0007-alarms-without-a-disk.md.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use tokio::select;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{Chain, Decided, Disk, Driver, Gathered};
use crate::clock::{ticks, until};
use crate::engine::Effect;
use crate::engine::backoff::Backoff;
use crate::io::inlet::Inbound;
use crate::io::own_trouble::DISK;
use crate::model::{Alarm, AlarmId, Event};
use crate::store::outbox::Row;
use crate::store::{Commit, Committed, StoreError};
use crate::units::Millis;

/// A commit that takes longer holds up no alarm any more.
pub const STALLED: Duration = Duration::from_secs(1);
/// A commit that hangs for so long is a trouble of its own.
const TROUBLE_AFTER: Duration = Duration::from_secs(10);
/// Of what is decided and not stored, this much is kept in memory.
const HELD_BYTES_MAX: usize = 64 << 20;

/// One try to store one batch. It cannot be called off.
pub type Attempt = BoxFuture<'static, Result<Committed, StoreError>>;

pub fn attempt(store: &impl Disk, decided: &Decided) -> Attempt {
    let (store, commit) = (store.clone(), decided.commit.clone());
    async move { store.commit(&commit).await }.boxed()
}

/// The alerts of a commit as they will stand in the outbox, with their alarms. Those of alarms that it does not change are left out: only the store has them whole.
pub fn alerts(commit: &Commit) -> Vec<Row> {
    let cards: BTreeMap<AlarmId, _> = commit.cards.iter().map(|(alarm, card)| (*alarm, card)).collect();
    let alarms = commit.effects.iter().filter_map(|effect| match effect {
        Effect::Alarm(alarm, _) => Some((alarm.id, alarm)),
        Effect::Tell(_) | Effect::Withdraw(_) => None,
    });
    let alarms: BTreeMap<AlarmId, &Box<Alarm>> = alarms.collect();
    let mut rows: Vec<Row> = Vec::new();
    for effect in &commit.effects {
        match effect {
            Effect::Tell(alert) => rows.extend(alarms.get(&alert.alarm).map(|&alarm| Row {
                alert: alert.clone(),
                alarm: alarm.clone(),
                attempts: 0,
                card: cards.get(&alarm.id).map(|&card| Box::new(card.clone())),
            })),
            Effect::Withdraw(alarm) => rows.retain(|row| row.alert.alarm != *alarm),
            Effect::Alarm(..) => (),
        }
    }
    rows
}

/// Decided and not stored, oldest first.
#[derive(Default)]
struct Held {
    waiting: VecDeque<(Decided, usize)>,
    bytes: usize,
}

impl Held {
    fn push(&mut self, decided: Decided) {
        let bytes = weight(&decided.commit);
        self.bytes += bytes;
        self.waiting.push_back((decided, bytes));
    }

    fn pop(&mut self) -> Option<Decided> {
        let (decided, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes;
        Some(decided)
    }
}

/// Roughly what it takes in memory.
fn weight(commit: &Commit) -> usize {
    let event = |event: &Event| match event {
        Event::Report(report) => 200 + 32 * report.values.len(),
        Event::Gone { .. } => 200,
        Event::Action(_) => 2_000,
    };
    let events = commit.batch.iter().flat_map(|batch| &batch.events).map(event).sum::<usize>();
    let dead = commit.dead.iter().map(|letter| 500 + letter.payload.len()).sum::<usize>();
    1_000 + events + dead + 2_000 * commit.effects.len() + commit.snapshot.as_ref().map_or(0, Vec::len)
}

enum Next {
    Attempted(Result<Committed, StoreError>),
    Urgent(Inbound),
    Due,
    TryAgain,
    HangsOn,
    GiveUp,
}

impl<D: Disk> Driver<D> {
    /// Returns when everything is on disk. `begun` is the try for `first` that hangs, or how it failed.
    pub(super) async fn without_disk(
        &mut self,
        first: Decided,
        begun: Result<Attempt, StoreError>,
        give_up: &CancellationToken,
    ) -> anyhow::Result<()> {
        let started = crate::clock::instant();
        let mut backoff = Backoff::new(Millis(100), Millis::from_secs(5));
        let mut held = Held::default();
        let mut said = false;
        let (mut retry_at, mut trouble_at) = (ticks(), ticks() + TROUBLE_AFTER);
        self.hold(&mut held, first);
        let (mut running, mut fault) = match begun {
            Ok(attempt) => (Some(attempt), None),
            Err(fault) => (None, Some(fault)),
        };
        loop {
            if let Some(failed) = fault.take() {
                if !failed.is_outage() {
                    return Err(failed.into());
                }
                metrics::counter!("gridwarden_commit_failures_total").increment(1);
                retry_at = ticks() + backoff.failed(fastrand::f64()).as_duration();
                let reason = Chain(&failed).to_string();
                if !std::mem::replace(&mut said, true) {
                    tracing::error!(
                        fault = reason,
                        "cannot write to the store: alarms are told from memory, nothing is acknowledged until this works. Free disk space or repair the disk"
                    );
                    self.say_trouble(&mut held, true);
                }
                let waiting = held.waiting.len();
                self.disk.wrong(format!("{reason}; alarms are told from memory, {waiting} batches wait and nothing is acknowledged"));
            }
            for inbound in self.nearest() {
                self.decide_urgent(&mut held, inbound);
            }
            let wake = self.engine.wake_at().map(|at| self.clock.instant_of(at));
            let paused = running.is_none();
            let next = select! {
                biased;
                result = async { running.as_mut().expect("guarded").await }, if !paused => Next::Attempted(result),
                Some(inbound) = self.outlet.urgent.recv(), if held.bytes < HELD_BYTES_MAX => Next::Urgent(inbound),
                () = until(wake) => Next::Due,
                () = sleep_until(retry_at), if paused => Next::TryAgain,
                () = sleep_until(trouble_at), if !said => Next::HangsOn,
                () = give_up.cancelled(), if paused => Next::GiveUp,
            };
            match next {
                Next::Urgent(inbound) => self.decide_urgent(&mut held, inbound),
                Next::Due => {
                    let decided = self.step(Vec::new(), self.clock.now());
                    if let Some(decided) = self.decided(Gathered::default(), decided, false) {
                        self.hold(&mut held, decided);
                    }
                }
                Next::TryAgain => {
                    running = held.waiting.front().map(|(oldest, _)| attempt(&self.store, oldest));
                }
                Next::HangsOn => {
                    said = true;
                    tracing::error!(
                        "a commit hangs: alarms are told from memory, nothing is acknowledged until the disk answers"
                    );
                    self.disk.wrong(
                        "the disk does not answer; alarms are told from memory, nothing is acknowledged",
                    );
                    self.say_trouble(&mut held, true);
                }
                Next::Attempted(Ok(committed)) => {
                    trouble_at = ticks() + TROUBLE_AFTER; // Only one commit that hangs is a trouble, not many that went well.
                    if let Some(stored) = held.pop() {
                        self.stored(stored, committed);
                    }
                    if held.waiting.is_empty() && std::mem::replace(&mut said, false) {
                        tracing::info!(after = ?started.elapsed(), "the store can be written again, and everything held is stored");
                        self.disk.fine();
                        self.say_trouble(&mut held, false);
                    }
                    let Some((oldest, _)) = held.waiting.front() else { return Ok(()) };
                    backoff.succeeded();
                    running = Some(attempt(&self.store, oldest));
                }
                Next::Attempted(Err(failed)) => (running, fault) = (None, Some(failed)),
                Next::GiveUp => anyhow::bail!(
                    "told to stop while the store cannot be written: {} batches were never acknowledged and are dropped",
                    held.waiting.len()
                ),
            }
        }
    }

    /// One urgent message and what goes with it.
    fn decide_urgent(&mut self, held: &mut Held, first: Inbound) {
        let now = self.clock.now();
        let inbounds = self.urgent(first);
        let mut gathered = self.merge(inbounds, now);
        let decided = self.step(std::mem::take(&mut gathered.events), now);
        if let Some(decided) = self.decided(gathered, decided, false) {
            self.hold(held, decided);
        }
    }

    /// The station's own trouble alarm begins or ends.
    fn say_trouble(&mut self, held: &mut Held, begins: bool) {
        let registry = self.world.load().registry.clone();
        let action = if begins { DISK.begins(&registry) } else { DISK.ends(&registry) };
        let decided = self.step(vec![Event::Action(action)], self.clock.now());
        if let Some(decided) = self.decided(Gathered::default(), decided, false) {
            self.hold(held, decided);
        }
    }

    /// Keeps it until it is stored, and has its alerts told now.
    fn hold(&mut self, held: &mut Held, decided: Decided) {
        let mut rows = alerts(&decided.commit).into_iter().peekable();
        for effect in &decided.commit.effects {
            match effect {
                Effect::Tell(alert) => {
                    let row = rows.next_if(|row| row.alert.key == alert.key);
                    row.into_iter().for_each(|row| self.unrecorded.add(row));
                }
                Effect::Withdraw(alarm) => self.unrecorded.withdraw(*alarm),
                Effect::Alarm(..) => (),
            }
        }
        held.push(decided);
    }

    fn stored(&mut self, decided: Decided, committed: Committed) {
        let commit = decided.commit.clone();
        self.settle(decided, committed);
        for effect in &commit.effects {
            if let Effect::Tell(alert) = effect {
                self.unrecorded.stored(&alert.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Alert, SignalClass, What};
    use crate::store::tests::{alarm, alert, entry};

    fn changed(alarm_id: u64, what: What) -> Effect {
        Effect::Alarm(Box::new(alarm(alarm_id, SignalClass::Fire)), entry(alarm_id, what))
    }

    fn tell(alarm: u64, step: u32) -> Effect {
        Effect::Tell(alert(alarm, SignalClass::Fire, step))
    }

    #[test]
    fn alerts_come_with_their_alarms_wherever_those_stand_and_without_what_is_withdrawn() {
        let effects = vec![
            changed(1, What::Raised),
            tell(1, 1),
            tell(2, Alert::SUMMARY),
            changed(2, What::Folded),
            tell(3, 1), // Its alarm is in the store only.
            changed(4, What::Raised),
            tell(4, 1),
            Effect::Withdraw(AlarmId(4)),
        ];
        let rows = alerts(&Commit { effects, ..Commit::default() });
        let found: Vec<_> = rows.iter().map(|row| (row.alert.key.as_str(), row.alarm.id)).collect();
        let keys = [alert(1, SignalClass::Fire, 1).key, alert(2, SignalClass::Fire, Alert::SUMMARY).key];
        assert_eq!(found, [(keys[0].as_str(), AlarmId(1)), (keys[1].as_str(), AlarmId(2))]);
    }
}
