//! Every family of the field through the whole station with the rules we ship: LoRaWAN, cameras, a serial Modbus line, late and repeated messages, and
//! devices that are registered while it runs.

use std::path::Path;
use std::process::Stdio;

use firmware_sim::hydrants::Pressures;
use firmware_sim::modbus::Hydrants;
use serde_json::{Value, json};
use tests::databases::{Series, exported, victoria_metrics};
use tests::neighbours::{eventually, mosquitto, publish, root};
use tests::site::{Receiver, Site, Station, program};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::modbus::bench::pty_pair;

const DEVICES: &str = "id,kind,name,address,cell,place,silent_after_s
SD-1,smoke_detector,烟感,,S1-C1-G1,1栋101,
LO-1,smoke_detector,无线烟感,lora:a84041ffff1c2d3e,S1-C1-G1,1栋201,
CAM-1,access_camera,电梯摄像头,frigate:lift-2,S1-C1-G2,2栋电梯,
HY-1,hydrant,东门消火栓,modbus:line/1,S1-C1-G2,东门,
";

const TOPICS: &str = "[[topic]]\nfilter = \"application/+/device/+/event/+\"\ndecoder = \"chirpstack\"\n\
    [[topic]]\nfilter = \"frigate/#\"\ndecoder = \"frigate\"\n";

/// A site with the rules of config/ and these devices.
fn site(more: &str) -> Site {
    let site = Site::new(more);
    let rules = std::fs::read_to_string(root().join("config/rules.toml")).unwrap();
    site.write("rules.toml", &rules);
    site.write("devices.csv", DEVICES);
    site
}

/// The open alarm of this device and rule, as soon as there is one.
async fn alarm(station: &Station, device: &str, rule: &str) -> Value {
    eventually(&format!("an alarm `{rule}` of {device}"), 30, || async {
        let found = station.get(&format!("/api/v1/alarms?open=1&device={device}")).await;
        found["items"].as_array().unwrap().iter().find(|alarm| alarm["rule"] == rule).cloned()
    })
    .await
}

/// The latest value of a device's series in the database.
fn newest(all: &[Series], name: &str, device: &str) -> Option<f64> {
    let series = all.iter().find(|series| series.name() == name && series.label("device") == device)?;
    series.values.last().copied()
}

#[tokio::test]
async fn every_family_reaches_the_responsible_person_and_the_database() {
    let database = victoria_metrics().await.unwrap();
    let receiver = Receiver::start().await;
    let (_socat, ours, theirs) = pty_pair().await;
    let (pressures, stop) = (Pressures::default(), CancellationToken::new());
    pressures.set(1, 252.0);
    let mut tasks = tokio::task::JoinSet::new();
    let (simulated, line_stop) = (Hydrants::new(pressures.clone()), stop.clone());
    tasks.spawn(async move { simulated.serve_rtu(&theirs, 9600, line_stop).await });
    let site = site(&format!(
        "{TOPICS}{}[influx]\nurl = \"http://127.0.0.1:{}\"\norg = \"o\"\nbucket = \"b\"\nbatch_ms = 50\nsender = \"influxdb2\"\n\
         [[modbus]]\nname = \"line\"\npoll_every_ms = 300\nserial = {{ path = \"{}\", baud = 9600 }}\n\
         [[modbus.unit]]\nunit = 1\nmap = \"mpd-380\"\n",
        receiver.config(),
        database.port,
        ours.display(),
    ));
    let station = site.start().await;

    // A LoRaWAN detector by ChirpStack.
    let uplink = json!({"deviceInfo": {"devEui": "A84041FFFF1C2D3E"}, "fCnt": 7, "object": {"smoke": 1, "battery": 91},
        "rxInfo": [{"gatewayId": "aa", "rssi": -101, "snr": 2.5}]});
    let topic = "application/7c1f/device/a84041ffff1c2d3e/event/up";
    publish(station.mqtt_port, topic, &uplink.to_string(), &[]).await;
    let fire = alarm(&station, "LO-1", "smoke").await;
    assert_eq!((&fire["class"], &fire["owner"]["id"]), (&json!("fire"), &json!("wang-li")));

    // A camera by Frigate: what it sees comes and goes.
    let seen = |kind: &str| {
        json!({"type": kind, "before": {}, "after": {"camera": "lift-2", "label": "ebike", "top_score": 0.9}})
            .to_string()
    };
    publish(station.mqtt_port, "frigate/events", &seen("new"), &[]).await;
    let bike = alarm(&station, "CAM-1", "ebike-in-lift").await;
    assert_eq!(bike["owner"]["id"], "zhang-wei");
    publish(station.mqtt_port, "frigate/events", &seen("end"), &[]).await;
    eventually("the electric bicycle is gone", 10, || async {
        let path = format!("/api/v1/alarms/{}", bike["id"].as_str().unwrap());
        (!station.get(&path).await["alarm"]["returned"].is_null()).then_some(())
    })
    .await;

    // A hydrant on a serial line: the main bursts.
    eventually("the first pressure", 20, || async {
        let device = station.get("/api/v1/devices/HY-1").await;
        let values = device["values"].as_array()?.clone();
        values.iter().any(|value| value["metric"] == "pressure" && value["value"] == 252.0).then_some(())
    })
    .await;
    pressures.set(1, 121.0);
    let falls = alarm(&station, "HY-1", "hydrant-pressure-falls").await;
    assert_eq!(falls["class"], "supervisory");
    let low = alarm(&station, "HY-1", "hydrant-pressure-low").await;
    assert_eq!(low["text"], "消火栓水压低 121 kPa，东门（东门消火栓）", "the unit once");
    eventually("both people were told", 20, || async {
        let told = receiver.deliveries();
        let rules = ["smoke", "ebike-in-lift", "hydrant-pressure-falls", "hydrant-pressure-low"];
        rules.iter().all(|rule| told.iter().any(|one| one.json["alarm"]["rule"] == **rule)).then_some(())
    })
    .await;

    eventually("all of it is in the database, by the influxdb2 crate", 20, || async {
        let all = exported(database.port).await.ok()?;
        let value = |name: &str, device: &str| newest(&all, name, device);
        (value("smoke_detector_battery", "LO-1") == Some(91.0)
            && value("smoke_detector_rssi", "LO-1") == Some(-101.0)
            && value("hydrant_pressure", "HY-1") == Some(121.0)
            && value("access_camera_score", "CAM-1") == Some(0.9))
        .then_some(())
    })
    .await;
    station.stop().await;
    stop.cancel();
    while tasks.join_next().await.is_some() {}
}

/// CONNECT and one PUBLISH of MQTT 3.1.1 with the DUP flag, as a device sends it that was cut off before its PUBACK.
async fn publish_again(port: u16, topic: &str, payload: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dup").await.unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.unwrap();
    let mut body = vec![0, u8::try_from(topic.len()).unwrap()];
    body.extend(topic.as_bytes());
    body.extend([0, 9]);
    body.extend(payload.as_bytes());
    stream.write_all(&[0x3a, u8::try_from(body.len()).unwrap()]).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut puback = [0; 4];
    stream.read_exact(&mut puback).await.unwrap();
    assert_eq!(puback, [0x40, 2, 0, 9]);
}

fn ago(seconds: i64) -> String {
    gateway::units::Timestamp(gateway::clock::wall().0 - seconds * 1000).rfc3339()
}

#[tokio::test]
async fn late_repeated_latched_and_test_messages_are_told_apart() {
    let broker = mosquitto("").await.unwrap();
    let retained = json!({"values": {"smoke": true}}).to_string();
    publish(broker.port, "kept/up/SD-4", &retained, &["-r"]).await;
    let receiver = Receiver::start().await;
    let site = Site::new(&format!(
        "{}[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"s\"\nsubscribe = [\"kept/up/#\"]\n\
         [[topic]]\nfilter = \"kept/up/#\"\ndecoder = \"native\"\n",
        receiver.config(),
        broker.port
    ));
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let latched =
        rules.replace("state = { flag = \"smoke\" }", "state = { flag = \"smoke\", latched_quiet_s = 1 }");
    let test = "[[rule]]\nname = \"test\"\nclass = \"test\"\ntext = \"test {device}\"\nkinds = [\"smoke_detector\"]\nclose = \"returned\"\n\
        state = { flag = \"test\" }\n";
    site.write("rules.toml", &format!("{latched}{test}"));
    let station = site.start().await;
    let told = |device: &'static str| {
        let all = receiver.deliveries();
        all.into_iter().filter(|one| one.json["alarm"]["device"]["id"] == device).collect::<Vec<_>>()
    };

    // Kept by a broker: a fire nobody was told of, of unknown age.
    let kept = alarm(&station, "SD-4", "smoke").await;
    assert!(kept["late"].is_object() && kept["late"]["age_s"].is_null(), "{kept:#}");
    assert_eq!(kept["trigger"]["freshness"], "retained");

    // Measured an hour ago.
    let hour = json!({"time": ago(3600), "values": {"smoke": true}}).to_string();
    publish(station.mqtt_port, "gridwarden/up/SD-1", &hour, &[]).await;
    let late = alarm(&station, "SD-1", "smoke").await;
    assert_eq!(late["trigger"]["freshness"], "backfill");
    let age = late["late"]["age_s"].as_f64().unwrap();
    assert!((3600.0..3700.0).contains(&age), "{age}");

    // The button: nobody is called.
    publish(station.mqtt_port, "zigbee2mqtt/hall", "{\"smoke\":true,\"test\":true}", &[]).await;
    let button = alarm(&station, "SD-3", "test").await;
    assert_eq!(button["class"], "test");
    let of_hall = station.get("/api/v1/alarms?device=SD-3").await;
    assert_eq!(of_hall["items"].as_array().unwrap().len(), 1, "a test press is no fire: {of_hall:#}");

    // Latched: no frame says that it is over; quiet time does, and the next frame is another fire, or the same one again when it is a repetition.
    let time = ago(0);
    let frame = json!({"time": time, "values": {"smoke": true}}).to_string();
    publish(station.mqtt_port, "gridwarden/up/SD-2", &frame, &[]).await;
    let first = alarm(&station, "SD-2", "smoke").await;
    assert!(first["late"].is_null());
    let path = format!("/api/v1/alarms/{}", first["id"].as_str().unwrap());
    let (status, _) = station.post(&format!("{path}/acknowledge"), &json!({})).await;
    assert_eq!(status, 200);
    let returned = || async { (!station.get(&path).await["alarm"]["returned"].is_null()).then_some(()) };
    eventually("quiet time", 10, returned).await;
    publish_again(station.mqtt_port, "gridwarden/up/SD-2", &frame).await;
    let after = station.get(&path).await;
    assert!(
        !after["alarm"]["returned"].is_null(),
        "the same frame again proves life and nothing else: {after:#}"
    );
    let calls = told("SD-2").len();
    publish(station.mqtt_port, "gridwarden/up/SD-2", &json!({"values": {"smoke": true}}).to_string(), &[])
        .await;
    eventually("the second episode calls again, although the first was answered", 10, || async {
        (calls < told("SD-2").len()).then_some(())
    })
    .await;
    assert!(told("SD-3").is_empty(), "nobody was called for the button");
    eventually("both late fires were told", 10, || async {
        (!told("SD-1").is_empty() && !told("SD-4").is_empty()).then_some(())
    })
    .await;
    station.stop().await;
}

async fn import(site: &Site, file: &Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(program("gridwarden"))
        .args(["import", "devices"])
        .arg(file)
        .arg("-c")
        .arg(site.file("station.toml"))
        .args(more)
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// As Excel in a Chinese Windows saves it: GB 18030, CRLF, Chinese column names.
#[tokio::test]
async fn a_device_that_is_imported_beside_the_station_is_taken_within_seconds() {
    let site = Site::new("");
    let station = site.start().await;
    let table =
        gb18030("编号,类型,名称,网格,位置,离线时限(秒)\r\nSD-9,smoke_detector,新烟感,S1-C1-G1,3栋901,2\r\n")
            .await;
    std::fs::write(site.file("新设备.csv"), table).unwrap();
    let (good, text) = import(&site, &site.file("新设备.csv"), &["--dry-run"]).await;
    assert!(good && text.contains("+ device SD-9") && text.contains("dry run"), "{text}");
    let missing = station.client.get(format!("{}/api/v1/devices/SD-9", station.http));
    let missing = missing.bearer_auth(tests::site::TOKEN).send().await.unwrap();
    assert_eq!(missing.status(), 404, "a dry run changes nothing");

    let bad = "id,kind,name,cell\nSD-10,smoke_detektor,a,S1-C1-G1\nSD-11,smoke_detector,b,S9\n";
    site.write("bad.csv", bad);
    let (good, text) = import(&site, &site.file("bad.csv"), &[]).await;
    assert!(!good && text.contains("nothing was imported"), "{text}");
    assert!(text.contains("bad.csv:2:7: ") && text.contains("smoke_detector"), "{text}");

    let (good, text) = import(&site, &site.file("新设备.csv"), &[]).await;
    assert!(good, "{text}");
    eventually("the station knows it", 10, || async {
        let devices = station.get("/api/v1/devices?limit=100").await;
        devices["items"].as_array()?.iter().any(|device| device["id"] == "SD-9").then_some(())
    })
    .await;
    // It was never heard, and is missed all the same.
    let silent = alarm(&station, "SD-9", "silent").await;
    assert_eq!(silent["device"]["place"], "3栋901");
    publish(station.mqtt_port, "gridwarden/up/SD-9", "{\"values\":{\"smoke\":true}}", &[]).await;
    let fire = alarm(&station, "SD-9", "smoke").await;
    assert_eq!(fire["owner"]["id"], "wang-li");
    let (good, text) = import(&site, &site.file("新设备.csv"), &[]).await;
    assert!(good && !text.contains("+ device"), "the same file twice changes nothing: {text}");
    station.stop().await;
}

async fn gb18030(text: &str) -> Vec<u8> {
    let mut iconv = Command::new("iconv")
        .args(["-f", "UTF-8", "-t", "GB18030"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    iconv.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let output = iconv.wait_with_output().await.unwrap();
    assert!(output.status.success() && std::str::from_utf8(&output.stdout).is_err(), "it is not UTF-8");
    output.stdout
}

/// The newest values are there again after a restart, not only those since the last snapshot.
#[tokio::test]
async fn the_newest_values_survive_a_restart() {
    let site = Site::new("");
    let station = site.start().await;
    publish(
        station.mqtt_port,
        "gridwarden/up/SD-1",
        "{\"values\":{\"battery\":77,\"temperature\":21.5}}",
        &[],
    )
    .await;
    let before = station.get("/api/v1/devices/SD-1").await;
    station.stop().await; // Takes a snapshot, so that nothing is replayed.
    let station = site.start().await;
    let after = station.get("/api/v1/devices/SD-1").await;
    assert_eq!(after["values"], before["values"], "{after:#}");
    station.stop().await;
}

/// A hydrant that is knocked over says so in one binary frame, over MQTT as text.
#[tokio::test]
async fn a_hydrant_of_meokon_is_knocked_tilted_and_opened() {
    let site = site(
        "[[topic]]\nfilter = \"GIOT-GW/UL/#\"\ndecoder = \"meokon\"\n[[webhook]]\nname = \"duty\"\nurl = \"http://127.0.0.1:9/\"\n",
    );
    site.write(
        "devices.csv",
        &format!("{DEVICES}HY-2,hydrant,西门消火栓,meokon:SHMK21060001,S1-C1-G2,西门,\n")
            .replace("modbus:line/1", "native:HY-1"),
    );
    let station = site.start().await;
    let golden: toml::Table =
        std::fs::read_to_string(root().join("tests/golden/meokon.toml")).unwrap().parse().unwrap();
    let samples = golden["sample"].as_array().unwrap();
    let sample = samples.iter().find(|sample| sample["name"].as_str().unwrap().contains("knocked")).unwrap();
    publish(station.mqtt_port, "GIOT-GW/UL/SHMK21060001", sample["payload"].as_str().unwrap(), &[]).await;
    for rule in ["hydrant-hit", "hydrant-tilted", "hydrant-discharge"] {
        assert_eq!(alarm(&station, "HY-2", rule).await["class"], "supervisory");
    }
    station.stop().await;
}
