//! What the disk pays for a byte from the field.

use super::figures::{Section, Spread, number};
use super::station::{Settings, Station, load};

const PER_S: f64 = 200.0;
const SETTLES_S: f64 = 5.0;
const LASTS_S: f64 = 40.0;

pub fn wear() -> Section {
    let mut section = Section::new(
        "Wear",
        format!(
            "`firmware-sim load` sends {PER_S} messages/s of about five values, so 1,000 points/s, for {LASTS_S} s, once. Bytes written are what the system has put on the disk: journal, \
             write-ahead log, and its copy into the database, which is made at the end from outside as far as it was not made before; the history is sealed once an hour and is not in it, see the store's section. Goal: at most 1.5 bytes for each byte of payload."
        ),
    );
    let station = Station::start(&Settings { devices: 1_000, more_rules: 0, more: "", list: None });
    let send = |seconds: f64| {
        let (rate, messages) = (PER_S.to_string(), (PER_S * seconds).to_string());
        let arguments = ["--rate", &rate, "--messages", &messages, "--connections", "16"];
        load(&station.folder, station.mqtt, &arguments)
    };
    send(SETTLES_S);
    station.copy_log();
    let before = station.written_bytes();
    let payload = send(LASTS_S).payload_bytes as f64;
    let written = (station.written_bytes() - before + station.copy_log()) as f64;
    let per_day = number(written / LASTS_S * 86_400.0 / 1e9);
    let one = |value: f64| Spread::of(vec![value]);
    section.row("written to disk", "kB/s", one(written / LASTS_S / 1000.0), format!("{per_day} GB a day"));
    section.row("for each byte of payload", "bytes", one(written / payload), "goal: at most 1.5");
    section
}
