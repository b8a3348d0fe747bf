//! The station learns: once a day it looks at what came of its alarms, tries the changes that suggest themselves on the journal, and proposes those that do good.
//!
//! It changes nothing by itself. A person accepts ([`Desk::prepare`]): then one number of rules.toml becomes another, checked as a whole, written beside the file and moved into its
//! place, with the file as it was kept; and the rules are taken over as by a reload. Work is bounded: so many days, so many changes, half a core.

mod rehearse;

pub use rehearse::{Pace, alarms_since, rehearse};

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::select;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config;
use crate::config::rules::Rules;
use crate::engine::rules::RuleBook;
use crate::grid::Registry;
use crate::proposal::edit::{CannotEdit, edit};
use crate::proposal::{Change, Proposal, REFUSED_FOR, State, Suggestion, is_good, suggest};
use crate::replay::{Span, Trial};
use crate::store::Store;
use crate::units::Millis;
use crate::world::{self, Reload};

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
    /// `None` where nothing is configured by files.
    file: Option<RulesFile>,
}

/// rules.toml, and how to have it read again.
#[derive(Clone)]
pub struct RulesFile {
    /// station.toml
    pub station: PathBuf,
    pub rules: PathBuf,
    pub reload: Reload,
}

/// One variant per thing that the one who decides would do something different about.
#[derive(Debug, thiserror::Error)]
pub enum CannotAccept {
    #[error("{0}")]
    Edit(#[from] CannotEdit),
    #[error("rules.toml was edited and not taken over yet: reload the station first, then look again")]
    NotInForce,
    #[error("the rules would be refused: {0}")]
    Unsound(String),
    #[error("this station has no rules.toml that it could change")]
    NoFile,
    #[error(
        "{file} cannot be written ({error}); make its folder writable for the station, or edit it by hand: {change}"
    )]
    Unwritable { file: String, error: String, change: String },
}

impl Desk {
    pub fn new(file: RulesFile) -> Self {
        Self { look: Arc::default(), file: Some(file) }
    }

    /// Asks for a look now.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// Whether the change can be made now: what the file would be. Writes nothing.
    pub fn prepare(&self, change: &Change, in_force: &str) -> Result<Prepared, CannotAccept> {
        let file = self.file.clone().ok_or(CannotAccept::NoFile)?;
        let unwritable = |error: std::io::Error| file.unwritable(&error, change);
        let before = fs::read_to_string(&file.rules).map_err(unwritable)?;
        if before != in_force {
            return Err(CannotAccept::NotInForce);
        }
        let after = edit(&before, change)?;
        config::load_with_rules(&file.station, &file.rules, &after)
            .map_err(|problems| CannotAccept::Unsound(problems.to_string()))?;
        Ok(Prepared { before, after, file, change: change.clone() })
    }
}

/// A change that may be made.
pub struct Prepared {
    before: String,
    after: String,
    file: RulesFile,
    change: Change,
}

impl Prepared {
    /// The file as it was stays beside it; the new one is whole on disk before it takes its place. Then the rules are read again.
    pub fn make(&self, number: u64) -> Result<(), CannotAccept> {
        let kept = self.file.rules.with_extension(format!("before-proposal-{number}.toml"));
        let write = || -> std::io::Result<()> {
            write_whole(&kept, &self.before)?;
            write_whole(&self.file.rules, &self.after)
        };
        write().map_err(|error| self.file.unwritable(&error, &self.change))?;
        self.file.reload.ask();
        Ok(())
    }
}

impl RulesFile {
    fn unwritable(&self, error: &std::io::Error, change: &Change) -> CannotAccept {
        let file = self.rules.display().to_string();
        CannotAccept::Unwritable { file, error: error.to_string(), change: change.to_string() }
    }
}

/// Under another name first, then moved: whoever reads it sees the old text or the new one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    if let Ok(known) = fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    File::open(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()
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
            let world = self.world.load_full();
            let looked = select! {
                () = stop.cancelled() => return Ok(()),
                looked = look(&self.store, &world.registry, &world.rules_text, &self.clock) => looked,
            };
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
