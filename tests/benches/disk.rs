//! The disk: what one sync costs here, and what the store makes of it.

use std::io::Write;
use std::os::unix::fs::FileExt;

use gateway::clock::instant;
use gateway::model::Batch;
use gateway::store::{Commit, Limits, Store};

use super::figures::{RUNS, Section, Spread, in_turn, number, quantile};
use super::made_up::batch;
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
pub fn bytes_written() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("listed");
    line.parse().expect("a number")
}

pub const LIMITS: Limits = Limits {
    journal_bytes_max: 4 << 30,
    journal_days_max: 36_500,
    history_days_max: 36_500,
    dead_letters_max: 100,
    outbox_rows_max: 1_000_000,
    attachments: gateway::store::attachments::Limits { bytes_max: 64 << 20, days_max: 30 },
};

pub fn fresh(limits: Limits) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir_in(".").expect("the working folder is on the disk that is meant");
    let (store, _) = Store::open(&folder.path().join("store.db"), limits).unwrap();
    (folder, store)
}

pub fn store() -> Section {
    let mut section = Section::new(
        "The store",
        "Batches: 100 commits of 1,000 heartbeats with four values each; the baseline writes the same journal bytes to a plain file with one fdatasync per batch.",
    );
    let batches: Vec<Batch> = (1..=100).map(|seq| batch(seq, 1_000, 4_000)).collect();
    let values = (batches.len() * 1_000 * 4) as f64;
    let mut written_per_value = Vec::new();
    let [ours, plain] = in_turn([
        &mut || {
            let (_folder, store) = fresh(LIMITS);
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
        format!("{} of a plain file", super::figures::ratio(ours, plain)),
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
    section
}

async fn small_commits() -> f64 {
    const COMMITS: u64 = 300;
    let (_folder, store) = fresh(LIMITS);
    let started = instant();
    for seq in 1..=COMMITS {
        let commit = Commit { batch: Some(batch(seq, 1, 4_000)), ..Commit::default() };
        store.commit(&commit).await.unwrap();
    }
    COMMITS as f64 / started.elapsed().as_secs_f64()
}
