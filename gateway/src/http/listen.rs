//! The listener: a limit on open connections, and an end for those on which nothing moves.
//!
//! When the limit is reached new connections wait in the system's backlog. An event stream moves at least every 15 seconds (its keep-alive
//! comment), so an idle limit above that never cuts a living one.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::request::Parts;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

pub const CONNECTIONS_MAX: usize = 1024;
/// A connection on which no byte moved for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);

pub struct Guarded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Guarded {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for Guarded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = self.places.clone().acquire_owned().await.expect("nobody closes this semaphore");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        metrics::counter!("gridwarden_http_connections_total").increment(1);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused"); // Slower, but it works.
        }
        (Connection { stream, idle: Box::pin(sleep(IDLE_MAX)), _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

pub struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn moved(&mut self) {
        self.idle.as_mut().reset(Instant::now() + IDLE_MAX);
    }

    /// While waiting for the peer: pending, or an error when it took too long.
    fn still_waiting<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.idle.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no byte moved for a minute")))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, Guarded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Where a request comes from. Of a proxy on this very machine the last address that it wrote into `X-Forwarded-For` counts; from elsewhere the header is only a claim.
pub struct From(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(Peer(peer))| peer.ip());
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let forwarded =
            forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        Ok(Self(match peer {
            Some(peer) if peer.is_loopback() => forwarded.or(Some(peer)),
            peer => peer,
        }))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending => self.still_waiting(cx),
            done @ Poll::Ready(_) => {
                self.moved();
                done
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Pending => self.still_waiting(cx),
            done @ Poll::Ready(_) => {
                self.moved();
                done
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// In virtual time: the minute of silence takes none.
    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_moves_is_ended_and_one_that_moves_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut guarded = Guarded::new(listener);
        let mut client = TcpStream::connect(address).await.expect("connected");
        let (mut connection, _) = guarded.accept().await;
        let begun = Instant::now();
        for byte in 0..5 {
            tokio::time::sleep(IDLE_MAX / 2).await;
            client.write_all(&[byte]).await.expect("written");
            assert_eq!(connection.read_u8().await.expect("still open"), byte);
        }
        assert!(IDLE_MAX * 2 < begun.elapsed());
        let error = connection.read_u8().await.expect_err("silence");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_closed_connection_gives_its_place_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut guarded = Guarded { listener, places: Arc::new(Semaphore::new(1)) };
        let _first = TcpStream::connect(address).await.expect("connected");
        let _second = TcpStream::connect(address).await.expect("in the backlog");
        let (connection, _) = guarded.accept().await;
        assert!(futures::poll!(std::pin::pin!(guarded.accept())).is_pending(), "all places are taken");
        drop(connection);
        guarded.accept().await;
    }
}
