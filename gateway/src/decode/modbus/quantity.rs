//! The units devices count in, as factors to the metric's own; and what a metric can be at all.
//!
//! A new unit is a line in [`DEVICE_UNITS`]. The plausible ranges are wide on purpose: they catch a wrong word order or scale, not a fault
//! of the plant; the site's own range stands in station.toml as `min` and `max`.

use crate::model::Metric;

/// metric = device × factor + offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    pub factor: f64,
    pub offset: f64,
}

impl Conversion {
    pub const NONE: Conversion = Conversion { factor: 1.0, offset: 0.0 };

    pub fn apply(self, value: f64) -> f64 {
        value * self.factor + self.offset
    }
}

/// Name as written in station.toml, UCUM code of the metric's unit it becomes, factor, offset.
const DEVICE_UNITS: &[(&str, &str, f64, f64)] = &[
    ("kPa", "kPa", 1.0, 0.0),
    ("Pa", "kPa", 0.001, 0.0),
    ("hPa", "kPa", 0.1, 0.0),
    ("MPa", "kPa", 1_000.0, 0.0),
    ("mbar", "kPa", 0.1, 0.0),
    ("bar", "kPa", 100.0, 0.0),
    ("psi", "kPa", 6.894_757_293_168_361, 0.0),
    ("kgf/cm2", "kPa", 98.066_5, 0.0),
    ("mH2O", "kPa", 9.806_65, 0.0),
    ("mmH2O", "kPa", 0.009_806_65, 0.0),
    ("mmHg", "kPa", 0.133_322_387_415, 0.0),
    ("atm", "kPa", 101.325, 0.0),
    ("degC", "Cel", 1.0, 0.0),
    ("degF", "Cel", 5.0 / 9.0, -160.0 / 9.0),
    ("K", "Cel", 1.0, -273.15),
    ("L/s", "L/s", 1.0, 0.0),
    ("L/min", "L/s", 1.0 / 60.0, 0.0),
    ("m3/h", "L/s", 1.0 / 3.6, 0.0),
    ("m", "m", 1.0, 0.0),
    ("cm", "m", 0.01, 0.0),
    ("mm", "m", 0.001, 0.0),
    ("V", "V", 1.0, 0.0),
    ("mV", "V", 0.001, 0.0),
    ("mA", "mA", 1.0, 0.0),
    ("A", "mA", 1_000.0, 0.0),
    ("ppm", "[ppm]", 1.0, 0.0),
];

/// From a device's unit to the metric's; `None` when there is no such unit or it measures something else.
pub fn conversion(device_unit: &str, metric: Metric) -> Option<Conversion> {
    let wanted = metric.spec().unit;
    if !wanted.is_empty() && device_unit == wanted {
        return Some(Conversion::NONE);
    }
    DEVICE_UNITS
        .iter()
        .find(|(name, ucum, ..)| *name == device_unit && *ucum == wanted)
        .map(|&(_, _, factor, offset)| Conversion { factor, offset })
}

/// The device units that can become this metric's, for the complaint about another one.
pub fn known_units(metric: Metric) -> Vec<&'static str> {
    let wanted = metric.spec().unit;
    DEVICE_UNITS.iter().filter(|(_, ucum, ..)| *ucum == wanted).map(|(name, ..)| *name).collect()
}

/// Codes of the unit register that МПД-380 and its many clones have.
pub const UNIT_CODES: [&str; 9] = ["MPa", "kPa", "Pa", "bar", "mbar", "kgf/cm2", "psi", "mH2O", "mmH2O"];

/// What a metric can be anywhere in a neighbourhood, in its own unit. Outside it the number is wrong, not alarming.
pub fn plausible(metric: Metric) -> (f64, f64) {
    match metric {
        Metric::PRESSURE => (-101.4, 10_000.0),
        Metric::TEMPERATURE => (-60.0, 300.0),
        Metric::HUMIDITY | Metric::BATTERY => (0.0, 100.0),
        Metric::BATTERY_VOLTAGE => (0.0, 1_000.0),
        Metric::FLOW => (-10_000.0, 10_000.0),
        Metric::LEVEL => (-100.0, 1_000.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_units_become_the_metrics_own() {
        for (unit, metric, device, expected) in [
            ("bar", Metric::PRESSURE, 3.5, 350.0),
            ("MPa", Metric::PRESSURE, 0.14, 140.0),
            ("psi", Metric::PRESSURE, 100.0, 689.4757),
            ("Pa", Metric::PRESSURE, 140_000.0, 140.0),
            ("mH2O", Metric::PRESSURE, 10.0, 98.0665),
            ("kPa", Metric::PRESSURE, 7.0, 7.0),
            ("degF", Metric::TEMPERATURE, 212.0, 100.0),
            ("degF", Metric::TEMPERATURE, 32.0, 0.0),
            ("K", Metric::TEMPERATURE, 273.15, 0.0),
            ("Cel", Metric::TEMPERATURE, 20.0, 20.0),
            ("m3/h", Metric::FLOW, 36.0, 10.0),
        ] {
            let value = conversion(unit, metric).expect(unit).apply(device);
            assert!((value - expected).abs() < 1e-3, "{device} {unit} = {value}, not {expected}");
        }
    }

    #[test]
    fn a_unit_of_something_else_is_refused() {
        assert_eq!(conversion("bar", Metric::TEMPERATURE), None);
        assert_eq!(conversion("Bar", Metric::PRESSURE), None);
        assert_eq!(conversion("", Metric::SMOKE), None);
        assert!(known_units(Metric::PRESSURE).contains(&"psi"));
        assert!(UNIT_CODES.iter().all(|unit| conversion(unit, Metric::PRESSURE).is_some()));
    }
}
