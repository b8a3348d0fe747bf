//! The journal through other rules: what would have been raised, missed, or raised at another time, before the rules go live.
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

use anyhow::Context;

pub use difference::{Difference, Line, Span};
pub use run::{Identity, Raised, Was};

use crate::clock::instant;
use crate::engine::rules::RuleBook;
use crate::engine::{DEAF_FROM, Engine};
use crate::grid::Registry;
use crate::model::{AlarmId, AlarmState, Batch, DeviceIx};
use crate::store::Store;
use crate::store::alarms::Query;
use crate::units::{Millis, Now, Timestamp};
use run::Run;

/// What stands at the beginning is learnt in this time before it.
const WARM_UP: Millis = Millis::from_secs(24 * 3600);
/// The journal is read in pieces of this size.
const PIECE_BYTES: usize = 4 << 20;
/// More alarms than this are not compared with: four months of a whole city.
const ALARMS_MAX: usize = 250_000;
const PAGE: u32 = 1_000;

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

/// How fast to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// By hand, beside the station.
    Full,
    /// Inside the station: rests as long as it works, so that half a core at most is used.
    Half,
}

/// Runs everything that the journal has of `span`. `None`: there is nothing.
pub async fn rehearse(
    store: &Store,
    registry: &Arc<Registry>,
    in_force: Arc<RuleBook>,
    trials: Vec<Trial>,
    span: Span,
    pace: Pace,
) -> anyhow::Result<Option<Rehearsal>> {
    let mut read = store.batch_before(span.from - WARM_UP).await?;
    let first = store.batches_after(read, 1).await?;
    let Some(first) = first.first() else { return Ok(None) };
    let were = alarms_since(store, first.now.wall).await?;
    let mut rehearsal = Rehearsal::new(registry, in_force, trials, were, first.now);
    loop {
        let batches = store.batches_after(read, PIECE_BYTES).await?;
        let Some(newest) = batches.last() else { break };
        read = newest.seq;
        let (started, over) = (instant(), span.to <= newest.now.wall);
        let work = move || {
            batches.iter().filter(|batch| batch.now.wall < span.to).for_each(|batch| rehearsal.step(batch));
            rehearsal
        };
        rehearsal = tokio::task::spawn_blocking(work).await.context("the replay")?;
        if over {
            break;
        }
        if pace == Pace::Half {
            tokio::time::sleep(started.elapsed()).await;
        }
    }
    Ok(Some(rehearsal))
}

/// Alarms raised since then, and those that stood then and still do; oldest first.
pub async fn alarms_since(store: &Store, since: Timestamp) -> anyhow::Result<Vec<Was>> {
    let open = AlarmState::ALL.into_iter().filter(|&state| state != AlarmState::Closed).collect();
    let mut found: BTreeMap<AlarmId, Was> = BTreeMap::new();
    let query = Query { states: open, limit: u32::MAX, ..Query::default() };
    found.extend(store.alarms(query).await?.iter().map(|alarm| (alarm.id, Was::of(alarm))));
    let mut before = None;
    while found.len() < ALARMS_MAX {
        let page = store.alarms(Query { before, limit: PAGE, ..Query::default() }).await?;
        let fresh = page.iter().filter(|alarm| since <= alarm.raised);
        found.extend(fresh.map(|alarm| (alarm.id, Was::of(alarm))));
        match page.last() {
            Some(oldest) if since <= oldest.raised && page.len() == PAGE as usize => before = Some(oldest.id),
            Some(_) | None => break,
        }
    }
    Ok(found.into_values().collect())
}
