//! What it takes before it does anything: memory, time to start, the program's own size.

use gateway::model::Batch;
use gateway::wire::journal;
use rusqlite::params;

use super::figures::{RUNS, Section, Spread, number};
use super::made_up::batch;
use super::station::{Settings, Station, load};

const MANY_DEVICES: usize = 400_000;
const OPEN_ALARMS: usize = 10_000;
const JOURNAL_BYTES: u64 = 5_000_000_000;
/// Reports of one commit under load.
const BATCH: usize = 2_000;

pub fn memory_and_start() -> Section {
    let mut section = Section::new(
        "Memory, start, size",
        "The release program with listener, rules, API and MQTT notifications. Memory is VmRSS ten seconds after it is ready on a store that exists, when the allocator has given back what only the start needed; the start is that of a station which was \
         stopped in order, from running the program until /readyz says yes. Goals: 30 MB idle, 60 MB with 10,000 devices, 300 MB with 369,000; ready within 1 s with 400,000 devices.",
    );
    for devices in [10, 10_000, 100_000, 369_000] {
        let mut station = Station::start(&Settings { devices, more_rules: 0, more: "", list: None });
        let (mut memory, mut start) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            station.restart();
            start.push(station.ready_after.as_secs_f64() * 1000.0);
            std::thread::sleep(std::time::Duration::from_secs(10));
            memory.push(station.memory_kb("VmRSS") / 1000.0);
        }
        let name = super::figures::number(devices as f64);
        section.row(&format!("memory, {name} devices"), "MB", Spread::of(memory), "");
        section.row(&format!("start, {name} devices"), "ms", Spread::of(start), "");
    }
    let program = std::fs::metadata(tests::site::program("gridwarden")).unwrap().len() as f64 / 1e6;
    section.row("size of the program", "MB", Spread::of(vec![program]), "stripped, SQLite and TLS in it");
    section
}

pub fn large_start() -> Section {
    let mut section = Section::new(
        "The start of a large station",
        format!(
            "{} devices, {} open fire alarms, and {} GB of journal with all of it in the history's and the engine's past, as a station in order leaves it. From running the program until /readyz says yes; stopped in \
             order before. Goal: at most 1 s.",
            number(MANY_DEVICES as f64),
            number(OPEN_ALARMS as f64),
            JOURNAL_BYTES / 1_000_000_000
        ),
    );
    let settings = Settings { devices: MANY_DEVICES, more_rules: 0, more: "", list: None };
    let mut station = Station::start(&settings);
    let alarms = OPEN_ALARMS.to_string();
    let burning = first_detectors(&station);
    load(&burning, station.mqtt, &["--fire", "--messages", &alarms, "--connections", "50"]);
    station.restart_after(fill_journal);
    let mut start = Vec::new();
    for _ in 0..RUNS {
        station.restart();
        start.push(station.ready_after.as_secs_f64() * 1000.0);
    }
    let journal = std::fs::metadata(station.store()).unwrap().len() as f64 / 1e9;
    section.row("start", "ms", Spread::of(start), format!("the store has {} GB", number(journal)));
    let memory = Spread::of(vec![station.memory_kb("VmRSS") / 1000.0]);
    section.row("memory", "MB", memory, "right after");
    section
}

/// A list of as many detectors as are to alarm.
fn first_detectors(station: &Station) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let all = std::fs::read_to_string(station.folder.path().join("devices.csv")).unwrap();
    let detectors = all.lines().skip(1).filter(|line| line.contains(",smoke_detector,")).take(OPEN_ALARMS);
    let lines: Vec<_> = all.lines().take(1).chain(detectors).collect();
    std::fs::write(folder.path().join("devices.csv"), lines.join("\n")).unwrap();
    folder
}

/// Appends batches as a station under load writes them, and moves everybody's place behind them: weeks of readings that were dealt with.
fn fill_journal(store: &mut rusqlite::Connection) {
    let last = "SELECT seq, wall, steady, upto FROM journal ORDER BY seq DESC LIMIT 1";
    let last = store.query_row(last, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    let (before, wall, steady, mut upto): (i64, i64, i64, i64) = last.unwrap();
    let Batch { now, events, .. } = batch(1, BATCH, MANY_DEVICES);
    let first = upto;
    let mut seq = before;
    // Written once, not first into a log and then from there: nobody reads meanwhile.
    store.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = TRUNCATE").unwrap();
    let transaction = store.transaction().unwrap();
    let mut insert = transaction
        .prepare(
            "INSERT INTO journal (seq, wall, steady, readings, upto, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .unwrap();
    let mut batch = Batch { seq: 0, now, events };
    while upto - first < JOURNAL_BYTES as i64 {
        seq += 1;
        batch.seq = seq as u64;
        (batch.now.wall.0, batch.now.steady.0) =
            (wall + (seq - before) / 100, (steady + (seq - before) / 100) as u64);
        let bytes = journal::encode(&batch);
        upto += bytes.len() as i64;
        let readings = 4 * BATCH as i64;
        insert
            .execute(params![seq, batch.now.wall.0, batch.now.steady.0 as i64, readings, upto, bytes])
            .unwrap();
    }
    drop(insert);
    transaction.execute("UPDATE snapshots SET seq = seq + ?1", [seq - before]).unwrap();
    transaction.execute("UPDATE cursors SET seq = ?1", [seq]).unwrap();
    transaction.commit().unwrap();
    store.execute_batch("PRAGMA journal_mode = WAL").unwrap();
}
