//! Why no alarm came: with the real program's parts, over the API and beside the station, guard by guard.

use gateway::accounts::{Account, Role};
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station, program};
use tokio::process::Command;

/// The reasons, as soon as they hold these words.
async fn because(station: &Station, path: &str, words: &str) -> Value {
    eventually(words, 20, || async {
        let said = station.get(&format!("/api/v1/{path}/explanation")).await;
        said["because"].to_string().contains(words).then_some(said)
    })
    .await
}

#[tokio::test]
async fn every_quiet_has_its_reason() {
    let receiver = Receiver::start().await;
    let site = Site::new(&receiver.config());
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    site.write(
        "rules.toml",
        &rules.replace("kinds = [\"hydrant\"]", "kinds = [\"hydrant\"]\nraise_after_s = 3600"),
    );
    let station = site.start().await;
    let values = |values: Value| json!({ "values": values });
    let device = |id: &str| format!("devices/{id}");

    let said = because(&station, &device("SD-2"), "Nothing was heard of it").await;
    assert_eq!(said["rules"][0]["raises_when"], "`smoke` is set, and not as a test", "{said:#}");
    station.publish("SD-1", &values(json!({ "smoke": true, "test": true }))).await;
    because(&station, &device("SD-1"), "took it for a press of the test button").await;
    station.publish("HY-1", &values(json!({ "pressure": 120.0 }))).await;
    let said =
        because(&station, &device("HY-1"), "`low-pressure` waits: the alarm comes if it stays so for").await;
    let low = &said["rules"][0];
    assert_eq!(
        (&low["state"], &low["raises_when"]),
        (&json!("waits"), &json!("`pressure` is below 140 kPa and stays so for 60 min"))
    );
    station.publish("HY-1", &values(json!({ "pressure": 200.0 }))).await;
    because(&station, &device("HY-1"), "`low-pressure` saw it abnormal for too short").await;
    station.publish("SD-2", &values(json!({ "smoke": false }))).await;
    because(&station, &device("SD-2"), "no value was beyond the limit of a rule").await;
    // A message that nobody can use, and one of a stranger.
    station.publish("SD-2", &json!({ "values": { "smoke": "perhaps" } })).await;
    because(&station, &device("SD-2"), "could not be used").await;
    station.publish("SD-77", &values(json!({ "smoke": true }))).await;

    // It stands already; and another may not look into the cell.
    station.publish("SD-3", &json!({})).await;
    station.publish("SD-4", &values(json!({ "smoke": true }))).await;
    let said = because(&station, &device("SD-4"), "stood already").await;
    assert_eq!((&said["alarms"][0]["rule"], &said["alarms"][0]["stood"]), (&json!("smoke"), &json!(true)));
    let until = gateway::clock::wall() + gateway::units::Millis::from_secs(3600);
    let window = json!({ "cell": "S1-C1-G1", "until": until.rfc3339(), "reason": "flushing" });
    let (status, answer) = station.post("/api/v1/maintenance", &window).await;
    assert_eq!(status, 201, "{answer:#}");
    because(&station, &device("SD-1"), "flushing").await;
    let cell = because(&station, "cells/S1-C1", "answered for it").await;
    let devices = cell["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 5, "{cell:#}");
    assert!(cell["because"].to_string().contains("(rule `smoke`) stood"), "{cell:#}");

    let now = gateway::clock::wall();
    let mut worker = Account::new("wang", Role::Worker, now);
    worker.person = Some("wang-li".into());
    let worker = site.token_of(worker, now).await;
    for (path, expected) in
        [("devices/SD-1", 200), ("devices/SD-4", 404), ("cells/S1-C1-G1", 200), ("cells/S1", 404)]
    {
        let url = format!("{}/api/v1/{path}/explanation", station.http);
        let answer = station.client.get(url).bearer_auth(&worker).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{path}");
    }
    let long_ago = station.get("/api/v1/devices/SD-1/explanation?at=2020-01-01T00:00:00Z").await;
    assert_eq!(long_ago["because"], json!(["The journal holds nothing of the day before."]), "{long_ago:#}");

    let explain = |arguments: &'static [&'static str]| {
        let mut command = Command::new(program("gridwarden"));
        command.arg("explain").args(arguments).arg("-c").arg(site.file("station.toml"));
        async move {
            let output = command.output().await.unwrap();
            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            (output.status.success(), text)
        }
    };
    let (good, said) = explain(&["--device", "HY-1"]).await;
    println!("{said}");
    for words in [
        "saw it abnormal for too short",
        "supervisory `low-pressure`: an alarm when `pressure` is below 140 kPa",
        "pressure = 120 kPa",
    ] {
        assert!(good && said.contains(words), "`{words}` is missing in\n{said}");
    }
    let (good, said) = explain(&["--cell", "S1-C1-G1"]).await;
    assert!(good && said.contains("SD-1: ") && said.contains("answered for it"), "{said}");
    let (good, said) = explain(&["--device", "SD-77"]).await;
    assert!(good && said.contains("There is no device `SD-77`; these messages name it"), "{said}");
    let (good, said) = explain(&["--device", "SD-11"]).await;
    assert!(!good && said.contains("did you mean `SD-1`?"), "{said}");
    station.stop().await;
}
