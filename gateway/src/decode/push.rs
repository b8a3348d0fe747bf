//! What an operator's platform pushed to us over HTTP → events, or the reason why not. The doors themselves are `http/push_in.rs`.
//!
//! Pure, like the decoders of MQTT messages. One file per platform reads its envelope: who speaks, when, and the bytes, text or fields that the device sent, which a device
//! profile reads ([`super::profile`]). A device is known by its IMEI (`imei:860803031745975`), or by the id that the platform gave it (`ctwing:…`, `huawei:…`).

use serde::Deserialize;
use serde_json::Value;

use super::bytes::from_base64;
use super::outcome::Outcome;
use super::profile::shape::Over;
use super::profile::{Payload, Profile, Reading};
use super::scalar::shortened;
use super::{Context, Decoded, Message, ctwing, dahua, hikvision, huawei};
use crate::model::DeviceIx;
use crate::units::Timestamp;

/// Number of digits of an IMEI (3GPP TS 23.003, 6.2.1).
const IMEI_DIGITS: usize = 15;

/// Who speaks at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// 天翼 CTWing (AEP).
    Ctwing,
    /// Huawei IoTDA, and the older OceanConnect.
    Huawei,
    /// Cameras, recorders and door stations of Hikvision, by themselves.
    Hikvision,
    /// One device of Dahua, by itself.
    Dahua,
}

impl Sender {
    /// Sends pictures, and the event before them.
    pub fn is_camera(self) -> bool {
        match self {
            Self::Hikvision | Self::Dahua => true,
            Self::Ctwing | Self::Huawei => false,
        }
    }
}

pub fn decode(sender: Sender, message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    match sender {
        Sender::Ctwing => enveloped(ctwing::read, &mut outcome, message),
        Sender::Huawei => enveloped(huawei::read, &mut outcome, message),
        Sender::Hikvision => hikvision::read(message.payload, &mut outcome),
        Sender::Dahua => dahua::read(message.payload, message.topic, &mut outcome),
    }
    outcome.finish()
}

fn enveloped<'a>(read: fn(&Value, &mut Outcome<'a>), outcome: &mut Outcome<'a>, message: &Message<'_>) {
    match serde_json::from_slice(message.payload) {
        Ok(envelope) => read(&envelope, outcome),
        Err(error) => outcome.unreadable(&error),
    }
}

/// Whom an envelope names; the most exact address first.
#[derive(Debug, Default)]
pub struct Named {
    addresses: Vec<String>,
    imei: Option<String>,
}

impl Named {
    pub fn add(&mut self, scheme: &str, id: Option<&str>) {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            self.addresses.push(format!("{scheme}:{id}"));
        }
    }

    pub fn add_imei(&mut self, imei: Option<&str>) {
        if let Some(imei) = imei.filter(|imei| is_imei(imei)) {
            self.add("imei", Some(imei));
            self.imei = Some(imei.to_owned());
        }
    }

    /// The registered device; a reject when there is none.
    pub fn find(&self, outcome: &mut Outcome<'_>) -> Option<DeviceIx> {
        let known = self.addresses.iter().find_map(|address| outcome.find(address));
        match (known, self.addresses.first()) {
            (Some(device), _) => Some(device),
            (None, Some(address)) => outcome.device(address),
            (None, None) => {
                outcome
                    .reject("the envelope names no device; it must have an IMEI or the platform's id".into());
                None
            }
        }
    }
}

fn is_imei(text: &str) -> bool {
    text.len() == IMEI_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What the device itself sent.
pub enum Sent<'a> {
    /// A text, or bytes in Base64.
    Text(&'a str),
    Fields(&'a Value),
}

/// Reads it by the profile that knows it and reports it. `service` is what the platform calls the message; `at` when the platform had it, for a device without a clock.
pub fn report(
    mut named: Named,
    service: &str,
    sent: Sent<'_>,
    at: Option<Timestamp>,
    outcome: &mut Outcome<'_>,
) {
    let (profile, reading) = match read(service, &sent, outcome) {
        Ok(read) => read,
        Err(why) => {
            let who = named.addresses.first().map_or("?", String::as_str).to_owned();
            return outcome.reject(format!("{}: {why}", shortened(&who)));
        }
    };
    let own = reading
        .records
        .iter()
        .find_map(|record| record.serial.as_deref()?.get(..IMEI_DIGITS))
        .filter(|own| is_imei(own));
    match (&named.imei, own) {
        // One of the two is wrong, and it must not be the one that burns.
        (Some(envelope), Some(own)) if envelope != own => {
            return outcome.reject(format!(
                "the payload is of the device with the IMEI {own}, its envelope of {envelope}; let the platform send each device's own data"
            ));
        }
        (None, Some(own)) => {
            let own = own.to_owned();
            named.add_imei(Some(&own));
        }
        (_, _) => (),
    }
    if let Some(device) = named.find(outcome) {
        let address = named.addresses.swap_remove(0);
        outcome.read_by(device, profile);
        reading.report(outcome, device, &address, at);
    }
}

fn read<'a>(service: &str, sent: &Sent<'_>, outcome: &Outcome<'a>) -> Result<(&'a Profile, Reading), String> {
    let profiles = outcome.profiles();
    match sent {
        Sent::Fields(fields) => {
            let profile = profiles.of_model(Over::Json, [service]).ok_or_else(|| {
                format!(
                    "no device profile reads the service `{}`; give one `over = \"json\"` and this name",
                    shortened(service)
                )
            })?;
            let bytes = fields.to_string();
            Ok((profile, profile.decode_payload(Payload { bytes: bytes.as_bytes(), port: None })?))
        }
        Sent::Text(text) => {
            let text = text.trim();
            let packed = from_base64(text);
            let bytes_of = |profile: &Profile| match profile.over {
                Over::Text => Some(text.as_bytes()),
                Over::Bytes => packed.as_deref(),
                Over::Json | Over::Lorawan | Over::Zigbee2mqtt | Over::Modbus => None,
            };
            let mut found = None;
            for profile in profiles.all() {
                let Some(bytes) = bytes_of(profile) else { continue };
                let Ok(reading) = profile.decode_payload(Payload { bytes, port: None }) else { continue };
                if let Some((other, _)) = found.replace((profile, reading)) {
                    return Err(format!(
                        "the device profiles `{}` and `{}` both read this payload; make the `when` of one narrower",
                        other.name, profile.name
                    ));
                }
            }
            found.ok_or_else(|| format!("no device profile reads the payload `{}`", shortened(text)))
        }
    }
}

#[cfg(test)]
mod tests;
