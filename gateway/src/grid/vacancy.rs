//! Hours ahead in which nobody of a cell's own answers for it, and what covers it from above; and training that is about to run out.
//!
//! Pure. Each cell is looked at only where one of its own comes or goes, and each tree from the root down, so a week of 3,689 cells costs what its
//! changes cost and not 168 looks at each.

use std::collections::BTreeSet;

use super::Registry;
use super::roster::Weeks;
use crate::model::CellIx;
use crate::units::{Millis, Timestamp};

/// How far ahead is looked.
pub const AHEAD: Millis = Millis::from_secs(7 * 24 * 3600);
/// How long before its end training is mentioned.
pub const TRAINING_AHEAD: Millis = Millis::from_secs(30 * 24 * 3600);

/// A time in which nobody with a duty in this very cell answers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub cell: CellIx,
    pub from: Timestamp,
    pub until: Timestamp,
    /// The cell above that answers meanwhile. `None`: nobody up the tree does.
    pub covered_by: Option<CellIx>,
}

/// One stretch of time and whose people answer.
#[derive(Clone, Copy)]
struct Stretch {
    until: Timestamp,
    by: Option<CellIx>,
}

/// Every gap of every cell in service, by cell and time. None when the registry has no duties at all: such a station tells nobody by name.
pub fn gaps(registry: &Registry, from: Timestamp, until: Timestamp) -> Vec<Gap> {
    if registry.rows().duties.is_empty() || until <= from {
        return Vec::new();
    }
    let mut weeks = Weeks::new();
    let mut order: Vec<(usize, CellIx)> =
        registry.cells().iter().map(|cell| (registry.up_from(cell.ix).count(), cell.ix)).collect();
    order.sort_unstable();
    let mut covered: Vec<Vec<Stretch>> = vec![Vec::new(); registry.cells().len()];
    for (_, cell) in order {
        let above = registry.parent(cell).map_or(&[][..], |parent| &covered[parent.at()]);
        let mut edges = registry.boundaries(cell, from, until, &mut weeks);
        edges.extend(above.iter().map(|stretch| stretch.until));
        edges.insert(until);
        covered[cell.at()] = stretches(registry, cell, from, &edges, above);
    }
    let mut gaps = Vec::new();
    for cell in registry.cells().iter().filter(|cell| !cell.retired) {
        let mut begin = from;
        for stretch in &covered[cell.ix.at()] {
            if stretch.by != Some(cell.ix) {
                gaps.push(Gap { cell: cell.ix, from: begin, until: stretch.until, covered_by: stretch.by });
            }
            begin = stretch.until;
        }
    }
    gaps
}

/// Who answers for one cell from edge to edge, neighbours alike joined.
fn stretches(
    registry: &Registry,
    cell: CellIx,
    from: Timestamp,
    edges: &BTreeSet<Timestamp>,
    above: &[Stretch],
) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let (mut begin, mut above) = (from, above.iter().peekable());
    for &until in edges {
        while above.next_if(|stretch| stretch.until <= begin).is_some() {}
        let by = match registry.answers_itself(cell, begin) {
            Some(_) => Some(cell),
            None => above.peek().and_then(|stretch| stretch.by),
        };
        match found.last_mut().filter(|last| last.by == by) {
            Some(last) => last.until = until,
            None => found.push(Stretch { until, by }),
        }
        begin = until;
    }
    found
}

/// For each root, the first time for which nobody at all answers. What nobody answers for, nobody answers for up to the root.
pub fn first_holes(registry: &Registry, gaps: &[Gap]) -> Vec<Gap> {
    let mut holes: Vec<Gap> = Vec::new();
    for gap in gaps.iter().filter(|gap| gap.covered_by.is_none() && registry.parent(gap.cell).is_none()) {
        if holes.last().is_none_or(|last| last.cell != gap.cell) {
            holes.push(*gap);
        }
    }
    holes
}

/// People with a duty whose training runs out soon, the first to run out first.
pub fn training_runs_out(registry: &Registry, now: Timestamp) -> Vec<(&super::Person, Timestamp)> {
    let on_duty: std::collections::HashSet<&str> = registry
        .rows()
        .duties
        .iter()
        .filter(|duty| duty.until.is_none_or(|until| now < until))
        .map(|duty| duty.person.as_str())
        .collect();
    let soon = |person: &&super::Person| !person.retired && on_duty.contains(person.id.as_str());
    let mut found: Vec<_> = registry
        .people()
        .iter()
        .filter(soon)
        .filter_map(|person| Some((person, person.trained_until.filter(|end| *end <= now + TRAINING_AHEAD)?)))
        .collect();
    found.sort_by_key(|(person, end)| (*end, person.id.as_str()));
    found
}
