//! The whole gateway: from a device's publish to the webhook, InfluxDB and the acknowledgement, and over restarts.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tests::databases::victoria_metrics;
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station, WEBHOOK_SECRET};
use tokio::process::Command;

/// Publishes with QoS 1 and returns when the gateway has acknowledged.
async fn publish(station: &Station, topic: &str, payload: &Value) {
    publish_to(station.mqtt_port, topic, payload).await;
}

async fn publish_to(port: u16, topic: &str, payload: &Value) {
    tests::neighbours::publish(port, topic, &payload.to_string(), &[]).await;
}

async fn open_alarms(station: &Station) -> Vec<Value> {
    station.get("/api/v1/alarms?open=true").await["items"].as_array().unwrap().clone()
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the test measures")]
    Instant::now()
}

/// One smoke reading, followed by its id.
#[tokio::test]
async fn from_publish_to_webhook_to_influxdb_to_acknowledgement() {
    let database = victoria_metrics().await.unwrap();
    let receiver = Receiver::start().await;
    let site = Site::new(&format!(
        "{}[influx]\nurl = \"http://127.0.0.1:{}\"\norg = \"o\"\nbucket = \"b\"\nbatch_ms = 50\nreading_ids = true\n",
        receiver.config(),
        database.port
    ));
    let station = site.start().await;

    let published = now();
    publish(&station, "gridwarden/up/SD-1", &json!({"values": {"smoke": true, "temperature": 61.5}})).await;
    let acknowledged_to_device = published.elapsed();

    let delivery = eventually("the webhook", 10, || async { receiver.deliveries().into_iter().next() }).await;
    let alarm = &delivery.json["alarm"];
    assert_eq!(alarm["class"], "fire");
    assert_eq!(alarm["cell"]["code"], "S1-C1-G1", "the right cell");
    assert_eq!(alarm["owner"]["id"], "wang-li", "its responsible person");
    assert_eq!(alarm["device"]["place"], "1栋1单元101");
    let reading = alarm["trigger"]["reading"].as_str().unwrap().to_owned();
    let text = |name: &str| delivery.headers[name].to_str().unwrap().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(text("gridwarden-timestamp").as_bytes());
    mac.update(b".");
    mac.update(&delivery.body);
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        text("gridwarden-signature"),
        format!("v1={signature}"),
        "anybody with the secret can check it"
    );
    let key = text("idempotency-key");

    let id = alarm["id"].as_str().unwrap().to_owned();
    let (status, answer) =
        station.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({"note": "on my way"})).await;
    let acknowledged_by_person = published.elapsed();
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["state"], "acknowledged");
    assert_eq!(answer["acknowledged"]["by"], "duty-officer");

    let value = eventually("the point in the database", 20, || {
        let url = format!(
            "http://127.0.0.1:{}/api/v1/export?match[]=smoke_detector_temperature&reduce_mem_usage=1",
            database.port
        );
        let client = station.client.clone();
        async move {
            let text = client.get(url).send().await.ok()?.text().await.ok()?;
            serde_json::from_str::<Value>(text.lines().next()?).ok()
        }
    })
    .await;
    let stored = published.elapsed();
    assert_eq!(value["values"][0], 61.5);
    assert_eq!(value["metric"]["device"], "SD-1");
    assert_eq!(value["metric"]["station"], "test-1");
    assert_eq!(value["metric"]["cell"], "S1/S1-C1/S1-C1-G1");

    let detail = station.get(&format!("/api/v1/alarms/{id}")).await;
    assert_eq!(detail["alarm"]["trigger"]["reading"], *reading, "the same reading everywhere");
    println!(
        "{reading}: PUBACK after {acknowledged_to_device:?}, webhook {:?} ({key}), acknowledged {acknowledged_by_person:?}, in the database {stored:?}",
        delivery.at.duration_since(published)
    );
    station.stop().await;
}

/// The alarm's whole life, with a restart after every step; nobody is told twice.
#[tokio::test]
async fn restarts_change_nothing() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let station = site.start().await;
    publish(&station, "gridwarden/up/SD-2", &json!({"values": {"smoke": true}})).await;
    eventually("the webhook", 10, || async { receiver.deliveries().into_iter().next() }).await;
    station.stop().await;

    let station = site.start().await;
    publish(&station, "gridwarden/up/SD-2", &json!({"values": {"smoke": true}})).await;
    let alarms = open_alarms(&station).await;
    assert_eq!(alarms.len(), 1, "the same fire is the same alarm: {alarms:#?}");
    let path = format!("/api/v1/alarms/{}", alarms[0]["id"].as_str().unwrap());
    let (status, _) = station.post(&format!("{path}/acknowledge"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    station.stop().await;

    let station = site.start().await;
    let (status, problem) = station.post(&format!("{path}/acknowledge"), &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    publish(&station, "gridwarden/up/SD-2", &json!({"values": {"smoke": false}})).await;
    eventually("the return to normal", 10, || async {
        (station.get(&path).await["alarm"]["state"] == "returned").then_some(())
    })
    .await;
    station.stop().await;

    let station = site.start().await;
    let (status, alarm) = station
        .post(&format!("{path}/resolve"), &json!({"disposition": "false_alarm", "note": "toast"}))
        .await;
    assert_eq!(status, StatusCode::OK, "{alarm}");
    assert_eq!(alarm["state"], "closed");
    assert!(open_alarms(&station).await.is_empty());
    let told = receiver.deliveries();
    assert_eq!(told.len(), 1, "told once: {told:#?}");
    let history: Vec<_> = station.get(&path).await["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["what"].as_str().unwrap().to_owned())
        .filter(|what| what != "repeated")
        .collect();
    assert_eq!(history, ["raised", "told", "acknowledged", "returned", "resolved", "closed"]);
    station.stop().await;
}

/// A device's last will, and its return.
#[tokio::test]
async fn a_will_is_a_sign_of_trouble_and_a_later_reading_ends_it() {
    let site = Site::new("");
    let station = site.start().await;
    publish(&station, "zigbee2mqtt/hall", &json!({"smoke": false, "battery": 80})).await;
    publish(&station, "zigbee2mqtt/hall/availability", &json!({"state": "offline"})).await;
    eventually("the silence alarm", 20, || async {
        open_alarms(&station).await.into_iter().find(|alarm| alarm["rule"] == "silent")
    })
    .await;
    publish(&station, "zigbee2mqtt/hall", &json!({"smoke": false, "battery": 80})).await;
    eventually("its end", 20, || async { open_alarms(&station).await.is_empty().then_some(()) }).await;
    station.stop().await;
}

/// What cannot be used is kept with its reason and never stops the stream.
#[tokio::test]
async fn rubbish_becomes_a_dead_letter_and_the_next_fire_is_heard() {
    let site = Site::new("");
    let station = site.start().await;
    publish(&station, "gridwarden/up/SD-1", &json!("not an object")).await;
    publish(&station, "gridwarden/up/NO-SUCH", &json!({"values": {"smoke": true}})).await;
    publish(&station, "somewhere/else", &json!({})).await;
    publish(&station, "gridwarden/up/SD-1", &json!({"values": {"smoke": true}})).await;
    eventually("the fire", 10, || async { open_alarms(&station).await.into_iter().next() }).await;
    let letters = station.get("/api/v1/dead-letters").await;
    let reasons: Vec<_> = letters["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons.len(), 3, "{reasons:#?}");
    assert!(reasons.iter().any(|reason| reason.contains("NO-SUCH")), "{reasons:#?}");
    station.stop().await;
}

/// The receiver is away when the fire starts; the alert waits and goes out with the same key.
#[tokio::test]
async fn an_alert_waits_for_its_receiver() {
    let receiver = Receiver::start().await;
    receiver.answer(StatusCode::SERVICE_UNAVAILABLE);
    let site = Site::new(&receiver.config());
    let station = site.start().await;
    publish(&station, "gridwarden/up/SD-4", &json!({"values": {"smoke": true}})).await;
    eventually("a refused attempt", 10, || async { receiver.deliveries().into_iter().next() }).await;
    receiver.answer(StatusCode::OK);
    eventually("a later attempt", 30, || async { (receiver.deliveries().len() > 1).then_some(()) }).await;
    let keys: Vec<_> =
        receiver.deliveries().iter().map(|delivery| delivery.headers["idempotency-key"].clone()).collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    let alarm = &open_alarms(&station).await[0];
    let path = format!("/api/v1/alarms/{}", alarm["id"].as_str().unwrap());
    eventually("the receipt", 10, || async {
        let attempts = station.get(&path).await["attempts"].clone();
        let attempts = attempts.as_array().unwrap().clone();
        (attempts.len() >= 2 && attempts.last().unwrap()["outcome"] == "delivered").then_some(())
    })
    .await;
    station.stop().await;
}

/// kill -9 of the program right after acknowledgements: what was acknowledged is there, and the page went out once more at most.
#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let (http, mqtt) = (tests::neighbours::free_port(), tests::neighbours::free_port());
    let fixed = std::fs::read_to_string(site.file("station.toml"))
        .unwrap()
        .replacen("bind = \"127.0.0.1:0\"", &format!("bind = \"127.0.0.1:{http}\""), 1)
        .replacen("bind = \"127.0.0.1:0\"", &format!("bind = \"127.0.0.1:{mqtt}\""), 1);
    site.write("station.toml", &fixed);
    let start = || async {
        Command::new(tests::site::program("gridwarden"))
            .args(["run", "-c"])
            .arg(site.file("station.toml"))
            .stderr(std::fs::File::create(site.file("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let client = reqwest::Client::new();
    let ready = || {
        eventually("ready", 20, || {
            let request = client.get(format!("http://127.0.0.1:{http}/readyz"));
            async move { request.send().await.ok().filter(|answer| answer.status().is_success()).map(drop) }
        })
    };
    let mut program = start().await;
    ready().await;
    for round in 0..3 {
        publish_to(mqtt, "gridwarden/up/SD-1", &json!({"values": {"smoke": true, "battery": 90 - round}}))
            .await;
        program.kill().await.unwrap(); // The PUBACK has been seen: it must be on disk.
        program = start().await;
        ready().await;
        let series: Value = client
            .get(format!("http://127.0.0.1:{http}/api/v1/series?device=SD-1&metric=battery"))
            .bearer_auth(tests::site::TOKEN)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let points = series["items"].as_array().unwrap();
        assert_eq!(points.len(), round + 1, "every acknowledged reading: {series:#}");
        let alarms: Value = client
            .get(format!("http://127.0.0.1:{http}/api/v1/alarms"))
            .bearer_auth(tests::site::TOKEN)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(alarms["items"].as_array().unwrap().len(), 1, "one fire, one alarm: {alarms:#}");
    }
    eventually("the webhook", 20, || async { receiver.deliveries().into_iter().next() }).await;
    let keys: std::collections::BTreeSet<_> = receiver
        .deliveries()
        .iter()
        .map(|d| d.headers["idempotency-key"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 1, "the same key however often it was sent: {keys:?}");
    program.kill().await.unwrap();
}

/// Server-sent events go on where the reader left off.
#[tokio::test]
async fn events_resume_after_a_lost_connection() {
    let site = Site::new("");
    let station = site.start().await;
    publish(&station, "gridwarden/up/SD-1", &json!({"values": {"smoke": true}})).await;
    let alarm = eventually("the fire", 10, || async { open_alarms(&station).await.into_iter().next() }).await;
    let path = format!("/api/v1/alarms/{}", alarm["id"].as_str().unwrap());
    station.post(&format!("{path}/acknowledge"), &json!({})).await;
    let mut answer = station
        .client
        .get(format!("{}/api/v1/events", station.http))
        .bearer_auth(tests::site::TOKEN)
        .header("last-event-id", "1")
        .send()
        .await
        .unwrap();
    let mut text = String::new();
    let read = async {
        while !text.contains("\"acknowledged\"") {
            text.push_str(&String::from_utf8_lossy(&answer.chunk().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the acknowledgement is replayed");
    assert!(!text.contains("\"number\":1,"), "what was seen is not repeated: {text}");
    station.stop().await;
}

/// Two detectors of one cell within the time: the first alarm's next step is taken at once, minutes before it would be due, and nothing of either is held back.
#[tokio::test]
async fn a_second_detector_confirms_the_fire() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    site.write("rules.toml", &rules.replace("confirm_within_s = 0", "confirm_within_s = 300"));
    let station = site.start().await;
    let told = |alarm: &'static str, person: &'static str| {
        let receiver = &receiver;
        eventually(alarm, 10, move || async move {
            let deliveries = receiver.deliveries();
            let found = deliveries.iter().find(|delivery| {
                delivery.json["alarm"]["id"] == alarm && delivery.json["alert"]["person"]["id"] == person
            });
            found.map(|delivery| delivery.json["alarm"].clone())
        })
    };
    publish(&station, "gridwarden/up/SD-1", &json!({"values": {"smoke": true}})).await;
    told("A-1", "wang-li").await;
    assert_eq!(receiver.deliveries().len(), 1, "one head, one page");
    publish(&station, "gridwarden/up/SD-2", &json!({"values": {"smoke": true}})).await;
    let second = told("A-2", "wang-li").await;
    assert_eq!(second["incident"], "A-1", "{second:#}");
    told("A-1", "chen-jie").await;
    let history = station.get("/api/v1/alarms/A-1").await["history"].clone();
    let confirmed = history.as_array().unwrap().iter().filter(|entry| entry["what"] == "confirmed").count();
    assert_eq!(confirmed, 1, "{history:#}");
    station.stop().await;
}
