//! The centre of GB/T 26875.3: where user information transmission devices report, over TCP and UDP.
//!
//! What a device sends is confirmed after the commit; what fails a check is denied at once. A frame that comes again because its confirmation got lost is confirmed again and
//! taken once. We ask on our own for the state of a device that is silent, and set its clock; people ask through [`Handle`]. Who may come is a matter of
//! networks and of the registry: the protocol itself proves nothing, so docs/gbt26875.md wants a VPN.
//!
//! Bytes move in [`tcp`] and [`udp`]; what is said is [`talk`]'s, for both.

mod desk;
mod duplicates;
mod exchange;
mod patrol;
mod question;
mod routes;
mod talk;
mod tcp;
mod udp;
mod vouch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::desk::{Desk, Settings};
use self::exchange::Asked;
use self::routes::Routes;
use super::inlet::Inlet;
use super::ports::Ports;
use crate::clock::Clock;
use crate::config;
use crate::wire::gbt26875::{Address, Content};
use crate::world;

pub use self::exchange::{Answer, NotAnswered};
pub use self::question::question;

/// In errors and in the log.
const DEVICES: &str = "transmission devices";
/// Frames of one connection, or of the UDP port, that may wait for their commit.
const UNCOMMITTED_MAX: usize = 1_000;
/// Questions that may wait on one connection.
const QUESTIONS_MAX: usize = 64;
/// At a stop, for commits that are under way.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Patience with a device that does not read what is sent to it.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// Bound to its ports, not yet serving.
pub struct Server {
    ports: Ports,
    settings: Settings,
    connections_max: usize,
    patrol: patrol::Times,
    routes: Arc<Routes>,
}

/// Asks devices that are connected. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Routes>);

impl Server {
    pub async fn bind(config: &config::gbt26875::Gbt26875) -> anyhow::Result<Self> {
        let ports = Ports::bind([&config.tcp, &config.udp], DEVICES, "gbt26875").await?;
        Ok(Self {
            ports,
            settings: Settings::of(config)?,
            connections_max: *config.max_connections.get_ref() as usize,
            patrol: patrol::Times::of(config),
            routes: Arc::default(),
        })
    }

    /// Of the TCP and the UDP port.
    pub fn local_addrs(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        self.ports.local_addrs()
    }

    pub fn handle(&self) -> Handle {
        Handle(self.routes.clone())
    }

    /// Serves until `stop`, then lets commits that are under way be confirmed.
    pub async fn run(
        self,
        world: world::Shared,
        inlet: Inlet,
        clock: Clock,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let Self { ports: Ports { tcp, udp }, settings, connections_max, patrol, routes } = self;
        let desk = Arc::new(Desk::new(settings, world, inlet, clock, routes));
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
        tokio::join!(over_tcp, over_udp, patrol.run(&desk, &stop));
        Ok(())
    }
}

impl Handle {
    /// Waits for the device's answer, through all tries.
    pub async fn ask(&self, device: Address, content: Content) -> Result<Answer, NotAnswered> {
        let (to, peer) = self.0.to(device).ok_or(NotAnswered::NotConnected)?;
        ask(&to, peer, device, content).await
    }
}

async fn ask(
    to: &mpsc::Sender<Asked>,
    peer: SocketAddr,
    device: Address,
    content: Content,
) -> Result<Answer, NotAnswered> {
    let (asker, answered) = oneshot::channel();
    to.try_send(Asked { device, peer, content, asker }).map_err(|_| NotAnswered::Busy)?;
    answered.await.unwrap_or(Err(NotAnswered::Gone))
}
