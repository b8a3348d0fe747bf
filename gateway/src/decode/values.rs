//! The values one message gives of one device, each with its quality, each metric once.
//!
//! What a metric can plausibly be stands in [`PLAUSIBLE`]: a value outside is kept with quality bad, so that it is seen and judged by nobody.

use crate::model::{METRICS, Metric, Quality, Value};

/// More values than this in one report are not believed to be meant.
pub const VALUES_MAX: usize = 64;

/// What a metric can be, in its own unit, ends included. Flags are 0 or 1 by themselves; a metric that is not listed may be anything.
const PLAUSIBLE: &[(Metric, f64, f64)] = &[
    (Metric::BATTERY, 0.0, 100.0),
    (Metric::BATTERY_VOLTAGE, 0.0, 60.0),
    (Metric::TEMPERATURE, -60.0, 200.0),
    (Metric::HUMIDITY, 0.0, 100.0),
    (Metric::SMOKE_DENSITY, 0.0, 100.0),
    (Metric::SMOKE_CONCENTRATION, 0.0, 100_000.0),
    (Metric::GAS_LEL, 0.0, 100.0),
    (Metric::CO, 0.0, 10_000.0),
    // 2.5 MPa; a transmitter's zero may drift a little below.
    (Metric::PRESSURE, -10.0, 2_500.0),
    (Metric::FLOW, -1_000.0, 1_000.0),
    (Metric::LEVEL, -5.0, 50.0),
    (Metric::PERSONS, 0.0, 10_000.0),
    (Metric::VEHICLES, 0.0, 10_000.0),
    (Metric::OBJECTS, 0.0, 10_000.0),
    (Metric::RSSI, -200.0, 30.0),
    (Metric::SNR, -60.0, 60.0),
    (Metric::LINK_QUALITY, 0.0, 255.0),
    (Metric::CURRENT, 0.0, 100_000.0),
    (Metric::VOLTAGE, 0.0, 1_000.0),
    (Metric::SCORE, 0.0, 1.0),
    (Metric::ENTRY, 0.0, 1_000_000.0),
    (Metric::FRAME_COUNTER, 0.0, 4_294_967_295.0),
    (Metric::FRAME_BEFORE, 0.0, 4_294_967_295.0),
    (Metric::FRAMES_MISSED, 0.0, 4_294_967_295.0),
    // Only the gateway says these; from a device only zero is plausible, so it cannot raise its own alarm.
    (Metric::MESSAGES_PER_MINUTE, -1.0, 0.0),
    (Metric::MESSAGES_THINNED, -1.0, 0.0),
];

/// [`PLAUSIBLE`] by metric number, worked out by the compiler.
const RANGES: [(f64, f64); METRICS.len()] = {
    let mut ranges = [(f64::MIN, f64::MAX); METRICS.len()];
    let mut at = 0;
    while at < PLAUSIBLE.len() {
        let (metric, least, most) = PLAUSIBLE[at];
        ranges[metric.position()] = (least, most);
        at += 1;
    }
    ranges
};

/// Whether a value can be, or is a fault of the sensor, the wiring or the scale.
pub fn quality_of(metric: Metric, value: f64) -> Quality {
    let (least, most) = RANGES[metric.position()];
    if least <= value && value <= most { Quality::Good } else { Quality::Bad }
}

#[derive(Debug, Default)]
pub struct Values {
    list: Vec<Value>,
    /// How many did not fit.
    left_out: usize,
}

impl Values {
    pub fn new() -> Self {
        Self { list: Vec::with_capacity(8), left_out: 0 }
    }

    /// Take in a finite value. Of two for one flag the set one stays, of two numbers the first.
    pub fn set(&mut self, metric: Metric, value: f64) {
        debug_assert!(value.is_finite());
        let flag = metric.spec().flag;
        let value = if flag { f64::from(u8::from(value != 0.0)) } else { value };
        if let Some(known) = self.list.iter_mut().find(|known| known.metric == metric) {
            if flag {
                known.value = known.value.max(value);
            }
        } else if self.list.len() == VALUES_MAX {
            self.left_out += 1;
        } else {
            self.list.push(Value { metric, value, quality: quality_of(metric, value) });
        }
    }

    /// The same, with the quality bad when a profile says that the value cannot be.
    pub fn set_within(&mut self, metric: Metric, value: f64, can_be: bool) {
        let before = self.list.len();
        self.set(metric, value);
        if let Some(new) = self.list.get_mut(before).filter(|_| !can_be) {
            new.quality = Quality::Bad;
        }
    }

    pub fn is_set(&self, flag: Metric) -> bool {
        self.list.iter().any(|value| value.metric == flag && value.value != 0.0)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn set_flag(&mut self, metric: Metric, flag: bool) {
        self.set(metric, f64::from(u8::from(flag)));
    }

    /// A device under test shows alarms that are none: take them back. A flag that is not set stays.
    pub fn drop_set_fire_flags(&mut self) {
        self.list.retain(|value| !value.metric.spec().fire || value.value == 0.0);
    }

    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The values, none of better quality than `quality`.
    pub fn finish(mut self, quality: Quality) -> Vec<Value> {
        for value in &mut self.list {
            value.quality = value.quality.max(quality);
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_of_bad_quality() {
        for (metric, value, quality) in [
            (Metric::BATTERY, 0.0, Quality::Good),
            (Metric::BATTERY, 100.0, Quality::Good),
            (Metric::BATTERY, 255.0, Quality::Bad),
            (Metric::PRESSURE, 140.0, Quality::Good),
            (Metric::PRESSURE, -2.0, Quality::Good),
            (Metric::PRESSURE, 3_276.7, Quality::Bad),
            (Metric::TEMPERATURE, -3_276.8, Quality::Bad),
            (Metric::SCORE, 1.5, Quality::Bad),
            (Metric::SMOKE, 1.0, Quality::Good),
        ] {
            assert_eq!(quality_of(metric, value), quality, "{} = {value}", metric.name());
        }
    }

    #[test]
    fn every_number_has_a_range() {
        for metric in Metric::all().filter(|metric| !metric.spec().flag) {
            assert!(RANGES[metric.position()].0 > f64::MIN, "{} may be anything", metric.name());
        }
    }

    #[test]
    fn a_metric_stands_once_and_a_set_flag_wins() {
        let mut values = Values::new();
        values.set_flag(Metric::SMOKE, false);
        values.set_flag(Metric::SMOKE, true);
        values.set_flag(Metric::SMOKE, false);
        values.set(Metric::BATTERY, 90.0);
        values.set(Metric::BATTERY, 10.0);
        let values = values.finish(Quality::Uncertain);
        let told: Vec<_> = values.iter().map(|value| (value.metric, value.value, value.quality)).collect();
        assert_eq!(
            told,
            [(Metric::SMOKE, 1.0, Quality::Uncertain), (Metric::BATTERY, 90.0, Quality::Uncertain)]
        );
    }
}
