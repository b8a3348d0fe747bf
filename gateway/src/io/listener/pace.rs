//! How fast one connection is read: a token bucket that makes the reader wait and never drops.
//!
//! Up to one second's worth may come at once. What was read already is taken even when it overdraws the bucket; the debt is waited off.

use std::time::Duration;

use tokio::time::Instant;

pub struct Pace {
    per_s: f64,
    /// Below 0 is debt.
    tokens: f64,
    at: Instant,
}

impl Pace {
    pub fn new(per_s: u32, now: Instant) -> Self {
        let per_s = f64::from(per_s.max(1));
        Self { per_s, tokens: per_s, at: now }
    }

    /// For a source that refuses instead of waiting: whether one more may be taken now.
    pub fn take(&mut self, now: Instant) -> bool {
        let may = self.wait_until(now).is_none();
        if may {
            self.spend();
        }
        may
    }

    pub fn spend(&mut self) {
        self.tokens -= 1.0;
    }

    /// `None` when the next message may be taken now, else when.
    pub fn wait_until(&mut self, now: Instant) -> Option<Instant> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.per_s;
        self.tokens = (self.tokens + gained).min(self.per_s);
        self.at = now;
        // A few at once instead of one by one, so that a paced connection does not wake for every message.
        let debt = (1.0 - self.tokens).max(0.0);
        (debt > 0.0).then(|| now + Duration::from_secs_f64(debt / self.per_s).max(Duration::from_millis(5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as fast as it may for `seconds`.
    fn taken(per_s: u32, seconds: u64) -> u64 {
        let start = Instant::from_std(crate::clock::instant());
        let mut pace = Pace::new(per_s, start);
        let (mut now, mut taken) = (start, 0);
        while now < start + Duration::from_secs(seconds) {
            match pace.wait_until(now) {
                Some(later) => {
                    assert!(later > now, "it must not ask to be woken at once");
                    now = later;
                }
                None => {
                    pace.spend();
                    taken += 1;
                }
            }
        }
        taken
    }

    #[test]
    fn the_average_is_kept_after_the_first_second() {
        for per_s in [1, 3, 100, 2_000] {
            let taken = taken(per_s, 100);
            let right = u64::from(per_s) * 101;
            assert!(taken.abs_diff(right) <= right / 100 + 1, "{per_s}/s: {taken} of {right}");
        }
    }

    #[test]
    fn debt_is_waited_off() {
        let start = Instant::from_std(crate::clock::instant());
        let mut pace = Pace::new(10, start);
        for _ in 0..60 {
            pace.spend();
        }
        assert_eq!(pace.wait_until(start), Some(start + Duration::from_millis(5_100)));
        assert_eq!(pace.wait_until(start + Duration::from_secs(6)), None);
    }
}
