//! Lines of attached streams as their clients have published them; names and cards are made up.

use proptest::prelude::*;

use crate::decode::push::{Sender, decode};
use crate::decode::{Decoded, Message, Reject, samples};
use crate::model::{Event, Metric};
use crate::units::Timestamp;

fn decoded(payload: &[u8]) -> Decoded {
    let context = samples::context(&["dahua:gate", "dahua:gate/2"]);
    let message = Message {
        topic: "gate",
        payload,
        retained: false,
        dup: false,
        received: Timestamp(1_724_671_948_000),
    };
    decode(Sender::Dahua, &message, &context)
}

fn told(payload: &str) -> Result<Vec<(u32, String)>, String> {
    let Decoded { events, rejects, .. } = decoded(payload.as_bytes());
    if let Some(Reject(why)) = rejects.into_iter().next() {
        return Err(why);
    }
    let one = |event| match event {
        Event::Report(report) => {
            let words = report.values.iter().map(|value| format!("{}={}", value.metric.name(), value.value));
            (report.device.0, words.collect::<Vec<_>>().join(" "))
        }
        Event::Gone { device, .. } => (device.0, "gone".to_owned()),
        Event::Action(_) => unreachable!("a camera does not act"),
    };
    Ok(events.into_iter().map(one).collect())
}

#[test]
fn what_lines_and_json_tell() {
    for (text, device, said) in [
        ("Code=VideoMotion;action=Start;index=0", 0, "motion=1"),
        ("Code=VideoMotion;action=Stop;index=0;data={\"Id\":[0]}", 0, "motion=0"),
        ("Code=SmokeDetection;action=Start;index=1", 1, "smoke_seen=1"),
        ("Code=FireWarning;action=Pulse;index=0;data=x=1;y=2", 0, "flame=1"),
        ("Code=DoorStatus;action=Pulse;index=0;data={\"Relay\":true,\"Status\":\"Open\"}", 0, "door_open=1"),
        ("Code=DoorStatus;action=Pulse;index=0;data={\n  \"Status\" : \"Close\"\n}\n", 0, "door_open=0"),
        ("Code=BreakIn;action=Start;index=0", 0, "door_forced=1"),
        ("Code=DoorNotClosed;action=Stop;index=0", 0, "door_held=0"),
        ("Code=VideoLoss;action=Start;index=1", 1, "gone"),
        ("Code=AccessControl;action=Pulse;index=0;data={\"CardNo\":\"17\"}", 0, ""),
        ("Heartbeat", 0, ""),
        ("{\"Action\":\"Start\",\"Code\":\"CrowdDetection\",\"Index\":0,\"Data\":{}}", 0, "crowd=1"),
        ("{\"Events\":[{\"Action\":\"Stop\",\"Code\":\"BreakIn\",\"Index\":1}]}", 1, "door_forced=0"),
    ] {
        assert_eq!(told(text), Ok(vec![(device, said.to_owned())]), "{text}");
    }
    let two = "Code=VideoMotion;action=Start;index=0\r\nCode=BreakIn;action=Start;index=1\r\n";
    assert_eq!(told(two), Ok(vec![(0, "motion=1".into()), (1, "door_forced=1".into())]));
}

#[test]
fn what_is_unknown_says_so() {
    for (text, why) in [
        ("Code=AlarmLocal;action=Start;index=0", "[[camera_event]]"),
        ("Code=VideoMotion;action=Start;index=6", "`dahua:gate/7` is not registered"),
        ("hello", "holds no event"),
        ("{\"a\":1}", "holds no event"),
    ] {
        let said = told(text).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn neither_faces_nor_cards_leave_this_place() {
    for text in [
        "Code=FaceRecognition;action=Pulse;index=6;data={\"Candidates\":[{\"Person\":{\"Name\":\"WangGuilan\"}}]}",
        "Code=AccessControl;action=Pulse;index=6;data={\"CardNo\":\"0012345678\",\"UserID\":\"WangGuilan\"}",
        "{\"Code\":\"Strange\",\"Index\":0,\"Data\":{\"CardNo\":\"0012345678\",\"Name\":\"WangGuilan\"}}",
        "CardNo=0012345678 WangGuilan",
    ] {
        let decoded = decoded(text.as_bytes());
        let kept = format!(
            "{:?} {:?} {}",
            decoded.events,
            decoded.rejects,
            String::from_utf8_lossy(&decoded.shown.clone().unwrap())
        );
        assert!(
            !decoded.rejects.is_empty() && !kept.contains("WangGuilan") && !kept.contains("0012345678"),
            "{kept}"
        );
    }
}

#[test]
fn a_picture_belongs_to_the_event_before_it() {
    let body = b"--b\r\nContent-Type: text/plain\r\n\r\nCode=FireDetection;action=Start;index=0\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0\r\n--b--\r\n";
    let stills = decoded(body).stills;
    assert_eq!((stills.len(), stills[0].event), (1, Metric::FLAME));
    let face = String::from_utf8_lossy(body).replace("FireDetection", "FaceDetection");
    assert!(decoded(face.as_bytes()).stills.is_empty());
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..300), head in 0..4usize) {
        let heads = [&b""[..], b"--b\r\n\r\n", b"Code=", b"{\"Code\":"];
        let _ = decoded(&[heads[head], &bytes].concat());
    }
}

#[test]
fn who_is_not_registered_is_read_for_the_waiting_room_and_keeps_no_picture() {
    let body = b"--b\r\nContent-Type: text/plain\r\n\r\nCode=FireDetection;action=Start;index=6\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0\r\n--b--\r\n";
    let decoded = decoded(body);
    assert_eq!((decoded.events.len(), decoded.stills.len()), (0, 0));
    let stranger = &decoded.strangers[0];
    assert_eq!((stranger.address.as_str(), stranger.burns()), ("dahua:gate/7", Some(true)));
}
