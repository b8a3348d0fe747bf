//! An alert as an MQTT message, and the interface to whatever publishes it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rumqttc::QoS;

use super::{Channel, Notice, Sent};
use crate::io::listener::ListenerHandle;
use crate::io::mqtt::publisher as broker;

/// Longer than this the broker may not take for its PUBACK.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(15);

/// A broker client, or our own listener.
pub trait Publisher: Send + Sync + 'static {
    /// Returns when it is confirmed (QoS 1: PUBACK). An error means that it may or may not have arrived.
    fn publish(&self, topic: String, payload: Vec<u8>, retain: bool) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Whether what it retains is gone when the gateway ends.
    fn forgets(&self) -> bool {
        false
    }
}

/// Confirmed by the broker's PUBACK.
impl Publisher for broker::Publisher {
    fn publish(&self, topic: String, payload: Vec<u8>, retain: bool) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(broker::Publisher::publish(self, topic, payload, retain))
    }
}

/// Our own clients: confirmed when it is queued for those that are connected, and kept for later ones when retained. Whoever is not connected has the API.
impl Publisher for ListenerHandle {
    fn publish(&self, topic: String, payload: Vec<u8>, retain: bool) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            ListenerHandle::publish(self, &topic, payload, QoS::AtLeastOnce, retain)?;
            Ok(())
        })
    }

    fn forgets(&self) -> bool {
        true
    }
}

/// The channel `mqtt` of the ladders.
pub struct Mqtt {
    pub publisher: Arc<dyn Publisher>,
}

impl Channel for Mqtt {
    fn name(&self) -> &str {
        "mqtt"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let person = notice.alert.person.as_ref().map_or("nobody", |person| person.id.as_str());
            let topic = fill(
                "gridwarden/{station}/alerts/{person}",
                &[("station", &notice.station), ("person", person)],
            );
            let payload = match serde_json::to_vec(notice) {
                Ok(payload) => payload,
                Err(error) => {
                    return Sent::GaveUp { error: format!("the alert cannot be written as JSON: {error}") };
                }
            };
            match tokio::time::timeout(CONFIRM_WITHIN, self.publisher.publish(topic.clone(), payload, false))
                .await
            {
                Ok(Ok(())) => Sent::delivered(format!("confirmed by the broker on {topic}"), None),
                Ok(Err(error)) => Sent::Retry { error: format!("{error:#}"), after: None },
                Err(_) => Sent::Retry { error: "the broker did not confirm in time".into(), after: None },
            }
        })
    }
}

/// Fills `{name}`s into a topic; what would change the topic's shape becomes `_`.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut topic = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        topic.push_str(before);
        let known = after.split_once('}').and_then(|(name, after)| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (value, after))
        });
        match known {
            Some((value, after)) => {
                topic.push_str(&value.replace(['/', '+', '#', '\0', '$'], "_"));
                rest = after;
            }
            None => {
                topic.push('{');
                rest = after;
            }
        }
    }
    topic + rest
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn a_value_cannot_change_the_shape_of_a_topic() {
        let values = [("station", "s1"), ("cell", "a/+/#"), ("alarm", "{cell}")];
        for (template, topic) in [
            ("gridwarden/{station}/x", "gridwarden/s1/x"),
            ("{cell}", "a____"),
            ("{alarm}/{station}", "{cell}/s1"),
            ("{unknown}/{station}{", "{unknown}/s1{"),
        ] {
            assert_eq!(fill(template, &values), topic);
        }
    }
}
