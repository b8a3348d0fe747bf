//! An alarm in people's hands, over HTTP: from "on the way" to the verification by another, out of service, and what a ladder would do.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station, program};
use tokio::process::Command;

const SUPERVISOR: &str = "the-supervisor-s-token";

/// A station whose fires are closed when somebody else has verified them, with a second account.
fn site(receiver: &Receiver) -> Site {
    let more = "[[http.token]]\nname = \"supervisor\"\nsecret = { file = \"supervisor\" }\n";
    let site = Site::new(&format!("{}{more}", receiver.config()));
    site.write("supervisor", SUPERVISOR);
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let rules = rules.replacen(
        "state = { flag = \"smoke\" }",
        "state = { flag = \"smoke\" }\nclose = \"verified\"",
        1,
    );
    let night = "[[ladder]]\nname = \"fire\"\nhours = \"22:00-06:00\"\nstep = [\n\
        { after_s = 0, who = [\"responsible\"], channels = [\"duty\"] },\n\
        { after_s = 60, who = [\"worker\"], channels = [\"duty\"] },\n\
        { after_s = 120, who = [\"up:1\"], channels = [\"duty\"], need = 2 },\n]\nunanswered_after_s = 300\n";
    let (before, after) = rules.split_once("[[ladder]]").unwrap();
    site.write("rules.toml", &format!("{before}{night}[[ladder]]{after}"));
    site
}

async fn does(station: &Station, token: Option<&str>, path: &str, body: Value) -> (StatusCode, Value) {
    let Some(token) = token else { return station.post(path, &body).await };
    let request = station.client.post(format!("{}{path}", station.http)).bearer_auth(token).json(&body);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn from_on_the_way_to_verified_by_another_over_a_restart() {
    let receiver = Receiver::start().await;
    let site = site(&receiver);
    let station = site.start().await;
    station.publish("SD-1", &json!({ "values": {"smoke": true} })).await;
    let told = eventually("the webhook", 10, || async { receiver.deliveries().into_iter().next() }).await;
    assert_eq!(told.json["alarm"]["stage"], "dispatched");
    let path = format!("/api/v1/alarms/{}", told.json["alarm"]["id"].as_str().unwrap());

    let (status, alarm) =
        does(&station, None, &format!("{path}/on_the_way"), json!({"note": "two minutes"})).await;
    assert_eq!((status, &alarm["stage"]), (StatusCode::OK, &json!("on_the_way")), "{alarm:#}");
    assert_eq!(
        (&alarm["state"], &alarm["on_the_way"]["by"]),
        (&json!("acknowledged"), &json!("duty-officer"))
    );
    let (status, alarm) = does(&station, None, &format!("{path}/on_site"), json!({})).await;
    assert_eq!((status, &alarm["stage"]), (StatusCode::OK, &json!("on_site")));
    let resolution = json!({"disposition": "false_alarm", "cause": "cooking", "note": "a wok"});
    let (status, alarm) = does(&station, None, &format!("{path}/resolve"), resolution).await;
    assert_eq!((status, &alarm["resolved"]["cause"]), (StatusCode::OK, &json!("cooking")), "{alarm:#}");
    let (status, refused) = does(&station, None, &format!("{path}/verify"), json!({})).await;
    assert_eq!(
        (status, &refused["type"]),
        (StatusCode::FORBIDDEN, &json!("urn:gridwarden:problem:own-work"))
    );
    station.stop().await;

    let station = site.start().await;
    let back = json!({"reason": "no photograph"});
    let (status, alarm) = does(&station, Some(SUPERVISOR), &format!("{path}/return"), back).await;
    assert_eq!((status, &alarm["stage"]), (StatusCode::OK, &json!("dispatched")), "{alarm:#}");
    assert_eq!((&alarm["sent_back"]["note"], &alarm["resolved"]), (&json!("no photograph"), &Value::Null));
    does(&station, None, &format!("{path}/acknowledge"), json!({})).await;
    does(&station, None, &format!("{path}/resolve"), json!({"disposition": "false_alarm"})).await;
    station.publish("SD-1", &json!({ "values": {"smoke": false} })).await;
    let evaluation = json!({"verdict": "nuisance"});
    let (status, alarm) = does(&station, Some(SUPERVISOR), &format!("{path}/evaluate"), evaluation).await;
    assert_eq!((status, &alarm["evaluated"]["verdict"]), (StatusCode::OK, &json!("nuisance")), "{alarm:#}");
    let (status, alarm) = does(&station, Some(SUPERVISOR), &format!("{path}/verify"), json!({})).await;
    assert_eq!((status, &alarm["stage"]), (StatusCode::OK, &json!("closed")), "{alarm:#}");
    station.stop().await;
}

#[tokio::test]
async fn a_place_out_of_service_calls_nobody_and_is_listed() {
    let receiver = Receiver::start().await;
    let site = site(&receiver);
    let station = site.start().await;
    let window = json!({"device": "HY-1", "until": in_an_hour(), "reason": "flushing"});
    let (status, window) = does(&station, None, "/api/v1/maintenance", window).await;
    assert_eq!(
        (status, &window["held"]["how"]),
        (StatusCode::CREATED, &json!("out_of_service")),
        "{window:#}"
    );
    let listed = station.get("/api/v1/maintenance").await;
    assert_eq!(listed["items"][0]["id"], window["id"]);

    station.publish("HY-1", &json!({ "values": {"pressure": 90.0} })).await;
    let low = &station.get("/api/v1/alarms?class=supervisory").await["items"][0];
    assert_eq!(
        (&low["held"]["how"], &low["held"]["window"]),
        (&json!("suppressed"), &window["id"]),
        "{low:#}"
    );
    assert!(receiver.deliveries().is_empty());

    let end = format!("/api/v1/maintenance/{}/end", window["id"].as_str().unwrap());
    let (status, ended) = does(&station, None, &end, json!({"note": "done"})).await;
    assert_eq!((status, &ended["state"]), (StatusCode::OK, &json!("closed")), "{ended:#}");
    let told = eventually("the call for what still stands", 10, || async {
        receiver.deliveries().into_iter().next()
    });
    assert_eq!(told.await.json["alarm"]["id"], low["id"]);
    assert_eq!(station.get("/api/v1/maintenance").await["items"], json!([]));
    station.stop().await;
}

fn in_an_hour() -> String {
    #[expect(clippy::disallowed_methods, reason = "a date for a real station")]
    let now = jiff::Timestamp::now();
    (now + jiff::SignedDuration::from_hours(1)).to_string()
}

#[tokio::test]
async fn a_ladder_is_shown_as_names_and_times() {
    let receiver = Receiver::start().await;
    let site = site(&receiver);
    site.start().await.stop().await; // Its first start imports the registry.
    let show = |more: &'static [&str]| {
        let config = site.file("station.toml");
        async move {
            let mut command = Command::new(program("gridwarden"));
            let output =
                command.args(["ladder", "show", "-c"]).arg(config).args(more).output().await.unwrap();
            (
                output.status.success(),
                String::from_utf8(output.stdout).unwrap(),
                String::from_utf8(output.stderr).unwrap(),
            )
        }
    };
    let (good, night, _) =
        show(&["--alarm-class", "fire", "--cell", "S1-C1-G1", "--at", "2026-11-23T03:00"]).await;
    assert!(good);
    assert_eq!(
        night,
        "fire in S1-C1-G1 一格, if nobody answers:\n\
         2026-11-23 03:00:00  +     0 s  fire (1 of 2): responsible 王丽 by duty\n\
         2026-11-23 03:01:00  +    60 s  fire (1 of 2): worker NOBODY by duty  << finds nobody; the next step follows at once\n\
         2026-11-23 03:01:00  +    60 s  fire (1 of 2): up:1 陈洁 by duty, until 2 have acknowledged\n\
         2026-11-23 03:06:00  +   360 s  fire (1 of 2): a trouble alarm says that nobody answered\n"
    );
    let (_, day, _) =
        show(&["--alarm-class", "fire", "--cell", "S1-C1-G1", "--at", "2026-11-23T12:00"]).await;
    assert!(day.contains("fire (2 of 2)"), "{day}");
    let (good, _, wrong) = show(&["--alarm-class", "fire", "--cell", "S1-C1-G9"]).await;
    assert!(!good && wrong.contains("there is no cell `S1-C1-G9`; did you mean"), "{wrong}");
}
