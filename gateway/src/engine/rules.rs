//! Rules compiled for looking up: which rules a value of a device meets, in one step.
//!
//! `rules.toml` as typed by [`crate::config::rules`] becomes a [`RuleBook`]. Devices that the same rules select share a profile;
//! the rules of a (profile, metric) are a short list found by index, so a message costs the same with 5 rules as with 5,000. A
//! book belongs to one registry: compile it again after every import. `rules/compile.rs` makes it; nothing here changes afterwards.

mod compile;

pub use compile::Problem;

use std::collections::{BTreeMap, HashMap};

use super::behaviour;
use super::flood::PageLimit;
use super::rate_limit::Allowance;
use crate::ahead::look_ahead;
use crate::config::rules::{Close, Hours};
use crate::grid::Registry;
use crate::grid::dwellings::Leave;
use crate::model::{CellIx, DeviceIx, Metric, SignalClass};
use crate::units::{Millis, Timestamp, Zone};

/// Position of a rule in its book. A new book has new positions; names are what lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RuleIx(pub u32);

/// Position of the ladders of one name in their book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LadderIx(pub u32);

/// The compiled rules and ladders.
#[derive(Debug, Default)]
pub struct RuleBook {
    rules: Vec<Rule>,
    /// One for each name.
    ladders: Vec<Ladders>,
    time_zone: Zone,
    profiles: Vec<Profile>,
    /// By [`DeviceIx`].
    devices: Vec<Selected>,
    live_within: Millis,
    allowance: Allowance,
    page_limit: PageLimit,
    incidents: Incidents,
    behaviour: behaviour::Limits,
    /// What a roll-call climbs.
    roll_call: Option<LadderIx>,
    roll_calls: RollCalls,
    /// By [`CellIx`]: how many devices that stand there first of all are watched for silence.
    watched: Vec<u32>,
    flats: BTreeMap<(DeviceIx, RuleIx), Flat>,
    flats_of: HashMap<DeviceIx, Vec<(DeviceIx, RuleIx)>>,
}

/// Roll-calls by the clock.
#[derive(Debug, Default)]
pub struct RollCalls {
    /// At the station.
    pub minutes_of_day: Vec<u16>,
    /// In and below which everybody on duty is asked.
    pub cells: Vec<CellIx>,
}

/// When several alarms are one thing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Incidents {
    /// `None`: no fire confirms another.
    pub confirm_within: Option<Millis>,
    pub dark_devices_min: u32,
    pub dark_within: Option<Millis>,
    pub main_within: Option<Millis>,
    pub storm_alarms_min: u32,
    pub storm_within: Option<Millis>,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub name: String,
    pub class: SignalClass,
    pub text: String,
    pub basis: Basis,
    /// Always zero for fire.
    pub raise_after: Millis,
    pub clear_after: Millis,
    pub ladder: Option<LadderIx>,
    pub close: Close,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Basis {
    State {
        flag: Metric,
        is: bool,
        quiet: Option<Millis>,
    },
    Threshold {
        metric: Metric,
        side: Side,
        limit: f64,
        clear: Option<f64>,
    },
    Rate {
        metric: Metric,
        rising: bool,
        by: f64,
        within: Millis,
    },
    Presence {
        gone_after_s: u32,
    },
    /// Nobody does anything in a flat; what shows it stands in [`Flat`].
    Stillness {
        hours: Millis,
    },
}

/// A household that a rule for stillness watches, with the sensors behind its door.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flat {
    pub rule: RuleIx,
    /// At least one.
    pub devices: Vec<DeviceIx>,
    pub metrics: Vec<Metric>,
    pub hours: Millis,
    pub night: Option<Hours>,
    pub leave: Option<Leave>,
}

impl Flat {
    /// By which it is known: its first device answers for all.
    pub fn place(&self) -> (DeviceIx, RuleIx) {
        (self.devices[0], self.rule)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Above,
    Below,
}

impl Basis {
    pub fn metric(&self) -> Option<Metric> {
        match *self {
            Self::State { flag, .. } => Some(flag),
            Self::Threshold { metric, .. } | Self::Rate { metric, .. } => Some(metric),
            Self::Presence { .. } | Self::Stillness { .. } => None,
        }
    }

    /// For how long a latched detector must be quiet before its episode is over; `None` when the device reports the end itself.
    pub fn quiet(&self) -> Option<Millis> {
        match *self {
            Self::State { quiet, .. } => quiet,
            Self::Threshold { .. } | Self::Rate { .. } | Self::Presence { .. } | Self::Stillness { .. } => {
                None
            }
        }
    }

    /// Equal for two rules when what is remembered for one makes sense for the other.
    pub fn fingerprint(&self) -> (u8, Option<Metric>) {
        let kind = match self {
            Self::State { is: true, .. } => 0,
            Self::State { is: false, .. } => 1,
            Self::Threshold { side: Side::Above, .. } => 2,
            Self::Threshold { side: Side::Below, .. } => 3,
            Self::Rate { rising: true, .. } => 4,
            Self::Rate { rising: false, .. } => 5,
            Self::Presence { .. } => 6,
            Self::Stillness { .. } => 7,
        };
        (kind, self.metric())
    }
}

/// All ladders of one name, in the order of the file; at least one.
#[derive(Debug)]
pub(super) struct Ladders {
    pub name: String,
    pub variants: Vec<Ladder>,
}

#[derive(Debug)]
pub(super) struct Ladder {
    /// Empty: all.
    pub classes: Vec<SignalClass>,
    pub cell_kinds: Vec<String>,
    pub hours: Option<Hours>,
    pub steps: Vec<Step>,
    /// Never leads back to a ladder that led here.
    pub then: Option<LadderIx>,
    pub progress_within: Option<Millis>,
    pub unanswered_after: Millis,
}

#[derive(Debug)]
pub(super) struct Step {
    pub after: Millis,
    pub who: Vec<Who>,
    pub channels: Vec<String>,
    pub need: u32,
}

/// Where and when a ladder begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begins {
    pub class: SignalClass,
    pub cell: CellIx,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Responsible,
    Role(crate::grid::Role),
    /// Whoever answers for the cell so many levels up; from 1.
    Up(u32),
    Person(String),
    /// The people of the team of this name.
    Team(String),
    /// The people of every team for the cell, for one above it, or for the device.
    Teams,
    /// So many of those on duty, by where they were last.
    Nearest(u32),
}

/// As in rules.toml.
impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Responsible => f.write_str("responsible"),
            Self::Role(role) => f.write_str(role.name()),
            Self::Up(levels) => write!(f, "up:{levels}"),
            Self::Person(id) => write!(f, "person:{id}"),
            Self::Team(name) => write!(f, "team:{name}"),
            Self::Teams => f.write_str("team"),
            Self::Nearest(count) => write!(f, "nearest:{count}"),
        }
    }
}

/// The rules that select a device.
#[derive(Debug)]
struct Profile {
    /// All of them, in the order of the file, which is the order of their positions.
    selected: Vec<RuleIx>,
    /// The same by metric: those of metric number `n` are `by_metric[starts[n]..starts[n + 1]]`.
    starts: Vec<u32>,
    by_metric: Vec<RuleIx>,
    presence: Option<RuleIx>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Selected {
    profile: u32,
    /// Silence longer than this is an alarm; 0: silence is no alarm.
    silent_after_s: u32,
}

impl RuleBook {
    pub(super) fn rule(&self, ix: RuleIx) -> &Rule {
        &self.rules[ix.0 as usize]
    }

    pub(super) fn rule_named(&self, name: &str) -> Option<RuleIx> {
        self.rules.iter().position(|rule| rule.name == name).map(|at| RuleIx(at as u32))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&str, RuleIx)> {
        self.rules.iter().enumerate().map(|(at, rule)| (rule.name.as_str(), RuleIx(at as u32)))
    }

    pub(super) fn ladders(&self, ix: LadderIx) -> &Ladders {
        &self.ladders[ix.0 as usize]
    }

    /// One that an alarm stands on; `None` when rules.toml no longer has it.
    pub(super) fn ladder(&self, name: &str, variant: u32) -> Option<&Ladder> {
        self.ladders(self.ladder_named(name)?).variants.get(variant as usize)
    }

    /// Which of the ladders of this name is meant.
    pub(super) fn variant(&self, ix: LadderIx, begins: Begins, registry: &Registry) -> u32 {
        let minute = self.minute_of_day(begins.at);
        let is_kind = |kind: &String| {
            registry
                .up_from(begins.cell)
                .filter_map(|cell| registry.cell(cell))
                .any(|cell| cell.kind == *kind)
        };
        let fits = |ladder: &Ladder| {
            (ladder.classes.is_empty() || ladder.classes.contains(&begins.class))
                && ladder.hours.is_none_or(|hours| hours.has(minute))
                && (ladder.cell_kinds.is_empty() || ladder.cell_kinds.iter().any(is_kind))
        };
        let variants = &self.ladders(ix).variants;
        variants.iter().position(fits).unwrap_or(variants.len() - 1) as u32
    }

    /// At the station.
    fn minute_of_day(&self, at: Timestamp) -> u16 {
        let time = self.time_zone.shown(at).time();
        u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
    }

    /// In which the hours of ladders are meant.
    pub fn time_zone(&self) -> &Zone {
        &self.time_zone
    }

    pub(super) fn ladder_named(&self, name: &str) -> Option<LadderIx> {
        self.ladders.iter().position(|ladder| ladder.name == name).map(|at| LadderIx(at as u32))
    }

    /// The ladder for an alarm that a person raised: that of the first rule of this class that has one.
    pub(super) fn ladder_for(&self, class: SignalClass) -> Option<LadderIx> {
        self.rules.iter().filter(|rule| rule.class == class).find_map(|rule| rule.ladder)
    }

    /// The roll-calls that are due at a moment, to the minute.
    pub fn roll_call_at(&self, at: Timestamp) -> Option<&[CellIx]> {
        let calls = &self.roll_calls;
        calls.minutes_of_day.contains(&self.minute_of_day(at)).then_some(calls.cells.as_slice())
    }

    pub(super) fn roll_call(&self) -> Option<LadderIx> {
        self.roll_call
    }

    fn profile(&self, device: DeviceIx) -> Option<&Profile> {
        self.profiles.get(self.devices.get(device.at())?.profile as usize)
    }

    /// All rules that look at this device, in the order of the file.
    pub(super) fn selecting(&self, device: DeviceIx) -> &[RuleIx] {
        self.profile(device).map_or(&[], |profile| &profile.selected)
    }

    /// The rules that look at this metric of this device. Empty for a device that is retired or unknown.
    pub(super) fn watching(&self, device: DeviceIx, metric: Metric) -> &[RuleIx] {
        let Some(profile) = self.profile(device) else { return &[] };
        let at = metric.number() as usize;
        &profile.by_metric[profile.starts[at] as usize..profile.starts[at + 1] as usize]
    }

    /// The rule that judges this device's silence.
    pub(super) fn presence(&self, device: DeviceIx) -> Option<RuleIx> {
        self.profile(device)?.presence
    }

    /// These devices are asked for next.
    pub(super) fn look_ahead(&self, devices: &[DeviceIx]) {
        look_ahead(&self.devices, devices, |selected| selected.silent_after_s.into());
    }

    pub(super) fn silent_after_s(&self, device: DeviceIx) -> Option<u32> {
        self.devices.get(device.at()).map(|selected| selected.silent_after_s).filter(|&seconds| 0 < seconds)
    }

    pub(super) fn gone_after_s(&self, device: DeviceIx) -> Option<u32> {
        match self.rule(self.presence(device)?).basis {
            Basis::Presence { gone_after_s } => Some(gone_after_s),
            Basis::State { .. } | Basis::Threshold { .. } | Basis::Rate { .. } | Basis::Stillness { .. } => {
                None
            }
        }
    }

    /// Whether the rule selects the device, now that both may have changed.
    pub(super) fn selects(&self, rule: RuleIx, device: DeviceIx) -> bool {
        self.profile(device).is_some_and(|profile| profile.selected.binary_search(&rule).is_ok())
    }

    #[cfg(test)]
    pub(super) fn profiles_count(&self) -> usize {
        self.profiles.len()
    }

    /// How much one device may say.
    pub fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// When a device behaves otherwise than it did.
    pub fn behaviour(&self) -> behaviour::Limits {
        self.behaviour
    }

    /// How often one person may be paged.
    pub(super) fn page_limit(&self) -> PageLimit {
        self.page_limit
    }

    pub(super) fn incidents(&self) -> Incidents {
        self.incidents
    }

    /// How many devices of a cell are watched for silence.
    pub(super) fn watched_in(&self, cell: CellIx) -> u32 {
        self.watched.get(cell.at()).copied().unwrap_or(0)
    }

    pub(super) fn flats(&self) -> impl Iterator<Item = &Flat> {
        self.flats.values()
    }

    pub(super) fn flat(&self, place: (DeviceIx, RuleIx)) -> Option<&Flat> {
        self.flats.get(&place)
    }

    /// The flats that this device stands in, one for each rule.
    pub(super) fn flats_of(&self, device: DeviceIx) -> &[(DeviceIx, RuleIx)] {
        self.flats_of.get(&device).map_or(&[], Vec::as_slice)
    }

    pub(super) fn live_within(&self) -> Millis {
        self.live_within
    }
}
