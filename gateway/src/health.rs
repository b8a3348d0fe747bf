//! What the parts of the gateway say about themselves, for `/readyz`.
//!
//! A part registers a named [`Check`] once and sets it whenever its state changes; nobody polls. An *essential* check that fails makes the
//! station not ready; the others are information: with InfluxDB down the station works on, the data waits in the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub essential: bool,
    /// `Ok`, or a sentence that says what is wrong.
    pub state: Result<(), String>,
}

#[derive(Debug, Default)]
pub struct Health {
    findings: Mutex<BTreeMap<String, Finding>>,
}

/// One part's handle.
#[derive(Clone, Debug)]
pub struct Check {
    health: Arc<Health>,
    name: String,
}

impl Health {
    /// Makes the station ready only while this check is fine; it begins as not fine: `has not started`.
    pub fn essential(self: &Arc<Self>, name: impl Into<String>) -> Check {
        self.register(name.into(), true)
    }

    /// Shown, but never in the way of being ready.
    pub fn informative(self: &Arc<Self>, name: impl Into<String>) -> Check {
        self.register(name.into(), false)
    }

    fn register(self: &Arc<Self>, name: String, essential: bool) -> Check {
        let begin = Finding { essential, state: Err("has not started".into()) };
        self.findings().insert(name.clone(), begin);
        Check { health: self.clone(), name }
    }

    /// By name.
    pub fn all(&self) -> BTreeMap<String, Finding> {
        self.findings().clone()
    }

    fn findings(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Finding>> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Check {
    pub fn fine(&self) {
        self.set(Ok(()));
    }

    /// `why` is a sentence for the operator.
    pub fn wrong(&self, why: impl Into<String>) {
        self.set(Err(why.into()));
    }

    fn set(&self, state: Result<(), String>) {
        if let Some(finding) = self.health.findings().get_mut(&self.name) {
            finding.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_begins_as_not_started_and_says_what_it_is_told() {
        let health = Arc::new(Health::default());
        let influx = health.informative("influx");
        let driver = health.essential("driver");
        assert!(health.all()["driver"].state.is_err(), "nobody is fine before saying so");
        driver.fine();
        influx.wrong("no answer since 03:00");
        assert_eq!(health.all()["driver"], Finding { essential: true, state: Ok(()) });
        assert_eq!(health.all()["influx"].state, Err("no answer since 03:00".into()));
        assert!(!health.all()["influx"].essential);
    }
}
