//! One whole night with the real program, a clock that says 03:00, MQTT, and stand-ins for the providers of calls and short messages.
//!
//! The evening taught the station that a rule cries wolf. At 03:00 it burns: the worker sleeps, the deputy is absent and has no stand-in, the street's duty officer answers; the hydrants
//! have no water, and he reads it on the card. Somebody else verifies and judges. In the morning the proposal is replayed and accepted. `-- --nocapture` prints all times.

use std::ffi::OsString;

use gateway::accounts::{Account, Role};
use gateway::units::{Millis, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tests::neighbours::eventually;
use tests::receiver::{Receiver, Reply};
use tests::running::{Running, fix_ports};
use tests::site::{Site, program};
use tokio::process::Command;

use crate::time::library;

/// In the station's time zone, which is eight hours ahead of UTC.
const NIGHT: &str = "2026-11-23T03:00:00+08:00";

const PEOPLE: &str = "id,name,phone,role,cell,from,until
wang-li,王丽,10000000001,lead,S1-C1-G1,2020-01-01,
sun-yue,孙悦,10000000005,deputy,S1-C1-G2,2020-01-01,
zhang-wei,张伟,10000000002,lead,S1-C1-G2,2020-01-01,
chen-jie,陈洁,10000000003,lead,S1-C1,2020-01-01,
zhao-min,赵敏,10000000004,duty_officer,S1,2020-01-01,
";

const LADDERS: &str = r#"
[[ladder]]
name = "fire"
hours = "22:00-06:00"
step = [
    { after_s = 0, who = ["responsible"], channels = ["voice", "sms"] },
    { after_s = 2, who = ["deputy"], channels = ["voice", "sms"] },
    { after_s = 600, who = ["duty_officer"], channels = ["voice", "sms"] },
]

[[ladder]]
name = "fire"
step = [{ after_s = 0, who = ["responsible"], channels = ["sms"] }]

[[ladder]]
name = "calm"
step = [{ after_s = 0, who = ["responsible"], channels = ["sms"] }]
"#;

/// A provider of calls or messages that takes everything and says so in the body.
async fn provider() -> Receiver {
    let receiver = Receiver::start([]).await.unwrap();
    receiver.decide(|_| Some(Reply::status(200).body(json!({ "code": 0, "id": "m-1" }).to_string())));
    receiver
}

fn channel(kind: &str, provider: &Receiver) -> String {
    format!(
        "[[channel.{kind}]]\nname = \"{kind}\"\nlimits = []\n\
         request = {{ url = \"{}\", json = '{{\"to\": \"{{phone}}\", \"text\": \"{{text}}\"}}' }}\n\
         answer = {{ accepted_when = {{ path = \"code\", equals = 0 }}, id = \"id\" }}\n",
        provider.url
    )
}

struct Night {
    site: Site,
    running: Running,
    client: reqwest::Client,
}

impl Night {
    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}{path}", self.running.http);
        let mut request = self.client.request(method, url).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Must be allowed.
    async fn does(&self, token: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(token, Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer:#}");
        answer
    }

    async fn detail(&self, alarm: &str) -> Value {
        self.running.get(&format!("/api/v1/alarms/{alarm}")).await.expect("the API answers")
    }

    async fn open(&self, query: &str) -> Option<String> {
        let open = self.running.get(&format!("/api/v1/alarms?open=1&{query}")).await?;
        open["items"][0]["id"].as_str().map(str::to_owned)
    }

    /// One episode of low pressure in the evening, and what it was worth.
    async fn evening(&self, kilopascal: f64, supervisor: &str, verdict: &str) {
        let up = "gridwarden/up/HY-1";
        self.running.publish(up, &json!({ "values": { "pressure": kilopascal } })).await;
        let alarm = eventually("the alarm", 20, || self.open("device=HY-1")).await;
        self.does(tests::site::TOKEN, &format!("/api/v1/alarms/{alarm}/acknowledge"), json!({})).await;
        self.running.publish(up, &json!({ "values": { "pressure": 210.0 } })).await;
        eventually("its end", 20, || async {
            (self.detail(&alarm).await["alarm"]["state"] == "closed").then_some(())
        })
        .await;
        self.does(supervisor, &format!("/api/v1/alarms/{alarm}/evaluate"), json!({ "verdict": verdict }))
            .await;
    }

    async fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(program("gridwarden"));
        let output =
            command.args(arguments).arg("-c").arg(self.site.file("station.toml")).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

/// As the clock on the wall showed it.
fn local(at: &str) -> String {
    let at = Timestamp::parse_rfc3339(at).unwrap_or_else(|| panic!("`{at}` is a time"));
    let shown = (at + Millis::from_secs(8 * 3600)).rfc3339();
    shown.replace('T', " ").trim_end_matches('Z').to_owned()
}

fn to_whom(provider: &Receiver) -> Vec<String> {
    provider.received().iter().map(|got| got.json()["to"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn fire_at_three_in_the_morning() {
    let (voice, sms) = (provider().await, provider().await);
    let site = Site::new(&format!("{}{}", channel("voice", &voice), channel("sms", &sms)));
    site.write("people.csv", PEOPLE);
    site.write("absences.csv", "id,from,until,stand_in,reason\nsun-yue,2026-11-20,,,病假\n");
    let station = std::fs::read_to_string(site.file("station.toml")).unwrap();
    site.write(
        "station.toml",
        &station
            .replace("people = [\"people.csv\"]", "people = [\"people.csv\"]\nabsences = [\"absences.csv\"]"),
    );
    let rules = std::fs::read_to_string(site.file("rules.toml")).unwrap();
    let (before, _) = rules.split_once("[[ladder]]").unwrap();
    let fire = "state = { flag = \"smoke\" }";
    let before = before.replace(fire, &format!("{fire}\nclose = \"evaluated\""));
    site.write("rules.toml", &format!("{before}{LADDERS}"));

    // The night is so far from now; the program's clock says so, and runs on.
    let night = Timestamp::parse_rfc3339(NIGHT).unwrap();
    let offset = (night.0 - gateway::clock::wall().0) / 1000;
    site.write("faketime", &format!("{offset:+}"));
    let environment: Vec<(&str, OsString)> = vec![
        ("LD_PRELOAD", library().into()),
        ("FAKETIME_TIMESTAMP_FILE", site.file("faketime").into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
    ];
    let ports = fix_ports(&site);
    let running = Running::start(&site, ports, &environment).await;
    let made = night - Millis::from_secs(3600);
    let token = |name: &str, role, person: Option<&str>| {
        let mut account = Account::new(name, role, made);
        account.person = person.map(str::to_owned);
        account.cells = vec!["S1".into()];
        account
    };
    let officer = site.token_of(token("zhao", Role::DutyOfficer, Some("zhao-min")), made).await;
    let supervisor = site.token_of(token("qian", Role::Supervisor, None), made).await;
    let admin = site.token_of(token("li", Role::Administrator, None), made).await;
    let night = Night { site, running, client: reqwest::Client::new() };

    for (kilopascal, verdict) in
        [(138.0, "false"), (137.0, "false"), (136.0, "false"), (138.0, "false"), (60.0, "true")]
    {
        night.evening(kilopascal, &supervisor, verdict).await;
    }
    let up = |device: &str| format!("gridwarden/up/{device}");
    night.running.publish(&up("HY-1"), &json!({ "values": { "pressure": 90.0 } })).await;
    eventually("the main is low", 20, || night.open("device=HY-1")).await;
    night.running.publish(&up("SD-4"), &json!({ "values": { "smoke": true } })).await;
    let fire = eventually("the fire", 20, || night.open("class=fire")).await;

    // Everybody up to the duty officer is called: the worker at once, the absent deputy not at all, and then there is nothing to wait for.
    let called = |phone: &str| to_whom(&voice).iter().any(|to| to == phone);
    eventually("the worker's telephone rings", 20, || async { called("10000000002").then_some(()) }).await;
    eventually("the duty officer's telephone rings", 20, || async { called("10000000004").then_some(()) })
        .await;
    assert!(!called("10000000005"), "the deputy is absent");
    let path = format!("/api/v1/alarms/{fire}");
    let card = night.detail(&fire).await["card"].clone();
    let water = &card["hydrants"][0];
    assert_eq!(
        (&water["id"], &water["pressure_kpa"]),
        (&json!("HY-1"), &json!(90.0)),
        "the water is on the card: {card:#}"
    );
    assert_ne!(water["mark"], Value::Null, "and that it is too low");

    night
        .does(&officer, &format!("{path}/acknowledge"), json!({ "note": "张伟 does not answer, I go" }))
        .await;
    night.does(&officer, &format!("{path}/on_the_way"), json!({})).await;
    night.does(&officer, &format!("{path}/on_site"), json!({})).await;
    night.running.publish(&up("SD-4"), &json!({ "values": { "smoke": false } })).await;
    let out =
        json!({ "disposition": "real_fire", "note": "a pan; put out with the tanker, the main is low" });
    night.does(&officer, &format!("{path}/resolve"), out).await;
    let (own, _) = night.ask(&officer, Method::POST, &format!("{path}/verify"), Some(json!({}))).await;
    assert_eq!(own, 403, "nobody verifies his own work");
    night.does(&supervisor, &format!("{path}/verify"), json!({ "note": "seen the flat" })).await;
    let over = night.does(&supervisor, &format!("{path}/evaluate"), json!({ "verdict": "true" })).await;
    assert_eq!((&over["stage"], &over["owner"]["id"]), (&json!("closed"), &json!("zhao-min")), "{over:#}");

    // In the morning: what the evening taught, tried on the journal, and accepted by a person.
    let (status, _) = night.ask(&admin, Method::POST, "/api/v1/proposals", None).await;
    assert_eq!(status, 202);
    let proposal = eventually("the proposal", 30, || async {
        let open = night.running.get("/api/v1/proposals?state=open").await?;
        let all = open["items"].as_array()?.clone();
        all.into_iter().find(|one| one["change"]["kind"] == "threshold")
    })
    .await;
    let effect = &proposal["effect"];
    assert_eq!(
        (&effect["real_gone"], &effect["fires_missed"], &effect["fires_later"]),
        (&json!(0), &json!(0), &json!(0)),
        "{proposal:#}"
    );
    let accept = format!("/api/v1/proposals/{}/accept", proposal["number"]);
    let accepted = night.does(&admin, &accept, json!({ "reason": "the main has 136 kPa at noon" })).await;
    eventually("the rules are in force", 30, || async {
        let all = night.running.get("/api/v1/proposals?state=accepted").await?;
        (all["items"][0]["in_force"] == true).then_some(())
    })
    .await;

    let detail = night.detail(&fire).await;
    let entries = detail["history"].as_array().unwrap().clone();
    let what: Vec<&str> = entries.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    let mut at = 0;
    for step in [
        "raised",
        "nobody_to_tell",
        "escalated",
        "acknowledged",
        "on_site",
        "returned",
        "resolved",
        "verified",
        "evaluated",
        "closed",
    ] {
        let found = what[at..].iter().position(|one| *one == step);
        at += found.unwrap_or_else(|| panic!("`{step}` is missing or too early in {what:?}"));
    }
    println!("the night of {fire}");
    for entry in &entries {
        let (at, what) = (entry["at"].as_str().unwrap(), entry["what"].as_str().unwrap());
        let who = entry["who"].as_str().or(entry["who"]["id"].as_str()).unwrap_or("-");
        println!("  {}  {what:<15} {who:<10} {}", local(at), entry["detail"].as_str().unwrap_or_default());
        let since = Timestamp::parse_rfc3339(at).unwrap().since(Timestamp::parse_rfc3339(NIGHT).unwrap());
        assert!(local(at).starts_with("2026-11-23 03:") && since < Millis::from_secs(3600), "{at}");
    }
    println!(
        "  accepted: {} → {} ({})",
        proposal["change"]["from"], proposal["change"]["to"], accepted["state"]
    );
    let told = night.command(&["explain", &fire]).await;
    for words in
        ["SD-4 said smoke = 1", "zhang-wei by `voice`", "zhao-min by `voice`", "found nobody", "消火栓 东门"]
    {
        assert!(told.contains(words), "`{words}` is missing in\n{told}");
    }
    // Why was the neighbour's detector quiet, with a fire next door?
    let quiet = night.command(&["explain", "--device", "SD-2", "--at", "2026-11-23T03:59"]).await;
    assert!(quiet.contains("Nothing was heard of it from 2026-11-23 03:00"), "{quiet}");
    night.running.kill().await;
}
