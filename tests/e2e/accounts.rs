//! Getting in and out: the first administrator, invitations, sessions, tokens, second factor, and the commands at the console.

use gateway::account_command;
use gateway::accounts::{base32, totp};
use serde_json::{Value as Json, json};
use tests::running::{Running, fix_ports};
use tests::site::{Site, program};
use tests::station::Station;

const PASSWORD: &str = "four words and a half";

/// Somebody at a browser: keeps the cookie and says where its page is from.
struct Visitor<'a> {
    station: &'a Station,
    cookie: Option<String>,
}

impl<'a> Visitor<'a> {
    fn at(station: &'a Station) -> Self {
        Self { station, cookie: None }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.station.url);
        let mut request = self.station.client.request(method.parse().unwrap(), url);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        request
    }

    async fn ask(&mut self, method: &str, path: &str, body: Json) -> (u16, Json) {
        let request = self.request(method, path).header("origin", &self.station.url);
        let answer = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
        if let Some(cookie) = answer.headers().get("set-cookie") {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("HttpOnly; SameSite=Strict; Path=/"), "{text}");
            let pair = text.split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Json::Null))
    }

    async fn log_in(&mut self, name: &str, password: &str) -> (u16, Json) {
        self.ask("POST", "/api/v1/session", json!({ "name": name, "password": password })).await
    }
}

/// An administrator who has chosen his password.
async fn administrator(station: &Station) -> Visitor<'_> {
    let text = account_command::first(&station.store).await.unwrap().expect("a first account");
    assert_eq!(account_command::first(&station.store).await.unwrap(), None, "only once");
    let once = text.split("one-time password ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let mut admin = Visitor::at(station);
    let (status, me) = admin.log_in("admin", &once).await;
    assert_eq!((status, &me["must_change"]), (200, &json!(true)), "{me}");
    let (status, problem) = admin.ask("GET", "/api/v1/accounts", Json::Null).await;
    assert_eq!((status, &problem["type"]), (403, &json!("urn:gridwarden:problem:change-password")));
    let (status, problem) = admin
        .ask("PUT", "/api/v1/session/password", json!({ "old": "something else", "new": PASSWORD }))
        .await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("old")));
    let (status, _) =
        admin.ask("PUT", "/api/v1/session/password", json!({ "old": once, "new": "short" })).await;
    assert_eq!(status, 422);
    let (status, _) =
        admin.ask("PUT", "/api/v1/session/password", json!({ "old": once, "new": PASSWORD })).await;
    assert_eq!(status, 204);
    let (status, _) = admin.ask("GET", "/api/v1/accounts", Json::Null).await;
    assert_eq!(status, 200);
    let (status, _) = Visitor::at(station).log_in("admin", &once).await;
    assert_eq!(status, 401, "the one-time password was for one time");
    admin
}

#[tokio::test]
async fn a_worker_is_invited_and_in_at_once() {
    let station = Station::start().await.unwrap();
    let mut admin = administrator(&station).await;
    let worker = json!({ "name": "wang-li", "person": "wang-li", "roles": ["worker"] });
    assert_eq!(admin.ask("POST", "/api/v1/accounts", worker.clone()).await.0, 201);
    for (body, status) in [
        (worker, 409),
        (json!({ "name": "chen-jie", "roles": ["viewer"] }), 422), // Another's id.
        (json!({ "name": "desk", "roles": ["viewer"] }), 422),     // A token's name.
        (json!({ "name": "x", "person": "nobody", "roles": ["viewer"] }), 422),
        (json!({ "name": "x", "roles": ["viewer"], "cells": ["Moon"] }), 422),
        (json!({ "name": "x", "roles": [] }), 422),
        (json!({ "name": "x", "roles": ["king"] }), 422),
    ] {
        assert_eq!(admin.ask("POST", "/api/v1/accounts", body.clone()).await.0, status, "{body}");
    }
    let (status, invitation) = admin.ask("POST", "/api/v1/accounts/wang-li/invitation", Json::Null).await;
    assert_eq!(status, 201, "{invitation}");
    assert!(invitation["qr_svg"].as_str().unwrap().starts_with("<svg "));
    let link = invitation["link"].as_str().unwrap();
    let secret = link.strip_prefix(&format!("{}/#invite=", station.url)).unwrap();

    // The secret is no session and no token.
    for header in [("cookie", format!("gridwarden={secret}")), ("authorization", format!("Bearer {secret}"))]
    {
        let asked = Visitor::at(&station).request("GET", "/api/v1/alarms").header(header.0, header.1);
        assert_eq!(asked.send().await.unwrap().status(), 401);
    }
    let mut worker = Visitor::at(&station);
    let accept = json!({ "secret": secret, "password": PASSWORD });
    let (status, me) = worker.ask("POST", "/api/v1/session/invited", accept.clone()).await;
    assert_eq!(
        (status, &me["person"]["name"], &me["roles"]),
        (200, &json!("王丽"), &json!(["worker"])),
        "{me}"
    );
    assert_eq!(worker.ask("GET", "/api/v1/alarms", Json::Null).await.0, 200);
    assert_eq!(worker.ask("GET", "/api/v1/accounts", Json::Null).await.0, 403);
    assert_eq!(Visitor::at(&station).ask("POST", "/api/v1/session/invited", accept).await.0, 410, "once");
    assert_eq!(Visitor::at(&station).log_in("wang-li", PASSWORD).await.0, 200);

    // What she does is done by the person.
    station.raise(gateway::model::SignalClass::Fire, "SD-0001", "fire").await.unwrap();
    let (status, alarm) = worker.ask("POST", "/api/v1/alarms/A-1/acknowledge", Json::Null).await;
    assert_eq!((status, &alarm["acknowledged"]["by"]), (200, &json!("wang-li")));
    let (_, page) = admin.ask("GET", "/api/v1/audit?who=wang-li", Json::Null).await;
    let whats: Vec<_> = page["items"].as_array().unwrap().iter().map(|line| line["what"].clone()).collect();
    assert_eq!(whats, ["alarm.acknowledged", "session.begin", "invitation.accept"]);

    // Disabled: out at once, and the last administrator stays.
    assert_eq!(admin.ask("PATCH", "/api/v1/accounts/wang-li", json!({ "disabled": true })).await.0, 200);
    assert_eq!(worker.ask("GET", "/api/v1/alarms", Json::Null).await.0, 401);
    assert_eq!(Visitor::at(&station).log_in("wang-li", PASSWORD).await.0, 401);
    let (status, problem) =
        admin.ask("PATCH", "/api/v1/accounts/admin", json!({ "roles": ["viewer"] })).await;
    assert_eq!((status, &problem["type"]), (409, &json!("urn:gridwarden:problem:last-administrator")));
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_refused_log_in_tells_nothing_and_many_have_to_wait() {
    let station = Station::start().await.unwrap();
    let admin = administrator(&station).await;
    let mut stranger = Visitor::at(&station);
    // From another address than the administrator's, whose own tries are counted apart.
    let from = |address: &str, name: &str| {
        let request = stranger.request("POST", "/api/v1/session").header("x-forwarded-for", address);
        request.json(&json!({ "name": name, "password": "not the password" }))
    };
    let mut answers = Vec::new();
    for name in ["admin", "nobody"] {
        for n in 0..6 {
            let answer = from(&format!("192.0.2.{n}"), name).send().await.unwrap();
            let (status, mut problem) = (answer.status().as_u16(), answer.json::<Json>().await.unwrap());
            assert_eq!(problem["instance"].take(), "/api/v1/session");
            answers.push((status, problem));
        }
    }
    assert_eq!(answers[..6], answers[6..], "known or not, it is answered the same");
    assert!(answers[..5].iter().all(|(status, _)| *status == 401));
    assert_eq!((answers[5].0, &answers[5].1["type"]), (429, &json!("urn:gridwarden:problem:too-many-tries")));
    assert_eq!(stranger.log_in("admin", PASSWORD).await.0, 200, "from where he came in before");
    let lines = station.store.audit(None, 100).await.unwrap();
    let refused =
        lines.iter().filter(|(_, line)| line.what == "session.refused" && line.target == "account nobody");
    assert_eq!(refused.count(), 5);
    drop(admin);
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_cookie_counts_only_from_the_own_page() {
    let station = Station::start().await.unwrap();
    let mut admin = administrator(&station).await;
    let add = |visitor: &Visitor<'_>, n: u32| {
        let body = json!({ "name": format!("viewer{n}"), "roles": ["viewer"] });
        visitor.request("POST", "/api/v1/accounts").json(&body)
    };
    for (n, (name, value, status)) in [
        ("x-nothing", "", 403),
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 201),
        ("origin", station.url.as_str(), 201),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = add(&admin, n as u32).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), status, "{name}: {value}");
    }
    assert_eq!(station.store.accounts().await.unwrap().len(), 3, "what was refused was not done");
    let foreign = admin.request("POST", "/api/v1/session").header("origin", "http://evil.example");
    let body = json!({ "name": "admin", "password": PASSWORD });
    assert_eq!(foreign.json(&body).send().await.unwrap().status(), 403, "nor may it log somebody in");

    // A second session, ended from the first; then out.
    let mut second = Visitor::at(&station);
    second.log_in("admin", PASSWORD).await;
    let (_, list) = admin.ask("GET", "/api/v1/session/passes", Json::Null).await;
    let passes = list["items"].as_array().unwrap();
    assert_eq!(passes.len(), 2);
    let other = passes.iter().find(|pass| pass["this"] == false).unwrap()["number"].clone();
    assert_eq!(admin.ask("DELETE", &format!("/api/v1/session/passes/{other}"), Json::Null).await.0, 204);
    assert_eq!(second.ask("GET", "/api/v1/session", Json::Null).await.0, 401);
    let cookie = admin.cookie.clone();
    assert_eq!(admin.ask("DELETE", "/api/v1/session", Json::Null).await.0, 204);
    assert_eq!(admin.cookie, None, "the browser forgets it");
    admin.cookie = cookie;
    assert_eq!(admin.ask("GET", "/api/v1/session", Json::Null).await.0, 401, "and so does the station");
    station.end().await.unwrap();
}

#[tokio::test]
async fn personal_tokens_and_a_second_factor() {
    let station = Station::start().await.unwrap();
    let mut admin = administrator(&station).await;
    let (status, made) =
        admin.ask("POST", "/api/v1/session/tokens", json!({ "label": "board", "days": 30 })).await;
    assert_eq!(status, 201, "{made}");
    let token = made["token"].as_str().unwrap();
    let by_token = |method: &str, path: &str| Visitor::at(&station).request(method, path).bearer_auth(token);
    assert_eq!(by_token("GET", "/api/v1/accounts").send().await.unwrap().status(), 200);
    let more = by_token("POST", "/api/v1/session/tokens").json(&json!({ "label": "more", "days": 1 }));
    assert_eq!(more.send().await.unwrap().status(), 403, "a token makes no tokens");
    assert_eq!(
        admin.ask("POST", "/api/v1/session/tokens", json!({ "label": "x", "days": 367 })).await.0,
        422
    );
    let place = format!("/api/v1/session/passes/{}", made["number"]);
    assert_eq!(admin.ask("DELETE", &place, Json::Null).await.0, 204);
    assert_eq!(by_token("GET", "/api/v1/accounts").send().await.unwrap().status(), 401);

    let (_, offer) = admin.ask("POST", "/api/v1/session/totp", Json::Null).await;
    let secret = offer["secret"].as_str().unwrap();
    assert!(offer["uri"].as_str().unwrap().contains(secret));
    let shown = |ahead: u64| {
        let step = totp::step_at(station.clock.now().wall) + ahead;
        format!("{:06}", totp::code(&base32::decode(secret).unwrap(), step, 6))
    };
    let wrong = json!({ "password": PASSWORD, "secret": secret, "code": "000" });
    assert_eq!(admin.ask("PUT", "/api/v1/session/totp", wrong).await.0, 422);
    let right = json!({ "password": PASSWORD, "secret": secret, "code": shown(0) });
    assert_eq!(admin.ask("PUT", "/api/v1/session/totp", right).await.0, 204);
    let mut again = Visitor::at(&station);
    let (status, problem) = again.log_in("admin", PASSWORD).await;
    assert_eq!(status, 401);
    let with = |code: String| json!({ "name": "admin", "password": PASSWORD, "code": code });
    let code = shown(1);
    assert_eq!(again.ask("POST", "/api/v1/session", with(code.clone())).await.0, 200);
    let (status, twice) = Visitor::at(&station).ask("POST", "/api/v1/session", with(code)).await;
    assert_eq!(
        (status, twice),
        (401, problem),
        "a code is taken once, and nothing tells which part was wrong"
    );
    station.end().await.unwrap();
}

fn gridwarden(site: &Site, words: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(program("gridwarden"))
        .args(words)
        .arg("-c")
        .arg(site.file("station.toml"))
        .output()
        .expect("it can be started");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.success(), text.concat())
}

#[tokio::test]
async fn at_the_console_of_a_running_station() {
    let site = Site::new("");
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &[]).await;
    assert_eq!(running.log().matches("one-time password").count(), 1, "{}", running.log());
    let (good, text) = gridwarden(&site, &["account", "add", "night", "--role", "duty_officer"]);
    assert!(good && text.contains("one-time password"), "{text}");
    assert!(!gridwarden(&site, &["account", "add", "night", "--role", "viewer"]).0, "the name is taken");
    assert!(!gridwarden(&site, &["account", "disable", "admin"]).0, "the last administrator");
    let (good, text) = gridwarden(&site, &["account", "reset", "admin"]);
    assert!(good, "{text}");
    let once = text.split("one-time password ").nth(1).unwrap().split(' ').next().unwrap();
    let log_in = reqwest::Client::new().post(format!("http://127.0.0.1:{}/api/v1/session", running.http));
    let answer = log_in.json(&json!({ "name": "admin", "password": once })).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the locked-out administrator is in again");
    let (_, text) = gridwarden(&site, &["account", "list"]);
    assert_eq!(text.lines().count(), 2, "{text}");

    let (good, text) = gridwarden(&site, &["audit", "verify"]);
    assert!(good, "{text}");
    let head = text.split("Note elsewhere: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    assert!(gridwarden(&site, &["audit", "verify", "--known", &head]).0);
    assert!(!gridwarden(&site, &["audit", "prune", "--before", "2999-01-01T00:00:00Z"]).0, "too young");
    running.kill().await;
    let (good, text) = gridwarden(&site, &["audit", "verify", "--known", "audit/1=00"]);
    assert!(!good && text.contains("BROKEN"), "{text}");

    // The second start makes no second administrator.
    let running = Running::start(&site, ports, &[]).await;
    assert_eq!(running.log().matches("one-time password").count(), 1);
    running.kill().await;
}
