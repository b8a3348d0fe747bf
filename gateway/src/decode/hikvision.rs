//! Hikvision: EventNotificationAlert in XML or JSON, pushed to a door of ours or read from an alert stream; alone, or with pictures in a body of several parts.
//!
//! Only the fields in [`READ`] are looked at, in whatever name space (hikvision.com/ver20, std-cgi.com, psialliance.org): a name, a card or a face is not among them, and a dead letter shows these fields
//! alone. A camera repeats an event every second while it lasts and seldom says that it is over; the rule's quiet time ends it. `videoloss inactive` about every ten seconds is a sign of life and nothing
//! else. Door stations number their events: `serialNo` finds repetitions, `frontSerialNo` gaps; what they tell of the past (`currentEvent` false) is filed at its own time.
//!
//! Names of events by the ISAPI papers as receivers of others quote them; codes of door stations by the published headers of the maker's SDK (major 1 alarms, major 5 events).

use std::collections::BTreeMap;

use serde_json::Value;

use super::Announced;
use super::camera::{self, Meaning, PICTURE_BYTES_MAX, Told, Wanted, meaning_in, take_picture, tell};
use super::outcome::Outcome;
use super::parts::{Part, Parts};
use super::scalar::shortened;
use super::values::Values;
use crate::model::{DeviceIx, DeviceKind, Metric, Quality};
use crate::units::Timestamp;

const ROOT: &str = "EventNotificationAlert";
const DOOR_EVENT: &str = "AccessControllerEvent";
/// All that is read, of the alert itself or of the door event in it.
const READ: &[&str] = &[
    "eventType",
    "eventState",
    "activePostCount",
    "channelID",
    "dynChannelID",
    "dateTime",
    "macAddress",
    "ipAddress",
    "majorEventType",
    "subEventType",
    "minorEventType",
    "doorNo",
    "serialNo",
    "frontSerialNo",
    "currentEvent",
];

#[rustfmt::skip]
const EVENTS: &[(&str, Meaning)] = &[
    ("videoloss", Meaning::Lost),
    ("VMD", Meaning::Flag(Metric::MOTION)),
    ("PIR", Meaning::Flag(Metric::MOTION)),
    ("linedetection", Meaning::Flag(Metric::DETECTION)),
    ("fielddetection", Meaning::Flag(Metric::DETECTION)),
    ("regionEntrance", Meaning::Flag(Metric::DETECTION)),
    ("regionExiting", Meaning::Flag(Metric::DETECTION)),
    ("loitering", Meaning::Flag(Metric::DETECTION)),
    ("parking", Meaning::Flag(Metric::DETECTION)),
    ("rapidMove", Meaning::Flag(Metric::DETECTION)),
    ("unattendedBaggage", Meaning::Flag(Metric::DETECTION)),
    ("attendedBaggage", Meaning::Flag(Metric::DETECTION)),
    ("group", Meaning::Flag(Metric::CROWD)),
    ("shelteralarm", Meaning::Flag(Metric::TAMPER)),
    ("tamperdetection", Meaning::Flag(Metric::TAMPER)),
    ("scenechangedetection", Meaning::Flag(Metric::TAMPER)),
    ("fireDetection", Meaning::Flag(Metric::FLAME)),
    ("smokeDetection", Meaning::Flag(Metric::SMOKE_SEEN)),
    ("fireEscapeDetection", Meaning::Flag(Metric::FIRE_LANE_BLOCKED)),
    ("diskfull", Meaning::Flag(Metric::FAULT)),
    ("diskerror", Meaning::Flag(Metric::FAULT)),
    ("heartBeat", Meaning::Alive),
    ("duration", Meaning::Alive),
    ("illaccess", Meaning::Alive),
    ("ipconflict", Meaning::Alive),
    ("nicbroken", Meaning::Alive),
    ("audioexception", Meaning::Alive),
    ("facedetection", Meaning::Alive),
    ("faceSnap", Meaning::Alive),
    ("faceCapture", Meaning::Alive),
    ("alarmResult", Meaning::Alive),
    ("ANPR", Meaning::Alive),
    ("vehicledetection", Meaning::Alive),
    ("humanRecognition", Meaning::Alive),
];

type Flags = &'static [(Metric, bool)];

/// What a door station's codes set and clear: major, minor, flags.
#[rustfmt::skip]
const DOOR_EVENTS: &[(u32, u32, Flags)] = &[
    (1, 0x404, &[(Metric::TAMPER, true)]),
    (1, 0x405, &[(Metric::TAMPER, false)]),
    (1, 0x406, &[(Metric::TAMPER, true)]),
    (1, 0x407, &[(Metric::TAMPER, false)]),
    (1, 0x40f, &[(Metric::TAMPER, true)]),
    (1, 0x410, &[(Metric::TAMPER, false)]),
    (1, 0x415, &[(Metric::FIRE_ALARM, true)]),
    (1, 0x416, &[(Metric::FAULT, true)]),
    (1, 0x417, &[(Metric::FIRE_ALARM, false), (Metric::FAULT, false)]),
    (1, 0x418, &[(Metric::MANUAL_ALARM, true)]),
    (1, 0x419, &[(Metric::MANUAL_ALARM, false)]),
    (1, 0x424, &[(Metric::FIRE_ALARM, true)]),
    (1, 0x425, &[(Metric::FIRE_ALARM, false)]),
    // 21 and 22, the lock opened and closed, and 24, the button, say nothing of the door itself.
    (5, 25, &[(Metric::DOOR_OPEN, true)]),
    (5, 26, &[(Metric::DOOR_OPEN, false), (Metric::DOOR_FORCED, false), (Metric::DOOR_HELD, false)]),
    (5, 27, &[(Metric::DOOR_OPEN, true), (Metric::DOOR_FORCED, true)]),
    (5, 28, &[(Metric::DOOR_OPEN, true), (Metric::DOOR_HELD, true)]),
];

/// What was read of one alert.
#[derive(Debug, Default)]
pub struct Alert(BTreeMap<&'static str, String>);

impl Alert {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.text(name)?.parse().ok()
    }

    fn is_door_event(&self) -> bool {
        self.text("majorEventType").is_some()
    }

    fn channel(&self) -> Option<u32> {
        let of_door = self.number("doorNo").filter(|_| self.is_door_event());
        of_door.or_else(|| self.number("channelID")).or_else(|| self.number("dynChannelID"))
    }

    /// With an offset; `+8:00` is one, too. Without one nobody knows when it was.
    fn at(&self) -> Option<Timestamp> {
        let text = self.text("dateTime")?;
        let padded = || {
            let sign = text.rfind(['+', '-']).filter(|at| text.len() == at + 5)?;
            Timestamp::parse_rfc3339(&format!("{}0{}", &text[..=sign], &text[sign + 1..]))
        };
        Timestamp::parse_rfc3339(text).or_else(padded)
    }

    /// For a dead letter.
    fn shown(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_default()
    }
}

/// One push: an alert, or several parts.
pub fn read(payload: &[u8], outcome: &mut Outcome<'_>) {
    outcome.show(Vec::new());
    let body = payload.trim_ascii_start();
    let mut wanted = None;
    if !body.starts_with(b"--") {
        return text(body, None, &mut wanted, outcome);
    }
    match Parts::of(body, PICTURE_BYTES_MAX) {
        Ok(parts) => parts.into_iter().for_each(|part| take(part, None, &mut wanted, outcome)),
        Err(broken) => outcome.reject(format!("the parts of the message cannot be told apart: {broken}")),
    }
}

/// One part of a push or of an alert stream; `own`: the name that station.toml gives the camera.
pub fn take(part: Part, own: Option<&str>, wanted: &mut Wanted, outcome: &mut Outcome<'_>) {
    let body = part.bytes.trim_ascii_start();
    if part.is_picture() {
        take_picture(part, wanted, outcome);
    } else if body.starts_with(b"<") || body.starts_with(b"{") || body.starts_with(b"\xef\xbb\xbf") {
        text(body, own, wanted, outcome);
    }
}

fn text(body: &[u8], own: Option<&str>, wanted: &mut Wanted, outcome: &mut Outcome<'_>) {
    *wanted = None;
    match parse(body) {
        Ok(alert) => {
            outcome.show(alert.shown());
            *wanted = tell_alert(&alert, own, outcome);
        }
        Err(why) => outcome.reject(format!(
            "the message is no {ROOT}: {why}; let the camera push its events as XML or JSON"
        )),
    }
}

fn parse(body: &[u8]) -> Result<Alert, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}');
    let mut alert = Alert::default();
    if text.starts_with('{') {
        // The parser's own words would quote what stands there.
        let json: Value = serde_json::from_str(text).map_err(|_| "it is broken JSON".to_owned())?;
        let json = json.get(ROOT).unwrap_or(&json);
        for part in [Some(json), json.get(DOOR_EVENT)].into_iter().flatten() {
            for &name in READ {
                match part.get(name) {
                    Some(Value::String(text)) => _ = alert.0.entry(name).or_insert_with(|| shortened(text)),
                    Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                        alert.0.entry(name).or_insert_with(|| value.to_string());
                    }
                    Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => (),
                }
            }
        }
    } else {
        let document = roxmltree::Document::parse(text).map_err(|_| "it is broken XML".to_owned())?;
        let root = document.root_element();
        if root.tag_name().name() != ROOT {
            return Err("it is another document".into());
        }
        let of_door = root.children().filter(|child| child.tag_name().name() == DOOR_EVENT);
        for part in [root].into_iter().chain(of_door) {
            for child in part.children().filter(roxmltree::Node::is_element) {
                let known = READ.iter().find(|name| **name == child.tag_name().name());
                if let (Some(name), Some(text)) = (known, child.text()) {
                    alert.0.entry(name).or_insert_with(|| shortened(text));
                }
            }
        }
    }
    if alert.text("eventType").is_some() { Ok(alert) } else { Err("it has no eventType".into()) }
}

fn tell_alert(alert: &Alert, own: Option<&str>, outcome: &mut Outcome<'_>) -> Wanted {
    let event = alert.text("eventType")?;
    let begins = alert.text("eventState").is_none_or(|state| !state.eq_ignore_ascii_case("inactive"));
    let heartbeat = event.eq_ignore_ascii_case("videoloss") && !begins;
    let (device, address) = find(alert, own, heartbeat, outcome)?;
    if alert.is_door_event() {
        return tell_door(alert, device, outcome);
    }
    let told = Told { event, meaning: meaning_in(EVENTS, event), begins, at: alert.at() };
    tell(&told, device, &address, outcome)
}

/// By its channel or door, else by itself when that is the only one. A recorder's sign of life is not its cameras'.
fn find(
    alert: &Alert,
    own: Option<&str>,
    heartbeat: bool,
    outcome: &mut Outcome<'_>,
) -> Option<(DeviceIx, String)> {
    let mac = alert.text("macAddress").map(str::to_lowercase);
    let names = own.into_iter().chain(mac.as_deref()).chain(alert.text("ipAddress"));
    let channel = alert.channel();
    let only = channel.is_none_or(|channel| channel <= 1);
    let mut addresses = Vec::new();
    for name in names {
        let whole = || format!("hikvision:{}", shortened(name));
        let part = channel.map(|channel| format!("{}/{channel}", whole()));
        if heartbeat {
            addresses.extend([Some(whole()), part].into_iter().flatten());
        } else {
            addresses.extend(part.into_iter().chain(only.then(whole)));
        }
    }
    let known = addresses.iter().find_map(|address| Some((outcome.find(address)?, address.clone())));
    if known.is_some() {
        return known;
    }
    // Named as it would be registered: a camera by itself, a recorder's by its channel.
    let bare = addresses.iter().find(|address| only && !address.contains('/'));
    let Some(address) = bare.or(addresses.first()) else {
        outcome.reject("the event names no camera; it must have a macAddress or an ipAddress".into());
        return None;
    };
    let device = outcome.device(address)?;
    let kind = if alert.is_door_event() { DeviceKind::AccessCamera } else { DeviceKind::Camera };
    outcome.introduce(device, Announced { kind: Some(kind), ..Announced::default() });
    Some((device, address.clone()))
}

fn tell_door(alert: &Alert, device: DeviceIx, outcome: &mut Outcome<'_>) -> Wanted {
    let minor = alert.number("subEventType").or_else(|| alert.number("minorEventType"));
    let codes = alert.number("majorEventType").zip(minor);
    let known =
        codes.and_then(|codes| DOOR_EVENTS.iter().find(|(major, minor, _)| (*major, *minor) == codes));
    let flags = known.map_or(&[][..], |(_, _, flags)| flags);
    let mut values = Values::new();
    flags.iter().for_each(|(flag, set)| values.set_flag(*flag, *set));
    for (name, metric) in [("serialNo", Metric::FRAME_COUNTER), ("frontSerialNo", Metric::FRAME_BEFORE)] {
        if let Some(number) = alert.number(name) {
            values.set(metric, f64::from(number));
        }
    }
    if alert.text("currentEvent") == Some("false") {
        outcome.report_past(device, alert.at(), values);
        return None;
    }
    outcome.report(device, alert.at(), Quality::Good, values);
    flags.iter().find_map(|(flag, set)| camera::wanted(*flag, *set, device, alert.at(), outcome))
}

#[cfg(test)]
mod tests;
