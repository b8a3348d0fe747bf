//! Time-series databases from Debian: VictoriaMetrics for the v2 write API, InfluxDB 1.6 for the line protocol as its makers read it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::neighbours::{Neighbour, free_port};

/// VictoriaMetrics on a free port. Answers 204 to anything, so only what is read back counts.
pub async fn victoria_metrics() -> anyhow::Result<Neighbour> {
    victoria_metrics_on(free_port()).await
}

/// An empty VictoriaMetrics on this port.
pub async fn victoria_metrics_on(port: u16) -> anyhow::Result<Neighbour> {
    let folder = tempfile::tempdir()?;
    let listen = format!("-httpListenAddr=127.0.0.1:{port}");
    let data = format!("-storageDataPath={}", folder.path().join("data").display());
    Neighbour::start(
        "/usr/bin/victoria-metrics",
        port,
        folder,
        &[&listen, &data, "-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.disableCache"],
    )
    .await
}

/// One series as VictoriaMetrics exports it.
#[derive(Debug, Deserialize)]
pub struct Series {
    pub metric: BTreeMap<String, String>,
    pub values: Vec<f64>,
    pub timestamps: Vec<i64>,
}

impl Series {
    pub fn name(&self) -> &str {
        self.metric.get("__name__").map_or("", String::as_str)
    }

    pub fn label(&self, name: &str) -> &str {
        self.metric.get(name).map_or("", String::as_str)
    }
}

/// Everything that VictoriaMetrics holds.
pub async fn exported(port: u16) -> anyhow::Result<Vec<Series>> {
    let base = format!("http://127.0.0.1:{port}");
    http()?.get(format!("{base}/internal/force_flush")).send().await?;
    let all = format!("{base}/api/v1/export?match[]=%7B__name__!=%22%22%7D");
    let text = http()?.get(all).send().await?.error_for_status()?.text().await?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// InfluxDB 1.6 with a database `gridwarden`.
pub async fn influxdb1() -> anyhow::Result<Neighbour> {
    let (port, rpc, folder) = (free_port(), free_port(), tempfile::tempdir()?);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let settings = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n\
         [meta]\ndir = \"{}\"\n[data]\ndir = \"{}\"\nwal-dir = \"{}\"\n\
         [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n",
        at("meta"),
        at("data"),
        at("wal")
    );
    let file = at("influxdb.conf");
    std::fs::write(&file, settings)?;
    let neighbour = Neighbour::start("/usr/bin/influxd", port, folder, &["run", "-config", &file]).await?;
    query(port, "CREATE DATABASE gridwarden").await?;
    Ok(neighbour)
}

/// InfluxQL to InfluxDB 1; times in milliseconds.
pub async fn query(port: u16, text: &str) -> anyhow::Result<serde_json::Value> {
    let url = format!("http://127.0.0.1:{port}/query?db=gridwarden&epoch=ms&q={}", encoded(text));
    let answer = http()?.post(url).send().await?.error_for_status()?;
    Ok(answer.json().await?)
}

pub fn http() -> anyhow::Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // Somebody else was first: fine.
    Ok(reqwest::Client::builder().tls_certs_only([]).build()?)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
