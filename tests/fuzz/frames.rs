//! What an MQTT client sends: packets in any number of pieces, topic names and filters.

use bytes::{Buf, BytesMut};
use gateway::config::check::filters::{covers, invalid, meet};
use gateway::decode::{Family, Topics, filter_matches};
use gateway::io::listener::packet::{Packet, Version, connect, frame_length, next};

const BYTES_MAX: usize = 64 * 1024;

/// First byte: how many bytes come at once, 0 for all. Then the stream, read as a first packet and as either version.
pub fn frames(data: &[u8]) {
    let Some((&piece, stream)) = data.split_first() else { return };
    if let Ok(Some(length)) = frame_length(stream, BYTES_MAX) {
        assert!(2 <= length && length <= stream.len());
        let _ = connect(BytesMut::from(&stream[..length]));
    }
    for version in [Version::V4, Version::V5] {
        let whole = packets(stream, version, stream.len());
        let pieces = packets(stream, version, if piece == 0 { 1 } else { usize::from(piece) });
        assert_eq!(whole, pieces, "packets must not depend on how the bytes come");
    }
}

/// The packets, and how the stream ended.
fn packets(mut stream: &[u8], version: Version, piece: usize) -> (Vec<String>, String) {
    let mut buffer = BytesMut::new();
    let mut found = Vec::new();
    loop {
        match next(&buffer, version, BYTES_MAX) {
            Ok(Some((packet, length))) => {
                check(&packet);
                found.push(format!("{packet:?}"));
                buffer.advance(length);
            }
            Ok(None) if stream.is_empty() => return (found, "ended".into()),
            Ok(None) => {
                let some = piece.clamp(1, stream.len());
                buffer.extend_from_slice(&stream[..some]);
                stream.advance(some);
            }
            Err(fault) => return (found, fault.to_string()),
        }
    }
}

fn check(packet: &Packet<'_>) {
    match packet {
        Packet::Publish(publish) => {
            assert!(!publish.topic.is_empty() && !publish.topic.contains(['+', '#', '\0']), "{publish:?}");
        }
        Packet::Subscribe { wishes, .. } => assert!(!wishes.is_empty()),
        Packet::Unsubscribe { filters, .. } => assert!(!filters.is_empty()),
        Packet::PubAck(_) | Packet::PubRel(_) | Packet::Ping | Packet::Disconnect { .. } => (),
    }
}

/// Two filters and a topic, a line each.
pub fn topics(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let (one, other) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let topic = lines.next().unwrap_or_default();
    if invalid(one).is_some()
        || invalid(other).is_some()
        || topic.is_empty()
        || topic.contains(['+', '#', '\0'])
    {
        return;
    }
    for filter in [one, other] {
        let levels: Vec<_> = filter.split('/').collect();
        let names: Vec<_> = topic.split('/').collect();
        let hidden = topic.starts_with('$') && filter.starts_with(['+', '#']);
        assert_eq!(
            filter_matches(filter, topic),
            !hidden && by_the_book(&levels, &names),
            "{filter:?} {topic:?}"
        );
    }
    let (first, second) = (filter_matches(one, topic), filter_matches(other, topic));
    assert!(!(first && second) || meet(one, other), "{one:?} and {other:?} meet at {topic:?}");
    assert!(!(covers(one, other) && second) || first, "{one:?} covers {other:?}, but not {topic:?}");
    let table = Topics(vec![(one.into(), Family::Native), (other.into(), Family::Frigate)]);
    let family = if first { Some(Family::Native) } else { second.then_some(Family::Frigate) };
    assert_eq!(table.family(topic), family);
}

/// MQTT 3.1.1 §4.7 once more, level by level.
fn by_the_book(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) => true,
        ([], []) => true,
        ([wanted, filter @ ..], [given, topic @ ..]) => {
            (*wanted == "+" || wanted == given) && by_the_book(filter, topic)
        }
        ([_, ..], []) | ([], [_, ..]) => false,
    }
}
