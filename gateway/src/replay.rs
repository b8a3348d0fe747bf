//! The journal through other rules: what would have been raised, missed, or raised at another time, before the rules go live.
//!
//! Pure: batches and alarms come in; `learning/rehearse.rs` reads them.
//!
//! Two kinds of runs of the real engine side by side over the same batches: one under the rules in force, and one for each trial. Both begin knowing nothing at the same moment, so
//! what they differ in comes from the rules alone. The registry is today's for all. The first run also tells how true the replay is: its alarms against those that the store has.
//!
//! The journal does not say when the gateway was away. The run under the rules in force finds out as a restart does: something was due long before the next batch,
//! or an empty batch changes nothing, which only a start or a reload writes. Trials are told the same; else they are woken whenever they ask to be, as the driver would have.

mod difference;
mod run;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use difference::{Difference, Line, Span};
pub use run::{Identity, Raised, Was};

use crate::engine::rules::RuleBook;
use crate::engine::{DEAF_FROM, Engine};
use crate::grid::Registry;
use crate::model::{AlarmId, Batch, DeviceIx};
use crate::units::Now;
use run::Run;

/// What is tried: other rules, or the same without what one device measures.
#[derive(Clone)]
pub struct Trial {
    pub rules: Arc<RuleBook>,
    pub without: Option<DeviceIx>,
}

/// All runs at one moment of the journal.
pub struct Rehearsal {
    base: Run,
    trials: Vec<Run>,
    were: Vec<Was>,
    known: BTreeMap<AlarmId, Was>,
    last: Now,
    pub batches: u64,
    pub events: u64,
}

impl Rehearsal {
    /// `were` are the alarms that the store has; `begin` is the moment of the first batch.
    pub fn new(
        registry: &Arc<Registry>,
        in_force: Arc<RuleBook>,
        trials: Vec<Trial>,
        were: Vec<Was>,
        begin: Now,
    ) -> Self {
        let run = |rules, without| Run::new(Engine::new(registry.clone(), rules, begin), without);
        Self {
            base: run(in_force, None),
            trials: trials.into_iter().map(|trial| run(trial.rules, trial.without)).collect(),
            known: were.iter().map(|was| (was.id, was.clone())).collect(),
            were,
            last: begin,
            batches: 0,
            events: 0,
        }
    }

    pub fn step(&mut self, batch: &Batch) {
        let overdue = self.base.engine().finds_itself_away(batch.now.steady);
        let applied = self.base.step(batch, &self.known);
        let gap = batch.now.steady.since(self.last.steady);
        let started = batch.events.is_empty() && applied.idle && DEAF_FROM < gap;
        if started {
            self.base.engine().was_away(self.last.steady, batch.now);
        }
        for trial in &mut self.trials {
            if overdue || started {
                trial.engine().was_away(self.last.steady, batch.now);
            } else {
                trial.wake_until(batch.seq, self.last, batch.now);
            }
            trial.step(batch, &self.known);
        }
        self.last = batch.now;
        self.batches += 1;
        self.events += batch.events.len() as u64;
    }

    /// For each trial, what would be otherwise.
    pub fn differences(&self, span: Span) -> Vec<Difference> {
        let trials = self.trials.iter();
        trials.map(|trial| Difference::of(self.base.raised(), trial.raised(), &self.were, span)).collect()
    }

    /// What the rules in force make of the journal, against what was: rules, registry or cells may have changed meanwhile.
    pub fn against_what_was(&self, span: Span) -> Difference {
        let mut were: Vec<Raised> = self.were.iter().map(as_raised).collect();
        were.sort_by_key(|raised| raised.at);
        Difference::of(&were, self.base.raised(), &self.were, span)
    }

    /// The engine under the rules in force: to look on, and at what it knows now.
    pub fn in_force(&mut self) -> &mut Engine {
        self.base.engine()
    }

    pub fn were(&self) -> &[Was] {
        &self.were
    }
}

fn as_raised(was: &Was) -> Raised {
    Raised {
        identity: was.identity.clone(),
        class: was.class,
        text: String::new(),
        device: None,
        cell: String::new(),
        at: was.raised,
        closed: was.closed,
    }
}
