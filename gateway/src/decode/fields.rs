//! What the fields of foreign devices mean: one table from a field's name to our metric, shared by the families that carry them.
//!
//! A new device usually needs one line here, or one in a family's own table, which is asked first. Names that stand in no table are normal and
//! ignored. Deliberately absent: `smoke_density`, a step on a scale of the vendor's own (its `smoke_density_dbm` has a unit), and a bare
//! `pressure` in the shared table, which Zigbee devices use for the weather.

use super::scalar::Scalar;
use super::values::Values;
use crate::model::Metric;
use crate::model::names::Names;

/// What a field says.
pub enum Meaning {
    Flag(Metric),
    /// The flag is set when the field is not.
    Inverted(Metric),
    /// Multiplied into the metric's unit.
    Number(Metric, f64),
    /// A word. Plain true and false set the metric, and so does any word in the list, to what stands there; `None` says nothing.
    Words(Metric, &'static [(&'static str, Option<(Metric, bool)>)]),
    /// The flag is set by true and false only: some models publish a measurement under the same name, a share of the explosive limit or a meter's reading.
    Alarm(Metric),
    /// The test button is pressed: what looks like fire in the same message is none.
    TestPressed,
    /// Battery devices send millivolts, mains devices volts.
    Voltage,
    /// Light lost in smoke as dB/m, which becomes %/m.
    Decibels(Metric),
}

use Meaning::{Alarm, Decibels, Flag, Inverted, Number, TestPressed, Voltage, Words};

/// Names of fields, each once, and what they mean.
pub struct Table {
    rows: &'static [(&'static str, Meaning)],
    names: Names<128>,
}

impl Table {
    pub const fn new(rows: &'static [(&'static str, Meaning)]) -> Self {
        let mut names = Names::new();
        let mut at = 0;
        while at < rows.len() {
            names = names.with(rows[at].0, at);
            at += 1;
        }
        Self { rows, names }
    }

    fn meaning(&self, name: &str) -> Option<&'static Meaning> {
        let at = self.names.find(name, |at| self.rows[at].0)?;
        Some(&self.rows[at].1)
    }
}

const FAULT_WORDS: Meaning = Words(
    Metric::FAULT,
    &[
        ("serious_fault", Some((Metric::FAULT, true))),
        ("sensor_fault", Some((Metric::FAULT, true))),
        ("probe_fault", Some((Metric::FAULT, true))),
        ("power_fault", Some((Metric::FAULT, true))),
        ("none", Some((Metric::FAULT, false))),
    ],
);
const SELF_TEST_WORDS: Meaning = Words(
    Metric::TEST,
    &[
        ("checking", Some((Metric::TEST, true))),
        ("check_success", Some((Metric::TEST, false))),
        ("success", Some((Metric::TEST, false))),
        ("idle", Some((Metric::TEST, false))),
        ("check_failure", Some((Metric::FAULT, true))),
        ("failure", Some((Metric::FAULT, true))),
        ("others", None),
        ("selftest", None),
        ("", None),
    ],
);

const BATTERY_WORDS: Meaning = Words(
    Metric::BATTERY_LOW,
    &[
        ("low", Some((Metric::BATTERY_LOW, true))),
        ("medium", Some((Metric::BATTERY_LOW, false))),
        ("middle", Some((Metric::BATTERY_LOW, false))),
        ("high", Some((Metric::BATTERY_LOW, false))),
    ],
);

pub static SHARED: Table = Table::new(&[
    ("battery", Number(Metric::BATTERY, 1.0)),
    ("battery_level", BATTERY_WORDS),
    ("battery_low", Flag(Metric::BATTERY_LOW)),
    ("battery_state", BATTERY_WORDS),
    ("carbon_monoxide", Alarm(Metric::GAS_ALARM)),
    ("carbon_monoxide_value", Number(Metric::CO, 1.0)),
    ("checking_result", SELF_TEST_WORDS),
    ("co", Number(Metric::CO, 1.0)),
    ("co_state", Words(Metric::GAS_ALARM, &[])),
    ("contact", Inverted(Metric::DOOR_OPEN)),
    ("device_fault", FAULT_WORDS),
    ("fault", FAULT_WORDS),
    ("fault_alarm", FAULT_WORDS),
    ("gas", Alarm(Metric::GAS_ALARM)),
    ("gas_alarm_1", Alarm(Metric::GAS_ALARM)),
    ("gas_alarm_2", Alarm(Metric::GAS_ALARM)),
    ("gas_sensor_state", Words(Metric::GAS_ALARM, &[])),
    ("heat", Alarm(Metric::HEAT_ALARM)),
    ("humidity", Number(Metric::HUMIDITY, 1.0)),
    ("linkquality", Number(Metric::LINK_QUALITY, 1.0)),
    ("mains_power_connected", Inverted(Metric::MAINS_LOST)),
    ("muted", Flag(Metric::SILENCED)),
    ("occupancy", Flag(Metric::MOTION)),
    ("self_test", SELF_TEST_WORDS),
    ("self_test_result", SELF_TEST_WORDS),
    ("selftest", SELF_TEST_WORDS),
    ("silence", Flag(Metric::SILENCED)),
    ("smoke", Flag(Metric::SMOKE)),
    ("smoke_alarm_1", Alarm(Metric::SMOKE)),
    ("smoke_alarm_2", Alarm(Metric::SMOKE)),
    ("smoke_concentration", Number(Metric::SMOKE_CONCENTRATION, 1.0)),
    ("smoke_density_dbm", Decibels(Metric::SMOKE_DENSITY)),
    (
        "smoke_state",
        Words(
            Metric::SMOKE,
            &[("detecting", None), ("unknown", None), ("none", Some((Metric::SMOKE, false)))],
        ),
    ),
    ("tamper", Flag(Metric::TAMPER)),
    ("temperature", Number(Metric::TEMPERATURE, 1.0)),
    ("test", TestPressed),
    ("trouble", Flag(Metric::FAULT)),
    ("vibration", Flag(Metric::SHOCK)),
    ("voltage", Voltage),
]);

/// Whether anything is taken from a field of this name.
pub fn is_known(name: &str) -> bool {
    SHARED.meaning(name).is_some()
}

/// What one device's fields come to.
#[derive(Debug, Default)]
pub struct Fields {
    pub values: Values,
    pub problems: Vec<String>,
    in_test: bool,
}

impl Fields {
    pub fn new() -> Self {
        Self { values: Values::new(), problems: Vec::new(), in_test: false }
    }

    /// Take in one field; `own` is the family's own table, if it has one.
    pub fn take(&mut self, own: Option<&Table>, name: &str, scalar: &Scalar<'_>) {
        let own = own.and_then(|own| own.meaning(name));
        let Some(meaning) = own.or_else(|| SHARED.meaning(name)) else { return };
        if matches!(scalar, Scalar::Null | Scalar::Nested) {
            return;
        }
        let wanted = match meaning {
            Flag(metric) => match scalar.flag() {
                Some(flag) => return self.values.set_flag(*metric, flag),
                None => "true or false",
            },
            Alarm(metric) => match scalar {
                Scalar::Number(_) => return,
                Scalar::Null | Scalar::Flag(_) | Scalar::Text(_) | Scalar::Nested => match scalar.flag() {
                    Some(flag) => return self.values.set_flag(*metric, flag),
                    None => "true or false",
                },
            },
            Inverted(metric) => match scalar.flag() {
                Some(flag) => return self.values.set_flag(*metric, !flag),
                None => "true or false",
            },
            TestPressed => match scalar.flag() {
                Some(flag) => {
                    self.in_test |= flag;
                    return self.values.set_flag(Metric::TEST, flag);
                }
                None => "true or false",
            },
            Number(metric, factor) => match scalar.number().map(|number| number * factor) {
                Some(number) if number.is_finite() => return self.values.set(*metric, number),
                Some(_) | None => "a number",
            },
            Decibels(metric) => match scalar.number().map(percent_of_decibels) {
                Some(number) if number.is_finite() => return self.values.set(*metric, number),
                Some(_) | None => "a number",
            },
            Voltage => match scalar.number() {
                Some(number) if number < 1_000.0 => return self.values.set(Metric::VOLTAGE, number),
                Some(number) => return self.values.set(Metric::BATTERY_VOLTAGE, number / 1_000.0),
                None => "a number",
            },
            Words(metric, words) => {
                let word = scalar.text().map_or(String::new(), |word| word.trim().replace(' ', "_"));
                let known = words.iter().find(|(known, _)| known.eq_ignore_ascii_case(&word));
                match (scalar.text().and(known), scalar.flag()) {
                    (Some((_, None)), _) => return,
                    (Some((_, Some((metric, flag)))), _) => return self.values.set_flag(*metric, *flag),
                    (None, Some(flag)) => return self.values.set_flag(*metric, flag),
                    (None, None) => "one of its known words, or true or false",
                }
            }
        };
        self.problems
            .push(format!("`{name}` is {scalar}, which is not {wanted}; the other fields were used"));
    }

    /// Call when every field is in.
    pub fn finish(&mut self) {
        if self.in_test {
            self.values.drop_set_fire_flags();
        }
    }
}

/// 1 dB/m is a loss of 20.6 % per metre.
fn percent_of_decibels(decibels: f64) -> f64 {
    100.0 * (1.0 - 10_f64.powf(-decibels / 10.0))
}

#[cfg(test)]
pub(super) fn has_each_name_once(table: &'static Table) -> bool {
    table
        .rows
        .iter()
        .all(|(name, meaning)| table.meaning(name).is_some_and(|found| std::ptr::eq(found, meaning)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Quality;

    fn taken(fields: &[(&str, &str)]) -> (Vec<(&'static str, f64)>, usize) {
        let mut all = Fields::new();
        for (name, json) in fields {
            all.take(None, name, &serde_json::from_str(json).unwrap());
        }
        all.finish();
        let problems = all.problems.len();
        let values = all.values.finish(Quality::Good);
        (values.iter().map(|value| (value.metric.name(), value.value)).collect(), problems)
    }

    #[test]
    fn no_name_has_two_meanings() {
        assert!(has_each_name_once(&SHARED));
    }

    #[test]
    fn each_meaning_as_the_table_says() {
        for (name, json, wanted) in [
            ("smoke", "true", Some(("smoke", 1.0))),
            ("smoke", "\"OFF\"", Some(("smoke", 0.0))),
            ("contact", "true", Some(("door_open", 0.0))),
            ("contact", "false", Some(("door_open", 1.0))),
            ("battery_state", "\"low\"", Some(("battery_low", 1.0))),
            ("battery_state", "\"medium\"", Some(("battery_low", 0.0))),
            ("smoke_state", "\"alarm\"", Some(("smoke", 1.0))),
            ("smoke_state", "\"normal\"", Some(("smoke", 0.0))),
            ("smoke_state", "\"detecting\"", None),
            ("selftest", "\"check_failure\"", Some(("fault", 1.0))),
            ("selftest", "true", Some(("test", 1.0))),
            ("voltage", "2950", Some(("battery_voltage", 2.95))),
            ("voltage", "231.5", Some(("voltage", 231.5))),
            ("smoke_density_dbm", "0", Some(("smoke_density", 0.0))),
            ("smoke_density", "7", None),
            ("temperature", "null", None),
            ("temperature", "{\"x\":1}", None),
            ("water_leak", "true", None),
            ("gas", "true", Some(("gas_alarm", 1.0))),
            ("gas", "3.5", None),
            ("gas", "1", None),
            ("gas_sensor_state", "\"alarm\"", Some(("gas_alarm", 1.0))),
            ("gas_alarm_2", "true", Some(("gas_alarm", 1.0))),
            ("smoke_alarm_1", "false", Some(("smoke", 0.0))),
            ("smoke_state", "\"none\"", Some(("smoke", 0.0))),
            ("self_test", "\"Check success\"", Some(("test", 0.0))),
            ("battery_level", "\"middle\"", Some(("battery_low", 0.0))),
            ("update", "{\"state\":\"idle\"}", None),
        ] {
            let (values, problems) = taken(&[(name, json)]);
            assert_eq!((values.first().copied(), problems), (wanted, 0), "{name} = {json}");
        }
        assert!((percent_of_decibels(1.0) - 20.567).abs() < 0.001);
    }

    #[test]
    fn what_does_not_fit_is_a_problem_and_no_value() {
        for (name, json) in [
            ("temperature", "\"warm\""),
            ("temperature", "true"),
            ("smoke", "\"maybe\""),
            ("smoke_state", "\"burning\""),
            ("battery", "\"NaN\""),
        ] {
            assert_eq!(taken(&[(name, json)]), (vec![], 1), "{name} = {json}");
        }
    }

    #[test]
    fn a_pressed_test_button_is_not_a_fire_whatever_the_order() {
        for fields in [[("smoke", "true"), ("test", "true")], [("test", "true"), ("smoke", "true")]] {
            assert_eq!(taken(&fields).0, [("test", 1.0)]);
        }
        assert_eq!(taken(&[("smoke", "true"), ("test", "false")]).0, [("smoke", 1.0), ("test", 0.0)]);
        assert_eq!(taken(&[("smoke", "false"), ("test", "true")]).0, [("smoke", 0.0), ("test", 1.0)]);
    }
}
