//! The gateway as a program of its own, with what Linux says about it: memory, processor time.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::neighbours::{eventually, free_port};
use crate::site::{Site, TOKEN};

/// Killed when dropped.
pub struct Process {
    pub http: String,
    pub mqtt_port: u16,
    pub client: reqwest::Client,
    child: Child,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `program` on the site, on free ports, and waits until it is ready.
    pub async fn start(program: &Path, site: &Site) -> Self {
        let (http, mqtt_port) = (free_port(), free_port());
        let text = std::fs::read_to_string(site.file("station.toml")).expect("the site is written");
        let fixed = text
            .replacen("bind = \"127.0.0.1:0\"", &format!("bind = \"127.0.0.1:{http}\""), 1)
            .replacen("bind = \"127.0.0.1:0\"", &format!("bind = \"127.0.0.1:{mqtt_port}\""), 1);
        site.write("station.toml", &fixed);
        let log = site.file("log");
        let child = Command::new(program)
            .args(["run", "-c"])
            .arg(site.file("station.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("writable"))
            .kill_on_drop(true)
            .spawn()
            .expect("the gateway is built");
        let client = crate::databases::http().expect("a client can be made");
        let ready = format!("http://127.0.0.1:{http}/readyz");
        eventually("the gateway is ready", 60, || {
            let request = client.get(&ready);
            async move { request.send().await.ok().filter(|answer| answer.status().is_success()).map(drop) }
        })
        .await;
        Self { http: format!("http://127.0.0.1:{http}"), mqtt_port, client, child, log }
    }

    pub async fn get(&self, path: &str) -> serde_json::Value {
        let request = self.client.get(format!("{}{path}", self.http)).bearer_auth(TOKEN);
        request.send().await.expect("the API answers").json().await.expect("JSON")
    }

    /// One number from `/metrics`, summed over labels.
    pub async fn counter(&self, name: &str) -> f64 {
        let request = self.client.get(format!("{}/metrics", self.http)).bearer_auth(TOKEN);
        let text = request.send().await.expect("it answers").text().await.expect("text");
        let lines = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Resident memory in MB.
    pub fn rss_mb(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a process has memory");
        let kb: u64 = line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number");
        kb / 1024
    }

    /// Processor time used so far; Linux counts it in hundredths of a second.
    pub fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let (_, rest) = stat.rsplit_once(')').expect("the name is in brackets");
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it ran");
    }

    fn proc(&self, what: &str) -> String {
        let pid = self.child.id().expect("it runs");
        std::fs::read_to_string(format!("/proc/{pid}/{what}")).expect("Linux")
    }
}
