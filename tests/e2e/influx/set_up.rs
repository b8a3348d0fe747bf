//! Set-up against a stand-in for InfluxDB 2's control API, and against servers that have none.

use std::sync::{Arc, Mutex};

use gateway::io::influx::{Mark, prepare};
use tests::databases::{influxdb1, victoria_metrics};
use tests::neighbours::free_port;
use tests::standin::{Asked, Reply, Standin};

use super::*;

/// What the token of a fake server may do.
#[derive(Clone, Copy)]
pub struct Rights {
    sees_org: bool,
    makes_buckets: bool,
    writes: bool,
    known: bool,
}

pub const ALL: Rights = Rights { sees_org: true, makes_buckets: true, writes: true, known: true };

/// InfluxDB 2 as far as set-up sees it, with these buckets (name, seconds kept).
pub async fn influxdb2(rights: Rights, buckets: &[(&str, i64)]) -> Standin {
    let buckets: Vec<_> = buckets.iter().map(|&(name, keeps)| (name.to_owned(), keeps)).collect();
    let buckets = Arc::new(Mutex::new(buckets));
    Standin::start(0, move |asked| {
        let reply = control(rights, &mut buckets.lock().unwrap(), &asked);
        std::future::ready(reply)
    })
    .await
    .unwrap()
}

fn control(rights: Rights, buckets: &mut Vec<(String, i64)>, asked: &Asked) -> Reply {
    let query = asked.uri.query().unwrap_or_default();
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let error = |status, code: &str, message: &str| {
        Reply::json(status, serde_json::json!({ "code": code, "message": message }))
    };
    if asked.uri.path() == "/health" {
        let health = r#"{"name":"influxdb","message":"ready for queries and writes","status":"pass","checks":[],"version":"v2.7.11"}"#;
        return Reply::json(200, health);
    }
    if !rights.known || asked.header("authorization") != "Token t0ken" {
        return error(401, "unauthorized", "unauthorized access");
    }
    match (asked.method.as_str(), asked.uri.path()) {
        ("GET", "/api/v2/orgs") if rights.sees_org && parameter("org") == Some("gridwarden") => Reply::json(
            200,
            r#"{"links":{"self":"/api/v2/orgs"},"orgs":[{"id":"00000000000000aa","name":"gridwarden"}]}"#,
        ),
        ("GET", "/api/v2/orgs") => error(404, "not found", "organization name \"gridwarden\" not found"),
        ("GET", "/api/v2/buckets") => {
            let found = buckets.iter().filter(|(name, _)| rights.sees_org && parameter("name") == Some(name));
            let found: Vec<_> = found
                .map(|(name, keeps)| {
                    serde_json::json!({ "id": "00000000000000bb", "name": name, "orgID": "00000000000000aa",
                        "retentionRules": [{ "type": "expire", "everySeconds": keeps }] })
                })
                .collect();
            Reply::json(200, serde_json::json!({ "buckets": found }))
        }
        ("POST", "/api/v2/buckets") if rights.makes_buckets => {
            let wanted: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
            assert_eq!(wanted["orgID"], "00000000000000aa");
            let keeps = wanted["retentionRules"][0]["everySeconds"].as_i64().unwrap_or(0);
            buckets.push((wanted["name"].as_str().unwrap().to_owned(), keeps));
            Reply::json(201, wanted)
        }
        ("POST", "/api/v2/buckets") => error(403, "forbidden", "insufficient permissions for write"),
        ("POST", "/api/v2/write") => {
            let there = buckets.iter().any(|(name, _)| parameter("bucket") == Some(name));
            match (there, rights.writes, asked.body.is_empty()) {
                (false, ..) => error(404, "not found", "bucket \"gridwarden\" not found"),
                (true, false, _) => error(403, "forbidden", "insufficient permissions for write"),
                (true, true, true) => error(400, "invalid", "writing requires points"),
                (true, true, false) => Reply::status(204),
            }
        }
        _ => Reply::status(404).body("404 page not found"),
    }
}

/// The findings as `+` good, `?` unchecked, `!` problem, and their text.
async fn findings(settings: &Settings) -> Vec<String> {
    let mark = |mark| match mark {
        Mark::Good => '+',
        Mark::Unchecked => '?',
        Mark::Problem => '!',
    };
    prepare(settings).await.iter().map(|finding| format!("{} {}", mark(finding.mark), finding.text)).collect()
}

#[tokio::test]
async fn all_is_there() {
    let server = influxdb2(ALL, &[("gridwarden", 30 * 86_400)]).await;
    assert_eq!(
        findings(&settings(server.port)).await,
        [
            "+ influxdb v2.7.11 is healthy",
            "+ the organisation `gridwarden` is there",
            "+ the bucket `gridwarden` is there and keeps 30 days",
            "+ the server takes writes to the bucket `gridwarden`",
        ]
    );
    let made =
        server.asked().iter().any(|asked| asked.uri.path() == "/api/v2/buckets" && asked.method == "POST");
    assert!(!made);
}

#[tokio::test]
async fn a_missing_bucket_is_made_with_its_retention() {
    let server = influxdb2(ALL, &[]).await;
    let wanted = Settings { create_bucket: true, retention_days: 365, ..settings(server.port) };
    let found = findings(&wanted).await;
    assert_eq!(found[2], "+ made the bucket `gridwarden`, which keeps 365 days");
    assert_eq!(found[3], "+ the server takes writes to the bucket `gridwarden`");
    let again = findings(&wanted).await;
    assert_eq!(again[2], "+ the bucket `gridwarden` is there and keeps 365 days");
    let other = findings(&Settings { retention_days: 30, ..wanted }).await;
    assert_eq!(
        other[2],
        "? the bucket `gridwarden` keeps 365 days, influx.retention_days says 30 days: it was there before and is left as it is"
    );
}

#[tokio::test]
async fn what_the_token_may_not_do_is_said() {
    let server = influxdb2(Rights { makes_buckets: false, ..ALL }, &[]).await;
    let found = findings(&Settings { create_bucket: true, ..settings(server.port) }).await;
    assert_eq!(
        found[2],
        "! the bucket `gridwarden` is not there and the token may not make it (403): make it by hand, or give a token that may"
    );
    assert!(found[3].starts_with("! the bucket or organisation is not there (404)"), "{}", found[3]);

    let server = influxdb2(Rights { writes: false, ..ALL }, &[("gridwarden", 0)]).await;
    let found = findings(&settings(server.port)).await;
    assert_eq!(found[2], "+ the bucket `gridwarden` is there and keeps everything for ever");
    assert!(found[3].starts_with("! the token may not write to the bucket (403)"), "{}", found[3]);

    let server = influxdb2(Rights { known: false, ..ALL }, &[("gridwarden", 0)]).await;
    let found = findings(&settings(server.port)).await;
    assert!(found[1].starts_with("! the server does not accept the token (401)"), "{}", found[1]);
}

#[tokio::test]
async fn a_token_that_may_only_write_is_enough() {
    let server =
        influxdb2(Rights { sees_org: false, makes_buckets: false, ..ALL }, &[("gridwarden", 0)]).await;
    let found = findings(&settings(server.port)).await;
    assert!(
        found[1].starts_with("? the organisation `gridwarden` is not there, or the token may not see it")
    );
    assert!(found[2].starts_with("? the bucket `gridwarden` is not there, or the token may not see it"));
    assert_eq!(found[3], "+ the server takes writes to the bucket `gridwarden`");
}

#[tokio::test]
async fn servers_without_a_control_api_are_no_dead_end() {
    let victoria = victoria_metrics().await.unwrap();
    let found = findings(&Settings { create_bucket: true, ..settings(victoria.port) }).await;
    assert!(found[..found.len() - 1].iter().all(|text| text.starts_with('?')), "{found:#?}");
    assert_eq!(found.last().unwrap(), "+ the server takes writes to the bucket `gridwarden`");

    let influx1 = influxdb1().await.unwrap();
    let found = findings(&settings(influx1.port)).await;
    assert!(found.last().unwrap().contains("InfluxDB has it from 1.8 on"), "{found:#?}");

    let found = findings(&settings(free_port())).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("! the server does not answer: "), "{found:#?}");
}

#[tokio::test]
async fn behind_a_base_path_only_writing_is_checked() {
    let server = Standin::scripted([Reply::status(204)]).await.unwrap();
    let url = format!("{}/influx", server.url()).parse().unwrap();
    let found = findings(&Settings { url, ..settings(server.port) }).await;
    assert!(found[0].starts_with("? health, organisation and bucket are not checked"), "{found:#?}");
    assert_eq!(found[1], "+ the server takes writes to the bucket `gridwarden`");
    assert_eq!(server.asked()[0].uri.path(), "/influx/api/v2/write");
}
