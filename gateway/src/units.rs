//! Time and quantities: the unit is in the type.
//!
//! Two clocks, never mixed. [`Timestamp`] is wall-clock time, for records and people; it may jump when NTP arrives or
//! somebody sets the date. [`Steady`] only moves forward and is what every timer in the engine runs on; it survives a
//! restart because the journal stores it. [`Now`] is one reading of both. Only `clock.rs` makes one from the system.

pub mod zone;

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

pub use zone::Zone;

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// Milliseconds on the gateway's own clock, which never steps back and keeps counting across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Steady(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub wall: Timestamp,
    pub steady: Steady,
}

impl Timestamp {
    /// From seconds since 1970 with a fraction, as many devices send it. `None` when it is not finite or out of range.
    pub fn from_unix_seconds(seconds: f64) -> Option<Self> {
        let ms = seconds * 1000.0;
        (ms.is_finite() && ms.abs() <= 8.0e15).then_some(Self(ms as i64))
    }

    /// From RFC 3339 text such as `2026-11-23T03:00:00.5+08:00`; an offset is required.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }

    /// RFC 3339 in UTC with milliseconds, the form used in the API, the log and webhooks.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => format!("{at:.3}"),
            Err(_) => format!("invalid({})", self.0),
        }
    }

    /// How long after `earlier` this is; zero when it is before.
    pub fn since(self, earlier: Timestamp) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Steady {
    /// How long after `earlier` this is; zero when it is before.
    pub fn since(self, earlier: Steady) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Millis {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    pub fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl Add<Millis> for Timestamp {
    type Output = Timestamp;
    fn add(self, rhs: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(rhs.0))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Timestamp;
    fn sub(self, rhs: Millis) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(rhs.0))
    }
}

impl Add<Millis> for Steady {
    type Output = Steady;
    fn add(self, rhs: Millis) -> Steady {
        Steady(self.0.saturating_add(rhs.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// Written for people: `800 ms`, `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, mins, hours) = (self.0 / 1000, self.0 / 60_000, self.0 / 3_600_000);
        match secs {
            0 => write!(f, "{} ms", self.0),
            1..=119 => write!(f, "{secs} s"),
            120..=7_199 => write!(f, "{mins} min"),
            7_200..=172_799 => write!(f, "{hours} h {:02} min", mins % 60),
            _ => write!(f, "{} d {} h", hours / 24, hours % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_reads_as_people_say_it() {
        let said = [800, 45_000, 720_000, 11_100_000, 187_200_000].map(|ms| Millis(ms).to_string());
        assert_eq!(said, ["800 ms", "45 s", "12 min", "3 h 05 min", "2 d 4 h"]);
    }

    #[test]
    fn rfc3339_goes_both_ways() {
        let at = Timestamp::parse_rfc3339("2026-11-23T11:00:00.5+08:00").expect("valid");
        assert_eq!(at.rfc3339(), "2026-11-23T03:00:00.500Z");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-23T11:00:00"), None, "an offset is required");
    }

    #[test]
    fn impossible_seconds_are_refused() {
        assert_eq!(Timestamp::from_unix_seconds(f64::NAN), None);
        assert_eq!(Timestamp::from_unix_seconds(1e300), None);
    }
}
