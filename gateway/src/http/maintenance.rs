//! Times out of service: a device, or a cell and all below it, from which only a fire calls anybody.
//!
//! Each is an alarm of class `disabled` with the rule `maintenance`, so its history and who asked for it are found where those of alarms are.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Api;
use super::alarms::act;
use super::auth::{Actor, Caller};
use super::deeds::{noted, reason};
use super::extract::{self, Body};
use super::model::{NewMaintenance, Noted, Page};
use super::problem::ApiError;
use super::rights::Right;
use crate::model::{AlarmState, Deed, SignalClass};
use crate::store::alarms::Query;
use crate::view::AlarmView;

/// Open alarms of class `disabled` that are looked through.
const DISABLED_MAX: u32 = 10_000;

/// What is out of service now.
#[utoipa::path(get, path = "/api/v1/maintenance", tag = "maintenance", operation_id = "listMaintenance",
    responses((status = 200, description = "All of it on one page", body = Page<AlarmView>)))]
pub async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Page<AlarmView>>, ApiError> {
    let query = Query {
        states: AlarmState::ALL.into_iter().filter(|state| *state != AlarmState::Closed).collect(),
        classes: vec![SignalClass::Disabled],
        limit: DISABLED_MAX,
        ..Query::default()
    };
    let world = api.world.load();
    let area = caller.area(Right::Alarms, &world.registry, api.clock.now().wall);
    let windows = api.store.alarms(query).await?.into_iter();
    let windows =
        windows.filter(|alarm| alarm.rule == "maintenance" && area.has(alarm.cell, &world.registry));
    let items = windows.map(|alarm| AlarmView::of(&alarm, &world.registry)).collect();
    Ok(Json(Page { items, next: None }))
}

/// Take a device, or a cell and all below it, out of service until a moment.
///
/// New alarms there other than fires are recorded and call nobody; what still stands at the end calls then.
#[utoipa::path(post, path = "/api/v1/maintenance", tag = "maintenance", operation_id = "beginMaintenance",
    request_body = NewMaintenance,
    responses((status = 201, description = "The time out of service", body = AlarmView)))]
pub async fn begin(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<NewMaintenance>,
) -> Result<(StatusCode, Json<AlarmView>), ApiError> {
    let reason = reason(&body.reason)?;
    let until = extract::moment("until", &body.until)?;
    let (cell, device) = {
        let registry = &api.world.load().registry;
        match (&body.cell, &body.device) {
            (Some(code), None) => {
                let cell = registry.cell_by_code(code).filter(|cell| !cell.retired);
                let cell =
                    cell.ok_or_else(|| ApiError::body("cell", format!("there is no cell `{code}`")))?;
                (cell.ix, None)
            }
            (None, Some(id)) => {
                let device = registry.device_by_id(id).filter(|device| !device.retired);
                let missing = || ApiError::body("device", format!("there is no device `{id}` in service"));
                let device = device.ok_or_else(missing)?;
                let home = registry.home(device.ix);
                let nowhere = || ApiError::body("device", format!("`{id}` stands in no cell"));
                (home.ok_or_else(nowhere)?, Some(device.ix))
            }
            (None, None) | (Some(_), Some(_)) => {
                return Err(ApiError::body("cell", "give exactly one of `cell` and `device`"));
            }
        }
    };
    actor.0.may(Right::Handle, cell, &api.world.load().registry, api.clock.now().wall)?;
    let window = act(&api, &actor.0, Deed::BeginMaintenance { cell, device, until, reason }).await?;
    Ok((StatusCode::CREATED, Json(window)))
}

/// Back in service before the time.
#[utoipa::path(post, path = "/api/v1/maintenance/{id}/end", tag = "maintenance", operation_id = "endMaintenance",
    params(("id" = String, Path, description = "Such as A-17")),
    request_body(content = Option<Noted>, description = "May be left out"),
    responses((status = 200, description = "The time out of service, closed", body = AlarmView)))]
pub async fn end(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<Noted>,
) -> Result<Json<AlarmView>, ApiError> {
    noted(&api, &actor, Right::Handle, &id, body, |alarm, note| Deed::EndMaintenance { alarm, note }).await
}
