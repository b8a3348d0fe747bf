//! Downlinks of LoRaWAN network servers: on which topic a device is told something, in which words, and what the server says became of it.
//!
//! ChirpStack v4 by its published integration.proto in its JSON form, The Things Stack v3 by its documentation of the MQTT server. Every downlink asks the device for an acknowledgement, and
//! carries the number of our order: ChirpStack's queue item has it as its id, The Things Stack gives it back among the correlation ids. Absent: taking a downlink back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::scalar::shortened_to;

/// Before our number among the correlation ids of The Things Stack, where every part of the system leaves its own.
const MARK: &str = "gridwarden:order:";
const REASON_CHARACTERS_MAX: usize = 200;

/// What a network server says of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Number of the order, a UUID.
    pub order: String,
    pub said: Said,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It waits for the device to speak.
    Queued,
    /// A gateway has sent it.
    Sent,
    /// The device acknowledged it.
    Confirmed,
    /// The device did not; some servers try again.
    NotConfirmed,
    /// It will not be sent, and why.
    Failed(String),
}

/// Where a device speaks and is told something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    server: Server,
    /// What the topics of the device have in common.
    root: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    ChirpStack,
    TheThings,
}

impl Way {
    /// From the topic of an uplink; `None` for every other.
    pub fn heard(topic: &str) -> Option<Self> {
        if let Some(root) = topic.strip_suffix("/event/up") {
            return Some(Self { server: Server::ChirpStack, root: root.to_owned() });
        }
        let root = topic.strip_suffix("/up")?;
        let kind = root.rsplit('/').nth(1)?;
        (kind == "devices").then(|| Self { server: Server::TheThings, root: root.to_owned() })
    }

    /// Whether this is the way of whoever spoke on `topic`, without making a new one.
    pub fn is_of(&self, topic: &str) -> bool {
        let rest = match self.server {
            Server::ChirpStack => "/event/up",
            Server::TheThings => "/up",
        };
        topic.strip_prefix(self.root.as_str()) == Some(rest)
    }

    pub fn up(&self) -> String {
        match self.server {
            Server::ChirpStack => format!("{}/event/up", self.root),
            Server::TheThings => format!("{}/up", self.root),
        }
    }

    pub fn down(&self) -> String {
        match self.server {
            Server::ChirpStack => format!("{}/command/down", self.root),
            Server::TheThings => format!("{}/down/push", self.root),
        }
    }

    /// What is published there. `eui` is the device's, as its address has it.
    pub fn message(&self, order: &str, eui: &str, port: u8, bytes: &[u8]) -> String {
        let data = STANDARD.encode(bytes);
        let message = match self.server {
            Server::ChirpStack => {
                json!({ "id": order, "devEui": eui, "confirmed": true, "fPort": port, "data": data })
            }
            Server::TheThings => json!({ "downlinks": [{
                "f_port": port,
                "frm_payload": data,
                "confirmed": true,
                "priority": "NORMAL",
                "correlation_ids": [format!("{MARK}{order}")],
            }] }),
        };
        message.to_string()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChirpStack {
    #[serde(default)]
    queue_item_id: String,
    /// False is left out, by the JSON form of its published proto.
    #[serde(default)]
    acknowledged: bool,
    #[serde(default)]
    description: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    context: std::collections::BTreeMap<String, String>,
}

/// From ChirpStack's `event`: `ack`, `txack`, or `log` of a queue item that was thrown away. `None`: nothing of an order.
pub fn chirpstack(event: &str, payload: &[u8]) -> Option<Answer> {
    if !matches!(event, "ack" | "txack" | "log") {
        return None;
    }
    let mut heard: ChirpStack = serde_json::from_slice(payload).ok()?;
    let (order, said) = match event {
        "ack" if heard.acknowledged => (heard.queue_item_id, Said::Confirmed),
        "ack" => (heard.queue_item_id, Said::NotConfirmed),
        "txack" => (heard.queue_item_id, Said::Sent),
        // Information, the lowest level, is left out when it is the default.
        _ if heard.level.is_empty() || heard.level == "INFO" => return None,
        _ => (heard.context.remove("queue_item_id")?, Said::Failed(reason(&heard.description))),
    };
    is_number(&order).then_some(Answer { order, said })
}

#[derive(Deserialize)]
struct TheThings {
    #[serde(default)]
    correlation_ids: Vec<String>,
    downlink_queued: Option<Downlink>,
    downlink_sent: Option<Downlink>,
    downlink_ack: Option<Downlink>,
    downlink_nack: Option<Downlink>,
    downlink_failed: Option<Failed>,
}

#[derive(Default, Deserialize)]
struct Downlink {
    #[serde(default)]
    correlation_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Failed {
    downlink: Option<Downlink>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message_format: String,
    #[serde(default)]
    name: String,
}

/// From a message of The Things Stack on `…/down/<event>`.
pub fn the_things(event: &str, payload: &[u8]) -> Option<Answer> {
    if !matches!(event, "queued" | "sent" | "ack" | "nack" | "failed") {
        return None;
    }
    let heard: TheThings = serde_json::from_slice(payload).ok()?;
    let mut ids = heard.correlation_ids;
    let mut of = |downlink: Option<Downlink>| ids.extend(downlink.unwrap_or_default().correlation_ids);
    let said = match event {
        "queued" => {
            of(heard.downlink_queued);
            Said::Queued
        }
        "sent" => {
            of(heard.downlink_sent);
            Said::Sent
        }
        "ack" => {
            of(heard.downlink_ack);
            Said::Confirmed
        }
        "nack" => {
            of(heard.downlink_nack);
            Said::NotConfirmed
        }
        _ => {
            let Failed { downlink, error } = heard.downlink_failed?;
            of(downlink);
            let error = error
                .map(|fault| if fault.message_format.is_empty() { fault.name } else { fault.message_format });
            Said::Failed(reason(&error.unwrap_or_default()))
        }
    };
    let order = ids.iter().find_map(|id| id.strip_prefix(MARK)).filter(|order| is_number(order))?.to_owned();
    Some(Answer { order, said })
}

fn reason(text: &str) -> String {
    if text.is_empty() {
        "the network server gives no reason".into()
    } else {
        shortened_to(REASON_CHARACTERS_MAX, text)
    }
}

/// A UUID as we write it.
fn is_number(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "8c1b5a52-6a0e-4b5e-9a54-0f2d1e8b7c11";

    #[test]
    fn a_device_is_told_beside_where_it_speaks() {
        for (up, down) in [
            (
                "application/7c1f/device/a84041ffff1c2d3e/event/up",
                "application/7c1f/device/a84041ffff1c2d3e/command/down",
            ),
            (
                "site 1/application/7c1f/device/a840/event/up",
                "site 1/application/7c1f/device/a840/command/down",
            ),
            ("v3/fire@ttn/devices/smoke-1/up", "v3/fire@ttn/devices/smoke-1/down/push"),
        ] {
            let way = Way::heard(up).unwrap();
            assert_eq!((way.down().as_str(), way.up().as_str()), (down, up));
            assert!(way.is_of(up) && !way.is_of(down));
        }
        for other in [
            "gridwarden/up/SD-1",
            "gridwarden/up",
            "up",
            "/up",
            "application/1/device/2/event/ack",
            "v3/a/devices/b/down/ack",
        ] {
            assert_eq!(Way::heard(other), None, "{other}");
        }
    }

    #[test]
    fn both_servers_are_asked_for_a_confirmation() {
        let message = |up: &str| -> serde_json::Value {
            let way = Way::heard(up).unwrap();
            serde_json::from_str(&way.message(ORDER, "a84041ffff1c2d3e", 85, &[0xff, 0x03, 0xb0, 0x04]))
                .unwrap()
        };
        let chirpstack = json!({ "id": ORDER, "devEui": "a84041ffff1c2d3e", "confirmed": true, "fPort": 85, "data": "/wOwBA==" });
        assert_eq!(message("application/7/device/a8/event/up"), chirpstack);
        let the_things = &message("v3/fire@ttn/devices/smoke-1/up")["downlinks"][0];
        assert_eq!(
            (&the_things["confirmed"], &the_things["frm_payload"]),
            (&json!(true), &json!("/wOwBA=="))
        );
        assert_eq!(the_things["correlation_ids"][0], format!("{MARK}{ORDER}"));
    }

    #[test]
    fn what_became_of_it_is_read_from_both() {
        let answer = |said| Some(Answer { order: ORDER.into(), said });
        let failed = |why: &str| answer(Said::Failed(why.into()));
        for (event, payload, wanted) in [
            ("txack", json!({ "queueItemId": ORDER, "fCntDown": 3, "gatewayId": "aa" }), answer(Said::Sent)),
            ("ack", json!({ "queueItemId": ORDER, "acknowledged": true }), answer(Said::Confirmed)),
            ("ack", json!({ "queueItemId": ORDER }), answer(Said::NotConfirmed)),
            (
                "log",
                json!({ "level": "ERROR", "code": "DOWNLINK_PAYLOAD_SIZE", "description": "too long", "context": { "queue_item_id": ORDER } }),
                failed("too long"),
            ),
            (
                "log",
                json!({ "level": "ERROR", "code": "UPLINK_MIC", "description": "x", "context": {} }),
                None,
            ),
            ("log", json!({ "description": "x", "context": { "queue_item_id": ORDER } }), None),
            ("ack", json!({ "queueItemId": "somebody else's", "acknowledged": true }), None),
            ("up", json!({ "queueItemId": ORDER }), None),
        ] {
            assert_eq!(chirpstack(event, payload.to_string().as_bytes()), wanted, "{event} {payload}");
        }
        let ids = json!(["as:downlink:01X", format!("{MARK}{ORDER}")]);
        for (event, payload, wanted) in [
            ("queued", json!({ "correlation_ids": ids, "downlink_queued": {} }), answer(Said::Queued)),
            ("sent", json!({ "downlink_sent": { "correlation_ids": ids } }), answer(Said::Sent)),
            (
                "ack",
                json!({ "correlation_ids": ids, "downlink_ack": { "f_port": 85, "confirmed": true } }),
                answer(Said::Confirmed),
            ),
            ("nack", json!({ "correlation_ids": ids, "downlink_nack": {} }), answer(Said::NotConfirmed)),
            (
                "failed",
                json!({ "downlink_failed": { "downlink": { "correlation_ids": ids }, "error": { "message_format": "no session" } } }),
                failed("no session"),
            ),
            ("failed", json!({ "correlation_ids": ids }), None),
            ("ack", json!({ "correlation_ids": ["gs:up:1"], "downlink_ack": {} }), None),
            ("push", json!({ "correlation_ids": ids }), None),
        ] {
            assert_eq!(the_things(event, payload.to_string().as_bytes()), wanted, "{event} {payload}");
        }
        assert_eq!(chirpstack("ack", b"{"), None);
        assert_eq!(the_things("ack", b"[]"), None);
    }
}
