//! From a detector's PUBLISH to the webhook: one at a time, beside a load, and five thousand at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use gateway::clock::instant;
use rumqttc::{AsyncClient, MqttOptions, QoS};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::disk::sync_times_ms;
use super::figures::{RUNS, Section, Spread, number, quantile, ratio};
use super::made_up::address;
use super::station::{Settings, Station, load, start_load};
use super::wait_for;

const DEVICES: usize = 10_000;
const STORM: usize = 5_000;
/// Alarms of one run of the latency.
const FIRES: usize = 100;

/// Takes alerts and says when each came.
struct Receiver {
    config: String,
    arrived: mpsc::Receiver<(Instant, Bytes)>,
    _task: JoinSet<()>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alert", listener.local_addr().unwrap());
        let (sender, arrived) = mpsc::channel(2 * STORM);
        let take = move |body: Bytes| {
            let at = instant();
            let sender = sender.clone();
            async move { sender.send((at, body)).await.expect("the measurement goes on") }
        };
        let mut task = JoinSet::new();
        task.spawn(
            async move { axum::serve(listener, Router::new().route("/alert", post(take))).await.unwrap() },
        );
        let config =
            format!("[[webhook]]\nname = \"duty\"\nurl = \"{url}\"\nsecret = {{ file = \"token\" }}\n");
        Self { config, arrived, _task: task }
    }

    /// The next alert: when it came, and the device.
    async fn next(&mut self) -> (Instant, String) {
        let next = tokio::time::timeout(Duration::from_secs(60), self.arrived.recv());
        let (at, body) = next.await.expect("an alert within a minute").unwrap();
        let json: Value = serde_json::from_slice(&body).unwrap();
        let device = json["alarm"]["device"]["id"].as_str().or(json["alarm"]["device"].as_str());
        (at, device.unwrap_or_else(|| panic!("no device in {json}")).to_owned())
    }
}

/// Detectors with our own JSON, none twice.
fn detectors() -> impl Iterator<Item = usize> {
    (0..DEVICES).filter(|&number| address(number).starts_with("native:SD-"))
}

/// One fire after the other; milliseconds from handing the PUBLISH to the socket to the POST's arrival, sorted.
async fn fires(mqtt: u16, receiver: &mut Receiver, devices: &mut impl Iterator<Item = usize>) -> Vec<f64> {
    let (client, mut events) = AsyncClient::new(MqttOptions::new("fire", "127.0.0.1", mqtt), 100);
    let mut connection = JoinSet::new();
    connection.spawn(async move { while events.poll().await.is_ok() {} });
    let mut times = Vec::new();
    for device in devices.take(FIRES) {
        let sent = instant();
        let topic = format!("gridwarden/up/SD-{device}");
        client.publish(topic, QoS::AtLeastOnce, false, r#"{"values":{"smoke":true}}"#).await.unwrap();
        let (at, alarmed) = receiver.next().await;
        assert_eq!(alarmed, format!("D-{device}"));
        times.push((at - sent).as_secs_f64() * 1000.0);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    times.sort_by(f64::total_cmp);
    times
}

/// One sync and one POST: less cannot be.
async fn floor(receiver: &mut Receiver) -> Vec<f64> {
    let url = receiver.config.split('"').nth(3).unwrap().to_owned();
    let client = tests::databases::http().unwrap();
    let mut times = Vec::new();
    for sync in sync_times_ms(FIRES) {
        let started = instant();
        client.post(&url).body(r#"{"alarm":{"device":"D-0"}}"#).send().await.unwrap();
        let (at, _) = receiver.next().await;
        times.push(sync + (at - started).as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    times
}

pub fn latency() -> Section {
    let mut section = Section::new(
        "From smoke to webhook",
        format!(
            "{FIRES} detectors of {DEVICES}, one after the other: from PUBLISH (QoS 1, our listener) until the signed POST arrives; the alarm is on disk before. Beside a load: \
             `firmware-sim load` at half of what the listener took flat out just before. The floor is one fdatasync and one bare POST. \
             Goals: idle p50 at most 0.7 of Node-RED, which stores nothing (1.8 – 2.4 ms on a quiet machine of this size); at 50 % of the maximum p99 at most 3 times the idle p99."
        ),
    );
    wait_for(async {
        let mut receiver = Receiver::start().await;
        let station = Station::start(&Settings { devices: DEVICES, more_rules: 0, more: &receiver.config });
        let most =
            load(&station.folder, station.mqtt, &["--messages", "100000", "--connections", "16"]).per_s;
        let half = format!("{:.0}", most / 2.0);
        let mut devices = detectors();
        let mut runs: [Vec<Vec<f64>>; 3] = Default::default();
        for _ in 0..RUNS {
            runs[0].push(floor(&mut receiver).await);
            runs[1].push(fires(station.mqtt, &mut receiver, &mut devices).await);
            // Long enough for all fires of the run; what is left of it is waited for.
            let messages = format!("{:.0}", most / 2.0 * 6.0);
            let beside = start_load(
                &station.folder,
                station.mqtt,
                &["--rate", &half, "--messages", &messages, "--connections", "16", "--seed", "2"],
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
            runs[2].push(fires(station.mqtt, &mut receiver, &mut devices).await);
            beside.end();
        }
        let of = |runs: &[Vec<f64>], part| Spread::of(runs.iter().map(|run| quantile(run, part)).collect());
        let [floor, idle, busy] = &runs;
        section.row("floor, p50", "ms", of(floor, 0.5), "the baseline");
        section.row("floor, p99", "ms", of(floor, 0.99), "the baseline");
        section.row(
            "idle, p50",
            "ms",
            of(idle, 0.5),
            format!("{} of the floor", ratio(of(idle, 0.5), of(floor, 0.5))),
        );
        section.row(
            "idle, p99",
            "ms",
            of(idle, 0.99),
            format!("{} of the floor", ratio(of(idle, 0.99), of(floor, 0.99))),
        );
        section.row("at 50 %, p50", "ms", of(busy, 0.5), format!("beside {} messages/s", number(most / 2.0)));
        section.row(
            "at 50 %, p99",
            "ms",
            of(busy, 0.99),
            format!("{} of the idle p99; goal: at most 3", ratio(of(busy, 0.99), of(idle, 0.99))),
        );
    });
    section
}

pub fn storm() -> Section {
    let mut section = Section::new(
        "A storm",
        format!(
            "{STORM} of {DEVICES} devices say smoke at once over 50 connections; the clock stops when the last of {STORM} alerts has arrived. Each is an alarm on disk, a row in the outbox, and a receipt. \
             A new station for every run. Goal: at most 0.7 of Alertmanager's time (1.6 s on a quiet machine of this size) at 0.3 of its memory (189 MB)."
        ),
    );
    let mut runs: [Vec<f64>; 3] = Default::default();
    for _ in 0..RUNS {
        let (took, acknowledged, memory) = wait_for(one_storm());
        runs[0].push(took);
        runs[1].push(acknowledged);
        runs[2].push(memory);
    }
    let [took, acknowledged, memory] = runs.map(Spread::of);
    section.row(
        "until all alerts have arrived",
        "s",
        took,
        format!("{} alerts/s; goal: about 1.1 s", number(STORM as f64 / took.median)),
    );
    section.row("until all detectors are acknowledged", "s", acknowledged, "every alarm is on disk by then");
    section.row("largest memory of the gateway", "MB", memory, "goal: about 57 MB");
    section
}

async fn one_storm() -> (f64, f64, f64) {
    let mut receiver = Receiver::start().await;
    let station = Station::start(&Settings { devices: DEVICES, more_rules: 0, more: &receiver.config });
    let detectors = only_detectors(&station);
    let started = instant();
    let messages = STORM.to_string();
    let storm = start_load(
        &detectors,
        station.mqtt,
        &["--fire", "--messages", &messages, "--connections", "50", "--window", "200"],
    );
    let mut alarmed = BTreeSet::new();
    let mut last = started;
    while alarmed.len() < STORM {
        let (at, device) = receiver.next().await;
        assert!(alarmed.insert(device), "each is told once");
        last = at;
    }
    let sent = storm.end();
    ((last - started).as_secs_f64(), STORM as f64 / sent.per_s, station.memory_kb("VmHWM") / 1000.0)
}

/// The devices that burn: as many detectors as the storm is large.
fn only_detectors(station: &Station) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let all = std::fs::read_to_string(station.folder.path().join("devices.csv")).unwrap();
    let detectors = all.lines().skip(1).filter(|line| line.contains(",smoke_detector,")).take(STORM);
    let lines: Vec<_> = all.lines().take(1).chain(detectors).collect();
    assert_eq!(lines.len(), 1 + STORM, "there are so many detectors");
    std::fs::write(folder.path().join("devices.csv"), lines.join("\n")).unwrap();
    folder
}
