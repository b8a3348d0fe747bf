//! How well the alarm system serves people: the indicators of ISA-18.2, IEC 62682 and EEMUA 191, from the history of alarms.
//!
//! Pure: alarms and alerts come in, figures go out. Targets are those of the standards for one operator; here an operator is a person who is told. Formulae and clauses
//! stand in docs/indicators.md; a change here changes that page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Alarm, AlarmId, SignalClass};
use crate::units::{Millis, Timestamp};

const SLOT: Millis = Millis::from_secs(600);
/// So many new alarms for one person in ten minutes are a flood …
const FLOOD_FROM: u32 = 10;
/// … until there are fewer than this.
const FLOOD_UNTIL: u32 = 5;
/// An alarm that stands for so long is stale.
const STALE_AFTER: Millis = Millis::from_secs(24 * 3600);
/// So many alarms of one device and rule in this time: it chatters.
const CHATTER_MIN: usize = 3;
const CHATTER_WITHIN: Millis = Millis::from_secs(60);
/// Persons, cells and chattering devices in the answer, the busiest first.
pub const LINES_MAX: usize = 100;

/// That somebody was told of an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub person: String,
    pub alarm: AlarmId,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Indicators {
    pub alarms: u32,
    /// Per hour, averaged over the time.
    pub alarms_per_hour: f64,
    /// New alarms in the worst ten minutes.
    pub peak_per_10_min: u32,
    /// Share of ten-minute slots with ten new alarms or more, and after them until there are fewer than five; 0 to 1.
    pub time_in_flood: f64,
    /// Share of the alarms by priority; the standards ask for about 0.05, 0.15 and 0.80.
    pub high: f64,
    pub medium: f64,
    pub low: f64,
    /// Alarms that stood for 24 hours or more.
    pub stale: u32,
    /// Medians and the time within which nine of ten were, in milliseconds; of those that were.
    pub to_acknowledge: Times,
    pub to_arrive: Times,
    pub to_resolve: Times,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Times {
    pub count: u32,
    pub median_ms: Option<u64>,
    pub nine_of_ten_ms: Option<u64>,
}

impl Times {
    pub fn of(mut lasted: Vec<Millis>) -> Self {
        lasted.sort();
        let at = |share: usize| {
            lasted.get((lasted.len() * share).div_ceil(10).saturating_sub(1)).map(|time| time.0)
        };
        let count = u32::try_from(lasted.len()).unwrap_or(u32::MAX);
        Self { count, median_ms: at(5), nine_of_ten_ms: at(9) }
    }
}

/// A device and rule that raised three alarms or more within a minute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Chatterer {
    pub device: String,
    pub rule: String,
    /// The most alarms within one minute.
    pub within_a_minute: u32,
}

/// Of these alarms with the moments at which they count (when they were raised, or when one person was told first), from one moment up to, and without, another.
pub fn of<'a>(
    alarms: impl IntoIterator<Item = (&'a Alarm, Timestamp)>,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Indicators {
    let mut presented: Vec<(&Alarm, Timestamp)> =
        alarms.into_iter().filter(|(_, at)| from <= *at && *at < to).collect();
    presented.sort_by_key(|(alarm, at)| (*at, alarm.id));
    let count = u32::try_from(presented.len()).unwrap_or(u32::MAX);
    let slots = slots(presented.iter().map(|(_, at)| *at), from, to);
    let share = |class: fn(SignalClass) -> bool| {
        let many = presented.iter().filter(|(alarm, _)| class(alarm.class)).count();
        if presented.is_empty() { 0.0 } else { many as f64 / presented.len() as f64 }
    };
    let after = |moment: fn(&Alarm) -> Option<Timestamp>| {
        Times::of(
            presented.iter().filter_map(|(alarm, _)| Some(moment(alarm)?.since(alarm.raised))).collect(),
        )
    };
    Indicators {
        alarms: count,
        alarms_per_hour: f64::from(count) / (to.since(from).as_secs_f64() / 3600.0).max(f64::MIN_POSITIVE),
        peak_per_10_min: slots.iter().copied().max().unwrap_or(0),
        time_in_flood: flood(&slots),
        high: share(|class| class == SignalClass::Fire),
        medium: share(|class| class == SignalClass::Supervisory),
        low: share(|class| SignalClass::Supervisory < class),
        stale: u32::try_from(presented.iter().filter(|(alarm, _)| is_stale(alarm, now)).count())
            .unwrap_or(u32::MAX),
        to_acknowledge: after(|alarm| alarm.acknowledged.as_ref().map(|signed| signed.at)),
        to_arrive: after(|alarm| alarm.handling.on_site.as_ref().map(|signed| signed.at)),
        to_resolve: after(|alarm| alarm.resolved.as_ref().map(|resolution| resolution.signed.at)),
    }
}

/// When each person was told of each alarm first.
pub fn by_person(told: &[Told]) -> BTreeMap<&str, BTreeMap<AlarmId, Timestamp>> {
    let mut people: BTreeMap<&str, BTreeMap<AlarmId, Timestamp>> = BTreeMap::new();
    for one in told {
        let first = people.entry(&one.person).or_default().entry(one.alarm).or_insert(one.at);
        *first = one.at.min(*first);
    }
    people
}

/// The worst first.
pub fn chatterers(alarms: &[Alarm]) -> Vec<Chatterer> {
    let mut raised: BTreeMap<(&str, &str), Vec<Timestamp>> = BTreeMap::new();
    for alarm in alarms {
        if let Some(device) = &alarm.device_id {
            raised.entry((device, &alarm.rule)).or_default().push(alarm.raised);
        }
    }
    let mut found: Vec<Chatterer> = raised
        .into_iter()
        .filter_map(|((device, rule), mut times)| {
            times.sort();
            let most = (0..times.len())
                .map(|at| {
                    times[at..].iter().take_while(|time| time.since(times[at]) <= CHATTER_WITHIN).count()
                })
                .max()?;
            let within_a_minute = u32::try_from(most).unwrap_or(u32::MAX);
            (CHATTER_MIN <= most).then(|| Chatterer {
                device: device.into(),
                rule: rule.into(),
                within_a_minute,
            })
        })
        .collect();
    found.sort_by(|a, b| b.within_a_minute.cmp(&a.within_a_minute).then_with(|| a.cmp(b)));
    found.truncate(LINES_MAX);
    found
}

fn is_stale(alarm: &Alarm, now: Timestamp) -> bool {
    let over = alarm.returned.or(alarm.closed).unwrap_or(now);
    STALE_AFTER <= over.since(alarm.raised)
}

/// How many in each ten minutes, from the first moment on.
fn slots(moments: impl Iterator<Item = Timestamp>, from: Timestamp, to: Timestamp) -> Vec<u32> {
    let mut slots = vec![0u32; usize::try_from(to.since(from).0.div_ceil(SLOT.0)).unwrap_or(0)];
    for moment in moments {
        if let Some(slot) =
            slots.get_mut(usize::try_from(moment.since(from).0 / SLOT.0).unwrap_or(usize::MAX))
        {
            *slot += 1;
        }
    }
    slots
}

/// Share of the slots within a flood.
fn flood(slots: &[u32]) -> f64 {
    let mut flooded = false;
    let mut count = 0u32;
    for slot in slots {
        flooded = if flooded { FLOOD_UNTIL <= *slot } else { FLOOD_FROM <= *slot };
        count += u32::from(flooded);
    }
    if slots.is_empty() { 0.0 } else { f64::from(count) / slots.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: i64) -> Timestamp {
        Timestamp(count * 60_000)
    }

    #[test]
    fn a_flood_begins_at_ten_and_ends_below_five() {
        for (slots, expected) in [
            (vec![], 0.0),
            (vec![9, 9, 9, 9], 0.0),
            (vec![10, 0, 0, 0], 0.25),
            (vec![10, 5, 9, 4], 0.75),
            (vec![4, 12, 5, 9, 4, 9, 9, 9], 0.375),
        ] {
            assert_eq!(flood(&slots), expected, "{slots:?}");
        }
    }

    #[test]
    fn slots_begin_with_the_time_and_its_end_is_not_in_it() {
        let moments = [minutes(0), minutes(9), minutes(10), minutes(29)];
        assert_eq!(slots(moments.into_iter(), minutes(0), minutes(30)), [2, 1, 1]);
        assert_eq!(slots([minutes(30)].into_iter(), minutes(0), minutes(30)), [0, 0, 0]);
    }

    #[test]
    fn half_and_nine_of_ten() {
        let found = Times::of((1..=10).rev().map(Millis).collect());
        assert_eq!((found.count, found.median_ms, found.nine_of_ten_ms), (10, Some(5), Some(9)));
        let one = Times::of(vec![Millis(7)]);
        assert_eq!((one.median_ms, one.nine_of_ten_ms), (Some(7), Some(7)));
        assert_eq!(Times::of(Vec::new()), Times::default());
    }

    #[test]
    fn a_person_counts_an_alarm_once_when_he_was_told_first() {
        let told =
            |person: &str, alarm, at| Told { person: person.into(), alarm: AlarmId(alarm), at: minutes(at) };
        let all = [told("wang", 1, 5), told("wang", 1, 2), told("li", 1, 9), told("wang", 2, 7)];
        let people = by_person(&all);
        assert_eq!(people["wang"], BTreeMap::from([(AlarmId(1), minutes(2)), (AlarmId(2), minutes(7))]));
        assert_eq!(people["li"].len(), 1);
    }
}
