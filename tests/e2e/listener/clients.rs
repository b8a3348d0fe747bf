//! Clients of three kinds: raw bytes with rumqttc's codec, mosquitto's command line, and paho.

use std::process::{Output, Stdio};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::{Error, QoS, v4};
use rumqttc::v5::mqttbytes::{Error as Error5, v5};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// A client that does only what it is told, in either version.
pub struct Raw {
    stream: TcpStream,
    read: BytesMut,
}

impl Raw {
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: BytesMut::new() }
    }

    /// Connected and welcome, 3.1.1.
    pub async fn v4(port: u16, connect: v4::Connect) -> Self {
        let mut raw = Self::open(port).await;
        raw.send(v4::Packet::Connect(connect)).await;
        assert_eq!(raw.read().await, Some(connack(v4::ConnectReturnCode::Success)));
        raw
    }

    /// Connected and welcome, 5.
    pub async fn v5(port: u16, connect: v5::Connect, will: Option<v5::LastWill>) -> (Self, v5::ConnAck) {
        let mut raw = Self::open(port).await;
        raw.send5(v5::Packet::Connect(connect, will, None)).await;
        match raw.read5().await {
            Some(v5::Packet::ConnAck(ack)) if ack.code == v5::ConnectReturnCode::Success => (raw, ack),
            other => panic!("no welcome but {other:?}"),
        }
    }

    pub async fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn send(&mut self, packet: v4::Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, usize::MAX).unwrap();
        self.bytes(&out).await;
    }

    pub async fn send5(&mut self, packet: v5::Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, None).unwrap();
        self.bytes(&out).await;
    }

    pub async fn publish(&mut self, topic: &str, qos: QoS, id: u16, dup: bool, payload: &str) {
        let mut publish = v4::Publish::new(topic, qos, payload);
        (publish.pkid, publish.dup) = (id, dup);
        self.send(v4::Packet::Publish(publish)).await;
    }

    pub async fn publish5(&mut self, topic: &str, qos: rumqttc::v5::mqttbytes::QoS, id: u16, payload: &str) {
        let mut publish = v5::Publish::new(topic, qos, payload.to_owned(), None);
        publish.pkid = id;
        self.send5(v5::Packet::Publish(publish)).await;
    }

    /// The next packet; `None` when the listener closed the connection.
    pub async fn read(&mut self) -> Option<v4::Packet> {
        loop {
            match v4::Packet::read(&mut self.read, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(Error::InsufficientBytes(_)) => self.more().await?,
                Err(error) => panic!("the listener sent nonsense: {error}"),
            }
        }
    }

    pub async fn read5(&mut self) -> Option<v5::Packet> {
        loop {
            match v5::Packet::read(&mut self.read, None) {
                Ok(packet) => return Some(packet),
                Err(Error5::InsufficientBytes(_)) => self.more().await?,
                Err(error) => panic!("the listener sent nonsense: {error}"),
            }
        }
    }

    async fn more(&mut self) -> Option<()> {
        let read = timeout(SOON, self.stream.read_buf(&mut self.read)).await.expect("a packet or the end");
        match read {
            Ok(0) => None,
            Ok(_) => Some(()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Until the listener closes.
    pub async fn drain(&mut self) {
        while self.more().await.is_some() {
            self.read.clear();
        }
    }

    /// Everything sent before was handled, and brought no answer: the answer to a ping comes first.
    pub async fn expect_silence(&mut self) {
        self.send(v4::Packet::PingReq).await;
        assert_eq!(self.read().await, Some(v4::Packet::PingResp));
    }
}

pub fn connack(code: v4::ConnectReturnCode) -> v4::Packet {
    v4::Packet::ConnAck(v4::ConnAck::new(code, false))
}

pub fn connect5(id: &str) -> v5::Connect {
    v5::Connect { keep_alive: 30, client_id: id.into(), clean_start: true, properties: None }
}

/// Runs `mosquitto_pub` to its end.
pub async fn mosquitto_pub(port: u16, arguments: &[&str]) -> Output {
    let port = port.to_string();
    let run = Command::new("mosquitto_pub")
        .args(["-h", "localhost", "-p", &port])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    timeout(SOON, run).await.expect("mosquitto_pub ends").expect("mosquitto_pub is installed")
}

/// A program whose output is read line by line.
pub struct Talker {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talker {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("`make setup` installs it");
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, lines }
    }

    pub fn mosquitto_sub(port: u16, arguments: &[&str]) -> Self {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(arguments);
        Self::start(command)
    }

    /// Connected when this returns; the words are those after `connected`.
    pub async fn paho(port: u16, arguments: &[&str]) -> (Self, String) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/listener/paho_client.py");
        let mut command = Command::new(tests::neighbours::python());
        command.arg(script).args(["--port", &port.to_string()]).args(arguments);
        let mut paho = Self::start(command);
        let line = paho.line().await;
        let words = line.strip_prefix("connected ").unwrap_or_else(|| panic!("not connected but {line}"));
        (paho, words.to_owned())
    }

    pub async fn say(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub async fn line(&mut self) -> String {
        let line = timeout(SOON, self.lines.next_line()).await.expect("a line");
        line.unwrap().expect("the program is still there")
    }

    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}
