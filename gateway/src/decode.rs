//! Bytes from the field → events, or the reason why not. Pure: no clock, no I/O; never panics, whatever the bytes.
//!
//! One file per family, each a table from a device's fields to our metrics. A message may hold readings of several devices
//! and times; what cannot be used becomes a [`Reject`] beside what can. Fields a family does not know are normal and ignored.

pub mod bytes;
pub mod camera;
mod chirpstack;
mod ctwing;
pub mod dahua;
mod discovery;
pub mod downlink;
mod fields;
mod frigate;
pub mod gbt26875;
pub mod hikvision;
mod huawei;
mod lorawan;
mod meokon;
pub mod modbus;
mod native;
mod nearest;
pub mod onvif;
pub mod outcome;
pub mod parts;
pub mod privacy;
pub mod profile;
pub mod push;
mod scalar;
pub mod sparkplug;
pub mod stranger;
mod time;
mod ttn;
mod values;
mod zigbee2mqtt;

pub mod samples;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Deserialize;

use crate::config::rules::FreshnessLimits;
use crate::grid::Registry;
use crate::model::{DeviceIx, Event};
use crate::units::Timestamp;

pub use outcome::{Outcome, REPORTS_MAX};
pub use stranger::{Announced, Stranger};
pub use values::{VALUES_MAX, quality_of};

/// Which decoder reads a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Our own documented JSON: docs/native-json.md.
    Native,
    Zigbee2mqtt,
    Chirpstack,
    Ttn,
    Frigate,
    Meokon,
    /// What devices tell Home Assistant of themselves: who there is, and no readings.
    HomeAssistant,
    /// A profile of the topic's own.
    #[serde(skip)]
    Profile(profile::ProfileIx),
}

/// One message as it came over MQTT.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub retained: bool,
    /// MQTT DUP: the sender may have sent it before.
    pub dup: bool,
    pub received: Timestamp,
}

/// What a decoder needs to know of the world.
#[derive(Clone)]
pub struct Context {
    pub registry: Arc<Registry>,
    pub freshness: Arc<FreshnessLimits>,
    pub profiles: Arc<profile::Profiles>,
}

#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    pub events: Vec<Event>,
    pub rejects: Vec<Reject>,
    /// Pictures that are worth keeping.
    pub stills: Vec<camera::Still>,
    /// What a dead letter keeps of a message that may tell of people, in the place of its bytes.
    pub shown: Option<Vec<u8>>,
    /// Who spoke, or was announced, and is not registered.
    pub strangers: Vec<Stranger>,
    /// What a network server says of an order.
    pub answer: Option<downlink::Answer>,
}

/// A full sentence: what is wrong, where, what to send instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject(pub String);

/// Read one message.
pub fn decode(family: Family, message: &Message<'_>, context: &Context) -> Decoded {
    if message.payload.is_empty() {
        return Decoded::default(); // A retained topic was cleared; nobody said anything.
    }
    match family {
        Family::Native => native::decode(message, context),
        Family::Zigbee2mqtt => zigbee2mqtt::decode(message, context),
        Family::Chirpstack => chirpstack::decode(message, context),
        Family::Ttn => ttn::decode(message, context),
        Family::Profile(ix) => profile::decode(ix, message, context),
        Family::Frigate => frigate::decode(message, context),
        Family::Meokon => meokon::decode(message, context),
        Family::HomeAssistant => discovery::home_assistant(message, context),
    }
}

/// What a path says of a device's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Online,
    Offline,
}

impl Status {
    fn from_word(word: &str) -> Option<Self> {
        match word.trim() {
            "online" => Some(Self::Online),
            "offline" => Some(Self::Offline),
            _ => None,
        }
    }
}

/// A payload that is just the word, bare or as a JSON string.
fn status_word(payload: &[u8]) -> Option<Status> {
    if let Some(b'{' | b'[') = payload.trim_ascii_start().first() {
        return None; // A report, which need not be looked through for this.
    }
    let text = std::str::from_utf8(payload).ok()?.trim();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    Status::from_word(bare)
}

/// An availability message: the word, or `{"state":"online"}`.
fn availability(outcome: &mut outcome::Outcome<'_>, device: DeviceIx, address: &str, payload: &[u8]) {
    #[derive(Deserialize)]
    struct State<'a> {
        #[serde(borrow)]
        state: std::borrow::Cow<'a, str>,
    }
    let state = || Status::from_word(&serde_json::from_slice::<State<'_>>(payload).ok()?.state);
    match status_word(payload).or_else(state) {
        Some(Status::Online) => outcome.alive(device),
        Some(Status::Offline) => outcome.gone(device),
        None => outcome.reject(format!(
            "the availability of {} must be `online`, `offline` or {{\"state\":\"online\"}}",
            scalar::shortened(address)
        )),
    }
}

/// Which family reads which topics; the first filter that matches wins.
#[derive(Clone, Debug, Default)]
pub struct Topics(pub Vec<(String, Family)>);

impl Family {
    /// The address of the device that such a topic speaks for, where the topic tells it; as the decoder will look for it.
    pub fn address_in(self, topic: &str) -> Option<String> {
        match self {
            Self::Native => native::speaker(topic).map(native::address),
            Self::Zigbee2mqtt => Some(zigbee2mqtt::address(topic)),
            Self::Chirpstack
            | Self::Ttn
            | Self::Frigate
            | Self::Meokon
            | Self::HomeAssistant
            | Self::Profile(_) => None,
        }
    }
}

impl Topics {
    pub fn family(&self, topic: &str) -> Option<Family> {
        self.0.iter().find(|(filter, _)| filter_matches(filter, topic)).map(|(_, family)| *family)
    }
}

/// MQTT topic matching (MQTT 3.1.1 §4.7): `+` is one level, a last `#` the rest; neither matches a first level that begins with `$`.
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    // What nearly every filter is, and what every message is compared with.
    if let Some(above) = filter.strip_suffix("/#").filter(|above| !above.contains('+')) {
        let below = topic.strip_prefix(above);
        return below.is_some_and(|below| below.is_empty() || below.starts_with('/'));
    }
    by_levels(filter, topic)
}

fn by_levels(filter: &str, topic: &str) -> bool {
    let (mut wanted, mut given) = (filter.split('/'), topic.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => (),
            (Some(one), Some(other)) if one == other => (),
            (Some(_), Some(_) | None) | (None, Some(_)) => return false,
        }
    }
}
