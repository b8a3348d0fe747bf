//! A profile's own samples, read by the very code that reads messages: what each became, and what it should have become.

use std::fmt::Write as _;
use std::sync::Arc;

use super::shape::{Over, Sample};
use super::{Payload, Profile, from_base64, from_hex};
use crate::config::rules::FreshnessLimits;
use crate::decode::{Context, Family, Message, Reject, decode};
use crate::grid::{Device, Registry, Rows};
use crate::model::{DeviceIx, Event, Quality, Value};
use crate::units::Timestamp;

const ADDRESS: &str = "zigbee2mqtt/sample";
const RECEIVED: &str = "2026-11-23T03:00:00Z";

impl Profile {
    /// A sentence for each sample that became something else.
    pub fn failures(&self) -> Vec<String> {
        self.samples.iter().filter_map(|sample| self.failure(sample).err()).collect()
    }

    fn failure(&self, sample: &Sample) -> Result<(), String> {
        let wrong = |why: String| format!("{}: sample `{}`: {why}", self.name, sample.name);
        let (lines, complaints) = self.run(sample).map_err(wrong)?;
        let complaints_fit = complaints.len() == sample.complaints.len()
            && complaints.iter().zip(&sample.complaints).all(|(told, words)| told.contains(words));
        if lines == sample.expect && complaints_fit {
            return Ok(());
        }
        Err(wrong(format!(
            "became {lines:?} with the complaints {complaints:?}, not {:?} with {:?}",
            sample.expect, sample.complaints
        )))
    }

    fn run(&self, sample: &Sample) -> Result<(Vec<String>, Vec<String>), String> {
        let bytes = match (&sample.hex, &sample.base64, &sample.text, &sample.json) {
            (Some(hex), None, None, None) => from_hex(hex).ok_or("`hex` is not hexadecimal")?,
            (None, Some(text), None, None) => from_base64(text).ok_or("`base64` is not Base64")?,
            (None, None, Some(text), None) | (None, None, None, Some(text)) => text.clone().into_bytes(),
            _ => return Err("it needs one of `hex`, `base64`, `text` and `json`".into()),
        };
        let received = sample.received.as_deref().unwrap_or(RECEIVED);
        let received = Timestamp::parse_rfc3339(received).ok_or("`received` is no moment")?;
        if self.over == Over::Zigbee2mqtt {
            self.check_keys(&bytes)?;
            let message = Message { topic: ADDRESS, payload: &bytes, retained: false, dup: false, received };
            let decoded = decode(Family::Zigbee2mqtt, &message, &one_device(&format!("z2m:{ADDRESS}")));
            let lines = decoded.events.iter().filter_map(|event| match event {
                Event::Report(report) => Some(written(&report.values, report.device_time)),
                Event::Gone { .. } | Event::Action(_) => None,
            });
            return Ok((lines.collect(), decoded.rejects.into_iter().map(|Reject(why)| why).collect()));
        }
        if let (Some(topic), super::Form::Frames { .. }) = (&sample.topic, &self.form) {
            let message = Message { topic, payload: &bytes, retained: false, dup: false, received };
            let context = one_device("");
            let mut outcome = crate::decode::outcome::Outcome::new(&message, &context);
            self.decode(&message, &mut outcome);
            // Nothing is registered, so every device that speaks is named in a complaint.
            let told = outcome.finish().rejects.into_iter().map(|Reject(why)| why);
            return Ok((Vec::new(), told.collect()));
        }
        match self.decode_payload(Payload { bytes: &bytes, port: sample.port }) {
            Err(why) => Ok((Vec::new(), vec![why])),
            Ok(reading) => {
                let lines = reading
                    .records
                    .into_iter()
                    .map(|record| written(&record.values.finish(record.quality), record.at));
                Ok((lines.collect(), reading.complaints))
            }
        }
    }

    /// A sample may hold only what the model is declared to publish.
    fn check_keys(&self, bytes: &[u8]) -> Result<(), String> {
        let json: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match json.keys().find(|key| !self.publishes(key) && *key != "linkquality" && *key != "last_seen") {
            Some(key) => Err(format!("`{key}` stands neither in `properties` nor in `ignored`")),
            None => Ok(()),
        }
    }
}

fn written(values: &[Value], at: Option<Timestamp>) -> String {
    let mut text = String::new();
    for value in values {
        let mark = match value.quality {
            Quality::Good => "",
            Quality::Uncertain => "?",
            Quality::Bad => "!",
        };
        // Twelve digits: what a division leaves behind them is no measurement.
        let rounded = format!("{:.9}", value.value).parse().unwrap_or(value.value);
        let _ =
            write!(text, "{}{}={rounded}{mark}", if text.is_empty() { "" } else { " " }, value.metric.name());
    }
    if let Some(at) = at {
        let _ = write!(text, "{}@{at}", if text.is_empty() { "" } else { " " });
    }
    text
}

fn one_device(address: &str) -> Context {
    let device = Device {
        ix: DeviceIx(0),
        id: "sample".into(),
        kind: crate::model::DeviceKind::Other,
        name: String::new(),
        address: address.into(),
        cells: Vec::new(),
        place: String::new(),
        position: None,
        silent_after: None,
        registered: Timestamp(0),
        retired: false,
    };
    let registry = Registry::build(Rows { devices: vec![device], ..Rows::default() });
    Context { registry, freshness: Arc::new(FreshnessLimits::default()), profiles: Arc::default() }
}
