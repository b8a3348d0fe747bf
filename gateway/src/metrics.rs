//! Every metric name, in one list ([`METRICS`]), and the recorder behind `/metrics`.
//!
//! Other modules use the macros of the `metrics` crate with a name from this list; a test reads all sources and refuses a name that
//! is not in it. A label has few values: source, channel, class, outcome; never a device, a person or an address.

pub mod alarms;
mod list;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub use list::METRICS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    /// Of seconds when its name ends so, else of a number of things.
    Histogram,
}

/// Upper edges of the histograms' buckets, in seconds: from a fast disk to a time-out.
const BUCKETS_S: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Of people: from a tap at once to the next morning.
const BUCKETS_RESPONSE_S: &[f64] =
    &[10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0];

/// For histograms that count things.
const BUCKETS_NUMBER: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Histograms keep raw samples until somebody drains them, so it is done whether or not anybody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What `/metrics` renders from.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

fn builder() -> anyhow::Result<PrometheusBuilder> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), BUCKETS_S)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_requests".into()), BUCKETS_NUMBER)
        })
        // A prefix is stronger than an ending.
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Prefix("gridwarden_alarm_".into()), BUCKETS_RESPONSE_S)
        })
        .context("the buckets of the histograms are not usable")
}

/// Makes the recorder that all `metrics::…!` macros of this process write to. Once per process.
pub fn install() -> anyhow::Result<Metrics> {
    let handle = builder()?.install_recorder().context("another metrics recorder is already installed")?;
    describe();
    Ok(Metrics(handle))
}

fn describe() {
    for &(name, kind, labels, meaning) in METRICS {
        match kind {
            Kind::Counter => {
                describe_counter!(name, meaning);
                // From the start, so that the first event is a rise and not a new series, which no rate sees.
                if labels.is_empty() {
                    metrics::counter!(name).absolute(0);
                }
            }
            Kind::Gauge => describe_gauge!(name, meaning),
            Kind::Histogram if name.ends_with("_seconds") => {
                describe_histogram!(name, Unit::Seconds, meaning)
            }
            Kind::Histogram => describe_histogram!(name, meaning),
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
            metrics::counter!("gridwarden_messages_total").increment(3);
            metrics::gauge!("gridwarden_alarms_open", "class" => "fire").set(2.0);
            metrics::histogram!("gridwarden_commit_seconds").record(0.004);
            metrics::histogram!("gridwarden_alarm_on_site_seconds", "class" => "fire").record(250.0);
        });
        let text = handle.render();
        for line in [
            "# TYPE gridwarden_messages_total counter",
            "# HELP gridwarden_messages_total Messages that reached",
            "gridwarden_messages_total 3",
            "gridwarden_alarms_open{class=\"fire\"} 2",
            "gridwarden_commit_seconds_bucket{le=\"0.0025\"} 0",
            "gridwarden_commit_seconds_bucket{le=\"0.005\"} 1",
            "gridwarden_alarm_on_site_seconds_bucket{class=\"fire\",le=\"180\"} 0",
            "gridwarden_alarm_on_site_seconds_bucket{class=\"fire\",le=\"300\"} 1",
            "gridwarden_batches_total 0",
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
            let bucketed = name.ends_with("_seconds") || name.ends_with("_requests");
            assert!(kind != Kind::Histogram || bucketed, "{name}: no buckets fit its name");
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
                if path.extension().is_none_or(|ending| ending != "rs") {
                    continue; // Bytes kept for a test.
                }
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                for macro_name in ["counter!(", "gauge!(", "histogram!("] {
                    for call in text.split(macro_name).skip(1) {
                        let name =
                            call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                        let Some(name) = name.filter(|name| name.starts_with("gridwarden_")) else {
                            continue;
                        };
                        found += 1;
                        let listed = METRICS.iter().any(|metric| metric.0 == name);
                        assert!(listed, "{}: {name} is not in metrics/list.rs", path.display());
                    }
                }
            }
        }
        assert!(found > 2, "no metric found: does this test still read the sources?");
    }
}
