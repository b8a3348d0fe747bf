//! What the listener says, written into an outgoing buffer in the client's version.
//!
//! The one place that knows the reason codes. Success acknowledgements are the same four bytes in both versions. No I/O.

use bytes::BytesMut;
use rumqttc::mqttbytes::{QoS, v4};
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode as Reason;
use rumqttc::v5::mqttbytes::{self as five, v5};

use super::greeting::Welcome;
use super::hub::Delivery;
use super::packet::{Fault, Version};

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    Level,
    ClientId,
    Full,
    Stopping,
    BadLogin,
    NotAllowed,
    OtherAuthentication,
}

/// What becomes of one filter of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    Yes(QoS),
    Forbidden,
    NotAFilter,
    Shared,
    Numbered,
}

/// Acknowledges one PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub id: u16,
    pub step: Step,
    /// v5 only: the user may not publish there.
    pub forbidden: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    PubAck,
    PubRec,
}

/// Why the listener ends a connection, as v5 says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    TakenOver,
    Stopping,
    KeepAlive,
    SlowReader,
}

/// A text that holds a client's own topic is cut here.
const TEXT_BYTES_MAX: usize = 200;

const SHORT: &str = "the packet is far below the protocol's limit";

pub fn welcome(out: &mut BytesMut, version: Version, welcome: &Welcome) {
    match version {
        Version::V4 => {
            v4::ConnAck::new(v4::ConnectReturnCode::Success, false).write(out).expect(SHORT);
        }
        Version::V5 => {
            let properties = v5::ConnAckProperties {
                session_expiry_interval: Some(0),
                receive_max: Some(welcome.receive_max),
                max_packet_size: Some(welcome.packet_max),
                assigned_client_identifier: welcome.assigned_id.clone(),
                server_keep_alive: welcome.keep_alive_s,
                subscription_identifiers_available: Some(0),
                shared_subscription_available: Some(0),
                max_qos: None,
                retain_available: None,
                topic_alias_max: None,
                reason_string: None,
                user_properties: Vec::new(),
                wildcard_subscription_available: None,
                response_information: None,
                server_reference: None,
                authentication_method: None,
                authentication_data: None,
            };
            connack_v5(out, v5::ConnectReturnCode::Success, Some(properties));
        }
    }
}

pub fn denial(out: &mut BytesMut, version: Version, denial: Denial) {
    use v4::ConnectReturnCode as Four;
    use v5::ConnectReturnCode as Five;
    let (four, five) = match denial {
        Denial::Level => (Four::RefusedProtocolVersion, Five::UnsupportedProtocolVersion),
        Denial::ClientId => (Four::BadClientId, Five::ClientIdentifierNotValid),
        Denial::Full => (Four::ServiceUnavailable, Five::ServerUnavailable),
        Denial::Stopping => (Four::ServiceUnavailable, Five::ServerBusy),
        Denial::BadLogin => (Four::BadUserNamePassword, Five::BadUserNamePassword),
        Denial::NotAllowed => (Four::NotAuthorized, Five::NotAuthorized),
        Denial::OtherAuthentication => (Four::NotAuthorized, Five::BadAuthenticationMethod),
    };
    match version {
        Version::V4 => {
            v4::ConnAck::new(four, false).write(out).expect(SHORT);
        }
        Version::V5 => connack_v5(out, five, None),
    }
}

fn connack_v5(out: &mut BytesMut, code: v5::ConnectReturnCode, properties: Option<v5::ConnAckProperties>) {
    v5::ConnAck { session_present: false, code, properties }.write(out).expect(SHORT);
}

pub fn ack(out: &mut BytesMut, ack: Ack) {
    match (ack.step, ack.forbidden) {
        (Step::PubAck, false) => v4::PubAck::new(ack.id).write(out).expect(SHORT),
        (Step::PubRec, false) => v4::PubRec::new(ack.id).write(out).expect(SHORT),
        (Step::PubAck, true) => {
            let reason = v5::PubAckReason::NotAuthorized;
            v5::PubAck { pkid: ack.id, reason, properties: None }.write(out).expect(SHORT)
        }
        (Step::PubRec, true) => {
            let reason = v5::PubRecReason::NotAuthorized;
            v5::PubRec { pkid: ack.id, reason, properties: None }.write(out).expect(SHORT)
        }
    };
}

/// Answers a PUBREL; v5 also learns whether the packet id was known.
pub fn complete(out: &mut BytesMut, version: Version, id: u16, known: bool) {
    match (version, known) {
        (Version::V4, _) | (Version::V5, true) => v4::PubComp::new(id).write(out).expect(SHORT),
        (Version::V5, false) => {
            let reason = v5::PubCompReason::PacketIdentifierNotFound;
            v5::PubComp { pkid: id, reason, properties: None }.write(out).expect(SHORT)
        }
    };
}

pub fn subscribed(out: &mut BytesMut, version: Version, id: u16, granted: &[Granted]) {
    match version {
        Version::V4 => {
            let codes = granted.iter().map(|granted| match granted {
                Granted::Yes(qos) => v4::SubscribeReasonCode::Success(*qos),
                Granted::Forbidden | Granted::NotAFilter | Granted::Shared | Granted::Numbered => {
                    v4::SubscribeReasonCode::Failure
                }
            });
            v4::SubAck::new(id, codes.collect()).write(out).expect(SHORT);
        }
        Version::V5 => {
            let codes = granted.iter().map(|granted| match granted {
                Granted::Yes(qos) => v5::SubscribeReasonCode::Success(qos_for_v5(*qos)),
                Granted::Forbidden => v5::SubscribeReasonCode::NotAuthorized,
                Granted::NotAFilter => v5::SubscribeReasonCode::TopicFilterInvalid,
                Granted::Shared => v5::SubscribeReasonCode::SharedSubscriptionsNotSupported,
                Granted::Numbered => v5::SubscribeReasonCode::SubscriptionIdNotSupported,
            });
            let answer = v5::SubAck { pkid: id, return_codes: codes.collect(), properties: None };
            answer.write(out).expect(SHORT);
        }
    }
}

/// `existed` tells of each filter whether there was such a subscription.
pub fn unsubscribed(out: &mut BytesMut, version: Version, id: u16, existed: &[bool]) {
    match version {
        Version::V4 => {
            v4::UnsubAck::new(id).write(out).expect(SHORT);
        }
        Version::V5 => {
            let reasons = existed.iter().map(|existed| match existed {
                true => v5::UnsubAckReason::Success,
                false => v5::UnsubAckReason::NoSubscriptionExisted,
            });
            let answer = v5::UnsubAck { pkid: id, reasons: reasons.collect(), properties: None };
            answer.write(out).expect(SHORT);
        }
    }
}

pub fn pong(out: &mut BytesMut) {
    v4::PingResp.write(out).expect(SHORT);
}

/// Writes a message to a subscriber, or nothing when it is larger than the client takes. `id` is 0 for QoS 0.
pub fn delivery(
    out: &mut BytesMut,
    version: Version,
    delivery: &Delivery,
    id: u16,
    packet_max: Option<u32>,
) -> bool {
    let publication = &delivery.publication;
    match version {
        Version::V4 => {
            let mut publish =
                v4::Publish::from_bytes(&*publication.topic, delivery.qos, publication.payload.clone());
            (publish.retain, publish.pkid) = (delivery.retain, id);
            publish.write(out).is_ok()
        }
        Version::V5 => {
            let publish = v5::Publish {
                dup: false,
                qos: qos_for_v5(delivery.qos),
                retain: delivery.retain,
                topic: publication.topic.clone().into(),
                pkid: id,
                payload: publication.payload.clone(),
                properties: None,
            };
            let fits = packet_max.is_none_or(|max| publish.size() <= max as usize);
            fits && publish.write(out).is_ok()
        }
    }
}

/// Says why a connection ends; 3.1.1 has no word for it.
pub fn goodbye(out: &mut BytesMut, version: Version, goodbye: Goodbye) {
    let (reason, text) = match goodbye {
        Goodbye::TakenOver => (Reason::SessionTakenOver, "another connection came with this client id"),
        Goodbye::Stopping => (Reason::ServerShuttingDown, "the gateway stops"),
        Goodbye::KeepAlive => (Reason::KeepAliveTimeout, "nothing was heard for 1.5 times the keep-alive"),
        Goodbye::SlowReader => (Reason::QuotaExceeded, "it does not read fast enough"),
    };
    disconnect(out, version, reason, text.to_owned());
}

pub fn fault(out: &mut BytesMut, version: Version, fault: &Fault) {
    let reason = match fault {
        Fault::Malformed(_) => Reason::MalformedPacket,
        Fault::Protocol(_) => Reason::ProtocolError,
        Fault::TooLarge { .. } => Reason::PacketTooLarge,
        Fault::Topic(_) => Reason::TopicNameInvalid,
        Fault::Alias => Reason::TopicAliasInvalid,
        Fault::Forbidden(_) => Reason::NotAuthorized,
        Fault::Quota(_) => Reason::QuotaExceeded,
    };
    disconnect(out, version, reason, fault.to_string());
}

/// Always with a text: without properties the codec writes one byte more than the length it announces.
fn disconnect(out: &mut BytesMut, version: Version, reason: Reason, mut text: String) {
    match version {
        Version::V4 => (),
        Version::V5 => {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            let properties = v5::DisconnectProperties {
                reason_string: Some(text),
                session_expiry_interval: None,
                user_properties: Vec::new(),
                server_reference: None,
            };
            let goodbye = v5::Disconnect { reason_code: reason, properties: Some(properties) };
            goodbye.write(out).expect(SHORT);
        }
    }
}

fn qos_for_v5(qos: QoS) -> five::QoS {
    match qos {
        QoS::AtMostOnce => five::QoS::AtMostOnce,
        QoS::AtLeastOnce => five::QoS::AtLeastOnce,
        QoS::ExactlyOnce => five::QoS::ExactlyOnce,
    }
}
