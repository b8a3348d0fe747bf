//! The line that a person reads on an alarm.

use super::rules::{Basis, Rule};
use crate::grid::{Device, Registry};
use crate::model::{Late, Metric, Trigger};
use crate::units::Millis;

/// Fills `{device}`, `{place}` and `{value}`; a late signal says so first.
pub(super) fn line(
    rule: &Rule,
    device: Option<&Device>,
    registry: &Registry,
    value: &str,
    late: Option<Late>,
) -> String {
    let name = device.map_or("?", |device| match device.name.as_str() {
        "" => device.id.as_str(),
        name => name,
    });
    let home = device.and_then(|device| registry.home(device.ix)).and_then(|cell| registry.cell(cell));
    let place = device
        .map(|device| device.place.as_str())
        .filter(|place| !place.is_empty())
        .or(home.map(|cell| cell.name.as_str()))
        .unwrap_or("?");
    let text = fill(&rule.text, &[("{device}", name), ("{place}", place), ("{value}", value)]);
    match late {
        None => text,
        Some(Late { age: Some(age) }) => format!("[late: {age} old] {text}"),
        Some(Late { age: None }) => format!("[late: age unknown] {text}"),
    }
}

/// In one pass, so that a device whose name looks like a placeholder cannot be filled in again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                text.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text + rest
}

/// What `{value}` is for this rule: the reading, or for silence and stillness their length.
pub(super) fn value(rule: &Rule, trigger: Option<&Trigger>, silent_after_s: Option<u32>) -> String {
    match (&rule.basis, trigger) {
        (Basis::Presence { .. }, _) => {
            silent_after_s.map_or_else(String::new, |s| Millis::from_secs(u64::from(s)).to_string())
        }
        (Basis::Stillness { hours }, _) => hours.to_string(),
        (Basis::State { .. } | Basis::Threshold { .. } | Basis::Rate { .. }, Some(trigger)) => {
            reading(trigger.metric, trigger.value)
        }
        (Basis::State { .. } | Basis::Threshold { .. } | Basis::Rate { .. }, None) => String::new(),
    }
}

pub(super) fn reading(metric: Metric, value: f64) -> String {
    let spec = metric.spec();
    if spec.flag {
        return if value != 0.0 { spec.name.to_owned() } else { format!("not {}", spec.name) };
    }
    let rounded = (value * 100.0).round() / 100.0;
    match spec.unit {
        "" => format!("{rounded}"),
        "%" => format!("{rounded}%"),
        "Cel" => format!("{rounded} °C"),
        "[ppm]" => format!("{rounded} ppm"),
        "/min" => format!("{rounded} a minute"),
        "dB[mW]" => format!("{rounded} dBm"),
        unit => format!("{rounded} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_one_pass() {
        let values = [("{device}", "{place}"), ("{place}", "hall")];
        for (template, expected) in [
            ("smoke at {place}", "smoke at hall"),
            ("{device}{place}", "{place}hall"),
            ("{unknown} {", "{unknown} {"),
            ("烟雾 {place}。", "烟雾 hall。"),
            ("", ""),
        ] {
            assert_eq!(fill(template, &values), expected);
        }
    }

    #[test]
    fn values_read_as_people_write_them() {
        for (name, value, expected) in [
            ("smoke", 1.0, "smoke"),
            ("door_open", 0.0, "not door_open"),
            ("temperature", 57.256, "57.26 °C"),
            ("pressure", 139.999_999, "140 kPa"),
            ("battery", 9.0, "9%"),
            ("persons", 3.0, "3"),
            ("messages_per_minute", 90_000.0, "90000 a minute"),
        ] {
            assert_eq!(reading(Metric::from_name(name).expect("listed"), value), expected);
        }
    }
}
