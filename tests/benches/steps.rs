//! `cargo bench`: what each step of a message's way costs alone, in time and in allocations. One thread, no files but for the history.
//!
//! For whoever changes a step and wants to know what it did; `make bench` measures the whole way and writes docs/benchmarks.md. Give a name to run a part:
//! `cargo bench -- decode`.

#![allow(clippy::unwrap_used, reason = "a step that fails ends the measurement")]

#[allow(dead_code, reason = "shared with `make bench`, which uses all of it")]
mod made_up;
mod samples;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use gateway::decode::{Message, decode};
use gateway::engine::Engine;
use gateway::model::Batch;
use gateway::store::{Commit, Limits, Store};
use gateway::units::{Now, Steady, Timestamp};
use gateway::wire::journal;
use gateway::wire::line::{Encoder, Lines};
use mimalloc::MiMalloc;

use tests::station::LIMITS;

use made_up::{START, batch, registry, rule_book};
use samples::{Sample, one_device, samples};

/// The program's allocator, counting.
#[global_allocator]
static ALLOCATOR: AllocProfiler<MiMalloc> = AllocProfiler::new(MiMalloc);

/// Heartbeats of four values in one batch.
const BATCH: usize = 1_000;

fn main() {
    divan::main();
}

#[divan::bench(args = samples().map(|sample| sample.name))]
fn decode_one(bencher: Bencher<'_, '_>, name: &str) {
    let sample = samples().into_iter().find(|sample| sample.name == name).unwrap();
    let Sample { family, topic, payload, address, .. } = sample;
    let context = one_device(address);
    let message = Message {
        topic,
        payload: payload.as_bytes(),
        retained: false,
        dup: false,
        received: Timestamp(START),
    };
    bencher
        .counter(BytesCount::new(payload.len()))
        .bench_local(|| decode(family, black_box(&message), &context));
}

#[divan::bench(args = [100, 4_000, 400_000])]
fn engine_step(bencher: Bencher<'_, '_>, devices: usize) {
    let registry = registry(devices);
    let rules = rule_book(0, &registry);
    let mut engine = Engine::new(registry, rules, Now { wall: Timestamp(START), steady: Steady(0) });
    let mut seq = 0;
    let next = move || {
        seq += 1;
        batch(seq, BATCH, devices)
    };
    bencher.counter(ItemsCount::new(BATCH)).with_inputs(next).bench_local_values(|batch| {
        engine.apply(&batch);
        batch // Dropped outside the time.
    });
}

#[divan::bench]
fn line_protocol(bencher: Bencher<'_, '_>) {
    let (registry, batch) = (registry(4_000), batch(1, BATCH, 4_000));
    let (mut encoder, mut lines) = (Encoder::new("xl", false), Lines::default());
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        lines.clear();
        encoder.encode(&registry, black_box(&batch), &mut lines);
        lines.len()
    });
}

#[divan::bench]
fn journal_write(bencher: Bencher<'_, '_>) {
    let batch = batch(1, BATCH, 4_000);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| journal::encode(black_box(&batch)));
}

#[divan::bench]
fn journal_read(bencher: Bencher<'_, '_>) {
    let batch = batch(1, BATCH, 4_000);
    let bytes = journal::encode(&batch);
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench_local(|| journal::decode(batch.seq, batch.now, black_box(&bytes)));
}

/// Journal, sync and head of the history, on the disk under the current folder.
#[divan::bench(sample_size = 1)]
fn journal_append(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let (runtime, store) = open(folder.path());
    let mut seq = 0;
    let next = move || {
        seq += 1;
        commit(batch(seq, BATCH, 4_000))
    };
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(next)
        .bench_local_refs(|commit| runtime.block_on(store.commit(commit)).unwrap());
}

/// Into compressed blocks: a minute of 4,000 devices with four values each, once a second.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn history_seal(bencher: Bencher<'_, '_>) {
    const BATCHES: u64 = 60 * 4;
    let points = 4 * BATCHES as usize * BATCH;
    let filled = || {
        let folder = tempfile::tempdir_in(".").unwrap();
        let (runtime, store) = open(folder.path());
        for seq in 1..=BATCHES {
            runtime.block_on(store.commit(&commit(batch(seq, BATCH, 4_000)))).unwrap();
        }
        (folder, runtime, store)
    };
    bencher
        .counter(ItemsCount::new(points))
        .with_inputs(filled)
        .bench_local_refs(|(_, runtime, store)| runtime.block_on(store.seal()).unwrap());
}

fn commit(batch: Batch) -> Commit {
    Commit { batch: Some(batch), ..Commit::default() }
}

fn open(folder: &std::path::Path) -> (tokio::runtime::Runtime, Store) {
    let limits =
        Limits { journal_bytes_max: 4 << 30, journal_days_max: 36_500, history_days_max: 36_500, ..LIMITS };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (store, _) = Store::open(&folder.join("store.db"), limits).unwrap();
    (runtime, store)
}
