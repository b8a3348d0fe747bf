//! Why it was quiet: what came from a device or in a cell up to a moment, and what held an alarm back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::sync::SemaphorePermit;
use utoipa::IntoParams;

use super::Api;
use super::auth::Caller;
use super::extract::Params;
use super::history::time;
use super::problem::ApiError;
use super::rights::Right;
use crate::explain::quiet::{CellQuiet, Desk, DeviceQuiet};
use crate::units::Timestamp;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct When {
    /// The moment, RFC 3339; now when left out.
    #[param(example = "2026-11-23T03:00:00+08:00")]
    at: Option<String>,
}

/// Why a device raised no alarm.
///
/// What came in the day before that moment, what each rule made of it, what held an alarm back, and what would have had to happen. The journal is replayed for it under the rules in
/// force now; one such question is worked on at a time.
#[utoipa::path(get, path = "/api/v1/devices/{id}/explanation", tag = "alarms", operation_id = "explainDevice",
    params(("id" = String, Path, description = "Id of the device"), When),
    responses((status = 200, description = "The reasons", body = DeviceQuiet)))]
pub async fn device(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Params(when): Params<When>,
    caller: Caller,
) -> Result<Json<DeviceQuiet>, ApiError> {
    let at = moment(&api, &when)?;
    let (desk, device) = {
        let world = api.world.load();
        let area = caller.area(Right::Alarms, &world.registry, api.clock.now().wall);
        let device =
            world.registry.device_by_id(&id).filter(|device| area.has_device(device, &world.registry));
        let unknown = || ApiError::not_found(format!("There is no device `{id}`."));
        (desk(&api), device.ok_or_else(unknown)?.ix)
    };
    let _turn = turn(&api)?;
    desk.device(device, at).await.map(Json).map_err(ApiError::Internal)
}

/// Why it was quiet in a cell.
///
/// The same for every device in the cell and below it, in short.
#[utoipa::path(get, path = "/api/v1/cells/{code}/explanation", tag = "alarms", operation_id = "explainCell",
    params(("code" = String, Path, description = "Code of the cell"), When),
    responses((status = 200, description = "The reasons", body = CellQuiet)))]
pub async fn cell(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    Params(when): Params<When>,
    caller: Caller,
) -> Result<Json<CellQuiet>, ApiError> {
    let at = moment(&api, &when)?;
    let (desk, cell) = {
        let world = api.world.load();
        let area = caller.area(Right::Alarms, &world.registry, api.clock.now().wall);
        let cell = world.registry.cell_by_code(&code).filter(|cell| area.has(cell.ix, &world.registry));
        let unknown = || ApiError::not_found(format!("There is no cell `{code}`."));
        (desk(&api), cell.ok_or_else(unknown)?.ix)
    };
    let _turn = turn(&api)?;
    desk.cell(cell, at).await.map(Json).map_err(ApiError::Internal)
}

fn desk(api: &Api) -> Desk {
    let world = api.world.load();
    Desk { store: api.store.clone(), registry: world.registry.clone(), rules: world.rules.clone() }
}

fn moment(api: &Api, when: &When) -> Result<Timestamp, ApiError> {
    Ok(time("at", when.at.as_deref())?.unwrap_or(api.clock.now().wall))
}

/// A replay is work: one at a time.
fn turn(api: &Api) -> Result<SemaphorePermit<'_>, ApiError> {
    api.own.explanations.try_acquire().map_err(|_| {
        let detail = "Another explanation is being worked on; ask again in a moment.";
        ApiError::status(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}
