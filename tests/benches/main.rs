//! `make bench`: what the gateway does per second and per message, each beside a baseline measured in the same run.
//!
//! Writes docs/benchmarks.md. Never fails on a time; it does fail when something is lost, because then the time means nothing. Arguments pick
//! parts by name; a part that is not run leaves its section in the document as it was. Everything is on loopback and in temporary folders.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends the measurement")]

mod alerts;
mod city;
mod database;
mod disk;
mod document;
mod drain;
mod figures;
mod growth;
mod history;
mod made_up;
mod modbus;
mod mqtt;
mod peers;
mod pure;
mod samples;
mod size;
mod station;
mod wear;

use figures::Section;

/// The same as in the program, so that our own baselines have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Part = (&'static str, fn() -> Section);

/// In the order of the document: a message's way, then what is around it.
const PARTS: [Part; 19] = [
    ("decode", pure::decoding),
    ("engine", pure::engine),
    ("encode", pure::encoding),
    ("disk", disk::syncs),
    ("store", disk::store),
    ("history", history::history),
    ("listener", mqtt::listener),
    ("broker", mqtt::broker),
    ("database", database::database),
    ("alert", alerts::latency),
    ("storm", alerts::storm),
    ("modbus", modbus::polls),
    ("drain", drain::drain),
    ("size", size::memory_and_start),
    ("start", size::large_start),
    ("growth", growth::growth),
    ("wear", wear::wear),
    ("city", city::minute),
    ("city-30", city::half_an_hour),
];

/// Measured only when asked for by name; the document keeps what was measured last.
const LONG: [&str; 2] = ["start", "city-30"];

fn main() {
    let mut wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    // This program is also the baselines' other process.
    if wanted.first().is_some_and(|word| word == mqtt::BARE) {
        return mqtt::be_a_baseline(&wanted.split_off(1));
    }
    let unknown = wanted.iter().find(|word| PARTS.iter().all(|(name, _)| name != word));
    if let Some(unknown) = unknown {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no part `{unknown}`; the parts are {}", names.join(", "));
        std::process::exit(2);
    }
    for (name, measure) in PARTS {
        let usual = wanted.is_empty() && !LONG.contains(&name);
        if usual || wanted.iter().any(|word| word == name) {
            println!("## {name}");
            let started = gateway::clock::instant();
            let section = measure();
            println!("{}in {:.0} s\n", section.table(), started.elapsed().as_secs_f64());
            document::put(name, &section);
        }
    }
    document::join(&PARTS.map(|(name, _)| name));
    println!("docs/benchmarks.md is written");
}

/// Runs something that waits, on two threads as the gateway does.
fn wait_for<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads").block_on(work)
}
