//! The station learns, with the real program: verdicts → a proposal with its replayed effect → accepted by a person → other rules → other behaviour. And what residents say.

use axum::http::StatusCode;
use gateway::accounts::{Account, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Site, Station, program};
use tokio::process::Command;

const SUPERVISOR: &str = "the-supervisor-s-token";

fn site() -> Site {
    let site = Site::new("[[http.token]]\nname = \"supervisor\"\nsecret = { file = \"supervisor\" }\n");
    site.write("supervisor", SUPERVISOR);
    site
}

/// An administrator's token: only people may change what is an alarm.
async fn administrator(site: &Site) -> String {
    let now = gateway::clock::wall();
    site.token_of(Account::new("li", Role::Administrator, now), now).await
}

async fn ask(
    station: &Station,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, Value) {
    let mut request = station.client.request(method, format!("{}{path}", station.http));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

/// One episode of low pressure that the duty officer answers; closed when the pressure is back.
async fn low_pressure(station: &Station, kilopascal: f64) -> String {
    station.publish("HY-1", &json!({ "values": { "pressure": kilopascal } })).await;
    let alarm = eventually("the alarm", 10, || async {
        let open = station.get("/api/v1/alarms?open=1&device=HY-1").await;
        open["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let (status, _) = station.post(&format!("/api/v1/alarms/{alarm}/acknowledge"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    station.publish("HY-1", &json!({ "values": { "pressure": 210.0 } })).await;
    eventually("its end", 10, || async {
        let one = station.get(&format!("/api/v1/alarms/{alarm}")).await;
        (one["alarm"]["state"] == "closed").then_some(())
    })
    .await;
    alarm
}

async fn judge(station: &Station, alarm: &str, verdict: &str) {
    let path = format!("/api/v1/alarms/{alarm}/evaluate");
    let body = Some(json!({ "verdict": verdict }));
    let (status, judged) = ask(station, Some(SUPERVISOR), Method::POST, &path, body).await;
    assert_eq!((status, &judged["evaluated"]["verdict"]), (StatusCode::OK, &json!(verdict)), "{judged:#}");
    assert_eq!(judged["state"], "closed");
}

async fn replay(site: &Site, rules: &str) -> (bool, String) {
    site.write("tried.toml", rules);
    let output = Command::new(program("gridwarden"))
        .args(["replay", "-c"])
        .arg(site.file("station.toml"))
        .arg("--rules")
        .arg(site.file("tried.toml"))
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn verdicts_lead_to_a_proposal_and_an_accepted_one_to_other_behaviour() {
    let site = site();
    let station = site.start().await;
    let admin = administrator(&site).await;
    for kilopascal in [138.0, 137.0, 136.0, 138.0] {
        let alarm = low_pressure(&station, kilopascal).await;
        judge(&station, &alarm, "false").await;
    }
    let real = low_pressure(&station, 60.0).await;
    judge(&station, &real, "false").await;
    judge(&station, &real, "true").await; // A later verdict takes the place of an earlier one, in the counters too.
    let counts = station.get("/api/v1/tallies?by=rule").await;
    let counts = &counts["items"][0];
    assert_eq!(counts["rule"], "low-pressure");
    assert_eq!(
        (&counts["counts"]["raised"], &counts["counts"]["false"], &counts["counts"]["real"]),
        (&json!(5), &json!(4), &json!(1))
    );
    assert_eq!(counts["counts"]["unsaid"], 0, "{counts:#}");
    for by in ["cell", "device"] {
        let same = station.get(&format!("/api/v1/tallies?by={by}")).await;
        assert_eq!(same["items"][0]["counts"], counts["counts"], "{by}: {same:#}");
    }

    let (status, refused) =
        ask(&station, Some(tests::site::TOKEN), Method::POST, "/api/v1/proposals", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{refused:#}");
    let (status, _) = ask(&station, Some(&admin), Method::POST, "/api/v1/proposals", None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let proposal = eventually("the proposal", 20, || async {
        let open = station.get("/api/v1/proposals?state=open").await;
        let all = open["items"].as_array()?.clone();
        all.into_iter().find(|one| one["change"]["kind"] == "threshold")
    })
    .await;
    assert_eq!(
        (&proposal["change"]["from"], &proposal["change"]["to"]),
        (&json!(140.0), &json!(137.0)),
        "{proposal:#}"
    );
    let effect = &proposal["effect"];
    assert_eq!((&effect["real_gone"], &effect["fires_missed"]), (&json!(0), &json!(0)));
    assert_eq!(effect["wolf_gone"], 3, "two of 138 kPa, one of 137: {effect:#}");

    let path = format!("/api/v1/proposals/{}", proposal["number"]);
    let before = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let because = Some(json!({ "reason": "the main has 136 kPa at noon" }));
    let (status, accepted) =
        ask(&station, Some(&admin), Method::POST, &format!("{path}/accept"), because.clone()).await;
    assert_eq!((status, &accepted["state"]), (StatusCode::OK, &json!("accepted")), "{accepted:#}");
    assert_eq!(
        std::fs::read_to_string(site.file("rules.toml")).unwrap(),
        before.replace("below = 140.0", "below = 137.0")
    );
    let kept = site.file(&format!("rules.before-proposal-{}.toml", proposal["number"]));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), before, "the old file is kept");
    eventually("the rules are in force", 20, || async {
        let all = station.get("/api/v1/proposals?state=accepted").await;
        (all["items"][0]["in_force"] == true).then_some(())
    })
    .await;
    let (status, twice) = ask(&station, Some(&admin), Method::POST, &format!("{path}/accept"), because).await;
    assert_eq!(
        (status, &twice["type"]),
        (StatusCode::CONFLICT, &json!("urn:gridwarden:problem:already-decided"))
    );
    let (_, log) = ask(&station, Some(&admin), Method::GET, "/api/v1/audit?what=proposal.", None).await;
    assert_eq!(
        (&log["items"][0]["what"], &log["items"][0]["who"]),
        (&json!("proposal.accept"), &json!("li")),
        "{log:#}"
    );

    // What cried wolf before calls nobody now; what is worse does.
    station.publish("HY-1", &json!({ "values": { "pressure": 138.0 } })).await;
    station.publish("HY-1", &json!({ "values": { "pressure": 210.0 } })).await;
    low_pressure(&station, 100.0).await;
    let all = station.get("/api/v1/alarms?device=HY-1").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 6, "138 kPa raised none: {all:#}");
    station.stop().await;
}

/// Four alarms for nothing and a real one, judged; and what the station makes of it.
async fn threshold_proposal(station: &Station, admin: &str) -> Value {
    for (kilopascal, verdict) in
        [(138.0, "false"), (137.0, "false"), (136.0, "false"), (138.0, "false"), (60.0, "true")]
    {
        let alarm = low_pressure(station, kilopascal).await;
        judge(station, &alarm, verdict).await;
    }
    look(station, admin, "threshold").await
}

/// Asks for a look, and waits for a proposal of this kind.
async fn look(station: &Station, admin: &str, kind: &str) -> Value {
    let (status, _) = ask(station, Some(admin), Method::POST, "/api/v1/proposals", None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    eventually("the proposal", 20, || async {
        let open = station.get("/api/v1/proposals?state=open").await;
        let all = open["items"].as_array()?.clone();
        all.into_iter().find(|one| one["change"]["kind"] == kind)
    })
    .await
}

#[tokio::test]
async fn what_was_refused_is_not_offered_again_and_a_bad_device_becomes_a_case() {
    let site = site();
    let station = site.start().await;
    let admin = administrator(&site).await;
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let proposal = threshold_proposal(&station, &admin).await;
    let path = |number: &Value, what: &str| format!("/api/v1/proposals/{number}/{what}");
    let refuse = path(&proposal["number"], "refuse");
    let (status, answer) =
        ask(&station, Some(&admin), Method::POST, &refuse, Some(json!({ "reason": " " }))).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "a reason is needed: {answer:#}");
    let because = Some(json!({ "reason": "the pump is mended on Friday" }));
    let (status, refused) = ask(&station, Some(&admin), Method::POST, &refuse, because.clone()).await;
    assert_eq!((status, &refused["state"]), (StatusCode::OK, &json!("refused")), "{refused:#}");
    assert_eq!(refused["reason"], "the pump is mended on Friday", "{refused:#}");
    let (status, _) =
        ask(&station, Some(&admin), Method::POST, &path(&proposal["number"], "accept"), because.clone())
            .await;
    assert_eq!(status, StatusCode::CONFLICT, "decided is decided");
    assert_eq!(std::fs::read_to_string(site.file("rules.toml")).unwrap(), rules, "nothing has changed");

    // A detector that cries wolf three times: to be exchanged, and fire is never made less sensitive.
    for _ in 0..3 {
        station.publish("SD-1", &json!({ "values": { "smoke": true } })).await;
        let alarm = eventually("the fire", 10, || async {
            let open = station.get("/api/v1/alarms?open=1&device=SD-1").await;
            open["items"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        station.post(&format!("/api/v1/alarms/{alarm}/acknowledge"), &json!({})).await;
        let resolution = json!({ "disposition": "false_alarm", "cause": "dust" });
        station.post(&format!("/api/v1/alarms/{alarm}/resolve"), &resolution).await;
        station.publish("SD-1", &json!({ "values": { "smoke": false } })).await;
        eventually("its end", 10, || async {
            let one = station.get(&format!("/api/v1/alarms/{alarm}")).await;
            (one["alarm"]["state"] == "closed").then_some(())
        })
        .await;
    }
    let exchange = look(&station, &admin, "exchange").await;
    assert_eq!(exchange["change"]["device"], "SD-1", "{exchange:#}");
    let open = station.get("/api/v1/proposals?state=open").await;
    assert_eq!(open["items"].as_array().unwrap().len(), 1, "the refused one is not offered again: {open:#}");
    let accept = path(&exchange["number"], "accept");
    let (status, accepted) = ask(&station, Some(&admin), Method::POST, &accept, because).await;
    assert_eq!((status, &accepted["state"]), (StatusCode::OK, &json!("accepted")), "{accepted:#}");
    let case = station.get("/api/v1/alarms?open=1&device=SD-1").await["items"][0].clone();
    assert_eq!((&case["rule"], &case["owner"]["id"]), (&json!("manual"), &json!("wang-li")), "{case:#}");
    assert!(case["text"].as_str().unwrap().contains("exchange the device SD-1"), "{case:#}");
    assert_eq!(
        std::fs::read_to_string(site.file("rules.toml")).unwrap(),
        rules,
        "an exchange changes no rule"
    );
    station.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_leaves_the_proposal_open() {
    let site = site();
    let station = site.start().await;
    let admin = administrator(&site).await;
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let proposal = threshold_proposal(&station, &admin).await;
    let accept = format!("/api/v1/proposals/{}/accept", proposal["number"]);
    let because = Some(json!({ "reason": "the main has 136 kPa at noon" }));
    // Stands where the new text is written first; a folder that is read-only does not stop root.
    std::fs::create_dir(site.file("rules.new")).unwrap();
    let (status, refused) = ask(&station, Some(&admin), Method::POST, &accept, because.clone()).await;
    assert_eq!(
        (status, &refused["type"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("urn:gridwarden:problem:rules-not-writable")),
        "{refused:#}"
    );
    assert!(
        refused["detail"].as_str().unwrap().contains("the limit from 140 to 137"),
        "by hand then: {refused:#}"
    );
    assert_eq!(std::fs::read_to_string(site.file("rules.toml")).unwrap(), rules);
    let open = station.get("/api/v1/proposals?state=open").await;
    assert_eq!(open["items"][0]["number"], proposal["number"], "it can be decided again: {open:#}");
    let (_, log) = ask(&station, Some(&admin), Method::GET, "/api/v1/audit?what=proposal.", None).await;
    assert_eq!(log["items"][0]["what"], "proposal.not_made", "{log:#}");

    std::fs::remove_dir(site.file("rules.new")).unwrap();
    let (status, accepted) = ask(&station, Some(&admin), Method::POST, &accept, because).await;
    assert_eq!((status, &accepted["state"]), (StatusCode::OK, &json!("accepted")), "{accepted:#}");
    let changed = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    assert_eq!(changed, rules.replace("below = 140.0", "below = 137.0"));
    station.stop().await;
}

#[tokio::test]
async fn a_replay_shouts_a_fire_that_other_rules_would_miss() {
    let site = site();
    let station = site.start().await;
    station.publish("SD-1", &json!({ "values": { "smoke": true } })).await;
    low_pressure(&station, 130.0).await;
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let (good, text) = replay(&site, &rules).await;
    assert!(good && text.contains("exactly the 2 alarms that were"), "{text}");
    assert!(text.contains("2 the same, 0 gone"), "{text}");
    let (good, text) = replay(&site, &rules.replace("flag = \"smoke\"", "flag = \"heat_alarm\"")).await;
    assert!(!good && text.starts_with("!!! FIRE: 1 would be MISSED"), "{text}");
    assert!(text.contains("fire smoke") && text.contains("A-1"), "{text}");
    let (good, text) = replay(&site, &rules.replace("below = 140.0", "below = 120.0")).await;
    assert!(good && text.contains("1 gone"), "{text}");
    let (good, text) = replay(&site, &rules.replace("metric = \"pressure\"", "metric = \"presure\"")).await;
    assert!(!good && text.contains("tried.toml:") && text.contains("pressure"), "{text}");
    station.stop().await;
}

#[tokio::test]
async fn a_resident_rates_once_by_a_link_that_tells_nothing_personal() {
    let site = site();
    let station = site.start().await;
    station.publish("HY-1", &json!({ "values": { "pressure": 130.0 } })).await;
    let path = "/api/v1/alarms/A-1/rating_link";
    let open = eventually("the alarm", 10, || async {
        let (status, answer) = station.post(path, &json!({})).await;
        (status != StatusCode::NOT_FOUND).then_some((status, answer))
    })
    .await;
    assert_eq!(
        (open.0, &open.1["type"]),
        (StatusCode::CONFLICT, &json!("urn:gridwarden:problem:not-closed"))
    );
    station.post("/api/v1/alarms/A-1/on_site", &json!({})).await;
    station.publish("HY-1", &json!({ "values": { "pressure": 210.0 } })).await;
    let link = eventually("the link", 10, || async {
        let (status, link) = station.post(path, &json!({})).await;
        (status == StatusCode::CREATED).then_some(link)
    })
    .await;
    let link = link["path"].as_str().unwrap();
    let (status, shown) = ask(&station, None, Method::GET, link, None).await;
    assert_eq!(
        (status, &shown["class"], &shown["given"]),
        (StatusCode::OK, &json!("supervisory"), &json!(false))
    );
    assert!(shown["arrived_after_s"].is_number() && !shown.to_string().contains("HY-1"), "{shown}");
    for (body, expected) in [
        (json!({ "stars": 6 }), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "stars": 4, "comment": "quick" }), StatusCode::NO_CONTENT),
        (json!({ "stars": 1 }), StatusCode::CONFLICT),
    ] {
        let (status, answer) = ask(&station, None, Method::POST, link, Some(body)).await;
        assert_eq!(status, expected, "{answer}");
    }
    let detail = station.get("/api/v1/alarms/A-1").await;
    assert_eq!(
        (&detail["ratings"][0]["stars"], &detail["ratings"][0]["comment"]),
        (&json!(4), &json!("quick"))
    );

    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = ask(&station, None, Method::GET, "/api/v1/ratings/GUESS", None).await.0;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS, "guessing waits longer and longer");
    station.stop().await;
}
