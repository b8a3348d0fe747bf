//! One failure behind many alarms: a cell that falls silent as a whole, a water main that loses its pressure under several cells, or whatever it is that raises very many
//! alarms of one class under one cell (a storm: a cut of the mains, a network that is down).
//!
//! The failure has an alarm of its own, which calls for all. Its parts are recorded and suppressed by it (see `hold.rs`); what somebody has in hand
//! already is left to him. It is over when most parts are, closes by itself, and what remains then calls on its own. Which alarms are parts
//! is read from the open alarms, so nothing more is remembered. A fire is never part of anything.

use std::collections::BTreeSet;

use super::hold::{self, OUT_OF_SERVICE_MAX};
use super::open::{NOWHERE, New, Open, OpenAlarms};
use super::rules::{Basis, LadderIx, Side};
use super::{Effect, Turn};
use crate::model::{
    Alarm, AlarmId, AlarmState, CellIx, DeviceKind, Held, Hold, Metric, SignalClass, Signed, What,
};
use crate::units::Millis;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// Of the cell where the devices stand.
    CellDark,
    /// Of the parent of the cells where the hydrants stand.
    Main,
    /// Of the parent of the cells where the alarms are.
    Storm(SignalClass),
}

/// Of the open alarms so many are looked at to tell whether a storm begins or goes on: more come within its time only when there is one somewhere.
const LOOKED_AT_MAX: usize = 2_000;

/// Rule name of its alarm, whatever its class.
const STORM: &str = "alarm-storm";

impl Failure {
    /// Rule name of its alarm.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::CellDark => "cell-dark",
            Self::Main => "main-failure",
            Self::Storm(_) => STORM,
        }
    }

    fn class(self) -> SignalClass {
        match self {
            Self::CellDark => SignalClass::Trouble,
            Self::Main => SignalClass::Supervisory,
            Self::Storm(class) => class,
        }
    }

    pub fn of(alarm: &Alarm) -> Option<Self> {
        let all = [Self::CellDark, Self::Main, Self::Storm(alarm.class)];
        all.into_iter().find(|failure| failure.rule() == alarm.rule)
    }
}

/// The failures that this alarm can be part of, and where they are: what is known of its cause first.
pub(super) fn parts_of(open: &Open, turn: &Turn<'_>) -> impl Iterator<Item = (Failure, CellIx)> + use<> {
    [failed(open, turn), stormy(open, turn)].into_iter().flatten()
}

fn stormy(open: &Open, turn: &Turn<'_>) -> Option<(Failure, CellIx)> {
    let alarm = &open.alarm;
    match alarm.class {
        SignalClass::Supervisory | SignalClass::Trouble => (),
        SignalClass::Fire | SignalClass::Disabled | SignalClass::Test => return None,
    }
    let above = turn.registry.parent(alarm.cell).unwrap_or(alarm.cell);
    (open.key.is_some() && alarm.cell != NOWHERE).then_some((Failure::Storm(alarm.class), above))
}

fn failed(open: &Open, turn: &Turn<'_>) -> Option<(Failure, CellIx)> {
    let (alarm, key) = (&open.alarm, open.key?);
    if alarm.class == SignalClass::Fire || alarm.cell == NOWHERE {
        return None;
    }
    match turn.rules.rule(key.rule).basis {
        Basis::Presence { .. } => Some((Failure::CellDark, alarm.cell)),
        Basis::Threshold { metric: Metric::PRESSURE, side: Side::Below, .. } => {
            let hydrant = turn.registry.device(key.device)?.kind == DeviceKind::Hydrant;
            let parent = turn.registry.parent(alarm.cell)?;
            hydrant.then_some((Failure::Main, parent))
        }
        Basis::Threshold { .. } | Basis::State { .. } | Basis::Rate { .. } | Basis::Stillness { .. } => None,
    }
}

fn is_active(alarm: &Alarm) -> bool {
    matches!(alarm.state, AlarmState::Unacknowledged | AlarmState::Acknowledged)
}

/// The cells whose alarms can be parts of it.
fn places(failure: Failure, cell: CellIx, turn: &Turn<'_>) -> Vec<CellIx> {
    let below = || {
        let all = turn.registry.cells().iter().map(|known| known.ix);
        all.filter(|&child| turn.registry.parent(child) == Some(cell))
    };
    match failure {
        Failure::CellDark => vec![cell],
        Failure::Main => below().collect(),
        // A cell without a parent stands for itself.
        Failure::Storm(_) => {
            let itself = turn.registry.parent(cell).is_none().then_some(cell);
            below().chain(itself).collect()
        }
    }
}

/// How far a failure goes.
struct Extent {
    parts: u32,
    cells: u32,
}

impl Extent {
    fn of<'a>(parts: impl Iterator<Item = &'a Open>) -> Self {
        let (mut count, mut cells) = (0, BTreeSet::new());
        for part in parts {
            count += 1;
            cells.insert(part.alarm.cell);
        }
        Self { parts: count, cells: cells.len() as u32 }
    }

    fn text(&self, failure: Failure, cell: CellIx, turn: &Turn<'_>) -> String {
        let name = turn.registry.cell(cell).map_or("?", |cell| cell.name.as_str());
        let Self { parts, cells } = self;
        match failure {
            Failure::CellDark => {
                let watched = turn.rules.watched_in(cell);
                format!("整格失联 cell dark: {parts} of {watched} devices silent, {name}")
            }
            Failure::Main => {
                format!("主管失压 main failure: low pressure at {parts} hydrants in {cells} cells, {name}")
            }
            Failure::Storm(class) => {
                let class = class.name();
                format!("报警集中 alarm storm: {parts} alarms of class {class} in {cells} cells, {name}")
            }
        }
    }
}

impl OpenAlarms {
    /// The active parts of a failure, whether it has begun or not; those of a cell newest first.
    fn parts<'a>(
        &'a self,
        failure: Failure,
        cell: CellIx,
        turn: &'a Turn<'_>,
    ) -> impl Iterator<Item = &'a Open> {
        let own = self.failures.get(&(failure, cell)).copied();
        let is_part = move |open: &&Open| {
            // What another failure calls for is no part of a storm.
            let elsewhere = match open.alarm.handling.held.as_ref().map(|held| held.how) {
                Some(Hold::Suppressed(by)) => Some(by) != own && matches!(failure, Failure::Storm(_)),
                Some(Hold::Suspended | Hold::Shelved | Hold::OutOfService) | None => false,
            };
            is_active(&open.alarm) && !elsewhere && parts_of(open, turn).any(|part| part == (failure, cell))
        };
        places(failure, cell, turn).into_iter().flat_map(|cell| self.of_cell(cell)).filter(is_part)
    }

    /// Whether so many parts of a storm were raised within the time. Asked for nearly every alarm, so it looks at the newest only, wherever they are.
    fn storms(&self, storm: (Failure, CellIx), at_least: u32, within: Millis, turn: &Turn<'_>) -> bool {
        let recent = |open: &&Open| turn.now.steady.since(open.alarm.raised_steady) <= within;
        let newest = self.iter().rev().take(LOOKED_AT_MAX).take_while(recent);
        let parts = newest.filter(|open| is_active(&open.alarm) && stormy(open, turn) == Some(storm));
        parts.take(at_least as usize).count() == at_least as usize
    }

    /// The failure that stands and calls for this alarm, too. For another ladder than that of the failure it calls itself: it may be more urgent.
    pub(super) fn failure_over(&self, open: &Open, turn: &Turn<'_>) -> Option<AlarmId> {
        let standing = |part| Some((part, *self.failures.get(&part)?));
        let calls = |&(part, id): &((Failure, CellIx), AlarmId)| {
            self.fits(open, id, turn) && self.goes_on(part, id, turn)
        };
        parts_of(open, turn).filter_map(standing).find(calls).map(|(_, id)| id)
    }

    /// A storm speaks for what comes while it lasts, not for what is raised under it days later.
    fn goes_on(&self, part: (Failure, CellIx), id: AlarmId, turn: &Turn<'_>) -> bool {
        match part.0 {
            Failure::CellDark | Failure::Main => true,
            // Turned off since it began, it speaks for what is part of it and for nothing else.
            Failure::Storm(_) => turn.rules.incidents().storm_within.is_some_and(|within| {
                let began = self.get(id).map(|open| open.alarm.raised_steady);
                began.is_some_and(|began| turn.now.steady.since(began) <= within)
                    || self.storms(part, 1, within, turn)
            }),
        }
    }

    fn fits(&self, open: &Open, failure: AlarmId, turn: &Turn<'_>) -> bool {
        let Some(standing) = self.get(failure) else { return false };
        let own = open.key.and_then(|key| turn.rules.rule(key.rule).ladder);
        let own = own.map(|ladder| turn.rules.ladders(ladder).name.as_str());
        let of_failure = standing.alarm.ladder.as_ref().map(|position| position.ladder.as_str());
        match Failure::of(&standing.alarm) {
            Some(Failure::CellDark) => true,
            Some(Failure::Main | Failure::Storm(_)) => own == of_failure,
            None => false,
        }
    }

    /// Whether a failure begins with this new alarm.
    pub(super) fn look_for_failure(&mut self, turn: &mut Turn<'_>, id: AlarmId) {
        let Some(open) = self.get(id) else { return };
        let ladder = open.key.and_then(|key| turn.rules.rule(key.rule).ladder);
        for part in parts_of(open, turn) {
            if self.begins(turn, part, ladder) {
                return;
            }
        }
    }

    /// Begins this failure, if it is one.
    fn begins(
        &mut self,
        turn: &mut Turn<'_>,
        (failure, cell): (Failure, CellIx),
        ladder: Option<LadderIx>,
    ) -> bool {
        if self.failures.contains_key(&(failure, cell)) {
            return false;
        }
        let limits = turn.rules.incidents();
        let within = match failure {
            Failure::CellDark => limits.dark_within,
            Failure::Main => limits.main_within,
            // Nearly always there are too few, and that is soon counted.
            Failure::Storm(_) => limits
                .storm_within
                .filter(|_| ladder.is_some()) // Else nobody is called by any of them.
                .filter(|within| self.storms((failure, cell), limits.storm_alarms_min, *within, turn)),
        };
        let Some(within) = within else {
            return false;
        };
        let is_recent = |open: &&Open| {
            open.alarm.handling.held.is_none() && turn.now.steady.since(open.alarm.raised_steady) <= within
        };
        let extent = Extent::of(self.parts(failure, cell, turn).filter(is_recent));
        let begins = match failure {
            Failure::CellDark => {
                limits.dark_devices_min <= extent.parts && turn.rules.watched_in(cell) <= 2 * extent.parts
            }
            Failure::Main => 2 <= extent.cells,
            Failure::Storm(_) => limits.storm_alarms_min <= extent.parts,
        };
        if !begins {
            return false;
        }
        let new = New {
            rule: failure.rule().to_owned(),
            class: failure.class(),
            text: extent.text(failure, cell, turn),
            cell,
            device: None,
            late: None,
            trigger: None,
            ladder,
            who: None,
        };
        let mut parts: Vec<AlarmId> = self.parts(failure, cell, turn).map(|open| open.alarm.id).collect();
        parts.sort_unstable();
        let failure = self.raise(turn, None, new);
        for part in parts {
            let Some(mut open) = self.take(part) else { continue };
            let free = open.alarm.acknowledged.is_none() && open.alarm.handling.held.is_none();
            if free && self.fits(&open, failure, turn) {
                self.fold(&mut open, failure, turn);
                turn.effects.push(Effect::Withdraw(part));
            }
            self.put(open);
        }
        true
    }

    /// The failure calls for this alarm from now on.
    pub(super) fn fold(&self, open: &mut Open, failure: AlarmId, turn: &mut Turn<'_>) {
        let Some(standing) = self.get(failure) else { return };
        let note = Some(standing.alarm.text.clone());
        let held = Held {
            how: Hold::Suppressed(failure),
            signed: Signed { by: failure.to_string(), at: turn.now.wall, note },
            until: turn.now.wall + OUT_OF_SERVICE_MAX,
            due: turn.now.steady + OUT_OF_SERVICE_MAX,
        };
        hold::suppress(&mut open.alarm, failure, &held);
        open.alarm.handling.incident = Some(failure);
        turn.record(&open.alarm, What::Suppressed, None, format!("{failure} calls for it"));
    }

    /// One more part, which nobody was told of: the alarm of the failure says how many there are now.
    pub(super) fn grow(&mut self, turn: &mut Turn<'_>, id: AlarmId) {
        let Some(open) = self.get(id) else { return };
        let Some(failure) = Failure::of(&open.alarm) else { return };
        let (cell, repeats) = (open.alarm.cell, open.alarm.repeats.saturating_add(1));
        let said = match failure {
            Failure::CellDark | Failure::Main => true,
            // Of thousands not each is worth a line: 1, 2 … 10, 20 … 100, 200 …
            Failure::Storm(_) => repeats.is_multiple_of(10u32.pow(repeats.ilog10())),
        };
        let text = said.then(|| Extent::of(self.parts(failure, cell, turn)).text(failure, cell, turn));
        let Some(open) = self.open.get_mut(&id) else { return };
        open.alarm.repeats = repeats;
        let Some(text) = text else { return };
        open.alarm.text.clone_from(&text);
        turn.record(&open.alarm, What::Repeated, None, text);
    }

    pub(super) fn look_whether_over(&mut self, turn: &mut Turn<'_>, failure: Failure, cell: CellIx) {
        let Some(&id) = self.failures.get(&(failure, cell)) else { return };
        // Of thousands only as many are looked at as decide it.
        let deciding = match failure {
            Failure::CellDark | Failure::Main => usize::MAX,
            Failure::Storm(_) => turn.rules.incidents().storm_alarms_min as usize,
        };
        let extent = Extent::of(self.parts(failure, cell, turn).take(deciding));
        let over = match failure {
            Failure::CellDark => extent.parts == 0 || 3 * extent.parts < turn.rules.watched_in(cell),
            Failure::Main => extent.cells < 2,
            Failure::Storm(_) => 3 * extent.parts < turn.rules.incidents().storm_alarms_min,
        };
        if over {
            let left = match failure {
                Failure::CellDark => format!("{} still silent", extent.parts),
                Failure::Main => format!("{} still low", extent.parts),
                Failure::Storm(_) => format!("{} left", extent.parts),
            };
            self.returned(turn, id, &left);
        }
    }

    /// Under other rules or with another registry.
    pub(super) fn look_at_failures(&mut self, turn: &mut Turn<'_>) {
        let standing: Vec<_> = self.failures.keys().copied().collect();
        for (failure, cell) in standing {
            self.look_whether_over(turn, failure, cell);
        }
    }
}
