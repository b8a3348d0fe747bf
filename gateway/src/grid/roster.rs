//! Duties, shifts and absences compiled for one question: who, for this cell, at this instant. And when the answer changes.
//!
//! Ladders ask while it burns, so [`Registry::responsible`] walks sorted lists and allocates nothing. A new way to hold or lose a duty goes into
//! [`Duty`](super::Duty), [`Hours`](super::Hours) or [`Absence`](super::Absence) and into [`Registry::next_boundary`]; the properties below notice when one is forgotten.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use super::shift::{Hours, minute_of_week};
use super::{Person, Registry, Role, Rows};
use crate::model::CellIx;
use crate::units::{Millis, Timestamp};

/// Stand-ins of stand-ins are followed this far.
const STAND_INS_MAX: usize = 4;
/// After the last single event the weeks repeat; one of them may be missing a night hour.
const WEEKS_REPEAT: Millis = Millis::from_secs(15 * 24 * 3600);

/// Places in [`Rows`], so that nothing is looked up by name.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// For each cell, in the order of answering.
    posts: Vec<Vec<Post>>,
    /// Absences by person.
    away: HashMap<usize, Vec<Away>>,
    /// Every kind of week there is.
    weeks: Vec<Hours>,
    /// Every instant at which something begins or ends for good.
    singles: BTreeSet<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Post {
    duty: usize,
    person: usize,
    role: Role,
}

#[derive(Debug)]
struct Away {
    absence: usize,
    stand_in: Option<usize>,
}

/// One instant, with what the clock on the wall shows.
#[derive(Clone, Copy)]
struct Instant {
    at: Timestamp,
    minute: u16,
}

impl Roster {
    pub(super) fn build(
        rows: &Rows,
        cells: &HashMap<String, CellIx>,
        people: &HashMap<String, usize>,
    ) -> Self {
        let mut roster = Self { posts: vec![Vec::new(); rows.cells.len()], ..Self::default() };
        let mut weeks = HashSet::new();
        for (duty, row) in rows.duties.iter().enumerate() {
            let (Some(cell), Some(&person)) = (cells.get(&row.cell), people.get(&row.person)) else {
                continue;
            };
            roster.posts[cell.at()].push(Post { duty, person, role: row.role });
            roster.singles.extend([Some(row.from), row.until].into_iter().flatten());
            weeks.extend(row.hours.clone());
        }
        for posts in &mut roster.posts {
            posts.sort_by_key(|post| post.role); // Stable: within a role as entered.
        }
        for (absence, row) in rows.absences.iter().enumerate() {
            let Some(&person) = people.get(&row.person) else { continue };
            let stand_in = row.stand_in.as_ref().and_then(|id| people.get(id).copied());
            roster.away.entry(person).or_default().push(Away { absence, stand_in });
            roster.singles.extend([Some(row.from), row.until].into_iter().flatten());
        }
        roster.weeks = weeks.into_iter().collect();
        roster
    }
}

impl Registry {
    fn instant(&self, at: Timestamp) -> Instant {
        let minute = if self.roster.weeks.is_empty() { 0 } else { minute_of_week(self.rows.zone.shown(at)) };
        Instant { at, minute }
    }

    /// Who does this person's work at this time: the person, or whoever stands in. `None`: nobody.
    fn at_work(&self, mut person: usize, at: Timestamp) -> Option<usize> {
        for _ in 0..=STAND_INS_MAX {
            if self.rows.people[person].retired {
                return None;
            }
            let away = self.roster.away.get(&person).into_iter().flatten();
            match away.into_iter().find(|away| self.rows.absences[away.absence].covers(at)) {
                None => return Some(person),
                Some(away) => person = away.stand_in?,
            }
        }
        None
    }

    /// The roles held in this very cell, in the order of answering; a stand-in may stand there twice.
    fn holders(&self, cell: CellIx, now: Instant) -> impl Iterator<Item = (Role, usize)> + '_ {
        self.roster.posts.get(cell.at()).into_iter().flatten().filter_map(move |post| {
            let duty = &self.rows.duties[post.duty];
            let holds = duty.covers(now.at) && duty.hours.as_ref().is_none_or(|hours| hours.hold(now.minute));
            if holds { Some((post.role, self.at_work(post.person, now.at)?)) } else { None }
        })
    }

    fn answering(&self, cell: CellIx, now: Instant) -> Option<usize> {
        self.holders(cell, now).find(|(role, _)| role.answers()).map(|(_, person)| person)
    }

    /// People with a duty in this very cell at this time, or standing in for one, in the order of answering, then as entered.
    pub fn on_duty(&self, cell: CellIx, at: Timestamp) -> Vec<(Role, &Person)> {
        let held = self.held(cell, self.instant(at));
        held.into_iter().map(|(role, person)| (role, &self.rows.people[person])).collect()
    }

    fn held(&self, cell: CellIx, now: Instant) -> Vec<(Role, usize)> {
        let mut found: Vec<(Role, usize)> = Vec::new();
        for holder in self.holders(cell, now) {
            if !found.contains(&holder) {
                found.push(holder);
            }
        }
        found
    }

    /// Everybody with a duty somewhere at this time, or standing in for one; once for each duty.
    pub fn all_on_duty(&self, at: Timestamp) -> impl Iterator<Item = (CellIx, Role, &Person)> {
        let now = self.instant(at);
        let cells = (0..self.rows.cells.len() as u32).map(CellIx);
        cells.flat_map(move |cell| {
            self.holders(cell, now).map(move |(role, person)| (cell, role, &self.rows.people[person]))
        })
    }

    /// Everybody whose duty in these cells, or in one below, is to answer for it: each once, with the first of those cells.
    pub fn answering_below(&self, tops: &[CellIx], at: Timestamp) -> Vec<(CellIx, &Person)> {
        let below = |cell| tops.iter().any(|&top| self.is_in(cell, top));
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (cell, role, person) in self.all_on_duty(at) {
            if role.answers() && below(cell) && seen.insert(person.id.as_str()) {
                found.push((cell, person));
            }
        }
        found
    }

    /// Who answers for this very cell, nobody above it asked.
    pub fn answers_itself(&self, cell: CellIx, at: Timestamp) -> Option<&Person> {
        self.answering(cell, self.instant(at)).map(|person| &self.rows.people[person])
    }

    /// Who answers for the cell at this time: the first on duty whose role answers ([`Role::TABLE`]), else whoever answers for the parent.
    pub fn responsible(&self, cell: CellIx, at: Timestamp) -> Option<&Person> {
        let now = self.instant(at);
        self.up_from(cell).find_map(|cell| self.answering(cell, now)).map(|person| &self.rows.people[person])
    }

    /// Whoever does the work of this person at this time.
    pub fn in_place_of(&self, id: &str, at: Timestamp) -> Option<&Person> {
        let &person = self.people_by_id.get(id)?;
        self.at_work(person, at).map(|person| &self.rows.people[person])
    }

    /// The next instant after which somebody's duty, shift or absence makes a difference to [`Registry::on_duty`]. `None`: never again.
    pub fn next_change(&self, after: Timestamp) -> Option<Timestamp> {
        let last_single = self.roster.singles.last().copied().unwrap_or(after);
        let end = last_single.max(after) + WEEKS_REPEAT;
        let mut at = after;
        loop {
            at = self.next_boundary(at).filter(|&at| at <= end)?;
            let (before, then) = (self.instant(at - Millis(1)), self.instant(at));
            let mut cells = (0..self.rows.cells.len() as u32).map(CellIx);
            if cells.any(|cell| {
                !self.holders(cell, before).eq(self.holders(cell, then))
                    && self.held(cell, before) != self.held(cell, then)
            }) {
                return Some(at);
            }
        }
    }

    /// Something begins or ends, whether or not it makes a difference.
    fn next_boundary(&self, after: Timestamp) -> Option<Timestamp> {
        let single = self.roster.singles.range(after + Millis(1)..).next().copied();
        let weekly = self.roster.weeks.iter().filter_map(|hours| hours.next_edge(after, &self.rows.zone));
        weekly.chain(single).min()
    }

    /// Instants after `from` and before `until` at which the answer for this very cell may change.
    pub(super) fn boundaries(
        &self,
        cell: CellIx,
        from: Timestamp,
        until: Timestamp,
        weeks: &mut Weeks,
    ) -> BTreeSet<Timestamp> {
        let mut found = BTreeSet::new();
        let mut people = Vec::new();
        for post in self.roster.posts.get(cell.at()).into_iter().flatten() {
            let duty = &self.rows.duties[post.duty];
            found.extend([Some(duty.from), duty.until].into_iter().flatten());
            if let Some(hours) = &duty.hours {
                let edges = weeks.entry(hours.clone()).or_insert_with(|| {
                    let next = |at: &Timestamp| hours.next_edge(*at, &self.rows.zone);
                    let edges = std::iter::successors(hours.next_edge(from, &self.rows.zone), next);
                    edges.take_while(|at| *at < until).collect()
                });
                found.extend(edges.iter().copied());
            }
            people.push(post.person);
        }
        let mut seen = HashSet::new();
        while let Some(person) = people.pop() {
            if !seen.insert(person) {
                continue;
            }
            for away in self.roster.away.get(&person).into_iter().flatten() {
                let absence = &self.rows.absences[away.absence];
                found.extend([Some(absence.from), absence.until].into_iter().flatten());
                people.extend(away.stand_in);
            }
        }
        found.retain(|at| from < *at && *at < until);
        found
    }
}

/// Edges of each kind of week within one look.
pub(super) type Weeks = HashMap<Hours, Vec<Timestamp>>;
