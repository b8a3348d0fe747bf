//! Sparkplug B (Eclipse Sparkplug 3.0.0) as a host application hears it: births, data and deaths of edge nodes and their devices.
//!
//! Pure: time comes in, and what is to be said to a node goes out as [`Ask`]s. A node is `sparkplug:<group>/<edge node>`, a device `…/<device>` behind it. A metric is ours by the last level
//! of its name (`Hydrant/Pressure` is `pressure`), by our own names and those of [`super::fields`]; its property `engUnit` is converted. Read late or out of its order a value is better
//! than not at all: what is set to fire is taken at once, whatever is missing before it. Deliberately absent: writing to devices, arrays, and the data sets, templates and files of the protocol, which
//! no detector needs.

mod payload;
mod session;

use std::borrow::Cow;
use std::collections::BTreeMap;

use self::payload::{Metric as Said, REBIRTH, Value, read, rebirth_request};
use self::session::{Held, Named, Order, Session};
use super::fields::Fields;
use super::modbus::quantity::conversion;
use super::outcome::Outcome;
use super::scalar::{Scalar, shortened};
use super::stranger::{Announced, word};
use super::{Context, Decoded, Message};
use crate::model::{DeviceIx, DeviceKind, Metric, Quality};
use crate::units::{Millis, Steady, Timestamp};

/// Edge nodes that one host follows.
const NODES_MAX: usize = 500;
/// Between two requests for births: a thousand nodes that are all asked at once would all answer at once.
const ASK_APART: Millis = Millis(50);
/// More reports than this out of one message are not meant.
const TIMES_MAX: usize = 500;
const GOOD: u64 = 192;
const STALE: u64 = 500;

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

/// One message with everything that is known of it.
struct Heard<'a> {
    kind: Kind,
    node: &'a str,
    device: Option<&'a str>,
}

impl Host {
    pub fn new(reorder_timeout: Millis) -> Self {
        Self { nodes: BTreeMap::new(), reorder_timeout, ask_at: Steady(0), asks: Vec::new() }
    }

    /// The connection was lost: whatever was said meanwhile was missed. Every node is asked for its births when it next speaks.
    pub fn forget(&mut self) {
        self.nodes.values_mut().for_each(Session::end);
    }

    pub fn hear(&mut self, message: &Message<'_>, now: Steady, context: &Context) -> Decoded {
        let mut outcome = Outcome::new(message, context);
        let mut levels = message.topic.splitn(5, '/');
        let place = (levels.next(), levels.next(), levels.next(), levels.next(), levels.next());
        let (Some("spBv1.0"), Some(group), Some(kind), Some(edge), device) = place else {
            return outcome.finish(); // STATE, of other hosts.
        };
        let Some(kind) = Kind::from_word(kind) else { return outcome.finish() };
        let of_device = matches!(kind, Kind::DeviceBirth | Kind::DeviceDeath | Kind::DeviceData);
        if of_device != device.is_some() {
            outcome.reject(format!("`{}` has a level too many or too few", shortened(message.topic)));
            return outcome.finish();
        }
        let node = format!("{group}/{edge}");
        if NODES_MAX <= self.nodes.len() && !self.nodes.contains_key(&node) {
            outcome.reject(format!("more than {NODES_MAX} edge nodes speak; this one is not followed"));
            return outcome.finish();
        }
        self.in_order(&Heard { kind, node: &node, device }, message, now, &mut outcome);
        outcome.finish()
    }

    /// What waited too long for a missing message, read as it is.
    pub fn due(&mut self, now: Steady, received: Timestamp, context: &Context) -> Decoded {
        let mut all = Decoded::default();
        let over = |session: &Session| session.give_up_at.is_some_and(|at| at <= now);
        let nodes: Vec<String> =
            self.nodes.iter().filter(|(_, session)| over(session)).map(|(node, _)| node.clone()).collect();
        for node in nodes {
            let Some(session) = self.nodes.get_mut(&node) else { continue };
            for (seq, held) in session.give_up() {
                if let Some(session) = self.nodes.get_mut(&node) {
                    session.passed(Some(u64::from(seq)));
                }
                let topic = format!("sparkplug:{node}");
                let message = Message {
                    topic: &topic,
                    payload: &held.payload,
                    retained: false,
                    dup: false,
                    received: held.received,
                };
                let mut outcome = Outcome::new(&message, context);
                let heard = Heard { kind: held.kind, node: &node, device: held.device.as_deref() };
                self.take(&heard, &message, &mut outcome);
                add(&mut all, outcome.finish());
            }
            self.ask(&node, now, received);
        }
        all
    }

    /// When [`Host::due`] has something.
    pub fn wake_at(&self) -> Option<Steady> {
        self.nodes.values().filter_map(|session| session.give_up_at).min()
    }

    pub fn asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    fn in_order(&mut self, heard: &Heard<'_>, message: &Message<'_>, now: Steady, outcome: &mut Outcome<'_>) {
        let ordered = !matches!(heard.kind, Kind::NodeBirth | Kind::NodeDeath);
        let payload = match read(message.payload) {
            Ok(payload) => payload,
            Err(why) => return outcome.reject(format!("sparkplug:{}: {why}", shortened(heard.node))),
        };
        let session = self.nodes.entry(heard.node.to_owned()).or_default();
        if ordered
            && session.order(payload.seq) == Order::Early
            && let Some(seq) = payload.seq
        {
            let burns = |said: &Said<'_>| {
                let name = said.name.or_else(|| session.named(said.alias?).map(|named| named.name.as_str()));
                let metric = name.and_then(|name| Metric::from_name(&plain(name)));
                metric.is_some_and(|metric| metric.spec().fire)
                    && said
                        .value
                        .and_then(|value| value.number(said.datatype))
                        .is_some_and(|flag| flag != 0.0)
            };
            let fire = payload.metrics.iter().any(burns);
            let held = Held {
                kind: heard.kind,
                device: heard.device.map(str::to_owned),
                // What is read at once only keeps its place.
                payload: if fire { Vec::new() } else { message.payload.to_owned() },
                received: message.received,
            };
            // Without room it is read as it comes.
            if session.hold(seq, held, now + self.reorder_timeout) && !fire {
                return;
            }
        }
        self.take(heard, message, outcome);
        while let Some(held) = self.nodes.get_mut(heard.node).and_then(Session::take_next) {
            let again = Message { payload: &held.payload, received: held.received, ..*message };
            let next = Heard { kind: held.kind, node: heard.node, device: held.device.as_deref() };
            self.take(&next, &again, outcome);
        }
        if heard.kind != Kind::NodeDeath {
            self.ask(heard.node, now, message.received);
        }
    }

    /// Reads one message, whatever its place.
    fn take(&mut self, heard: &Heard<'_>, message: &Message<'_>, outcome: &mut Outcome<'_>) {
        let Ok(payload) = read(message.payload) else { return }; // Refused when it came.
        let session = self.nodes.entry(heard.node.to_owned()).or_default();
        let address = match heard.device {
            Some(device) => format!("sparkplug:{}/{device}", heard.node),
            None => format!("sparkplug:{}", heard.node),
        };
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
                let behind = format!("{address}/");
                let devices = outcome.registry().devices().iter();
                let gone = devices.filter(|device| {
                    !device.retired && (device.address == address || device.address.starts_with(&behind))
                });
                let gone: Vec<DeviceIx> = gone.take(super::REPORTS_MAX).map(|device| device.ix).collect();
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
            if let Some(device) = outcome.find(&address) {
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
        report(session, heard, &address, &payload, outcome);
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

fn add(all: &mut Decoded, more: Decoded) {
    all.events.extend(more.events);
    all.rejects.extend(more.rejects);
    all.strangers.extend(more.strangers);
}

/// The last level of a metric's name as our names are written.
fn plain(name: &str) -> Cow<'_, str> {
    let last = name.rsplit('/').next().unwrap_or(name).trim();
    if last.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return last.into();
    }
    last.to_lowercase().replace([' ', '-'], "_").into()
}

/// What the metrics say of the node or device; kept values at their own time, older ones first.
fn report(
    session: &Session,
    heard: &Heard<'_>,
    address: &str,
    payload: &payload::Payload<'_>,
    outcome: &mut Outcome<'_>,
) {
    let mut times: BTreeMap<(bool, Option<u64>), (Fields, Quality)> = BTreeMap::new();
    let (mut unknown, mut announced) = (0, Announced::default());
    for said in &payload.metrics {
        let known = said.alias.and_then(|alias| session.named(alias));
        let Some(name) = said.name.or(known.map(|known| known.name.as_str())) else {
            unknown += 1;
            continue;
        };
        let datatype = said.datatype.or(known.and_then(|known| known.datatype));
        let value = if said.null { None } else { said.value };
        match name {
            "Properties/Hardware Make" => announced.vendor = word(value.and_then(Value::text)),
            "Properties/Hardware Model" => announced.model = word(value.and_then(Value::text)),
            REBIRTH | "bdSeq" => (),
            _ => {
                let Some(value) = value else { continue };
                // In a birth everything holds now, whenever it became so.
                let at = match (said.historical, heard.kind.is_birth()) {
                    (false, true) => payload.timestamp,
                    (true, _) | (false, false) => said.timestamp.or(payload.timestamp),
                };
                if TIMES_MAX <= times.len() && !times.contains_key(&(!said.historical, at)) {
                    continue;
                }
                let (fields, quality) =
                    times.entry((!said.historical, at)).or_insert_with(|| (Fields::new(), Quality::Good));
                *quality = (*quality).max(match said.quality {
                    None | Some(GOOD) => Quality::Good,
                    Some(STALE) => Quality::Uncertain,
                    Some(_) => Quality::Bad,
                });
                as_ours(&plain(name), value, datatype, said.unit, fields);
            }
        }
    }
    // Sets its births aside; the node is asked for them anyway.
    if 0 < unknown {
        outcome.reject(format!(
            "{}: {unknown} metrics have an alias that no birth explained; the edge node is asked for its births",
            shortened(address)
        ));
    }
    let says_something = times.values().any(|(fields, _)| !fields.values.is_empty());
    let device = match (outcome.find(address), heard.device) {
        (Some(device), _) => Some(device),
        // A node that only carries others need not be registered.
        (None, None) if !says_something => None,
        (None, _) => outcome.device(address),
    };
    let Some(device) = device else { return };
    if announced != Announced::default() || heard.device.is_none() {
        let kind = heard.device.is_none().then_some(DeviceKind::Gateway);
        outcome.introduce(device, Announced { kind, ..announced });
    }
    let mut spoke = false;
    for ((now, at), (mut fields, quality)) in times {
        fields.finish();
        for problem in fields.problems {
            outcome.reject(format!("{}: {problem}", shortened(address)));
        }
        if fields.values.is_empty() {
            continue;
        }
        let said = at.map(|at| Timestamp(i64::try_from(at).unwrap_or(i64::MAX)));
        outcome.report(device, said, quality, fields.values);
        spoke |= now;
    }
    if !spoke {
        outcome.alive(device);
    }
}

/// One metric as one of ours; what is none of ours is normal and ignored.
fn as_ours(name: &str, value: Value<'_>, datatype: Option<u64>, unit: Option<&str>, fields: &mut Fields) {
    if let Value::Other(what) = value {
        if Metric::from_name(name).is_some() {
            fields.problems.push(format!("`{name}` is {what}, which is not read; send a number or a flag"));
        }
        return;
    }
    let Some(metric) = Metric::from_name(name) else {
        let scalar = match value {
            Value::Flag(flag) => Scalar::Flag(flag),
            Value::Text(text) => Scalar::Text(text.into()),
            Value::Whole(_) | Value::Real(_) | Value::Other(_) => {
                value.number(datatype).map_or(Scalar::Null, Scalar::Number)
            }
        };
        return fields.take(&[], name, &scalar);
    };
    let scalar = value.text().map(|text| Scalar::Text(text.into()));
    let number = match (metric.spec().flag, scalar) {
        (true, Some(word)) => word.flag().map(|flag| f64::from(u8::from(flag))),
        (_, _) => value.number(datatype),
    };
    let converted = match unit.filter(|unit| !unit.is_empty() && !metric.spec().flag) {
        None => number,
        Some(unit) => match conversion(unit, metric) {
            Some(conversion) => number.map(|number| conversion.apply(number)),
            None => {
                fields.problems.push(format!(
                    "`{name}` is in `{}`, which cannot be turned into {}",
                    shortened(unit),
                    metric.spec().unit
                ));
                return;
            }
        },
    };
    match converted {
        Some(number) => fields.values.set(metric, number),
        None => fields.problems.push(format!("`{name}` is no number or flag")),
    }
}

#[cfg(test)]
mod tests;
