//! Devices described as data: one TOML file a model, compiled once into a decoder that looks at nothing but the message. Pure.
//!
//! [`Profile::decode_payload`] reads a device's own bytes, whatever brought them: an MQTT topic, a LoRaWAN uplink, an operator's HTTP push. A new device is a file in
//! config/profiles/ with samples; a new way in which messages are built is a key in [`shape`], its compiler and its reader. Deliberately absent: a scripting language.

mod compile;
mod frame;
pub mod order;
mod place;
mod sample;
pub mod shape;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bytes::{from_base64, from_hex};
use super::camera::Meanings;
use super::modbus::Map;
use super::outcome::{Outcome, REJECTS_MAX, REPORTS_MAX};
use super::scalar::shortened;
use super::values::Values;
use super::{Context, Decoded, Message};
use crate::model::{DeviceIx, DeviceKind, Quality};
use crate::problem::{Problems, Severity, Spot};
use crate::units::{Millis, Timestamp};
use frame::Frame;
use place::{Carrier, Path};
use shape::{Encoding, Evidence, Over};

pub use compile::compile;
pub use order::Recipe;

/// Longer messages are no device's.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub struct Profile {
    pub name: String,
    pub title: String,
    pub kind: DeviceKind,
    pub over: Over,
    /// What network servers and bridges call the model.
    pub names: Vec<String>,
    /// How often it speaks when nothing happens.
    pub heartbeat: Option<Millis>,
    pub evidence: Vec<Evidence>,
    pub deviations: Vec<String>,
    form: Form,
    /// What it can be told.
    pub orders: Vec<Recipe>,
    pub samples: Vec<shape::Sample>,
}

#[derive(Debug)]
enum Form {
    Zigbee { properties: Vec<String>, ignored: Vec<String> },
    Modbus(Map),
    Frames { encoding: Encoding, address: Option<Template>, records: Option<Path>, frames: Vec<Frame> },
}

/// How the address of a device is made of a message.
#[derive(Debug)]
struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    /// A level of the topic, from 0.
    Topic(usize),
    /// The key of the record.
    Key,
    Serial,
    Path(Path),
}

/// What a device sent, without the envelope.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    pub bytes: &'a [u8],
    /// LoRaWAN's FPort.
    pub port: Option<u8>,
}

/// What a payload says: kept measurements first, what holds now last.
#[derive(Debug, Default)]
pub struct Reading {
    pub records: Vec<Record>,
    /// What of it could not be used: a sentence each.
    pub complaints: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Record {
    /// By the device's own clock.
    pub at: Option<Timestamp>,
    /// The best that its values can be.
    pub quality: Quality,
    /// The number that the device says it has.
    pub serial: Option<String>,
    pub values: Values,
}

impl Profile {
    /// What a device's own bytes say. The error is why no part of it could be used.
    pub fn decode_payload(&self, payload: Payload<'_>) -> Result<Reading, String> {
        if PAYLOAD_BYTES_MAX < payload.bytes.len() {
            return Err(format!("a payload of {} bytes is longer than any device's", payload.bytes.len()));
        }
        let text =
            || std::str::from_utf8(payload.bytes).map_err(|_| "the payload is no text in UTF-8".to_owned());
        match self.over {
            Over::Lorawan | Over::Bytes => self.read(Carrier::Bytes(payload.bytes), payload.port),
            Over::Text => self.read(Carrier::Text(text()?.trim()), None),
            Over::Json => self.read(Carrier::Json(&json(payload.bytes)?), None),
            Over::Zigbee2mqtt => Err("Zigbee2MQTT's messages are read by its own decoder".into()),
            Over::Modbus => Err("a Modbus device sends no messages, it is polled".into()),
        }
    }

    fn read(&self, carrier: Carrier<'_>, port: Option<u8>) -> Result<Reading, String> {
        let Form::Frames { frames, .. } = &self.form else { return Err("the profile has no frames".into()) };
        match frames.iter().find(|frame| frame.fits(carrier, port)) {
            Some(frame) => frame.read(carrier),
            None => {
                Err(format!("the profile `{}` knows no message like {}", self.name, described(carrier, port)))
            }
        }
    }

    /// A message on a topic: which devices speak, and what they say.
    fn decode(&self, message: &Message<'_>, outcome: &mut Outcome<'_>) {
        let Form::Frames { encoding, address, records, .. } = &self.form else { return };
        let Some(template) = address else {
            return outcome
                .reject(format!("the profile `{}` has no `address`, so it cannot read a topic", self.name));
        };
        if PAYLOAD_BYTES_MAX < message.payload.len() {
            return outcome
                .reject(format!("a message of {} bytes is longer than any device's", message.payload.len()));
        }
        let told = |outcome: &mut Outcome<'_>,
                    reading: Result<Reading, String>,
                    key: &str,
                    part: &serde_json::Value| match reading {
            Err(why) => outcome.reject(format!("{}: {why}", self.name)),
            Ok(reading) => {
                let serial =
                    reading.records.iter().find_map(|record| record.serial.as_deref()).unwrap_or_default();
                let Some(address) = template.fill(message.topic, key, serial, part) else {
                    return outcome
                        .reject(format!("{}: the message does not say which device speaks", self.name));
                };
                if let Some(device) = outcome.device(&address) {
                    outcome.read_by(device, self);
                    reading.report(outcome, device, &address, None);
                }
            }
        };
        if self.over != Over::Json {
            let nothing = serde_json::Value::Null;
            let reading = decoded(message.payload, *encoding)
                .and_then(|bytes| self.decode_payload(Payload { bytes: &bytes, port: None }));
            return told(outcome, reading, "", &nothing);
        }
        let whole = match json(message.payload) {
            Ok(whole) => whole,
            Err(why) => return outcome.reject(format!("{}: {why}", self.name)),
        };
        match records {
            None => told(outcome, self.read(Carrier::Json(&whole), None), "", &whole),
            Some(path) => {
                for (key, part) in path.each(&whole).into_iter().take(REPORTS_MAX) {
                    told(outcome, self.read(Carrier::Json(part), None), key, part);
                }
            }
        }
    }

    /// Whether a `[[topic]]` may name it.
    pub fn reads_topics(&self) -> bool {
        matches!(&self.form, Form::Frames { address: Some(_), .. })
    }

    pub fn properties(&self) -> &[String] {
        match &self.form {
            Form::Zigbee { properties, .. } => properties,
            Form::Frames { .. } | Form::Modbus(_) => &[],
        }
    }

    /// Whether the model is declared to publish this.
    pub fn publishes(&self, name: &str) -> bool {
        match &self.form {
            Form::Zigbee { properties, ignored } => {
                properties.iter().chain(ignored).any(|known| known == name)
            }
            Form::Frames { .. } | Form::Modbus(_) => false,
        }
    }

    /// What is asked of a Modbus device.
    pub fn map(&self) -> Option<&Map> {
        match &self.form {
            Form::Modbus(map) => Some(map),
            Form::Zigbee { .. } | Form::Frames { .. } => None,
        }
    }

    pub fn best_evidence(&self) -> &Evidence {
        self.evidence.iter().min_by_key(|evidence| evidence.kind).expect("the compiler wants evidence")
    }
}

impl Reading {
    /// Hand it on as what `device` said; `said`: when, by the envelope, if the device has no clock.
    pub fn report(self, outcome: &mut Outcome<'_>, device: DeviceIx, address: &str, said: Option<Timestamp>) {
        for complaint in self.complaints.into_iter().take(REJECTS_MAX) {
            outcome.reject(format!("{}: {complaint}", shortened(address)));
        }
        for record in self.records {
            outcome.report(device, record.at.or(said), record.quality, record.values);
        }
    }
}

impl Template {
    fn fill(&self, topic: &str, key: &str, serial: &str, part: &serde_json::Value) -> Option<String> {
        let mut address = String::from("mqtt:");
        for piece in &self.0 {
            let text = match piece {
                Piece::Text(text) => {
                    address.push_str(text);
                    continue;
                }
                Piece::Topic(level) => topic.split('/').nth(*level)?.to_owned(),
                Piece::Key => key.to_owned(),
                Piece::Serial => serial.to_owned(),
                Piece::Path(path) => frame::text_at(path, part)?,
            };
            if text.is_empty() {
                return None;
            }
            address.push_str(&text);
        }
        Some(address)
    }
}

fn json(bytes: &[u8]) -> Result<serde_json::Value, String> {
    serde_json::from_slice(bytes)
        .map_err(|error| format!("the payload is no JSON: {}", shortened(&error.to_string())))
}

fn decoded(payload: &[u8], encoding: Encoding) -> Result<Vec<u8>, String> {
    let text = || std::str::from_utf8(payload).map(str::trim).unwrap_or_default();
    match encoding {
        Encoding::Raw => Ok(payload.to_owned()),
        Encoding::Hex => from_hex(text()).ok_or("the payload is not hexadecimal".into()),
        Encoding::Base64 => from_base64(text()).ok_or("the payload is not Base64".into()),
    }
}

fn described(carrier: Carrier<'_>, port: Option<u8>) -> String {
    let port = port.map_or(String::new(), |port| format!(" on port {port}"));
    match carrier {
        Carrier::Bytes(bytes) => {
            let start: String = bytes.iter().take(16).map(|byte| format!("{byte:02X}")).collect();
            format!("these {} bytes{port}: {start}", bytes.len())
        }
        Carrier::Text(text) => format!("`{}`", shortened(text)),
        Carrier::Json(json) => format!("`{}`", shortened(&json.to_string())),
    }
}

/// Place of a profile in [`Profiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProfileIx(u16);

/// Every profile in force.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    all: Vec<Arc<Profile>>,
    by_name: BTreeMap<String, ProfileIx>,
    /// By what carries it and the model's name in small letters.
    by_model: BTreeMap<(Over, String), ProfileIx>,
    /// What the names of cameras' events mean at this station.
    pub meanings: Arc<Meanings>,
}

impl Profiles {
    /// Of two with the same name the later holds: a station's own replaces a shipped one. A model that two profiles claim is a mistake.
    pub fn build(profiles: impl IntoIterator<Item = Profile>) -> Result<Self, Problems> {
        let named: BTreeMap<String, Profile> =
            profiles.into_iter().map(|profile| (profile.name.clone(), profile)).collect();
        let (mut built, mut problems) = (Self::default(), Problems::default());
        for (name, profile) in named {
            let ix = ProfileIx(built.all.len() as u16);
            for model in profile.names.iter().chain([&name]) {
                let earlier = built.by_model.insert((profile.over, model.to_lowercase()), ix);
                if let Some(other) = earlier.filter(|other| *other != ix) {
                    let other = &built.all[usize::from(other.0)].name;
                    let text = format!(
                        "the model `{model}` is claimed by the profile `{other}` too, so a message could be read in two ways; take the name out of one"
                    );
                    problems.add(&format!("{name}.toml"), Spot { line: 1, column: 1 }, Severity::Error, text);
                }
            }
            built.by_name.insert(name, ix);
            built.all.push(Arc::new(profile));
        }
        if problems.is_empty() { Ok(built) } else { Err(problems) }
    }

    pub fn with_meanings(self, meanings: Meanings) -> Self {
        Self { meanings: Arc::new(meanings), ..self }
    }

    pub fn all(&self) -> impl Iterator<Item = &Profile> {
        self.all.iter().map(Arc::as_ref)
    }

    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.ix(name).and_then(|ix| self.at(ix))
    }

    /// The map of the Modbus device that is called so.
    pub fn map(&self, name: &str) -> Option<&Map> {
        self.of_model(Over::Modbus, [name]).and_then(Profile::map)
    }

    /// Names of all Modbus devices.
    pub fn maps(&self) -> Vec<&str> {
        self.all().filter(|profile| profile.map().is_some()).map(|profile| profile.name.as_str()).collect()
    }

    pub fn ix(&self, name: &str) -> Option<ProfileIx> {
        self.by_name.get(name).copied()
    }

    pub fn at(&self, ix: ProfileIx) -> Option<&Profile> {
        self.all.get(usize::from(ix.0)).map(Arc::as_ref)
    }

    /// The profile of the first of these model names that has one.
    pub fn of_model<'m>(&self, over: Over, models: impl IntoIterator<Item = &'m str>) -> Option<&Profile> {
        let find = |model: &str| self.by_model.get(&(over, model.trim().to_lowercase()));
        models.into_iter().find_map(find).and_then(|ix| self.at(*ix))
    }
}

/// A message on a topic that station.toml gives to a profile.
pub fn decode(ix: ProfileIx, message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    if let Some(profile) = context.profiles.at(ix) {
        profile.decode(message, &mut outcome);
    }
    outcome.finish()
}
