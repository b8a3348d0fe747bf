//! Roll-calls by the clock on the wall: at the times of `[roll_call]` everybody on duty is asked whether he is there.
//!
//! Whom it concerns is looked up at that moment and said in the deed, so a replay asks the same. A time at which the gateway does not run passes without; a clock that
//! cannot be trusted calls nobody.

use std::time::Duration;

use tokio::select;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::inlet::Inlet;
use super::own_trouble;
use crate::clock::Clock;
use crate::model::{Action, Deed};
use crate::units::Timestamp;
use crate::world::{self, World};

/// Shorter than the minute to which times are given.
const TICK: Duration = Duration::from_secs(10);
const MINUTE_MS: i64 = 60_000;

pub struct RollCalls {
    pub clock: Clock,
    pub world: world::Shared,
    pub inlet: Inlet,
}

impl RollCalls {
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut called = None;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => (),
            }
            let now = self.clock.now().wall;
            let minute = now.0.div_euclid(MINUTE_MS);
            if called == Some(minute) || !self.clock.trusted() {
                continue;
            }
            let Some(deed) = due(&self.world.load(), now) else { continue };
            called = Some(minute);
            match self.inlet.act(Action { who: own_trouble::WHO.to_owned(), what: deed }).await {
                Ok(Ok(first)) => tracing::info!(%first, "the roll is called"),
                Ok(Err(refusal)) => tracing::warn!(%refusal, "the roll is not called"),
                Err(_) => return Ok(()), // The gateway is stopping.
            }
        }
    }
}

/// Whom to ask now.
fn due(world: &World, now: Timestamp) -> Option<Deed> {
    let cells = world.rules.roll_call_at(now)?;
    let people = world.registry.answering_below(cells, now).into_iter();
    let people: Vec<_> = people.map(|(cell, person)| (cell, person.id.clone())).collect();
    (!people.is_empty()).then_some(Deed::RollCall { people, note: None })
}
