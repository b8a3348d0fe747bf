//! 企业微信 application message, to one member: the registry's address of the person is the member's user id.
//!
//! An `access_token` is fetched with the application's secret, kept until the provider says that it ran out (42001, 40014), and then fetched once
//! more for the same message. 30 a minute for each member, more is dropped silently; text up to 2,048 bytes (developer.work.weixin.qq.com).

use futures::future::BoxFuture;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::codes::{self, Meaning, Table};
use super::pace::{Each, Limits};
use super::post::{Answer, Post, below};
use super::text::Text;
use super::wecom_robot::TEXT_BYTES_MAX;
use super::{Channel, Notice, Sent};

pub const LIMITS: Limits = Limits::of(Each::Person, &[(30, 60)]);

const CODES: Table = &[
    (40_014, Meaning::Renew),
    (42_001, Meaning::Renew),
    (45_009, Meaning::Wait(60)),
    (40_001, Meaning::Never("the application's secret is wrong")),
    (40_013, Meaning::Never("the corp id is wrong")),
    (40_056, Meaning::Never("the agent id is wrong")),
    (60_020, Meaning::Never("this address is not on the application's list of allowed addresses")),
    (81_013, Meaning::Never("the provider knows no such member, or the application is not visible to them")),
    (301_002, Meaning::Never("the application may not send with this agent id")),
    (44_004, Meaning::Never("the text is empty")),
    (45_002, Meaning::Never("the text is too long")),
];

pub struct WecomApp {
    name: String,
    address: String,
    corp_id: String,
    agent_id: u32,
    secret: String,
    /// The current `access_token`; held while one is fetched, so that one is fetched at a time.
    pass: Mutex<Option<String>>,
    post: Post,
}

impl WecomApp {
    pub fn new(
        name: &str,
        address: &str,
        corp_id: &str,
        agent_id: u32,
        secret: String,
        post: Post,
    ) -> anyhow::Result<Self> {
        below(address, "")?;
        Ok(Self {
            name: name.to_owned(),
            address: address.to_owned(),
            corp_id: corp_id.to_owned(),
            agent_id,
            secret,
            pass: Mutex::default(),
            post,
        })
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Sent> {
        let mut url = below(&self.address, path).map_err(|error| Sent::gave_up(format!("{error:#}")))?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    /// The pass in use, or a new one in place of `used_up`.
    async fn pass(&self, used_up: Option<&str>) -> Result<String, Sent> {
        let mut pass = self.pass.lock().await;
        if let Some(pass) = pass.as_deref().filter(|pass| Some(*pass) != used_up) {
            return Ok(pass.to_owned());
        }
        *pass = None;
        let query = [("corpid", self.corp_id.as_str()), ("corpsecret", &self.secret)];
        let answer = self.post.ask(self.post.client.get(self.url("cgi-bin/gettoken", &query)?)).await?;
        let (code, body) = codes::code(&answer, &["errcode"])?;
        match (codes::meaning(CODES, code), body.get("access_token").and_then(Value::as_str)) {
            (Meaning::Taken, Some(new)) => {
                *pass = Some(new.to_owned());
                Ok(new.to_owned())
            }
            // What it answered may hold a pass and is not repeated.
            (Meaning::Taken, None) => Err(Sent::retry("the provider gave no access_token".into(), None)),
            (meaning, _) => Err(codes::outcome(meaning, &answer, None)),
        }
    }

    async fn message(&self, pass: &str, body: &Value) -> Result<Answer, Sent> {
        let url = self.url("cgi-bin/message/send", &[("access_token", pass)])?;
        self.post.ask(self.post.to(&url).json(body)).await
    }

    async fn tell(&self, notice: &Notice) -> Result<Sent, Sent> {
        let Some(member) = notice.address() else {
            return Ok(notice.no_address(&self.name, "user id"));
        };
        let body = json!({
            "touser": member,
            "msgtype": "text",
            "agentid": self.agent_id,
            "text": { "content": Text::of(notice).within(TEXT_BYTES_MAX) },
            "safe": 0,
        });
        let pass = self.pass(None).await?;
        let mut answer = self.message(&pass, &body).await?;
        let (mut code, mut said) = codes::code(&answer, &["errcode"])?;
        if codes::meaning(CODES, code) == Meaning::Renew {
            let pass = self.pass(Some(&pass)).await?;
            answer = self.message(&pass, &body).await?;
            (code, said) = codes::code(&answer, &["errcode"])?;
        }
        let meaning = codes::meaning(CODES, code);
        let unknown = said.get("invaliduser").and_then(Value::as_str).unwrap_or_default();
        if meaning == Meaning::Taken && !unknown.is_empty() {
            return Ok(Sent::gave_up(format!("the provider knows no member `{member}`: {}", answer.said())));
        }
        let id = said.get("msgid").and_then(Value::as_str).map(str::to_owned);
        Ok(codes::outcome(meaning, &answer, id))
    }
}

impl Channel for WecomApp {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move { self.tell(notice).await.unwrap_or_else(|sent| sent) })
    }
}
