//! Journal and alarms from the store into a replay, in pieces, on a thread that may work.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;

use crate::clock::instant;
use crate::engine::rules::RuleBook;
use crate::grid::Registry;
use crate::model::{AlarmId, AlarmState};
use crate::replay::{Rehearsal, Span, Trial, Was};
use crate::store::Store;
use crate::store::alarms::Query;
use crate::units::{Millis, Timestamp};

/// What stands at the beginning is learnt in this time before it.
const WARM_UP: Millis = Millis::from_secs(24 * 3600);
/// The journal is read in pieces of this size.
const PIECE_BYTES: usize = 4 << 20;
/// More alarms than this are not compared with: four months of a whole city.
const ALARMS_MAX: usize = 250_000;
const PAGE: u32 = 1_000;

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
