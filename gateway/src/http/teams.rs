//! Changes of teams by hand: five around one household, a response team over cells for a while, neighbours who look after each other.
//!
//! What may be stored is decided by [`Edit`], as for people and duties; see `staffing.rs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::auth::Actor;
use super::extract::{Body, Params};
use super::model::{Changed, TeamBody};
use super::problem::ApiError;
use super::staffing::{change, moment, needed, zone};
use crate::grid::edit::Edit;
use crate::grid::{Member, Team};

/// Put a team together, or replace one: its members, what it is for, its time.
#[utoipa::path(put, path = "/api/v1/teams/{name}", tag = "people", operation_id = "putTeam", request_body = TeamBody,
    params(("name" = String, Path, description = "Name of the team")),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn put(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    actor: Actor,
    Body(body): Body<TeamBody>,
) -> Result<Json<Changed>, ApiError> {
    let zone = zone(&api);
    let trimmed = |texts: Vec<String>| texts.iter().map(|text| text.trim().to_owned()).collect();
    let member = |part: super::model::MemberBody| Member {
        person: part.person.trim().to_owned(),
        part: part.part.trim().to_owned(),
    };
    let edit = Edit::Team(Team {
        name: name.trim().to_owned(),
        kind: body.kind,
        members: body.members.into_iter().map(member).collect(),
        cells: trimmed(body.cells),
        devices: trimmed(body.devices),
        flat: body.flat.map(|flat| flat.trim().to_owned()).filter(|flat| !flat.is_empty()),
        from: needed("from", &body.from, &zone)?,
        until: moment("until", body.until.as_deref(), true, &zone)?,
    });
    change(&api, &actor.0, edit, body.version).await
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Ending {
    /// Version of the registry this was decided on; 409 when it has changed since.
    version: Option<u64>,
}

/// End a team now; one that has not begun is taken away. What was stays on record.
#[utoipa::path(delete, path = "/api/v1/teams/{name}", tag = "people", operation_id = "deleteTeam",
    params(("name" = String, Path, description = "Name of the team"), Ending),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn end(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Params(ending): Params<Ending>,
    actor: Actor,
) -> Result<Json<Changed>, ApiError> {
    change(&api, &actor.0, Edit::Disband { team: name }, ending.version).await
}
