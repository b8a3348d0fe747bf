//! What a ladder would do, before it is needed: who is told when, if nobody answers.
//!
//! The same choice of ladder and the same search for people as for a real alarm, at the time of each step.

use super::ladder::{find, is_missed};
use super::rules::{Begins, Ladder, LadderIx, RuleBook, Who};
use crate::grid::Registry;
use crate::model::{CellIx, SignalClass};
use crate::units::{Millis, Timestamp};

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Since the alarm.
    pub after: Millis,
    pub at: Timestamp,
    /// Such as `fire, from 22:00`: the name of the ladder and which of that name.
    pub ladder: String,
    pub what: PlannedWhat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlannedWhat {
    Told {
        /// As written in rules.toml, with the names of those found.
        who: Vec<(String, Vec<String>)>,
        channels: Vec<String>,
        need: u32,
    },
    /// The station says that nobody answered.
    Unanswered,
}

impl Planned {
    pub fn finds_nobody(&self) -> bool {
        match &self.what {
            PlannedWhat::Told { who, .. } => who.iter().all(|(_, people)| people.is_empty()),
            PlannedWhat::Unanswered => false,
        }
    }
}

/// `None`: nobody is called for this class.
pub fn timeline(
    rules: &RuleBook,
    registry: &Registry,
    class: SignalClass,
    cell: CellIx,
    at: Timestamp,
) -> Option<Vec<Planned>> {
    let mut next = Some(rules.ladder_for(class)?);
    let mut lines: Vec<Planned> = Vec::new();
    let (mut began, mut last, mut at_once) = (at, at, false);
    while let Some(ix) = next {
        let (name, ladder) = chosen(rules, registry, ix, Begins { class, cell, at: began });
        for step in &ladder.steps {
            // A step that finds nobody does not wait: the next follows at once.
            let moment = if at_once { last } else { last.max(began + step.after) };
            let names = |who: &Who| {
                find(who, (cell, None), registry, moment)
                    .into_iter()
                    .map(|person| person.name.clone())
                    .collect()
            };
            let what = PlannedWhat::Told {
                who: step.who.iter().map(|who| (words(who), names(who))).collect(),
                channels: step.channels.clone(),
                need: step.need,
            };
            let line = Planned { after: moment.since(at), at: moment, ladder: name.clone(), what };
            at_once = line.finds_nobody();
            last = moment;
            lines.push(line);
        }
        next = ladder.then;
        began = last;
        if next.is_none() && is_missed(class) {
            let moment = last + ladder.unanswered_after;
            let what = PlannedWhat::Unanswered;
            lines.push(Planned { after: moment.since(at), at: moment, ladder: name, what });
        }
    }
    Some(lines)
}

/// Who is nearest is known only then.
fn words(who: &Who) -> String {
    match who {
        Who::Nearest(_) => format!("{who} by last position, else the lead"),
        Who::Responsible | Who::Role(_) | Who::Up(_) | Who::Person(_) | Who::Team(_) | Who::Teams => {
            who.to_string()
        }
    }
}

fn chosen<'a>(
    rules: &'a RuleBook,
    registry: &Registry,
    ix: LadderIx,
    begins: Begins,
) -> (String, &'a Ladder) {
    let (ladders, variant) = (rules.ladders(ix), rules.variant(ix, begins, registry));
    let name = match ladders.variants.len() {
        1 => ladders.name.clone(),
        count => format!("{} ({} of {count})", ladders.name, variant + 1),
    };
    (name, &ladders.variants[variant as usize])
}
