//! Absence of signal for people: nobody opens a door, moves or uses water in a flat for so many waking hours.
//!
//! Pure. A flat is known by its first device and its rule ([`super::rules::Flat`]); [`Flats`] keeps for each when somebody must be missed, unless something happens before. The night does not count, nor does a
//! leave that is registered, nor the time in which the gateway was off. While a sensor of the flat is silent nobody can say anything of the person: its own trouble alarm tells of that, and the hours
//! begin anew when all are heard again. A heartbeat that says the same as before is no sign of a person; a change is. Part of the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::condition::{Place, Verdict};
use super::rules::{Flat, RuleBook};
use super::{Engine, Turn};
use crate::config::rules::Hours;
use crate::grid::dwellings::Leave;
use crate::model::{DeviceIx, Metric, Quality, Report, Value};
use crate::units::{Millis, Steady, Timestamp, Zone};

/// While nothing can be said, so often it is looked again.
const LOOK_AGAIN: Millis = Millis::from_secs(1_800);
/// No longer than this is looked ahead: rules allow two weeks.
const DAYS_MAX: usize = 60;

/// What is known of one flat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Calm {
    /// `None`: somebody is missed already.
    due: Option<Steady>,
    /// A sensor was silent when it was last due.
    blind: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flats {
    calm: BTreeMap<Place, Calm>,
    due: BTreeSet<(Steady, Place)>,
    /// The newest of each flag, to see that it changes.
    flags: BTreeMap<(DeviceIx, Metric), bool>,
}

impl Flats {
    pub fn from_rows(
        calm: impl IntoIterator<Item = (Place, Calm)>,
        flags: Vec<(DeviceIx, Metric, bool)>,
    ) -> Self {
        let flags = flags.into_iter().map(|(device, metric, set)| ((device, metric), set)).collect();
        let mut flats = Self { flags, ..Self::default() };
        calm.into_iter().for_each(|(place, calm)| flats.put(place, calm));
        flats
    }

    pub fn rows(&self) -> impl Iterator<Item = (Place, &Calm)> {
        self.calm.iter().map(|(place, calm)| (*place, calm))
    }

    pub fn flags(&self) -> Vec<(DeviceIx, Metric, bool)> {
        self.flags.iter().map(|(&(device, metric), &set)| (device, metric, set)).collect()
    }

    /// When somebody will be missed there, if nothing happens before.
    pub fn missed_at(&self, place: Place) -> Option<Steady> {
        self.calm.get(&place)?.due
    }

    pub fn next_due(&self) -> Option<(Steady, Place)> {
        self.due.first().copied()
    }

    pub fn knows(&self, place: Place) -> bool {
        self.calm.contains_key(&place)
    }

    pub fn put(&mut self, place: Place, calm: Calm) {
        self.forget(place);
        if let Some(due) = calm.due {
            self.due.insert((due, place));
        }
        self.calm.insert(place, calm);
    }

    pub fn forget(&mut self, place: Place) -> Option<Calm> {
        let calm = self.calm.remove(&place)?;
        if let Some(due) = calm.due {
            self.due.remove(&(due, place));
        }
        Some(calm)
    }

    /// All of them, to be put back under changed rules.
    pub fn drain(&mut self) -> Vec<(Place, Calm)> {
        self.due.clear();
        std::mem::take(&mut self.calm).into_iter().collect()
    }

    /// For so long nobody was heard, because the gateway was off.
    pub fn put_off(&mut self, by: Millis) {
        for (place, calm) in self.drain() {
            let due = calm.due.map(|due| due + by);
            self.put(place, Calm { due, ..calm });
        }
    }

    /// Whether the value shows that somebody is there; remembers it.
    fn shows_somebody(&mut self, device: DeviceIx, value: &Value) -> bool {
        if value.quality == Quality::Bad {
            return false;
        }
        let set = value.value != 0.0;
        if !value.metric.spec().flag {
            return 0.0 < value.value;
        }
        let before = self.flags.insert((device, value.metric), set);
        // Many motion sensors never say that it is over.
        (value.metric == Metric::MOTION && set) || before.map_or(set, |before| before != set)
    }
}

impl Flat {
    /// When somebody is missed there of whom nothing was heard from then on.
    fn missed_at(&self, from: Timestamp, zone: &Zone) -> Timestamp {
        awake(from, self.hours, self.night, zone)
    }
}

/// When so much waking time has passed from `from` on.
fn awake(from: Timestamp, hours: Millis, night: Option<Hours>, zone: &Zone) -> Timestamp {
    let Some(night) = night else { return from + hours };
    let (mut at, mut left) = (from, hours);
    for _ in 0..DAYS_MAX {
        let time = zone.shown(at).time();
        let minute = u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs());
        if night.has(minute) {
            at = next(at, night.until_minute(), zone);
            continue;
        }
        let falls = next(at, night.from_minute(), zone);
        let span = falls.since(at);
        if left <= span {
            return at + left;
        }
        left = Millis(left.0 - span.0);
        at = falls;
    }
    at
}

/// The first moment after `at` at which a day is so many minutes old.
fn next(at: Timestamp, minute: u16, zone: &Zone) -> Timestamp {
    let mut date = zone.shown(at).date();
    for _ in 0..3 {
        let (hour, minute) = ((minute / 60) as i8, (minute % 60) as i8);
        if let Some(found) = zone.first(date.at(hour, minute, 0, 0)).filter(|found| at < *found) {
            return found;
        }
        let Ok(tomorrow) = date.tomorrow() else { break };
        date = tomorrow;
    }
    at + Millis::from_secs(24 * 3600)
}

impl Engine {
    /// Flats that are not watched yet count from now.
    pub(super) fn arm_new_flats(&mut self) {
        let rules = self.rules.clone();
        for flat in rules.flats() {
            if !self.flats.knows(flat.place()) {
                self.flats.put(
                    flat.place(),
                    Calm { due: self.hours_from(flat.place(), self.now.wall), blind: false },
                );
            }
        }
    }

    /// What is known of flats moves to the rules of the same name; an alarm for a flat that is no longer watched comes to its end.
    pub(super) fn move_flats(
        &mut self,
        turn: &mut Turn<'_>,
        before: &RuleBook,
        place: impl Fn(Place) -> Option<Place>,
    ) {
        let (rules, now) = (turn.rules, turn.now.wall);
        for (old, calm) in self.flats.drain() {
            // A leave may be taken back by this change; the hours before its end do not count all the same.
            let leave = before.flat(old).and_then(|flat| flat.leave).filter(|leave| leave.from <= now);
            let back = leave.map(|leave| leave.until.map_or(now, |until| until.min(now)));
            match place(old).filter(|new| rules.flat(*new).is_some()) {
                Some(new) => {
                    let at_least = back.and_then(|back| self.hours_from(new, back));
                    let due = calm.due.map(|due| at_least.map_or(due, |at_least| due.max(at_least)));
                    self.flats.put(new, Calm { due, ..calm });
                }
                None => {
                    if let Some(new) = place(old) {
                        self.judge(turn, new, Verdict::Normal, None);
                    }
                }
            }
        }
        self.arm_new_flats();
    }

    /// A live report of a device, which may stand in a flat.
    pub(super) fn somebody_there(&mut self, turn: &mut Turn<'_>, report: &Report) {
        let rules = turn.rules;
        for &place in rules.flats_of(report.device) {
            let Some(flat) = rules.flat(place) else { continue };
            let mut there = false;
            for value in report.values.iter().filter(|value| flat.metrics.contains(&value.metric)) {
                there |= self.flats.shows_somebody(report.device, value);
            }
            if there {
                let due = self.hours_from(place, turn.now.wall);
                self.flats.put(place, Calm { due, blind: false });
                self.judge(turn, place, Verdict::Normal, None);
            }
        }
    }

    /// The hours of a flat are over.
    pub(super) fn nobody_there(&mut self, turn: &mut Turn<'_>, place: Place) {
        let Some(calm) = self.flats.forget(place) else { return };
        let (rules, now) = (turn.rules, turn.now);
        let Some(flat) = rules.flat(place) else { return };
        let heard =
            |device: &DeviceIx| self.presence.row(*device).is_some_and(|row| row.seen().online == Some(true));
        let blind = !flat.devices.iter().all(heard);
        let zone = rules.time_zone();
        let later = match flat.leave.filter(|leave| leave.from <= now.wall) {
            Some(Leave { until: None, .. }) => Some(now.steady + LOOK_AGAIN),
            // Back from it there are all the hours again, also when it is over by now.
            Some(Leave { until: Some(until), .. }) if now.wall < flat.missed_at(until, zone) => {
                self.hours_from(place, until)
            }
            Some(_) | None if blind => Some(now.steady + LOOK_AGAIN),
            Some(_) | None if calm.blind => self.hours_from(place, now.wall),
            Some(_) | None => None,
        };
        self.flats.put(place, Calm { due: later, blind });
        if later.is_none() {
            self.judge(turn, place, Verdict::Abnormal, None);
        }
    }

    /// When the hours of a flat are over that begin at `from`, now or later.
    fn hours_from(&self, place: Place, from: Timestamp) -> Option<Steady> {
        let due = self.rules.flat(place)?.missed_at(from, self.rules.time_zone());
        // Never at once, whatever the clocks say.
        Some(self.now.steady + due.since(self.now.wall).max(Millis(1_000)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(&format!("2026-11-{text}+08:00")).unwrap()
    }

    fn night(text: &str) -> Option<Hours> {
        Some(Hours::try_from(text.to_owned()).unwrap())
    }

    #[test]
    fn the_night_does_not_count() {
        let zone = Zone::default();
        for (from, hours, asleep, until) in [
            ("23T08:00:00", 12, "22:00-07:00", "23T20:00:00"),
            ("23T15:00:00", 12, "22:00-07:00", "24T12:00:00"),
            ("23T23:30:00", 12, "22:00-07:00", "24T19:00:00"),
            ("23T06:59:59", 1, "22:00-07:00", "23T08:00:00"),
            ("23T22:00:00", 1, "22:00-07:00", "24T08:00:00"),
            ("23T21:59:00", 1, "22:00-07:00", "24T07:59:00"),
            ("23T07:00:00", 15, "22:00-07:00", "23T22:00:00"),
            ("23T12:00:00", 25, "22:00-07:00", "24T22:00:00"),
            ("23T13:00:00", 1, "13:00-14:00", "23T15:00:00"),
        ] {
            let found = awake(at(from), Millis(hours * HOUR), night(asleep), &zone);
            assert_eq!(found, at(until), "{from} {hours} {asleep}");
        }
        assert_eq!(awake(at("23T15:00:00"), Millis(12 * HOUR), None, &zone), at("24T03:00:00"));
    }

    proptest! {
        /// In every zone and at every change of the clocks: no shorter than the hours, never in the night, and later for a later beginning.
        #[test]
        fn somebody_is_missed_by_day(from in 1_700_000_000_000..1_900_000_000_000i64, later in 0..200_000_000i64, hours in 1..100u64, zone in 0..3usize) {
            let zone = Zone::named(["Asia/Shanghai", "Europe/London", "Australia/Lord_Howe"][zone]).unwrap();
            let asleep = night("22:30-06:15");
            let due = |from| awake(Timestamp(from), Millis(hours * HOUR), asleep, &zone);
            let found = due(from);
            prop_assert!(Timestamp(from) + Millis(hours * HOUR) <= found);
            prop_assert!(found <= due(from + later));
            let before = zone.shown(Timestamp(found.0 - 1)).time();
            let minute = before.hour() as u16 * 60 + before.minute() as u16;
            prop_assert!(!asleep.unwrap().has(minute), "missed at {} o'clock", before);
        }
    }
}
