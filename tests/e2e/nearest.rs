//! A fire calls whoever is nearest: from a phone's position to the message, with nothing but a person and a rounded distance on disk.

use gateway::account_command::{self, AccountCommand};
use gateway::accounts::Role;
use gateway::config;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station};

const PASSWORD: &str = "four words and a half";
/// Of SD-1, to five figures.
const NEAR: [f64; 2] = [118.90512, 32.11034];

/// An account for a person, made at the console; its cookie.
async fn log_in(site: &Site, station: &Station, person: &str) -> String {
    let loaded = config::load(&site.file("station.toml")).unwrap();
    let (name, role) = (person.to_owned(), vec![Role::Worker]);
    let add = AccountCommand::Add { name, role, person: Some(person.to_owned()), cell: Vec::new() };
    let text = account_command::run(&loaded, add).await.unwrap();
    let once = text.split("one-time password ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let url = format!("{}/api/v1/session", station.http);
    let body = json!({ "name": person, "password": once });
    let answer = station.client.post(&url).header("origin", &station.http).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = |answer: &reqwest::Response| {
        let text = answer.headers().get("set-cookie")?.to_str().ok()?;
        text.split(';').next().map(str::to_owned)
    };
    let first = cookie(&answer).unwrap();
    let body = json!({ "old": once, "new": PASSWORD });
    let request = station.client.put(format!("{url}/password")).header("origin", &station.http);
    let answer = request.header("cookie", &first).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    cookie(&answer).unwrap_or(first)
}

async fn fire(station: &Station, receiver: &Receiver, text: &str) -> (String, Value) {
    let body = json!({ "cell": "S1-C1-G1", "class": "fire", "text": text });
    let (_, alarm) = station.post("/api/v1/alarms", &body).await;
    let id = alarm["id"].as_str().unwrap().to_owned();
    let told = eventually("somebody is told", 20, || async {
        receiver.deliveries().into_iter().find(|delivery| delivery.json["alarm"]["id"] == *id)
    });
    (
        told.await.json["alert"]["person"]["id"].as_str().unwrap().to_owned(),
        station.get(&format!("/api/v1/alarms/{id}")).await,
    )
}

#[tokio::test]
async fn the_nearest_is_called_and_no_position_is_written() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let (before, after) = rules.split_once("name = \"fire\"").unwrap();
    let after = after.replacen("who = [\"responsible\"]", "who = [\"nearest\"]", 1);
    site.write("rules.toml", &format!("{before}name = \"fire\"{after}"));
    let station = site.start().await;
    let cookie = log_in(&site, &station, "chen-jie").await;
    let position = |method: reqwest::Method| {
        let request = station.client.request(method, format!("{}/api/v1/me/position", station.http));
        request.header("origin", &station.http).header("cookie", &cookie)
    };
    let here = json!({ "lon": NEAR[0], "lat": NEAR[1] });
    assert_eq!(position(reqwest::Method::PUT).json(&here).send().await.unwrap().status(), 204);

    let (told, alarm) = fire(&station, &receiver, "smoke in the hall").await;
    assert_eq!(told, "chen-jie", "she stands above the cell, and is the only one known to be near");
    let details: Vec<_> =
        alarm["history"].as_array().unwrap().iter().map(|line| line["detail"].to_string()).collect();
    assert!(
        details.iter().any(|line| line.contains("the nearest: chen-jie within 50 m by duty")),
        "{details:#?}"
    );

    assert_eq!(position(reqwest::Method::DELETE).send().await.unwrap().status(), 204);
    let (told, alarm) = fire(&station, &receiver, "smoke in the yard").await;
    assert_eq!(told, "wang-li", "the lead, when nobody has said where he is: {alarm:#}");
    station.stop().await;

    // As numbers and as text, in every file of the station.
    let longitude = NEAR[0].to_le_bytes();
    let mut seen = 0;
    let mut folders = vec![site.file("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            seen += usize::from(bytes.windows(9).any(|part| part == b"chen-jie,"));
            let kept = bytes.windows(8).any(|part| part == longitude || part == b"18.90512");
            assert!(!kept, "{}", path.display());
        }
    }
    assert!(0 < seen, "the files were read");
}
