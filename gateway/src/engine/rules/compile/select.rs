//! Which devices each rule is for, and so the profile and the time of silence of every device.
//!
//! Computed once per (kind, cells) and not per device, so that 400,000 devices and 5,000 rules compile in a moment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Problems, hours};
use crate::config::rules as typed;
use crate::engine::rules::{Basis, Flat, Profile, Rule, RuleBook, RuleIx, Selected};
use crate::grid::{Device, Registry};
use crate::model::{CellIx, DeviceIx, DeviceKind, METRICS, Metric, SignalClass};
use crate::units::Millis;

/// Judges the silence of a device that has a `silent_after_s` of its own but that no presence rule selects.
const BUILT_IN_SILENCE: &str = "built-in-silence";
const BUILT_IN_GONE_AFTER_S: u32 = 30;

/// Which devices a rule is for. An empty list means all; `None` inside a list never happens: unknown names were left out,
/// so a list of nothing but unknown names selects nothing.
pub(super) struct Selector {
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
    pub fn everything() -> Self {
        Self { kinds: Vec::new(), cells: None, cell_kinds: Vec::new(), devices: None }
    }

    pub fn of(rule: &typed::Rule, registry: &Registry, problems: &mut Problems) -> Self {
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
pub(super) fn assign(
    book: &mut RuleBook,
    selectors: &[Selector],
    silences: &HashMap<RuleIx, u32>,
    registry: &Registry,
) {
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
            by_standing.entry((device.kind, &*device.cells)).or_insert_with(|| {
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

/// The households with such people, each with the sensors that the rule selects behind its door.
pub(super) fn watch_flats(
    book: &mut RuleBook,
    rule: RuleIx,
    stillness: &typed::StillnessRule,
    registry: &Registry,
) {
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
