//! One HTTP request to a provider, and what can be said of its answer before the body is understood.
//!
//! Redirects are not followed: the address in station.toml is the one that was approved, and a signature must not travel elsewhere. Addresses
//! hold keys, so no error repeats one. A body is read up to [`ANSWER_BYTES_MAX`] and never trusted to be what it should be.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use super::Sent;
use super::accepted::ANSWER_BYTES_MAX;
use crate::clock;
use crate::units::{Millis, Timestamp};

/// Of the answer's body, this much is kept as receipt.
const RECEIPT_BYTES_MAX: usize = 200;

/// The HTTP client of one channel.
pub struct Post {
    pub client: Client,
}

impl Post {
    pub fn new(timeout: Duration) -> anyhow::Result<Self> {
        // reqwest finds its TLS in the process's default; whoever installed one before is welcome.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .redirect(Policy::none())
            .user_agent(concat!("gridwarden/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the HTTP client cannot be made")?;
        Ok(Self { client })
    }

    pub fn to(&self, url: &Url) -> RequestBuilder {
        self.client.post(url.clone())
    }

    /// The error is the outcome of an attempt that got no answer.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Answer, Sent> {
        let mut response =
            request.send().await.map_err(|error| Sent::retry(reason(error.without_url()), None))?;
        let (status, after) = (response.status(), retry_after(response.headers(), clock::wall()));
        let mut body = Vec::new();
        while body.len() < ANSWER_BYTES_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break, // The status has been said; half a body is no acceptance where one is looked for.
            }
        }
        body.truncate(ANSWER_BYTES_MAX);
        Ok(Answer { status, after, body })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    /// `Retry-After`.
    pub after: Option<Millis>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body of a 2xx as JSON. Every other status, and what is no JSON, is judged here.
    pub fn json(&self) -> Result<Value, Sent> {
        self.success()?;
        serde_json::from_slice(&self.body).map_err(|_| {
            Sent::retry(format!("the answer is no complete JSON; it was {}", self.said()), self.after)
        })
    }

    pub fn success(&self) -> Result<(), Sent> {
        let said = self.said();
        if self.status.is_success() {
            return Ok(());
        }
        if again(self.status) {
            return Err(Sent::retry(format!("the receiver answered {said}"), self.after));
        }
        let hint = if self.status.is_redirection() {
            "; redirects are not followed, put the new address into station.toml"
        } else {
            ""
        };
        Err(Sent::gave_up(format!("the receiver answered {said}{hint}")))
    }

    /// Status and the beginning of the body, on one line.
    pub fn said(&self) -> String {
        let bytes = &self.body[..self.body.len().min(RECEIPT_BYTES_MAX)];
        let text = String::from_utf8_lossy(bytes).replace(|c: char| c.is_control(), " ");
        let text = text.trim().trim_end_matches('\u{fffd}');
        let status = self.status.as_u16();
        if text.is_empty() { status.to_string() } else { format!("{status}: {text}") }
    }
}

/// `address` from station.toml with a path below it.
pub fn below(address: &str, path: &str) -> anyhow::Result<Url> {
    let url = format!("{}/{path}", address.trim_end_matches('/'));
    url.parse().context("an address of station.toml cannot be used")
}

/// The receiver may answer otherwise later.
fn again(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Millis> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Millis::from_secs(u64::from(seconds)));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp(date.timestamp().as_millisecond()).since(now))
}

/// The last cause says the most: `connection refused` rather than `error sending request`.
fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "the receiver did not answer in time".into();
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("the receiver cannot be reached: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_try_only_where_the_answer_may_change() {
        for (status, retried) in [
            (400, false),
            (401, false),
            (404, false),
            (408, true),
            (410, false),
            (422, false),
            (425, true),
            (429, true),
            (500, true),
            (502, true),
            (503, true),
            (302, false),
        ] {
            assert_eq!(again(StatusCode::from_u16(status).expect("a status")), retried, "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse_rfc3339("2026-11-23T03:00:00Z").expect("valid");
        for (text, wait) in [
            ("120", Some(Millis::from_secs(120))),
            ("Mon, 23 Nov 2026 03:01:30 GMT", Some(Millis::from_secs(90))),
            ("Mon, 23 Nov 2026 02:00:00 GMT", Some(Millis(0))),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header"))]);
            assert_eq!(retry_after(&headers, now), wait, "{text}");
        }
    }
}
