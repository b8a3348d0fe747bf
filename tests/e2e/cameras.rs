//! Cameras end to end: what they push and what we ask of them becomes alarms with a picture, and nothing of people is kept.

use axum::http::StatusCode;
use serde_json::Value as Json;
use tests::camera::{Camera, PASSWORD, Play, USER};
use tests::jpeg::jpeg;
use tests::mad::Mad;
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station, TOKEN};

const SECRET: &str = "the-address-nobody-guesses";
/// What must be found nowhere.
const PEOPLE: [&str; 3] = ["王桂兰", "0012345678", "E-4711"];

fn site(receiver: &Receiver, more: &str) -> Site {
    let site = Site::new(&format!(
        "{}[[push_in]]\nname = \"cameras\"\nsender = \"hikvision\"\nsecret = {{ file = \"door\" }}\n\
         [[camera_event]]\nevent = \"fielddetection\"\nflag = \"fire_lane_blocked\"\ndevices = [\"CAM-1\"]\n{more}",
        receiver.config()
    ));
    site.write("door", SECRET);
    site.write("camera-password", PASSWORD);
    site.append(
        "devices.csv",
        "CAM-1,camera,东门摄像头,hikvision:44:19:b6:00:00:01,S1-C1-G1,东门,118.905,32.11,\n\
             CAM-2,camera,西门摄像头,hikvision:gate,S1-C1-G1,西门,118.906,32.11,\n\
             DOOR-1,access_camera,1栋门禁,hikvision:192.168.1.31,S1-C1-G1,1栋,118.904,32.11,\n",
    );
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let rule = |name: &str, flag: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nclass = \"supervisory\"\ntext = \"{{place}}\"\nkinds = [\"camera\", \"access_camera\"]\nstate = {{ flag = \"{flag}\" }}\nladder = \"fire\"\n"
        )
    };
    let more = rule("fire-lane-blocked", "fire_lane_blocked")
        + &rule("smoke-seen", "smoke_seen")
        + &rule("door-forced", "door_forced");
    site.write("rules.toml", &format!("{rules}\n{more}"));
    site
}

fn alert(who: &str, event: &str) -> String {
    format!(
        "<EventNotificationAlert version=\"2.0\" xmlns=\"http://www.hikvision.com/ver20/XMLSchema\"><ipAddress>192.168.1.64</ipAddress>{who}\
         <channelID>1</channelID><activePostCount>1</activePostCount><eventType>{event}</eventType><eventState>{}</eventState></EventNotificationAlert>",
        if event == "videoloss" { "inactive" } else { "active" }
    )
}

fn picture() -> Vec<u8> {
    jpeg("taken by camera 4711", 150_000)
}

fn part(kind: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("--boundary\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", bytes.len());
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn event(event: &str) -> Vec<u8> {
    part("application/xml; charset=\"UTF-8\"", alert("", event).as_bytes())
}

async fn push(station: &Station, body: impl Into<reqwest::Body>) -> StatusCode {
    let request = station.client.post(format!("{}/in/{SECRET}", station.http)).body(body);
    request.send().await.unwrap().status()
}

async fn bytes(station: &Station, path: &str) -> Vec<u8> {
    let asked = station.client.get(format!("{}{path}", station.http)).bearer_auth(TOKEN);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()["content-type"], "image/jpeg");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_pushed_event_raises_an_alarm_whose_card_names_the_picture() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "");
    let station = site.start().await;
    let mac = "<macAddress>44:19:B6:00:00:01</macAddress>";
    let body =
        [part("application/xml", alert(mac, "fielddetection").as_bytes()), part("image/jpeg", &picture())]
            .concat();
    assert_eq!(push(&station, body.clone()).await, StatusCode::OK);
    let alarm = station.get("/api/v1/alarms/A-1").await;
    assert_eq!(alarm["alarm"]["rule"], "fire-lane-blocked", "{alarm}");
    let (camera, still) = (&alarm["card"]["camera"], &alarm["card"]["camera"]["still"]);
    assert_eq!((&camera["id"], &still["id"]), (&Json::from("CAM-1"), &Json::from("S-1")), "{alarm}");
    // The camera repeats its event while it lasts: one alarm and one picture.
    assert_eq!(push(&station, body).await, StatusCode::OK);
    let stills = station.get("/api/v1/devices/CAM-1/stills").await;
    assert_eq!(stills["items"].as_array().unwrap().len(), 1, "{stills}");
    assert_eq!(stills["items"][0]["event"], "fire_lane_blocked");
    let kept = bytes(&station, "/api/v1/stills/S-1").await;
    assert!(kept.ends_with(&[7, 7, 0xff, 0xd9]) && !kept.windows(4).any(|four| four == b"4711"));
    station.stop().await;
    let store = rusqlite::Connection::open(site.file("data/station.db")).unwrap();
    let look = "SELECT who || ' ' || target || ' ' || detail FROM audit WHERE what = 'still.read'";
    let look: String = store.query_row(look, (), |row| row.get(0)).unwrap();
    assert_eq!(look, "duty-officer device CAM-1 S-1, fire_lane_blocked", "the look is on record");
    drop(store);
    // It is there after a start, and the very first card names it.
    let station = site.start().await;
    let by_hand =
        serde_json::json!({ "cell": "S1-C1-G1", "device": "SD-1", "class": "trouble", "text": "look" });
    let (status, raised) = station.post("/api/v1/alarms", &by_hand).await;
    assert_eq!(status, 201, "{raised}");
    let alarm = station.get(&format!("/api/v1/alarms/{}", raised["id"].as_str().unwrap())).await;
    assert_eq!(alarm["card"]["camera"]["still"]["id"], "S-1", "{alarm}");
    station.stop().await;
}

#[tokio::test]
async fn a_picture_that_is_too_large_costs_no_event() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "");
    let station = site.start().await;
    let mac = "<macAddress>44:19:B6:00:00:01</macAddress>";
    let large = vec![7; 5 << 20];
    let body = [part("application/xml", alert(mac, "smokedetection").as_bytes()), part("image/jpeg", &large)]
        .concat();
    // The camera may find the door shut before it has sent all of it.
    let sent = station.client.post(format!("{}/in/{SECRET}", station.http)).body(body).send().await;
    assert!(sent.is_err() || sent.is_ok_and(|answer| answer.status() == StatusCode::OK));
    eventually("the alarm", 20, || async { receiver.heard_of("A-1").then_some(()) }).await;
    assert_eq!(station.get("/api/v1/devices/CAM-1/stills").await["items"].as_array().unwrap().len(), 0);
    station.stop().await;
}

#[tokio::test]
async fn a_snapshot_of_frigate_stands_on_the_card_of_the_alarm_before_it() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "[[topic]]\nfilter = \"frigate/#\"\ndecoder = \"frigate\"\n");
    site.append("devices.csv", "CAM-3,camera,车棚摄像头,frigate:shed,S1-C1-G1,车棚,118.905,32.11,\n");
    let station = site.start().await;
    let mut client = Mad::connect(station.mqtt_port, "frigate").await.unwrap();
    client.publish_safe("frigate/shed/person/snapshot", &picture()).await.unwrap();
    let smoke = r#"{"type":"new","before":{},"after":{"camera":"shed","label":"smoke"}}"#;
    client.publish_safe("frigate/events", smoke.as_bytes()).await.unwrap();
    eventually("the alarm", 20, || async { receiver.heard_of("A-1").then_some(()) }).await;
    client.publish_safe("frigate/shed/smoke/snapshot", &picture()).await.unwrap();
    let still = eventually("the picture on the card", 20, || async {
        let still = &station.get("/api/v1/alarms/A-1").await["card"]["camera"]["still"];
        still["id"].as_str().map(str::to_owned)
    })
    .await;
    let kept = station.get("/api/v1/devices/CAM-3/stills").await["items"].clone();
    assert_eq!(
        (kept.as_array().unwrap().len(), &kept[0]["event"], &kept[0]["id"]),
        (1, &"smoke_seen".into(), &still.into()),
        "{kept}"
    );
    station.stop().await;
}

#[tokio::test]
async fn who_passed_a_door_is_written_nowhere() {
    let receiver = Receiver::start().await;
    let site = site(&receiver, "[[topic]]\nfilter = \"frigate/#\"\ndecoder = \"frigate\"\n");
    let station = site.start().await;
    let door = |address: &str, minor: u32| {
        format!(
            "{{\"ipAddress\":\"{address}\",\"eventType\":\"AccessControllerEvent\",\"eventState\":\"active\",\"AccessControllerEvent\":{{\"majorEventType\":5,\
             \"subEventType\":{minor},\"name\":\"王桂兰\",\"cardNo\":\"0012345678\",\"employeeNoString\":\"E-4711\",\"serialNo\":7,\"frontSerialNo\":6}}}}"
        )
    };
    // Known, unknown, broken; with a picture of a face, and with one of a forced door.
    for message in
        [door("192.168.1.31", 75), door("192.168.1.99", 75), door("192.168.1.31", 75).replace("}}", "}")]
    {
        assert_eq!(push(&station, message).await, StatusCode::OK);
    }
    let face =
        [part("application/json", door("192.168.1.31", 75).as_bytes()), part("image/jpeg", &picture())]
            .concat();
    assert_eq!(push(&station, face).await, StatusCode::OK);
    let forced =
        [part("application/json", door("192.168.1.31", 27).as_bytes()), part("image/jpeg", &picture())]
            .concat();
    assert_eq!(push(&station, forced).await, StatusCode::OK);
    let stills = station.get("/api/v1/devices/DOOR-1/stills").await;
    let events: Vec<_> = stills["items"].as_array().unwrap().iter().map(|still| &still["event"]).collect();
    assert_eq!(events, ["door_forced"], "the face is not kept");
    // Over MQTT: a face that Frigate knows, at a camera that is not registered.
    let frigate = r#"{"type":"new","before":{},"after":{"camera":"hall","label":"person","sub_label":["王桂兰",0.9],"recognized_license_plate":"0012345678"}}"#;
    let mut client = Mad::connect(station.mqtt_port, "frigate").await.unwrap();
    client.publish_safe("frigate/events", frigate.as_bytes()).await.unwrap();
    let letters = eventually("three letters", 10, || async {
        let letters = station.get("/api/v1/dead-letters").await;
        (letters["items"].as_array().unwrap().len() == 3).then_some(letters)
    })
    .await;
    assert!(
        letters.to_string().contains("hikvision:192.168.1.99"),
        "what is needed to register it is kept: {letters}"
    );
    station.stop().await;
    for file in std::fs::read_dir(site.file("data")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        for secret in PEOPLE {
            assert!(
                !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                "{secret} in {}",
                path.display()
            );
        }
    }
}

fn asked(port: u16) -> String {
    format!(
        "[[camera]]\nname = \"gate\"\nmaker = \"hikvision\"\nurl = \"http://127.0.0.1:{port}\"\nuser = \"{USER}\"\npassword = {{ file = \"camera-password\" }}\nsilent_s = 15\n"
    )
}

async fn said_of_it(station: &Station) -> String {
    let asked = station.client.get(format!("{}/readyz", station.http)).bearer_auth(TOKEN);
    let answer = asked.send().await.unwrap();
    let ready: Json = answer.json().await.unwrap();
    ready.to_string()
}

#[tokio::test]
async fn an_alert_stream_is_followed_and_a_picture_asked_for() {
    let receiver = Receiver::start().await;
    let camera = Camera::start(vec![Play::Stream(event("videoloss"))], picture(), 1).await;
    let site = site(&receiver, &asked(camera.port));
    let station = site.start().await;
    eventually("the camera is heard", 20, || async {
        (station.get("/api/v1/devices/CAM-2").await["online"] == true).then_some(())
    })
    .await;
    assert_eq!(
        station.get("/api/v1/alarms").await["items"].as_array().unwrap().len(),
        0,
        "a sign of life, no alarm"
    );
    assert_eq!(camera.says(&event("smokedetection")), 1);
    eventually("the alarm", 20, || async { receiver.heard_of("A-1").then_some(()) }).await;
    eventually("the picture", 20, || async {
        let stills = station.get("/api/v1/devices/CAM-2/stills").await;
        (stills["items"][0]["event"] == "smoke_seen").then_some(())
    })
    .await;
    assert_eq!(camera.pictures(), 1);
    station.stop().await;
}

#[tokio::test]
async fn whatever_ends_the_stream_it_is_followed_again() {
    let half = event("smokedetection");
    let half = half[..half.len() - 40].to_vec();
    let endless = (b"--boundary\r\nContent-Type: application/xml\r\n\r\n".to_vec(), vec![b'x'; 60_000]);
    for (what, play) in [
        ("cut in the middle of a part", Play::Cut([event("videoloss"), half].concat())),
        ("a part without an end", Play::Endless(endless.0.clone(), endless.1.clone())),
        ("a head without an end", Play::Endless(b"--boundary\r\nX: ".to_vec(), endless.1)),
        ("no head of an answer", Play::Silence),
        ("no stream", Play::Cut(b"<html>busy</html>".to_vec())),
    ] {
        let receiver = Receiver::start().await;
        // Every nonce serves once: the next call begins with one that is too old.
        let camera = Camera::start(vec![play, Play::Stream(event("videoloss"))], picture(), 1).await;
        let site = site(&receiver, &asked(camera.port));
        let station = site.start().await;
        eventually(what, 40, || async {
            (station.get("/api/v1/devices/CAM-2").await["online"] == true && camera.calls().2 == 2)
                .then_some(())
        })
        .await;
        camera.says(&event("smokedetection"));
        eventually(what, 20, || async { receiver.heard_of("A-1").then_some(()) }).await;
        station.stop().await;
    }
}

/// Only the recorder's cameras are registered, and they have nothing to say themselves.
#[tokio::test]
async fn the_cameras_of_a_recorder_are_gone_and_back_with_its_connection() {
    let receiver = Receiver::start().await;
    let heard = event("videoloss");
    // While there is no answer at all, the gateway waits ten seconds for one.
    let plays = vec![Play::Cut(heard.clone()), Play::Silence, Play::Stream(heard)];
    let recorder = Camera::start(plays, picture(), 100).await;
    let site = site(&receiver, &asked(recorder.port));
    let devices = std::fs::read_to_string(site.file("devices.csv")).unwrap();
    let devices = devices.replace("hikvision:gate,", "hikvision:gate/2,");
    site.write(
        "devices.csv",
        &format!("{devices}CAM-3,camera,北门摄像头,hikvision:gate/3,S1-C1-G1,北门,118.906,32.11,\n"),
    );
    let station = site.start().await;
    for online in [false, true] {
        for camera in ["CAM-2", "CAM-3"] {
            eventually(&format!("{camera} online: {online}"), 30, || async {
                (station.get(&format!("/api/v1/devices/{camera}")).await["online"] == online).then_some(())
            })
            .await;
        }
    }
    assert_eq!(
        station.get("/api/v1/devices/CAM-1").await["online"],
        Json::Null,
        "another camera was never heard"
    );
    station.stop().await;
}

#[tokio::test]
async fn a_nonce_is_used_again_with_a_higher_count() {
    let receiver = Receiver::start().await;
    let cut = || Play::Cut(event("videoloss"));
    let camera = Camera::start(vec![cut(), cut(), Play::Stream(event("videoloss"))], picture(), 100).await;
    let site = site(&receiver, &asked(camera.port));
    let station = site.start().await;
    eventually("the third call", 30, || async { (camera.calls().2 == 3).then_some(()) }).await;
    assert_eq!(camera.calls(), (1, 0, 3), "asked for the challenge once");
    let counts: Vec<_> = camera.counts().into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, ["00000001", "00000002", "00000003"]);
    station.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_told() {
    let receiver = Receiver::start().await;
    let camera = Camera::start(vec![Play::Stream(event("videoloss"))], picture(), 100).await;
    let site = site(&receiver, &asked(camera.port));
    site.write("camera-password", "not-the-right-one");
    let station = site.start().await;
    let said = eventually("it is told", 20, || async {
        Some(said_of_it(&station).await).filter(|said| said.contains("refuses user or password"))
    })
    .await;
    assert!(!said.contains("not-the-right-one"));
    assert_eq!(camera.calls(), (1, 1, 0));
    station.stop().await;
}

#[tokio::test]
async fn a_camera_that_knows_only_basic_is_followed_when_that_is_allowed() {
    let receiver = Receiver::start().await;
    let camera = Camera::start_basic(vec![Play::Stream(event("videoloss"))], picture()).await;
    let site = site(&receiver, &(asked(camera.port) + "login = \"basic\"\n"));
    let station = site.start().await;
    eventually("the camera is heard", 20, || async {
        (station.get("/api/v1/devices/CAM-2").await["online"] == true).then_some(())
    })
    .await;
    assert_eq!(camera.says(&event("smokedetection")), 1);
    eventually("the picture", 20, || async {
        let stills = station.get("/api/v1/devices/CAM-2/stills").await;
        (stills["items"][0]["event"] == "smoke_seen").then_some(())
    })
    .await;
    assert_eq!((camera.calls(), camera.pictures()), ((1, 0, 2), 1), "asked once, shown from then on");
    station.stop().await;
}

#[tokio::test]
async fn a_camera_that_knows_only_basic_is_shown_nothing_by_itself() {
    let receiver = Receiver::start().await;
    let camera = Camera::start_basic(vec![Play::Stream(event("videoloss"))], picture()).await;
    let site = site(&receiver, &asked(camera.port));
    let station = site.start().await;
    eventually("it is told what to do", 20, || async {
        said_of_it(&station).await.contains("login = \\\"basic\\\"").then_some(())
    })
    .await;
    let (bare, wrong, right) = camera.calls();
    assert!(0 < bare && (wrong, right) == (0, 0), "{bare} {wrong} {right}");
    station.stop().await;
}
