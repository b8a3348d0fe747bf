//! An alert as an HTTP POST with a signature: docs/webhook.md is the receiver's side.
//!
//! 2xx is a receipt, unless [`Accepted`] says what it must hold besides; its status and the body's first bytes are kept. Redirects are not
//! followed: the address in station.toml is the one that was approved, and the signature must not travel elsewhere.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use sha2::Sha256;

use super::accepted::{ANSWER_BYTES_MAX, Accepted};
use super::{Channel, Notice, Sent};
use crate::clock;
use crate::config;
use crate::units::{Millis, Timestamp};

/// Of the answer's body, this much is kept as receipt.
const RECEIPT_BYTES_MAX: usize = 200;

pub struct Webhook {
    name: String,
    url: Url,
    secret: Option<String>,
    accepted: Option<Accepted>,
    client: Client,
}

impl Webhook {
    pub fn new(name: &str, url: &str, secret: Option<String>, timeout: Duration) -> anyhow::Result<Self> {
        // reqwest finds its TLS in the process's default; whoever installed one before is welcome.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .redirect(Policy::none())
            .user_agent(concat!("gridwarden/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the HTTP client cannot be made")?;
        let url = url.parse().with_context(|| format!("the address of the webhook `{name}`"))?;
        Ok(Self { name: name.to_owned(), url, secret, accepted: None, client })
    }

    /// A 2xx answer that is no such acceptance is a failure.
    pub fn accepted_when(self, accepted: Option<Accepted>) -> Self {
        Self { accepted, ..self }
    }

    /// `folder` is where station.toml stands.
    pub fn from_config(webhook: &config::Webhook, folder: &Path) -> anyhow::Result<Self> {
        let name = webhook.name.get_ref();
        let secret = webhook.secret.as_ref().map(|secret| secret.read(folder)).transpose();
        let secret = secret.with_context(|| format!("the secret of the webhook `{name}`"))?;
        let timeout = Duration::from_secs(u64::from(*webhook.timeout_s.get_ref()));
        let accepted = webhook.accepted_when.as_ref();
        let accepted = accepted.map(|when| Accepted::new(when.path.get_ref(), when.equals.get_ref()));
        let accepted = accepted.transpose().with_context(|| format!("the webhook `{name}`"))?;
        Ok(Self::new(name, webhook.url.get_ref(), secret, timeout)?.accepted_when(accepted))
    }

    async fn post(&self, notice: &Notice) -> Sent {
        let body = match serde_json::to_vec(notice) {
            Ok(body) => body,
            Err(error) => {
                return Sent::GaveUp { error: format!("the alert cannot be written as JSON: {error}") };
            }
        };
        let stamp = clock::wall().0.div_euclid(1000);
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", &notice.id)
            .header("Gridwarden-Timestamp", stamp);
        if let Some(secret) = &self.secret {
            request = request.header("Gridwarden-Signature", format!("v1={}", sign(secret, stamp, &body)));
        }
        match request.body(body).send().await {
            Ok(response) => judge(response, self.accepted.as_ref(), clock::wall()).await,
            // Its text holds the address, which may hold a key of the receiver.
            Err(error) => Sent::Retry { error: reason(error.without_url()), after: None },
        }
    }
}

impl Channel for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(self.post(notice))
    }
}

/// HMAC-SHA256 of `<stamp>.<body>` in lower-case hexadecimal digits.
pub fn sign(secret: &str, stamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(stamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the answer means, and whether another try makes sense.
async fn judge(mut response: Response, accepted: Option<&Accepted>, now: Timestamp) -> Sent {
    let status = response.status();
    let after = retry_after(response.headers(), now);
    let bytes_max = if accepted.is_some() { ANSWER_BYTES_MAX } else { RECEIPT_BYTES_MAX };
    let body = read(&mut response, bytes_max).await;
    let said = format!("{}{}", status.as_u16(), first_words(&body));
    if status.is_success() {
        return match accepted.and_then(|accepted| accepted.refusal(&body)) {
            None => Sent::Delivered { receipt: said },
            Some(refusal) => {
                Sent::Retry { error: format!("the receiver refused the alert, {refusal}; it answered {said}"), after }
            }
        };
    }
    if again(status) {
        return Sent::Retry { error: format!("the receiver answered {said}"), after };
    }
    let hint = if status.is_redirection() {
        "; redirects are not followed, put the new address into station.toml"
    } else {
        ""
    };
    Sent::GaveUp { error: format!("the receiver answered {said}{hint}") }
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

/// The body's beginning, as far as it comes: the status has been said.
async fn read(response: &mut Response, bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(bytes_max);
    bytes
}

/// The beginning of the body on one line, with `: ` in front; empty when there is none.
fn first_words(body: &[u8]) -> String {
    let bytes = &body[..body.len().min(RECEIPT_BYTES_MAX)];
    let text = String::from_utf8_lossy(bytes).replace(|c: char| c.is_control(), " ");
    let text = text.trim().trim_end_matches('\u{fffd}');
    if text.is_empty() { String::new() } else { format!(": {text}") }
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
    fn signs_as_the_document_says() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'the secret'
        let expected = "674279675a06eb6ab63bbfce0df52e3113c6874ce9d29c36ae161f3c475b222e";
        assert_eq!(sign("the secret", 1_700_000_000, br#"{"a":1}"#), expected);
    }

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
