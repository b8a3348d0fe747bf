//! Wireless terminals of Meokon over TCP and UDP. Over MQTT they come like any other device; `decode/meokon.rs` reads both.
//!
//! A terminal mostly sleeps: it connects, sends what it has measured, and waits five seconds for an answer. It gets one after the commit, and none when the frame is damaged or nobody has
//! registered it: then it keeps its records and sends them again, so that nothing is forgotten that we did not store. Who may come is a matter of networks and of the registry: the
//! protocol itself proves nothing.
//!
//! Bytes move in [`tcp`] and [`udp`]; what becomes of a frame is [`Talk`]'s, for both. Deliberately absent: setting a terminal's limits, of which no description was at hand.

mod tcp;
mod udp;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::acks::AckLine;
use super::inlet::{Inbound, Inlet, Safe};
use super::intake::inbound;
use super::ports::Ports;
use crate::clock::Clock;
use crate::config;
use crate::config::network::{Network, lets_in};
use crate::decode::{Family, Message, decode};
use crate::wire::meokon::{Frame, Piece, Stream, UPLOAD, answer};
use crate::world;

/// The name in dead letters.
const SOURCE: &str = "meokon";
/// In errors and in the log.
const DEVICES: &str = "terminals of Meokon";
/// Frames of one connection, or of the UDP port, that may wait for their commit.
const UNCOMMITTED_MAX: usize = 1_000;
/// So many bytes without a frame between are no terminal's.
const NOISE_BYTES_MAX: usize = 32 * 1024;
/// At a stop, or when a terminal has said everything, for commits that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How many strangers are remembered, to log each once.
const SAID_MAX: usize = 1_000;

/// Bound to its ports, not yet serving.
pub struct Server {
    ports: Ports,
    from: Vec<Network>,
    connections_max: usize,
}

impl Server {
    pub async fn bind(config: &config::meokon::Meokon) -> anyhow::Result<Self> {
        let ports = Ports::bind([&config.tcp, &config.udp], DEVICES, "meokon").await?;
        let network = |text: &serde_spanned::Spanned<String>| {
            text.get_ref().parse::<Network>().map_err(anyhow::Error::msg)
        };
        Ok(Self {
            ports,
            from: config.from.iter().map(network).collect::<Result<_, _>>()?,
            connections_max: *config.max_connections.get_ref() as usize,
        })
    }

    /// Of the TCP and the UDP port.
    pub fn local_addrs(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        self.ports.local_addrs()
    }

    /// Serves until `stop`, then lets commits that are under way be answered.
    pub async fn run(
        self,
        world: world::Shared,
        inlet: Inlet,
        clock: Clock,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { ports: Ports { tcp, udp }, from, connections_max } = self;
        let desk = Arc::new(Desk { from, world, inlet, clock, said: Mutex::default() });
        let over_tcp = async {
            if let Some(socket) = tcp {
                tcp::serve(socket, connections_max, &desk, &stop).await;
            }
        };
        let over_udp = async {
            if let Some(socket) = udp {
                udp::serve(socket, &desk, &stop).await;
            }
        };
        tokio::join!(over_tcp, over_udp);
        Ok(())
    }
}

/// What all connections share.
struct Desk {
    from: Vec<Network>,
    world: world::Shared,
    inlet: Inlet,
    clock: Clock,
    said: Mutex<BTreeSet<IpAddr>>,
}

impl Desk {
    /// Whether this machine may connect at all.
    fn lets_in(&self, peer: IpAddr) -> bool {
        let inside = lets_in(&self.from, peer);
        if !inside {
            metrics::counter!("gridwarden_meokon_refused_total").increment(1);
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < SAID_MAX && said.insert(peer) {
                tracing::warn!(%peer, "is in none of the networks of `meokon.from` and is not listened to; said once");
            }
        }
        inside
    }
}

/// Whom to answer.
struct Answer {
    id: String,
    peer: SocketAddr,
}

/// What is said on one connection, or with all terminals of the UDP port. Nothing here moves bytes.
struct Talk {
    desk: Arc<Desk>,
    line: AckLine<Answer>,
    /// Since the last frame.
    noise_bytes: usize,
}

impl Talk {
    fn new(desk: Arc<Desk>) -> Self {
        Self { desk, line: AckLine::default(), noise_bytes: 0 }
    }

    fn may_read(&self) -> bool {
        self.line.len() < UNCOMMITTED_MAX
    }

    /// Whether what comes is not the protocol at all.
    fn is_noise(&self) -> bool {
        NOISE_BYTES_MAX < self.noise_bytes
    }

    /// Everything that is whole in the stream goes to the driver. `false`: the driver is gone.
    async fn hear(&mut self, stream: &mut Stream, peer: SocketAddr) -> bool {
        while let Some(piece) = stream.piece() {
            if !self.take(piece, peer).await {
                return false;
            }
        }
        true
    }

    /// The same when no more is to come for what is begun.
    async fn hear_out(&mut self, stream: &mut Stream, peer: SocketAddr) -> bool {
        loop {
            if !self.hear(stream, peer).await {
                return false;
            }
            let Some(piece) = stream.give_up() else { return true };
            self.take(piece, peer).await;
        }
    }

    async fn take(&mut self, piece: Piece, peer: SocketAddr) -> bool {
        match piece {
            Piece::Frame(bytes) => {
                self.noise_bytes = 0;
                let inbound = self.frame(&bytes, peer);
                self.desk.inlet.send(inbound).await.is_ok()
            }
            Piece::Noise(bytes) => {
                self.noise_bytes += bytes.len();
                metrics::counter!("gridwarden_meokon_noise_bytes_total").increment(bytes.len() as u64);
                true
            }
        }
    }

    fn frame(&mut self, bytes: &[u8], peer: SocketAddr) -> Inbound {
        metrics::counter!("gridwarden_meokon_frames_total").increment(1);
        let frame = Frame::read(bytes).ok();
        let address = frame.map(|frame| format!("meokon:{}", frame.id));
        let topic = address.clone().unwrap_or_else(|| peer.to_string());
        let received = self.desk.clock.now().wall;
        let message = Message { topic: &topic, payload: bytes, retained: false, dup: false, received };
        let world = self.desk.world.load();
        let inbound = inbound(SOURCE, &message, decode(Family::Meokon, &message, &world.decoding()));
        let registered = address.is_some_and(|address| world.registry.device_by_address(&address).is_some());
        match frame.filter(|frame| registered && frame.command == UPLOAD) {
            Some(frame) => {
                let ticket = self.line.issue(Answer { id: frame.id.to_owned(), peer });
                Inbound { safe: Safe::Ticket(ticket), ..inbound }
            }
            None => {
                metrics::counter!("gridwarden_meokon_unanswered_total").increment(1);
                inbound
            }
        }
    }

    /// Answers to what is on disk now.
    fn answers(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let now = self.desk.clock.now().wall;
        let ready = self.line.take_ready().into_iter();
        ready.map(|Answer { id, peer }| (peer, answer(&id, now))).collect()
    }
}
