//! What should be changed, judging by what came of the alarms: a limit, a delay, a device.
//!
//! Pure. A suggestion is only worth a try: [`is_good`] says, from a replay of the journal, whether it becomes a proposal for a person to decide. A rule for fire is never made
//! less sensitive here; what cries wolf for fire is a device to be looked at. The figures below are ours and change how much is proposed, not what may be accepted.

pub mod edit;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::rules::{Rule, Rules};
use crate::grid::Registry;
use crate::model::{AlarmId, DeviceIx, SignalClass, Worth};
use crate::replay::{Difference, Was};
use crate::units::{Millis, Timestamp};

/// So many alarms of a rule must have been judged before anything is said of the rule.
const JUDGED_MIN: u32 = 5;
/// And this share of them must have been for nothing.
const WOLF_PERCENT_MIN: u32 = 30;
/// A device that was wrong so often, and never right, is to be looked at.
const WRONG_MIN: u32 = 3;
/// A rule that came too late so often is to be quicker.
const MISSED_MIN: u32 = 2;
/// Delays that are tried, in seconds.
const DELAYS_S: [u32; 8] = [5, 10, 30, 60, 120, 300, 600, 1_800];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// The limit of a threshold, in the metric's unit.
    Threshold { rule: String, from: f64, to: f64 },
    /// How long the condition must hold first.
    Delay { rule: String, from_s: u32, to_s: u32 },
    /// A device (id) to be exchanged or put elsewhere.
    Exchange { device: String },
}

impl Change {
    /// The same thing is changed, whatever it becomes.
    pub fn is_about_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Threshold { rule, .. }, Self::Threshold { rule: theirs, .. })
            | (Self::Delay { rule, .. }, Self::Delay { rule: theirs, .. }) => rule == theirs,
            (Self::Exchange { device }, Self::Exchange { device: theirs }) => device == theirs,
            (Self::Threshold { .. } | Self::Delay { .. } | Self::Exchange { .. }, _) => false,
        }
    }
}

/// For people.
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Threshold { rule, from, to } => write!(f, "rule `{rule}`: the limit from {from} to {to}"),
            Self::Delay { rule, from_s, to_s } => {
                write!(f, "rule `{rule}`: raise_after_s from {from_s} to {to_s}")
            }
            Self::Exchange { device } => write!(f, "exchange the device {device}, or put it elsewhere"),
        }
    }
}

/// What came of the alarms of a rule or a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    pub raised: u32,
    pub real: u32,
    /// Came too late.
    pub missed: u32,
    pub r#false: u32,
    pub nuisance: u32,
    pub tests: u32,
    pub faults: u32,
    /// Nobody has said.
    pub unsaid: u32,
}

impl Counts {
    pub fn add(&mut self, worth: Worth, many: u32) {
        let count = match worth {
            Worth::Real => &mut self.real,
            Worth::Missed => &mut self.missed,
            Worth::False => &mut self.r#false,
            Worth::Nuisance => &mut self.nuisance,
            Worth::Test => &mut self.tests,
            Worth::Fault => &mut self.faults,
            Worth::Unsaid => &mut self.unsaid,
        };
        *count = count.saturating_add(many);
    }

    pub fn join(&mut self, other: Self) {
        let Self { raised, real, missed, r#false, nuisance, tests, faults, unsaid } = other;
        self.raised = self.raised.saturating_add(raised);
        for (worth, many) in [
            (Worth::Real, real),
            (Worth::Missed, missed),
            (Worth::False, r#false),
            (Worth::Nuisance, nuisance),
            (Worth::Test, tests),
            (Worth::Fault, faults),
            (Worth::Unsaid, unsaid),
        ] {
            self.add(worth, many);
        }
    }

    fn of<'a>(cases: impl IntoIterator<Item = &'a Was>) -> Self {
        let mut counts = Self::default();
        for case in cases {
            counts.raised += 1;
            counts.add(case.worth, 1);
        }
        counts
    }

    /// Somebody came for nothing.
    pub fn wolf(&self) -> u32 {
        self.r#false + self.nuisance + self.faults
    }

    pub fn judged(&self) -> u32 {
        self.wolf() + self.real + self.missed
    }
}

/// Worth a try.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    pub change: Change,
    pub counts: Counts,
    /// A sentence for the one who decides.
    pub because: String,
}

/// What is kept of a proposal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub made: Timestamp,
    pub change: Change,
    pub because: String,
    pub counts: Counts,
    /// The time of the journal that was replayed.
    pub from: Timestamp,
    pub to: Timestamp,
    pub effect: Difference,
    pub decided: Option<Decision>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub by: String,
    pub at: Timestamp,
    pub reason: String,
    /// The case that was opened for it.
    pub alarm: Option<AlarmId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Accepted,
    Refused,
    /// A newer look at the journal says otherwise.
    Withdrawn,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Open, Self::Accepted, Self::Refused, Self::Withdrawn];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// All that is worth a try, by rule and device. `rules` are those in force.
pub fn suggest(cases: &[Was], rules: &Rules, registry: &Registry) -> Vec<Suggestion> {
    let mut by_rule: BTreeMap<&str, Vec<&Was>> = BTreeMap::new();
    let mut by_device: BTreeMap<DeviceIx, Vec<&Was>> = BTreeMap::new();
    for case in cases {
        by_rule.entry(&case.identity.rule).or_default().push(case);
        if let Some(device) = case.identity.device {
            by_device.entry(device).or_default().push(case);
        }
    }
    let known = rules.rules.iter().filter_map(|rule| {
        let cases = by_rule.get(rule.name.get_ref().as_str())?;
        Some(of_rule(rule, cases))
    });
    let devices = by_device.iter().filter_map(|(device, cases)| of_device(*device, cases, registry));
    known.flatten().chain(devices).collect()
}

fn of_rule(rule: &Rule, cases: &[&Was]) -> Vec<Suggestion> {
    let counts = Counts::of(cases.iter().copied());
    let quicker = MISSED_MIN <= counts.missed && counts.wolf() <= counts.missed;
    let often = JUDGED_MIN <= counts.judged() && WOLF_PERCENT_MIN * counts.judged() <= 100 * counts.wolf();
    let changes = if quicker {
        vec![quicker_delay(rule), nearer_limit(rule)]
    } else if often && *rule.class.get_ref() != SignalClass::Fire {
        vec![longer_delay(rule, cases), farther_limit(rule, cases)]
    } else {
        Vec::new()
    };
    let because = if quicker {
        format!("{} of {} judged alarms came too late", counts.missed, counts.judged())
    } else {
        format!("{} of {} judged alarms were for nothing", counts.wolf(), counts.judged())
    };
    let made = |change| Suggestion { change, counts, because: because.clone() };
    changes.into_iter().flatten().map(made).collect()
}

/// Half of the alarms for nothing would have ended before, and no real one.
fn longer_delay(rule: &Rule, cases: &[&Was]) -> Option<Change> {
    let now_s = *rule.raise_after_s.get_ref();
    let lasted = |case: &Was| {
        let after_raise = case.returned.map(|returned| returned.since(case.raised));
        after_raise.map(|lasted| lasted.0 + u64::from(now_s) * 1_000)
    };
    let wolves: Vec<u64> =
        cases.iter().filter(|case| case.worth.is_wolf()).filter_map(|case| lasted(case)).collect();
    let real = cases.iter().filter(|case| case.worth.is_real());
    // One that still stands lasts for ever.
    let shortest_real = real.map(|case| lasted(case).unwrap_or(u64::MAX)).min().unwrap_or(u64::MAX);
    let helps =
        |delay_ms: u64| 2 * wolves.iter().filter(|lasted| **lasted < delay_ms).count() >= wolves.len();
    let fits =
        |s: &&u32| now_s < **s && u64::from(**s) * 1_000 <= shortest_real && helps(u64::from(**s) * 1_000);
    let to_s = *DELAYS_S.iter().find(fits).filter(|_| !wolves.is_empty() && rule.presence.is_none())?;
    Some(Change::Delay { rule: rule.name.get_ref().clone(), from_s: now_s, to_s })
}

fn quicker_delay(rule: &Rule) -> Option<Change> {
    let from_s = *rule.raise_after_s.get_ref();
    let name = rule.name.get_ref().clone();
    (0 < from_s).then_some(Change::Delay { rule: name, from_s, to_s: from_s / 2 })
}

/// Half of the values that raised an alarm for nothing would not have, and all that raised a real one would.
fn farther_limit(rule: &Rule, cases: &[&Was]) -> Option<Change> {
    let (from, below) = limit(rule)?;
    // Seen from the normal side: the larger, the worse.
    let worse = |value: f64| if below { -value } else { value };
    let values = |kind: fn(Worth) -> bool| {
        let mut values: Vec<f64> =
            cases.iter().filter(|case| kind(case.worth)).filter_map(|case| case.value).map(worse).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (wolves, real) = (values(Worth::is_wolf), values(Worth::is_real));
    let to = round(worse(*wolves.get(wolves.len() / 2)?), below);
    let keeps_real = real.first().is_none_or(|mildest| worse(to) < *mildest);
    let moves = worse(from) < worse(to);
    (keeps_real && moves).then(|| Change::Threshold { rule: rule.name.get_ref().clone(), from, to })
}

/// Half-way to where the alarm ends.
fn nearer_limit(rule: &Rule) -> Option<Change> {
    let (from, below) = limit(rule)?;
    let threshold = rule.threshold.as_ref()?;
    let clear = if below { &threshold.clear_above } else { &threshold.clear_below };
    let to = (from + clear.as_ref()?.get_ref()) / 2.0;
    (to != from).then(|| Change::Threshold { rule: rule.name.get_ref().clone(), from, to })
}

/// The limit, and whether what lies below it is abnormal.
fn limit(rule: &Rule) -> Option<(f64, bool)> {
    let threshold = rule.threshold.as_ref()?;
    match (&threshold.above, &threshold.below) {
        (Some(above), _) => Some((*above.get_ref(), false)),
        (None, Some(below)) => Some((*below.get_ref(), true)),
        (None, None) => None,
    }
}

/// To a number that people would write, away from the normal side.
fn round(value: f64, below: bool) -> f64 {
    let step = if value.abs() < 20.0 { 0.1 } else { 1.0 };
    let whole = if below { (value / step).floor() } else { (value / step).ceil() };
    (whole * step * 10.0).round() / 10.0
}

fn of_device(device: DeviceIx, cases: &[&Was], registry: &Registry) -> Option<Suggestion> {
    // What comes of its silence or battery is no fault of what it measures.
    let measured: Vec<&Was> = cases
        .iter()
        .copied()
        .filter(|case| case.value.is_some() && case.class < SignalClass::Trouble)
        .collect();
    let counts = Counts::of(measured);
    let device = registry.device(device).filter(|device| !device.retired)?;
    let wrong = WRONG_MIN <= counts.wolf() && counts.real + counts.missed == 0;
    wrong.then(|| Suggestion {
        change: Change::Exchange { device: device.id.clone() },
        counts,
        because: format!(
            "{} of its {} alarms were for nothing and none was real: it is broken, dirty, or in the wrong place",
            counts.wolf(),
            counts.raised
        ),
    })
}

/// Whether the replay speaks for it. A person decides; but what loses a fire or anything real is not even offered.
pub fn is_good(change: &Change, effect: &Difference) -> bool {
    match change {
        // A device in its place would raise what is real.
        Change::Exchange { .. } => 0 < effect.wolf_gone,
        Change::Threshold { .. } | Change::Delay { .. } => {
            let harmless = effect.fires_missed == 0 && effect.fires_later == 0 && effect.real_gone == 0;
            let helps = 0 < effect.wolf_gone || 0 < effect.sooner;
            harmless && helps
        }
    }
}

/// Whether the rules make a fire rule less sensitive than it was: removed, slower, or with a limit farther away. Says which is the first.
pub fn weaker_fire_rule(before: &Rules, after: &Rules) -> Option<String> {
    weaker_fire_rules(before, after).into_iter().next()
}

/// All of them.
pub fn weaker_fire_rules(before: &Rules, after: &Rules) -> Vec<String> {
    let fires = before.rules.iter().filter(|rule| *rule.class.get_ref() == SignalClass::Fire);
    fires
        .map(|rule| (rule, after.rules.iter().find(|other| other.name.get_ref() == rule.name.get_ref())))
        .filter(|(rule, other)| {
            other.is_none_or(|other| {
                let slower = rule.raise_after_s.get_ref() < other.raise_after_s.get_ref();
                let farther = match (limit(rule), limit(other)) {
                    (Some((one, true)), Some((two, true))) => two < one,
                    (Some((one, false)), Some((two, false))) => one < two,
                    (None, None) => false,
                    (Some(_), _) | (None, Some(_)) => true,
                };
                *other.class.get_ref() != SignalClass::Fire || slower || farther
            })
        })
        .map(|(rule, _)| rule.name.get_ref().clone())
        .collect()
}

/// A proposal that was refused is not made again for so long.
pub const REFUSED_FOR: Millis = Millis::from_secs(28 * 24 * 3600);
