//! Sparkplug B (Eclipse Sparkplug 3.0.0) as a host application hears it: births, data and deaths of edge nodes and their devices.
//!
//! Pure: time comes in, and what is to be said to a node goes out as [`Ask`]s. A node is `sparkplug:<group>/<edge node>`, a device `…/<device>` behind it. Here is the order of messages; what a metric
//! means is [`meaning`]'s. Read late or out of its order a value is better than not at all: what is set to fire is taken at once, whatever is missing before it. A message that waited is
//! told as it came, with its own bytes and time. Deliberately absent: writing to devices, arrays, and the data sets, templates and files of the protocol, which no detector needs.

mod meaning;
mod payload;
mod session;

use std::collections::BTreeMap;

use self::meaning::{burns, report};
use self::payload::{Payload, read, rebirth_request};
use self::session::{Held, Named, Order, Session};
use super::outcome::Outcome;
use super::scalar::shortened;
use super::{Context, Decoded, Message};
use crate::model::DeviceIx;
use crate::units::{Millis, Steady, Timestamp};

/// Edge nodes that one host follows.
const NODES_MAX: usize = 500;
/// Between two requests for births: a thousand nodes that are all asked at once would all answer at once.
const ASK_APART: Millis = Millis(50);

/// What a message is, by its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NodeBirth,
    NodeDeath,
    DeviceBirth,
    DeviceDeath,
    NodeData,
    DeviceData,
}

impl Kind {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "NBIRTH" => Some(Self::NodeBirth),
            "NDEATH" => Some(Self::NodeDeath),
            "DBIRTH" => Some(Self::DeviceBirth),
            "DDEATH" => Some(Self::DeviceDeath),
            "NDATA" => Some(Self::NodeData),
            "DDATA" => Some(Self::DeviceData),
            _ => None,
        }
    }

    fn is_of_device(self) -> bool {
        matches!(self, Self::DeviceBirth | Self::DeviceDeath | Self::DeviceData)
    }

    fn is_birth(self) -> bool {
        matches!(self, Self::NodeBirth | Self::DeviceBirth)
    }
}

/// To be published with QoS 0, not retained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// Everything a host knows of its edge nodes.
#[derive(Debug)]
pub struct Host {
    /// By `<group>/<edge node>`.
    nodes: BTreeMap<String, Session>,
    /// How long a missing message is waited for.
    reorder_timeout: Millis,
    ask_at: Steady,
    asks: Vec<Ask>,
}

/// What becomes of each message that is read, in their order.
pub type Told<'t> = dyn FnMut(&Message<'_>, Decoded) + 't;

/// What a message is, by its topic.
struct Heard<'a> {
    kind: Kind,
    /// `<group>/<edge node>`
    node: String,
    device: Option<&'a str>,
}

impl<'a> Heard<'a> {
    /// `None`: nothing that a host reads, such as the STATE of another.
    fn of(topic: &'a str) -> Option<Self> {
        let mut levels = topic.splitn(5, '/');
        let place = (levels.next()?, levels.next()?, levels.next()?, levels.next()?, levels.next());
        let ("spBv1.0", group, kind, edge, device) = place else { return None };
        Some(Self { kind: Kind::from_word(kind)?, node: format!("{group}/{edge}"), device })
    }

    fn address(&self) -> String {
        match self.device {
            Some(device) => format!("sparkplug:{}/{device}", self.node),
            None => format!("sparkplug:{}", self.node),
        }
    }
}

impl Host {
    pub fn new(reorder_timeout: Millis) -> Self {
        Self { nodes: BTreeMap::new(), reorder_timeout, ask_at: Steady(0), asks: Vec::new() }
    }

    /// The connection was lost: whatever was said meanwhile was missed. Every node is asked for its births when it next speaks.
    pub fn forget(&mut self) {
        self.nodes.values_mut().for_each(Session::end);
    }

    pub fn hear(&mut self, message: &Message<'_>, now: Steady, context: &Context, told: &mut Told<'_>) {
        let Some(heard) = Heard::of(message.topic) else { return };
        let mut outcome = Outcome::new(message, context);
        let payload = match self.readable(&heard, message) {
            Ok(payload) => payload,
            Err(why) => {
                outcome.reject(why);
                return told(message, outcome.finish());
            }
        };
        if self.waits(&heard, message, &payload, now) {
            return;
        }
        self.take(&heard, &payload, &mut outcome);
        told(message, outcome.finish());
        while let Some(held) = self.nodes.get_mut(&heard.node).and_then(Session::take_next) {
            self.take_held(&held, context, told);
        }
        if heard.kind != Kind::NodeDeath {
            self.ask(&heard.node, now, message.received);
        }
    }

    /// What waited too long for a missing message, read as it is.
    pub fn due(&mut self, now: Steady, wall: Timestamp, context: &Context, told: &mut Told<'_>) {
        let over = |session: &Session| session.give_up_at.is_some_and(|at| at <= now);
        let nodes: Vec<String> =
            self.nodes.iter().filter(|(_, session)| over(session)).map(|(node, _)| node.clone()).collect();
        for node in nodes {
            let Some(session) = self.nodes.get_mut(&node) else { continue };
            for (seq, held) in session.give_up() {
                if let Some(session) = self.nodes.get_mut(&node) {
                    session.passed(Some(u64::from(seq)));
                }
                self.take_held(&held, context, told);
            }
            self.ask(&node, now, wall);
        }
    }

    /// When [`Host::due`] has something.
    pub fn wake_at(&self) -> Option<Steady> {
        self.nodes.values().filter_map(|session| session.give_up_at).min()
    }

    pub fn asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// A sentence says why it cannot be used at all.
    fn readable<'a>(&self, heard: &Heard<'_>, message: &Message<'a>) -> Result<Payload<'a>, String> {
        if heard.kind.is_of_device() != heard.device.is_some() {
            return Err(format!("`{}` has a level too many or too few", shortened(message.topic)));
        }
        if NODES_MAX <= self.nodes.len() && !self.nodes.contains_key(&heard.node) {
            return Err(format!("more than {NODES_MAX} edge nodes speak; this one is not followed"));
        }
        read(message.payload).map_err(|why| format!("sparkplug:{}: {why}", shortened(&heard.node)))
    }

    /// Whether it is held until an earlier one comes. Without room it is read as it comes, and fire always is: only its place is held.
    fn waits(
        &mut self,
        heard: &Heard<'_>,
        message: &Message<'_>,
        payload: &Payload<'_>,
        now: Steady,
    ) -> bool {
        let session = self.nodes.entry(heard.node.clone()).or_default();
        let ordered = !matches!(heard.kind, Kind::NodeBirth | Kind::NodeDeath);
        let Some(seq) = payload.seq.filter(|seq| ordered && session.order(Some(*seq)) == Order::Early) else {
            return false;
        };
        let fire = payload.metrics.iter().any(|said| burns(said, session));
        let held = Held {
            topic: message.topic.to_owned(),
            payload: if fire { Vec::new() } else { message.payload.to_owned() },
            received: message.received,
        };
        session.hold(seq, held, now + self.reorder_timeout) && !fire
    }

    /// Reads what was held as what it is: a message of its own, received when it came.
    fn take_held(&mut self, held: &Held, context: &Context, told: &mut Told<'_>) {
        let Held { topic, payload, received } = held;
        let message = Message { topic, payload, retained: false, dup: false, received: *received };
        // Both were looked at when it came.
        let (Some(heard), Ok(payload)) = (Heard::of(topic), read(payload)) else { return };
        let mut outcome = Outcome::new(&message, context);
        self.take(&heard, &payload, &mut outcome);
        told(&message, outcome.finish());
    }

    /// Takes in one message, whatever its place.
    fn take(&mut self, heard: &Heard<'_>, payload: &Payload<'_>, outcome: &mut Outcome<'_>) {
        let session = self.nodes.entry(heard.node.clone()).or_default();
        let bd_seq = || {
            let metric = payload.metrics.iter().find(|metric| metric.name == Some("bdSeq"))?;
            metric.value?.number(metric.datatype).map(|number| number as u64)
        };
        match heard.kind {
            Kind::NodeDeath => {
                // A last will of a connection before this one says nothing of the node as it is now.
                if session.bd_seq.is_some() && bd_seq().is_some() && session.bd_seq != bd_seq() {
                    return;
                }
                session.end();
                let gone = outcome.registry().at_or_behind(&heard.address());
                let gone: Vec<DeviceIx> = gone.take(super::REPORTS_MAX).collect();
                return gone.into_iter().for_each(|device| outcome.gone(device));
            }
            Kind::NodeBirth => session.begin(bd_seq(), payload.seq),
            Kind::DeviceBirth | Kind::DeviceDeath | Kind::NodeData | Kind::DeviceData => {
                if session.order(payload.seq) == Order::Next {
                    session.passed(payload.seq);
                }
            }
        }
        if heard.kind == Kind::DeviceDeath {
            if let Some(device) = outcome.find(&heard.address()) {
                outcome.gone(device);
            }
            return;
        }
        if heard.kind.is_birth() {
            for metric in &payload.metrics {
                if let (Some(alias), Some(name)) = (metric.alias, metric.name) {
                    session.name(alias, Named { name: name.to_owned(), datatype: metric.datatype });
                }
            }
        }
        report(session, heard, payload, outcome);
    }

    fn ask(&mut self, node: &str, now: Steady, received: Timestamp) {
        let Some(session) = self.nodes.get_mut(node) else { return };
        let Some((group, edge)) = node.split_once('/') else { return };
        if now < self.ask_at || !session.asks(now) {
            return;
        }
        self.ask_at = now + ASK_APART;
        let payload = rebirth_request(received.0.unsigned_abs());
        self.asks.push(Ask { topic: format!("spBv1.0/{group}/NCMD/{edge}"), payload });
    }
}

#[cfg(test)]
mod tests;
