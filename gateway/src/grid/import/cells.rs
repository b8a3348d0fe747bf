//! Cells from a GeoJSON FeatureCollection: one feature per cell, WGS 84, any depth, several schemes.
//!
//! Properties beyond ours are ignored, because every map program adds some. Polygons are checked here by themselves; how they lie to each
//! other is [`crate::grid::locate`]'s.

use std::collections::HashMap;

use geojson::{Feature, GeometryValue};
use serde_json::Value;

use super::{CellRow, Parsed, ParsedRows, Placed, bad_code, text, yes};
use crate::grid::locate;
use crate::problem::{Problems, Severity, Spot};

/// The property names that mean the same, ours first.
const CODE: &[&str] = &["code", "编码", "网格编码"];
const NAME: &[&str] = &["name", "名称", "网格名称"];
const SCHEME: &[&str] = &["scheme", "方案", "网格体系"];
const PARENT: &[&str] = &["parent", "上级", "上级网格"];
const KIND: &[&str] = &["kind", "类型", "网格类型"];
const RETIRED: &[&str] = &["retired", "停用"];

pub fn parse_cells(file: &str, bytes: &[u8]) -> Result<Parsed, Problems> {
    let mut problems = Problems::default();
    let text = text::decode(bytes).map_err(|error| error.into_problems(file))?;
    let features = match features(&text) {
        Ok(features) => features,
        Err((at, message)) => {
            problems.add(file, at, Severity::Error, message);
            return Err(problems);
        }
    };
    let mut rows: Vec<CellRow> = Vec::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    for (at, value) in features {
        let wrong = match read_feature(value, at) {
            Ok(row) => match seen.insert(row.code.value.clone(), at.line) {
                None => {
                    rows.push(row);
                    continue;
                }
                Some(line) => vec![format!(
                    "the cell `{}` stands in line {line} already; every cell needs its own code",
                    row.code.value
                )],
            },
            Err(wrong) => wrong,
        };
        for message in wrong {
            problems.add(file, at, Severity::Error, message);
        }
    }
    if problems.is_empty() {
        Ok(Parsed { file: file.to_owned(), rows: ParsedRows::Cells(rows) })
    } else {
        Err(problems.sorted())
    }
}

/// The features with the place where each begins.
fn features(text: &str) -> Result<Vec<(Spot, Value)>, (Spot, String)> {
    let start = Spot { line: 1, column: 1 };
    let mut document: Value = serde_json::from_str(text).map_err(|error| {
        let at = Spot { line: (error.line() as u32).max(1), column: (error.column() as u32).max(1) };
        (at, format!("this is not JSON ({error}); export the cells as GeoJSON"))
    })?;
    let collection = document.get("type").and_then(Value::as_str) == Some("FeatureCollection");
    let Some(Value::Array(features)) = document.get_mut("features").filter(|_| collection).map(Value::take)
    else {
        return Err((
            start,
            "this is not a GeoJSON FeatureCollection; export the cells as one, with one feature per cell"
                .into(),
        ));
    };
    let mut places = feature_places(text);
    places.resize(features.len(), start);
    Ok(places.into_iter().zip(features).collect())
}

/// Where each object of a top-level array begins. The text is known to be JSON.
fn feature_places(text: &str) -> Vec<Spot> {
    let (mut places, mut open, mut quoted, mut escaped) = (Vec::new(), Vec::new(), false, false);
    let (mut last_text, mut line, mut line_start) = ((0, 0), 1, 0);
    let mut in_features = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                last_text = if quoted { (at + 1, at + 1) } else { (last_text.0, at) };
            }
            _ if quoted => (),
            b'{' | b'[' => {
                if byte == b'{' && in_features && open == [b'{', b'['] {
                    places.push(Spot { line, column: text[line_start..at].chars().count() as u32 + 1 });
                }
                open.push(byte);
                if open == [b'{', b'['] {
                    in_features = &text[last_text.0..last_text.1] == "features";
                }
            }
            b'}' | b']' => {
                open.pop();
            }
            b'\n' => (line, line_start) = (line + 1, at + 1),
            _ => (),
        }
    }
    places
}

fn read_feature(value: Value, at: Spot) -> Result<CellRow, Vec<String>> {
    let feature: Feature = serde_json::from_value(value)
        .map_err(|error| vec![format!("this is not a GeoJSON feature ({error}); export the cells again")])?;
    let mut wrong = Vec::new();
    let mut property = |names: &[&str]| {
        let found = names.iter().find_map(|name| feature.property(*name).filter(|value| !value.is_null()))?;
        match found {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(bool) => Some(bool.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                wrong.push(format!("the property `{}` is not text; write it as text in quotes", names[0]));
                None
            }
        }
    };
    let code = property(CODE);
    let (name, scheme) = (property(NAME), property(SCHEME).unwrap_or_else(|| "admin".into()));
    let (parent, kind) = (property(PARENT), property(KIND).unwrap_or_else(|| "cell".into()));
    let retired = property(RETIRED);
    let code = code.unwrap_or_else(|| {
        wrong.push("the cell has no code; give the feature the properties `code` and `name`".into());
        String::new()
    });
    for (what, text) in [("code", Some(&code)), ("scheme", Some(&scheme)), ("parent", parent.as_ref())] {
        if let Some(bad) = text.and_then(|text| bad_code(text)) {
            wrong.push(format!("the {what} {bad}"));
        }
    }
    let name = name.unwrap_or_else(|| {
        wrong.push(format!("the cell `{code}` has no name; add the property `name`"));
        String::new()
    });
    let retired = yes(retired.as_deref().unwrap_or_default()).unwrap_or_else(|| {
        wrong.push(format!("`retired` of the cell `{code}` is neither yes nor no; write `true` or `false`"));
        false
    });
    let polygons = match feature.geometry.map(|geometry| geometry.value) {
        None => Ok(Vec::new()),
        Some(GeometryValue::Polygon { coordinates }) => {
            read_polygon(coordinates).map(|polygon| vec![polygon])
        }
        Some(GeometryValue::MultiPolygon { coordinates }) => {
            coordinates.into_iter().map(read_polygon).collect()
        }
        Some(other) => Err(format!("is a {}; draw a Polygon or MultiPolygon", other.type_name())),
    };
    let polygons = polygons.unwrap_or_else(|bad| {
        wrong.push(format!("the shape of the cell `{code}` {bad}"));
        Vec::new()
    });
    if wrong.is_empty()
        && let Some(bad) = locate::invalid(&polygons)
    {
        wrong.push(format!("the shape of the cell `{code}` is not a polygon: {bad}; draw its border again without crossing itself"));
    }
    if wrong.is_empty() {
        Ok(CellRow { code: Placed { value: code, at }, name, scheme, parent, kind, polygons, retired })
    } else {
        Err(wrong)
    }
}

fn read_polygon(rings: Vec<Vec<geojson::Position>>) -> Result<Vec<Vec<[f64; 2]>>, String> {
    let ring = |ring: Vec<geojson::Position>| -> Result<Vec<[f64; 2]>, String> {
        let point = |p: &geojson::Position| p.as_slice().first_chunk::<2>().copied();
        let points: Vec<[f64; 2]> = ring
            .iter()
            .map(point)
            .collect::<Option<_>>()
            .ok_or("has a point that is not two numbers; write each as `[longitude, latitude]`")?;
        if let Some([lon, lat]) = points.iter().find(|[lon, lat]| !in_range(*lon, *lat)) {
            return Err(format!(
                "has the point {lon}, {lat}, which is not longitude, latitude in degrees; export it as WGS 84 (EPSG:4326), longitude first"
            ));
        }
        if points.len() < 4 || points.first() != points.last() {
            return Err("has a ring that is not closed; the last point must be the first again".into());
        }
        Ok(points)
    };
    rings.into_iter().map(ring).collect()
}

/// Whether this can be longitude and latitude in degrees.
pub(super) fn in_range(lon: f64, lat: f64) -> bool {
    (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)
}
