//! Bytes from a client → MQTT packets of both versions as one type.
//!
//! rumqttc's codec reads the packets, but it was written for a client, so what a server must refuse is checked here: reserved flags, packet
//! id 0, topics that are empty or hold wildcards or NUL, text that is no UTF-8. Frames are cut here too, because the codec answers a
//! truncated property inside a whole v5 packet with "more bytes needed", and refuses the short forms of the v5 DISCONNECT, which every client sends.
//! PUBLISH, which comes as often as all others do not, is read where it stands ([`publish`]).
//! No I/O. Never panics, whatever the bytes.

mod connect;
mod publish;

use bytes::BytesMut;
use rumqttc::mqttbytes::{QoS, v4, valid_filter};
use rumqttc::v5::mqttbytes::{self as five, v5};

pub use connect::{Refusal, connect};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V4,
    V5,
}

/// Why a client is cut off. Each variant has its own reason code in v5.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it sent a malformed packet: {0}")]
    Malformed(String),
    #[error("it broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("it sent a packet of {size} bytes; the limit is {max} (max_packet_kb)")]
    TooLarge { size: usize, max: usize },
    #[error("it published to {0:?}, which is no topic name: not empty, no `+`, `#` or NUL")]
    Topic(String),
    #[error("it used a topic alias, which the listener does not offer")]
    Alias,
    #[error("it published to `{0}`, which its user may not; see `publish` of the user in station.toml")]
    Forbidden(String),
    #[error("it holds {0} subscriptions and asked for more")]
    Quota(usize),
}

#[derive(Debug, PartialEq)]
pub enum Packet<'a> {
    Publish(Publish<'a>),
    PubAck(u16),
    PubRel(u16),
    Subscribe { id: u16, wishes: Vec<Wish>, numbered: bool },
    Unsubscribe { id: u16, filters: Vec<String> },
    Ping,
    Disconnect { with_will: bool },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Publish<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: QoS,
    pub dup: bool,
    /// 0 for QoS 0.
    pub id: u16,
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub filter: String,
    pub qos: QoS,
    pub retained: SendRetained,
    /// Pass the retain flag on as it was published.
    pub keep_flag: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendRetained {
    Always,
    IfNew,
    Never,
}

/// The length of the first whole frame; `None` while bytes are missing. A frame that is too large is refused before its body is read.
pub fn frame_length(buffer: &[u8], max: usize) -> Result<Option<usize>, Fault> {
    let mut remaining = 0;
    for place in 1..=4 {
        let Some(&byte) = buffer.get(place) else { return Ok(None) };
        remaining |= usize::from(byte & 0x7F) << (7 * (place - 1));
        if byte & 0x80 == 0 {
            let size = 1 + place + remaining;
            return match size {
                _ if size > max => Err(Fault::TooLarge { size, max }),
                _ if size > buffer.len() => Ok(None),
                _ => Ok(Some(size)),
            };
        }
    }
    Err(Fault::Malformed("its length takes more than four bytes".into()))
}

/// The first packet in `buffer` and how long it is there; `None` while bytes are missing.
pub fn next(buffer: &[u8], version: Version, max: usize) -> Result<Option<(Packet<'_>, usize)>, Fault> {
    if let Some(first) = buffer.first() {
        check_first(*first)?;
    }
    let Some(length) = frame_length(buffer, max)? else { return Ok(None) };
    let frame = &buffer[..length];
    let packet = match (frame[0] >> 4, version) {
        (3, _) => Packet::Publish(publish::read(frame, version)?),
        (12, _) if length != 2 => return Err(Fault::Malformed("PINGREQ with a body".into())),
        (_, Version::V4) => {
            from_v4(v4::Packet::read(&mut BytesMut::from(frame), usize::MAX).map_err(malformed)?)?
        }
        (_, Version::V5) => match frame {
            [0xE0, 0] | [0xE0, 1, 0] => Packet::Disconnect { with_will: false },
            [0xE0, 1, _] => Packet::Disconnect { with_will: true },
            _ => from_v5(v5::Packet::read(&mut BytesMut::from(frame), None).map_err(malformed)?)?,
        },
    };
    check(&packet)?;
    Ok(Some((packet, length)))
}

/// The first packets in `buffer`, up to one that cannot be read; that one is told of when it is the first.
pub fn together(
    buffer: &[u8],
    version: Version,
    max: usize,
    packets_max: usize,
) -> Result<Vec<(Packet<'_>, usize)>, Fault> {
    let mut packets = Vec::new();
    let mut rest = buffer;
    while packets.len() < packets_max {
        match next(rest, version, max) {
            Ok(Some((packet, length))) => {
                packets.push((packet, length));
                rest = &rest[length..];
            }
            Ok(None) => break,
            Err(fault) if packets.is_empty() => return Err(fault),
            Err(_) => break,
        }
    }
    Ok(packets)
}

impl Packet<'_> {
    /// Of a message.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Self::Publish(publish) => Some(publish.topic),
            Self::PubAck(_)
            | Self::PubRel(_)
            | Self::Subscribe { .. }
            | Self::Unsubscribe { .. }
            | Self::Ping
            | Self::Disconnect { .. } => None,
        }
    }
}

fn from_v4(packet: v4::Packet) -> Result<Packet<'static>, Fault> {
    match packet {
        v4::Packet::Publish(_) => Err(READ_BEFORE),
        v4::Packet::PubAck(ack) => Ok(Packet::PubAck(ack.pkid)),
        v4::Packet::PubRel(release) => Ok(Packet::PubRel(release.pkid)),
        v4::Packet::Subscribe(subscribe) => {
            let wish = |filter: v4::SubscribeFilter| Wish {
                filter: filter.path,
                qos: filter.qos,
                retained: SendRetained::Always,
                keep_flag: false,
            };
            let wishes = subscribe.filters.into_iter().map(wish).collect();
            Ok(Packet::Subscribe { id: subscribe.pkid, wishes, numbered: false })
        }
        v4::Packet::Unsubscribe(wanted) => {
            Ok(Packet::Unsubscribe { id: wanted.pkid, filters: wanted.topics })
        }
        v4::Packet::PingReq => Ok(Packet::Ping),
        v4::Packet::Disconnect => Ok(Packet::Disconnect { with_will: false }),
        v4::Packet::Connect(_) => Err(Fault::Protocol("a second CONNECT")),
        v4::Packet::PubRec(_) | v4::Packet::PubComp(_) => Err(NEVER_SENT),
        v4::Packet::ConnAck(_) | v4::Packet::SubAck(_) | v4::Packet::UnsubAck(_) | v4::Packet::PingResp => {
            Err(ONLY_SERVERS)
        }
    }
}

fn from_v5(packet: v5::Packet) -> Result<Packet<'static>, Fault> {
    match packet {
        v5::Packet::Publish(_) => Err(READ_BEFORE),
        v5::Packet::PubAck(ack) => Ok(Packet::PubAck(ack.pkid)),
        v5::Packet::PubRel(release) => Ok(Packet::PubRel(release.pkid)),
        v5::Packet::Subscribe(subscribe) => {
            let wish = |filter: v5::Filter| Wish {
                filter: filter.path,
                qos: qos_of_v5(filter.qos),
                retained: match filter.retain_forward_rule {
                    v5::RetainForwardRule::OnEverySubscribe => SendRetained::Always,
                    v5::RetainForwardRule::OnNewSubscribe => SendRetained::IfNew,
                    v5::RetainForwardRule::Never => SendRetained::Never,
                },
                keep_flag: filter.preserve_retain,
            };
            let numbered = subscribe.properties.is_some_and(|properties| properties.id.is_some());
            let wishes = subscribe.filters.into_iter().map(wish).collect();
            Ok(Packet::Subscribe { id: subscribe.pkid, wishes, numbered })
        }
        v5::Packet::Unsubscribe(wanted) => {
            Ok(Packet::Unsubscribe { id: wanted.pkid, filters: wanted.filters })
        }
        v5::Packet::PingReq(_) => Ok(Packet::Ping),
        v5::Packet::Disconnect(disconnect) => {
            let with_will = disconnect.reason_code != v5::DisconnectReasonCode::NormalDisconnection;
            Ok(Packet::Disconnect { with_will })
        }
        v5::Packet::Connect(..) => Err(Fault::Protocol("a second CONNECT")),
        v5::Packet::Auth(_) => Err(Fault::Protocol("AUTH, but CONNECT named no authentication method")),
        v5::Packet::PubRec(_) | v5::Packet::PubComp(_) => Err(NEVER_SENT),
        v5::Packet::ConnAck(_)
        | v5::Packet::SubAck(_)
        | v5::Packet::UnsubAck(_)
        | v5::Packet::PingResp(_) => Err(ONLY_SERVERS),
    }
}

/// Unreachable, by the packet's type.
const READ_BEFORE: Fault = Fault::Protocol("PUBLISH");
const NEVER_SENT: Fault = Fault::Protocol("an answer to a QoS 2 message, but the listener never sends one");
const ONLY_SERVERS: Fault = Fault::Protocol("a packet that only a server may send");

/// Packet type and flags, before anything else is read. Only PUBLISH has free flags.
fn check_first(first: u8) -> Result<(), Fault> {
    let right = match first >> 4 {
        0 | 15 => false,
        3 => first & 0b0110 != 0b0110 && first & 0b1110 != 0b1000,
        6 | 8 | 10 => first & 0x0F == 0b0010,
        _ => first & 0x0F == 0,
    };
    if right { Ok(()) } else { Err(Fault::Malformed(format!("a first byte of {first:#04x}"))) }
}

fn check(packet: &Packet<'_>) -> Result<(), Fault> {
    let zero = || Fault::Malformed("packet id 0".into());
    match packet {
        Packet::Publish(publish) if !is_topic(publish.topic) => Err(Fault::Topic(publish.topic.to_owned())),
        Packet::Publish(publish) if publish.id == 0 && publish.qos != QoS::AtMostOnce => Err(zero()),
        Packet::Publish(_) => Ok(()),
        Packet::PubAck(id) | Packet::PubRel(id) if *id == 0 => Err(zero()),
        Packet::Subscribe { id, .. } | Packet::Unsubscribe { id, .. } if *id == 0 => Err(zero()),
        Packet::Unsubscribe { filters, .. } if filters.is_empty() => {
            Err(Fault::Protocol("UNSUBSCRIBE without a filter"))
        }
        Packet::PubAck(_)
        | Packet::PubRel(_)
        | Packet::Subscribe { .. }
        | Packet::Unsubscribe { .. }
        | Packet::Ping
        | Packet::Disconnect { .. } => Ok(()),
    }
}

/// A name that can be published to.
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= usize::from(u16::MAX)
        && memchr::memchr3(b'+', b'#', 0, topic.as_bytes()).is_none()
}

/// A filter that can be subscribed to.
pub fn is_filter(filter: &str) -> bool {
    valid_filter(filter) && !filter.contains('\0')
}

fn qos_of_v5(qos: five::QoS) -> QoS {
    match qos {
        five::QoS::AtMostOnce => QoS::AtMostOnce,
        five::QoS::AtLeastOnce => QoS::AtLeastOnce,
        five::QoS::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(bytes).map_err(|_| Fault::Malformed("a topic that is not UTF-8".into()))
}

fn malformed(error: impl std::fmt::Display) -> Fault {
    Fault::Malformed(error.to_string())
}

#[cfg(test)]
mod tests;
