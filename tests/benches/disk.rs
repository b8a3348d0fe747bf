//! The disk: what one sync costs here, and what the store makes of it.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use gateway::clock::instant;
use gateway::model::{Batch, DeviceIx, Event, Freshness, Metric, Quality, Report, Value};
use gateway::store::{Commit, Limits, Store};
use gateway::units::{Now, Steady, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::figures::{RUNS, Section, Spread, in_turn, number, quantile};
use super::made_up::{START, batch};
use super::wait_for;

pub fn syncs() -> Section {
    let mut section = Section::new(
        "This disk",
        "300 times: append 256 bytes, `fdatasync`. The floor of everything that is acknowledged after it is on disk.",
    );
    let runs: Vec<Vec<f64>> = (0..RUNS).map(|_| sync_times_ms(300)).collect();
    for (name, part) in [("median", 0.5), ("p99", 0.99), ("longest", 1.0)] {
        let spread = Spread::of(runs.iter().map(|run| quantile(run, part)).collect());
        section.row(
            &format!("fdatasync, {name}"),
            "ms",
            spread,
            format!("{}/s by one writer", number(1000.0 / spread.median)),
        );
    }
    section
}

/// Sorted.
pub fn sync_times_ms(count: usize) -> Vec<f64> {
    let mut file = tempfile::tempfile_in(".").expect("the working folder is on the disk that is meant");
    let mut times: Vec<f64> = (0..count)
        .map(|_| {
            let started = instant();
            file.write_all(&[7; 256]).unwrap();
            file.sync_data().unwrap();
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Bytes this process caused to be written to disks.
fn bytes_written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("listed");
    line.parse().expect("a number")
}

const LIMITS: Limits = Limits {
    journal_bytes_max: 4 << 30,
    journal_days_max: 36_500,
    history_days_max: 36_500,
    dead_letters_max: 100,
    outbox_rows_max: 1_000_000,
    attachments: gateway::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
};

fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir_in(".").expect("the working folder is on the disk that is meant");
    let (store, _) = Store::open(&folder.path().join("store.db"), LIMITS).unwrap();
    (folder, store)
}

pub fn store() -> Section {
    let mut section = Section::new(
        "The store",
        "Batches: 100 commits of 1,000 heartbeats with four values each; the baseline writes the same journal bytes to a plain file with one fdatasync per batch. \
         History: 2,000 series, one value each ten seconds that moves by hundredths, 500 ticks, until every point is sealed.",
    );
    let batches: Vec<Batch> = (1..=100).map(|seq| batch(seq, 1_000, 4_000)).collect();
    let values = (batches.len() * 1_000 * 4) as f64;
    let mut written_per_value = Vec::new();
    let [ours, plain] = in_turn([
        &mut || {
            let (_folder, store) = fresh();
            let before = bytes_written();
            let started = instant();
            wait_for(async {
                for batch in &batches {
                    let commit = Commit { batch: Some(batch.clone()), ..Commit::default() };
                    store.commit(&commit).await.unwrap();
                }
            });
            let took = started.elapsed().as_secs_f64();
            written_per_value.push((bytes_written() - before) as f64 / values);
            values / took
        },
        &mut || {
            let file = tempfile::tempfile_in(".").unwrap();
            let started = instant();
            let mut at = 0;
            for batch in &batches {
                let bytes = gateway::wire::journal::encode(batch);
                file.write_all_at(&bytes, at).unwrap();
                file.sync_data().unwrap();
                at += bytes.len() as u64;
            }
            values / started.elapsed().as_secs_f64()
        },
    ]);
    section.row(
        "commits of 4,000 values",
        "values/s",
        ours,
        format!("{} of a plain file; goal: 3 million points/s", super::figures::ratio(ours, plain)),
    );
    section.row("the same into a plain file", "values/s", plain, "the baseline");
    section.row(
        "written to disk",
        "bytes a value",
        Spread::of(written_per_value),
        "with the write-ahead log, before sealing",
    );

    let one_by_one = (0..RUNS).map(|_| wait_for(small_commits()));
    section.row(
        "commits of one heartbeat, one after the other",
        "commits/s",
        Spread::of(one_by_one.collect()),
        "each is one fdatasync",
    );

    let mut runs: [Vec<f64>; 4] = Default::default();
    for _ in 0..RUNS {
        let figures = wait_for(history());
        figures.into_iter().zip(&mut runs).for_each(|(figure, runs)| runs.push(figure));
    }
    let [rate, sealed, written, read] = runs.map(Spread::of);
    section.row("history: points committed and sealed", "points/s", rate, "goal: 3 million/s");
    section.row("history: size of a sealed point", "bytes", sealed, "goal: at most 1.6");
    section.row("history: written to disk a point", "bytes", written, "goal: at most 60");
    section.row("history: one hour of one series", "ms", read, "goal for 24 h: 5 ms at 100 million points");
    section
}

async fn small_commits() -> f64 {
    const COMMITS: u64 = 300;
    let (_folder, store) = fresh();
    let started = instant();
    for seq in 1..=COMMITS {
        let commit = Commit { batch: Some(batch(seq, 1, 4_000)), ..Commit::default() };
        store.commit(&commit).await.unwrap();
    }
    COMMITS as f64 / started.elapsed().as_secs_f64()
}

/// Points per second, bytes per sealed point, bytes written per point, milliseconds for one hour of one series.
async fn history() -> [f64; 4] {
    const TICKS: u64 = 500;
    const SERIES: u32 = 2_000;
    let (folder, store) = fresh();
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(store.clone().keep_history(stop.clone()));
    let mut random = dice(1);
    let mut values = vec![2_000; SERIES as usize];
    let ticks: Vec<Batch> = (1..=TICKS).map(|seq| tick(seq, &mut values, &mut random)).collect();
    let (written, started) = (bytes_written(), instant());
    for (seq, tick) in (1..).zip(ticks) {
        let snapshot = (seq % 100 == 0).then(|| vec![0; 100_000]);
        store.commit(&Commit { batch: Some(tick), snapshot, ..Commit::default() }).await.unwrap();
    }
    while store.cursor("history").await.unwrap() < TICKS {
        store.seal().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed().as_secs_f64();
    let points = (TICKS * u64::from(SERIES)) as f64;
    let written = (bytes_written() - written) as f64 / points;
    let file = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    let (kept, bytes): (i64, i64) = file
        .query_row("SELECT sum(points), sum(length(bytes)) FROM chunks", (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(kept as f64, points, "every point is sealed");
    let started = instant();
    for device in 0..200 {
        let ends = (Timestamp(START + 1_000_000), Timestamp(START + 4_600_000));
        let hour = store.series(DeviceIx(device), Metric::TEMPERATURE, ends.0, ends.1, 1_000).await.unwrap();
        assert!(hour.len() >= 359, "an hour has 360 points, not {}", hour.len());
    }
    let read = started.elapsed().as_secs_f64() * 1000.0 / 200.0;
    stop.cancel();
    tasks.join_all().await.into_iter().for_each(|ended| ended.unwrap());
    [points / took, bytes as f64 / points, written, read]
}

/// The same numbers in every run.
fn dice(seed: u64) -> impl FnMut(u64) -> i64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as i64
    }
}

fn tick(seq: u64, values: &mut [i64], random: &mut impl FnMut(u64) -> i64) -> Batch {
    let wall = Timestamp(START + seq as i64 * 10_000);
    let mut events = Vec::with_capacity(values.len());
    for (device, value) in values.iter_mut().enumerate() {
        *value += random(5) - 2;
        let values =
            vec![Value { metric: Metric::TEMPERATURE, value: *value as f64 / 100.0, quality: Quality::Good }];
        events.push(Event::Report(Report {
            device: DeviceIx(device as u32),
            received: Timestamp(wall.0 - random(200)),
            device_time: None,
            freshness: Freshness::Live,
            values,
        }));
    }
    Batch { seq, now: Now { wall, steady: Steady(seq * 10_000) }, events }
}
