//! SMS and voice by any provider with an HTTP interface: what is sent and what the answer means stand in station.toml.
//!
//! A value may hold `{name}`s. A value that is JSON as it stands in the file is filled inside its strings, so that no text of an alarm changes its
//! shape; the query and form fields are then encoded as such. What the answer means is asked at one place of its JSON.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use reqwest::{RequestBuilder, Url};
use serde_json::Value;

use super::accepted::{Accepted, find, word};
use super::aliyun::{self, Signing};
use super::codes::{Meaning, outcome};
use super::pace::{Each, Limits};
use super::post::{Answer, Post};
use super::text::{Text, characters};
use super::{Channel, Notice, Sent};
use crate::clock;
use crate::config::channels::Method;

/// Aliyun's notification class: 50 in 24 hours for each number and template, counted when submitted.
pub const SMS_LIMITS: Limits = Limits::of(Each::Person, &[(50, 86_400)]);
/// Aliyun's single calls: for each number 1 a minute, 5 an hour, 20 in 24 hours, failures too.
pub const VOICE_LIMITS: Limits = Limits::of(Each::Person, &[(1, 60), (5, 3_600), (20, 86_400)]);
pub const SMS_CHARACTERS_MAX: usize = 200;
/// Aliyun's voice takes parameters below 250 characters altogether.
pub const VOICE_CHARACTERS_MAX: usize = 120;

pub const PLACEHOLDERS: [&str; 9] =
    ["phone", "person", "name", "text", "class", "place", "alarm", "link", "secret"];

/// A text with `{name}`s to fill in.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    text: String,
    /// It is JSON as it stands.
    json: Option<Value>,
}

impl Template {
    /// The error is a `{name}` that nobody fills in.
    pub fn new(text: &str) -> Result<Self, String> {
        let json =
            serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() || value.is_array());
        if json.is_none() {
            let mut rest = text;
            while let Some((_, after)) = rest.split_once('{') {
                let (name, after) = after.split_once('}').ok_or_else(|| after.to_owned())?;
                if !PLACEHOLDERS.contains(&name) {
                    return Err(name.to_owned());
                }
                rest = after;
            }
        }
        Ok(Self { text: text.to_owned(), json })
    }

    pub fn fill(&self, values: &[(&str, String)]) -> String {
        match &self.json {
            Some(json) => fill_json(json, values).to_string(),
            None => fill(&self.text, values),
        }
    }
}

/// An object or a list, with `{name}`s inside its strings.
pub fn is_json(text: &str) -> bool {
    Template::new(text).is_ok_and(|template| template.json.is_some())
}

fn fill(text: &str, values: &[(&str, String)]) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, after)| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (value, after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

fn fill_json(json: &Value, values: &[(&str, String)]) -> Value {
    match json {
        Value::String(text) => Value::String(fill(text, values)),
        Value::Array(list) => list.iter().map(|value| fill_json(value, values)).collect(),
        Value::Object(keys) => {
            keys.iter().map(|(key, value)| (key.clone(), fill_json(value, values))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => json.clone(),
    }
}

pub enum Body {
    None,
    Form(Vec<(String, Template)>),
    Json(Template),
}

/// Of Aliyun's V3 interface.
pub struct Account {
    pub key_id: String,
    pub key_secret: String,
    pub action: String,
    pub version: String,
}

/// What the provider's answer means.
pub struct Reading {
    pub accepted: Accepted,
    pub id: Option<String>,
    pub never: Vec<String>,
    pub wait_s: BTreeMap<String, u32>,
}

pub struct ByTemplate {
    pub name: String,
    pub method: Method,
    pub url: Url,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(String, Template)>,
    pub body: Body,
    pub secret: Option<String>,
    pub account: Option<Account>,
    pub text_characters_max: usize,
    pub reading: Reading,
    pub post: Post,
}

impl ByTemplate {
    fn request(&self, notice: &Notice, phone: &str) -> RequestBuilder {
        let text = Text::of(notice);
        let values = [
            ("phone", phone.to_owned()),
            ("person", notice.alert.person.as_ref().map(|person| person.id.clone()).unwrap_or_default()),
            ("name", notice.alert.person.as_ref().map(|person| person.name.clone()).unwrap_or_default()),
            ("text", characters(&text.line(), self.text_characters_max)),
            ("class", text.class.to_owned()),
            ("place", characters(&text.place, self.text_characters_max)),
            ("alarm", notice.alarm.id.clone()),
            ("link", text.link.clone().unwrap_or_default()),
            ("secret", self.secret.clone().unwrap_or_default()),
        ];
        let filled = |pairs: &[(String, Template)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| (key.clone(), value.fill(&values))).collect()
        };
        let mut url = self.url.clone();
        let query = filled(&self.query);
        if self.account.is_some() {
            url.set_query(Some(&aliyun::query(&query)));
        } else if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(&query);
        }
        let mut request = match self.method {
            Method::Get => self.post.client.get(url.clone()),
            Method::Post => self.post.client.post(url.clone()),
        };
        for (name, value) in filled(&self.headers) {
            request = request.header(name, value);
        }
        if let Some(account) = &self.account {
            for (name, value) in account.headers(self.method, &url) {
                request = request.header(name, value);
            }
        }
        match &self.body {
            Body::None => request,
            Body::Form(fields) => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(aliyun::query(&filled(fields))),
            Body::Json(template) => {
                request.header("content-type", "application/json").body(template.fill(&values))
            }
        }
    }
}

impl Account {
    fn headers(&self, method: Method, url: &Url) -> Vec<(&'static str, String)> {
        let signing = Signing {
            key_id: &self.key_id,
            key_secret: &self.key_secret,
            action: &self.action,
            version: &self.version,
        };
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, None) => host.unwrap_or_default().to_owned(),
            (None, Some(_)) => String::new(),
        };
        let date = clock::wall().rfc3339();
        let date = date.split_once('.').map_or(date.clone(), |(seconds, _)| format!("{seconds}Z"));
        let nonce = format!("{:032x}", fastrand::u128(..));
        let method = match method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        // The HTTP client writes the same `host` by itself.
        signing.headers(method, &host, url.path(), url.query().unwrap_or_default(), &date, &nonce)
    }
}

impl Channel for ByTemplate {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(async move {
            let phone = notice.address().or_else(|| notice.phone());
            let Some(phone) = phone else { return notice.no_address(&self.name, "telephone number") };
            match self.post.ask(self.request(notice, phone)).await {
                Ok(answer) => self.reading.judge(&answer),
                Err(sent) => sent,
            }
        })
    }
}

impl Reading {
    /// Providers put a refusal into a 200 or beside a 4xx: the body is asked first, the status when it says nothing known.
    fn judge(&self, answer: &Answer) -> Sent {
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let code = body.as_ref().and_then(|body| self.accepted.found(body)).map(word);
        if let Some(code) = &code {
            let wait = self.wait_s.get(code).map(|seconds| Meaning::Wait(*seconds));
            let never = self.never.iter().any(|never| matches(never, code));
            if let Some(meaning) = wait.or(never.then_some(Meaning::Never("the provider refuses it"))) {
                return outcome(meaning, answer, None);
            }
        }
        if let Err(sent) = answer.success() {
            return sent;
        }
        match self.accepted.refusal(&answer.body) {
            None => {
                let id = body.as_ref().zip(self.id.as_deref());
                let id = id.and_then(|(body, path)| find(body, path)).map(word);
                Sent::delivered(answer.said(), id)
            }
            Some(refusal) => Sent::retry(
                format!("the provider did not accept it, {refusal}; it answered {}", answer.said()),
                answer.after,
            ),
        }
    }
}

/// `isv.*` is all that begin so.
fn matches(pattern: &str, word: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == word, |beginning| word.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::{answer, word};
    use super::*;

    #[test]
    fn a_value_cannot_change_the_shape_of_json() {
        let values = [("place", "3栋\"}, {\"x".to_owned()), ("alarm", "{place}".to_owned())];
        for (text, filled) in [
            (r#"{"place":"{place}","n":1}"#, r#"{"n":1,"place":"3栋\"}, {\"x"}"#),
            (r#"["{alarm}"]"#, r#"["{place}"]"#),
            ("at {place}", "at 3栋\"}, {\"x"),
        ] {
            assert_eq!(Template::new(text).expect("known names").fill(&values), filled, "{text}");
        }
        assert_eq!(Template::new("{phnoe}"), Err("phnoe".into()));
        assert!(is_json("{\"a\":\"{phone}\"}") && !is_json("{phone}") && !is_json("5"));
    }

    #[test]
    fn the_answer_means_what_the_file_says() {
        let reading = Reading {
            accepted: Accepted::new("Code", &toml::Value::String("OK".into())).expect("plain"),
            id: Some("BizId".into()),
            never: vec!["isv.*".into(), "SignatureDoesNotMatch".into()],
            wait_s: BTreeMap::from([("isv.BUSINESS_LIMIT_CONTROL".into(), 3_600)]),
        };
        for (status, body, expected) in [
            (200, r#"{"Code":"OK","BizId":"9006^0"}"#, "taken"),
            (200, r#"{"Code":"isv.BUSINESS_LIMIT_CONTROL"}"#, "wait 3600"),
            (200, r#"{"Code":"isv.SMS_TEMPLATE_ILLEGAL"}"#, "never"),
            (400, r#"{"Code":"SignatureDoesNotMatch"}"#, "never"),
            (200, r#"{"Code":"isp.RAM_PERMISSION_DENY"}"#, "again"),
            (403, r#"{"Code":"Forbidden"}"#, "never"),
            (503, r#"{"Code":"ServiceUnavailable"}"#, "again"),
            (200, "<html>", "again"),
        ] {
            assert_eq!(word(&reading.judge(&answer(status, body))), expected, "{status} {body}");
        }
        let taken = reading.judge(&answer(200, r#"{"Code":"OK","BizId":"9006^0"}"#));
        assert!(matches!(taken, Sent::Delivered { id: Some(id), .. } if id == "9006^0"));
    }
}
