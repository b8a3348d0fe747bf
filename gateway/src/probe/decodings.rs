//! Every number that registers may hold, which of them are plausible, and what to write in station.toml for the best. Pure.
//!
//! A float that lies in the expected range by chance is rare (a few in a hundred), an integer that does is not; so floats are marked `**`, integers `*`, and
//! a float is proposed before an integer. It is a hint for somebody who looks at the gauge, not a proof.

use std::fmt::Write;

use crate::config::{NumberType, Table, WordOrder};
use crate::decode::modbus::{is_suspiciously_small, number, quantity, table_name};
use crate::model::Metric;

/// What the sensor should be reading now, in one of some units it may count in.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    pub metric: Metric,
    /// Device unit, lowest and highest number in it.
    pub ranges: Vec<(String, f64, f64)>,
}

impl Default for Expectation {
    /// Water under pressure, from a nearly empty pipe to the strongest fire main.
    fn default() -> Self {
        let ranges = [("bar", 0.1, 25.0), ("MPa", 0.01, 2.5), ("kPa", 10.0, 2_500.0)];
        Self {
            metric: Metric::PRESSURE,
            ranges: ranges.map(|(unit, low, high)| (unit.to_owned(), low, high)).to_vec(),
        }
    }
}

impl std::str::FromStr for Expectation {
    type Err = String;

    /// Such as `kPa 0..2500` or `degC 5..30`.
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("`{text}` is not a unit and a range; write it like \"kPa 0..2500\"");
        let (unit, range) = text.trim().split_once(' ').ok_or_else(malformed)?;
        let (low, high) = range.trim().split_once("..").ok_or_else(malformed)?;
        let parse = |text: &str| {
            text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(malformed)
        };
        let (low, high) = (parse(low)?, parse(high)?);
        if high <= low {
            return Err(format!("`{text}`: the range ends before it begins; write the lower number first"));
        }
        let metrics = [
            Metric::PRESSURE,
            Metric::TEMPERATURE,
            Metric::FLOW,
            Metric::LEVEL,
            Metric::VOLTAGE,
            Metric::CURRENT,
            Metric::HUMIDITY,
        ];
        let metric = metrics.into_iter().find(|metric| quantity::conversion(unit, *metric).is_some());
        let metric = metric.ok_or_else(|| {
            let known: Vec<_> = metrics.into_iter().flat_map(quantity::known_units).collect();
            format!("`{unit}` is no unit we know; write one of {}", known.join(", "))
        })?;
        Ok(Self { metric, ranges: vec![(unit.to_owned(), low, high)] })
    }
}

/// One reading of the registers from `address` that is plausible.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub address: u16,
    pub number_type: NumberType,
    pub order: WordOrder,
    /// Power of ten to multiply an integer with.
    pub decimals: u8,
    pub unit: String,
    pub value: f64,
}

fn is_float(number_type: NumberType) -> bool {
    matches!(number_type, NumberType::F32 | NumberType::F64)
}

/// The number at `place` of the registers; `None` where they end or one is missing.
fn decode(words: &[Option<u16>], place: usize, number_type: NumberType, order: WordOrder) -> Option<f64> {
    let words: Option<Vec<u16>> =
        words.get(place..place + usize::from(number_type.registers()))?.iter().copied().collect();
    number(&words?, number_type, order)
}

/// How the number may be what is expected: the unit and, for an integer, the decimals.
fn plausible(raw: f64, number_type: NumberType, expected: &Expectation) -> Option<(String, u8, f64)> {
    if !raw.is_finite() || raw == 0.0 || is_suspiciously_small(raw, number_type) {
        return None;
    }
    // With several units to choose from, decimals would make almost every integer fit.
    let most = if is_float(number_type) || expected.ranges.len() != 1 { 0 } else { 3 };
    let out_of_range_mark =
        number_type == NumberType::I16 && (raw == f64::from(i16::MAX) || raw == f64::from(i16::MIN));
    expected
        .ranges
        .iter()
        .flat_map(|range| (0..=most).map(move |decimals| (range, decimals)))
        .map(|((unit, low, high), decimals)| (unit, low, high, decimals, raw / 10f64.powi(decimals)))
        .find(|(_, low, high, _, value)| !out_of_range_mark && (**low..=**high).contains(value))
        .map(|(unit, _, _, decimals, value)| (unit.clone(), decimals as u8, value))
}

/// All plausible readings, the best first: floats before integers, then the most telling digits, then the usual order.
pub fn candidates(words: &[Option<u16>], start: u16, expected: &Expectation) -> Vec<Candidate> {
    let mut found = Vec::new();
    for place in 0..words.len() {
        for number_type in NumberType::NUMBERS {
            for order in WordOrder::ALL {
                if number_type.registers() == 1 && matches!(order, WordOrder::CDAB | WordOrder::DCBA) {
                    continue;
                }
                let Some(raw) = decode(words, place, number_type, order) else { continue };
                if let Some((unit, decimals, value)) = plausible(raw, number_type, expected) {
                    let address = start.wrapping_add(place as u16);
                    found.push((raw, Candidate { address, number_type, order, decimals, unit, value }));
                }
            }
        }
    }
    let rank = |number_type: NumberType| match number_type {
        NumberType::F32 => 0,
        NumberType::F64 => 1,
        NumberType::I16 => 2,
        NumberType::U16 => 3,
        NumberType::I32 | NumberType::U32 | NumberType::Bit => 4,
    };
    let digits = |raw: f64| if raw.abs() < 10.0 { 1 } else { 0 };
    found.sort_by_key(|(raw, one)| {
        let byte_swapped = matches!(one.order, WordOrder::BADC | WordOrder::DCBA);
        let lone_digit = if is_float(one.number_type) { 0 } else { digits(*raw) };
        (
            rank(one.number_type) / 2,
            lone_digit,
            byte_swapped,
            rank(one.number_type),
            one.order != WordOrder::ABCD,
        )
    });
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Registers as an aligned table: one line per address and type, one column per order.
pub fn table(words: &[Option<u16>], start: u16, expected: &Expectation) -> String {
    let mut text = format!(
        "{:>14}  {:>6}  {:<4}{:>18}{:>18}{:>18}{:>18}\n",
        "address", "hex", "type", "ABCD", "CDAB", "BADC", "DCBA"
    );
    for (place, word) in words.iter().enumerate() {
        let address = usize::from(start) + place;
        let head = format!("{address:>6} 0x{address:04X}");
        let Some(word) = word else {
            let _ = writeln!(text, "{head:>14}  refused");
            continue;
        };
        for number_type in NumberType::NUMBERS {
            let (shown_head, hex) = if number_type == NumberType::U16 {
                (head.as_str(), format!("{word:04X}"))
            } else {
                ("", String::new())
            };
            let columns: Vec<String> = WordOrder::ALL
                .into_iter()
                .map(|order| match decode(words, place, number_type, order) {
                    Some(raw)
                        if 1 < number_type.registers()
                            || matches!(order, WordOrder::ABCD | WordOrder::BADC) =>
                    {
                        let mark = match plausible(raw, number_type, expected) {
                            Some(_) if is_float(number_type) => "**",
                            Some(_) => "* ",
                            None => "  ",
                        };
                        format!("{}{mark}", written(raw, number_type))
                    }
                    Some(_) | None => String::new(),
                })
                .collect();
            if columns.iter().any(|column| !column.is_empty()) {
                let line = format!(
                    "{shown_head:>14}  {hex:>6}  {:<4}{:>18}{:>18}{:>18}{:>18}",
                    number_type.name(),
                    columns[0],
                    columns[1],
                    columns[2],
                    columns[3]
                );
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
    }
    text
}

fn written(raw: f64, number_type: NumberType) -> String {
    match raw {
        _ if !is_float(number_type) => format!("{raw}"),
        _ if !raw.is_finite() => format!("{raw}"),
        0.0 => "0".into(),
        _ if (1e-4..1e7).contains(&raw.abs()) => {
            let fixed = format!("{raw:.5}");
            fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{raw:.3e}"),
    }
}

/// The lines to copy into station.toml for this reading.
pub fn station_toml(
    unit: u8,
    table: Table,
    words: &[Option<u16>],
    start: u16,
    best: &Candidate,
    metric: Metric,
) -> String {
    if table == Table::Holding && is_like_mpd_380(words, start) {
        return format!(
            "These registers look like those of a МПД-380 (unit code, decimals, value):\n\n[[modbus.unit]]\nunit = {unit}\nmap = \"mpd-380\"\n"
        );
    }
    let name = table.key();
    let mut text = format!(
        "Most plausible: {} {} ({} at {} {}, order {}). Compare it with the gauge, then write:\n\n[[modbus.unit]]\nunit = {unit}\n[[modbus.unit.register]]\nmetric = \"{}\"\ntable = \"{name}\"\naddress = {}\ntype = \"{}\"\n",
        written(best.value, NumberType::F64),
        best.unit,
        best.number_type.name(),
        table_name(table),
        best.address,
        best.order.name(),
        metric.name(),
        best.address,
        best.number_type.name(),
    );
    if best.order != WordOrder::ABCD {
        let _ = writeln!(text, "order = \"{}\"", best.order.name());
    }
    if 0 < best.decimals {
        let _ = writeln!(text, "scale = {}", 10f64.powi(-i32::from(best.decimals)));
    }
    let _ = writeln!(text, "unit = \"{}\"", best.unit);
    text
}

/// Unit code, decimals, value, and a full scale that is not smaller than the value.
fn is_like_mpd_380(words: &[Option<u16>], start: u16) -> bool {
    let at = |address: u16| words.get(usize::from(address.checked_sub(start)?)).copied().flatten();
    let (Some(code), Some(decimals), Some(value), Some(zero), Some(full)) =
        (at(2), at(3), at(4), at(5), at(6))
    else {
        return false;
    };
    let (value, zero, full) = (value as i16, zero as i16, full as i16);
    let baud_fits = at(1).is_none_or(|baud| baud <= 7);
    usize::from(code) < quantity::UNIT_CODES.len()
        && decimals <= 4
        && zero < full
        && value <= full
        && 0 < full
        && baud_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(words: &[u16]) -> Vec<Option<u16>> {
        words.iter().copied().map(Some).collect()
    }

    fn best(words: &[u16]) -> Candidate {
        candidates(&some(words), 100, &Expectation::default()).remove(0)
    }

    #[test]
    fn a_float_is_found_in_every_order() {
        for (words, order) in [
            ([0x3E0F, 0x5C29], WordOrder::ABCD), // 0.14 MPa or bar: only the gauge can tell
            ([0x5C29, 0x3E0F], WordOrder::CDAB),
            ([0x0F3E, 0x295C], WordOrder::BADC),
            ([0x295C, 0x0F3E], WordOrder::DCBA),
        ] {
            let found = best(&words);
            assert_eq!((found.number_type, found.order), (NumberType::F32, order), "{words:x?}");
            assert!((found.value - 0.14).abs() < 1e-6);
        }
    }

    #[test]
    fn an_integer_gets_its_decimals_from_the_expectation() {
        let expected: Expectation = "bar 3..4".parse().expect("valid");
        let found = candidates(&some(&[0, 356, 9]), 10, &expected);
        assert_eq!((found[0].address, found[0].decimals, found[0].value), (11, 2, 3.56));
        let text = station_toml(5, Table::Input, &some(&[0, 356, 9]), 10, &found[0], expected.metric);
        assert!(text.contains("address = 11\ntype = \"i16\"\nscale = 0.01\nunit = \"bar\""), "{text}");
    }

    #[test]
    fn what_it_proposes_is_valid_configuration() {
        let words = some(&[0, 0, 0x4060, 0]);
        let best = candidates(&words, 0, &Expectation::default()).remove(0);
        let text = station_toml(2, Table::Holding, &words, 0, &best, Metric::PRESSURE);
        let (_, toml) = text.split_once("\n\n").expect("a sentence, then the lines");
        let bus = format!("name = \"x\"\ntcp = \"h:502\"\n{}", toml.replace("[[modbus.", "[["));
        let plan = crate::decode::modbus::compile(
            &toml::from_str(&bus).expect("shape"),
            &crate::profiles::shipped(),
        )
        .expect("valid");
        assert_eq!(plan.units[0].fields[0].address, 2, "{text}");
    }

    #[test]
    fn the_common_map_is_recognized() {
        let words = some(&[1, 3, 3, 2, 356, 0, 2_500, 0]);
        let best = candidates(&words, 0, &Expectation::default()).remove(0);
        assert!(
            station_toml(1, Table::Holding, &words, 0, &best, Metric::PRESSURE).contains("map = \"mpd-380\"")
        );
    }

    #[test]
    fn an_expectation_says_what_is_wrong_with_it() {
        for (text, words) in [
            ("kPa", "is not a unit and a range"),
            ("kPa 5..1", "ends before"),
            ("furlong 1..2", "no unit we know"),
            ("bar x..2", "not a unit"),
        ] {
            let error = text.parse::<Expectation>().expect_err(text);
            assert!(error.contains(words), "{error}");
        }
        assert_eq!("degC 5..30".parse::<Expectation>().expect("valid").metric, Metric::TEMPERATURE);
    }

    #[test]
    fn the_table_is_aligned_and_marked() {
        let text = table(&[Some(0x4060), Some(0), None], 2, &Expectation::default());
        let float = text.lines().find(|line| line.contains("f32")).expect("a line");
        assert!(float.contains("3.5**"), "{text}");
        assert!(text.lines().last().expect("a line").ends_with("refused"), "{text}");
        let column =
            |line: &str| line.find("ABCD").or_else(|| line.find("3.5**").map(|at| at + 1)).expect("there");
        assert_eq!(column(text.lines().next().expect("a head")), column(float), "{text}");
    }
}
