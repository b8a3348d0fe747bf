//! Brokers outside, by rumqttc: subscribe, hand every message on, acknowledge by hand after the commit.
//!
//! What rumqttc leaves to us and what goes wrong without it: it reconnects but never pauses, and never subscribes again; after a
//! reconnect it still delivers messages that were read from the old connection, whose packet ids mean something else now (so its event
//! buffer is emptied on every error, and each connection has an [`AckLine`] of its own); it writes without a time limit, so a half-open connection is
//! noticed by our own. Publishing is a client of its own ([`publisher`]), because acknowledgements share rumqttc's request queue with publishes.
//!
//! Nothing here knows MQTT versions: [`v4`] and [`v5`] are the two [`Link`]s.

mod pauses;
pub mod publisher;
pub mod sparkplug;
mod v4;
mod v5;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use tokio::select;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::pauses::Pauses;
use super::acks::AckLine;
use super::inlet::{Inbound, Inlet, Safe};
use super::intake::intake;
use super::tls;
use crate::clock;
use crate::config::{self, MqttVersion};
use crate::decode::Message;
use crate::units::Millis;
use crate::world;

/// How many requests may wait for rumqttc to send them: acknowledgements, where they go that way. Above any broker's window.
const REQUESTS_MAX: usize = 70_000;

/// What one connection attempt and its life look like to us, whatever the MQTT version.
trait Link: Send {
    /// What rumqttc needs to acknowledge a message.
    type Ack: Send;

    /// What happened next, in its order; what is on disk is acknowledged meanwhile. An error means that the connection is gone; the next call connects
    /// again, without a pause. Dropped half-way only to give the connection up.
    fn next(
        &mut self,
        acks: &mut AckLine<Self::Ack>,
    ) -> impl Future<Output = Result<Vec<Happening<Self::Ack>>, String>> + Send;

    fn subscribe(&self, filters: &[String]) -> Result<(), String>;

    /// Drop the connection and what was read from it but not yet handed out.
    fn forget(&mut self);
}

enum Happening<A> {
    Connected {
        session_present: bool,
    },
    /// The broker's answer per filter: `None` accepted, else why not.
    Subscribed(Vec<Option<String>>),
    Message {
        topic: String,
        payload: Bytes,
        retained: bool,
        dup: bool,
        /// `None` for QoS 0.
        ack: Option<A>,
    },
    /// The broker ends the connection, and says why.
    Ended(String),
}

/// Why a message that is too large takes the connection with it, and what to do about it.
fn too_large(bytes: usize) -> String {
    format!(
        "it sent {bytes} bytes at once, more than `max_packet_kb` allows: raise that key in station.toml or let the sender send less; \
         with QoS 1 it comes again after every connect, and nothing behind it gets through"
    )
}

/// One broker, for as long as the gateway runs.
pub struct Source {
    name: String,
    client_id: String,
    address: String,
    filters: Vec<String>,
    keep_alive: Duration,
    kind: Kind,
}

enum Kind {
    V4(Box<v4::V4>),
    V5(Box<v5::V5>),
}

/// What both versions need to connect.
struct Options<'a> {
    broker: &'a config::Broker,
    client_id: String,
    login: Option<(String, String)>,
    tls: Option<Arc<rustls::ClientConfig>>,
    keep_alive: Duration,
    max_packet_bytes: u32,
}

impl<'a> Options<'a> {
    /// Reads the secrets and certificates that `broker` names, relative to `folder`.
    fn read(broker: &'a config::Broker, folder: &Path, client_id: String) -> anyhow::Result<Self> {
        let password = match &broker.password {
            Some(secret) => secret
                .read(folder)
                .with_context(|| format!("the password of broker `{}`", broker.name.get_ref()))?,
            None => String::new(),
        };
        Ok(Self {
            broker,
            client_id,
            login: broker.user.clone().map(|user| (user, password)),
            tls: broker.tls.as_ref().map(|tls| tls::client_config(tls, folder)).transpose()?,
            keep_alive: Duration::from_secs(u64::from(*broker.keep_alive_s.get_ref())),
            max_packet_bytes: broker.max_packet_kb.get_ref() * 1024,
        })
    }
}

impl Source {
    /// `folder` is where station.toml stands.
    pub fn new(broker: &config::Broker, folder: &Path) -> anyhow::Result<Self> {
        let options = Options::read(broker, folder, broker.client_id.get_ref().clone())?;
        let filters = broker.subscribe.iter().map(|filter| match &broker.share_group {
            Some(group) => format!("$share/{}/{}", group.get_ref(), filter.get_ref()),
            None => filter.get_ref().clone(),
        });
        Ok(Self {
            name: broker.name.get_ref().clone(),
            client_id: broker.client_id.get_ref().clone(),
            address: format!("{}:{}", broker.host, broker.port.get_ref()),
            filters: filters.collect(),
            keep_alive: options.keep_alive,
            kind: match broker.version {
                MqttVersion::V4 => Kind::V4(Box::new(v4::V4::new(&options))),
                MqttVersion::V5 => Kind::V5(Box::new(v5::V5::new(&options))),
            },
        })
    }

    pub async fn run(
        self,
        world: world::Shared,
        inlet: Inlet,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { name, client_id, address, filters, keep_alive, kind } = self;
        let source = format!("broker:{name}");
        let session = Session { name, client_id, source, address, filters, keep_alive, world, inlet, stop };
        match kind {
            Kind::V4(link) => session.run(*link).await,
            Kind::V5(link) => session.run(*link).await,
        }
        Ok(())
    }
}

struct Session {
    name: String,
    client_id: String,
    /// The name in dead letters.
    source: String,
    address: String,
    filters: Vec<String>,
    keep_alive: Duration,
    world: world::Shared,
    inlet: Inlet,
    stop: CancellationToken,
}

impl Session {
    async fn run<L: Link>(&self, mut link: L) {
        let mut pauses = Pauses::default();
        loop {
            let mut connected = None;
            let fault = match self.connection(&mut link, &mut connected).await {
                Ok(()) => return,
                Err(fault) => fault,
            };
            link.forget();
            let pause = pauses.lost(connected.map(lasted), fastrand::f64());
            if pause.thrown_out {
                tracing::error!(broker = %self.name, client_id = %self.client_id, %fault, "the broker accepts the connection and soon ends it, again and again: another client most likely uses this client id. Give each gateway a `client_id` of its own");
            }
            if connected.is_some() {
                tracing::warn!(broker = %self.name, address = %self.address, %fault, "the connection to the broker is lost; connecting again");
            } else if pause.first {
                tracing::warn!(broker = %self.name, address = %self.address, %fault, "the broker cannot be reached; trying again");
            }
            select! {
                () = self.stop.cancelled() => return,
                () = sleep(pause.wait.as_duration()) => (),
            }
        }
    }

    /// From connecting to the loss of the connection; `Ok` when the gateway stops.
    async fn connection<L: Link>(&self, link: &mut L, connected: &mut Option<Instant>) -> Result<(), String> {
        let mut acks = AckLine::default();
        loop {
            let happenings = select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                happened = timeout(self.keep_alive * 3, link.next(&mut acks)) => happened,
            };
            let received = clock::wall();
            let silent = |_| format!("nothing heard for {:?}", self.keep_alive * 3);
            for happening in happenings.map_err(silent)?? {
                match happening {
                    Happening::Connected { session_present } => {
                        tracing::info!(broker = %self.name, address = %self.address, session_present, "connected to the broker");
                        *connected = Some(clock::ticks());
                        link.subscribe(&self.filters)?;
                    }
                    Happening::Subscribed(answers) => self.report_refused(&answers),
                    Happening::Message { topic, payload, retained, dup, ack } => {
                        let message = Message { topic: &topic, payload: &payload, retained, dup, received };
                        let (inbound, stills) = intake(&self.source, &message, &self.world.load());
                        self.inlet.aside(&topic, &inbound.events, stills);
                        let safe = match ack {
                            Some(ack) => Safe::Ticket(acks.issue(ack)),
                            None => Safe::Nobody,
                        };
                        if self.inlet.send(Inbound { safe, ..inbound }).await.is_err() {
                            return Ok(());
                        }
                    }
                    Happening::Ended(why) => return Err(why),
                }
            }
        }
    }

    fn report_refused(&self, answers: &[Option<String>]) {
        for (filter, answer) in self.filters.iter().zip(answers) {
            if let Some(reason) = answer {
                tracing::error!(broker = %self.name, %filter, %reason, "the broker refuses the subscription: nothing arrives from it; give the user the right to read it");
            }
        }
    }
}

/// How long a connection stood until now.
fn lasted(since: Instant) -> Millis {
    Millis(u64::try_from(clock::ticks().duration_since(since).as_millis()).unwrap_or(u64::MAX))
}
