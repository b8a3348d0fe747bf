//! What all connections share: who may come, what a frame becomes, what was answered before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::duplicates::Duplicates;
use super::routes::Routes;
use super::vouch::Vouching;
use crate::clock::{self, Clock};
use crate::config;
use crate::config::network::{Network, lets_in};
use crate::decode::gbt26875::{Dialect, Station, Told, compile, decode};
use crate::decode::{Decoded, Message, Reject};
use crate::io::inlet::{Inbound, Inlet};
use crate::io::intake::{self, inbound};
use crate::model::{DeviceIx, Event, Freshness, Metric, Quality, Report, Value};
use crate::units::Timestamp;
use crate::wire::gbt26875::{Address, Command, Content, Frame, Label};
use crate::world;

/// The name in dead letters.
const SOURCE: &str = "gbt26875";
/// How many different complaints are remembered, to log each once.
const SAID_MAX: usize = 1_000;

pub struct Settings {
    pub own: Address,
    pub timeout: Duration,
    /// A connection on which no packet came for so long is left.
    pub quiet: Duration,
    from: Vec<Network>,
    devices: BTreeMap<Address, Particular>,
    standard: Dialect,
}

/// What there is to say of one device.
struct Particular {
    from: Option<Network>,
    dialect: Option<Dialect>,
}

pub struct Desk {
    pub settings: Settings,
    pub inlet: Inlet,
    pub clock: Clock,
    pub routes: Arc<Routes>,
    world: world::Shared,
    duplicates: Mutex<Duplicates>,
    vouching: Mutex<Vouching>,
    said: Mutex<BTreeSet<String>>,
}

/// What a frame becomes.
pub struct Taken {
    pub inbound: Inbound,
    /// What is said back after the commit.
    pub answer: Option<Command>,
    pub content: Option<Content>,
    /// From a device that is registered and may come from there.
    pub known: bool,
}

impl Settings {
    /// `gridwarden check` shows the mistakes with their places.
    pub fn of(config: &config::gbt26875::Gbt26875) -> anyhow::Result<Self> {
        let network = |text: &str| text.parse::<Network>().map_err(anyhow::Error::msg);
        let address = |number| {
            Address::new(number)
                .ok_or_else(|| anyhow::anyhow!("`{number}` needs more than the 48 bits of an address"))
        };
        let mut dialects = BTreeMap::new();
        for dialect in &config.dialects {
            let name = dialect.name.get_ref().as_str();
            let compiled = compile(dialect).map_err(|problems| {
                let texts: Vec<_> = problems.into_iter().map(|(_, text)| text).collect();
                anyhow::anyhow!("the dialect `{name}`: {}", texts.join("; "))
            })?;
            dialects.insert(name, compiled);
        }
        let mut devices = BTreeMap::new();
        for device in &config.devices {
            let from = device.from.as_ref().map(|text| network(text.get_ref())).transpose()?;
            let dialect =
                device.dialect.as_ref().and_then(|name| dialects.get(name.get_ref().as_str())).cloned();
            devices.insert(address(*device.address.get_ref())?, Particular { from, dialect });
        }
        let timeout = Duration::from_secs(u64::from(*config.timeout_s.get_ref()));
        let patrol = Duration::from_secs(u64::from(*config.patrol_s.get_ref()));
        Ok(Self {
            own: address(*config.address.get_ref())?,
            timeout,
            // A device that is registered is asked long before; twice over, and the tries of a question.
            quiet: 3 * patrol + 4 * timeout,
            from: config.from.iter().map(|text| network(text.get_ref())).collect::<Result<_, _>>()?,
            devices,
            standard: Dialect::default(),
        })
    }

    fn dialect(&self, device: Address) -> &Dialect {
        self.devices.get(&device).and_then(|particular| particular.dialect.as_ref()).unwrap_or(&self.standard)
    }

    fn may_be(&self, device: Address, peer: IpAddr) -> bool {
        let pinned = self.devices.get(&device).and_then(|particular| particular.from);
        pinned.is_none_or(|network| network.contains(peer))
    }
}

impl Desk {
    pub fn new(
        settings: Settings,
        world: world::Shared,
        inlet: Inlet,
        clock: Clock,
        routes: Arc<Routes>,
    ) -> Self {
        Self {
            settings,
            inlet,
            clock,
            routes,
            world,
            duplicates: Mutex::default(),
            vouching: Mutex::default(),
            said: Mutex::default(),
        }
    }

    /// Whether this machine may connect at all.
    pub fn lets_in(&self, peer: IpAddr) -> bool {
        let inside = lets_in(&self.settings.from, peer);
        if !inside {
            metrics::counter!("gridwarden_gbt26875_refused_total").increment(1);
            self.say_once(format!(
                "{peer} is in none of the networks of `gbt26875.from` and is not listened to"
            ));
        }
        inside
    }

    pub fn take(&self, frame: &Frame, bytes: &[u8], peer: SocketAddr, received: Timestamp) -> Taken {
        metrics::counter!("gridwarden_gbt26875_frames_total").increment(1);
        let from = frame.header.from;
        let topic = Station::Device(from).to_string();
        let message = Message { topic: &topic, payload: bytes, retained: false, dup: false, received };
        let world = self.world.load();
        let wants_answer = answered_by_us(frame.command);
        let refused = |decoded: Decoded| Taken {
            inbound: inbound(SOURCE, &message, decoded),
            answer: wants_answer.then_some(Command::Deny),
            content: None,
            known: false,
        };
        let Some(device) = world.registry.device_by_address(&topic) else {
            let told = decode(frame, None, self.settings.dialect(from), &message, &world.decoding());
            let strangers = told.decoded.strangers;
            let reason = format!(
                "no device with the address `{topic}` is registered; place it from the waiting room, or add a row with it to the devices file and run `gridwarden import devices FILE`"
            );
            return refused(Decoded { strangers, ..intake::refused(reason) });
        };
        if !self.settings.may_be(from, peer.ip()) {
            return refused(intake::refused(format!(
                "{peer} says it is the transmission device {from}, which comes from elsewhere (`from` of its [[gbt26875.device]])"
            )));
        }
        let (dialect, context, now) = (self.settings.dialect(from), world.decoding(), clock::ticks());
        let alive = || {
            decode(&Frame { unit: Vec::new(), ..frame.clone() }, Some(device), dialect, &message, &context)
        };
        if frame.command == Command::Send
            && let Some(answer) = self.duplicates().answered(frame, now)
        {
            metrics::counter!("gridwarden_gbt26875_duplicates_total").increment(1);
            let inbound = Inbound { events: alive().decoded.events, ..Inbound::default() };
            return Taken { inbound, answer: Some(answer), content: None, known: true };
        }
        let mut answer = None;
        let Told { decoded, content, fault } = match frame.command {
            Command::Send | Command::Answer => decode(frame, Some(device), dialect, &message, &context),
            Command::Confirm | Command::Deny => alive(),
            Command::Control | Command::Request | Command::User(_) => {
                answer = Some(Command::Deny);
                let mut told = alive();
                told.decoded.rejects.push(Reject(format!(
                    "transmission device {from} sends {:?}, which is for a centre to send; a device sends data, confirmations and answers",
                    frame.command
                )));
                told
            }
        };
        if frame.command == Command::Send {
            let said = if fault.is_some() { Command::Deny } else { Command::Confirm };
            answer = Some(said);
            self.duplicates().remember(frame, said, now);
        }
        let mut inbound = inbound(SOURCE, &message, decoded);
        // Not in the way of a fire.
        if !inbound.is_urgent() {
            let mut vouching = self.vouching.lock().unwrap_or_else(PoisonError::into_inner);
            inbound.events.extend(vouching.due(from, &world.registry, now, received));
        }
        Taken { inbound, answer, content, known: true }
    }

    /// Bytes that fail a check.
    pub fn faulty(&self, from: Address, bytes: &[u8], reason: String, received: Timestamp) -> Inbound {
        let topic = Station::Device(from).to_string();
        let message = Message { topic: &topic, payload: bytes, retained: false, dup: false, received };
        inbound(SOURCE, &message, intake::refused(reason))
    }

    /// The operator of the device is being asked to show that he is there.
    pub fn roll_call_begins(&self, device: Address, received: Timestamp) -> Option<Event> {
        let device = self.device(device)?;
        let value = Value { metric: Metric::ROLL_CALL, value: 1.0, quality: Quality::Good };
        Some(Event::Report(Report {
            device,
            received,
            device_time: None,
            freshness: Freshness::Live,
            values: vec![value],
        }))
    }

    pub fn device(&self, device: Address) -> Option<DeviceIx> {
        self.world.load().registry.device_by_address(&Station::Device(device).to_string())
    }

    /// As the device counts places.
    pub fn in_its_dialect(&self, device: Address, mut content: Content) -> Content {
        let dialect = self.settings.dialect(device);
        if let Content::ReadComponentState(list)
        | Content::ReadAnalog(list)
        | Content::ReadComponentText(list) = &mut content
        {
            list.iter_mut().for_each(|place| *place = dialect.place(*place));
        }
        content
    }

    /// What the device's clock should show now.
    pub fn shown(&self, device: Address) -> Label {
        let world = self.world.load();
        let zone = self.settings.dialect(device).clock.as_ref().unwrap_or(&world.registry.rows().zone);
        Label::of(zone.shown(clock::wall()))
    }

    fn duplicates(&self) -> std::sync::MutexGuard<'_, Duplicates> {
        self.duplicates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn say_once(&self, sentence: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < SAID_MAX && !said.contains(&sentence) {
            tracing::warn!("transmission devices: {sentence}; said once");
            said.insert(sentence);
        }
    }
}

fn answered_by_us(command: Command) -> bool {
    match command {
        Command::Send | Command::Control | Command::Request | Command::User(_) => true,
        Command::Confirm | Command::Answer | Command::Deny => false,
    }
}
