//! An operator's platform pushes to the whole gateway over HTTP: a fire through CTWing reaches the webhook, and 200 is said only when it is on disk.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::faulty_disk::{ENOSPC, FaultyDisk};
use tests::neighbours::eventually;
use tests::running::{Running, fix_ports};
use tests::site::{Receiver, Site, Station};

const SECRET: &str = "the-address-nobody-guesses";

/// A station with two doors, and a detector that is known by its IMEI.
fn site(receiver: &Receiver, more: &str) -> Site {
    let doors = format!(
        "{}[[push_in]]\nname = \"aep\"\nsender = \"ctwing\"\nsecret = {{ file = \"door\" }}\nmax_kb = 4\n{more}",
        receiver.config()
    );
    let site = Site::new(&doors);
    site.write("door", SECRET);
    let row = "NB-1,smoke_detector,独立烟感,imei:861234050006789,S1-C1-G1,1栋1单元301,118.905,32.11,\n";
    site.append("devices.csv", row);
    site
}

/// What a Huaqiang W308 sends through CTWing.
fn smoke(set: bool, imei: &str) -> Value {
    let mut bytes = b"PU\0\x30\x10\x01\x2f\x08\x01\0\x03\0\x1b".to_vec();
    let now = seconds();
    bytes.extend(((now - 1_536_508_800) as u32).to_be_bytes());
    let digits: Vec<u8> = imei.bytes().chain([b'0']).map(|digit| digit - b'0').collect();
    bytes.extend(digits.chunks(2).map(|pair| pair[0] | pair[1] << 4));
    bytes.extend([8, 0, u8::from(set), 0, 0, 1, 47, 97, 121, 1, 2, 3, 4, 89]);
    bytes.extend([0; 13]);
    json!({ "messageType": "dataReport", "IMEI": imei, "protocol": "lwm2m", "timestamp": now * 1000,
        "payload": { "APPdata": STANDARD.encode(bytes) } })
}

/// What a Huaqiang W306 sends: the measurements that it kept, minutes ago and in kPa. From the captured message of its profile.
fn pressures(kept: &[(u32, u32)], imei: &str) -> Value {
    const CAPTURED: &str =
        "UFUAPBAAAAYBAAMAJwMnuwpogDAwYGckCQYAAQAADjxkZAJVcVCnAAAAAAAAAEYAAAAAAAAAAAEDJ7sKAAAAAA==";
    let mut bytes = STANDARD.decode(CAPTURED).unwrap();
    let now = seconds();
    let clock = |minutes_ago: u32| ((now - 1_536_508_800) as u32 - 60 * minutes_ago).to_be_bytes();
    bytes[13..17].copy_from_slice(&clock(0));
    let digits: Vec<u8> = imei.bytes().chain([b'0']).map(|digit| digit - b'0').collect();
    let packed: Vec<u8> = digits.chunks(2).map(|pair| pair[0] | pair[1] << 4).collect();
    bytes[17..25].copy_from_slice(&packed);
    bytes[27] = 0;
    bytes[55] = kept.len() as u8;
    bytes.truncate(56);
    for (minutes_ago, kpa) in kept {
        bytes.extend(clock(*minutes_ago));
        bytes.extend(kpa.to_be_bytes());
    }
    json!({ "messageType": "dataReport", "IMEI": imei, "protocol": "lwm2m", "timestamp": now * 1000,
        "payload": { "APPdata": STANDARD.encode(bytes) } })
}

fn seconds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a device has a clock of its own")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs()
}

async fn push(station: &Station, secret: &str, body: impl Into<String>) -> StatusCode {
    let request = station.client.post(format!("{}/in/{secret}", station.http)).body(body.into());
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_fire_through_a_platform_calls_the_responsible_person() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "");
    let station = site.start().await;
    let fire = smoke(true, "861234050006789").to_string();
    assert_eq!(push(&station, SECRET, fire.clone()).await, StatusCode::OK);
    let alarms = station.get("/api/v1/alarms?open=true").await;
    assert_eq!(alarms["items"][0]["class"], "fire", "acknowledged, so it is stored: {alarms}");
    assert_eq!(alarms["items"][0]["device"]["id"], "NB-1");
    eventually("the webhook", 10, || async { receiver.heard_of("A-1").then_some(()) }).await;
    // Sent again, as after a lost answer: no second alarm.
    assert_eq!(push(&station, SECRET, fire).await, StatusCode::OK);
    assert_eq!(station.get("/api/v1/alarms?open=true").await["items"].as_array().unwrap().len(), 1);
    station.stop().await;
}

#[tokio::test]
async fn measurements_that_a_hydrant_kept_are_filed_at_their_own_times_and_call_nobody() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "");
    let row = "NB-2,hydrant,东门消火栓,imei:861234050006797,S1-C1-G1,东门,118.905,32.11,\n";
    site.append("devices.csv", row);
    let station = site.start().await;
    // Two hours ago the main was empty for a while; an hour ago it was not any more.
    let kept = [(180, 410), (120, 0), (119, 2), (60, 405)];
    let batch = pressures(&kept, "861234050006797").to_string();
    assert_eq!(push(&station, SECRET, batch.clone()).await, StatusCode::OK);
    let series = station.get("/api/v1/series?device=NB-2&metric=pressure&points=5000").await;
    let values: Vec<_> =
        series["items"].as_array().unwrap().iter().map(|item| item["last"].clone()).collect();
    assert_eq!(values, [410.0, 0.0, 2.0, 405.0], "in the order in which they were: {series}");
    assert_eq!(station.get("/api/v1/alarms").await["items"], json!([]), "nobody is called for what is over");
    // The platform did not hear our answer and sends it once more.
    assert_eq!(push(&station, SECRET, batch).await, StatusCode::OK);
    let series = station.get("/api/v1/series?device=NB-2&metric=pressure&points=5000").await;
    assert_eq!(series["items"].as_array().map(Vec::len), Some(4), "{series}");
    station.stop().await;
}

#[tokio::test]
async fn what_is_of_no_use_is_a_dead_letter_and_what_is_not_ours_is_refused() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "");
    let station = site.start().await;
    for (secret, body, status) in [
        ("the-address-somebody-guesses", "{}".to_owned(), StatusCode::NOT_FOUND),
        (SECRET, "x".repeat(5_000), StatusCode::PAYLOAD_TOO_LARGE),
        (SECRET, "no JSON".to_owned(), StatusCode::OK),
        (SECRET, smoke(true, "860000000000001").to_string(), StatusCode::OK),
    ] {
        assert_eq!(push(&station, secret, body).await, status);
    }
    let letters = station.get("/api/v1/dead-letters").await;
    let reasons: Vec<_> =
        letters["items"].as_array().unwrap().iter().map(|letter| letter.to_string()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons.iter().all(|letter| letter.contains("push_in:aep") && !letter.contains(SECRET)),
        "{reasons:?}"
    );
    assert!(reasons.iter().any(|letter| letter.contains("imei:860000000000001")), "{reasons:?}");
    station.stop().await;
}

#[tokio::test]
async fn a_door_that_is_pushed_too_hard_refuses_all_but_a_fire() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "messages_per_s_max = 1\n");
    let station = site.start().await;
    let calm = smoke(false, "861234050006789").to_string();
    let mut refused = false;
    for _ in 0..50 {
        refused |= push(&station, SECRET, calm.clone()).await == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(refused);
    assert_eq!(push(&station, SECRET, smoke(true, "861234050006789").to_string()).await, StatusCode::OK);
    station.stop().await;
}

#[tokio::test]
async fn without_a_disk_nothing_is_acknowledged_and_the_fire_is_told() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "");
    let disk = FaultyDisk::new(site.folder.path());
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &environment(&disk)).await;
    disk.refuses_writes(ENOSPC);
    let url = format!("http://127.0.0.1:{}/in/{SECRET}", running.http);
    let client = reqwest::Client::new();
    let send = || client.post(&url).body(smoke(true, "861234050006789").to_string()).send();
    assert_eq!(send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    eventually("the page from memory", 20, || async { (!receiver.deliveries().is_empty()).then_some(()) })
        .await;
    disk.works();
    eventually("acknowledged, when stored", 30, || async {
        (send().await.ok()?.status() == StatusCode::OK).then_some(())
    })
    .await;
}

fn environment(disk: &FaultyDisk) -> Vec<(&'static str, std::ffi::OsString)> {
    disk.environment().into_iter().map(|(name, path)| (name, path.into_os_string())).collect()
}
