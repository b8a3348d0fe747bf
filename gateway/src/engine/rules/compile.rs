//! rules.toml + registry → [`RuleBook`].
//!
//! The configuration is checked before, so a problem found here means that the registry changed since. What is wrong is left out
//! and named, the rest works: a station must not lose its fire rules because a cell was renamed.
//!
//! Here are the rules themselves; which devices they are for is [`select`]'s, who is told [`ladders`]'.

mod ladders;
mod select;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde_spanned::Spanned;

use self::ladders::ladders;
use self::select::{Selector, assign, watch_flats};
use super::super::behaviour;
use super::super::flood::PageLimit;
use super::super::rate_limit::Allowance;
use super::{Basis, Incidents, LadderIx, RollCalls, Rule, RuleBook, Side};
use crate::config::rules as typed;
use crate::grid::Registry;
use crate::model::{Metric, SignalClass};
use crate::units::Millis;

/// Judges how much a device says, when no rule of rules.toml looks at `messages_per_minute`.
const BUILT_IN_FLOOD: &str = "built-in-flood";
/// What a roll-call climbs when rules.toml names no other.
const ROLL_CALL_LADDER: &str = "roll-call";

/// Something in rules.toml that cannot be used with this registry, and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the rule or ladder.
    pub name: String,
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.name, self.what)
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, name: &str, what: impl Into<String>) {
        self.0.push(Problem { name: name.to_owned(), what: what.into() });
    }
}

impl RuleBook {
    /// Never fails: what cannot be used is left out and named.
    pub fn compile(rules: &typed::Rules, registry: &Registry) -> (Self, Vec<Problem>) {
        let mut problems = Problems(Vec::new());
        let ladders = ladders(rules, &mut problems);
        let mut compiled: Vec<Rule> = Vec::new();
        let mut selectors = Vec::new();
        let mut names = HashSet::new();
        for rule in &rules.rules {
            let name = rule.name.get_ref().as_str();
            if !names.insert(name) {
                problems.add(name, "two rules have this name; only the first is used");
                continue;
            }
            let Some(basis) = basis(rule, &mut problems) else { continue };
            let ladder = rule.ladder.as_ref().and_then(|wanted| {
                let found = ladders.iter().position(|ladder| ladder.name == *wanted.get_ref());
                if found.is_none() {
                    problems.add(name, format!("there is no ladder `{}`", wanted.get_ref()));
                }
                found.map(|at| LadderIx(at as u32))
            });
            let class = *rule.class.get_ref();
            let raise_after = match class {
                SignalClass::Fire => Millis(0), // A fire waits for nothing.
                SignalClass::Supervisory
                | SignalClass::Trouble
                | SignalClass::Disabled
                | SignalClass::Test => seconds(&rule.raise_after_s),
            };
            selectors.push(Selector::of(rule, registry, &mut problems));
            compiled.push(Rule {
                name: name.to_owned(),
                class,
                text: rule.text.clone(),
                basis,
                raise_after,
                clear_after: seconds(&rule.clear_after_s),
                ladder,
                close: rule.close,
            });
        }
        let allowance = Allowance::from(&rules.flood);
        if !compiled.iter().any(|rule| rule.basis.metric() == Some(Metric::MESSAGES_PER_MINUTE)) {
            selectors.push(Selector::everything());
            compiled.push(flood(&compiled, allowance));
        }
        let mut book = RuleBook {
            rules: compiled,
            ladders,
            time_zone: registry.rows().zone.clone(),
            profiles: Vec::new(),
            devices: Vec::new(),
            live_within: Millis::from_secs(u64::from(rules.freshness.live_within_s)),
            allowance,
            page_limit: PageLimit::from(&rules.flood),
            incidents: incidents(&rules.incidents),
            behaviour: behaviour::Limits::from(&rules.behaviour),
            roll_call: None,
            roll_calls: roll_calls(&rules.roll_call, registry, &mut problems),
            watched: Vec::new(),
            flats: BTreeMap::new(),
            flats_of: HashMap::new(),
        };
        book.roll_call = match &rules.roll_call.ladder {
            Some(name) => book.ladder_named(name.get_ref()).or_else(|| {
                problems.add("roll_call", format!("there is no ladder `{}`", name.get_ref()));
                None
            }),
            None => book.ladder_named(ROLL_CALL_LADDER).or_else(|| book.ladder_for(SignalClass::Trouble)),
        };
        let silences = rules
            .rules
            .iter()
            .filter_map(|rule| {
                let presence = rule.presence.as_ref()?;
                Some((book.rule_named(rule.name.get_ref())?, *presence.silent_after_s.get_ref()))
            })
            .collect();
        assign(&mut book, &selectors, &silences, registry);
        for rule in &rules.rules {
            if let Some(stillness) = &rule.stillness
                && let Some(ix) = book.rule_named(rule.name.get_ref())
            {
                watch_flats(&mut book, ix, stillness, registry);
            }
        }
        (book, problems.0)
    }
}

fn roll_calls(wanted: &typed::RollCall, registry: &Registry, problems: &mut Problems) -> RollCalls {
    let mut cells = Vec::new();
    for code in &wanted.cells {
        match registry.cell_by_code(code.get_ref()) {
            Some(cell) => cells.push(cell.ix),
            None => problems.add("roll_call", format!("there is no cell `{}`", code.get_ref())),
        }
    }
    let everywhere = registry.cells().iter().filter(|cell| cell.parent.is_none()).map(|cell| cell.ix);
    if wanted.cells.is_empty() {
        cells = everywhere.collect();
    }
    RollCalls { minutes_of_day: wanted.times.iter().map(|time| time.get_ref().0).collect(), cells }
}

fn incidents(limits: &typed::IncidentLimits) -> Incidents {
    let within = |value| Some(seconds(value)).filter(|time| Millis(0) < *time);
    Incidents {
        confirm_within: within(&limits.confirm_within_s),
        dark_devices_min: *limits.dark_devices_min.get_ref(),
        dark_within: within(&limits.dark_within_s),
        main_within: within(&limits.main_within_s),
        storm_alarms_min: *limits.storm_alarms_min.get_ref(),
        storm_within: within(&limits.storm_within_s),
    }
}

fn flood(others: &[Rule], allowance: Allowance) -> Rule {
    let max = f64::from(allowance.per_minute);
    Rule {
        name: BUILT_IN_FLOOD.to_owned(),
        class: SignalClass::Trouble,
        text: format!("{{device}} sends {{value}}, more than {max}; the rest is thinned: {{place}}"),
        basis: Basis::Threshold {
            metric: Metric::MESSAGES_PER_MINUTE,
            side: Side::Above,
            limit: max,
            clear: None,
        },
        raise_after: Millis(0),
        clear_after: Millis(0),
        ladder: others.iter().filter(|rule| rule.class == SignalClass::Trouble).find_map(|rule| rule.ladder),
        close: typed::Close::Returned,
    }
}

fn seconds(value: &Spanned<u32>) -> Millis {
    Millis::from_secs(u64::from(*value.get_ref()))
}

fn basis(rule: &typed::Rule, problems: &mut Problems) -> Option<Basis> {
    let name = rule.name.get_ref();
    let mut found = Vec::new();
    if let Some(state) = &rule.state {
        let flag = metric(name, &state.flag, problems)?;
        if !flag.spec().flag {
            problems.add(name, format!("`{}` is a number, not a flag", flag.name()));
            return None;
        }
        found.push(Basis::State { flag, is: state.is, quiet: state.latched_quiet_s.as_ref().map(seconds) });
    }
    if let Some(threshold) = &rule.threshold {
        let metric = metric(name, &threshold.metric, problems)?;
        let (side, limit, clear) = match (&threshold.above, &threshold.below) {
            (Some(above), None) => (Side::Above, above, &threshold.clear_below),
            (None, Some(below)) => (Side::Below, below, &threshold.clear_above),
            (None, None) | (Some(_), Some(_)) => {
                problems.add(name, "give exactly one of `above` and `below`");
                return None;
            }
        };
        let clear = clear.as_ref().map(|limit| *limit.get_ref());
        found.push(Basis::Threshold { metric, side, limit: *limit.get_ref(), clear });
    }
    if let Some(rate) = &rule.rate {
        let metric = metric(name, &rate.metric, problems)?;
        let (rising, by) = match (&rate.rises_by, &rate.falls_by) {
            (Some(by), None) => (true, by),
            (None, Some(by)) => (false, by),
            (None, None) | (Some(_), Some(_)) => {
                problems.add(name, "give exactly one of `rises_by` and `falls_by`");
                return None;
            }
        };
        found.push(Basis::Rate { metric, rising, by: *by.get_ref(), within: seconds(&rate.within_s) });
    }
    if let Some(presence) = &rule.presence {
        found.push(Basis::Presence { gone_after_s: *presence.gone_after_s.get_ref() });
    }
    if let Some(stillness) = &rule.stillness {
        for name in &stillness.metrics {
            metric(rule.name.get_ref(), name, problems)?;
        }
        found.push(Basis::Stillness { hours: hours(stillness) });
    }
    match found.as_slice() {
        [one] => Some(*one),
        [] | [_, ..] => {
            problems
                .add(name, "give exactly one of `state`, `threshold`, `rate`, `presence` and `stillness`");
            None
        }
    }
}

fn hours(stillness: &typed::StillnessRule) -> Millis {
    Millis::from_secs(u64::from(*stillness.for_h.get_ref()) * 3600)
}

fn metric(rule: &str, name: &Spanned<String>, problems: &mut Problems) -> Option<Metric> {
    let found = Metric::from_name(name.get_ref());
    if found.is_none() {
        problems.add(rule, format!("there is no metric `{}`", name.get_ref()));
    }
    found
}
