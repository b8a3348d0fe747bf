//! Acknowledgements to a sender in the order of its messages, each only after its commit.
//!
//! MQTT wants PUBACKs in the order of the PUBLISHes (3.1.1 §4.6), but a fire overtakes telemetry on the way to the disk, so commits
//! finish out of order. An [`AckLine`] belongs to one connection *epoch*: when the connection is lost the line is dropped with it, and a late
//! [`Ticket`] of the old epoch falls on nothing.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The messages of one connection that wait for their commit, with what is needed to acknowledge each.
pub struct AckLine<T> {
    shared: Arc<Shared>,
    /// What to acknowledge, oldest first; `first` is the number of the front.
    waiting: VecDeque<T>,
    first: u64,
    /// There are tickets for those before this number.
    ticketed: u64,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Number of the oldest message that is not done.
    first: u64,
    /// Whether each from `first` on is done; those that do not stand here are not.
    done: VecDeque<bool>,
}

/// The right to say once that messages that follow one another are on disk. Dropped unused (the store failed), they stay unacknowledged and the
/// sender sends them again.
pub struct Ticket {
    shared: Arc<Shared>,
    numbers: Range<u64>,
}

impl<T> Default for AckLine<T> {
    fn default() -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Notify::new() });
        Self { shared, waiting: VecDeque::new(), first: 0, ticketed: 0 }
    }
}

impl<T> AckLine<T> {
    /// Puts a message in the line that goes to the disk by itself.
    pub fn issue(&mut self, ack: T) -> Ticket {
        self.add(ack);
        self.rest()
    }

    /// Puts a message in the line; [`AckLine::ticket`] is for all that were put there since it was last asked.
    pub fn add(&mut self, ack: T) {
        self.waiting.push_back(ack);
    }

    /// For those that have none yet; `None` when there are none.
    pub fn ticket(&mut self) -> Option<Ticket> {
        Some(self.rest()).filter(|ticket| !ticket.numbers.is_empty())
    }

    fn rest(&mut self) -> Ticket {
        let end = self.first + self.waiting.len() as u64;
        let numbers = std::mem::replace(&mut self.ticketed, end)..end;
        Ticket { shared: self.shared.clone(), numbers }
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Those at the front that are done now, oldest first.
    pub fn take_ready(&mut self) -> Vec<T> {
        let mut state = self.shared.lock();
        let mut ready = Vec::new();
        while state.done.front() == Some(&true) {
            state.done.pop_front();
            state.first += 1;
            self.first += 1;
            ready.extend(self.waiting.pop_front());
        }
        ready
    }

    /// Waits until [`AckLine::take_ready`] has something. Cancel-safe.
    pub async fn ready(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.lock().done.front() == Some(&true) {
                return;
            }
            changed.await;
        }
    }
}

impl Ticket {
    /// Its messages are on disk.
    pub fn done(self) {
        Self::all_done(&[self]);
    }

    /// So are all of these. Those of one connection mostly stand together, and share the lock and the call.
    pub fn all_done(tickets: &[Self]) {
        for tickets in tickets.chunk_by(|one, next| Arc::ptr_eq(&one.shared, &next.shared)) {
            let Some(Ticket { shared, .. }) = tickets.first() else { continue };
            let mut state = shared.lock();
            tickets.iter().for_each(|ticket| state.note(&ticket.numbers));
            let ready = state.done.front() == Some(&true);
            drop(state);
            if ready {
                shared.changed.notify_one();
            }
        }
    }
}

impl State {
    fn note(&mut self, done: &Range<u64>) {
        let place = |number: u64| number.saturating_sub(self.first) as usize;
        let (from, to) = (place(done.start), place(done.end));
        if self.done.len() < to {
            self.done.resize(to, false);
        }
        self.done.range_mut(from..to).for_each(|done| *done = true);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledges_in_order_whatever_the_order_of_commits() {
        let mut line = AckLine::default();
        let mut tickets: Vec<_> = (0..4).map(|n| line.issue(n)).collect();
        tickets.remove(2).done();
        assert!(line.take_ready().is_empty(), "0 and 1 are not done");
        tickets.remove(0).done();
        assert_eq!(line.take_ready(), [0]);
        tickets.remove(0).done();
        assert_eq!(line.take_ready(), [1, 2]);
        assert_eq!(line.len(), 1);
    }

    #[tokio::test]
    async fn tickets_of_several_connections_are_done_together() {
        let (mut one, mut other) = (AckLine::default(), AckLine::default());
        let tickets = [one.issue(1), one.issue(2), other.issue(7), one.issue(3), other.issue(8)];
        Ticket::all_done(&tickets[1..]);
        assert!(one.take_ready().is_empty(), "the first is not done");
        other.ready().await;
        assert_eq!(other.take_ready(), [7, 8]);
        Ticket::all_done(&tickets[..1]);
        one.ready().await;
        assert_eq!(one.take_ready(), [1, 2, 3]);
    }

    #[test]
    fn one_ticket_is_for_all_that_were_put_in_the_line_together() {
        let mut line = AckLine::default();
        assert!(line.ticket().is_none(), "there is nothing to wait for");
        let first = line.issue(1);
        line.add(2);
        line.add(3);
        let both = line.ticket().expect("two");
        let last = line.issue(4);
        assert!(line.ticket().is_none(), "each has one");
        both.done();
        assert!(line.take_ready().is_empty(), "the first is not done");
        first.done();
        assert_eq!(line.take_ready(), [1, 2, 3]);
        last.done();
        assert_eq!(line.take_ready(), [4]);
    }

    #[test]
    fn a_ticket_of_a_dead_line_falls_on_nothing() {
        let mut old = AckLine::default();
        let stale = old.issue("old");
        let mut new = AckLine::default();
        let _fresh = new.issue("new");
        drop(old);
        stale.done();
        assert!(new.take_ready().is_empty());
    }

    #[tokio::test]
    async fn waits_for_the_front() {
        let mut line = AckLine::default();
        let (first, second) = (line.issue(1), line.issue(2));
        second.done();
        let waiting = line.ready();
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        first.done();
        waiting.await;
    }
}
