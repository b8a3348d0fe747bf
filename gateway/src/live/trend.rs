//! Whether a pressure rises or falls: its newest value against one of five to ten minutes ago, in two samples.

use crate::units::{Millis, Timestamp};

/// A sample is kept for this long, then it becomes the older of the two.
const KEEP: Millis = Millis::from_secs(300);
/// A change over less than this says nothing.
const LEAST: Millis = Millis::from_secs(60);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    older: Option<(Timestamp, f64)>,
    newer: Option<(Timestamp, f64)>,
}

impl Trend {
    pub fn take(&mut self, at: Timestamp, value: f64) {
        match self.newer {
            Some((since, _)) if since <= at && at.since(since) < KEEP => (),
            Some(_) | None => {
                self.older = self.newer;
                self.newer = Some((at, value));
            }
        }
    }

    /// Change per minute up to this value, in the value's unit; `None` when it has not been watched for a minute.
    pub fn per_minute(&self, at: Timestamp, value: f64) -> Option<f64> {
        let (since, before) = self.older.or(self.newer)?;
        let span = at.since(since);
        (LEAST <= span).then(|| (value - before) / (span.as_secs_f64() / 60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_is_measured_over_one_to_ten_minutes() {
        let mut trend = Trend::default();
        let mut seen = Vec::new();
        for second in 0..=1_200 {
            let (at, value) = (Timestamp(second * 1_000), 300.0 - second as f64 / 60.0 * 2.0);
            trend.take(at, value);
            seen.push(trend.per_minute(at, value));
        }
        assert!(seen[..60].iter().all(Option::is_none));
        assert!(seen[60..].iter().flatten().all(|change| (change + 2.0).abs() < 1e-9), "falls by 2 a minute");
        assert_eq!(seen[60..].iter().flatten().count(), 1_141);
    }

    #[test]
    fn a_jump_is_seen_for_five_to_ten_minutes() {
        let mut trend = Trend::default();
        for minute in 0..30 {
            let value = if minute < 10 { 300.0 } else { 200.0 };
            let at = Timestamp(minute * 60_000);
            trend.take(at, value);
            let falls = trend.per_minute(at, value).is_some_and(|change| change < -1.0);
            assert_eq!(falls, (10..15).contains(&minute), "minute {minute}");
        }
    }
}
