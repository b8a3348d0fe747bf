//! A whole station in a temporary folder: configuration, registry, the gateway in this process or as a program, and what it tells the world.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use gateway::accounts::{self, Account, Pass, PassKind};
use gateway::app::{Addresses, App};
use gateway::clock::Clock;
use gateway::store::{Audit, Store};
use gateway::units::{Millis, Now, Timestamp};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::neighbours::{publish, root};

pub const TOKEN: &str = "a-token-for-tests-only";
pub const WEBHOOK_SECRET: &str = "a-secret-for-tests-only";

/// A folder with a small neighbourhood: a street, a community, two cells, four smoke detectors, one hydrant, four people.
pub struct Site {
    pub folder: tempfile::TempDir,
}

impl Site {
    /// `more` is put behind station.toml: sources, InfluxDB, webhooks.
    pub fn new(more: &str) -> Self {
        // Every HTTP client needs it; in a whole run some other test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let site = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        // Whoever is told nothing over HTTP is told over MQTT: a ladder without a channel is refused.
        let webhook = more.contains("[[webhook]]");
        let (channel, more) =
            if webhook { ("duty", more.to_owned()) } else { ("mqtt", format!("[alarm_mqtt]\n{more}")) };
        site.write(
            "station.toml",
            &format!(
                r#"rules = "rules.toml"
[station]
id = "test-1"
name = "测试站"
[store]
path = "data/station.db"
commit_interval_ms = 20
[registry]
cells = ["cells.geojson"]
devices = ["devices.csv"]
people = ["people.csv"]
[http]
bind = "127.0.0.1:0"
[[http.token]]
name = "duty-officer"
secret = {{ file = "token" }}
[listener]
bind = "127.0.0.1:0"
[[topic]]
filter = "gridwarden/up/#"
decoder = "native"
[[topic]]
filter = "zigbee2mqtt/#"
decoder = "zigbee2mqtt"
{more}"#
            ),
        );
        site.write("token", TOKEN);
        site.write("webhook-secret", WEBHOOK_SECRET);
        site.write("rules.toml", &RULES.replace("CHANNEL", channel));
        site.write("cells.geojson", CELLS);
        site.write("devices.csv", DEVICES);
        site.write("people.csv", PEOPLE);
        site
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("writable");
    }

    /// Puts more behind what is in a file.
    pub fn append(&self, name: &str, text: &str) {
        let before = std::fs::read_to_string(self.file(name)).expect("it is there");
        self.write(name, &(before + text));
    }

    /// Adds an account to the store of a station that has run, with a personal token, as of this moment.
    pub async fn token_of(&self, account: Account, at: Timestamp) -> String {
        let store = Store::open_beside(&self.file("data/station.db")).expect("the station has run");
        let line = || Audit {
            at,
            who: "test".into(),
            what: "test".into(),
            target: String::new(),
            detail: String::new(),
        };
        let (name, lasts) = (account.name.clone(), Millis::from_secs(24 * 3600));
        assert!(store.add_account(account, line()).await.expect("the store takes it"), "{name} is new");
        let (secret, hash) = accounts::secret();
        let pass = Pass {
            number: 0,
            kind: PassKind::Token,
            account: name,
            label: "test".into(),
            address: String::new(),
            made: at,
            seen: at,
            idle: lasts,
            ends: at + lasts,
        };
        store.add_pass(pass, hash, line()).await.expect("the store takes it");
        secret
    }

    /// Ports known before the start, and the same after the next.
    pub fn fix_ports(&self, http: u16, mqtt: u16) {
        let text = std::fs::read_to_string(self.file("station.toml")).expect("just written");
        let any = "bind = \"127.0.0.1:0\"";
        let text = [http, mqtt]
            .into_iter()
            .fold(text, |text, port| text.replacen(any, &format!("bind = \"127.0.0.1:{port}\""), 1));
        self.write("station.toml", &text);
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the gateway in this process.
    pub async fn start(&self) -> Station {
        self.start_by(Clock::continue_after).await
    }

    /// The same by a clock of the test's.
    pub async fn start_by(&self, clock: impl FnOnce(Option<Now>) -> Clock) -> Station {
        let _ = rustls::crypto::ring::default_provider().install_default(); // Somebody else was first: fine.
        let loaded = gateway::config::load(&self.file("station.toml"))
            .unwrap_or_else(|problems| panic!("the test's configuration is wrong:\n{problems}"));
        let app = App::start_by(clock, &self.file("station.toml"), loaded).await.expect("the station starts");
        let addresses = app.addresses();
        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "joined in `stop`")]
        let task = tokio::spawn(app.run(stop.clone()));
        Station {
            http: format!("http://{}", addresses.http),
            mqtt_port: addresses.listener.expect("it has a listener").port(),
            addresses,
            client: reqwest::Client::new(),
            stop,
            task,
        }
    }
}

/// A running gateway.
pub struct Station {
    pub http: String,
    pub mqtt_port: u16,
    pub addresses: Addresses,
    pub client: reqwest::Client,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Station {
    /// As a device of ours says it.
    pub async fn publish(&self, device: &str, message: &Value) {
        publish(self.mqtt_port, &format!("gridwarden/up/{device}"), &message.to_string(), &[]).await;
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self
            .client
            .get(format!("{}{path}", self.http))
            .bearer_auth(TOKEN)
            .send()
            .await
            .expect("the API answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "GET {path}: {status}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self
            .client
            .post(format!("{}{path}", self.http))
            .bearer_auth(TOKEN)
            .json(body)
            .send()
            .await
            .expect("the API answers");
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or(Value::Null))
    }

    /// Stops it as SIGTERM does.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("no fault");
    }
}

/// One POST that arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub headers: HeaderMap,
    pub body: Bytes,
    pub json: Value,
    pub at: std::time::Instant,
}

/// A webhook's other side, which keeps what arrives and answers as told.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
    answer: Arc<Mutex<StatusCode>>,
    _task: Arc<tokio_util::task::AbortOnDropHandle<()>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let url = format!("http://{}/alert", listener.local_addr().expect("bound"));
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(StatusCode::OK));
        let router =
            Router::new().route("/alert", post(receive)).with_state((deliveries.clone(), answer.clone()));
        #[expect(clippy::disallowed_methods, reason = "aborted with the receiver")]
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, deliveries, answer, _task: Arc::new(tokio_util::task::AbortOnDropHandle::new(task)) }
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an alert of this alarm has arrived.
    pub fn heard_of(&self, alarm: &str) -> bool {
        let deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        deliveries.iter().rev().any(|delivery| delivery.json["alarm"]["id"] == alarm)
    }

    /// What to answer from now on.
    pub fn answer(&self, status: StatusCode) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// The lines of station.toml that make it channel `duty`.
    pub fn config(&self) -> String {
        format!(
            "[[webhook]]\nname = \"duty\"\nurl = \"{}\"\nsecret = {{ file = \"webhook-secret\" }}\n",
            self.url
        )
    }
}

type Shared = (Arc<Mutex<Vec<Delivery>>>, Arc<Mutex<StatusCode>>);

async fn receive(State((deliveries, answer)): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    #[expect(clippy::disallowed_methods, reason = "the test measures")]
    let at = std::time::Instant::now();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(Delivery { headers, body, json, at });
    *answer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program of this workspace, which `make test` has built beside the tests.
pub fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("this test is a program");
    let folder = tests.parent().expect("target/debug, or deps in it for a test");
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is missing: `make test` builds it first (cargo build --workspace in {})",
        program.display(),
        root().display()
    );
    program
}

/// Fires do not confirm each other here, because many tests count pages; `path::a_second_detector_confirms_the_fire` has them do it.
const RULES: &str = r#"
[incidents]
confirm_within_s = 0

[[rule]]
name = "smoke"
class = "fire"
text = "烟雾报警 smoke at {place}"
kinds = ["smoke_detector"]
ladder = "fire"
state = { flag = "smoke" }

[[rule]]
name = "low-pressure"
class = "supervisory"
text = "消火栓压力低 {value} at {place}"
kinds = ["hydrant"]
ladder = "calm"
close = "acknowledged"
threshold = { metric = "pressure", below = 140.0, clear_above = 150.0 }

[[rule]]
name = "silent"
class = "trouble"
text = "失联 {device} is silent"
kinds = ["smoke_detector"]
close = "returned"
presence = { silent_after_s = 3600, gone_after_s = 1 }

[[ladder]]
name = "fire"
[[ladder.step]]
after_s = 0
who = ["responsible"]
channels = ["CHANNEL"]
[[ladder.step]]
after_s = 60
who = ["up:1"]
channels = ["CHANNEL"]

[[ladder]]
name = "calm"
[[ladder.step]]
after_s = 0
who = ["responsible"]
channels = ["CHANNEL"]
"#;

const CELLS: &str = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"code":"S1","name":"青溪街道","scheme":"admin","kind":"street"},"geometry":{"type":"Polygon","coordinates":[[[118.90,32.10],[118.94,32.10],[118.94,32.14],[118.90,32.14],[118.90,32.10]]]}},
{"type":"Feature","properties":{"code":"S1-C1","name":"梧桐社区","scheme":"admin","kind":"community","parent":"S1"},"geometry":{"type":"Polygon","coordinates":[[[118.90,32.10],[118.92,32.10],[118.92,32.12],[118.90,32.12],[118.90,32.10]]]}},
{"type":"Feature","properties":{"code":"S1-C1-G1","name":"一格","scheme":"admin","kind":"residential","parent":"S1-C1"},"geometry":{"type":"Polygon","coordinates":[[[118.90,32.10],[118.91,32.10],[118.91,32.12],[118.90,32.12],[118.90,32.10]]]}},
{"type":"Feature","properties":{"code":"S1-C1-G2","name":"二格","scheme":"admin","kind":"residential","parent":"S1-C1"},"geometry":{"type":"Polygon","coordinates":[[[118.91,32.10],[118.92,32.10],[118.92,32.12],[118.91,32.12],[118.91,32.10]]]}}
]}"#;

const DEVICES: &str = "id,kind,name,address,cell,place,lon,lat,silent_after_s
SD-1,smoke_detector,厨房烟感,,S1-C1-G1,1栋1单元101,118.905,32.11,
SD-2,smoke_detector,厨房烟感,,S1-C1-G1,1栋1单元201,118.905,32.11,
SD-3,smoke_detector,楼道烟感,z2m:zigbee2mqtt/hall,S1-C1-G2,2栋楼道,118.915,32.11,
SD-4,smoke_detector,厨房烟感,,S1-C1-G2,2栋1单元101,118.915,32.11,
HY-1,hydrant,东门消火栓,,S1-C1-G2,东门,118.919,32.11,
";

const PEOPLE: &str = "id,name,phone,role,cell,from,until
wang-li,王丽,10000000001,lead,S1-C1-G1,2020-01-01,
zhang-wei,张伟,10000000002,lead,S1-C1-G2,2020-01-01,
chen-jie,陈洁,10000000003,lead,S1-C1,2020-01-01,
zhao-min,赵敏,10000000004,lead,S1,2020-01-01,
";
