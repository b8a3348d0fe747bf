//! ChirpStack v4: LoRaWAN events as JSON on `application/<id>/device/<dev_eui>/event/<event>`.
//!
//! A device's address is `lora:` and its DevEUI in lower case. `up` gives what [`super::lorawan`] makes of it by the tag `profile` or
//! the device profile's name, or the fields of the decoded `object` (also those one level down), signal strength of the best gateway and the frame counter; `status` the battery; `join` proves life. `ack`, `txack`, `log`, `location` and
//! `integration` say nothing of the plant. `margin` of `status` is the downlink's signal, which must not mix with the uplink's, so it is left out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fields::{Fields, Meaning, Table};
use super::lorawan::{self, Uplink};
use super::outcome::Outcome;
use super::scalar::{Scalar, shortened};
use super::{Context, Decoded, Message};
use crate::model::{Metric, Quality};

/// What codecs of LoRaWAN devices call things, beside [`super::fields::SHARED`].
pub const CODEC_NAMES: Table = &[
    ("BatV", Meaning::Number(Metric::BATTERY_VOLTAGE, 1.0)),
    ("TempC", Meaning::Number(Metric::TEMPERATURE, 1.0)),
    ("battery_level", Meaning::Number(Metric::BATTERY, 1.0)),
    ("battery_voltage", Meaning::Number(Metric::BATTERY_VOLTAGE, 1.0)),
    ("cover_open", Meaning::Flag(Metric::COVER_OPEN)),
    ("fire", Meaning::Flag(Metric::SMOKE)),
    ("flow", Meaning::Number(Metric::FLOW, 1.0)),
    ("gas", Meaning::Flag(Metric::GAS_ALARM)),
    ("level", Meaning::Number(Metric::LEVEL, 1.0)),
    ("pressure", Meaning::Number(Metric::PRESSURE, 1.0)),
    ("pressure_bar", Meaning::Number(Metric::PRESSURE, 100.0)),
    ("pressure_kpa", Meaning::Number(Metric::PRESSURE, 1.0)),
    ("pressure_mpa", Meaning::Number(Metric::PRESSURE, 1_000.0)),
    ("removed", Meaning::Flag(Metric::REMOVED)),
    ("shock", Meaning::Flag(Metric::SHOCK)),
    ("smoke_alarm", Meaning::Flag(Metric::SMOKE)),
    ("smoke_status", Meaning::Words(Metric::SMOKE, &[])),
    ("tilt", Meaning::Flag(Metric::TILT)),
    ("water_discharge", Meaning::Flag(Metric::WATER_DISCHARGE)),
];

/// Scalars instead of their types: one odd field must not cost the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Heard<'a> {
    #[serde(borrow)]
    device_info: Option<DeviceInfo<'a>>,
    #[serde(borrow)]
    time: Option<Scalar<'a>>,
    #[serde(borrow)]
    f_cnt: Option<Scalar<'a>>,
    #[serde(borrow)]
    f_port: Option<Scalar<'a>>,
    #[serde(borrow)]
    data: Option<Scalar<'a>>,
    object: Option<serde_json::Value>,
    #[serde(borrow, default)]
    rx_info: Vec<Gateway<'a>>,
    #[serde(borrow)]
    battery_level: Option<Scalar<'a>>,
    #[serde(borrow)]
    external_power_source: Option<Scalar<'a>>,
    #[serde(borrow)]
    battery_level_unavailable: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceInfo<'a> {
    #[serde(borrow)]
    dev_eui: Option<Scalar<'a>>,
    #[serde(borrow)]
    device_profile_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    tags: BTreeMap<String, Scalar<'a>>,
}

#[derive(Deserialize)]
struct Gateway<'a> {
    #[serde(borrow)]
    rssi: Option<Scalar<'a>>,
    #[serde(borrow)]
    snr: Option<Scalar<'a>>,
}

pub fn decode(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    read(message, &mut outcome);
    outcome.finish()
}

fn read(message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let mut levels = message.topic.rsplit('/');
    let (Some(event), Some("event"), Some(eui)) = (levels.next(), levels.next(), levels.next()) else {
        return; // Commands to devices and the gateways' own topics stand beside the events.
    };
    if !matches!(event, "up" | "join" | "status") {
        return;
    }
    let heard: Heard<'_> = match serde_json::from_slice(message.payload) {
        Ok(heard) => heard,
        Err(error) => return outcome.unreadable(&error),
    };
    let told_eui = heard.device_info.as_ref().and_then(|info| info.dev_eui.as_ref()?.text());
    let address = format!("lora:{}", told_eui.unwrap_or(eui).to_ascii_lowercase());
    let Some(device) = outcome.device(&address) else { return };
    if event == "up" {
        return lorawan::report(uplink(&heard), device, &address, outcome);
    }
    let mut fields = Fields::new();
    // A join proves life, no more.
    if event == "status" {
        status(&heard, &mut fields);
    }
    fields.finish();
    for problem in fields.problems {
        outcome.reject(format!("{}: {problem}", shortened(&address)));
    }
    let said = heard.time.as_ref().and_then(Scalar::time);
    outcome.report(device, said, Quality::Good, fields.values);
}

fn uplink<'a>(heard: &'a Heard<'_>) -> Uplink<'a> {
    let number = |scalar: &Option<Scalar<'_>>| scalar.as_ref().and_then(Scalar::number);
    let info = heard.device_info.as_ref();
    let tag = info.and_then(|info| info.tags.get("profile")).and_then(Scalar::text);
    let name = info.and_then(|info| info.device_profile_name.as_ref()?.text());
    Uplink {
        models: tag.into_iter().chain(name).collect(),
        data: heard.data.as_ref().and_then(Scalar::text),
        port: number(&heard.f_port).map(|port| port as u8),
        object: heard.object.as_ref(),
        names: CODEC_NAMES,
        gateways: heard
            .rx_info
            .iter()
            .filter_map(|gateway| Some((number(&gateway.rssi)?, number(&gateway.snr))))
            .collect(),
        counter: number(&heard.f_cnt),
        said: heard.time.as_ref().and_then(Scalar::time),
    }
}

fn status(heard: &Heard<'_>, fields: &mut Fields) {
    let is = |scalar: &Option<Scalar<'_>>| scalar.as_ref().and_then(Scalar::flag) == Some(true);
    let level = heard.battery_level.as_ref().and_then(Scalar::number);
    if let Some(level) = level
        && !is(&heard.external_power_source)
        && !is(&heard.battery_level_unavailable)
    {
        fields.values.set(Metric::BATTERY, level);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sorted() {
        assert!(crate::decode::fields::is_sorted(super::CODEC_NAMES), "the binary search needs it");
    }
}
