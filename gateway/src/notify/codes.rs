//! What a provider's code in the body means: one table for each, and one way to read them.
//!
//! Pure. A code nobody knows means again: an alert that may not have been heard is told again.

use serde_json::Value;

use super::Sent;
use super::post::Answer;
use crate::units::Millis;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Meaning {
    Taken,
    Again,
    /// The provider counts, and has had enough for so many seconds.
    Wait(u32),
    /// Our pass has run out: get another one and send again.
    Renew,
    /// Never, and what the operator must put right.
    Never(&'static str),
}

/// Code → meaning; 0 is taken with all of them, -1 is "busy".
pub type Table = &'static [(i64, Meaning)];

pub fn meaning(table: Table, code: i64) -> Meaning {
    match code {
        0 => Meaning::Taken,
        _ => table.iter().find(|(known, _)| *known == code).map_or(Meaning::Again, |(_, meaning)| *meaning),
    }
}

/// The code under one of these keys. The error: the answer has none, whatever it is.
pub fn code(answer: &Answer, keys: &[&str]) -> Result<(i64, Value), Sent> {
    let body = answer.json()?;
    match keys.iter().find_map(|key| body.get(key)?.as_i64()) {
        Some(code) => Ok((code, body)),
        None => Err(Sent::retry(
            format!("the answer has no `{}`; it was {}", keys.join("` and no `"), answer.said()),
            answer.after,
        )),
    }
}

/// The outcome of an attempt with this answer. `Renew` that comes here was not healed by a new pass.
pub fn outcome(meaning: Meaning, answer: &Answer, id: Option<String>) -> Sent {
    let said = answer.said();
    match meaning {
        Meaning::Taken => Sent::delivered(said, id),
        Meaning::Again | Meaning::Renew => {
            Sent::retry(format!("the provider refused it: {said}"), answer.after)
        }
        Meaning::Wait(seconds) => {
            let wait = Millis::from_secs(u64::from(seconds));
            Sent::retry(format!("the provider has had too many for now: {said}"), Some(wait))
        }
        Meaning::Never(why) => Sent::gave_up(format!("{why}: {said}")),
    }
}

/// Reads the answer of a service that needs nothing but its table.
pub fn judge(answer: &Answer, keys: &[&str], table: Table) -> Sent {
    match code(answer, keys) {
        Ok((code, _)) => outcome(meaning(table, code), answer, None),
        Err(sent) => sent,
    }
}

#[cfg(test)]
pub mod tests {
    use reqwest::StatusCode;

    use super::*;

    pub fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            after: None,
            body: body.as_bytes().to_vec(),
        }
    }

    /// `taken`, `again`, `wait 60` or `never`.
    pub fn word(sent: &Sent) -> String {
        match sent {
            Sent::Delivered { .. } => "taken".into(),
            Sent::Retry { after: None, .. } => "again".into(),
            Sent::Retry { after: Some(wait), .. } => format!("wait {}", wait.0 / 1000),
            Sent::GaveUp { .. } => "never".into(),
        }
    }

    #[test]
    fn what_is_no_code_is_no_acceptance() {
        for (status, body, expected) in [
            (200, r#"{"errcode":0}"#, "taken"),
            (200, r#"{"errcode":"0"}"#, "again"),
            (200, r#"{"errcode":-1}"#, "again"),
            (200, r#"{"errcode":987654}"#, "again"),
            (200, "[]", "again"),
            (200, "", "again"),
            (200, "<html>", "again"),
            (502, r#"{"errcode":0}"#, "again"),
            (429, "", "again"),
            (404, r#"{"errcode":0}"#, "never"),
            (302, "", "never"),
        ] {
            assert_eq!(word(&judge(&answer(status, body), &["errcode"], &[])), expected, "{status} {body}");
        }
    }
}
