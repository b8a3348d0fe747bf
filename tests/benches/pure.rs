//! What a message costs where nothing waits: decoding, rules, encodings. One thread, nanoseconds per item.

use std::hint::black_box;
use std::sync::Arc;

use gateway::config::rules::FreshnessLimits;
use gateway::decode::{Context, Family, Message, decode};
use gateway::engine::Engine;
use gateway::grid::{Device, Registry, Rows};
use gateway::model::{Batch, DeviceIx, DeviceKind};
use gateway::units::{Now, Steady, Timestamp};
use gateway::wire::journal;
use gateway::wire::line::{Encoder, Lines};

use super::figures::{Section, in_turn, ns_per, ratio};
use super::made_up::{START, batch, registry, rule_book};

const BATCH: usize = 1_000;

pub fn decoding() -> Section {
    let mut section = Section::new(
        "Decoding",
        "One message of each family, as in tests/golden, into events. The baseline is `serde_json` reading the same bytes into a generic value.",
    );
    let samples = [
        (
            Family::Native,
            "native",
            "gridwarden/up/SD-1",
            r#"{"time":"2026-11-23T02:59:59.120Z","values":{"smoke":false,"temperature":21.4,"battery":93,"rssi":-61}}"#,
            "native:SD-1",
        ),
        (
            Family::Zigbee2mqtt,
            "zigbee2mqtt",
            "zigbee2mqtt/hall",
            r#"{"battery":100,"battery_low":false,"last_seen":"2026-11-23T02:59:59Z","linkquality":105,"smoke":false,"tamper":false,"temperature":22.1,"test":false,"voltage":3000}"#,
            "z2m:zigbee2mqtt/hall",
        ),
        (
            Family::Chirpstack,
            "chirpstack",
            "application/1/device/24e124538b223213/event/up",
            r#"{"deviceInfo":{"devEui":"24e124538b223213"},"time":"2026-11-23T02:59:59.120Z","fCnt":5,"fPort":85,"object":{"battery":97,"temperature":21.4,"smoke":false},"rxInfo":[{"rssi":-57,"snr":10}]}"#,
            "lora:24e124538b223213",
        ),
        (
            Family::Frigate,
            "frigate",
            "frigate/events",
            r#"{"type":"new","before":{"camera":"gate","label":"person"},"after":{"id":"1795402799.1-abc","camera":"gate","label":"person","start_time":1795402799.1,"top_score":0.83,"current_zones":[],"entered_zones":[]}}"#,
            "frigate:gate",
        ),
        (
            Family::Chirpstack,
            "chirpstack, bytes by a profile",
            "application/1/device/24e124538b223213/event/up",
            r#"{"deviceInfo":{"devEui":"24e124538b223213","deviceProfileName":"EM500-PP"},"time":"2026-11-23T02:59:59.120Z","fCnt":5,"fPort":85,"data":"AXVkA3sKAA==","rxInfo":[{"rssi":-57,"snr":10}]}"#,
            "lora:24e124538b223213",
        ),
        (
            Family::Profile(gateway::profiles::shipped().ix("tasmota-zigbee").expect("shipped")),
            "tasmota, JSON by a profile",
            "tele/bridge/SENSOR",
            r#"{"ZbReceived":{"0x8F20":{"Device":"0x8F20","Name":"hall","Voltage":2.995,"Battery":98,"Temperature":21.01,"Humidity":53.68,"Endpoint":1,"LinkQuality":88}}}"#,
            "mqtt:bridge/0x8F20",
        ),
    ];
    for (family, name, topic, payload, address) in samples {
        let context = one_device(address);
        let message = Message {
            topic,
            payload: payload.as_bytes(),
            retained: false,
            dup: false,
            received: Timestamp(START),
        };
        let [ours, generic] = in_turn([
            &mut || ns_per(1, &mut || drop(black_box(decode(family, black_box(&message), &context)))),
            &mut || {
                ns_per(1, &mut || {
                    drop(black_box(serde_json::from_slice::<serde_json::Value>(black_box(
                        payload.as_bytes(),
                    ))));
                })
            },
        ]);
        let events = decode(family, &message, &context).events.len();
        let remark = format!(
            "{} of the generic reader; {events} event(s) from {} bytes",
            ratio(ours, generic),
            payload.len()
        );
        section.row(name, "ns", ours, remark);
    }
    section
}

fn one_device(address: &str) -> Context {
    let device = Device {
        ix: DeviceIx(0),
        id: "D-1".into(),
        kind: DeviceKind::SmokeDetector,
        name: String::new(),
        address: address.into(),
        cells: Vec::new(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    };
    let rows = Rows { devices: vec![device], ..Rows::default() };
    Context {
        registry: Registry::build(rows),
        freshness: Arc::new(FreshnessLimits::default()),
        profiles: gateway::profiles::shipped(),
    }
}

pub fn engine() -> Section {
    let mut section = Section::new(
        "The engine",
        "`Engine::apply` on batches of 1,000 heartbeats of four values from devices all over the table, nobody in alarm. Per report. Goal: at 400,000 devices at most 1.2 times \
         the cost at 100, at 5,000 rules at most 1.2 times the cost at 5.",
    );
    let mut base = None;
    for (devices, more) in [(100, 0), (4_000, 0), (4_000, 4_995), (400_000, 0), (400_000, 4_995)] {
        let [ours] = in_turn([&mut per_report(devices, more)]);
        let base = *base.get_or_insert(ours);
        section.row(
            &format!("{} devices, {} rules", super::figures::number(devices as f64), 5 + more),
            "ns",
            ours,
            format!("{} of 100 devices with 5 rules", ratio(ours, base)),
        );
    }
    section
}

/// Nanoseconds per report, with an engine of its own.
fn per_report(devices: usize, more_rules: usize) -> impl FnMut() -> f64 {
    const BATCHES: u64 = 100;
    let registry = registry(devices);
    let rules = rule_book(more_rules, &registry);
    let mut engine = Engine::new(registry, rules, Now { wall: Timestamp(START), steady: Steady(0) });
    let mut seq = 0;
    move || {
        let batches: Vec<Batch> = (1..=BATCHES).map(|n| batch(seq + n, BATCH, devices)).collect();
        seq += BATCHES;
        let started = gateway::clock::instant();
        for batch in &batches {
            let applied = engine.apply(batch);
            assert!(applied.effects.is_empty(), "nobody is in alarm: {:?}", applied.effects.first());
        }
        started.elapsed().as_nanos() as f64 / (BATCHES as usize * BATCH) as f64
    }
}

pub fn encoding() -> Section {
    let mut section = Section::new(
        "Encodings",
        "Batches of 1,000 heartbeats of four values and a device time. Line protocol is what InfluxDB gets; the journal form is what a commit writes. Per report.",
    );
    let registry = registry(4_000);
    let batches: Vec<Batch> = (1..=20).map(|seq| batch(seq, BATCH, 4_000)).collect();
    let mut encoder = Encoder::new("xl", false);
    let mut lines = Lines::default();
    let packed: Vec<Vec<u8>> = batches.iter().map(journal::encode).collect();
    let items = batches.len() * BATCH;
    let [line, written, read] = in_turn([
        &mut || {
            ns_per(items, &mut || {
                for batch in &batches {
                    lines.clear();
                    encoder.encode(&registry, batch, &mut lines);
                    black_box(lines.bytes());
                }
            })
        },
        &mut || {
            ns_per(items, &mut || batches.iter().for_each(|batch| drop(black_box(journal::encode(batch)))))
        },
        &mut || {
            ns_per(items, &mut || {
                for (batch, bytes) in batches.iter().zip(&packed) {
                    drop(black_box(journal::decode(batch.seq, batch.now, bytes)));
                }
            })
        },
    ]);
    let bytes: usize = packed.iter().map(Vec::len).sum();
    let per_s = |ns: f64| super::figures::number(1e9 / ns);
    section.row(
        "line protocol",
        "ns",
        line,
        format!(
            "{} lines/s on one core; goal: VictoriaMetrics' accept rate, about 700,000",
            per_s(line.median)
        ),
    );
    section.row(
        "journal, writing",
        "ns",
        written,
        format!(
            "{:.1} bytes a report, {:.1} a value",
            bytes as f64 / items as f64,
            bytes as f64 / items as f64 / 4.0
        ),
    );
    section.row(
        "journal, reading",
        "ns",
        read,
        format!("{} reports/s in a replay, before the engine", per_s(read.median)),
    );
    section
}
