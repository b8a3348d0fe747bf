//! What can be measured: name, unit and kind of every metric.
//!
//! The number of a metric is stored in the journal and in the history: lines are added at the end, numbers are never reused.
//! Units are UCUM codes. A flag is 0 or 1 and becomes a boolean field in InfluxDB; everything else becomes a float field. That
//! is fixed per metric, so a field's type can never flip.

use serde::{Deserialize, Serialize};

use super::names::Names;

/// Number of a metric in [`METRICS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Metric(u16);

pub struct MetricSpec {
    /// Name in TOML, JSON, CSV, the API and as InfluxDB field.
    pub name: &'static str,
    /// UCUM code; empty for flags and counts.
    pub unit: &'static str,
    pub flag: bool,
    /// A flag that means fire when set: it overtakes everything.
    pub fire: bool,
}

macro_rules! metrics {
    ($($number:literal $constant:ident $name:literal $unit:literal $kind:ident;)*) => {
        impl Metric {
            $(pub const $constant: Metric = Metric($number);)*
        }
        /// Every metric; the index is its number.
        pub const METRICS: &[MetricSpec] = &[$(metrics!(@spec $name $unit $kind)),*];
        #[cfg(test)]
        const NUMBERS: &[u16] = &[$($number),*];
    };
    (@spec $name:literal $unit:literal number) => { MetricSpec { name: $name, unit: $unit, flag: false, fire: false } };
    (@spec $name:literal $unit:literal flag) => { MetricSpec { name: $name, unit: $unit, flag: true, fire: false } };
    (@spec $name:literal $unit:literal fire) => { MetricSpec { name: $name, unit: $unit, flag: true, fire: true } };
}

metrics! {
    0 SMOKE "smoke" "" fire;
    1 HEAT_ALARM "heat_alarm" "" fire;
    2 GAS_ALARM "gas_alarm" "" fire;
    3 MANUAL_ALARM "manual_alarm" "" fire;
    4 FLAME "flame" "" fire;
    5 TEST "test" "" flag;
    6 TAMPER "tamper" "" flag;
    7 FAULT "fault" "" flag;
    8 BATTERY_LOW "battery_low" "" flag;
    9 SILENCED "silenced" "" flag;
    10 REMOVED "removed" "" flag;
    11 MAINS_LOST "mains_lost" "" flag;
    12 DISABLED "disabled" "" flag;
    13 BATTERY "battery" "%" number;
    14 BATTERY_VOLTAGE "battery_voltage" "V" number;
    15 TEMPERATURE "temperature" "Cel" number;
    16 HUMIDITY "humidity" "%" number;
    17 SMOKE_DENSITY "smoke_density" "%/m" number;
    18 SMOKE_CONCENTRATION "smoke_concentration" "[ppm]" number;
    19 GAS_LEL "gas_lel" "%" number;
    20 CO "co" "[ppm]" number;
    21 PRESSURE "pressure" "kPa" number;
    22 FLOW "flow" "L/s" number;
    23 LEVEL "level" "m" number;
    24 WATER_DISCHARGE "water_discharge" "" flag;
    25 SHOCK "shock" "" flag;
    26 TILT "tilt" "" flag;
    27 COVER_OPEN "cover_open" "" flag;
    28 PRESSURE_LOW "pressure_low" "" flag;
    29 PRESSURE_HIGH "pressure_high" "" flag;
    30 DOOR_OPEN "door_open" "" flag;
    31 DOOR_FORCED "door_forced" "" flag;
    32 DOOR_HELD "door_held" "" flag;
    33 PERSONS "persons" "" number;
    34 VEHICLES "vehicles" "" number;
    35 OBJECTS "objects" "" number;
    36 MOTION "motion" "" flag;
    37 DETECTION "detection" "" flag;
    38 FIRE_LANE_BLOCKED "fire_lane_blocked" "" flag;
    39 EBIKE_IN_LIFT "ebike_in_lift" "" flag;
    40 RSSI "rssi" "dB[mW]" number;
    41 SNR "snr" "dB" number;
    42 LINK_QUALITY "link_quality" "" number;
    43 CURRENT "current" "mA" number;
    44 VOLTAGE "voltage" "V" number;
    45 RUNNING "running" "" flag;
    46 SCORE "score" "" number;
    47 ENTRY "entry" "" number;
    48 FRAME_COUNTER "frame_counter" "" number;
    49 SMOKE_SEEN "smoke_seen" "" flag;
    50 MESSAGES_PER_MINUTE "messages_per_minute" "/min" number;
    51 MESSAGES_THINNED "messages_thinned" "" number;
    52 FIRE_ALARM "fire_alarm" "" fire;
    53 SUPERVISORY "supervisory" "" flag;
    54 MANUAL_MODE "manual_mode" "" flag;
    55 ROLL_CALL "roll_call" "" flag;
    56 CROWD "crowd" "" flag;
    57 FRAMES_MISSED "frames_missed" "" number;
    58 FRAME_BEFORE "frame_before" "" number;
}

impl Metric {
    pub fn spec(self) -> &'static MetricSpec {
        &METRICS[self.0 as usize]
    }

    pub fn name(self) -> &'static str {
        self.spec().name
    }

    pub fn number(self) -> u16 {
        self.0
    }

    /// Its place in [`METRICS`].
    pub const fn position(self) -> usize {
        self.0 as usize
    }

    pub fn from_name(name: &str) -> Option<Self> {
        let at = BY_NAME.find(name, |at| METRICS[at].name)?;
        Some(Metric(at as u16))
    }

    pub fn all() -> impl Iterator<Item = Metric> {
        (0..METRICS.len() as u16).map(Metric)
    }
}

static BY_NAME: Names<256> = {
    let mut names = Names::new();
    let mut at = 0;
    while at < METRICS.len() {
        names = names.with(METRICS[at].name, at);
        at += 1;
    }
    names
};

#[derive(Debug, thiserror::Error)]
#[error("there is no metric number {0}")]
pub struct NoSuchMetric(u16);

impl TryFrom<u16> for Metric {
    type Error = NoSuchMetric;
    fn try_from(number: u16) -> Result<Self, NoSuchMetric> {
        if (number as usize) < METRICS.len() { Ok(Metric(number)) } else { Err(NoSuchMetric(number)) }
    }
}

impl From<Metric> for u16 {
    fn from(metric: Metric) -> u16 {
        metric.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions_and_names_are_unique() {
        for (position, &number) in NUMBERS.iter().enumerate() {
            assert_eq!(position, number as usize);
            let metric = Metric::try_from(number).expect("listed");
            assert_eq!(Metric::from_name(metric.name()), Some(metric), "{} stands twice", metric.name());
        }
    }
}
