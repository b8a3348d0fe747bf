//! The ladder: who is told when, until somebody answers.
//!
//! Takes every step that is due and says what it came to. A step that finds nobody is never silent: it is recorded and the next step
//! follows at once; for a fire its channels are told without a person. Steps are counted on over ladders and new starts, so that the key
//! of an [`Alert`] is never used twice. Ends by an acknowledgement, by the end of the alarm, or at the top, where it asks for an alarm that says
//! that nobody answered.

use serde::{Deserialize, Serialize};

use super::Turn;
use super::nearest::Question;
use super::open::UNANSWERED;
use super::rules::{Begins, Ladder, LadderIx, RuleBook, Step, Who};
use crate::grid::{Person, Registry, Role};
use crate::model::{Alarm, Alert, CellIx, DeviceIx, LadderPosition, SignalClass, What};
use crate::units::{Millis, Steady, Timestamp};

/// Where in its ladder an alarm stands; beside [`LadderPosition`], which counts over all ladders. Part of the snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    /// Over all ladders and new starts.
    steps_taken: u32,
    next_step: u32,
    /// Wraps: a ladder that goes on may have begun before the clock did.
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
            (Some(at), Some(after)) => Steady(at.0.wrapping_sub(after.0)),
            (Some(_), None) | (None, _) => raised,
        };
        Self { steps_taken: position.steps_taken, next_step, began, last_step_at: raised }
    }

    fn due(&self, after: Millis) -> Steady {
        Steady(self.began.0.wrapping_add(after.0))
    }
}

/// What the steps that were due came to.
#[derive(Debug, Default)]
pub(super) struct Climb {
    pub lines: Vec<Line>,
    pub alerts: Vec<Alert>,
    /// Who is nearest.
    pub questions: Vec<Question>,
    /// The top was reached long ago, and nobody answered.
    pub unanswered: bool,
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
    alarm.handling.need = 0;
    alarm.ladder = ladder.map(|ladder| LadderPosition {
        ladder: turn.rules.ladders(ladder).name.clone(),
        steps_taken,
        next_at: Some(now),
        variant: turn.rules.variant(ladder, begins(alarm, turn), turn.registry),
    });
    *run = Run { steps_taken, next_step: 0, began: now, last_step_at: now };
}

/// As [`begin`], but the first step is to tell the owner, who is `as_what`.
pub(super) fn begin_with_owner(
    alarm: &mut Alarm,
    run: &mut Run,
    ladder: Option<LadderIx>,
    turn: &Turn<'_>,
    as_what: &str,
) -> Climb {
    begin(alarm, run, ladder, turn);
    let mut told = tell_owner(alarm, run, turn, as_what);
    run.next_step = 1;
    let more = climb(alarm, run, turn);
    told.lines.extend(more.lines);
    told.alerts.extend(more.alerts);
    told.questions.extend(more.questions);
    told
}

/// The acknowledgement came to nothing: the next step is due now, or the first again when there was no other.
pub(super) fn go_on(alarm: &mut Alarm, run: &mut Run, ladder: Option<LadderIx>, turn: &Turn<'_>) {
    let next = standing_on(alarm, turn.rules).and_then(|found| found.steps.get(run.next_step as usize));
    let taken = standing_on(alarm, turn.rules).map(|found| found.steps.iter().take(run.next_step as usize));
    let need = taken.into_iter().flatten().map(|step| step.need).max().unwrap_or(0);
    match (next, &mut alarm.ladder) {
        (Some(step), Some(position)) => {
            alarm.handling.need = need;
            run.began = Steady(turn.now.steady.0.wrapping_sub(step.after.0));
            position.next_at = Some(turn.now.steady);
        }
        (_, _) => begin(alarm, run, ladder, turn),
    }
}

/// Tells the owner by the channels of the ladder's first step, whatever the ladder does.
pub(super) fn tell_owner(alarm: &mut Alarm, run: &mut Run, turn: &Turn<'_>, as_what: &str) -> Climb {
    let mut climb = Climb::default();
    let first = standing_on(alarm, turn.rules).and_then(|ladder| ladder.steps.first());
    if let (Some(step), Some(owner)) = (first, alarm.owner.clone()) {
        let number = count(alarm, run, turn);
        let title = format!("step {number}, {as_what}");
        let line = format!("{title}: {owner} by {}", step.channels.join(", "));
        climb.alerts.extend(call(alarm, number, Some(&owner), &step.channels, turn));
        climb.lines.push(Line { what: What::Escalated, who: None, detail: line });
    }
    climb
}

/// No step is left, whatever the time.
pub(super) fn is_at_top(alarm: &Alarm, run: &Run, rules: &RuleBook) -> bool {
    standing_on(alarm, rules)
        .is_none_or(|ladder| ladder.steps.len() <= run.next_step as usize && ladder.then.is_none())
}

/// In which time an acknowledgement must be followed by something.
pub(super) fn progress_within(alarm: &Alarm, rules: &RuleBook) -> Option<Millis> {
    standing_on(alarm, rules)?.progress_within
}

fn standing_on<'a>(alarm: &Alarm, rules: &'a RuleBook) -> Option<&'a Ladder> {
    let position = alarm.ladder.as_ref()?;
    rules.ladder(&position.ladder, position.variant)
}

fn begins(alarm: &Alarm, turn: &Turn<'_>) -> Begins {
    Begins { class: alarm.calls_as(), cell: alarm.cell, at: turn.now.wall }
}

/// Whether it is worth an alarm of its own that nobody answered one of this class.
pub(super) fn is_missed(class: SignalClass) -> bool {
    match class {
        SignalClass::Fire | SignalClass::Supervisory | SignalClass::Trouble => true,
        SignalClass::Disabled | SignalClass::Test => false,
    }
}

/// Takes every step that is due.
pub(super) fn climb(alarm: &mut Alarm, run: &mut Run, turn: &Turn<'_>) -> Climb {
    climb_from(alarm, run, turn, false)
}

/// Takes the next step now, whatever its time, if the ladder still calls. The steps after it keep their times.
pub(super) fn hurry(alarm: &mut Alarm, run: &mut Run, turn: &Turn<'_>) -> Climb {
    climb_from(alarm, run, turn, true)
}

fn climb_from(alarm: &mut Alarm, run: &mut Run, turn: &Turn<'_>, mut at_once: bool) -> Climb {
    let mut climb = Climb::default();
    loop {
        let begins = begins(alarm, turn);
        // An exercise that nobody answered is over, and counts as such.
        let worth_it = (is_missed(alarm.class) && alarm.rule != UNANSWERED) || alarm.exercise().is_some();
        let Some(position) = &mut alarm.ladder else { break };
        if position.next_at.is_none() {
            break;
        }
        let Some(ladder) = turn.rules.ladder(&position.ladder, position.variant) else {
            position.next_at = None; // Its ladder is gone; `reconfigure` gives it another.
            break;
        };
        let Some(step) = ladder.steps.get(run.next_step as usize) else {
            if let Some(next) = ladder.then {
                position.ladder = turn.rules.ladders(next).name.clone();
                position.variant = turn.rules.variant(next, begins, turn.registry);
                (run.next_step, run.began) = (0, turn.now.steady);
                continue;
            }
            let due = run.last_step_at + ladder.unanswered_after;
            climb.unanswered = worth_it && due <= turn.now.steady;
            position.next_at = (worth_it && !climb.unanswered).then_some(due);
            break;
        };
        let due = run.due(step.after);
        if turn.now.steady < due && !at_once {
            position.next_at = Some(due);
            break;
        }
        run.next_step += 1;
        alarm.handling.need = alarm.handling.need.max(step.need);
        at_once = !take(step, alarm, run, turn, &mut climb);
    }
    climb
}

/// The number of the next step.
fn count(alarm: &mut Alarm, run: &mut Run, turn: &Turn<'_>) -> u32 {
    run.steps_taken += 1;
    run.last_step_at = turn.now.steady;
    if let Some(position) = &mut alarm.ladder {
        position.steps_taken = run.steps_taken;
    }
    run.steps_taken
}

/// Takes one step. `false` when it found nobody.
fn take(step: &Step, alarm: &mut Alarm, run: &mut Run, turn: &Turn<'_>, climb: &mut Climb) -> bool {
    let number = count(alarm, run, turn);
    let Some(position) = &alarm.ladder else { return true };
    let title = format!("step {number}, ladder `{}`", position.ladder);
    let channels = step.channels.join(", ");
    let mut people: Vec<&str> = Vec::new();
    let (mut next_owner, mut nearest) = (None, None);
    for who in &step.who {
        if let Who::Nearest(count) = who {
            nearest = Some(*count);
            continue;
        }
        for person in find(who, (alarm.cell, alarm.device), turn.registry, turn.now.wall) {
            if matches!(who, Who::Up(_)) {
                next_owner.get_or_insert(person.id.as_str());
            }
            if !people.contains(&person.id.as_str()) {
                people.push(&person.id);
            }
        }
    }
    if (people.is_empty() && nearest.is_none()) || step.channels.is_empty() {
        let detail = if step.channels.is_empty() {
            format!("{title}: names no channel")
        } else if alarm.calls_as() == SignalClass::Fire {
            climb.alerts.extend(call(alarm, number, None, &step.channels, turn));
            format!("{title}: found nobody; sent to {channels} without a person")
        } else {
            format!("{title}: found nobody")
        };
        climb.lines.push(Line { what: What::NobodyToTell, who: None, detail });
        return false;
    }
    for person in &people {
        climb.alerts.extend(call(alarm, number, Some(person), &step.channels, turn));
    }
    let moved = next_owner.filter(|next| alarm.owner.as_deref() != Some(next)).map(str::to_owned);
    if moved.is_some() {
        alarm.owner.clone_from(&moved);
    }
    let mut words = people.iter().map(ToString::to_string).collect::<Vec<_>>();
    if let Some(count) = nearest {
        words.push(format!("the nearest {count}"));
        let told = people.iter().map(ToString::to_string).collect();
        let channels = step.channels.clone();
        climb.questions.push(Question { alarm: alarm.id, step: number, count, channels, told });
    }
    let detail = format!("{title}: {} by {channels}", words.join(", "));
    climb.lines.push(Line { what: What::Escalated, who: moved, detail });
    true
}

/// Calls a person, or a channel without one; an exercise remembers it.
pub(super) fn call(
    alarm: &mut Alarm,
    step: u32,
    person: Option<&str>,
    channels: &[String],
    turn: &Turn<'_>,
) -> Vec<Alert> {
    if let Some(exercise) = &mut alarm.handling.exercise {
        exercise.note_told(person, channels, turn.now.wall);
    }
    alerts(alarm, step, person, channels, turn)
}

pub(super) fn alerts(
    alarm: &Alarm,
    step: u32,
    person: Option<&str>,
    channels: &[String],
    turn: &Turn<'_>,
) -> Vec<Alert> {
    let number = if step == Alert::OVER { "over".to_owned() } else { step.to_string() };
    let alert = |channel: &String| Alert {
        // With the moment: were the station to lose this alarm with its disk, the next to get its number must not look like a repetition.
        key: format!("{}/{number}/{}/{channel}@{}", alarm.id, person.unwrap_or("-"), alarm.raised.0),
        alarm: alarm.id,
        class: alarm.class,
        channel: channel.clone(),
        person: person.map(str::to_owned),
        step,
        at: turn.now.wall,
    };
    channels.iter().map(alert).collect()
}

/// The people meant, for an alarm of this cell and device, at this moment.
pub(super) fn find<'a>(
    who: &Who,
    (cell, device): (CellIx, Option<DeviceIx>),
    registry: &'a Registry,
    at: Timestamp,
) -> Vec<&'a Person> {
    let with_role = |wanted: Role, cell| -> Vec<&Person> {
        let on_duty = registry.on_duty(cell, at).into_iter();
        on_duty.filter(|(role, _)| *role == wanted).map(|(_, person)| person).collect()
    };
    match who {
        Who::Responsible => registry.responsible(cell, at).into_iter().collect(),
        Who::Role(wanted @ (Role::Lead | Role::Deputy | Role::Worker | Role::Helper)) => {
            with_role(*wanted, cell)
        }
        // They stand at a community or street, for all cells below.
        Who::Role(wanted @ (Role::Officer | Role::DutyOfficer | Role::Department)) => registry
            .up_from(cell)
            .map(|cell| with_role(*wanted, cell))
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
        Who::Up(levels) => registry
            .up_from(cell)
            .nth(*levels as usize)
            .and_then(|cell| registry.responsible(cell, at))
            .into_iter()
            .collect(),
        // Instead of those who are nearest, when nobody has said where he is.
        Who::Nearest(_) => match with_role(Role::Lead, cell) {
            leads if leads.is_empty() => registry.responsible(cell, at).into_iter().collect(),
            leads => leads,
        },
        Who::Person(id) => registry.person(id).into_iter().filter(|person| !person.retired).collect(),
        Who::Team(name) => registry.team(name, at),
        Who::Teams => {
            let teams = registry.teams_for(cell, device, at).into_iter();
            teams.flat_map(|team| registry.team(&team.name, at)).collect()
        }
    }
}
