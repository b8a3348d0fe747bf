//! Limits, folding and the way to another channel, with a provider that counts.

use std::sync::Mutex;
use std::time::Instant;

use gateway::clock;

use super::*;

#[tokio::test]
async fn a_storm_is_folded_within_the_limit_and_a_fire_goes_alone() {
    let times = Arc::new(Mutex::new(Vec::<Instant>::new()));
    let seen = times.clone();
    // A little shorter than our window: what we space by three seconds may arrive a little closer.
    let receiver = provider(move |got| {
        let mut times = seen.lock().unwrap();
        times.retain(|at| at.elapsed().as_millis() < 2_500);
        times.push(clock::instant());
        if 4 < times.len() {
            return Reply::status(200).body(r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#);
        }
        providers::wecom_robot(got)
    })
    .await;
    let channels = format!(
        "[[channel.wecom_robot]]\nname = \"group\"\naddress = \"{}\"\nkey = {{ file = \"token\" }}\nlimits = [{{ count = 4, per_s = 3 }}]\n",
        receiver.base
    );
    let station = Station::start_with_channels(&channels, &SECRETS).await.unwrap();
    let mut alarms = Vec::new();
    for number in 0..24 {
        let person = ["wang-li", "zhao-qiang"][number % 2];
        let alarm = station.raise(SignalClass::Trouble, "SD-0002", &format!("t{number}")).await.unwrap();
        station.tell(&alarm, "group", person).await.unwrap();
        alarms.push(alarm.id);
    }
    let fire = station.raise(SignalClass::Fire, "SD-0001", "smoke").await.unwrap();
    station.tell(&fire, "group", "wang-li").await.unwrap();
    let made = attempts(&station, fire.id, 1).await;
    assert!(
        matches!(&made[0].outcome, Outcome::Delivered { receipt, .. } if !receipt.contains("others")),
        "{made:?}"
    );
    for id in &alarms {
        let made = attempts(&station, *id, 1).await;
        assert_eq!(made.len(), 1, "every alert has one attempt of its own: {made:?}");
        assert!(matches!(&made[0].outcome, Outcome::Delivered { .. }), "never refused: {made:?}");
    }
    let texts: Vec<String> = receiver
        .received()
        .iter()
        .map(|got| got.json()["text"]["content"].as_str().unwrap().to_owned())
        .collect();
    let summaries: Vec<&String> = texts.iter().filter(|text| text.starts_with("【汇总】")).collect();
    assert!(!summaries.is_empty() && texts.len() <= 12, "{texts:#?}");
    assert!(summaries.iter().all(|text| !text.contains("火警")), "{summaries:#?}");
    for number in 0..24 {
        let of = format!("】t{number}");
        let told = texts
            .iter()
            .filter(|text| text.contains(&format!("{of}\n")) || text.contains(&format!("{of}（")))
            .count();
        assert_eq!(told, 1, "t{number} is told once: {texts:#?}");
    }
    station.end().await.unwrap();
}

fn hook(name: &str, receiver: &Receiver, more: &str) -> String {
    format!("[[webhook]]\nname = \"{name}\"\nurl = \"{}\"\ntimeout_s = 2\n{more}\n", receiver.url)
}

fn on(made: &[Attempt]) -> Vec<(String, String)> {
    let word = |attempt: &Attempt| match &attempt.outcome {
        Outcome::Delivered { .. } => "delivered".to_owned(),
        Outcome::Retry { .. } => "retry".to_owned(),
        Outcome::GaveUp { .. } => "gave up".to_owned(),
        Outcome::HandedOn { to, .. } => format!("on to {to}"),
    };
    made.iter().map(|attempt| (attempt.alert.channel.clone(), word(attempt))).collect()
}

#[tokio::test]
async fn what_is_refused_goes_on_to_the_next_channel_for_the_same_person() {
    let refusing = provider(|_| Reply::status(403).body("not you")).await;
    let also_refusing = provider(|_| Reply::status(404)).await;
    let taking = Receiver::start([]).await.unwrap();
    let channels = hook("first", &refusing, "or_else = \"second\"")
        + &hook("second", &also_refusing, "or_else = \"third\"")
        + &hook("third", &taking, "");
    let station = Station::start_with_channels(&channels, &[]).await.unwrap();
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "smoke").await.unwrap();
    let alert = station.tell(&alarm, "first", "wang-li").await.unwrap();
    let made = attempts(&station, alarm.id, 3).await;
    let expected = [("first", "on to second"), ("second", "on to third"), ("third", "delivered")];
    assert_eq!(on(&made), expected.map(|(channel, word)| (channel.to_owned(), word.to_owned())));
    let keys: Vec<_> = made.iter().map(|attempt| attempt.alert.key.clone()).collect();
    assert_eq!(
        keys,
        [alert.key.clone(), format!("{}>second", alert.key), format!("{}>second>third", alert.key)]
    );
    assert_eq!(taking.received()[0].json()["alert"]["person"]["id"], "wang-li");
    let shown: Json = station.get("/api/v1/alarms/A-1").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&shown["attempts"][0]["outcome"], &shown["attempts"][0]["handed_to"]),
        (&json!("handed_on"), &json!("second"))
    );
    assert_eq!(shown["attempts"][2]["reached"], "accepted");
    let history = shown["history"].to_string();
    assert!(
        history.contains("wang-li by first: the receiver answered 403: not you; going on by second"),
        "{history}"
    );
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_dead_channel_is_left_at_once() {
    let failing = provider(|_| Reply::status(503)).await;
    let taking = Receiver::start([]).await.unwrap();
    let channels =
        hook("first", &failing, "or_else = \"second\"\ndead_after_s = 2") + &hook("second", &taking, "");
    let station = Station::start_with_channels(&channels, &[]).await.unwrap();
    let one = station.raise(SignalClass::Trouble, "SD-0001", "one").await.unwrap();
    station.tell(&one, "first", "wang-li").await.unwrap();
    let made = eventually("it goes on", 20, || async {
        let made = station.store.attempts(one.id).await.unwrap();
        made.iter().any(|attempt| attempt.alert.channel == "second").then_some(made)
    })
    .await;
    assert!(
        on(&made).contains(&("first".into(), "retry".into())),
        "it is tried again while it is not dead: {made:?}"
    );
    let before = failing.received().len();
    let two = station.raise(SignalClass::Trouble, "SD-0001", "two").await.unwrap();
    station.tell(&two, "first", "zhao-qiang").await.unwrap();
    let made = attempts(&station, two.id, 2).await;
    assert_eq!(on(&made)[0], ("first".into(), "on to second".into()));
    assert!(failing.received().len() <= before + 1, "at most one alert tries a dead channel");
    assert_eq!(taking.received().len(), 2);
    station.end().await.unwrap();
}

#[tokio::test]
async fn receipts_climb_and_stop_no_ladder() {
    let taking = Receiver::start([]).await.unwrap();
    let station = Station::start_with_channels(&hook("app", &taking, ""), &[]).await.unwrap();
    let alarm = station.raise(SignalClass::Fire, "SD-0001", "smoke").await.unwrap();
    let alert = station.tell(&alarm, "app", "wang-li").await.unwrap();
    attempts(&station, alarm.id, 1).await;
    assert_eq!(taking.received()[0].json()["alert"]["key"], alert.key);
    let path = format!("/api/v1/alerts/{}/receipts", alert.key.replace('/', "%2F").replace('@', "%40"));
    let say = |receipt: &str| station.post(&path, &json!({ "receipt": receipt })).send();
    let shown = async || {
        let shown: Json = station.get("/api/v1/alarms/A-1").send().await.unwrap().json().await.unwrap();
        shown["attempts"][0].clone()
    };
    assert_eq!(shown().await["reached"], "accepted");
    let first: Json = say("shown").await.unwrap().json().await.unwrap();
    assert!(first["shown"].is_string() && first["opened"].is_null());
    assert_eq!(shown().await["reached"], "shown");
    let opened: Json = say("opened").await.unwrap().json().await.unwrap();
    let again: Json = say("opened").await.unwrap().json().await.unwrap();
    let back: Json = say("shown").await.unwrap().json().await.unwrap();
    assert!(
        opened["shown"] == first["shown"] && again == opened && back == opened,
        "{first} {opened} {again} {back}"
    );
    let attempt = shown().await;
    assert_eq!((&attempt["reached"], &attempt["opened"]), (&json!("opened"), &opened["opened"]));
    assert_eq!(station.store.alarm(alarm.id).await.unwrap().unwrap().state, AlarmState::Unacknowledged);
    let unknown =
        station.post("/api/v1/alerts/nothing/receipts", &json!({ "receipt": "shown" })).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    let wrong = station.post(&path, &json!({ "receipt": "eaten" })).send().await.unwrap();
    assert_eq!(wrong.status(), 422);
    station.end().await.unwrap();
}
