//! rules.toml + registry → [`RuleBook`].
//!
//! The configuration is checked before, so a problem found here means that the registry changed since. What is wrong is left out
//! and named, the rest works: a station must not lose its fire rules because a cell was renamed.
//!
//! Selection is computed once per (kind, cells) and not per device, so that 400,000 devices and 5,000 rules compile in a moment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use serde_spanned::Spanned;

use super::super::behaviour;
use super::super::flood::PageLimit;
use super::super::rate_limit::Allowance;
use super::{
    Basis, Flat, Incidents, Ladder, LadderIx, Ladders, Profile, RollCalls, Rule, RuleBook, RuleIx, Selected,
    Side, Step, Who,
};
use crate::config::rules as typed;
use crate::grid::{Device, Registry, Role};
use crate::model::{CellIx, DeviceIx, DeviceKind, METRICS, Metric, SignalClass};
use crate::units::Millis;

/// Judges the silence of a device that has a `silent_after_s` of its own but that no presence rule selects.
pub(super) const BUILT_IN_SILENCE: &str = "built-in-silence";
const BUILT_IN_GONE_AFTER_S: u32 = 30;
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

/// The households with such people, each with the sensors that the rule selects behind its door.
fn watch_flats(book: &mut RuleBook, rule: RuleIx, stillness: &typed::StillnessRule, registry: &Registry) {
    let metrics: Vec<Metric> =
        stillness.metrics.iter().filter_map(|name| Metric::from_name(name.get_ref())).collect();
    let mut doors: BTreeMap<(&str, &str), Flat> = BTreeMap::new();
    for device in registry.devices() {
        if device.retired || !book.selects(rule, device.ix) {
            continue;
        }
        let home = registry.home(device.ix).and_then(|cell| registry.cell(cell));
        let household = home.and_then(|cell| registry.dwellings().household(&cell.code, &device.place));
        let Some(household) = household.filter(|household| {
            household.help.iter().any(|help| stillness.help.iter().any(|wanted| wanted.get_ref() == help))
        }) else {
            continue;
        };
        let flat = doors.entry((&household.cell, &household.place)).or_insert_with(|| Flat {
            rule,
            devices: Vec::new(),
            metrics: metrics.clone(),
            hours: hours(stillness),
            night: stillness.night.as_ref().map(|night| *night.get_ref()),
            leave: household.leave,
        });
        flat.devices.push(device.ix);
    }
    for flat in doors.into_values() {
        for &device in &flat.devices {
            book.flats_of.entry(device).or_default().push(flat.place());
        }
        book.flats.insert(flat.place(), flat);
    }
}

fn metric(rule: &str, name: &Spanned<String>, problems: &mut Problems) -> Option<Metric> {
    let found = Metric::from_name(name.get_ref());
    if found.is_none() {
        problems.add(rule, format!("there is no metric `{}`", name.get_ref()));
    }
    found
}

/// Which devices a rule is for. An empty list means all; `None` inside a list never happens: unknown names were left out,
/// so a list of nothing but unknown names selects nothing.
struct Selector {
    kinds: Vec<DeviceKind>,
    cells: Option<HashSet<CellIx>>,
    cell_kinds: Vec<String>,
    devices: Option<Vec<DeviceIx>>,
}

/// Where a device stands: its cells and all above them.
struct Standing {
    cells: HashSet<CellIx>,
    kinds: HashSet<String>,
}

impl Selector {
    fn everything() -> Self {
        Self { kinds: Vec::new(), cells: None, cell_kinds: Vec::new(), devices: None }
    }

    fn of(rule: &typed::Rule, registry: &Registry, problems: &mut Problems) -> Self {
        let name = rule.name.get_ref();
        let mut known_cells = HashSet::new();
        for code in &rule.cells {
            match registry.cell_by_code(code.get_ref()) {
                Some(cell) => drop(known_cells.insert(cell.ix)),
                None => problems.add(name, format!("there is no cell `{}`", code.get_ref())),
            }
        }
        let mut known_devices = Vec::new();
        for id in &rule.devices {
            match registry.device_by_id(id.get_ref()) {
                Some(device) => known_devices.push(device.ix),
                None => problems.add(name, format!("there is no device `{}`", id.get_ref())),
            }
        }
        Self {
            kinds: rule.kinds.get_ref().clone(),
            cells: (!rule.cells.is_empty()).then_some(known_cells),
            cell_kinds: rule.cell_kinds.iter().map(|kind| kind.get_ref().clone()).collect(),
            devices: (!rule.devices.is_empty()).then_some(known_devices),
        }
    }

    /// Apart from the list of devices.
    fn matches(&self, kind: DeviceKind, standing: &Standing) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.cells.as_ref().is_none_or(|cells| cells.iter().any(|cell| standing.cells.contains(cell)))
            && (self.cell_kinds.is_empty()
                || self.cell_kinds.iter().any(|kind| standing.kinds.contains(kind)))
    }
}

impl Standing {
    fn of(device: &Device, registry: &Registry) -> Self {
        let cells: HashSet<CellIx> = device
            .cells
            .iter()
            .filter_map(|code| registry.cell_by_code(code))
            .flat_map(|cell| registry.up_from(cell.ix))
            .collect();
        let kinds =
            cells.iter().filter_map(|&cell| registry.cell(cell)).map(|cell| cell.kind.clone()).collect();
        Self { cells, kinds }
    }
}

/// Gives every device its profile and its time of silence.
fn assign(book: &mut RuleBook, selectors: &[Selector], silences: &HashMap<RuleIx, u32>, registry: &Registry) {
    let needs_built_in = |device: &Device, selected: &BTreeSet<RuleIx>| {
        device.silent_after.is_some() && !selected.iter().any(|ix| silences.contains_key(ix))
    };
    let built_in = RuleIx(book.rules.len() as u32);
    let mut built_in_used = false;

    let mut by_list: HashMap<DeviceIx, Vec<RuleIx>> = HashMap::new();
    for (at, selector) in selectors.iter().enumerate() {
        for &device in selector.devices.iter().flatten() {
            by_list.entry(device).or_default().push(RuleIx(at as u32));
        }
    }
    let mut by_standing = HashMap::new();
    let mut sets: Vec<BTreeSet<RuleIx>> = vec![BTreeSet::new()];
    let mut numbers: HashMap<BTreeSet<RuleIx>, u32> = HashMap::from([(BTreeSet::new(), 0)]);
    let mut devices = Vec::with_capacity(registry.devices().len());
    for device in registry.devices() {
        if device.retired {
            devices.push(Selected::default());
            continue;
        }
        let (standing, general): &(Standing, BTreeSet<RuleIx>) =
            by_standing.entry((device.kind, device.cells.as_slice())).or_insert_with(|| {
                let standing = Standing::of(device, registry);
                let general = selectors
                    .iter()
                    .enumerate()
                    .filter(|(_, selector)| {
                        selector.devices.is_none() && selector.matches(device.kind, &standing)
                    })
                    .map(|(at, _)| RuleIx(at as u32))
                    .collect();
                (standing, general)
            });
        let mut selected = general.clone();
        for &rule in by_list.get(&device.ix).into_iter().flatten() {
            if selectors[rule.0 as usize].matches(device.kind, standing) {
                selected.insert(rule);
            }
        }
        if needs_built_in(device, &selected) {
            selected.insert(built_in);
            built_in_used = true;
        }
        let from_rule = selected.iter().find_map(|ix| silences.get(ix).copied());
        let own = device.silent_after.map(|own| u32::try_from(own.0.div_ceil(1000)).unwrap_or(u32::MAX));
        let profile = *numbers.entry(selected).or_insert_with_key(|selected| {
            sets.push(selected.clone());
            (sets.len() - 1) as u32
        });
        devices.push(Selected { profile, silent_after_s: own.or(from_rule).unwrap_or(0) });
    }
    if built_in_used {
        book.rules.push(Rule {
            name: BUILT_IN_SILENCE.to_owned(),
            class: SignalClass::Trouble,
            text: "No sign of life from {device} for {value}: {place}".to_owned(),
            basis: Basis::Presence { gone_after_s: BUILT_IN_GONE_AFTER_S },
            raise_after: Millis(0),
            clear_after: Millis(0),
            ladder: book.ladder_for(SignalClass::Trouble),
            close: typed::Close::Returned,
        });
    }
    book.profiles = sets.iter().map(|set| profile(set, &book.rules)).collect();
    book.devices = devices;
    let mut watched = vec![0; registry.cells().len()];
    for device in registry.devices() {
        let is_watched = book.presence(device.ix).is_some() && book.silent_after_s(device.ix).is_some();
        if let Some(count) = registry.home(device.ix).and_then(|home| watched.get_mut(home.at()))
            && is_watched
        {
            *count += 1;
        }
    }
    book.watched = watched;
}

fn profile(set: &BTreeSet<RuleIx>, rules: &[Rule]) -> Profile {
    let selected: Vec<RuleIx> = set.iter().copied().collect();
    let basis = |ix: &RuleIx| &rules[ix.0 as usize].basis;
    let mut by_metric: Vec<(u16, RuleIx)> =
        selected.iter().filter_map(|ix| basis(ix).metric().map(|metric| (metric.number(), *ix))).collect();
    by_metric.sort_unstable();
    let starts = (0..=METRICS.len() as u16)
        .map(|number| by_metric.partition_point(|(other, _)| *other < number) as u32)
        .collect();
    let presence = selected.iter().copied().find(|ix| matches!(basis(ix), Basis::Presence { .. }));
    Profile { selected, starts, by_metric: by_metric.into_iter().map(|(_, ix)| ix).collect(), presence }
}

/// Ladders by name, in the order in which the names first come.
fn ladders(rules: &typed::Rules, problems: &mut Problems) -> Vec<Ladders> {
    let mut names: Vec<&str> = Vec::new();
    for ladder in &rules.ladders {
        if !names.contains(&ladder.name.get_ref().as_str()) {
            names.push(ladder.name.get_ref());
        }
    }
    let mut found: Vec<Ladders> =
        names.iter().map(|name| Ladders { name: (*name).to_owned(), variants: Vec::new() }).collect();
    for ladder in &rules.ladders {
        let then = ladder.then.as_ref().and_then(|wanted| {
            let at = names.iter().position(|name| *name == wanted.get_ref());
            if at.is_none() {
                let what = format!("goes on with `{}`, which does not exist", wanted.get_ref());
                problems.add(ladder.name.get_ref(), what);
            }
            at.map(|at| LadderIx(at as u32))
        });
        let compiled = Ladder {
            classes: ladder.classes.iter().map(|class| *class.get_ref()).collect(),
            cell_kinds: ladder.cell_kinds.iter().map(|kind| kind.get_ref().clone()).collect(),
            hours: ladder.hours.as_ref().map(|hours| *hours.get_ref()),
            steps: ladder.steps.iter().map(|step| compiled_step(ladder, step, problems)).collect(),
            then,
            progress_within: ladder.progress_within_s.as_ref().map(seconds),
            unanswered_after: seconds(&ladder.unanswered_after_s),
        };
        if let Some(at) = names.iter().position(|name| *name == ladder.name.get_ref()) {
            found[at].variants.push(compiled);
        }
    }
    end_circles(&mut found, problems);
    found
}

/// Whatever variants are taken, the way up ends.
fn end_circles(ladders: &mut [Ladders], problems: &mut Problems) {
    for at in 0..ladders.len() {
        for variant in 0..ladders[at].variants.len() {
            let Some(next) = ladders[at].variants[variant].then else { continue };
            if leads_to(ladders, next, LadderIx(at as u32)) {
                let back = ladders[next.0 as usize].name.clone();
                problems.add(
                    &ladders[at].name,
                    format!("goes on with `{back}`, which leads back here; it ends here instead"),
                );
                ladders[at].variants[variant].then = None;
            }
        }
    }
}

fn leads_to(ladders: &[Ladders], from: LadderIx, to: LadderIx) -> bool {
    let (mut seen, mut open) = (HashSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            open.extend(ladders[at.0 as usize].variants.iter().filter_map(|ladder| ladder.then));
        }
    }
    false
}

fn compiled_step(ladder: &typed::Ladder, step: &typed::Step, problems: &mut Problems) -> Step {
    let mut who = Vec::new();
    for text in &step.who {
        match Who::parse(text.get_ref()) {
            Some(one) => who.push(one),
            None => problems.add(
                ladder.name.get_ref(),
                format!(
                    "`{}` is nobody; write `responsible`, a role such as `lead` or `worker`, `up:1`, `team:<name>`, `nearest` or `person:<id>`",
                    text.get_ref()
                ),
            ),
        }
    }
    let channels = step.channels.iter().map(|channel| channel.get_ref().clone()).collect();
    Step { after: seconds(&step.after_s), who, channels, need: *step.need.get_ref() }
}

impl Who {
    /// `responsible`, the name of a role, `up:1` …, `team`, `team:<name>`, `nearest`, `nearest:2` … or `person:<id>`.
    fn parse(text: &str) -> Option<Self> {
        if text == "responsible" {
            return Some(Self::Responsible);
        }
        if text == "team" {
            return Some(Self::Teams);
        }
        if text == "nearest" {
            return Some(Self::Nearest(1));
        }
        if let Some(role) = Role::from_name(text) {
            return Some(Self::Role(role));
        }
        match text.split_once(':')? {
            ("up", levels) => levels.parse().ok().filter(|&levels| 0 < levels).map(Self::Up),
            ("nearest", count) => {
                count.parse().ok().filter(|count| (1..=20).contains(count)).map(Self::Nearest)
            }
            ("person", id) if !id.is_empty() => Some(Self::Person(id.to_owned())),
            ("team", name) if !name.is_empty() => Some(Self::Team(name.to_owned())),
            (_, _) => None,
        }
    }
}
