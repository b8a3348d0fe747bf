//! RFC 3339 as machines write it: digits in fixed places, in UTC. Everything else is jiff's.
//!
//! Nearly every message has such a time in it, and a grammar for all of RFC 3339 takes longer to read it than the rest of the message does. The calendar is jiff's here as well.

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::Timestamp;

/// `2026-11-23T03:00:00Z`, with or without a fraction, from 1970 on. `None` says nothing of other texts.
pub(super) fn usual(text: &str) -> Option<Timestamp> {
    let (whole, rest) = text.as_bytes().split_first_chunk()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1] = *whole
    else {
        return None;
    };
    let year = number(&[y0, y1, y2, y3])?;
    let [month, day, hour, minute, second] =
        [[m0, m1], [d0, d1], [h0, h1], [i0, i1], [s0, s1]].map(|two| number(&two).map(|two| two as i8));
    let at = DateTime::new(year as i16, month?, day?, hour?, minute?, second?, 0).ok()?;
    let seconds = Offset::UTC.to_timestamp(at).ok()?.as_second();
    (0 <= seconds).then_some(Timestamp(seconds * 1000 + fraction_ms(rest)?))
}

/// What stands behind the seconds: `Z`, or `.12Z`; cut to milliseconds.
fn fraction_ms(rest: &[u8]) -> Option<i64> {
    let digits = match rest {
        [b'Z'] => return Some(0),
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => digits,
        _ => return None,
    };
    number(digits)?;
    let ms = [0, 1, 2].map(|at| digits.get(at).map_or(0, |digit| i64::from(digit - b'0')));
    Some(ms[0] * 100 + ms[1] * 10 + ms[2])
}

fn number(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_devices_write_is_read_here() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-23T02:59:59Z", Some(1_795_402_799_000)),
            ("2026-11-23T02:59:59.12Z", Some(1_795_402_799_120)),
            ("2026-11-23T02:59:59.123999999Z", Some(1_795_402_799_123)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2025-02-29T00:00:00Z", None),
            ("1969-12-31T23:59:59.5Z", None),
            ("2026-11-23T02:59:60Z", None),
            ("2026-11-23T02:59:59.Z", None),
            ("2026-11-23T02:59:59+08:00", None),
            ("2026-11-23 02:59:59Z", None),
            ("2026-11-23T02:59:5ÿZ", None),
        ] {
            assert_eq!(usual(text).map(|at| at.0), ms, "{text}");
        }
    }

    proptest! {
        /// It may leave a text to jiff, but never reads it otherwise.
        #[test]
        fn is_read_as_jiff_reads_it(text in "(19|20)[0-9]{2}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,10})?Z") {
            let theirs = text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()));
            if let Some(ours) = usual(&text) {
                prop_assert_eq!(Some(ours), theirs);
            }
        }
    }
}
