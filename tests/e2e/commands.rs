//! What goes from the station to devices and to whoever follows alarms over MQTT: with mosquitto_sub on our listener and on a real broker.

use std::process::Stdio;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::neighbours::{Neighbour, eventually, mosquitto};
use tests::site::{Site, Station};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// mosquitto_sub that prints `topic retained payload`.
struct Subscriber {
    _program: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Subscriber {
    fn start(port: u16, filter: &str) -> Self {
        let mut program = Command::new("mosquitto_sub")
            .args(["-p", &port.to_string(), "-q", "1", "-t", filter, "-F", "%t %r %p"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap()).lines();
        Self { _program: program, lines }
    }

    /// Topic, whether it was retained, payload.
    async fn next(&mut self) -> (String, bool, String) {
        let line = tokio::time::timeout(std::time::Duration::from_secs(20), self.lines.next_line());
        let line = line.await.expect("a message within 20 s").unwrap().expect("mosquitto_sub runs");
        let mut parts = line.splitn(3, ' ').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        (part(), part() == "1", part())
    }
}

async fn publish(port: u16, topic: &str, payload: &Value) {
    tests::neighbours::publish(port, topic, &payload.to_string(), &[]).await;
}

fn with_broker(broker: &Neighbour, more: &str) -> String {
    format!(
        "{more}[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"s\"\nsubscribe = [\"zigbee2mqtt/#\"]\ncommands = true\n",
        broker.port
    )
}

async fn command(station: &Station, device: &str, body: &Value) -> (StatusCode, Value) {
    station.post(&format!("/api/v1/devices/{device}/command"), body).await
}

#[tokio::test]
async fn a_device_is_commanded_by_the_listener_or_by_its_broker_and_it_is_recorded() {
    let broker = mosquitto("").await.unwrap();
    let site = Site::new(&with_broker(&broker, ""));
    let station = site.start().await;
    let siren = json!({"payload": {"warning": {"mode": "fire", "duration": 5}}});

    let (status, problem) = command(&station, "SD-1", &siren).await;
    assert_eq!(
        (status, &problem["type"]),
        (StatusCode::CONFLICT, &json!("urn:gridwarden:problem:cannot-command"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("gridwarden/down/SD-1"), "{problem}");

    let mut device = Subscriber::start(station.mqtt_port, "gridwarden/down/SD-1");
    let answer = eventually("the device listens", 20, || async {
        let (status, answer) = command(&station, "SD-1", &siren).await;
        (status == StatusCode::ACCEPTED).then_some(answer)
    })
    .await;
    assert_eq!(answer, json!({"topic": "gridwarden/down/SD-1", "by": "listener"}));
    let (topic, retained, payload) = device.next().await;
    assert_eq!((topic.as_str(), retained), ("gridwarden/down/SD-1", false));
    assert_eq!(serde_json::from_str::<Value>(&payload).unwrap(), siren["payload"]);

    // A Zigbee device behind the broker.
    let mut bridge = Subscriber::start(broker.port, "zigbee2mqtt/+/set");
    let got = async {
        loop {
            let (status, answer) = command(&station, "SD-3", &siren).await;
            if status == StatusCode::ACCEPTED {
                assert_eq!(answer["by"], "main");
            }
            if let Ok(got) = tokio::time::timeout(std::time::Duration::from_secs(1), bridge.next()).await {
                return got;
            }
        }
    };
    let (topic, _, payload) = tokio::time::timeout(std::time::Duration::from_secs(20), got).await.unwrap();
    assert_eq!(topic, "zigbee2mqtt/hall/set");
    assert_eq!(serde_json::from_str::<Value>(&payload).unwrap(), siren["payload"]);
    // What we sent comes back by our own subscription and is nobody's reading.
    assert_eq!(station.get("/api/v1/dead-letters").await["items"], json!([]));

    for (device, body, expected) in [
        ("HY-1", &siren, StatusCode::ACCEPTED),
        ("NO-SUCH", &siren, StatusCode::NOT_FOUND),
        ("SD-1", &json!({"payload": "on"}), StatusCode::UNPROCESSABLE_ENTITY),
        ("SD-1", &json!({}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (status, answer) = command(&station, device, body).await;
        let expected = if device == "HY-1" { StatusCode::CONFLICT } else { expected };
        assert_eq!(status, expected, "{device} {body}: {answer}");
    }
    let store = gateway::store::Store::open_beside(&site.file("data/station.db")).unwrap();
    let audit = store.audit(None, 100).await.unwrap();
    let lines: Vec<_> = audit.iter().filter(|(_, line)| line.what == "device.command").collect();
    assert!(lines.iter().any(|(_, line)| {
        line.who == "duty-officer" && line.target == "device SD-3" && line.detail.contains("\"fire\"")
    }));
    station.stop().await;
}

/// An alarm's life as a follower sees it, and what a late one finds.
async fn follow(station: &Station, port: u16) {
    let mut early = Subscriber::start(port, "gridwarden/test-1/alarms/#");
    // The subscription stands once it hears something.
    let raised = async {
        for n in 0.. {
            publish(
                station.mqtt_port,
                "gridwarden/up/SD-1",
                &json!({"values": {"smoke": true, "battery": n}}),
            )
            .await;
            if let Ok(heard) = tokio::time::timeout(std::time::Duration::from_secs(1), early.next()).await {
                return heard;
            }
        }
        unreachable!()
    };
    let (topic, _, payload) = tokio::time::timeout(std::time::Duration::from_secs(30), raised).await.unwrap();
    let change: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(change["alarm"]["class"], "fire");
    let id = change["alarm"]["id"].as_str().unwrap().to_owned();
    assert_eq!(topic, format!("gridwarden/test-1/alarms/{id}"));
    let (status, _) = station.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    loop {
        let (_, _, payload) = early.next().await;
        let change: Value = serde_json::from_str(&payload).unwrap();
        if change["entry"]["what"] == "acknowledged" {
            break;
        }
    }
    let mut late = Subscriber::start(port, "gridwarden/test-1/alarms/#");
    let (_, retained, payload) = late.next().await;
    let change: Value = serde_json::from_str(&payload).unwrap();
    assert!(retained && change["alarm"]["state"] == "acknowledged", "{change:#}");

    let (_, _) =
        station.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({"disposition": "false_alarm"})).await;
    publish(station.mqtt_port, "gridwarden/up/SD-1", &json!({"values": {"smoke": false}})).await;
    loop {
        let (_, retained, payload) = late.next().await;
        assert!(!retained, "only what was there before");
        if payload.is_empty() {
            break; // Taken away.
        }
    }
    // The next one that is open is all that a new follower finds.
    publish(station.mqtt_port, "gridwarden/up/SD-2", &json!({"values": {"smoke": true}})).await;
    eventually("a new follower finds the open one only", 20, || async {
        let mut new = Subscriber::start(port, "gridwarden/test-1/alarms/#");
        let (topic, retained, payload) = new.next().await;
        assert!(!topic.ends_with(&id), "closed and yet retained: {payload}");
        retained.then_some(())
    })
    .await;
}

#[tokio::test]
async fn alarms_are_followed_on_a_broker_and_the_open_ones_are_retained() {
    let broker = mosquitto("").await.unwrap();
    let site = Site::new(&with_broker(&broker, "broker = \"main\"\n"));
    let station = site.start().await;
    follow(&station, broker.port).await;
    station.stop().await;
}

#[tokio::test]
async fn alarms_are_followed_on_the_listener_and_the_open_ones_are_there_after_a_restart() {
    let site = Site::new("");
    let station = site.start().await;
    follow(&station, station.mqtt_port).await;
    station.stop().await;
    let station = site.start().await;
    let mut late = Subscriber::start(station.mqtt_port, "gridwarden/test-1/alarms/#");
    let (_, _, payload) = late.next().await;
    let change: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(change["alarm"]["device"]["id"], "SD-2", "open since before the restart");
    station.stop().await;
}
