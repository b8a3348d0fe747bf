//! Devices over TCP: a task for each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::talk::Talk;
use super::{STOP_WITHIN, WRITE_WITHIN};
use crate::clock;
use crate::wire::gbt26875::Stream;

const READ_BYTES: usize = 8 * 1024;

pub async fn serve(socket: TcpListener, connections_max: usize, desk: &Arc<Desk>, stop: &CancellationToken) {
    let mut tasks = JoinSet::new();
    loop {
        metrics::gauge!("gridwarden_gbt26875_connections").set(tasks.len() as f64);
        select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next() => report(ended),
            accepted = socket.accept(), if tasks.len() < connections_max => match accepted {
                Ok((stream, peer)) => {
                    if desk.lets_in(peer.ip()) {
                        tasks.spawn(converse(stream, peer, Talk::new(desk.clone()), stop.clone()));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "transmission devices cannot connect; too many open files?");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(socket);
    while let Some(ended) = tasks.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a bug: the connection of a transmission device panicked");
    }
}

/// Why a connection is over.
enum End {
    Stopping,
    Lost(String),
}

async fn converse(mut socket: TcpStream, peer: SocketAddr, mut talk: Talk, stop: CancellationToken) {
    let _ = socket.set_nodelay(true); // Only makes it slower when it fails.
    let mut alive = clock::wall();
    let end = exchange(&mut socket, peer, &mut talk, &mut alive, &stop).await;
    match end {
        End::Stopping => {
            let by = clock::ticks() + STOP_WITHIN;
            while !talk.line.is_empty() && timeout_at(by, talk.line.ready()).await.is_ok() {
                talk.confirm();
                if write(&mut socket, &mut talk).await.is_err() {
                    break;
                }
            }
        }
        End::Lost(why) => {
            tracing::info!(%peer, why, "the connection of a transmission device ended");
            let _ = talk.desk.inlet.send(talk.end(alive)).await; // The driver may be gone: so are we.
        }
    }
}

async fn exchange(
    socket: &mut TcpStream,
    peer: SocketAddr,
    talk: &mut Talk,
    alive: &mut crate::units::Timestamp,
    stop: &CancellationToken,
) -> End {
    let mut stream = Stream::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        if let Err(error) = write(socket, talk).await {
            return End::Lost(error);
        }
        let wake = talk.wake_at();
        select! {
            biased;
            () = stop.cancelled() => return End::Stopping,
            () = talk.line.ready() => talk.confirm(),
            () = clock::until(wake) => {
                let silent = talk.repeat();
                let patience = talk.desk.settings.timeout;
                if silent && patience <= clock::ticks().saturating_duration_since(talk.heard) {
                    return End::Lost("it does not answer".into());
                }
            }
            Some(asked) = talk.asked.recv(), if talk.may_ask() => talk.ask(asked),
            read = socket.read(&mut buffer), if talk.may_read() => {
                match read {
                    Ok(0) => return End::Lost("the device closed it".into()),
                    Ok(bytes) => stream.push(&buffer[..bytes]),
                    Err(error) => return End::Lost(error.to_string()),
                }
                (talk.heard, *alive) = (clock::ticks(), clock::wall());
                while let Some(piece) = stream.piece() {
                    if let Some(inbound) = talk.hear(piece, peer)
                        && talk.desk.inlet.send(inbound).await.is_err()
                    {
                        return End::Stopping;
                    }
                }
                if talk.is_noise() {
                    let _ = write(socket, talk).await; // What it is denied for.
                    return End::Lost("what it sends is not this protocol".into());
                }
            }
        }
    }
}

async fn write(socket: &mut TcpStream, talk: &mut Talk) -> Result<(), String> {
    let bytes: Vec<u8> = talk.out.drain(..).flat_map(|(_, bytes)| bytes).collect();
    if bytes.is_empty() {
        return Ok(());
    }
    match timeout(WRITE_WITHIN, socket.write_all(&bytes)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("it does not read".into()),
    }
}
