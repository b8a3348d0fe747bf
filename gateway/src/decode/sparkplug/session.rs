//! The births of one edge node: what its names and aliases mean, which sequence number comes next, and what came too early.
//!
//! Pure. Everything is bounded; what a node announces beyond that is forgotten, and then asked for again with the next birth.

use std::collections::BTreeMap;

use crate::units::{Millis, Steady, Timestamp};

/// Aliases of one node, over all its devices.
const ALIASES_MAX: usize = 5_000;
/// Messages of one node that wait for an earlier one.
const HELD_MAX: usize = 64;
/// And so many bytes of them.
const HELD_BYTES_MAX: usize = 64 * 1024;
/// Asked for births and not answered: asked again after this, and each time twice as long …
const ASK_AGAIN: Millis = Millis::from_secs(5);
/// … up to this.
const ASK_AGAIN_MAX: Millis = Millis::from_secs(600);

/// A message that came before one that must be read first.
#[derive(Debug)]
pub struct Held {
    pub topic: String,
    pub payload: Vec<u8>,
    pub received: Timestamp,
}

impl Held {
    fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub name: String,
    pub datatype: Option<u64>,
}

#[derive(Debug, Default)]
pub struct Session {
    /// Births were heard and nothing was missed since.
    pub born: bool,
    pub bd_seq: Option<u64>,
    /// The number of the next message; `None` until one was heard.
    next: Option<u8>,
    aliases: BTreeMap<u64, Named>,
    /// By their numbers.
    held: BTreeMap<u8, Held>,
    pub give_up_at: Option<Steady>,
    ask_at: Steady,
    asked: u32,
}

/// Where a message stands in the order.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// It is the next, or there is no order to keep.
    Next,
    /// One before it is missing.
    Early,
}

impl Session {
    /// A birth of the node: everything it said before is void.
    pub fn begin(&mut self, bd_seq: Option<u64>, seq: Option<u64>) {
        *self =
            Self { born: true, bd_seq, next: seq.map(|seq| (seq as u8).wrapping_add(1)), ..Self::default() };
    }

    pub fn end(&mut self) {
        *self = Self { ask_at: self.ask_at, asked: self.asked, ..Self::default() };
    }

    pub fn order(&self, seq: Option<u64>) -> Order {
        match (self.next, seq) {
            (Some(next), Some(seq)) if self.born && u64::from(next) != seq => Order::Early,
            (Some(_) | None, Some(_) | None) => Order::Next,
        }
    }

    /// A message was read.
    pub fn passed(&mut self, seq: Option<u64>) {
        if let Some(seq) = seq {
            self.next = Some((seq as u8).wrapping_add(1));
        }
    }

    /// Keeps it until the missing one comes, or `by`. `false`: there is no room.
    pub fn hold(&mut self, seq: u64, held: Held, by: Steady) -> bool {
        let bytes: usize = self.held.values().map(Held::bytes).sum();
        if HELD_MAX <= self.held.len() || HELD_BYTES_MAX < bytes + held.bytes() {
            return false;
        }
        self.held.insert(seq as u8, held);
        self.give_up_at.get_or_insert(by);
        true
    }

    /// The held message that is next now.
    pub fn take_next(&mut self) -> Option<Held> {
        let next = self.next.and_then(|next| self.held.remove(&next));
        if next.is_some() {
            self.next = self.next.map(|next| next.wrapping_add(1));
        }
        if self.held.is_empty() {
            self.give_up_at = None;
        }
        next
    }

    /// The missing one did not come: what is held, in its order. Births are needed.
    pub fn give_up(&mut self) -> Vec<(u8, Held)> {
        self.born = false;
        self.give_up_at = None;
        let first = self.next.unwrap_or(0);
        let mut held: Vec<_> = std::mem::take(&mut self.held).into_iter().collect();
        held.sort_by_key(|(seq, _)| seq.wrapping_sub(first));
        held
    }

    /// Whether to ask the node for its births now.
    pub fn asks(&mut self, now: Steady) -> bool {
        if self.born || now < self.ask_at {
            return false;
        }
        let wait = Millis(ASK_AGAIN.0.saturating_mul(1 << self.asked.min(16)).min(ASK_AGAIN_MAX.0));
        (self.ask_at, self.asked) = (now + wait, self.asked.saturating_add(1));
        true
    }

    pub fn name(&mut self, alias: u64, named: Named) {
        if self.aliases.len() < ALIASES_MAX || self.aliases.contains_key(&alias) {
            self.aliases.insert(alias, named);
        }
    }

    pub fn named(&self, alias: u64) -> Option<&Named> {
        self.aliases.get(&alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(n: u8) -> Held {
        Held { topic: String::new(), payload: vec![n], received: Timestamp(0) }
    }

    #[test]
    fn numbers_go_round_and_an_early_one_waits_for_the_missing() {
        let mut session = Session::default();
        session.begin(Some(3), Some(254));
        assert_eq!(session.order(Some(255)), Order::Next);
        session.passed(Some(255));
        assert_eq!((session.order(Some(0)), session.order(Some(1))), (Order::Next, Order::Early));
        assert!(session.hold(2, held(2), Steady(50)) && session.hold(1, held(1), Steady(60)));
        assert_eq!(session.give_up_at, Some(Steady(50)), "the first that waits decides");
        assert!(session.take_next().is_none());
        session.passed(Some(0));
        for n in [1, 2] {
            assert_eq!(session.take_next().expect("in order").payload, [n]);
        }
        assert_eq!(session.give_up_at, None);
        assert_eq!(session.order(Some(3)), Order::Next);
    }

    #[test]
    fn what_was_given_up_is_read_in_its_order_and_births_are_asked_for_ever_less() {
        let mut session = Session::default();
        session.begin(None, Some(253));
        for n in [1, 255, 0] {
            assert!(session.hold(u64::from(n), held(n), Steady(50)));
        }
        let given_up: Vec<u8> = session.give_up().into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(given_up, [255, 0, 1]);
        let asks: Vec<u64> = (0..2_000).filter(|s| session.asks(Steady(s * 1000))).collect();
        assert_eq!(asks, [0, 5, 15, 35, 75, 155, 315, 635, 1235, 1835]);
        session.begin(None, Some(0));
        assert!(!session.asks(Steady(9_999_999)), "it was born");
    }

    #[test]
    fn aliases_and_held_messages_are_bounded() {
        let mut session = Session::default();
        session.begin(None, Some(0));
        let kept = (2..200).filter(|n| session.hold(*n, held(0), Steady(1))).count();
        assert_eq!(kept, HELD_MAX);
        session.begin(None, Some(0));
        let large = Held { payload: vec![0; HELD_BYTES_MAX + 1], ..held(0) };
        assert!(!session.hold(2, large, Steady(1)), "read as it comes instead");
        for alias in 0..2 * ALIASES_MAX as u64 {
            session.name(alias, Named { name: "x".into(), datatype: None });
        }
        assert_eq!(session.aliases.len(), ALIASES_MAX);
    }
}
