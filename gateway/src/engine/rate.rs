//! The recent lowest value of one series (or highest, with the sign turned), to see how far it has risen (or fallen).
//!
//! Holds only values that may still become the lowest of the window, and at most [`SAMPLES_MAX`]: of values that come faster than that only
//! every so many is kept, which places the edge of the window by at most 1/32 too late, never a value too low. Part of the snapshot.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::condition::Verdict;
use crate::units::{Millis, Steady};

pub(super) const SAMPLES_MAX: usize = 34;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    /// Rising in time and in value.
    lows: VecDeque<(Steady, f64)>,
}

impl Window {
    pub fn len(&self) -> usize {
        self.lows.len()
    }

    /// Takes one value and judges it: abnormal when it has risen (or fallen) by `by` within the time, normal when by less than half.
    pub fn take(&mut self, value: f64, rising: bool, by: f64, within: Millis, now: Steady) -> Verdict {
        let value = if rising { value } else { -value };
        while self.lows.front().is_some_and(|(at, _)| within < now.since(*at)) {
            self.lows.pop_front();
        }
        while self.lows.back().is_some_and(|(_, low)| value <= *low) {
            self.lows.pop_back();
        }
        let apart = Millis(within.0 / 32);
        if self.lows.back().is_none_or(|(at, _)| apart < now.since(*at)) {
            self.lows.push_back((now, value));
        }
        let lowest = self.lows.front().map_or(value, |(_, low)| *low);
        match value - lowest {
            change if by <= change => Verdict::Abnormal,
            change if change < by / 2.0 => Verdict::Normal,
            _ => Verdict::Between,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdicts(rising: bool, values: &[(u64, f64)]) -> Vec<Verdict> {
        let mut window = Window::default();
        values
            .iter()
            .map(|&(s, value)| window.take(value, rising, 10.0, Millis::from_secs(60), Steady(s * 1000)))
            .collect()
    }

    #[test]
    fn judges_the_change_within_the_window() {
        use Verdict::{Abnormal as A, Between as B, Normal as N};
        for (what, rising, values, expected) in [
            ("a jump", true, &[(0, 20.0), (10, 30.0)][..], &[N, A][..]),
            ("slowly", true, &[(0, 20.0), (50, 24.0), (100, 28.0), (150, 32.0)], &[N, N, N, N]),
            ("in small steps", true, &[(0, 20.0), (20, 24.0), (40, 28.0), (59, 30.0)], &[N, N, B, A]),
            ("it levels off", true, &[(0, 20.0), (10, 30.0), (61, 30.0), (72, 30.0)], &[N, A, N, N]),
            ("the fall counts not", true, &[(0, 30.0), (10, 20.0)], &[N, N]),
            ("a fall", false, &[(0, 500.0), (10, 489.0), (20, 496.0)], &[N, A, N]),
        ] {
            assert_eq!(verdicts(rising, values), expected, "{what}");
        }
    }

    proptest! {
        /// Against the plain reckoning over all values: never a false alarm, and none missed that is clear by a margin of time.
        #[test]
        fn agrees_with_the_plain_reckoning_and_stays_small(steps in prop::collection::vec((0u64..3000, 0.0f64..30.0), 1..300)) {
            let (mut window, mut all, mut now) = (Window::default(), Vec::new(), 0);
            for (wait, value) in steps {
                now += wait;
                all.push((now, value));
                let verdict = window.take(value, true, 10.0, Millis(60_000), Steady(now));
                let rise = |within: u64| {
                    let recent = all.iter().filter(|(at, _)| now - at <= within).map(|(_, value)| *value);
                    value - recent.fold(f64::INFINITY, f64::min)
                };
                prop_assert!(window.lows.len() <= SAMPLES_MAX);
                if verdict == Verdict::Abnormal {
                    prop_assert!(10.0 <= rise(60_000));
                }
                if 10.0 <= rise(58_000) {
                    prop_assert_eq!(verdict, Verdict::Abnormal);
                }
            }
        }
    }
}
