//! Dahua: lines of `eventManager.cgi?action=attach`, and the same events as JSON pushed to a door of ours; alone, or with pictures in a body of several parts.
//!
//! An event is `Code=…;action=Start|Stop|Pulse;index=…;data=…`. Of the data only the `Status` of a door is read: faces, plates and cards are not. A Dahua device does not name itself, so its address is the name
//! of its door or client in station.toml: `dahua:<name>`, for channel 2 of a recorder `dahua:<name>/2` (`index` counts from 0). Its times are not used: some count UTC in local time, and a fire must not become
//! old by that. Names by the maker's HTTP API as clients of others quote it.

use serde_json::Value;

use super::Announced;
use super::camera::{Meaning, PICTURE_BYTES_MAX, Told, Wanted, meaning_in, take_picture, tell};
use super::outcome::{Outcome, REPORTS_MAX};
use super::parts::{Part, Parts};
use super::scalar::{Scalar, shortened};
use crate::model::{DeviceIx, DeviceKind, Metric};

#[rustfmt::skip]
const EVENTS: &[(&str, Meaning)] = &[
    ("VideoLoss", Meaning::Lost),
    ("VideoMotion", Meaning::Flag(Metric::MOTION)),
    ("SmartMotionHuman", Meaning::Flag(Metric::MOTION)),
    ("SmartMotionVehicle", Meaning::Flag(Metric::MOTION)),
    ("CrossLineDetection", Meaning::Flag(Metric::DETECTION)),
    ("CrossRegionDetection", Meaning::Flag(Metric::DETECTION)),
    ("LeftDetection", Meaning::Flag(Metric::DETECTION)),
    ("TakenAwayDetection", Meaning::Flag(Metric::DETECTION)),
    ("ParkingDetection", Meaning::Flag(Metric::DETECTION)),
    ("WanderDetection", Meaning::Flag(Metric::DETECTION)),
    ("RioterDetection", Meaning::Flag(Metric::CROWD)),
    ("CrowdDetection", Meaning::Flag(Metric::CROWD)),
    ("FireDetection", Meaning::Flag(Metric::FLAME)),
    ("FireWarning", Meaning::Flag(Metric::FLAME)),
    ("SmokeDetection", Meaning::Flag(Metric::SMOKE_SEEN)),
    ("VideoBlind", Meaning::Flag(Metric::TAMPER)),
    ("VideoAbnormalDetection", Meaning::Flag(Metric::TAMPER)),
    ("ChassisIntruded", Meaning::Flag(Metric::TAMPER)),
    ("BreakIn", Meaning::Flag(Metric::DOOR_FORCED)),
    ("DoorNotClosed", Meaning::Flag(Metric::DOOR_HELD)),
    ("StorageFailure", Meaning::Flag(Metric::FAULT)),
    ("StorageNotExist", Meaning::Flag(Metric::FAULT)),
    ("DoorStatus", Meaning::Flag(Metric::DOOR_OPEN)),
    ("AccessControl", Meaning::Alive),
    ("BackKeyLight", Meaning::Alive),
    ("CallNoAnswered", Meaning::Alive),
    ("FaceDetection", Meaning::Alive),
    ("FaceRecognition", Meaning::Alive),
    ("TrafficJunction", Meaning::Alive),
    ("NewFile", Meaning::Alive),
    ("NTPAdjustTime", Meaning::Alive),
    ("TimeChange", Meaning::Alive),
    ("RtspSessionDisconnect", Meaning::Alive),
    ("IntelliFrame", Meaning::Alive),
    ("VideoMotionInfo", Meaning::Alive),
    ("LeFunctionStatusSync", Meaning::Alive),
    ("InterVideoAccess", Meaning::Alive),
];

/// All that is read of one event.
struct Said {
    code: String,
    action: String,
    index: u32,
    /// Of a door.
    status: Option<String>,
}

impl Said {
    /// `Code=VideoMotion;action=Start;index=0;data={…}`; whatever stands in the data, also `;` and `=`, comes last.
    fn from_line(line: &str) -> Option<Self> {
        let (head, data) = line.split_once(";data=").unwrap_or((line, ""));
        let field = |name: &str| {
            head.split(';').find_map(|field| {
                let (key, value) = field.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| shortened(value.trim()))
            })
        };
        let status = serde_json::from_str::<Value>(data).ok();
        Some(Self {
            code: field("Code")?,
            action: field("action").unwrap_or_default(),
            index: field("index").and_then(|index| index.parse().ok()).unwrap_or(0),
            status: status.as_ref().and_then(status_in),
        })
    }

    fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(shortened);
        let index = json.get("Index").or_else(|| json.get("index"));
        let index = index.and_then(|index| Scalar::of(index).number()).unwrap_or(0.0);
        Some(Self {
            code: text("Code")?,
            action: text("Action").or_else(|| text("action")).unwrap_or_default(),
            index: index.clamp(0.0, 65_535.0) as u32,
            status: json.get("Data").and_then(status_in),
        })
    }

    fn shown(&self) -> Vec<u8> {
        format!("Code={};action={};index={}", self.code, self.action, self.index).into_bytes()
    }
}

fn status_in(data: &Value) -> Option<String> {
    data.get("Status").and_then(Value::as_str).map(shortened)
}

/// One push to the door `own`.
pub fn read(payload: &[u8], own: &str, outcome: &mut Outcome<'_>) {
    outcome.show(Vec::new());
    let body = payload.trim_ascii_start();
    let mut wanted = None;
    if !body.starts_with(b"--") {
        return text(body, own, &mut wanted, outcome);
    }
    match Parts::of(body, PICTURE_BYTES_MAX) {
        Ok(parts) => parts.into_iter().for_each(|part| take(part, own, &mut wanted, outcome)),
        Err(broken) => outcome.reject(format!("the parts of the message cannot be told apart: {broken}")),
    }
}

/// One part of a push or of an attached stream.
pub fn take(part: Part, own: &str, wanted: &mut Wanted, outcome: &mut Outcome<'_>) {
    if part.is_picture() {
        take_picture(part, wanted, outcome);
    } else {
        text(&part.bytes, own, wanted, outcome);
    }
}

fn text(body: &[u8], own: &str, wanted: &mut Wanted, outcome: &mut Outcome<'_>) {
    *wanted = None;
    let text = String::from_utf8_lossy(body); // Of the data nothing is read that must be UTF-8.
    let text = text.trim();
    if text.eq_ignore_ascii_case("Heartbeat") {
        if let Some(device) =
            outcome.find(&format!("dahua:{own}")).or_else(|| outcome.find(&format!("dahua:{own}/1")))
        {
            outcome.alive(device);
        }
        return;
    }
    let said = if text.starts_with(['{', '[']) {
        let json: Value = serde_json::from_str(text).unwrap_or_default();
        let several = json.as_array().or_else(|| json.get("Events")?.as_array());
        match several {
            Some(several) => several.iter().take(REPORTS_MAX).filter_map(Said::from_json).collect(),
            None => Vec::from_iter(Said::from_json(&json)),
        }
    } else {
        // An event is one line, but its data may go on over the next ones.
        let starts =
            text.match_indices("Code=").filter(|(at, _)| *at == 0 || text.as_bytes()[at - 1] == b'\n');
        let starts: Vec<usize> = starts.map(|(at, _)| at).take(REPORTS_MAX).collect();
        let ends = starts.iter().skip(1).copied().chain([text.len()]);
        starts.iter().zip(ends).filter_map(|(from, to)| Said::from_line(text[*from..to].trim())).collect()
    };
    if said.is_empty() {
        return outcome.reject(
            "the message holds no event; it must be `Code=…;action=…;index=…` or JSON with `Code`".into(),
        );
    }
    for said in said {
        outcome.show(said.shown());
        *wanted = tell_event(&said, own, outcome);
    }
}

fn tell_event(said: &Said, own: &str, outcome: &mut Outcome<'_>) -> Wanted {
    let (device, address) = find(said, own, outcome)?;
    let is_door = said.code.eq_ignore_ascii_case("DoorStatus");
    let begins = match (&said.status, is_door) {
        (Some(status), true) => status.eq_ignore_ascii_case("Open"),
        (None, true) => return None,
        (Some(_) | None, false) => !said.action.eq_ignore_ascii_case("Stop"),
    };
    let told = Told { event: &said.code, meaning: meaning_in(EVENTS, &said.code), begins, at: None };
    tell(&told, device, &address, outcome)
}

fn find(said: &Said, own: &str, outcome: &mut Outcome<'_>) -> Option<(DeviceIx, String)> {
    let channel = said.index + 1;
    let part = format!("dahua:{own}/{channel}");
    if let Some(device) = outcome.find(&part) {
        return Some((device, part));
    }
    let address = if channel == 1 { format!("dahua:{own}") } else { part };
    let device = outcome.device(&address)?;
    outcome.introduce(device, Announced { kind: Some(DeviceKind::Camera), ..Announced::default() });
    Some((device, address))
}

#[cfg(test)]
mod tests;
