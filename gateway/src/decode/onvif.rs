//! ONVIF: the notifications that a camera or a door answers to PullMessages, by the Core Specification (clause 9) and the names of events in the services' specifications.
//!
//! Of a notification the topic, the state and the token of its source are read; who passed a door is not. Which field before the camera is the fire lane, only the station knows (`[[camera_event]]`, by the topic
//! without its name spaces). The camera's clock is not believed: what is pulled has just happened.

use roxmltree::{Document, Node};

use super::camera::{self, Meaning, Told, Wanted, meaning_in, tell};
use super::outcome::Outcome;
use crate::model::Metric;

/// As many are asked for, and read.
pub const NOTIFICATIONS_MAX: usize = 100;

#[rustfmt::skip]
const TOPICS: &[(&str, Meaning)] = &[
    ("VideoSource/MotionAlarm", Meaning::Flag(Metric::MOTION)),
    ("RuleEngine/CellMotionDetector/Motion", Meaning::Flag(Metric::MOTION)),
    ("RuleEngine/MotionRegionDetector/Motion", Meaning::Flag(Metric::MOTION)),
    ("RuleEngine/FieldDetector/ObjectsInside", Meaning::Flag(Metric::DETECTION)),
    ("RuleEngine/LineDetector/Crossed", Meaning::Flag(Metric::DETECTION)),
    ("RuleEngine/LoiteringDetector/ObjectIsLoitering", Meaning::Flag(Metric::DETECTION)),
    ("RuleEngine/TamperDetector/Tamper", Meaning::Flag(Metric::TAMPER)),
    ("VideoSource/GlobalSceneChange/ImagingService", Meaning::Flag(Metric::TAMPER)),
    ("VideoSource/GlobalSceneChange/AnalyticsService", Meaning::Flag(Metric::TAMPER)),
    ("VideoSource/GlobalSceneChange/RecordingService", Meaning::Flag(Metric::TAMPER)),
    ("Device/HardwareFailure/FanFailure", Meaning::Flag(Metric::FAULT)),
    ("Device/HardwareFailure/PowerSupplyFailure", Meaning::Flag(Metric::FAULT)),
    ("Device/HardwareFailure/StorageFailure", Meaning::Flag(Metric::FAULT)),
    ("Device/HardwareFailure/TemperatureCritical", Meaning::Flag(Metric::FAULT)),
    ("Device/Trigger/Relay", Meaning::Alive),
];

/// The states of a door are words: topic, word, flag, whether it is set.
#[rustfmt::skip]
const DOORS: &[(&str, &str, Metric, bool)] = &[
    ("Door/State/DoorAlarm", "DoorForcedOpen", Metric::DOOR_FORCED, true),
    ("Door/State/DoorAlarm", "DoorOpenTooLong", Metric::DOOR_HELD, true),
    ("Door/State/DoorAlarm", "Normal", Metric::DOOR_FORCED, false),
    ("Door/State/DoorAlarm", "Normal", Metric::DOOR_HELD, false),
    ("Door/State/DoorPhysicalState", "Open", Metric::DOOR_OPEN, true),
    ("Door/State/DoorPhysicalState", "Closed", Metric::DOOR_OPEN, false),
    ("Door/State/DoorTamper", "TamperDetected", Metric::TAMPER, true),
    ("Door/State/DoorTamper", "NotInTamper", Metric::TAMPER, false),
    ("Door/State/DoorFault", "FaultDetected", Metric::FAULT, true),
    ("Door/State/DoorFault", "NotInFault", Metric::FAULT, false),
];

/// Of these nothing is wanted, whatever they say: who passes a door, what is recorded, how busy the processor is.
const PASSED_OVER: &[&str] =
    &["AccessControl/", "Door/", "Monitoring/", "Recording", "Media/", "Configuration/", "VideoSource/Image"];

/// One notification, as far as it is read.
struct Notice<'a> {
    topic: String,
    /// The token of its channel or door.
    source: &'a str,
    /// It tells how something stands, to one who has just come.
    is_first: bool,
    deleted: bool,
    data: Vec<&'a str>,
}

/// One answer to PullMessages; `own`: the name that station.toml gives the camera. The error says why it is none.
pub fn take(body: &str, own: &str, outcome: &mut Outcome<'_>) -> Result<Wanted, String> {
    let document = Document::parse(body).map_err(|error| format!("it is no XML: {error}"))?;
    named(document.root(), "PullMessagesResponse").next().ok_or("it is no PullMessagesResponse")?;
    let camera = format!("onvif:{own}");
    if let Some(device) = outcome.device(&camera) {
        outcome.alive(device);
    }
    let mut wanted = None;
    for notification in named(document.root(), "NotificationMessage").take(NOTIFICATIONS_MAX) {
        if let Some(notice) = Notice::read(notification) {
            wanted = notice.tell(&camera, outcome).or(wanted);
        }
    }
    Ok(wanted)
}

fn named<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.descendants().filter(move |node| node.tag_name().name() == name)
}

impl<'a> Notice<'a> {
    fn read(notification: Node<'a, 'a>) -> Option<Self> {
        let topic = named(notification, "Topic").next()?.text()?.trim();
        // `tns1:RuleEngine/tnsaxis:Detector`: the prefixes are the sender's own.
        let levels: Vec<&str> =
            topic.split('/').map(|level| level.rsplit(':').next().unwrap_or(level)).collect();
        // wsnt:Message holds tt:Message.
        let message = named(notification, "Message").last()?;
        let values = |part: &'static str| {
            let items = named(message, part).flat_map(|part| named(part, "SimpleItem"));
            items.filter_map(|item| item.attribute("Value")).map(str::trim).collect::<Vec<_>>()
        };
        let operation = message.attribute("PropertyOperation");
        Some(Self {
            topic: levels.join("/"),
            source: values("Source").first().copied().unwrap_or_default(),
            is_first: operation == Some("Initialized"),
            deleted: operation == Some("Deleted"),
            data: values("Data"),
        })
    }

    fn tell(&self, own: &str, outcome: &mut Outcome<'_>) -> Wanted {
        // Of a channel or door that is registered by itself, else of the camera.
        let channel = format!("{own}/{}", self.source);
        let address = if outcome.find(&channel).is_some() { channel.as_str() } else { own };
        let device = outcome.device(address)?;
        let say = |meaning: Option<Meaning>, begins: bool, outcome: &mut Outcome<'_>| {
            let told = Told { event: &self.topic, meaning, begins: begins && !self.deleted, at: None };
            tell(&told, device, address, outcome)
        };
        let states =
            DOORS.iter().filter(|(topic, word, ..)| *topic == self.topic && self.data.contains(word));
        let mut wanted = None;
        for (_, _, flag, set) in states {
            wanted = say(Some(Meaning::Flag(*flag)), *set, outcome).or(wanted);
        }
        let meaning = meaning_in(TOPICS, &self.topic);
        // What has no meaning is complained of when it happens, not each time the camera says how everything stands.
        let unknown = meaning.is_none() && camera::named(&self.topic, device, outcome).is_none();
        if unknown && (self.is_first || PASSED_OVER.iter().any(|start| self.topic.starts_with(start))) {
            return wanted;
        }
        // Without a state it is something that happened, such as a crossed line.
        let state = self.data.iter().find_map(|value| flag(value)).unwrap_or(true);
        say(meaning, state, outcome).or(wanted)
    }
}

/// An xs:boolean.
fn flag(value: &str) -> Option<bool> {
    match value {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decode::camera::{Meanings, Named};
    use crate::decode::profile::Profiles;
    use crate::decode::samples::context_with;
    use crate::decode::{Decoded, Message};
    use crate::model::Event;
    use crate::units::Timestamp;

    /// In the form of the Core Specification's example of a PullMessagesResponse, 9.
    fn answer(notifications: &[(&str, &str, &str, &str)]) -> String {
        let one = |(topic, operation, source, data): &(&str, &str, &str, &str)| {
            let item = |pair: &str| {
                pair.split_once('=').map_or(String::new(), |(name, value)| {
                    format!("<tt:SimpleItem Name=\"{name}\" Value=\"{value}\"/>")
                })
            };
            format!(
                "<wsnt:NotificationMessage><wsnt:Topic Dialect=\"http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet\">{topic}</wsnt:Topic><wsnt:Message>\
                 <tt:Message UtcTime=\"2008-10-10T12:24:57.321Z\" PropertyOperation=\"{operation}\"><tt:Source>{}</tt:Source><tt:Data>{}</tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>",
                item(source),
                item(data)
            )
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:wsnt=\"http://docs.oasis-open.org/wsn/b-2\" \
             xmlns:tev=\"http://www.onvif.org/ver10/events/wsdl\" xmlns:tt=\"http://www.onvif.org/ver10/schema\"><s:Body><tev:PullMessagesResponse>\
             <tev:CurrentTime>2008-10-10T12:24:58</tev:CurrentTime><tev:TerminationTime>2008-10-10T12:25:58</tev:TerminationTime>{}</tev:PullMessagesResponse></s:Body></s:Envelope>",
            notifications.iter().map(one).collect::<String>()
        )
    }

    fn read(body: &str) -> (Decoded, Wanted) {
        let named = Named {
            event: "Device/Trigger/DigitalInput".into(),
            devices: Vec::new(),
            flag: Metric::MANUAL_ALARM,
        };
        let profiles = Profiles::build([]).unwrap().with_meanings(Meanings(vec![named]));
        let context = context_with(&["onvif:gate", "onvif:gate/door-2"], Arc::new(profiles));
        let message = Message {
            topic: "gate",
            payload: b"",
            retained: false,
            dup: false,
            received: Timestamp(1_795_402_800_000),
        };
        let mut outcome = Outcome::new(&message, &context);
        let wanted = take(body, "gate", &mut outcome).unwrap();
        (outcome.finish(), wanted)
    }

    /// Device and flags of each report but the sign of life.
    fn flags(decoded: &Decoded) -> Vec<(u32, String, bool)> {
        let reports = decoded.events.iter().filter_map(|event| match event {
            Event::Report(report) => Some(report),
            Event::Gone { .. } | Event::Action(_) => None,
        });
        let values =
            reports.flat_map(|report| report.values.iter().map(move |value| (report.device.0, value)));
        values.map(|(device, value)| (device, value.metric.name().to_owned(), value.value == 1.0)).collect()
    }

    #[test]
    fn each_topic_as_the_tables_say() {
        for (topic, source, data, wanted) in [
            (
                "tns1:RuleEngine/CellMotionDetector/Motion",
                "VideoSourceConfigurationToken=1",
                "IsMotion=true",
                vec![(0, "motion", true)],
            ),
            ("tns1:VideoSource/MotionAlarm", "Source=V1", "State=0", vec![(0, "motion", false)]),
            ("tns1:RuleEngine/LineDetector/Crossed", "Rule=r", "ObjectId=17", vec![(0, "detection", true)]),
            (
                "tns1:VideoSource/GlobalSceneChange/tns1:ImagingService",
                "Source=V1",
                "State=true",
                vec![(0, "tamper", true)],
            ),
            (
                "tns1:Door/State/DoorAlarm",
                "DoorToken=door-2",
                "State=DoorForcedOpen",
                vec![(1, "door_forced", true)],
            ),
            (
                "tns1:Door/State/DoorAlarm",
                "DoorToken=door-2",
                "State=Normal",
                vec![(1, "door_forced", false), (1, "door_held", false)],
            ),
            ("tns1:Door/State/DoorMode", "DoorToken=door-2", "State=Locked", vec![]),
            (
                "tns1:Device/Trigger/DigitalInput",
                "InputToken=1",
                "LogicalState=true",
                vec![(0, "manual_alarm", true)],
            ),
            (
                "tns1:AccessControl/AccessGranted/Credential",
                "AccessPointToken=1",
                "CredentialHolderName=王桂兰",
                vec![],
            ),
        ] {
            let (decoded, _) = read(&answer(&[(topic, "Changed", source, data)]));
            let told = flags(&decoded);
            let told: Vec<_> =
                told.iter().map(|(device, name, set)| (*device, name.as_str(), *set)).collect();
            assert_eq!(told, wanted, "{topic}");
            assert_eq!(decoded.rejects, [], "{topic}");
        }
    }

    #[test]
    fn an_unknown_topic_is_named_when_it_happens_and_only_then() {
        let of = |operation: &str| {
            read(&answer(&[("tns1:RuleEngine/Acme/FireSeen", operation, "S=1", "Active=true")])).0
        };
        assert_eq!(of("Initialized").rejects.len(), 0);
        let decoded = of("Changed");
        assert_eq!(decoded.rejects.len(), 1);
        assert!(decoded.rejects[0].0.contains("RuleEngine/Acme/FireSeen"), "{:?}", decoded.rejects);
    }

    #[test]
    fn an_empty_answer_is_a_sign_of_life_and_an_event_of_safety_wants_its_picture() {
        let (decoded, wanted) = read(&answer(&[]));
        assert_eq!((decoded.events.len(), wanted), (1, None));
        let (_, wanted) =
            read(&answer(&[("tns1:RuleEngine/TamperDetector/Tamper", "Changed", "S=1", "IsTamper=true")]));
        assert_eq!(wanted.map(|(device, event, _)| (device.0, event)), Some((0, Metric::TAMPER)));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let context = context_with(&["onvif:gate"], Arc::default());
        let message =
            Message { topic: "gate", payload: b"", retained: false, dup: false, received: Timestamp(0) };
        for body in ["", "<a/>", "{}", "<s:Envelope xmlns:s=\"x\"><s:Body><s:Fault/></s:Body></s:Envelope>"] {
            assert!(take(body, "gate", &mut Outcome::new(&message, &context)).is_err(), "{body}");
        }
    }
}
