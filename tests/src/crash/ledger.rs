//! What the senders and the operator were promised.

use std::sync::{Mutex, PoisonError};

/// One reading that was acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub device: String,
    pub metric: &'static str,
    /// Device time in milliseconds; with the device unique.
    pub time: i64,
    pub value: f64,
}

/// One fire, from the acknowledged first reading with the flag set to the end.
#[derive(Clone, Debug)]
pub struct Episode {
    pub device: String,
    /// The alarm that was seen for it.
    pub alarm: String,
}

/// An action of the operator that was answered with 200.
#[derive(Clone, Debug)]
pub struct Deed {
    pub alarm: String,
    /// `acknowledged` or `resolved`
    pub what: &'static str,
    /// Unique.
    pub note: String,
}

#[derive(Default)]
struct Pages {
    readings: Vec<Reading>,
    episodes: Vec<Episode>,
    deeds: Vec<Deed>,
    acknowledged_ms: Vec<f64>,
    faults: Vec<String>,
}

#[derive(Default)]
pub struct Ledger(Mutex<Pages>);

impl Ledger {
    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `took_ms` when no connection broke in between.
    pub fn acknowledged(&self, reading: Reading, took_ms: Option<f64>) {
        let mut pages = self.pages();
        pages.readings.push(reading);
        pages.acknowledged_ms.extend(took_ms);
    }

    pub fn episode(&self, episode: Episode) {
        self.pages().episodes.push(episode);
    }

    pub fn deed(&self, deed: Deed) {
        self.pages().deeds.push(deed);
    }

    /// Something that must never be seen was seen.
    pub fn fault(&self, sentence: String) {
        self.pages().faults.push(sentence);
    }

    pub fn readings(&self) -> Vec<Reading> {
        self.pages().readings.clone()
    }

    pub fn episodes(&self) -> Vec<Episode> {
        self.pages().episodes.clone()
    }

    pub fn deeds(&self) -> Vec<Deed> {
        self.pages().deeds.clone()
    }

    /// In order of size.
    pub fn acknowledged_ms(&self) -> Vec<f64> {
        let mut all = self.pages().acknowledged_ms.clone();
        all.sort_by(f64::total_cmp);
        all
    }

    pub fn faults(&self) -> Vec<String> {
        self.pages().faults.clone()
    }
}
