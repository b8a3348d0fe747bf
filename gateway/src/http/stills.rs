//! Pictures of cameras' events: looked at by those who may look at photos of alarms there, and each look is recorded.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderName;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::attachments::served;
use super::auth::Caller;
use super::problem::ApiError;
use super::rights::Right;
use crate::grid::{Device, Registry};
use crate::live::StillRef;
use crate::store::{Audit, Commit};

/// Newest first; more are asked for by nobody.
const LIST_MAX: u32 = 100;

#[derive(Debug, Serialize, ToSchema)]
pub struct StillView {
    #[schema(example = "S-17")]
    pub id: String,
    /// When the camera saw it.
    #[schema(format = DateTime)]
    pub at: String,
    /// Name of the flag that was set.
    #[schema(example = "fire_lane_blocked")]
    pub event: String,
    pub bytes: u64,
    /// Where the picture is.
    pub path: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StillList {
    pub items: Vec<StillView>,
}

fn seen<'a>(
    api: &Api,
    caller: &Caller,
    registry: &'a Registry,
    device: Option<&'a Device>,
) -> Option<&'a Device> {
    let area = caller.area(Right::Attachments, registry, api.clock.now().wall);
    device.filter(|device| area.has_device(device, registry))
}

/// Pictures of a camera's events, newest first, 100 at the most. The pictures themselves are asked for one by one.
#[utoipa::path(get, path = "/api/v1/devices/{id}/stills", tag = "grid", operation_id = "listStills",
    params(("id" = String, Path, description = "Id of the device")),
    responses((status = 200, description = "What is kept", body = StillList)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<StillList>, ApiError> {
    let registry = api.world.load().registry.clone();
    let device = seen(&api, &caller, &registry, registry.device_by_id(&id));
    let device = device.ok_or_else(|| ApiError::not_found(format!("There is no device `{id}`.")))?;
    let found = api.store.stills(device.ix, LIST_MAX).await?;
    let view = |still: crate::store::stills::Still| {
        let id = StillRef { number: still.number, at: still.at }.id();
        let path = format!("/api/v1/stills/{id}");
        StillView { id, at: still.at.rfc3339(), event: still.event, bytes: still.bytes, path }
    };
    Ok(Json(StillList { items: found.into_iter().map(view).collect() }))
}

/// One picture. Recorded in the audit log before it is shown.
#[utoipa::path(get, path = "/api/v1/stills/{id}", tag = "grid", operation_id = "getStill",
    params(("id" = String, Path, description = "Such as S-17")),
    responses((status = 200, description = "The picture", content_type = "image/jpeg")))]
pub async fn one(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<([(HeaderName, &'static str); 2], Vec<u8>), ApiError> {
    let gone = || ApiError::not_found(format!("There is no picture `{id}`; old ones are taken away."));
    let number: u64 = id.strip_prefix("S-").unwrap_or(&id).parse().map_err(|_| gone())?;
    let still = api.store.still(number).await?.ok_or_else(gone)?;
    let registry = api.world.load().registry.clone();
    let device = seen(&api, &caller, &registry, registry.device(still.device)).ok_or_else(gone)?;
    let line = Audit {
        at: api.clock.now().wall,
        who: caller.who(),
        what: "still.read".into(),
        target: format!("device {}", device.id),
        detail: format!("S-{number}, {}", still.event),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    let bytes = api.store.still_bytes(number).await?.ok_or_else(gone)?;
    Ok(served(&still.kind, bytes))
}
