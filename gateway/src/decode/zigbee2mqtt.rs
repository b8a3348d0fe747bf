//! Zigbee2MQTT: one JSON object per device on `<base>/<friendly name>`, its availability beside it.
//!
//! A device's address is `z2m:` and its topic. Fields come and go with the firmware, so a missing one is normal; what they mean stands in
//! [`super::fields`]. `bridge/devices` announces who there is ([`super::discovery`]). Ignored: the rest of what is below `bridge`, and the `set` and `get` topics other programs publish to.

use std::fmt;

use serde::de::{MapAccess, Visitor};

use super::fields::Fields;
use super::outcome::Outcome;
use super::scalar::{Name, Scalar, shortened, whole_json};
use super::{Context, Decoded, Message, availability};
use crate::model::{DeviceIx, Quality};
use crate::units::Timestamp;

pub fn decode(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    read(message, &mut outcome);
    outcome.finish()
}

/// As the registry has it.
pub(super) fn address(topic: &str) -> String {
    ["z2m:", topic].concat()
}

fn read(message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let address = address(message.topic);
    if let Some(device) = outcome.find(&address) {
        return state(device, &address, message, outcome);
    }
    if let Some(of) = address.strip_suffix("/availability") {
        // Groups and lamps have an availability too; their readings are complaint enough.
        if let Some(device) = outcome.find(of) {
            availability(outcome, device, of, message.payload);
        }
        return;
    }
    if let Some(base) = message.topic.strip_suffix("/bridge/devices") {
        return super::discovery::zigbee2mqtt(base, message.payload, outcome);
    }
    if message.topic.split('/').any(|level| level == "bridge") || is_command(message.topic) {
        return;
    }
    if let Some(device) = outcome.device(&address) {
        state(device, &address, message, outcome);
    }
}

fn state(device: DeviceIx, address: &str, message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let mut state = State { fields: Fields::new(), said: None, unreadable_time: None };
    if let Err(error) = whole_json(message.payload, StateVisitor(&mut state)) {
        return outcome.unreadable(&error);
    }
    state.fields.finish();
    for problem in state.fields.problems {
        outcome.reject(format!("{}: {problem}", shortened(address)));
    }
    if let Some(time) = state.unreadable_time {
        outcome.reject(format!(
            "{}: `last_seen` is {time}; set `last_seen` to ISO_8601 or epoch in Zigbee2MQTT",
            shortened(address)
        ));
    }
    outcome.report(device, state.said, Quality::Good, state.fields.values);
}

/// What other programs send to a device, `…/set`, `…/get` and `…/set/<attribute>`.
fn is_command(topic: &str) -> bool {
    topic.rsplit('/').take(2).any(|level| level == "set" || level == "get")
}

struct State {
    fields: Fields,
    said: Option<Timestamp>,
    unreadable_time: Option<String>,
}

struct StateVisitor<'s>(&'s mut State);

impl<'de> Visitor<'de> for StateVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object such as {\"smoke\":false,\"battery\":93}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = fields.next_key()? {
            let scalar: Scalar<'de> = fields.next_value()?;
            if name == "last_seen" {
                self.0.said = scalar.time();
                if self.0.said.is_none() && scalar != Scalar::Null {
                    self.0.unreadable_time = Some(scalar.to_string());
                }
            } else {
                self.0.fields.take(None, &name, &scalar);
            }
        }
        Ok(())
    }
}
