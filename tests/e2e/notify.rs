//! Alerts on their way out: webhooks against a scripted receiver, the receivers of docs/webhook.md, and alarm changes over MQTT.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use gateway::engine::Effect;
use gateway::model::*;
use gateway::notify::accepted::Accepted;
use gateway::notify::alarm_mqtt::{self, AlarmMqtt};
use gateway::notify::mqtt::{Mqtt, Publisher};
use gateway::notify::webhook::Webhook;
use gateway::notify::{Channel, Letterhead, Notice, Sent, Terms, Worker, webhook};
use gateway::store::Commit;
use gateway::store::outbox::{Attempt, Outcome};
use serde_json::{Value as Json, json};
use tests::neighbours::{eventually, free_port, python, root};
use tests::receiver::{Received, Receiver, Reply};
use tests::station::Station;
use tokio::process::Command;
use tokio::task::JoinSet;

const SECRET: &str = "the shared secret";

fn worker(station: &Station, channel: Arc<dyn Channel>) -> Worker {
    let check = station.health.informative(format!("channel:{}", channel.name()));
    Worker {
        channel,
        terms: Terms::default(),
        letterhead: Letterhead { station: "xianlin-1".into(), public_url: None },
        store: station.store.clone(),
        world: station.world.clone(),
        live: station.live.clone(),
        clock: station.clock,
        check,
        unrecorded: Arc::default(),
    }
}

/// A worker for the channel `duty-app` that posts to `url`.
fn hook(station: &Station, url: &str, timeout: Duration, tasks: &mut JoinSet<anyhow::Result<()>>) {
    let webhook = Webhook::new("duty-app", url, Some(SECRET.into()), timeout).unwrap();
    tasks.spawn(worker(station, Arc::new(webhook)).run(station.stop.clone()));
}

async fn attempts(station: &Station, alarm: AlarmId, count: usize) -> Vec<Attempt> {
    eventually(&format!("{count} attempts for {alarm}"), 20, || async {
        let attempts = station.store.attempts(alarm).await.unwrap();
        (count <= attempts.len()).then_some(attempts)
    })
    .await
}

async fn end(station: Station, mut tasks: JoinSet<anyhow::Result<()>>) {
    station.stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
    station.end().await.unwrap();
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_alert_is_posted_signed_and_its_receipt_kept() {
    let station = Station::start().await.unwrap();
    let receiver = Receiver::start([Reply::status(202).body("ticket 4711\n")]).await.unwrap();
    let mut tasks = JoinSet::new();
    hook(&station, &receiver.url, LONG, &mut tasks);
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "烟雾报警 3栋2单元501").await.unwrap();
    station.tell(&alarm, "duty-app", "wang-li").await.unwrap();
    let made = attempts(&station, alarm.id, 1).await;
    assert_eq!(made[0].outcome, Outcome::Delivered { receipt: "202: ticket 4711".into(), id: None });

    let [got] = &receiver.received()[..] else { panic!("one request") };
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!(got.header("idempotency-key"), "A-1/1/wang-li/duty-app");
    let stamp: i64 = got.header("gridwarden-timestamp").parse().unwrap();
    assert!((station.clock.now().wall.0 / 1000 - stamp).abs() < 20);
    assert_eq!(got.header("gridwarden-signature"), format!("v1={}", webhook::sign(SECRET, stamp, &got.body)));
    let body = got.json();
    assert_eq!(body["id"], "A-1/1/wang-li/duty-app");
    assert_eq!((&body["station"], &body["attempt"]), (&json!("xianlin-1"), &json!(1)));
    assert_eq!(body["alert"]["person"], json!({ "id": "wang-li", "name": "王丽", "phone": "13800000001" }));
    assert_eq!(body["acknowledge"], "/api/v1/alarms/A-1/acknowledge");
    let shown: Json = station.get("/api/v1/alarms/A-1").send().await.unwrap().json().await.unwrap();
    assert_eq!(body["alarm"], shown["alarm"], "the webhook and the API show the same alarm");
    assert_eq!(shown["attempts"][0]["outcome"], "delivered");
    assert_eq!(shown["attempts"][0]["detail"], "202: ticket 4711");
    end(station, tasks).await;
}

#[tokio::test]
async fn what_may_change_is_tried_again_and_what_cannot_is_given_up() {
    let station = Station::start().await.unwrap();
    let receiver = Receiver::start([]).await.unwrap();
    let elsewhere = Receiver::start([]).await.unwrap();
    let moved = elsewhere.url.clone();
    receiver.decide(move |got: &Received| {
        let body = got.json();
        let first = body["attempt"] == 1;
        Some(match body["alarm"]["text"].as_str().unwrap() {
            "busy" if first => Reply::status(503),
            "rest" if first => Reply::status(429).header("retry-after", "2"),
            "gone" => Reply::status(404).body("no such hook"),
            "moved" => Reply::status(307).header("location", moved.clone()),
            "silent" if first => Reply::status(200).after(Duration::from_secs(30)),
            _ => Reply::status(200),
        })
    });
    let mut tasks = JoinSet::new();
    hook(&station, &receiver.url, Duration::from_millis(600), &mut tasks);
    for (text, outcomes) in [
        ("busy", ["503", "delivered"].as_slice()),
        ("rest", &["429", "delivered"]),
        ("gone", &["gave up: the receiver answered 404: no such hook"]),
        ("moved", &["gave up: the receiver answered 307; redirects are not followed"]),
        ("silent", &["did not answer in time", "delivered"]),
    ] {
        let alarm = station.raise(SignalClass::Trouble, "SD-0002", text).await.unwrap();
        let alert = station.tell(&alarm, "duty-app", "zhao-qiang").await.unwrap();
        let made = attempts(&station, alarm.id, outcomes.len()).await;
        for (attempt, expected) in made.iter().zip(outcomes) {
            let told = match &attempt.outcome {
                Outcome::Delivered { receipt, .. } => format!("delivered {receipt}"),
                Outcome::Retry { error, .. } => format!("retry: {error}"),
                Outcome::GaveUp { error } | Outcome::HandedOn { error, .. } => format!("gave up: {error}"),
            };
            assert!(told.contains(expected), "{text}: {told}");
            assert_eq!(attempt.alert, alert);
        }
        if text == "rest" {
            let waited = made[1].at.since(made[0].at).0;
            assert!((1_900..15_000).contains(&waited), "Retry-After is obeyed: {waited} ms");
        }
    }
    let keys: Vec<_> =
        receiver.received().iter().map(|got| got.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys.len(), 8);
    assert_eq!((&keys[0], &keys[2]), (&keys[1], &keys[3]), "another attempt has the same key");
    assert!(elsewhere.received().is_empty(), "a redirect is not followed");
    end(station, tasks).await;
}

#[tokio::test]
async fn a_refusal_inside_a_200_is_a_failure_with_its_reason_kept() {
    let station = Station::start().await.unwrap();
    let refused = Reply::status(200).body(r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#);
    let taken = Reply::status(200).body(r#"{"errcode":0,"errmsg":"ok"}"#);
    let receiver = Receiver::start([refused, Reply::status(200), taken]).await.unwrap();
    let mut tasks = JoinSet::new();
    let accepted = Accepted::new("errcode", &toml::Value::Integer(0)).unwrap();
    let webhook = Webhook::new("duty-app", &receiver.url, None, LONG).unwrap().accepted_when(Some(accepted));
    tasks.spawn(worker(&station, Arc::new(webhook)).run(station.stop.clone()));
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "fire").await.unwrap();
    station.tell(&alarm, "duty-app", "wang-li").await.unwrap();
    let made = attempts(&station, alarm.id, 3).await;
    let said = |at: usize| match &made[at].outcome {
        Outcome::Retry { error, .. } => error.clone(),
        Outcome::Delivered { receipt, .. } => format!("delivered {receipt}"),
        Outcome::GaveUp { error } | Outcome::HandedOn { error, .. } => format!("gave up: {error}"),
    };
    assert_eq!(
        said(0),
        "the receiver refused the alert, `errcode` is 45009, not 0; it answered 200: {\"errcode\":45009,\"errmsg\":\"api freq out of limit\"}"
    );
    assert_eq!(said(1), "the receiver refused the alert, it is no complete JSON; it answered 200");
    assert_eq!(said(2), "delivered 200: {\"errcode\":0,\"errmsg\":\"ok\"}");
    let keys: Vec<_> =
        receiver.received().iter().map(|got| got.header("idempotency-key").to_owned()).collect();
    assert_eq!(keys, ["A-1/1/wang-li/duty-app"; 3]);
    end(station, tasks).await;
}

#[tokio::test]
async fn a_fire_waits_behind_no_slow_answers() {
    let station = Station::start().await.unwrap();
    let receiver = Receiver::start([]).await.unwrap();
    receiver.decide(|got: &Received| {
        let slow = got.json()["alarm"]["class"] == "trouble";
        Some(if slow { Reply::status(200).after(Duration::from_secs(60)) } else { Reply::status(200) })
    });
    let mut tasks = JoinSet::new();
    for number in 0..30 {
        let alarm = station.raise(SignalClass::Trouble, "SD-0002", &format!("t{number}")).await.unwrap();
        station.tell(&alarm, "duty-app", "zhao-qiang").await.unwrap();
    }
    hook(&station, &receiver.url, Duration::from_secs(30), &mut tasks);
    eventually("all places are taken by slow answers", 10, || async {
        (receiver.received().len() == 8).then_some(())
    })
    .await;
    let fire = station.raise(SignalClass::Fire, "SD-0001", "fire").await.unwrap();
    let begun = station.clock.now().wall;
    station.tell(&fire, "duty-app", "wang-li").await.unwrap();
    let made = attempts(&station, fire.id, 1).await;
    assert!(matches!(made[0].outcome, Outcome::Delivered { .. }));
    assert!(made[0].at.since(begun).0 < 3_000, "{}", made[0].at.since(begun));
    assert_eq!(receiver.received().len(), 9, "no more than eight slow ones at once");
    end(station, tasks).await;
}

#[tokio::test]
async fn fire_goes_first_and_what_was_answered_is_not_sent() {
    let station = Station::start().await.unwrap();
    let mut answered = Vec::new();
    for number in 0..20 {
        let alarm = station.raise(SignalClass::Trouble, "SD-0002", &format!("t{number}")).await.unwrap();
        station.tell(&alarm, "duty-app", "zhao-qiang").await.unwrap();
        if number % 2 == 0 {
            station
                .post(&format!("/api/v1/alarms/{}/acknowledge", alarm.id), &json!({}))
                .send()
                .await
                .unwrap();
            answered.push(alarm.id.to_string());
        }
    }
    let fire = station.raise(SignalClass::Fire, "SD-0001", "fire").await.unwrap();
    station.tell(&fire, "duty-app", "wang-li").await.unwrap();
    let receiver = Receiver::start([]).await.unwrap();
    let mut tasks = JoinSet::new();
    let webhook = Webhook::new("duty-app", &receiver.url, None, LONG).unwrap();
    tasks.spawn(worker(&station, Arc::new(webhook)).run(station.stop.clone()));
    eventually("all are sent", 10, || async { (11 <= receiver.received().len()).then_some(()) }).await;
    let last = station.raise(SignalClass::Trouble, "SD-0002", "last").await.unwrap();
    station.tell(&last, "duty-app", "zhao-qiang").await.unwrap();
    attempts(&station, last.id, 1).await;
    let got = receiver.received();
    assert_eq!(got.len(), 12, "ten unanswered troubles, the fire, the last one");
    let sent: Vec<_> = got.iter().map(|got| got.json()["alarm"]["id"].as_str().unwrap().to_owned()).collect();
    // The first places are filled at once, so the fire is among the first to arrive though it came last.
    let place = sent.iter().position(|id| *id == fire.id.to_string()).unwrap();
    assert!(place < 8, "the fire came as number {place}: {sent:?}");
    assert!(answered.iter().all(|id| !sent.contains(id)), "{sent:?}");
    assert_eq!(got[0].header("gridwarden-signature"), "", "without a secret nothing is signed");
    end(station, tasks).await;
}

/// Answers at once; every seventh alert is refused the first time. Keeps the keys of what it took.
#[derive(Default)]
struct Hasty(Mutex<Vec<String>>);

impl Channel for Hasty {
    fn name(&self) -> &str {
        "duty-app"
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let mut taken = self.0.lock().unwrap();
            let number: u32 = notice.alert.person.as_ref().unwrap().id[2..].parse().unwrap();
            if notice.attempt == 1 && number.is_multiple_of(7) {
                return Sent::Retry { error: "not now".into(), after: None };
            }
            taken.push(notice.id.clone());
            Sent::delivered(String::new(), None)
        })
    }
}

/// Many more than a worker reads at once.
#[tokio::test]
async fn of_a_storm_each_alert_is_taken_once_and_recorded() {
    const STORM: usize = 1_000;
    let station = Station::start().await.unwrap();
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "fire").await.unwrap();
    let alert = |number: usize| Alert {
        key: format!("{}/1/p-{number}/duty-app", alarm.id),
        alarm: alarm.id,
        class: alarm.class,
        channel: "duty-app".into(),
        person: Some(format!("p-{number}")),
        step: 1,
        at: station.clock.now().wall,
    };
    let effects = (0..STORM).map(|number| Effect::Tell(alert(number))).collect();
    station.store.commit(&Commit { effects, ..Commit::default() }).await.unwrap();
    let (channel, mut tasks) = (Arc::new(Hasty::default()), JoinSet::new());
    tasks.spawn(worker(&station, channel.clone()).run(station.stop.clone()));
    let made = attempts(&station, alarm.id, STORM + STORM.div_ceil(7)).await;
    let retried = made.iter().filter(|attempt| matches!(attempt.outcome, Outcome::Retry { .. })).count();
    assert_eq!((made.len(), retried), (STORM + STORM.div_ceil(7), STORM.div_ceil(7)));
    let mut taken = channel.0.lock().unwrap().clone();
    taken.sort();
    taken.dedup();
    assert_eq!((taken.len(), channel.0.lock().unwrap().len()), (STORM, STORM), "each once");
    end(station, tasks).await;
}

#[tokio::test]
async fn an_alert_whose_alarm_is_closed_is_not_sent_any_more() {
    let station = Station::start().await.unwrap();
    let receiver = Receiver::start([Reply::status(503)]).await.unwrap();
    let alarm = station.raise(SignalClass::Trouble, "SD-0002", "flat battery").await.unwrap();
    station.post("/api/v1/alarms/A-1/acknowledge", &json!({})).send().await.unwrap();
    station
        .post("/api/v1/alarms/A-1/resolve", &json!({ "disposition": "device_fault" }))
        .send()
        .await
        .unwrap();
    station.tell(&alarm, "duty-app", "zhao-qiang").await.unwrap();
    let mut tasks = JoinSet::new();
    hook(&station, &receiver.url, LONG, &mut tasks);
    let made = attempts(&station, alarm.id, 1).await;
    assert_eq!(made[0].outcome, Outcome::GaveUp { error: "not sent: the alarm was closed before".into() });
    assert!(receiver.received().is_empty());
    end(station, tasks).await;
}

/// The fenced block of docs/webhook.md in this language that contains `word`.
fn example(fence: &str, word: &str) -> String {
    let text = std::fs::read_to_string(root().join("docs/webhook.md")).unwrap();
    let fence = format!("```{fence}\n");
    let mut blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains(word)).expect("the example is in the document").to_owned()
}

#[tokio::test]
async fn the_receivers_of_the_document_tell_genuine_from_forged() {
    let station = Station::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (script, port) = (folder.path().join("receiver.py"), free_port());
    std::fs::write(&script, example("python", "compare_digest")).unwrap();
    let mut child = Command::new(python())
        .args([script.as_os_str(), port.to_string().as_ref()])
        .env("SECRET", SECRET)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    eventually("the receiver listens", 15, || async { station.client.get(&url).send().await.ok() }).await;
    let mut tasks = JoinSet::new();
    hook(&station, &url, LONG, &mut tasks);
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "smoke in the kitchen").await.unwrap();
    station.tell(&alarm, "duty-app", "wang-li").await.unwrap();
    let made = attempts(&station, alarm.id, 1).await;
    assert_eq!(made[0].outcome, Outcome::Delivered { receipt: "200: taken".into(), id: None });

    let body = br#"{"alarm":{"class":"fire","text":"forged"}}"#.to_vec();
    let now = station.clock.now().wall.0 / 1000;
    let verify = folder.path().join("verify.sh");
    let file = folder.path().join("body.json");
    std::fs::write(&verify, example("sh", "openssl")).unwrap();
    std::fs::write(&file, &body).unwrap();
    for (secret, stamp, status, word) in [
        ("another secret", now, 401, "forged"),
        (SECRET, now - 3_600, 401, "genuine"), // Old, which only the receiver looks at.
        (SECRET, now, 200, "genuine"),
    ] {
        let signature = format!("v1={}", webhook::sign(secret, stamp, &body));
        let request = station
            .client
            .post(&url)
            .header("Idempotency-Key", "k")
            .header("Gridwarden-Timestamp", stamp)
            .header("Gridwarden-Signature", &signature)
            .body(body.clone());
        assert_eq!(request.send().await.unwrap().status(), status, "{secret} {stamp}");
        let shell = Command::new("sh")
            .args([verify.as_os_str(), file.as_os_str(), stamp.to_string().as_ref(), signature.as_ref()])
            .env("SECRET", SECRET)
            .output()
            .await
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&shell.stdout).trim(), word);
    }
    child.kill().await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fire smoke in the kitchen\nfire forged\n");
    end(station, tasks).await;
}

/// Remembers what was published; fails while told to.
#[derive(Default)]
struct Broker {
    published: Mutex<Vec<(String, Json)>>,
    down: Mutex<bool>,
    tried: Mutex<u32>,
}

impl Publisher for Broker {
    fn publish(&self, topic: String, payload: Vec<u8>, _retain: bool) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            *self.tried.lock().unwrap() += 1;
            anyhow::ensure!(!*self.down.lock().unwrap(), "the broker is down");
            self.published.lock().unwrap().push((topic, serde_json::from_slice(&payload)?));
            Ok(())
        })
    }
}

impl Broker {
    fn texts(&self) -> Vec<String> {
        let published = self.published.lock().unwrap();
        published.iter().map(|(_, change)| change["alarm"]["text"].as_str().unwrap().to_owned()).collect()
    }
}

fn alarm_mqtt(station: &Station, broker: &Arc<Broker>) -> AlarmMqtt {
    AlarmMqtt {
        publisher: broker.clone(),
        topic: "gridwarden/{station}/alarms/{alarm}".into(),
        station: "xianlin-1".into(),
        store: station.store.clone(),
        world: station.world.clone(),
        live: station.live.clone(),
        check: station.health.informative("alarm_mqtt"),
    }
}

#[tokio::test]
async fn every_alarm_change_is_published_in_order_through_outages_and_restarts() {
    let station = Station::start().await.unwrap();
    station.raise(SignalClass::Trouble, "SD-0001", "before it was switched on").await.unwrap();
    let broker = Arc::new(Broker::default());
    let mut expected = Vec::new();
    for life in 0..3 {
        let stop = station.stop.child_token();
        let mut tasks = JoinSet::new();
        tasks.spawn(alarm_mqtt(&station, &broker).run(stop.clone()));
        eventually("the cursor stands", 10, || async {
            station.store.recall(alarm_mqtt::MEMO).await.unwrap()
        })
        .await;
        for number in 0..10 {
            *broker.down.lock().unwrap() = life == 1 && (3..6).contains(&number);
            let text = format!("{life}-{number}");
            station.raise(SignalClass::Fire, "SD-0001", &text).await.unwrap();
            expected.push(text);
            if number == 5 && life == 1 {
                let tried = *broker.tried.lock().unwrap();
                eventually("it tries again", 20, || async {
                    (tried < *broker.tried.lock().unwrap()).then_some(())
                })
                .await;
            }
        }
        eventually("all is published", 60, || async {
            (broker.texts().len() == expected.len()).then_some(())
        })
        .await;
        let memo = || async {
            let memo = station.store.recall(alarm_mqtt::MEMO).await.unwrap();
            (memo == Some(station.store.newest_entry().await.unwrap().to_string())).then_some(())
        };
        eventually("the cursor is at the end", 10, memo).await;
        stop.cancel();
        tasks.join_next().await.unwrap().unwrap().unwrap();
        // While nobody publishes.
        let text = format!("{life}-between");
        station.raise(SignalClass::Fire, "SD-0001", &text).await.unwrap();
        expected.push(text);
    }
    expected.pop();
    assert_eq!(broker.texts(), expected, "each once, in order; nothing from before it was switched on");
    let (topic, change) = broker.published.lock().unwrap()[0].clone();
    assert_eq!(topic, "gridwarden/xianlin-1/alarms/A-2");
    assert_eq!((&change["entry"]["what"], &change["alarm"]["id"]), (&json!("raised"), &json!("A-2")));
    station.end().await.unwrap();
}

#[tokio::test]
async fn an_alert_goes_over_mqtt_to_a_topic_of_its_person() {
    let station = Station::start().await.unwrap();
    let broker = Arc::new(Broker::default());
    *broker.down.lock().unwrap() = true;
    let mut tasks = JoinSet::new();
    let channel = Arc::new(Mqtt { publisher: broker.clone() });
    tasks.spawn(worker(&station, channel).run(station.stop.clone()));
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "fire").await.unwrap();
    station.tell(&alarm, "mqtt", "wang-li").await.unwrap();
    let made = attempts(&station, alarm.id, 1).await;
    assert!(matches!(&made[0].outcome, Outcome::Retry { error, .. } if error == "the broker is down"));
    *broker.down.lock().unwrap() = false;
    let made = attempts(&station, alarm.id, 2).await;
    assert!(matches!(&made.last().unwrap().outcome, Outcome::Delivered { .. } | Outcome::Retry { .. }));
    eventually("it is delivered", 20, || async {
        (!broker.published.lock().unwrap().is_empty()).then_some(())
    })
    .await;
    let (topic, notice) = broker.published.lock().unwrap()[0].clone();
    assert_eq!(topic, "gridwarden/xianlin-1/alerts/wang-li");
    assert_eq!(notice["alert"]["person"]["phone"], "13800000001");
    end(station, tasks).await;
}
