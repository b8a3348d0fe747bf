//! Our own JSON, for devices and collectors we can tell what to send: docs/native-json.md is its definition.
//!
//! `…/up/<device>` speaks for one device, `…/up` for as many as its reports name; `…/up/<device>/status` is for the last will. One report or an
//! array of them. Values keep the metric's name and unit. What is wrong with one value or one report never costs the others.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::outcome::{Outcome, REPORTS_MAX};
use super::scalar::{Name, Scalar, anything_else, shortened};
use super::values::Values;
use super::{Context, Decoded, Message, Status, status_word};
use crate::model::{METRICS, Metric, Quality};

const FIELDS: [&str; 5] = ["device", "time", "values", "quality", "status"];

pub fn decode(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    read(message, &mut outcome);
    outcome.finish()
}

fn read(message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let speaker = speaker(message.topic);
    if let (Some(device), Some(status)) = (speaker, status_word(message.payload)) {
        return presence(device, status, outcome);
    }
    let mut json = serde_json::Deserializer::from_slice(message.payload);
    let reader = Reader { speaker, outcome, reports: 0 };
    if let Err(error) = (&mut json).deserialize_any(reader).and_then(|()| json.end()) {
        // Reports before the fault were read: JSON is a stream, and a cut message may still hold a fire.
        outcome.unreadable(&error);
    }
}

/// The device a topic speaks for: the level after `up`.
fn speaker(topic: &str) -> Option<&str> {
    let mut levels = topic.split('/');
    levels.find(|level| *level == "up")?;
    levels.next().filter(|device| !device.is_empty())
}

fn presence(device: &str, status: Status, outcome: &mut Outcome<'_>) {
    let Some(device) = outcome.device(&format!("native:{device}")) else { return };
    match status {
        Status::Online => outcome.alive(device),
        Status::Offline => outcome.gone(device),
    }
}

/// Reads one report or an array of them.
struct Reader<'r, 'o> {
    speaker: Option<&'r str>,
    outcome: &'r mut Outcome<'o>,
    reports: usize,
}

impl<'de> Visitor<'de> for Reader<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report such as {\"device\":\"SD-1\",\"values\":{\"smoke\":true}}, or an array of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<(), A::Error> {
        One { speaker: self.speaker, outcome: self.outcome, wanted: true }.visit_map(fields)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items
            .next_element_seed(One {
                speaker: self.speaker,
                outcome: self.outcome,
                wanted: self.reports < REPORTS_MAX,
            })?
            .is_some()
        {
            self.reports += 1;
        }
        if self.reports > REPORTS_MAX {
            self.outcome.reject(format!(
                "the message holds {} reports; the first {REPORTS_MAX} were used; send at most {REPORTS_MAX} at once",
                self.reports
            ));
        }
        Ok(())
    }
}

/// Reads one report.
struct One<'r, 'o> {
    speaker: Option<&'r str>,
    outcome: &'r mut Outcome<'o>,
    /// Not beyond the limit.
    wanted: bool,
}

/// A report as it stands in the message; `values` may come before `device`, so complaints wait for the name.
#[derive(Default)]
struct Said<'a> {
    device: Option<Scalar<'a>>,
    time: Option<Scalar<'a>>,
    quality: Option<Scalar<'a>>,
    status: Option<Scalar<'a>>,
    values: Option<Values>,
    problems: Vec<String>,
    unknown_field: Option<String>,
}

impl<'de> DeserializeSeed<'de> for One<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for One<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report such as {\"device\":\"SD-1\",\"values\":{\"smoke\":true}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut said = Said::default();
        while let Some(Name(name)) = fields.next_key::<Name<'de>>()? {
            match &*name {
                "device" => said.device = Some(fields.next_value()?),
                "time" => said.time = Some(fields.next_value()?),
                "quality" => said.quality = Some(fields.next_value()?),
                "status" => said.status = Some(fields.next_value()?),
                "values" => fields.next_value_seed(ValuesOf(&mut said))?,
                _ => {
                    fields.next_value::<serde::de::IgnoredAny>()?;
                    said.unknown_field.get_or_insert_with(|| shortened(&name));
                }
            }
        }
        if self.wanted {
            said.tell(self.speaker, self.outcome);
        }
        Ok(())
    }

    anything_else!(self => self.outcome.reject(
        "one of the reports is not an object; send {\"device\":\"SD-1\",\"values\":{\"smoke\":true}}".into()
    ));
}

impl Said<'_> {
    fn tell(self, speaker: Option<&str>, outcome: &mut Outcome<'_>) {
        let name = match (speaker, self.device.as_ref().map(Scalar::text)) {
            (Some(speaker), None) => speaker,
            (Some(speaker), Some(Some(device))) if speaker == device => speaker,
            (Some(speaker), Some(_)) => {
                return outcome.reject(format!(
                    "the topic speaks for `{}` but the report is of `device` {}; a collector publishes to `…/up` without a device",
                    shortened(speaker),
                    self.device.unwrap_or(Scalar::Null)
                ));
            }
            (None, Some(Some(device))) => device,
            (None, Some(None) | None) => {
                return outcome.reject(
                    "the report has no `device`; add \"device\":\"<id>\" or publish to `…/up/<id>`".into(),
                );
            }
        };
        let Some(device) = outcome.device(&format!("native:{name}")) else { return };
        for problem in &self.problems {
            outcome.reject(format!("native:{}: {problem}", shortened(name)));
        }
        let status = self.status.as_ref().filter(|status| **status != Scalar::Null);
        match status.map(|status| (status.text().and_then(Status::from_word), status)) {
            Some((Some(Status::Offline), _)) => outcome.gone(device),
            Some((Some(Status::Online), _)) if self.values.is_none() => outcome.alive(device),
            Some((Some(Status::Online), _)) | None => (),
            Some((None, word)) => outcome.reject(format!(
                "native:{}: `status` is {word}; send \"online\" or \"offline\"",
                shortened(name)
            )),
        }
        if self.values.is_none() && (status.is_some() || !self.problems.is_empty()) {
            return;
        }
        if let (None, Some(field)) = (&self.values, &self.unknown_field) {
            return outcome.reject(format!(
                "native:{}: the report has no `values`, but `{field}`; the fields are {}",
                shortened(name),
                FIELDS.join(", ")
            ));
        }
        let (said, wrong_time) = self.time(name);
        let (quality, wrong_quality) = self.quality(name);
        wrong_time.into_iter().chain(wrong_quality).for_each(|wrong| outcome.reject(wrong));
        outcome.report(device, said, quality, self.values.unwrap_or_default());
    }

    fn time(&self, name: &str) -> (Option<crate::units::Timestamp>, Option<String>) {
        match self.time.as_ref().filter(|time| **time != Scalar::Null) {
            None => (None, None),
            Some(time) => match time.time() {
                Some(at) => (Some(at), None),
                None => (
                    None,
                    Some(format!(
                        "native:{}: `time` is {time}; send RFC 3339 with an offset such as \"2026-11-23T03:00:00Z\", or seconds or milliseconds since 1970; the values were filed at the time of receipt",
                        shortened(name)
                    )),
                ),
            },
        }
    }

    fn quality(&self, name: &str) -> (Quality, Option<String>) {
        let Some(quality) = self.quality.as_ref().filter(|quality| **quality != Scalar::Null) else {
            return (Quality::Good, None);
        };
        match quality.text() {
            Some("good") => (Quality::Good, None),
            Some("uncertain") => (Quality::Uncertain, None),
            Some("bad") => (Quality::Bad, None),
            Some(_) | None => (
                Quality::Uncertain,
                Some(format!(
                    "native:{}: `quality` is {quality}; send \"good\", \"uncertain\" or \"bad\"; it was taken as uncertain",
                    shortened(name)
                )),
            ),
        }
    }
}

/// Reads the object `values`.
struct ValuesOf<'s, 'a>(&'s mut Said<'a>);

impl<'de> DeserializeSeed<'de> for ValuesOf<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValuesOf<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`values` as an object such as {\"smoke\":true,\"battery\":93}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Self(said) = self;
        let mut values = said.values.take().unwrap_or_else(Values::new);
        while let Some(Name(name)) = fields.next_key::<Name<'de>>()? {
            let scalar: Scalar<'de> = fields.next_value()?;
            match read_value(&name, &scalar) {
                Ok(Some((metric, value))) => values.set(metric, value),
                Ok(None) => (),
                // Counted by the outcome, which tells the first few: here only memory is to be bounded.
                Err(_) if said.problems.len() > super::values::VALUES_MAX => (),
                Err(problem) => said.problems.push(problem),
            }
        }
        said.values = Some(values);
        Ok(())
    }

    anything_else!(self => self.0.problems.push(
        "`values` is not an object; send {\"smoke\":true,\"battery\":93}".into()
    ));
}

/// `Ok(None)` for null: the device has no value now.
fn read_value(name: &str, scalar: &Scalar<'_>) -> Result<Option<(Metric, f64)>, String> {
    let Some(metric) = Metric::from_name(name) else {
        let nearest = nearest(name).map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
        return Err(format!(
            "there is no metric `{}`{nearest}; docs/native-json.md lists all; the other values were used",
            shortened(name)
        ));
    };
    if *scalar == Scalar::Null {
        return Ok(None);
    }
    let (value, wanted) = if metric.spec().flag {
        (scalar.flag().map(|flag| f64::from(u8::from(flag))), "true or false")
    } else {
        (scalar.number(), "a number")
    };
    match value {
        Some(value) => Ok(Some((metric, value))),
        None => Err(format!("`{name}` is {scalar}, which is not {wanted}; the other values were used")),
    }
}

/// The metric whose name needs the fewest changes, if few enough to be a slip.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > 40 {
        return None;
    }
    let name: Cow<'_, str> = name.to_ascii_lowercase().replace(['-', ' '], "_").into();
    METRICS
        .iter()
        .map(|spec| (changes(&name, spec.name), spec.name))
        .min_by_key(|(changes, _)| *changes)
        .filter(|(changes, near)| *changes <= near.len().div_ceil(3))
        .map(|(_, near)| near)
}

/// Levenshtein distance in bytes.
fn changes(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, top) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != top);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_the_metric_that_was_meant() {
        for (slip, meant) in [
            ("temprature", Some("temperature")),
            ("Battery", Some("battery")),
            ("smoke-density", Some("smoke_density")),
            ("presure", Some("pressure")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip), meant, "{slip}");
        }
    }

    #[test]
    fn the_topic_names_the_speaker_after_up() {
        for (topic, device) in [
            ("gridwarden/up/SD-1", Some("SD-1")),
            ("gridwarden/up/SD-1/status", Some("SD-1")),
            ("station/a/up/SD-1", Some("SD-1")),
            ("gridwarden/up", None),
            ("gridwarden/up/", None),
            ("gridwarden", None),
        ] {
            assert_eq!(speaker(topic), device, "{topic}");
        }
    }
}
