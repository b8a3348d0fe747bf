//! Whether telemetry is being lost: the journal is full and drops what InfluxDB has not taken.
//!
//! Pure. Told the store's count of dropped readings now and then. The trouble stands while the count grows and for a while after, because
//! retention works in steps and an alarm must not flap with them.

use crate::units::{Millis, Steady};

/// After the last loss the trouble stands for so long.
const STANDS_FOR: Millis = Millis::from_secs(600);

#[derive(Default)]
pub struct Losses {
    /// The count at the last look; what was dropped before the first look is old news.
    dropped: Option<u64>,
    last: Option<Steady>,
}

impl Losses {
    /// Whether readings are being lost, by the count at `now`.
    pub fn look(&mut self, dropped: u64, now: Steady) -> bool {
        if self.dropped.replace(dropped).is_some_and(|before| before < dropped) {
            self.last = Some(now);
        }
        self.last.is_some_and(|last| now.since(last) < STANDS_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_while_readings_are_lost_and_ten_minutes_longer() {
        let mut losses = Losses::default();
        for (second, dropped, losing) in [
            (0, 7_000, false), // Of an earlier run.
            (5, 7_000, false),
            (10, 7_200, true),
            (40, 7_200, true),
            (300, 7_900, true),
            (899, 7_900, true),
            (900, 7_900, false),
            (905, 7_901, true),
        ] {
            assert_eq!(losses.look(dropped, Steady(second * 1_000)), losing, "at {second} s");
        }
    }
}
