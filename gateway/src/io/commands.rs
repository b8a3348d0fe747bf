//! Commands to devices: where a device listens, and by which way it is reached.
//!
//! A command is sent once, with QoS 1, to whoever listens now; nothing is kept for later, because a siren that starts an hour late helps nobody.
//! docs/listener.md names the topics.

use std::time::Duration;

use rumqttc::QoS;
use tokio::time::timeout;

use super::listener::ListenerHandle;
use super::mqtt::publisher::Publisher;
use super::{gbt26875, modbus};
use crate::decode::filter_matches;

/// A broker that has not confirmed by then has perhaps not got it.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// The ways to devices.
#[derive(Default)]
pub struct Commands {
    pub listener: Option<ListenerHandle>,
    /// Brokers with `commands = true`.
    pub brokers: Vec<Broker>,
    /// To transmission devices, who are asked and answer.
    pub gbt26875: Option<gbt26875::Handle>,
    /// Modbus buses, which are only asked.
    pub buses: Vec<modbus::question::Handle>,
}

pub struct Broker {
    pub name: String,
    /// What we hear from it; a device is commanded where it is heard.
    pub filters: Vec<String>,
    pub publisher: Publisher,
}

/// Where a device speaks and where it listens.
#[derive(Debug, PartialEq, Eq)]
pub struct Topics {
    pub up: String,
    pub down: String,
}

#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    #[error(
        "nobody listens on `{0}`: the device must be connected to the listener and subscribe to it, or be heard from a broker with `commands = true`"
    )]
    NobodyListens(String),
    #[error("broker `{0}` did not confirm: {1}; the command may still have arrived")]
    Unconfirmed(String, String),
    #[error("{0}")]
    Refused(String),
}

impl Topics {
    /// `None` for devices that are not reached over MQTT, or not by one topic.
    pub fn of(address: &str) -> Option<Self> {
        let (family, place) = address.split_once(':')?;
        match family {
            "native" => {
                Some(Self { up: format!("gridwarden/up/{place}"), down: format!("gridwarden/down/{place}") })
            }
            "z2m" => Some(Self { up: place.to_owned(), down: format!("{place}/set") }),
            _ => None,
        }
    }
}

impl Commands {
    /// Returns by which way it went: `listener`, or the broker's name.
    pub async fn send(&self, topics: &Topics, payload: Vec<u8>) -> Result<String, NotSent> {
        if let Some(listener) = &self.listener {
            let listeners = listener
                .publish(&topics.down, payload.clone(), QoS::AtLeastOnce, false)
                .map_err(|fault| NotSent::Refused(fault.to_string()))?;
            if listeners > 0 {
                return Ok("listener".into());
            }
        }
        let hears = |broker: &&Broker| broker.filters.iter().any(|filter| filter_matches(filter, &topics.up));
        let Some(broker) = self.brokers.iter().find(hears) else {
            return Err(NotSent::NobodyListens(topics.down.clone()));
        };
        let unconfirmed = |why: String| NotSent::Unconfirmed(broker.name.clone(), why);
        match timeout(CONFIRM_WITHIN, broker.publisher.publish(topics.down.clone(), payload, false)).await {
            Ok(Ok(())) => Ok(broker.name.clone()),
            Ok(Err(fault)) => Err(unconfirmed(format!("{fault:#}"))),
            Err(_) => Err(unconfirmed(format!("no answer within {} s", CONFIRM_WITHIN.as_secs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_commanded_beside_where_it_speaks() {
        for (address, topics) in [
            ("native:SD-1", Some(("gridwarden/up/SD-1", "gridwarden/down/SD-1"))),
            ("z2m:zigbee2mqtt/hall/siren", Some(("zigbee2mqtt/hall/siren", "zigbee2mqtt/hall/siren/set"))),
            ("lora:24e124", None),
            ("modbus:hydrants/3", None),
            ("", None),
        ] {
            let expected = topics.map(|(up, down)| Topics { up: up.into(), down: down.into() });
            assert_eq!(Topics::of(address), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn without_a_listener_and_a_broker_nobody_listens() {
        let topics = Topics::of("native:SD-1").expect("a device over MQTT");
        let answer = Commands::default().send(&topics, b"{}".to_vec()).await;
        assert!(matches!(answer, Err(NotSent::NobodyListens(topic)) if topic == "gridwarden/down/SD-1"));
    }
}
