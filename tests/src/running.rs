//! The gateway as a program of its own, on the folder of a [`Site`]: to be killed, starved and lied to about the time.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::neighbours::{eventually, free_port};
use crate::site::{Site, TOKEN, program};

pub struct Running {
    pub http: u16,
    pub mqtt: u16,
    client: reqwest::Client,
    child: Child,
    log: PathBuf,
}

/// Gives the site two ports that stay the same over restarts.
pub fn fix_ports(site: &Site) -> (u16, u16) {
    let (http, mqtt) = (free_port(), free_port());
    let text = std::fs::read_to_string(site.file("station.toml")).expect("readable");
    let text = text.replacen("bind = \"127.0.0.1:0\"", &format!("bind = \"127.0.0.1:{http}\""), 1).replacen(
        "bind = \"127.0.0.1:0\"",
        &format!("bind = \"127.0.0.1:{mqtt}\""),
        1,
    );
    site.write("station.toml", &text);
    (http, mqtt)
}

impl Running {
    /// Starts the program and waits until its API answers.
    pub async fn start(site: &Site, ports: (u16, u16), environment: &[(&str, OsString)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default(); // Another test may have been first.
        let log = site.file("log");
        let output = std::fs::File::options().create(true).append(true).open(&log).expect("writable");
        let child = Command::new(program("gridwarden"))
            .args(["run", "-c"])
            .arg(site.file("station.toml"))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .expect("it can be started");
        let mut running = Self { http: ports.0, mqtt: ports.1, client: reqwest::Client::new(), child, log };
        let client = running.client.clone();
        let url = format!("http://127.0.0.1:{}/healthz", running.http);
        let answered = eventually("the API answers, or the program ends", 30, || {
            let (ended, request) = (running.child.try_wait().expect("ours"), client.get(&url));
            async move {
                if ended.is_some() {
                    return Some(false);
                }
                request.send().await.ok().map(|_| true)
            }
        })
        .await;
        assert!(answered, "the gateway ended:\n{}", running.log());
        running
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub async fn get(&self, path: &str) -> Option<Value> {
        let request = self.client.get(format!("http://127.0.0.1:{}{path}", self.http)).bearer_auth(TOKEN);
        request.send().await.ok()?.json().await.ok()
    }

    pub async fn open_alarms(&self) -> Vec<Value> {
        let alarms = self.get("/api/v1/alarms?open=true").await.expect("the API answers");
        alarms["items"].as_array().expect("a list").clone()
    }

    /// A device that publishes with QoS 1 and ends when it is acknowledged.
    pub fn publisher(&self, topic: &str, payload: &Value) -> Child {
        Command::new("mosquitto_pub")
            .args(["-p", &self.mqtt.to_string(), "-t", topic, "-q", "1", "-m", &payload.to_string()])
            .kill_on_drop(true)
            .spawn()
            .expect("mosquitto_pub; `make setup-test` installs it")
    }

    /// Returns when it is acknowledged.
    pub async fn publish(&self, topic: &str, payload: &Value) {
        let status = self.publisher(topic, payload).wait().await.expect("ours");
        assert!(status.success(), "mosquitto_pub: {status}\n{}", self.log());
    }

    /// By its name, such as `HUP`.
    pub async fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().await;
        assert!(sent.expect("it can be started").success(), "kill -{name}");
    }

    /// How it ended; at most so many seconds from now.
    pub async fn end(&mut self, seconds: u64) -> ExitStatus {
        let ended = timeout(Duration::from_secs(seconds), self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("not ended after {seconds} s:\n{}", self.log())).expect("ours")
    }

    pub fn ended(&mut self) -> bool {
        self.child.try_wait().expect("ours").is_some()
    }

    /// kill -9; gone when this returns.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }
}
