//! So many within an hour, one by one; for those beyond them somebody finds words that speak for all.
//!
//! Pure: time comes in as `now`.

use std::collections::VecDeque;

use crate::units::{Millis, Steady};

const HOUR: Millis = Millis::from_secs(3600);

/// When each of the last hour was, `MOST` at the most.
#[derive(Debug, Default)]
pub struct Hourly<const MOST: usize>(VecDeque<Steady>);

impl<const MOST: usize> Hourly<MOST> {
    /// Whether there is room for one more; it is counted then.
    pub fn take(&mut self, now: Steady) -> bool {
        while self.0.front().is_some_and(|at| *at + HOUR <= now) {
            self.0.pop_front();
        }
        let room = self.0.len() < MOST;
        if room {
            self.0.push_back(now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_any_hour() {
        let mut two = Hourly::<2>::default();
        let minute = 60_000;
        let taken = [0, 10, 20, 59, 60, 61, 69, 70, 119].map(|at| two.take(Steady(at * minute)));
        assert_eq!(taken, [true, true, false, false, true, false, false, true, false]);
    }
}
