//! 企业微信 group robot: one text into the group, with the person's number called out.
//!
//! Limits and codes: 20 a minute for each robot, text up to 2,048 bytes; HTTP 200 with `errcode` in the body
//! (developer.work.weixin.qq.com, group robot and global error codes).

use futures::future::BoxFuture;
use reqwest::Url;
use serde_json::json;

use super::codes::{self, Meaning, Table};
use super::pace::{Each, Limits};
use super::post::{Post, below};
use super::text::Text;
use super::{Channel, Notice, Sent};

pub const LIMITS: Limits = Limits::of(Each::Channel, &[(20, 60)]);
pub const TEXT_BYTES_MAX: usize = 2_048;

const CODES: Table = &[
    (45009, Meaning::Wait(60)),
    (45033, Meaning::Wait(10)),
    (40008, Meaning::Never("the kind of message is refused")),
    (40058, Meaning::Never("the message is refused")),
    (44004, Meaning::Never("the text is empty")),
    (45002, Meaning::Never("the text is too long")),
    (60020, Meaning::Never("this address is not on the robot's list of allowed addresses")),
    (93000, Meaning::Never("the robot's key is wrong or the robot was removed")),
    (93008, Meaning::Never("the robot is not in the group")),
];

pub struct WecomRobot {
    name: String,
    url: Url,
    post: Post,
}

impl WecomRobot {
    pub fn new(name: &str, address: &str, key: &str, post: Post) -> anyhow::Result<Self> {
        let mut url = below(address, "cgi-bin/webhook/send")?;
        url.query_pairs_mut().append_pair("key", key);
        Ok(Self { name: name.to_owned(), url, post })
    }
}

impl Channel for WecomRobot {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let body = json!({ "msgtype": "text", "text": {
                "content": Text::of(notice).within(TEXT_BYTES_MAX),
                "mentioned_mobile_list": notice.phones(),
            } });
            match self.post.ask(self.post.to(&self.url).json(&body)).await {
                Ok(answer) => codes::judge(&answer, &["errcode"], CODES),
                Err(sent) => sent,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::{answer, word};
    use super::*;

    #[test]
    fn the_body_decides() {
        for (body, expected) in [
            (r#"{"errcode":0,"errmsg":"ok"}"#, "taken"),
            (r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#, "wait 60"),
            (r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, "never"),
            (r#"{"errcode":-1,"errmsg":"system busy"}"#, "again"),
        ] {
            assert_eq!(word(&codes::judge(&answer(200, body), &["errcode"], CODES)), expected, "{body}");
        }
    }
}
