//! Floods and priority, long: `make torture`, or `cargo bench -p tests --bench flood -- [fires] [seconds] [points]`.
//!
//! The gateway is the release build. The table goes to `.run/torture/flood.md`; a bound that does not hold ends with an error.

use std::time::Duration;

use tests::neighbours::root;
use tests::pressure::{Bench, Scale, table};

const RSS_MB_MAX: u64 = 300;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let mut next = |default| numbers.next().unwrap_or(default);
    let scale = Scale {
        fires: next(200),
        flood: Duration::from_secs(next(60) as u64),
        supervisory: 5_000,
        backlog_points: next(2_000_000),
        unknown_devices: 1_000_000,
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(run(scale));
}

async fn run(scale: Scale) {
    let program = std::env::var_os("GRIDWARDEN").map(Into::into);
    let program = program.unwrap_or_else(|| root().join("target/release/gridwarden"));
    let mut bench = Bench::start(&program, scale).await;
    let mut findings = vec![bench.fires("idle", async { String::new() }).await];
    println!("{}", findings[0].row());
    let flood = bench.flood(scale.flood);
    findings.push(bench.fires("one mad device", flood).await);
    println!("{}", findings[1].row());
    let unknown = bench.unknown(scale.unknown_devices);
    findings.push(bench.fires("unknown devices", unknown).await);
    println!("{}", findings[2].row());
    let supervisory = bench.supervisory(scale.supervisory);
    findings.push(bench.fires("5,000 supervisory alarms", supervisory).await);
    println!("{}", findings[3].row());
    let worst = bench.outage(scale.backlog_points).await;
    let drain = bench.drain(scale.backlog_points);
    findings.push(bench.fires("drain after an outage", drain).await);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let text = format!(
        "{}\nWorst memory while InfluxDB was away ({} points): {worst} MB. Store: {} MB, {} dead letters. Load of the machine at the end: {load}",
        table(&findings),
        scale.backlog_points,
        bench.database_bytes() >> 20,
        bench.dead_letters()
    );
    println!("{text}");
    let folder = root().join(".run/torture");
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(folder.join("flood.md"), &text).expect("writable");
    let idle = &findings[0];
    for finding in &findings {
        assert!(finding.rss_mb.max(worst) < RSS_MB_MAX, "memory: {}", finding.row());
        let more = finding.at(0.99).saturating_sub(idle.at(0.99));
        assert!(more < Duration::from_millis(100), "100 ms more than idle: {}", finding.row());
    }
}
