//! 天翼 CTWing (AEP): what the platform pushes to a subscription, one JSON object a request.
//!
//! `dataReport` carries the device's own bytes (`payload.APPdata`, Base64), or fields that the platform has decoded (`payload.serviceData`, or the payload itself); `eventReport`
//! fields in `eventContent`. `deviceOnlineOfflineReport` is believed when it says that a device is there; that it is gone only of a device with a standing connection, for an NB-IoT device
//! sleeps most of the day. `dataReportTupUnion` says the same as the reports before it and is passed over, as are answers to commands.

use serde_json::Value;

use super::outcome::Outcome;
use super::push::{Named, Sent, report};
use super::scalar::Scalar;

pub fn read(envelope: &Value, outcome: &mut Outcome<'_>) {
    let text = |key: &str| envelope.get(key).and_then(Value::as_str);
    let mut named = Named::default();
    named.add_imei(
        text("IMEI").or_else(|| envelope.pointer("/payload/serviceData/IMEI").and_then(Value::as_str)),
    );
    named.add("ctwing", text("deviceId"));
    let at = envelope.get("timestamp").and_then(|time| Scalar::of(time).time());
    let service = envelope.get("serviceId").and_then(Value::as_str).unwrap_or("notification");
    let service = if service.is_empty() { "notification" } else { service };
    match text("messageType") {
        Some("dataReport") => {
            let payload = &envelope["payload"];
            let sent = match (payload.get("APPdata").and_then(Value::as_str), payload.get("serviceData")) {
                (Some(bytes), _) => Sent::Text(bytes),
                (None, Some(fields)) => Sent::Fields(fields),
                (None, None) => Sent::Fields(payload),
            };
            report(named, service, sent, at, outcome);
        }
        Some("eventReport") => report(named, service, Sent::Fields(&envelope["eventContent"]), at, outcome),
        Some("deviceOnlineOfflineReport") => {
            let online = envelope.get("eventType").and_then(|kind| Scalar::of(kind).number()) == Some(1.0);
            let Some(device) = named.find(outcome) else { return };
            if online {
                outcome.alive(device);
            } else if !matches!(text("protocol"), Some("lwm2m") | None) {
                outcome.gone(device);
            }
        }
        Some("dataReportTupUnion" | "commandResponse") => (),
        Some(_) | None => outcome.reject(
            "the message has no `messageType` that CTWing is known to push; subscribe to dataReport, eventReport and deviceOnlineOfflineReport".into(),
        ),
    }
}
