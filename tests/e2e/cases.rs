//! Whose case an alarm is: a department sees what was handed to it and nothing else; whoever is called from elsewhere may answer.

use gateway::accounts::{Account, Role};
use reqwest::Method;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station, TOKEN};

async fn ask(
    station: &Station,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let mut request = station.client.request(method, format!("{}{path}", station.http)).bearer_auth(token);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
}

async fn listed(station: &Station, token: &str) -> Vec<String> {
    let (_, page) = ask(station, token, Method::GET, "/api/v1/alarms", None).await;
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// An account of a person, without cells of its own.
async fn account(site: &Site, name: &str, role: Role, person: &str) -> String {
    let now = gateway::clock::wall();
    let mut account = Account::new(name, role, now);
    account.person = Some(person.into());
    site.token_of(account, now).await
}

/// The fire of this detector.
async fn fire(station: &Station, device: &str) -> String {
    station.publish(device, &json!({ "values": { "smoke": true } })).await;
    eventually("the fire", 10, || async {
        let open = station.get(&format!("/api/v1/alarms?open=1&class=fire&device={device}")).await;
        open["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn a_department_sees_and_settles_its_cases_and_no_others() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let people = std::fs::read_to_string(site.file("people.csv")).unwrap();
    site.write("people.csv", &format!("{people}gas-works,燃气公司,10000000006,department,S1,2020-01-01,\n"));
    let station = site.start().await;
    let gas = account(&site, "gas", Role::Department, "gas-works").await;
    let (theirs, other) = (fire(&station, "SD-1").await, fire(&station, "SD-4").await);
    assert_eq!(listed(&station, &gas).await, Vec::<String>::new(), "nothing was handed to it yet");

    let follow = station.client.get(format!("{}/api/v1/events?after=0", station.http)).bearer_auth(&gas);
    let mut stream = follow.send().await.unwrap();
    let over = json!({ "role": "department", "reason": "smells of gas" });
    let (status, alarm) =
        ask(&station, TOKEN, Method::POST, &format!("/api/v1/alarms/{theirs}/hand_over"), Some(over)).await;
    assert_eq!((status, &alarm["owner"]["id"]), (200, &json!("gas-works")), "{alarm:#}");
    assert_eq!(listed(&station, &gas).await, [theirs.as_str()]);
    for path in ["", "/attachments"] {
        let (status, _) =
            ask(&station, &gas, Method::GET, &format!("/api/v1/alarms/{theirs}{path}"), None).await;
        assert_eq!(status, 200, "{path}");
        let (status, _) =
            ask(&station, &gas, Method::GET, &format!("/api/v1/alarms/{other}{path}"), None).await;
        assert_eq!(status, 404, "{path}");
    }
    for (deed, body) in [("acknowledge", json!({})), ("on_site", json!({}))] {
        let path = |alarm: &str| format!("/api/v1/alarms/{alarm}/{deed}");
        let (status, _) = ask(&station, &gas, Method::POST, &path(&other), Some(body.clone())).await;
        assert_eq!(status, 404, "{deed} on another's");
        let (status, answer) = ask(&station, &gas, Method::POST, &path(&theirs), Some(body)).await;
        assert_eq!(status, 200, "{deed}: {answer:#}");
    }
    let resolve = |alarm: &str| format!("/api/v1/alarms/{alarm}/resolve");
    let gone = json!({ "disposition": "hazard_removed", "note": "valve changed" });
    let (status, _) = ask(&station, &gas, Method::POST, &resolve(&other), Some(gone.clone())).await;
    assert_eq!(status, 404);
    let (status, answer) = ask(&station, &gas, Method::POST, &resolve(&theirs), Some(gone)).await;
    assert_eq!(status, 200, "{answer:#}");
    station.publish("SD-1", &json!({ "values": { "smoke": false } })).await;
    eventually("it is closed", 10, || async {
        let (_, one) = ask(&station, &gas, Method::GET, &format!("/api/v1/alarms/{theirs}"), None).await;
        (one["alarm"]["state"] == "closed").then_some(())
    })
    .await;
    assert_eq!(listed(&station, &gas).await, [theirs.as_str()], "what it did stays its case");
    let (status, _) = ask(&station, &gas, Method::GET, "/api/v1/devices/SD-1/explanation", None).await;
    assert_eq!(status, 404, "an explanation tells of more than a case");

    let mut text = String::new();
    while !text.contains("\"what\":\"closed\"") {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(
        text.contains("handed_over") && text.contains(&theirs) && !text.contains(&format!("\"{other}\""))
    );
    drop(stream);
    station.stop().await;
}

/// A response team over cells for a while, put together over the API: its members are called, see the alarm and answer it; before and after they do not.
#[tokio::test]
async fn a_team_member_answers_where_he_was_called() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    site.write(
        "rules.toml",
        &rules.replacen("who = [\"responsible\"]", "who = [\"responsible\", \"team\"]", 1),
    );
    let station = site.start().await;
    // Of the next cell.
    let zhang = account(&site, "zhang", Role::Worker, "zhang-wei").await;
    let before = fire(&station, "SD-1").await;
    let path = |alarm: &str| format!("/api/v1/alarms/{alarm}");
    assert_eq!(ask(&station, &zhang, Method::GET, &path(&before), None).await.0, 404);

    let team = |members: Value| json!({ "kind": "response", "members": members, "cells": ["S1-C1-G1"], "from": "2026-01-01" });
    let one = json!([{ "person": "zhang-wei", "part": "驾驶" }]);
    let (status, made) =
        ask(&station, TOKEN, Method::PUT, "/api/v1/teams/夜间应急", Some(team(one.clone()))).await;
    assert_eq!((status, &made["changed"]), (200, &json!(true)), "{made}");
    let (_, again) = ask(&station, TOKEN, Method::PUT, "/api/v1/teams/夜间应急", Some(team(one))).await;
    assert_eq!(again["changed"], false);
    let nobody = team(json!([{ "person": "nobody" }]));
    let (status, wrong) = ask(&station, TOKEN, Method::PUT, "/api/v1/teams/x", Some(nobody)).await;
    assert_eq!((status, &wrong["type"]), (422, &json!("urn:gridwarden:problem:unsound-roster")), "{wrong}");
    let (status, _) = ask(&station, &zhang, Method::PUT, "/api/v1/teams/mine", Some(team(json!([])))).await;
    assert_eq!(status, 403, "a worker puts no teams together");
    let teams = |count: usize| {
        let station = &station;
        eventually("the team is in force", 20, move || async move {
            let found = station.get("/api/v1/teams?cell=S1-C1-G1").await;
            (found["items"].as_array().unwrap().len() == count).then_some(())
        })
    };
    teams(1).await;
    let called = fire(&station, "SD-2").await;
    assert_eq!(listed(&station, &zhang).await, [called.as_str()], "he was called for this one");
    let (status, _) = ask(&station, &zhang, Method::GET, &path(&called), None).await;
    assert_eq!(status, 200);
    let acknowledge = |alarm: &str| format!("{}/acknowledge", path(alarm));
    assert_eq!(ask(&station, &zhang, Method::POST, &acknowledge(&before), Some(json!({}))).await.0, 404);
    let (status, answer) = ask(&station, &zhang, Method::POST, &acknowledge(&called), Some(json!({}))).await;
    assert_eq!((status, &answer["acknowledged"]["by"]), (200, &json!("zhang-wei")), "{answer:#}");

    let (status, _) = ask(&station, TOKEN, Method::DELETE, "/api/v1/teams/夜间应急", None).await;
    assert_eq!(status, 200);
    teams(0).await;
    assert_eq!(ask(&station, TOKEN, Method::DELETE, "/api/v1/teams/none", None).await.0, 404);
    let admin = account(&site, "li", Role::Administrator, "zhao-min").await;
    let (_, log) = ask(&station, &admin, Method::GET, "/api/v1/audit?what=team.", None).await;
    let lines: Vec<_> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["what"].clone(), line["target"].clone()))
        .collect();
    let target = json!("team 夜间应急");
    assert_eq!(lines, [(json!("team.end"), target.clone()), (json!("team.put"), target)]);
    station.stop().await;
}
