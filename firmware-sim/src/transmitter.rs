//! A user information transmission device (GB/T 26875.3): it tells a centre what its fire panel says, until the centre has confirmed it.
//!
//! Heartbeats when nothing else is sent, repeats with the same serial number, connects again and goes on where it was. It answers what it is asked and does what it is
//! told; somebody is on duty unless [`Transmitter::nobody_on_duty`]. Damage on the line is made with [`Transmitter::raw`].

pub mod packet;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::packet::{ANSWER, CONFIRM, CONTROL, DENY, Packet, REQUEST, SEND};

/// What may wait to be told.
const ORDERS_MAX: usize = 1_000;
/// For a confirmation, over all tries.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before it connects again.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tcp(SocketAddr),
    Udp(SocketAddr),
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub address: u64,
    pub centre: u64,
    pub carrier: Carrier,
    pub heartbeat: Duration,
    /// After which it repeats what was not confirmed.
    pub timeout: Duration,
}

/// A component as it is reported: type and address of the system, type, zone and point.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    pub system: [u8; 2],
    pub kind: u8,
    pub zone: u16,
    pub point: u16,
}

impl Component {
    /// From text such as `1.1/10.2`.
    pub fn smoke_detector(text: &str) -> Result<Self, String> {
        let pair = |text: &str| {
            let (first, second) = text.split_once('.')?;
            Some((first.parse::<u16>().ok()?, second.parse::<u16>().ok()?))
        };
        let read = || {
            let (system, place) = text.split_once('/')?;
            let ((kind, address), (zone, point)) = (pair(system)?, pair(place)?);
            let system = [u8::try_from(kind).ok()?, u8::try_from(address).ok()?];
            Some(Self { system, kind: 40, zone, point })
        };
        read().ok_or_else(|| format!("`{text}` is no place; write one such as 1.1/10.2"))
    }
}

/// A running device. Clones are the same one.
#[derive(Clone)]
pub struct Transmitter {
    orders: mpsc::Sender<Order>,
    seen: Arc<Mutex<Seen>>,
}

/// What it went through.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Everything the centre asked or told, as command and data unit.
    pub asked: Vec<(u8, Vec<u8>)>,
    pub denied: usize,
    pub confirmed: usize,
    /// Packets that were sent again.
    pub repeated: usize,
    pub connects: usize,
    away: bool,
    /// Leaves the centre's questions without an answer.
    deaf: bool,
}

enum Order {
    /// Until it is confirmed.
    Tell(Vec<u8>, oneshot::Sender<()>),
    Raw(Vec<u8>),
}

struct Waiting {
    packet: Packet,
    told: Option<oneshot::Sender<()>>,
    due: Instant,
    sent: bool,
}

struct Device {
    settings: Settings,
    seen: Arc<Mutex<Seen>>,
    serial: u16,
    waiting: VecDeque<Waiting>,
    out: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    heartbeat_at: Instant,
}

impl Transmitter {
    /// Runs until `stop`; the second is its task.
    pub fn new(settings: Settings, stop: CancellationToken) -> (Self, impl Future<Output = ()> + Send) {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let device = Device {
            settings,
            seen: seen.clone(),
            serial: 0,
            waiting: VecDeque::new(),
            out: Vec::new(),
            buffer: Vec::new(),
            heartbeat_at: Instant::now(),
        };
        (Self { orders, seen }, device.run(inbox, stop))
    }

    /// Tells the state of a component now; returns when the centre has confirmed it.
    pub async fn component(&self, component: Component, state: u16, note: &str) -> anyhow::Result<()> {
        let mut unit = vec![2, 1];
        unit.extend(where_it_is(component));
        unit.extend(state.to_le_bytes());
        let mut text = note.as_bytes().to_owned();
        text.resize(31, 0);
        unit.extend(text);
        unit.extend(now());
        self.tell(unit).await
    }

    /// Tells an analog value; returns when the centre has confirmed it.
    pub async fn analog(&self, component: Component, quantity: u8, raw: i16) -> anyhow::Result<()> {
        let mut unit = vec![3, 1];
        unit.extend(where_it_is(component));
        unit.push(quantity);
        unit.extend(raw.to_le_bytes());
        unit.extend(now());
        self.tell(unit).await
    }

    /// Any data unit; returns when the centre has confirmed it. Goes on telling it after a minute, but the caller need not wait.
    pub async fn tell(&self, unit: Vec<u8>) -> anyhow::Result<()> {
        let (told, confirmed) = oneshot::channel();
        self.orders.send(Order::Tell(unit, told)).await.ok().context("the device is off")?;
        let confirmed = timeout(PATIENCE, confirmed).await.context("the centre does not confirm")?;
        confirmed.context("the device is off")
    }

    /// Bytes as they are; nobody waits for a confirmation.
    pub async fn raw(&self, bytes: Vec<u8>) {
        let _ = self.orders.send(Order::Raw(bytes)).await; // It may be off.
    }

    /// Nobody answers a roll-call from now on, or somebody does.
    pub fn nobody_on_duty(&self, away: bool) {
        self.lock().away = away;
    }

    /// From now on it does not answer questions, or it does.
    pub fn deaf(&self, deaf: bool) {
        self.lock().deaf = deaf;
    }

    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn where_it_is(component: Component) -> Vec<u8> {
    let Component { system, kind, zone, point } = component;
    [&system[..], &[kind], &zone.to_le_bytes(), &point.to_le_bytes()].concat()
}

/// China's time, as these devices keep it.
fn now() -> [u8; 6] {
    #[expect(clippy::disallowed_methods, reason = "a device has a clock of its own")]
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
    let year = (now.year() % 100) as u8;
    [now.second() as u8, now.minute() as u8, now.hour() as u8, now.day() as u8, now.month() as u8, year]
}

enum Link {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Link {
    async fn open(carrier: Carrier) -> std::io::Result<Self> {
        match carrier {
            Carrier::Tcp(centre) => Ok(Self::Tcp(TcpStream::connect(centre).await?)),
            Carrier::Udp(centre) => {
                let socket = UdpSocket::bind("127.0.0.1:0").await?;
                socket.connect(centre).await?;
                Ok(Self::Udp(socket))
            }
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer).await,
            // A datagram is never empty here; nobody at the other end is no reason to stop.
            Self::Udp(socket) => loop {
                match socket.recv(buffer).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(_) => sleep(PAUSE).await,
                }
            },
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Udp(socket) => {
                let _ = socket.send(bytes).await; // Lost, like any datagram.
                Ok(())
            }
        }
    }
}

impl Device {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Ok(mut link) = Link::open(self.settings.carrier).await {
                self.lock().connects += 1;
                self.buffer.clear();
                for waiting in &mut self.waiting {
                    waiting.due = Instant::now();
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = self.converse(&mut link, &mut inbox) => (),
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(PAUSE) => (),
            }
        }
    }

    async fn converse(&mut self, link: &mut Link, inbox: &mut mpsc::Receiver<Order>) -> anyhow::Result<()> {
        let mut bytes = vec![0; 4096];
        loop {
            self.repeat();
            for out in std::mem::take(&mut self.out) {
                link.write(&out).await?;
            }
            let due = self.waiting.iter().map(|waiting| waiting.due).min().unwrap_or(self.heartbeat_at);
            tokio::select! {
                order = inbox.recv() => match order {
                    Some(Order::Tell(unit, told)) => self.tell(unit, Some(told)),
                    Some(Order::Raw(raw)) => self.out.push(raw),
                    None => std::future::pending().await,
                },
                () = sleep_until(due.min(self.heartbeat_at)) => (),
                read = link.read(&mut bytes) => {
                    let read = read?;
                    anyhow::ensure!(0 < read, "the centre closed the connection");
                    self.buffer.extend(&bytes[..read]);
                    while let Some(packet) = Packet::take(&mut self.buffer)? {
                        self.hear(packet);
                    }
                }
            }
        }
    }

    fn tell(&mut self, unit: Vec<u8>, told: Option<oneshot::Sender<()>>) {
        let packet = self.packet(SEND, self.serial, unit);
        self.serial = self.serial.wrapping_add(1);
        self.waiting.push_back(Waiting { packet, told, due: Instant::now(), sent: false });
    }

    /// What is due to be sent, for the first time or again; a heartbeat when nothing is.
    fn repeat(&mut self) {
        let now = Instant::now();
        let mut repeated = 0;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.due <= now) {
            waiting.due = now + self.settings.timeout;
            repeated += usize::from(std::mem::replace(&mut waiting.sent, true));
            waiting.packet.sent = self::now();
            self.out.push(waiting.packet.bytes());
        }
        self.lock().repeated += repeated;
        if self.heartbeat_at <= now {
            self.heartbeat_at = now + self.settings.heartbeat;
            self.out.push(self.packet(SEND, self.serial, Vec::new()).bytes());
            self.serial = self.serial.wrapping_add(1);
        }
    }

    fn hear(&mut self, packet: Packet) {
        match packet.command {
            CONFIRM => {
                self.lock().confirmed += 1;
                let at = self.waiting.iter().position(|waiting| waiting.packet.serial == packet.serial);
                if let Some(told) = at.and_then(|at| self.waiting.remove(at)).and_then(|waiting| waiting.told)
                {
                    let _ = told.send(()); // Nobody may wait for it.
                }
            }
            DENY => self.lock().denied += 1,
            REQUEST | CONTROL => {
                let (deaf, away) = {
                    let mut seen = self.lock();
                    seen.asked.push((packet.command, packet.unit.clone()));
                    (seen.deaf, seen.away)
                };
                if deaf {
                    return;
                }
                let answer = match (packet.command, packet.unit.as_slice()) {
                    (CONTROL, [89..=91, ..]) => self.packet(CONFIRM, packet.serial, Vec::new()),
                    (REQUEST, unit) => match answer(unit) {
                        Some(unit) => self.packet(ANSWER, packet.serial, unit),
                        None => self.packet(DENY, packet.serial, Vec::new()),
                    },
                    _ => self.packet(DENY, packet.serial, Vec::new()),
                };
                self.out.push(answer.bytes());
                if packet.unit.first() == Some(&91) && !away {
                    self.tell([&[24, 1, 1 << 5, 1][..], &now()].concat(), None);
                }
            }
            _ => (),
        }
    }

    fn packet(&self, command: u8, serial: u16, unit: Vec<u8>) -> Packet {
        let Settings { address: from, centre: to, .. } = self.settings;
        Packet { serial, sent: now(), from, to, command, unit }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a healthy device says to a question; `None` when it does not know.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let with_time = |unit: &[u8]| Some([unit, &now()].concat());
    match question {
        [81, ..] => with_time(&[21, 1, 1]),
        [85, ..] => Some(vec![25, 1, 2, 7]),
        [86, ..] => Some([&[26, 1, 6][..], b"FS-2.7"].concat()),
        [88, ..] => with_time(&[28, 1]),
        [61, 1, kind, address] => with_time(&[1, 1, *kind, *address, 1, 0]),
        [62, 1, kind, address, place @ ..] if place.len() == 4 => {
            with_time(&[&[2, 1, *kind, *address, 40][..], place, &[1, 0], &[b' '; 31]].concat())
        }
        _ => None,
    }
}
