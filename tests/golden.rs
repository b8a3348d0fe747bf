//! Wire samples that decoders must understand, and the promise that the simulator speaks what the gateway understands.
//!
//! `golden/<family>.toml` holds messages as they come off the wire with what they become. A decoder that changes its mind changes a line there, where a
//! reader of the diff sees it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use firmware_sim::device::{Frame, Moment};
use firmware_sim::town::{Deed, Town};
use firmware_sim::{neighbourhood, scenario};
use gateway::decode::samples::context_of;
use gateway::decode::{Context, Family, Message, Topics, decode, gbt26875};
use gateway::model::{DeviceIx, DeviceKind, Event, Freshness, Metric, Quality};
use gateway::units::Timestamp;
use gateway::wire::gbt26875::{Piece, Stream};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    family: Family,
    received: String,
    devices: Vec<String>,
    sample: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    topic: String,
    payload: String,
    #[serde(default)]
    retained: bool,
    #[serde(default)]
    dup: bool,
    #[serde(default)]
    expect: Vec<String>,
    /// Words of each reject, in order.
    #[serde(default)]
    rejects: Vec<String>,
}

fn registry<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Context {
    registry_of(addresses.into_iter().map(|address| (address, DeviceKind::Other)))
}

fn registry_of<'a>(devices: impl IntoIterator<Item = (&'a str, DeviceKind)>) -> Context {
    context_of(devices, gateway::profiles::shipped())
}

/// An event as the golden files write it.
fn written(event: &Event, context: &Context) -> String {
    let address = |device: DeviceIx| context.registry.device(device).unwrap().address.clone();
    match event {
        Event::Gone { device, .. } => format!("{} gone", address(*device)),
        Event::Action(action) => panic!("no decoder acts: {action:?}"),
        Event::Report(report) => {
            let freshness = match report.freshness {
                Freshness::Live => "live",
                Freshness::Retained => "retained",
                Freshness::Replayed => "replayed",
                Freshness::Backfill => "backfill",
            };
            let mut text = format!("{} {freshness}", address(report.device));
            for value in &report.values {
                let mark = match value.quality {
                    Quality::Good => "",
                    Quality::Uncertain => "?",
                    Quality::Bad => "!",
                };
                write!(text, " {}={}{mark}", value.metric.name(), value.value).unwrap();
            }
            if let Some(at) = report.device_time {
                write!(text, " @{at}").unwrap();
            }
            text
        }
    }
}

fn check_family(file: &str, samples_min: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file);
    let golden: Golden = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let context = registry(golden.devices.iter().map(String::as_str));
    let received = Timestamp::parse_rfc3339(&golden.received).unwrap();
    assert!(samples_min <= golden.sample.len(), "{file} has lost samples");
    let mut wrong = String::new();
    for sample in &golden.sample {
        let message = Message {
            topic: &sample.topic,
            payload: sample.payload.as_bytes(),
            retained: sample.retained,
            dup: sample.dup,
            received,
        };
        let decoded = decode(golden.family, &message, &context);
        let events: Vec<_> = decoded.events.iter().map(|event| written(event, &context)).collect();
        let rejects: Vec<_> = decoded.rejects.iter().map(|reject| reject.0.clone()).collect();
        let rejects_fit = rejects.len() == sample.rejects.len()
            && rejects.iter().zip(&sample.rejects).all(|(given, words)| given.contains(words));
        if events != sample.expect || !rejects_fit {
            writeln!(
                wrong,
                "{file}: {}\n  events  {events:?}\n  wanted  {:?}\n  rejects {rejects:?}\n  wanted  {:?}",
                sample.name, sample.expect, sample.rejects
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn native_samples_become_what_they_say() {
    check_family("native.toml", 20);
}

#[test]
fn zigbee2mqtt_samples_become_what_they_say() {
    check_family("zigbee2mqtt.toml", 15);
}

#[test]
fn chirpstack_samples_become_what_they_say() {
    check_family("chirpstack.toml", 13);
}

#[test]
fn ttn_samples_become_what_they_say() {
    check_family("ttn.toml", 6);
}

#[test]
fn frigate_samples_become_what_they_say() {
    check_family("frigate.toml", 15);
}

#[test]
fn meokon_samples_become_what_they_say() {
    check_family("meokon.toml", 8);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenFrames {
    received: String,
    /// That sends them.
    device: String,
    devices: Vec<(String, DeviceKind)>,
    sample: Vec<GoldenFrame>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenFrame {
    name: String,
    /// In hexadecimal.
    frame: String,
    expect: Vec<String>,
    #[serde(default)]
    rejects: Vec<String>,
    #[serde(default)]
    denied: bool,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn frames_of_transmission_devices_become_what_they_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/gbt26875.toml");
    let golden: GoldenFrames = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let context = registry_of(golden.devices.iter().map(|(address, kind)| (address.as_str(), *kind)));
    let device = context.registry.device_by_address(&golden.device).unwrap();
    let received = Timestamp::parse_rfc3339(&golden.received).unwrap();
    assert!(20 <= golden.sample.len(), "samples were lost");
    for sample in &golden.sample {
        let bytes = bytes(&sample.frame);
        let mut stream = Stream::default();
        stream.push(&bytes);
        let Some(Piece::Frame(frame, _)) = stream.piece() else { panic!("{} is no frame", sample.name) };
        let message =
            Message { topic: &golden.device, payload: &bytes, retained: false, dup: false, received };
        let told = gbt26875::decode(&frame, Some(device), &gbt26875::Dialect::default(), &message, &context);
        let events: Vec<_> = told.decoded.events.iter().map(|event| written(event, &context)).collect();
        assert_eq!(events, sample.expect, "{}", sample.name);
        let rejects = &told.decoded.rejects;
        assert_eq!(rejects.len(), sample.rejects.len(), "{}: {rejects:?}", sample.name);
        for (reject, words) in rejects.iter().zip(&sample.rejects) {
            assert!(reject.0.contains(words), "{}: {reject:?}", sample.name);
        }
        assert_eq!(told.fault.is_some(), sample.denied, "{}: {:?}", sample.name, told.fault);
    }
}

/// A street in every dialect the simulator speaks.
fn street() -> String {
    let mut csv = String::from("id,kind,name,address,cell,place,lon,lat,silent_after_s\n");
    for n in 1..=12 {
        let address =
            if n % 3 == 0 { format!("z2m:zigbee2mqtt/block {n}/hall") } else { format!("native:SD-{n}") };
        let kind = ["smoke_detector", "smoke_detector", "heat_detector", "gas_detector"][n % 4];
        let kind = if n < 9 { "smoke_detector" } else { kind };
        writeln!(csv, "SD-{n},{kind},,{address},A,{n}栋,118.9{n},32.1,").unwrap();
    }
    csv + "HY-1,hydrant,,modbus:east/1,A,东门,118.9,32.1,\nHY-2,hydrant,,modbus:east/2,A,西门,118.9,32.1,\n\
           CAM-1,access_camera,,frigate:gate,A,东门,118.9,32.1,\nCAM-2,access_camera,,native:CAM-2,A,西门,118.9,32.1,\n"
}

#[test]
fn the_gateway_understands_every_frame_of_the_simulator() {
    const START: i64 = 1_795_402_800_000;
    let topics = Topics(vec![
        ("gridwarden/up/#".into(), Family::Native),
        ("zigbee2mqtt/#".into(), Family::Zigbee2mqtt),
        ("frigate/#".into(), Family::Frigate),
    ]);
    let rows = neighbourhood::read(street().as_bytes()).unwrap();
    let context = registry(rows.iter().map(|row| row.address.as_str()));
    for plot in scenario::built_in().unwrap() {
        let mut heard: BTreeSet<String> = BTreeSet::new();
        let mut urgent = 0;
        let (mut town, _) = Town::new(&rows, std::slice::from_ref(&plot), 5, 100, Moment::at(START)).unwrap();
        let mut check = |frame: &Frame, at: i64| {
            let family =
                topics.family(&frame.topic).unwrap_or_else(|| panic!("nobody decodes {}", frame.topic));
            let message = Message {
                topic: &frame.topic,
                payload: frame.payload.as_bytes(),
                retained: false,
                dup: false,
                received: Timestamp(at + 40),
            };
            let decoded = decode(family, &message, &context);
            assert_eq!(decoded.rejects, [], "{} {}", frame.topic, frame.payload);
            for event in &decoded.events {
                urgent += u32::from(event.is_urgent());
                if let Event::Report(report) = event {
                    heard.insert(context.registry.device(report.device).unwrap().id.clone());
                    assert!(report.values.iter().all(|value| value.quality != Quality::Bad), "{report:?}");
                    let skewed = plot.name == "clock-skew";
                    assert!(skewed || report.freshness == Freshness::Live, "{report:?}");
                    let test =
                        report.values.iter().any(|value| value.metric == Metric::TEST && value.value == 1.0);
                    assert!(!(test && event.is_urgent()), "a test is no fire: {report:?}");
                }
            }
        };
        for frame in town.lines().iter().flat_map(|line| line.will.iter().chain(&line.birth)) {
            check(frame, START);
        }
        let mut at = START;
        while at < START + 1_200_000 {
            for deed in town.step(Moment::at(at)) {
                if let Deed::Send { frame, .. } = deed {
                    check(&frame, at);
                }
            }
            at = town.wake_at();
        }
        // Hydrants are heard over Modbus.
        assert_eq!(heard.len(), rows.len() - 2, "{}: {heard:?}", plot.name);
        let fires = ["kitchen-fire", "clock-skew", "network-blip"].contains(&plot.name.as_str());
        assert_eq!(0 < urgent, fires, "{}: {urgent} urgent frames", plot.name);
    }
}

#[test]
fn the_documented_json_is_what_the_decoder_takes() {
    let root = tests::neighbours::root();
    let doc = std::fs::read_to_string(root.join("docs/native-json.md")).unwrap();
    for metric in Metric::all() {
        let unit =
            if metric.spec().unit.is_empty() { String::new() } else { format!("`{}`", metric.spec().unit) };
        let line = if metric.spec().flag {
            format!("| `{}` | {} |", metric.name(), if metric.spec().fire { "**fire**" } else { "" })
        } else {
            format!("| `{}` | {unit} |", metric.name())
        };
        assert!(doc.contains(&line), "docs/native-json.md has no line `{line}`");
    }
    let context = registry(["native:SD-1", "native:HY-2"]);
    let mut examples = 0;
    for block in doc.split("```json\n").skip(1) {
        let json = block.split("```").next().unwrap();
        let topic = if json.starts_with('[') { "gridwarden/up" } else { "gridwarden/up/SD-1" };
        let received = Timestamp(1_795_402_801_000);
        let message = Message { topic, payload: json.as_bytes(), retained: false, dup: false, received };
        let decoded = decode(Family::Native, &message, &context);
        assert!(!decoded.events.is_empty() && decoded.rejects.is_empty(), "{json}: {decoded:?}");
        examples += 1;
    }
    assert_eq!(examples, 3);
}
