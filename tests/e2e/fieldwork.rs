//! What a worker's phone and a resident send, over the whole gateway: once whatever the network does, photos without traces, hazards to their owners, visits on record.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value as Json, json};
use tests::jpeg::jpeg;
use tests::site::{Site, Station, TOKEN};

const CELL: &str = "S1-C1-G1";

async fn send(station: &Station, path: &str, key: Option<&str>, body: &Json) -> (StatusCode, bool, Json) {
    let mut request = station.client.post(format!("{}{path}", station.http)).bearer_auth(TOKEN).json(body);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let answer = request.send().await.unwrap();
    let replayed = answer.headers().contains_key("idempotent-replayed");
    (answer.status(), replayed, answer.json().await.unwrap())
}

async fn history(station: &Station, alarm: &str, what: &str) -> usize {
    let detail = station.get(&format!("/api/v1/alarms/{alarm}")).await;
    detail["history"].as_array().unwrap().iter().filter(|entry| entry["what"] == what).count()
}

async fn raised(station: &Station) -> String {
    let body = json!({ "cell": CELL, "class": "supervisory", "text": "by hand" });
    let (status, _, alarm) = send(station, "/api/v1/alarms", None, &body).await;
    assert_eq!(status, 201, "{alarm:#}");
    alarm["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_repeated_key_gives_the_first_answer_also_after_a_restart() {
    let site = Site::new("");
    let station = site.start().await;
    let alarm = raised(&station).await;
    let path = format!("/api/v1/alarms/{alarm}/acknowledge");
    let first = send(&station, &path, Some("k-1"), &json!({ "note": "on my way" })).await;
    assert_eq!((first.0, first.1), (StatusCode::OK, false));
    // A refusal is an answer, too.
    let refused = send(&station, &path, Some("k-2"), &json!({})).await;
    assert_eq!(refused.0, 409);

    let station = {
        station.stop().await;
        site.start().await
    };
    let again = send(&station, &path, Some("k-1"), &json!({ "note": "on my way" })).await;
    assert_eq!(
        (again.0, again.1, &again.2),
        (StatusCode::OK, true, &first.2),
        "the first answer to the letter"
    );
    assert_eq!(history(&station, &alarm, "acknowledged").await, 1);
    let refused_again = send(&station, &path, Some("k-2"), &json!({})).await;
    assert_eq!((refused_again.0, refused_again.1), (StatusCode::CONFLICT, true));
    assert_eq!(refused_again.2["detail"], refused.2["detail"]);

    let other = send(&station, &path, Some("k-1"), &json!({ "note": "something else" })).await;
    assert_eq!(other.0, 422, "one key, one request");
    assert_eq!(other.2["type"], "urn:gridwarden:problem:key-reused");
    let bad = send(&station, &path, Some(&"k".repeat(101)), &json!({})).await;
    assert_eq!(bad.0, 400);

    // Raised once, however often it is sent.
    let body = json!({ "cell": CELL, "class": "trouble", "text": "once" });
    let one = send(&station, "/api/v1/alarms", Some("k-3"), &body).await;
    let two = send(&station, "/api/v1/alarms", Some("k-3"), &body).await;
    assert_eq!((one.0, two.0), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(one.2["id"], two.2["id"]);
    assert_eq!(history(&station, one.2["id"].as_str().unwrap(), "repeated").await, 0);
    station.stop().await;
}

/// Three parts and a bit.
fn photo() -> Vec<u8> {
    jpeg("taken at 32.06 N 118.79 E", 200_000)
}

#[tokio::test]
async fn a_photo_is_kept_without_its_traces_and_every_look_is_on_record() {
    let site = Site::new("");
    let station = site.start().await;
    let alarm = raised(&station).await;
    let path = format!("{}/api/v1/alarms/{alarm}/attachments?note=%E9%97%A8%E5%8F%A3", station.http);
    let post = |bytes: Vec<u8>| station.client.post(&path).bearer_auth(TOKEN).body(bytes).send();
    let answer = post(photo()).await.unwrap();
    assert_eq!(answer.status(), 201);
    let stored: Json = answer.json().await.unwrap();
    assert_eq!((&stored["kind"], &stored["note"]), (&json!("image/jpeg"), &json!("门口")));
    let twice: Json = post(photo()).await.unwrap().json().await.unwrap();
    assert_eq!(twice["number"], stored["number"], "the same file is there already");
    for (bytes, status) in
        [(b"<svg/>".to_vec(), 415), (photo()[..3000].to_vec(), 415), (vec![0xff; 4 << 20], 413)]
    {
        assert_eq!(post(bytes).await.unwrap().status(), status);
    }

    let station = {
        station.stop().await;
        site.start().await
    };
    let listed = station.get(&format!("/api/v1/alarms/{alarm}/attachments")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let file =
        station.client.get(format!("{}{}", station.http, listed["items"][0]["path"].as_str().unwrap()));
    let file = file.bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "image/jpeg");
    let bytes = file.bytes().await.unwrap();
    assert!(bytes.ends_with(b"\x07\xff\xd9") && 200_000 < bytes.len(), "whole");
    assert!(!bytes.windows(5).any(|window| window == b"32.06"), "where it was taken is nobody's business");
    let foreign = raised_elsewhere(&station).await;
    let number = stored["number"].as_u64().unwrap();
    let wrong = station.client.get(format!("{}/api/v1/alarms/{foreign}/attachments/{number}", station.http));
    assert_eq!(wrong.bearer_auth(TOKEN).send().await.unwrap().status(), 404, "not of this alarm");
    station.stop().await;
}

async fn raised_elsewhere(station: &Station) -> String {
    let body = json!({ "cell": "S1-C1-G2", "class": "supervisory", "text": "another" });
    send(station, "/api/v1/alarms", None, &body).await.2["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_hazard_and_a_resident_s_report_reach_whoever_answers() {
    let site = Site::new("");
    let station = site.start().await;
    let body = json!({ "cell": CELL, "kind": "blocked_fire_lane", "place": "1栋门口", "note": "货车" });
    let (status, _, hazard) = send(&station, "/api/v1/hazards", Some("h-1"), &body).await;
    assert_eq!(status, 201, "{hazard:#}");
    assert_eq!((&hazard["rule"], &hazard["class"]), (&json!("hazard"), &json!("supervisory")));
    assert_eq!(hazard["text"], "隐患：消防车通道堵塞，1栋门口（货车）");
    assert_eq!(hazard["owner"]["id"], "wang-li");

    // The board is printed; whoever scans it needs no account.
    let (status, _, board) = send(&station, &format!("/api/v1/cells/{CELL}/board"), None, &json!({})).await;
    assert_eq!(status, 200, "{board:#}");
    assert!(board["qr_svg"].as_str().unwrap().starts_with("<svg"));
    let code = board["link"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let resident = Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/api/v1/report/{code}", station.http);
    let front: Json = resident.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        front.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["cell", "path"],
        "nothing about people"
    );
    let report = json!({ "kind": "gas_smell", "place": "2单元楼道", "note": "着火了" });
    let answer = resident.post(&url).json(&report).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let received: Json = answer.json().await.unwrap();
    let reference = received["reference"].as_str().unwrap().to_owned();
    let to = format!("{}{}", station.http, received["photo"].as_str().unwrap());
    let send_photo = |to: &str, bytes: Vec<u8>| resident.post(to).body(bytes).send();
    for (bytes, status) in
        [(b"OggS, a voice".to_vec(), 415), (photo()[..3000].to_vec(), 415), (vec![0xff; 2 << 20], 413)]
    {
        assert_eq!(send_photo(&to, bytes).await.unwrap().status(), status, "and another try is left");
    }
    assert_eq!(send_photo(&to, photo()).await.unwrap().status(), 204);
    assert_eq!(send_photo(&to, photo()).await.unwrap().status(), 404, "one photo for one report");
    let guessed = format!("{url}/photo/{}", "A".repeat(52));
    assert_eq!(send_photo(&guessed, photo()).await.unwrap().status(), 404);
    let listed = station.get(&format!("/api/v1/alarms/{reference}/attachments")).await;
    assert_eq!(
        (listed["items"][0]["who"]["id"].as_str(), listed["items"].as_array().unwrap().len()),
        (Some("resident"), 1)
    );
    let kept =
        station.client.get(format!("{}{}", station.http, listed["items"][0]["path"].as_str().unwrap()));
    let kept = kept.bearer_auth(TOKEN).send().await.unwrap().bytes().await.unwrap();
    assert!(!kept.windows(5).any(|window| window == b"32.06"), "where it was taken is nobody's business");
    let alarm = station.get(&format!("/api/v1/alarms/{reference}")).await;
    assert_eq!(
        (&alarm["alarm"]["rule"], &alarm["alarm"]["class"]),
        (&json!("reported"), &json!("supervisory"))
    );
    assert_eq!(alarm["alarm"]["owner"]["id"], "wang-li");
    assert_eq!(alarm["history"][0]["who"], "resident");
    let fire = json!({ "kind": "fire", "place": "x" });
    assert_eq!(resident.post(&url).json(&fire).send().await.unwrap().status(), 422, "no fire by this way");
    for place in 0..4 {
        let report = json!({ "kind": "other", "place": format!("{place}") });
        assert_eq!(resident.post(&url).json(&report).send().await.unwrap().status(), 201);
    }
    assert_eq!(
        resident.post(&url).json(&report).send().await.unwrap().status(),
        429,
        "enough from this address"
    );

    // A code that is abused ends.
    let anew = send(&station, &format!("/api/v1/cells/{CELL}/board"), None, &json!({ "anew": true })).await.2;
    assert_ne!(anew["code"], board["code"]);
    assert_eq!(resident.get(&url).send().await.unwrap().status(), 404);
    station.stop().await;
}

#[tokio::test]
async fn a_visit_by_its_code_is_on_record() {
    let site = Site::new("");
    let station = site.start().await;
    let board = send(&station, &format!("/api/v1/cells/{CELL}/board"), None, &json!({})).await.2;
    let points = station.get("/api/v1/patrol/points").await;
    assert_eq!((&points["items"][0]["cell"], &points["items"][0]["last"]), (&json!(CELL), &Json::Null));
    let visit = json!({ "code": board["code"].as_str().unwrap().to_lowercase(), "note": "正常" });
    let (status, _, first) = send(&station, "/api/v1/patrol", Some("v-1"), &visit).await;
    assert_eq!(status, 201, "{first:#}");
    let again = send(&station, "/api/v1/patrol", Some("v-1"), &visit).await;
    assert_eq!((again.1, &again.2), (true, &first), "sent twice, once there");
    let scanned = json!({ "code": board["link"] });
    assert_eq!(send(&station, "/api/v1/patrol", None, &scanned).await.0, 201);
    assert_eq!(send(&station, "/api/v1/patrol", None, &json!({ "code": "0000-0000-0000" })).await.0, 422);
    let visits = station.get(&format!("/api/v1/patrol?cell={CELL}")).await;
    let visits = visits["items"].as_array().unwrap();
    assert_eq!(visits.len(), 2);
    assert_eq!((&visits[1]["note"], &visits[1]["cell"]), (&json!("正常"), &json!(CELL)));
    assert!(station.get("/api/v1/patrol/points").await["items"][0]["last"].is_string());
    let request = station.client.request(Method::GET, format!("{}/api/v1/patrol?cell=nowhere", station.http));
    assert_eq!(request.bearer_auth(TOKEN).send().await.unwrap().status(), 400);
    station.stop().await;
}
