//! Leave, illness, a course: a time in which somebody else has all duties of a person.

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// From a start up to (not including) an end. Known by person and start; the absences of one person do not overlap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Absence {
    pub person: String,
    pub from: Timestamp,
    /// `None`: until somebody says that the person is back.
    pub until: Option<Timestamp>,
    /// Has all duties of the person for that time. `None`: the next in order answers.
    pub stand_in: Option<String>,
    /// For the office; never shown with an alarm.
    pub reason: String,
}

impl Absence {
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}
