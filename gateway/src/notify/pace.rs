//! How many messages a provider takes, and who must wait.
//!
//! Pure. A limit is a window: at most so many in any so many seconds. The moments of the last ones are kept, so a token comes back a whole window
//! after it was taken, which is what providers count by; a bucket that refills evenly lets twice as many through in some windows. A quarter of each window,
//! rounded down, is for fire alone. Memory is bounded by the windows, and by forgetting receivers that nothing was sent to for a window.

use std::collections::{BTreeMap, VecDeque};

use crate::units::{Millis, Steady};

/// Whom the provider counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    Channel,
    Person,
}

/// At most `count` in any `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub count: u32,
    pub per: Millis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub each: Each,
    windows: [Option<Window>; 4],
}

impl Limits {
    pub const NONE: Self = Self { each: Each::Channel, windows: [None; 4] };

    /// Up to four pairs of a count and seconds.
    pub const fn of(each: Each, pairs: &[(u32, u64)]) -> Self {
        let (mut windows, mut i) = ([None; 4], 0);
        while i < pairs.len() && i < 4 {
            windows[i] = Some(Window { count: pairs[i].0, per: Millis::from_secs(pairs[i].1) });
            i += 1;
        }
        Self { each, windows }
    }

    /// Nobody counts.
    pub fn is_none(&self) -> bool {
        self.windows().next().is_none()
    }

    fn windows(&self) -> impl Iterator<Item = &Window> {
        self.windows.iter().flatten()
    }

    fn longest(&self) -> Millis {
        self.windows().map(|window| window.per).max().unwrap_or_default()
    }
}

/// Of one channel.
#[derive(Debug)]
pub struct Pace {
    limits: Limits,
    receivers: BTreeMap<String, Receiver>,
}

#[derive(Debug, Default)]
struct Receiver {
    /// The last ones, as many as the largest window counts.
    sent: VecDeque<Steady>,
    /// The provider asked for silence until then.
    rest_until: Steady,
    /// For fire the silence is broken earlier.
    rest_fire_until: Steady,
}

/// After so long a fire asks again, whatever silence the provider wanted.
const REST_FIRE_MOST: Millis = Millis::from_secs(120);
/// Above this many receivers those that have all their tokens are forgotten.
const RECEIVERS_MAX: usize = 10_000;

impl Pace {
    pub fn new(limits: Limits) -> Self {
        Self { limits, receivers: BTreeMap::new() }
    }

    /// Nobody counts.
    pub fn is_without_limits(&self) -> bool {
        self.limits.is_none()
    }

    /// Whose tokens a message to this person takes.
    pub fn receiver<'a>(&self, person: Option<&'a str>) -> &'a str {
        match self.limits.each {
            Each::Channel => "",
            Each::Person => person.unwrap_or_default(),
        }
    }

    /// Messages that may go to this receiver now.
    pub fn free(&self, receiver: &str, fire: bool, now: Steady) -> u32 {
        let Some(known) = self.receivers.get(receiver) else {
            return self.limits.windows().map(|window| window.open_to(fire)).min().unwrap_or(u32::MAX);
        };
        if now < known.rest(fire) {
            return 0;
        }
        let left = |window: &Window| window.open_to(fire).saturating_sub(known.within(window, now));
        self.limits.windows().map(left).min().unwrap_or(u32::MAX)
    }

    /// When there is a token again for a receiver that has none.
    pub fn free_at(&self, receiver: &str, fire: bool, now: Steady) -> Steady {
        let Some(known) = self.receivers.get(receiver) else { return now };
        let each = self.limits.windows().map(|window| {
            let open = window.open_to(fire) as usize;
            let used = known.within(window, now) as usize;
            if used < open {
                return now;
            }
            // With the oldest of the last `open` ones out of the window one is free.
            known.sent.get(known.sent.len() - open.max(1)).map_or(now, |at| *at + window.per)
        });
        each.max().unwrap_or(now).max(known.rest(fire))
    }

    /// One message goes to this receiver.
    pub fn take(&mut self, receiver: &str, now: Steady) {
        let keep = self.limits.windows().map(|window| window.count as usize).max().unwrap_or_default();
        if keep == 0 {
            return;
        }
        if RECEIVERS_MAX <= self.receivers.len() {
            let longest = self.limits.longest();
            self.receivers.retain(|_, known| {
                now < known.rest_until || known.sent.back().is_some_and(|last| now < *last + longest)
            });
        }
        let known = self.receivers.entry(receiver.to_owned()).or_default();
        known.sent.push_back(now);
        while keep < known.sent.len() {
            known.sent.pop_front();
        }
    }

    /// The provider wants silence.
    pub fn rest(&mut self, receiver: &str, now: Steady, until: Steady) {
        let known = self.receivers.entry(receiver.to_owned()).or_default();
        known.rest_until = known.rest_until.max(until);
        known.rest_fire_until = known.rest_fire_until.max(until.min(now + REST_FIRE_MOST));
    }
}

impl Window {
    fn open_to(&self, fire: bool) -> u32 {
        if fire { self.count } else { self.count - self.count / 4 }
    }
}

impl Receiver {
    fn rest(&self, fire: bool) -> Steady {
        if fire { self.rest_fire_until } else { self.rest_until }
    }

    fn within(&self, window: &Window, now: Steady) -> u32 {
        let recent = self.sent.iter().rev().take_while(|at| now < **at + window.per).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quarter_is_for_fire_and_tokens_come_back_after_a_whole_window() {
        let mut pace = Pace::new(Limits::of(Each::Channel, &[(20, 60)]));
        for n in 0..15 {
            assert_eq!(pace.free("", false, Steady(n)), 15 - n as u32);
            pace.take("", Steady(n));
        }
        assert_eq!((pace.free("", false, Steady(20)), pace.free("", true, Steady(20))), (0, 5));
        assert_eq!(pace.free_at("", false, Steady(20)), Steady(60_000));
        for _ in 0..5 {
            pace.take("", Steady(30));
        }
        assert_eq!(pace.free("", true, Steady(59_999)), 0);
        assert_eq!(pace.free_at("", true, Steady(59_999)), Steady(60_000));
        assert_eq!(pace.free("", true, Steady(60_000)), 1);
        pace.rest("", Steady(90_000), Steady(690_000));
        let at = Steady(150_000);
        assert_eq!((pace.free("", false, at), pace.free_at("", false, at)), (0, Steady(690_000)));
        assert_eq!((pace.free("", true, at), pace.free_at("", true, at)), (0, Steady(210_000)));
    }

    #[test]
    fn people_do_not_take_each_others_tokens() {
        let mut pace = Pace::new(Limits::of(Each::Person, &[(1, 60), (5, 3_600)]));
        let (wang, zhao) = (pace.receiver(Some("wang")), pace.receiver(Some("zhao")));
        pace.take(wang, Steady(0));
        assert_eq!((pace.free(wang, true, Steady(1)), pace.free(zhao, true, Steady(1))), (0, 1));
        assert_eq!(Pace::new(Limits::NONE).free("", false, Steady(0)), u32::MAX);
    }

    proptest! {
        /// Whatever comes, no window ever holds more than the provider takes, and waiting as told is enough.
        #[test]
        fn never_more_than_the_provider_takes(steps in proptest::collection::vec((0u64..30_000, any::<bool>()), 1..300)) {
            let limits = Limits::of(Each::Channel, &[(5, 1), (20, 60)]);
            let mut pace = Pace::new(limits.clone());
            let (mut now, mut sent) = (Steady(0), Vec::new());
            for (gap, fire) in steps {
                now = now + Millis(gap);
                if pace.free("", fire, now) == 0 {
                    let at = pace.free_at("", fire, now);
                    prop_assert!(now < at && 0 < pace.free("", fire, at), "{now:?} {at:?}");
                    now = at;
                }
                pace.take("", now);
                sent.push(now);
                for window in limits.windows() {
                    let within = sent.iter().filter(|at| now < **at + window.per).count();
                    prop_assert!(within <= window.count as usize);
                }
            }
        }
    }
}
