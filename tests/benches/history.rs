//! The local history: how fast points are sealed, what a point takes, and how long a chart waits at 100 million points.

use std::time::Duration;

use gateway::clock::instant;
use gateway::model::{Batch, DeviceIx, Event, Freshness, Metric, Quality, Report, Value};
use gateway::store::{Commit, Limits, Store};
use gateway::units::{Now, Steady, Timestamp};
use rusqlite::Connection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::disk::{LIMITS, bytes_written, fresh};
use super::figures::{RUNS, Section, Spread, quantile, ratio};
use super::made_up::START;
use super::station::cpu_s;
use super::wait_for;

const SERIES: u32 = 2_000;
const TICK_S: i64 = 10;
/// Ten ticks in one batch: with one the disk's syncs would be all that is measured.
const MANY: Many = Many { points: 100_000_000, ticks_in_a_batch: 10 };
const DAY_POINTS: i64 = 24 * 3600 / TICK_S;
const QUERIES: usize = 1_000;

struct Many {
    points: u64,
    ticks_in_a_batch: u64,
}

pub fn history() -> Section {
    let mut section = Section::new(
        "The history",
        format!(
            "{SERIES} series, one value each {TICK_S} s that moves by hundredths, with times that jitter by 200 ms. First 500 ticks, a commit each, until every point is sealed; the baseline only commits them. Then \
             {} points in commits of {} ticks, sealed and merged on the way, with a journal bounded to 64 MB; and at the end {QUERIES} times the last 24 hours of one series, {DAY_POINTS} points down to 500, \
             through the store's own call. Heartbeats have four values and come of all devices in turn. CPU is that of the whole process, the making of the numbers left out.",
            super::figures::number(MANY.points as f64),
            MANY.ticks_in_a_batch,
        ),
    );
    let ticks = ticks(500, 1);
    let mut runs: [Vec<f64>; 6] = Default::default();
    for _ in 0..RUNS {
        let figures = wait_for(sealed(&ticks, true))
            .into_iter()
            .chain(wait_for(sealed(&ticks, false)).into_iter().take(2));
        figures.zip(&mut runs).for_each(|(figure, runs)| runs.push(figure));
    }
    let [rate, cpu, size, written, bare_rate, bare_cpu] = runs.map(Spread::of);
    section.row(
        "points committed and sealed",
        "points/s",
        rate,
        format!("{} of only committing; goal: 3 million/s", ratio(rate, bare_rate)),
    );
    section.row("CPU of it", "ns a point", cpu, format!("{} of only committing", ratio(cpu, bare_cpu)));
    section.row("only committing", "points/s", bare_rate, "the baseline");
    section.row("CPU of only committing", "ns a point", bare_cpu, "the baseline");
    section.row("size of a sealed point", "bytes", size, "goal: at most 1.6");
    section.row("written to disk a point", "bytes", written, "goal: at most 60");
    drop(ticks);

    let stations = [100, 400_000].map(|devices| heartbeats(250, devices));
    let mut runs: [Vec<f64>; 2] = Default::default();
    for _ in 0..RUNS {
        for (batches, runs) in stations.iter().zip(&mut runs) {
            runs.push(wait_for(sealed(batches, true))[1]);
        }
    }
    let [few, city] = runs.map(Spread::of);
    section.row("heartbeats of 100 devices committed and sealed", "ns a point", few, "the baseline");
    section.row(
        "the same of 400,000 devices",
        "ns a point",
        city,
        format!("{} of 100 devices; goal for the whole message: 1.2", ratio(city, few)),
    );
    drop(stations);

    let many = wait_for(many());
    let row = |section: &mut Section, what: &str, unit: &str, value: f64, remark: &str| {
        section.row(what, unit, Spread::of(vec![value]), remark);
    };
    row(&mut section, "100 million points: CPU with all merging", "ns a point", many.cpu_ns, "");
    row(&mut section, "100 million points: size of a point", "bytes", many.size, "goal: at most 1.6");
    row(
        &mut section,
        "100 million points: written to disk a point",
        "bytes",
        many.written,
        "goal: at most 60",
    );
    row(&mut section, "100 million points: runs", "runs", many.runs, "");
    row(&mut section, "24 h of one series, p50", "ms", quantile(&many.query_ms, 0.5), "");
    row(&mut section, "24 h of one series, p99", "ms", quantile(&many.query_ms, 0.99), "goal: at most 5");
    row(&mut section, "24 h of one series, longest", "ms", quantile(&many.query_ms, 1.0), "");
    row(&mut section, "24 h of one series, CPU", "ms", many.query_cpu_ms, "");
    section
}

/// Points per second, CPU in ns a point; bytes a sealed point and bytes written a point, when they are sealed.
async fn sealed(ticks: &[Batch], with_history: bool) -> [f64; 4] {
    let (folder, store) = fresh(LIMITS);
    let keeper = Keeper::start(&store, with_history);
    let commits: Vec<Commit> = ticks.iter().map(commit).collect();
    let (written, started, cpu) = (bytes_written(), instant(), cpu_s(std::process::id()));
    for commit in &commits {
        store.commit(commit).await.unwrap();
    }
    if with_history {
        all_sealed(&store, ticks.len() as u64).await;
    }
    let points = ticks.iter().map(points_of).sum::<usize>() as f64;
    let (took, cpu) = (started.elapsed().as_secs_f64(), cpu_s(std::process::id()) - cpu);
    let written = (bytes_written() - written) as f64 / points;
    keeper.end().await;
    let (kept, bytes) = stored(folder.path());
    assert!(!with_history || kept == points, "{kept} of {points} points are sealed");
    [points / took, cpu * 1e9 / points, bytes / points, written]
}

struct Measured {
    cpu_ns: f64,
    size: f64,
    written: f64,
    runs: f64,
    /// Sorted.
    query_ms: Vec<f64>,
    query_cpu_ms: f64,
}

async fn many() -> Measured {
    const JOURNAL: u64 = 64 << 20;
    /// Far less than the journal holds: nothing is dropped from it before it is sealed.
    const AHEAD_MAX: u64 = 100;
    let (folder, store) = fresh(Limits { journal_bytes_max: JOURNAL, ..LIMITS });
    let keeper = Keeper::start(&store, true);
    let process = std::process::id();
    let batches = MANY.points / u64::from(SERIES) / MANY.ticks_in_a_batch;
    let (mut values, mut random) = (vec![2_000; SERIES as usize], dice(2));
    let (written, mut cpu) = (bytes_written(), 0.0);
    let mut since = cpu_s(process);
    for seq in 1..=batches {
        // The keeper may be at work meanwhile, so what the numbers cost is only roughly left out.
        cpu += cpu_s(process) - since;
        let batch = batch(seq, MANY.ticks_in_a_batch, &mut values, &mut random);
        since = cpu_s(process);
        store.commit(&commit(&batch)).await.unwrap();
        while seq.is_multiple_of(AHEAD_MAX) && store.cursor("history").await.unwrap() + AHEAD_MAX < seq {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    all_sealed(&store, batches).await;
    assert_eq!(store.dropped("history").await.unwrap(), 0);
    store.merge().await.unwrap();
    cpu += cpu_s(process) - since;
    let written = (bytes_written() - written) as f64;
    keeper.end().await;
    let (points, bytes) = stored(folder.path());
    assert_eq!(points, MANY.points as f64, "every point is sealed");

    let to = START + (batches * MANY.ticks_in_a_batch) as i64 * TICK_S * 1000 + 1;
    let from = to - DAY_POINTS * TICK_S * 1000;
    let mut query_ms = Vec::with_capacity(QUERIES);
    let before = cpu_s(process);
    for _ in 0..QUERIES {
        let device = DeviceIx(random(u64::from(SERIES)) as u32);
        let started = instant();
        let day =
            store.series(device, Metric::TEMPERATURE, Timestamp(from), Timestamp(to), 500).await.unwrap();
        query_ms.push(started.elapsed().as_secs_f64() * 1000.0);
        let seen: u32 = day.iter().map(|sample| sample.count).sum();
        assert!(
            day.len() <= 500 && i64::from(seen).abs_diff(DAY_POINTS) <= 1,
            "{} samples of {seen}",
            day.len()
        );
    }
    let query_cpu_ms = (cpu_s(process) - before) * 1000.0 / QUERIES as f64;
    query_ms.sort_by(f64::total_cmp);
    let file = Connection::open(folder.path().join("store.db")).unwrap();
    let runs: u32 = file
        .query_row("SELECT count(*) FROM history_runs WHERE state = 'whole'", (), |row| row.get(0))
        .unwrap();
    Measured {
        cpu_ns: cpu * 1e9 / points,
        size: bytes / points,
        written: written / points,
        runs: f64::from(runs),
        query_ms,
        query_cpu_ms,
    }
}

/// The task that seals and merges.
struct Keeper {
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Keeper {
    fn start(store: &Store, at_all: bool) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        if at_all {
            tasks.spawn(store.clone().keep_history(stop.clone()));
        }
        Self { stop, tasks }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.join_all().await.into_iter().for_each(|ended| ended.unwrap());
    }
}

async fn all_sealed(store: &Store, upto: u64) {
    while store.cursor("history").await.unwrap() < upto {
        store.seal().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Points in runs that count, and their bytes.
fn stored(folder: &std::path::Path) -> (f64, f64) {
    let file = Connection::open(folder.join("store.db")).unwrap();
    let points = "SELECT coalesce(sum(points), 0) FROM history_runs WHERE state = 'whole'";
    let bytes = "SELECT coalesce(sum(length(bytes)), 0) FROM history_blocks JOIN history_runs USING (run) WHERE state = 'whole'";
    let sum = |sql| file.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap() as f64;
    (sum(points), sum(bytes))
}

/// Heartbeats with four values each, a thousand in a batch, of devices in turn.
fn heartbeats(count: u64, devices: usize) -> Vec<Batch> {
    (1..=count).map(|seq| super::made_up::batch(seq, 1_000, devices)).collect()
}

fn points_of(batch: &Batch) -> usize {
    let values = |event: &Event| match event {
        Event::Report(report) => report.values.len(),
        Event::Gone { .. } | Event::Action(_) => 0,
    };
    batch.events.iter().map(values).sum()
}

/// Now and then with a snapshot of the engine, without which no batch leaves the journal.
fn commit(batch: &Batch) -> Commit {
    let snapshot = batch.seq.is_multiple_of(100).then(|| vec![0; 100_000]);
    Commit { batch: Some(batch.clone()), snapshot, ..Commit::default() }
}

fn ticks(count: u64, seed: u64) -> Vec<Batch> {
    let (mut values, mut random) = (vec![2_000; SERIES as usize], dice(seed));
    (1..=count).map(|seq| batch(seq, 1, &mut values, &mut random)).collect()
}

/// So many ticks of all series.
fn batch(seq: u64, ticks: u64, values: &mut [i64], random: &mut impl FnMut(u64) -> i64) -> Batch {
    let mut events = Vec::with_capacity(values.len() * ticks as usize);
    let mut wall = Timestamp(START);
    for tick in (seq - 1) * ticks + 1..=seq * ticks {
        wall = Timestamp(START + tick as i64 * TICK_S * 1000);
        for (device, value) in values.iter_mut().enumerate() {
            *value += random(5) - 2;
            let value =
                Value { metric: Metric::TEMPERATURE, value: *value as f64 / 100.0, quality: Quality::Good };
            events.push(Event::Report(Report {
                device: DeviceIx(device as u32),
                received: Timestamp(wall.0 - random(200)),
                device_time: None,
                freshness: Freshness::Live,
                values: vec![value],
            }));
        }
    }
    Batch { seq, now: Now { wall, steady: Steady((wall.0 - START) as u64) }, events }
}

/// The same numbers in every run.
fn dice(seed: u64) -> impl FnMut(u64) -> i64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as i64
    }
}
