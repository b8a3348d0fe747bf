//! The Things Stack v3: uplinks as JSON on `v3/<application>@<tenant>/devices/<device>/up`, joins on `…/join`.
//!
//! The device's address and what is made of its bytes: [`super::lorawan`]. Empty fields are left out by the server, so a missing `f_cnt` is 0. What is
//! on `…/down/…` answers our orders ([`super::downlink`]).

use serde::Deserialize;

use super::downlink;
use super::lorawan::{self, Gateway, Uplink, number};
use super::outcome::Outcome;
use super::scalar::Scalar;
use super::{Context, Decoded, Message};

#[derive(Deserialize)]
struct Heard<'a> {
    #[serde(borrow)]
    end_device_ids: Ids<'a>,
    #[serde(borrow)]
    received_at: Option<Scalar<'a>>,
    #[serde(borrow)]
    uplink_message: Option<Up<'a>>,
}

#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    dev_eui: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
struct Up<'a> {
    #[serde(borrow)]
    f_port: Option<Scalar<'a>>,
    #[serde(borrow)]
    f_cnt: Option<Scalar<'a>>,
    #[serde(borrow)]
    frm_payload: Option<Scalar<'a>>,
    decoded_payload: Option<serde_json::Value>,
    #[serde(borrow, default)]
    rx_metadata: Vec<Gateway<'a>>,
    #[serde(borrow)]
    received_at: Option<Scalar<'a>>,
    #[serde(borrow)]
    version_ids: Option<Version<'a>>,
}

/// The model as the device repository calls it.
#[derive(Deserialize)]
struct Version<'a> {
    #[serde(borrow)]
    brand_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    model_id: Option<Scalar<'a>>,
}

pub fn decode(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    read(message, &mut outcome);
    outcome.finish()
}

fn read(message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let event = message.topic.rsplit('/').next().unwrap_or_default();
    if !matches!(event, "up" | "join") {
        return outcome.answer(downlink::the_things(event, message.payload));
    }
    let heard: Heard<'_> = match serde_json::from_slice(message.payload) {
        Ok(heard) => heard,
        Err(error) => return outcome.unreadable(&error),
    };
    let Some(eui) = heard.end_device_ids.dev_eui.as_ref().and_then(Scalar::text) else {
        return outcome.reject("the message has no `end_device_ids.dev_eui`; a device activated by hand needs one in The Things Stack too".into());
    };
    let address = format!("lora:{}", eui.to_ascii_lowercase());
    let Some(device) = outcome.device(&address) else { return };
    let Some(up) = &heard.uplink_message else { return outcome.alive(device) };
    let text =
        |scalar: &Option<Scalar<'_>>| scalar.as_ref().and_then(Scalar::text).unwrap_or_default().to_owned();
    let version = up.version_ids.as_ref();
    let brand = version.map_or(String::new(), |version| text(&version.brand_id));
    let model = version.map_or(String::new(), |version| text(&version.model_id));
    let both = format!("{brand}/{model}");
    let uplink = Uplink {
        models: vec![&both, &model],
        data: up.frm_payload.as_ref().and_then(Scalar::text),
        port: number(&up.f_port).map(|port| port as u8),
        object: up.decoded_payload.as_ref(),
        gateways: &up.rx_metadata,
        counter: Some(number(&up.f_cnt).unwrap_or(0.0)),
        said: up.received_at.as_ref().or(heard.received_at.as_ref()).and_then(Scalar::time),
    };
    lorawan::report(uplink, device, &address, outcome);
}
