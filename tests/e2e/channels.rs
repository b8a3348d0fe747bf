//! Every channel against a stand-in that answers as its provider documents: taken, wrong secret, too often, refused, busy, no answer, garbage.

mod limits;
mod mail;
mod push;

use gateway::model::*;
use gateway::store::outbox::{Attempt, Outcome};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tests::neighbours::eventually;
use tests::providers::{self, SECRET, TOKEN};
use tests::receiver::{Received, Receiver, Reply};
use tests::station::Station;

pub async fn attempts(station: &Station, alarm: AlarmId, count: usize) -> Vec<Attempt> {
    eventually(&format!("{count} attempts for {alarm}"), 30, || async {
        let attempts = station.store.attempts(alarm).await.unwrap();
        (count <= attempts.len()).then_some(attempts)
    })
    .await
}

/// The first attempt in words: what came of it, what was said, and the pause in seconds.
fn told(attempt: &Attempt, station: &Station) -> String {
    match &attempt.outcome {
        Outcome::Delivered { receipt, id } => format!("taken {} {receipt}", id.as_deref().unwrap_or("-")),
        Outcome::Retry { error, next_at } => {
            // What is left of a pause, rounded up to ten seconds: some time has passed since.
            let left = next_at.since(station.clock.now().steady).0.div_ceil(10_000) * 10;
            format!("again {left} {error}")
        }
        Outcome::GaveUp { error } => format!("never {error}"),
        Outcome::HandedOn { error, to } => format!("on {to} {error}"),
    }
}

/// Tells each text on the channel and compares the beginning of what came of it.
async fn check(station: &Station, channel: &str, table: &[(&str, &str, &str)]) {
    for (text, beginning, words) in table {
        let alarm = station.raise(SignalClass::Trouble, "SD-0001", text).await.unwrap();
        station.tell(&alarm, channel, "wang-li").await.unwrap();
        let said = told(&attempts(station, alarm.id, 1).await[0], station);
        assert!(said.starts_with(beginning) && said.contains(words), "{channel}, {text}: {said}");
    }
}

async fn provider(decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Receiver {
    let receiver = Receiver::start([]).await.unwrap();
    receiver.decide(move |got| Some(decide(got)));
    receiver
}

const SECRETS: [(&str, &str); 3] = [("token", TOKEN), ("secret", SECRET), ("wrong", "wrong-secret")];

#[tokio::test]
async fn a_wecom_robot() {
    let receiver = provider(providers::wecom_robot).await;
    let channels = format!(
        "[[channel.wecom_robot]]\nname = \"duty\"\naddress = \"{0}\"\nkey = {{ file = \"token\" }}\ntimeout_s = 1\nlimits = []\n\
         [[channel.wecom_robot]]\nname = \"stranger\"\naddress = \"{0}\"\nkey = {{ file = \"wrong\" }}\n",
        receiver.base
    );
    let station = Station::start_with_channels(&channels, &SECRETS).await.unwrap();
    check(
        &station,
        "duty",
        &[
            ("good", "taken - 200", "ok"),
            (&"长".repeat(1_000), "taken", "ok"),
            ("refused", "never the message is refused", "40058"),
            ("busy", "again 10", "503"),
            ("slow", "again 10", "did not answer in time"),
            ("garbage", "again 10", "no complete JSON"),
            ("often", "again 60", "45009"),
        ],
    )
    .await;
    check(&station, "stranger", &[("good", "never the robot's key is wrong", "93000")]).await;
    let got = receiver.received()[0].json();
    assert_eq!(
        got["text"]["content"],
        "【故障】good\n地点：仙林街道杉湖社区杉湖一格 3栋2单元501 厨房\n负责：王丽\n编号：A-1\n接警：https://grid.example/#alarm=A-1"
    );
    assert_eq!(got["text"]["mentioned_mobile_list"], json!(["13800000001"]));
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_dingtalk_robot_is_signed() {
    let receiver = provider(providers::dingtalk).await;
    let table = |name: &str, secret: &str| {
        format!(
            "[[channel.dingtalk_robot]]\nname = \"{name}\"\naddress = \"{}\"\ntoken = {{ file = \"token\" }}\nsecret = {{ file = \"{secret}\" }}\ntimeout_s = 1\nlimits = []\n",
            receiver.base
        )
    };
    let channels = table("duty", "secret") + &table("stranger", "wrong");
    let station = Station::start_with_channels(&channels, &SECRETS).await.unwrap();
    check(
        &station,
        "duty",
        &[
            ("good", "taken - 200", "ok"),
            ("refused", "never the robot's security settings refuse it", "keywords not in content"),
            ("busy", "again 10", "503"),
            ("slow", "again 10", "did not answer in time"),
            ("garbage", "again 10", "no complete JSON"),
            ("often", "again 600", "130101"),
        ],
    )
    .await;
    check(&station, "stranger", &[("good", "never the robot's security settings", "sign not match")]).await;
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_feishu_robot_is_signed() {
    let receiver = provider(providers::feishu).await;
    let table = |name: &str, secret: &str| {
        format!(
            "[[channel.feishu_robot]]\nname = \"{name}\"\naddress = \"{}\"\ntoken = {{ file = \"token\" }}\nsecret = {{ file = \"{secret}\" }}\ntimeout_s = 1\nlimits = []\n",
            receiver.base
        )
    };
    let channels = table("duty", "secret") + &table("stranger", "wrong");
    let station = Station::start_with_channels(&channels, &SECRETS).await.unwrap();
    check(
        &station,
        "duty",
        &[
            ("good", "taken - 200", "success"),
            ("refused", "never none of the robot's keywords", "19024"),
            ("busy", "again 10", "503"),
            ("slow", "again 10", "did not answer in time"),
            ("garbage", "again 10", "no complete JSON"),
            ("often", "again 60", "11232"),
        ],
    )
    .await;
    check(&station, "stranger", &[("good", "never the signature is wrong", "19021")]).await;
    station.end().await.unwrap();
}

#[tokio::test]
async fn ntfy_and_gotify() {
    let (ntfy, gotify) = (provider(providers::ntfy).await, provider(providers::gotify).await);
    let channels = format!(
        "[[channel.ntfy]]\nname = \"ntfy\"\nserver = \"{0}\"\ntoken = {{ file = \"token\" }}\ntimeout_s = 1\nlimits = []\n\
         [[channel.ntfy]]\nname = \"all\"\nserver = \"{0}\"\ntoken = {{ file = \"wrong\" }}\ntopic = \"grid\"\n\
         [[channel.ntfy]]\nname = \"lost\"\nserver = \"{0}\"\n\
         [[channel.gotify]]\nname = \"gotify\"\nserver = \"{1}\"\ntoken = {{ file = \"token\" }}\ntimeout_s = 1\n\
         [[channel.gotify]]\nname = \"stranger\"\nserver = \"{1}\"\ntoken = {{ file = \"wrong\" }}\n",
        ntfy.base, gotify.base
    );
    let station = Station::start_with_channels(&channels, &SECRETS).await.unwrap();
    check(
        &station,
        "ntfy",
        &[
            ("good", "taken hwQ2YpKdmg 200", "message"),
            ("refused", "never", "40009"),
            ("busy", "again 10", "503"),
            ("slow", "again 10", "did not answer in time"),
            ("garbage", "again 10", "no complete JSON"),
            ("often", "again 10", "42901"),
        ],
    )
    .await;
    check(&station, "all", &[("good", "never", "40101")]).await;
    check(&station, "lost", &[("good", "never `wang-li` has no topic for the channel `lost`", "")]).await;
    check(
        &station,
        "gotify",
        &[
            ("good", "taken 25 200", "appid"),
            ("refused", "never", "Field validation"),
            ("busy", "again 10", "503"),
            ("slow", "again 10", "did not answer in time"),
            ("garbage", "again 10", "no complete JSON"),
            ("often", "again 40", "429"),
        ],
    )
    .await;
    check(&station, "stranger", &[("good", "never", "401")]).await;
    let got = ntfy.received()[0].json();
    assert_eq!(
        (&got["topic"], &got["title"], &got["priority"]),
        (&json!("grid-wang-li"), &json!("【故障】good"), &json!(3))
    );
    assert_eq!(got["click"], "https://grid.example/#alarm=A-1");
    station.end().await.unwrap();
}

#[tokio::test]
async fn an_sms_by_template_signed_as_aliyun_wants() {
    let receiver = provider(providers::aliyun_sms).await;
    let example = document("toml", "SendSms");
    let example =
        example.replace("https://dysmsapi.aliyuncs.com/", &receiver.base).replace("LTAI5t0123456789", TOKEN);
    let good = example.replace("/etc/gridwarden/aliyun-secret", "secret");
    let wrong = example
        .replace("/etc/gridwarden/aliyun-secret", "wrong")
        .replace("name = \"sms\"", "name = \"stranger\"");
    let quick = "timeout_s = 1\nlimits = []\n";
    let good = format!(
        "{good}[channel.sms.reports]\nsecret = {{ file = \"reports\" }}\nid = \"biz_id\"\narrived_when = {{ path = \"success\", equals = true }}\nanswer = '{{\"code\":0}}'\n"
    );
    let (head, rest) = good.split_once("[channel.sms.request]").expect("the example has a request");
    let channels = format!("{head}{quick}[channel.sms.request]{rest}\n{wrong}");
    let secrets = [&SECRETS[..], &[("reports", "report-secret-0123456789")]].concat();
    let station = Station::start_with_channels(&channels, &secrets).await.unwrap();
    check(
        &station,
        "sms",
        &[
            ("good", "taken 900619746936498440^0", "OK"),
            ("a \"quoted\" {phone} & more", "taken", "OK"),
            ("refused", "never the provider refuses it", "isv.SMS_TEMPLATE_ILLEGAL"),
            ("busy", "again 10", "503"),
            ("slow", "again 10", "did not answer in time"),
            ("garbage", "again 10", "no complete JSON"),
            ("often", "again 3600", "isv.BUSINESS_LIMIT_CONTROL"),
        ],
    )
    .await;
    check(&station, "stranger", &[("good", "never the provider refuses it", "SignatureDoesNotMatch")]).await;
    let got = &receiver.received()[1];
    assert_eq!(got.query("PhoneNumbers"), "13800000001");
    let parameters: Json = serde_json::from_str(&got.query("TemplateParam")).unwrap();
    assert!(parameters["text"].as_str().unwrap().contains("a \"quoted\" {phone} & more"), "{parameters}");

    let report = json!([{ "biz_id": "900619746936498440^0", "success": true, "err_code": "DELIVERED" }]);
    let say = |secret: &str| {
        let client = &station.client; // Without our token, as a provider.
        client.post(format!("{}/api/v1/channels/sms/reports/{secret}", station.url)).json(&report).send()
    };
    assert_eq!(say("guessed").await.unwrap().status(), 404);
    let reached = async || {
        let shown: Json = station.get("/api/v1/alarms/A-1").send().await.unwrap().json().await.unwrap();
        shown["attempts"][0]["reached"].as_str().unwrap().to_owned()
    };
    assert_eq!(reached().await, "accepted");
    assert_eq!(say("report-secret-0123456789").await.unwrap().text().await.unwrap(), "{\"code\":0}");
    assert_eq!(reached().await, "shown");
    station.end().await.unwrap();
}

/// The fenced block of docs/channels.md in this language that contains `word`.
fn document(fence: &str, word: &str) -> String {
    let text = std::fs::read_to_string(tests::neighbours::root().join("docs/channels.md")).unwrap();
    let fence = format!("```{fence}\n");
    let mut blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains(word)).expect("the example is in the document").to_owned()
}

#[tokio::test]
async fn a_wecom_message_renews_its_pass_once_and_sends_again() {
    let passes = Arc::new(AtomicU32::new(0));
    let good_from = Arc::new(AtomicU32::new(1));
    let (given, valid) = (passes.clone(), good_from.clone());
    let receiver = provider(move |got| {
        let json = |body: Json| Reply::status(200).body(body.to_string());
        if got.uri.path() == "/cgi-bin/gettoken" {
            return match got.query("corpsecret").as_str() {
                SECRET => {
                    let pass = format!("pass-{}", given.fetch_add(1, Ordering::SeqCst) + 1);
                    json(json!({ "errcode": 0, "errmsg": "ok", "access_token": pass, "expires_in": 7200 }))
                }
                _ => json(json!({ "errcode": 40001, "errmsg": "invalid credential" })),
            };
        }
        let pass = got.query("access_token");
        let number: u32 = pass.trim_start_matches("pass-").parse().unwrap();
        if number < valid.load(Ordering::SeqCst) {
            return json(json!({ "errcode": 42001, "errmsg": "access_token expired" }));
        }
        let body = got.json();
        match body["text"]["content"].as_str().unwrap() {
            text if text.contains("often") => {
                json(json!({ "errcode": 45009, "errmsg": "api freq out of limit" }))
            }
            text if text.contains("unknown") => {
                json(json!({ "errcode": 0, "errmsg": "ok", "invaliduser": body["touser"] }))
            }
            text if text.contains("hidden") => {
                json(json!({ "errcode": 81013, "errmsg": "user & party & tag all invalid" }))
            }
            text if text.contains("address") => {
                json(json!({ "errcode": 60020, "errmsg": "not allow to access from your ip" }))
            }
            text if text.contains("garbage") => Reply::status(200).body("<html>"),
            text if text.contains("busy") => Reply::status(502),
            _ => json(json!({ "errcode": 0, "errmsg": "ok", "msgid": "mid-1" })),
        }
    })
    .await;
    let table = |name: &str, secret: &str| {
        format!(
            "[[channel.wecom_app]]\nname = \"{name}\"\naddress = \"{}\"\ncorp_id = \"ww1\"\nagent_id = 1000002\nsecret = {{ file = \"{secret}\" }}\nlimits = []\n",
            receiver.base
        )
    };
    let channels = table("wecom", "secret") + &table("stranger", "wrong");
    let station = Station::start_with_channels(&channels, &SECRETS).await.unwrap();
    check(&station, "wecom", &[("good", "taken mid-1", "ok"), ("good", "taken mid-1", "ok")]).await;
    assert_eq!(passes.load(Ordering::SeqCst), 1, "the pass is kept");
    good_from.store(2, Ordering::SeqCst);
    check(&station, "wecom", &[("good", "taken mid-1", "ok"), ("good", "taken mid-1", "ok")]).await;
    assert_eq!(passes.load(Ordering::SeqCst), 2, "renewed once");
    check(
        &station,
        "wecom",
        &[
            ("unknown", "never the provider knows no member `wangli`", ""),
            ("hidden", "never the provider knows no such member", "81013"),
            ("address", "never this address is not on", "60020"),
            ("garbage", "again 10", "no complete JSON"),
            ("busy", "again 10", "502"),
            ("often", "again 60", "45009"),
        ],
    )
    .await;
    good_from.store(99, Ordering::SeqCst);
    check(&station, "wecom", &[("good", "again 10 the provider refused it", "42001")]).await;
    // Nobody has an address on the channel of this name, so it is not even asked.
    check(&station, "stranger", &[("good", "never `wang-li` has no user id", "")]).await;
    station.end().await.unwrap();
}

#[tokio::test]
async fn a_channel_is_tried_from_the_command_line() {
    let receiver = provider(providers::wecom_robot).await;
    let folder = tempfile::tempdir().unwrap();
    let base = tests::neighbours::root().join("tests/config/base");
    for file in std::fs::read_dir(base).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    std::fs::write(folder.path().join("robot"), TOKEN).unwrap();
    let path = folder.path().join("station.toml");
    let table = |name: &str, file: &str| {
        let address = &receiver.base;
        format!(
            "\n[[channel.wecom_robot]]\nname = \"{name}\"\naddress = \"{address}\"\nkey = {{ file = \"{file}\" }}\n"
        )
    };
    let text =
        std::fs::read_to_string(&path).unwrap() + &table("group", "robot") + &table("stranger", "token");
    std::fs::write(&path, text).unwrap();
    for (name, good, words) in [
        ("group", true, "`group` took the message: 200: {\"errcode\":0"),
        ("stranger", false, "`stranger` refused it, an alert would be given up: the robot's key is wrong"),
        ("nowhere", false, "station.toml has no channel `nowhere`; it has duty, group, stranger"),
    ] {
        let run = tokio::process::Command::new(tests::site::program("gridwarden"))
            .args(["channel", "test", name, "-c"])
            .arg(&path)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() == good && said.contains(words), "{name}: {said}");
    }
    let text = receiver.received()[0].json()["text"]["content"].as_str().unwrap().to_owned();
    assert!(text.starts_with("【测试】") && text.contains("请勿出动"), "{text}");
}

#[tokio::test]
async fn alertmanager_hears_of_the_beginning_and_the_end() {
    let receiver = provider(|got| match got.json()[0]["annotations"]["summary"].as_str() {
        Some("refused") => Reply::status(400).body("start time must be before end time"),
        Some("busy") => Reply::status(503),
        Some(_) | None => Reply::status(200),
    })
    .await;
    let channels = format!("[[channel.alertmanager]]\nname = \"city\"\nserver = \"{}\"\n", receiver.base);
    let station = Station::start_with_channels(&channels, &SECRETS).await.unwrap();
    check(
        &station,
        "city",
        &[("refused", "never", "start time must be before end time"), ("busy", "again 10", "503")],
    )
    .await;
    let untold = station.raise(SignalClass::Trouble, "SD-0001", "of no interest").await.unwrap();
    let fire = station.raise(SignalClass::Fire, "SD-0001", "smoke").await.unwrap();
    station.tell(&fire, "city", "wang-li").await.unwrap();
    attempts(&station, fire.id, 1).await;
    for id in [untold.id, fire.id] {
        for (deed, body) in [("acknowledge", json!({})), ("resolve", json!({ "disposition": "real_fire" }))] {
            let answer = station.post(&format!("/api/v1/alarms/{id}/{deed}"), &body).send().await.unwrap();
            assert!(answer.status().is_success());
        }
    }
    let of = |id: AlarmId| {
        let all = receiver.received();
        all.iter()
            .map(|got| got.json()[0].clone())
            .filter(|alert| alert["labels"]["alarm"] == id.to_string())
            .collect::<Vec<_>>()
    };
    let told =
        eventually("the end is told", 20, || async { Some(of(fire.id)).filter(|told| 2 <= told.len()) })
            .await;
    assert_eq!(told[0]["labels"], told[1]["labels"], "or its end would be another alert");
    assert_eq!(
        (&told[0]["labels"]["severity"], &told[0]["labels"]["cell"]),
        (&json!("critical"), &json!("XL-01-01"))
    );
    assert_eq!(told[0]["generatorURL"], format!("https://grid.example/#alarm={}", fire.id));
    let now = station.clock.now().wall.rfc3339();
    assert!(
        now.as_str() < told[0]["endsAt"].as_str().unwrap()
            && told[1]["endsAt"].as_str().unwrap() <= now.as_str()
    );
    assert!(of(untold.id).is_empty());
    station.end().await.unwrap();
}
