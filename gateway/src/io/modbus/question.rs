//! What a person asks of a unit while the bus is polled: one read, in a gap of the schedule.
//!
//! One question at a time on each bus, the next waits its turn or is told that the bus is busy. When the schedule leaves no gap, questions take a few hundredths of the line's time and no
//! more ([`super::schedule::question`]). What a question finds changes nothing in the polling, but that a unit which did not answer is left alone until a late answer to it can no
//! longer be taken for another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::line::{Answer, Failure};
use super::schedule::{Budget, Slot, Turn, question};
use super::{Poller, instant};
use crate::decode::modbus::{Plan, Read};

/// For its turn and its answer; below what an HTTP request may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// Where people ask; one for each bus.
#[derive(Clone)]
pub struct Handle {
    pub plan: Arc<Plan>,
    /// Such as `tcp 10.0.0.7:502`.
    pub line: String,
    questions: mpsc::Sender<Question>,
    one: Arc<Semaphore>,
}

pub struct Question {
    unit: u8,
    read: Read,
    answer: oneshot::Sender<Result<Answered, Failure>>,
}

#[derive(Debug)]
pub struct Answered {
    pub answer: Answer,
    pub took: Duration,
}

/// One variant per thing that the one who asks would do something different about.
#[derive(Debug, thiserror::Error)]
pub enum NotAnswered {
    #[error("somebody else is asking on this bus; ask again in a moment")]
    Busy,
    #[error("the bus had no room for the question within {} s: it is polled without a gap; ask again, or raise `poll_every_ms`", ANSWERED_WITHIN.as_secs())]
    NoRoom,
    #[error("the bus is not running")]
    Stopped,
    #[error("{0}")]
    Failed(Failure),
}

/// The bus's side.
pub struct Questions {
    come: mpsc::Receiver<Question>,
    waiting: Option<Question>,
    budget: Budget,
    /// Units that are not polled, and until when a late answer of theirs may come.
    strangers: BTreeMap<u8, Instant>,
}

pub fn channel(plan: Arc<Plan>, line: String) -> (Handle, Questions) {
    let (questions, come) = mpsc::channel(1);
    let asked =
        Questions { come, waiting: None, budget: Budget::full(instant()), strangers: BTreeMap::new() };
    (Handle { plan, line, questions, one: Arc::new(Semaphore::new(1)) }, asked)
}

impl Handle {
    pub async fn ask(&self, unit: u8, read: Read) -> Result<Answered, NotAnswered> {
        let _one = self.one.try_acquire().map_err(|_| NotAnswered::Busy)?;
        let (answer, answered) = oneshot::channel();
        let question = Question { unit, read, answer };
        self.questions.send(question).await.map_err(|_| NotAnswered::Stopped)?;
        let answered = timeout(ANSWERED_WITHIN, answered).await.map_err(|_| NotAnswered::NoRoom)?;
        answered.map_err(|_| NotAnswered::Stopped)?.map_err(NotAnswered::Failed)
    }
}

impl Questions {
    /// Until `until`, or until somebody asks.
    pub async fn rest(&mut self, until: Instant) {
        let rest = tokio::time::sleep_until(until.into());
        if self.waiting.is_some() {
            return rest.await;
        }
        tokio::select! {
            biased;
            () = rest => (),
            Some(question) = self.come.recv() => self.waiting = Some(question),
        }
    }

    /// The question that waits; one whose asker has gone is dropped.
    fn take_up(&mut self) {
        if self.waiting.as_ref().is_some_and(|question| question.answer.is_closed()) {
            self.waiting = None;
        }
        if self.waiting.is_none() {
            self.waiting = self.come.try_recv().ok();
        }
    }
}

impl Poller {
    /// Asks what a person wants to know, if there is room for it now. `true`: time has passed.
    pub(super) async fn answer_question(&mut self, turn: Turn, slots: &mut [Slot], now: Instant) -> bool {
        self.questions.take_up();
        let Some(waiting) = &self.questions.waiting else { return false };
        let full = self.plan.timeout.as_duration();
        let at = self.plan.units.iter().position(|unit| unit.unit == waiting.unit);
        let (ready_at, least) = match at {
            Some(at) => (slots[at].ready_at, slots[at].circuit.probe_patience(full, None).0),
            None => (self.questions.strangers.get(&waiting.unit).copied().unwrap_or(now), full),
        };
        if now < ready_at {
            return false;
        }
        let cost = |patience| self.line.cost_of_silence(patience);
        let Some(patience) = question(turn, now, least, full, cost, &mut self.questions.budget) else {
            return false;
        };
        let Some(Question { unit, read, answer }) = self.questions.waiting.take() else { return false };
        let said = self.ask_unit(unit, read, at.map(|at| &mut slots[at]), at, patience).await;
        let free_until = match turn {
            Turn::WaitUntil(until) => until,
            Turn::Read(..) | Turn::Probe(..) => now,
        };
        self.questions.budget.spend(instant().saturating_duration_since(free_until));
        let _ = answer.send(said); // The asker may have gone meanwhile.
        true
    }

    async fn ask_unit(
        &mut self,
        unit: u8,
        read: Read,
        mut slot: Option<&mut Slot>,
        at: Option<usize>,
        patience: Duration,
    ) -> Result<Answered, Failure> {
        let first = instant();
        // An answer to an earlier request may still be under way: ask first what only a fresh one fits.
        let doubt = at.filter(|_| slot.as_ref().is_some_and(|slot| slot.in_doubt));
        let odd = doubt.map(|at| self.plan.units[at].together.odd).filter(|odd| odd.count != read.count);
        let mut said = Ok(Answer::Words(Vec::new()));
        if let Some(odd) = odd {
            said = self.line.read(unit, odd, patience).await;
        }
        let asked = instant();
        if said.is_ok() {
            said = self.line.read(unit, read, patience).await;
        }
        let (now, full) = (instant(), self.plan.timeout.as_duration());
        let pause = at.map_or(Duration::ZERO, |at| self.plan.units[at].pause.as_duration());
        let left_alone = first + self.line.may_answer_for(full);
        match (&said, &mut slot) {
            (Ok(_), Some(slot)) => slot.ready_at = now + pause,
            (Err(_), Some(slot)) => {
                slot.in_doubt = true;
                slot.ready_at = (now + pause).max(left_alone);
            }
            (Ok(_), None) => {
                self.questions.strangers.remove(&unit);
            }
            (Err(_), None) => {
                self.questions.strangers.insert(unit, left_alone);
            }
        }
        said.map(|answer| Answered { answer, took: now.duration_since(asked) })
    }
}
