//! Bytes from the field → events, or the reason why not. Pure: no clock, no I/O; never panics, whatever the bytes.
//!
//! One file per family, each a table from a device's fields to our metrics. A message may hold readings of several devices
//! and times; what cannot be used becomes a [`Reject`] beside what can. Fields a family does not know are normal and ignored.

pub mod modbus;

use std::sync::Arc;

use serde::Deserialize;

use crate::config::rules::FreshnessLimits;
use crate::grid::Registry;
use crate::model::Event;
use crate::units::Timestamp;

/// Which decoder reads a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Our own documented JSON: docs/native-json.md.
    Native,
    Zigbee2mqtt,
    Chirpstack,
    Frigate,
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
}

#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    pub events: Vec<Event>,
    pub rejects: Vec<Reject>,
}

/// A full sentence: what is wrong, where, what to send instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject(pub String);

/// Read one message.
pub fn decode(family: Family, message: &Message<'_>, context: &Context) -> Decoded {
    let _ = (family, message, context);
    todo!()
}

/// Which family reads which topics; the first filter that matches wins.
#[derive(Clone, Debug, Default)]
pub struct Topics(pub Vec<(String, Family)>);

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

#[cfg(test)]
mod tests {
    use super::filter_matches;

    #[test]
    fn filters_match_as_the_mqtt_standard_says() {
        for (filter, topic, matches) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/+/c", "a//c", true),
            ("a", "a/b", false),
        ] {
            assert_eq!(filter_matches(filter, topic), matches, "{filter} on {topic}");
        }
    }
}
