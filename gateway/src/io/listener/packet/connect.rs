//! The first packet: which version it asks for, and what it says.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::{Fault, Version, check_first, is_topic, malformed, utf8};
use crate::io::listener::greeting::{Connect, Will};

/// Reads the whole frame of a client's first packet.
pub fn connect(frame: BytesMut) -> Result<Connect, Refusal> {
    let version = version_asked(&frame)?;
    check_first(frame[0])?;
    let connect = match version {
        Version::V4 => connect_v4(frame)?,
        Version::V5 => connect_v5(frame)?,
    };
    if connect.client_id.contains('\0') {
        return Err(Fault::Malformed("its client id holds NUL".into()).into());
    }
    match &connect.will {
        Some(will) if !is_topic(&will.topic) => Err(Fault::Topic(will.topic.clone()).into()),
        Some(_) | None => Ok(connect),
    }
}

/// What became of a first packet that is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("its first packet is not an MQTT CONNECT")]
    NotMqtt,
    #[error("it speaks MQTT protocol level {0}; the listener knows 4 (3.1.1) and 5")]
    Level(u8),
    #[error(transparent)]
    Fault(#[from] Fault),
}

fn version_asked(frame: &[u8]) -> Result<Version, Refusal> {
    let header = 1 + frame.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let body = frame.get(header..).unwrap_or_default();
    match (frame.first().map(|byte| byte >> 4), body) {
        (Some(1), [0, 4, b'M', b'Q', b'T', b'T', 4, flags, ..]) if flags & 0b1100_0000 == 0b0100_0000 => {
            Err(Fault::Malformed("a password without a user name".into()).into())
        }
        (Some(1), [0, 4, b'M', b'Q', b'T', b'T', _, flags, ..]) if flags & 1 != 0 => {
            Err(Fault::Malformed("a reserved flag of CONNECT is set".into()).into())
        }
        (Some(1), [0, 4, b'M', b'Q', b'T', b'T', 4, ..]) => Ok(Version::V4),
        (Some(1), [0, 4, b'M', b'Q', b'T', b'T', 5, ..]) => Ok(Version::V5),
        (Some(1), [0, 4, b'M', b'Q', b'T', b'T', level, ..]) => Err(Refusal::Level(*level)),
        (Some(1), [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', level, ..]) => Err(Refusal::Level(*level)),
        (Some(_) | None, _) => Err(Refusal::NotMqtt),
    }
}

fn connect_v4(mut frame: BytesMut) -> Result<Connect, Fault> {
    let v4::Packet::Connect(connect) = v4::Packet::read(&mut frame, usize::MAX).map_err(malformed)? else {
        return Err(Fault::Protocol("its first packet is not CONNECT"));
    };
    let (user, password) = connect.login.map(|login| (login.username, login.password)).unzip();
    Ok(Connect {
        version: Version::V4,
        client_id: connect.client_id,
        clean: connect.clean_session,
        keep_alive_s: connect.keep_alive,
        will: connect.last_will.map(|will| Will { topic: will.topic, payload: will.message }),
        user,
        password,
        receive_max: u16::MAX,
        packet_max: None,
        other_authentication: false,
    })
}

fn connect_v5(mut frame: BytesMut) -> Result<Connect, Fault> {
    let v5::Packet::Connect(connect, will, login) = v5::Packet::read(&mut frame, None).map_err(malformed)?
    else {
        return Err(Fault::Protocol("its first packet is not CONNECT"));
    };
    let (user, password) = login.map(|login| (login.username, login.password)).unzip();
    let properties = connect.properties.unwrap_or_default();
    if properties.receive_maximum == Some(0) || properties.max_packet_size == Some(0) {
        return Err(Fault::Protocol("its receive maximum or maximum packet size is 0"));
    }
    let will = match will {
        Some(will) => Some(Will { topic: utf8(&will.topic)?.to_owned(), payload: will.message }),
        None => None,
    };
    Ok(Connect {
        version: Version::V5,
        client_id: connect.client_id,
        clean: connect.clean_start,
        keep_alive_s: connect.keep_alive,
        will,
        user,
        password,
        receive_max: properties.receive_maximum.unwrap_or(u16::MAX),
        packet_max: properties.max_packet_size,
        other_authentication: properties.authentication_method.is_some(),
    })
}
