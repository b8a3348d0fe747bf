//! `make bench`: what the gateway does per second and per message, each beside a baseline measured in the same run.
//!
//! Writes docs/benchmarks.md. Never fails on a time; it does fail when something is lost, because then the time means nothing. Arguments pick
//! parts by name; a part that is not run leaves its section in the document as it was. Everything is on loopback and in temporary folders.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends the measurement")]

mod alerts;
mod disk;
mod document;
mod drain;
mod figures;
mod growth;
mod history;
mod made_up;
mod modbus;
mod mqtt;
mod pure;
mod size;
mod station;

use figures::Section;

type Part = (&'static str, fn() -> Section);

/// In the order of the document: a message's way, then what is around it.
const PARTS: [Part; 14] = [
    ("decode", pure::decoding),
    ("engine", pure::engine),
    ("encode", pure::encoding),
    ("disk", disk::syncs),
    ("store", disk::store),
    ("history", history::history),
    ("listener", mqtt::listener),
    ("broker", mqtt::broker),
    ("alert", alerts::latency),
    ("storm", alerts::storm),
    ("modbus", modbus::polls),
    ("drain", drain::drain),
    ("size", size::memory_and_start),
    ("growth", growth::growth),
];

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
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            println!("## {name}");
            let section = measure();
            print!("{}", section.table());
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
