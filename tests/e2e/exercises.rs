//! Drills and roll-calls over the whole gateway: from the API to the message, and back.

use axum::http::StatusCode;
use gateway::drill_command::{self, DrillArgs, DrillCommand};
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

    let again = post(&station, "/api/v1/roll-calls", json!({ "persons": ["chen-jie"] })).await;
    let newest = station.get("/api/v1/roll-calls?limit=1").await;
    assert_eq!((&newest["items"][0]["id"], &newest["next"]), (&again["id"], &again["id"]), "{newest:#}");
    let next = newest["next"].as_str().unwrap();
    let older = station.get(&format!("/api/v1/roll-calls?limit=1&before={next}")).await;
    assert_eq!((&older["items"], &older["next"]), (&calls["items"], &Value::Null), "{older:#}");

    let practice = station.get("/api/v1/practice?cell=S1").await;
    let people = practice["people"].as_array().unwrap();
    let of =
        |id: &str| people.iter().find(|one| one["person"]["id"] == id).unwrap()["all"]["roll_calls"].clone();
    assert_eq!((people.len(), &practice["cut"]), (3, &json!(false)), "{practice:#}");
    assert_eq!((&of("chen-jie")["asked"], &of("chen-jie")["answered_by_another"]), (&json!(2), &json!(1)));
    assert_eq!((&of("wang-li")["asked"], &of("wang-li")["to_answer"]["count"]), (&json!(1), &json!(0)));
    assert_eq!(people[0]["months"].as_array().unwrap().len(), 1, "{practice:#}");
    let nobody = station.get("/api/v1/practice?person=nobody").await;
    assert_eq!(nobody["people"], json!([]));
    station.stop().await;
}

#[tokio::test]
async fn the_command_begins_a_drill_and_follows_it() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let station = site.start().await;
    let config = site.file("station.toml");
    let loaded = gateway::config::load(&config).unwrap();
    let url = Some(station.http.clone());
    let asked = |command| DrillArgs {
        command,
        config: config.clone(),
        url: url.clone(),
        token: None,
        token_file: None,
    };
    let begin = asked(DrillCommand::Begin {
        cell: CELL.into(),
        kind: "fire".into(),
        note: Some("3 栋".into()),
        no_follow: false,
    });
    let mut said = Vec::new();
    let people = async {
        let began = || async { station.get("/api/v1/drills").await["items"].get(0).cloned() };
        let drill = eventually("the drill", 20, began).await;
        let id = drill["alarm"]["id"].as_str().unwrap();
        for (deed, body) in [
            ("acknowledge", json!({})),
            ("on_site", json!({})),
            ("resolve", json!({ "disposition": "test" })),
        ] {
            post(&station, &format!("/api/v1/alarms/{id}/{deed}"), body).await;
        }
    };
    let (answered, ()) = tokio::join!(drill_command::run(&loaded, &begin, &mut said), people);
    let text = String::from_utf8(said).unwrap();
    assert!(answered.unwrap(), "{text}");
    for words in ["【演练】[DRILL]", "3 栋", "was called by duty", "the drill is over: acknowledged after 0."]
    {
        assert!(text.contains(words), "`{words}` is missing in\n{text}");
    }

    let mut said = Vec::new();
    let results = asked(DrillCommand::Results { cell: None, person: None });
    assert!(drill_command::run(&loaded, &results, &mut said).await.unwrap());
    let text = String::from_utf8(said).unwrap();
    assert_eq!(
        text.matches(": called by 1 drills, acknowledged 0, on site 0").count(),
        2,
        "all and its month: {text}"
    );

    let nowhere = asked(DrillCommand::Begin {
        cell: "nowhere".into(),
        kind: "fire".into(),
        note: None,
        no_follow: true,
    });
    let refused = drill_command::run(&loaded, &nowhere, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(refused.contains("there is no cell `nowhere`"), "{refused}");
    station.stop().await;
}
