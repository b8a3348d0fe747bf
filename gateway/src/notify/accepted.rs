//! Whether an answer with a 2xx status means what its status says: for services that say 200 and put the refusal into the body.
//!
//! Pure. One place in the answer's JSON, one value that means accepted: `accepted_when` of a `[[webhook]]`. Whatever is no such answer, an
//! empty body or half a one too, is a refusal: an alert that may not have been heard is told again.

use anyhow::Context;
use serde_json::Value;

/// An answer is read up to here; a longer one is no acceptance.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Keys and numbers of list entries, from the top, with dots between.
    path: String,
    equals: Value,
}

impl Accepted {
    pub fn new(path: &str, equals: &toml::Value) -> anyhow::Result<Self> {
        let equals = serde_json::to_value(equals).context("`equals` of `accepted_when`")?;
        Ok(Self { path: path.to_owned(), equals })
    }

    /// Why this answer is no acceptance; `None` when it is one.
    pub fn refusal(&self, body: &[u8]) -> Option<String> {
        match serde_json::from_slice::<Value>(body) {
            Ok(answer) => self.missing(&answer),
            Err(_) => Some("it is no complete JSON".into()),
        }
    }

    /// The same of an answer that has been read.
    pub fn missing(&self, answer: &Value) -> Option<String> {
        let Self { path, equals } = self;
        match self.found(answer) {
            Some(found) if same(found, equals) => None,
            Some(found) => Some(format!("`{path}` is {found}, not {equals}")),
            None => Some(format!("it has no `{path}`")),
        }
    }

    /// What stands at the place.
    pub fn found<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        find(answer, &self.path)
    }
}

/// Keys and numbers of list entries with dots between.
pub fn find<'a>(answer: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(answer, |value, part| match value {
        Value::Object(keys) => keys.get(part),
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// As a word: text without its quotes.
pub fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// 0 and 0.0 are the same number.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        (Some(_), None) | (None, Some(_)) | (None, None) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_value_at_the_named_place_is_an_acceptance() {
        let zero = toml::Value::Integer(0);
        let (ok, yes) = (toml::Value::String("ok".into()), toml::Value::Boolean(true));
        for (path, equals, body, refusal) in [
            ("errcode", &zero, r#"{"errcode":0,"errmsg":"ok"}"#, None),
            ("errcode", &zero, r#"{"errcode":0.0}"#, None),
            ("errcode", &zero, r#"{"errcode":93000}"#, Some("`errcode` is 93000, not 0")),
            ("errcode", &zero, r#"{"errcode":"0"}"#, Some("`errcode` is \"0\", not 0")),
            ("errcode", &zero, r#"{"errcode":null}"#, Some("`errcode` is null, not 0")),
            ("errcode", &zero, r#"{"errcode":false}"#, Some("`errcode` is false, not 0")),
            ("errcode", &zero, r#"{"code":0}"#, Some("it has no `errcode`")),
            ("errcode", &zero, r#"[0]"#, Some("it has no `errcode`")),
            ("errcode", &zero, "0", Some("it has no `errcode`")),
            ("errcode", &zero, "", Some("it is no complete JSON")),
            ("errcode", &zero, r#"{"errcode":0"#, Some("it is no complete JSON")),
            ("errcode", &zero, "<html>all is well</html>", Some("it is no complete JSON")),
            ("result.status", &ok, r#"{"result":{"status":"ok"}}"#, None),
            (
                "result.status",
                &ok,
                r#"{"result":{"status":"OK"}}"#,
                Some("`result.status` is \"OK\", not \"ok\""),
            ),
            ("sent.1.done", &yes, r#"{"sent":[{"done":false},{"done":true}]}"#, None),
            (
                "sent.2.done",
                &yes,
                r#"{"sent":[{"done":false},{"done":true}]}"#,
                Some("it has no `sent.2.done`"),
            ),
        ] {
            let accepted = Accepted::new(path, equals).expect("it is a plain value");
            assert_eq!(accepted.refusal(body.as_bytes()).as_deref(), refusal, "{path} in {body}");
        }
    }
}
