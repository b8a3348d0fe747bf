//! The ports of devices that speak a protocol of their own: one for TCP, one for UDP, and a task for each TCP connection.
//!
//! What is said there is the protocol's (`gbt26875`, `meokon`). Deliberately absent: who may come, which the protocol decides by its networks and its registry.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use metrics::Gauge;
use serde_spanned::Spanned;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::select;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Bound, not yet serving.
pub struct Ports {
    pub tcp: Option<TcpListener>,
    pub udp: Option<UdpSocket>,
}

impl Ports {
    /// `devices` and `table` are for whoever reads the error: who is heard there, and where it stands in station.toml.
    pub async fn bind(
        [tcp, udp]: [&Option<Spanned<String>>; 2],
        devices: &str,
        table: &str,
    ) -> anyhow::Result<Self> {
        let cannot = |bind: &Spanned<String>, key: &str| {
            format!("{devices} cannot be heard on `{}` (`{table}.{key}`)", bind.get_ref())
        };
        let tcp = match tcp {
            Some(bind) => Some(TcpListener::bind(bind.get_ref()).await.with_context(|| cannot(bind, "tcp"))?),
            None => None,
        };
        let udp = match udp {
            Some(bind) => Some(UdpSocket::bind(bind.get_ref()).await.with_context(|| cannot(bind, "udp"))?),
            None => None,
        };
        Ok(Self { tcp, udp })
    }

    /// Of the TCP and the UDP port.
    pub fn local_addrs(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        (
            self.tcp.as_ref().and_then(|socket| socket.local_addr().ok()),
            self.udp.as_ref().and_then(|socket| socket.local_addr().ok()),
        )
    }
}

/// A task for each connection, at most `connections_max`; more wait until one ends. `converse` says nothing for who may not come. Ends when `stop` says so and every task has.
pub async fn accept<Task>(
    socket: TcpListener,
    connections_max: usize,
    open: Gauge,
    devices: &str,
    mut converse: impl FnMut(TcpStream, SocketAddr) -> Option<Task>,
    stop: &CancellationToken,
) where
    Task: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        open.set(tasks.len() as f64);
        select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next() => report(ended, devices),
            accepted = socket.accept(), if tasks.len() < connections_max => match accepted {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true); // Only makes it slower when it fails.
                    if let Some(task) = converse(stream, peer) {
                        tasks.spawn(task);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "{devices} cannot connect; too many open files?");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(socket);
    while let Some(ended) = tasks.join_next().await {
        report(ended, devices);
    }
}

fn report(ended: Result<(), JoinError>, devices: &str) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a bug: a connection panicked, of {devices}");
    }
}
