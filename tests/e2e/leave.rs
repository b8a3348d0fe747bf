//! The leave of a flat, over the API: while it lasts nobody is missed there, and when it is taken back the hours begin anew. Half a day passes by a clock that the test moves.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use gateway::clock::{self, Clock, ticks};
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::site::{Receiver, Site, Station, TOKEN};
use tokio::time::Instant;

const HOURS: Duration = Duration::from_secs(12 * 3600);

const RULES: &str = r#"
[[rule]]
name = "welfare-check"
class = "supervisory"
text = "独居住户 {value} 无活动 {place}"
kinds = ["door_sensor"]
stillness = { metrics = ["door_open"], for_h = 12 }
ladder = "welfare"
close = "resolved"

[[rule]]
name = "silent"
class = "trouble"
text = "失联 {device}"
kinds = ["door_sensor"]
close = "returned"
presence = { silent_after_s = 864000 }

[[ladder]]
name = "welfare"
[[ladder.step]]
after_s = 0
who = ["responsible"]
channels = ["duty"]
"#;

fn site(receiver: &Receiver) -> Site {
    let site = Site::new(&receiver.config());
    site.write("rules.toml", RULES);
    site.write(
        "devices.csv",
        "id,kind,name,address,cell,place,lon,lat,silent_after_s\n\
         DS-1,door_sensor,门磁,,S1-C1-G1,1栋1单元101 入户门,118.905,32.11,864000\n\
         DS-2,door_sensor,门磁,,S1-C1-G1,1栋1单元201 入户门,118.905,32.11,864000\n",
    );
    site.write(
        "households.csv",
        "cell,place,people,help\nS1-C1-G1,1栋1单元101,1,独居\nS1-C1-G1,1栋1单元201,1,独居\n",
    );
    let station = std::fs::read_to_string(site.file("station.toml")).unwrap();
    let people = "people = [\"people.csv\"]";
    site.write(
        "station.toml",
        &station.replace(people, &format!("{people}\nhouseholds = [\"households.csv\"]")),
    );
    site
}

/// Until two seconds before the hours are over that began at `since`: the station does not take it for a time in which it was off.
async fn pass_the_hours(since: Instant) {
    let left = HOURS - ticks().duration_since(since) - Duration::from_secs(2);
    tokio::time::pause();
    tokio::time::advance(left).await;
    tokio::time::resume();
}

/// Until the change that this answer is of is in force.
async fn in_force(station: &Station, answer: reqwest::Response) {
    let status = answer.status();
    let changed: Value = answer.json().await.unwrap();
    assert!(status.is_success() && changed["changed"] == true, "{changed}");
    eventually("it is in force", 20, || async {
        (station.get("/api/v1/people/wang-li").await["version"] == changed["version"]).then_some(())
    })
    .await;
}

/// What the rule says of a door now.
async fn stands(station: &Station, device: &str) -> Value {
    let said = station.get(&format!("/api/v1/devices/{device}/explanation")).await;
    said["rules"][0]["state"].clone()
}

async fn alarm_of(station: &Station, device: &str) -> Option<String> {
    let alarms = station.get(&format!("/api/v1/alarms?open=true&device={device}")).await;
    alarms["items"][0]["id"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn nobody_is_missed_in_a_flat_on_leave_and_again_when_it_is_over() {
    let receiver = Receiver::start().await;
    let site = site(&receiver);
    let wall: &AtomicI64 = Box::leak(Box::new(AtomicI64::new(clock::wall().0)));
    let asleep: &AtomicU64 = Box::leak(Box::default());
    let station = site.start_by(|last| Clock::simulated(last, wall, asleep)).await;
    let opened = Instant::now();
    for door in ["DS-1", "DS-2"] {
        station.publish(door, &json!({ "values": { "door_open": true } })).await;
    }
    eventually("both are waited for", 20, || async {
        (stands(&station, "DS-1").await == "waits" && stands(&station, "DS-2").await == "waits").then_some(())
    })
    .await;

    let leave = json!({ "cell": "S1-C1-G1", "place": "1栋1单元101", "from": "2026-01-01", "until": null });
    let put = station.client.put(format!("{}/api/v1/households/leave", station.http)).bearer_auth(TOKEN);
    in_force(&station, put.json(&leave).send().await.unwrap()).await;
    pass_the_hours(opened).await;
    let missed = eventually("the other one is missed", 20, || alarm_of(&station, "DS-2")).await;
    assert_eq!(alarm_of(&station, "DS-1").await, None, "nobody is missed there");
    eventually("somebody is sent", 20, || async { receiver.heard_of(&missed).then_some(()) }).await;
    for (deed, body) in [("acknowledge", json!({})), ("resolve", json!({ "disposition": "test" }))] {
        let (status, answer) = station.post(&format!("/api/v1/alarms/{missed}/{deed}"), &body).await;
        assert!(status.is_success(), "{answer}");
    }

    let end = format!("{}/api/v1/households/leave?cell=S1-C1-G1&place=1栋1单元101", station.http);
    in_force(&station, station.client.delete(&end).bearer_auth(TOKEN).send().await.unwrap()).await;
    let back = Instant::now();
    assert_eq!(alarm_of(&station, "DS-1").await, None, "the hours of the leave do not count");
    pass_the_hours(back).await;
    let missed = eventually("she is missed again", 20, || alarm_of(&station, "DS-1")).await;
    eventually("somebody is sent", 20, || async { receiver.heard_of(&missed).then_some(()) }).await;
    station.stop().await;
}
