//! rules.toml, typed and strict: what is an alarm, and who is told when.

use serde::Deserialize;
use serde_spanned::Spanned;

use crate::model::{DeviceKind, SignalClass};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default)]
    pub freshness: FreshnessLimits,
    #[serde(default)]
    pub flood: FloodLimits,
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    #[serde(default, rename = "ladder")]
    pub ladders: Vec<Ladder>,
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

/// How much one device may say before its reports are thinned.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FloodLimits {
    pub reports_per_minute_max: Spanned<u32>,
    /// So many may come at once, such as what a broker kept through an outage.
    pub reports_at_once_max: Spanned<u32>,
}

impl Default for FloodLimits {
    fn default() -> Self {
        // At once: a day of one report a second, and more.
        Self {
            reports_per_minute_max: Spanned::new(0..0, 6_000),
            reports_at_once_max: Spanned::new(0..0, 100_000),
        }
    }
}

/// One rule: exactly one of `state`, `threshold`, `rate` and `presence`.
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

fn gone_after_s() -> Spanned<u32> {
    Spanned::new(0..0, 30)
}

/// Who is told when, until somebody acknowledges.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    pub name: Spanned<String>,
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
    /// After the last step go on with this ladder.
    pub then: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Seconds since the ladder began; the first step of a fire ladder is 0. Rising.
    pub after_s: Spanned<u32>,
    /// `responsible` (whoever answers for the cell now), `lead`, `deputy`, `worker`, `helper` (of the cell), `up:1` (whoever answers
    /// for the parent cell), `up:2` …, or `person:<id>`.
    pub who: Vec<Spanned<String>>,
    /// Names of `[[webhook]]`s, or `mqtt`.
    pub channels: Vec<Spanned<String>>,
}
