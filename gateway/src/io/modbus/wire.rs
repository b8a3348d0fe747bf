//! The bytes below RTU: a serial port, or TCP to a serial device server.
//!
//! A [`Wire`] can be cloned so that its owner may listen and clear it while tokio-modbus holds the other clone: RTU has no request numbers, and
//! whatever is still on the wire when a request goes out would be taken for its answer. Only one of the clones is used at a time.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_serial::{ClearBuffer, SerialPort, SerialPortBuilderExt, SerialStream};

use crate::config::{Parity, Serial};

#[derive(Clone)]
pub struct Wire(Arc<Mutex<Stream>>);

enum Stream {
    Tcp(TcpStream),
    Serial(SerialStream),
}

impl Wire {
    pub fn tcp(stream: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(Stream::Tcp(stream))))
    }

    pub fn serial(settings: &Serial) -> io::Result<Self> {
        let parity = match settings.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        };
        let stop_bits = match settings.stop_bits.get_ref() {
            2 => tokio_serial::StopBits::Two,
            _ => tokio_serial::StopBits::One,
        };
        let port = tokio_serial::new(settings.path.to_string_lossy(), *settings.baud.get_ref())
            .parity(parity)
            .stop_bits(stop_bits)
            .open_native_async()?;
        port.clear(ClearBuffer::All)?;
        Ok(Self(Arc::new(Mutex::new(Stream::Serial(port)))))
    }

    /// Throws away what has arrived unasked; returns how many bytes. An error means that the line is gone.
    pub async fn discard(&self) -> io::Result<usize> {
        let mut discarded = 0;
        loop {
            let mut bytes = [0; 256];
            let mut buffer = ReadBuf::new(&mut bytes);
            let arrived = poll_fn(|cx| Poll::Ready(self.poll_read_inner(cx, &mut buffer))).await;
            match arrived {
                Poll::Pending => return Ok(discarded),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Poll::Ready(Ok(())) => discarded += buffer.filled().len(),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    /// Waits at most `patience` for something to arrive, and throws it away; returns how many bytes.
    pub async fn listen(&self, patience: Duration) -> io::Result<usize> {
        let mut bytes = [0; 256];
        let mut buffer = ReadBuf::new(&mut bytes);
        let arrival = poll_fn(|cx| self.poll_read_inner(cx, &mut buffer));
        match tokio::time::timeout(patience, arrival).await {
            Err(_) => Ok(0),
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) if buffer.filled().is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(())) => Ok(buffer.filled().len()),
        }
    }

    fn poll_read_inner(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self.lock() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Serial(port) => Pin::new(port).poll_read(cx, buffer),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_inner(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self.lock() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Serial(port) => Pin::new(port).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.lock() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            // tokio-serial would block in tcdrain(3) here; the answer tells us that the request went out.
            Stream::Serial(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.lock() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Serial(_) => Poll::Ready(Ok(())),
        }
    }
}
