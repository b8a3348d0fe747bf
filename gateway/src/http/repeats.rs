//! `Idempotency-Key`: the same request sent again gets the first answer and does nothing.
//!
//! For a phone that was out of reach and cannot know whether its deed arrived. One key is for one request of one account: the same key with another request is refused. That a deed is done
//! is stored with the deed itself ([`crate::store::repeats`]), so that also a crash between deed and answer does it once. What failed inside (5xx) is not kept: it may be tried again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::problem::{ApiError, Problem};
use super::{Api, BODY_BYTES_MAX, attachments};
use crate::store::repeats::{Answered, Known, Repeatable};
use crate::view::AlarmView;

/// The request's header.
pub const HEADER: &str = "idempotency-key";
/// Says that an answer is an earlier one.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const KEY_CHARACTERS_MAX: usize = 100;
/// A longer answer is not kept; none is.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Requests with a key that are being worked on.
#[derive(Default)]
pub struct Running(Mutex<BTreeSet<(String, String)>>);

/// One of them, until it is dropped.
struct Run<'a> {
    running: &'a Running,
    what: (String, String),
}

impl Running {
    fn begin(&self, what: &Repeatable) -> Option<Run<'_>> {
        let what = (what.account.clone(), what.key.clone());
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(what.clone()).then_some(Run { running: self, what })
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.what);
    }
}

/// The layer inside [`super::auth::authorize`].
pub async fn once(State(api): State<Arc<Api>>, request: Request, next: Next) -> Result<Response, ApiError> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(key), Some(mut caller), false) = (request.headers().get(HEADER), caller, reads) else {
        return Ok(next.run(request).await);
    };
    let key = key.to_str().ok().filter(|key| (1..=KEY_CHARACTERS_MAX).contains(&key.len()));
    let key =
        key.ok_or_else(|| ApiError::query(HEADER, "give 1 to 100 visible ASCII characters"))?.to_owned();
    let (request, digest) = digested(request).await?;
    let what = Repeatable { account: caller.name.to_string(), key, request: digest };
    let _run = api.own.running.begin(&what).ok_or_else(|| {
        let detail = "The same request is being worked on; ask again in a moment.".into();
        ApiError::named(StatusCode::CONFLICT, "in-progress", "It is under way", detail)
    })?;
    if let Some(known) = api.store.repeat(&what.account, &what.key).await? {
        return again(&api, &what, known).await;
    }
    caller.repeatable = Some(what.clone().into());
    let mut request = request;
    request.extensions_mut().insert(caller);
    keep(&api, what, next.run(request).await).await
}

/// The request, and SHA-256 over what it asks. A photo is not read here: it is known by its own hash.
async fn digested(request: Request) -> Result<(Request, [u8; 32]), ApiError> {
    let (parts, body) = request.into_parts();
    let mut digest = Sha256::new();
    digest.update(format!("{} {}\n", parts.method, parts.uri));
    if parts.uri.path().ends_with(attachments::PATH_END) {
        return Ok((Request::from_parts(parts, body), digest.finalize().into()));
    }
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| {
        let detail = format!("The body may have {BODY_BYTES_MAX} bytes.");
        ApiError::status(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })?;
    digest.update(&bytes);
    Ok((Request::from_parts(parts, Body::from(bytes)), digest.finalize().into()))
}

async fn again(api: &Api, what: &Repeatable, known: Known) -> Result<Response, ApiError> {
    if known.request != what.request {
        let detail = format!("The key `{}` was used for another request; make a new one for this.", what.key);
        return Err(ApiError::named(
            StatusCode::UNPROCESSABLE_ENTITY,
            "key-reused",
            "A key is for one request",
            detail,
        ));
    }
    let mut response = match (known.answered, known.alarm) {
        (Some(answered), _) => first_answer(answered)?,
        // Done, and then the gateway was killed before it could answer.
        (None, Some(id)) => {
            let alarm = api.store.alarm(id).await?;
            let alarm = alarm.ok_or_else(|| ApiError::not_found(format!("There is no alarm `{id}`.")))?;
            Json(AlarmView::of(&alarm, &api.world.load().registry)).into_response()
        }
        (None, None) => {
            return Err(ApiError::Internal(anyhow::anyhow!("a repeated request without an answer")));
        }
    };
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn first_answer(Answered { status, location, body }: Answered) -> Result<Response, ApiError> {
    let status = StatusCode::from_u16(status).map_err(anyhow::Error::from).map_err(ApiError::Internal)?;
    if status.is_client_error() {
        let problem: Problem =
            serde_json::from_slice(&body).map_err(anyhow::Error::from).map_err(ApiError::Internal)?;
        return Ok(ApiError::Refused(Box::new(problem)).into_response());
    }
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(location) = location.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Keeps the answer and gives it.
async fn keep(api: &Api, what: Repeatable, response: Response) -> Result<Response, ApiError> {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = match parts.extensions.get::<Problem>() {
        Some(problem) => serde_json::to_vec(problem).map(Bytes::from).map_err(anyhow::Error::from),
        None => to_bytes(body, ANSWER_BYTES_MAX).await.map_err(anyhow::Error::from),
    };
    let bytes = bytes.map_err(ApiError::Internal)?;
    let location =
        parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answered = Answered { status: status.as_u16(), location, body: bytes.to_vec() };
    if let Err(error) = api.store.answered(what, answered).await {
        // The deed is done and stored with its key; only its answer will be made anew.
        tracing::warn!(%error, "an answer could not be kept for its repetition");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}
