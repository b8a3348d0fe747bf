//! Drills (演练): begin one, and see how long each person took.
//!
//! A drill is an alarm of class `test` with the rule `drill`; it is acknowledged, gone to and resolved as every alarm. Its results are read from its history, so they
//! agree with what the audit says. No statistic knows of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::alarms::{act, note};
use super::auth::{Actor, Caller};
use super::exercises::{self, ExerciseFilter};
use super::extract::{self, Body, Params};
use super::model::Page;
use super::problem::ApiError;
use super::rights::Right;
use crate::model::{Alarm, Deed, Entry, SignalClass, What};
use crate::practice::until;
use crate::units::Millis;
use crate::view::{AlarmView, PersonRef};

const PAGE_MAX: u32 = 100;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDrill {
    /// Code of the cell.
    #[schema(example = "320113-XL-01-03")]
    pub cell: String,
    /// The class whose ladder is climbed: `fire` (when left out), `supervisory` or `trouble`.
    pub kind: Option<SignalClass>,
    /// Shown to everybody who is called, up to 1,000 characters.
    #[schema(example = "11·9 消防宣传月，3 栋 5 楼着火")]
    pub note: Option<String>,
}

/// One drill and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DrillView {
    pub alarm: AlarmView,
    /// From the beginning until the first acknowledgement; none when there was none.
    pub to_acknowledge_s: Option<f64>,
    /// From the beginning until somebody was on site.
    pub to_arrive_s: Option<f64>,
    /// Everybody who was called, in order.
    pub people: Vec<TakenPart>,
}

/// How one person did. The seconds count from the moment this person was called.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TakenPart {
    /// None: a channel was told without a person.
    pub person: Option<PersonRef>,
    pub channels: Vec<String>,
    #[schema(format = DateTime)]
    pub called: String,
    pub to_acknowledge_s: Option<f64>,
    pub to_arrive_s: Option<f64>,
}

/// Begin a drill: the whole ladder, marked as a drill everywhere.
///
/// Refused where another drill or something real calls people. A real alarm in the cell, above or below ends it at once.
#[utoipa::path(post, path = "/api/v1/drills", tag = "exercises", operation_id = "beginDrill", request_body = NewDrill,
    responses((status = 201, description = "The alarm that stands for it", body = AlarmView,
        headers(("location" = String, description = "Where the alarm is")))))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<NewDrill>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<AlarmView>), ApiError> {
    let class = body.kind.unwrap_or(SignalClass::Fire);
    match class {
        SignalClass::Fire | SignalClass::Supervisory | SignalClass::Trouble => (),
        SignalClass::Disabled | SignalClass::Test => {
            return Err(ApiError::body(
                "kind",
                "nobody is called for it; write fire, supervisory or trouble",
            ));
        }
    }
    let note = note(body.note)?;
    let cell = {
        let registry = &api.world.load().registry;
        let cell = registry.cell_by_code(&body.cell).filter(|cell| !cell.retired);
        let cell =
            cell.ok_or_else(|| ApiError::body("cell", format!("there is no cell `{}`", body.cell)))?.ix;
        actor.0.may(Right::Exercise, cell, registry, api.clock.now().wall)?;
        cell
    };
    let alarm = act(&api, &actor.0, Deed::Drill { cell, class, note }).await?;
    let place = format!("/api/v1/alarms/{}", alarm.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(alarm)))
}

/// Drills and their results, newest first.
#[utoipa::path(get, path = "/api/v1/drills", tag = "exercises", operation_id = "listDrills", params(ExerciseFilter),
    responses((status = 200, description = "A page", body = Page<DrillView>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Params(filter): Params<ExerciseFilter>,
    caller: Caller,
) -> Result<Json<Page<DrillView>>, ApiError> {
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let is_drill = |alarm: &Alarm| alarm.drill().is_some();
    let (drills, next) = exercises::page(&api, &caller, &filter, is_drill, limit as usize).await?;
    let mut items = Vec::with_capacity(drills.len());
    for drill in drills.iter().flatten() {
        let history = api.store.entries(drill.id).await?;
        let history: Vec<Entry> = history.into_iter().map(|(_, entry)| entry).collect();
        items.push(DrillView::of(&api, drill, &history));
    }
    Ok(Json(Page { items, next }))
}

impl DrillView {
    fn of(api: &Api, drill: &Alarm, history: &[Entry]) -> Self {
        let registry = &api.world.load().registry;
        let since = |from, what, who| until(from, history, what, who).map(Millis::as_secs_f64);
        let told = drill.exercise().map(|exercise| exercise.told.as_slice()).unwrap_or_default();
        let people = told.iter().map(|told| {
            let who = told.person.as_deref();
            TakenPart {
                person: who.map(|id| PersonRef::of(id, registry)),
                channels: told.channels.clone(),
                called: told.at.rfc3339(),
                to_acknowledge_s: who.and_then(|who| since(told.at, What::Acknowledged, Some(who))),
                to_arrive_s: who.and_then(|who| since(told.at, What::OnSite, Some(who))),
            }
        });
        Self {
            people: people.collect(),
            to_acknowledge_s: since(drill.raised, What::Acknowledged, None),
            to_arrive_s: since(drill.raised, What::OnSite, None),
            alarm: AlarmView::of(drill, registry),
        }
    }
}
