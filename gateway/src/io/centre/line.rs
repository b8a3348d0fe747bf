//! The connection to the city's centre: packets out until they are confirmed, answers to what it asks.
//!
//! Three tries of a packet; then the connection is taken for dead. A centre that refuses a packet three times has got it. It may ask for our state, version, description and
//! time. What it would have us do is denied: the station's clock is NTP's, nothing here is initialised from afar, and the person on duty is called by the ladders.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{timeout, timeout_at};

use super::CONNECT_WITHIN;
use crate::clock;
use crate::config::gbt26875 as config;
use crate::wire::gbt26875::unit::DeviceState;
use crate::wire::gbt26875::{Address, At, Command, Content, Frame, Header, Label, Piece, Stream, Text};

const TRIES: u32 = 3;
const READ_BYTES: usize = 64 * 1024;

#[derive(Clone)]
pub struct Settings {
    pub place: String,
    over_tcp: bool,
    centre: Address,
    own: Address,
    timeout: Duration,
    pub heartbeat: Duration,
    station: String,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Confirmed,
    Refused,
}

pub struct Line {
    socket: Socket,
    stream: Stream,
    buffer: Vec<u8>,
    serial: u16,
    settings: Settings,
    heard: bool,
}

enum Socket {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Settings {
    /// `gridwarden check` shows the mistakes with their places.
    pub fn of(centre: &config::Centre, station: &str) -> anyhow::Result<Self> {
        let address = |number: u64| {
            Address::new(number)
                .ok_or_else(|| anyhow::anyhow!("`{number}` needs more than the 48 bits of an address"))
        };
        let place = centre.tcp.as_ref().or(centre.udp.as_ref());
        let seconds = |number: u32| Duration::from_secs(u64::from(number));
        Ok(Self {
            place: place.map(|place| place.get_ref().clone()).unwrap_or_default(),
            over_tcp: centre.tcp.is_some(),
            centre: address(*centre.address.get_ref())?,
            own: address(*centre.own_address.get_ref())?,
            timeout: seconds(*centre.timeout_s.get_ref()),
            heartbeat: seconds(*centre.heartbeat_s.get_ref()),
            station: station.to_owned(),
        })
    }
}

impl Line {
    pub async fn open(settings: &Settings) -> Result<Self, String> {
        let open = async {
            if settings.over_tcp {
                let stream = TcpStream::connect(&settings.place).await?;
                let _ = stream.set_nodelay(true); // Only makes it slower when it fails.
                return Ok(Socket::Tcp(stream));
            }
            let centre = tokio::net::lookup_host(&settings.place).await?.next();
            let centre = centre.ok_or_else(|| io::Error::other("the name has no address"))?;
            let any = if centre.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(centre).await?;
            io::Result::Ok(Socket::Udp(socket))
        };
        let socket = match timeout(CONNECT_WITHIN, open).await {
            Ok(opened) => opened.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("no connection within {} s", CONNECT_WITHIN.as_secs())),
        };
        let (stream, buffer) = (Stream::default(), vec![0; READ_BYTES]);
        Ok(Self { socket, stream, buffer, serial: 0, settings: settings.clone(), heard: false })
    }

    /// Whether the centre ever said anything.
    pub fn was_heard(&self) -> bool {
        self.heard
    }

    /// Our state: an empty packet is only a custom of makers, and not every centre confirms it.
    pub async fn heartbeat(&mut self, now: Label) -> Result<(), String> {
        match self.settle(own_state(now).encode(), || now).await? {
            Settled::Confirmed => Ok(()),
            Settled::Refused => Err("the centre refuses our state; does it know our address?".into()),
        }
    }

    pub async fn tell(&mut self, content: &Content, now: impl Fn() -> Label) -> Result<Settled, String> {
        self.settle(content.encode(), now).await
    }

    /// Until it is confirmed or refused; the error says why the connection is of no use any more.
    async fn settle(&mut self, unit: Vec<u8>, now: impl Fn() -> Label) -> Result<Settled, String> {
        let serial = self.serial;
        self.serial = serial.wrapping_add(1);
        let mut refused = false;
        for _ in 0..TRIES {
            self.write(serial, Command::Send, unit.clone(), now()).await?;
            let until = clock::ticks() + self.settings.timeout;
            refused = loop {
                let Ok(frame) = timeout_at(until, self.next(&now)).await else { break false };
                let frame = frame?;
                if frame.header.serial == serial {
                    match frame.command {
                        Command::Confirm => return Ok(Settled::Confirmed),
                        Command::Deny => break true,
                        Command::Control
                        | Command::Send
                        | Command::Request
                        | Command::Answer
                        | Command::User(_) => (),
                    }
                }
            };
        }
        if refused {
            Ok(Settled::Refused)
        } else {
            Err(format!("the centre does not confirm, {TRIES} times"))
        }
    }

    /// Answers what the centre asks, until the connection ends. Cancelled in the middle of an answer, the answer is lost: the centre asks again.
    pub async fn listen(&mut self, now: impl Fn() -> Label) -> Result<(), String> {
        loop {
            self.next(&now).await?;
        }
    }

    /// The next confirmation or denial; questions are answered on the way.
    async fn next(&mut self, now: &impl Fn() -> Label) -> Result<Frame, String> {
        loop {
            while let Some(piece) = self.stream.piece() {
                let (header, answer) = match piece {
                    Piece::Frame(frame, _) => {
                        self.heard = true;
                        match frame.command {
                            Command::Confirm | Command::Deny | Command::Answer => return Ok(frame),
                            Command::Request => (frame.header, self.answer(&frame.unit, now())),
                            Command::Control | Command::Send | Command::User(_) => (frame.header, None),
                        }
                    }
                    Piece::Faulty { header, .. } => (header, None),
                    Piece::Noise(_) => continue,
                };
                match answer {
                    Some(content) => {
                        self.write(header.serial, Command::Answer, content.encode(), now()).await?
                    }
                    None => self.write(header.serial, Command::Deny, Vec::new(), now()).await?,
                }
            }
            let read = match &mut self.socket {
                Socket::Tcp(stream) => stream.read(&mut self.buffer).await,
                Socket::Udp(socket) => socket.recv(&mut self.buffer).await,
            };
            match read {
                Ok(0) => return Err("the centre closed the connection".into()),
                Ok(bytes) => self.stream.push(&self.buffer[..bytes]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// To a question by its type flag; `None`: it is denied.
    fn answer(&self, question: &[u8], now: Label) -> Option<Content> {
        let version = || {
            let part = |text: &str| text.parse().unwrap_or(0);
            [part(env!("CARGO_PKG_VERSION_MAJOR")), part(env!("CARGO_PKG_VERSION_MINOR"))]
        };
        let asked = Content::read(question).content?;
        match asked.flag() {
            81 => Some(own_state(now)),
            85 => Some(Content::DeviceVersion(version())),
            86 => {
                let text = format!("Gridwarden {}", self.settings.station);
                let (bytes, _, _) = encoding_rs::GB18030.encode(&text);
                Some(Content::DeviceText(Text(bytes.into_owned())))
            }
            88 => Some(Content::DeviceClock(now)),
            _ => None,
        }
    }

    async fn write(
        &mut self,
        serial: u16,
        command: Command,
        unit: Vec<u8>,
        sent: Label,
    ) -> Result<(), String> {
        let header =
            Header { serial, version: [1, 0], sent, from: self.settings.own, to: self.settings.centre };
        let bytes = Frame { header, command, unit }.encode();
        let write = async {
            match &mut self.socket {
                Socket::Tcp(stream) => stream.write_all(&bytes).await,
                Socket::Udp(socket) => socket.send(&bytes).await.map(|_| ()),
            }
        };
        match timeout(CONNECT_WITHIN, write).await {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(_) => Err("the centre does not read".into()),
        }
    }
}

/// In normal operation.
fn own_state(now: Label) -> Content {
    Content::DeviceState(vec![At { body: DeviceState { state: 1 }, at: Some(now) }])
}
