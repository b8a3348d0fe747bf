//! The pages as people use them: every page at three sizes and in both languages, with keys alone, with a thousand alarms, and the map of a whole city. The scripts in
//! tests/web/ drive Chromium by Playwright against a gateway started here.

use std::process::Stdio;

use gateway::grid::Registry;
use gateway::model::*;
use gateway::world::World;
use serde_json::{Value as Json, json};
use tests::city::{CELLS, city};
use tests::neighbours::{eventually, root};
use tests::site::{self, Site, program};
use tests::station::{Station, TOKEN};
use tokio::process::Command;

/// For one script, on a machine that has much else to do.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(240);

/// Runs a script of tests/web/ against the station; fails with what it said.
async fn run(url: &str, token: &str, script: &[&str], more: &[(&str, String)]) -> String {
    let mut node = Command::new("node");
    node.args(script).current_dir(root().join("tests/web")).stdin(Stdio::null());
    node.env("GRIDWARDEN_URL", url).env("GRIDWARDEN_TOKEN", token).envs(more.iter().cloned());
    let done = tokio::time::timeout(WITHIN, node.kill_on_drop(true).output()).await;
    let done = done.unwrap_or_else(|_| panic!("{script:?} did not end within {WITHIN:?}")).unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}");
    said
}

async fn city_station() -> Station {
    let station = Station::start().await.unwrap();
    let old = World::clone(&station.world.load());
    station.world.store(std::sync::Arc::new(World { registry: Registry::build(city()), ..old }));
    station
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_map_of_a_city_is_drawn_and_moved() {
    let station = city_station().await;
    for number in 0..40 {
        let class = [SignalClass::Trouble, SignalClass::Supervisory, SignalClass::Trouble][number % 3];
        station.raise(class, &format!("D-{}", number * 211 + 1), "设备故障").await.unwrap();
    }
    station.raise(SignalClass::Fire, "D-4321", "烟雾报警").await.unwrap();
    let pictures = std::env::var("GRIDWARDEN_PICTURES").map(|folder| ("GRIDWARDEN_PICTURES", folder)).ok();
    let more: Vec<_> = [("CELLS", CELLS.to_string())].into_iter().chain(pictures).collect();
    let said = run(&station.url, TOKEN, &["frames.mjs"], &more).await;
    println!("{said}");
    assert!(said.contains("zoom:"), "{said}");
    station.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_alarms_stay_a_list_that_can_be_used() {
    let station = city_station().await;
    for number in 0..999 {
        station.raise(SignalClass::Trouble, &format!("D-{}", number * 10 + 1), "设备故障").await.unwrap();
    }
    station.raise(SignalClass::Fire, "D-4321", "烟雾报警").await.unwrap();
    run(&station.url, TOKEN, &["--test", "crowd.test.mjs"], &[]).await;
    station.end().await.unwrap();
}

/// An administrator's token, made as he would make one: log in with the one-time password, choose another, ask for a token.
async fn administrator(site: &Site, station: &site::Station) -> String {
    let mut add = Command::new(program("gridwarden"));
    add.args(["account", "add", "chief", "--role", "administrator,duty_officer", "-c"])
        .arg(site.file("station.toml"));
    let said = String::from_utf8(add.output().await.unwrap().stdout).unwrap();
    let once = said.split("one-time password ").nth(1).expect(&said).split_whitespace().next().unwrap();
    let ask = |method: reqwest::Method, path: &str| {
        station.client.request(method, format!("{}{path}", station.http)).header("origin", &station.http)
    };
    let log_in = |password: &str| {
        ask(reqwest::Method::POST, "/api/v1/session").json(&json!({ "name": "chief", "password": password }))
    };
    let cookie = |answer: &reqwest::Response| {
        answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    };
    let first = log_in(once).send().await.unwrap();
    let chosen = "four words and a half";
    let change = ask(reqwest::Method::PUT, "/api/v1/session/password").header("cookie", cookie(&first));
    let changed = change.json(&json!({ "old": once, "new": chosen })).send().await.unwrap();
    assert!(changed.status().is_success(), "{}", changed.text().await.unwrap());
    let second = log_in(chosen).send().await.unwrap();
    let make = ask(reqwest::Method::POST, "/api/v1/session/tokens").header("cookie", cookie(&second));
    let made = make.json(&json!({ "label": "a test of the pages", "days": 1 })).send().await.unwrap();
    made.json::<Json>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

async fn publish(station: &site::Station, device: &str, message: Json) {
    let mut publish = Command::new("mosquitto_pub");
    publish.args(["-p", &station.mqtt_port.to_string(), "-q", "1", "-m", &message.to_string()]);
    publish.args(["-t", &format!("gridwarden/up/{device}")]);
    assert!(publish.status().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_in_every_size_and_language() {
    let site = Site::new("");
    let station = site.start().await;
    let token = administrator(&site, &station).await;
    for pressure in [310.0, 305.0, 120.0] {
        publish(&station, "HY-1", json!({ "values": { "pressure": pressure } })).await;
    }
    publish(&station, "NOBODY", json!({ "values": { "smoke": true } })).await;
    publish(&station, "SD-4", json!({ "values": { "smoke": true } })).await;
    publish(&station, "SD-1", json!({ "values": { "smoke": true } })).await;
    let alarm = eventually("two fires", 10, || async {
        let open = station.get("/api/v1/alarms?class=fire").await;
        let fires = open["items"].as_array().unwrap();
        (fires.len() == 2).then(|| fires[0]["id"].as_str().unwrap().to_owned())
    })
    .await;
    let cell = station.get("/api/v1/devices/SD-1").await["cells"][0].as_str().unwrap().to_owned();
    // A text as long as may be, without a space.
    let long = json!({ "cell": cell, "class": "supervisory", "text": "消火栓Hydrant".repeat(20) });
    assert_eq!(station.post("/api/v1/alarms", &long).await.0, 201);
    let more = [("ALARM", alarm), ("CELL", cell), ("DEVICE", "HY-1".into())];
    let said = run(&station.http, &token, &["--test", "--test-reporter=spec", "pages.test.mjs"], &more).await;
    println!("{said}");
    for device in ["SD-2", "SD-3"] {
        publish(&station, device, json!({ "values": { "smoke": true } })).await;
    }
    eventually("more fires", 10, || async {
        let open = station.get("/api/v1/alarms?class=fire&state=unacknowledged").await;
        (2 <= open["items"].as_array().unwrap().len()).then_some(())
    })
    .await;
    println!("{}", run(&station.http, &token, &["tasks.mjs"], &more).await);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_s_phone_with_and_without_a_network_and_a_resident_s() {
    let site = Site::new("");
    let station = site.start().await;
    let mut more = vec![("GRIDWARDEN_CELL", "S1-C1-G1".to_owned())];
    more.extend(std::env::var("GRIDWARDEN_PICTURES").ok().map(|folder| ("PICTURES", folder)));
    let script = ["--test", "--test-reporter=spec", "worker.test.mjs"];
    println!("{}", run(&station.http, site::TOKEN, &script, &more).await);
    station.stop().await;
}
