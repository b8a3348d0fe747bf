//! Devices over UDP: all of them on one port. A datagram holds whole packets; what is lost is sent again by who sent it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::select;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::STOP_WITHIN;
use super::desk::Desk;
use super::talk::Talk;
use crate::clock;
use crate::wire::gbt26875::Stream;

/// The longest datagram there is.
const DATAGRAM_BYTES: usize = 65_536;

pub async fn serve(socket: UdpSocket, desk: &Arc<Desk>, stop: &CancellationToken) {
    let mut talk = Talk::new(desk.clone());
    let mut buffer = vec![0; DATAGRAM_BYTES];
    loop {
        send(&socket, &mut talk).await;
        let wake = talk.wake_at();
        select! {
            biased;
            () = stop.cancelled() => break,
            () = talk.line.ready() => talk.confirm(),
            () = clock::until(wake) => { talk.repeat(); }
            Some(asked) = talk.asked.recv(), if talk.may_ask() => talk.ask(asked),
            received = socket.recv_from(&mut buffer), if talk.may_read() => match received {
                Ok((bytes, peer)) => {
                    if !hear(&mut talk, &buffer[..bytes], peer).await {
                        break;
                    }
                }
                // Such as "connection refused", which tells that an earlier datagram of ours found nobody.
                Err(error) => tracing::debug!(%error, "a datagram of a transmission device cannot be received"),
            },
        }
    }
    let by = clock::ticks() + STOP_WITHIN;
    while !talk.line.is_empty() && timeout_at(by, talk.line.ready()).await.is_ok() {
        talk.confirm();
        send(&socket, &mut talk).await;
    }
}

/// `false`: the driver is gone.
async fn hear(talk: &mut Talk, datagram: &[u8], peer: SocketAddr) -> bool {
    if !talk.desk.lets_in(peer.ip()) {
        return true;
    }
    let mut stream = Stream::default();
    stream.push(datagram);
    while let Some(piece) = stream.piece() {
        if let Some(inbound) = talk.hear(piece, peer)
            && talk.desk.inlet.send(inbound).await.is_err()
        {
            return false;
        }
    }
    true
}

async fn send(socket: &UdpSocket, talk: &mut Talk) {
    for (peer, bytes) in talk.out.drain(..) {
        if let Err(error) = socket.send_to(&bytes, peer).await {
            tracing::debug!(%error, %peer, "a datagram to a transmission device cannot be sent");
        }
    }
}
