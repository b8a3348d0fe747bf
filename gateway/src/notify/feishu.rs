//! 飞书 group robot: one text into the group, signed when the robot checks signatures.
//!
//! The signature is HMAC-SHA256 over nothing with `<seconds>\n<secret>` as *key*, in Base64, in the body, good for an hour. 100 a minute and 5 a
//! second; a body up to 20 KB; HTTP 200 with `code` in the body (open.feishu.cn, custom robots).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Url;
use serde_json::json;
use sha2::Sha256;

use super::codes::{self, Meaning, Table};
use super::pace::{Each, Limits};
use super::post::{Post, below};
use super::text::Text;
use super::{Channel, Notice, Sent};
use crate::clock;

pub const LIMITS: Limits = Limits::of(Each::Channel, &[(100, 60), (5, 1)]);
/// Text may double in JSON.
const TEXT_BYTES_MAX: usize = 9_000;

const CODES: Table = &[
    (11_232, Meaning::Wait(60)),
    (9_499, Meaning::Never("the body is refused")),
    (19_001, Meaning::Never("the robot's token is wrong")),
    (19_002, Meaning::Never("the body is refused")),
    (19_021, Meaning::Never("the signature is wrong, or the clock is more than an hour off")),
    (19_022, Meaning::Never("this address is not on the robot's list of allowed addresses")),
    (19_024, Meaning::Never("none of the robot's keywords is in the text")),
];

pub struct FeishuRobot {
    name: String,
    url: Url,
    secret: Option<String>,
    post: Post,
}

impl FeishuRobot {
    pub fn new(
        name: &str,
        address: &str,
        token: &str,
        secret: Option<String>,
        post: Post,
    ) -> anyhow::Result<Self> {
        let url = below(address, &format!("open-apis/bot/v2/hook/{token}"))?;
        Ok(Self { name: name.to_owned(), url, secret, post })
    }
}

impl Channel for FeishuRobot {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let text = Text::of(notice).within(TEXT_BYTES_MAX);
            let mut body = json!({ "msg_type": "text", "content": { "text": text } });
            if let Some(secret) = &self.secret {
                let stamp = clock::wall().0.div_euclid(1000).to_string();
                body["sign"] = sign(secret, &stamp).into();
                body["timestamp"] = stamp.into();
            }
            match self.post.ask(self.post.to(&self.url).json(&body)).await {
                Ok(answer) => codes::judge(&answer, &["code", "StatusCode"], CODES),
                Err(sent) => sent,
            }
        })
    }
}

pub fn sign(secret: &str, stamp: &str) -> String {
    let key = format!("{stamp}\n{secret}");
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::{answer, word};
    use super::*;

    #[test]
    fn signs_as_the_robot_checks() {
        // printf '' | openssl dgst -sha256 -hmac "$(printf '1700000000\ntestsecret')" -binary | base64
        assert_eq!(sign("testsecret", "1700000000"), "AOc8oJ7//5OlQlfWC3nRL0R+IkuzcD1FKcAyibRK9Q8=");
    }

    #[test]
    fn the_body_decides() {
        for (body, expected) in [
            (r#"{"code":0,"data":{},"msg":"success"}"#, "taken"),
            (r#"{"StatusCode":0,"StatusMessage":"success"}"#, "taken"),
            (
                r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}"#,
                "never",
            ),
            (r#"{"code":19022,"msg":"Ip Not Allowed"}"#, "never"),
            (r#"{"code":19024,"msg":"Key Words Not Found"}"#, "never"),
            (r#"{"code":11232,"msg":"frequency limited"}"#, "wait 60"),
        ] {
            assert_eq!(
                word(&codes::judge(&answer(200, body), &["code", "StatusCode"], CODES)),
                expected,
                "{body}"
            );
        }
    }
}
