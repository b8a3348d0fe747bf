//! Alertmanager of Debian: alerts come over its API in the batches in which Prometheus sends them, and go out by webhook.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tests::neighbours::free_port;
use tokio::task::JoinSet;

use super::{Program, folder, installed};

pub const NAME: &str = "Alertmanager";
const PROGRAM: &str = "/usr/bin/prometheus-alertmanager";
/// Prometheus sends up to 64 together.
const TOGETHER: usize = 64;
const CONNECTIONS: usize = 50;

/// A message at once for each value of this label.
pub fn start(group_by: &str, url: &str) -> Result<(Program, u16), String> {
    installed(Path::new(PROGRAM))?;
    let port = free_port();
    let settings = format!(
        "route: {{receiver: duty, group_by: [{group_by}], group_wait: 0s, group_interval: 1s}}\n\
         receivers: [{{name: duty, webhook_configs: [{{url: '{url}'}}]}}]\n"
    );
    let folder = folder(&[("alertmanager.yml", &settings)]);
    let mut command = Command::new(PROGRAM);
    command.args(["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="]);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Ok((Program::start(&mut command, folder, Some(port))?, port))
}

/// These devices alarm at once. Returns when all are accepted.
pub async fn storm(port: u16, devices: &[(String, String)]) {
    let url = format!("http://127.0.0.1:{port}/api/v2/alerts");
    let client = tests::databases::http().unwrap();
    let posts: Vec<String> = devices
        .chunks(TOGETHER)
        .map(|together| {
            let alert = |(device, cell): &(String, String)| json!({ "labels": { "alertname": "smoke", "device": device, "cell": cell } });
            together.iter().map(alert).collect::<serde_json::Value>().to_string()
        })
        .collect();
    let mut tasks = JoinSet::new();
    for share in posts.chunks(posts.len().div_ceil(CONNECTIONS)) {
        let (client, url, share) = (client.clone(), url.clone(), share.to_vec());
        tasks.spawn(async move {
            for body in share {
                let post = client.post(&url).header("content-type", "application/json").body(body);
                post.send().await.unwrap().error_for_status().unwrap();
            }
        });
    }
    tasks.join_all().await;
}
