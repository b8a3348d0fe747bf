//! What the metrics of one Sparkplug message mean: names, units, quality and times of ours.
//!
//! Pure. A metric is ours by the last level of its name (`Hydrant/Pressure` is `pressure`), by our own names and those of [`Fields`]; its property `engUnit` is converted.
//! What is none of ours is normal and ignored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Heard;
use super::payload::{Metric as Said, Payload, REBIRTH, Value};
use super::session::Session;
use crate::decode::fields::Fields;
use crate::decode::modbus::quantity::conversion;
use crate::decode::outcome::Outcome;
use crate::decode::scalar::{Scalar, shortened};
use crate::decode::stranger::{Announced, word};
use crate::model::{DeviceKind, Metric, Quality};
use crate::units::Timestamp;

/// More reports than this out of one message are not meant.
const TIMES_MAX: usize = 500;
const GOOD: u64 = 192;
const STALE: u64 = 500;

/// Whether it sets one of the flags that mean fire.
pub fn burns(said: &Said<'_>, session: &Session) -> bool {
    let name = said.name.or_else(|| session.named(said.alias?).map(|named| named.name.as_str()));
    let metric = name.and_then(|name| Metric::from_name(&plain(name)));
    let set = || said.value.and_then(|value| value.number(said.datatype)).is_some_and(|flag| flag != 0.0);
    metric.is_some_and(|metric| metric.spec().fire) && set()
}

/// The last level of a metric's name as our names are written.
fn plain(name: &str) -> Cow<'_, str> {
    let last = name.rsplit('/').next().unwrap_or(name).trim();
    if last.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return last.into();
    }
    last.to_lowercase().replace([' ', '-'], "_").into()
}

/// What the metrics say of the node or device; kept values at their own time, older ones first.
pub fn report(session: &Session, heard: &Heard<'_>, payload: &Payload<'_>, outcome: &mut Outcome<'_>) {
    let address = heard.address();
    let mut times: BTreeMap<(bool, Option<u64>), (Fields, Quality)> = BTreeMap::new();
    let (mut unknown, mut announced) = (0, Announced::default());
    for said in &payload.metrics {
        let known = said.alias.and_then(|alias| session.named(alias));
        let Some(name) = said.name.or(known.map(|known| known.name.as_str())) else {
            unknown += 1;
            continue;
        };
        let datatype = said.datatype.or(known.and_then(|known| known.datatype));
        let value = if said.null { None } else { said.value };
        match name {
            "Properties/Hardware Make" => announced.vendor = word(value.and_then(Value::text)),
            "Properties/Hardware Model" => announced.model = word(value.and_then(Value::text)),
            REBIRTH | "bdSeq" => (),
            _ => {
                let Some(value) = value else { continue };
                // In a birth everything holds now, whenever it became so.
                let at = match (said.historical, heard.kind.is_birth()) {
                    (false, true) => payload.timestamp,
                    (true, _) | (false, false) => said.timestamp.or(payload.timestamp),
                };
                if TIMES_MAX <= times.len() && !times.contains_key(&(!said.historical, at)) {
                    continue;
                }
                let (fields, quality) =
                    times.entry((!said.historical, at)).or_insert_with(|| (Fields::new(), Quality::Good));
                *quality = (*quality).max(match said.quality {
                    None | Some(GOOD) => Quality::Good,
                    Some(STALE) => Quality::Uncertain,
                    Some(_) => Quality::Bad,
                });
                as_ours(&plain(name), value, datatype, said.unit, fields);
            }
        }
    }
    // Sets its births aside; the node is asked for them anyway.
    if 0 < unknown {
        outcome.reject(format!(
            "{}: {unknown} metrics have an alias that no birth explained; the edge node is asked for its births",
            shortened(&address)
        ));
    }
    let says_something = times.values().any(|(fields, _)| !fields.values.is_empty());
    let device = match (outcome.find(&address), heard.device) {
        (Some(device), _) => Some(device),
        // A node that only carries others need not be registered.
        (None, None) if !says_something => None,
        (None, _) => outcome.device(&address),
    };
    let Some(device) = device else { return };
    if announced != Announced::default() || heard.device.is_none() {
        let kind = heard.device.is_none().then_some(DeviceKind::Gateway);
        outcome.introduce(device, Announced { kind, ..announced });
    }
    let mut spoke = false;
    for ((now, at), (mut fields, quality)) in times {
        fields.finish();
        for problem in fields.problems {
            outcome.reject(format!("{}: {problem}", shortened(&address)));
        }
        if fields.values.is_empty() {
            continue;
        }
        let said = at.map(|at| Timestamp(i64::try_from(at).unwrap_or(i64::MAX)));
        outcome.report(device, said, quality, fields.values);
        spoke |= now;
    }
    if !spoke {
        outcome.alive(device);
    }
}

/// One metric as one of ours; what is none of ours is normal and ignored.
fn as_ours(name: &str, value: Value<'_>, datatype: Option<u64>, unit: Option<&str>, fields: &mut Fields) {
    if let Value::Other(what) = value {
        if Metric::from_name(name).is_some() {
            fields.problems.push(format!("`{name}` is {what}, which is not read; send a number or a flag"));
        }
        return;
    }
    let Some(metric) = Metric::from_name(name) else {
        let scalar = match value {
            Value::Flag(flag) => Scalar::Flag(flag),
            Value::Text(text) => Scalar::Text(text.into()),
            Value::Whole(_) | Value::Real(_) | Value::Other(_) => {
                value.number(datatype).map_or(Scalar::Null, Scalar::Number)
            }
        };
        return fields.take(None, name, &scalar);
    };
    let scalar = value.text().map(|text| Scalar::Text(text.into()));
    let number = match (metric.spec().flag, scalar) {
        (true, Some(word)) => word.flag().map(|flag| f64::from(u8::from(flag))),
        (_, _) => value.number(datatype),
    };
    let converted = match unit.filter(|unit| !unit.is_empty() && !metric.spec().flag) {
        None => number,
        Some(unit) => match conversion(unit, metric) {
            Some(conversion) => number.map(|number| conversion.apply(number)),
            None => {
                fields.problems.push(format!(
                    "`{name}` is in `{}`, which cannot be turned into {}",
                    shortened(unit),
                    metric.spec().unit
                ));
                return;
            }
        },
    };
    match converted {
        Some(number) => fields.values.set(metric, number),
        None => fields.problems.push(format!("`{name}` is no number or flag")),
    }
}
