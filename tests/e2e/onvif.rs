//! ONVIF devices end to end, with either login: the pull point is found, pulled, prolonged, found again after a restart and given back; an event of safety is an alarm with its picture.

use std::time::Duration;

use tests::jpeg::jpeg;
use tests::neighbours::eventually;
use tests::onvif::{Kind, Login, Onvif, PASSWORD, Prolonged, USER};
use tests::site::{Receiver, Site, Station, TOKEN};

fn site(receiver: &Receiver, device: &Onvif, password: &str, login: &str) -> Site {
    let site = Site::new(&format!(
        "{0}[[onvif]]\nname = \"gate\"\nurl = \"http://127.0.0.1:{1}\"\nuser = \"{USER}\"\npassword = {{ file = \"onvif-password\" }}\nsnapshot_url = \"http://127.0.0.1:{1}/snap.jpg\"\nlogin = \"{login}\"\n\
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

async fn pulled_until_the_station_stops(login: Login) {
    let receiver = Receiver::start().await;
    let device = Onvif::start(Kind { login, ..Kind::default() }, jpeg("", 900)).await;
    let allowed = if login == Login::Basic { "basic" } else { "digest" };
    let site = site(&receiver, &device, PASSWORD, allowed);
    let station = site.start().await;
    device.says("tns1:RuleEngine/FieldDetector/ObjectsInside", ("IsInside", "true"));
    eventually("the alarm", 20, || async { receiver.heard_of("A-1").then_some(()) }).await;
    let still = eventually("its picture on the card", 20, || async {
        let card = &station.get("/api/v1/alarms/A-1").await["card"];
        card["camera"]["still"]["id"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(station.get("/api/v1/devices/CAM-1/stills").await["items"][0]["id"], still.as_str());

    // It starts anew; the next pull point hears on.
    device.forgets();
    eventually("another pull point", 20, || async {
        (device.asked("CreatePullPointSubscription") == 2).then_some(())
    })
    .await;
    device.says("tns1:RuleEngine/FieldDetector/ObjectsInside", ("IsInside", "false"));
    returned(&station, "A-1").await;
    device.says("tns1:RuleEngine/Acme/Odd", ("Active", "true"));
    eventually("a letter that names it", 20, || async {
        let letters = station.get("/api/v1/dead-letters").await;
        letters.to_string().contains("RuleEngine/Acme/Odd").then_some(())
    })
    .await;
    assert_eq!((device.refused(), device.points()), (0, 1));
    station.stop().await;
    assert_eq!(device.points(), 0, "the pull point is given back");
}

async fn returned(station: &Station, alarm: &str) {
    eventually("the lane is free", 20, || async {
        let alarm = station.get(&format!("/api/v1/alarms/{alarm}")).await["alarm"]["returned"].clone();
        (!alarm.is_null()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_onvif_device_with_digest_is_pulled_until_the_station_stops() {
    pulled_until_the_station_stops(Login::Digest).await;
}

#[tokio::test]
async fn an_onvif_device_with_basic_is_pulled_when_that_is_allowed() {
    pulled_until_the_station_stops(Login::Basic).await;
}

#[tokio::test]
async fn an_onvif_device_with_basic_is_not_shown_the_password_by_itself() {
    let receiver = Receiver::start().await;
    let device = Onvif::start(Kind { login: Login::Basic, ..Kind::default() }, Vec::new()).await;
    let site = site(&receiver, &device, PASSWORD, "digest");
    let station = site.start().await;
    eventually("what to do", 20, || async {
        ready(&station).await.contains("login = \\\"basic\\\"").then_some(())
    })
    .await;
    assert_eq!((device.refused(), device.asked("CreatePullPointSubscription")), (0, 0));
    station.stop().await;
}

/// Its clock is years behind, and its tokens go by it.
#[tokio::test]
async fn an_onvif_device_with_tokens_is_pulled_until_the_station_stops() {
    tokio::join!(
        pulled_until_the_station_stops(Login::Token),
        pulled_until_the_station_stops(Login::TokenUnsaid)
    );
}

async fn a_wrong_password_is_said_once(login: Login) {
    let receiver = Receiver::start().await;
    let device = Onvif::start(Kind { login, ..Kind::default() }, Vec::new()).await;
    // A second one, that hangs up: it is tried again and again, and so tells that time goes on.
    let off = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let site = site(&receiver, &device, "another", if login == Login::Basic { "basic" } else { "digest" });
    site.append(
        "station.toml",
        &format!(
            "[[onvif]]\nname = \"off\"\nurl = \"http://{}\"\nuser = \"{USER}\"\npassword = {{ file = \"onvif-password\" }}\n",
            off.local_addr().unwrap()
        ),
    );
    let station = site.start().await;
    eventually("what is wrong", 20, || async {
        ready(&station).await.contains("refuses user or password").then_some(())
    })
    .await;
    for _ in 0..3 {
        drop(off.accept().await.unwrap());
    }
    assert_eq!((device.refused(), device.asked("CreatePullPointSubscription")), (1, 0));
    station.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_said_and_not_tried_again() {
    let all =
        [Login::Digest, Login::Token, Login::TokenUnsaid, Login::Basic].map(a_wrong_password_is_said_once);
    futures::future::join_all(all).await;
}

/// It is heard without a gap for longer than a pull point stands.
async fn is_heard_on(prolonged: Prolonged) -> Onvif {
    let receiver = Receiver::start().await;
    let kind = Kind { prolonged, stands: Duration::from_secs(6), ..Kind::default() };
    let device = Onvif::start(kind, jpeg("", 900)).await;
    let site = site(&receiver, &device, PASSWORD, "digest");
    let station = site.start().await;
    eventually("it is heard", 20, || async { (0 < device.asked("PullMessages")).then_some(()) }).await;
    let begin = tokio::time::Instant::now();
    eventually("two such times are over", 30, || async { (2 * kind.stands < begin.elapsed()).then_some(()) })
        .await;
    device.says("tns1:RuleEngine/FieldDetector/ObjectsInside", ("IsInside", "true"));
    eventually("the alarm", 20, || async { receiver.heard_of("A-1").then_some(()) }).await;
    station.stop().await;
    assert_eq!(device.asked("GetServices"), 1, "{prolonged:?}: it was never lost");
    assert_eq!(device.points(), 0, "{prolonged:?}: none is left behind");
    device
}

#[tokio::test]
async fn a_pull_point_is_prolonged_in_time_or_made_anew() {
    let [renewed, by_pulling, anew] = tokio::join!(
        is_heard_on(Prolonged::ByRenew),
        is_heard_on(Prolonged::ByPulling),
        is_heard_on(Prolonged::Never)
    )
    .into();
    let made = |device: &Onvif| device.asked("CreatePullPointSubscription");
    assert!(2 <= renewed.asked("Renew") && made(&renewed) == 1, "{} renewals", renewed.asked("Renew"));
    assert_eq!(made(&by_pulling), 1, "the device says that pulling prolongs it");
    assert!(2 < made(&anew), "{} made", made(&anew));
}
