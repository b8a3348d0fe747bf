//! How long somebody must wait before the next try to log in.
//!
//! Pure, in memory, and of limited size. A name and an address each have a few tries free, then the wait doubles up to a limit, never for ever: an alarm does not wait for an
//! administrator. An address from which an account was entered before is counted by itself, so that strangers cannot keep its owner out. A try is counted before it is
//! checked, or a hundred at once would all be the first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::units::{Millis, Steady};

/// Names, addresses and pairs that are remembered; beyond that the oldest is forgotten.
const REMEMBERED_MAX: usize = 10_000;
const FORGET_AFTER: Millis = Millis::from_secs(3600);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Name(String),
    Address(String),
    /// Name and address that fit before.
    Pair(String, String),
}

impl Key {
    /// Tries without a wait, and the longest wait.
    const fn limits(&self) -> (u32, Millis) {
        match self {
            Self::Name(_) | Self::Pair(..) => (5, Millis::from_secs(30)),
            // A whole station may share one address.
            Self::Address(_) => (20, Millis::from_secs(15 * 60)),
        }
    }
}

#[derive(Clone, Copy)]
struct Tries {
    count: u32,
    last: Steady,
}

#[derive(Default)]
pub struct Throttle {
    tries: BTreeMap<Key, Tries>,
    known: BTreeSet<(String, String)>,
}

impl Throttle {
    /// Counts a try as failed, or says how long to wait; a try that comes too early is not counted.
    pub fn attempt(&mut self, name: &str, address: &str, now: Steady) -> Result<(), Millis> {
        let keys = self.keys(name, address);
        let wait = keys.iter().map(|key| self.wait(key, now)).max().unwrap_or(Millis(0));
        if wait != Millis(0) {
            return Err(wait);
        }
        for key in keys {
            let count = self.count(&key, now);
            self.make_room(now);
            self.tries.insert(key, Tries { count: count.saturating_add(1), last: now });
        }
        Ok(())
    }

    /// The try was right after all.
    pub fn succeeded(&mut self, name: &str, address: &str) {
        self.tries.remove(&Key::Name(name.to_owned()));
        self.tries.remove(&Key::Pair(name.to_owned(), address.to_owned()));
        // Not forgotten altogether: whoever has one account must not try all others for free.
        if let Some(tries) = self.tries.get_mut(&Key::Address(address.to_owned())) {
            tries.count = tries.count.saturating_sub(1);
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.pop_first();
        }
        self.known.insert((name.to_owned(), address.to_owned()));
    }

    fn keys(&self, name: &str, address: &str) -> Vec<Key> {
        let (name, address) = (name.to_owned(), address.to_owned());
        if self.known.contains(&(name.clone(), address.clone())) {
            return vec![Key::Pair(name, address)];
        }
        vec![Key::Name(name), Key::Address(address)]
    }

    fn count(&self, key: &Key, now: Steady) -> u32 {
        let recent = self.tries.get(key).filter(|tries| now < tries.last + FORGET_AFTER);
        recent.map_or(0, |tries| tries.count)
    }

    fn wait(&self, key: &Key, now: Steady) -> Millis {
        let (free, most) = key.limits();
        let Some(tries) = self.tries.get(key) else { return Millis(0) };
        let count = self.count(key, now);
        if count < free {
            return Millis(0);
        }
        let wait = Millis::from_secs(1 << (count - free).min(20)).0.min(most.0);
        Millis((tries.last.0 + wait).saturating_sub(now.0))
    }

    fn make_room(&mut self, now: Steady) {
        if self.tries.len() < REMEMBERED_MAX {
            return;
        }
        self.tries.retain(|_, tries| now < tries.last + FORGET_AFTER);
        while self.tries.len() >= REMEMBERED_MAX {
            let oldest = self.tries.iter().min_by_key(|(_, tries)| tries.last).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.tries.remove(&oldest);
        }
    }
}

/// Of an IPv6 address the network: a household has 2^64 addresses.
pub fn address_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: fn(u64) -> Steady = |seconds| Steady(seconds * 1000);

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_ends() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.attempt("wang", "10.0.0.1", AT(0)), Ok(()));
        }
        let mut now = 0;
        for expected in [1, 2, 4, 8, 16, 30, 30, 30] {
            assert_eq!(throttle.attempt("wang", "10.0.0.1", AT(now)), Err(Millis::from_secs(expected)));
            assert_eq!(throttle.attempt("wang", "10.0.0.2", AT(now)), Err(Millis::from_secs(expected)));
            now += expected;
            assert_eq!(throttle.attempt("wang", "10.0.0.1", AT(now)), Ok(()));
        }
        assert_eq!(throttle.attempt("zhao", "10.0.0.2", AT(now)), Ok(()), "another name from elsewhere");
        throttle.succeeded("wang", "10.0.0.1");
        assert_eq!(throttle.attempt("wang", "10.0.0.3", AT(now)), Ok(()), "begins anew");
    }

    #[test]
    fn one_address_cannot_try_all_names() {
        let mut throttle = Throttle::default();
        let refused = (0..100).filter(|n| throttle.attempt(&format!("name{n}"), "10.0.0.1", AT(0)).is_err());
        assert_eq!(refused.count(), 80);
        assert_eq!(throttle.attempt("name99", "10.0.0.2", AT(0)), Ok(()));
    }

    #[test]
    fn strangers_do_not_keep_the_owner_out() {
        let mut throttle = Throttle::default();
        throttle.attempt("wang", "home", AT(0)).unwrap();
        throttle.succeeded("wang", "home");
        for stranger in 0..50 {
            let _ = throttle.attempt("wang", &format!("stranger{stranger}"), AT(1));
        }
        assert!(throttle.attempt("wang", "elsewhere", AT(1)).is_err());
        assert_eq!(throttle.attempt("wang", "home", AT(1)), Ok(()));
    }

    proptest! {
        /// Whatever was tried: after the wait that was said, there is a try; and no wait is longer than the limit.
        #[test]
        fn nobody_is_locked_out_for_ever(tries in prop::collection::vec((0u8..3, 0u8..3, 0u64..40, any::<bool>()), 0..200)) {
            let mut throttle = Throttle::default();
            let mut now = 0;
            for (name, address, later, right) in tries {
                now += later;
                let (name, address) = (format!("n{name}"), format!("a{address}"));
                match throttle.attempt(&name, &address, AT(now)) {
                    Ok(()) if right => throttle.succeeded(&name, &address),
                    Ok(()) => (),
                    Err(wait) => {
                        prop_assert!(wait <= Millis::from_secs(15 * 60));
                        now += wait.0.div_ceil(1000);
                        prop_assert_eq!(throttle.attempt(&name, &address, AT(now)), Ok(()));
                    }
                }
            }
        }

        #[test]
        fn memory_has_a_limit(names in 0..3u32) {
            let mut throttle = Throttle::default();
            for n in 0..REMEMBERED_MAX as u32 + names * 100 {
                let _ = throttle.attempt(&format!("n{n}"), &format!("a{n}"), AT(u64::from(n)));
            }
            prop_assert!(throttle.tries.len() <= REMEMBERED_MAX + 1);
        }
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        for (ip, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(address_of(ip.parse().unwrap()), expected);
        }
    }
}
