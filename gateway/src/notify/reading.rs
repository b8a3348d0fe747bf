//! What a worker has read from the outbox and not yet sent: a page of it, so that five thousand alerts are not five thousand questions.
//!
//! A page is used up from its front, worst class first. It is read again when the outbox has changed, when it has been used up, when something
//! becomes due, and when it is old: an alert is sent with its alarm as it was at most [`FRESH`] before.

use std::collections::VecDeque;

use crate::store::outbox::{Due, Row};
use crate::units::{Millis, Steady};

/// Rows read ahead; memory is bounded by this, whatever waits in the outbox.
pub const AHEAD_MAX: usize = 256;
/// How long what was read may wait for a place.
const FRESH: Millis = Millis(1_000);

/// One page of the outbox.
#[derive(Default)]
pub struct Page {
    rows: VecDeque<Row>,
    /// The outbox may hold more rows that are due.
    more: bool,
    read_at: Steady,
    /// When the next row becomes due that was not when this was read.
    next_at: Option<Steady>,
}

impl Page {
    /// `busy`: rows that somebody has in hand already.
    pub fn new(due: Due, now: Steady, busy: impl Fn(&Row) -> bool) -> Self {
        let rows = due.rows.into_iter().filter(|row| !busy(row)).collect();
        Self { rows, more: due.more, read_at: now, next_at: due.next_at }
    }

    /// Nothing to send until `at`.
    pub fn nothing_until(at: Steady) -> Self {
        Self { next_at: Some(at), ..Self::default() }
    }

    /// Whether the outbox must be asked again, even when it has not changed.
    pub fn is_over(&self, now: Steady) -> bool {
        let used_up = self.rows.is_empty() && self.more;
        let old = !self.rows.is_empty() && self.read_at + FRESH <= now;
        used_up || old || self.next_at.is_some_and(|at| at <= now)
    }

    /// Everything, to choose from; what is left is given back with [`Page::keep`].
    pub fn take(&mut self) -> VecDeque<Row> {
        std::mem::take(&mut self.rows)
    }

    pub fn keep(&mut self, rows: VecDeque<Row>) {
        self.rows = rows;
    }

    /// The outbox may hold more rows that are due than this page.
    pub fn more(&self) -> bool {
        self.more
    }

    /// This row will be due at `at`.
    pub fn due_at(&mut self, at: Steady) {
        self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
    }

    pub fn next_at(&self) -> Option<Steady> {
        self.next_at
    }
}
