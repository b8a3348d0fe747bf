//! Every metric name, in one list, and the recorder behind `/metrics`.
//!
//! Other modules use the macros of the `metrics` crate with a name from this list; a test reads all sources and refuses a name that
//! is not in it. A label has few values: source, channel, class, outcome; never a device, a person or an address.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    /// Of seconds.
    Histogram,
}

/// Name, kind, labels, meaning.
pub const METRICS: &[(&str, Kind, &[&str], &str)] = &[
    (
        "gridwarden_messages_total",
        Kind::Counter,
        &["source"],
        "Messages received, each a publish, a Modbus answer or an uplink.",
    ),
    ("gridwarden_readings_total", Kind::Counter, &[], "Values committed to the journal."),
    (
        "gridwarden_dead_letters_total",
        Kind::Counter,
        &["source"],
        "Messages that could not be used, kept with the reason.",
    ),
    ("gridwarden_batches_total", Kind::Counter, &[], "Batches committed to the journal."),
    ("gridwarden_commit_seconds", Kind::Histogram, &[], "From asking for a commit until it was on disk."),
    (
        "gridwarden_commit_failures_total",
        Kind::Counter,
        &[],
        "Tries to commit that failed; the driver tries again.",
    ),
    ("gridwarden_engine_seconds", Kind::Histogram, &[], "Time the engine took for one batch."),
    ("gridwarden_alarms_open", Kind::Gauge, &["class"], "Alarms that are not closed."),
    ("gridwarden_alarms_total", Kind::Counter, &["class"], "Alarms raised."),
    (
        "gridwarden_alerts_total",
        Kind::Counter,
        &["channel", "outcome"],
        "Attempts to tell somebody: delivered, retry, gave_up.",
    ),
    ("gridwarden_alert_seconds", Kind::Histogram, &["channel"], "How long one attempt took."),
    (
        "gridwarden_alarm_publishes_total",
        Kind::Counter,
        &["outcome"],
        "Alarm changes published over MQTT: confirmed, failed.",
    ),
    ("gridwarden_devices_online", Kind::Gauge, &[], "Devices heard within their time."),
    ("gridwarden_devices_silent", Kind::Gauge, &[], "Devices that should have been heard and were not."),
    ("gridwarden_journal_bytes", Kind::Gauge, &[], "Size of the journal on disk."),
    ("gridwarden_journal_batches", Kind::Gauge, &[], "Batches in the journal."),
    (
        "gridwarden_journal_lag_batches",
        Kind::Gauge,
        &["consumer"],
        "Batches a consumer has not confirmed yet.",
    ),
    (
        "gridwarden_journal_dropped_batches_total",
        Kind::Counter,
        &["consumer"],
        "Batches dropped by retention before this consumer had confirmed them.",
    ),
    ("gridwarden_outbox_rows", Kind::Gauge, &[], "Alerts waiting to be sent."),
    ("gridwarden_http_requests_total", Kind::Counter, &["route", "status"], "Requests answered."),
    ("gridwarden_http_refused_total", Kind::Counter, &[], "Requests without a valid token."),
    ("gridwarden_http_streams", Kind::Gauge, &[], "Open event streams."),
    ("gridwarden_http_connections_total", Kind::Counter, &[], "Connections accepted."),
];

/// Upper edges of the histograms' buckets, in seconds: from a fast disk to a time-out.
const BUCKETS_S: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Histograms keep raw samples until somebody drains them, so it is done whether or not anybody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What `/metrics` renders from.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

fn builder() -> anyhow::Result<PrometheusBuilder> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), BUCKETS_S)
        .context("the buckets of the histograms are not usable")
}

/// Makes the recorder that all `metrics::…!` macros of this process write to. Once per process.
pub fn install() -> anyhow::Result<Metrics> {
    let handle = builder()?.install_recorder().context("another metrics recorder is already installed")?;
    describe();
    Ok(Metrics(handle))
}

fn describe() {
    for &(name, kind, _, meaning) in METRICS {
        match kind {
            Kind::Counter => describe_counter!(name, meaning),
            Kind::Gauge => describe_gauge!(name, meaning),
            Kind::Histogram => describe_histogram!(name, Unit::Seconds, meaning),
        }
    }
}

impl Metrics {
    /// The one recorder of this process, installed by the first who asks: tests start several stations in one.
    pub fn of_this_process() -> anyhow::Result<Self> {
        static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = &*installed {
            return Ok(metrics.clone());
        }
        Ok(installed.insert(install()?).clone())
    }

    /// Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => self.0.run_upkeep(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn renders_what_the_macros_write_with_the_meaning_of_each_name() {
        let recorder = builder().expect("buckets").build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::counter!("gridwarden_messages_total", "source" => "listener").increment(3);
            metrics::gauge!("gridwarden_alarms_open", "class" => "fire").set(2.0);
            metrics::histogram!("gridwarden_commit_seconds").record(0.004);
        });
        let text = handle.render();
        for line in [
            "# TYPE gridwarden_messages_total counter",
            "# HELP gridwarden_messages_total Messages received",
            "gridwarden_messages_total{source=\"listener\"} 3",
            "gridwarden_alarms_open{class=\"fire\"} 2",
            "gridwarden_commit_seconds_bucket{le=\"0.0025\"} 0",
            "gridwarden_commit_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn names_follow_the_habits_of_prometheus() {
        for (at, &(name, kind, labels, meaning)) in METRICS.iter().enumerate() {
            assert!(name.starts_with("gridwarden_"), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                kind == Kind::Counter,
                "{name}: only counters end in _total"
            );
            assert_eq!(name.ends_with("_seconds"), kind == Kind::Histogram, "{name}");
            assert!(meaning.ends_with('.'), "{name}: say what it means in a sentence");
            assert!(!labels.contains(&"device"), "{name}: a label has few values");
            assert!(METRICS[..at].iter().all(|other| other.0 != name), "{name} stands twice");
        }
    }

    /// Whoever adds a metric adds it here too.
    #[test]
    fn every_name_in_the_sources_is_in_the_list() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            for file in std::fs::read_dir(folder).expect("readable") {
                let path = file.expect("readable").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                for macro_name in ["counter!(", "gauge!(", "histogram!("] {
                    for call in text.split(&format!("metrics::{macro_name}")).skip(1) {
                        let Some(name) =
                            call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                        else {
                            continue;
                        };
                        found += 1;
                        let listed = METRICS.iter().any(|metric| metric.0 == name);
                        assert!(listed, "{}: {name} is not in metrics.rs", path.display());
                    }
                }
            }
        }
        assert!(found > 2, "no metric found: does this test still read the sources?");
    }
}
