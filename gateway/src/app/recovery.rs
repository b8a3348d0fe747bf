//! What a start knows of the past: the engine brought to where the journal ends, and the pages filled.
//!
//! The past is replayed under the registry and the rules it had then; what was edited since is taken over afterwards by the driver. Effects of
//! replayed batches are dropped: they were committed with them.

use std::sync::Arc;

use super::reload::compile;
use crate::clock::{Clock, instant};
use crate::config::rules::Rules;
use crate::engine::Engine;
use crate::engine::rules::RuleBook;
use crate::grid::Registry;
use crate::live::Live;
use crate::model::{AlarmId, AlarmState, Batch, Event, Report};
use crate::store::alarms::Query;
use crate::store::{Recovered, Store};
use crate::world;

/// Replay reads the journal in pieces of this size.
const REPLAY_BYTES: usize = 4 << 20;
/// The live view begins with what this much of the journal's end says: the engine's snapshot holds no values, and without this, pages would be empty after every
/// restart until each device has spoken.
const LIVE_BYTES: u64 = 16 << 20;

/// The engine, and the number of the newest batch. `registry` is the store's; `rules` are used only when the store has none from before.
pub async fn recover(
    store: &Store,
    recovered: Recovered,
    registry: Arc<Registry>,
    rules: &Rules,
    clock: &Clock,
    live: &Live,
) -> anyhow::Result<(Engine, u64)> {
    let started = instant();
    let rules = match store.recall(world::RULES_MEMO).await?.map(|text| Rules::read(&text)) {
        Some(Ok(rules)) => compile(&rules, &registry),
        Some(Err(_)) | None => compile(rules, &registry),
    };
    let last = recovered.last.map_or(0, |(seq, _)| seq);
    let restored = match recovered.snapshot {
        _ if recovered.salvaged => None,
        None => Some((Engine::new(registry.clone(), rules.clone(), clock.now()), 0)),
        Some((seq, snapshot)) => match Engine::restore(&snapshot, registry.clone(), rules.clone()) {
            Ok(engine) => Some((engine, seq)),
            Err(fault) => {
                tracing::error!(%fault, "the engine's snapshot cannot be used: open alarms are taken from the store, and presence of every device is armed anew");
                None
            }
        },
    };
    let (mut engine, mut seq) = match restored {
        Some(restored) => restored,
        None => (salvage(store, registry, rules, clock).await?, last),
    };
    // One way through the journal for both: the engine from its snapshot on, the pages from further back.
    let mut read = store.before_the_last(LIVE_BYTES).await?.min(seq);
    let mut events = 0;
    loop {
        let batches = store.batches_after(read, REPLAY_BYTES).await?;
        let Some(newest) = batches.last() else { break };
        read = newest.seq;
        for batch in batches {
            if seq < batch.seq {
                engine.apply(&batch);
                events += batch.events.len();
                seq = batch.seq;
            }
            live.reports(reports(batch));
        }
    }
    tracing::info!(
        batches_to = seq,
        events_replayed = events,
        open_alarms = engine.open_alarms().count(),
        took = ?started.elapsed(),
        "the engine is where the journal ends"
    );
    Ok((engine, seq))
}

/// Without a snapshot that can be read: what the alarm table knows.
async fn salvage(
    store: &Store,
    registry: Arc<Registry>,
    rules: Arc<RuleBook>,
    clock: &Clock,
) -> anyhow::Result<Engine> {
    let newest = store.alarms(Query { limit: 1, ..Query::default() }).await?;
    let last = newest.first().map_or(AlarmId(0), |alarm| alarm.id);
    let states = AlarmState::ALL.into_iter().filter(|&state| state != AlarmState::Closed).collect();
    let open = store.alarms(Query { states, limit: u32::MAX, ..Query::default() }).await?;
    Ok(Engine::salvage(registry, rules, clock.now(), last, open))
}

fn reports(batch: Batch) -> impl Iterator<Item = Report> {
    batch.events.into_iter().filter_map(|event| match event {
        Event::Report(report) => Some(report),
        Event::Gone { .. } | Event::Action(_) => None,
    })
}
