//! What cameras and door stations of this maker push, as their receivers have published it; names and cards are made up.

use proptest::prelude::*;

use crate::decode::camera::{Meanings, Named};
use crate::decode::push::{Sender, decode};
use crate::decode::{Context, Decoded, Message, Reject, samples};
use crate::model::{Event, Freshness, Metric};
use crate::units::Timestamp;

/// 2024-08-26T11:32:28Z.
const AT_S: i64 = 1_724_671_948;
const CAMERA: u32 = 0;
const RECORDER: u32 = 1;
const SECOND: u32 = 2;
const DOOR: u32 = 3;

fn context() -> Context {
    let addresses = [
        "hikvision:44:19:b6:00:00:01",
        "hikvision:44:19:b6:00:00:02",
        "hikvision:44:19:b6:00:00:02/2",
        "hikvision:192.168.1.31",
    ];
    let mut context = samples::context(&addresses);
    let profiles = crate::decode::profile::Profiles::clone(&context.profiles);
    let named = |event: &str, devices: &[&str], flag| Named {
        event: event.into(),
        devices: devices.iter().map(|id| (*id).to_owned()).collect(),
        flag,
    };
    let meanings = Meanings(vec![
        named("fielddetection", &["hikvision:44:19:b6:00:00:02/2"], Metric::FIRE_LANE_BLOCKED),
        named("electricBicycle", &[], Metric::EBIKE_IN_LIFT),
    ]);
    context.profiles = std::sync::Arc::new(profiles.with_meanings(meanings));
    context
}

fn decoded(payload: &[u8]) -> Decoded {
    let message = Message {
        topic: "cameras",
        payload,
        retained: false,
        dup: false,
        received: Timestamp((AT_S + 3) * 1000),
    };
    decode(Sender::Hikvision, &message, &context())
}

/// Device, freshness, flags with a sign.
type Told = (u32, Freshness, String);

fn told(payload: &[u8]) -> Result<Vec<Told>, String> {
    let Decoded { events, rejects, .. } = decoded(payload);
    if let Some(Reject(why)) = rejects.into_iter().next() {
        return Err(why);
    }
    let one = |event| match event {
        Event::Report(report) => {
            let flags = report.values.iter().filter(|value| value.metric.spec().flag);
            let words: Vec<_> = flags
                .map(|value| format!("{}{}", if value.value == 1.0 { "" } else { "-" }, value.metric.name()))
                .collect();
            (report.device.0, report.freshness, words.join(" "))
        }
        Event::Gone { device, .. } => (device.0, Freshness::Live, "gone".to_owned()),
        Event::Action(_) => unreachable!("a camera does not act"),
    };
    Ok(events.into_iter().map(one).collect())
}

fn xml(space: &str, mac: &str, channel: u32, event: &str, state: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<EventNotificationAlert version=\"1.0\" xmlns=\"{space}\"><ipAddress>192.168.1.64</ipAddress>\
         <portNo>80</portNo><protocol>HTTP</protocol><macAddress>{mac}</macAddress><channelID>{channel}</channelID>\
         <dateTime>2024-08-26T19:32:28+8:00</dateTime><activePostCount>1</activePostCount><eventType>{event}</eventType>\
         <eventState>{state}</eventState><eventDescription>alarm</eventDescription></EventNotificationAlert>"
    )
}

const VER20: &str = "http://www.hikvision.com/ver20/XMLSchema";
const STD_CGI: &str = "http://www.std-cgi.com/ver20/XMLSchema";
const ONE: &str = "44:19:B6:00:00:01";
const TWO: &str = "44:19:B6:00:00:02";

#[test]
fn what_a_camera_tells_in_either_name_space() {
    for space in [VER20, STD_CGI, "urn:psialliance-org", "http://www.isapi.org/ver10/XMLSchema"] {
        for (mac, channel, event, state, device, said) in [
            (ONE, 1, "fireDetection", "active", CAMERA, "flame"),
            (ONE, 1, "smokedetection", "active", CAMERA, "smoke_seen"),
            (ONE, 1, "fielddetection", "active", CAMERA, "detection"),
            (ONE, 1, "fielddetection", "inactive", CAMERA, "-detection"),
            (ONE, 1, "electricbicycle", "active", CAMERA, "ebike_in_lift"),
            (ONE, 1, "group", "active", CAMERA, "crowd"),
            (ONE, 1, "shelteralarm", "active", CAMERA, "tamper"),
            (ONE, 1, "faceSnap", "active", CAMERA, ""),
            (ONE, 1, "videoloss", "inactive", CAMERA, ""),
            (TWO, 1, "videoloss", "inactive", RECORDER, ""),
            (TWO, 2, "videoloss", "active", SECOND, "gone"),
            (TWO, 2, "fielddetection", "active", SECOND, "fire_lane_blocked"),
        ] {
            let message = xml(space, mac, channel, event, state);
            let wanted = Ok(vec![(device, Freshness::Live, said.to_owned())]);
            assert_eq!(told(message.as_bytes()), wanted, "{event} {state} in {space}");
        }
    }
}

#[test]
fn an_unknown_event_is_a_sign_of_life_and_says_how_to_give_it_a_meaning() {
    let decoded = decoded(xml(VER20, ONE, 1, "IO", "active").as_bytes());
    assert_eq!(decoded.events.len(), 1);
    assert!(
        decoded.rejects[0].0.contains("`IO`") && decoded.rejects[0].0.contains("[[camera_event]]"),
        "{decoded:?}"
    );
}

#[test]
fn a_channel_of_a_recorder_is_never_taken_for_the_recorder() {
    let why = told(xml(VER20, TWO, 3, "fireDetection", "active").as_bytes()).unwrap_err();
    assert!(why.contains("hikvision:44:19:b6:00:00:02/3"), "{why}");
}

#[test]
fn who_is_not_registered_is_read_for_the_waiting_room_and_keeps_no_picture() {
    let fire = xml(VER20, "44:19:B6:00:00:09", 1, "fireDetection", "active");
    let picture: &[u8] = b"\xff\xd8\xff\xe0 a picture";
    let decoded = decoded(&parts(&[("application/xml", fire.as_bytes()), ("image/jpeg", picture)]));
    assert_eq!((decoded.events.len(), decoded.stills.len()), (0, 0));
    let stranger = &decoded.strangers[0];
    assert_eq!(stranger.address, "hikvision:44:19:b6:00:00:09");
    assert_eq!(stranger.burns(), Some(true));
}

fn door(major: u32, minor: u32, more: &str) -> String {
    format!(
        "{{\"ipAddress\":\"192.168.1.31\",\"portNo\":80,\"protocol\":\"HTTP\",\"dateTime\":\"2024-08-26T12:32:28+01:00\",\"activePostCount\":1,\
         \"eventType\":\"AccessControllerEvent\",\"eventState\":\"active\",\"AccessControllerEvent\":{{\"deviceName\":\"DS-K1T502\",\
         \"majorEventType\":{major},\"subEventType\":{minor},\"doorNo\":1,\"serialNo\":257,\"frontSerialNo\":256,{more}\"currentEvent\":true}}}}"
    )
}

#[test]
fn what_a_door_station_tells_by_its_codes() {
    for (major, minor, said) in [
        (5, 21, ""),
        (5, 22, ""),
        (5, 24, ""),
        (5, 25, "door_open"),
        (5, 26, "-door_open -door_forced -door_held"),
        (5, 27, "door_open door_forced"),
        (5, 28, "door_open door_held"),
        (1, 0x404, "tamper"),
        (1, 0x405, "-tamper"),
        (1, 0x415, "fire_alarm"),
        (1, 0x416, "fault"),
        (1, 0x417, "-fire_alarm -fault"),
        (1, 0x418, "manual_alarm"),
        (1, 0x419, "-manual_alarm"),
        (5, 75, ""),
        (2, 0x404, ""),
    ] {
        let wanted = Ok(vec![(DOOR, Freshness::Live, said.to_owned())]);
        assert_eq!(told(door(major, minor, "").as_bytes()), wanted, "{major} {minor:#x}");
    }
    let event = decoded(door(5, 25, "").as_bytes()).events.remove(0);
    let Event::Report(report) = event else { panic!("no report") };
    let number = |metric| report.values.iter().find(|value| value.metric == metric).map(|value| value.value);
    assert_eq!((number(Metric::FRAME_COUNTER), number(Metric::FRAME_BEFORE)), (Some(257.0), Some(256.0)));
}

#[test]
fn what_is_told_of_the_past_is_filed_at_its_own_time() {
    let past = door(1, 0x418, "").replace("\"currentEvent\":true", "\"currentEvent\":false");
    let event = decoded(past.as_bytes()).events.remove(0);
    let Event::Report(report) = event else { panic!("no report") };
    assert_eq!((report.freshness, report.device_time), (Freshness::Backfill, Some(Timestamp(AT_S * 1000))));
}

fn parts(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, bytes) in parts {
        body.extend(format!("--MIME_boundary\r\nContent-Disposition: form-data; name=\"x\"\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", bytes.len()).bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--MIME_boundary--\r\n");
    body
}

#[test]
fn one_picture_of_an_event_of_safety_is_kept_and_none_of_a_face() {
    let picture: &[u8] = b"\xff\xd8\xff\xe0 a picture";
    let fire = xml(VER20, ONE, 1, "fireDetection", "active");
    let stills = |message: &str| {
        let body = parts(&[
            ("application/xml; charset=\"UTF-8\"", message.as_bytes()),
            ("image/jpeg", picture),
            ("image/jpeg", picture),
        ]);
        decoded(&body).stills
    };
    let kept = stills(&fire);
    assert_eq!(kept.len(), 1, "one of an event");
    assert_eq!(
        (kept[0].device.0, kept[0].event, kept[0].at),
        (CAMERA, Metric::FLAME, Timestamp(AT_S * 1000))
    );
    for event in ["faceSnap", "facedetection", "faceCapture", "ANPR", "VMD", "linedetection"] {
        assert!(stills(&fire.replace("fireDetection", event)).is_empty(), "{event}");
    }
    assert!(stills(&fire.replace(">active<", ">inactive<")).is_empty(), "it is over");
    assert!(stills(&door(5, 75, "\"name\":\"王桂兰\",")).is_empty(), "somebody passed a door");
    assert_eq!(stills(&door(5, 27, "")).len(), 1, "a door was forced");
}

#[test]
fn no_name_card_or_face_leaves_this_place() {
    let who = "\"cardNo\":\"0012345678\",\"name\":\"王桂兰\",\"employeeNoString\":\"E-4711\",\"mask\":\"no\",\"FaceRect\":{\"height\":0.5},";
    let known = door(5, 75, who);
    let strange = known.replace("192.168.1.31", "192.168.1.99");
    let as_xml = format!(
        "<EventNotificationAlert xmlns=\"{VER20}\"><ipAddress>192.168.1.99</ipAddress><eventType>AccessControllerEvent</eventType><AccessControllerEvent>\
         <majorEventType>5</majorEventType><name>王桂兰</name><cardNo>0012345678</cardNo><employeeNoString>E-4711</employeeNoString></AccessControllerEvent></EventNotificationAlert>"
    );
    let broken = strange.trim_end_matches('}').to_owned();
    let broken_xml = as_xml.replace("</EventNotificationAlert>", "");
    for message in [known, strange.clone(), as_xml, broken, broken_xml, strange.replace("eventType", "kind")]
    {
        let decoded = decoded(message.as_bytes());
        let strangers = &decoded.strangers;
        let kept = format!("{strangers:?}")
            + &format!(
                "{:?} {:?} {}",
                decoded.events,
                decoded.rejects,
                String::from_utf8_lossy(&decoded.shown.clone().unwrap())
            );
        for secret in ["王桂兰", "0012345678", "E-4711", "FaceRect"] {
            assert!(!kept.contains(secret), "{secret} in {kept}");
        }
    }
    let shown = decoded(strange.as_bytes()).shown.unwrap();
    assert!(String::from_utf8_lossy(&shown).contains("192.168.1.99"), "what is needed to register it stays");
}

#[test]
fn what_cannot_be_read_says_why() {
    for (message, why) in [
        (&b"no XML"[..], "broken XML"),
        (b"{", "broken JSON"),
        (b"<a/>", "another document"),
        (b"<EventNotificationAlert/>", "no eventType"),
        (b"\xff\xfe", "not UTF-8"),
        (b"--b\r\nContent-Length: 99999999999\r\n\r\n", "does not end"),
        (b"{\"eventType\":\"VMD\"}", "names no camera"),
        (b"<!DOCTYPE a [<!ENTITY b \"c\">]><EventNotificationAlert><eventType>&b;</eventType></EventNotificationAlert>", "broken XML"),
    ] {
        let said = told(message).unwrap_err();
        assert!(said.contains(why), "{said} does not say {why}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300), head in 0..4usize) {
        let heads = [&b""[..], b"--b\r\n\r\n", b"<EventNotificationAlert>", b"{\"eventType\":"];
        let _ = decoded(&[heads[head], &bytes].concat());
    }
}
