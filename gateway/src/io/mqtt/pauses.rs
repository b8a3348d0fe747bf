//! How long to stay away from a broker that was lost or not reached.
//!
//! Pure. A broker that accepts a connection and soon ends it is no better than one that refuses: only a connection that lasted is a reason to
//! begin with a short pause again, or two clients with one id would throw each other out several times a second for ever.

use crate::engine::backoff::Backoff;
use crate::units::Millis;

/// A connection that lasted this long was a good one.
const GOOD_AFTER: Millis = Millis::from_secs(30);
/// So many connections in a row that were accepted and soon lost look like two clients with one id.
const SHORT_LIVES: u32 = 3;

#[derive(Default)]
pub struct Pauses {
    backoff: Backoff,
    short_lives: u32,
}

#[derive(Debug, PartialEq)]
pub struct Pause {
    pub wait: Millis,
    /// The first failure after things were good: worth a line in the log.
    pub first: bool,
    /// It was accepted and soon lost again and again; told once.
    pub thrown_out: bool,
}

impl Pauses {
    /// A connection that stood for `lasted`, or could not be made, is gone. `random` lies in [0, 1).
    pub fn lost(&mut self, lasted: Option<Millis>, random: f64) -> Pause {
        let short_life = match lasted {
            Some(lasted) if GOOD_AFTER <= lasted => {
                *self = Self::default();
                false
            }
            Some(_) => true,
            None => false,
        };
        self.short_lives += u32::from(short_life);
        let first = self.backoff.failures() == 0;
        let thrown_out = short_life && self.short_lives == SHORT_LIVES;
        Pause { wait: self.backoff.failed(random), first, thrown_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURS_6: u64 = 6 * 3600 * 1000;

    /// Attempts in six hours, each of which takes `took` and whose connection stands for `lasted`.
    fn attempts(took: u64, lasted: Option<Millis>, mut random: impl FnMut() -> f64) -> Vec<u64> {
        let (mut pauses, mut now, mut at) = (Pauses::default(), 0, Vec::new());
        while now < HOURS_6 {
            at.push(now);
            now += took + lasted.unwrap_or_default().0 + pauses.lost(lasted, random()).wait.0;
        }
        at
    }

    #[test]
    fn six_hours_of_refusal_are_some_hundred_attempts_that_keep_no_step() {
        let mut random = fastrand::Rng::with_seed(1);
        for lasted in [None, Some(Millis(5))] {
            let [one, other] = [(); 2].map(|()| attempts(0, lasted, || random.f64()));
            assert!((HOURS_6 / 30_000..HOURS_6 / 15_000 + 8).contains(&(one.len() as u64)), "{}", one.len());
            let gaps = one.windows(2).map(|pair| pair[1] - pair[0]).skip(6);
            assert!(gaps.clone().all(|gap| (15_000..=30_005).contains(&gap)));
            let different: std::collections::BTreeSet<u64> = gaps.collect();
            assert!(500 < different.len(), "two that failed together come back apart");
            let together = one.iter().filter(|at| other.contains(at)).count();
            assert!(together < 10, "{together} of {} at the same moment", one.len());
        }
    }

    #[test]
    fn only_a_connection_that_lasted_ends_the_long_pauses() {
        let mut pauses = Pauses::default();
        let waits: Vec<u64> = (0..8).map(|_| pauses.lost(Some(Millis(29_999)), 1.0).wait.0).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(
            pauses.lost(Some(GOOD_AFTER), 1.0),
            Pause { wait: Millis(500), first: true, thrown_out: false }
        );
        assert_eq!(pauses.lost(None, 1.0), Pause { wait: Millis(1_000), first: false, thrown_out: false });
    }

    #[test]
    fn the_third_short_life_in_a_row_is_told_once() {
        let mut pauses = Pauses::default();
        let lives = [Some(Millis(1)), Some(Millis(1)), None, Some(Millis(1)), None, Some(Millis(1))];
        let told = lives.map(|lasted| pauses.lost(lasted, 0.5).thrown_out);
        assert_eq!(told, [false, false, false, true, false, false]);
    }
}
