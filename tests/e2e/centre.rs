//! The city's centre, told of fires over GB/T 26875.3: at once, again when it was away, and over kills of the gateway.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use firmware_sim::transmitter::packet::{ANSWER, CONFIRM, DENY, Packet, REQUEST, SEND};
use gateway::clock::instant;
use serde_json::json;
use tests::crash::{Moment, Victim};
use tests::neighbours::{eventually, free_port, root};
use tests::site::{Site, TOKEN};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// A centre that confirms what it is sent, and remembers it.
#[derive(Clone, Default)]
struct Centre {
    heard: Arc<Mutex<Vec<(Instant, Packet)>>>,
    /// What it says to a report instead of a confirmation.
    refuses: Arc<Mutex<bool>>,
}

impl Centre {
    async fn over_tcp(self, listener: TcpListener) {
        let mut lines = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            lines.spawn(self.clone().line(stream));
        }
    }

    async fn line(self, mut stream: TcpStream) {
        let (mut buffer, mut bytes) = (Vec::new(), vec![0; 4096]);
        // It asks for the version of whoever connects.
        let question =
            Packet { serial: 9, sent: [0; 6], from: 1, to: 1_001, command: REQUEST, unit: vec![85, 1, 0] };
        stream.write_all(&question.bytes()).await.unwrap();
        while let Ok(read @ 1..) = stream.read(&mut bytes).await {
            buffer.extend(&bytes[..read]);
            while let Some(packet) = Packet::take(&mut buffer).unwrap() {
                if let Some(answer) = self.hear(packet) {
                    let _ = stream.write_all(&answer.bytes()).await;
                }
            }
        }
    }

    async fn over_udp(self, socket: UdpSocket) {
        let mut bytes = vec![0; 4096];
        while let Ok((read, peer)) = socket.recv_from(&mut bytes).await {
            let packet = Packet::take(&mut bytes[..read].to_vec()).unwrap().unwrap();
            if let Some(answer) = self.hear(packet) {
                socket.send_to(&answer.bytes(), peer).await.unwrap();
            }
        }
    }

    fn hear(&self, packet: Packet) -> Option<Packet> {
        let report = packet.unit.first() == Some(&2);
        let command = if report && *self.refuses.lock().unwrap() { DENY } else { CONFIRM };
        let answer = Packet { from: packet.to, to: packet.from, command, unit: Vec::new(), ..packet.clone() };
        let wanted = packet.command == SEND;
        self.heard.lock().unwrap().push((instant(), packet));
        wanted.then_some(answer)
    }

    /// The reports of components: state, text, when.
    fn reports(&self) -> Vec<(u8, String, Instant)> {
        let heard = self.heard.lock().unwrap();
        let reports = heard.iter().filter(|(_, packet)| packet.unit.first() == Some(&2));
        reports
            .map(|(at, packet)| {
                let note = Packet::note(&packet.unit);
                (packet.unit[9], note, *at)
            })
            .collect()
    }
}

fn site(centre: &str, forward: &str) -> Site {
    let site = Site::new(&format!(
        "[centre]\n{centre}\naddress = 1\nown_address = 1001\nforward = \"{forward}\"\ntimeout_s = 1\nheartbeat_s = 5\n"
    ));
    let rules = std::fs::read_to_string(root().join("config/rules.toml")).unwrap();
    site.write("rules.toml", &rules.replace("\"duty\"", "\"mqtt\""));
    site.append("devices.csv", "SD-5,smoke_detector,厨房烟感,,S1-C1-G2,2栋1单元201,118.915,32.11,\n");
    site
}

async fn publish(port: u16, device: &str, values: serde_json::Value) {
    let message = json!({ "values": values }).to_string();
    tests::neighbours::publish(port, &format!("gridwarden/up/{device}"), &message, &[]).await;
}

#[tokio::test]
async fn a_fire_is_told_to_the_city_and_so_is_its_end() {
    for over_tcp in [true, false] {
        let (centre, mut tasks) = (Centre::default(), JoinSet::new());
        let address = if over_tcp {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tasks.spawn(centre.clone().over_tcp(listener));
            format!("tcp = \"{address}\"")
        } else {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            tasks.spawn(centre.clone().over_udp(socket));
            format!("udp = \"{address}\"")
        };
        let site = site(&address, "raised");
        let station = site.start().await;
        eventually("our state is at the centre", 20, || async {
            centre
                .heard
                .lock()
                .unwrap()
                .iter()
                .any(|(_, packet)| packet.unit.first() == Some(&21))
                .then_some(())
        })
        .await;
        let mut took = Vec::new();
        for detector in ["SD-1", "SD-2", "SD-4"] {
            let before = centre.reports().len();
            let published = instant();
            publish(station.mqtt_port, detector, json!({"smoke": true})).await;
            eventually("the report", 20, || async { (before < centre.reports().len()).then_some(()) }).await;
            took.push(centre.reports()[before].2.duration_since(published));
        }
        took.sort();
        println!("over TCP {over_tcp}: from publish to report {took:?}");
        assert!(
            centre.reports().iter().all(|(state, note, _)| *state == 3 && !note.is_empty()),
            "{:?}",
            centre.reports()
        );
        if over_tcp {
            eventually("the answer to its question", 10, || async {
                let heard = centre.heard.lock().unwrap();
                heard
                    .iter()
                    .any(|(_, packet)| packet.command == ANSWER && packet.unit == [25, 1, 0, 1])
                    .then_some(())
            })
            .await;
        }
        // The end of the first one.
        publish(station.mqtt_port, "SD-1", json!({"smoke": false})).await;
        let body = json!({"disposition": "false_alarm", "note": "cooking"});
        station.post("/api/v1/alarms/A-1/acknowledge", &json!({})).await;
        let (status, answer) = station.post("/api/v1/alarms/A-1/resolve", &body).await;
        assert!(status.is_success(), "{answer:#}");
        eventually("its end", 20, || async {
            centre.reports().iter().any(|(state, ..)| *state == 1).then_some(())
        })
        .await;

        // A refused report does not hold up the next.
        *centre.refuses.lock().unwrap() = true;
        let before = centre.reports().len();
        let (status, answer) = station
            .post("/api/v1/alarms", &json!({"cell": "S1-C1-G1", "class": "fire", "text": "有人看到火"}))
            .await;
        assert!(status.is_success(), "{answer:#}");
        eventually("three tries", 20, || async { (before + 3 <= centre.reports().len()).then_some(()) })
            .await;
        *centre.refuses.lock().unwrap() = false;
        let (status, answer) = station
            .post("/api/v1/alarms", &json!({"cell": "S1-C1-G2", "class": "fire", "text": "另一处起火"}))
            .await;
        assert!(status.is_success(), "{answer:#}");
        eventually("the next", 20, || async {
            centre.reports().iter().any(|(_, note, _)| note.contains("另一处起火")).then_some(())
        })
        .await;
        station.stop().await;
    }
}

/// The centre is away while it burns and the gateway is killed: it hears of every fire when it is back.
#[tokio::test]
async fn what_the_centre_missed_it_is_told_later_and_over_a_kill() {
    let port = free_port();
    let site = site(&format!("tcp = \"127.0.0.1:{port}\""), "raised");
    let (http, mqtt) = (free_port(), free_port());
    site.fix_ports(http, mqtt);
    let mut victim = Victim::new(site.file("station.toml"), site.file("log"), http);
    victim.start().await.unwrap();
    victim.ready().await.unwrap();
    publish(mqtt, "SD-1", json!({"smoke": true})).await;
    publish(mqtt, "SD-2", json!({"smoke": true})).await;
    victim.kill(Moment::UnderLoad).await.unwrap();
    victim.start().await.unwrap();
    victim.ready().await.unwrap();
    publish(mqtt, "SD-4", json!({"smoke": true})).await;
    let (centre, mut tasks) = (Centre::default(), JoinSet::new());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    tasks.spawn(centre.clone().over_tcp(listener));
    let places =
        || centre.reports().into_iter().map(|(_, note, _)| note).collect::<std::collections::BTreeSet<_>>();
    eventually("three fires", 40, || async { (places().len() == 3).then_some(()) }).await;
    let client = reqwest::Client::new();
    let ready =
        client.get(format!("http://127.0.0.1:{http}/readyz")).bearer_auth(TOKEN).send().await.unwrap();
    let ready: serde_json::Value = ready.json().await.unwrap();
    assert!(ready.to_string().contains("centre"), "{ready:#}");
    // What was confirmed is not told again after the next start.
    tokio::time::timeout(Duration::from_secs(20), victim.stop_in_order()).await.unwrap().unwrap();
    let before = centre.reports().len();
    victim.start().await.unwrap();
    victim.ready().await.unwrap();
    publish(mqtt, "SD-5", json!({"smoke": true})).await;
    eventually("the fourth", 40, || async { (places().len() == 4).then_some(()) }).await;
    assert_eq!(centre.reports().len(), before + 1);
    victim.stop_in_order().await.unwrap();
}
