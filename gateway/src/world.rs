//! What all tasks share and an import or reload replaces whole: registry, rules, topics.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::config::rules::FreshnessLimits;
use crate::decode::profile::Profiles;
use crate::decode::{Context, Topics};
use crate::engine::rules::RuleBook;
use crate::grid::Registry;

/// Name under which the store keeps the rules that the engine works with.
pub const RULES_MEMO: &str = "rules.toml";

/// One consistent view; take it once per message or request and keep it for that long.
#[derive(Clone)]
pub struct World {
    pub registry: Arc<Registry>,
    pub rules: Arc<RuleBook>,
    /// rules.toml as it was read, kept in the store with the engine's snapshot.
    pub rules_text: Arc<str>,
    pub topics: Arc<Topics>,
    pub freshness: Arc<FreshnessLimits>,
    /// Devices described as data.
    pub profiles: Arc<Profiles>,
}

/// The current [`World`].
pub type Shared = Arc<ArcSwap<World>>;

impl World {
    pub fn share(self) -> Shared {
        Arc::new(ArcSwap::from_pointee(self))
    }

    pub fn decoding(&self) -> Context {
        Context {
            registry: self.registry.clone(),
            freshness: self.freshness.clone(),
            profiles: self.profiles.clone(),
        }
    }
}

/// Asks for the configuration to be read again.
#[derive(Clone, Default)]
pub struct Reload(Arc<Notify>);

impl Reload {
    pub fn ask(&self) {
        self.0.notify_one();
    }

    pub async fn asked(&self) {
        self.0.notified().await;
    }
}
