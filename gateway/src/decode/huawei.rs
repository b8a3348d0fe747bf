//! Huawei: IoTDA (`resource`, `event`, `notify_data`) and the older OceanConnect (`notifyType`), one JSON object a request.
//!
//! A service's data are a text of the device's own in one field, or fields that a device profile with the service's name reads. Times are ISO 8601 without separators
//! (`20200520T021156Z`). Notices about the platform's own book-keeping are passed over.

use serde_json::Value;

use super::outcome::Outcome;
use super::push::{Named, Sent, report};
use super::scalar::Scalar;
use crate::units::Timestamp;

/// Services in one message at the most.
const SERVICES_MAX: usize = 64;

pub fn read(envelope: &Value, outcome: &mut Outcome<'_>) {
    match (envelope.get("notifyType"), envelope.get("resource")) {
        (Some(kind), _) => ocean_connect(kind.as_str().unwrap_or_default(), envelope, outcome),
        (None, Some(resource)) => iotda(resource.as_str().unwrap_or_default(), envelope, outcome),
        (None, None) => outcome
            .reject("the message has neither `notifyType` (OceanConnect) nor `resource` (IoTDA)".into()),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn ocean_connect(kind: &str, envelope: &Value, outcome: &mut Outcome<'_>) {
    let named = || {
        let mut named = Named::default();
        named.add("huawei", text(envelope, "deviceId"));
        named
    };
    let one = |service: &Value, outcome: &mut Outcome<'_>| {
        let name = text(service, "serviceId").unwrap_or_default();
        said(named(), name, &service["data"], time(service.get("eventTime")), outcome);
    };
    match kind {
        "deviceDataChanged" => one(&envelope["service"], outcome),
        "deviceDatasChanged" => {
            let services = envelope.get("services").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            services.iter().take(SERVICES_MAX).for_each(|service| one(service, outcome));
        }
        "deviceInfoChanged" => status(named(), envelope.pointer("/deviceInfo/status"), outcome),
        _ => (), // A word of theirs: devices added, renamed, commanded.
    }
}

fn iotda(resource: &str, envelope: &Value, outcome: &mut Outcome<'_>) {
    let (header, body) = (&envelope["notify_data"]["header"], &envelope["notify_data"]["body"]);
    let named = || {
        let mut named = Named::default();
        named.add_imei(text(header, "node_id"));
        named.add("huawei", text(header, "device_id"));
        named
    };
    let whole = time(envelope.get("event_time"));
    match resource {
        "device.property" => {
            let services = body.get("services").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for service in services.iter().take(SERVICES_MAX) {
                let name = text(service, "service_id").unwrap_or_default();
                said(
                    named(),
                    name,
                    &service["properties"],
                    time(service.get("event_time")).or(whole),
                    outcome,
                );
            }
        }
        "device.message" => said(named(), "message", &body["content"], whole, outcome),
        "device.status" => status(named(), body.get("status"), outcome),
        _ => (),
    }
}

/// A text by itself or in the only field is the device's own; anything else are fields.
fn said(named: Named, service: &str, data: &Value, at: Option<Timestamp>, outcome: &mut Outcome<'_>) {
    let only = data.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.values().next());
    match only.unwrap_or(data).as_str() {
        Some(text) => report(named, service, Sent::Text(text), at, outcome),
        None => report(named, service, Sent::Fields(data), at, outcome),
    }
}

fn status(named: Named, status: Option<&Value>, outcome: &mut Outcome<'_>) {
    match status.and_then(Value::as_str) {
        Some("ONLINE") => {
            if let Some(device) = named.find(outcome) {
                outcome.alive(device);
            }
        }
        Some("OFFLINE") => {
            if let Some(device) = named.find(outcome) {
                outcome.gone(device);
            }
        }
        Some(_) | None => (), // INACTIVE, ABNORMAL: it has not spoken for a while, which its silence says too.
    }
}

/// `20200520T021156Z`, or with separators.
fn time(value: Option<&Value>) -> Option<Timestamp> {
    let text = value?.as_str()?;
    let bare = text.strip_suffix('Z').filter(|bare| bare.len() == 15 && bare.is_ascii());
    match bare.and_then(|bare| bare.split_once('T')) {
        Some((day, hour)) if day.len() == 8 => Timestamp::parse_rfc3339(&format!(
            "{}-{}-{}T{}:{}:{}Z",
            &day[..4],
            &day[4..6],
            &day[6..],
            &hour[..2],
            &hour[2..4],
            &hour[4..]
        )),
        Some(_) | None => Scalar::of(value?).time(),
    }
}
