//! PUBLISH (3.1.1 and 5, §3.3), borrowed from the bytes that were read: nothing is copied for a message.

use bytes::BytesMut;
use rumqttc::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5;

use super::{Fault, Publish, Version, malformed, utf8};

/// A whole frame whose first byte was checked.
pub(super) fn read(frame: &[u8], version: Version) -> Result<Publish<'_>, Fault> {
    let first = frame[0];
    let qos = match first >> 1 & 3 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    };
    let (_, rest) = varying(&frame[1..])?;
    let (length, rest) = short(rest)?;
    let (topic, rest) = rest.split_at_checked(length.into()).ok_or_else(cut_off)?;
    let (id, rest) = if qos == QoS::AtMostOnce { (0, rest) } else { short(rest)? };
    let payload = match version {
        Version::V4 => rest,
        Version::V5 => behind_properties(frame, rest)?,
    };
    Ok(Publish { topic: utf8(topic)?, payload, qos, dup: first & 0b1000 != 0, id })
}

/// The properties say nothing that we want to know, but must be right; few clients send any.
fn behind_properties<'a>(frame: &[u8], rest: &'a [u8]) -> Result<&'a [u8], Fault> {
    let (length, rest) = varying(rest)?;
    if 0 < length {
        let packet = v5::Packet::read(&mut BytesMut::from(frame), None).map_err(malformed)?;
        if let v5::Packet::Publish(publish) = packet
            && publish.properties.is_some_and(|properties| properties.topic_alias.is_some())
        {
            return Err(Fault::Alias);
        }
    }
    rest.get(length..).ok_or_else(cut_off)
}

/// A number of one to four bytes, and what is behind it.
fn varying(bytes: &[u8]) -> Result<(usize, &[u8]), Fault> {
    let mut number = 0;
    for (place, &byte) in bytes.iter().take(4).enumerate() {
        number |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((number, &bytes[place + 1..]));
        }
    }
    Err(cut_off())
}

fn short(bytes: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let (number, rest) = bytes.split_first_chunk().ok_or_else(cut_off)?;
    Ok((u16::from_be_bytes(*number), rest))
}

fn cut_off() -> Fault {
    Fault::Malformed("a PUBLISH that ends too early".into())
}
