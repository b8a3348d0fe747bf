//! Somebody who is not registered: what one message tells of it, for the waiting room.

use serde::{Deserialize, Serialize};

use super::values::VALUES_MAX;
use crate::model::{DeviceKind, Metric, Quality, Value};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stranger {
    pub address: String,
    /// It said something itself; else it was announced by somebody.
    pub spoke: bool,
    /// The newest of each metric.
    pub values: Vec<Value>,
    pub announced: Announced,
}

/// What is known of a device beside what it measures; a proposal to whoever places it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    pub name: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub kind: Option<DeviceKind>,
    /// Name of the device profile that reads it.
    pub profile: Option<String>,
}

/// Names are a person's and a vendor's; longer ones are none.
const NAME_CHARACTERS_MAX: usize = 120;

impl Announced {
    pub fn named(name: &str) -> Self {
        Self { name: word(Some(name)), ..Self::default() }
    }

    pub fn model(model: Option<&str>) -> Self {
        Self { model: word(model), ..Self::default() }
    }

    /// What another message says of the same device. A kind that says something is not given up for `other`.
    pub fn add(&mut self, more: Self) {
        let Self { name, vendor, model, kind, profile } = more;
        self.name = name.or(self.name.take());
        self.vendor = vendor.or(self.vendor.take());
        self.model = model.or(self.model.take());
        self.profile = profile.or(self.profile.take());
        self.kind = match (self.kind, kind) {
            (Some(known), Some(DeviceKind::Other) | None) => Some(known),
            (_, new) => new,
        };
    }
}

/// A name as it may be shown.
pub fn word(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    let shown: String = text.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS_MAX).collect();
    (!shown.is_empty()).then_some(shown)
}

impl Stranger {
    pub fn says(&mut self, values: Vec<Value>) {
        self.spoke = true;
        for value in values {
            match self.values.iter().position(|known| known.metric == value.metric) {
                Some(at) => self.values[at] = value,
                None if self.values.len() < VALUES_MAX => self.values.push(value),
                None => (),
            }
        }
    }

    /// Whether it reports fire; `None` when it says nothing of it, or is being tested.
    pub fn burns(&self) -> Option<bool> {
        let tested = self.values.iter().any(|value| value.metric == Metric::TEST && value.value != 0.0);
        let mut flags =
            self.values.iter().filter(|value| value.metric.spec().fire && value.quality != Quality::Bad);
        let burns = flags.clone().any(|value| value.value != 0.0);
        (flags.next().is_some() && !(tested && burns)).then_some(burns)
    }
}

/// What a device most likely is, by what it measures; the flag that says most decides.
pub fn kind_by(metrics: impl IntoIterator<Item = Metric>) -> Option<DeviceKind> {
    const SAYS: [(Metric, DeviceKind); 14] = [
        (Metric::SMOKE, DeviceKind::SmokeDetector),
        (Metric::SMOKE_CONCENTRATION, DeviceKind::SmokeDetector),
        (Metric::SMOKE_DENSITY, DeviceKind::SmokeDetector),
        (Metric::GAS_ALARM, DeviceKind::GasDetector),
        (Metric::GAS_LEL, DeviceKind::GasDetector),
        (Metric::CO, DeviceKind::GasDetector),
        (Metric::HEAT_ALARM, DeviceKind::HeatDetector),
        (Metric::MANUAL_ALARM, DeviceKind::ManualCallPoint),
        (Metric::WATER_DISCHARGE, DeviceKind::Hydrant),
        (Metric::PRESSURE, DeviceKind::Hydrant),
        (Metric::LEVEL, DeviceKind::WaterTank),
        (Metric::DOOR_OPEN, DeviceKind::DoorSensor),
        (Metric::DETECTION, DeviceKind::Camera),
        (Metric::MOTION, DeviceKind::MotionSensor),
    ];
    let metrics: Vec<Metric> = metrics.into_iter().collect();
    SAYS.iter().find(|(metric, _)| metrics.contains(metric)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(values: &[(Metric, f64)]) -> Stranger {
        let mut stranger = Stranger::default();
        let value = |&(metric, value): &(Metric, f64)| Value { metric, value, quality: Quality::Good };
        stranger.says(values.iter().map(value).collect());
        stranger
    }

    #[test]
    fn it_burns_by_its_own_word_and_not_by_a_test() {
        for (values, burns) in [
            (&[(Metric::SMOKE, 1.0)][..], Some(true)),
            (&[(Metric::SMOKE, 0.0)], Some(false)),
            (&[(Metric::BATTERY, 90.0)], None),
            (&[(Metric::SMOKE, 1.0), (Metric::TEST, 1.0)], None),
            (&[(Metric::SMOKE, 0.0), (Metric::TEST, 1.0)], Some(false)),
        ] {
            assert_eq!(stranger(values).burns(), burns, "{values:?}");
        }
    }

    #[test]
    fn of_an_older_record_and_a_newer_one_the_newer_counts() {
        let mut stranger = stranger(&[(Metric::SMOKE, 1.0)]);
        stranger.says(vec![Value { metric: Metric::SMOKE, value: 0.0, quality: Quality::Good }]);
        assert_eq!(stranger.burns(), Some(false));
    }

    #[test]
    fn a_battery_says_nothing_of_what_it_is_in() {
        assert_eq!(kind_by([Metric::BATTERY, Metric::SMOKE]), Some(DeviceKind::SmokeDetector));
        assert_eq!(kind_by([Metric::BATTERY]), None);
        let mut known = Announced { kind: Some(DeviceKind::SmokeDetector), ..Announced::default() };
        known.add(Announced { kind: Some(DeviceKind::Other), name: word(Some("x")), ..Announced::default() });
        assert_eq!((known.kind, known.name.as_deref()), (Some(DeviceKind::SmokeDetector), Some("x")));
    }
}
