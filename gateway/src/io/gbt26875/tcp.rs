//! Devices over TCP: what one connection reads, writes and waits for.
//!
//! Whoever connects and says nothing, and the half of a connection whose device lost power, is left after [`Settings::quiet`](super::desk::Settings), so that neither keeps a panel out.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::time::{sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::talk::Talk;
use super::{DEVICES, STOP_WITHIN, WRITE_WITHIN};
use crate::clock;
use crate::io::ports::accept;
use crate::wire::gbt26875::{Piece, Stream};

const READ_BYTES: usize = 8 * 1024;

pub async fn serve(socket: TcpListener, connections_max: usize, desk: &Arc<Desk>, stop: &CancellationToken) {
    let open = metrics::gauge!("gridwarden_gbt26875_connections");
    let begin = |stream: TcpStream, peer: SocketAddr| {
        desk.lets_in(peer.ip()).then(|| converse(stream, peer, Talk::new(desk.clone()), stop.clone()))
    };
    accept(socket, connections_max, open, DEVICES, begin, stop).await;
}

/// Why a connection is over.
enum End {
    Stopping,
    Lost(String),
}

async fn converse(mut socket: TcpStream, peer: SocketAddr, mut talk: Talk, stop: CancellationToken) {
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
    // When a packet came last.
    let mut heard = clock::ticks();
    loop {
        if let Err(error) = write(socket, talk).await {
            return End::Lost(error);
        }
        let (wake, listening) = (talk.wake_at(), talk.may_read());
        if !listening {
            heard = clock::ticks(); // Nobody is silent while we do not listen.
        }
        select! {
            biased;
            () = stop.cancelled() => return End::Stopping,
            () = talk.line.ready() => talk.confirm(),
            () = clock::until(wake) => {
                let silent = talk.repeat();
                let patience = talk.desk.settings.timeout;
                if silent && patience <= clock::ticks().saturating_duration_since(heard) {
                    return End::Lost("it does not answer".into());
                }
            }
            Some(asked) = talk.asked.recv(), if talk.may_ask() => talk.ask(asked),
            read = socket.read(&mut buffer), if listening => {
                match read {
                    Ok(0) => return End::Lost("the device closed it".into()),
                    Ok(bytes) => stream.push(&buffer[..bytes]),
                    Err(error) => return End::Lost(error.to_string()),
                }
                *alive = clock::wall();
                while let Some(piece) = stream.piece() {
                    let is_packet = !matches!(piece, Piece::Noise(_));
                    if let Some(inbound) = talk.hear(piece, peer)
                        && talk.desk.inlet.send(inbound).await.is_err()
                    {
                        return End::Stopping;
                    }
                    if is_packet {
                        heard = clock::ticks(); // After the driver, who may have kept us waiting.
                    }
                }
                if talk.is_noise() {
                    let _ = write(socket, talk).await; // What it is denied for.
                    return End::Lost("what it sends is not this protocol".into());
                }
            }
            // After everything that there may be to read.
            () = sleep_until(heard + talk.desk.settings.quiet), if listening => {
                return End::Lost("it says nothing".into());
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::decode::samples::context_with;
    use crate::io::gbt26875::UNCOMMITTED_MAX;
    use crate::io::gbt26875::desk::Settings;
    use crate::io::inlet;
    use crate::wire::gbt26875::{Address, Command, Frame, Header, Label};
    use crate::world::World;

    const QUIET: Duration = Duration::from_secs(3 * 10 + 4 * 2);

    fn desk(registered: &[&str]) -> (Arc<Desk>, inlet::Outlet) {
        let config = "address = 1\ntimeout_s = 2\npatrol_s = 10\n";
        let config = toml::from_str(config).expect("a configuration");
        let settings = Settings::of(&config).expect("a sound one");
        let context = context_with(registered, Arc::default());
        let world = World {
            registry: context.registry,
            rules: Arc::default(),
            rules_text: "".into(),
            topics: Arc::default(),
            freshness: context.freshness,
            profiles: context.profiles,
        };
        let (inlet, outlet) = inlet::channel();
        let clock = Clock::continue_after(None);
        (Arc::new(Desk::new(settings, world.share(), inlet, clock, Arc::default())), outlet)
    }

    /// Of a device that is registered it is confirmed after the commit, of another denied at once.
    fn packet() -> Vec<u8> {
        let address = |number| Address::new(number).expect("48 bits");
        let sent = Label([0, 0, 0, 1, 1, 26]);
        let header = Header { serial: 1, version: [1, 0], sent, from: address(889), to: address(1) };
        Frame { header, command: Command::Send, unit: Vec::new() }.encode()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_makes_room_for_a_panel() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let ((desk, _outlet), stop) = (desk(&[]), CancellationToken::new());
        let panel = async {
            let mut silent = TcpStream::connect(address).await.expect("the one connection there may be");
            let mut panel = TcpStream::connect(address).await.expect("waits at the door");
            panel.write_all(&packet()).await.expect("sent");
            let began = clock::ticks();
            let mut answer = [0; 30];
            timeout(10 * QUIET, panel.read_exact(&mut answer))
                .await
                .expect("heard in the end")
                .expect("an answer");
            assert!(QUIET <= clock::ticks() - began, "the silent one has its time");
            assert_eq!(silent.read(&mut answer).await.expect("closed in order"), 0);
            // Who speaks now and then stays.
            for _ in 0..5 {
                tokio::time::sleep(QUIET - Duration::from_secs(1)).await;
                panel.write_all(&packet()).await.expect("sent");
                panel.read_exact(&mut answer).await.expect("still there");
            }
            stop.cancel();
        };
        tokio::join!(serve(listener, 1, &desk, &stop), panel);
    }
    /// The disk takes nothing more, so nothing more is read; that is not the panel's silence.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_waits_for_the_disk_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let ((desk, mut outlet), stop) = (desk(&["gbt26875:889"]), CancellationToken::new());
        let panel = async {
            let mut panel = TcpStream::connect(address).await.expect("connected");
            panel.write_all(&packet().repeat(UNCOMMITTED_MAX)).await.expect("sent");
            let mut answer = [0; 30];
            assert!(
                timeout(5 * QUIET, panel.read(&mut answer)).await.is_err(),
                "neither confirmed nor closed"
            );
            let Some(inlet::Inbound { safe: inlet::Safe::Ticket(ticket), .. }) = outlet.routine.recv().await
            else {
                panic!("a packet with a ticket");
            };
            ticket.done();
            timeout(QUIET, panel.read_exact(&mut answer)).await.expect("in time").expect("confirmed");
            stop.cancel();
        };
        tokio::join!(serve(listener, 1, &desk, &stop), panel);
    }
}
