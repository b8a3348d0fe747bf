//! One failure behind many alarms: a cell that falls silent as a whole, a water main that loses its pressure under several cells.
//!
//! The failure has an alarm of its own, which calls for all. Its parts are recorded and suppressed by it (see `hold.rs`); what somebody has in hand
//! already is left to him. It is over when most parts are, closes by itself, and what remains then calls on its own. Which alarms are parts
//! is read from the open alarms, so nothing more is remembered. A fire is never part of anything.

use std::collections::BTreeSet;

use super::hold::{self, OUT_OF_SERVICE_MAX};
use super::open::{NOWHERE, New, Open, OpenAlarms};
use super::rules::{Basis, Side};
use super::{Effect, Turn};
use crate::model::{
    Alarm, AlarmId, AlarmState, CellIx, DeviceKind, Held, Hold, Metric, SignalClass, Signed, What,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// Of the cell where the devices stand.
    CellDark,
    /// Of the parent of the cells where the hydrants stand.
    Main,
}

impl Failure {
    /// Rule name of its alarm.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::CellDark => "cell-dark",
            Self::Main => "main-failure",
        }
    }

    fn class(self) -> SignalClass {
        match self {
            Self::CellDark => SignalClass::Trouble,
            Self::Main => SignalClass::Supervisory,
        }
    }

    pub fn of(alarm: &Alarm) -> Option<Self> {
        [Self::CellDark, Self::Main].into_iter().find(|failure| failure.rule() == alarm.rule)
    }
}

/// The failure that this alarm can be part of, and where that is.
pub(super) fn part_of(open: &Open, turn: &Turn<'_>) -> Option<(Failure, CellIx)> {
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
        let cells: Vec<CellIx> = match failure {
            Failure::CellDark => vec![cell],
            Failure::Main => {
                let all = turn.registry.cells().iter().map(|known| known.ix);
                all.filter(|&child| turn.registry.parent(child) == Some(cell)).collect()
            }
        };
        cells
            .into_iter()
            .flat_map(|cell| self.of_cell(cell))
            .filter(move |open| is_active(&open.alarm) && part_of(open, turn) == Some((failure, cell)))
    }

    /// The failure that stands and calls for this alarm, too. For another ladder than that of the failure it calls itself: it may be more urgent.
    pub(super) fn failure_over(&self, open: &Open, turn: &Turn<'_>) -> Option<AlarmId> {
        let id = *self.failures.get(&part_of(open, turn)?)?;
        self.fits(open, id, turn).then_some(id)
    }

    fn fits(&self, open: &Open, failure: AlarmId, turn: &Turn<'_>) -> bool {
        let Some(standing) = self.get(failure) else { return false };
        let own = open.key.and_then(|key| turn.rules.rule(key.rule).ladder);
        let own = own.map(|ladder| turn.rules.ladders(ladder).name.as_str());
        let of_failure = standing.alarm.ladder.as_ref().map(|position| position.ladder.as_str());
        match Failure::of(&standing.alarm) {
            Some(Failure::CellDark) => true,
            Some(Failure::Main) => own == of_failure,
            None => false,
        }
    }

    /// Whether a failure begins with this new alarm.
    pub(super) fn look_for_failure(&mut self, turn: &mut Turn<'_>, id: AlarmId) {
        let Some(open) = self.get(id) else { return };
        let Some((failure, cell)) = part_of(open, turn) else { return };
        let ladder = open.key.and_then(|key| turn.rules.rule(key.rule).ladder);
        let limits = turn.rules.incidents();
        let within = match failure {
            Failure::CellDark => limits.dark_within,
            Failure::Main => limits.main_within,
        };
        let Some(within) = within.filter(|_| !self.failures.contains_key(&(failure, cell))) else { return };
        let is_recent = |open: &&Open| {
            open.alarm.handling.held.is_none() && turn.now.steady.since(open.alarm.raised_steady) <= within
        };
        let extent = Extent::of(self.parts(failure, cell, turn).filter(is_recent));
        let begins = match failure {
            Failure::CellDark => {
                limits.dark_devices_min <= extent.parts && turn.rules.watched_in(cell) <= 2 * extent.parts
            }
            Failure::Main => 2 <= extent.cells,
        };
        if !begins {
            return;
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
        let cell = open.alarm.cell;
        let text = Extent::of(self.parts(failure, cell, turn)).text(failure, cell, turn);
        let Some(open) = self.open.get_mut(&id) else { return };
        open.alarm.repeats = open.alarm.repeats.saturating_add(1);
        open.alarm.text.clone_from(&text);
        turn.record(&open.alarm, What::Repeated, None, text);
    }

    pub(super) fn look_whether_over(&mut self, turn: &mut Turn<'_>, failure: Failure, cell: CellIx) {
        let Some(&id) = self.failures.get(&(failure, cell)) else { return };
        let extent = Extent::of(self.parts(failure, cell, turn));
        let over = match failure {
            Failure::CellDark => extent.parts == 0 || 3 * extent.parts < turn.rules.watched_in(cell),
            Failure::Main => extent.cells < 2,
        };
        if over {
            let left = match failure {
                Failure::CellDark => format!("{} still silent", extent.parts),
                Failure::Main => format!("{} still low", extent.parts),
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
