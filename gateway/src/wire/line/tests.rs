//! Lines as docs/influx.md promises them, and the awkward texts of real registries.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::grid::{Cell, Rows};
use crate::model::{CellIx, DeviceKind, Metric};
use crate::units::{Now, Timestamp};

fn cell(ix: u32, code: &str, scheme: &str, parent: Option<&str>) -> Cell {
    Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: code.into(),
        scheme: scheme.into(),
        parent: parent.map(str::to_owned),
        kind: "residential".into(),
        polygons: Vec::new(),
        retired: false,
    }
}

fn device(ix: u32, id: &str, kind: DeviceKind, cells: &[&str]) -> Device {
    Device {
        ix: DeviceIx(ix),
        id: id.into(),
        kind,
        name: id.into(),
        address: format!("native:{ix}"),
        cells: cells.iter().map(|&code| code.into()).collect(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    }
}

fn registry() -> Arc<Registry> {
    Registry::build(Rows {
        version: 1,
        cells: vec![
            cell(0, "XL", "admin", None),
            cell(1, "XL-01", "admin", Some("XL")),
            cell(2, "百户 7", "service", None),
        ],
        devices: vec![
            device(0, "SD-1", DeviceKind::SmokeDetector, &["XL-01", "百户 7"]),
            device(1, "HY-1", DeviceKind::Hydrant, &["XL"]),
            device(2, "Z-1", DeviceKind::Other, &[]),
            device(3, "SD-2", DeviceKind::SmokeDetector, &["XL-01"]),
        ],
        ..Rows::default()
    })
}

fn report(device: u32, values: &[(Metric, f64, Quality)]) -> Report {
    let values = values.iter().map(|&(metric, value, quality)| Value { metric, value, quality }).collect();
    Report {
        device: DeviceIx(device),
        received: Timestamp(2_000),
        device_time: Some(Timestamp(1_700_000_000_123)),
        freshness: Freshness::Live,
        values,
    }
}

fn encode(report: Report, reading_ids: bool) -> String {
    let batch = Batch {
        seq: 12,
        now: Now::default(),
        events: vec![Event::Report(report.clone()), Event::Report(report)],
    };
    let mut lines = Lines::default();
    let unknown = Encoder::new("xl", reading_ids).encode(&registry(), &batch, &mut lines);
    assert!(unknown.is_empty());
    assert_eq!(lines.iter().map(<[u8]>::len).sum::<usize>(), lines.bytes().len());
    lines.iter().last().map(|line| String::from_utf8(line.to_vec()).expect("UTF-8")).unwrap_or_default()
}

const GOOD: Quality = Quality::Good;

#[test]
fn a_line_says_what_the_document_promises() {
    let smoke = report(0, &[(Metric::SMOKE, 1.0, GOOD), (Metric::TEMPERATURE, 42.0, GOOD)]);
    let head = r"smoke_detector,station=xl,cell=XL/XL-01,cell_service=百户\ 7,device=SD-1";
    assert_eq!(encode(smoke.clone(), false), format!("{head} smoke=true,temperature=42 1700000000123\n"));
    assert_eq!(
        encode(smoke.clone(), true),
        format!("{head} smoke=true,temperature=42,reading=\"r-12-1\" 1700000000123\n")
    );
    let late = Report { freshness: Freshness::Backfill, ..smoke.clone() };
    assert!(
        encode(late, false).ends_with(" smoke=true,temperature=42,freshness=\"backfill\" 1700000000123\n")
    );
    let now = Report { device_time: None, ..smoke };
    assert!(encode(now, false).ends_with(" 2000\n"), "without a device time, the time of receipt");
}

#[test]
fn quality_is_seen_and_a_bad_value_is_filed_apart() {
    let check = |values: &[(Metric, f64, Quality)], fields: &str| {
        let line = encode(report(1, values), false);
        assert_eq!(line, format!("hydrant,station=xl,cell=XL,device=HY-1 {fields} 1700000000123\n"));
    };
    let (pressure, bad) = (Metric::PRESSURE, Quality::Bad);
    check(&[(pressure, 0.5, Quality::Uncertain)], "pressure=0.5,quality=\"uncertain\"");
    check(&[(pressure, -3.25, bad)], "pressure_bad=-3.25");
    check(&[(pressure, 9e9, bad), (Metric::TILT, 0.0, GOOD)], "pressure_bad=9000000000,tilt=false");
    check(&[(Metric::COVER_OPEN, 1.0, bad)], "cover_open_bad=true");
    check(&[(pressure, 1.0, GOOD), (pressure, 2.0, GOOD)], "pressure=2");
    check(&[(pressure, 1.0, GOOD), (pressure, 2.0, bad)], "pressure=1,pressure_bad=2");
}

#[test]
fn a_device_in_no_cell_has_no_cell_tag_and_an_empty_report_no_line() {
    assert_eq!(
        encode(report(2, &[(Metric::ENTRY, 3.0, GOOD)]), false),
        "other,station=xl,device=Z-1 entry=3 1700000000123\n"
    );
    assert_eq!(encode(report(2, &[]), false), "");
}

#[test]
fn devices_of_one_cell_have_their_own_tags_of_other_schemes() {
    let events = [0, 3, 0].map(|device| Event::Report(report(device, &[(Metric::ENTRY, 3.0, GOOD)])));
    let mut lines = Lines::default();
    let batch = Batch { seq: 1, now: Now::default(), events: events.into() };
    Encoder::new("xl", false).encode(&registry(), &batch, &mut lines);
    let heads: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let both = r"smoke_detector,station=xl,cell=XL/XL-01,cell_service=百户\ 7,device=SD-1 ";
    assert!(heads[0].starts_with(both) && heads[2].starts_with(both), "{heads:?}");
    assert!(heads[1].starts_with("smoke_detector,station=xl,cell=XL/XL-01,device=SD-2 "), "{heads:?}");
}

#[test]
fn an_unknown_device_is_named_and_the_rest_goes_on() {
    let events = vec![
        Event::Report(report(9, &[(Metric::ENTRY, 3.0, GOOD)])),
        Event::Report(report(2, &[(Metric::ENTRY, 4.0, GOOD)])),
    ];
    let mut lines = Lines::default();
    let batch = Batch { seq: 1, now: Now::default(), events };
    let unknown = Encoder::new("xl", false).encode(&registry(), &batch, &mut lines);
    assert_eq!(unknown, [DeviceIx(9)]);
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_new_registry_changes_the_tags() {
    let batch = Batch {
        seq: 1,
        now: Now::default(),
        events: vec![Event::Report(report(2, &[(Metric::ENTRY, 3.0, GOOD)]))],
    };
    let mut encoder = Encoder::new("xl", false);
    let mut lines = Lines::default();
    encoder.encode(&registry(), &batch, &mut lines);
    let mut rows = registry().rows().clone();
    rows.devices[2].cells = ["XL".into()].into();
    encoder.encode(&Registry::build(rows), &batch, &mut lines);
    let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert!(lines[0].starts_with("other,station=xl,device=Z-1 "), "{}", lines[0]);
    assert!(lines[1].starts_with("other,station=xl,cell=XL,device=Z-1 "), "{}", lines[1]);
}

#[test]
fn no_metric_is_named_like_something_else_on_the_line() {
    let taken = ["quality", "freshness", "reading", "time", "station", "cell", "device"];
    for metric in Metric::all() {
        let name = metric.name();
        assert!(!taken.contains(&name) && !name.starts_with("cell_"), "{name} is taken by docs/influx.md");
        assert!(!name.ends_with("_bad"), "{name} looks like a bad value");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        assert!(name.bytes().all(plain), "{name} would have to be escaped");
    }
}

/// What a server makes of a line's tags: split at separators without a backslash, then take the escapes off.
fn tags_of(line: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let part = parts.last_mut().expect("one from the start");
        match c {
            '\\' => part.extend(chars.next()),
            ',' => parts.push(String::new()),
            '=' => part.push('\u{1}'),
            ' ' => break,
            c => part.push(c),
        }
    }
    parts[1..]
        .iter()
        .map(|part| part.split_once('\u{1}').map(|(k, v)| (k.to_owned(), v.to_owned())).expect("key=value"))
        .collect()
}

proptest! {
    /// Any value a report can hold is the field that the crate would write, to the last digit.
    #[test]
    fn a_number_is_what_the_crate_writes(number in prop_oneof![any::<f64>(), (-1e6..1e6), (-1_000_000_000..1_000_000_000).prop_map(f64::from)]) {
        prop_assume!(number.is_finite() && number != 0.0);
        let expected = LineProtocolBuilder::new().measurement("m").field("entry", number).timestamp(2).close_line().build();
        let mut line = b"m entry=".to_vec();
        put_number(&mut line, number);
        line.extend_from_slice(b" 2\n");
        prop_assert_eq!(String::from_utf8(line), String::from_utf8(expected));
    }

    /// Whatever somebody typed into a registry, the line stays one line and the tags come back.
    #[test]
    fn tags_survive_any_text(id in "\\PC{1,12}|[ ,=\"\\\\a\n\r\t]{1,12}|[A-Za-z0-9_.:/-]{1,12}", code in "\\PC{1,12}|[ ,=\"\\\\a\n]{1,12}") {
        let mut rows = registry().rows().clone();
        rows.devices[2].id = id.clone();
        rows.cells[0].code = code.clone();
        rows.cells[1].parent = None;
        rows.devices[2].cells = [code.clone()].into();
        let events = vec![Event::Report(report(2, &[(Metric::ENTRY, 3.0, GOOD)]))];
        let mut lines = Lines::default();
        Encoder::new("xl", false).encode(&Registry::build(rows), &Batch { seq: 1, now: Now::default(), events }, &mut lines);
        let line = String::from_utf8(lines.bytes().to_vec()).unwrap();
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert!(line.ends_with(" entry=3 1700000000123\n"));
        let mut expected = vec![("station".to_owned(), "xl".to_owned())];
        for (key, text) in [("cell", tag_text(&code)), ("device", tag_text(&id))] {
            if !text.is_empty() {
                expected.push((key.to_owned(), text));
            }
        }
        prop_assert_eq!(tags_of(&line), expected);
        prop_assert!(!line.contains("\\\\"), "a backslash reads back differently on every server");
    }
}
