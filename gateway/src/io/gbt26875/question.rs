//! What people ask a transmission device, a system or a component behind it, as JSON → the data unit that asks.

use jiff::civil::DateTime;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::decode::gbt26875::Station;
use crate::wire::gbt26875::{Content, Label};

/// Records that are read at once; the standard's most.
const RECORDS_MAX: u8 = 102;

#[derive(Debug, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
enum Question {
    State,
    Analog,
    Version,
    Description,
    Time,
    /// What was pressed there since, by its own clock: `2026-11-23T08:00:00`.
    Operations {
        since: String,
        count: u8,
    },
    Initialise,
    SetClock,
    /// 查岗: the person on duty there is to answer within so many minutes.
    RollCall {
        minutes: u8,
    },
}

/// A sentence: what is wrong, and what to write instead.
pub fn question(payload: &Map<String, Value>, station: Station) -> Result<Content, String> {
    let question: Question = serde_json::from_value(Value::Object(payload.clone())).map_err(|error| {
        format!("a transmission device takes no such command ({error}); write such as {{\"ask\": \"state\"}} or {{\"ask\": \"roll_call\", \"minutes\": 10}}")
    })?;
    let records = |since: &str, count: u8| match since.parse::<DateTime>() {
        Ok(since) if (1..=RECORDS_MAX).contains(&count) => Ok((Label::of(since), count)),
        Ok(_) => Err(format!("`count` is {count}; write 1 to {RECORDS_MAX}")),
        Err(_) => {
            Err(format!("`since` is `{since}`; write the time of its clock, such as 2026-11-23T08:00:00"))
        }
    };
    let content = match (question, station) {
        (Question::State, Station::Device(_)) => Content::ReadDeviceState,
        (Question::State, Station::System(_, system)) => Content::ReadSystemState(vec![system]),
        (Question::State, Station::Component(_, place)) => Content::ReadComponentState(vec![place]),
        (Question::Analog, Station::Component(_, place)) => Content::ReadAnalog(vec![place]),
        (Question::Version, Station::Device(_)) => Content::ReadDeviceVersion,
        (Question::Version, Station::System(_, system)) => Content::ReadSystemVersion(system),
        (Question::Description, Station::Device(_)) => Content::ReadDeviceText,
        (Question::Description, Station::System(_, system)) => Content::ReadSystemText(vec![system]),
        (Question::Description, Station::Component(_, place)) => Content::ReadComponentText(vec![place]),
        (Question::Time, Station::Device(_)) => Content::ReadDeviceClock,
        (Question::Time, Station::System(_, system)) => Content::ReadSystemClock(system),
        (Question::Operations { since, count }, Station::Device(_)) => {
            let (since, count) = records(&since, count)?;
            Content::ReadDeviceOperation { count, since }
        }
        (Question::Operations { since, count }, Station::System(_, system)) => {
            let (since, count) = records(&since, count)?;
            Content::ReadSystemOperation { system, count, since }
        }
        (Question::Initialise, Station::Device(_)) => Content::Initialise,
        // With the time at which it is sent.
        (Question::SetClock, Station::Device(_)) => Content::SetClock(Label::default()),
        (Question::RollCall { minutes }, Station::Device(_)) => Content::RollCall { minutes },
        (Question::Analog, Station::Device(_) | Station::System(..)) => {
            return Err("only a component has analog values; ask one behind it".into());
        }
        (Question::Version | Question::Time | Question::Operations { .. }, Station::Component(..)) => {
            return Err("a component is asked for `state`, `analog` or `description`; ask its system or the transmission device for the rest".into());
        }
        (
            Question::Initialise | Question::SetClock | Question::RollCall { .. },
            Station::System(..) | Station::Component(..),
        ) => return Err("only the transmission device itself does this; command it instead".into()),
    };
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_what_it_can_answer() {
        for (json, address, flag) in [
            (r#"{"ask":"state"}"#, "gbt26875:889", Some(81)),
            (r#"{"ask":"state"}"#, "gbt26875:889/1.1", Some(61)),
            (r#"{"ask":"state"}"#, "gbt26875:889/1.1/10.2", Some(62)),
            (r#"{"ask":"analog"}"#, "gbt26875:889/1.1/10.2", Some(63)),
            (r#"{"ask":"analog"}"#, "gbt26875:889", None),
            (r#"{"ask":"version"}"#, "gbt26875:889", Some(85)),
            (r#"{"ask":"version"}"#, "gbt26875:889/1.1", Some(65)),
            (r#"{"ask":"description"}"#, "gbt26875:889", Some(86)),
            (r#"{"ask":"description"}"#, "gbt26875:889/1.1", Some(66)),
            (r#"{"ask":"description"}"#, "gbt26875:889/1.1/10.2", Some(67)),
            (r#"{"ask":"time"}"#, "gbt26875:889", Some(88)),
            (r#"{"ask":"time"}"#, "gbt26875:889/1.1", Some(68)),
            (r#"{"ask":"operations","since":"2026-11-23T08:00:00","count":20}"#, "gbt26875:889", Some(84)),
            (
                r#"{"ask":"operations","since":"2026-11-23T08:00:00","count":20}"#,
                "gbt26875:889/1.1",
                Some(64),
            ),
            (r#"{"ask":"operations","since":"2026-11-23T08:00:00","count":103}"#, "gbt26875:889", None),
            (r#"{"ask":"initialise"}"#, "gbt26875:889", Some(89)),
            (r#"{"ask":"set_clock"}"#, "gbt26875:889", Some(90)),
            (r#"{"ask":"roll_call","minutes":10}"#, "gbt26875:889", Some(91)),
            (r#"{"ask":"roll_call","minutes":10}"#, "gbt26875:889/1.1", None),
            (r#"{"ask":"roll_call"}"#, "gbt26875:889", None),
            (r#"{"warning":{}}"#, "gbt26875:889", None),
        ] {
            let payload = serde_json::from_str(json).expect("JSON");
            let asked = question(&payload, address.parse().expect("an address"));
            assert_eq!(asked.as_ref().ok().map(Content::flag), flag, "{json} to {address}: {asked:?}");
        }
    }
}
