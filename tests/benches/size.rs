//! What it takes before it does anything: memory, time to start, the program's own size.

use super::figures::{RUNS, Section, Spread};
use super::station::{Settings, Station};

pub fn memory_and_start() -> Section {
    let mut section = Section::new(
        "Memory, start, size",
        "The release program with listener, rules, API and MQTT notifications. Memory is VmRSS two seconds after it is ready on a store that exists; the start is that of a station which was \
         stopped in order, from running the program until /readyz says yes. Goals: 30 MB idle, 60 MB with 10,000 devices, 300 MB with 369,000; ready within 1 s with 400,000 devices.",
    );
    for devices in [10, 10_000, 100_000, 369_000] {
        let mut station = Station::start(&Settings { devices, more_rules: 0, more: "" });
        let (mut memory, mut start) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            station.restart();
            start.push(station.ready_after.as_secs_f64() * 1000.0);
            std::thread::sleep(std::time::Duration::from_secs(2));
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
