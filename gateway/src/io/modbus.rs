//! Modbus source: one task per bus polls its units in turn and hands their values to the driver.
//!
//! The schedule is open-loop: a cycle begins every `poll_every_ms`, however long the last one took; one that took longer is counted and the
//! next begins at once. One request at a time. Who is asked next is decided in [`schedule`], who is dead in [`circuit`], what an answer is in [`line`], and
//! what it means in `decode/modbus.rs`; what a person asks in between is in [`question`]; this file only carries it out. A full inlet costs a poll, never the schedule. Writing to a device is absent.

pub mod circuit;
pub mod line;
pub mod question;
mod report;
pub mod schedule;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::select;
use tokio_modbus::ExceptionCode;
use tokio_util::sync::CancellationToken;

use self::circuit::Change;
use self::line::{Answer, Endpoint, Failure, Line};
use self::question::Questions;
use self::report::{Reporter, Sent};
use self::schedule::{Budget, Slot, Turn, turn};
use super::inlet::Inlet;
use crate::clock::instant;
use crate::config;
use crate::decode::modbus::{Layout, Plan, UnitPlan, compile};
use crate::decode::profile::Profiles;
use crate::world::Shared;

const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_LONGEST: Duration = Duration::from_secs(5);

/// One bus of station.toml, ready to run.
pub struct Bus {
    plan: Arc<Plan>,
    line: Line,
    questions: Questions,
    handle: question::Handle,
}

/// The same with the ways out.
struct Poller {
    plan: Arc<Plan>,
    line: Line,
    reporter: Reporter,
    questions: Questions,
}

/// How far the poll of one unit has come.
#[derive(Default)]
struct Progress {
    /// The unit refuses merged reads: read every field on its own.
    apart: bool,
    answers: Vec<Option<Vec<u16>>>,
    refusals: Vec<String>,
}

impl Progress {
    fn layout<'a>(&self, unit: &'a UnitPlan) -> &'a Layout {
        if self.apart { &unit.apart } else { &unit.together }
    }
}

impl Bus {
    /// `gridwarden check` shows the mistakes with their places; here they only keep a bus from running that was not checked.
    pub fn new(bus: &config::Bus, profiles: &Profiles) -> anyhow::Result<Self> {
        let plan = compile(bus, profiles).map_err(|problems| {
            let texts: Vec<_> = problems.into_iter().map(|problem| problem.text).collect();
            anyhow::anyhow!("the bus `{}`: {}", bus.name.get_ref(), texts.join("; "))
        })?;
        let endpoint = Endpoint::of(bus).expect("compile has seen that there is one");
        let line = Line::new(endpoint, plan.timeout.as_duration(), plan.pause.as_duration());
        let plan = Arc::new(plan);
        let (handle, questions) = question::channel(plan.clone(), line.endpoint().to_string());
        Ok(Self { plan, line, questions, handle })
    }

    /// Where people ask what a unit answers.
    pub fn handle(&self) -> question::Handle {
        self.handle.clone()
    }

    /// Until `stop`, or until the driver is gone. An outage of the line or of a unit is handled inside.
    pub async fn run(self, world: Shared, inlet: Inlet, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { plan, line, questions, handle: _ } = self;
        let reporter = Reporter::new(&plan, world, inlet);
        let mut poller = Poller { plan, line, reporter, questions };
        select! {
            biased;
            () = stop.cancelled() => (),
            () = poller.poll_for_ever() => (),
        }
        Ok(())
    }
}

impl Poller {
    async fn poll_for_ever(&mut self) {
        let now = instant();
        let mut slots = vec![Slot::new(now); self.plan.units.len()];
        let mut progress: Vec<Progress> = self.plan.units.iter().map(|_| Progress::default()).collect();
        let (period, patience) = (self.plan.poll_every.as_duration(), self.plan.timeout.as_duration());
        let (mut cycle_at, mut budget, mut down) = (now, Budget::new(now), Down::default());
        loop {
            let now = instant();
            // A unit that is only waiting out its pause does not delay the next cycle of the others.
            if cycle_at <= now && !slots.iter().any(|slot| slot.pending && slot.ready_at <= now) {
                cycle_at = self.begin_cycle(&mut slots, &mut progress, cycle_at, period, now);
            }
            let cost = |patience| self.line.cost_of_silence(patience);
            let turn = turn(&slots, now, cycle_at, patience, cost, &mut budget);
            if self.answer_question(turn, &mut slots, now).await {
                continue;
            }
            let outcome = match turn {
                Turn::WaitUntil(until) => {
                    self.questions.rest(until).await;
                    continue;
                }
                Turn::Read(at, patience) | Turn::Probe(at, patience) => {
                    self.ask(at, &mut slots[at], &mut progress[at], patience).await
                }
            };
            match outcome {
                Asked::Done => down.is_over(&self.plan.bus, &self.line),
                Asked::DriverGone => return,
                Asked::LineDown(error) => {
                    for (slot, progress) in slots.iter_mut().zip(&mut progress) {
                        slot.pending = false;
                        progress.restart();
                    }
                    let wait = down.again(&self.plan.bus, &self.line, &error);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Every live unit is to be polled; returns when the next cycle begins.
    fn begin_cycle(
        &self,
        slots: &mut [Slot],
        progress: &mut [Progress],
        cycle_at: Instant,
        period: Duration,
        now: Instant,
    ) -> Instant {
        for (slot, progress) in slots.iter_mut().zip(progress) {
            if slot.circuit.is_polled() && !slot.pending {
                slot.pending = true;
                progress.restart();
            }
        }
        let missed = now.duration_since(cycle_at).as_nanos() / period.as_nanos().max(1);
        self.reporter.late_cycles(missed as u64);
        cycle_at + period * (1 + missed as u32)
    }

    /// One request to one unit, and what follows from its outcome.
    async fn ask(
        &mut self,
        at: usize,
        slot: &mut Slot,
        progress: &mut Progress,
        patience: Duration,
    ) -> Asked {
        let unit = &self.plan.units[at];
        let full = self.plan.timeout.as_duration();
        let layout = progress.layout(unit);
        let next = progress.answers.len();
        let read = if slot.in_doubt { layout.odd } else { layout.reads[next] };
        let (asked, opened, strays) = (instant(), self.line.opened, self.line.stray_bytes);
        let outcome = self.line.read(unit.unit, read, patience).await;
        let now = instant();
        self.reporter.asked(self.line.opened - opened, self.line.stray_bytes - strays);
        slot.ready_at = now + unit.pause.as_duration();
        let answer = match outcome {
            Ok(answer) => answer,
            Err(Failure::Down(error)) => return Asked::LineDown(error),
            Err(failure) => {
                self.reporter.failed(&failure);
                slot.pending = false;
                slot.ready_at = slot.ready_at.max(asked + self.line.may_answer_for(full));
                let in_poll = !std::mem::replace(&mut slot.in_doubt, true);
                if slot.circuit.failed(now, in_poll) == Some(Change::TakenOut) {
                    tracing::warn!(bus = %self.plan.bus, unit = unit.unit, reason = %failure, "a unit is taken out of the polling until it answers a probe");
                }
                return Asked::after(self.reporter.finish(at, unit, layout, progress));
            }
        };
        slot.circuit.answered(now.duration_since(asked), now);
        if std::mem::take(&mut slot.in_doubt) {
            slot.pending = true;
            return Asked::Done;
        }
        match answer {
            Answer::Words(words) => progress.answers.push(Some(words)),
            Answer::Refused(why) => {
                if means_wrong_address(why) && !progress.apart && unit.apart.reads != unit.together.reads {
                    tracing::info!(bus = %self.plan.bus, unit = unit.unit, %read, "the unit refuses a merged read; its registers are read one by one");
                    progress.apart = true;
                    progress.restart();
                    return Asked::Done;
                }
                if !means_later(why) {
                    progress.refusals.push(format!(
                        "unit {} refuses to read {read}: {why}; correct `table` and `address` in station.toml (`gridwarden probe` shows what it answers)",
                        unit.unit
                    ));
                }
                progress.answers.push(None);
            }
        }
        if progress.answers.len() < layout.reads.len() {
            return Asked::Done;
        }
        slot.pending = false;
        if slot.circuit.completed() == Some(Change::TakenIn) {
            tracing::info!(bus = %self.plan.bus, unit = unit.unit, "a unit answers and is polled");
        }
        Asked::after(self.reporter.finish(at, unit, layout, progress))
    }
}

fn means_wrong_address(why: ExceptionCode) -> bool {
    matches!(why, ExceptionCode::IllegalDataAddress | ExceptionCode::IllegalDataValue)
}

fn means_later(why: ExceptionCode) -> bool {
    matches!(why, ExceptionCode::Acknowledge | ExceptionCode::ServerDeviceBusy)
}

impl Progress {
    fn restart(&mut self) {
        self.answers.clear();
        self.refusals.clear();
    }
}

enum Asked {
    Done,
    LineDown(std::io::Error),
    DriverGone,
}

impl Asked {
    fn after(sent: Sent) -> Self {
        match sent {
            Sent::Done => Self::Done,
            Sent::DriverGone => Self::DriverGone,
        }
    }
}

/// Whether the line can be opened at all, and how long to wait before the next try.
struct Down {
    since: Option<Instant>,
    wait: Duration,
}

impl Default for Down {
    fn default() -> Self {
        Self { since: None, wait: RECONNECT_FIRST }
    }
}

impl Down {
    fn again(&mut self, bus: &str, line: &Line, error: &std::io::Error) -> Duration {
        if self.since.is_none() {
            self.since = Some(instant());
            tracing::warn!(bus, line = %line.endpoint(), %error, "the Modbus line cannot be opened; trying again until it can");
        }
        let wait = self.wait.mul_f64(0.75 + fastrand::f64() / 2.0);
        self.wait = (self.wait * 2).min(RECONNECT_LONGEST);
        wait
    }

    fn is_over(&mut self, bus: &str, line: &Line) {
        if let Some(since) = self.since.take() {
            let down_s = instant().duration_since(since).as_secs();
            tracing::info!(bus, line = %line.endpoint(), down_s, "the Modbus line is open again");
            self.wait = RECONNECT_FIRST;
        }
    }
}
