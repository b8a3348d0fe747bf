//! Who was called for the alarm of a line of history: asked of the store once, however many pages are open.
//!
//! Whoever is called for an alarm is so with a line of it, so what is known of a line is true as long as that line is the newest. The last [`LINES_MAX`] are kept.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::store::StoreError;

/// Pages that are further behind than the others ask again.
const LINES_MAX: usize = 256;

type People = Arc<OnceCell<BTreeSet<String>>>;

#[derive(Default)]
pub struct Called {
    /// By the number of the line, in the order in which they were asked for.
    lines: Mutex<VecDeque<(u64, People)>>,
}

impl Called {
    /// Whether one of these people was called; `ask` asks the store for all, when nobody has done so yet.
    pub async fn any(
        &self,
        people: &[String],
        line: u64,
        ask: impl Future<Output = Result<BTreeSet<String>, StoreError>>,
    ) -> Result<bool, StoreError> {
        if people.is_empty() {
            return Ok(false);
        }
        let called = self.line(line);
        let called = called.get_or_try_init(|| ask).await?;
        Ok(people.iter().any(|person| called.contains(person)))
    }

    fn line(&self, line: u64) -> People {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, people)) = lines.iter().rev().find(|(known, _)| *known == line) {
            return people.clone();
        }
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        let people = People::default();
        lines.push_back((line, people.clone()));
        people
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_line_is_asked_for_once() {
        let (called, asked) = (Called::default(), AtomicUsize::new(0));
        let ask = async || {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(BTreeSet::from(["wang-li".to_owned()]))
        };
        let look = async |person: &str, line| called.any(&[person.to_owned()], line, ask()).await.unwrap();
        let pages = futures::future::join_all((0..50).map(|_| look("wang-li", 7)));
        assert!(pages.await.into_iter().all(|seen| seen));
        assert!(!look("li-si", 7).await);
        assert_eq!(asked.load(Ordering::Relaxed), 1, "for fifty pages and another");
        assert!(!called.any(&[], 8, ask()).await.unwrap());
        for line in 8..8 + LINES_MAX as u64 {
            look("wang-li", line).await;
        }
        assert_eq!(called.lines.lock().unwrap().len(), LINES_MAX);
        let fails = async || Err(StoreError::Stopped);
        assert!(called.any(&["wang-li".to_owned()], 9_999, fails()).await.is_err());
        assert!(look("wang-li", 9_999).await, "the next one asks again");
    }
}
