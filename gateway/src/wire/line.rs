//! Reports → InfluxDB line protocol. What a point looks like is promised in docs/influx.md; a change here is a change there.
//!
//! Pure. Tags, where people's texts are, are escaped by the influxdb-line-protocol crate, once a cell; what no server reads back
//! alike (line breaks and backslashes in tags) is replaced before it gets there. Of a device's own only its id is in a line, which mostly needs no escaping, so nothing is kept for each of
//! hundreds of thousands of devices. Fields are written here: they are the work of every line. A field's type is fixed by its metric, so it can never flip. Alarms are absent: only
//! reports travel this way.

use std::io::Write;
use std::sync::Arc;

use hashbrown::HashMap;
use influxdb_line_protocol::LineProtocolBuilder;

use crate::grid::{Device, Registry};
use crate::model::{Batch, DeviceIx, Event, Freshness, Quality, Report, Value};

/// Lines ready to send, and where each ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Lines {
    /// Adds one line, with its line break.
    pub fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many from the start are together no more than `bytes_max`.
    pub fn within(&self, bytes_max: usize) -> usize {
        self.ends.partition_point(|&end| end <= bytes_max)
    }

    /// Takes the lines from `at` on away.
    pub fn split_off(&mut self, at: usize) -> Self {
        let ends = self.ends.split_off(at);
        let start = self.ends.last().copied().unwrap_or_default();
        let bytes = self.bytes.split_off(start);
        Self { bytes, ends: ends.into_iter().map(|end| end - start).collect() }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_parts(self) -> (Vec<u8>, Vec<usize>) {
        (self.bytes, self.ends)
    }

    /// Each line with its line break.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Turns batches into lines; remembers the tags of cells until the registry changes.
pub struct Encoder {
    station: String,
    reading_ids: bool,
    registry: Arc<Registry>,
    /// `,station=…,cell=…` by where the list of a device's cells stands: devices in the same cells share it, and the registry keeps it there.
    tags: HashMap<usize, Vec<u8>>,
}

impl Encoder {
    /// `reading_ids` adds a string field `reading` with the report's place in the journal, `r-<batch>-<event>`.
    pub fn new(station: &str, reading_ids: bool) -> Self {
        Self { station: station.to_owned(), reading_ids, registry: Arc::default(), tags: HashMap::new() }
    }

    /// Appends one line for each report that has values. Returns the devices that are not in the registry.
    pub fn encode(&mut self, registry: &Arc<Registry>, batch: &Batch, lines: &mut Lines) -> Vec<DeviceIx> {
        if !Arc::ptr_eq(&self.registry, registry) {
            self.registry = registry.clone();
            self.tags.clear();
        }
        let mut unknown = Vec::new();
        for (number, event) in batch.events.iter().enumerate() {
            let Event::Report(report) = event else { continue };
            if report.values.is_empty() {
                continue;
            }
            let Some(device) = registry.device(report.device) else {
                unknown.push(report.device);
                continue;
            };
            self.write_head(device, &mut lines.bytes);
            self.write_fields(report, batch.seq, number, &mut lines.bytes);
            lines.ends.push(lines.bytes.len());
        }
        unknown
    }

    /// Measurement and tags, without the space before the fields.
    fn write_head(&mut self, device: &Device, line: &mut Vec<u8>) {
        let tags = self
            .tags
            .entry(device.cells.as_ptr().addr())
            .or_insert_with(|| tags_of(&device.cells, &self.registry, &self.station));
        line.extend_from_slice(device.kind.name().as_bytes());
        line.extend_from_slice(tags);
        put_device(line, &device.id);
    }

    /// Nothing here needs escaping: names of metrics and our own words are letters, digits and `_`, which the tests hold to.
    fn write_fields(&self, report: &Report, seq: u64, number: usize, line: &mut Vec<u8>) {
        let mut before = b' ';
        for value in last_of_each(&report.values) {
            line.push(std::mem::replace(&mut before, b','));
            line.extend_from_slice(value.metric.name().as_bytes());
            // A bad value is filed apart, so that no chart shows it by mistake.
            if value.quality == Quality::Bad {
                line.extend_from_slice(b"_bad");
            }
            line.push(b'=');
            match (value.metric.spec().flag, value.value != 0.0) {
                (true, true) => line.extend_from_slice(b"true"),
                (true, false) => line.extend_from_slice(b"false"),
                (false, _) => put_number(line, value.value),
            }
        }
        if report.values.iter().any(|value| value.quality == Quality::Uncertain) {
            line.extend_from_slice(b",quality=\"uncertain\"");
        }
        if let Some(freshness) = other_than_live(report.freshness) {
            line.extend_from_slice(b",freshness=\"");
            line.extend_from_slice(freshness.as_bytes());
            line.push(b'"');
        }
        if self.reading_ids {
            put(line, format_args!(",reading=\"r-{seq}-{number}\""));
        }
        line.push(b' ');
        put_whole(line, report.time().0);
        line.push(b'\n');
    }
}

/// Most readings are whole numbers, which need no search for the shortest decimal.
fn put_number(line: &mut Vec<u8>, number: f64) {
    const EXACT: f64 = (1_u64 << 53) as f64;
    if number.fract() == 0.0 && number.abs() < EXACT {
        put_whole(line, number as i64);
    } else {
        put(line, format_args!("{number}"));
    }
}

fn put_whole(line: &mut Vec<u8>, number: i64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn put(line: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("memory takes every byte");
}

/// A metric named twice in one report cannot be two fields of one line: the last one holds, as it would in the database.
fn last_of_each(values: &[Value]) -> impl Iterator<Item = &Value> {
    values.iter().enumerate().filter_map(|(at, value)| {
        let again = values[at + 1..].iter().any(|later| field_key(later) == field_key(value));
        (!again).then_some(value)
    })
}

fn field_key(value: &Value) -> (u16, bool) {
    (value.metric.number(), value.quality == Quality::Bad)
}

fn other_than_live(freshness: Freshness) -> Option<&'static str> {
    match freshness {
        Freshness::Live => None,
        Freshness::Retained => Some("retained"),
        Freshness::Replayed => Some("replayed"),
        Freshness::Backfill => Some("backfill"),
    }
}

/// `,cell=…` and one more for each further scheme, behind the station.
fn tags_of(cells: &[String], registry: &Registry, station: &str) -> Vec<u8> {
    let mut tags = vec![("station".to_owned(), station.to_owned())];
    let cells = cells.iter().filter_map(|code| registry.cell_by_code(code));
    for (place, cell) in cells.enumerate() {
        let key = if place == 0 { "cell".to_owned() } else { format!("cell_{}", cell.scheme) };
        tags.push((key, registry.path(cell.ix)));
    }
    escaped(tags)
}

fn put_device(line: &mut Vec<u8>, id: &str) {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte)) {
        line.extend_from_slice(b",device=");
        line.extend_from_slice(id.as_bytes());
    } else {
        line.extend(escaped([("device".to_owned(), id.to_owned())]));
    }
}

/// Each with the comma before it.
fn escaped(tags: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    let mut line = LineProtocolBuilder::new().measurement("m");
    for (key, value) in tags {
        let value = tag_text(&value);
        if !value.is_empty() {
            line = line.tag(&tag_text(&key), &value); // A tag without a value is a syntax error.
        }
    }
    let line = line.field("f", true).close_line().build();
    line["m".len()..line.len() - " f=true\n".len()].to_vec()
}

/// What stays the same whichever server reads it: InfluxDB 1 and 2 keep a doubled backslash double, and one at the end swallows the next
/// separator; a line break ends the line.
fn tag_text(text: &str) -> String {
    let safe = |c: char| match c {
        '\\' => '_',
        c if c.is_control() => ' ',
        c => c,
    };
    text.trim().chars().map(safe).collect()
}

#[cfg(test)]
mod tests;
