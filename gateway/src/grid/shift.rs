//! Weekly hours of a duty: `Mon-Fri 08:00-20:00; Sat,Sun 20:00-08:00`.
//!
//! Minutes of the week in the station's time zone, Monday first. What an instant is on the wall, and when a time of day begins, is
//! [`Zone`]'s; because both follow one rule, hours that do not meet here never meet in any night of any year.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::units::{Timestamp, Zone};

const DAY: u16 = 24 * 60;
const WEEK: u16 = 7 * DAY;
const TEXT_BYTES_MAX: usize = 200;
const INSTEAD: &str = "write such as `Mon-Fri 08:00-20:00; Sat,Sun 20:00-08:00`";

/// Never empty. Keeps the words it was written with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    text: String,
    /// Minutes of the week, from and up to, sorted, apart from each other.
    spans: Vec<(u16, u16)>,
}

impl Hours {
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("the hours are longer than {TEXT_BYTES_MAX} bytes; {INSTEAD}"));
        }
        let mut minutes = Vec::new();
        for part in text.split([';', '；']).map(str::trim).filter(|part| !part.is_empty()) {
            let (days, (from, until)) =
                read(part).ok_or_else(|| format!("`{part}` are no hours; {INSTEAD}"))?;
            for (day, _) in (0u16..).zip(days).filter(|(_, on)| *on) {
                let begin = day * DAY + from;
                let end = day * DAY + if until <= from { until + DAY } else { until };
                minutes.push((begin, end.min(WEEK)));
                if end > WEEK {
                    minutes.push((0, end - WEEK));
                }
            }
        }
        if minutes.is_empty() {
            return Err(format!("there are no hours; {INSTEAD}, or leave it empty for all hours"));
        }
        minutes.sort_unstable();
        let mut spans: Vec<(u16, u16)> = Vec::new();
        for (from, until) in minutes {
            match spans.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(until),
                Some(_) | None => spans.push((from, until)),
            }
        }
        Ok(Self { text, spans })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether they hold at this minute of the week.
    pub fn hold(&self, minute: u16) -> bool {
        self.spans.iter().any(|&(from, until)| from <= minute && minute < until)
    }

    /// Whether there is a minute at which both hold.
    pub fn meet(&self, other: &Self) -> bool {
        let meets = |a: &(u16, u16)| other.spans.iter().any(|b| a.0 < b.1 && b.0 < a.1);
        self.spans.iter().any(meets)
    }

    /// Minutes of the week at which they begin or end. None when they are all hours.
    fn edges(&self) -> impl Iterator<Item = u16> + '_ {
        let over_sunday = self.spans.first().is_some_and(|first| first.0 == 0)
            && self.spans.last().is_some_and(|last| last.1 == WEEK);
        let all = self.spans.iter().flat_map(|&(from, until)| [from, until % WEEK]);
        all.filter(move |&edge| !(edge == 0 && over_sunday))
    }

    /// When they begin or end next. `None` when they are all hours.
    pub fn next_edge(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let today = zone.shown(after).date();
        let day = |days: i64| today.checked_add(jiff::Span::new().days(days)).ok();
        // Up to the same day of the next week: today's edge may be over.
        (0..=8).filter_map(day).find_map(|date| {
            let begins = u16::from(date.weekday().to_monday_zero_offset().unsigned_abs()) * DAY;
            let todays = self.edges().filter(|edge| (begins..begins + DAY).contains(edge));
            let instants = todays.filter_map(|edge| {
                let minute = edge - begins;
                zone.first(date.at((minute / 60) as i8, (minute % 60) as i8, 0, 0))
            });
            instants.filter(|&at| after < at).min()
        })
    }
}

/// Minute of the week, Monday 00:00 is 0.
pub fn minute_of_week(local: DateTime) -> u16 {
    let day = u16::from(local.weekday().to_monday_zero_offset().unsigned_abs());
    day * DAY + u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
}

/// `Mon-Fri 08:00-20:00`, `周六、周日 8:00-12:00`, `20:00-08:00` (every day).
fn read(part: &str) -> Option<([bool; 7], (u16, u16))> {
    let plain = part.replace(['至', '~', '～', '–', '—'], "-").replace('：', ":").replace(['，', '、'], ",");
    let (days, times) = match plain.rsplit_once(' ') {
        Some((days, times)) => (days.replace(' ', ""), times),
        None => (String::new(), plain.as_str()),
    };
    let (from, until) = times.split_once('-')?;
    let (from, until) = (time(from)?, time(until)?);
    if from == DAY {
        return None;
    }
    let mut on = [days.is_empty() || days == "每天"; 7];
    for range in days.split(',').filter(|range| !range.is_empty() && *range != "每天") {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (mut at, last) = (day(first)?, day(last)?);
        on[at] = true;
        while at != last {
            at = (at + 1) % 7;
            on[at] = true;
        }
    }
    Some((on, (from, until)))
}

fn time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY).then_some(at)
}

fn day(text: &str) -> Option<usize> {
    const NAMES: [(&str, char); 7] = [
        ("mon", '一'),
        ("tue", '二'),
        ("wed", '三'),
        ("thu", '四'),
        ("fri", '五'),
        ("sat", '六'),
        ("sun", '日'),
    ];
    let small = text.to_lowercase();
    let chinese = small.strip_prefix('周').or_else(|| small.strip_prefix("星期")).unwrap_or_default();
    let found = |name: &str, character: char| {
        (small.len() >= 3 && small.starts_with(name))
            || chinese.strip_prefix(character).is_some_and(str::is_empty)
            || (chinese == "天" && character == '日')
    };
    NAMES.iter().position(|(name, character)| found(name, *character))
}

impl TryFrom<String> for Hours {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(text: &str) -> Hours {
        Hours::parse(text).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("valid")
    }

    #[test]
    fn hours_are_read_as_offices_write_them() {
        let day = |n: u16| n * DAY;
        for (text, spans) in [
            ("08:00-20:00", (0..7).map(|n| (day(n) + 480, day(n) + 1200)).collect::<Vec<_>>()),
            ("Mon,Wed 8:00-9:00", vec![(480, 540), (day(2) + 480, day(2) + 540)]),
            ("周一至周二 08：00-20：00", vec![(480, 1200), (day(1) + 480, day(1) + 1200)]),
            ("星期天 00:00-24:00", vec![(day(6), WEEK)]),
            ("Sun 20:00-08:00", vec![(0, 480), (day(6) + 1200, WEEK)]),
            ("Sat-Mon 00:00-24:00", vec![(0, day(1)), (day(5), WEEK)]),
            ("Mon 08:00-08:00", vec![(480, day(1) + 480)]),
            ("每天 00:00-24:00", vec![(0, WEEK)]),
            ("Mon 08:00-12:00; Mon 12:00-18:00", vec![(480, 1080)]),
        ] {
            assert_eq!(hours(text).spans, spans, "{text}");
        }
        for wrong in [
            "",
            ";",
            "Mon",
            "Mon-Fri",
            "Mon 8-20",
            "Funday 08:00-20:00",
            "08:00",
            "25:00-26:00",
            "08:60-09:00",
            "24:00-08:00",
            "Mon 08:00-20:00 Tue",
            "08:00-+9:00",
        ] {
            let said = Hours::parse(wrong).expect_err(wrong);
            assert!(said.contains("; write"), "{said}");
        }
        assert!(Hours::parse(&"08:00-20:00;".repeat(40)).is_err());
    }

    #[test]
    fn all_hours_have_no_edge_and_a_night_over_sunday_has_none_at_midnight() {
        let zone = Zone::default();
        let sunday = at("2026-11-29T21:00:00+08:00");
        assert_eq!(hours("00:00-24:00").next_edge(sunday, &zone), None);
        let night = hours("20:00-08:00").next_edge(sunday, &zone);
        assert_eq!(night, Some(at("2026-11-30T08:00:00+08:00")));
        let weekly = hours("Mon 08:00-09:00").next_edge(at("2026-11-30T09:00:00+08:00"), &zone);
        assert_eq!(weekly, Some(at("2026-12-07T08:00:00+08:00")));
    }

    /// The hour from 02:00 comes twice; 03:00 comes once, after both.
    #[test]
    fn a_shift_after_the_double_hour_begins_after_both() {
        let berlin = Zone::named("Europe/Berlin").expect("known");
        let edge = hours("Sun 03:00-03:30").next_edge(at("2026-10-25T00:00:00Z"), &berlin);
        assert_eq!(edge, Some(at("2026-10-25T03:00:00+01:00")));
        let early = minute_of_week(berlin.shown(at("2026-10-25T02:30:00+01:00")));
        assert!(!hours("Sun 03:00-03:30").hold(early) && hours("Sun 02:30-03:00").hold(early));
    }

    proptest! {
        /// The next edge is where holding changes, to the minute, over both changes of the clocks.
        #[test]
        fn the_next_edge_is_the_next_change(
            shifts in prop::collection::vec((0..7u16, 0..48u16, 1..48u16), 1..4), begin in 0i64..20_000, spring: bool,
        ) {
            const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
            let clock = |half: u16| format!("{:02}:{:02}", half % 48 / 2, half % 2 * 30);
            let text: Vec<_> = shifts.iter()
                .map(|(day, from, long)| format!("{} {}-{}", DAYS[*day as usize], clock(*from), clock(from + long)))
                .collect();
            let hours = hours(&text.join("; "));
            let zone = Zone::named("Europe/Berlin").expect("known");
            let start = at(if spring { "2026-03-23T00:00:00Z" } else { "2026-10-19T00:00:00Z" }).0;
            let now = Timestamp(start + begin * 60_000);
            let holds = |at: Timestamp| hours.hold(minute_of_week(zone.shown(at)));
            const HALF_HOUR: i64 = 1_800_000;
            let next = now.0.div_euclid(HALF_HOUR) + 1;
            let brute = (next..next + 15 * 48).map(|n| Timestamp(n * HALF_HOUR)).find(|&at| holds(at) != holds(now));
            let mut edge = hours.next_edge(now, &zone);
            // An edge may fall on an instant at which nothing changes: where the clocks go forward over a whole shift.
            while let Some(at) = edge.filter(|&at| holds(at) == holds(now)) {
                edge = hours.next_edge(at, &zone);
            }
            prop_assert_eq!(edge, brute);
        }
    }
}
