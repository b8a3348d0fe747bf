//! The InfluxDB side: every point that arrived, by its key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ledger::Reading;
use crate::standin::{Asked, Reply};

/// Device, time, field.
pub type Key = (String, i64, String);

/// What was written; a point that comes twice must be the same point.
#[derive(Clone, Default)]
pub struct Points(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    points: HashMap<Key, String>,
    repeated: usize,
    contradictions: Vec<String>,
}

impl Points {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes every body of the write API and answers 204.
    pub fn answer(self) -> impl Fn(Asked) -> std::future::Ready<Reply> + Clone + Send + Sync + 'static {
        move |asked| {
            asked.text().lines().for_each(|line| self.take(line));
            std::future::ready(Reply::status(204))
        }
    }

    fn take(&self, line: &str) {
        let mut parts = line.split(' ');
        let (Some(series), Some(fields), Some(time)) = (parts.next(), parts.next(), parts.next()) else {
            return self.seen().contradictions.push(format!("not a line: {line}"));
        };
        let device = series.split(',').find_map(|tag| tag.strip_prefix("device=")).unwrap_or_default();
        let mut seen = self.seen();
        for field in fields.split(',') {
            let Some((name, value)) = field.split_once('=') else { continue };
            if matches!(name, "freshness" | "quality" | "reading") {
                continue;
            }
            let key = (device.to_owned(), time.parse().unwrap_or_default(), name.to_owned());
            let before = seen.points.insert(key.clone(), value.to_owned());
            match before {
                None => (),
                Some(same) if same == value => seen.repeated += 1,
                Some(other) => seen.contradictions.push(format!("{key:?} was {other}, then {value}")),
            }
        }
    }

    pub fn value(&self, reading: &Reading) -> Option<String> {
        let key = (reading.device.clone(), reading.time, reading.metric.to_owned());
        self.seen().points.get(&key).cloned()
    }

    pub fn hold_all(&self, readings: &[Reading]) -> bool {
        readings.iter().all(|reading| self.value(reading).is_some())
    }

    /// One point less, for trying the oracle; what it was.
    pub fn forget_one(&self) -> Option<(Key, String)> {
        let mut seen = self.seen();
        let key = seen.points.keys().next()?.clone();
        seen.points.remove_entry(&key)
    }

    pub fn take_back(&self, (key, value): (Key, String)) {
        self.seen().points.insert(key, value);
    }

    pub fn count(&self) -> usize {
        self.seen().points.len()
    }

    pub fn repeated(&self) -> usize {
        self.seen().repeated
    }

    pub fn contradictions(&self) -> Vec<String> {
        self.seen().contradictions.clone()
    }
}
