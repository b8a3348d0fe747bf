//! Fire panels by GB/T 26875.3 through the whole station with the rules we ship: over TCP and UDP, with damage on the line, kills of the gateway, questions and roll-calls.

use std::net::SocketAddr;
use std::time::Duration;

use firmware_sim::transmitter::{Carrier, Component, Settings, Transmitter};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::crash::{Moment, Victim};
use tests::neighbours::{eventually, free_port, root};
use tests::site::{Site, Station, TOKEN};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const DEVICES: &str = "id,kind,name,address,cell,place,silent_after_s
FP-1,panel,消防主机,gbt26875:889,S1-C1-G1,1号楼消控室,
FP-2,panel,消防主机,gbt26875:890,S1-C1-G2,2号楼消控室,
SD-1,smoke_detector,烟感,gbt26875:889/1.1/10.2,S1-C1-G1,1号楼3层走廊,
SD-2,smoke_detector,烟感,gbt26875:890/1.1/10.2,S1-C1-G2,2号楼3层走廊,
HY-1,hydrant,消火栓,gbt26875:889/11.1/1.1,S1-C1-G1,1号楼东侧,
";

const SMOKE: Component = Component { system: [1, 1], kind: 40, zone: 10, point: 2 };
const UNKNOWN: Component = Component { system: [1, 1], kind: 40, zone: 99, point: 9 };
const HYDRANT: Component = Component { system: [11, 1], kind: 24, zone: 1, point: 1 };

/// A site with the rules of config/ and two transmission devices.
fn site(ports: &str) -> Site {
    let site = Site::new(&format!("[gbt26875]\n{ports}\naddress = 88888\ntimeout_s = 1\npatrol_s = 10\n"));
    let rules = std::fs::read_to_string(root().join("config/rules.toml")).unwrap();
    site.write(
        "rules.toml",
        &rules.replace("raise_after_s = 600", "raise_after_s = 2").replace("\"duty\"", "\"mqtt\""),
    );
    site.write("devices.csv", DEVICES);
    site
}

const ANY_PORTS: &str = "tcp = \"127.0.0.1:0\"\nudp = \"127.0.0.1:0\"";

/// Devices that run until they are dropped.
#[derive(Default)]
struct Panels {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Panels {
    fn start(&mut self, address: u64, carrier: Carrier) -> Transmitter {
        let settings = Settings {
            address,
            centre: 88_888,
            carrier,
            heartbeat: Duration::from_millis(500),
            timeout: Duration::from_millis(700),
        };
        let (panel, run) = Transmitter::new(settings, self.stop.clone());
        self.tasks.spawn(run);
        panel
    }
}

fn tcp(station: &Station) -> Carrier {
    Carrier::Tcp(station.addresses.gbt26875_tcp.unwrap())
}

fn udp(station: &Station) -> Carrier {
    Carrier::Udp(station.addresses.gbt26875_udp.unwrap())
}

async fn alarm(station: &Station, device: &str, rule: &str) -> Value {
    eventually(&format!("an alarm `{rule}` of {device}"), 30, || async {
        let found = station.get(&format!("/api/v1/alarms?open=1&device={device}")).await;
        found["items"].as_array().unwrap().iter().find(|alarm| alarm["rule"] == rule).cloned()
    })
    .await
}

/// The newest value of a metric.
async fn value(station: &Station, device: &str, metric: &str, wanted: Value) {
    eventually(&format!("{metric} of {device} is {wanted}"), 20, || async {
        let device = station.get(&format!("/api/v1/devices/{device}")).await;
        let values = device["values"].as_array()?.clone();
        values.iter().any(|value| value["metric"] == metric && value["value"] == wanted).then_some(())
    })
    .await;
}

async fn letters(station: &Station) -> Vec<Value> {
    station.get("/api/v1/dead-letters").await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_fire_comes_over_tcp_and_over_udp_and_is_confirmed_when_it_is_on_disk() {
    let site = site(ANY_PORTS);
    let station = site.start().await;
    let mut panels = Panels::default();
    for (address, carrier, detector) in [(889, tcp(&station), "SD-1"), (890, udp(&station), "SD-2")] {
        let panel = panels.start(address, carrier);
        // Bit 0 clear, as real panels send it.
        panel.component(SMOKE, 0x0002, "").await.unwrap();
        let fire = alarm(&station, detector, "smoke").await;
        assert_eq!((&fire["class"], &fire["late"]), (&json!("fire"), &Value::Null), "{fire:#}");
        panel.component(SMOKE, 0x0001, "").await.unwrap();
        value(&station, detector, "smoke", json!(0.0)).await;
        assert_eq!(panel.seen().denied, 0);
    }
    let panel = panels.start(889, tcp(&station));
    panel.analog(HYDRANT, 5, 1_384).await.unwrap();
    value(&station, "HY-1", "pressure", json!(138.4)).await;
    // Somebody has not registered the detector: it burns all the same.
    panel.component(UNKNOWN, 0x0002, "").await.unwrap();
    alarm(&station, "FP-1", "fire-alarm").await;
    let said = letters(&station).await;
    assert!(
        said.iter().any(|letter| letter["reason"].as_str().unwrap().contains("gbt26875:889/1.1/99.9")),
        "{said:#?}"
    );
    station.stop().await;
}

#[tokio::test]
async fn damage_on_the_line_is_denied_and_costs_no_frame() {
    let site = site(ANY_PORTS);
    let station = site.start().await;
    let mut panels = Panels::default();
    let panel = panels.start(889, tcp(&station));
    panel.raw(b"noise @@ and more of it ## @".to_vec()).await;
    // A checksum that is wrong by one.
    let mut frame = firmware_sim::transmitter::packet::Packet {
        serial: 77,
        sent: [0; 6],
        from: 889,
        to: 88_888,
        command: 2,
        unit: vec![21, 1, 1],
    }
    .bytes();
    let at = frame.len() - 3;
    frame[at] = frame[at].wrapping_add(1);
    panel.raw(frame).await;
    eventually("the denial", 10, || async { (0 < panel.seen().denied).then_some(()) }).await;
    panel.component(SMOKE, 0x0002, "").await.unwrap();
    alarm(&station, "SD-1", "smoke").await;
    let said = letters(&station).await;
    assert!(said.iter().any(|letter| letter["reason"].as_str().unwrap().contains("checksum")), "{said:#?}");

    let stranger = panels.start(4_711, tcp(&station));
    stranger.raw(Vec::new()).await;
    eventually("a stranger is denied", 10, || async { (0 < stranger.seen().denied).then_some(()) }).await;
    station.stop().await;
}

async fn ask(station: &Station, device: &str, question: Value) -> (StatusCode, Value) {
    station.post(&format!("/api/v1/devices/{device}/command"), &json!({ "payload": question })).await
}

#[tokio::test]
async fn a_transmission_device_is_asked_told_and_called() {
    let site = site(ANY_PORTS);
    let station = site.start().await;
    let mut panels = Panels::default();
    let (status, problem) = ask(&station, "FP-1", json!({"ask": "state"})).await;
    assert_eq!(
        (status, problem["detail"].as_str().unwrap()),
        (StatusCode::CONFLICT, "the transmission device is not connected.")
    );
    for (address, carrier, id) in [(889, tcp(&station), "FP-1"), (890, udp(&station), "FP-2")] {
        let panel = panels.start(address, carrier);
        eventually("its clock is set", 10, || async {
            panel.seen().asked.iter().any(|(_, unit)| unit.first() == Some(&90)).then_some(())
        })
        .await;
        for (question, flag, answer) in [
            (json!({"ask": "version"}), 85, json!({"device_version": [2, 7]})),
            (json!({"ask": "description"}), 86, json!({"device_text": "FS-2.7"})),
            (json!({"ask": "initialise"}), 89, json!("confirmed")),
            (json!({"ask": "set_clock"}), 90, json!("confirmed")),
        ] {
            let (status, said) = ask(&station, id, question).await;
            assert_eq!((status, &said["answer"]), (StatusCode::ACCEPTED, &answer), "{said:#}");
            assert!(panel.seen().asked.iter().any(|(_, unit)| unit.first() == Some(&flag)));
        }
        let (_, said) = ask(&station, id, json!({"ask": "state"})).await;
        assert_eq!(said["answer"]["device_state"][0]["state"], 1, "{said:#}");

        let (_, said) = ask(&station, id, json!({"ask": "roll_call", "minutes": 10})).await;
        assert_eq!(said["answer"], "confirmed");
        value(&station, id, "roll_call", json!(0.0)).await;
        panel.nobody_on_duty(true);
        ask(&station, id, json!({"ask": "roll_call", "minutes": 10})).await;
        let absent = alarm(&station, id, "roll-call-unanswered").await;
        assert_eq!(absent["class"], "supervisory");

        panel.deaf(true);
        let before = panel.seen().asked.len();
        let (status, problem) = ask(&station, id, json!({"ask": "time"})).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem:#}");
        let asked = panel.seen().asked[before..].iter().filter(|(_, unit)| unit[0] == 88).count();
        assert_eq!(asked, 3, "three tries");
    }
    station.stop().await;
}

/// Nothing that was confirmed is lost by kill -9 at any moment; what was not confirmed comes again.
#[tokio::test]
async fn a_kill_between_frame_and_confirmation_loses_nothing() {
    for over_tcp in [true, false] {
        let (tcp_port, udp_port) = (free_port(), free_port());
        let site = site(&format!("tcp = \"127.0.0.1:{tcp_port}\"\nudp = \"127.0.0.1:{udp_port}\""));
        let (http, mqtt) = (free_port(), free_port());
        site.fix_ports(http, mqtt);
        let mut victim = Victim::new(site.file("station.toml"), site.file("log"), http);
        victim.start().await.unwrap();
        victim.ready().await.unwrap();
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let carrier =
            if over_tcp { Carrier::Tcp(loopback(tcp_port)) } else { Carrier::Udp(loopback(udp_port)) };
        let mut panels = Panels::default();
        let panel = panels.start(889, carrier);
        let told = panel.clone();
        let mut telling = JoinSet::new();
        telling.spawn(async move {
            // Every value once, so that each can be found again.
            for raw in 1..=300 {
                told.analog(HYDRANT, 5, raw).await.unwrap();
            }
            told.component(SMOKE, 0x0002, "").await.unwrap();
        });
        let mut random = fastrand::Rng::with_seed(26_875);
        let mut kills = 0;
        loop {
            let pause = Duration::from_millis(random.u64(30..400));
            let done = tokio::time::timeout(pause, telling.join_next()).await;
            if let Ok(ended) = done {
                ended.unwrap().unwrap();
                break;
            }
            if kills < 6 {
                victim.kill(Moment::UnderLoad).await.unwrap();
                victim.start().await.unwrap();
                victim.ready().await.unwrap();
                kills += 1;
            }
        }
        assert!(2 <= kills, "too few kills: {kills}");
        let client = reqwest::Client::new();
        let get = async |path: &str| -> Value {
            let url = format!("http://127.0.0.1:{http}/api/v1/{path}");
            client.get(url).bearer_auth(TOKEN).send().await.unwrap().json().await.unwrap()
        };
        let open = get("alarms?open=1&device=SD-1").await;
        assert_eq!(open["items"].as_array().unwrap().len(), 1, "the fire, once: {open:#}");
        victim.stop_in_order().await.unwrap();
        let (store, _) =
            gateway::store::Store::open(&site.file("data/station.db"), tests::station::LIMITS).unwrap();
        let batches = store.batches_after(0, usize::MAX).await.unwrap();
        let mut found: Vec<f64> =
            batches.iter().flat_map(|batch| &batch.events).flat_map(pressures).collect();
        let taken = found.len();
        found.sort_by(f64::total_cmp);
        found.dedup();
        let wanted: Vec<f64> = (1..=300).map(|raw| f64::from(raw) / 10.0).collect();
        assert_eq!(found, wanted, "every confirmed value");
        let seen = panel.seen();
        println!(
            "tcp {over_tcp}: {kills} kills, {} connects, {} frames repeated, {} values taken twice",
            seen.connects,
            seen.repeated,
            taken - 300
        );
    }
}

fn pressures(event: &gateway::model::Event) -> Vec<f64> {
    let gateway::model::Event::Report(report) = event else { return Vec::new() };
    let pressure = |value: &&gateway::model::Value| value.metric == gateway::model::Metric::PRESSURE;
    report.values.iter().filter(pressure).map(|value| value.value).collect()
}
