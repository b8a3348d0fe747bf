//! Terminals of Meokon over TCP and UDP, through the whole station with the rules we ship: answered when it is on disk, taken once however often it is sent, and not answered when nothing was kept.

use std::time::Duration;

use gateway::units::Timestamp;
use gateway::wire::meokon::Frame;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::neighbours::{eventually, root};
use tests::site::{Site, Station};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const ID: &str = "SHMK21060001";
/// A terminal waits no longer.
const PATIENCE: Duration = Duration::from_secs(5);

fn site() -> Site {
    let site = Site::new("[meokon]\ntcp = \"127.0.0.1:0\"\nudp = \"127.0.0.1:0\"\n");
    let rules = std::fs::read_to_string(root().join("config/rules.toml")).unwrap();
    site.write("rules.toml", &rules.replace("\"duty\"", "\"mqtt\""));
    site.append("devices.csv", &format!("HY-2,hydrant,西门消火栓,meokon:{ID},S1-C1-G2,西门,118.901,32.1,\n"));
    site
}

/// A hydrant of type 34 that measures `kpa` each hour, the last of them at `at`.
fn frame(id: &str, alarms: u8, kpa: &[i16], at: Timestamp) -> Vec<u8> {
    let mut rest = vec![0x34, 0xc8, 0x0e, 0x10, 0, kpa.len() as u8, 34, alarms, 0, 100, 1, 0xf4];
    rest.extend(kpa.last().unwrap().to_be_bytes());
    rest.extend(((at.0 / 1_000) as u32).to_be_bytes());
    kpa.iter().for_each(|kpa| rest.extend(kpa.to_be_bytes()));
    Frame { command: 0, id, rest: &rest }.encode()
}

fn now() -> Timestamp {
    gateway::clock::wall()
}

/// Over one of the two, as a terminal does it.
enum Line {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Line {
    async fn tcp(station: &Station) -> Self {
        Self::Tcp(TcpStream::connect(station.addresses.meokon_tcp.unwrap()).await.unwrap())
    }

    async fn udp(station: &Station) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(station.addresses.meokon_udp.unwrap()).await.unwrap();
        Self::Udp(socket)
    }

    async fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await.unwrap(),
            Self::Udp(socket) => assert_eq!(socket.send(bytes).await.unwrap(), bytes.len()),
        }
    }

    /// Read by itself, so that a mistake of the gateway's does not pass both: for whom, and what time it says.
    async fn answer(&mut self) -> (String, u32) {
        let mut bytes = [0; 64];
        let length = match self {
            Self::Tcp(stream) => {
                timeout(PATIENCE, stream.read_exact(&mut bytes[..27])).await.unwrap().unwrap()
            }
            Self::Udp(socket) => timeout(PATIENCE, socket.recv(&mut bytes)).await.unwrap().unwrap(),
        };
        let bytes = &bytes[..length];
        assert_eq!(
            (length, &bytes[..5], &bytes[25..]),
            (27, &[0xa5, 0x5a, 0xff, 0, 27][..], &[0x55, 0xaa][..])
        );
        assert_eq!(bytes[21..23], [0, 0]);
        let seconds = u32::from_be_bytes([bytes[17], bytes[18], bytes[19], bytes[20]]);
        (String::from_utf8(bytes[5..17].to_vec()).unwrap(), seconds)
    }

    /// What was sent is answered in the order in which it was: an answer to `later` shows that there was none before.
    async fn answers_only(&mut self, later: &[u8]) {
        self.send(later).await;
        assert_eq!(self.answer().await.0, ID);
    }
}

async fn open(station: &Station, rule: &str) {
    eventually(&format!("an alarm `{rule}`"), 30, || async {
        let found = station.get("/api/v1/alarms?open=1&device=HY-2").await;
        found["items"].as_array().unwrap().iter().any(|alarm| alarm["rule"] == rule).then_some(())
    })
    .await;
}

/// How many values of the pressure are kept.
async fn pressures(station: &Station, from: Timestamp) -> u64 {
    let from = from.rfc3339();
    let series = station.get(&format!("/api/v1/series?device=HY-2&metric=pressure&from={from}")).await;
    series["items"].as_array().unwrap().iter().map(|item| item["count"].as_u64().unwrap()).sum()
}

async fn letters(station: &Station) -> String {
    station.get("/api/v1/dead-letters").await.to_string()
}

#[tokio::test]
async fn a_terminal_is_answered_and_what_it_sends_again_counts_once() {
    let site = site();
    let station = site.start().await;
    let mut points = 0;
    for (mut line, later_s) in [(Line::tcp(&station).await, 0), (Line::udp(&station).await, 1)] {
        let began = now();
        // Whole seconds, and another one each time.
        let at = Timestamp((began.0 / 1_000 - 60 + later_s) * 1_000);
        // Water is drawn; two records of the hours before and one of now.
        let sent = frame(ID, 0x80, &[310, 305, 140], at);
        for _ in 0..3 {
            line.send(&sent).await;
            let (id, seconds) = line.answer().await;
            assert_eq!(id, ID);
            assert!(began.0 / 1_000 <= i64::from(seconds) && i64::from(seconds) <= now().0 / 1_000);
        }
        open(&station, "hydrant-discharge").await;
        // Three records and what was measured then. The answer came after the commit, so it is all there.
        points += 4;
        let since = Timestamp(began.0 - 5 * 3_600_000);
        assert_eq!(pressures(&station, since).await, points);
    }
    station.stop().await;
}

#[tokio::test]
async fn damage_is_not_answered_and_holds_nothing_up() {
    let site = site();
    let station = site.start().await;
    let mut wrong = frame(ID, 0, &[300], now());
    let crc = wrong.len() - 3;
    wrong[crc] ^= 1;
    for mut line in [Line::tcp(&station).await, Line::udp(&station).await] {
        line.send(b"rubbish \xa5 and more \xa5\x5a\x00\x00\x05").await;
        line.send(&wrong).await;
        line.answers_only(&frame(ID, 0, &[301], now())).await;
    }
    let said = letters(&station).await;
    assert!(said.contains("but the bytes give") && said.contains("127.0.0.1:"), "{said}");
    // Something begins like a frame of 8 KiB and never ends: the whole one behind it is found while the terminal still waits.
    let mut line = Line::tcp(&station).await;
    line.send(&[0xa5, 0x5a, 0, 0x20, 0]).await;
    line.answers_only(&frame(ID, 0, &[302], now())).await;
    // A terminal that has said everything and hangs up its half still hears the answer.
    let Line::Tcp(mut stream) = Line::tcp(&station).await else { unreachable!("it is TCP") };
    stream.write_all(&frame(ID, 0, &[303], now())).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut line = Line::Tcp(stream);
    assert_eq!(line.answer().await.0, ID);
    // What is not this protocol at all is left.
    let Line::Tcp(mut stream) = Line::tcp(&station).await else { unreachable!("it is TCP") };
    let web = "GET / HTTP/1.1\r\n".repeat(4_000);
    let _ = stream.write_all(web.as_bytes()).await; // It may be closed in the middle.
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(ended.is_err() || rest.is_empty());
    station.stop().await;
}

#[tokio::test]
async fn a_terminal_that_nobody_registered_keeps_what_it_has() {
    let site = site();
    let station = site.start().await;
    let strange = frame("SHMK21060777", 0, &[300], now());
    for mut line in [Line::tcp(&station).await, Line::udp(&station).await] {
        line.send(&strange).await;
        line.answers_only(&frame(ID, 0, &[301], now())).await;
    }
    let waits = eventually("it waits to be placed", 20, || async {
        let room = station.get("/api/v1/waiting").await["items"].clone();
        room.as_array().unwrap().iter().find(|one| one["address"] == "meokon:SHMK21060777").cloned()
    })
    .await;
    assert_eq!(waits["source"], "meokon", "{waits:#}");
    let place = json!({ "address": "meokon:SHMK21060777", "id": "HY-3", "name": "消火栓", "cell": "S1-C1-G1", "place": "北门" });
    let (status, problem) = station.post("/api/v1/waiting/place", &place).await;
    assert!(status.is_success() && status != StatusCode::ACCEPTED, "{problem:#}");
    // It sends again until somebody answers.
    let mut line = Line::udp(&station).await;
    eventually("it is answered", 20, || async {
        let Line::Udp(socket) = Line::udp(&station).await else { unreachable!("it is UDP") };
        socket.send(&strange).await.unwrap();
        timeout(Duration::from_millis(500), socket.recv(&mut [0; 64])).await.ok().map(drop)
    })
    .await;
    line.send(&frame("SHMK21060777", 0, &[299], now())).await;
    assert_eq!(line.answer().await.0, "SHMK21060777");
    let device = station.get("/api/v1/devices/HY-3").await;
    let value = |metric: &str| {
        let values = device["values"].as_array().unwrap();
        values
            .iter()
            .find(|value| value["metric"] == metric)
            .map_or(Value::Null, |value| value["value"].clone())
    };
    assert_eq!((value("pressure"), value("battery")), (json!(299.0), json!(100.0)));
    station.stop().await;
}
