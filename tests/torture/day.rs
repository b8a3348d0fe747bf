//! InfluxDB away for a day at 1,000 points/s, then back: `torture-day [points] [journal_max_mb]`, figures in `.run/torture/day.md`.
//!
//! The day's points come as fast as the station takes them, so that the run takes minutes. Memory must stay flat; then everything that the journal still
//! holds drains while fires go through. Run it with MALLOC_ARENA_MAX=2, as the service of docs/install.md: glibc keeps what each thread frees. With a journal too small for the day the oldest is dropped, and every dropped reading is counted.

use std::fmt::Write as _;
use std::time::Duration;

use tests::neighbours::{eventually, root};
use tests::pressure::{Bench, Finding, Limits, POINTS_A_MESSAGE, Scale, now, table};
use tests::site::program;

/// 1,000 points/s for a day.
const DAY: usize = 86_400_000;
/// Memory is sampled and shown at so many places of the day.
const HOURS: usize = 24;
/// Most of it is the local history's unsealed head, which holds a million points at the most.
const RSS_MB_MAX: u64 = 300;
/// The head is full after so many points, that is a quarter of the day; from there on memory may grow by so much.
const FULL_AFTER: usize = DAY / 4;
const GROWTH_MB_MAX: u64 = 48;
const FIRES: usize = 50;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let mut next = |default| numbers.next().unwrap_or(default);
    let (points, journal_max_mb) = (next(DAY), next(2_048));
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(run(points, journal_max_mb as u32));
}

async fn run(points: usize, journal_max_mb: u32) {
    let scale = Scale {
        fires: FIRES,
        flood: Duration::ZERO,
        supervisory: 500,
        backlog_points: points,
        unknown_devices: 0,
    };
    let limits = Limits {
        reports_at_once_max: 10_000_000,
        reports_per_minute_max: 60_000_000,
        journal_max_mb,
        detectors: 20_000,
    };
    let mut bench = Bench::start_with(&program("gridwarden"), scale, limits).await;
    let mut normal = bench.fires("normal", async { String::new() }).await;
    for _ in 0..3 {
        join(&mut normal, bench.fires("normal", async { String::new() }).await);
    }

    bench.away(true);
    let (begun, messages) = (now(), points / POINTS_A_MESSAGE);
    let mut memory = Vec::new();
    for hour in 0..HOURS {
        let part = messages * hour / HOURS..messages * (hour + 1) / HOURS;
        memory.push(bench.telemetry(part).await);
        println!("hour {}: {} MB, {:.0} s", hour + 1, memory[hour], begun.elapsed().as_secs_f64());
    }
    let fed = begun.elapsed();
    let (kept, kept_bytes) = bench.journal();
    let file_mb = bench.database_bytes() >> 20;
    let mut away = bench.fires("InfluxDB away, the day in the journal", async { String::new() }).await;
    join(&mut away, bench.fires("", async { String::new() }).await);

    // Whatever is dropped after InfluxDB is back is counted too; arrived and dropped together are all.
    let before = bench.points_arrived();
    let dropped_before = bench.dropped();
    let begun = now();
    bench.away(false);
    let mut draining: Option<Finding> = None;
    let mut drained = None;
    while drained.is_none() {
        let more = bench.fires("drain", async { String::new() }).await;
        match &mut draining {
            Some(draining) => join(draining, more),
            None => draining = Some(more),
        }
        let all = bench.points_arrived() - before + bench.dropped();
        drained = (points as u64 <= all).then(|| begun.elapsed());
    }
    let (mut draining, drained) = (draining.expect("at least once"), drained.expect("the loop has ended"));
    let (arrived, dropped) = (bench.points_arrived() - before, bench.dropped());
    draining.note = format!("{:.0} points/s", arrived as f64 / drained.as_secs_f64());

    let full = memory[(FULL_AFTER * HOURS / points).clamp(1, HOURS) - 1];
    let worst = memory.iter().copied().max().unwrap_or_default();
    let mut text = table(&[normal.clone(), away.clone(), draining.clone()]);
    // A string takes it.
    let _ = write!(
        text,
        "\n| the outage | |\n|---|---|\n\
         | points that came while InfluxDB was away | {points} in {:.0} s ({:.0} points/s) |\n\
         | memory after a quarter of a day, at worst | {full} MB, {worst} MB |\n\
         | in the journal at the end of it | {kept} points, {} MB, {:.2} bytes a point; journal_max_mb = {journal_max_mb} |\n\
         | the store with local history, index and WAL | {file_mb} MB |\n\
         | dropped because the journal was full | {dropped} |\n\
         | drained | {arrived} points in {:.0} s ({:.0} points/s), with the pause before |\n\
         | memory by 24ths of the day, MB | {memory:?} |\n",
        fed.as_secs_f64(),
        points as f64 / fed.as_secs_f64(),
        kept_bytes >> 20,
        kept_bytes as f64 / kept as f64,
        drained.as_secs_f64(),
        arrived as f64 / drained.as_secs_f64(),
    );
    println!("{text}");
    let folder = root().join(".run/torture");
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(folder.join(format!("day-{points}-{journal_max_mb}.md")), &text).expect("writable");

    assert!(worst.max(draining.rss_mb) < RSS_MB_MAX, "memory: {worst} MB, {} MB", draining.rss_mb);
    assert!(worst < full + GROWTH_MB_MAX, "memory grows: {memory:?} MB");
    if 0 < dropped_before {
        eventually("the loss is an alarm", 30, || async {
            let alarms = bench.process.get("/api/v1/alarms?open=true&class=trouble&limit=200").await;
            let items = alarms["items"].as_array()?;
            let lost = |text: &str| text.contains("readings are dropped before InfluxDB");
            items.iter().any(|alarm| alarm["text"].as_str().is_some_and(lost)).then_some(())
        })
        .await;
        println!("the loss stands as an alarm");
    }
    bench.process.kill().await;
}

/// More fires of one situation.
fn join(finding: &mut Finding, more: Finding) {
    finding.latencies.extend(more.latencies);
    finding.latencies.sort();
    finding.rss_mb = finding.rss_mb.max(more.rss_mb);
}
