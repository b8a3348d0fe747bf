//! What a provider says later of its messages: which have arrived.
//!
//! Pure. One report or a list of them, each an object with the provider's id of the message; where the id stands and what means arrived are
//! in station.toml. Whatever is no such report is passed over: it comes from outside.

use serde_json::Value;
use subtle::ConstantTimeEq;

use super::accepted::{Accepted, find, word};

/// One channel's.
pub struct Reporter {
    pub channel: String,
    /// The last part of the address that the provider posts to.
    pub secret: String,
    /// Where the id stands.
    pub id: String,
    pub arrived: Accepted,
    /// What the provider wants to hear.
    pub answer: String,
}

impl Reporter {
    pub fn is(&self, channel: &str, secret: &str) -> bool {
        self.channel == channel && bool::from(self.secret.as_bytes().ct_eq(secret.as_bytes()))
    }

    /// Ids of the messages that have arrived.
    pub fn arrived(&self, body: &Value) -> Vec<String> {
        let one = |report: &Value| {
            let id = find(report, &self.id).filter(|_| self.arrived.missing(report).is_none())?;
            Some(word(id))
        };
        match body {
            Value::Array(list) => list.iter().filter_map(one).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                one(body).into_iter().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_has_arrived_counts() {
        let reporter = Reporter {
            channel: "sms".into(),
            secret: "s".into(),
            id: "biz_id".into(),
            arrived: Accepted::new("success", &toml::Value::Boolean(true)).expect("plain"),
            answer: "{}".into(),
        };
        for (body, ids) in [
            (json!([{ "biz_id": "1", "success": true }, { "biz_id": "2", "success": false }, 5]), vec!["1"]),
            (json!({ "biz_id": 3, "success": true }), vec!["3"]),
            (json!({ "success": true }), vec![]),
            (json!("x"), vec![]),
        ] {
            assert_eq!(reporter.arrived(&body), ids, "{body}");
        }
        assert!(reporter.is("sms", "s") && !reporter.is("sms", "t") && !reporter.is("voice", "s"));
    }
}
