//! The leave of a flat: hospital, travel. Nobody is there, and nobody is missed, so no stillness calls anybody ([`crate::engine`], condition `stillness`).
//!
//! A file of households says the same (`away_from`, `away_until`); this is for the one call that comes in between. Who lives there is not shown here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Actor;
use super::extract::{Body, Params};
use super::model::Changed;
use super::problem::ApiError;
use super::staffing::{change, moment, needed, zone};
use crate::grid::dwellings::Leave;
use crate::grid::edit::Edit;

/// Replaces the leave of the flat that is known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveBody {
    /// Code of the cell.
    pub cell: String,
    /// The door, as the registry has it.
    #[schema(example = "3栋2单元501")]
    pub place: String,
    /// First day in the station's time zone, or a moment.
    #[schema(example = "2026-12-01")]
    pub from: String,
    /// Last day, which still counts, or the moment it ends. None: until further notice.
    pub until: Option<String>,
    /// Version of the registry this was decided on; 409 when it has changed since.
    pub version: Option<u64>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichFlat {
    /// Code of the cell.
    cell: String,
    /// The door.
    place: String,
    /// Version of the registry this was decided on; 409 when it has changed since.
    version: Option<u64>,
}

/// Nobody is in a flat for a while, and nobody is to be missed.
#[utoipa::path(put, path = "/api/v1/households/leave", tag = "people", operation_id = "putLeave", request_body = LeaveBody,
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn put(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<LeaveBody>,
) -> Result<Json<Changed>, ApiError> {
    let zone = zone(&api);
    let leave = Leave {
        from: needed("from", &body.from, &zone)?,
        until: moment("until", body.until.as_deref(), true, &zone)?,
    };
    change(&api, &actor.0, Edit::Away { cell: body.cell, place: body.place, leave }, body.version).await
}

/// They are back: the leave ends now; one that has not begun is taken away.
#[utoipa::path(delete, path = "/api/v1/households/leave", tag = "people", operation_id = "endLeave", params(WhichFlat),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn end(
    State(api): State<Arc<Api>>,
    Params(which): Params<WhichFlat>,
    actor: Actor,
) -> Result<Json<Changed>, ApiError> {
    change(&api, &actor.0, Edit::Home { cell: which.cell, place: which.place }, which.version).await
}
