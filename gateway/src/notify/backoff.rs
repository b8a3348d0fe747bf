//! How long to wait before the next try.
//!
//! Pure. Doubling from one second up to a cap, then a random part of it ("full jitter"), so that a receiver that comes back is not met by
//! everybody at once. The other side's own wish is obeyed, within reason.

use crate::model::SignalClass;
use crate::units::Millis;

const FIRST: Millis = Millis(1_000);
const LEAST: Millis = Millis(200);
const MOST_FIRE: Millis = Millis::from_secs(30);
const MOST: Millis = Millis::from_secs(300);
/// A longer wish is cut to this: an alert that is an hour old is late enough.
const WISH_MOST: Millis = Millis::from_secs(3_600);
/// For fire: ask again after two minutes at the latest; a receiver that still wants rest will say so.
const WISH_MOST_FIRE: Millis = Millis::from_secs(120);

/// After `attempts` failed tries. `wish` is what the other side asked for (Retry-After); `random` lies in 0..1.
pub fn wait(attempts: u32, class: SignalClass, wish: Option<Millis>, random: f64) -> Millis {
    let (most, wish_most) = match class {
        SignalClass::Fire => (MOST_FIRE, WISH_MOST_FIRE),
        SignalClass::Supervisory | SignalClass::Trouble | SignalClass::Disabled | SignalClass::Test => {
            (MOST, WISH_MOST)
        }
    };
    let doubled = FIRST.0.saturating_mul(1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX));
    let ceiling = doubled.min(most.0);
    let jittered = Millis((ceiling as f64 * random.clamp(0.0, 1.0)) as u64).max(LEAST);
    jittered.max(wish.unwrap_or_default().min(wish_most))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use SignalClass::{Fire, Trouble};

    #[test]
    fn doubles_up_to_the_cap_and_obeys_the_other_side() {
        for (attempts, class, wish_s, random, ms) in [
            (1, Trouble, None, 1.0, 1_000),
            (2, Trouble, None, 1.0, 2_000),
            (5, Trouble, None, 0.5, 8_000),
            (9, Trouble, None, 1.0, 256_000),
            (10, Trouble, None, 1.0, 300_000),
            (6, Fire, None, 1.0, 30_000),
            (200, Trouble, None, 1.0, 300_000),
            (1, Trouble, None, 0.0, 200),
            (1, Trouble, Some(60), 0.0, 60_000),
            (1, Trouble, Some(86_400), 0.0, 3_600_000),
            (1, Fire, Some(86_400), 0.0, 120_000),
            (9, Trouble, Some(1), 1.0, 256_000),
        ] {
            let waited = wait(attempts, class, wish_s.map(Millis::from_secs), random);
            assert_eq!(waited, Millis(ms), "attempt {attempts}, {class:?}, wish {wish_s:?}, random {random}");
        }
    }

    proptest! {
        #[test]
        fn never_spins_and_never_sleeps_for_ever(attempts: u32, random in 0.0..1.0, wish: Option<u64>) {
            let wish = wish.map(Millis);
            let (fire, other) = (wait(attempts, Fire, wish, random), wait(attempts, Trouble, wish, random));
            prop_assert!(LEAST <= fire && fire <= WISH_MOST_FIRE);
            prop_assert!(LEAST <= other && other <= WISH_MOST);
            prop_assert!(fire <= other, "fire is never tried more seldom");
        }
    }
}
