//! Errors as RFC 9457 problem documents: every answer of 400 and above has one, whoever made it.
//!
//! A handler returns [`ApiError`]; [`finish`] stands around the whole router, fills in the path, and also dresses the bare answers of axum (405,
//! 413, unknown paths). What went wrong inside is logged with its causes and told to nobody: the caller gets a number to look for in the log.

use axum::Json;
use axum::extract::Request;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::repeats::REPLAYED;
use crate::engine::Refusal;
use crate::io::inlet::Closed;
use crate::store::StoreError;

/// An error (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// For programs: `about:blank` when the status says it all, else one of the URNs in docs/api.md.
    #[serde(rename = "type")]
    #[schema(example = "urn:gridwarden:problem:already-acknowledged")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// A sentence about this very case.
    pub detail: String,
    /// Path of the request.
    pub instance: String,
    /// Which fields of the query or body are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    #[schema(example = "limit")]
    pub field: String,
    pub detail: String,
}

#[derive(Debug)]
pub enum ApiError {
    Refused(Box<Problem>),
    /// Ours to explain: logged, not told.
    Internal(anyhow::Error),
}

impl Problem {
    fn plain(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: String::new(),
            errors: Vec::new(),
        }
    }
}

impl ApiError {
    pub fn status(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::Refused(Box::new(Problem::plain(status, detail)))
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::status(StatusCode::NOT_FOUND, detail)
    }

    /// A parameter of the query that cannot be used.
    pub fn query(field: &str, detail: impl Into<String>) -> Self {
        Self::field(StatusCode::BAD_REQUEST, "query", field, detail.into())
    }

    /// A field of the body that is well-formed and yet cannot be used.
    pub fn body(field: &str, detail: impl Into<String>) -> Self {
        Self::field(StatusCode::UNPROCESSABLE_ENTITY, "body", field, detail.into())
    }

    fn field(status: StatusCode, part: &str, field: &str, detail: String) -> Self {
        let mut problem = Problem::plain(status, format!("`{field}` in the {part}: {detail}"));
        problem.kind = format!("urn:gridwarden:problem:bad-{part}");
        problem.title = format!("The {part} of the request is not usable");
        problem.errors = vec![FieldError { field: field.into(), detail }];
        Self::Refused(Box::new(problem))
    }

    /// Known, but without the right.
    pub fn not_allowed(detail: String) -> Self {
        Self::named(StatusCode::FORBIDDEN, "not-allowed", "This account may not do that", detail)
    }

    /// One of the URNs in docs/api.md.
    pub fn named(status: StatusCode, kind: &str, title: &str, detail: String) -> Self {
        let mut problem = Problem::plain(status, detail);
        problem.kind = format!("urn:gridwarden:problem:{kind}");
        problem.title = title.into();
        Self::Refused(Box::new(problem))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let (status, kind, title) = match refusal {
            Refusal::NoSuchAlarm(_) => {
                (StatusCode::NOT_FOUND, "no-such-alarm", "There is no such open alarm")
            }
            Refusal::AlreadyAcknowledged(..) => {
                (StatusCode::CONFLICT, "already-acknowledged", "Somebody acknowledged it before")
            }
            Refusal::NotAcknowledged(_) => {
                (StatusCode::CONFLICT, "not-acknowledged", "It must be acknowledged first")
            }
            Refusal::AlreadyResolved(..) => {
                (StatusCode::CONFLICT, "already-resolved", "Somebody resolved it before")
            }
            Refusal::AlreadySaid(..) => {
                (StatusCode::CONFLICT, "already-said", "The same person said so before")
            }
            Refusal::NotResolved(_) => {
                (StatusCode::CONFLICT, "not-resolved", "Nobody has said yet what it was")
            }
            Refusal::AlreadyVerified(..) => {
                (StatusCode::CONFLICT, "already-verified", "Somebody verified it before")
            }
            Refusal::OwnWork(..) => {
                (StatusCode::FORBIDDEN, "own-work", "Nobody supervises what he handled himself")
            }
            Refusal::NobodyThere(..) => (StatusCode::CONFLICT, "nobody-there", "There is nobody to take it"),
            Refusal::AlreadyTheirs(..) => {
                (StatusCode::CONFLICT, "already-theirs", "It is in that hand already")
            }
            Refusal::Fire(_) => (StatusCode::CONFLICT, "fire", "A fire is not put off"),
            Refusal::BadUntil(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad-until", "The end is not usable"),
            Refusal::NotHeld(..) => (StatusCode::CONFLICT, "not-held", "It is not put off in this way"),
            Refusal::IsMaintenance(_) => {
                (StatusCode::CONFLICT, "is-maintenance", "It is a time out of service")
            }
            Refusal::NoMaintenance(_) => {
                (StatusCode::NOT_FOUND, "no-maintenance", "There is no such time out of service")
            }
            Refusal::AlreadyOutOfService(_) => {
                (StatusCode::CONFLICT, "already-out-of-service", "It is out of service already")
            }
            Refusal::DrillGoesOn(_) => (StatusCode::CONFLICT, "drill-goes-on", "There is a drill already"),
            Refusal::RealAlarm(_) => {
                (StatusCode::CONFLICT, "real-alarm", "Something real calls people there")
            }
            Refusal::NoLadder(_) => (StatusCode::CONFLICT, "no-ladder", "Nobody would be called"),
            Refusal::NobodyToAsk => (StatusCode::CONFLICT, "nobody-to-ask", "There is nobody to ask"),
            Refusal::NotRaised => (StatusCode::NOT_FOUND, "no-such-alarm", "There is no such open alarm"),
        };
        Self::named(status, kind, title, detail)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<Closed> for ApiError {
    fn from(Closed: Closed) -> Self {
        Self::status(
            StatusCode::SERVICE_UNAVAILABLE,
            "The gateway is stopping. If this was an action, look whether it took effect before you repeat it.",
        )
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        let (field, detail) = field_and_reason(&innermost(&rejection));
        Self::query(&field, detail)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        if let JsonRejection::JsonDataError(error) = &rejection {
            let (field, detail) = field_and_reason(&innermost(error));
            return Self::body(&field, detail);
        }
        if let JsonRejection::JsonSyntaxError(error) = &rejection {
            return Self::named(
                StatusCode::BAD_REQUEST,
                "bad-json",
                "The body is not JSON",
                format!("The body is not JSON: {}.", innermost(error)),
            );
        }
        Self::status(rejection.status(), rejection.body_text())
    }
}

/// What the deserializer itself said, without axum's words around it.
fn innermost(error: &dyn std::error::Error) -> String {
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    match text.rsplit_once("into the target type: ").or_else(|| text.rsplit_once("query string: ")) {
        Some((_, reason)) => reason.to_owned(),
        None => text,
    }
}

/// Serde with a path says `limit: invalid digit`, or `missing field `class`` without one.
fn field_and_reason(text: &str) -> (String, String) {
    if let Some(missing) = text.split("missing field `").nth(1).and_then(|rest| rest.split('`').next()) {
        return (missing.into(), "it is missing".into());
    }
    if let Some(unknown) = text.split("unknown field `").nth(1).and_then(|rest| rest.split('`').next()) {
        let reason = text.split_once(", expected").map_or("", |(_, rest)| rest);
        return (
            unknown.into(),
            format!("there is no such field; known{reason}").replace("known one of", "known are"),
        );
    }
    match text.split_once(": ") {
        Some((path, reason)) if !path.contains(' ') => (path.into(), reason.into()),
        Some(_) | None => (".".into(), text.into()),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::Refused(problem) => *problem,
            Self::Internal(error) => {
                let number = format!("{:08x}", fastrand::u32(..));
                tracing::error!(number, error = format!("{error:#}"), "a request failed");
                Problem::plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("The gateway could not do this; its log has the reason under {number}."),
                )
            }
        };
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"gridwarden\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(problem);
        response
    }
}

/// Outermost layer: gives every error its document.
pub async fn finish(request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let known = response.extensions().get::<Problem>().cloned();
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if known.is_none() && kind == Some(b"application/json") {
        return response; // A document of its own, such as `/readyz` when not ready.
    }
    let (parts, _) = response.into_parts();
    let mut problem = known.unwrap_or_else(|| bare(status, &instance));
    problem.instance = instance;
    let mut dressed = (status, Json(problem)).into_response();
    for name in [header::WWW_AUTHENTICATE, REPLAYED] {
        if let Some(value) = parts.headers.get(&name) {
            dressed.headers_mut().insert(name, value.clone());
        }
    }
    let kind = HeaderValue::from_static("application/problem+json");
    dressed.headers_mut().insert(header::CONTENT_TYPE, kind);
    dressed
}

/// For answers that axum gave on its own.
fn bare(status: StatusCode, path: &str) -> Problem {
    let detail = match status {
        StatusCode::NOT_FOUND => {
            format!("There is nothing at {path}; /api/v1/openapi.json lists what there is.")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            "This path cannot be asked that way; the header `Allow` says how.".into()
        }
        status => status.canonical_reason().unwrap_or("The request failed").to_owned() + ".",
    };
    Problem::plain(status, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deserializer_s_words_lead_to_the_field() {
        for (text, field, detail) in [
            ("limit: invalid digit found in string", "limit", "invalid digit found in string"),
            ("missing field `class` at line 1 column 2", "class", "it is missing"),
            (
                "typo: unknown field `typo`, expected one of `limit`, `before`",
                "typo",
                "there is no such field; known are `limit`, `before`",
            ),
            ("some words: and more", ".", "some words: and more"),
        ] {
            assert_eq!(field_and_reason(text), (field.into(), detail.into()), "{text}");
        }
    }
}
