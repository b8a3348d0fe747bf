//! What people edit: the files of the configuration and the registry, taken in at the start and again when asked; a bad file is refused and the station runs on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::rules::Rules;
use crate::config::{self, FileMark, Loaded, RegistryFile, Topic, Whole, difference};
use crate::decode::{Family, Topics};
use crate::engine::rules::RuleBook;
use crate::grid::Registry;
use crate::health::Check;
use crate::import::import_parsed;
use crate::problem::Severity;
use crate::store::Store;
use crate::units::Zone;
use crate::world::{self, Reload, World};

/// How often the registry is looked at for an import by another process.
const REGISTRY_LOOK: Duration = Duration::from_secs(2);

/// Imports the files of `[registry]` when one of them is not what was imported last; all of them or none. Remarks about the configuration are logged.
pub async fn take_in_files(
    store: &Store,
    path: &Path,
    loaded: Loaded,
    check: &Check,
) -> anyhow::Result<Loaded> {
    let mut changed = false;
    for FileMark { name, sha256 } in &loaded.registry {
        changed |= sha256.is_none() || store.recall(&memo(name)).await? != *sha256;
    }
    let Whole { loaded, registry } = if changed {
        config::load_whole(path).map_err(|problems| anyhow!("{problems}"))?
    } else {
        Whole { loaded, registry: Some(Vec::new()) }
    };
    for remark in loaded.remarks.iter() {
        tracing::warn!("{remark}");
    }
    match registry {
        Some(files) => {
            if !files.is_empty() {
                import(store, &files, &loaded.config.station.time_zone).await?;
            }
            check.fine();
        }
        // A duty that ended yesterday must not keep a station with a registry from coming back after a power cut.
        None => {
            ensure!(
                store.registry_version().await? != 0,
                "a file of [registry] is wrong and the store has no registry yet; see the remarks above"
            );
            tracing::error!(
                "a file of [registry] is wrong: none is imported, the registry stays as it is in the store"
            );
            let wrong = loaded.remarks.iter().filter(|remark| remark.severity < Severity::Hint);
            let wrong: Vec<_> = wrong.map(ToString::to_string).collect();
            check.wrong(format!(
                "a file of [registry] is wrong, and the registry stays as it was: {}",
                wrong.join("; ")
            ));
        }
    }
    Ok(loaded)
}

/// Also when there are no files: the registry may still be in another time zone.
async fn import(store: &Store, files: &[RegistryFile], zone: &Zone) -> anyhow::Result<()> {
    let parsed: Vec<_> = files.iter().map(|file| file.parsed.clone()).collect();
    let difference = import_parsed(store, &parsed, zone, "[registry]", false).await?;
    if files.is_empty() {
        return Ok(());
    }
    tracing::info!("imported the files of [registry]: {}", difference.lines().next().unwrap_or("no change"));
    for FileMark { name, sha256 } in files.iter().map(|file| &file.mark) {
        store.remember(&memo(name), sha256.as_deref().context("a file that was read has a hash")?).await?;
    }
    Ok(())
}

/// Under which name the store remembers what was in a file when it was imported.
fn memo(name: &str) -> String {
    format!("registry.file:{name}")
}

/// `known` is used when the store still has that version.
pub async fn make_world(loaded: &Loaded, store: &Store, known: Arc<Registry>) -> anyhow::Result<World> {
    let registry = if store.registry_version().await? == known.version() {
        known
    } else {
        Registry::build(store.load_registry().await?)
    };
    let rules = compile(&loaded.rules, &registry);
    let topics = loaded.config.topics.iter();
    let profiles = loaded.profiles.clone();
    // Checked when the file was read: one of the two is there, and known.
    let family = |topic: &Topic| match (&topic.decoder, &topic.profile) {
        (Some(decoder), _) => Some(*decoder.get_ref()),
        (None, name) => name.as_ref().and_then(|name| profiles.ix(name.get_ref())).map(Family::Profile),
    };
    let topics = topics.filter_map(|topic| Some((topic.filter.get_ref().clone(), family(topic)?))).collect();
    Ok(World {
        registry,
        rules,
        rules_text: loaded.rules_text.as_str().into(),
        topics: Arc::new(Topics(topics)),
        freshness: Arc::new(loaded.rules.freshness.clone()),
        profiles,
    })
}

pub fn compile(rules: &Rules, registry: &Registry) -> Arc<RuleBook> {
    let (book, problems) = RuleBook::compile(rules, registry);
    for problem in problems {
        tracing::warn!("rules.toml: {problem}");
    }
    Arc::new(book)
}

/// Notices imports by other processes and reads the configuration again when asked.
pub struct Keeper {
    /// station.toml
    pub path: PathBuf,
    pub loaded: Loaded,
    pub store: Store,
    pub world: world::Shared,
    pub new_worlds: mpsc::Sender<World>,
    pub reload: Reload,
    /// Whether what is written in the files is what is in force.
    pub check: Check,
}

impl Keeper {
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut look = interval(REGISTRY_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missed = false;
        loop {
            let changed = select! {
                () = stop.cancelled() => return Ok(()),
                _ = look.tick() => self.imported_elsewhere().await,
                () = self.reload.asked() => self.read_again().await,
            };
            if !changed && !missed {
                continue;
            }
            let known = self.world.load().registry.clone();
            match make_world(&self.loaded, &self.store, known).await {
                Ok(new) => {
                    missed = false;
                    tracing::info!(version = new.registry.version(), "registry and rules are taken over");
                    if self.new_worlds.send(new).await.is_err() {
                        return Ok(()); // The driver has ended; so does everything else.
                    }
                }
                Err(fault) => {
                    missed = true;
                    tracing::error!(
                        fault = format!("{fault:#}"),
                        "registry and rules cannot be taken over yet; trying again"
                    );
                }
            }
        }
    }

    async fn imported_elsewhere(&self) -> bool {
        match self.store.registry_version().await {
            Ok(version) => version != self.world.load().registry.version(),
            Err(fault) => {
                tracing::warn!(%fault, "cannot look at the registry");
                false
            }
        }
    }

    /// `false`: it is refused, and the old one stays in force.
    async fn read_again(&mut self) -> bool {
        let read = match config::load(&self.path) {
            Ok(new) => take_in_files(&self.store, &self.path, new, &self.check).await,
            Err(problems) => Err(anyhow!("{problems}")),
        };
        match read {
            Ok(new) => {
                let difference = difference::of_rules(&self.loaded.rules_text, &new.rules_text);
                tracing::info!(
                    difference,
                    "the configuration was read again; rules and registry are taken over now, sources and addresses at the next start"
                );
                self.loaded = new;
                true
            }
            Err(fault) => {
                tracing::error!("the configuration is refused, the old one stays in force: {fault:#}");
                self.check.wrong(format!("refused, the old one stays in force: {fault:#}"));
                false
            }
        }
    }
}
