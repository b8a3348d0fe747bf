//! Drills and roll-calls over the whole gateway: from the API to the message, and back.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Delivery, Receiver, Site, Station};

const CELL: &str = "S1-C1-G1";

async fn told(receiver: &Receiver, what: &str, is: impl Fn(&Value) -> bool) -> Delivery {
    let found = || async { receiver.deliveries().into_iter().rfind(|delivery| is(&delivery.json)) };
    eventually(what, 20, found).await
}

async fn post(station: &Station, path: &str, body: Value) -> Value {
    let (status, answer) = station.post(path, &body).await;
    assert!(status.is_success(), "{path}: {status} {answer:#}");
    answer
}

#[tokio::test]
async fn a_drill_is_told_as_a_drill_also_after_a_restart_and_ends_when_it_burns() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let station = site.start().await;
    let drill = post(&station, "/api/v1/drills", json!({ "cell": "S1-C1", "note": "3 栋" })).await;
    assert_eq!(
        (&drill["class"], &drill["rule"], &drill["drill"]),
        (&json!("test"), &json!("drill"), &json!(true))
    );
    let first = told(&receiver, "the drill", |json| json["alarm"]["id"] == drill["id"]).await;
    assert!(first.json["alarm"]["text"].as_str().unwrap().starts_with("【演练】[DRILL]"), "{:#}", first.json);
    assert_eq!(first.json["alarm"]["exercise"]["plays"], "fire");
    assert_eq!(first.json["alert"]["person"]["id"], "chen-jie", "the ladder of a fire in that cell");
    let (status, refused) = station.post("/api/v1/drills", &json!({ "cell": CELL })).await;
    assert_eq!(
        (status, &refused["type"]),
        (StatusCode::CONFLICT, &json!("urn:gridwarden:problem:drill-goes-on"))
    );
    station.stop().await;

    let station = site.start().await;
    let id = drill["id"].as_str().unwrap();
    let listed = station.get("/api/v1/alarms?open=1").await;
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["drill"]), (&drill["id"], &json!(true)));
    for deed in ["acknowledge", "on_site"] {
        post(&station, &format!("/api/v1/alarms/{id}/{deed}"), json!({})).await;
    }
    let fire = json!({ "cell": CELL, "class": "fire", "text": "地下室有烟" });
    let fire = post(&station, "/api/v1/alarms", fire).await;
    let over = told(&receiver, "the end of the drill", |json| json["alert"]["step"] == u32::MAX).await;
    let text = over.json["alarm"]["text"].as_str().unwrap();
    assert!(text.starts_with("【演练】[DRILL] 演练中止") && text.contains("地下室有烟"), "{text}");
    assert_eq!(over.json["alarm"]["exercise"]["ended_by"], fire["id"]);
    assert_eq!(over.json["alert"]["person"]["id"], "chen-jie");

    let results = station.get("/api/v1/drills?cell=S1").await;
    let result = &results["items"][0];
    assert_eq!(
        (&result["alarm"]["id"], &result["alarm"]["open"]),
        (&drill["id"], &json!(false)),
        "{results:#}"
    );
    assert!(result["to_acknowledge_s"].as_f64() <= result["to_arrive_s"].as_f64(), "{results:#}");
    assert_eq!(result["people"][0]["person"]["id"], "chen-jie");
    assert!(result["people"][0]["to_acknowledge_s"].is_null(), "the duty desk did, not she");
    let tallies = station.get("/api/v1/tallies").await;
    assert!(!tallies.to_string().contains("\"drill\""), "{tallies:#}");
    let indicators = station.get("/api/v1/indicators").await;
    assert_eq!(indicators["all"]["alarms"], 1, "the fire alone");
    station.stop().await;
}

#[tokio::test]
async fn a_roll_call_asks_everybody_below_and_lists_who_answered() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let ladder = "[[ladder]]\nname = \"roll-call\"\nstep = [{ after_s = 0, who = [\"lead\"], channels = [\"duty\"] }]\n";
    site.write("rules.toml", &format!("{rules}\n{ladder}"));
    let station = site.start().await;
    let call = post(&station, "/api/v1/roll-calls", json!({ "cell": "S1-C1" })).await;
    let people = call["people"].as_array().unwrap();
    let asked: Vec<_> = people.iter().map(|one| one["person"]["id"].as_str().unwrap()).collect();
    assert_eq!(asked, ["chen-jie", "wang-li", "zhang-wei"], "each once, not who stands above");
    for one in people {
        let told = told(&receiver, "the question", |json| json["alarm"]["id"] == one["alarm"]).await;
        assert_eq!(
            (&told.json["alert"]["person"]["id"], &told.json["alarm"]["drill"]),
            (&one["person"]["id"], &json!(false))
        );
        assert!(
            told.json["alarm"]["text"].as_str().unwrap().starts_with("【查岗】[ROLL CALL]"),
            "{:#}",
            told.json
        );
    }
    let alarm = people[0]["alarm"].as_str().unwrap();
    let answered = post(&station, &format!("/api/v1/alarms/{alarm}/acknowledge"), json!({})).await;
    assert_eq!(answered["open"], false, "the answer is the end");
    let (status, refused) = station.post("/api/v1/roll-calls", &json!({ "persons": ["wang-li"] })).await;
    assert_eq!(
        (status, &refused["type"]),
        (StatusCode::CONFLICT, &json!("urn:gridwarden:problem:nobody-to-ask"))
    );

    let calls = station.get("/api/v1/roll-calls").await;
    assert_eq!(calls["items"].as_array().unwrap().len(), 1, "{calls:#}");
    let came_to: Vec<_> = calls["items"][0]["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["came_to"].as_str().unwrap())
        .collect();
    assert_eq!(came_to, ["answered_by_another", "waiting", "waiting"], "{calls:#}");
    station.stop().await;
}
