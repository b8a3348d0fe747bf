//! Rules that somebody is about to save, tried on the journal of the last days before they may be. One trial at a time, at half a core; a newer one takes the place of the one that runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::select;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Pace, rehearse};
use crate::clock::Clock;
use crate::config::rules::Rules;
use crate::engine::rules::RuleBook;
use crate::model::SignalClass;
use crate::proposal::weaker_fire_rules;
use crate::replay::{Difference, Line, Span, Trial};
use crate::store::Store;
use crate::units::{Millis, Timestamp};
use crate::world;

pub const DAYS_MAX: u32 = 28;

#[derive(Clone, Default)]
pub struct Previews {
    asked: Arc<Notify>,
    newest: Arc<Mutex<Option<Preview>>>,
}

/// One trial.
#[derive(Clone, Debug)]
pub struct Preview {
    pub number: u64,
    /// The rules that are tried.
    pub text: Arc<str>,
    pub days: u32,
    pub asked: Timestamp,
    pub state: State,
}

#[derive(Clone, Debug)]
pub enum State {
    Running,
    Done(Arc<Tried>),
    Failed(String),
}

#[derive(Debug)]
pub struct Tried {
    /// The rules that it was compared with.
    pub in_force: Arc<str>,
    pub span: Span,
    /// What would have been otherwise.
    pub difference: Difference,
    /// Whether the rules in force raise what was raised: how far the replay can be believed.
    pub believed: bool,
    /// Messages and deeds replayed; 0: the journal has nothing of that time.
    pub events: u64,
    /// Fire rules that are gone, slower or less sensitive, whatever the journal has seen.
    pub weaker: Vec<String>,
}

impl Tried {
    /// Names of the rules whose fires would be missed or later, or could be; `None` when there are more than are listed.
    pub fn fires_of(&self) -> Option<BTreeSet<&str>> {
        let Difference { fires_missed, fires_later, gone_lines, later_lines, .. } = &self.difference;
        let lines = gone_lines.iter().chain(later_lines);
        let fires: Vec<&Line> = lines.filter(|line| line.class == SignalClass::Fire).collect();
        let listed = fires.len() == (fires_missed + fires_later) as usize;
        let named = fires.into_iter().map(|line| line.rule.as_str());
        listed.then(|| named.chain(self.weaker.iter().map(String::as_str)).collect())
    }
}

impl Previews {
    /// The number under which it is found.
    pub fn ask(&self, text: &str, days: u32, now: Timestamp) -> u64 {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let number = newest.as_ref().map_or(1, |before| before.number + 1);
        let days = days.clamp(1, DAYS_MAX);
        *newest = Some(Preview { number, text: text.into(), days, asked: now, state: State::Running });
        self.asked.notify_one();
        number
    }

    pub fn newest(&self) -> Option<Preview> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn found(&self, number: u64, state: State) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(preview) = newest.as_mut().filter(|preview| preview.number == number) {
            preview.state = state;
        }
    }
}

/// Tries what is asked for.
pub struct Trials {
    pub store: Store,
    pub world: world::Shared,
    pub clock: Clock,
    pub previews: Previews,
}

impl Trials {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            select! {
                () = stop.cancelled() => return Ok(()),
                () = self.previews.asked.notified() => (),
            }
            let Some(preview) = self.previews.newest() else { continue };
            select! {
                () = stop.cancelled() => return Ok(()),
                // Somebody asks for another one: this one is of no use any more.
                () = self.previews.asked.notified() => self.previews.asked.notify_one(),
                tried = self.try_out(&preview) => self.previews.found(preview.number, match tried {
                    Ok(tried) => State::Done(Arc::new(tried)),
                    Err(fault) => State::Failed(format!("{fault:#}")),
                }),
            }
        }
    }

    async fn try_out(&self, preview: &Preview) -> anyhow::Result<Tried> {
        let now = self.clock.now().wall;
        let span = Span { from: now - Millis::from_secs(u64::from(preview.days) * 24 * 3600), to: now };
        let world = self.world.load_full();
        let rules = Rules::read(&preview.text).context("the rules that are tried")?;
        let now_in_force = Rules::read(&world.rules_text).context("the rules in force")?;
        let weaker = weaker_fire_rules(&now_in_force, &rules);
        let trial = Trial { rules: Arc::new(RuleBook::compile(&rules, &world.registry).0), without: None };
        let (registry, in_force) = (&world.registry, world.rules.clone());
        let rehearsal = rehearse(&self.store, registry, in_force, vec![trial], span, Pace::Half).await?;
        let (difference, believed, events) = match rehearsal {
            Some(rehearsal) => {
                let difference = rehearsal.differences(span).pop().context("there is one trial")?;
                (difference, rehearsal.against_what_was(span).is_none(), rehearsal.events)
            }
            None => (Difference::default(), true, 0),
        };
        Ok(Tried { in_force: world.rules_text.clone(), span, difference, believed, events, weaker })
    }
}
