//! How long to wait before the next try.

use std::time::Duration;

/// The pauses after failures. Tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first failure; doubles with each further one.
    pub first: Duration,
    pub longest: Duration,
    /// Between tries when only a person can mend it.
    pub held: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            held: Duration::from_secs(30),
        }
    }
}

impl Pace {
    /// The pause after `failures` failures in a row, spread by `luck` (0 to 1) so that many gateways do not come back in step.
    pub fn pause(&self, failures: u32, luck: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(self.longest).mul_f64(0.5 + 0.5 * luck)
    }

    /// The server's wish is kept to, and never undercut.
    pub fn after_wish(&self, wish: Option<Duration>, failures: u32, luck: f64) -> Duration {
        match wish {
            Some(wish) => wish.max(self.first) + self.first.mul_f64(luck),
            None => self.pause(failures, luck),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let seconds = [1, 2, 3, 7, 8, 4_000_000_000].map(|n| Pace::default().pause(n, 1.0).as_secs_f64());
        assert_eq!(seconds, [0.5, 1.0, 2.0, 30.0, 30.0, 30.0]);
        assert_eq!(Pace::default().pause(1, 0.0).as_secs_f64(), 0.25);
    }

    #[test]
    fn a_wish_of_the_server_is_never_undercut() {
        for luck in [0.0, 0.5, 1.0] {
            let wait = Pace::default().after_wish(Some(Duration::from_secs(7)), 1, luck);
            assert!(wait >= Duration::from_secs(7) && wait < Duration::from_secs(8), "{wait:?}");
        }
        assert!(Pace::default().after_wish(Some(Duration::ZERO), 1, 0.0) > Duration::ZERO, "no spinning");
    }
}
