//! What a message costs where nothing waits: decoding, rules, encodings. One thread, nanoseconds per item.

use std::hint::black_box;

use gateway::decode::{Message, decode};
use gateway::engine::Engine;
use gateway::model::Batch;
use gateway::units::{Now, Steady, Timestamp};
use gateway::wire::journal;
use gateway::wire::line::{Encoder, Lines};

use super::figures::{Section, in_turn, ns_per, ratio};
use super::made_up::{START, batch, registry, rule_book};
use super::samples::{Sample, one_device, samples};

const BATCH: usize = 1_000;

pub fn decoding() -> Section {
    let mut section = Section::new(
        "Decoding",
        "One message of each family, as in tests/golden, into events. The baseline is `serde_json` reading the same bytes into a generic value.",
    );
    for Sample { family, name, topic, payload, address } in samples() {
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
