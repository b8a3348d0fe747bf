//! rules.toml, typed and strict: what is an alarm, and who is told when.

use std::str::FromStr;

use serde::Deserialize;
use serde_spanned::Spanned;

use crate::grid::dwellings::Help;
use crate::model::{DeviceKind, SignalClass};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default)]
    pub freshness: FreshnessLimits,
    #[serde(default)]
    pub flood: FloodLimits,
    #[serde(default)]
    pub incidents: IncidentLimits,
    #[serde(default)]
    pub roll_call: RollCall,
    #[serde(default)]
    pub behaviour: BehaviourLimits,
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    #[serde(default, rename = "ladder")]
    pub ladders: Vec<Ladder>,
}

impl Rules {
    /// Of text that was checked before, such as the rules in force. Editors of Windows put a mark before the first letter.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// Whatever is only for certain cells, as a person calls it, with their codes.
    pub fn named_cells(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        let codes =
            |cells: &[Spanned<String>]| cells.iter().map(|code| code.get_ref().clone()).collect::<Vec<_>>();
        let rules =
            self.rules.iter().map(|rule| (format!("the rule `{}`", rule.name.get_ref()), &rule.cells));
        let named = rules.chain([("the roll-call".to_owned(), &self.roll_call.cells)]);
        named.map(move |(name, cells)| (name, codes(cells)))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FreshnessLimits {
    /// A reading whose device time is older than this when it arrives is backfill.
    pub live_within_s: u32,
    /// A device clock that runs ahead by more than this is not believed: quality uncertain, filed at the time of receipt.
    pub ahead_max_s: u32,
}

impl Default for FreshnessLimits {
    fn default() -> Self {
        Self { live_within_s: 120, ahead_max_s: 300 }
    }
}

/// How much one device may say before its reports are thinned, and how often one person is paged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FloodLimits {
    pub reports_per_minute_max: Spanned<u32>,
    /// So many may come at once, such as what a broker kept through an outage.
    pub reports_at_once_max: Spanned<u32>,
    /// Beyond this a person is told in summaries; of fires each by itself, always.
    pub pages_per_person_max: Spanned<u32>,
    pub pages_within_s: Spanned<u32>,
}

impl Default for FloodLimits {
    fn default() -> Self {
        // At once: a day of one report a second, and more.
        Self {
            reports_per_minute_max: Spanned::new(0..0, 6_000),
            reports_at_once_max: Spanned::new(0..0, 100_000),
            // ISA-18.2: more than ten alarms in ten minutes are a flood for one operator.
            pages_per_person_max: Spanned::new(0..0, 10),
            pages_within_s: Spanned::new(0..0, 600),
        }
    }
}

/// When several alarms are one thing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentLimits {
    /// A fire from a second device of the cell within this time confirms the first; 0: never.
    pub confirm_within_s: Spanned<u32>,
    /// A cell is dark when so many of its devices, and half of those that are watched for silence, fall silent …
    pub dark_devices_min: Spanned<u32>,
    /// … within this time; 0: never.
    pub dark_within_s: Spanned<u32>,
    /// Low pressure at hydrants of two cells with one parent within this time is a failure of the main; 0: never.
    pub main_within_s: Spanned<u32>,
    /// So many alarms of one class, trouble or supervisory, in cells with one parent …
    pub storm_alarms_min: Spanned<u32>,
    /// … within this time are one storm; 0: never.
    pub storm_within_s: Spanned<u32>,
}

impl Default for IncidentLimits {
    fn default() -> Self {
        let value = |value| Spanned::new(0..0, value);
        Self {
            confirm_within_s: value(300),
            dark_devices_min: value(5),
            dark_within_s: value(120),
            main_within_s: value(300),
            storm_alarms_min: value(10),
            storm_within_s: value(600),
        }
    }
}

/// When a device behaves otherwise than it did.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BehaviourLimits {
    /// So many readings show what is usual; 0: nothing is watched.
    pub learn_readings: Spanned<u32>,
    /// A change holds for so many readings.
    pub hold_readings: Spanned<u32>,
    /// A value lies elsewhere when it is further from the usual one than so many times what values usually are.
    pub value_spreads: Spanned<f64>,
    /// A device reports at another pace when it is so many times faster or slower.
    pub pace_factor: Spanned<f64>,
}

impl Default for BehaviourLimits {
    fn default() -> Self {
        Self {
            learn_readings: Spanned::new(0..0, 30),
            hold_readings: Spanned::new(0..0, 10),
            value_spreads: Spanned::new(0..0, 8.0),
            pace_factor: Spanned::new(0..0, 8.0),
        }
    }
}

/// 查岗: who is asked when whether they are there. How long they have, and who hears that they did not answer, is the ladder's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollCall {
    /// Its first step asks the person in question, whatever `who` says. Left out: the ladder `roll-call`, else the first of class trouble.
    pub ladder: Option<Spanned<String>>,
    /// Hours of the day at which everybody on duty is asked, such as `02:00`.
    pub times: Vec<Spanned<TimeOfDay>>,
    /// Only those on duty in or below these cells (codes).
    pub cells: Vec<Spanned<String>>,
}

/// In minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeOfDay(pub u16);

impl TryFrom<String> for TimeOfDay {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let time = minute(text.trim()).filter(|minute| *minute < MINUTES_OF_DAY);
        time.map(Self).ok_or_else(|| format!("`{text}` is no time of the day; write one such as `02:00`"))
    }
}

/// One rule: exactly one of `state`, `threshold`, `rate`, `presence` and `stillness`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub name: Spanned<String>,
    pub class: Spanned<SignalClass>,
    /// What a person reads; `{device}`, `{place}`, `{value}` are filled in.
    pub text: String,
    pub kinds: Spanned<Vec<DeviceKind>>,
    /// Only devices in or below these cells (codes).
    #[serde(default)]
    pub cells: Vec<Spanned<String>>,
    /// Only devices in cells of these kinds, such as `dense_crowd`.
    #[serde(default)]
    pub cell_kinds: Vec<Spanned<String>>,
    /// Only these devices (ids).
    #[serde(default)]
    pub devices: Vec<Spanned<String>>,
    pub state: Option<StateRule>,
    pub threshold: Option<ThresholdRule>,
    pub rate: Option<RateRule>,
    pub presence: Option<PresenceRule>,
    pub stillness: Option<StillnessRule>,
    /// The condition must hold this long first. Not allowed for fire.
    #[serde(default = "no_delay")]
    pub raise_after_s: Spanned<u32>,
    /// Normal must hold this long before the alarm returns.
    #[serde(default = "no_delay")]
    pub clear_after_s: Spanned<u32>,
    /// Name of the ladder; none: shown, nobody is called.
    pub ladder: Option<Spanned<String>>,
    #[serde(default)]
    pub close: Close,
}

fn no_delay() -> Spanned<u32> {
    Spanned::new(0..0, 0)
}

/// When an alarm is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// Acknowledged, returned to normal, and somebody said what it was. For fire.
    #[default]
    Resolved,
    /// As `resolved`, and somebody else has looked at it.
    Verified,
    /// As `verified`, and somebody has judged what the alarm was worth.
    Evaluated,
    /// Acknowledged and returned to normal.
    Acknowledged,
    /// Returned to normal, answered or not. For trouble that heals itself.
    Returned,
}

/// A flag is set (or, with `is = false`, not set).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateRule {
    pub flag: Spanned<String>,
    #[serde(default = "yes")]
    pub is: bool,
    /// For devices that never report the end: quiet for this long ends the episode, and the next frame begins a new one.
    pub latched_quiet_s: Option<Spanned<u32>>,
}

fn yes() -> bool {
    true
}

/// Exactly one of `above` and `below`; the clear limit lies on the normal side of it. Values in the metric's unit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdRule {
    pub metric: Spanned<String>,
    pub above: Option<Spanned<f64>>,
    pub below: Option<Spanned<f64>>,
    pub clear_below: Option<Spanned<f64>>,
    pub clear_above: Option<Spanned<f64>>,
}

/// The value rises or falls by so much within a time. Exactly one of `rises_by` and `falls_by`; both positive. It ends when the change within the window is under half of that.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateRule {
    pub metric: Spanned<String>,
    pub rises_by: Option<Spanned<f64>>,
    pub falls_by: Option<Spanned<f64>>,
    pub within_s: Spanned<u32>,
}

/// Silence. A device's own `silent_after_s` in the registry wins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresenceRule {
    pub silent_after_s: Spanned<u32>,
    /// After a last will or `offline`, wait only this long for a sign of life.
    #[serde(default = "gone_after_s")]
    pub gone_after_s: Spanned<u32>,
}

/// Nobody does anything in the flat of somebody who may need help: no flag changes, no number is above zero.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StillnessRule {
    /// What shows that somebody is there, such as `door_open`, `motion` and `flow`.
    pub metrics: Vec<Spanned<String>>,
    /// Waking hours without any of it.
    pub for_h: Spanned<u32>,
    /// Hours of the day that do not count.
    pub night: Option<Spanned<Hours>>,
    /// Only households with one of these in the registry.
    #[serde(default = "lives_alone")]
    pub help: Vec<Spanned<Help>>,
}

fn lives_alone() -> Vec<Spanned<Help>> {
    vec![Spanned::new(0..0, Help::LivesAlone)]
}

fn gone_after_s() -> Spanned<u32> {
    Spanned::new(0..0, 30)
}

/// Who is told when, until somebody acknowledges. Of several with one name the first whose conditions fit when it begins is taken; the last has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    pub name: Spanned<String>,
    /// Only for alarms of these classes.
    #[serde(default)]
    pub classes: Vec<Spanned<SignalClass>>,
    /// Only in or below cells of these kinds.
    #[serde(default)]
    pub cell_kinds: Vec<Spanned<String>>,
    /// Only at these hours of the day, such as `22:00-06:00`.
    pub hours: Option<Spanned<Hours>>,
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// After the last step go on with this ladder.
    pub then: Option<Spanned<String>>,
    /// An acknowledgement without "on the way", "on site" or a resolution in this time counts no more, and the ladder goes on.
    pub progress_within_s: Option<Spanned<u32>>,
    /// So long after the last step the station says that nobody answered.
    #[serde(default = "unanswered_after_s")]
    pub unanswered_after_s: Spanned<u32>,
}

fn unanswered_after_s() -> Spanned<u32> {
    Spanned::new(0..0, 600)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds since the ladder began; the first step of a fire ladder is 0. Rising.
    pub after_s: Spanned<u32>,
    /// `responsible` (whoever answers for the cell now), `lead`, `deputy`, `worker`, `helper` (of the cell), any other role (of the cell or the
    /// nearest above), `up:1` (whoever answers for the parent cell), `up:2` …, `team` (every team for the cell or device), `team:<name>`, `nearest` or `nearest:2` … (of those
    /// on duty there, by their last position), or `person:<id>`.
    pub who: Vec<Spanned<String>>,
    /// Names of `[[webhook]]`s, or `mqtt`.
    pub channels: Vec<Spanned<String>>,
    /// So many people must acknowledge before the ladder stops.
    #[serde(default = "one")]
    pub need: Spanned<u32>,
}

fn one() -> Spanned<u32> {
    Spanned::new(0..0, 1)
}

/// Hours of the day, from (and with) one minute up to (and without) another; over midnight when the end is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hours {
    from_minute: u16,
    until_minute: u16,
}

impl Hours {
    pub fn from_minute(self) -> u16 {
        self.from_minute
    }

    pub fn until_minute(self) -> u16 {
        self.until_minute
    }

    pub fn has(self, minute_of_day: u16) -> bool {
        let (from, until) = (self.from_minute, self.until_minute);
        if from < until {
            (from..until).contains(&minute_of_day)
        } else {
            from <= minute_of_day || minute_of_day < until
        }
    }
}

impl TryFrom<String> for Hours {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no part of a day; write hours such as `22:00-06:00`");
        let (from, until) = text.split_once('-').ok_or_else(wrong)?;
        let hours = Self {
            from_minute: minute(from.trim()).ok_or_else(wrong)?,
            until_minute: minute(until.trim()).ok_or_else(wrong)? % MINUTES_OF_DAY,
        };
        if hours.from_minute == hours.until_minute || MINUTES_OF_DAY <= hours.from_minute {
            return Err(wrong());
        }
        Ok(hours)
    }
}

/// Names of alarms that the station raises by itself or for people; no rule may have one of them.
pub const OWN_NAMES: [&str; 10] = [
    "manual",
    "unanswered",
    "maintenance",
    "hazard",
    "reported",
    "drill",
    "roll-call",
    "cell-dark",
    "main-failure",
    "alarm-storm",
];

const MINUTES_OF_DAY: u16 = 24 * 60;

/// `06:30` as minutes since midnight; 24:00 is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| u16::from_str(text).ok().filter(|_| text.len() == 2);
    let (hour, minute) = (two(hour)?, two(minute)?);
    let whole = hour * 60 + minute;
    (hour <= 24 && minute < 60 && whole <= MINUTES_OF_DAY).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_go_over_midnight() {
        let hours = |text: &str| Hours::try_from(text.to_owned());
        for (text, minute, is) in [
            ("22:00-06:00", 22 * 60, true),
            ("22:00-06:00", 0, true),
            ("22:00-06:00", 6 * 60, false),
            ("22:00-06:00", 12 * 60, false),
            ("08:00-18:00", 8 * 60, true),
            ("08:00-18:00", 18 * 60, false),
            ("18:00-24:00", 23 * 60 + 59, true),
            ("18:00-24:00", 0, false),
        ] {
            assert_eq!(hours(text).expect(text).has(minute), is, "{text} at minute {minute}");
        }
        for wrong in [
            "22-6",
            "22:00",
            "25:00-06:00",
            "08:00-08:00",
            "00:00-24:00",
            "24:00-06:00",
            "08:60-09:00",
            "8:00-9:00",
        ] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mark_before_the_first_letter_is_no_mistake() {
        let text = include_str!("../../../config/rules.toml");
        let plain = Rules::read(text).expect("the shipped rules");
        let marked = Rules::read(&format!("\u{feff}{text}")).expect("the same with a mark");
        assert_eq!((plain.rules.len(), plain.ladders.len()), (marked.rules.len(), marked.ladders.len()));
        assert!(!plain.rules.is_empty());
    }
}
