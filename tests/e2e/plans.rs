//! Floor plans: from the administrator's file to the card of an alarm, and who may see them.

use std::sync::Arc;

use axum::http::StatusCode;
use gateway::accounts::{Account, Role};
use gateway::model::SignalClass;
use gateway::store::Audit;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tests::neighbours::{eventually, root};
use tests::site::{Receiver, Site, Station, TOKEN};

use super::{rights, web};

fn demo(name: &str) -> Vec<u8> {
    std::fs::read(root().join("config/demo/plans").join(name)).unwrap()
}

async fn ask(
    station: &Station,
    method: Method,
    path: &str,
    body: impl Into<reqwest::Body>,
) -> reqwest::Response {
    let request = station.client.request(method, format!("{}{path}", station.http)).bearer_auth(TOKEN);
    request.body(body).send().await.unwrap()
}

async fn put(station: &Station, path: &str, body: impl Into<reqwest::Body>) -> (StatusCode, Json) {
    let answer = ask(station, Method::PUT, path, body).await;
    (answer.status(), answer.json().await.unwrap())
}

async fn plan(station: &Station, what: &str, is: impl Fn(&Json) -> bool) -> Json {
    eventually(what, 10, || async {
        let plans = station.get("/api/v1/plans").await;
        plans["items"].as_array().unwrap().iter().find(|plan| is(plan)).cloned()
    })
    .await
}

const FLOOR: &str = "/api/v1/plans/G1-1-2F?cell=S1-C1-G1&building=1%E6%A0%8B&floor=2";

#[tokio::test]
async fn a_plan_goes_from_the_file_to_the_card() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let station = site.start().await;
    let (status, said) = put(&station, FLOOR, demo("school.png")).await;
    assert_eq!((status, &said["changed"]), (StatusCode::OK, &json!(true)), "{said}");
    let first = plan(&station, "it is in force", |plan| plan["code"] == "G1-1-2F").await;
    assert_eq!(
        (&first["building"], &first["floor"], &first["corners"]),
        (&json!("1栋"), &json!(2), &Json::Null)
    );
    assert!(first["width"].as_u64() > first["height"].as_u64(), "{first}");
    let (status, said) = put(&station, FLOOR, Vec::new()).await;
    assert_eq!(
        (status, &said["changed"]),
        (StatusCode::OK, &json!(false)),
        "the same without a body changes nothing"
    );

    // The picture is what was sent, and is not sent twice.
    let path = first["path"].as_str().unwrap();
    let picture = ask(&station, Method::GET, path, "").await;
    assert_eq!(picture.headers()["content-type"], "image/png");
    assert_eq!(picture.headers()["cache-control"], "private, no-cache");
    let tag = picture.headers()["etag"].clone();
    assert_eq!(picture.bytes().await.unwrap(), demo("school.png"));
    let again = station.client.get(format!("{}{path}", station.http)).bearer_auth(TOKEN);
    let again = again.header("if-none-match", tag).send().await.unwrap();
    assert_eq!((again.status(), again.bytes().await.unwrap().len()), (StatusCode::NOT_MODIFIED, 0));

    // A device is hung on it by hand, another by a file.
    let on_it = json!({ "devices": [{ "device": "SD-1", "at": [0.25, 0.5] }] }).to_string();
    let request =
        station.client.put(format!("{}/api/v1/plans/G1-1-2F/devices", station.http)).bearer_auth(TOKEN);
    let answer = request.header("content-type", "application/json").body(on_it).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    plan(&station, "it hangs there", |plan| plan["devices"][0]["device"] == "SD-1").await;
    let file = "id,kind,name,plan,plan_x,plan_y\nSD-2,smoke_detector,烟感 2,G1-1-2F,0.75,0.5\n";
    let imported = ask(&station, Method::POST, "/api/v1/imports/devices?file=pins.csv", file).await;
    let imported: Json = imported.json().await.unwrap();
    let line = imported["lines"][0].as_str().unwrap();
    assert!(line.ends_with("plan: (none) → G1-1-2F at 0.75, 0.5"), "{imported}");
    plan(&station, "both", |plan| plan["devices"].as_array().unwrap().len() == 2).await;
    assert_eq!(
        station.get("/api/v1/devices/SD-2").await["pin"],
        json!({ "plan": "G1-1-2F", "at": [0.75, 0.5] })
    );

    // It burns: the card knows where.
    station.publish("SD-1", &json!({ "values": { "smoke": true } })).await;
    let on_card = |alarm: &Json| alarm["card"]["plan"].clone();
    let card = on_card(&station.get("/api/v1/alarms/A-1").await);
    assert_eq!(
        (&card["plan"], &card["floor"], &card["at"]),
        (&json!("G1-1-2F"), &json!(2), &json!([0.25, 0.5]))
    );
    station.stop().await;

    // All of it is there after a start. A better picture moves nothing, and the old one goes.
    let station = site.start().await;
    assert_eq!(on_card(&station.get("/api/v1/alarms/A-1").await), card);
    let (status, said) = put(&station, FLOOR, demo("ground.png")).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let second = plan(&station, "another picture", |plan| plan["path"] != first["path"]).await;
    assert_eq!(second["devices"].as_array().unwrap().len(), 2, "{second}");
    // What no plan names is cleared away with the next picture.
    let ground = "/api/v1/plans/G?cell=S1&corners=118.9,32.11,118.92,32.11,118.9,32.1";
    assert_eq!(put(&station, ground, demo("ground.png")).await.0, StatusCode::OK);
    assert_eq!(ask(&station, Method::DELETE, "/api/v1/plans/G1-1-2F", "").await.status(), StatusCode::OK);
    eventually("it is gone", 10, || async {
        let gone = ask(&station, Method::GET, path, "").await.status() == StatusCode::NOT_FOUND;
        gone.then_some(())
    })
    .await;
    assert_eq!(station.get("/api/v1/devices/SD-2").await["pin"], Json::Null);
    station.stop().await;
    let store = rusqlite::Connection::open(site.file("data/station.db")).unwrap();
    let count = |what: &str| -> i64 { store.query_row(what, (), |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM plan_pictures"), 2, "the first picture is cleared away");
    assert_eq!(count("SELECT count(*) FROM audit WHERE what LIKE 'plan.%'"), 5);
}

#[tokio::test]
async fn what_is_no_plan_is_refused_with_its_reason() {
    let site = Site::new("");
    let station = site.start().await;
    let svg =
        "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let wide = {
        let mut png = demo("school.png");
        png[16..20].copy_from_slice(&20_000u32.to_be_bytes());
        png
    };
    let too_long = [demo("school.png"), vec![0; 4 << 20]].concat();
    let refusals: [(&str, Vec<u8>, u16, &str); 10] = [
        (FLOOR, svg.into(), 415, "SVG is not taken"),
        (FLOOR, b"GIF89a".to_vec(), 415, "save the plan as PNG"),
        (FLOOR, b"OggS a voice note".to_vec(), 415, "save the plan as PNG"),
        (FLOOR, wide, 415, "20000 ×"),
        (FLOOR, too_long, 413, "4 MiB"),
        (FLOOR, Vec::new(), 404, "send its picture"),
        ("/api/v1/plans/P?cell=S1-C1-G1", demo("school.png"), 400, "either building and floor"),
        ("/api/v1/plans/P?cell=S1-C1-G1&building=x", demo("school.png"), 400, "which floor"),
        ("/api/v1/plans/P?cell=S1&corners=1,2,3", demo("school.png"), 400, "six numbers"),
        ("/api/v1/plans/P?cell=NOWHERE&building=x&floor=0", demo("school.png"), 422, "no cell `NOWHERE`"),
    ];
    for (path, body, status, reason) in refusals {
        let (found, said) = put(&station, path, body).await;
        assert_eq!(found.as_u16(), status, "{path}: {said}");
        assert!(said.to_string().contains(reason), "{reason}: {said}");
    }
    assert_eq!(station.get("/api/v1/plans").await["items"], json!([]));
    station.stop().await;
}

/// The fire brigade has no cell of ours: it sees the plan of the fire that was handed to it, and no other.
#[tokio::test]
async fn whoever_is_called_to_an_alarm_sees_where_it_hangs() {
    let station = rights::with_accounts().await;
    let mut account = Account::new("brigade-2", Role::Department, station.clock.now().wall);
    account.person = Some("fire-brigade-2".into());
    let text = String::new;
    let line =
        Audit { at: station.clock.now().wall, who: text(), what: text(), target: text(), detail: text() };
    assert!(station.store.add_account(account, line).await.unwrap());
    let alarm = station.raise_handed(SignalClass::Fire, "SD-0002", "fire-brigade-2").await.unwrap();
    let station = Arc::new(station);
    let look = async |path: String| {
        rights::ask(&station, "brigade-2", &Method::GET, &path, None).await.status().as_u16()
    };
    assert_eq!(look("/api/v1/plans/P-1/picture".into()).await, 404);
    assert_eq!(look(format!("/api/v1/plans/P-1/picture?alarm={}", alarm.id)).await, 200);
    assert_eq!(look("/api/v1/plans/P-1/picture?alarm=A-1".into()).await, 404, "not his alarm");
    assert_eq!(
        look(format!("/api/v1/plans/P-2/picture?alarm={}", alarm.id)).await,
        404,
        "not where it hangs"
    );
    let seen = rights::ask(&station, "brigade-2", &Method::GET, "/api/v1/plans", None).await;
    assert_eq!(seen.json::<Json>().await.unwrap()["items"], json!([]));
    Arc::into_inner(station).expect("nobody else has it").end().await.unwrap();
}

/// Put in, hung with devices, zoomed to, seen on the card: in the browser, on the wall and on the phone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floors_are_drawn_and_zoomed_to() {
    let site = Site::new("");
    let station = site.start().await;
    let token = web::administrator(&site, &station).await;
    station.publish("SD-1", &json!({ "values": { "smoke": true } })).await;
    let more = [("ALARM", "A-1".into()), ("CELL", "S1-C1-G1".into())];
    let script = ["--test", "--test-force-exit", "--test-reporter=spec", "plans.test.mjs"];
    println!("{}", web::run(&station.http, &token, &script, &more).await);
    station.stop().await;
}
