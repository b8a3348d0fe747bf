//! Our own JSON, for devices and collectors we can tell what to send: docs/native-json.md is its definition.
//!
//! `…/up/<device>` speaks for one device, `…/up` for as many as its reports name; `…/up/<device>/status` is for the last will. One report or an
//! array of them. Values keep the metric's name and unit. What is wrong with one value or one report never costs the others.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::nearest::nearest;
use super::outcome::{Outcome, REJECTS_MAX, REPORTS_MAX};
use super::scalar::{Name, Scalar, anything_else, shortened, whole_json};
use super::values::Values;
use super::{Context, Decoded, Message, Status, status_word};
use crate::model::{Metric, Quality};

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
    let reader = Reader { speaker, outcome: &mut *outcome, reports: 0 };
    if let Err(error) = whole_json(message.payload, reader) {
        // Reports before the fault were read: JSON is a stream, and a cut message may still hold a fire.
        outcome.unreadable(&error);
    }
}

/// The device a topic speaks for: the level after `up`.
pub(super) fn speaker(topic: &str) -> Option<&str> {
    let mut levels = topic.split('/');
    levels.find(|level| *level == "up")?;
    levels.next().filter(|device| !device.is_empty())
}

/// As the registry has it.
pub(super) fn address(device: &str) -> String {
    ["native:", device].concat()
}

fn presence(device: &str, status: Status, outcome: &mut Outcome<'_>) {
    let Some(device) = outcome.device(&address(device)) else { return };
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
    /// Problems beyond those that will be told; finding the nearest name for thousands would take its time.
    untold: usize,
    untold_only: bool,
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
        let mut said = Said { untold_only: self.outcome.is_full(), ..Said::default() };
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
    fn problem(&mut self, worded: impl FnOnce() -> String) {
        if self.untold_only || REJECTS_MAX <= self.problems.len() {
            self.untold += 1;
        } else {
            self.problems.push(worded());
        }
    }

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
        let Some(device) = outcome.device(&address(name)) else { return };
        for problem in &self.problems {
            outcome.reject(format!("native:{}: {problem}", shortened(name)));
        }
        outcome.count_untold(self.untold);
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
        if self.values.is_none() && (status.is_some() || !self.problems.is_empty() || self.untold > 0) {
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
            let Some(metric) = Metric::from_name(&name) else {
                said.problem(|| unknown(&name));
                continue;
            };
            match number_of(metric, &scalar) {
                Ok(Some(number)) => values.set(metric, number),
                Ok(None) => (),
                Err(wanted) => said.problem(|| {
                    format!(
                        "`{}` is {scalar}, which is not {wanted}; the other values were used",
                        metric.name()
                    )
                }),
            }
        }
        said.values = Some(values);
        Ok(())
    }

    anything_else!(self => self.0.problem(|| {
        "`values` is not an object; send {\"smoke\":true,\"battery\":93}".into()
    }));
}

fn unknown(name: &str) -> String {
    let near = nearest(name).map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
    format!(
        "there is no metric `{}`{near}; docs/native-json.md lists all; the other values were used",
        shortened(name)
    )
}

/// `Ok(None)` for null, when the device has no value now; else what was wanted.
fn number_of(metric: Metric, scalar: &Scalar<'_>) -> Result<Option<f64>, &'static str> {
    if *scalar == Scalar::Null {
        return Ok(None);
    }
    if metric.spec().flag {
        scalar.flag().map(|flag| Some(f64::from(u8::from(flag)))).ok_or("true or false")
    } else {
        scalar.number().map(Some).ok_or("a number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
