//! What an answer of the server means for the lines that were sent. The table, one place.
//!
//! Pure. Servers differ where it hurts: InfluxDB 2 refuses a whole batch for one malformed line (400) but stores the rest of one with a type conflict
//! (422); InfluxDB 1 and 3 answer 400 for both and store the rest. So the body decides. A status alone proves nothing: a captive portal
//! answers 200.

use std::time::Duration;

use serde::Deserialize;

use crate::units::Timestamp;

/// One variant per different reaction of the sender.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// All of it is stored.
    Stored,
    /// Some lines are not stored and never will be; the rest is. Do not send again.
    Partial(Refusal),
    /// Nothing is stored, because of some of the lines.
    Malformed(Refusal),
    /// Nothing is stored: too much in one request.
    TooLarge(String),
    /// Nothing is stored until a person changes something: the token, the bucket, the address.
    Held(String),
    /// Nothing is stored, as far as we know; the same request may go through later. `after` is what the server asks for.
    Later { reason: String, after: Option<Duration> },
}

/// Why lines were refused, and which, as far as the server says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusal {
    pub reason: String,
    /// The server names the lines as the cause. Else the request itself may be at fault.
    pub certain: bool,
    /// How many lines were dropped.
    pub dropped: Option<usize>,
    /// Lines by number, counted from 1.
    pub numbers: Vec<usize>,
    /// Lines quoted in full.
    pub quoted: Vec<String>,
    pub cause: Cause,
}

/// Tells which lines a server dropped when it does not name them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cause {
    #[default]
    Other,
    /// Older than the bucket keeps: the oldest lines.
    Retention,
    /// A field that the bucket knows with another type.
    FieldType { measurement: String, field: String },
}

/// The parts of an HTTP answer that matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    pub status: u16,
    pub content_type: Option<&'a str>,
    pub retry_after: Option<&'a str>,
    pub location: Option<&'a str>,
    pub body: &'a str,
}

/// No server may hold us up longer than this by Retry-After.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);

pub fn judge(answer: Answer, now: Timestamp) -> Verdict {
    let said = said(answer.body);
    let status = answer.status;
    match status {
        200..=299 => after_success(answer, &said),
        400 | 422 => after_refusal(status, answer.body, said),
        413 => Verdict::TooLarge(format!("the server takes no request of this size (413): {said}")),
        401 => Verdict::Held(format!(
            "the server does not accept the token (401): {said}. Put a valid one where influx.token points"
        )),
        403 => Verdict::Held(format!(
            "the token may not write to the bucket (403): {said}. Give it write permission, or name another in influx.token"
        )),
        404 if is_json(answer) => Verdict::Held(format!(
            "the bucket or organisation is not there (404): {said}. Create it, set influx.create_bucket, or correct influx.bucket and influx.org"
        )),
        404 => Verdict::Held(format!(
            "the server has no /api/v2/write (404): {said}. Check influx.url; InfluxDB has it from 1.8 on"
        )),
        300..=399 => {
            let target = answer.location.unwrap_or("an address it does not name");
            Verdict::Held(format!(
                "the server redirects to {target} ({status}). Put the final address into influx.url"
            ))
        }
        408 | 425 | 429 | 500..=599 => {
            let after = answer.retry_after.and_then(|text| retry_after(text, now));
            Verdict::Later { reason: format!("the server answered {status}: {said}"), after }
        }
        _ => Verdict::Held(format!(
            "the server answered {status}: {said}. Check influx.url and what stands between"
        )),
    }
}

fn after_success(answer: Answer, said: &str) -> Verdict {
    let empty = answer.body.trim().is_empty();
    if matches!(answer.status, 204 | 205) || (empty && !is_html(answer)) {
        return Verdict::Stored;
    }
    if is_json(answer) && !answer.body.contains("\"error\"") {
        return Verdict::Stored;
    }
    let reason = format!(
        "something answered {} but not as InfluxDB does (a login page or a proxy?): {said}",
        answer.status
    );
    Verdict::Later { reason, after: None }
}

/// 400 and 422: the body tells whether the rest is stored.
fn after_refusal(status: u16, body: &str, said: String) -> Verdict {
    let lower = body.to_ascii_lowercase();
    let partial = lower.contains("partial write") || lower.contains("dropped=");
    let named = ["unable to parse", "parsing failed", "error parsing line", "line_number", "line protocol"];
    let refusal = Refusal {
        certain: partial || named.iter().any(|words| lower.contains(words)),
        dropped: number_after(&lower, "dropped="),
        numbers: line_numbers(body),
        quoted: quoted_lines(&message(body)),
        cause: cause(&message(body)),
        reason: format!("the server refused it ({status}): {said}"),
    };
    if partial { Verdict::Partial(refusal) } else { Verdict::Malformed(refusal) }
}

/// Seconds, or the date form of HTTP.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?;
            Timestamp(at.timestamp().as_millisecond()).since(now).as_duration()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The errors of InfluxDB 1 (`error`), 2 (`message`) and 3 (`error`, `data`).
#[derive(Deserialize)]
struct ErrorBody {
    message: Option<String>,
    error: Option<String>,
    #[serde(default)]
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct RefusedLine {
    line_number: usize,
    error_message: Option<String>,
}

fn message(body: &str) -> String {
    let Ok(parsed) = serde_json::from_str::<ErrorBody>(body) else { return body.to_owned() };
    let refused = refused_lines(&parsed.data);
    let first = refused.iter().find_map(|line| line.error_message.as_deref());
    match (parsed.message.or(parsed.error), first) {
        (Some(message), Some(first)) => format!("{message}: {first}"),
        (Some(message), None) => message,
        (None, _) => body.to_owned(),
    }
}

fn refused_lines(data: &serde_json::Value) -> Vec<RefusedLine> {
    let lines = data.as_array().map_or(std::slice::from_ref(data), Vec::as_slice);
    lines.iter().filter_map(|line| RefusedLine::deserialize(line).ok()).collect()
}

fn line_numbers(body: &str) -> Vec<usize> {
    let Ok(parsed) = serde_json::from_str::<ErrorBody>(body) else { return Vec::new() };
    refused_lines(&parsed.data).iter().map(|line| line.line_number).collect()
}

/// The server's message, short enough for a log line.
fn said(body: &str) -> String {
    let text = message(body);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None if text.is_empty() => "no explanation".into(),
        None => text,
    }
}

/// `unable to parse '<line>': <why>`, as InfluxDB 1 and 2 say it, once for each line they could not read.
fn quoted_lines(message: &str) -> Vec<String> {
    let after = message.split("unable to parse '").skip(1);
    after.filter_map(|text| Some(text[..text.rfind("': ")?].to_owned())).collect()
}

fn cause(message: &str) -> Cause {
    if message.contains("beyond retention policy") || message.contains("outside retention") {
        return Cause::Retention;
    }
    let between = |before: &str| {
        let rest = &message[message.find(before)? + before.len()..];
        rest.find('"').map(|end| rest[..end].to_owned())
    };
    match (between("on measurement \""), between("input field \"")) {
        (Some(measurement), Some(field)) => Cause::FieldType { measurement, field },
        (None, _) | (_, None) => Cause::Other,
    }
}

fn number_after(text: &str, word: &str) -> Option<usize> {
    let rest = &text[text.find(word)? + word.len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn is_json(answer: Answer) -> bool {
    let body = answer.body.trim_start();
    body.starts_with('{') && serde_json::from_str::<serde_json::Value>(body).is_ok()
}

fn is_html(answer: Answer) -> bool {
    answer.content_type.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::wildcard_enum_match_arm, reason = "every other verdict is a failed test")]

    use super::*;

    fn answer(status: u16, body: &str) -> Verdict {
        judge(Answer { status, body, ..Answer::default() }, Timestamp(0))
    }

    fn kind(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Stored => "stored",
            Verdict::Partial(_) => "partial",
            Verdict::Malformed(Refusal { certain: true, .. }) => "malformed",
            Verdict::Malformed(_) => "perhaps malformed",
            Verdict::TooLarge(_) => "too large",
            Verdict::Held(_) => "held",
            Verdict::Later { .. } => "later",
        }
    }

    const TYPE_CONFLICT: &str = r#"{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: input field \"value\" on measurement \"hydrant\" is type float, already exists as type boolean dropped=2"}"#;
    const MALFORMED_2: &str = r#"{"code":"invalid","message":"unable to parse 'hydrant,device=a pressure=': missing field value\nunable to parse 'hydrant,device=it''s x': bad: worse"}"#;
    const PARTIAL_1: &str =
        r#"{"error":"partial write: unable to parse 'hydrant pressure=': missing field value dropped=0"}"#;
    const PARTIAL_3: &str = r#"{"error":"partial write of line protocol occurred","data":[{"original_line":"x","line_number":2,"error_message":"No fields were provided"},{"original_line":"y","line_number":5,"error_message":"n"}]}"#;
    const REFUSED_3: &str = r#"{"error":"parsing failed for write_lp endpoint","data":{"original_line":"x","line_number":7,"error_message":"No fields were provided"}}"#;

    #[test]
    fn every_status_has_its_reaction() {
        let table = [
            (204, "", "stored"),
            (200, "", "stored"),
            (200, "{}", "stored"),
            (200, "<html><body>Please log in</body></html>", "later"),
            (200, r#"{"error":"no"}"#, "later"),
            (400, MALFORMED_2, "malformed"),
            (400, PARTIAL_1, "partial"),
            (400, PARTIAL_3, "partial"),
            (400, REFUSED_3, "malformed"),
            (400, r#"{"code":"invalid","message":"bucket is required"}"#, "perhaps malformed"),
            (400, "<html>The plain HTTP request was sent to HTTPS port</html>", "perhaps malformed"),
            (422, TYPE_CONFLICT, "partial"),
            (422, "", "perhaps malformed"),
            (401, r#"{"code":"unauthorized","message":"unauthorized access"}"#, "held"),
            (403, "", "held"),
            (404, r#"{"code":"not found","message":"bucket \"b\" not found"}"#, "held"),
            (404, "404 page not found", "held"),
            (413, "<html>413</html>", "too large"),
            (301, "", "held"),
            (307, "", "held"),
            (405, "", "held"),
            (407, "", "held"),
            (408, "", "later"),
            (429, "", "later"),
            (500, "", "later"),
            (502, "", "later"),
            (503, "", "later"),
            (504, "", "later"),
            (599, "", "later"),
        ];
        for (status, body, expected) in table {
            assert_eq!(kind(&answer(status, body)), expected, "{status} {body}");
        }
        let portal =
            Answer { status: 200, content_type: Some("text/HTML; charset=utf-8"), ..Answer::default() };
        assert_eq!(kind(&judge(portal, Timestamp(0))), "later");
    }

    #[test]
    fn finds_the_culprits_in_what_the_server_says() {
        let refusal = |body| match answer(400, body) {
            Verdict::Partial(refusal) | Verdict::Malformed(refusal) => refusal,
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(MALFORMED_2).quoted, ["hydrant,device=a pressure=", "hydrant,device=it''s x"]);
        assert_eq!(refusal(PARTIAL_1).quoted, ["hydrant pressure="]);
        assert_eq!(refusal(PARTIAL_1).dropped, Some(0));
        assert_eq!(refusal(PARTIAL_3).numbers, [2, 5]);
        assert_eq!(refusal(REFUSED_3).numbers, [7]);
        assert!(refusal(REFUSED_3).reason.ends_with(": No fields were provided"));
        assert_eq!(
            refusal(TYPE_CONFLICT).cause,
            Cause::FieldType { measurement: "hydrant".into(), field: "value".into() }
        );
        assert_eq!(refusal(TYPE_CONFLICT).dropped, Some(2));
        let old = refusal(r#"{"error":"partial write: points beyond retention policy dropped=3"}"#);
        assert_eq!((old.cause, old.dropped), (Cause::Retention, Some(3)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_limit() {
        let now = Timestamp::parse_rfc3339("1994-11-06T08:49:00Z").expect("valid");
        let wait =
            |text| match judge(Answer { status: 503, retry_after: Some(text), ..Answer::default() }, now) {
                Verdict::Later { after, .. } => after.map(|after| after.as_secs()),
                other => panic!("{other:?}"),
            };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait(" 0 "), Some(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(37));
        assert_eq!(wait("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0), "a date gone by");
        assert_eq!(wait("86400"), Some(900));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn a_long_answer_is_cut_for_the_log() {
        let Verdict::Later { reason, .. } = answer(500, &"火".repeat(5_000)) else { panic!("retry") };
        assert!(reason.ends_with(" …") && reason.chars().count() < 400);
    }
}
