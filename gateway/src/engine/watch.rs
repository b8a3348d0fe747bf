//! An onlooker: what the engine makes of the readings of some devices, said at the places where it decides.
//!
//! Pure, and without a say: nothing here changes what happens, so what an explanation tells is what the real step did. An engine without an onlooker, which is every engine that is
//! not replayed for an explanation, pays one look at an empty place. Not part of the snapshot. A new way in which a reading can come to nothing is an [`Outcome`] more.

use std::collections::{BTreeMap, VecDeque};

use super::condition::{Condition, Verdict};
use super::freshness::Weight;
use super::rules::{Basis, Rule, RuleIx, Side};
use super::{Engine, Turn, text};
use crate::model::{DeviceIx, Freshness, Metric, Quality, SignalClass};
use crate::units::{Millis, Steady, Timestamp};

/// What was seen of some devices; of each the newest `keep` since a moment.
#[derive(Debug)]
pub struct Watch {
    from: Timestamp,
    keep: usize,
    seen: BTreeMap<DeviceIx, Seen>,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub sights: VecDeque<Sight>,
    /// Older ones that found no place.
    pub left_out: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    pub at: Timestamp,
    pub what: Sighted,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Sighted {
    /// A message without a value: it only shows that the device lives.
    SignOfLife { freshness: Freshness },
    Value {
        metric: Metric,
        value: f64,
        quality: Quality,
        freshness: Freshness,
        device_time: Option<Timestamp>,
        /// That looked at it.
        rule: Option<String>,
        outcome: Outcome,
    },
    /// A timer ran out.
    Time { rule: Option<String>, outcome: Outcome },
}

/// What came of a reading, or of a time that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No rule looks at this of this device.
    NoRule,
    /// Only a fire counts when the device doubts its own value.
    BadQuality,
    TestPress,
    /// Not newer than what was known: sent again.
    Repetition,
    /// Too old for anything but a fire.
    TooOld,
    /// A fire that reached us late and was known, or was over already.
    LateAndKnown,
    Normal,
    /// Between the limit that raises and the one that clears.
    Between,
    /// Abnormal, and must stay so for this much longer.
    Waits(Millis),
    /// It was abnormal, and ended before the time that the rule asks for.
    TooShort,
    Raised,
    /// Counted on the alarm that stands.
    Stands,
    /// Somebody has resolved the alarm, and the detector stays latched.
    SameEpisode,
    /// Normal again, and the alarm ends when it stays so for this much longer.
    Clears(Millis),
    Ended,
    /// It is silent, and no rule looks at its silence.
    SilentUnwatched,
}

impl Watch {
    pub fn new(devices: impl IntoIterator<Item = DeviceIx>, from: Timestamp, keep: usize) -> Self {
        let seen = devices.into_iter().map(|device| (device, Seen::default())).collect();
        Self { from, keep, seen }
    }

    pub fn of(&self, device: DeviceIx) -> Seen {
        self.seen.get(&device).cloned().unwrap_or_default()
    }

    fn note(&mut self, device: DeviceIx, at: Timestamp, what: impl FnOnce() -> Sighted) {
        let Some(seen) = self.seen.get_mut(&device) else { return };
        if at < self.from {
            return;
        }
        if seen.sights.len() == self.keep {
            seen.sights.pop_front();
            seen.left_out += 1;
        }
        seen.sights.push_back(Sight { at, what: what() });
    }
}

impl Turn<'_> {
    pub(super) fn see(&mut self, device: DeviceIx, what: impl FnOnce() -> Sighted) {
        if let Some(watch) = &mut self.watch {
            watch.note(device, self.now.wall, what);
        }
    }

    /// A timer of this rule ran out.
    pub(super) fn see_time(&mut self, device: DeviceIx, rule: Option<RuleIx>, outcome: Outcome) {
        let rules = self.rules;
        let name = || rule.map(|rule| rules.rule(rule).name.clone());
        self.see(device, || Sighted::Time { rule: name(), outcome });
    }
}

impl Outcome {
    /// When a value changed nothing.
    pub(super) fn of_nothing(had: bool, state: Option<&Condition>, verdict: Verdict, now: Steady) -> Self {
        match (state, verdict) {
            (Some(Condition::Pending { due, .. }), _) => Self::Waits(due.since(now)),
            (Some(Condition::Clearing { due }), _) => Self::Clears(due.since(now)),
            (Some(Condition::Active { .. }), _) => Self::Between,
            (None, _) if had => Self::TooShort,
            (None, Verdict::Between) => Self::Between,
            (None, Verdict::Normal | Verdict::Abnormal) => Self::Normal,
        }
    }

    /// Of a value that is not judged.
    pub(super) fn unjudged(weight: Weight) -> Self {
        match weight {
            Weight::Live => Self::BadQuality,
            Weight::Late { .. } => Self::TooOld,
            Weight::Repetition => Self::Repetition,
        }
    }
}

/// How one rule stands for a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub rule: String,
    pub class: SignalClass,
    /// `None`: it judges silence.
    pub metric: Option<Metric>,
    /// What would have to happen, as a sentence goes on after `when`.
    pub raises_when: String,
    pub state: Stand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    Normal,
    /// Abnormal, or not heard: an alarm in so long.
    Waits(Millis),
    Active,
    /// Over in so long.
    Clears(Millis),
}

impl Engine {
    /// From now on somebody looks on.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(Box::new(watch));
    }

    pub fn watched(&self, device: DeviceIx) -> Seen {
        self.watch.as_ref().map(|watch| watch.of(device)).unwrap_or_default()
    }

    /// Every rule that looks at this device, in the order of rules.toml, as it stands at a moment from the last batch on.
    pub fn standing(&self, device: DeviceIx, now: Steady) -> Vec<Standing> {
        let stand = |ix: RuleIx| {
            let rule = self.rules.rule(ix);
            let silence = || self.presence.row(device).and_then(|known| known.silent_in(now));
            let state = match (self.conditions.get((device, ix)), rule.basis) {
                (Some(Condition::Pending { due, .. }), _) => Stand::Waits(due.since(now)),
                (Some(Condition::Active { .. }), _) => Stand::Active,
                (Some(Condition::Clearing { due }), _) => Stand::Clears(due.since(now)),
                (None, Basis::Presence { .. }) => silence().map_or(Stand::Normal, Stand::Waits),
                (None, Basis::Stillness { .. }) => self
                    .flats
                    .missed_at((device, ix))
                    .map_or(Stand::Normal, |due| Stand::Waits(due.since(now))),
                (None, Basis::State { .. } | Basis::Threshold { .. } | Basis::Rate { .. }) => Stand::Normal,
            };
            Standing {
                rule: rule.name.clone(),
                class: rule.class,
                metric: rule.basis.metric(),
                raises_when: raises_when(rule, self.rules.silent_after_s(device)),
                state,
            }
        };
        self.rules.selecting(device).iter().copied().map(stand).collect()
    }
}

fn raises_when(rule: &Rule, silent_after_s: Option<u32>) -> String {
    let stays = match rule.raise_after {
        Millis(0) => String::new(),
        time => format!(" and stays so for {time}"),
    };
    match rule.basis {
        Basis::State { flag, is, .. } => {
            let not = if is { "" } else { "not " };
            let test = if rule.class == SignalClass::Fire { ", and not as a test" } else { "" };
            format!("`{}` is {not}set{test}{stays}", flag.name())
        }
        Basis::Threshold { metric, side, limit, .. } => {
            let side = match side {
                Side::Above => "above",
                Side::Below => "below",
            };
            format!("`{}` is {side} {}{stays}", metric.name(), text::reading(metric, limit))
        }
        Basis::Rate { metric, rising, by, within } => {
            let way = if rising { "rises" } else { "falls" };
            format!("`{}` {way} by {} within {within}{stays}", metric.name(), text::reading(metric, by))
        }
        Basis::Stillness { hours } => {
            format!("nothing shows that somebody is in the flat for {hours} of the day")
        }
        Basis::Presence { gone_after_s } => {
            let time = |seconds: u32| Millis::from_secs(u64::from(seconds));
            match silent_after_s {
                Some(seconds) => format!(
                    "nothing is heard of it for {}, or for {} after its connection broke",
                    time(seconds),
                    time(gone_after_s)
                ),
                None => "it falls silent; but no time is set for this device".to_owned(),
            }
        }
    }
}
