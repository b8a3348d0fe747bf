//! Frigate: objects that cameras see, below one base topic (usually `frigate`).
//!
//! A camera's address is `frigate:` and its name. `events` gives DETECTION with SCORE when an object appears and again when it is gone; the many
//! updates between say nothing new. `reviews` gives the same per scene: DETECTION for severity `alert`, MOTION for the rest. How many there are stands
//! in the counters `<camera>/person`, `<camera>/car` and `<camera>/all`. Cameras send nothing while nothing moves, so their signs of life are
//! `stats` (frames arrive) and `<camera>/status/detect`; `available` offline takes every camera with it. Pictures, switches and zones are ignored quietly.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::outcome::{Outcome, REPORTS_MAX};
use super::scalar::{Scalar, shortened};
use super::values::Values;
use super::{Context, Decoded, Message, Status, status_word};
use crate::model::{DeviceIx, Metric, Quality};

/// Objects that are more than a detection: what a model of the station's own may be trained for.
const LABELS: &[(&str, Metric)] = &[
    ("ebike", Metric::EBIKE_IN_LIFT),
    ("electric_bike", Metric::EBIKE_IN_LIFT),
    ("fire", Metric::FLAME),
    ("flame", Metric::FLAME),
    ("smoke", Metric::SMOKE_SEEN),
];

/// Counters per camera.
const COUNTERS: &[(&str, Metric)] =
    &[("all", Metric::OBJECTS), ("car", Metric::VEHICLES), ("person", Metric::PERSONS)];

pub fn decode(message: &Message<'_>, context: &Context) -> Decoded {
    let mut outcome = Outcome::new(message, context);
    read(message, &mut outcome);
    outcome.finish()
}

fn read(message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let levels: Vec<&str> = message.topic.split('/').collect();
    match levels.as_slice() {
        [.., camera, "status", "detect"] => camera_status(camera, message.payload, outcome),
        [.., camera, counter] if find(COUNTERS, counter).is_some() => {
            count(camera, counter, message.payload, outcome)
        }
        [_, .., "events"] => event(message.payload, outcome),
        [_, .., "reviews"] => review(message.payload, outcome),
        [_, .., "stats"] => stats(message.payload, outcome),
        [_, .., "available"] => available(message.payload, outcome),
        _ => (),
    }
}

fn find(table: &[(&str, Metric)], name: &str) -> Option<Metric> {
    table.iter().find(|(known, _)| *known == name).map(|(_, metric)| *metric)
}

/// A camera by name; quiet when it is not registered and may be a zone.
fn known(camera: &str, outcome: &Outcome<'_>) -> Option<DeviceIx> {
    outcome.find(&format!("frigate:{camera}"))
}

#[derive(Deserialize)]
struct Change<'a, T> {
    #[serde(rename = "type", borrow)]
    kind: Scalar<'a>,
    after: T,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    camera: Scalar<'a>,
    #[serde(borrow)]
    label: Option<Scalar<'a>>,
    #[serde(borrow)]
    top_score: Option<Scalar<'a>>,
    #[serde(borrow)]
    false_positive: Option<Scalar<'a>>,
    #[serde(borrow)]
    frame_time: Option<Scalar<'a>>,
    #[serde(borrow)]
    start_time: Option<Scalar<'a>>,
    #[serde(borrow)]
    end_time: Option<Scalar<'a>>,
}

/// Whether something began or ended; `None` for an update.
fn begins(kind: &Scalar<'_>) -> Option<bool> {
    match kind.text() {
        Some("new") => Some(true),
        Some("end") => Some(false),
        Some(_) | None => None,
    }
}

fn event(payload: &[u8], outcome: &mut Outcome<'_>) {
    let change: Change<'_, Object<'_>> = match serde_json::from_slice(payload) {
        Ok(change) => change,
        Err(error) => return outcome.unreadable(&error),
    };
    let object = change.after;
    let Some(begins) = begins(&change.kind) else { return };
    if object.false_positive.as_ref().and_then(Scalar::flag) == Some(true) {
        return;
    }
    let Some(device) = camera(&object.camera, outcome) else { return };
    let mut values = Values::new();
    values.set_flag(Metric::DETECTION, begins);
    let label = object.label.as_ref().and_then(Scalar::text);
    if let Some(metric) = label.and_then(|label| find(LABELS, label)) {
        values.set_flag(metric, begins);
    }
    if let Some(score) = object.top_score.as_ref().and_then(Scalar::number) {
        values.set(Metric::SCORE, score);
    }
    let [first, second] = if begins {
        [&object.frame_time, &object.start_time]
    } else {
        [&object.end_time, &object.frame_time]
    };
    let time = |scalar: &Option<Scalar<'_>>| scalar.as_ref().and_then(Scalar::time);
    outcome.report(device, time(first).or_else(|| time(second)), Quality::Good, values);
}

#[derive(Deserialize)]
struct Scene<'a> {
    #[serde(borrow)]
    camera: Scalar<'a>,
    #[serde(borrow)]
    severity: Option<Scalar<'a>>,
    #[serde(borrow)]
    start_time: Option<Scalar<'a>>,
    #[serde(borrow)]
    end_time: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
struct Before<'a> {
    #[serde(borrow)]
    severity: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
struct SceneChange<'a> {
    #[serde(rename = "type", borrow)]
    kind: Scalar<'a>,
    #[serde(borrow)]
    before: Option<Before<'a>>,
    #[serde(borrow)]
    after: Scene<'a>,
}

fn review(payload: &[u8], outcome: &mut Outcome<'_>) {
    let change: SceneChange<'_> = match serde_json::from_slice(payload) {
        Ok(change) => change,
        Err(error) => return outcome.unreadable(&error),
    };
    let scene = change.after;
    let alert = |severity: &Option<Scalar<'_>>| severity.as_ref().and_then(Scalar::text) == Some("alert");
    let was_alert = change.before.as_ref().is_some_and(|before| alert(&before.severity));
    let is_alert = alert(&scene.severity);
    let (begins, said) = match begins(&change.kind) {
        Some(true) => (true, &scene.start_time),
        Some(false) => (false, &scene.end_time),
        // A scene that began as a detection and became an alert.
        None if is_alert && !was_alert && change.kind.text() == Some("update") => (true, &None),
        None => return,
    };
    let Some(device) = camera(&scene.camera, outcome) else { return };
    let mut values = Values::new();
    values.set_flag(if is_alert { Metric::DETECTION } else { Metric::MOTION }, begins);
    if is_alert && !begins {
        values.set_flag(Metric::MOTION, false);
    }
    outcome.report(device, said.as_ref().and_then(Scalar::time), Quality::Good, values);
}

/// The camera an event speaks of; a reject when it is not registered.
fn camera(name: &Scalar<'_>, outcome: &mut Outcome<'_>) -> Option<DeviceIx> {
    match name.text() {
        Some(name) => outcome.device(&format!("frigate:{name}")),
        None => {
            outcome.reject(format!("`after.camera` is {name}; it must be the camera's name"));
            None
        }
    }
}

#[derive(Deserialize)]
struct Stats<'a> {
    #[serde(borrow, default)]
    cameras: BTreeMap<String, CameraStats<'a>>,
}

#[derive(Deserialize)]
struct CameraStats<'a> {
    #[serde(borrow)]
    camera_fps: Option<Scalar<'a>>,
}

/// Frames arrive, so the camera lives. No frames are no proof of the contrary: its silence will tell.
fn stats(payload: &[u8], outcome: &mut Outcome<'_>) {
    let stats: Stats<'_> = match serde_json::from_slice(payload) {
        Ok(stats) => stats,
        Err(error) => return outcome.unreadable(&error),
    };
    for (camera, stats) in stats.cameras.iter().take(REPORTS_MAX) {
        let frames = stats.camera_fps.as_ref().and_then(Scalar::number).unwrap_or(0.0);
        if 0.0 < frames
            && let Some(device) = known(camera, outcome)
        {
            outcome.alive(device);
        }
    }
}

/// `online` speaks for Frigate, not for its cameras.
fn available(payload: &[u8], outcome: &mut Outcome<'_>) {
    match status_word(payload) {
        Some(Status::Online) => (),
        Some(Status::Offline) => {
            let devices = outcome.registry().devices().iter();
            let cameras = devices.filter(|device| !device.retired && device.address.starts_with("frigate:"));
            let cameras: Vec<_> = cameras.take(REPORTS_MAX).map(|device| device.ix).collect();
            cameras.into_iter().for_each(|camera| outcome.gone(camera));
        }
        None => outcome.reject("`available` must be `online` or `offline`".into()),
    }
}

fn camera_status(camera: &str, payload: &[u8], outcome: &mut Outcome<'_>) {
    let Some(device) = known(camera, outcome) else { return };
    match status_word(payload) {
        Some(Status::Online) => outcome.alive(device),
        Some(Status::Offline) => outcome.gone(device),
        None => (), // `disabled`, by a person, in Frigate.
    }
}

fn count(camera: &str, counter: &str, payload: &[u8], outcome: &mut Outcome<'_>) {
    let (Some(device), Some(metric)) = (known(camera, outcome), find(COUNTERS, counter)) else { return };
    let count = std::str::from_utf8(payload).ok().and_then(|text| text.trim().parse::<u32>().ok());
    match count {
        Some(count) => {
            let mut values = Values::new();
            values.set(metric, f64::from(count));
            outcome.report(device, None, Quality::Good, values);
        }
        None => outcome.reject(format!(
            "the counter `{}` of camera `{}` is not a whole number",
            shortened(counter),
            shortened(camera)
        )),
    }
}
