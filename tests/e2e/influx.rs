//! InfluxDB's neighbours: VictoriaMetrics and InfluxDB 1.6 read back value by value, and a stand-in that answers as no healthy server does.
//!
//! `points` speaks the real protocol to real programs; `answers` goes through the table of answers; `set_up` plays InfluxDB 2's control API;
//! `journal` runs the whole loop on a real store, `hours` lets time pass over it.

mod answers;
mod hours;
mod journal;
mod losses;
mod points;
mod set_up;

use std::sync::Arc;

use gateway::grid::{Cell, Device, Registry, Rows};
use gateway::io::influx::Settings;
use gateway::io::influx::crate_sender::CrateSender;
use gateway::io::influx::sender::{Sender, Sink};
use gateway::io::influx::verdict::Verdict;
use gateway::model::{Batch, CellIx, DeviceIx, DeviceKind, Event, Freshness, Metric, Quality, Report, Value};
use gateway::units::{Now, Steady, Timestamp};

/// 2026-11-23T03:00:00Z.
const START: i64 = 1_795_402_800_000;

/// Device names as people type them.
const NAMES: [&str; 5] = ["SD-1", "烟感 3栋", "a,b=c d", "say \"hi\"", "quote' and = , \\ end\\"];

fn registry() -> Arc<Registry> {
    let cell = |ix, code: &str, scheme: &str, parent: Option<&str>| Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: code.into(),
        scheme: scheme.into(),
        parent: parent.map(str::to_owned),
        kind: "residential".into(),
        polygons: Vec::new(),
        retired: false,
    };
    let kinds = [DeviceKind::SmokeDetector, DeviceKind::Hydrant, DeviceKind::AccessCamera];
    let devices = NAMES.iter().enumerate().map(|(n, &name)| Device {
        ix: DeviceIx(n as u32),
        id: name.into(),
        kind: kinds[n % kinds.len()],
        name: name.into(),
        address: format!("native:{n}"),
        cells: ["3栋,2单元 = \"东\"".into(), "百户7".into()].into(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    });
    Registry::build(Rows {
        version: 1,
        cells: vec![
            cell(0, "XL", "admin", None),
            cell(1, "3栋,2单元 = \"东\"", "admin", Some("XL")),
            cell(2, "百户7", "service", None),
        ],
        devices: devices.collect(),
        ..Rows::default()
    })
}

fn report(device: usize, at_ms: i64, values: &[(Metric, f64, Quality)]) -> Report {
    Report {
        device: DeviceIx(device as u32),
        received: Timestamp(START + at_ms),
        device_time: None,
        freshness: Freshness::Live,
        values: values.iter().map(|&(metric, value, quality)| Value { metric, value, quality }).collect(),
    }
}

fn batch(seq: u64, reports: Vec<Report>) -> Batch {
    let wall = reports.last().map_or(Timestamp(START), |report| report.received);
    let now = Now { wall, steady: Steady(seq) };
    Batch { seq, now, events: reports.into_iter().map(Event::Report).collect() }
}

fn settings(port: u16) -> Settings {
    Settings {
        token: Some("t0ken".into()),
        ..Settings::new("xl", &format!("http://127.0.0.1:{port}")).expect("a URL")
    }
}

/// Writes by both senders, one after the other.
async fn by_both(settings: &Settings, lines: &'static [u8]) -> [Verdict; 2] {
    let ours = Sender::new(settings).expect("set up").write(lines.into()).await;
    let theirs = CrateSender::new(settings).expect("set up").write(lines.into()).await;
    [ours, theirs]
}
