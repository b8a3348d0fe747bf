//! What a report may do, by how it reached us: only live news pages; a fire that reaches us late is an alarm of its own kind.
//!
//! | freshness | device time | weight |
//! |---|---|---|
//! | live | any | [`Weight::Live`] |
//! | replayed | not newer than the newest known of the device | [`Weight::Repetition`]: proves life, nothing else |
//! | replayed | newer and fresh | live: it was never acknowledged, so it may never have been committed |
//! | replayed | newer and old | [`Weight::Late`] with its age |
//! | replayed | absent | live: MQTT keeps the order, so nothing newer of this device came before it |
//! | backfill | given / absent | late with its age / without |
//! | retained | given / absent | late with its age / without; and no proof of life |
//!
//! A late report raises or ends nothing but a *late fire*: a fire-class state rule finds its flag set. Decided in this order:
//!
//! | what is known | late fire |
//! |---|---|
//! | the same report has `test` set | no: a test press |
//! | the condition stands (live) | no: the same episode |
//! | a late alarm of this device and rule is open | counted there as a repeat |
//! | given time, not newer than a fire already reported of this device and rule | no: a repetition |
//! | given time, not newer than a live report that has the flag clear | no: the device says that it is over |
//! | given time, else | raised, with its age |
//! | absent time, one already raised since the last live clear | no: the same message again |
//! | absent time, else | raised, of unknown age |

use crate::model::{Freshness, Report};
use crate::units::{Millis, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Live,
    Late { age: Option<Millis> },
    Repetition,
}

/// `newest` is the newest device time known of the device.
pub(super) fn weigh(report: &Report, newest: Option<Timestamp>, live_within: Millis) -> Weight {
    let age = report.device_time.map(|time| report.received.since(time));
    match report.freshness {
        Freshness::Live => Weight::Live,
        Freshness::Retained | Freshness::Backfill => Weight::Late { age },
        Freshness::Replayed => match report.device_time {
            None => Weight::Live,
            Some(time) if newest.is_some_and(|newest| time <= newest) => Weight::Repetition,
            Some(time) if report.received.since(time) <= live_within => Weight::Live,
            Some(_) => Weight::Late { age },
        },
    }
}

/// Whether the report shows that the device lives: everything but what a broker had kept.
pub(super) fn proves_life(freshness: Freshness) -> bool {
    match freshness {
        Freshness::Live | Freshness::Replayed | Freshness::Backfill => true,
        Freshness::Retained => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceIx;

    #[test]
    fn weighs_line_by_line() {
        use Freshness::{Backfill, Live, Replayed, Retained};
        let late = |age: u64| Weight::Late { age: Some(Millis(age)) };
        let unknown = Weight::Late { age: None };
        // Received at 1,000,000; live within 120 s; newest known 900,000.
        for (freshness, device_time, expected) in [
            (Live, None, Weight::Live),
            (Live, Some(10), Weight::Live),
            (Live, Some(999_000), Weight::Live),
            (Replayed, Some(900_000), Weight::Repetition),
            (Replayed, Some(10), Weight::Repetition),
            (Replayed, Some(900_001), Weight::Live),
            (Replayed, None, Weight::Live),
            (Backfill, Some(990_000), late(10_000)),
            (Backfill, None, unknown),
            (Retained, Some(990_000), late(10_000)),
            (Retained, None, unknown),
        ] {
            let report = Report {
                device: DeviceIx(0),
                received: Timestamp(1_000_000),
                device_time: device_time.map(Timestamp),
                freshness,
                values: Vec::new(),
            };
            let found = weigh(&report, Some(Timestamp(900_000)), Millis::from_secs(120));
            assert_eq!(found, expected, "{freshness:?} {device_time:?}");
        }
    }

    #[test]
    fn an_old_replay_of_a_device_without_history_is_late() {
        let report = Report {
            device: DeviceIx(0),
            received: Timestamp(1_000_000),
            device_time: Some(Timestamp(1_000)),
            freshness: Freshness::Replayed,
            values: Vec::new(),
        };
        let found = weigh(&report, None, Millis::from_secs(120));
        assert_eq!(found, Weight::Late { age: Some(Millis(999_000)) });
    }
}
