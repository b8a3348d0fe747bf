//! From the port to a task per client: TLS handshake, greeting, connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout_at;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use super::pipe::Pipe;
use super::{Shared, greeting};
use crate::clock;
use crate::io::tls;

/// How many clients may be between accept and CONNACK. When full, the next ones wait in the kernel's queue.
const GREETING_MAX: usize = 1024;

/// Never returns; dropped at a stop.
pub async fn accept(
    socket: &TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
) {
    let greeting = Arc::new(Semaphore::new(GREETING_MAX));
    let mut failing = false;
    loop {
        let place = greeting.clone().acquire_owned().await.expect("this semaphore is never closed");
        let accepted = loop {
            select! {
                accepted = socket.accept() => break accepted,
                Some(ended) = tasks.join_next() => report(ended),
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let (acceptor, shared) = (acceptor.clone(), shared.clone());
                tasks.spawn(async move {
                    // Boxed, so that the memory of the greeting is free again while the client is connected.
                    let greeted = Box::pin(welcome(stream, peer, acceptor, shared));
                    let connection = greeted.await;
                    drop(place);
                    match connection {
                        Some(Greeted::Plain(connection)) => connection.serve().await,
                        Some(Greeted::Tls(connection)) => connection.serve().await,
                        None => (),
                    }
                });
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "the MQTT listener cannot accept connections; too many open files?");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

enum Greeted {
    Plain(Box<Connection<TcpStream>>),
    Tls(Box<Connection<TlsStream<TcpStream>>>),
}

async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) -> Option<Greeted> {
    let _ = stream.set_nodelay(true); // Only makes it slower when it fails.
    let deadline = clock::ticks() + shared.patience.connect;
    let Some(acceptor) = acceptor else {
        let (pipe, session) = greeting::greet(&shared, Pipe::new(stream), peer.ip(), None, deadline).await?;
        return Some(Greeted::Plain(Connection::new(shared, pipe, session)));
    };
    let stream = match timeout_at(deadline, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        failed @ (Ok(Err(_)) | Err(_)) => {
            metrics::counter!("gridwarden_listener_refused_total", "reason" => "tls").increment(1);
            if shared.first_time("tls", &peer.ip().to_string()) {
                let error = match failed {
                    Ok(Err(error)) => error.to_string(),
                    Ok(Ok(_)) | Err(_) => "no handshake in time".to_owned(),
                };
                tracing::warn!(%peer, error, "a TLS handshake failed; said once per address");
            }
            return None;
        }
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let name = match certificate {
        Some(certificate) => match tls::common_name(certificate) {
            Some(name) => Some(name),
            // A certificate that names nobody must not fall back to a password, nor pass as a user.
            None => {
                metrics::counter!("gridwarden_listener_refused_total", "reason" => "certificate")
                    .increment(1);
                if shared.first_time("certificate", &peer.ip().to_string()) {
                    tracing::warn!(%peer, "a client certificate has not exactly one common name (CN)");
                }
                return None;
            }
        },
        None => None,
    };
    let (pipe, session) = greeting::greet(&shared, Pipe::new(stream), peer.ip(), name, deadline).await?;
    Some(Greeted::Tls(Connection::new(shared, pipe, session)))
}

pub fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a bug: a connection of the MQTT listener panicked");
    }
}
