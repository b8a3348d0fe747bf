//! An alert as an HTTP POST with a signature: docs/webhook.md is the receiver's side.
//!
//! 2xx is a receipt, unless [`Accepted`] says what it must hold besides; its status and the body's first bytes are kept.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use sha2::Sha256;

use super::accepted::Accepted;
use super::post::{Answer, Post};
use super::{Channel, Notice, Sent};
use crate::clock;
use crate::config;
use crate::decode::bytes::hex;

pub struct Webhook {
    name: String,
    url: Url,
    secret: Option<String>,
    accepted: Option<Accepted>,
    post: Post,
}

impl Webhook {
    pub fn new(name: &str, url: &str, secret: Option<String>, timeout: Duration) -> anyhow::Result<Self> {
        let url = url.parse().with_context(|| format!("the address of the webhook `{name}`"))?;
        Ok(Self { name: name.to_owned(), url, secret, accepted: None, post: Post::new(timeout)? })
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
            Err(error) => return Sent::gave_up(format!("the alert cannot be written as JSON: {error}")),
        };
        let stamp = clock::wall().0.div_euclid(1000);
        let mut request = self
            .post
            .to(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", &notice.id)
            .header("Gridwarden-Timestamp", stamp);
        if let Some(secret) = &self.secret {
            request = request.header("Gridwarden-Signature", format!("v1={}", sign(secret, stamp, &body)));
        }
        match self.post.ask(request.body(body)).await {
            Ok(answer) => judge(&answer, self.accepted.as_ref()),
            Err(sent) => sent,
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
    hex(&mac.finalize().into_bytes())
}

/// What the answer means, and whether another try makes sense.
fn judge(answer: &Answer, accepted: Option<&Accepted>) -> Sent {
    if let Err(sent) = answer.success() {
        return sent;
    }
    let said = answer.said();
    match accepted.and_then(|accepted| accepted.refusal(&answer.body)) {
        None => Sent::delivered(said, None),
        Some(refusal) => Sent::retry(
            format!("the receiver refused the alert, {refusal}; it answered {said}"),
            answer.after,
        ),
    }
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
}
