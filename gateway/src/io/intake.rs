//! One MQTT message → what the driver is to commit. Shared by the listener and the client of an outside broker.
//!
//! Pure apart from the decoders it calls. Nothing is lost here without a trace: a topic that nobody reads and everything a decoder rejects
//! becomes a [`DeadLetter`] with the reason.

use super::inlet::Inbound;
use crate::decode::camera::Still;
use crate::decode::privacy::without_people;
use crate::decode::{Family, Message, Reject, Stranger, decode};
use crate::model::DeadLetter;
use crate::waiting::{EXCERPT_BYTES, Sighting};
use crate::world::World;

/// How much of a message is kept in a dead letter; the start of a payload shows what sent it.
pub const KEPT_PAYLOAD_BYTES: usize = 4096;

/// How much of a topic is kept in a dead letter.
pub const KEPT_TOPIC_BYTES: usize = 1024;

/// Decode one message. `source` is `listener` or `broker:<name>`.
///
/// The pictures are kept beside it ([`super::inlet::Inlet::aside`]).
pub fn intake(source: &str, message: &Message<'_>, world: &World) -> (Inbound, Vec<Still>) {
    let Some(family) = world.topics.family(message.topic) else {
        let dead = vec![letter(source, message, nobody_reads(&world.topics.0))];
        return (Inbound { dead, ..Inbound::default() }, Vec::new());
    };
    let decoded = decode(family, message, &world.decoding());
    let dead = decoded.rejects.into_iter().map(|Reject(reason)| letter(source, message, reason)).collect();
    let strangers = sightings(source, message, decoded.strangers);
    let order = decoded.answer.map(|answer| Box::new((answer, message.received)));
    (Inbound { events: decoded.events, dead, strangers, order, ..Inbound::default() }, decoded.stills)
}

/// Strangers as the waiting room knows them, without what their message tells of people.
pub fn sightings(source: &str, message: &Message<'_>, strangers: Vec<Stranger>) -> Vec<Sighting> {
    if strangers.is_empty() {
        return Vec::new();
    }
    let shown = without_people(message.payload);
    let start = &shown[..shown.len().min(EXCERPT_BYTES)];
    let sighting = |stranger| Sighting {
        stranger,
        source: source.to_owned(),
        topic: message.topic[..message.topic.floor_char_boundary(KEPT_TOPIC_BYTES)].to_owned(),
        received: message.received,
        excerpt: String::from_utf8_lossy(start).into_owned(),
    };
    strangers.into_iter().map(sighting).collect()
}

/// A message that could not be used, without what it tells of people.
pub fn letter(source: &str, message: &Message<'_>, reason: String) -> DeadLetter {
    let start = &message.payload[..message.payload.len().min(KEPT_PAYLOAD_BYTES)];
    DeadLetter {
        received: message.received,
        source: source.to_owned(),
        address: message.topic[..message.topic.floor_char_boundary(KEPT_TOPIC_BYTES)].to_owned(),
        reason,
        payload: without_people(start).into_owned(),
    }
}

fn nobody_reads(topics: &[(String, Family)]) -> String {
    if topics.is_empty() {
        return "No decoder reads any topic: give station.toml a [[topic]] with a filter and a decoder."
            .into();
    }
    const SHOWN: usize = 5;
    let mut filters = topics.iter().map(|(filter, _)| format!("`{filter}`"));
    let mut shown = filters.by_ref().take(SHOWN).collect::<Vec<_>>().join(", ");
    if filters.next().is_some() {
        shown.push_str(" …");
    }
    format!(
        "No decoder reads this topic. Send to a topic that matches {shown}, or give station.toml a [[topic]] for it."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    #[test]
    fn a_dead_letter_keeps_the_start_of_a_long_message() {
        let topic = "火".repeat(1000);
        let payload = vec![7; 10_000];
        let message =
            Message { topic: &topic, payload: &payload, retained: false, dup: false, received: Timestamp(5) };
        let letter = letter("listener", &message, "why".into());
        assert_eq!(letter.payload.len(), KEPT_PAYLOAD_BYTES);
        assert_eq!(letter.address.chars().count(), KEPT_TOPIC_BYTES / 3, "cut between two characters");
    }

    #[test]
    fn a_topic_that_nobody_reads_is_told_which_are_read() {
        let one = |filter: &str| (filter.to_owned(), Family::Native);
        assert!(nobody_reads(&[]).contains("any topic"));
        assert!(nobody_reads(&[one("a/#"), one("b/+")]).contains("`a/#`, `b/+`, or"));
        let many: Vec<_> = (0..9).map(|n| one(&format!("t{n}"))).collect();
        let said = nobody_reads(&many);
        assert!(said.contains("`t4` …") && !said.contains("t5"), "{said}");
    }
}
