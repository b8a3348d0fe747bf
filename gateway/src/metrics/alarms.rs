//! Alarms in the metrics: how many were raised, and how soon people answered, came and were done. For charts over months; single alarms are in the API. Drills and
//! roll-calls are absent.
//!
//! Called once for each entry of an alarm's history that people see ([`crate::live::Live::alarm`]), which is after it is on disk.

use crate::model::{Alarm, Entry, What};

pub fn count(alarm: &Alarm, entry: &Entry) {
    if alarm.exercise().is_some() {
        return; // Nothing has happened.
    }
    let class = alarm.class.name();
    let name = match entry.what {
        What::Raised => {
            metrics::counter!("gridwarden_alarms_total", "class" => class).increment(1);
            return;
        }
        // The first who acknowledges ends the waiting; who joins him does not.
        What::Acknowledged if alarm.acknowledged.as_ref().is_none_or(|first| first.at != entry.at) => return,
        What::Acknowledged => "gridwarden_alarm_acknowledged_seconds",
        What::OnSite => "gridwarden_alarm_on_site_seconds",
        What::Resolved => "gridwarden_alarm_resolved_seconds",
        What::Repeated
        | What::Told
        | What::Escalated
        | What::Returned
        | What::ActiveAgain
        | What::Closed
        | What::NobodyToTell
        | What::NotTold
        | What::OnTheWay
        | What::Verified
        | What::SentBack
        | What::Evaluated
        | What::HandedOver
        | What::OwnerChanged
        | What::Suspended
        | What::Shelved
        | What::Suppressed
        | What::Resumed
        | What::NoProgress
        | What::Unanswered
        | What::Confirmed
        | What::Folded => return,
    };
    metrics::histogram!(name, "class" => class).record(entry.at.since(alarm.raised).as_secs_f64());
}
