//! Gotify: a message from an application of its server, to whoever has its client open.
//!
//! `POST /message` with the application's token in a header, `{title, message, priority}`; 200 with the message's `id`, else a status and
//! `errorDescription` (gotify.net, API). The server sets no limit.

use futures::future::BoxFuture;
use reqwest::Url;
use serde_json::json;

use super::post::{Answer, Post, below};
use super::text::Text;
use super::{Channel, Notice, Sent};
use crate::model::SignalClass;

const TEXT_BYTES_MAX: usize = 8_192;

pub struct Gotify {
    name: String,
    url: Url,
    token: String,
    post: Post,
}

impl Gotify {
    pub fn new(name: &str, server: &str, token: String, post: Post) -> anyhow::Result<Self> {
        Ok(Self { name: name.to_owned(), url: below(server, "message")?, token, post })
    }
}

impl Channel for Gotify {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let text = Text::of(notice);
            let priority = match notice.alarm.class {
                SignalClass::Fire => 10,
                SignalClass::Supervisory => 7,
                SignalClass::Trouble => 5,
                SignalClass::Disabled | SignalClass::Test => 2,
            };
            let mut body = json!({ "title": text.title, "priority": priority });
            body["message"] = text.body(TEXT_BYTES_MAX).into();
            if let Some(link) = &text.link {
                body["extras"] = json!({ "client::notification": { "click": { "url": link } } });
            }
            let request = self.post.to(&self.url).header("X-Gotify-Key", &self.token).json(&body);
            match self.post.ask(request).await {
                Ok(answer) => judge(&answer),
                Err(sent) => sent,
            }
        })
    }
}

fn judge(answer: &Answer) -> Sent {
    match answer.json() {
        Err(sent) => sent,
        Ok(body) => match body.get("id").and_then(|id| id.as_i64()) {
            Some(id) => Sent::delivered(answer.said(), Some(id.to_string())),
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
            (200, r#"{"id":25,"appid":5,"message":"x","title":"y","priority":5}"#, "taken"),
            (200, "{}", "again"),
            (
                401,
                r#"{"error":"Unauthorized","errorCode":401,"errorDescription":"you need to provide a valid access token"}"#,
                "never",
            ),
            (400, r#"{"error":"Bad Request","errorCode":400}"#, "never"),
            (500, "", "again"),
        ] {
            assert_eq!(word(&judge(&answer(status, body))), expected, "{status} {body}");
        }
    }
}
