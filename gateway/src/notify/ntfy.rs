//! ntfy: a message to a topic, which the person's phone has subscribed.
//!
//! JSON to the server's root; 4,096 bytes of message; 60 at once and then one every five seconds for each sender with the server's defaults
//! (docs.ntfy.sh, publishing and configuration). Errors come with an HTTP status of their own and a `code` that says more.

use futures::future::BoxFuture;
use reqwest::Url;
use serde_json::json;

use super::pace::{Each, Limits};
use super::post::{Answer, Post, below};
use super::text::Text;
use super::{Channel, Notice, Sent};
use crate::model::SignalClass;
use crate::units::Millis;

/// 60 in any five minutes is never more than the server's bucket gives.
pub const LIMITS: Limits = Limits::of(Each::Channel, &[(60, 300)]);
const TEXT_BYTES_MAX: usize = 4_096;

pub struct Ntfy {
    name: String,
    url: Url,
    token: Option<String>,
    /// For people without a topic of their own.
    topic: Option<String>,
    post: Post,
}

impl Ntfy {
    pub fn new(
        name: &str,
        server: &str,
        token: Option<String>,
        topic: Option<String>,
        post: Post,
    ) -> anyhow::Result<Self> {
        Ok(Self { name: name.to_owned(), url: below(server, "")?, token, topic, post })
    }

    async fn publish(&self, notice: &Notice) -> Sent {
        let Some(topic) = notice.address().or(self.topic.as_deref()).filter(|topic| is_topic(topic)) else {
            return notice.no_address(&self.name, "topic");
        };
        let text = Text::of(notice);
        let (priority, tags) = match notice.alarm.class {
            SignalClass::Fire => (5, ["rotating_light"]),
            SignalClass::Supervisory => (4, ["warning"]),
            SignalClass::Trouble => (3, ["wrench"]),
            SignalClass::Disabled | SignalClass::Test => (2, ["information_source"]),
        };
        let mut body = json!({ "topic": topic, "title": text.title, "priority": priority, "tags": tags });
        if let Some(link) = &text.link {
            body["click"] = link.as_str().into();
        }
        body["message"] = text.body(TEXT_BYTES_MAX).into();
        let mut request = self.post.to(&self.url).json(&body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        match self.post.ask(request).await {
            Ok(answer) => judge(&answer),
            Err(sent) => sent,
        }
    }
}

impl Channel for Ntfy {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(self.publish(notice))
    }
}

/// What ntfy takes as a topic.
pub fn is_topic(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn judge(answer: &Answer) -> Sent {
    // 42908 is the day's allowance; the rest of 429xx passes with the next token.
    const DAY_USED_UP: i64 = 42_908;
    if answer.status.as_u16() == 429 && answer.after.is_none() {
        let code = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
        let code = code.and_then(|body| body.get("code")?.as_i64());
        let wait = Millis::from_secs(if code == Some(DAY_USED_UP) { 3_600 } else { 5 });
        return Sent::retry(format!("the server has had too many for now: {}", answer.said()), Some(wait));
    }
    match answer.json() {
        Err(sent) => sent,
        Ok(body) => match body.get("id").and_then(|id| id.as_str()) {
            Some(id) => Sent::delivered(answer.said(), Some(id.to_owned())),
            None => Sent::retry(format!("the answer has no `id`; it was {}", answer.said()), answer.after),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::{answer, word};
    use super::*;

    #[test]
    fn status_and_body_decide() {
        for (status, body, expected) in [
            (200, r#"{"id":"hwQ2YpKdmg","time":1795402800,"event":"message","topic":"wang"}"#, "taken"),
            (200, r#"{"event":"message"}"#, "again"),
            (401, r#"{"code":40101,"http":401,"error":"unauthorized"}"#, "never"),
            (413, r#"{"code":41301,"http":413,"error":"attachment too large"}"#, "never"),
            (429, r#"{"code":42901,"http":429,"error":"limit reached: too many requests"}"#, "wait 5"),
            (
                429,
                r#"{"code":42908,"http":429,"error":"limit reached: daily message quota reached"}"#,
                "wait 3600",
            ),
            (507, r#"{"code":50701,"http":507,"error":"cannot publish to UnifiedPush topic"}"#, "again"),
        ] {
            assert_eq!(word(&judge(&answer(status, body))), expected, "{status} {body}");
        }
    }
}
