//! Terminals over UDP: all of them on one port. A datagram holds whole frames; what is lost is sent again by who sent it.

use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::select;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::{Desk, STOP_WITHIN, Talk};
use crate::clock;
use crate::wire::meokon::Stream;

/// The longest datagram there is.
const DATAGRAM_BYTES: usize = 65_536;

pub async fn serve(socket: UdpSocket, desk: &Arc<Desk>, stop: &CancellationToken) {
    let mut talk = Talk::new(desk.clone());
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        select! {
            biased;
            () = stop.cancelled() => break,
            () = talk.line.ready() => send(&socket, &mut talk).await,
            received = socket.recv_from(&mut buffer), if talk.may_read() => match received {
                Ok((bytes, peer)) if desk.lets_in(peer.ip()) => {
                    let mut stream = Stream::default();
                    stream.push(&buffer[..bytes]);
                    if !talk.hear_out(&mut stream, peer).await {
                        break;
                    }
                }
                Ok(_) => (),
                // Such as "connection refused", which tells that an earlier datagram of ours found nobody.
                Err(error) => tracing::debug!(%error, "a datagram of a terminal of Meokon cannot be received"),
            },
        }
    }
    let by = clock::ticks() + STOP_WITHIN;
    while !talk.line.is_empty() && timeout_at(by, talk.line.ready()).await.is_ok() {
        send(&socket, &mut talk).await;
    }
}

async fn send(socket: &UdpSocket, talk: &mut Talk) {
    for (peer, bytes) in talk.answers() {
        if let Err(error) = socket.send_to(&bytes, peer).await {
            tracing::debug!(%error, %peer, "a terminal of Meokon cannot be answered");
        }
    }
}
