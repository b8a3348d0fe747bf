//! What a server must refuse, and that no bytes can hurt it.

use bytes::{Buf, BufMut, Bytes};
use proptest::prelude::*;
use rumqttc::mqttbytes::v4 as codec4;

use super::*;

const MAX: usize = 256 * 1024;

fn one(version: Version, bytes: &[u8]) -> Result<Option<Packet<'_>>, Fault> {
    let read = next(bytes, version, MAX)?;
    assert!(read.as_ref().is_none_or(|(_, length)| *length == bytes.len()), "all of it is taken");
    Ok(read.map(|(packet, _)| packet))
}

/// A frame around a body.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128);
    [&[first, body.len() as u8], body].concat()
}

#[test]
fn a_frame_is_cut_where_its_length_says() {
    for (bytes, cut) in [
        (&[][..], Ok(None)),
        (&[0x30], Ok(None)),
        (&[0x30, 0x80], Ok(None)),
        (&[0x30, 0x02, 0], Ok(None)),
        (&[0x30, 0x02, 0, 0, 9], Ok(Some(4))),
        (&[0xC0, 0x00], Ok(Some(2))),
        (&[0x30, 0x80, 0x01], Ok(None)),
    ] {
        assert_eq!(frame_length(bytes, MAX), cut, "{bytes:?}");
    }
    assert!(matches!(frame_length(&[0x30, 0x80, 0x80, 0x80, 0x80], MAX), Err(Fault::Malformed(_))));
    let too_large = frame_length(&[0x30, 0xFF, 0xFF, 0x7F], MAX);
    assert_eq!(too_large, Err(Fault::TooLarge { size: 2_097_155, max: MAX }), "before the body is there");
}

#[test]
fn refuses_what_the_codec_takes() {
    use Version::{V4, V5};
    let utf8 = |bytes: &[u8]| [&[0, bytes.len() as u8], bytes].concat();
    for (version, first, body, what) in [
        (V4, 0x30, utf8(b""), "an empty topic"),
        (V4, 0x30, utf8(b"a/+"), "a wildcard in a topic"),
        (V4, 0x30, utf8(b"a/#"), "a wildcard in a topic"),
        (V4, 0x30, utf8(b"a\0b"), "NUL in a topic"),
        (V4, 0x30, utf8(&[0xFF]), "a topic that is not UTF-8"),
        (V5, 0x30, [utf8(&[0xFF]), vec![0]].concat(), "a v5 topic that is not UTF-8"),
        (V5, 0x30, [utf8(b"t"), vec![3, 35, 0, 1]].concat(), "a topic alias"),
        (V5, 0x30, [utf8(b"t"), vec![0x80]].concat(), "a cut-off property length"),
        (V4, 0x32, [utf8(b"t"), vec![0, 0]].concat(), "packet id 0"),
        (V4, 0x36, [utf8(b"t"), vec![0, 1]].concat(), "QoS 3"),
        (V4, 0x38, utf8(b"t"), "DUP on QoS 0"),
        (V4, 0x60, vec![0, 1], "PUBREL without its flag"),
        (V4, 0x62, vec![0, 0], "PUBREL with packet id 0"),
        (V4, 0x80, [vec![0, 1], utf8(b"t"), vec![0]].concat(), "SUBSCRIBE without its flag"),
        (V4, 0x82, [vec![0, 0], utf8(b"t"), vec![0]].concat(), "SUBSCRIBE with packet id 0"),
        (V4, 0x82, vec![0, 1], "SUBSCRIBE without filters"),
        (V4, 0xA2, vec![0, 1], "UNSUBSCRIBE without filters"),
        (V4, 0xC0, vec![1], "PINGREQ with a body"),
        (V4, 0x20, vec![0, 0], "CONNACK from a client"),
        (V4, 0x50, vec![0, 1], "PUBREC for nothing"),
        (V5, 0xF0, vec![0, 0], "AUTH"),
        (V4, 0x00, vec![0, 0], "packet type 0"),
    ] {
        let bytes = frame(first, &body);
        assert!(one(version, &bytes).is_err(), "{what}: {bytes:?}");
    }
}

#[test]
fn packets_are_cut_out_together_up_to_one_that_is_wrong() {
    let publish = frame(0x30, b"\x00\x01ahello");
    let (ping, wrong, unfinished) = (vec![0xC0, 0], vec![0xC0, 1, 0], vec![0xC0]);
    for (pieces, packets) in [
        (&[][..], Ok(0)),
        (&[&unfinished], Ok(0)),
        (&[&publish, &ping, &publish, &unfinished], Ok(3)),
        (&[&publish, &ping, &publish, &ping, &publish], Ok(4)),
        (&[&ping, &publish, &wrong, &ping], Ok(2)),
        (&[&wrong, &publish], Err(())),
    ] {
        let bytes: Vec<u8> = pieces.iter().copied().flatten().copied().collect();
        let found = together(&bytes, Version::V4, 1_000, 4);
        assert_eq!(found.as_ref().map(Vec::len).map_err(|_| ()), packets, "{bytes:?}");
        let lengths = found.iter().flatten().map(|(_, length)| *length);
        assert!(lengths.eq(pieces.iter().map(|piece| piece.len()).take(packets.unwrap_or(0))), "{bytes:?}");
    }
}

#[test]
fn the_short_disconnect_of_v5_is_a_normal_one() {
    for (bytes, with_will) in [
        (&[0xE0, 0][..], false),
        (&[0xE0, 1, 0], false),
        (&[0xE0, 1, 4], true),
        (&[0xE0, 2, 0, 0], false),
        (&[0xE0, 2, 0x81, 0], true),
    ] {
        assert_eq!(one(Version::V5, bytes), Ok(Some(Packet::Disconnect { with_will })), "{bytes:?}");
    }
    assert_eq!(one(Version::V4, &[0xE0, 0]), Ok(Some(Packet::Disconnect { with_will: false })));
}

#[test]
fn the_protocol_level_decides_the_version() {
    let connect = |name: &[u8], level: u8, flags: u8| {
        let mut body = vec![0, name.len() as u8];
        body.extend(name);
        body.extend([level, flags, 0, 30]);
        if level == 5 {
            body.push(0);
        }
        body.extend([0, 1, b'c']);
        super::connect(BytesMut::from(&frame(0x10, &body)[..]))
    };
    assert_eq!(connect(b"MQTT", 4, 2).unwrap().version, Version::V4);
    assert_eq!(connect(b"MQTT", 5, 2).unwrap().version, Version::V5);
    assert_eq!(connect(b"MQTT", 6, 2), Err(Refusal::Level(6)));
    assert_eq!(connect(b"MQIsdp", 3, 2), Err(Refusal::Level(3)));
    assert_eq!(connect(b"HTTP", 4, 2), Err(Refusal::NotMqtt));
    assert!(matches!(connect(b"MQTT", 4, 3), Err(Refusal::Fault(_))), "reserved flag");
    assert!(matches!(connect(b"MQTT", 4, 0x40), Err(Refusal::Fault(_))), "password without user");
    assert_eq!(super::connect(BytesMut::from(&b"\xC0\x00"[..])), Err(Refusal::NotMqtt));
}

#[test]
fn a_will_is_checked_like_a_publish() {
    let mut connect = codec4::Connect::new("c");
    connect.last_will = Some(codec4::LastWill::new("a/+", "x", QoS::AtLeastOnce, false));
    let mut out = BytesMut::new();
    connect.write(&mut out).unwrap();
    assert_eq!(super::connect(out), Err(Refusal::Fault(Fault::Topic("a/+".into()))));
}

/// Plausible packets with a few bytes changed: they get further into the codec than random bytes.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<Vec<u8>> = vec![
        frame(0x34, b"\x00\x03a/b\x00\x07hello"),
        frame(0x32, b"\x00\x03a/b\x00\x07\x09\x23\x00\x01\x26\x00\x01k\x00\x01vhello"),
        frame(0x82, b"\x00\x01\x02\x0b\x01\x00\x03a/#\x01\x00\x01b\x2e"),
        frame(0xA2, b"\x00\x01\x00\x00\x03a/#"),
        frame(0x40, b"\x00\x01\x00\x00"),
        frame(0x62, b"\x00\x01\x00\x00"),
        frame(0xE0, b"\x04\x05\x11\x00\x00\x00\x01"),
        frame(0x10, b"\x00\x04MQTT\x05\xee\x00\x1e\x03\x21\x00\x09\x00\x01c\x05\x18\x00\x00\x00\x05\x00\x01t\x00\x01w\x00\x01u\x00\x01p"),
        frame(0x10, b"\x00\x04MQTT\x04\xc6\x00\x1e\x00\x01c\x00\x01t\x00\x01w\x00\x01u\x00\x01p"),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(samples), changes, any::<Vec<u8>>()).prop_map(|(mut bytes, changes, tail)| {
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.extend(tail);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever comes: no panic, no packet from a topic that is none, and every packet makes the buffer shorter, so reading ends.
    #[test]
    fn reading_never_panics_and_always_ends(bytes in prop_oneof![any::<Vec<u8>>(), nearly_right()], five: bool) {
        let version = if five { Version::V5 } else { Version::V4 };
        let mut rest = &bytes[..];
        while let Ok(Some((packet, length))) = next(rest, version, MAX) {
            prop_assert!(0 < length);
            if let Packet::Publish(publish) = packet {
                prop_assert!(is_topic(publish.topic));
                prop_assert_eq!(publish.id == 0, publish.qos == QoS::AtMostOnce);
            }
            rest = &rest[length..];
        }
        if let Ok(Some(length)) = frame_length(&bytes, MAX) {
            let _ = super::connect(BytesMut::from(&bytes[..length]));
        }
        let _ = super::connect(BytesMut::from(&bytes[..]));
    }

    /// The codec reads the same in every PUBLISH that is right.
    #[test]
    fn a_publish_is_read_as_the_codec_reads_it(bytes in nearly_right(), five: bool) {
        let version = if five { Version::V5 } else { Version::V4 };
        let Ok(Some((Packet::Publish(ours), length))) = next(&bytes, version, MAX) else { return Ok(()) };
        let mut frame = BytesMut::from(&bytes[..length]);
        let theirs = match version {
            Version::V4 => match v4::Packet::read(&mut frame, MAX) {
                Ok(v4::Packet::Publish(theirs)) => (theirs.topic.into_bytes(), theirs.payload, theirs.pkid, theirs.dup),
                other => panic!("{ours:?} is {other:?}"),
            },
            Version::V5 => match v5::Packet::read(&mut frame, None) {
                Ok(v5::Packet::Publish(theirs)) => (theirs.topic.to_vec(), theirs.payload, theirs.pkid, theirs.dup),
                other => panic!("{ours:?} is {other:?}"),
            },
        };
        let ours = (ours.topic.as_bytes().to_vec(), Bytes::copy_from_slice(ours.payload), ours.id, ours.dup);
        prop_assert_eq!(ours, theirs);
    }

    /// Cutting the stream anywhere changes nothing.
    #[test]
    fn pieces_read_like_the_whole(payloads in prop::collection::vec(any::<Vec<u8>>(), 1..8), cut: prop::sample::Index) {
        let mut stream = BytesMut::new();
        for payload in &payloads {
            codec4::Publish::new("t", QoS::AtMostOnce, payload.clone()).write(&mut stream).unwrap();
        }
        let second = stream.split_off(cut.index(stream.len()));
        let mut read = Vec::new();
        let mut buffer = BytesMut::new();
        for part in [stream, second] {
            buffer.put(part);
            while let Some((Packet::Publish(publish), length)) = next(&buffer, Version::V4, MAX).unwrap() {
                read.push(publish.payload.to_vec());
                buffer.advance(length);
            }
        }
        prop_assert_eq!(read, payloads);
    }
}
