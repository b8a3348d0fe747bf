//! From a detector's PUBLISH to the webhook: one at a time, beside a load, and five thousand at once.

use std::collections::{BTreeMap, BTreeSet};
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
use super::made_up::{address, cell_code};
use super::peers::{alertmanager, node_red, rows};
use super::station::{Settings, Station, load, memory_kb, start_load};
use super::wait_for;

const DEVICES: usize = 10_000;
const STORM: usize = 5_000;
/// How long messages of a folded storm are counted.
const FOLDED: Duration = Duration::from_secs(3);
/// Alarms of one run of the latency.
const FIRES: usize = 100;

/// Takes alerts and says when each came.
pub struct Receiver {
    pub config: String,
    url: String,
    arrived: mpsc::Receiver<(Instant, Bytes)>,
    _task: JoinSet<()>,
}

impl Receiver {
    pub async fn start() -> Self {
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
        Self { config, url, arrived, _task: task }
    }

    /// The next alert: when it came, and the device.
    pub async fn next(&mut self) -> (Instant, String) {
        let (at, json) = self.next_push(Duration::from_secs(60)).await.expect("an alert within a minute");
        let device = json["alarm"]["device"]["id"].as_str().or(json["alarm"]["device"].as_str());
        (at, device.unwrap_or_else(|| panic!("no device in {json}")).to_owned())
    }

    /// The next message whatever it holds; `None` when none comes within so long.
    async fn next_push(&mut self, within: Duration) -> Option<(Instant, Value)> {
        let (at, body) = tokio::time::timeout(within, self.arrived.recv()).await.ok()?.unwrap();
        Some((at, serde_json::from_slice(&body).unwrap()))
    }
}

/// Detectors with our own JSON, none twice.
fn detectors() -> impl Iterator<Item = usize> {
    (0..DEVICES).filter(|&number| address(number).starts_with("native:SD-"))
}

/// One fire after the other; milliseconds from handing the PUBLISH to the socket to the POST's arrival, sorted.
pub async fn fires(
    mqtt: u16,
    receiver: &mut Receiver,
    devices: &mut impl Iterator<Item = usize>,
) -> Vec<f64> {
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
    let url = receiver.url.clone();
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
             `firmware-sim load` at half of what the listener took flat out just before. The floor is one fdatasync and one bare POST. {} hears the same messages from a Mosquitto, posts them, and \
             stores nothing; ours from a Mosquitto of the same kind beside it. Goals: idle p50 at most 0.7 and p99 at most 1.0 of Node-RED; at 50 % of the maximum p99 at most 3 times the idle p99.",
            node_red::NAME
        ),
    );
    wait_for(async {
        let mut receiver = Receiver::start().await;
        let [ours, theirs] = [
            tests::neighbours::mosquitto("").await.unwrap(),
            tests::neighbours::mosquitto("").await.unwrap(),
        ];
        let more = format!(
            "[[broker]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\nclient_id = \"bench\"\nsubscribe = [\"#\"]\n{}",
            ours.port, receiver.config
        );
        let station = Station::start(&Settings { devices: DEVICES, more_rules: 0, more: &more, list: None });
        let mut node_red = node_red::alerts(theirs.port, &receiver.url);
        if let Ok(peer) = &mut node_red
            && let Err(why) = open_way(peer, theirs.port, &mut receiver).await
        {
            node_red = Err(why);
        }
        let most =
            load(&station.folder, station.mqtt, &["--messages", "100000", "--connections", "16"]).per_s;
        let half = format!("{:.0}", most / 2.0);
        let mut devices = detectors();
        let mut runs: [Vec<Vec<f64>>; 5] = Default::default();
        for _ in 0..RUNS {
            runs[0].push(floor(&mut receiver).await);
            runs[1].push(fires(station.mqtt, &mut receiver, &mut devices).await);
            // Long enough for all fires of the run; what is left of it is waited for.
            let messages = format!("{:.0}", most / 2.0 * 4.0);
            let beside = start_load(
                &station.folder,
                station.mqtt,
                &["--rate", &half, "--messages", &messages, "--connections", "16", "--seed", "2"],
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
            runs[2].push(fires(station.mqtt, &mut receiver, &mut devices).await);
            beside.end();
            runs[3].push(fires(ours.port, &mut receiver, &mut devices).await);
            if node_red.is_ok() {
                // Names of its own: it keeps no alarms, so any will do.
                runs[4].push(fires(theirs.port, &mut receiver, &mut (DEVICES..)).await);
            }
        }
        let of = |runs: &[Vec<f64>], part| Spread::of(runs.iter().map(|run| quantile(run, part)).collect());
        let [floor, idle, busy, from_broker, peer] = &runs;
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
        section.row("from a broker outside, p50", "ms", of(from_broker, 0.5), "idle");
        section.row("from a broker outside, p99", "ms", of(from_broker, 0.99), "idle");
        rows(&mut section, node_red::NAME, |section| {
            node_red?;
            for (part, name, goal) in [(0.5, "p50", 0.7), (0.99, "p99", 1.0)] {
                let against = |ours: &[Vec<f64>]| ratio(of(ours, part), of(peer, part));
                let remark = format!(
                    "ours is {} of it, from a broker {}; goal: at most {goal}",
                    against(idle),
                    against(from_broker)
                );
                section.row(&format!("{}, {name}", node_red::NAME), "ms", of(peer, part), remark);
            }
            Ok(())
        });
    });
    section
}

/// Tells the peer of a fire until it says so.
async fn open_way(
    peer: &mut super::peers::Program,
    mqtt: u16,
    receiver: &mut Receiver,
) -> Result<(), String> {
    let (client, mut events) = AsyncClient::new(MqttOptions::new("warm", "127.0.0.1", mqtt), 100);
    let mut connection = JoinSet::new();
    connection.spawn(async move { while events.poll().await.is_ok() {} });
    peer.until(|| {
        let topic = "gridwarden/up/SD-0";
        let _ = client.try_publish(topic, QoS::AtLeastOnce, false, r#"{"values":{"smoke":true}}"#); // Full is fine.
        std::thread::sleep(Duration::from_millis(200));
        receiver.arrived.try_recv().is_ok()
    })?;
    while receiver.next_push(Duration::from_secs(2)).await.is_some() {}
    Ok(())
}

pub fn storm() -> Section {
    let mut section = Section::new(
        "A storm",
        format!(
            "{STORM} of {DEVICES} devices say smoke at once over 50 connections; the clock stops when the last of {STORM} alerts has arrived. Each is an alarm on disk, a row in the outbox, and a receipt. \
             A station without history for every run, started for the second time, and in turn with it {} of Debian, a message for each alert, which comes to it over 50 connections and in batches of up to 64. Folded: the same devices say that they \
             were tampered with, and the pages of one person are limited; Alertmanager groups by cell. Goals: at most 0.7 of Alertmanager's time at 0.3 of its memory; folded at most 0.02 of its messages \
             in the storm, and the first within 0.1 of the p99 of its alerts.",
            alertmanager::NAME
        ),
    );
    let mut ours: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut theirs: Result<BTreeMap<&str, Vec<f64>>, String> = Ok(BTreeMap::new());
    for _ in 0..RUNS {
        let note = |runs: &mut BTreeMap<&'static str, Vec<f64>>, found: Vec<(&'static str, f64)>| {
            found.into_iter().for_each(|(name, value)| runs.entry(name).or_default().push(value));
        };
        note(&mut ours, wait_for(one_storm()));
        note(&mut ours, wait_for(one_folded_storm()));
        if let Ok(runs) = &mut theirs {
            match wait_for(their_storms()) {
                Ok(found) => note(runs, found),
                Err(why) => theirs = Err(why),
            }
        }
    }
    let of = |runs: &BTreeMap<&str, Vec<f64>>, name: &str| Spread::of(runs[name].clone());
    let against = |name: &str, theirs_name: &str| match &theirs {
        Ok(runs) => format!("{} of {}", ratio(of(&ours, name), of(runs, theirs_name)), alertmanager::NAME),
        Err(_) => String::new(),
    };
    let took = of(&ours, "took");
    let per_s = number(STORM as f64 / took.median);
    let remark = format!("{per_s} alerts/s; {}, goal: at most 0.7", against("took", "took"));
    section.row("until all alerts have arrived", "s", took, remark);
    section.row(
        "until all detectors are acknowledged",
        "s",
        of(&ours, "acknowledged"),
        "every alarm is on disk by then",
    );
    let remark = format!("{}; goal: at most 0.3", against("memory", "memory"));
    section.row("largest memory of the gateway", "MB", of(&ours, "memory"), remark);
    let remark = format!("{}, which sends each alone; goal: at most 0.02", against("pushes", "pushes"));
    section.row("folded: messages within 3 s", "", of(&ours, "pushes"), remark);
    let remark = format!("{}, its p99; goal: at most 0.1", against("first", "p99"));
    section.row("folded: until the first has arrived", "ms", of(&ours, "first"), remark);
    rows(&mut section, alertmanager::NAME, |section| {
        let runs = theirs.as_ref().map_err(String::clone)?;
        let name = alertmanager::NAME;
        section.row(&format!("{name}: until all have arrived"), "s", of(runs, "took"), "nothing is on disk");
        section.row(
            &format!("{name}: p99 of one alert"),
            "ms",
            of(runs, "p99"),
            "from the start of the storm",
        );
        section.row(&format!("{name}: largest memory"), "MB", of(runs, "memory"), "");
        section.row(&format!("{name}: messages"), "", of(runs, "pushes"), "");
        section.row(&format!("{name}: messages, grouped by cell"), "", of(runs, "grouped"), "within 3 s");
        Ok(())
    });
    section
}

/// Both of Alertmanager's: each alert alone, and grouped by cell.
async fn their_storms() -> Result<Vec<(&'static str, f64)>, String> {
    let devices: Vec<_> = (0..STORM).map(|number| (format!("D-{number}"), cell_code(2 * number))).collect();
    let mut receiver = Receiver::start().await;
    let (peer, port) = alertmanager::start("device", &receiver.url)?;
    let started = instant();
    let sending = async { alertmanager::storm(port, &devices).await };
    let arriving = async {
        let (mut alarmed, mut times, mut pushes) = (BTreeSet::new(), Vec::new(), 0.0);
        while alarmed.len() < STORM {
            let Some((at, json)) = receiver.next_push(Duration::from_secs(60)).await else {
                return Err(format!("{} of {STORM} alerts arrived", alarmed.len()));
            };
            pushes += 1.0;
            for alert in json["alerts"].as_array().into_iter().flatten() {
                if alarmed.insert(alert["labels"]["device"].to_string()) {
                    times.push((at - started).as_secs_f64() * 1000.0);
                }
            }
        }
        Ok((times, pushes))
    };
    let ((), arrived) = tokio::join!(sending, arriving);
    let (times, pushes) = arrived?;
    let memory = memory_kb(peer.pid(), "VmHWM") / 1000.0;
    drop(peer);
    let mut receiver = Receiver::start().await;
    let (_peer, port) = alertmanager::start("cell", &receiver.url)?;
    alertmanager::storm(port, &devices).await;
    let grouped = pushes_within(&mut receiver, instant(), FOLDED).await.len() as f64;
    Ok(vec![
        ("took", times.last().copied().unwrap_or_default() / 1000.0),
        ("p99", quantile(&times, 0.99)),
        ("memory", memory),
        ("pushes", pushes),
        ("grouped", grouped),
    ])
}

/// Milliseconds from `started` at which messages came, for so long after it.
async fn pushes_within(receiver: &mut Receiver, started: Instant, long: Duration) -> Vec<f64> {
    let mut times = Vec::new();
    while let Some((at, _)) = receiver.next_push(long.saturating_sub(started.elapsed())).await {
        times.push((at - started).as_secs_f64() * 1000.0);
    }
    times
}

/// Alarms that may be folded: how many messages they are, and when the first of them came.
async fn one_folded_storm() -> Vec<(&'static str, f64)> {
    let mut receiver = Receiver::start().await;
    let station =
        Station::start(&Settings { devices: DEVICES, more_rules: 0, more: &receiver.config, list: None });
    let detectors = only_detectors(&station);
    let messages = STORM.to_string();
    let started = instant();
    let storm = start_load(
        &detectors,
        station.mqtt,
        &["--tamper", "--messages", &messages, "--connections", "50", "--window", "200"],
    );
    let times = pushes_within(&mut receiver, started, FOLDED).await;
    storm.end();
    vec![("pushes", times.len() as f64), ("first", times.first().copied().expect("somebody is told"))]
}

async fn one_storm() -> Vec<(&'static str, f64)> {
    let mut receiver = Receiver::start().await;
    let mut station =
        Station::start(&Settings { devices: DEVICES, more_rules: 0, more: &receiver.config, list: None });
    station.restart(); // What the import of its files left in memory is no part of a storm.
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
    vec![
        ("took", (last - started).as_secs_f64()),
        ("acknowledged", STORM as f64 / sent.per_s),
        ("memory", station.memory_kb("VmHWM") / 1000.0),
    ]
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
