//! Terminals over TCP: what one connection reads, writes and waits for.
//!
//! Whoever connects and says nothing, and the half of a connection whose terminal lost power, is left after [`QUIET`], so that neither keeps another one out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::time::{sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{DEVICES, Desk, STOP_WITHIN, Talk};
use crate::clock;
use crate::io::ports::accept;
use crate::wire::meokon::Stream;

const READ_BYTES: usize = 8 * 1024;
/// A terminal that has its answer goes away by itself.
const QUIET: Duration = Duration::from_secs(60);
/// The rest of a frame that is begun comes within this, or not at all. A terminal waits five seconds for its answer, and a whole frame may stand behind.
const UNFINISHED: Duration = Duration::from_secs(2);
/// Patience with a terminal that does not read what is sent to it.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

pub async fn serve(socket: TcpListener, connections_max: usize, desk: &Arc<Desk>, stop: &CancellationToken) {
    let open = metrics::gauge!("gridwarden_meokon_connections");
    let begin = |stream: TcpStream, peer: SocketAddr| {
        desk.lets_in(peer.ip()).then(|| converse(stream, peer, Talk::new(desk.clone()), stop.clone()))
    };
    accept(socket, connections_max, open, DEVICES, begin, stop).await;
}

/// Why nothing more is read.
enum End {
    /// We stop, or it has said everything: what is under way is still answered.
    Heard,
    Lost(String),
}

async fn converse(mut socket: TcpStream, peer: SocketAddr, mut talk: Talk, stop: CancellationToken) {
    match exchange(&mut socket, peer, &mut talk, &stop).await {
        End::Heard => {
            let by = clock::ticks() + STOP_WITHIN;
            while !talk.line.is_empty() && timeout_at(by, talk.line.ready()).await.is_ok() {
                if write(&mut socket, &mut talk).await.is_err() {
                    break;
                }
            }
        }
        End::Lost(why) => tracing::info!(%peer, why, "the connection of a terminal of Meokon ended"),
    }
}

async fn exchange(
    socket: &mut TcpStream,
    peer: SocketAddr,
    talk: &mut Talk,
    stop: &CancellationToken,
) -> End {
    let mut stream = Stream::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut heard = clock::ticks();
    loop {
        let listening = talk.may_read();
        let patience = if stream.is_empty() { QUIET } else { UNFINISHED };
        let driver_there = select! {
            biased;
            () = stop.cancelled() => return End::Heard,
            () = talk.line.ready() => match write(socket, talk).await {
                Ok(()) => true,
                Err(error) => return End::Lost(error),
            },
            read = socket.read(&mut buffer), if listening => match read {
                Ok(0) => {
                    talk.hear_out(&mut stream, peer).await;
                    return End::Heard;
                }
                Ok(bytes) => {
                    stream.push(&buffer[..bytes]);
                    let there = talk.hear(&mut stream, peer).await;
                    heard = clock::ticks(); // After the driver, who may have kept us waiting.
                    there
                }
                Err(error) => return End::Lost(error.to_string()),
            },
            // After everything that there may be to read. Nobody is silent who waits for our disk.
            () = sleep_until(heard + patience), if listening && (!stream.is_empty() || talk.line.is_empty()) => {
                if stream.is_empty() {
                    return End::Lost("it says nothing".into());
                }
                talk.hear_out(&mut stream, peer).await
            }
        };
        if !driver_there {
            return End::Heard;
        }
        if talk.is_noise() {
            return End::Lost("what it sends is not this protocol".into());
        }
    }
}

async fn write(socket: &mut TcpStream, talk: &mut Talk) -> Result<(), String> {
    let bytes: Vec<u8> = talk.answers().into_iter().flat_map(|(_, bytes)| bytes).collect();
    match timeout(WRITE_WITHIN, socket.write_all(&bytes)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("it does not read".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::Clock;
    use crate::decode::samples::context_with;
    use crate::io::inlet::{self, Inbound, Safe};
    use crate::wire::meokon::{Frame, UPLOAD};
    use crate::world::World;

    const ID: &str = "SHMK21060001";
    const ANSWER_BYTES: usize = 27;

    fn desk() -> (Arc<Desk>, inlet::Outlet) {
        let context = context_with(&["meokon:SHMK21060001"], Arc::default());
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
        let desk = Desk { from: Vec::new(), world: world.share(), inlet, clock, said: Mutex::default() };
        (Arc::new(desk), outlet)
    }

    fn upload() -> Vec<u8> {
        let rest = [0x34, 0xc8, 0, 60, 0, 0, 1, 0, 0, 100, 1, 0xf4, 0, 100, 0x6b, 3, 0xac, 0x12];
        Frame { command: UPLOAD, id: ID, rest: &rest }.encode()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_after_the_commit_however_long_that_takes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let ((desk, mut outlet), stop) = (desk(), CancellationToken::new());
        let terminal = async {
            let mut terminal = TcpStream::connect(address).await.expect("connected");
            terminal.write_all(&upload()).await.expect("sent");
            let Some(Inbound { safe: Safe::Ticket(ticket), events, .. }) = outlet.routine.recv().await else {
                panic!("a frame with a ticket");
            };
            assert!(!events.is_empty());
            let mut answer = [0; ANSWER_BYTES];
            let waited = timeout(3 * QUIET, terminal.read(&mut answer)).await;
            assert!(waited.is_err(), "neither answered nor left: {waited:?}");
            ticket.done();
            timeout(QUIET, terminal.read_exact(&mut answer)).await.expect("in time").expect("answered");
            stop.cancel();
        };
        tokio::join!(serve(listener, 1, &desk, &stop), terminal);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_makes_room_for_a_terminal() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let ((desk, mut outlet), stop) = (desk(), CancellationToken::new());
        let terminals = async {
            let mut silent = TcpStream::connect(address).await.expect("the one connection there may be");
            silent.write_all(&[0xa5]).await.expect("half a start");
            let mut terminal = TcpStream::connect(address).await.expect("waits at the door");
            terminal.write_all(&upload()).await.expect("sent");
            let heard = timeout(2 * QUIET, outlet.routine.recv()).await.expect("heard in the end");
            assert!(matches!(heard, Some(Inbound { safe: Safe::Ticket(_), .. })));
            assert_eq!(silent.read(&mut [0; 8]).await.expect("closed in order"), 0);
            stop.cancel();
        };
        tokio::join!(serve(listener, 1, &desk, &stop), terminals);
    }
}
