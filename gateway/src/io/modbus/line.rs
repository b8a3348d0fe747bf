//! One Modbus line or connection: a request goes out, and what comes back is its answer or a [`Failure`], never the answer to another request.
//!
//! tokio-modbus has no time limit, does not connect again, and after a request that timed out it would take the late answer for the
//! next one (over RTU even without an error). So after every silence, and after every answer that does not fit, its context is dropped: on TCP with
//! the connection; on RTU the line stays, is listened to until the late answer has passed, and is cleared before the next request. The length of each
//! answer is checked here, because tokio-modbus checks it only with an assertion. What this file cannot see is a unit that answers its
//! own last request later than all that; `circuit.rs` asks such a unit a question that only a fresh answer fits.

use std::io;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Client, Context, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Error, ExceptionCode, Request, Response};

use super::wire::Wire;
use crate::clock::instant;
use crate::config::{Bus, Serial, Table};
use crate::decode::modbus::Read;

/// After this many times its patience a line that is never quiet is closed and opened again.
const HUSH_MAX: u32 = 3;

/// How long after the last stray byte the line counts as quiet.
const STRAY_GAP: Duration = Duration::from_millis(30);

#[derive(Clone, Debug)]
pub enum Endpoint {
    Tcp(String),
    RtuOverTcp(String),
    Serial(Serial),
}

/// The unit lives and spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Words(Vec<u16>),
    /// It said no: the register or the function is wrong.
    Refused(ExceptionCode),
}

/// One variant per thing that the poller does differently.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("it does not answer within {0:?}")]
    Silent(Duration),
    /// A gateway in front of the unit says that the unit does not answer.
    #[error("the gateway in front of it cannot reach it: {0}")]
    Unreachable(ExceptionCode),
    /// Something came back that is not the answer: late, damaged, or from another unit.
    #[error("what came back is not the answer: {0}")]
    Misfit(String),
    #[error("the connection was lost while it was asked: {0}")]
    Lost(io::Error),
    /// The line itself cannot be opened: no unit can be asked.
    #[error("cannot open the line: {0}")]
    Down(io::Error),
}

pub struct Line {
    endpoint: Endpoint,
    connect_timeout: Duration,
    /// Least quiet time between an answer and the next request.
    gap: Duration,
    link: Option<Link>,
    speak_at: Instant,
    /// The slowest answer seen lately.
    slowest: Duration,
    /// How often a link was opened.
    pub opened: u64,
    /// Bytes that arrived unasked or too late and were thrown away.
    pub stray_bytes: u64,
}

enum Link {
    Tcp(Context),
    Rtu { wire: Wire, context: Option<Context> },
}

impl Endpoint {
    /// Of a bus that was checked: exactly one of the three is set.
    pub fn of(bus: &Bus) -> Option<Self> {
        let tcp = bus.tcp.as_ref().map(|address| Self::Tcp(address.get_ref().clone()));
        let rtu = bus.rtu_over_tcp.as_ref().map(|address| Self::RtuOverTcp(address.get_ref().clone()));
        tcp.or(rtu).or_else(|| bus.serial.clone().map(Self::Serial))
    }

    /// Modbus over serial line, §2.5.1.1: 3.5 characters of silence between frames, 1.75 ms above 19,200 baud.
    fn frame_gap(&self) -> Duration {
        match self {
            Self::Tcp(_) | Self::RtuOverTcp(_) => Duration::ZERO,
            Self::Serial(serial) if 19_200 < *serial.baud.get_ref() => Duration::from_micros(1_750),
            Self::Serial(serial) => {
                Duration::from_secs_f64(3.5 * 11.0 / f64::from((*serial.baud.get_ref()).max(1)))
            }
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::RtuOverTcp(address) => write!(f, "rtu over tcp {address}"),
            Self::Serial(serial) => write!(f, "serial {}", serial.path.display()),
        }
    }
}

impl Line {
    pub fn new(endpoint: Endpoint, connect_timeout: Duration, pause: Duration) -> Self {
        let gap = pause.max(endpoint.frame_gap());
        Self {
            endpoint,
            connect_timeout: connect_timeout.max(Duration::from_secs(1)),
            gap,
            link: None,
            speak_at: instant(),
            slowest: Duration::ZERO,
            opened: 0,
            stray_bytes: 0,
        }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How long a request that is never answered keeps the line from the other units.
    pub fn cost_of_silence(&self, patience: Duration) -> Duration {
        match self.endpoint {
            Endpoint::Tcp(_) => patience + self.gap,
            Endpoint::RtuOverTcp(_) | Endpoint::Serial(_) => patience + self.quiet_after(patience) + self.gap,
        }
    }

    /// How long after an unanswered request its unit must be left alone, because an answer to it may still come and RTU could not tell it
    /// from the next one's. It costs the other units nothing. On TCP the connection is closed instead.
    pub fn may_answer_for(&self, full: Duration) -> Duration {
        match self.endpoint {
            Endpoint::Tcp(_) => Duration::ZERO,
            Endpoint::RtuOverTcp(_) | Endpoint::Serial(_) => full * 4,
        }
    }

    /// One read. Words of a coil or input are 0 or 1. Over TCP it asks a second time, on a new connection, when the other side had closed the old one
    /// or something misfitting came over it. Never over RTU: the first answer may still be under way.
    pub async fn read(&mut self, unit: u8, read: Read, patience: Duration) -> Result<Answer, Failure> {
        let tcp_was_open = matches!(self.link, Some(Link::Tcp(_)));
        match self.ask(unit, read, patience).await {
            Err(Failure::Lost(_) | Failure::Misfit(_)) if tcp_was_open => {
                self.ask(unit, read, patience).await
            }
            answer => answer,
        }
    }

    async fn ask(&mut self, unit: u8, read: Read, patience: Duration) -> Result<Answer, Failure> {
        self.open().await.map_err(Failure::Down)?;
        if instant() < self.speak_at {
            tokio::time::sleep_until(self.speak_at.into()).await;
        }
        if self.clear().await.is_err() {
            self.open().await.map_err(Failure::Down)?; // It was closed since the last request; nothing has been asked yet.
        }
        let Some(context) = self.context() else {
            return Err(Failure::Lost(io::ErrorKind::NotConnected.into()));
        };
        context.set_slave(Slave(unit));
        let request = match read.table {
            Table::Coils => Request::ReadCoils(read.start, read.count),
            Table::DiscreteInputs => Request::ReadDiscreteInputs(read.start, read.count),
            Table::Holding => Request::ReadHoldingRegisters(read.start, read.count),
            Table::Input => Request::ReadInputRegisters(read.start, read.count),
        };
        let asked = instant();
        let answer = timeout(patience, context.call(request)).await;
        let took = instant().duration_since(asked);
        self.speak_at = instant() + self.gap;
        match answer {
            Ok(Ok(Ok(response))) => match words(response, read) {
                Ok(words) => {
                    self.slowest = took.max(self.slowest.mul_f64(0.98));
                    Ok(Answer::Words(words))
                }
                Err(misfit) => Err(self.misfit(misfit, patience).await),
            },
            Ok(Ok(Err(
                exception @ (ExceptionCode::GatewayPathUnavailable | ExceptionCode::GatewayTargetDevice),
            ))) => Err(Failure::Unreachable(exception)),
            Ok(Ok(Err(exception))) => Ok(Answer::Refused(exception)),
            Ok(Err(Error::Protocol(error))) => Err(self.misfit(error.to_string(), patience).await),
            Ok(Err(Error::Transport(error))) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.misfit(error.to_string(), patience).await)
            }
            Ok(Err(Error::Transport(error))) => {
                self.link = None;
                Err(Failure::Lost(error))
            }
            Err(_) => {
                self.hush(patience).await;
                Err(Failure::Silent(patience))
            }
        }
    }

    async fn misfit(&mut self, what: String, patience: Duration) -> Failure {
        self.hush(patience).await;
        Failure::Misfit(what)
    }

    async fn open(&mut self) -> io::Result<()> {
        if self.link.is_some() {
            return Ok(());
        }
        let link = match &self.endpoint {
            Endpoint::Tcp(address) => Link::Tcp(tcp::attach(connect(address, self.connect_timeout).await?)),
            Endpoint::RtuOverTcp(address) => {
                Link::Rtu { wire: Wire::tcp(connect(address, self.connect_timeout).await?), context: None }
            }
            Endpoint::Serial(serial) => Link::Rtu { wire: Wire::serial(serial)?, context: None },
        };
        self.link = Some(link);
        self.opened += 1;
        Ok(())
    }

    /// On RTU: throws away what came since the last request. An error means that the line is gone.
    async fn clear(&mut self) -> io::Result<()> {
        let Some(Link::Rtu { wire, context }) = &mut self.link else { return Ok(()) };
        match wire.discard().await {
            Ok(0) => Ok(()),
            Ok(bytes) => {
                self.stray_bytes += bytes as u64;
                *context = None;
                Ok(())
            }
            Err(error) => {
                self.link = None;
                Err(error)
            }
        }
    }

    fn context(&mut self) -> Option<&mut Context> {
        match self.link.as_mut()? {
            Link::Tcp(context) => Some(context),
            Link::Rtu { wire, context } => Some(context.get_or_insert_with(|| rtu::attach(wire.clone()))),
        }
    }

    fn quiet_after(&self, patience: Duration) -> Duration {
        patience.max(self.slowest)
    }

    /// After a silence or a misfit: nothing that is still under way may meet the next request.
    async fn hush(&mut self, patience: Duration) {
        let quiet = self.quiet_after(patience);
        let Some(Link::Rtu { wire, context }) = &mut self.link else {
            self.link = None;
            return;
        };
        *context = None;
        let (began, mut wait) = (instant(), quiet);
        loop {
            match wire.listen(wait).await {
                Ok(0) => break,
                Ok(bytes) => {
                    self.stray_bytes += bytes as u64;
                    wait = STRAY_GAP;
                }
                Err(_) => {
                    self.link = None;
                    break;
                }
            }
            if quiet * HUSH_MAX < instant().duration_since(began) {
                self.link = None;
                break;
            }
        }
        self.speak_at = instant();
    }
}

async fn connect(address: &str, patience: Duration) -> io::Result<TcpStream> {
    let stream = timeout(patience, TcpStream::connect(address))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "nobody answers there")))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The words of a response, when it is as long as was asked for. Bits come in whole bytes.
fn words(response: Response, read: Read) -> Result<Vec<u16>, String> {
    let count = usize::from(read.count);
    let (bits, mut words): (bool, Vec<u16>) =
        if let Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) = response {
            (true, bits.into_iter().map(u16::from).collect())
        } else if let Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) = response {
            (false, words)
        } else {
            return Err(format!("{response:?} answers no read"));
        };
    let fits = if bits { words.len() == count.div_ceil(8) * 8 } else { words.len() == count };
    if !fits {
        return Err(format!("{} values came for {read}", words.len()));
    }
    words.truncate(count);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_length_is_not_taken() {
        let read = |table, count| Read { table, start: 0, count };
        let registers = |count: usize| Response::ReadHoldingRegisters(vec![7; count]);
        assert_eq!(words(registers(2), read(Table::Holding, 2)), Ok(vec![7, 7]));
        assert!(words(registers(1), read(Table::Holding, 2)).is_err());
        assert!(words(registers(3), read(Table::Holding, 2)).is_err());
        let coils = |count: usize| Response::ReadCoils(vec![true; count]);
        assert_eq!(words(coils(8), read(Table::Coils, 3)), Ok(vec![1, 1, 1]));
        assert!(words(coils(16), read(Table::Coils, 3)).is_err());
        assert!(words(coils(8), read(Table::Coils, 9)).is_err());
    }

    #[test]
    fn the_silence_between_frames_follows_the_baud_rate() {
        let serial = |baud: u32| {
            Endpoint::Serial(toml::from_str(&format!("path = \"/dev/ttyS0\"\nbaud = {baud}")).expect("shape"))
        };
        assert_eq!(serial(9_600).frame_gap().as_micros(), 4_010);
        assert_eq!(serial(115_200).frame_gap().as_micros(), 1_750);
    }
}
