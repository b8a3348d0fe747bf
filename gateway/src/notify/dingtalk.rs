//! 钉钉 group robot: one text into the group, signed when the robot checks signatures.
//!
//! The signature is HMAC-SHA256 with the secret as key over `<milliseconds>\n<secret>`, in Base64, in the query. 20 a minute, then ten minutes
//! of silence; HTTP 200 with `errcode` in the body (open.dingtalk.com, custom robots).

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

pub const LIMITS: Limits = Limits::of(Each::Channel, &[(20, 60)]);
/// The documents give 20,000 for the whole body.
const TEXT_BYTES_MAX: usize = 10_000;
const BAN_S: u32 = 600;

const CODES: Table = &[
    (130_101, Meaning::Wait(BAN_S)),
    (410_100, Meaning::Wait(BAN_S)),
    (90_030, Meaning::Wait(BAN_S)),
    (310_000, Meaning::Never("the robot's security settings refuse it: signature, keyword or address")),
    (300_001, Meaning::Never("the robot's token is wrong")),
    (400_101, Meaning::Never("the robot's token is wrong")),
    (400_013, Meaning::Never("the group was dissolved")),
    (400_102, Meaning::Never("the robot was switched off")),
    (400_105, Meaning::Never("the kind of message is refused")),
    (400_106, Meaning::Never("the kind of message is refused")),
    (40_035, Meaning::Never("the message is refused")),
    (430_101, Meaning::Never("the link is refused as unsafe")),
    (430_102, Meaning::Never("the text is refused")),
    (430_103, Meaning::Never("the text is refused")),
    (430_104, Meaning::Never("the text is refused")),
];

pub struct DingtalkRobot {
    name: String,
    url: Url,
    secret: Option<String>,
    post: Post,
}

impl DingtalkRobot {
    pub fn new(
        name: &str,
        address: &str,
        token: &str,
        secret: Option<String>,
        post: Post,
    ) -> anyhow::Result<Self> {
        let mut url = below(address, "robot/send")?;
        url.query_pairs_mut().append_pair("access_token", token);
        Ok(Self { name: name.to_owned(), url, secret, post })
    }
}

impl Channel for DingtalkRobot {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let mut url = self.url.clone();
            if let Some(secret) = &self.secret {
                let stamp = clock::wall().0.to_string();
                url.query_pairs_mut()
                    .append_pair("timestamp", &stamp)
                    .append_pair("sign", &sign(secret, &stamp));
            }
            let body = json!({
                "msgtype": "text",
                "text": { "content": Text::of(notice).within(TEXT_BYTES_MAX) },
                "at": { "atMobiles": notice.phones(), "isAtAll": false },
            });
            match self.post.ask(self.post.to(&url).json(&body)).await {
                Ok(answer) => codes::judge(&answer, &["errcode"], CODES),
                Err(sent) => sent,
            }
        })
    }
}

pub fn sign(secret: &str, stamp: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{stamp}\n{secret}").as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::{answer, word};
    use super::*;

    #[test]
    fn signs_as_the_robot_checks() {
        // printf '1700000000000\nSECtest0123456789' | openssl dgst -sha256 -hmac SECtest0123456789 -binary | base64
        let expected = "yBKp5IlG6qCzcQWmgyRK/ziJBdVNJmHfFE2ST/CzT/g=";
        assert_eq!(sign("SECtest0123456789", "1700000000000"), expected);
    }

    #[test]
    fn the_body_decides() {
        for (body, expected) in [
            (r#"{"errcode":0,"errmsg":"ok"}"#, "taken"),
            (r#"{"errcode":310000,"errmsg":"sign not match"}"#, "never"),
            (r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#, "wait 600"),
            (r#"{"errcode":-1,"errmsg":"busy"}"#, "again"),
        ] {
            assert_eq!(word(&codes::judge(&answer(200, body), &["errcode"], CODES)), expected, "{body}");
        }
    }
}
