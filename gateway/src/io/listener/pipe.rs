//! A socket with its two buffers, which cost nothing while it is idle.
//!
//! Bytes are read into one block per thread and only then copied to the connection, so that 20,000 quiet devices hold no read
//! buffers. Writing and reading happen in one poll: all answers of a batch leave in one system call.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at once.
const BLOCK_BYTES: usize = 64 * 1024;

thread_local! {
    static BLOCK: RefCell<Vec<u8>> = RefCell::new(vec![0; BLOCK_BYTES]);
}

pub struct Pipe<S> {
    stream: S,
    /// Read but not yet taken.
    pub read: BytesMut,
    /// To be written.
    pub out: BytesMut,
    unflushed: bool,
}

/// What one [`Pipe::turn`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    pub wrote: bool,
    pub read: bool,
    /// The other side closed its half.
    pub ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, read: BytesMut::new(), out: BytesMut::new(), unflushed: false }
    }

    pub fn has_output(&self) -> bool {
        !self.out.is_empty() || self.unflushed
    }

    /// Writes what waits, and reads once if `want_read`; returns when something moved. Cancel-safe.
    pub async fn turn(&mut self, want_read: bool) -> io::Result<Turn> {
        poll_fn(|cx| self.poll_turn(cx, want_read)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, want_read: bool) -> Poll<io::Result<Turn>> {
        let wrote = match self.poll_write(cx) {
            Poll::Ready(wrote) => wrote?,
            Poll::Pending => false,
        };
        let mut turn = Turn { wrote, ..Turn::default() };
        if want_read && let Poll::Ready(count) = self.poll_read(cx) {
            (turn.read, turn.ended) = match count? {
                0 => (false, true),
                _ => (true, false),
            };
        }
        if turn == Turn::default() { Poll::Pending } else { Poll::Ready(Ok(turn)) }
    }

    /// Ready with whether anything was written, once there is nothing left to write or some was.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut wrote = false;
        while !self.out.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.out.advance(count);
                    (wrote, self.unflushed) = (true, true);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if wrote => return Poll::Ready(Ok(true)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.out = BytesMut::new();
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            (self.unflushed, wrote) = (false, true);
        }
        Poll::Ready(Ok(wrote))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        BLOCK.with_borrow_mut(|block| {
            let mut filled = ReadBuf::new(block);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut filled))?;
            if self.read.is_empty() {
                self.read = BytesMut::from(filled.filled());
            } else {
                self.read.extend_from_slice(filled.filled());
            }
            Poll::Ready(Ok(filled.filled().len()))
        })
    }

    /// Writes everything out.
    pub async fn drain(&mut self) -> io::Result<()> {
        while self.has_output() {
            self.turn(false).await?;
        }
        Ok(())
    }

    /// Says the last words and closes. What the client still sends is read and thrown away for a moment, because closing a socket with
    /// unread bytes resets it, and the reset may overtake the last words.
    pub async fn close(mut self) -> io::Result<()> {
        const THROWN_AWAY_MAX: usize = 1 << 20;
        self.drain().await?;
        poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
        let mut thrown_away = 0;
        while thrown_away < THROWN_AWAY_MAX {
            self.read.clear();
            let turn = self.turn(true).await?;
            thrown_away += self.read.len();
            if turn.ended {
                break;
            }
        }
        Ok(())
    }
}
