//! Dates as offices write them: `2026-01-31`, `2026/1/31`, `2026年1月31日`, each with or without a time, or RFC 3339.
//!
//! A date without a time is that day in the station's time zone: as a beginning its first moment, as an end its last, so that an end 2026-12-31 and the
//! next beginning 2027-01-01 leave no hole. With a time, an end is the moment itself. The zone is the registry's and comes at the merge.

use jiff::civil::{Date, DateTime, Time};

use super::text::Field;
use super::{Placed, Table};
use crate::units::{Timestamp, Zone};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    Exact(Timestamp),
    Local(DateTime),
}

impl Moment {
    pub fn parse(text: &str, end: bool) -> Option<Self> {
        if let Some(at) = Timestamp::parse_rfc3339(text) {
            return Some(Self::Exact(at));
        }
        let plain = text.replace(['年', '月', '/'], "-").replace(['日', 'T'], " ");
        let mut parts = plain.split_whitespace();
        let mut numbers = parts.next()?.splitn(3, '-').map(|number| number.parse::<i16>().ok());
        let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let local = match parts.next() {
            Some(clock) => {
                let mut numbers = clock.splitn(3, ':').map(|number| number.parse::<i8>().ok());
                let (hour, minute) = (numbers.next()??, numbers.next()??);
                let second = numbers.next().unwrap_or(Some(0))?;
                DateTime::from_parts(date, Time::new(hour, minute, second, 0).ok()?)
            }
            None if end => DateTime::from_parts(date.tomorrow().ok()?, Time::midnight()),
            None => DateTime::from_parts(date, Time::midnight()),
        };
        // A day beyond the last year of the calendar has no instant in any zone.
        let in_range = parts.next().is_none() && (-9000..=9998).contains(&local.year());
        in_range.then_some(Self::Local(local))
    }

    pub fn at(self, zone: &Zone) -> Timestamp {
        match self {
            Self::Exact(at) => at,
            Self::Local(local) => zone.first(local).unwrap_or(Timestamp(i64::MAX)),
        }
    }

    /// Not after the other, as far as that can be told without a zone.
    fn not_after(self, other: Self) -> bool {
        match (self, other) {
            (Self::Exact(mine), Self::Exact(theirs)) => mine <= theirs,
            (Self::Local(mine), Self::Local(theirs)) => mine <= theirs,
            (Self::Exact(_), Self::Local(_)) | (Self::Local(_), Self::Exact(_)) => false,
        }
    }
}

/// The beginning and the end of something, each with its column.
pub(super) struct Period {
    pub from: Option<Placed<Moment>>,
    pub until: Option<Moment>,
}

/// Reads both columns; an empty end is open. `what` begins a sentence: `the duty`.
pub(super) fn period(table: &mut Table<'_>, from: &Field, until: &Field, what: &str) -> Period {
    let begin = moment(table, from, false);
    let end = if until.text.is_empty() { None } else { moment(table, until, true) };
    if let (Some(begin), Some(end)) = (begin, end)
        && end.not_after(begin)
    {
        table.wrong(
            until.at,
            format!("{what} ends before it begins; write a later `until`, or leave it empty"),
        );
    }
    Period { from: begin.map(|value| Placed { value, at: from.at }), until: end }
}

pub(super) fn moment(table: &mut Table<'_>, field: &Field, end: bool) -> Option<Moment> {
    let found = Moment::parse(&field.text, end);
    if found.is_none() {
        table.wrong(
            field.at,
            format!("`{}` is no date; write it as 2026-01-31 or 2026-01-31 08:00", field.text),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_offices_write_them() {
        for (text, end, wanted) in [
            ("2026-01-31", false, Some("2026-01-30T16:00:00.000Z")),
            ("2026-01-31", true, Some("2026-01-31T16:00:00.000Z")),
            ("2026/1/31", false, Some("2026-01-30T16:00:00.000Z")),
            ("2026年1月31日", false, Some("2026-01-30T16:00:00.000Z")),
            ("2026-01-31 08:30", true, Some("2026-01-31T00:30:00.000Z")),
            ("2026/1/31 8:30:15", false, Some("2026-01-31T00:30:15.000Z")),
            ("2026-01-31T08:30:00Z", false, Some("2026-01-31T08:30:00.000Z")),
            ("2026-02-30", false, None),
            ("2026-1", false, None),
            ("31.1.2026", false, None),
            ("2026-01-31 25:00", false, None),
            ("2026-01-31 08:30 x", false, None),
            ("9999-12-31", true, None),
        ] {
            let wanted = wanted.map(str::to_owned);
            let found = Moment::parse(text, end).map(|moment| moment.at(&Zone::default()).rfc3339());
            assert_eq!(found, wanted, "{text}");
        }
    }

    #[test]
    fn a_day_is_that_day_in_the_station_s_zone() {
        let lhasa = Zone::named("Asia/Urumqi").expect("known");
        let moment = Moment::parse("2026-01-31", false).expect("a date");
        assert_eq!(moment.at(&lhasa).rfc3339(), "2026-01-30T18:00:00.000Z");
    }
}
