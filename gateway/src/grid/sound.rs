//! Whether people, duties, absences and teams make sense together. The import and the API ask here before anything is stored.
//!
//! Looks at all rows every time; who asks keeps what concerns the change at hand, by [`About`]: what was wrong before is not this file's fault. A new rule
//! about people is a function here, called in [`faults`].

use std::collections::{BTreeSet, HashMap};

use super::duty::overlap;
use super::import::absences::REASON_CHARACTERS_MAX;
use super::import::bad_code;
use super::import::people::{bad_contact, bad_phone};
use super::{Person, Role, Rows};
use crate::problem::nearest;
use crate::units::Timestamp;

/// The records a fault is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    Person(String),
    /// The duties of a person for a cell; a table replaces them together.
    Duty {
        person: String,
        cell: String,
    },
    Absence {
        person: String,
        from: Timestamp,
    },
    Team(String),
    Member {
        team: String,
        person: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// All that could be changed to mend it.
    pub about: Vec<About>,
    /// `what is wrong; what to write instead`, without names or telephone numbers.
    pub message: String,
}

/// `now`: what has ended may name what has gone since.
pub fn faults(rows: &Rows, now: Timestamp) -> Vec<Fault> {
    let known = Known {
        people: rows.people.iter().map(|person| (person.id.as_str(), person)).collect(),
        cells: rows.cells.iter().filter(|cell| !cell.retired).map(|cell| cell.code.as_str()).collect(),
        devices: rows.devices.iter().filter(|device| !device.retired).map(|d| d.id.as_str()).collect(),
    };
    let mut found = Vec::new();
    people(rows, &mut found);
    duties(rows, &known, now, &mut found);
    leads(rows, &mut found);
    absences(rows, &known, &mut found);
    teams(rows, &known, now, &mut found);
    found
}

struct Known<'a> {
    people: HashMap<&'a str, &'a Person>,
    cells: BTreeSet<&'a str>,
    devices: BTreeSet<&'a str>,
}

impl Known<'_> {
    fn no_cell(&self, code: &str) -> Option<String> {
        let near = || match nearest(code, self.cells.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "import the cells first, or correct the code".into(),
        };
        (!self.cells.contains(code)).then(|| format!("there is no cell `{code}` in service; {}", near()))
    }

    /// Not there, or gone.
    fn no_person(&self, id: &str) -> Option<String> {
        match self.people.get(id) {
            Some(person) if !person.retired => None,
            Some(_) => Some(format!("`{id}` has left; name somebody who is there")),
            None => {
                let near = match nearest(id, self.people.keys().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "import the person first, or correct the id".into(),
                };
                Some(format!("there is no person `{id}`; {near}"))
            }
        }
    }

    /// Untrained for a part of this time.
    fn untrained(&self, id: &str, until: Option<Timestamp>) -> Option<Timestamp> {
        let end = self.people.get(id)?.trained_until?;
        until.is_none_or(|until| end < until).then_some(end)
    }
}

/// A table has found these by itself already; an edit has not.
fn people(rows: &Rows, found: &mut Vec<Fault>) {
    const NAME_CHARACTERS_MAX: usize = 100;
    const CONTACTS_MAX: usize = 32;
    for person in &rows.people {
        let mut wrong =
            |message: String| found.push(Fault { about: vec![About::Person(person.id.clone())], message });
        if let Some(bad) = bad_code(&person.id) {
            wrong(format!("the id {bad}"));
        }
        let length = person.name.chars().count();
        if length == 0 || NAME_CHARACTERS_MAX < length || person.name.chars().any(char::is_control) {
            wrong(format!(
                "the name of `{}` is empty or longer than {NAME_CHARACTERS_MAX} characters; write it on one line",
                person.id
            ));
        }
        if let Some(bad) = bad_phone(&person.phone) {
            wrong(bad.to_owned());
        }
        if CONTACTS_MAX < person.contacts.len() {
            wrong(format!("`{}` has more than {CONTACTS_MAX} contacts; keep those that are used", person.id));
        }
        for (channel, address) in &person.contacts {
            if let Some(bad) = bad_contact(channel, address) {
                wrong(bad);
            }
        }
    }
}

fn duties(rows: &Rows, known: &Known<'_>, now: Timestamp, found: &mut Vec<Fault>) {
    let mut sorted: Vec<_> = rows.duties.iter().collect();
    sorted.sort_by(|a, b| (&a.person, &a.cell, a.role, a.from).cmp(&(&b.person, &b.cell, b.role, b.from)));
    for (at, duty) in sorted.iter().enumerate() {
        let (person, cell, role) = (&duty.person, &duty.cell, duty.role.name());
        let mut wrong = |message: String| {
            let about = vec![
                About::Duty { person: person.clone(), cell: cell.clone() },
                About::Person(person.clone()),
            ];
            found.push(Fault { about, message });
        };
        if let Some(message) = known.no_cell(cell) {
            wrong(message);
        }
        let ended = duty.until.is_some_and(|until| until <= now);
        if let Some(message) = known.no_person(person).filter(|_| !ended) {
            wrong(message);
        }
        if duty.until.is_some_and(|until| until <= duty.from) {
            wrong(format!(
                "the duty of `{person}` for the cell `{cell}` ends before it begins; write a later `until`, or leave it empty"
            ));
        }
        let same =
            |other: &&&super::Duty| other.person == *person && other.cell == *cell && other.role == duty.role;
        let before = sorted[..at].iter().rev().take_while(same);
        if before.clone().any(|other| overlap((duty.from, duty.until), (other.from, other.until))) {
            wrong(format!(
                "`{person}` has the role {role} for the cell `{cell}` twice at the same time; keep one row, with all its hours separated by `;`"
            ));
        }
        if let Some(end) = known.untrained(person, duty.until).filter(|_| !ended) {
            let end = last_day(end, rows);
            let what = if duty.until.is_none() { "has no end" } else { "goes on longer" };
            wrong(format!(
                "`{person}` is trained until {end}, and the duty for the cell `{cell}` {what}; enter the new training, or end the duty by then"
            ));
        }
    }
}

/// The day that still counts.
fn last_day(end: Timestamp, rows: &Rows) -> String {
    rows.zone.shown(end - crate::units::Millis(1)).date().to_string()
}

fn leads(rows: &Rows, found: &mut Vec<Fault>) {
    let mut leads: Vec<_> = rows.duties.iter().filter(|duty| duty.role == Role::Lead).collect();
    leads.sort_by(|a, b| (&a.cell, a.from, &a.person).cmp(&(&b.cell, b.from, &b.person)));
    for (at, second) in leads.iter().enumerate() {
        for first in leads[..at].iter().rev().take_while(|first| first.cell == second.cell) {
            if first.person == second.person || !first.meets(second) {
                continue;
            }
            let about = |person: &str| About::Duty { person: person.to_owned(), cell: second.cell.clone() };
            found.push(Fault {
                about: vec![about(&second.person), about(&first.person)],
                message: format!(
                    "`{}` and `{}` both lead the cell `{}` at the same time; a cell has one lead, so end one duty with `until` (its last day), give both hours that do not meet, or write deputy",
                    first.person, second.person, second.cell
                ),
            });
        }
    }
}

fn absences(rows: &Rows, known: &Known<'_>, found: &mut Vec<Fault>) {
    let mut sorted: Vec<_> = rows.absences.iter().collect();
    sorted.sort_by(|a, b| (&a.person, a.from).cmp(&(&b.person, b.from)));
    for (at, absence) in sorted.iter().enumerate() {
        let person = &absence.person;
        let mut wrong = |message: String| {
            let about = vec![
                About::Absence { person: person.clone(), from: absence.from },
                About::Person(person.clone()),
            ];
            found.push(Fault { about, message });
        };
        // One who has left may have been absent before.
        let unknown = !known.people.contains_key(person.as_str());
        if let Some(message) = known.no_person(person).filter(|_| unknown) {
            wrong(message);
        }
        if REASON_CHARACTERS_MAX < absence.reason.chars().count() {
            wrong(format!("the reason is longer than {REASON_CHARACTERS_MAX} characters; write it shorter"));
        }
        if absence.until.is_some_and(|until| until <= absence.from) {
            wrong(format!(
                "the absence of `{person}` ends before it begins; write a later `until`, or leave it empty"
            ));
        }
        let before = sorted[..at].iter().rev().take_while(|other| other.person == *person);
        if before.clone().any(|other| overlap((absence.from, absence.until), (other.from, other.until))) {
            wrong(format!(
                "`{person}` is absent twice at the same time; end the first absence before the second begins"
            ));
        }
        let Some(stand_in) = &absence.stand_in else { continue };
        if stand_in == person {
            wrong(format!(
                "`{person}` cannot stand in for himself or herself; name somebody else, or nobody"
            ));
            continue;
        }
        if let Some(message) = known.no_person(stand_in) {
            wrong(message);
        }
        if let Some(end) = known.untrained(stand_in, absence.until) {
            let end = last_day(end, rows);
            wrong(format!(
                "the stand-in `{stand_in}` is trained until {end}, and the absence of `{person}` goes on longer; enter the new training, or name somebody else"
            ));
        }
    }
}

const TEXT_CHARACTERS_MAX: usize = 100;
const MEMBERS_MAX: usize = 200;

fn teams(rows: &Rows, known: &Known<'_>, now: Timestamp, found: &mut Vec<Fault>) {
    let mut names = BTreeSet::new();
    for team in &rows.teams {
        let name = &team.name;
        let mut wrong = |about: About, message: String| found.push(Fault { about: vec![about], message });
        let whole = || About::Team(name.clone());
        if !names.insert(name) {
            wrong(whole(), format!("there is another team `{name}`; give it a name of its own"));
        }
        if team.until.is_some_and(|until| until < team.from) {
            wrong(
                whole(),
                format!("the team `{name}` ends before it begins; write a later `until`, or leave it empty"),
            );
        }
        // A table has found these by itself already; an edit has not.
        let long =
            |text: &str| TEXT_CHARACTERS_MAX < text.chars().count() || text.chars().any(char::is_control);
        if name.trim().is_empty() || long(name) {
            wrong(
                whole(),
                format!("the name of a team has 1 to {TEXT_CHARACTERS_MAX} characters, on one line"),
            );
        }
        if team.flat.as_deref().is_some_and(long) || team.members.iter().any(|member| long(&member.part)) {
            wrong(
                whole(),
                format!(
                    "a part or flat of the team `{name}` is longer than {TEXT_CHARACTERS_MAX} characters; write it shorter"
                ),
            );
        }
        if team.members.is_empty() || MEMBERS_MAX < team.members.len() {
            wrong(whole(), format!("the team `{name}` must have 1 to {MEMBERS_MAX} members"));
        }
        if team.until.is_some_and(|until| until <= now) {
            continue;
        }
        for code in &team.cells {
            if let Some(message) = known.no_cell(code) {
                wrong(whole(), message);
            }
        }
        for id in team.devices.iter().filter(|id| !known.devices.contains(id.as_str())) {
            wrong(
                whole(),
                format!("there is no device `{id}` in service; import the devices first, or correct the id"),
            );
        }
        if team.cells.is_empty() && team.devices.is_empty() && team.flat.is_none() {
            wrong(whole(), format!("the team `{name}` is for nothing; name cells, devices or a flat"));
        }
        let mut people = BTreeSet::new();
        for member in &team.members {
            let about = || About::Member { team: name.clone(), person: member.person.clone() };
            if let Some(message) = known.no_person(&member.person) {
                wrong(about(), message);
            }
            if !people.insert(&member.person) {
                wrong(about(), format!("`{}` is in the team `{name}` twice; keep one row", member.person));
            }
        }
    }
}
