//! Whether a message costs the same at a hundred devices and at four hundred thousand, with five rules and with five thousand.

use super::figures::{RUNS, Section, Spread, ratio};
use super::station::{Settings, Station, cpu_s, load};

const MESSAGES: u64 = 200_000;

/// Devices, and rules beyond the five that everybody has.
const SIZES: [(usize, usize); 3] = [(100, 0), (100, 4_995), (400_000, 0)];

pub fn growth() -> Section {
    let mut section = Section::new(
        "Growth",
        format!(
            "CPU time of the whole gateway for each of {MESSAGES} messages through our own listener, stations of different size in turn. 400,000 devices come round evenly, so every message is of a device \
             that was not heard for 400,000 messages and finds nothing in the processor's caches; 100 devices fit into them. Goal: at most 1.2."
        ),
    );
    let stations = SIZES
        .map(|(devices, more_rules)| Station::start(&Settings { devices, more_rules, more: "", list: None }));
    let mut runs: [Vec<f64>; SIZES.len()] = Default::default();
    let count = MESSAGES.to_string();
    for _ in 0..RUNS {
        for (station, runs) in stations.iter().zip(&mut runs) {
            let before = cpu_s(station.pid());
            load(&station.folder, station.mqtt, &["--messages", &count, "--connections", "16"]);
            runs.push((cpu_s(station.pid()) - before) * 1e6 / MESSAGES as f64);
        }
    }
    let runs = runs.map(Spread::of);
    for ((devices, more_rules), cpu) in SIZES.into_iter().zip(runs) {
        section.row(
            &format!("{} devices, {} rules", super::figures::number(devices as f64), 5 + more_rules),
            "µs a message",
            cpu,
            format!("{} of 100 devices with 5 rules", ratio(cpu, runs[0])),
        );
    }
    section
}
