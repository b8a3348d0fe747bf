//! The pages as people use them: every page at three sizes and in both languages, with keys alone, with a thousand alarms, and the map of a whole city. The scripts in
//! tests/web/ drive Chromium by Playwright against a gateway started here.

use std::process::Stdio;

use firmware_sim::hydrants::Pressures;
use firmware_sim::modbus::Hydrants;
use gateway::grid::Registry;
use gateway::model::*;
use gateway::world::World;
use serde_json::{Value as Json, json};
use tests::city::{CELLS, city};
use tests::neighbours::{eventually, root};
use tests::site::{self, Site, program};
use tests::station::{Station, TOKEN};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// For one script, on a machine that has much else to do.
const WITHIN: std::time::Duration = std::time::Duration::from_secs(240);

/// Runs a script of tests/web/ against the station; fails with what it said.
pub async fn run(url: &str, token: &str, script: &[&str], more: &[(&str, String)]) -> String {
    let said = tempfile::NamedTempFile::new().unwrap();
    let writes = || std::fs::OpenOptions::new().append(true).open(said.path()).unwrap();
    let mut node = Command::new("node");
    node.args(script).current_dir(root().join("tests/web")).stdin(Stdio::null());
    node.env("GRIDWARDEN_URL", url).env("GRIDWARDEN_TOKEN", token).envs(more.iter().cloned());
    let mut node =
        node.stdout(writes()).stderr(writes()).process_group(0).kill_on_drop(true).spawn().unwrap();
    let ended = tokio::time::timeout(WITHIN, node.wait()).await;
    if ended.is_err() {
        // Asked to end, its own children end their browsers; killed, they would stay.
        let group = format!("-{}", node.id().expect("it runs"));
        Command::new("kill").args(["-TERM", "--", &group]).status().await.unwrap();
    }
    let said = std::fs::read_to_string(said.path()).unwrap();
    let status = ended
        .unwrap_or_else(|_| panic!("{script:?} did not end within {WITHIN:?}; it said:\n{said}"))
        .unwrap();
    assert!(status.success(), "{said}");
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
pub async fn administrator(site: &Site, station: &site::Station) -> String {
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

/// A simulated hydrant behind Modbus, as `[[modbus]]` names it.
async fn hydrant(stop: &CancellationToken, servers: &mut JoinSet<anyhow::Result<()>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pressures = Pressures::default();
    pressures.set(1, 350.0);
    servers.spawn(Hydrants::new(pressures).serve_tcp(listener, stop.clone()));
    format!(
        "[[modbus]]\nname = \"hydrants\"\ntcp = \"{address}\"\n[[modbus.unit]]\nunit = 1\nmap = \"mpd-380\"\n"
    )
}

/// Low pressure that was nothing five times, judged so by another: the station has something to propose.
async fn five_false_alarms(station: &site::Station, judge: &str) {
    for kilopascal in [138.0, 137.0, 136.0, 137.0, 138.0] {
        station.publish("HY-1", &json!({ "values": { "pressure": kilopascal } })).await;
        let alarm = eventually("the alarm", 10, || async {
            let open = station.get("/api/v1/alarms?open=1&device=HY-1").await;
            open["items"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        assert_eq!(station.post(&format!("/api/v1/alarms/{alarm}/acknowledge"), &json!({})).await.0, 200);
        station.publish("HY-1", &json!({ "values": { "pressure": 210.0 } })).await;
        eventually("its end", 10, || async {
            let one = station.get(&format!("/api/v1/alarms/{alarm}")).await;
            (one["alarm"]["state"] == "closed").then_some(())
        })
        .await;
        let path = format!("{}/api/v1/alarms/{alarm}/evaluate", station.http);
        let said = station.client.post(path).bearer_auth(judge).json(&json!({ "verdict": "false" }));
        assert!(said.send().await.unwrap().status().is_success());
    }
}

/// What only administrators do, each with the real program behind it: indicators and proposals, the Modbus probe, rules, cells, shifts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_administration_is_driven() {
    let (stop, mut servers) = (CancellationToken::new(), JoinSet::new());
    let site = Site::new(&hydrant(&stop, &mut servers).await);
    super::phone::with_roll_calls(&site);
    let station = site.start().await;
    let token = administrator(&site, &station).await;
    station.publish("SD-1", &json!({ "values": { "smoke": true } })).await;
    five_false_alarms(&station, &token).await;
    let more = std::env::var("GRIDWARDEN_PICTURES").ok().map(|folder| ("PICTURES", folder));
    let more: Vec<_> = more.into_iter().collect();
    let said = run(
        &station.http,
        &token,
        &["--test", "--test-force-exit", "--test-reporter=spec", "admin.test.mjs"],
        &more,
    )
    .await;
    println!("{said}");
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    assert!(rules.contains("from the page") && rules.contains("below = 137"), "{rules}");
    station.stop().await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_in_every_size_and_language() {
    let (stop, mut servers) = (CancellationToken::new(), JoinSet::new());
    let site = Site::new(&hydrant(&stop, &mut servers).await);
    site.append(
        "devices.csv",
        "HY-9,hydrant,东门消火栓,lora:24e124136b502217,S1-C1-G1,东门,118.905,32.11,\n",
    );
    let station = site.start().await;
    let token = administrator(&site, &station).await;
    for pressure in [310.0, 305.0, 120.0] {
        station.publish("HY-1", &json!({ "values": { "pressure": pressure } })).await;
    }
    station.publish("NOBODY", &json!({ "values": { "smoke": true } })).await;
    station.publish("SD-4", &json!({ "values": { "smoke": true } })).await;
    station.publish("SD-1", &json!({ "values": { "smoke": true } })).await;
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
    let said = run(
        &station.http,
        &token,
        &["--test", "--test-force-exit", "--test-reporter=spec", "pages.test.mjs"],
        &more,
    )
    .await;
    println!("{said}");
    for device in ["SD-2", "SD-3"] {
        station.publish(device, &json!({ "values": { "smoke": true } })).await;
    }
    eventually("more fires", 10, || async {
        let open = station.get("/api/v1/alarms?class=fire&state=unacknowledged").await;
        (2 <= open["items"].as_array().unwrap().len()).then_some(())
    })
    .await;
    println!("{}", run(&station.http, &token, &["tasks.mjs"], &more).await);
    station.stop().await;
    stop.cancel();
}

/// Pages that are open for long, beside others who change what they show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_stay_open_stay_true() {
    let site = Site::new("");
    let station = site.start().await;
    let token = administrator(&site, &station).await;
    station.publish("SD-1", &json!({ "values": { "smoke": true } })).await;
    eventually("the fire is told", 20, || async {
        let fires = station.get("/api/v1/alarms?class=fire&open=1").await;
        let alarm = station.get(&format!("/api/v1/alarms/{}", fires["items"][0]["id"].as_str()?)).await;
        (!alarm["attempts"].as_array()?.is_empty()).then_some(())
    })
    .await;
    let more = [
        ("CELL", "S1-C1-G1".to_owned()),
        ("ELSEWHERE", "S1-C1-G2".to_owned()),
        ("COLLEAGUE", site::TOKEN.to_owned()),
    ];
    for script in ["living.test.mjs", "detail.test.mjs"] {
        let script = ["--test", "--test-force-exit", "--test-reporter=spec", script];
        println!("{}", run(&station.http, &token, &script, &more).await);
    }
    station.stop().await;
}

async fn on_a_phone(script: &str) {
    let site = Site::new("");
    super::phone::with_roll_calls(&site);
    let station = site.start().await;
    let mut more = vec![("GRIDWARDEN_CELL", "S1-C1-G1".to_owned())];
    more.extend(std::env::var("GRIDWARDEN_PICTURES").ok().map(|folder| ("PICTURES", folder)));
    let script = ["--test", "--test-force-exit", "--test-reporter=spec", script];
    println!("{}", run(&station.http, site::TOKEN, &script, &more).await);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_s_phone_with_and_without_a_network_and_a_resident_s() {
    on_a_phone("worker.test.mjs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_s_phone_on_duty_and_what_residents_say() {
    on_a_phone("duty.test.mjs").await;
}
