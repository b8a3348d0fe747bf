//! Roll-calls (查岗): ask people whether they are there, and see who answered.
//!
//! Each person gets an alarm of class `test` with the rule `roll-call`, which is his; acknowledging it is the answer. Those that were asked together are shown
//! together, under the number of the first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::alarms::{no_alarm, note};
use super::auth::{Actor, Caller};
use super::exercises::{self, ExerciseFilter};
use super::extract::{self, Body, Params};
use super::model::Page;
use super::problem::ApiError;
use super::rights::Right;
use crate::grid::Registry;
use crate::model::{ASKED_MAX, Action, Alarm, AlarmId, CellIx, Deed};
use crate::store::alarms::Query;
use crate::units::Timestamp;
use crate::view::{CellRef, PersonRef};

const PAGE_MAX: u32 = 100;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRollCall {
    /// Code of a cell: everybody on duty in it or below it who answers for a cell. Either this or `persons`.
    #[schema(example = "320113-XL-01")]
    pub cell: Option<String>,
    /// Ids of people on duty, up to 500.
    pub persons: Option<Vec<String>>,
    /// Shown to those who are asked, up to 1,000 characters.
    pub note: Option<String>,
}

/// People who were asked together.
#[derive(Debug, Serialize, ToSchema)]
pub struct RollCallView {
    /// The alarm of the first.
    #[schema(example = "A-17")]
    pub id: String,
    #[schema(format = DateTime)]
    pub asked: String,
    pub by: String,
    pub people: Vec<Asked>,
}

/// One person.
#[derive(Debug, Serialize, ToSchema)]
pub struct Asked {
    /// Acknowledged to answer.
    #[schema(example = "A-17")]
    pub alarm: String,
    pub person: PersonRef,
    pub cell: CellRef,
    pub came_to: CameTo,
    /// Who acknowledged it, which may be somebody else.
    pub answered_by: Option<PersonRef>,
    pub answered_after_s: Option<f64>,
    /// How far up it went.
    pub steps_taken: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CameTo {
    /// Not answered yet.
    Waiting,
    /// By the person himself.
    Answered,
    /// Somebody else took note of it.
    AnsweredByAnother,
    /// Nobody answered up to the end of the ladder.
    Unanswered,
}

/// Ask people whether they are there. Who does not answer is looked for up the ladder.
///
/// Who is being asked already is not asked again.
#[utoipa::path(post, path = "/api/v1/roll-calls", tag = "exercises", operation_id = "callRoll", request_body = NewRollCall,
    responses((status = 201, description = "Those who are asked", body = RollCallView)))]
pub async fn call(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<NewRollCall>,
) -> Result<(StatusCode, Json<RollCallView>), ApiError> {
    let note = note(body.note.clone())?;
    let now = api.clock.now().wall;
    let registry = api.world.load().registry.clone();
    if let Some(cell) = body.cell.as_deref().and_then(|code| registry.cell_by_code(code)) {
        actor.0.may(Right::Exercise, cell.ix, &registry, now)?;
    }
    let people = people(&body, &registry, now)?;
    for (cell, _) in &people {
        actor.0.may(Right::Exercise, *cell, &registry, now)?;
    }
    let repeatable = actor.0.repeatable.as_deref().cloned();
    let many = u32::try_from(people.len()).unwrap_or(u32::MAX);
    let what = Deed::RollCall { people, note };
    let first = api.inlet.act_once(Action { who: actor.0.who(), what }, repeatable).await??;
    let before = Some(AlarmId(first.0.saturating_add(u64::from(many))));
    let mut alarms = api.store.alarms(Query { before, limit: many, ..Query::default() }).await?;
    alarms.retain(|alarm| exercises::number(alarm) == Some(first));
    alarms.reverse();
    let view = RollCallView::of(&alarms, &registry);
    Ok((StatusCode::CREATED, Json(view.ok_or_else(|| no_alarm(&first.to_string()))?)))
}

/// Roll-calls and who answered, newest first.
#[utoipa::path(get, path = "/api/v1/roll-calls", tag = "exercises", operation_id = "listRollCalls", params(ExerciseFilter),
    responses((status = 200, description = "A page", body = Page<RollCallView>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Params(filter): Params<ExerciseFilter>,
    caller: Caller,
) -> Result<Json<Page<RollCallView>>, ApiError> {
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let is_call = |alarm: &Alarm| alarm.asked().is_some();
    let (calls, next) = exercises::page(&api, &caller, &filter, is_call, limit as usize).await?;
    let registry = api.world.load().registry.clone();
    let items = calls.iter().filter_map(|together| RollCallView::of(together, &registry)).collect();
    Ok(Json(Page { items, next }))
}

/// Who is asked, each in a cell of his.
fn people(
    body: &NewRollCall,
    registry: &Registry,
    now: Timestamp,
) -> Result<Vec<(CellIx, String)>, ApiError> {
    let found: Vec<(CellIx, String)> = match (&body.cell, &body.persons) {
        (Some(code), None) => {
            let cell = registry.cell_by_code(code).filter(|cell| !cell.retired);
            let cell = cell.ok_or_else(|| ApiError::body("cell", format!("there is no cell `{code}`")))?;
            let people = registry.answering_below(&[cell.ix], now).into_iter();
            people.map(|(cell, person)| (cell, person.id.clone())).collect()
        }
        (None, Some(persons)) => {
            let mut cells = HashMap::new();
            for (cell, _, person) in registry.all_on_duty(now) {
                cells.entry(person.id.as_str()).or_insert(cell);
            }
            let cell_of = |id: &String| {
                let missing = || ApiError::body("persons", format!("`{id}` has no duty now"));
                Ok((*cells.get(id.as_str()).ok_or_else(missing)?, id.clone()))
            };
            persons.iter().take(ASKED_MAX + 1).map(cell_of).collect::<Result<_, ApiError>>()?
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(ApiError::body("cell", "give exactly one of `cell` and `persons`"));
        }
    };
    if found.is_empty() || ASKED_MAX < found.len() {
        let field = if body.cell.is_some() { "cell" } else { "persons" };
        let many = format!("1 to {ASKED_MAX} people can be asked at once; these are {}", found.len());
        return Err(ApiError::body(field, many));
    }
    Ok(found)
}

impl RollCallView {
    /// Of those that were asked together, in order.
    fn of(together: &[Alarm], registry: &Registry) -> Option<Self> {
        let one = together.first()?;
        Some(Self {
            id: exercises::number(one)?.to_string(),
            asked: one.raised.rfc3339(),
            by: one.exercise()?.by.clone(),
            people: together.iter().filter_map(|alarm| Asked::of(alarm, registry)).collect(),
        })
    }
}

impl Asked {
    fn of(alarm: &Alarm, registry: &Registry) -> Option<Self> {
        let asked = alarm.asked()?;
        let answer = alarm.acknowledged.as_ref();
        Some(Self {
            alarm: alarm.id.to_string(),
            person: PersonRef::of(asked, registry),
            cell: CellRef::of(alarm.cell, &alarm.cell_code, registry),
            came_to: match answer {
                Some(signed) if signed.by == asked => CameTo::Answered,
                Some(_) => CameTo::AnsweredByAnother,
                None if alarm.is_open() => CameTo::Waiting,
                None => CameTo::Unanswered,
            },
            answered_by: answer.map(|signed| PersonRef::of(&signed.by, registry)),
            answered_after_s: answer.map(|signed| signed.at.since(alarm.raised).as_secs_f64()),
            steps_taken: alarm.ladder.as_ref().map_or(0, |ladder| ladder.steps_taken),
        })
    }
}
