//! A profile's own samples, read by the very code that reads messages: what each became, and what it should have become.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::shape::{Over, Sample};
use super::{Payload, Profile};
use crate::decode::bytes::{from_base64, from_hex};
use crate::decode::modbus::{Map, Poll, Read, UnitPlan, quantity};
use crate::decode::samples::context_with;
use crate::decode::{Family, Message, Reject, decode};
use crate::model::{Event, Metric, Quality, Value};
use crate::units::Timestamp;

const ADDRESS: &str = "zigbee2mqtt/sample";
const RECEIVED: &str = "2026-11-23T03:00:00Z";

impl Profile {
    /// A sentence for each sample that became something else.
    pub fn failures(&self) -> Vec<String> {
        let orders = self.orders.iter().flat_map(|order| order.failures());
        let orders = orders.map(|why| format!("{}: {why}", self.name));
        self.samples.iter().filter_map(|sample| self.failure(sample).err()).chain(orders).collect()
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
        if let Some(map) = self.map() {
            return poll(map, sample);
        }
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
            let decoded = decode(
                Family::Zigbee2mqtt,
                &message,
                &context_with(&[&format!("z2m:{ADDRESS}")], Arc::default()),
            );
            let lines = decoded.events.iter().filter_map(|event| match event {
                Event::Report(report) => Some(written(&report.values, report.device_time)),
                Event::Gone { .. } | Event::Action(_) => None,
            });
            return Ok((lines.collect(), decoded.rejects.into_iter().map(|Reject(why)| why).collect()));
        }
        if let (Some(topic), super::Form::Frames { .. }) = (&sample.topic, &self.form) {
            let message = Message { topic, payload: &bytes, retained: false, dup: false, received };
            let context = context_with(&[], Arc::default());
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

/// What one poll of a device with these registers becomes.
fn poll(map: &Map, sample: &Sample) -> Result<(Vec<String>, Vec<String>), String> {
    let given = sample.registers.as_ref().ok_or("it needs `registers`")?;
    let mut registers = BTreeMap::new();
    for (first, words) in given {
        let digits = first.strip_prefix("0x").ok_or("an address is hexadecimal, such as `0x0002`")?;
        let first =
            u16::from_str_radix(digits, 16).map_err(|_| "an address is hexadecimal, such as `0x0002`")?;
        registers.extend((first..).zip(words.iter().copied()));
    }
    let unit = match &sample.pressure_unit {
        Some(name) => {
            Some(quantity::conversion(name, Metric::PRESSURE).ok_or("there is no such `pressure_unit`")?)
        }
        None => None,
    };
    let plan = UnitPlan::new(1, String::new(), map.pause, map.fields_in(unit), map.max_registers);
    let answer = |read: &Read| -> Option<Vec<u16>> {
        (read.start..).take(read.count.into()).map(|at| registers.get(&at).copied()).collect()
    };
    let mut told: Vec<Poll> = Vec::new();
    for layout in [&plan.together, &plan.apart] {
        // A device refuses what it has not got, and is then asked for each field by itself.
        told.push(plan.values(layout, &layout.reads.iter().map(answer).collect::<Vec<_>>()));
    }
    let poll =
        told.into_iter().find(|poll| !poll.values.is_empty() || !poll.faults.is_empty()).unwrap_or_default();
    Ok((vec![written(&poll.values, None)], poll.faults))
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
