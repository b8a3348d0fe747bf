//! Every reader of foreign bytes against its corpus and seeded mutations of it, on stable Rust: a second per target.
//!
//! `SEED=… cargo test -p tests --test fuzz` repeats a run; `FUZZ_SECONDS=60` makes it longer. The long form with coverage is `make torture`. An input that
//! once broke something stays in the corpus. The corpus holds every golden sample: `FUZZ_WRITE_CORPUS=1` writes it after a change of those.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed test")]

#[path = "fuzz/targets.rs"]
mod targets;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use gateway::clock;
use gateway::decode::{Family, Message, decode};
use gateway::engine::Engine;
use gateway::model::{
    Action, AlarmId, Batch, Deed, DeviceIx, Event, Freshness, Metric, Quality, Report, Value,
};
use gateway::units::{Steady, Timestamp};
use gateway::wire::journal::encode;
use serde::Deserialize;
use targets::{MOMENT, TARGETS};
use tests::neighbours::root;

/// Longer inputs only make it slower.
const BYTES_MAX: usize = 4096;

/// Words that readers look for.
const WORDS: &[&str] = &[
    "null",
    "true",
    "-1",
    "1e999",
    "NaN",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\u0000",
    "\\ud800",
    "/",
    "+",
    "#",
    "$",
    "\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "火",
    "=",
    ".",
    "time",
    "device",
    "values",
    "smoke",
    "[[",
    "]]",
    "9999999999999999999",
];

fn folder(target: &str) -> PathBuf {
    root().join("tests/fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut data = rng.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..1 << rng.u32(0..4) {
        let at = rng.usize(0..=data.len());
        let until = (at + rng.usize(0..16)).min(data.len());
        match rng.u32(0..8) {
            0 if at < data.len() => data[at] ^= 1 << rng.u32(0..8),
            1 if at < data.len() => data[at] = rng.u8(..),
            2 => drop(data.drain(at..until)),
            3 => data.insert(at, rng.u8(..)),
            4 => {
                let word = rng.choice(WORDS).unwrap();
                drop(data.splice(at..until.min(at + rng.usize(0..4)).max(at), word.bytes()));
            }
            5 => {
                let again = data[at..until].repeat(rng.usize(1..20));
                drop(data.splice(at..at, again));
            }
            6 => {
                let other = rng.choice(corpus).unwrap();
                let from = rng.usize(0..=other.len());
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            _ => data.truncate(at.max(1)),
        }
        data.truncate(BYTES_MAX);
    }
    data
}

#[test]
fn whatever_the_bytes_are() {
    let seed = std::env::var("SEED").ok().map_or_else(|| fastrand::u64(..), |text| text.parse().unwrap());
    let seconds = std::env::var("FUZZ_SECONDS").ok().map_or(0.6, |text| text.parse().unwrap());
    println!("SEED={seed}");
    let only = std::env::var("FUZZ_TARGET").ok();
    for &(name, target) in TARGETS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
    {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        let try_one = |data: &[u8]| {
            if catch_unwind(AssertUnwindSafe(|| target(data))).is_err() {
                let file = std::env::temp_dir().join(format!("gridwarden-fuzz-{name}"));
                std::fs::write(&file, data).unwrap();
                panic!(
                    "{name} fails on {} (SEED={seed}): {:?}",
                    file.display(),
                    String::from_utf8_lossy(data)
                );
            }
        };
        corpus.iter().for_each(|data| try_one(data));
        let mut rng = Rng::with_seed(seed);
        let begun = clock::instant();
        let mut count = 0;
        while begun.elapsed() < Duration::from_secs_f64(seconds) {
            for _ in 0..20 {
                try_one(&mutated(&corpus, &mut rng));
                count += 1;
            }
        }
        println!("{name}: {} of the corpus, {count} mutations", corpus.len());
    }
}

#[derive(Deserialize)]
struct Golden {
    family: Family,
    sample: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    topic: String,
    payload: String,
    #[serde(default)]
    retained: bool,
    #[serde(default)]
    dup: bool,
}

/// Tables that no mistake of the configuration's tests is about. Cells, devices and people are those of `tests/config/base`.
const TABLES: &[(&str, &[&str])] = &[
    (
        "absences",
        &[
            "id,from,until,stand_in,reason\nwang,2026-12-01,2026-12-09,,leave\nwang,2026-12-05,,wang,\n",
            "工号;开始;结束;代班\nwang;2026-12-01 08:00;2026-12-01 20:00;\n",
        ],
    ),
    (
        "teams",
        &[
            "name,kind,person,part,cells,flat,from\nt,五包一,wang,lead,S,3-501,2026-01-01\nt,,wang,,,,\n",
            "名称;类型;工号;网格;部件;开始;止;停用\n夜间应急;应急队伍;wang;S、S;SD-1|SD-1;2026-01-01;2026-02-01;是\n",
        ],
    ),
    (
        "buildings",
        &[
            "cell,name,floors,structure\nS,3栋,11,剪力墙\nS,4栋,,\n",
            "cell,name,floors,structure,retired\nS,3栋,-1,x,yes\nS,3栋,6,砖混,\n",
        ],
    ),
    (
        "households",
        &[
            "cell,place,people,help,contact,phone\nS,3栋2单元501,2,cannot_walk,li,13800000000\nS,3栋2单元50,,,,\n",
            "cell,place,people,help,contact,phone\nS,3栋,99999,cannot_walk;blind,,1.38E+10\n",
        ],
    ),
];

/// What the corpus must hold at least, made from the golden samples and the files of the tests.
fn seeds() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let mut seeds: BTreeMap<&'static str, Vec<Vec<u8>>> = BTreeMap::new();
    let context = targets::context();
    let mut batches = Vec::new();
    for target in ["native", "zigbee2mqtt", "chirpstack", "frigate", "meokon"] {
        let file = root().join(format!("tests/golden/{target}.toml"));
        let golden: Golden = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut events = Vec::new();
        for sample in &golden.sample {
            let flags = b'0' | u8::from(sample.retained) | u8::from(sample.dup) << 1;
            let data = [&[flags], sample.topic.as_bytes(), b"\n", sample.payload.as_bytes()].concat();
            if data.len() <= BYTES_MAX {
                seeds.entry(target).or_default().push(data);
            }
            let message = Message {
                topic: &sample.topic,
                payload: sample.payload.as_bytes(),
                retained: sample.retained,
                dup: sample.dup,
                received: MOMENT.wall,
            };
            events.extend(decode(golden.family, &message, &context).events);
            seeds.entry("topics").or_default().push(
                format!(
                    "{}\n{}/#\n{}",
                    sample.topic.replace("SD-1", "+"),
                    sample.topic.split('/').next().unwrap(),
                    sample.topic
                )
                .into_bytes(),
            );
            seeds.entry("frames").or_default().push(publish(&sample.topic, sample.payload.as_bytes()));
        }
        batches.push(Batch { seq: 9, now: MOMENT, events });
    }
    let action = Action { who: "ann".into(), what: Deed::Acknowledge { alarm: AlarmId(1), note: None } };
    batches.push(Batch { seq: 9, now: MOMENT, events: vec![Event::Action(action)] });
    for batch in &batches {
        let bytes = encode(batch);
        seeds.entry("journal").or_default().push(bytes[..bytes.len() - 4].to_vec());
    }
    seeds.insert("snapshot", snapshots());
    seeds.entry("frames").or_default().extend([
        b"\0\x10\x14\0\x04MQTT\x04\x02\0\x3c\0\x08gateway1".to_vec(),
        b"\0\x10\x1b\0\x04MQTT\x05\x02\0\x3c\x05\x11\0\0\0\x0a\0\x08gateway1".to_vec(),
        b"\x03\x82\x0b\0\x01\0\x06down/#\x01\xa2\x0a\0\x02\0\x06down/#\xc0\0\xe0\0".to_vec(),
        b"\x01\x82\x0c\0\x01\0\0\x06down/#\x01\x40\x02\0\x07\xe0\x01\x04".to_vec(),
    ]);
    for (text, values) in [("station-1\nS-1\nSD-1\n", 3u8), ("网格\nA,b=c d\n\"SD\\\n", 11)] {
        let bytes = (0..values).flat_map(|n| [&[n][..], &(f64::from(n) * 1.5).to_le_bytes(), &[n]].concat());
        seeds.entry("line").or_default().push(text.bytes().chain([values]).chain(bytes).collect());
    }
    for unit in [0u8, 1, 2, 5, 13, 22] {
        let words: [u16; 12] = [0x0102, 2, 0x4348, 0, 0x7FFF, 0xFFFF, 0x7F80, 0, 14, 1, 0, 3];
        let words = words.iter().flat_map(|word| word.to_be_bytes());
        seeds.entry("modbus").or_default().push([unit, 0].into_iter().chain(words).collect());
    }
    for (target, file) in [
        ("station_toml", "station.toml"),
        ("rules_toml", "rules.toml"),
        ("cells", "cells.geojson"),
        ("devices", "devices.csv"),
        ("people", "people.csv"),
    ] {
        for entry in std::fs::read_dir(root().join("tests/config")).unwrap() {
            if let Ok(data) = std::fs::read(entry.unwrap().path().join(file))
                && data.len() <= BYTES_MAX
            {
                seeds.entry(target).or_default().push(data);
            }
        }
    }
    for (target, tables) in TABLES {
        seeds.entry(target).or_default().extend(tables.iter().map(|table| table.as_bytes().to_vec()));
    }
    for list in seeds.values_mut() {
        list.sort();
        list.dedup();
    }
    seeds
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&[0, 7]);
    body.extend_from_slice(&payload[..payload.len().min(60)]);
    let mut frame = vec![0, 0x32];
    match body.len() {
        short @ 0..128 => frame.push(short as u8),
        long => frame.extend_from_slice(&[(long & 0x7F) as u8 | 0x80, (long >> 7) as u8]),
    }
    frame.extend_from_slice(&body);
    frame
}

/// Bodies of snapshots: of a new engine, and of one in the middle of things.
fn snapshots() -> Vec<Vec<u8>> {
    let (registry, rules) = targets::station();
    let mut engine = Engine::new(registry, rules, MOMENT);
    let fresh = engine.snapshot();
    let report = |device, metric: &str, value| {
        let metric = Metric::from_name(metric).unwrap();
        let received = Timestamp(MOMENT.wall.0 + 1000);
        let values = vec![Value { metric, value, quality: Quality::Good }];
        Event::Report(Report {
            device: DeviceIx(device),
            received,
            device_time: Some(received),
            freshness: Freshness::Live,
            values,
        })
    };
    let mut now = MOMENT;
    now.steady = Steady(now.steady.0 + 1000);
    let events = vec![
        report(0, "smoke", 1.0),
        report(1, "pressure", 90.0),
        report(2, "pressure", 300.0),
        report(1, "smoke", 1.0),
    ];
    engine.apply(&Batch { seq: 1, now, events });
    [fresh, engine.snapshot()].map(|snapshot| snapshot[9..].to_vec()).to_vec()
}

#[test]
fn the_corpus_holds_every_sample() {
    let write = std::env::var_os("FUZZ_WRITE_CORPUS").is_some();
    for (target, seeds) in seeds() {
        let kept = if write { Vec::new() } else { corpus(target) };
        for (number, seed) in seeds.iter().enumerate() {
            if write {
                std::fs::create_dir_all(folder(target)).unwrap();
                std::fs::write(folder(target).join(format!("sample-{number:02}")), seed).unwrap();
            } else {
                assert!(
                    kept.contains(seed),
                    "{target} lacks a sample: FUZZ_WRITE_CORPUS=1 cargo test -p tests --test fuzz"
                );
            }
        }
    }
}
