//! How long to wait before the next try: doubling, capped, with full jitter so that many do not come back together.
//!
//! Pure: the random number comes in as an argument.

use crate::units::Millis;

#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Millis,
    cap: Millis,
    failures: u32,
}

impl Default for Backoff {
    /// For a connection: about half a second at first, half a minute at the most.
    fn default() -> Self {
        Self::new(Millis(500), Millis::from_secs(30))
    }
}

impl Backoff {
    pub const fn new(first: Millis, cap: Millis) -> Self {
        Self { first, cap, failures: 0 }
    }

    /// Another failure; how long to wait now. `random` lies in [0, 1).
    pub fn failed(&mut self, random: f64) -> Millis {
        let wait = wait_after(self.first, self.cap, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Between half and the whole of `first` doubled `failures` times, at most `cap`.
pub fn wait_after(first: Millis, cap: Millis, failures: u32, random: f64) -> Millis {
    let whole = first.0.saturating_mul(1 << failures.min(32)).min(cap.0);
    Millis(whole / 2 + (whole as f64 / 2.0 * random.clamp(0.0, 1.0)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let mut backoff = Backoff::new(Millis(100), Millis(500));
        let waits: Vec<_> = (0..5).map(|_| backoff.failed(1.0).0).collect();
        assert_eq!(waits, [100, 200, 400, 500, 500]);
        backoff.succeeded();
        assert_eq!(backoff.failed(0.0), Millis(50));
    }

    #[test]
    fn never_overflows() {
        assert!(
            wait_after(Millis(u64::MAX / 2), Millis::from_secs(30), u32::MAX, 0.5) <= Millis::from_secs(30)
        );
    }
}
