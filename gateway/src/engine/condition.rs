//! One condition: when values that a rule looks at begin or end it.
//!
//! Pure. Only conditions that are not normal exist; [`Conditions`] keeps them with their timers. [`Condition`] is part of the
//! snapshot: a changed shape needs a new snapshot version.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::rules::{Basis, Rule, RuleIx, Side};
use crate::model::{DeviceIx, Trigger};
use crate::units::{Millis, Steady};

/// A device and a rule that looks at it.
pub(super) type Place = (DeviceIx, RuleIx);

/// What one value says about a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Abnormal,
    /// Between the limit to raise and the limit to clear: leaves things as they are.
    Between,
    Normal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Condition {
    /// Abnormal, but not yet for as long as the rule asks. `trigger` is the newest abnormal reading.
    Pending { due: Steady, trigger: Option<Trigger> },
    /// `quiet_at`: when the episode of a latched detector is over unless it repeats its alarm.
    Active { quiet_at: Option<Steady> },
    /// Normal again, but not yet for as long as the rule asks.
    Clearing { due: Steady },
}

/// What a step did, for the alarm.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Nothing,
    Began(Option<Trigger>),
    Repeated(Option<Trigger>),
    Ended,
}

impl Condition {
    pub fn due(&self) -> Option<Steady> {
        match self {
            Self::Pending { due, .. } | Self::Clearing { due } => Some(*due),
            Self::Active { quiet_at } => *quiet_at,
        }
    }

    fn active(rule: &Rule, now: Steady) -> Option<Self> {
        Some(Self::Active { quiet_at: rule.basis.quiet().map(|quiet| now + quiet) })
    }

    /// After one value; `None` is normal.
    pub fn judged(
        state: Option<Self>,
        rule: &Rule,
        verdict: Verdict,
        trigger: Option<Trigger>,
        now: Steady,
    ) -> (Option<Self>, Change) {
        match (state, verdict) {
            (None, Verdict::Normal | Verdict::Between) => (None, Change::Nothing),
            (None, Verdict::Abnormal) if rule.raise_after.0 == 0 => {
                (Self::active(rule, now), Change::Began(trigger))
            }
            (None, Verdict::Abnormal) => {
                (Some(Self::Pending { due: now + rule.raise_after, trigger }), Change::Nothing)
            }
            (Some(Self::Pending { due, .. }), Verdict::Abnormal) => {
                (Some(Self::Pending { due, trigger }), Change::Nothing)
            }
            (Some(Self::Pending { .. }), Verdict::Between | Verdict::Normal) => (None, Change::Nothing),
            (Some(Self::Active { .. } | Self::Clearing { .. }), Verdict::Abnormal) => {
                (Self::active(rule, now), Change::Repeated(trigger))
            }
            (Some(active @ Self::Active { .. }), Verdict::Between) => (Some(active), Change::Nothing),
            (Some(Self::Clearing { .. }), Verdict::Between) => (Self::active(rule, now), Change::Nothing),
            (Some(Self::Active { .. }), Verdict::Normal) if rule.clear_after.0 == 0 => (None, Change::Ended),
            (Some(Self::Active { .. }), Verdict::Normal) => {
                (Some(Self::Clearing { due: now + rule.clear_after }), Change::Nothing)
            }
            (Some(clearing @ Self::Clearing { .. }), Verdict::Normal) => (Some(clearing), Change::Nothing),
        }
    }

    /// After its timer has run out.
    pub fn ripened(self, rule: &Rule, now: Steady) -> (Option<Self>, Change) {
        match self {
            Self::Pending { trigger, .. } => (Self::active(rule, now), Change::Began(trigger)),
            Self::Active { .. } | Self::Clearing { .. } => (None, Change::Ended),
        }
    }
}

impl Basis {
    /// What a value says under a state or threshold rule. Rates look at more than one value and presence at none.
    pub fn verdict(&self, value: f64) -> Option<Verdict> {
        match *self {
            Self::State { is, .. } => {
                Some(if (value != 0.0) == is { Verdict::Abnormal } else { Verdict::Normal })
            }
            Self::Threshold { side, limit, clear, .. } => {
                let beyond = |limit: f64| match side {
                    Side::Above => limit < value,
                    Side::Below => value < limit,
                };
                let cleared = |clear: f64| match side {
                    Side::Above => value < clear,
                    Side::Below => clear < value,
                };
                Some(match clear {
                    _ if beyond(limit) => Verdict::Abnormal,
                    Some(clear) if !cleared(clear) => Verdict::Between,
                    Some(_) | None => Verdict::Normal,
                })
            }
            Self::Rate { .. } | Self::Presence { .. } | Self::Stillness { .. } => None,
        }
    }
}

/// All conditions that are not normal.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    states: BTreeMap<Place, Condition>,
    due: BTreeSet<(Steady, Place)>,
}

impl Conditions {
    pub fn get(&self, place: Place) -> Option<&Condition> {
        self.states.get(&place)
    }

    /// Takes the condition out, to be put back by [`Conditions::put`] unless it became normal.
    pub fn take(&mut self, place: Place) -> Option<Condition> {
        let state = self.states.remove(&place)?;
        if let Some(due) = state.due() {
            self.due.remove(&(due, place));
        }
        Some(state)
    }

    pub fn put(&mut self, place: Place, state: Option<Condition>) {
        let Some(state) = state else { return };
        if let Some(due) = state.due() {
            self.due.insert((due, place));
        }
        self.states.insert(place, state);
    }

    pub fn next_due(&self) -> Option<(Steady, Place)> {
        self.due.first().copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Place, &Condition)> {
        self.states.iter().map(|(place, state)| (*place, state))
    }

    /// The gateway was deaf for so long: no time passed for what waits on further values.
    pub fn put_off(&mut self, deaf: Millis) {
        for state in self.states.values_mut() {
            match state {
                Condition::Pending { due, .. } | Condition::Clearing { due } => *due = *due + deaf,
                Condition::Active { quiet_at } => *quiet_at = quiet_at.map(|at| at + deaf),
            }
        }
        self.due = self.states.iter().filter_map(|(place, state)| Some((state.due()?, *place))).collect();
    }

    pub fn drain(&mut self) -> impl Iterator<Item = (Place, Condition)> + use<> {
        self.due.clear();
        std::mem::take(&mut self.states).into_iter()
    }
}
