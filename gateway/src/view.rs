//! An alarm as the outside sees it: in the API, in webhooks and over MQTT the same.
//!
//! Apart from the stored types on purpose: what is on disk may change without breaking a receiver. Times are RFC 3339 text in UTC,
//! numbers of rows never appear, cells and people come with their names. Fields may be added; a name, once published, keeps its meaning.
//! Names of people on duty are shown, their telephone numbers are not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::grid::Registry;
use crate::model::{
    Alarm, AlarmState, CellIx, Disposition, Entry, Evaluation, FalseCause, Freshness, Held, Hold, Late,
    Resolution, SignalClass, Signed, Stage, Trigger, Verdict, What,
};

/// A condition with a lifecycle (ISA-18.2 states).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlarmView {
    #[schema(example = "A-17")]
    pub id: String,
    /// Name of the rule; `manual` when raised by hand.
    #[schema(example = "smoke")]
    pub rule: String,
    pub class: SignalClass,
    /// One line for a person.
    #[schema(example = "烟雾报警 smoke at 3栋2单元501")]
    pub text: String,
    pub state: AlarmState,
    /// How far the people have come with it.
    pub stage: Stage,
    pub open: bool,
    pub cell: CellRef,
    pub device: Option<DeviceRef>,
    #[schema(format = DateTime)]
    pub raised: String,
    /// Set when the signal reached the gateway late.
    pub late: Option<LateView>,
    /// The reading that raised it; none when raised by hand or by silence.
    pub trigger: Option<TriggerView>,
    /// How often the condition was reported again while the alarm stood.
    pub repeats: u32,
    /// Who answers for it now; none only when nobody up the tree answers for the cell.
    pub owner: Option<PersonRef>,
    pub acknowledged: Option<SignedView>,
    /// Who acknowledged after the first, when several are needed.
    pub joined: Vec<SignedView>,
    /// So many must acknowledge before the ladder stops.
    pub need: u32,
    pub on_the_way: Option<SignedView>,
    pub on_site: Option<SignedView>,
    /// When the condition was gone.
    #[schema(format = DateTime)]
    pub returned: Option<String>,
    pub resolved: Option<ResolutionView>,
    pub verified: Option<SignedView>,
    /// The last time the verifier sent it back; the note is the reason.
    pub sent_back: Option<SignedView>,
    pub evaluated: Option<EvaluationView>,
    /// The last time it was handed over; the note is the reason.
    pub handed_over: Option<SignedView>,
    /// Put off: nobody is called for now.
    pub held: Option<HeldView>,
    /// Of a confirmed fire, its first alarm, which may be this one. Else the alarm `cell-dark`, `main-failure` or `alarm-storm` that this one is or was part of.
    #[schema(example = "A-16")]
    pub incident: Option<String>,
    #[schema(format = DateTime)]
    pub closed: Option<String>,
    pub ladder: Option<LadderView>,
    /// Nothing has happened: people practise. It must never look like the real thing.
    pub drill: bool,
    /// Of a drill or a roll-call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exercise: Option<ExerciseView>,
}

/// What makes an alarm of class `test` a drill (演练) or a roll-call (查岗).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ExerciseView {
    /// The class that a drill plays.
    pub plays: Option<SignalClass>,
    /// Who is asked by a roll-call.
    pub asked: Option<PersonRef>,
    /// Who wanted it.
    pub by: String,
    /// The real alarm that ended it.
    #[schema(example = "A-18")]
    pub ended_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CellRef {
    /// The cell's code when the alarm was raised.
    #[schema(example = "320113-XL-01-03")]
    pub code: String,
    pub name: String,
    /// Names from the root of the grid scheme down to this cell.
    pub path: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DeviceRef {
    #[schema(example = "SD-0312")]
    pub id: String,
    pub name: String,
    /// To the door, for the person who has to go there.
    pub place: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PersonRef {
    #[schema(example = "wang-li")]
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LateView {
    /// How old the signal was on arrival; none when nobody knows.
    pub age_s: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TriggerView {
    /// The reading's id, which leads to the raw record in the journal.
    #[schema(example = "r-12-0-3")]
    pub reading: String,
    #[schema(example = "smoke")]
    pub metric: String,
    /// Flags are 0 or 1.
    pub value: f64,
    /// UCUM code; empty for flags and counts.
    pub unit: String,
    #[schema(format = DateTime)]
    pub device_time: Option<String>,
    #[schema(format = DateTime)]
    pub received: String,
    pub freshness: Freshness,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SignedView {
    /// Name of the account.
    pub by: String,
    #[schema(format = DateTime)]
    pub at: String,
    pub note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ResolutionView {
    pub disposition: Disposition,
    /// Of a false alarm, when somebody knows.
    pub cause: Option<FalseCause>,
    pub by: String,
    #[schema(format = DateTime)]
    pub at: String,
    pub note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EvaluationView {
    pub verdict: Verdict,
    pub by: String,
    #[schema(format = DateTime)]
    pub at: String,
    pub note: Option<String>,
}

/// Why an alarm does not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldView {
    /// 挂账: on the register of cases that cannot be settled now.
    Suspended,
    /// Quiet for a while.
    Shelved,
    /// Raised while its place was out of service, or part of a failure that calls for all.
    Suppressed,
    /// The time out of service itself.
    OutOfService,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HeldView {
    pub how: HoldView,
    pub by: String,
    #[schema(format = DateTime)]
    pub at: String,
    #[schema(format = DateTime)]
    pub until: String,
    pub reason: String,
    /// The time out of service that suppresses it, or the alarm of the failure that it is part of.
    #[schema(example = "A-12")]
    pub window: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LadderView {
    pub name: String,
    pub steps_taken: u32,
    /// Whether a further step will be taken if nobody acknowledges.
    pub climbing: bool,
    /// When that is due.
    #[schema(format = DateTime)]
    pub next_at: Option<String>,
}

/// One line in an alarm's history.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct EntryView {
    /// Grows by at least one for ever, over all alarms: the id of the event in `/api/v1/events`.
    pub number: u64,
    #[schema(example = "A-17")]
    pub alarm: String,
    #[schema(format = DateTime)]
    pub at: String,
    pub what: What,
    /// Person or account; none for the gateway itself.
    pub who: Option<String>,
    pub detail: String,
}

/// A change of an alarm: the new line of its history, and the alarm.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AlarmChange {
    pub entry: EntryView,
    pub alarm: AlarmView,
}

impl AlarmView {
    pub fn of(alarm: &Alarm, registry: &Registry) -> Self {
        Self {
            id: alarm.id.to_string(),
            rule: alarm.rule.clone(),
            class: alarm.class,
            text: alarm.text.clone(),
            state: alarm.state,
            stage: alarm.stage(),
            open: alarm.is_open(),
            cell: CellRef::of(alarm.cell, &alarm.cell_code, registry),
            device: alarm.device_id.as_ref().map(|id| DeviceRef::of(id, registry)),
            raised: alarm.raised.rfc3339(),
            late: alarm.late.map(|Late { age }| LateView { age_s: age.map(|age| age.as_secs_f64()) }),
            trigger: alarm.trigger.as_ref().map(TriggerView::of),
            repeats: alarm.repeats,
            owner: alarm.owner.as_ref().map(|id| PersonRef::of(id, registry)),
            acknowledged: alarm.acknowledged.as_ref().map(SignedView::of),
            joined: alarm.handling.joined.iter().map(SignedView::of).collect(),
            need: alarm.handling.need.max(1),
            on_the_way: alarm.handling.on_the_way.as_ref().map(SignedView::of),
            on_site: alarm.handling.on_site.as_ref().map(SignedView::of),
            returned: alarm.returned.map(|at| at.rfc3339()),
            resolved: alarm.resolved.as_ref().map(ResolutionView::of),
            verified: alarm.handling.verified.as_ref().map(SignedView::of),
            sent_back: alarm.handling.sent_back.as_ref().map(SignedView::of),
            evaluated: alarm.handling.evaluated.as_ref().map(EvaluationView::of),
            handed_over: alarm.handling.handed_over.as_ref().map(SignedView::of),
            held: alarm.handling.held.as_ref().map(HeldView::of),
            incident: alarm.handling.incident.map(|first| first.to_string()),
            closed: alarm.closed.map(|at| at.rfc3339()),
            ladder: alarm.ladder.as_ref().map(|ladder| LadderView {
                name: ladder.ladder.clone(),
                steps_taken: ladder.steps_taken,
                climbing: ladder.next_at.is_some(),
                next_at: ladder.next_at.map(|at| (alarm.raised + at.since(alarm.raised_steady)).rfc3339()),
            }),
            drill: alarm.drill().is_some(),
            exercise: alarm.exercise().map(|exercise| ExerciseView {
                plays: alarm.drill(),
                asked: alarm.asked().map(|id| PersonRef::of(id, registry)),
                by: exercise.by.clone(),
                ended_by: exercise.ended_by.map(|real| real.to_string()),
            }),
        }
    }
}

impl CellRef {
    pub fn of(cell: CellIx, code: &str, registry: &Registry) -> Self {
        let name = registry.cell(cell).map(|cell| cell.name.clone()).unwrap_or_default();
        Self { code: code.to_owned(), name, path: registry.names_down_to(cell) }
    }
}

impl DeviceRef {
    fn of(id: &str, registry: &Registry) -> Self {
        let device = registry.device_by_id(id);
        Self {
            id: id.to_owned(),
            name: device.map(|device| device.name.clone()).unwrap_or_default(),
            place: device.map(|device| device.place.clone()).unwrap_or_default(),
        }
    }
}

impl PersonRef {
    pub fn of(id: &str, registry: &Registry) -> Self {
        let name = registry.person(id).map(|person| person.name.clone()).unwrap_or_default();
        Self { id: id.to_owned(), name }
    }
}

impl TriggerView {
    fn of(trigger: &Trigger) -> Self {
        Self {
            reading: trigger.reading.to_string(),
            metric: trigger.metric.name().to_owned(),
            value: trigger.value,
            unit: trigger.metric.spec().unit.to_owned(),
            device_time: trigger.device_time.map(|at| at.rfc3339()),
            received: trigger.received.rfc3339(),
            freshness: trigger.freshness,
        }
    }
}

impl SignedView {
    fn of(signed: &Signed) -> Self {
        Self { by: signed.by.clone(), at: signed.at.rfc3339(), note: signed.note.clone() }
    }
}

impl ResolutionView {
    fn of(resolution: &Resolution) -> Self {
        let SignedView { by, at, note } = SignedView::of(&resolution.signed);
        Self { disposition: resolution.disposition, cause: resolution.cause, by, at, note }
    }
}

impl EvaluationView {
    fn of(evaluation: &Evaluation) -> Self {
        let SignedView { by, at, note } = SignedView::of(&evaluation.signed);
        Self { verdict: evaluation.verdict, by, at, note }
    }
}

impl HeldView {
    fn of(held: &Held) -> Self {
        let SignedView { by, at, note } = SignedView::of(&held.signed);
        let (how, window) = match held.how {
            Hold::Suspended => (HoldView::Suspended, None),
            Hold::Shelved => (HoldView::Shelved, None),
            Hold::Suppressed(window) => (HoldView::Suppressed, Some(window.to_string())),
            Hold::OutOfService => (HoldView::OutOfService, None),
        };
        Self { how, by, at, until: held.until.rfc3339(), reason: note.unwrap_or_default(), window }
    }
}

impl EntryView {
    pub fn of(number: u64, entry: &Entry) -> Self {
        Self {
            number,
            alarm: entry.alarm.to_string(),
            at: entry.at.rfc3339(),
            what: entry.what,
            who: entry.who.clone(),
            detail: entry.detail.clone(),
        }
    }
}

impl AlarmChange {
    pub fn of(number: u64, alarm: &Alarm, entry: &Entry, registry: &Registry) -> Self {
        Self { entry: EntryView::of(number, entry), alarm: AlarmView::of(alarm, registry) }
    }
}
