//! Made-up neighbourhoods of any size: registries, rules, batches and messages as the field sends them.

use std::fmt::Write as _;
use std::sync::Arc;

use gateway::config::rules::Rules;
use gateway::engine::rules::RuleBook;
use gateway::grid::{Cell, Device, Registry, Rows};
use gateway::model::{Batch, CellIx, DeviceIx, DeviceKind, Event, Freshness, Metric, Quality, Report, Value};
use gateway::units::{Now, Steady, Timestamp};

/// 2026-11-23T03:00:00Z.
pub const START: i64 = 1_795_402_800_000;

/// Every tenth device is a hydrant; of the detectors every third speaks zigbee2mqtt.
pub fn address(number: usize) -> String {
    match number {
        n if n % 10 == 9 => format!("native:HY-{n}"),
        n if n % 3 == 0 => format!("z2m:zigbee2mqtt/hall-{n}"),
        n => format!("native:SD-{n}"),
    }
}

fn is_hydrant(number: usize) -> bool {
    number % 10 == 9
}

pub fn cell_code(number: usize) -> String {
    format!("S1-C1-G{}", number / 500)
}

/// 500 devices to a cell, all cells in one community.
pub fn registry(devices: usize) -> Arc<Registry> {
    let cell = |ix: usize, code: String, kind: &str, parent: Option<&str>| Cell {
        ix: CellIx(ix as u32),
        name: code.clone(),
        code,
        scheme: "admin".into(),
        parent: parent.map(str::to_owned),
        kind: kind.into(),
        polygons: Vec::new(),
        retired: false,
    };
    let mut cells = vec![cell(0, "S1-C1".into(), "community", None)];
    for number in 0..devices.div_ceil(500) {
        cells.push(cell(number + 1, format!("S1-C1-G{number}"), "residential", Some("S1-C1")));
    }
    let device = |number: usize| Device {
        ix: DeviceIx(number as u32),
        id: format!("D-{number}"),
        kind: if is_hydrant(number) { DeviceKind::Hydrant } else { DeviceKind::SmokeDetector },
        name: String::new(),
        address: address(number),
        cells: [cell_code(number)].into(),
        place: format!("{}栋{}01", number / 60, number % 60 / 2),
        position: None,
        silent_after: None,
        registered: Timestamp(START),
        retired: false,
    };
    Registry::build(Rows {
        version: 1,
        cells,
        devices: (0..devices).map(device).collect(),
        ..Rows::default()
    })
}

/// The rules of a station: five for everybody, and as many more as asked for, each for one of the first 4,000 devices.
pub fn rules_text(more: usize, channel: &str) -> String {
    let mut text = format!(
        "{}\n[[ladder]]\nname = \"duty\"\n[[ladder.step]]\nafter_s = 0\nwho = [\"responsible\"]\nchannels = [\"{channel}\"]\n",
        include_str!("rules.toml")
    );
    for number in 0..more {
        write!(
            text,
            "[[rule]]\nname = \"warm-{number}\"\nclass = \"supervisory\"\ntext = \"warm {{value}}\"\nkinds = [\"smoke_detector\"]\ndevices = [\"D-{}\"]\n\
             threshold = {{ metric = \"temperature\", above = {}.0, clear_below = 50.0 }}\n",
            number * 7_919 % 4_000,
            55 + number % 20
        )
        .unwrap();
    }
    text
}

pub fn rule_book(more: usize, registry: &Registry) -> Arc<RuleBook> {
    let rules: Rules = toml::from_str(&rules_text(more, "mqtt")).unwrap();
    Arc::new(RuleBook::compile(&rules, registry).0)
}

/// A heartbeat of four values.
pub fn heartbeat(device: usize, received: Timestamp) -> Report {
    let good = |metric, value| Value { metric, value, quality: Quality::Good };
    let number = (device * 31 % 1000) as f64;
    Report {
        device: DeviceIx(device as u32),
        received,
        device_time: Some(Timestamp(received.0 - 40)),
        freshness: Freshness::Live,
        values: vec![
            good(Metric::SMOKE, 0.0),
            good(Metric::TEMPERATURE, 20.0 + number / 100.0),
            good(Metric::BATTERY, 87.0),
            good(Metric::RSSI, -60.0 - number % 40.0),
        ],
    }
}

/// Batch `seq` of this many heartbeats, a millisecond apart; the devices come round in an order that is not that of the table.
pub fn batch(seq: u64, size: usize, devices: usize) -> Batch {
    let first = START + (seq as usize * size) as i64;
    let now = Now { wall: Timestamp(first + size as i64), steady: Steady(seq * size as u64) };
    let device = |n: usize| ((seq as usize * size + n) * 7_919) % devices;
    let events = (0..size).map(|n| Event::Report(heartbeat(device(n), Timestamp(first + n as i64))));
    Batch { seq, now, events: events.collect() }
}
