//! Query and body of a request, read strictly: what is not known is refused by name, so that a typo in a filter cannot mean "all".

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::ApiError;
use crate::units::Timestamp;

/// The query string as `T`; give `T` `deny_unknown_fields`.
pub struct Params<T>(pub T);

/// A JSON body as `T`; no body is the same as `{}`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).cloned();
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let detail = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    format!("The body may have {} bytes.", super::BODY_BYTES_MAX)
                }
                _ => rejection.body_text(),
            };
            ApiError::status(rejection.status(), detail)
        })?;
        if bytes.is_empty() {
            return Ok(Self(Json::from_bytes(b"{}")?.0));
        }
        let kind = kind.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            let detail = "Send the body as JSON with the header `Content-Type: application/json`.";
            return Err(ApiError::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        Ok(Self(Json::from_bytes(&bytes)?.0))
    }
}

/// The parameter `limit` of every list.
pub fn limit(given: Option<u32>, most: u32) -> Result<u32, ApiError> {
    match given {
        None => Ok(most.min(50)),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(ApiError::query("limit", format!("give 1 to {most}"))),
    }
}

/// A list such as `fire,trouble`, each word read by `read`; `known` is named when one is not known.
pub fn words<T>(
    field: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
    known: &[&str],
) -> Result<Vec<T>, ApiError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let each = text.split(',').map(str::trim).map(|word| {
        let unknown = || ApiError::query(field, format!("`{word}` is not one of {}", known.join(", ")));
        read(word).ok_or_else(unknown)
    });
    each.collect()
}

/// `true`, `false`, `1` or `0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Switch(pub bool);

impl TryFrom<String> for Switch {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "1" | "true" => Ok(Self(true)),
            "0" | "false" => Ok(Self(false)),
            other => Err(format!("`{other}` is neither true nor false")),
        }
    }
}

/// A moment in the body, RFC 3339.
pub fn moment(field: &str, text: &str) -> Result<Timestamp, ApiError> {
    let wrong = || ApiError::body(field, "write a moment such as 2026-11-24T08:00:00+08:00");
    Timestamp::parse_rfc3339(text).ok_or_else(wrong)
}

/// A text that a person typed: not empty, not too long, no control characters.
pub fn text(field: &str, text: &str, characters_max: usize) -> Result<String, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ApiError::body(field, "it is empty"));
    }
    if text.chars().count() > characters_max {
        return Err(ApiError::body(field, format!("it may have {characters_max} characters")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(ApiError::body(field, "it has control characters in it"));
    }
    Ok(text.to_owned())
}
