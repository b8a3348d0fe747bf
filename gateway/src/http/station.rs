//! What machines ask the station: alive, ready, metrics, and the description of this API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ApiError;
use super::rights::{Reach, Right};
use super::{Api, auth};
use crate::clock;
use crate::health::Finding;
use crate::io::acks::AckLine;
use crate::io::inlet::{Inbound, Inlet, Safe};
use crate::model::SignalClass;
use crate::store::{Store, StoreError};

/// `/readyz` writes to the disk at most this often, however often it is asked.
const STORE_EVERY: Duration = Duration::from_secs(30);
/// A write that takes longer is a failure.
const STORE_WITHIN: Duration = Duration::from_secs(3);
/// The driver answers within its commit interval (10 s at most), or it is stuck.
const DRIVER_WITHIN: Duration = Duration::from_secs(15);

/// The process runs. Open to all.
#[utoipa::path(get, path = "/healthz", tag = "station", operation_id = "healthz", security(()),
    responses((status = 200, description = "It runs", body = String, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the station can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    pub ready: bool,
    pub checks: BTreeMap<String, CheckView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CheckView {
    pub fine: bool,
    /// Whether the station is ready only while this is fine.
    pub essential: bool,
    /// What is wrong; only for requests with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The store can be written and the driver makes progress; other parts are information. Open to all, reasons only with a token.
#[utoipa::path(get, path = "/readyz", tag = "station", operation_id = "readyz", security((), ("token" = []), ("session" = [])),
    responses((status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready; the same body", body = Readiness)))]
pub async fn readyz(State(api): State<Arc<Api>>, headers: HeaderMap) -> impl IntoResponse {
    let mut findings = api.health.all();
    findings.insert("store".into(), Finding { essential: true, state: api.own.probe.store(&api).await });
    findings.insert(
        "driver".into(),
        Finding { essential: true, state: api.own.probe.driver(&api.inlet, clock::instant()) },
    );
    let ready = findings.values().all(|finding| !finding.essential || finding.state.is_ok());
    // When even this cannot be asked the store is the reason, and the log has it.
    let known = auth::caller(&api, &headers).await.is_ok_and(|caller| caller.is_some_and(may_know_reasons));
    let checks = findings.into_iter().map(|(name, finding)| {
        let Finding { essential, state } = finding;
        let fine = state.is_ok();
        (name, CheckView { fine, essential, detail: state.err().filter(|_| known) })
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, checks: checks.collect() }))
}

fn may_know_reasons(caller: auth::Caller) -> bool {
    caller.reach(Right::Station) != Reach::Nowhere && !caller.must_change
}

/// Asks the store and the driver for a sign of life, seldom.
#[derive(Default)]
pub struct Probe {
    store: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
    driver: Mutex<Option<Asked>>,
}

/// A question to the driver, asked again when it stays unanswered: the ticket may have been dropped.
struct Asked {
    /// Of the first that was not answered.
    since: Instant,
    at: Instant,
    line: AckLine<()>,
}

impl Probe {
    async fn store(&self, api: &Api) -> Result<(), String> {
        let mut last = self.store.lock().await;
        if let Some((at, result)) = &*last
            && clock::instant().duration_since(*at) < STORE_EVERY
        {
            return result.clone();
        }
        let text = api.clock.now().wall.rfc3339();
        let result = match tokio::time::timeout(STORE_WITHIN, api.store.remember("readyz", &text)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::from(error))),
            Err(_) => Err(format!("a write takes longer than {} s", STORE_WITHIN.as_secs())),
        };
        // A failure is asked again at once: the disk may have been freed.
        *last = result.is_ok().then(|| (clock::instant(), result.clone()));
        result
    }

    /// Sends the driver an empty message and looks at the next question whether it was answered.
    fn driver(&self, inlet: &Inlet, now: Instant) -> Result<(), String> {
        let mut asked = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unanswered_since = now;
        if let Some(Asked { since, at, line }) = &mut *asked
            && line.take_ready().is_empty()
        {
            unanswered_since = *since;
            if now.duration_since(*at) < DRIVER_WITHIN {
                return verdict(now.duration_since(*since));
            }
        }
        let mut line = AckLine::default();
        let safe = Safe::Ticket(line.issue(()));
        if inlet.try_send(Inbound { safe, ..Inbound::default() }).is_err() {
            return Err("the driver's queue is full or closed".into());
        }
        *asked = Some(Asked { since: unanswered_since, at: now, line });
        verdict(now.duration_since(unanswered_since))
    }
}

fn verdict(unanswered: Duration) -> Result<(), String> {
    if unanswered < DRIVER_WITHIN {
        return Ok(());
    }
    Err(format!("the driver has not answered for {} s", unanswered.as_secs()))
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "station", operation_id = "metrics",
    responses((status = 200, description = "Text format 0.0.4", body = String, content_type = "text/plain")))]
pub async fn metrics(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, ApiError> {
    gauges(&api.store).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.metrics.render()))
}

/// What is counted in the store rather than as it happens.
async fn gauges(store: &Store) -> Result<(), StoreError> {
    let (counts, open) = tokio::try_join!(store.counts(), store.open_by_class())?;
    metrics::gauge!("gridwarden_journal_bytes").set(counts.journal_bytes as f64);
    metrics::gauge!("gridwarden_store_bytes").set((counts.file_bytes + counts.wal_bytes) as f64);
    metrics::gauge!("gridwarden_dead_letters").set(counts.dead_letters as f64);
    for cursor in counts.cursors {
        let lag = counts.newest_seq.saturating_sub(cursor.seq);
        metrics::gauge!("gridwarden_journal_lag_batches", "consumer" => cursor.consumer).set(lag as f64);
    }
    for class in SignalClass::ALL {
        let open = open.iter().find(|(one, _)| *one == class).map_or(0, |(_, count)| *count);
        let waiting = counts.outbox_pending.get(&class).copied().unwrap_or(0);
        metrics::gauge!("gridwarden_alarms_open", "class" => class.name()).set(open as f64);
        metrics::gauge!("gridwarden_outbox_rows", "class" => class.name()).set(waiting as f64);
    }
    Ok(())
}

/// The OpenAPI document as text.
#[derive(Clone)]
pub struct Document(pub Arc<str>);

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "station", operation_id = "getDescription",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub async fn openapi(Extension(Document(text)): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::inlet;

    #[test]
    fn a_driver_that_does_not_answer_is_stuck_and_one_that_does_is_not() {
        let (probe, begun) = (Probe::default(), clock::instant());
        let (inlet, mut outlet) = inlet::channel();
        let after = |seconds| probe.driver(&inlet, begun + Duration::from_secs(seconds));
        assert_eq!(after(0), Ok(()));
        assert_eq!(after(14), Ok(()), "it has its commit interval to answer");
        let dropped = outlet.routine.try_recv().expect("one question");
        assert!(dropped.events.is_empty() && dropped.dead.is_empty(), "nothing to commit");
        assert!(outlet.routine.try_recv().is_err(), "and not one for every request");
        assert_eq!(after(16), Err("the driver has not answered for 16 s".into()));
        assert_eq!(after(20), Err("the driver has not answered for 20 s".into()));
        let Safe::Ticket(ticket) = outlet.routine.try_recv().expect("asked again").safe else {
            panic!("it wants an answer")
        };
        ticket.done();
        assert_eq!(after(21), Ok(()), "answered");
        drop(outlet);
        assert!(after(40).is_err(), "the driver is gone");
    }
}
