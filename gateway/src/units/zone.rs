//! The station's time zone: instants and what the clock on the wall shows.
//!
//! Where clocks are put forward or back, a time of day happens never or twice. Both directions here follow one rule, so that they fit together: a time of day
//! *begins* at the first instant at which the clock shows it or a later one, and an instant *belongs* to the latest time shown so far.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A time zone of the IANA database, which is part of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// Instants are counted in these.
const MOMENT: jiff::SignedDuration = jiff::SignedDuration::from_millis(1);

/// China has had one zone without summer time since 1991.
pub const DEFAULT: &str = "Asia/Shanghai";

impl Zone {
    /// `None`: there is no such zone.
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok()?;
        zone.iana_name().is_some().then_some(Self(zone))
    }

    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or(DEFAULT)
    }

    /// The latest that the clock on the wall has shown by then.
    pub fn shown(&self, at: Timestamp) -> DateTime {
        let Ok(at) = jiff::Timestamp::from_millisecond(at.0) else {
            return if at.0 < 0 { DateTime::MIN } else { DateTime::MAX };
        };
        let local = self.0.to_datetime(at);
        match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Fold { before, after } if self.0.to_offset(at) == after => {
                // Not the change itself: the clock went back instead of showing it.
                let last = self.change_by(at).and_then(|change| change.checked_sub(MOMENT).ok());
                last.map_or(local, |last| before.to_datetime(last))
            }
            AmbiguousOffset::Fold { .. }
            | AmbiguousOffset::Gap { .. }
            | AmbiguousOffset::Unambiguous { .. } => local,
        }
    }

    /// The first instant at which the clock on the wall shows this or later. `None`: beyond the year 9999.
    pub fn first(&self, local: DateTime) -> Option<Timestamp> {
        let at = match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok()?,
            AmbiguousOffset::Gap { before, .. } => self.change_by(before.to_timestamp(local).ok()?)?,
        };
        Some(Timestamp(at.as_millisecond()))
    }

    /// The newest change of the clocks that has happened by then.
    fn change_by(&self, at: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let just_after = at.checked_add(MOMENT).ok()?;
        self.0.preceding(just_after).next().map(|change| change.timestamp())
    }

    /// For people: `2026-11-28 20:00`.
    pub fn text(&self, at: Timestamp) -> String {
        self.shown(at).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// To the second: `2026-11-28 20:00:07`.
    pub fn clock(&self, at: Timestamp) -> String {
        self.shown(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::named(DEFAULT).expect("the database is part of the program")
    }
}

impl TryFrom<String> for Zone {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        let wrong =
            || format!("there is no time zone `{name}`; write a name such as Asia/Shanghai or Asia/Urumqi");
        Self::named(&name).ok_or_else(wrong)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("valid")
    }

    /// Berlin 2026: clocks go forward on March 29 at 02:00 and back on October 25 at 03:00.
    #[test]
    fn a_time_that_happens_never_or_twice_begins_once() {
        let berlin = Zone::named("Europe/Berlin").expect("known");
        for (local, begins) in [
            ("2026-03-29T01:59", "2026-03-29T01:59:00+01:00"),
            ("2026-03-29T02:00", "2026-03-29T03:00:00+02:00"),
            ("2026-03-29T02:30", "2026-03-29T03:00:00+02:00"),
            ("2026-03-29T03:00", "2026-03-29T03:00:00+02:00"),
            ("2026-10-25T02:00", "2026-10-25T02:00:00+02:00"),
            ("2026-10-25T02:59", "2026-10-25T02:59:00+02:00"),
            ("2026-10-25T03:00", "2026-10-25T03:00:00+01:00"),
        ] {
            let local: DateTime = local.parse().expect("valid");
            assert_eq!(berlin.first(local), Some(at(begins)), "{local}");
        }
        for (instant, shows) in [
            ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00"),
            ("2026-10-25T02:00:00+01:00", "2026-10-25T02:59:59.999"),
            ("2026-10-25T02:30:00+01:00", "2026-10-25T02:59:59.999"),
            ("2026-10-25T03:30:00+01:00", "2026-10-25T03:30:00"),
        ] {
            assert_eq!(berlin.shown(at(instant)).to_string(), shows, "{instant}");
        }
    }

    #[test]
    fn only_zones_with_a_name_are_zones() {
        assert_eq!(Zone::default().text(at("2026-11-28T12:00:00Z")), "2026-11-28 20:00");
        assert!(Zone::named("Asia/Beijing").is_none() && Zone::named("+08:00").is_none());
    }

    proptest! {
        /// One rule in both directions: an instant is at or after the beginning of exactly the times shown by then.
        #[test]
        fn both_directions_fit_together(
            around in prop::sample::select(vec![
                ("Europe/Berlin", "2026-03-29T01:00:00Z"),
                ("Europe/Berlin", "2026-10-25T01:00:00Z"),
                ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
                ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
                ("Asia/Shanghai", "2026-10-25T01:00:00Z"),
            ]),
            first in -360i64..360, second in -360i64..360,
        ) {
            let (name, change) = around;
            let zone = Zone::named(name).expect("known");
            let [instant, other] = [first, second].map(|half_minutes| Timestamp(at(change).0 + half_minutes * 30_000));
            let local = zone.shown(other);
            let begun = zone.first(local).expect("this century") <= instant;
            prop_assert_eq!(begun, local <= zone.shown(instant));
        }
    }
}
