//! Which messages make one batch: what is urgent at once, everything else with what may share its commit.
//!
//! The first of four things ends the gathering of routine messages: an urgent one, the commit interval, a batch's size, and a pause that says that a sender's window is full.
//! What one device said stays in order over both queues. Why: docs/decisions/0006-when-to-commit.md.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::select;
use tokio::time::sleep;

use super::{Disk, Driver};
use crate::clock::{ticks, until};
use crate::io::inlet::Inbound;
use crate::model::{DeviceIx, Event};
use crate::world::World;

/// Messages in one batch at the most.
const BATCH_MAX: usize = 2_000;
/// Reports with a flag set in one batch at the most: each may raise an alarm, and the first is not told before the last is decided and stored.
const FLAGGED_MAX: usize = 200;
/// Urgent messages in one batch at the most, and routine ones that go along with them, so that a storm of alarms does not stop telemetry.
const URGENT_MAX: usize = 200;
const ALONG_MAX: usize = 100;
/// With this many messages waiting, a pause that is so many times as long as one between them was means that a sender's window is full: it waits for us.
const STALL_MESSAGES: usize = 8;
const STALL_PAUSES: u32 = 6;
const STALL_SHORTEST: Duration = Duration::from_millis(3);
const STALL_LONGEST: Duration = Duration::from_millis(30);

pub(super) enum Turn {
    /// Empty when only time has passed.
    Batch(Vec<Inbound>),
    World(World),
    End,
}

impl<D: Disk> Driver<D> {
    /// Waits for something to do, and for what may share its commit.
    pub(super) async fn gather(&mut self) -> Turn {
        let answers = self.nearest();
        if !answers.is_empty() {
            return Turn::Batch(answers);
        }
        let room = self.strangers.lock().wake_at();
        let wakes = [self.engine.wake_at(), self.limit.wake_at(), self.letters.wake_at(), room];
        let wake = wakes.into_iter().flatten().min().map(|at| self.clock.instant_of(at));
        select! {
            biased;
            inbound = self.outlet.urgent.recv() => match inbound {
                Some(inbound) => return Turn::Batch(self.urgent(inbound)),
                // Every source has ended; what they had sent before is still to be done.
                None => if self.waiting.is_empty() && self.outlet.routine.recv_many(&mut self.waiting, BATCH_MAX).await == 0 {
                    return Turn::End;
                },
            },
            Some(world) = self.worlds.recv() => return Turn::World(world),
            () = until(wake) => return Turn::Batch(Vec::new()),
            () = std::future::ready(()), if !self.waiting.is_empty() => (),
            1.. = self.outlet.routine.recv_many(&mut self.waiting, BATCH_MAX) => (),
        }
        let began = ticks();
        let interval = sleep(self.commit_interval.as_duration());
        tokio::pin!(interval);
        let mut size = Size::of(&self.waiting);
        while size.has_room() {
            let before = self.waiting.len();
            select! {
                biased;
                Some(inbound) = self.outlet.urgent.recv() => return Turn::Batch(self.urgent(inbound)),
                more = self.outlet.routine.recv_many(&mut self.waiting, BATCH_MAX) => match more {
                    0 => break,
                    _ => self.waiting[before..].iter().for_each(|inbound| size.add(inbound)),
                },
                () = &mut interval => break,
                () = sleep(stall(began.elapsed(), size.messages)), if size.messages >= STALL_MESSAGES => break,
            }
        }
        let first = together(&self.waiting);
        Turn::Batch(self.waiting.drain(..first).collect())
    }

    /// The urgent messages there are, with what their devices said before and after them, and a little of what waits longest.
    pub(super) fn urgent(&mut self, first: Inbound) -> Vec<Inbound> {
        let mut urgent = vec![first];
        while urgent.len() < URGENT_MAX
            && let Ok(next) = self.outlet.urgent.try_recv()
        {
            urgent.push(next);
        }
        // No more than the queue has room for.
        while let Ok(next) = self.outlet.routine.try_recv() {
            self.waiting.push(next);
        }
        let devices: BTreeSet<DeviceIx> = urgent.iter().flat_map(devices).collect();
        let (mut batch, mut waiting) = (Vec::new(), Vec::with_capacity(self.waiting.len()));
        let mut along = 0;
        for inbound in self.waiting.drain(..) {
            if along < ALONG_MAX {
                along += inbound.messages();
                batch.push(inbound);
            } else {
                let (theirs, others) = inbound.split(&devices);
                batch.extend(theirs);
                waiting.extend(others);
            }
        }
        self.waiting = waiting;
        batch.append(&mut urgent);
        // What a device said after its fire comes after it: an "all clear" that is already here must end it, not be used up before.
        batch.sort_by_key(|inbound| inbound.place);
        batch
    }
}

/// What a batch is measured by.
#[derive(Default)]
struct Size {
    messages: usize,
    /// Reports that set a flag.
    flagged: usize,
}

impl Size {
    fn of(inbounds: &[Inbound]) -> Self {
        let mut size = Self::default();
        inbounds.iter().for_each(|inbound| size.add(inbound));
        size
    }

    fn add(&mut self, inbound: &Inbound) {
        let sets_flag = |event: &&Event| match event {
            Event::Report(report) => report.sets_flag(),
            Event::Gone { .. } | Event::Action(_) => false,
        };
        self.messages += inbound.messages();
        self.flagged += inbound.events.iter().filter(sets_flag).count();
    }

    fn has_room(&self) -> bool {
        self.messages < BATCH_MAX && self.flagged < FLAGGED_MAX
    }
}

/// How many of those that wait make one batch.
fn together(waiting: &[Inbound]) -> usize {
    let mut size = Size::default();
    let fits = |inbound: &&Inbound| {
        let room = size.flagged < FLAGGED_MAX;
        size.add(inbound);
        room && size.messages <= BATCH_MAX
    };
    waiting.iter().take_while(fits).count()
}

/// How long a pause must be to mean more than the pauses in which so many messages came.
fn stall(gathered: Duration, messages: usize) -> Duration {
    let pause = gathered / u32::try_from(messages.max(1)).unwrap_or(u32::MAX);
    (pause * STALL_PAUSES).clamp(STALL_SHORTEST, STALL_LONGEST)
}

fn devices(inbound: &Inbound) -> impl Iterator<Item = DeviceIx> + '_ {
    inbound.events.iter().filter_map(Event::reporter)
}

pub(super) fn messages(inbounds: &[Inbound]) -> usize {
    inbounds.iter().map(Inbound::messages).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Freshness, Metric, Quality, Report, Value};
    use crate::units::Timestamp;

    #[test]
    fn a_batch_ends_with_so_many_reports_that_set_a_flag() {
        let heard = |metric, value| {
            let values = vec![Value { metric, value, quality: Quality::Good }];
            let report = Report {
                device: DeviceIx(0),
                received: Timestamp(0),
                device_time: None,
                freshness: Freshness::Live,
                values,
            };
            Inbound { events: vec![Event::Report(report)], ..Inbound::default() }
        };
        let quiet =
            |many| (0..many).map(|_| heard(Metric::TAMPER, 0.0)).chain([heard(Metric::BATTERY, 87.0)]);
        let loud = |many| (0..many).map(|_| heard(Metric::TAMPER, 1.0));
        let waiting: Vec<Inbound> = quiet(2).chain(loud(FLAGGED_MAX)).chain(quiet(9)).collect();
        assert_eq!((Size::of(&waiting).flagged, together(&waiting)), (FLAGGED_MAX, 3 + FLAGGED_MAX));
        assert_eq!(together(&waiting[..FLAGGED_MAX]), FLAGGED_MAX, "all there are");
        let waiting: Vec<Inbound> = quiet(BATCH_MAX).collect();
        assert_eq!(together(&waiting), BATCH_MAX);
    }

    #[test]
    fn only_a_pause_longer_than_those_before_it_is_a_stall() {
        for (gathered_ms, messages, pause_ms) in [
            (1, 20, 3),    // A window of twenty came at once.
            (20, 20, 6),   // 1,000 a second.
            (95, 20, 28),  // 200 a second: their own pauses of 5 ms are none.
            (200, 8, 30),  // A few: they wait for the interval rather than for this.
            (0, 2_000, 3), // What was left of a batch with a fire.
        ] {
            let stalled = stall(Duration::from_millis(gathered_ms), messages);
            assert_eq!(stalled.as_millis(), pause_ms, "{messages} in {gathered_ms} ms");
        }
    }
}
