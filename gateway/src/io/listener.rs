//! The MQTT ingest listener: a small MQTT server of our own that acknowledges after the commit.
//!
//! MQTT 3.1.1 and 5 on one port, QoS 0, 1 and 2, last will, keep-alive, take-over, users with topic filters, TLS. It is no broker: messages go
//! from devices to the gateway, and from the gateway to whoever subscribes ([`ListenerHandle::publish`]); never from device to device,
//! and no session outlives its connection. docs/listener.md says what a client can rely on.
//!
//! A connection is `pipe` (bytes) → `packet` (what the client says) → `connection` (what is done about it) → `answer` (what is said back).
//! Every limit is a constant beside what it limits, or a key of `[listener]` in station.toml.

mod accept;
mod access;
mod answer;
mod connection;
mod greeting;
mod hub;
mod outbound;
pub mod pace;
pub mod packet;
mod pipe;
mod retained;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
pub use rumqttc::mqttbytes::QoS;
use tokio::net::TcpListener;
use tokio::select;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use self::accept::{accept, report};
use self::access::Access;
use self::hub::{Hub, Publication};
use super::inlet::{Inbound, Inlet};
use super::intake::Lot;
use super::tls;
use crate::config;
use crate::decode::Message;
use crate::world;

/// How many messages of one connection may wait for their commit; announced to v5 clients as the receive maximum.
pub const UNCOMMITTED_MAX: usize = 1000;

/// How many different complaints are remembered, to say each only once. When full nothing new is said; the counters go on.
const SAID_MAX: usize = 1000;

/// The largest message the gateway may publish to subscribers.
const PUBLICATION_BYTES_MAX: usize = 1 << 20;

/// How long the listener waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From accept to a whole CONNECT, with the TLS handshake.
    pub connect: Duration,
    /// For a client that does not read what is sent to it.
    pub write: Duration,
    /// At a stop, for commits that are under way and their acknowledgements.
    pub stop: Duration,
    /// Before a refusal is said, so that guessing passwords is slow.
    pub denial: Duration,
    /// For a client to read why it is let go.
    pub last_words: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            write: Duration::from_secs(30),
            stop: Duration::from_secs(5),
            denial: Duration::from_millis(500),
            last_words: Duration::from_secs(1),
        }
    }
}

/// How messages are read that came together; it is told their topics before.
pub type Intake = Arc<dyn Fn(&[&str]) -> OneByOne + Send + Sync>;

/// What each of them becomes.
pub type OneByOne = Box<dyn Fn(&Message<'_>) -> Inbound>;

/// Bound to its port, not yet serving.
pub struct Listener {
    socket: TcpListener,
    acceptor: Option<TlsAcceptor>,
    access: Access,
    hub: Arc<Hub>,
    packet_max: usize,
    messages_per_s_max: u32,
    idle_s_max: u32,
    patience: Patience,
}

/// Speaks to the connected clients. Cheap to clone; works before and after [`Listener::run`].
#[derive(Clone)]
pub struct ListenerHandle(Arc<Hub>);

#[derive(Debug, thiserror::Error)]
pub enum CannotPublish {
    #[error("`{0}` is no topic name: it must not be empty or hold `+`, `#` or NUL")]
    Topic(String),
    #[error("the message has {0} bytes; the limit is {PUBLICATION_BYTES_MAX}")]
    TooLarge(usize),
}

/// What all connections share.
struct Shared {
    access: Access,
    hub: Arc<Hub>,
    intake: Intake,
    inlet: Inlet,
    packet_max: usize,
    messages_per_s_max: u32,
    idle_s_max: u32,
    patience: Patience,
    said: Mutex<BTreeSet<(&'static str, String)>>,
}

impl Listener {
    /// Reads certificates and passwords and takes the port. `folder` is where station.toml stands.
    pub async fn bind(config: &config::Listener, folder: &Path) -> anyhow::Result<Self> {
        let acceptor = match &config.tls {
            Some(files) => Some(TlsAcceptor::from(tls::server_config(files, folder)?)),
            None => None,
        };
        let access = Access::from_config(config, folder)?;
        let bind = config.bind.get_ref();
        let socket = TcpListener::bind(bind)
            .await
            .with_context(|| format!("the MQTT listener cannot listen on `{bind}` (`listener.bind`)"))?;
        Ok(Self {
            socket,
            acceptor,
            access,
            hub: Arc::new(Hub::new(*config.max_connections.get_ref() as usize)),
            packet_max: (*config.max_packet_kb.get_ref() as usize).max(1) * 1024,
            messages_per_s_max: *config.messages_per_s_max.get_ref(),
            idle_s_max: *config.idle_s_max.get_ref(),
            patience: Patience::default(),
        })
    }

    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    pub fn local_addr(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr().context("the MQTT listener's own address")
    }

    pub fn handle(&self) -> ListenerHandle {
        ListenerHandle(self.hub.clone())
    }

    /// Serves until `stop`, then lets commits that are under way be acknowledged.
    pub async fn run(
        self,
        world: world::Shared,
        inlet: Inlet,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let aside = Arc::new(inlet.clone());
        let decode = move |topics: &[&str]| -> OneByOne {
            let (lot, aside) = (Lot::new("listener", &world.load(), topics), aside.clone());
            Box::new(move |message| {
                let (inbound, stills) = lot.read(message);
                aside.aside(message.topic, &inbound.events, stills);
                inbound
            })
        };
        self.run_with(Arc::new(decode), inlet, stop).await
    }

    /// As [`Listener::run`], with another way to read messages.
    pub async fn run_with(self, intake: Intake, inlet: Inlet, stop: CancellationToken) -> anyhow::Result<()> {
        let address = self.local_addr()?;
        let Self { socket, acceptor, access, hub, packet_max, messages_per_s_max, idle_s_max, patience } =
            self;
        let shared = Arc::new(Shared {
            access,
            hub: hub.clone(),
            intake,
            inlet,
            packet_max,
            messages_per_s_max,
            idle_s_max,
            patience,
            said: Mutex::default(),
        });
        tracing::info!(%address, tls = acceptor.is_some(), "the MQTT listener is open");
        let mut tasks = JoinSet::new();
        select! {
            biased;
            () = stop.cancelled() => (),
            () = accept(&socket, acceptor, &shared, &mut tasks) => (),
        }
        drop(socket);
        hub.stop();
        // Connections that wait for CONNECT are dropped at the end; they hold nothing.
        let drained = timeout(patience.stop + patience.last_words, async {
            while hub.seats() > 0
                && let Some(ended) = tasks.join_next().await
            {
                report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                clients = hub.seats(),
                "the MQTT listener stops with messages not yet acknowledged"
            );
        }
        tasks.shutdown().await;
        tracing::info!(%address, "the MQTT listener is closed");
        Ok(())
    }
}

impl ListenerHandle {
    /// Queues a message for every connected client that subscribed to its topic, and says for how many. Queued is not read: a client
    /// that is too slow loses QoS 0 messages and is cut off at QoS 1. With `retain` the message is kept for later subscribers,
    /// and with an empty payload forgotten. QoS 2 is sent as QoS 1.
    pub fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        qos: QoS,
        retain: bool,
    ) -> Result<usize, CannotPublish> {
        let payload = payload.into();
        if !packet::is_topic(topic) {
            return Err(CannotPublish::Topic(topic.to_owned()));
        }
        if payload.len() > PUBLICATION_BYTES_MAX {
            return Err(CannotPublish::TooLarge(payload.len()));
        }
        Ok(self.0.publish(Publication { topic: topic.to_owned(), payload }, qos, retain))
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.0.seats()
    }
}

impl Shared {
    /// Whether this was not said before, so that a client that fails every second does not fill the log.
    fn first_time(&self, what: &'static str, whom: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.len() < SAID_MAX && said.insert((what, whom.to_owned()))
    }
}
