//! An ONVIF device end to end: its pull point is found, pulled, found again after a restart and given back; an event of safety is an alarm with its picture.

use tests::neighbours::eventually;
use tests::onvif::{Onvif, PASSWORD, USER};
use tests::site::{Receiver, Site, Station, TOKEN};

fn site(receiver: &Receiver, device: &Onvif, password: &str) -> Site {
    let site = Site::new(&format!(
        "{0}[[onvif]]\nname = \"gate\"\nurl = \"http://127.0.0.1:{1}\"\nuser = \"{USER}\"\npassword = {{ file = \"onvif-password\" }}\nsnapshot_url = \"http://127.0.0.1:{1}/snap.jpg\"\n\
         [[camera_event]]\nevent = \"RuleEngine/FieldDetector/ObjectsInside\"\nflag = \"fire_lane_blocked\"\n",
        receiver.config(),
        device.port
    ));
    site.write("onvif-password", password);
    site.append("devices.csv", "CAM-1,camera,东门摄像头,onvif:gate,S1-C1-G1,东门,118.905,32.11,\n");
    site.append(
        "rules.toml",
        "\n[[rule]]\nname = \"lane\"\nclass = \"supervisory\"\ntext = \"{place}\"\nkinds = [\"camera\"]\nstate = { flag = \"fire_lane_blocked\" }\nladder = \"fire\"\nclose = \"returned\"\n",
    );
    site
}

/// What `/readyz` says.
async fn ready(station: &Station) -> String {
    let asked = station.client.get(format!("{}/readyz", station.http)).bearer_auth(TOKEN);
    asked.send().await.unwrap().text().await.unwrap()
}

/// A JPEG of nothing.
fn picture() -> Vec<u8> {
    let segment = |marker: u8, payload: &[u8]| {
        [&[0xff, marker][..], &u16::try_from(payload.len() + 2).unwrap().to_be_bytes(), payload].concat()
    };
    [&[0xff, 0xd8][..], &segment(0xdb, &[1; 65]), &segment(0xda, &[1, 2, 3]), &[7; 900], b"\xff\xd9"].concat()
}

#[tokio::test]
async fn an_onvif_device_is_pulled_until_the_station_stops() {
    let receiver = Receiver::start().await;
    let device = Onvif::start(picture()).await;
    let site = site(&receiver, &device, PASSWORD);
    let station = site.start().await;
    device.says("tns1:RuleEngine/FieldDetector/ObjectsInside", ("IsInside", "true"));
    eventually("the alarm", 20, || async { receiver.heard_of("A-1").then_some(()) }).await;
    let still = eventually("its picture on the card", 20, || async {
        let card = &station.get("/api/v1/alarms/A-1").await["card"];
        card["camera"]["still"]["id"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(station.get("/api/v1/devices/CAM-1/stills").await["items"][0]["id"], still.as_str());
    let returned = || async {
        let alarm = station.get("/api/v1/alarms/A-1").await["alarm"]["returned"].clone();
        (!alarm.is_null()).then_some(())
    };

    // It starts anew; the next pull point hears on.
    device.forgets();
    eventually("another pull point", 20, || async {
        (device.asked("CreatePullPointSubscription") == 2).then_some(())
    })
    .await;
    device.says("tns1:RuleEngine/FieldDetector/ObjectsInside", ("IsInside", "false"));
    eventually("the lane is free", 20, returned).await;
    device.says("tns1:RuleEngine/Acme/Odd", ("Active", "true"));
    eventually("a letter that names it", 20, || async {
        let letters = station.get("/api/v1/dead-letters").await;
        letters.to_string().contains("RuleEngine/Acme/Odd").then_some(())
    })
    .await;
    assert!(0 < device.asked("PullMessages"));
    station.stop().await;
    assert_eq!(device.asked("Unsubscribe"), 1, "the pull point is given back");
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_tried_again() {
    let receiver = Receiver::start().await;
    let device = Onvif::start(Vec::new()).await;
    let site = site(&receiver, &device, "another");
    let station = site.start().await;
    eventually("what is wrong", 20, || async {
        ready(&station).await.contains("refuses user or password").then_some(())
    })
    .await;
    assert_eq!(device.asked("GetServices"), 0);
    station.stop().await;
}
