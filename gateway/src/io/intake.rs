//! One message → what the driver is to commit: [`Lot`] and [`intake`] for MQTT, [`inbound`] for every source that has called its decoder itself.
//!
//! Pure apart from the decoders it calls. Nothing is lost here without a trace: a topic that nobody reads and everything a decoder rejects
//! becomes a [`DeadLetter`] with the reason, and whoever is not registered a [`Sighting`], both without what the message tells of people.

use std::borrow::Cow;
use std::sync::Arc;

use super::inlet::Inbound;
use crate::decode::camera::Still;
use crate::decode::privacy::without_people;
use crate::decode::{Context, Decoded, Family, Message, Reject, Topics, decode};
use crate::model::DeadLetter;
use crate::waiting::{EXCERPT_BYTES, Sighting};
use crate::world::World;

/// How much of a message is kept in a dead letter; the start of a payload shows what sent it.
pub const KEPT_PAYLOAD_BYTES: usize = 4096;

/// How much of a topic is kept in a dead letter.
pub const KEPT_TOPIC_BYTES: usize = 1024;

/// Decode one message. `source` is `listener` or `broker:<name>`.
pub fn intake(source: &str, message: &Message<'_>, world: &World) -> (Inbound, Vec<Still>) {
    Lot::new(source, world, &[]).read(message)
}

/// Messages that were read together, in the world as it was then.
pub struct Lot<'a> {
    source: &'a str,
    topics: Arc<Topics>,
    context: Context,
}

impl<'a> Lot<'a> {
    /// `topics` are theirs, as far as they are known before.
    pub fn new(source: &'a str, world: &World, topics: &[&str]) -> Self {
        let lot = Self { source, topics: world.topics.clone(), context: world.decoding() };
        if 1 < topics.len() {
            lot.look_ahead(topics);
        }
        lot
    }

    /// Their devices are fetched into the caches together; see [`Registry::look_ahead`](crate::grid::Registry::look_ahead).
    fn look_ahead(&self, topics: &[&str]) {
        let address = |topic: &&str| self.topics.family(topic)?.address_in(topic);
        let addresses: Vec<String> = topics.iter().filter_map(address).collect();
        self.context.registry.look_ahead(addresses.iter().map(String::as_str));
    }

    /// Decode one of them.
    ///
    /// The pictures are kept beside it ([`super::inlet::Inlet::aside`]).
    pub fn read(&self, message: &Message<'_>) -> (Inbound, Vec<Still>) {
        let mut decoded = match self.topics.family(message.topic) {
            Some(family) => decode(family, message, &self.context),
            None => refused(nobody_reads(&self.topics.0)),
        };
        let stills = std::mem::take(&mut decoded.stills);
        (inbound(self.source, message, decoded), stills)
    }
}

/// A message of which nothing can be used, for this reason.
pub fn refused(reason: String) -> Decoded {
    Decoded { rejects: vec![Reject(reason)], ..Decoded::default() }
}

/// What a decoder made of a message, as the driver takes it. Pictures are taken out before, by who keeps them.
pub fn inbound(source: &str, message: &Message<'_>, decoded: Decoded) -> Inbound {
    let Decoded { events, rejects, strangers, shown, answer, stills: _ } = decoded;
    let orders = answer.map(|answer| (answer, message.received)).into_iter().collect();
    if rejects.is_empty() && strangers.is_empty() {
        return Inbound { events, orders, ..Inbound::default() };
    }
    let payload = match &shown {
        Some(shown) => Cow::Borrowed(shown.as_slice()),
        None => without_people(message.payload),
    };
    let start = |bytes_max: usize| &payload[..payload.len().min(bytes_max)];
    let topic = &message.topic[..message.topic.floor_char_boundary(KEPT_TOPIC_BYTES)];
    let letter = |Reject(reason)| DeadLetter {
        received: message.received,
        source: source.to_owned(),
        address: topic.to_owned(),
        reason,
        payload: start(KEPT_PAYLOAD_BYTES).to_owned(),
    };
    let sighting = |stranger| Sighting {
        stranger,
        source: source.to_owned(),
        topic: topic.to_owned(),
        received: message.received,
        excerpt: String::from_utf8_lossy(start(EXCERPT_BYTES)).into_owned(),
    };
    Inbound {
        events,
        dead: rejects.into_iter().map(letter).collect(),
        strangers: strangers.into_iter().map(sighting).collect(),
        orders,
        ..Inbound::default()
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
    use crate::decode::Stranger;
    use crate::units::Timestamp;

    /// What a message becomes that is refused twice and comes from a stranger.
    fn taken(topic: &str, payload: &[u8], shown: Option<&[u8]>) -> Inbound {
        let message = Message { topic, payload, retained: false, dup: false, received: Timestamp(5) };
        let decoded = Decoded {
            rejects: vec![Reject("why".into()), Reject("and why else".into())],
            strangers: vec![Stranger::default()],
            shown: shown.map(<[u8]>::to_vec),
            ..Decoded::default()
        };
        inbound("listener", &message, decoded)
    }

    #[test]
    fn the_start_of_a_long_message_is_kept() {
        let found = taken(&"火".repeat(1000), &[7; 10_000], None);
        assert_eq!(found.dead.len(), 2);
        assert_eq!(found.dead[0].payload, [7; KEPT_PAYLOAD_BYTES]);
        assert_eq!(found.dead[1].address.chars().count(), KEPT_TOPIC_BYTES / 3, "cut between two characters");
        assert_eq!(found.strangers[0].excerpt.len(), EXCERPT_BYTES);
    }

    #[test]
    fn what_tells_of_people_is_taken_out_before_the_message_is_cut() {
        let long = format!("{{\"cardno\":\"0012345678\",\"door\":1,\"pad\":\"{}\"}}", "x".repeat(10_000));
        let found = taken("door", long.as_bytes(), None);
        let kept = std::str::from_utf8(&found.dead[0].payload).expect("text");
        assert!(kept.starts_with("{\"door\":1,\"pad\":\"xx") && kept.len() == KEPT_PAYLOAD_BYTES, "{kept}");
        assert!(found.strangers[0].excerpt.starts_with("{\"door\":1,"), "{:?}", found.strangers[0]);
        // A decoder that knows what may be shown has the last word.
        let found = taken("gate", b"a picture", Some(b"what was read"));
        assert_eq!(
            (found.dead[0].payload.as_slice(), found.strangers[0].excerpt.as_str()),
            (&b"what was read"[..], "what was read")
        );
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
