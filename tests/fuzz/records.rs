//! What we wrote ourselves and read back, possibly damaged: journal batches, engine snapshots, and the line protocol as a server reads it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use gateway::config::rules::Rules;
use gateway::engine::Engine;
use gateway::engine::rules::RuleBook;
use gateway::grid::{Cell, Device, Duty, Person, Registry, Role, Rows};
use gateway::model::{Batch, CellIx, DeviceIx, DeviceKind, Event, Freshness, Metric, Quality, Report, Value};
use gateway::units::{Millis, Now, Steady, Timestamp};
use gateway::wire::journal::{decode, encode};
use gateway::wire::line::{Encoder, Lines};
use influxdb_line_protocol::{FieldValue, parse_lines};
use sha2::{Digest, Sha256};

pub const MOMENT: Now = Now { wall: Timestamp(1_795_402_801_000), steady: Steady(86_400_000) };

/// The content of a batch without its checksum: with a wrong one it is refused, with the right one it is read or refused.
pub fn journal(data: &[u8]) {
    let _ = decode(9, MOMENT, data);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&9u64.to_le_bytes());
    hasher.update(&MOMENT.wall.0.to_le_bytes());
    hasher.update(&MOMENT.steady.0.to_le_bytes());
    hasher.update(data);
    let sealed = [data, &hasher.finalize().to_le_bytes()].concat();
    if let Ok(batch) = decode(9, MOMENT, &sealed) {
        let again = decode(9, MOMENT, &encode(&batch)).expect("what was read can be written");
        assert_eq!(format!("{again:?}"), format!("{batch:?}")); // As text: a NaN must equal itself.
    }
}

const RULES: &str = r#"
    [[rule]]
    name = "smoke"
    class = "fire"
    text = "Smoke: {device}"
    kinds = ["smoke_detector"]
    state = { flag = "smoke" }
    ladder = "fire"

    [[rule]]
    name = "pressure"
    class = "supervisory"
    text = "{value} kPa"
    kinds = ["smoke_detector"]
    threshold = { metric = "pressure", below = 140.0, clear_above = 160.0 }
    raise_after_s = 30
    clear_after_s = 60
    ladder = "fire"
    close = "acknowledged"

    [[rule]]
    name = "falls"
    class = "supervisory"
    text = "{value}"
    kinds = ["smoke_detector"]
    rate = { metric = "pressure", falls_by = 100.0, within_s = 60 }
    close = "returned"

    [[rule]]
    name = "silence"
    class = "trouble"
    text = "silent"
    kinds = ["smoke_detector"]
    presence = { silent_after_s = 3600, gone_after_s = 30 }
    close = "returned"

    [[ladder]]
    name = "fire"
    step = [{ after_s = 0, who = ["responsible"], channels = ["duty"] }, { after_s = 60, who = ["up:1"], channels = ["duty"] }]
"#;

/// Three detectors in two cells, with a person each.
pub fn station() -> (Arc<Registry>, Arc<RuleBook>) {
    let cell = |ix, code: &str, parent: Option<&str>| Cell {
        ix: CellIx(ix),
        code: code.into(),
        name: code.into(),
        scheme: "admin".into(),
        parent: parent.map(str::to_owned),
        kind: String::new(),
        polygons: Vec::new(),
        retired: false,
    };
    let person = |id: &str| Person { id: id.into(), name: id.into(), ..Person::default() };
    let duty = |person: &str, cell: &str| Duty {
        person: person.into(),
        cell: cell.into(),
        role: Role::Lead,
        from: Timestamp(0),
        until: None,
        hours: None,
    };
    let rows = Rows {
        version: 1,
        cells: vec![cell(0, "S", None), cell(1, "S-1", Some("S"))],
        devices: (0..3).map(|n| device(n, &format!("SD-{n}"), &["S-1".into()])).collect(),
        people: vec![person("ann"), person("bob")],
        duties: vec![duty("ann", "S"), duty("bob", "S-1")],
        ..Rows::default()
    };
    let registry = Registry::build(rows);
    let rules: Rules = toml::from_str(RULES).unwrap();
    let (book, problems) = RuleBook::compile(&rules, &registry);
    assert_eq!(problems, []);
    (registry, Arc::new(book))
}

fn device(ix: u32, id: &str, cells: &[String]) -> Device {
    Device {
        ix: DeviceIx(ix),
        id: id.to_owned(),
        kind: DeviceKind::SmokeDetector,
        name: String::new(),
        address: format!("native:{id}"),
        cells: cells.into(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    }
}

static STATION: LazyLock<(Arc<Registry>, Arc<RuleBook>)> = LazyLock::new(station);

/// The body of a snapshot without version and checksum. What is taken can be saved again and is then the same.
pub fn snapshot(data: &[u8]) {
    let restore = |bytes: &[u8]| Engine::restore(bytes, STATION.0.clone(), STATION.1.clone());
    let _ = restore(data);
    let sealed = [&[1], &Sha256::digest(data)[..8], data].concat();
    if let Ok(engine) = restore(&sealed) {
        let saved = engine.snapshot();
        let again = restore(&saved).expect("what was taken can be saved");
        assert_eq!(again.snapshot(), saved);
        let _ = (again.wake_at(), again.open_alarms().count(), again.seen(DeviceIx(0)));
    }
}

/// A cursor over the bytes; zeros when they have run out.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let some = self.0.len().min(N);
        taken[..some].copy_from_slice(&self.0[..some]);
        self.0 = &self.0[some..];
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }
}

/// Three texts up to a line break each (station, cell, device), then values. What a server reads is what was measured.
pub fn line(data: &[u8]) {
    let (station, rest) = super::split(data, b'\n');
    let (code, rest) = super::split(rest, b'\n');
    let (id, rest) = super::split(rest, b'\n');
    let [station, code, id] = [station, code, id].map(|text| String::from_utf8_lossy(text).into_owned());
    let mut bytes = Bytes(rest);
    let cell = Cell {
        ix: CellIx(0),
        code: code.clone(),
        name: String::new(),
        scheme: "admin".into(),
        parent: None,
        kind: String::new(),
        polygons: Vec::new(),
        retired: false,
    };
    let rows = Rows { cells: vec![cell], devices: vec![device(0, &id, &[code])], ..Rows::default() };
    let metrics: Vec<_> = Metric::all().collect();
    let mut wanted: BTreeMap<String, f64> = BTreeMap::new();
    let mut values = Vec::new();
    for _ in 0..bytes.byte() % 12 + 1 {
        let metric = metrics[usize::from(bytes.byte()) % metrics.len()];
        let value = f64::from_le_bytes(bytes.take());
        let value = if value.is_finite() { value } else { 1.0 };
        let quality = [Quality::Good, Quality::Uncertain, Quality::Bad][usize::from(bytes.byte() % 3)];
        values.push(Value { metric, value, quality });
        let key = metric.name().to_owned() + if quality == Quality::Bad { "_bad" } else { "" };
        wanted.insert(key, if metric.spec().flag { f64::from(u8::from(value != 0.0)) } else { value });
    }
    let received = Timestamp(i64::from_le_bytes(bytes.take()) >> 12);
    let report =
        Report { device: DeviceIx(0), received, device_time: None, freshness: Freshness::Live, values };
    let now = Now { wall: received, steady: Steady(Millis(0).0) };
    let batch = Batch { seq: 1, now, events: vec![Event::Report(report)] };
    let mut lines = Lines::default();
    let unknown = Encoder::new(&station, true).encode(&Registry::build(rows), &batch, &mut lines);
    assert_eq!(unknown, []);

    let text = std::str::from_utf8(lines.bytes()).expect("line protocol is UTF-8");
    assert_eq!(text.matches('\n').count(), 1, "{text:?} is not one line");
    let parsed =
        parse_lines(text).next().expect("a line").unwrap_or_else(|error| panic!("{error}: {text:?}"));
    assert_eq!(parsed.series.measurement.as_str(), "smoke_detector");
    assert_eq!(parsed.timestamp, Some(received.0));
    let mut found = BTreeMap::new();
    for (key, value) in &parsed.field_set {
        match value {
            FieldValue::F64(number) => found.insert(key.to_string(), *number),
            FieldValue::Boolean(flag) => found.insert(key.to_string(), f64::from(u8::from(*flag))),
            FieldValue::String(_) => None, // `quality` and `reading`.
            FieldValue::I64(_) | FieldValue::U64(_) => panic!("a field changed its type: {text:?}"),
        };
    }
    assert_eq!(found, wanted, "{text:?}");
}
