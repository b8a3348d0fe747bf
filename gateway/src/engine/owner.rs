//! Who answers for an open alarm: exactly one person, as long as anybody up the tree does.
//!
//! An owner has a duty in the cell or above it, or was handed the alarm and has a duty anywhere, or is on his way to it. Whoever does none of this
//! loses it to the one who answers for the cell now.

use super::Refusal;
use crate::grid::{Registry, Role};
use crate::model::{Alarm, HandTo};
use crate::units::Timestamp;

/// Whether this person has a duty in the cell of the alarm or above it.
fn answers(person: &str, alarm: &Alarm, registry: &Registry, at: Timestamp) -> bool {
    let on_duty = |cell| registry.on_duty(cell, at).iter().any(|(_, known): &(Role, _)| known.id == person);
    registry.up_from(alarm.cell).any(on_duty)
}

/// Whether this person is at work and has a duty anywhere.
fn is_anywhere_on_duty(person: &str, registry: &Registry, at: Timestamp) -> bool {
    registry.in_place_of(person, at).is_some_and(|at_work| at_work.id == person)
        && registry.rows().duties.iter().any(|duty| duty.person == person && duty.covers(at))
}

/// Known, and has not left.
fn is_here(person: &str, registry: &Registry) -> bool {
    registry.person(person).is_some_and(|person| !person.retired)
}

fn is_under_way(person: &str, alarm: &Alarm) -> bool {
    let said = [&alarm.handling.on_the_way, &alarm.handling.on_site];
    alarm.resolved.is_none() && said.into_iter().flatten().any(|signed| signed.by == person)
}

/// Who must answer for it now: its owner if he still may, else whoever answers for the cell.
pub(super) fn now(alarm: &Alarm, registry: &Registry, at: Timestamp) -> Option<String> {
    let keeps = |owner: &&String| {
        let handed = alarm.handling.handed_to.as_ref() == Some(*owner);
        answers(owner, alarm, registry, at)
            || (handed && is_anywhere_on_duty(owner, registry, at))
            || (is_under_way(owner, alarm) && is_here(owner, registry))
    };
    let owner = alarm.owner.as_ref().filter(keeps).cloned();
    owner.or_else(|| registry.responsible(alarm.cell, at).map(|person| person.id.clone()))
}

/// Whoever takes it in hand owns it, if he is a person with a duty there.
pub(super) fn taken_by(alarm: &mut Alarm, who: &str, registry: &Registry, at: Timestamp) {
    if answers(who, alarm, registry, at) {
        alarm.owner = Some(who.to_owned());
    }
}

/// Who owns it when somebody goes there: the first who goes; those who follow help him. `alarm` is as it was before.
pub(super) fn when_gone(alarm: &Alarm, who: &str, registry: &Registry) -> Option<String> {
    let led = alarm.owner.as_ref().is_some_and(|owner| is_under_way(owner, alarm));
    let goes = (!led && is_here(who, registry)).then(|| who.to_owned());
    goes.or_else(|| alarm.owner.clone())
}

/// Whom an alarm can be handed to now.
pub(super) fn receiver(
    alarm: &Alarm,
    to: &HandTo,
    registry: &Registry,
    at: Timestamp,
) -> Result<String, Refusal> {
    let owner = alarm.owner.as_deref();
    let found = match to {
        HandTo::Up => {
            let levels: Vec<_> = registry.up_from(alarm.cell).collect();
            let holds = |&cell: &_| {
                registry.on_duty(cell, at).iter().any(|(_, person)| Some(person.id.as_str()) == owner)
            };
            let own = levels.iter().rposition(holds).unwrap_or(0);
            let mut above = levels.iter().skip(own + 1).filter_map(|&cell| registry.responsible(cell, at));
            above.find(|person| Some(person.id.as_str()) != owner).map(|person| person.id.clone())
        }
        HandTo::Person(id) if owner == Some(id.as_str()) => {
            return Err(Refusal::AlreadyTheirs(alarm.id, id.clone()));
        }
        HandTo::Person(id) => is_anywhere_on_duty(id, registry, at).then(|| id.clone()),
        HandTo::Role(name) => Role::from_name(name).and_then(|role| {
            let mut nearest = registry.up_from(alarm.cell).flat_map(|cell| registry.on_duty(cell, at));
            let other = nearest.find(|(found, person)| *found == role && Some(person.id.as_str()) != owner);
            other.map(|(_, person)| person.id.clone())
        }),
    };
    found.ok_or_else(|| {
        let words = match to {
            HandTo::Up => "nobody else answers further up the tree".to_owned(),
            HandTo::Person(id) => format!("`{id}` has no duty now"),
            HandTo::Role(name) => format!("nobody else has the role `{name}` here or further up the tree"),
        };
        Refusal::NobodyThere(alarm.id, words)
    })
}
