//! Whether a channel is alive: what its last attempts came to, and what to do with an alert that is due.
//!
//! Pure. A channel that has failed without a success for `dead_after` is dead. While it is dead, alerts that have another way take it at once, and
//! one of them in [`PROBE_EVERY`] tries this one all the same, which is how it comes alive again. A fire is late by the time of such a try, so it
//! tries only where nothing else has for long.

use crate::units::{Millis, Steady};

const PROBE_EVERY: Millis = Millis::from_secs(30);
const FIRE_PROBES_EVERY: Millis = Millis::from_secs(600);

#[derive(Debug)]
pub struct Condition {
    dead_after: Millis,
    failing_since: Option<Steady>,
    tried_at: Steady,
}

impl Condition {
    pub fn new(dead_after: Millis) -> Self {
        Self { dead_after, failing_since: None, tried_at: Steady(0) }
    }

    pub fn worked(&mut self) {
        self.failing_since = None;
    }

    pub fn failed(&mut self, now: Steady) {
        self.failing_since.get_or_insert(now);
        self.tried_at = now;
    }

    pub fn dead(&self, now: Steady) -> bool {
        self.dead_at().is_some_and(|at| at <= now)
    }

    /// When it will be dead unless something works.
    pub fn dead_at(&self) -> Option<Steady> {
        self.failing_since.map(|since| since + self.dead_after)
    }

    /// Whether an alert that has another way should try this one. Asking counts as trying.
    pub fn worth_trying(&mut self, fire: bool, now: Steady) -> bool {
        if !self.dead(now) {
            return true;
        }
        let every = if fire { FIRE_PROBES_EVERY } else { PROBE_EVERY };
        let probe = self.tried_at + every <= now;
        if probe {
            self.tried_at = now;
        }
        probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_after_a_time_of_failures_and_probed_now_and_then() {
        let mut channel = Condition::new(Millis::from_secs(60));
        assert!(channel.worth_trying(false, Steady(0)));
        channel.failed(Steady(1_000));
        channel.failed(Steady(50_000));
        assert!(!channel.dead(Steady(60_999)) && channel.dead(Steady(61_000)));
        assert_eq!(channel.dead_at(), Some(Steady(61_000)));
        assert!(!channel.worth_trying(false, Steady(61_000)), "the last try is eleven seconds old");
        assert!(!channel.worth_trying(true, Steady(80_000)), "a fire does not lose the time");
        assert!(channel.worth_trying(false, Steady(80_000)) && !channel.worth_trying(false, Steady(80_001)));
        assert!(channel.worth_trying(true, Steady(680_000)), "but somebody must try");
        channel.worked();
        assert!(channel.worth_trying(false, Steady(680_002)) && channel.dead_at().is_none());
        channel.failed(Steady(690_000));
        assert!(channel.worth_trying(false, Steady(690_001)), "it begins anew");
    }
}
