//! How much the station writes to its disk, hour by hour: flash dies of it.
//!
//! Pure. Kept as a small text in the store, so that a restart does not begin to count anew.

use crate::units::Steady;

const HOURS: usize = 24;

/// Bytes written in each of the last 24 hours of steady time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wear {
    hour: u64,
    /// By hour, modulo a day.
    bytes: [u64; HOURS],
}

impl Wear {
    pub fn add(&mut self, now: Steady, bytes: u64) {
        let hour = now.0 / 3_600_000;
        let passed = hour.saturating_sub(self.hour).min(HOURS as u64);
        for past in 0..passed {
            self.bytes[((hour - past) % HOURS as u64) as usize] = 0;
        }
        self.hour = self.hour.max(hour);
        self.bytes[(self.hour % HOURS as u64) as usize] += bytes;
    }

    /// Bytes in the last 24 hours, the running one included.
    pub fn last_day(&self) -> u64 {
        self.bytes.iter().sum()
    }

    pub fn text(&self) -> String {
        let bytes: Vec<String> = self.bytes.iter().map(u64::to_string).collect();
        format!("{}:{}", self.hour, bytes.join(","))
    }

    pub fn from_text(text: &str) -> Option<Self> {
        let (hour, bytes) = text.split_once(':')?;
        let bytes: Vec<u64> = bytes.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        Some(Self { hour: hour.parse().ok()?, bytes: bytes.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64) -> Steady {
        Steady(hour * 3_600_000 + 5)
    }

    #[test]
    fn counts_the_last_24_hours_and_forgets_what_is_older() {
        let mut wear = Wear::default();
        for hour in 1_000..1_030 {
            wear.add(at(hour), 10);
        }
        assert_eq!(wear.last_day(), 240);
        wear.add(at(1_030), 5);
        wear.add(at(1_030), 5);
        assert_eq!(wear.last_day(), 240);
        wear.add(at(1_053), 0);
        assert_eq!(wear.last_day(), 10, "hours without a look count as none");
        wear.add(at(9_000), 7);
        assert_eq!(wear.last_day(), 7);
    }

    #[test]
    fn survives_as_text() {
        let mut wear = Wear::default();
        wear.add(at(7), 123);
        wear.add(at(9), u64::MAX / 2);
        assert_eq!(Wear::from_text(&wear.text()), Some(wear));
        for bad in ["", "7", "7:", "7:1,2", "x:1"] {
            assert_eq!(Wear::from_text(bad), None, "{bad}");
        }
    }
}
