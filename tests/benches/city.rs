//! A whole city: as many smoke detectors and hydrants as it has, for so long, with a fire now and then.

use std::fmt::Write as _;
use std::time::Duration;

use gateway::clock::instant;
use rumqttc::{AsyncClient, MqttOptions, QoS};
use tests::databases::victoria_metrics;
use tokio::task::JoinSet;

use super::alerts::Receiver;
use super::figures::{Section, Spread, number, quantile};
use super::made_up::cell_code;
use super::station::{Settings, Station, cpu_s, start_load};
use super::wait_for;

const DETECTORS: usize = 369_000;
const HYDRANTS: usize = 4_000;
/// One detector in a hundred says everything ten times as often.
const CHATTER_PART: usize = 100;
const CHATTER_TIMES: f64 = 10.0;
const FIRE_EVERY: Duration = Duration::from_millis(500);

/// Short, for the whole run.
pub fn minute() -> Section {
    city("A whole city, for a minute", Duration::from_secs(60))
}

pub fn half_an_hour() -> Section {
    city("A whole city, for half an hour", Duration::from_secs(30 * 60))
}

fn city(title: &'static str, lasts: Duration) -> Section {
    let mut section = Section::new(
        title,
        format!(
            "{} detectors with one heartbeat a minute, one in {CHATTER_PART} of them with {} a minute more, and {} hydrants with one pressure a second, over MQTT with QoS 1 into our own listener, sent on schedule; \
             everything into a VictoriaMetrics, with five rules; every {} ms another detector says smoke. {} s after a quarter of a minute to settle. Goals: one core at most 50 % busy, nothing lost, p99 from PUBLISH \
             to webhook at most 20 ms.",
            number(DETECTORS as f64),
            CHATTER_TIMES,
            number(HYDRANTS as f64),
            FIRE_EVERY.as_millis(),
            lasts.as_secs()
        ),
    );
    let found = wait_for(run(lasts));
    let one = |value: f64| Spread::of(vec![value]);
    let sent = format!("{} messages sent on schedule", number(found.sent as f64));
    section.row("messages", "/s", one(found.sent as f64 / found.took_s), sent);
    let lost = found.sent as f64 - found.counted as f64;
    let remark = "acknowledged and not counted by the gateway as committed, and dead letters; goal: none";
    section.row("lost", "messages", one(lost + found.dead as f64), remark);
    section.row("core busy", "%", one(100.0 * found.cpu_s / found.took_s), "of one core; goal: at most 50");
    section.row("CPU of the gateway", "µs a message", one(found.cpu_s * 1e6 / found.sent as f64), "");
    let fires = format!("{} fires, each told; goal: p99 at most 20 ms", found.fires_ms.len());
    for (name, part) in [("p50", 0.5), ("p99", 0.99), ("longest", 1.0)] {
        let remark = if part == 0.99 { fires.as_str() } else { "" };
        section.row(&format!("fire → webhook, {name}"), "ms", one(quantile(&found.fires_ms, part)), remark);
    }
    section.row("publish → acknowledgement, p99", "ms", one(found.ack_p99_ms), "a commit gathers for 300 ms");
    section.row("memory", "MB", one(found.memory_mb), "at the end; goal with so many devices: at most 300");
    section.row("written to disk", "MB/s", one(found.written_mb / found.took_s), "");
    section
}

struct Found {
    sent: u64,
    counted: u64,
    dead: u64,
    took_s: f64,
    cpu_s: f64,
    fires_ms: Vec<f64>,
    ack_p99_ms: f64,
    memory_mb: f64,
    written_mb: f64,
}

async fn run(lasts: Duration) -> Found {
    let database = victoria_metrics().await.unwrap();
    let mut receiver = Receiver::start().await;
    let more = format!(
        "{}[influx]\nurl = \"http://127.0.0.1:{}\"\norg = \"o\"\nbucket = \"b\"\n",
        receiver.config, database.port
    );
    let list = devices();
    let settings = Settings { devices: DETECTORS + HYDRANTS, more_rules: 0, more: &more, list: Some(&list) };
    let station = Station::start(&settings);
    let folder = |keep: &dyn Fn(usize, &str) -> bool| {
        let folder = tempfile::tempdir().unwrap();
        let kept = list.lines().skip(1).enumerate().filter(|(at, line)| keep(*at, line));
        let lines: Vec<_> = list.lines().take(1).chain(kept.map(|(_, line)| line)).collect();
        std::fs::write(folder.path().join("devices.csv"), lines.join("\n")).unwrap();
        folder
    };
    let is_hydrant = |line: &str| line.contains(",hydrant,");
    let groups = [
        (folder(&|_, line| !is_hydrant(line)), DETECTORS as f64 / 60.0, "50"),
        (
            folder(&|at, line| at % CHATTER_PART == 0 && !is_hydrant(line)),
            DETECTORS as f64 / CHATTER_PART as f64 / 60.0 * CHATTER_TIMES,
            "10",
        ),
        (folder(&|_, line| is_hydrant(line)), HYDRANTS as f64, "20"),
    ];
    let start = |seconds: f64| {
        let all = groups.iter().enumerate().map(|(seed, (folder, per_s, connections))| {
            let (rate, messages) = (format!("{per_s:.3}"), format!("{:.0}", per_s * seconds));
            let seed = (seed + 1).to_string();
            let arguments =
                ["--rate", &rate, "--messages", &messages, "--connections", connections, "--seed", &seed];
            start_load(folder, station.mqtt, &arguments)
        });
        all.collect::<Vec<_>>()
    };
    // The first messages of 369,000 devices make their rows.
    start(15.0).into_iter().for_each(|load| drop(load.end()));
    let (counted, dead) = (station.counter("gridwarden_messages_total").await, station.dead_letters());
    let (cpu, written, started) = (cpu_s(station.pid()), station.written_bytes(), instant());
    let loads = start(lasts.as_secs_f64());
    let fires_ms = fires(station.mqtt, &mut receiver, lasts).await;
    let sent: Vec<_> = loads.into_iter().map(|load| load.end()).collect();
    let took_s = started.elapsed().as_secs_f64();
    Found {
        sent: sent.iter().map(|load| load.sent).sum::<u64>() + fires_ms.len() as u64,
        counted: station.counter("gridwarden_messages_total").await - counted,
        dead: station.dead_letters() - dead,
        took_s,
        cpu_s: cpu_s(station.pid()) - cpu,
        ack_p99_ms: sent.iter().map(|load| load.ms("p99")).fold(0.0, f64::max),
        memory_mb: station.memory_kb("VmRSS") / 1000.0,
        written_mb: (station.written_bytes() - written) as f64 / 1e6,
        fires_ms,
    }
}

/// Another detector says smoke every so often; milliseconds until its alert arrived, sorted.
async fn fires(mqtt: u16, receiver: &mut Receiver, lasts: Duration) -> Vec<f64> {
    let (client, mut events) = AsyncClient::new(MqttOptions::new("fire", "127.0.0.1", mqtt), 100);
    let mut connection = JoinSet::new();
    connection.spawn(async move { while events.poll().await.is_ok() {} });
    let (started, mut times) = (instant(), Vec::new());
    // They speak for themselves in our own JSON.
    let mut detectors = (1..DETECTORS).filter(|number| number % 3 != 0);
    while started.elapsed() + FIRE_EVERY < lasts {
        let device = detectors.next().expect("the city has more detectors than fires");
        let sent = instant();
        let topic = format!("gridwarden/up/SD-{device}");
        client.publish(topic, QoS::AtLeastOnce, false, r#"{"values":{"smoke":true}}"#).await.unwrap();
        // In half an hour the ladder may tell of an older one again, which nobody has answered.
        let at = loop {
            let (at, alarmed) = receiver.next().await;
            if alarmed == format!("D-{device}") {
                break at;
            }
        };
        times.push((at - sent).as_secs_f64() * 1000.0);
        tokio::time::sleep(FIRE_EVERY.saturating_sub(sent.elapsed())).await;
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Every third detector speaks zigbee2mqtt.
fn devices() -> String {
    let mut text = "id,kind,name,address,cell,place,lon,lat,silent_after_s\n".to_owned();
    for number in 0..DETECTORS + HYDRANTS {
        let (kind, address) = match number {
            n if DETECTORS <= n => ("hydrant", format!("native:HY-{n}")),
            n if n % 3 == 0 => ("smoke_detector", format!("z2m:zigbee2mqtt/hall-{n}")),
            n => ("smoke_detector", format!("native:SD-{n}")),
        };
        let (cell, place) = (cell_code(number), number / 60);
        writeln!(text, "D-{number},{kind},{number} 号,{address},{cell},{place}栋{}01,,,", number % 60 / 2)
            .unwrap();
    }
    text
}
