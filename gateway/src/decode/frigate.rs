//! Frigate: objects that cameras see, below one base topic (usually `frigate`).
//!
//! A camera's address is `frigate:` and its name. `events` gives DETECTION with SCORE when an object appears and again when it is gone; the many
//! updates between say nothing new. `reviews` gives the same per scene: DETECTION for severity `alert`, MOTION for the rest. How many there are stands
//! in the counters `<camera>/person`, `<camera>/car` and `<camera>/all`. Cameras send nothing while nothing moves, so their signs of life are
//! `stats` (frames arrive) and `<camera>/status/detect`; `available` offline takes every camera with it. `<camera>/<label>/snapshot` is the picture of an object: kept when its label is an event of
//! safety, never of people and cars as such. What a label means stands in [`LABELS`], and before that in the station's `[[camera_event]]`s. Switches and zones are ignored quietly.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::camera::{self, Still};
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
        [.., camera, label, "snapshot"] => snapshot(camera, label, message, outcome),
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

/// What an object of this label is to the station.
fn meaning(label: &str, device: DeviceIx, outcome: &Outcome<'_>) -> Option<Metric> {
    camera::named(label, device, outcome).or_else(|| find(LABELS, label))
}

/// Frigate publishes the picture after the event, and better ones while the object stays. A retained one is of unknown age.
fn snapshot(camera: &str, label: &str, message: &Message<'_>, outcome: &mut Outcome<'_>) {
    let Some(device) = known(camera, outcome).filter(|_| !message.retained) else { return };
    let Some(flag) = meaning(label, device, outcome) else { return };
    if let Some((device, event, at)) = camera::wanted(flag, true, device, None, outcome) {
        outcome.keep_still(Still { device, event, at, bytes: message.payload.to_vec() });
    }
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
    let Some(device) = of_event(&object.camera, outcome) else { return };
    let mut values = Values::new();
    values.set_flag(Metric::DETECTION, begins);
    let label = object.label.as_ref().and_then(Scalar::text);
    if let Some(metric) = label.and_then(|label| meaning(label, device, outcome)) {
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
    let Some(device) = of_event(&scene.camera, outcome) else { return };
    let mut values = Values::new();
    values.set_flag(if is_alert { Metric::DETECTION } else { Metric::MOTION }, begins);
    if is_alert && !begins {
        values.set_flag(Metric::MOTION, false);
    }
    outcome.report(device, said.as_ref().and_then(Scalar::time), Quality::Good, values);
}

/// The camera an event speaks of; a reject when it is not registered.
fn of_event(name: &Scalar<'_>, outcome: &mut Outcome<'_>) -> Option<DeviceIx> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decode::camera::{Meanings, Named};
    use crate::decode::profile::Profiles;
    use crate::decode::samples::context_with;
    use crate::decode::{Family, decode};
    use crate::units::Timestamp;

    fn context() -> Context {
        let named = Named {
            event: "car".into(),
            devices: vec!["frigate:gate".into()],
            flag: Metric::FIRE_LANE_BLOCKED,
        };
        let profiles = Profiles::build([]).unwrap().with_meanings(Meanings(vec![named]));
        context_with(&["frigate:gate", "frigate:lift"], Arc::new(profiles))
    }

    fn heard(topic: &str, payload: &str, retained: bool) -> Decoded {
        let message = Message {
            topic,
            payload: payload.as_bytes(),
            retained,
            dup: false,
            received: Timestamp(1_795_402_800_000),
        };
        let decoded = decode(Family::Frigate, &message, &context());
        assert_eq!(decoded.rejects, []);
        decoded
    }

    #[test]
    fn only_pictures_of_events_of_safety_are_kept() {
        for (topic, kept) in [
            ("frigate/lift/ebike/snapshot", Some(Metric::EBIKE_IN_LIFT)),
            ("site/frigate/gate/smoke/snapshot", Some(Metric::SMOKE_SEEN)),
            ("frigate/gate/car/snapshot", Some(Metric::FIRE_LANE_BLOCKED)),
            ("frigate/lift/car/snapshot", None),
            ("frigate/gate/person/snapshot", None),
            ("frigate/courtyard/fire/snapshot", None),
        ] {
            let decoded = heard(topic, "a picture", false);
            assert_eq!(decoded.stills.first().map(|still| still.event), kept, "{topic}");
            assert_eq!(decoded.events, []);
            assert_eq!(heard(topic, "a picture", true).stills, [], "of unknown age");
        }
    }

    #[test]
    fn the_station_says_what_a_label_means() {
        let event = |camera: &str| {
            format!(r#"{{"type":"new","before":{{}},"after":{{"camera":"{camera}","label":"car"}}}}"#)
        };
        let flags = |camera: &str| match &heard("frigate/events", &event(camera), false).events[..] {
            [crate::model::Event::Report(report)] => report.values.iter().map(|value| value.metric).collect(),
            _ => Vec::new(),
        };
        assert_eq!(flags("gate"), [Metric::DETECTION, Metric::FIRE_LANE_BLOCKED]);
        assert_eq!(flags("lift"), [Metric::DETECTION]);
    }
}
