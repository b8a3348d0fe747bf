//! The newest message of each of the gateway's own topics, for whoever subscribes later.
//!
//! In memory only: the gateway publishes its state again after a start. Never holds what devices publish.

use std::collections::BTreeMap;
use std::sync::Arc;

use rumqttc::mqttbytes::QoS;

use super::hub::Publication;
use crate::decode::filter_matches;

/// How many topics are kept. When full, a message for a new topic is delivered but not kept.
pub const TOPICS_MAX: usize = 10_000;

/// How many bytes of topics and payloads are kept; the same answer when full.
pub const BYTES_MAX: usize = 32 << 20;

#[derive(Default)]
pub struct Retained {
    kept: BTreeMap<String, (Arc<Publication>, QoS)>,
    bytes: usize,
}

impl Retained {
    /// Keeps a message in place of the last of its topic; an empty payload forgets the topic. `false` when there is no room.
    pub fn keep(&mut self, publication: &Arc<Publication>, qos: QoS) -> bool {
        if let Some((old, _)) = self.kept.remove(&publication.topic) {
            self.bytes -= size(&old);
        }
        if publication.payload.is_empty() {
            return true;
        }
        if self.kept.len() >= TOPICS_MAX || self.bytes + size(publication) > BYTES_MAX {
            return false;
        }
        self.bytes += size(publication);
        self.kept.insert(publication.topic.clone(), (publication.clone(), qos));
        true
    }

    pub fn matching(&self, filter: &str) -> impl Iterator<Item = &(Arc<Publication>, QoS)> {
        self.kept.iter().filter(move |(topic, _)| filter_matches(filter, topic)).map(|(_, kept)| kept)
    }
}

fn size(publication: &Publication) -> usize {
    publication.topic.len() + publication.payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(topic: &str, payload: Vec<u8>) -> Arc<Publication> {
        Arc::new(Publication { topic: topic.into(), payload: payload.into() })
    }

    #[test]
    fn keeps_the_newest_and_forgets_on_an_empty_payload() {
        let mut retained = Retained::default();
        let payloads = |retained: &Retained| -> Vec<Vec<u8>> {
            retained.matching("a/+").map(|(kept, _)| kept.payload.to_vec()).collect()
        };
        for payload in [vec![1], vec![2]] {
            assert!(retained.keep(&publication("a/b", payload), QoS::AtLeastOnce));
        }
        assert_eq!(payloads(&retained), [vec![2]]);
        assert!(retained.keep(&publication("a/b", vec![]), QoS::AtLeastOnce));
        assert_eq!(payloads(&retained), Vec::<Vec<u8>>::new());
        assert_eq!(retained.bytes, 0);
    }

    #[test]
    fn stays_within_its_limits() {
        let mut retained = Retained::default();
        for n in 0..TOPICS_MAX {
            assert!(retained.keep(&publication(&format!("t/{n}"), vec![1]), QoS::AtMostOnce));
        }
        assert!(!retained.keep(&publication("one/more", vec![1]), QoS::AtMostOnce));
        assert!(retained.keep(&publication("t/0", vec![2]), QoS::AtMostOnce), "a known topic is replaced");
        assert!(!retained.keep(&publication("t/0", vec![0; BYTES_MAX]), QoS::AtMostOnce));
        assert!(retained.bytes <= BYTES_MAX);
    }
}
