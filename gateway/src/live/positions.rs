//! Where the people on duty were last, as their phones say.
//!
//! Only the newest place of each person, in memory only, and only for [`KEPT`]: there is no track to be looked at later, none in a backup, and none after a restart. Whether
//! somebody may be asked about at all (on duty, in whose cells) is decided by those who show it: `http/positions.rs`. For choosing who is nearest, [`Positions::of`] is enough.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use crate::units::{Millis, Now, Steady, Timestamp};

/// An older place helps nobody to find somebody, and is none of our business any more.
pub const KEPT: Millis = Millis::from_secs(15 * 60);
/// People of whom a place is kept; beyond that the one heard longest ago is forgotten.
const PEOPLE_MAX: usize = 20_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Longitude and latitude in degrees (WGS 84).
    pub lon_lat: [f64; 2],
    /// Radius within which the phone says that it is.
    pub accuracy_m: Option<f64>,
    /// When the phone measured it.
    pub at: Timestamp,
    /// When it was told to us; what it is kept by.
    pub received: Steady,
}

/// By the person's id.
#[derive(Debug, Default)]
pub struct Positions(RwLock<BTreeMap<String, Position>>);

impl Positions {
    /// An older place never replaces a newer one.
    pub fn put(&self, person: &str, position: Position) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let since = position.received;
        all.retain(|_, known| since.since(known.received) < KEPT);
        if all.get(person).is_some_and(|known| position.at < known.at) {
            return;
        }
        if PEOPLE_MAX <= all.len() && !all.contains_key(person) {
            let oldest = all.iter().min_by_key(|(_, known)| known.received).map(|(id, _)| id.clone());
            oldest.and_then(|id| all.remove(&id));
        }
        all.insert(person.to_owned(), position);
    }

    pub fn forget(&self, person: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(person);
    }

    /// Where this person was in the last quarter of an hour.
    pub fn of(&self, person: &str, now: Now) -> Option<Position> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(person).copied().filter(|known| now.steady.since(known.received) < KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Now {
        Now { wall: Timestamp(second as i64 * 1000), steady: Steady(second * 1000) }
    }

    fn here(second: u64, lon: f64) -> Position {
        let Now { wall, steady } = at(second);
        Position { lon_lat: [lon, 32.1], accuracy_m: None, at: wall, received: steady }
    }

    #[test]
    fn the_newest_place_counts_for_a_quarter_of_an_hour() {
        let positions = Positions::default();
        assert_eq!(positions.of("wang", at(0)), None);
        positions.put("wang", here(10, 1.0));
        positions.put("wang", here(20, 2.0));
        // Sent late by a phone without a network.
        positions.put("wang", Position { at: Timestamp(5_000), ..here(30, 3.0) });
        assert_eq!(positions.of("wang", at(30)), Some(here(20, 2.0)));
        assert!(positions.of("wang", at(20 + 899)).is_some());
        assert_eq!(positions.of("wang", at(20 + 900)), None);
        positions.put("li", here(2_000, 1.0));
        assert_eq!(positions.0.read().unwrap().len(), 1, "what is too old is not even kept");
        positions.forget("li");
        assert_eq!(positions.of("li", at(2_000)), None);
    }

    #[test]
    fn memory_has_a_limit_and_the_one_heard_longest_ago_goes() {
        let positions = Positions::default();
        for number in 0..=PEOPLE_MAX as u64 {
            let received = Steady(number);
            positions.put(&format!("p{number}"), Position { received, ..here(0, 1.0) });
        }
        let now = Now { wall: Timestamp(0), steady: Steady(PEOPLE_MAX as u64) };
        assert_eq!(positions.of("p0", now), None);
        assert!(positions.of("p1", now).is_some());
        assert_eq!(positions.0.read().unwrap().len(), PEOPLE_MAX);
    }
}
