//! Acknowledgements to a sender in the order of its messages, each only after its commit.
//!
//! MQTT wants PUBACKs in the order of the PUBLISHes (3.1.1 §4.6), but a fire overtakes telemetry on the way to the disk, so commits
//! finish out of order. An [`AckLine`] belongs to one connection *epoch*: when the connection is lost the line is dropped with it, and a late
//! [`Ticket`] of the old epoch falls on nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The messages of one connection that wait for their commit, with what is needed to acknowledge each.
pub struct AckLine<T> {
    shared: Arc<Shared>,
    /// What to acknowledge, oldest first; `first` is the number of the front.
    waiting: VecDeque<T>,
    first: u64,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Number of the oldest message that is not done.
    first: u64,
    /// Whether each from `first` on is done.
    done: VecDeque<bool>,
}

/// The right to say once that a message is on disk. Dropped unused (the store failed), the message stays unacknowledged and the
/// sender sends it again.
pub struct Ticket {
    shared: Arc<Shared>,
    number: u64,
}

impl<T> Default for AckLine<T> {
    fn default() -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Notify::new() });
        Self { shared, waiting: VecDeque::new(), first: 0 }
    }
}

impl<T> AckLine<T> {
    /// Put a message in the line.
    pub fn issue(&mut self, ack: T) -> Ticket {
        let number = self.first + self.waiting.len() as u64;
        self.waiting.push_back(ack);
        self.shared.lock().done.push_back(false);
        Ticket { shared: self.shared.clone(), number }
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
    /// The message is on disk.
    pub fn done(self) {
        Self::all_done(&[self]);
    }

    /// So are all of these. Those of one connection mostly stand together, and share the lock and the call.
    pub fn all_done(tickets: &[Self]) {
        for tickets in tickets.chunk_by(|one, next| Arc::ptr_eq(&one.shared, &next.shared)) {
            let Some(Ticket { shared, .. }) = tickets.first() else { continue };
            let mut state = shared.lock();
            for ticket in tickets {
                let place = ticket.number.checked_sub(state.first);
                if let Some(done) = place.and_then(|place| state.done.get_mut(place as usize)) {
                    *done = true;
                }
            }
            let ready = state.done.front() == Some(&true);
            drop(state);
            if ready {
                shared.changed.notify_one();
            }
        }
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
