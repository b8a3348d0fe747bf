//! A LoRaWAN uplink, whichever network server brought it: the device's own bytes by its profile, else the fields of what a codec made of them.
//!
//! The profile goes first because a codec may hide what matters: a maker's own turns a broken 4–20 mA loop into zero pressure. A message that the profile does not know is
//! left to the codec. A device's address is `lora:` and its DevEUI in small letters.

use super::fields::{Fields, Table};
use super::outcome::Outcome;
use super::profile::shape::Over;
use super::profile::{Payload, from_base64};
use super::scalar::{Scalar, shortened};
use crate::model::{DeviceIx, Metric, Quality};
use crate::units::Timestamp;

pub struct Uplink<'a> {
    /// What the network server calls the model, the most exact first.
    pub models: Vec<&'a str>,
    /// Base64.
    pub data: Option<&'a str>,
    pub port: Option<u8>,
    pub object: Option<&'a serde_json::Value>,
    /// What codecs call things, beside the shared table.
    pub names: Table,
    /// Signal strength and signal to noise ratio at each gateway.
    pub gateways: Vec<(f64, Option<f64>)>,
    pub counter: Option<f64>,
    pub said: Option<Timestamp>,
}

pub fn report(uplink: Uplink<'_>, device: DeviceIx, address: &str, outcome: &mut Outcome<'_>) {
    let data = uplink.data.filter(|data| !data.is_empty());
    let profile = outcome.profiles().of_model(Over::Lorawan, uplink.models.iter().copied());
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
                    part.iter().for_each(|(name, value)| fields.take(uplink.names, name, &Scalar::of(value)));
                } else {
                    fields.take(uplink.names, name, &Scalar::of(value));
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

fn add_signal(uplink: &Uplink<'_>, values: &mut super::values::Values) {
    if let Some(&(rssi, snr)) = uplink.gateways.iter().max_by(|one, other| one.0.total_cmp(&other.0)) {
        values.set(Metric::RSSI, rssi);
        if let Some(snr) = snr {
            values.set(Metric::SNR, snr);
        }
    }
    if let Some(count) = uplink.counter {
        values.set(Metric::FRAME_COUNTER, count);
    }
}
