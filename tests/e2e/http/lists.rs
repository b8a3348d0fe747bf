//! What the API shows and does: alarms, the grid, dead letters, series; page by page, and looks at people on record.

use gateway::engine::Seen;
use gateway::model::*;
use gateway::store::{Audit, Commit};
use serde_json::{Value as Json, json};
use tests::neighbours::eventually;
use tests::station::{READER, Station};

use super::json_of;

fn ids(page: &Json) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn alarms_are_listed_by_what_they_are_and_page_by_page() {
    let station = Station::start().await.unwrap();
    for round in 0..5 {
        station.raise(SignalClass::Fire, "SD-0001", &format!("fire {round}")).await.unwrap();
        station.raise(SignalClass::Supervisory, "HY-0001", &format!("low pressure {round}")).await.unwrap();
    }
    json_of(station.post("/api/v1/alarms/A-1/acknowledge", &json!({})), 200).await;
    json_of(station.post("/api/v1/alarms/A-1/resolve", &json!({ "disposition": "real_fire" })), 200).await;
    json_of(station.post("/api/v1/alarms/A-3/acknowledge", &json!({ "note": "on my way" })), 200).await;
    for (query, expected) in [
        ("class=fire", vec!["A-9", "A-7", "A-5", "A-3", "A-1"]),
        ("class=fire&open=1", vec!["A-9", "A-7", "A-5", "A-3"]),
        ("open=false", vec!["A-1"]),
        ("state=acknowledged", vec!["A-3"]),
        ("state=closed&open=1", vec![]),
        ("state=acknowledged,closed", vec!["A-3", "A-1"]),
        ("cell=XL-02", vec!["A-10", "A-8", "A-6", "A-4", "A-2"]),
        ("cell=XL-02-02", vec![]),
        ("cell=XL&limit=2", vec!["A-10", "A-9"]),
        ("cell=XL&before=A-3", vec!["A-2", "A-1"]),
        ("device=SD-0001&open=1&before=A-5", vec!["A-3"]),
    ] {
        let page = json_of(station.get(&format!("/api/v1/alarms?{query}")), 200).await;
        assert_eq!(ids(&page), expected, "{query}");
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let before = cursor.map_or(String::new(), |cursor| format!("&before={cursor}"));
        let page = json_of(station.get(&format!("/api/v1/alarms?limit=3{before}")), 200).await;
        seen.extend(ids(&page).into_iter().map(ToOwned::to_owned));
        cursor = page["next"].as_str().map(ToOwned::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=10).rev().map(|number| format!("A-{number}")).collect::<Vec<_>>());
    let exact = json_of(station.get("/api/v1/alarms?limit=10"), 200).await;
    assert_eq!(exact["next"], Json::Null, "the last page is known as such");
    station.end().await.unwrap();
}

#[tokio::test]
async fn people_act_on_alarms_and_the_answer_comes_after_the_commit() {
    let station = Station::start().await.unwrap();
    let raised = station.post(
        "/api/v1/alarms",
        &json!({ "cell": "XL-01-01", "device": "SD-0001", "class": "fire", "text": "居民来电 <script>alert(1)</script>" }),
    );
    let answer = raised.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["location"], "/api/v1/alarms/A-1");
    let alarm: Json = answer.json().await.unwrap();
    assert_eq!(alarm["state"], "unacknowledged");
    assert_eq!(alarm["cell"]["path"], json!(["仙林街道", "杉湖社区", "杉湖一格"]));
    assert_eq!(alarm["owner"], json!({ "id": "wang-li", "name": "王丽" }));
    assert!(!alarm.to_string().contains("13800000001"), "an alarm shows no telephone number");

    let board =
        station.client.post(format!("{}/api/v1/alarms/A-1/acknowledge", station.url)).bearer_auth(READER);
    let problem = json_of(board, 403).await;
    assert!(problem["detail"].as_str().unwrap().contains("board"), "{problem}");

    let done =
        json_of(station.post("/api/v1/alarms/A-1/acknowledge", &json!({ "note": "去现场" })), 200).await;
    assert_eq!(done["acknowledged"]["by"], "desk");
    assert_eq!(done["acknowledged"]["note"], "去现场");
    let again = json_of(station.post("/api/v1/alarms/A-1/acknowledge", &json!({})), 409).await;
    assert_eq!(again["type"], "urn:gridwarden:problem:already-acknowledged");
    assert!(again["detail"].as_str().unwrap().contains("desk"));
    let closed =
        json_of(station.post("/api/v1/alarms/A-1/resolve", &json!({ "disposition": "false_alarm" })), 200)
            .await;
    assert_eq!(
        (&closed["state"], &closed["resolved"]["disposition"]),
        (&json!("closed"), &json!("false_alarm"))
    );

    let detail = json_of(station.get("/api/v1/alarms/A-1"), 200).await;
    let history: Vec<_> =
        detail["history"].as_array().unwrap().iter().map(|entry| entry["what"].clone()).collect();
    assert_eq!(history, [json!("raised"), json!("acknowledged"), json!("resolved")]);
    assert_eq!(detail["history"][1]["who"], "desk");
    station.end().await.unwrap();
}

#[tokio::test]
async fn the_grid_is_shown_and_looking_at_people_is_recorded() {
    let station = Station::start().await.unwrap();
    station.report("HY-0001", &[(Metric::PRESSURE, 412.5), (Metric::TEMPERATURE, 8.0)]);
    let hydrant = station.world.load().registry.device_by_id("HY-0001").unwrap().ix;
    station.live.seen(hydrant, Seen { last: None, online: Some(true) });
    let device = json_of(station.get("/api/v1/devices/HY-0001"), 200).await;
    assert_eq!(device["values"][0]["metric"], "pressure");
    assert_eq!((&device["values"][0]["value"], &device["values"][0]["unit"]), (&json!(412.5), &json!("kPa")));
    assert_eq!(device["online"], true);
    for (query, expected) in [
        ("", vec!["SD-0001", "SD-0002", "HY-0001", "CAM-001"]),
        ("kind=smoke_detector,hydrant&limit=2", vec!["SD-0001", "SD-0002"]),
        ("kind=smoke_detector,hydrant&after=SD-0002", vec!["HY-0001"]),
        ("cell=XL-02", vec!["HY-0001", "CAM-001"]),
        ("online=true", vec!["HY-0001"]),
        ("online=false", vec![]),
    ] {
        let page = json_of(station.get(&format!("/api/v1/devices?{query}")), 200).await;
        assert_eq!(ids(&page), expected, "{query}");
    }
    let cells = json_of(station.get("/api/v1/cells?geometry=1"), 200).await;
    assert_eq!(cells["items"].as_array().unwrap().len(), 7);
    assert_eq!(cells["items"][3]["geometry"]["type"], "MultiPolygon");
    assert!(!cells.to_string().contains("138000"), "the list shows no telephone number");
    let cell = json_of(station.get("/api/v1/cells/XL-02-01"), 200).await;
    assert_eq!(cell["responsible"], json!({ "id": "zhao-qiang", "name": "赵强", "phone": "13800000002" }));
    assert_eq!((&cell["devices"], &cell["on_duty"]), (&json!(1), &json!([])));
    let people = json_of(station.get("/api/v1/people?limit=2"), 200).await;
    assert_eq!(ids(&people), ["wang-li", "zhao-qiang"]);
    assert_eq!(
        (&people["next"], &people["items"][0]["duties"][0]["role"]),
        (&json!("zhao-qiang"), &json!("lead"))
    );
    let rest = json_of(station.get("/api/v1/people?after=zhao-qiang"), 200).await;
    assert_eq!(ids(&rest), ["chen-jie"]);

    let mut looks: Vec<Audit> =
        station.store.audit(None, 100).await.unwrap().into_iter().map(|(_, line)| line).collect();
    looks.reverse();
    let told: Vec<_> =
        looks.iter().map(|line| (&*line.who, &*line.what, &*line.target, &*line.detail)).collect();
    assert_eq!(
        told,
        [
            ("desk", "people.read", "cell XL-02-01", "zhao-qiang"),
            ("desk", "people.read", "people", "wang-li zhao-qiang"),
            ("desk", "people.read", "people", "chen-jie"),
        ]
    );
    station.end().await.unwrap();
}

#[tokio::test]
async fn dead_letters_are_shown_newest_first() {
    let station = Station::start().await.unwrap();
    let letter = |number: u8| DeadLetter {
        received: station.clock.now().wall,
        source: "listener".into(),
        address: format!("topic/{number}"),
        reason: "The payload is not JSON; send an object.".into(),
        payload: vec![b'x', 0xff, number],
    };
    let dead = (0..5).map(letter).collect();
    station.store.commit(&Commit { dead, ..Commit::default() }).await.unwrap();
    let first = json_of(station.get("/api/v1/dead-letters?limit=3"), 200).await;
    assert_eq!(first["items"][0]["address"], "topic/4");
    assert_eq!(first["items"][0]["payload_bytes"], 3);
    assert!(first["items"][0]["payload_text"].as_str().unwrap().starts_with("x\u{fffd}"));
    let next = first["next"].as_str().unwrap();
    let rest = json_of(station.get(&format!("/api/v1/dead-letters?before={next}")), 200).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
    assert_eq!((&rest["items"][1]["address"], &rest["next"]), (&json!("topic/0"), &Json::Null));
    station.end().await.unwrap();
}

#[tokio::test]
async fn series_come_from_the_history() {
    let station = Station::start().await.unwrap();
    let empty = json_of(station.get("/api/v1/series?device=HY-0001&metric=pressure"), 200).await;
    assert_eq!((&empty["unit"], &empty["items"]), (&json!("kPa"), &json!([])));
    let now = station.clock.now();
    let reports = (0..100).map(|number| {
        let value = Value { metric: Metric::PRESSURE, value: f64::from(number), quality: Quality::Good };
        let received = gateway::units::Timestamp(now.wall.0 - i64::from(100 - number) * 1000);
        let device = DeviceIx(2);
        Event::Report(Report {
            device,
            received,
            device_time: None,
            freshness: Freshness::Live,
            values: vec![value],
        })
    });
    let batch = Batch { seq: 1, now, events: reports.collect() };
    station.store.commit(&Commit { batch: Some(batch), ..Commit::default() }).await.unwrap();
    let all = eventually("the history holds the batch", 10, || async {
        let answer = json_of(station.get("/api/v1/series?device=HY-0001&metric=pressure"), 200).await;
        (!answer["items"].as_array().unwrap().is_empty()).then_some(answer)
    })
    .await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 100);
    assert_eq!((&items[7]["mean"], &items[7]["count"]), (&json!(7.0), &json!(1)));
    let few = json_of(station.get("/api/v1/series?device=HY-0001&metric=pressure&points=10"), 200).await;
    let items = few["items"].as_array().unwrap();
    assert!(items.len() <= 10, "{}", items.len());
    assert_eq!(items.iter().map(|item| item["count"].as_u64().unwrap()).sum::<u64>(), 100);
    station.end().await.unwrap();
}
