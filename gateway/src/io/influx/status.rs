//! How the writing to InfluxDB stands, for /readyz, `gridwarden doctor` and the metrics.

use std::sync::{Mutex, PoisonError};

use crate::health::Check;
use crate::units::{Millis, Timestamp};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing has been tried yet.
    #[default]
    Starting,
    Flowing,
    /// The server is out of reach or busy; tried again with growing pauses.
    Waiting,
    /// A person has to change something; see `error`.
    Held,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Flowing => "flowing",
            Self::Waiting => "waiting",
            Self::Held => "held",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub state: State,
    /// Since when it has been in this state.
    pub since: Option<Timestamp>,
    /// The last failure, also after it is over.
    pub error: Option<String>,
    pub last_stored: Option<Timestamp>,
    pub lines_stored: u64,
    pub lines_given_up: u64,
    /// Number of the last batch that is confirmed, and of the newest in the journal.
    pub cursor: u64,
    pub newest: u64,
    /// Age of the oldest line that is on its way; none when all is stored.
    pub behind: Option<Millis>,
}

#[derive(Debug, Default)]
pub struct Status {
    now: Mutex<Snapshot>,
    check: Option<Check>,
}

impl Status {
    /// Also says on `check` how it stands.
    pub fn reporting_to(check: Check) -> Self {
        Self { check: Some(check), ..Self::default() }
    }

    pub fn snapshot(&self) -> Snapshot {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut now);
        metrics::gauge!("gridwarden_influx_lag_batches").set(now.newest.saturating_sub(now.cursor) as f64);
        metrics::gauge!("gridwarden_influx_lag_seconds").set(now.behind.unwrap_or_default().as_secs_f64());
        let flowing = matches!(now.state, State::Flowing);
        metrics::gauge!("gridwarden_influx_flowing").set(f64::from(u8::from(flowing)));
        match &self.check {
            Some(check) if flowing => check.fine(),
            Some(check) => check.wrong(now.error.as_deref().unwrap_or("nothing has been written yet")),
            None => (),
        }
    }

    /// Returns whether that is worth a line in the log: another state, or another thing for a person to do.
    pub(super) fn enter(&self, state: State, error: Option<&str>, at: Timestamp) -> bool {
        let mut news = false;
        self.update(|now| {
            news = now.state != state || (state == State::Held && now.error.as_deref() != error);
            if now.state != state {
                now.state = state;
                now.since = Some(at);
            }
            if let Some(error) = error {
                now.error = Some(error.to_owned());
            }
        });
        news
    }
}
