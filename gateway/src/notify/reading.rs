//! What a worker has of the outbox and not yet sent: a page of it, so that five thousand alerts are not five thousand questions. What is stored while there is room
//! comes to it from memory.
//!
//! A page is used up from its front, worst class first. It is read again when the outbox has changed, when it has been used up, when something
//! becomes due, and when it is old: an alert is sent with its alarm as it was at most [`FRESH`] before.

use std::collections::VecDeque;

use super::turn;
use crate::store::outbox::{Due, Row};
use crate::units::{Millis, Steady};

/// Rows read ahead.
pub const AHEAD_MAX: usize = 256;
/// With those that were stored just now. Memory is bounded by this, whatever waits in the outbox.
const ROWS_MAX: usize = 1_024;
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
    /// `busy`: rows that somebody has taken in hand meanwhile.
    pub fn new(due: Due, now: Steady, busy: impl Fn(&Row) -> bool) -> Self {
        let mut rows = due.rows.into_iter().filter(|row| !busy(row)).collect();
        turn::order(&mut rows);
        Self { rows, more: due.more, read_at: now, next_at: due.next_at }
    }

    /// Rows that were stored just now. What belongs behind rows that are not read yet, or is too much, comes from the outbox in its turn.
    pub fn add(&mut self, fresh: Vec<Row>, now: Steady) {
        if self.rows.is_empty() {
            self.read_at = now;
        }
        for row in fresh {
            let before = |last: &Row| row.alert.class < last.alert.class;
            if !self.more || self.rows.back().is_some_and(before) {
                let place = self.rows.partition_point(|other| other.alert.class <= row.alert.class);
                self.rows.insert(place, row);
            }
            if ROWS_MAX < self.rows.len() {
                self.rows.pop_back();
                self.more = true;
            }
        }
        turn::order(&mut self.rows);
    }

    pub fn holds(&self, key: &str) -> bool {
        self.rows.iter().any(|row| row.alert.key == key)
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

    pub fn rows(&self) -> &VecDeque<Row> {
        &self.rows
    }

    /// The first of them, to choose from; what is left is given back with [`Page::keep`].
    pub fn take(&mut self, first: usize) -> VecDeque<Row> {
        self.rows.drain(..first).collect()
    }

    pub fn keep(&mut self, rows: VecDeque<Row>) {
        rows.into_iter().rev().for_each(|row| self.rows.push_front(row));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SignalClass::{self, Fire, Supervisory, Trouble};
    use crate::store::tests::{alarm, alert};

    fn row(n: u64, class: SignalClass) -> Row {
        Row { alert: alert(n, class, 1), alarm: Box::new(alarm(n, class)), attempts: 0, card: None }
    }

    fn page(rows: impl IntoIterator<Item = Row>, more: bool) -> Page {
        Page::new(Due { rows: rows.into_iter().collect(), more, next_at: None }, Steady(0), |_| false)
    }

    fn numbers(page: &Page) -> Vec<u64> {
        page.rows().iter().map(|row| row.alert.alarm.0).collect()
    }

    #[test]
    fn what_was_just_stored_stands_where_the_outbox_would_have_it() {
        let mut all_read = page([row(1, Fire), row(2, Supervisory)], false);
        all_read.add(vec![row(3, Fire), row(4, Supervisory), row(5, Trouble)], Steady(1));
        assert_eq!(numbers(&all_read), [1, 3, 2, 4, 5]);
        assert!(!all_read.more());
        // Behind the last of these there are others, older than what is new.
        let mut part = page([row(1, Fire), row(2, Supervisory)], true);
        part.add(vec![row(3, Fire), row(4, Supervisory), row(5, Trouble)], Steady(1));
        assert_eq!(numbers(&part), [1, 3, 2]);
        let mut used_up = page([], true);
        used_up.add(vec![row(3, Fire)], Steady(1));
        assert!(numbers(&used_up).is_empty() && used_up.is_over(Steady(1)), "it is read next");
    }

    #[test]
    fn a_page_has_an_end_and_what_is_worst_stays_in_it() {
        let most = ROWS_MAX as u64;
        let mut full = page((0..most).map(|n| row(n, Trouble)), false);
        full.add(vec![row(most, Trouble)], Steady(1));
        assert_eq!((full.rows().len(), full.more()), (ROWS_MAX, true));
        full.add(vec![row(most + 1, Fire)], Steady(1));
        assert_eq!((full.rows().len(), full.rows()[0].alert.alarm.0), (ROWS_MAX, most + 1));
        assert!(!full.holds(&alert(most, Trouble, 1).key) && !full.holds(&alert(most - 1, Trouble, 1).key));
    }

    #[test]
    fn what_comes_to_an_empty_page_is_as_new_as_what_is_read_now() {
        let mut page = page([], false);
        page.add(vec![row(1, Fire)], Steady(5_000));
        assert!(!page.is_over(Steady(5_999)) && page.is_over(Steady(6_000)));
        let first = page.take(1);
        page.keep(first);
        assert_eq!(numbers(&page), [1]);
    }
}
