//! A LoRaWAN uplink, whichever network server brought it: the device's own bytes by its profile, else the fields of what a codec made of them.
//!
//! The profile goes first because a codec may hide what matters: a maker's own turns a broken 4–20 mA loop into zero pressure. A message that the profile does not know is
//! left to the codec. A device's address is `lora:` and its DevEUI in small letters.

use serde::Deserialize;

use super::bytes::from_base64;
use super::fields::{Fields, Meaning, Table};
use super::outcome::Outcome;
use super::profile::Payload;
use super::profile::shape::Over;
use super::scalar::{Scalar, shortened};
use super::stranger::Announced;
use crate::model::{DeviceIx, Metric, Quality};
use crate::units::Timestamp;

/// What codecs of LoRaWAN devices call things, beside [`super::fields::SHARED`].
static CODEC_NAMES: Table = Table::new(&[
    ("BatV", Meaning::Number(Metric::BATTERY_VOLTAGE, 1.0)),
    ("TempC", Meaning::Number(Metric::TEMPERATURE, 1.0)),
    ("battery_level", Meaning::Number(Metric::BATTERY, 1.0)),
    ("battery_voltage", Meaning::Number(Metric::BATTERY_VOLTAGE, 1.0)),
    ("cover_open", Meaning::Flag(Metric::COVER_OPEN)),
    ("fire", Meaning::Flag(Metric::SMOKE)),
    ("flow", Meaning::Number(Metric::FLOW, 1.0)),
    ("gas", Meaning::Flag(Metric::GAS_ALARM)),
    ("level", Meaning::Number(Metric::LEVEL, 1.0)),
    ("pressure", Meaning::Number(Metric::PRESSURE, 1.0)),
    ("pressure_bar", Meaning::Number(Metric::PRESSURE, 100.0)),
    ("pressure_kpa", Meaning::Number(Metric::PRESSURE, 1.0)),
    ("pressure_mpa", Meaning::Number(Metric::PRESSURE, 1_000.0)),
    ("removed", Meaning::Flag(Metric::REMOVED)),
    ("shock", Meaning::Flag(Metric::SHOCK)),
    ("smoke_alarm", Meaning::Flag(Metric::SMOKE)),
    ("smoke_status", Meaning::Words(Metric::SMOKE, &[])),
    ("tilt", Meaning::Flag(Metric::TILT)),
    ("water_discharge", Meaning::Flag(Metric::WATER_DISCHARGE)),
]);

/// One of the gateways that heard it. Scalars instead of their types: one odd field must not cost the others.
#[derive(Deserialize)]
pub struct Gateway<'a> {
    #[serde(borrow)]
    rssi: Option<Scalar<'a>>,
    #[serde(borrow)]
    snr: Option<Scalar<'a>>,
}

pub struct Uplink<'a> {
    /// What the network server calls the model, the most exact first.
    pub models: Vec<&'a str>,
    /// Base64.
    pub data: Option<&'a str>,
    pub port: Option<u8>,
    pub object: Option<&'a serde_json::Value>,
    pub gateways: &'a [Gateway<'a>],
    pub counter: Option<f64>,
    pub said: Option<Timestamp>,
}

pub fn report(uplink: Uplink<'_>, device: DeviceIx, address: &str, outcome: &mut Outcome<'_>) {
    let data = uplink.data.filter(|data| !data.is_empty());
    let profile = outcome.profiles().of_model(Over::Lorawan, uplink.models.iter().copied());
    match profile {
        Some(profile) => outcome.read_by(device, profile),
        None => outcome.introduce(device, Announced::model(uplink.models.first().copied())),
    }
    let read = profile.zip(data).map(|(profile, data)| {
        let bytes = from_base64(data).ok_or("`data` is no Base64")?;
        profile.decode_payload(Payload { bytes: &bytes, port: uplink.port })
    });
    let mut why = String::new();
    match read {
        Some(Ok(mut reading)) => {
            if let Some(now) = reading.records.last_mut() {
                add_signal(&uplink, &mut now.values);
            }
            return reading.report(outcome, device, address, uplink.said);
        }
        Some(Err(reason)) => why = reason,
        None => (),
    }
    let mut fields = Fields::new();
    match uplink.object {
        Some(serde_json::Value::Object(object)) => {
            for (name, value) in object {
                if let serde_json::Value::Object(part) = value {
                    part.iter()
                        .for_each(|(name, value)| fields.take(Some(&CODEC_NAMES), name, &Scalar::of(value)));
                } else {
                    fields.take(Some(&CODEC_NAMES), name, &Scalar::of(value));
                }
            }
        }
        Some(_) | None if !why.is_empty() => fields.problems.push(why),
        Some(_) | None => {
            if data.is_some() {
                fields.problems.push("the uplink has `data` but no decoded `object`, and no profile is for its model; name the device profile like one of `gridwarden profile list`, or give it a codec".into());
            }
        }
    }
    fields.finish();
    add_signal(&uplink, &mut fields.values);
    for problem in fields.problems {
        outcome.reject(format!("{}: {problem}", shortened(address)));
    }
    outcome.report(device, uplink.said, Quality::Good, fields.values);
}

/// A field as a number, when it is there and is one.
pub fn number(scalar: &Option<Scalar<'_>>) -> Option<f64> {
    scalar.as_ref().and_then(Scalar::number)
}

fn add_signal(uplink: &Uplink<'_>, values: &mut super::values::Values) {
    let heard = uplink.gateways.iter().filter_map(|one| Some((number(&one.rssi)?, number(&one.snr))));
    if let Some((rssi, snr)) = heard.max_by(|one, other| one.0.total_cmp(&other.0)) {
        values.set(Metric::RSSI, rssi);
        if let Some(snr) = snr {
            values.set(Metric::SNR, snr);
        }
    }
    if let Some(count) = uplink.counter {
        values.set(Metric::FRAME_COUNTER, count);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_name_has_two_meanings() {
        assert!(crate::decode::fields::has_each_name_once(&super::CODEC_NAMES));
    }
}
