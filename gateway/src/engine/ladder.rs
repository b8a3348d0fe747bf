//! The ladder: who is told when, until somebody answers.
//!
//! Takes every step that is due and says what it came to. A step that finds nobody is never silent: it is recorded and the next step
//! follows at once; for a fire its channels are told without a person. Steps are counted on over ladders and new starts, so that the key
//! of an [`Alert`] is never used twice. Ends at the top, by an acknowledgement or by the end of the alarm.

use serde::{Deserialize, Serialize};

use super::Turn;
use super::rules::{LadderIx, Step, Who};
use crate::grid::Registry;
use crate::model::{Alarm, Alert, LadderPosition, SignalClass, What};
use crate::units::{Millis, Steady, Timestamp};

/// Where in its ladder an alarm stands; beside [`LadderPosition`], which counts over all ladders. Part of the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Over all ladders and new starts.
    steps_taken: u32,
    next_step: u32,
    began: Steady,
    pub last_step_at: Steady,
}

impl Run {
    /// As it must have been, so that the next step falls due when the position says.
    pub fn resumed(
        position: &LadderPosition,
        next_step: u32,
        next_after: Option<Millis>,
        raised: Steady,
    ) -> Self {
        let began = match (position.next_at, next_after) {
            (Some(at), Some(after)) => Steady(at.0.saturating_sub(after.0)),
            (Some(_), None) | (None, _) => raised,
        };
        Self { steps_taken: position.steps_taken, next_step, began, last_step_at: raised }
    }
}

/// What the steps that were due came to.
#[derive(Debug, Default)]
pub(super) struct Climb {
    pub lines: Vec<Line>,
    pub alerts: Vec<Alert>,
}

/// A line for the alarm's history.
#[derive(Debug)]
pub(super) struct Line {
    pub what: What,
    pub who: Option<String>,
    pub detail: String,
}

/// Put the alarm at the foot of a ladder; [`climb`] takes the first step.
pub(super) fn begin(alarm: &mut Alarm, run: &mut Run, ladder: Option<LadderIx>, turn: &Turn<'_>) {
    let (now, steps_taken) = (turn.now.steady, run.steps_taken);
    alarm.ladder = ladder.map(|ladder| LadderPosition {
        ladder: turn.rules.ladder(ladder).name.clone(),
        steps_taken,
        next_at: Some(now),
    });
    *run = Run { steps_taken, next_step: 0, began: now, last_step_at: now };
}

/// Takes every step that is due.
pub(super) fn climb(alarm: &mut Alarm, run: &mut Run, turn: &Turn<'_>) -> Climb {
    let mut climb = Climb::default();
    let mut at_once = false;
    while let Some(position) = &mut alarm.ladder {
        if position.next_at.is_none() {
            break;
        }
        let Some(ladder) = turn.rules.ladder_named(&position.ladder) else {
            position.next_at = None; // Its ladder is gone; `reconfigure` gives it another.
            break;
        };
        let ladder = turn.rules.ladder(ladder);
        let Some(step) = ladder.steps.get(run.next_step as usize) else {
            match ladder.then {
                Some(next) => {
                    position.ladder = turn.rules.ladder(next).name.clone();
                    (run.next_step, run.began) = (0, turn.now.steady);
                }
                None => position.next_at = None,
            }
            continue;
        };
        let due = run.began + step.after;
        if turn.now.steady < due && !at_once {
            position.next_at = Some(due);
            break;
        }
        run.steps_taken += 1;
        run.next_step += 1;
        position.steps_taken = run.steps_taken;
        run.last_step_at = turn.now.steady;
        at_once = !take(step, alarm, turn, &mut climb);
    }
    climb
}

/// Takes one step. `false` when it found nobody.
fn take(step: &Step, alarm: &mut Alarm, turn: &Turn<'_>, climb: &mut Climb) -> bool {
    let Some(position) = &alarm.ladder else { return true };
    let number = position.steps_taken;
    let title = format!("step {number}, ladder `{}`", position.ladder);
    let channels = step.channels.join(", ");
    let mut people: Vec<&str> = Vec::new();
    let mut next_owner = None;
    for who in &step.who {
        for person in find(who, alarm, turn.registry, turn.now.wall) {
            if matches!(who, Who::Up(_)) {
                next_owner.get_or_insert(person);
            }
            if !people.contains(&person) {
                people.push(person);
            }
        }
    }
    let mut tell = |person: Option<&str>| {
        climb.alerts.extend(step.channels.iter().map(|channel| Alert {
            // With the moment: were the station to lose this alarm with its disk, the next to get its number must not look like a repetition.
            key: format!("{}/{number}/{}/{channel}@{}", alarm.id, person.unwrap_or("-"), alarm.raised.0),
            alarm: alarm.id,
            class: alarm.class,
            channel: channel.clone(),
            person: person.map(str::to_owned),
            step: number,
            at: turn.now.wall,
        }));
    };
    if people.is_empty() || step.channels.is_empty() {
        let detail = if step.channels.is_empty() {
            format!("{title}: names no channel")
        } else if alarm.class == SignalClass::Fire {
            tell(None);
            format!("{title}: found nobody; sent to {channels} without a person")
        } else {
            format!("{title}: found nobody")
        };
        climb.lines.push(Line { what: What::NobodyToTell, who: None, detail });
        return false;
    }
    people.iter().for_each(|person| tell(Some(person)));
    let moved = next_owner.filter(|next| alarm.owner.as_deref() != Some(next)).map(str::to_owned);
    if moved.is_some() {
        alarm.owner.clone_from(&moved);
    }
    let detail = format!("{title}: {} by {channels}", people.join(", "));
    climb.lines.push(Line { what: What::Escalated, who: moved, detail });
    true
}

/// Ids of the people meant, now.
fn find<'a>(who: &Who, alarm: &Alarm, registry: &'a Registry, at: Timestamp) -> Vec<&'a str> {
    match who {
        Who::Responsible => {
            registry.responsible(alarm.cell, at).map(|person| person.id.as_str()).into_iter().collect()
        }
        Who::Role(wanted) => registry
            .on_duty(alarm.cell, at)
            .into_iter()
            .filter(|(role, _)| role == wanted)
            .map(|(_, person)| person.id.as_str())
            .collect(),
        Who::Up(levels) => registry
            .up_from(alarm.cell)
            .nth(*levels as usize)
            .and_then(|cell| registry.responsible(cell, at))
            .map(|person| person.id.as_str())
            .into_iter()
            .collect(),
        Who::Person(id) => registry.person(id).map(|person| person.id.as_str()).into_iter().collect(),
    }
}
