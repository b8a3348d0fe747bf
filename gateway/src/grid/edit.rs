//! Changes of people, duties, absences, teams and the leave of a flat by hand, one at a time: what the API offers beside files.
//!
//! Pure: rows in, rows out, or what is wrong with it by the same rules as an import ([`sound`]). The same edit twice changes nothing.

#[cfg(test)]
mod tests;

use super::dwellings::{Household, Leave};
use super::sound::{self, About};
use super::{Absence, Duty, Member, Person, Role, Rows, Team};
use crate::units::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Adds the person, or replaces what is known of one who is there; `retired` is ignored: see [`Edit::Leave`].
    Person(Person),
    /// Ends all duties at once.
    Leave { person: String },
    /// Adds the duty, or replaces the one of the same person, cell, role and start.
    Assign(Duty),
    /// Ends the duty now; takes it away if it has not begun.
    Release { person: String, cell: String, role: Role, from: Timestamp },
    /// Adds the absence, or replaces the one of the same person and start.
    Absent(Absence),
    /// Ends the absence now; takes it away if it has not begun.
    Back { person: String, from: Timestamp },
    /// Adds the team, or replaces the one of the same name: its members, what it is for, its time.
    Team(Team),
    /// Ends the team now; takes it away if it has not begun.
    Disband { team: String },
    /// Nobody is in the flat behind this door, and nobody is missed; replaces the leave that is known.
    Away { cell: String, place: String, leave: Leave },
    /// They are back: the leave ends now; one that has not begun is taken away.
    Home { cell: String, place: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such record; says which.
    Unknown(String),
    /// Every reason why not.
    Unsound(Vec<String>),
}

impl Edit {
    /// The rows after it, one version on; `None`: it changes nothing.
    pub fn apply(&self, rows: &Rows, now: Timestamp) -> Result<Option<Rows>, Refused> {
        let mut next = rows.clone();
        let about = match self {
            Self::Person(person) => {
                let found = next.people.iter_mut().find(|known| known.id == person.id);
                let person = Person { retired: false, ..person.clone() };
                let about = vec![About::Person(person.id.clone())];
                match found {
                    Some(known) => *known = person,
                    None => next.people.push(person),
                }
                about
            }
            Self::Leave { person } => {
                known(rows, person)?;
                leave(&mut next, person, now);
                Vec::new()
            }
            Self::Assign(duty) => {
                known(rows, &duty.person)?;
                let same = |other: &&mut Duty| is(other, &duty.person, &duty.cell, duty.role, duty.from);
                match next.duties.iter_mut().find(same) {
                    Some(other) => *other = duty.clone(),
                    None => next.duties.push(duty.clone()),
                }
                vec![About::Duty { person: duty.person.clone(), cell: duty.cell.clone() }]
            }
            Self::Release { person, cell, role, from } => {
                let place = next.duties.iter().position(|duty| is(duty, person, cell, *role, *from));
                let unknown = || {
                    Refused::Unknown(format!(
                        "`{person}` has no duty as {} of `{cell}` from {from}.",
                        role.name()
                    ))
                };
                let place = place.ok_or_else(unknown)?;
                if !end(&mut next.duties[place].until, *from, now) {
                    next.duties.remove(place);
                }
                Vec::new()
            }
            Self::Absent(absence) => {
                known(rows, &absence.person)?;
                let same =
                    |other: &&mut Absence| other.person == absence.person && other.from == absence.from;
                match next.absences.iter_mut().find(same) {
                    Some(other) => *other = absence.clone(),
                    None => next.absences.push(absence.clone()),
                }
                vec![About::Absence { person: absence.person.clone(), from: absence.from }]
            }
            Self::Back { person, from } => {
                let place =
                    next.absences.iter().position(|other| other.person == *person && other.from == *from);
                let unknown = || Refused::Unknown(format!("`{person}` has no absence from {from}."));
                let place = place.ok_or_else(unknown)?;
                if !end(&mut next.absences[place].until, *from, now) {
                    next.absences.remove(place);
                }
                Vec::new()
            }
            Self::Team(team) => {
                match next.teams.iter_mut().find(|other| other.name == team.name) {
                    Some(other) => *other = team.clone(),
                    None => next.teams.push(team.clone()),
                }
                let member = |member: &Member| About::Member {
                    team: team.name.clone(),
                    person: member.person.clone(),
                };
                let mut about: Vec<About> = team.members.iter().map(member).collect();
                about.push(About::Team(team.name.clone()));
                about
            }
            Self::Disband { team } => {
                let unknown = || Refused::Unknown(format!("There is no team `{team}`."));
                let place = next.teams.iter().position(|other| other.name == *team).ok_or_else(unknown)?;
                let from = next.teams[place].from;
                if !end(&mut next.teams[place].until, from, now) {
                    next.teams.remove(place);
                }
                Vec::new()
            }
            Self::Away { cell, place, leave } => {
                if leave.until.is_some_and(|until| until <= leave.from) {
                    let wrong = "the leave ends before it begins; write a later `until`, or leave it empty";
                    return Err(Refused::Unsound(vec![wrong.into()]));
                }
                flat(&mut next, cell, place)?.leave = Some(*leave);
                Vec::new()
            }
            Self::Home { cell, place } => {
                let flat = flat(&mut next, cell, place)?;
                let unknown = || {
                    Refused::Unknown(format!(
                        "Nobody is away behind the door `{place}` of the cell `{cell}`."
                    ))
                };
                let leave = flat.leave.as_mut().ok_or_else(unknown)?;
                if !end(&mut leave.until, leave.from, now) {
                    flat.leave = None;
                }
                Vec::new()
            }
        };
        sort(&mut next);
        let mut wrong = sound::faults(&next, now);
        wrong.retain(|fault| fault.about.iter().any(|record| about.contains(record)));
        if !wrong.is_empty() {
            return Err(Refused::Unsound(wrong.into_iter().map(|fault| fault.message).collect()));
        }
        if next == *rows {
            return Ok(None);
        }
        next.version += 1;
        Ok(Some(next))
    }
}

fn flat<'r>(rows: &'r mut Rows, cell: &str, place: &str) -> Result<&'r mut Household, Refused> {
    let mut all = rows.households.iter_mut();
    all.find(|flat| flat.cell == cell && flat.place == place).ok_or_else(|| {
        Refused::Unknown(format!("There is no household behind the door `{place}` of the cell `{cell}`."))
    })
}

fn is(duty: &Duty, person: &str, cell: &str, role: Role, from: Timestamp) -> bool {
    duty.person == person && duty.cell == cell && duty.role == role && duty.from == from
}

fn known(rows: &Rows, person: &str) -> Result<(), Refused> {
    match rows.people.iter().any(|known| known.id == person) {
        true => Ok(()),
        false => Err(Refused::Unknown(format!("There is no person `{person}`."))),
    }
}

/// Ends something now, unless it has ended. `false`: it has not begun.
fn end(until: &mut Option<Timestamp>, from: Timestamp, now: Timestamp) -> bool {
    *until = Some(until.map_or(now, |until| until.min(now)));
    from < now
}

/// No duties and nobody's stand-in from now on. The records of what was stay.
pub(super) fn leave(rows: &mut Rows, person: &str, now: Timestamp) {
    let Some(known) = rows.people.iter_mut().find(|known| known.id == person) else { return };
    known.retired = true;
    rows.duties.retain_mut(|duty| duty.person != person || end(&mut duty.until, duty.from, now));
    rows.absences
        .retain_mut(|absence| absence.person != person || end(&mut absence.until, absence.from, now));
}

/// The order in which the store keeps them, whatever they came from.
pub(super) fn sort(rows: &mut Rows) {
    rows.duties
        .sort_by(|a, b| (&a.cell, a.role, a.from, &a.person).cmp(&(&b.cell, b.role, b.from, &b.person)));
    rows.absences.sort_by(|a, b| (&a.person, a.from).cmp(&(&b.person, b.from)));
    rows.teams.sort_by(|a, b| a.name.cmp(&b.name));
}
