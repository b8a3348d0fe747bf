//! Dead letters in bounded number: a million unusable messages leave a few hundred rows a minute and one that counts the rest.
//!
//! Pure. Of each source the first [`KEPT_PER_MINUTE`] letters of a minute are kept, each different one once; when the minute is over
//! one letter says how many more there were, with the newest of them as the sample. A power cut loses at most one such count.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::model::DeadLetter;
use crate::units::{Millis, Steady};

const KEPT_PER_MINUTE: usize = 300;
const MINUTE: Millis = Millis::from_secs(60);
/// Sources are few and named in station.toml.
const SOURCES_MAX: usize = 1_000;

#[derive(Default)]
pub struct Letters {
    sources: BTreeMap<String, Minute>,
    hasher: RandomState,
}

struct Minute {
    until: Steady,
    seen: HashSet<u64>,
    more: u64,
    newest: Option<DeadLetter>,
}

impl Letters {
    /// Those of `letters` that are kept now.
    pub fn take(&mut self, letters: Vec<DeadLetter>, now: Steady) -> Vec<DeadLetter> {
        letters.into_iter().filter_map(|letter| self.take_one(letter, now)).collect()
    }

    fn take_one(&mut self, letter: DeadLetter, now: Steady) -> Option<DeadLetter> {
        if !self.sources.contains_key(&letter.source) {
            if self.sources.len() == SOURCES_MAX {
                return None;
            }
            let minute = Minute { until: now + MINUTE, seen: HashSet::new(), more: 0, newest: None };
            self.sources.insert(letter.source.clone(), minute);
        }
        let minute = self.sources.get_mut(&letter.source)?;
        let what = self.hasher.hash_one((&letter.address, &letter.reason));
        if minute.seen.len() < KEPT_PER_MINUTE && minute.seen.insert(what) {
            return Some(letter);
        }
        minute.more += 1;
        minute.newest = Some(letter);
        None
    }

    /// When [`Letters::due`] has something.
    pub fn wake_at(&self) -> Option<Steady> {
        self.sources.values().map(|minute| minute.until).min()
    }

    /// For each source whose minute is over, what was not kept of it.
    pub fn due(&mut self, now: Steady) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        self.sources.retain(|_, minute| {
            let over = minute.until <= now;
            if over && let Some(newest) = minute.newest.take() {
                letters.push(DeadLetter {
                    reason: format!(
                        "{} more messages of this source could not be used within a minute and are not kept one by one; this is the newest of them: {}",
                        minute.more, newest.reason
                    ),
                    ..newest
                });
            }
            !over
        });
        letters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    fn letter(source: &str, address: String) -> DeadLetter {
        DeadLetter {
            received: Timestamp(1),
            source: source.into(),
            address,
            reason: "unknown device".into(),
            payload: vec![1],
        }
    }

    #[test]
    fn a_million_unknown_devices_leave_a_few_hundred_letters_and_one_count() {
        let mut letters = Letters::default();
        let mut kept = 0;
        for n in 0..1_000_000u64 {
            kept += letters.take(vec![letter("listener", format!("up/{n}"))], Steady(n / 100)).len();
        }
        assert_eq!(kept, KEPT_PER_MINUTE);
        assert_eq!(
            letters.take(vec![letter("broker:main", "up/1".into())], Steady(0)).len(),
            1,
            "another source"
        );
        assert!(letters.due(Steady(59_999)).is_empty());
        let said = letters.due(Steady(60_000));
        assert_eq!(said.len(), 1, "a source with nothing more to say says nothing");
        assert!(said[0].reason.starts_with("999700 more messages"), "{}", said[0].reason);
        assert_eq!(said[0].address, "up/999999");
        assert_eq!(letters.wake_at(), None, "nothing is remembered of a source that is quiet");
    }

    #[test]
    fn the_same_again_is_counted() {
        let mut letters = Letters::default();
        let kept = letters.take(vec![letter("listener", "up/1".into()); 50], Steady(0));
        assert_eq!(kept.len(), 1);
        assert!(letters.due(Steady(60_000))[0].reason.starts_with("49 more"));
    }
}
