//! Journal → InfluxDB by the v2 write API, until confirmed. What a point looks like: `wire/line.rs` and docs/influx.md.
//!
//! [`verdict`] is the table of answers, [`delivery`] finds refused lines, [`parcel`] cuts the journal, all pure; [`sender`] and
//! [`crate_sender`] carry one request; [`prepare`] sets the server up; [`task`] is the loop. Days of outage are a cursor standing still.
//! Absent: queries, deletes, and alarms, which do not travel in the journal.

pub mod crate_sender;
pub mod delivery;
pub mod pace;
pub mod parcel;
pub mod prepare;
pub mod sender;
pub mod status;
pub mod task;
pub mod verdict;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

pub use prepare::{Finding, Mark, prepare};
pub use status::{Snapshot, State, Status};

use crate::config::{Influx, InfluxSender};
use crate::store::Store;
use crate::world;

/// `[influx]` of station.toml, read and ready.
#[derive(Clone)]
pub struct Settings {
    pub station: String,
    pub url: reqwest::Url,
    pub org: String,
    pub bucket: String,
    pub token: Option<String>,
    pub sender: InfluxSender,
    pub create_bucket: bool,
    pub retention_days: u32,
    pub batch_lines: usize,
    pub batch_age: Duration,
    pub gzip: bool,
    pub timeout: Duration,
    pub reading_ids: bool,
}

impl Settings {
    /// What holds when nothing else is said.
    pub fn new(station: &str, url: &str) -> anyhow::Result<Self> {
        let url = reqwest::Url::parse(url).with_context(|| {
            format!("influx.url: `{url}` is no URL; write one like http://127.0.0.1:8086")
        })?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            bail!("influx.url: `{url}` must begin with http:// or https:// and name a host");
        }
        Ok(Self {
            station: station.to_owned(),
            gzip: !on_this_machine(&url),
            url,
            org: "gridwarden".into(),
            bucket: "gridwarden".into(),
            token: None,
            sender: InfluxSender::Gridwarden,
            create_bucket: false,
            retention_days: 0,
            batch_lines: 5_000,
            batch_age: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            reading_ids: false,
        })
    }

    /// `folder` is where station.toml stands.
    pub fn from_config(config: &Influx, station: &str, folder: &Path) -> anyhow::Result<Self> {
        let usual = Self::new(station, config.url.get_ref())?;
        let token = config.token.as_ref().map(|token| token.read(folder)).transpose();
        Ok(Self {
            org: config.org.clone(),
            bucket: config.bucket.clone(),
            token: token.context("influx.token")?,
            sender: config.sender,
            create_bucket: config.create_bucket,
            retention_days: config.retention_days,
            batch_lines: *config.batch_lines.get_ref() as usize,
            batch_age: Duration::from_millis(u64::from(*config.batch_ms.get_ref())),
            gzip: config.gzip.unwrap_or(usual.gzip),
            timeout: Duration::from_secs(u64::from(*config.timeout_s.get_ref())),
            reading_ids: config.reading_ids,
            ..usual
        })
    }
}

fn on_this_machine(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Writes the journal to the server until `stop`. An error is a wrong configuration or a broken store, never the server.
pub async fn run(
    settings: Settings,
    store: Store,
    world: world::Shared,
    status: Arc<Status>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let pace = pace::Pace::default();
    match settings.sender {
        InfluxSender::Gridwarden => {
            let sink = sender::Sender::new(&settings)?;
            task::Task { sink, settings, store, world, status, pace, stop }.run().await
        }
        InfluxSender::Influxdb2 => {
            let sink = crate_sender::CrateSender::new(&settings)?;
            task::Task { sink, settings, store, world, status, pace, stop }.run().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_url_is_refused_with_a_sentence_and_never_panics() {
        for url in ["", "127.0.0.1:8086", "/x/y", "ftp://host/", "http://", "localhost:8086"] {
            let error = Settings::new("xl", url).err().unwrap_or_else(|| panic!("{url} accepted"));
            assert!(format!("{error:#}").contains("influx.url"), "{error:#}");
        }
    }

    #[test]
    fn a_server_on_this_machine_gets_lines_as_they_are() {
        for (url, gzip) in [
            ("http://127.0.0.1:8086", false),
            ("http://[::1]:8086", false),
            ("https://localhost", false),
            ("http://10.0.0.7:8086", true),
            ("https://localhost.example", true),
        ] {
            assert_eq!(Settings::new("xl", url).expect(url).gzip, gzip, "{url}");
        }
    }

    #[test]
    fn the_crates_sender_refuses_a_base_path() {
        let settings = Settings::new("xl", "http://proxy/influx").expect("a URL");
        let error = crate_sender::CrateSender::new(&settings).err().expect("refused");
        assert!(error.to_string().contains("sender = \"gridwarden\""), "{error}");
        crate_sender::CrateSender::new(&Settings::new("xl", "https://proxy/").expect("a URL")).expect("fine");
    }
}
