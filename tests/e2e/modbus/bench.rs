//! What the Modbus tests stand on: a bus of the gateway with a stub driver, pseudo-terminals by socat, and a scripted peer that may answer
//! late, wrongly or not at all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::grid::{Device, Registry, Rows};
use gateway::io::inlet::{self, Outlet};
use gateway::io::modbus::Bus;
use gateway::io::modbus::question::Handle;
use gateway::model::{DeadLetter, DeviceIx, DeviceKind, Event, Quality, Report};
use gateway::world::World;
use tests::neighbours::{eventually, python, root};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A running bus named `east`; unit N is the device with the index N.
pub struct Running {
    outlet: Outlet,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    pub dead: Vec<DeadLetter>,
    /// Where people ask.
    pub handle: Handle,
}

/// The bus `line` (its endpoint and timing) with `units`, all registered but those above 200.
pub fn start(line: &str, units: &str) -> Running {
    let text = format!("name = \"east\"\n{line}\n{units}");
    let bus: gateway::config::Bus = toml::from_str(&text).unwrap();
    let device = |unit: u32| Device {
        id: format!("HY-{unit}"),
        ..Device::bare(DeviceIx(unit), DeviceKind::Hydrant, format!("modbus:east/{unit}"))
    };
    let rows = Rows { devices: (0..=200).map(device).collect(), ..Rows::default() };
    let world = World {
        registry: Registry::build(rows),
        rules: Arc::default(),
        rules_text: "".into(),
        topics: Arc::default(),
        freshness: Arc::default(),
        profiles: Arc::default(),
    };
    let (inlet, outlet) = inlet::channel();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let bus = Bus::new(&bus, &gateway::profiles::shipped()).unwrap();
    let handle = bus.handle();
    tasks.spawn(bus.run(world.share(), inlet, stop.clone()));
    Running { outlet, stop, tasks, dead: Vec::new(), handle }
}

impl Running {
    /// The next report, within ten seconds; dead letters are put aside.
    pub async fn report(&mut self) -> Report {
        let next = async {
            loop {
                let inbound = self.outlet.routine.recv().await.expect("the bus runs");
                self.dead.extend(inbound.dead);
                match inbound.events.into_iter().next() {
                    Some(Event::Report(report)) => return report,
                    Some(event @ (Event::Gone { .. } | Event::Action(_))) => panic!("{event:?} from a bus"),
                    None => (),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), next).await.expect("a report within 10 s")
    }

    /// The next report of this unit as (metric, value rounded to thousandths, quality).
    pub async fn values(&mut self, unit: u32) -> Vec<(&'static str, f64, Quality)> {
        loop {
            let report = self.report().await;
            if report.device == DeviceIx(unit) {
                let rounded = |value: f64| (value * 1_000.0).round() / 1_000.0;
                return report
                    .values
                    .iter()
                    .map(|v| (v.metric.name(), rounded(v.value), v.quality))
                    .collect();
            }
        }
    }

    /// The next dead letter, within ten seconds.
    pub async fn letter(&mut self) -> DeadLetter {
        let next = async {
            loop {
                if !self.dead.is_empty() {
                    return self.dead.remove(0);
                }
                let inbound = self.outlet.routine.recv().await.expect("the bus runs");
                self.dead.extend(inbound.dead);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), next).await.expect("a dead letter within 10 s")
    }

    /// How many reports each unit gives in this time.
    pub async fn count(&mut self, time: Duration) -> BTreeMap<u32, u32> {
        let until = tokio::time::Instant::from_std(gateway::clock::instant()) + time;
        let mut counts = BTreeMap::new();
        while let Ok(report) = tokio::time::timeout_at(until, self.report()).await {
            *counts.entry(report.device.0).or_default() += 1;
        }
        counts
    }

    pub async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// A program that is killed at the end.
pub struct Program {
    _child: Child,
    _folder: tempfile::TempDir,
}

fn program(path: &Path, arguments: &[&str], folder: tempfile::TempDir) -> Program {
    let log = std::fs::File::create(folder.path().join("output.log")).unwrap();
    let child = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Program { _child: child, _folder: folder }
}

/// Two pseudo-terminals joined by socat: `a` and `b` in its folder.
pub async fn pty_pair() -> (Program, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let link = |path: &Path| format!("pty,raw,echo=0,link={}", path.display());
    let (first, second) = (link(&a), link(&b));
    let socat = program(Path::new("/usr/bin/socat"), &[&first, &second], folder);
    wait_for_files(&[&a, &b]).await;
    (socat, a, b)
}

/// A pseudo-terminal whose other end is a TCP connection to `port`, as a serial device server makes one.
pub async fn pty_to(port: u16) -> (Program, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("line");
    let (link, tcp) = (format!("pty,raw,echo=0,link={}", path.display()), format!("tcp:127.0.0.1:{port}"));
    let socat = program(Path::new("/usr/bin/socat"), &[&link, &tcp], folder);
    wait_for_files(&[&path]).await;
    (socat, path)
}

async fn wait_for_files(paths: &[&Path]) {
    eventually("the pseudo-terminals", 5, || async { paths.iter().all(|path| path.exists()).then_some(()) })
        .await;
}

/// pymodbus units on a serial port, with `dead` ones; returns when it has opened the port.
pub async fn pymodbus_rtu(port: &Path, dead: &str) -> Program {
    let script = root().join("tests/neighbours/modbus_units.py");
    let arguments = [&*script.to_string_lossy(), "rtu", &*port.to_string_lossy(), dead].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    program(&python(), &arguments, tempfile::tempdir().unwrap())
}

/// One request as the scripted peer sees it; `nth` counts from 0 over all connections.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub nth: usize,
    pub unit: u8,
    pub start: u16,
    pub count: u16,
}

/// What the scripted peer does about a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Words(Vec<u16>),
    Late(Duration, Vec<u16>),
    WrongCrc(Vec<u16>),
    /// As unit and words: somebody else's frame.
    Foreign(u8, Vec<u16>),
    Exception(u8),
    HangUp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    Tcp,
    Rtu,
}

/// A peer of which a script decides every answer.
pub struct Scripted {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<usize>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    pub async fn start(framing: Framing, script: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let mut tasks = JoinSet::new();
        let (log, opened) = (asked.clone(), connections.clone());
        tasks.spawn(async move {
            let script = Arc::new(script);
            let mut peers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *opened.lock().unwrap() += 1;
                peers.spawn(serve(stream, framing, script.clone(), log.clone()));
            }
        });
        Self { port, asked, connections, _tasks: tasks }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    framing: Framing,
    script: Arc<impl Fn(Asked) -> Reply>,
    log: Arc<Mutex<Vec<Asked>>>,
) {
    let (mut from, to) = stream.into_split();
    let to = Arc::new(tokio::sync::Mutex::new(to));
    let mut late = JoinSet::new();
    let header = if framing == Framing::Tcp { 6 } else { 0 };
    let length = if framing == Framing::Tcp { 12 } else { 8 };
    loop {
        let mut request = vec![0; length];
        if from.read_exact(&mut request).await.is_err() {
            return;
        }
        let pdu = &request[header..];
        let word = |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]);
        let asked = {
            let mut log = log.lock().unwrap();
            let asked = Asked { nth: log.len(), unit: pdu[0], start: word(2), count: word(4) };
            log.push(asked);
            asked
        };
        let reply = |unit: u8, words: &[u16]| {
            let mut frame = vec![unit, pdu[1], words.len() as u8 * 2];
            frame.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            frame
        };
        let (delay, frame, good_crc) = match script(asked) {
            Reply::Words(words) => (Duration::ZERO, reply(asked.unit, &words), true),
            Reply::Late(delay, words) => (delay, reply(asked.unit, &words), true),
            Reply::WrongCrc(words) => (Duration::ZERO, reply(asked.unit, &words), false),
            Reply::Foreign(unit, words) => (Duration::ZERO, reply(unit, &words), true),
            Reply::Exception(code) => (Duration::ZERO, vec![asked.unit, pdu[1] | 0x80, code], true),

            Reply::HangUp => return,
        };
        let bytes = match framing {
            Framing::Tcp => [&request[..4], &(frame.len() as u16).to_be_bytes(), &frame].concat(),
            Framing::Rtu => {
                let crc = if good_crc { crc16(&frame) } else { !crc16(&frame) };
                [&frame[..], &crc.to_le_bytes()].concat()
            }
        };
        let to = to.clone();
        late.spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = to.lock().await.write_all(&bytes).await; // The gateway may have hung up meanwhile.
        });
    }
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

/// mbpoll (libmodbus) once; returns what it prints.
pub async fn mbpoll(arguments: &[&str]) -> String {
    let output = Command::new("/usr/bin/mbpoll").args(arguments).output().await.unwrap();
    let _ = std::io::stderr().write_all(&output.stderr);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
