//! ChirpStack v4: LoRaWAN events as JSON on `application/<id>/device/<dev_eui>/event/<event>`.
//!
//! A device's address is `lora:` and its DevEUI in lower case. `up` gives what [`super::lorawan`] makes of it by the tag `profile` or
//! the device profile's name, or the fields of the decoded `object` (also those one level down), signal strength of the best gateway and the frame counter; `status` the battery; `join` proves life. `ack`, `txack` and `log` answer our orders ([`super::downlink`]); `location` and
//! `integration` say nothing of the plant. `margin` of `status` is the downlink's signal, which must not mix with the uplink's, so it is left out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::downlink;
use super::fields::Fields;
use super::lorawan::{self, Gateway, Uplink, number};
use super::outcome::Outcome;
use super::scalar::{Scalar, shortened};
use super::{Context, Decoded, Message};
use crate::model::{Metric, Quality};

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
        return outcome.answer(downlink::chirpstack(event, message.payload));
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
    let info = heard.device_info.as_ref();
    let tag = info.and_then(|info| info.tags.get("profile")).and_then(Scalar::text);
    let name = info.and_then(|info| info.device_profile_name.as_ref()?.text());
    Uplink {
        models: tag.into_iter().chain(name).collect(),
        data: heard.data.as_ref().and_then(Scalar::text),
        port: number(&heard.f_port).map(|port| port as u8),
        object: heard.object.as_ref(),
        gateways: &heard.rx_info,
        // What is 0 is left out, by the JSON form of its published proto.
        counter: Some(number(&heard.f_cnt).unwrap_or(0.0)),
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
