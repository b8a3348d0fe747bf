//! The API over real HTTP: who may do what, errors, health, and its own description; [`lists`] are what it shows, [`live`] its event stream.

mod lists;
mod live;

use std::collections::BTreeSet;

use gateway::model::SignalClass;
use serde_json::{Value as Json, json};
use tests::station::{Station, TOKEN};

/// Every operation of the API; a new route is added here too.
const OPERATIONS: &[&str] = &[
    "delete /api/v1/absences",
    "delete /api/v1/households/leave",
    "put /api/v1/households/leave",
    "delete /api/v1/accounts/{name}/passes",
    "delete /api/v1/duties",
    "delete /api/v1/me/position",
    "delete /api/v1/people/{id}",
    "delete /api/v1/plans/{plan}",
    "delete /api/v1/push/subscriptions",
    "delete /api/v1/session",
    "delete /api/v1/session/passes/{number}",
    "delete /api/v1/session/totp",
    "delete /api/v1/teams/{name}",
    "get /api/v1/absences",
    "get /api/v1/accounts",
    "get /api/v1/alarms",
    "get /api/v1/alarms/{id}",
    "get /api/v1/audit",
    "get /api/v1/alarms/{id}/attachments",
    "get /api/v1/alarms/{id}/attachments/{number}",
    "get /api/v1/cells",
    "get /api/v1/cells/{code}",
    "get /api/v1/cells/{code}/explanation",
    "get /api/v1/dead-letters",
    "get /api/v1/devices",
    "get /api/v1/devices/{id}",
    "get /api/v1/devices/{id}/stills",
    "get /api/v1/plans",
    "get /api/v1/plans/{plan}/picture",
    "get /api/v1/stills/{id}",
    "get /api/v1/devices/{id}/explanation",
    "get /api/v1/drills",
    "get /api/v1/events",
    "get /api/v1/ladders",
    "get /api/v1/indicators",
    "get /api/v1/maintenance",
    "get /api/v1/modbus",
    "get /api/v1/openapi.json",
    "get /api/v1/orders",
    "get /api/v1/orders/known",
    "get /api/v1/patrol",
    "get /api/v1/patrol/points",
    "get /api/v1/people",
    "get /api/v1/people/{id}",
    "get /api/v1/positions",
    "get /api/v1/practice",
    "get /api/v1/push/key",
    "get /api/v1/roll-calls",
    "get /api/v1/rules",
    "get /api/v1/rules/file",
    "get /api/v1/rules/preview",
    "get /api/v1/report/{token}",
    "get /api/v1/proposals",
    "get /api/v1/ratings/{token}",
    "get /api/v1/series",
    "get /api/v1/session",
    "get /api/v1/session/passes",
    "get /api/v1/tallies",
    "get /api/v1/teams",
    "get /api/v1/vacancies",
    "get /api/v1/waiting",
    "get /healthz",
    "get /metrics",
    "get /readyz",
    "patch /api/v1/accounts/{name}",
    "post /api/v1/absences",
    "post /api/v1/accounts",
    "post /api/v1/accounts/{name}/invitation",
    "post /api/v1/alarms",
    "post /api/v1/alarms/{id}/acknowledge",
    "post /api/v1/alarms/{id}/attachments",
    "post /api/v1/alarms/{id}/evaluate",
    "post /api/v1/alarms/{id}/hand_over",
    "post /api/v1/alarms/{id}/on_site",
    "post /api/v1/alarms/{id}/on_the_way",
    "post /api/v1/alarms/{id}/rating_link",
    "post /api/v1/alarms/{id}/resolve",
    "post /api/v1/alarms/{id}/resume",
    "post /api/v1/alarms/{id}/return",
    "post /api/v1/alarms/{id}/shelve",
    "post /api/v1/alarms/{id}/suspend",
    "post /api/v1/alarms/{id}/unshelve",
    "post /api/v1/alarms/{id}/verify",
    "post /api/v1/alerts/{key}/receipts",
    "post /api/v1/cells/{code}/board",
    "post /api/v1/cells/{code}/merge",
    "post /api/v1/cells/{code}/split",
    "post /api/v1/channels/{name}/reports/{secret}",
    "post /api/v1/dead-letters/{number}/again",
    "post /api/v1/devices/{id}/command",
    "post /api/v1/devices/{id}/orders",
    "post /api/v1/drills",
    "post /api/v1/duties",
    "post /api/v1/imports/{what}",
    "post /api/v1/hazards",
    "post /api/v1/maintenance",
    "post /api/v1/maintenance/{id}/end",
    "post /api/v1/modbus/{bus}/read",
    "post /api/v1/orders/{number}/withdraw",
    "post /api/v1/patrol",
    "post /api/v1/push/subscriptions",
    "post /api/v1/report/{token}",
    "post /api/v1/report/{token}/photo/{key}",
    "post /api/v1/roll-calls",
    "post /api/v1/proposals",
    "post /api/v1/proposals/{number}/accept",
    "post /api/v1/proposals/{number}/refuse",
    "post /api/v1/ratings/{token}",
    "post /api/v1/rules/check",
    "post /api/v1/rules/preview",
    "post /api/v1/session",
    "post /api/v1/session/invited",
    "post /api/v1/session/tokens",
    "post /api/v1/session/totp",
    "post /api/v1/waiting/dismiss",
    "post /api/v1/waiting/place",
    "put /api/v1/me/position",
    "post /in/{secret}",
    "put /api/v1/people/{id}",
    "put /api/v1/plans/{plan}",
    "put /api/v1/plans/{plan}/devices",
    "put /api/v1/rules/file",
    "put /api/v1/session/password",
    "put /api/v1/session/totp",
    "put /api/v1/teams/{name}",
];
const OPEN_PATHS: &[&str] = &["/healthz", "/readyz", "/", "/icon.svg", "/worker/", "/report/anything"];
const OPEN: &[&str] = &[
    "get /healthz",
    "get /readyz",
    "get /api/v1/report/{token}", // What is printed on a board.
    "post /api/v1/report/{token}",
    "post /api/v1/report/{token}/photo/{key}",
    "post /api/v1/channels/{name}/reports/{secret}", // Has its secret in the address.
    "get /api/v1/ratings/{token}",                   // The same.
    "post /api/v1/ratings/{token}",
    "post /api/v1/session",
    "post /api/v1/session/invited",
    "post /in/{secret}", // The same.
];

/// The path with names in it.
fn example(path: &str) -> String {
    let names = [
        ("{id}", "A-1"),
        ("{code}", "XL"),
        ("{name}", "nobody"),
        ("{number}", "1"),
        ("{key}", "K-1"),
        ("{what}", "devices"),
        ("{bus}", "nobody"),
        ("{plan}", "nobody"),
        ("{secret}", "wrong"),
        ("{token}", "wrong"),
    ];
    names.iter().fold(path.to_owned(), |path, (hole, name)| path.replace(hole, name))
}

async fn json_of(request: reqwest::RequestBuilder, status: u16) -> Json {
    let answer = request.send().await.expect("an answer");
    let (found, text) = (answer.status().as_u16(), answer.text().await.expect("text"));
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A browser keeps what has a hash in its name, and asks again for the rest.
#[tokio::test]
async fn pages_are_sent_small_and_only_when_they_have_changed() {
    let station = Station::start().await.unwrap();
    let ask = |path: &str, name: &str, value: &str| {
        station.client.get(format!("{}{path}", station.url)).header(name, value).send()
    };
    let first = ask("/", "accept-encoding", "br, gzip;q=0.9").await.unwrap();
    assert_eq!(first.headers()["cache-control"], "no-cache");
    assert_eq!(first.headers()["content-encoding"], "gzip");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = ask("/", "if-none-match", &format!("\"other\", W/{tag}")).await.unwrap();
    assert_eq!((again.status().as_u16(), again.bytes().await.unwrap().len()), (304, 0));
    let plain = ask("/", "accept-encoding", "identity").await.unwrap().text().await.unwrap();
    let script = plain.split('"').find(|part| part.ends_with(".js")).expect("it loads a script");
    let kept = ask(script, "if-none-match", "\"other\"").await.unwrap();
    assert_eq!(kept.status(), 200);
    assert_eq!(kept.headers()["cache-control"], "public, max-age=31536000, immutable");
    let api = station.get("/api/v1/cells").send().await.unwrap();
    assert_eq!(api.headers()["cache-control"], "no-store", "what is fetched with a session is not kept");
    let folder = station.client.get(format!("{}/worker", station.url)).send().await.unwrap();
    assert!(folder.url().path().ends_with("/worker/"));
    station.end().await.unwrap();
}

#[tokio::test]
async fn only_health_and_the_page_are_open() {
    let station = Station::start().await.unwrap();
    for path in OPEN_PATHS {
        let answer = station.client.get(format!("{}{path}", station.url)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    for operation in OPERATIONS {
        let (method, path) = operation.split_once(' ').unwrap();
        if OPEN.contains(operation) {
            continue;
        }
        let method = method.to_uppercase().parse().unwrap();
        let url = format!("{}{}", station.url, example(path));
        for token in [None, Some("wrong"), Some("")] {
            let mut request = station.client.request(reqwest::Method::clone(&method), &url);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{operation}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"gridwarden\"");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let problem: Json = answer.json().await.unwrap();
            assert_eq!(problem["status"], 401);
            assert_eq!(problem["instance"], example(path));
        }
        // A token in the address is none.
        let with_token = format!("{url}?token={TOKEN}");
        let answer =
            station.client.request(reqwest::Method::clone(&method), with_token).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{operation}");
    }
    station.end().await.unwrap();
}

#[tokio::test]
async fn the_description_names_every_route_and_hangs_together() {
    let station = Station::start().await.unwrap();
    let document = json_of(station.get("/api/v1/openapi.json"), 200).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let (mut found, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(
                names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{place}: name used twice"
            );
            assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{place} has no summary");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
            let problem = &responses["default"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{place}");
            let declared: BTreeSet<_> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let used: BTreeSet<_> =
                path.split('/').filter(|part| part.starts_with('{')).map(ToOwned::to_owned).collect();
            assert_eq!(declared, used, "{place}");
            let open = operation["security"].as_array().is_some_and(|all| all.contains(&json!({})));
            assert_eq!(open, OPEN.contains(&place.as_str()), "{place}: open or not");
            found.insert(place);
        }
    }
    assert_eq!(found, OPERATIONS.iter().map(ToString::to_string).collect());
    assert_eq!(document["security"], json!([{ "token": [] }, { "session": [] }]));
    for reference in references(&document) {
        let pointer = reference.strip_prefix('#').expect("only references within");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    // And what is described is there.
    for operation in OPERATIONS {
        let (method, path) = operation.split_once(' ').unwrap();
        let url = format!("{}{}", station.url, example(path));
        let method: reqwest::Method = method.to_uppercase().parse().unwrap();
        let answer = station.client.request(method, url).bearer_auth(TOKEN).send().await.unwrap();
        assert_ne!(answer.status(), 405, "{operation}");
        if answer.status() == 404 {
            let text = answer.text().await.unwrap();
            assert!(!text.contains("There is nothing at"), "{operation}: {text}");
        }
    }
    station.end().await.unwrap();
}

fn references(value: &Json) -> Vec<&str> {
    match value {
        Json::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value.as_str() {
                Some(text) if name == "$ref" => vec![text],
                Some(_) | None => references(value),
            })
            .collect(),
        Json::Array(items) => items.iter().flat_map(references).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    }
}

#[tokio::test]
async fn every_error_is_a_problem_that_says_what_to_do() {
    let station = Station::start().await.unwrap();
    station.raise(SignalClass::Fire, "SD-0001", "烟雾报警").await.unwrap();
    let big = "x".repeat(70_000);
    for (method, path, body, status, kind, words) in [
        ("GET", "/nowhere", "", 404, "about:blank", "openapi.json"),
        ("GET", "/api/v1/nowhere", "", 404, "about:blank", "openapi.json"),
        ("DELETE", "/api/v1/alarms", "", 405, "about:blank", "Allow"),
        ("GET", "/api/v1/alarms/A-99", "", 404, "about:blank", "A-99"),
        ("GET", "/api/v1/alarms/seventeen", "", 404, "about:blank", "seventeen"),
        ("GET", "/api/v1/alarms?limit=0", "", 400, "bad-query", "1 to 200"),
        ("GET", "/api/v1/alarms?limit=many", "", 400, "bad-query", "`limit`"),
        ("GET", "/api/v1/alarms?clas=fire", "", 400, "bad-query", "`clas`"),
        (
            "GET",
            "/api/v1/alarms?class=fire,blaze",
            "",
            400,
            "bad-query",
            "`blaze` is not one of fire, supervisory",
        ),
        ("GET", "/api/v1/alarms?state=closed,", "", 400, "bad-query", "`state`"),
        ("GET", "/api/v1/alarms?cell=Moon", "", 400, "bad-query", "no cell `Moon`"),
        ("GET", "/api/v1/alarms?device=X", "", 400, "bad-query", "no device `X`"),
        ("GET", "/api/v1/alarms?before=x", "", 400, "bad-query", "A-17"),
        ("GET", "/api/v1/alarms?open=perhaps", "", 400, "bad-query", "neither true nor false"),
        ("GET", "/api/v1/devices/X", "", 404, "about:blank", "`X`"),
        ("GET", "/api/v1/devices?after=X", "", 400, "bad-query", "`after`"),
        ("GET", "/api/v1/cells/X", "", 404, "about:blank", "`X`"),
        ("GET", "/api/v1/series", "", 400, "bad-query", "`device`"),
        ("GET", "/api/v1/series?device=SD-0001&metric=joy", "", 400, "bad-query", "`joy`"),
        (
            "GET",
            "/api/v1/series?device=SD-0001&metric=smoke&from=yesterday",
            "",
            400,
            "bad-query",
            "RFC 3339",
        ),
        (
            "GET",
            "/api/v1/series?device=SD-0001&metric=smoke&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "",
            400,
            "bad-query",
            "before `to`",
        ),
        ("GET", "/api/v1/events?after=x", "", 400, "bad-query", "`after`"),
        ("POST", "/api/v1/alarms", "{", 400, "bad-json", "not JSON"),
        ("POST", "/api/v1/alarms", "", 422, "bad-body", "`cell`"),
        ("POST", "/api/v1/alarms", r#"{"cell":"XL"}"#, 422, "bad-body", "`class`"),
        ("POST", "/api/v1/alarms", r#"{"cell":"XL","class":"blaze","text":"x"}"#, 422, "bad-body", "`blaze`"),
        ("POST", "/api/v1/alarms", r#"{"cell":"XL","class":"fire","text":" "}"#, 422, "bad-body", "`text`"),
        (
            "POST",
            "/api/v1/alarms",
            r#"{"cell":"XL","class":"fire","text":"a\u0007"}"#,
            422,
            "bad-body",
            "control",
        ),
        ("POST", "/api/v1/alarms", r#"{"cell":"Moon","class":"fire","text":"x"}"#, 422, "bad-body", "`Moon`"),
        (
            "POST",
            "/api/v1/alarms",
            r#"{"cell":"XL","device":"SD-0001","class":"fire","text":"x"}"#,
            422,
            "bad-body",
            "XL-01-01",
        ),
        (
            "POST",
            "/api/v1/alarms",
            r#"{"cell":"XL","class":"fire","text":"x","colour":"red"}"#,
            422,
            "bad-body",
            "`colour`",
        ),
        ("POST", "/api/v1/alarms", &big, 413, "about:blank", "65536"),
        ("POST", "/api/v1/alarms/A-99/acknowledge", "", 404, "no-such-alarm", "A-99"),
        (
            "POST",
            "/api/v1/alarms/A-1/resolve",
            r#"{"disposition":"false_alarm"}"#,
            409,
            "not-acknowledged",
            "A-1",
        ),
        (
            "POST",
            "/api/v1/alarms/A-1/resolve",
            r#"{"disposition":"test","cause":"steam"}"#,
            422,
            "bad-body",
            "`cause`",
        ),
        ("POST", "/api/v1/alarms/A-1/return", r#"{"reason":" "}"#, 422, "bad-body", "`reason`"),
        ("POST", "/api/v1/alarms/A-1/shelve", r#"{"reason":"x","until":"soon"}"#, 422, "bad-body", "`until`"),
        ("POST", "/api/v1/alarms/A-1/hand_over", r#"{"reason":"x"}"#, 422, "bad-body", "exactly one of"),
        (
            "POST",
            "/api/v1/alarms/A-1/hand_over",
            r#"{"reason":"x","role":"boss"}"#,
            422,
            "bad-body",
            "`boss`",
        ),
        (
            "POST",
            "/api/v1/maintenance",
            r#"{"reason":"x","until":"2026-11-24T08:00:00+08:00"}"#,
            422,
            "bad-body",
            "exactly one of",
        ),
        ("POST", "/api/v1/maintenance/A-1/end", "", 404, "no-maintenance", "A-1"),
        (
            "POST",
            "/api/v1/alarms/A-1/resolve",
            r#"{"disposition":"ghost"}"#,
            422,
            "bad-body",
            "`disposition`",
        ),
    ] {
        let method: reqwest::Method = method.parse().unwrap();
        let mut request =
            station.client.request(method.clone(), format!("{}{path}", station.url)).bearer_auth(TOKEN);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        let place = format!("{method} {path} {}", &body[..body.len().min(80)]);
        assert_eq!(answer.status(), status, "{place}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{place}");
        let allowed = answer.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(allowed.as_deref(), (status == 405).then_some("GET,HEAD,POST"), "{place}");
        let problem: Json = answer.json().await.unwrap();
        assert_eq!(problem["status"], status, "{place}");
        assert_eq!(problem["instance"], path.split('?').next().unwrap(), "{place}");
        assert!(!problem["title"].as_str().unwrap().is_empty(), "{place}");
        assert!(problem["type"].as_str().unwrap().ends_with(kind), "{place}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{place}: {problem}");
        if kind == "bad-query" || kind == "bad-body" {
            assert!(!problem["errors"][0]["field"].as_str().unwrap().is_empty(), "{place}: {problem}");
        }
    }
    let form = station.client.post(format!("{}/api/v1/alarms", station.url)).bearer_auth(TOKEN);
    let problem = json_of(form.header("content-type", "text/plain").body("{}"), 415).await;
    assert!(problem["detail"].as_str().unwrap().contains("application/json"));
    station.end().await.unwrap();
}

#[tokio::test]
async fn ready_says_what_is_wrong_to_those_who_may_know() {
    let station = Station::start().await.unwrap();
    let ready = json_of(station.client.get(format!("{}/readyz", station.url)), 200).await;
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["checks"]["store"]["fine"], true);
    station.health.informative("influx").wrong("no answer since 03:00");
    let still = json_of(station.get("/readyz"), 200).await;
    assert_eq!(
        still["checks"]["influx"],
        json!({ "fine": false, "essential": false, "detail": "no answer since 03:00" })
    );
    let check = station.health.essential("bus");
    let not = json_of(station.client.get(format!("{}/readyz", station.url)), 503).await;
    assert_eq!(
        not["checks"]["bus"],
        json!({ "fine": false, "essential": true }),
        "no reason without a token"
    );
    check.fine();
    json_of(station.get("/readyz"), 200).await;

    let metrics = station.get("/metrics").send().await.unwrap();
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = metrics.text().await.unwrap();
    assert!(text.contains("gridwarden_http_requests_total{route=\"/readyz\",status=\"503\"}"), "{text}");
    station.end().await.unwrap();
}
