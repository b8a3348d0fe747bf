//! What is tried with arbitrary bytes: one function per reader of foreign bytes, each with what must be true whatever the bytes are.
//!
//! Called with mutated bytes by `tests/fuzz.rs` in every `make test`, and by libFuzzer through `fuzz_targets/` in `make torture`.
//! The corpus of a target is the folder of its name in `corpus/`. docs/reliability/fuzz.md says how to run and to add one.

#![allow(clippy::unwrap_used, reason = "a panic is what is looked for")]

mod files;
mod frames;
mod gbt26875;
mod messages;
mod records;

pub use files::{absences, buildings, cells, devices, households, people, rules_toml, station_toml, teams};
pub use frames::{frames, topics};
pub use gbt26875::gbt26875;
pub use messages::{chirpstack, context, frigate, meokon, modbus, native, zigbee2mqtt};
pub use records::{MOMENT, journal, line, snapshot, station};

/// A target: it panics when something that must be true is not.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("native", native),
    ("zigbee2mqtt", zigbee2mqtt),
    ("chirpstack", chirpstack),
    ("frigate", frigate),
    ("meokon", meokon),
    ("modbus", modbus),
    ("topics", topics),
    ("frames", frames),
    ("gbt26875", gbt26875),
    ("station_toml", station_toml),
    ("rules_toml", rules_toml),
    ("cells", cells),
    ("devices", devices),
    ("people", people),
    ("absences", absences),
    ("teams", teams),
    ("buildings", buildings),
    ("households", households),
    ("line", line),
    ("journal", journal),
    ("snapshot", snapshot),
];

/// A cut of the bytes at the first `mark`; everything is the first part when there is none.
fn split(data: &[u8], mark: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == mark) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
