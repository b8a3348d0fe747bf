//! The station learns: once a day it looks at what came of its alarms, tries the changes that suggest themselves on the journal, and proposes those that do good.
//!
//! It changes nothing by itself. A person accepts ([`Desk::prepare`]): then one number of rules.toml becomes another, checked as a whole, written beside the file and moved into its
//! place, with the file as it was kept; and the rules are taken over as by a reload. Work is bounded: so many days, so many changes, half a core.

mod file;
pub mod preview;
mod rehearse;

pub use file::{CannotAccept, Prepared, RulesFile};
pub use rehearse::{Pace, alarms_since, rehearse};

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::select;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::rules::Rules;
use crate::engine::rules::RuleBook;
use crate::grid::Registry;
use crate::proposal::edit::edit;
use crate::proposal::{Change, Proposal, REFUSED_FOR, State, Suggestion, is_good, suggest};
use crate::replay::{Span, Trial};
use crate::store::Store;
use crate::units::{Millis, Timestamp};
use crate::world;

/// The first look, after a start that may have other things to do; then daily.
const FIRST_LOOK: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// So far back alarms and journal are looked at.
const LOOK_BACK: Millis = Millis::from_secs(28 * 24 * 3600);
/// So many changes are tried in one look; each is an engine of its own beside the others.
const TRIALS_MAX: usize = 8;

/// Where people decide, and what makes it so.
#[derive(Clone, Default)]
pub struct Desk {
    look: Arc<Notify>,
    looks: watch::Sender<Looks>,
    /// `None` where nothing is configured by files.
    file: Option<RulesFile>,
    /// Where people try rules before they save them.
    pub previews: preview::Previews,
}

impl Desk {
    pub fn new(file: RulesFile) -> Self {
        Self { file: Some(file), ..Self::default() }
    }

    /// Asks for a look now.
    pub fn look(&self) {
        self.looks.send_modify(|looks| looks.running = true);
        self.look.notify_one();
    }

    pub fn looks(&self) -> Looks {
        *self.looks.borrow()
    }

    /// Whether the change can be made now: what the file would be. Writes nothing.
    pub fn prepare(&self, number: u64, change: &Change, in_force: &str) -> Result<Prepared, CannotAccept> {
        let kept = format!("proposal-{number}");
        self.file()?.prepare(in_force, |before| edit(before, change), &kept, change.to_string())
    }

    /// The same for rules that a person wrote.
    pub fn prepare_text(&self, text: &str, in_force: &str, now: Timestamp) -> Result<Prepared, CannotAccept> {
        let by_hand = "what was to be saved is still on the page".to_owned();
        self.file()?.prepare(in_force, |_| Ok(text.to_owned()), &format!("edit-{}", now.0 / 1_000), by_hand)
    }

    pub fn file(&self) -> Result<&RulesFile, CannotAccept> {
        self.file.as_ref().ok_or(CannotAccept::NoFile)
    }
}

/// Looks at the evidence from time to time, and when asked.
pub struct Learning {
    pub store: Store,
    pub world: world::Shared,
    pub clock: Clock,
    pub desk: Desk,
}

impl Learning {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut wait = FIRST_LOOK;
        loop {
            select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(wait) => (),
                () = self.desk.look.notified() => (),
            }
            wait = LOOK_EVERY;
            self.desk.looks.send_modify(|looks| looks.running = true);
            let world = self.world.load_full();
            let looked = select! {
                () = stop.cancelled() => return Ok(()),
                looked = look(&self.store, &world.registry, &world.rules_text, &self.clock) => looked,
            };
            let last = Some((self.clock.now().wall, looked.as_ref().ok().copied()));
            self.desk.looks.send_replace(Looks { running: false, last });
            match looked {
                Ok(found) => tracing::info!(
                    tried = found.tried,
                    proposed = found.proposed,
                    "looked at what came of the alarms"
                ),
                Err(fault) => {
                    tracing::warn!(
                        fault = format!("{fault:#}"),
                        "what came of the alarms could not be looked at"
                    )
                }
            }
        }
    }
}

/// Whether it is being looked now, and the last look since the start: when it ended and what it came to; without that it failed, and the log says why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    pub running: bool,
    pub last: Option<(Timestamp, Option<Looked>)>,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    pub tried: usize,
    pub proposed: usize,
}

/// One look: evidence, trials, proposals.
pub async fn look(
    store: &Store,
    registry: &Arc<Registry>,
    rules_text: &str,
    clock: &Clock,
) -> anyhow::Result<Looked> {
    let now = clock.now().wall;
    let span = Span { from: now - LOOK_BACK, to: now };
    let rules = Rules::read(rules_text).context("the rules in force")?;
    let cases = alarms_since(store, span.from).await?;
    let mut suggestions = suggest(&cases, &rules, registry);
    let refused = store.proposals(vec![State::Refused, State::Accepted], None, 1_000).await?;
    suggestions.retain(|suggestion| {
        refused.iter().all(|(_, _, old)| {
            let decided = old.decided.as_ref().map_or(old.made, |decision| decision.at);
            old.change != suggestion.change || REFUSED_FOR < now.since(decided)
        })
    });
    // The most alarms for nothing first.
    suggestions
        .sort_by_key(|suggestion| std::cmp::Reverse(suggestion.counts.wolf() + suggestion.counts.missed));
    suggestions.truncate(TRIALS_MAX);
    let trials: Vec<Trial> =
        suggestions.iter().filter_map(|one| trial(one, rules_text, &rules, registry)).collect();
    if trials.len() != suggestions.len() {
        anyhow::bail!("a suggested change does not fit the rules in force");
    }
    let tried = trials.len();
    let mut fresh = Vec::new();
    if tried > 0 {
        let in_force = Arc::new(RuleBook::compile(&rules, registry).0);
        let rehearsal = rehearse(store, registry, in_force, trials, span, Pace::Half).await?;
        let effects = rehearsal.map(|rehearsal| rehearsal.differences(span)).unwrap_or_default();
        for (Suggestion { change, counts, because }, effect) in suggestions.into_iter().zip(effects) {
            if is_good(&change, &effect) {
                let (from, to) = (span.from, span.to);
                fresh.push(Proposal { made: now, change, because, counts, from, to, effect, decided: None });
            }
        }
    }
    let proposed = fresh.len();
    store.propose(fresh).await?;
    Ok(Looked { tried, proposed })
}

fn trial(suggestion: &Suggestion, text: &str, rules: &Rules, registry: &Registry) -> Option<Trial> {
    if let Change::Exchange { device } = &suggestion.change {
        let without = registry.device_by_id(device).map(|device| device.ix);
        return Some(Trial { rules: Arc::new(RuleBook::compile(rules, registry).0), without });
    }
    let edited = edit(text, &suggestion.change).ok()?;
    let rules = Rules::read(&edited).ok()?;
    Some(Trial { rules: Arc::new(RuleBook::compile(&rules, registry).0), without: None })
}
