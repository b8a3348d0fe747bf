//! Changes of people, duties and absences by hand: people come and go every month, and nobody should need a file for that.
//!
//! What may be stored is decided by [`Edit`], with the same rules as the import. A change names the version of the registry it was decided on, or takes whatever is
//! there; the station takes it over as it takes over an import, within two seconds.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::aside::aside;
use super::auth::{Actor, Caller};
use super::extract::{Body, Params};
use super::model::{AbsenceBody, Changed, DutyBody, PersonBody};
use super::problem::ApiError;
use super::registry::{TRIES, changed_meanwhile, newest};
use crate::grid::dwellings::Household;
use crate::grid::edit::{Edit, Refused};
use crate::grid::import::Moment;
use crate::grid::{Absence, Duty, Hours, Person, Role, Rows};
use crate::store::Audit;
use crate::units::{Timestamp, Zone};

/// Add a person, or replace what is known of one; also one who comes back after leaving.
#[utoipa::path(put, path = "/api/v1/people/{id}", tag = "people", operation_id = "putPerson", request_body = PersonBody,
    params(("id" = String, Path, description = "Id of the person")),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn put_person(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    actor: Actor,
    Body(body): Body<PersonBody>,
) -> Result<Json<Changed>, ApiError> {
    let zone = zone(&api);
    let edit = Edit::Person(Person {
        id,
        name: body.name.trim().to_owned(),
        phone: body.phone.trim().to_owned(),
        contacts: body.contacts,
        trained_until: moment("trained_until", body.trained_until.as_deref(), true, &zone)?,
        retired: false,
    });
    change(&api, &actor.0, edit, body.version).await
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Leaving {
    /// Version of the registry this was decided on; 409 when it has changed since.
    version: Option<u64>,
}

/// A person leaves: all duties end at once. What was stays on record.
#[utoipa::path(delete, path = "/api/v1/people/{id}", tag = "people", operation_id = "deletePerson",
    params(("id" = String, Path, description = "Id of the person"), Leaving),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn delete_person(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Params(leaving): Params<Leaving>,
    actor: Actor,
) -> Result<Json<Changed>, ApiError> {
    change(&api, &actor.0, Edit::Leave { person: id }, leaving.version).await
}

/// Give somebody a duty.
#[utoipa::path(post, path = "/api/v1/duties", tag = "people", operation_id = "postDuty", request_body = DutyBody,
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn post_duty(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<DutyBody>,
) -> Result<Json<Changed>, ApiError> {
    let zone = zone(&api);
    let hours = body.hours.as_deref().filter(|text| !text.trim().is_empty()).map(Hours::parse);
    let edit = Edit::Assign(Duty {
        person: body.person,
        cell: body.cell,
        role: body.role,
        from: needed("from", &body.from, &zone)?,
        until: moment("until", body.until.as_deref(), true, &zone)?,
        hours: hours.transpose().map_err(|wrong| ApiError::body("hours", wrong))?,
    });
    change(&api, &actor.0, edit, body.version).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichDuty {
    person: String,
    /// Code of the cell.
    cell: String,
    role: Role,
    /// As it was given, or as it is shown.
    from: String,
    /// Version of the registry this was decided on; 409 when it has changed since.
    version: Option<u64>,
}

/// End a duty now; one that has not begun is taken away.
#[utoipa::path(delete, path = "/api/v1/duties", tag = "people", operation_id = "deleteDuty", params(WhichDuty),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn delete_duty(
    State(api): State<Arc<Api>>,
    Params(which): Params<WhichDuty>,
    actor: Actor,
) -> Result<Json<Changed>, ApiError> {
    let from = began(&which.from, &zone(&api))?;
    let edit = Edit::Release { person: which.person, cell: which.cell, role: which.role, from };
    change(&api, &actor.0, edit, which.version).await
}

/// Somebody is away, and who stands in.
#[utoipa::path(post, path = "/api/v1/absences", tag = "people", operation_id = "postAbsence", request_body = AbsenceBody,
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn post_absence(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<AbsenceBody>,
) -> Result<Json<Changed>, ApiError> {
    let zone = zone(&api);
    let edit = Edit::Absent(Absence {
        person: body.person,
        from: needed("from", &body.from, &zone)?,
        until: moment("until", body.until.as_deref(), true, &zone)?,
        stand_in: body.stand_in.filter(|id| !id.is_empty()),
        reason: body.reason.trim().to_owned(),
    });
    change(&api, &actor.0, edit, body.version).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichAbsence {
    person: String,
    /// As it was given, or as it is shown.
    from: String,
    /// Version of the registry this was decided on; 409 when it has changed since.
    version: Option<u64>,
}

/// Somebody is back: the absence ends now; one that has not begun is taken away.
#[utoipa::path(delete, path = "/api/v1/absences", tag = "people", operation_id = "deleteAbsence", params(WhichAbsence),
    responses((status = 200, description = "It is stored", body = Changed)))]
pub async fn delete_absence(
    State(api): State<Arc<Api>>,
    Params(which): Params<WhichAbsence>,
    actor: Actor,
) -> Result<Json<Changed>, ApiError> {
    let from = began(&which.from, &zone(&api))?;
    change(&api, &actor.0, Edit::Back { person: which.person, from }, which.version).await
}

pub(super) fn zone(api: &Api) -> Zone {
    api.world.load().registry.rows().zone.clone()
}

pub(super) fn moment(
    field: &str,
    text: Option<&str>,
    end: bool,
    zone: &Zone,
) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = || {
        ApiError::body(field, format!("`{text}` is no date; write 2026-01-31, 2026-01-31 08:00 or RFC 3339"))
    };
    Ok(Some(Moment::parse(text, end).ok_or_else(wrong)?.at(zone)))
}

pub(super) fn needed(field: &str, text: &str, zone: &Zone) -> Result<Timestamp, ApiError> {
    moment(field, Some(text), false, zone)?.ok_or_else(|| ApiError::body(field, "it is empty"))
}

fn began(text: &str, zone: &Zone) -> Result<Timestamp, ApiError> {
    let wrong = || ApiError::query("from", format!("`{text}` is no date; give it as it is shown"));
    Ok(Moment::parse(text, false).ok_or_else(wrong)?.at(zone))
}

/// Stores the edit, once, on the version it was decided on.
pub(super) async fn change(
    api: &Api,
    caller: &Caller,
    edit: Edit,
    version: Option<u64>,
) -> Result<Json<Changed>, ApiError> {
    for _ in 0..TRIES {
        let rows = newest(api).await?;
        let before = rows.version();
        if version.is_some_and(|version| version != before) {
            break;
        }
        let now = api.clock.now().wall;
        let asked = edit.clone();
        // A city's rows are copied for it.
        let next = match aside(move || asked.apply(rows.rows(), now)).await? {
            Ok(None) => return Ok(Json(Changed { version: before, changed: false })),
            Ok(Some(next)) => next,
            Err(Refused::Unknown(what)) => return Err(ApiError::not_found(what)),
            Err(Refused::Unsound(wrong)) => return Err(unsound(&wrong)),
        };
        let line = audit(&edit, caller, now, &next);
        let saved = match edit {
            Edit::Away { ref cell, ref place, .. } | Edit::Home { ref cell, ref place } => {
                let flat = |flat: &Household| flat.cell == *cell && flat.place == *place;
                let at = next.households.iter().position(flat);
                let at =
                    at.ok_or_else(|| ApiError::Internal(anyhow::anyhow!("a changed household is gone")))?;
                api.store.save_household(&next, at, line).await?
            }
            Edit::Person(_)
            | Edit::Leave { .. }
            | Edit::Assign(_)
            | Edit::Release { .. }
            | Edit::Absent(_)
            | Edit::Back { .. }
            | Edit::Team(_)
            | Edit::Disband { .. } => api.store.save_people(&next, line).await?,
        };
        if saved {
            return Ok(Json(Changed { version: next.version, changed: true }));
        }
    }
    Err(changed_meanwhile())
}

fn unsound(wrong: &[String]) -> ApiError {
    ApiError::named(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unsound-roster",
        "It does not fit together with what is there",
        wrong.join(". "),
    )
}

/// Without names and telephone numbers.
fn audit(edit: &Edit, caller: &Caller, at: Timestamp, rows: &Rows) -> Audit {
    let day = |at: Timestamp| rows.zone.text(at);
    let end = |until: Option<Timestamp>| until.map_or("open".into(), day);
    let (what, target, detail) = match edit {
        Edit::Person(person) => ("people.put", person.id.clone(), String::new()),
        Edit::Leave { person } => ("people.leave", person.clone(), String::new()),
        Edit::Assign(duty) => {
            let hours = duty.hours.as_ref().map_or("", Hours::text);
            let detail = format!(
                "{} of {} from {} to {} {hours}",
                duty.role.name(),
                duty.cell,
                day(duty.from),
                end(duty.until)
            );
            ("duty.assign", duty.person.clone(), detail)
        }
        Edit::Release { person, cell, role, from } => {
            ("duty.release", person.clone(), format!("{} of {cell} from {}", role.name(), day(*from)))
        }
        Edit::Absent(absence) => {
            let stand_in = absence.stand_in.as_deref().unwrap_or("nobody");
            let detail =
                format!("from {} to {}, {stand_in} stands in", day(absence.from), end(absence.until));
            ("absence.put", absence.person.clone(), detail)
        }
        Edit::Back { person, from } => ("absence.end", person.clone(), format!("from {}", day(*from))),
        Edit::Team(team) => {
            let members: Vec<_> = team.members.iter().map(|member| member.person.as_str()).collect();
            let detail = format!("{} from {} to {}", members.join(" "), day(team.from), end(team.until));
            ("team.put", team.name.clone(), detail)
        }
        Edit::Disband { team } => ("team.end", team.clone(), String::new()),
        Edit::Away { cell, place, leave } => (
            "household.away",
            format!("{cell} {place}"),
            format!("from {} to {}", day(leave.from), end(leave.until)),
        ),
        Edit::Home { cell, place } => ("household.home", format!("{cell} {place}"), String::new()),
    };
    Audit {
        at,
        who: caller.name.to_string(),
        what: what.into(),
        target: match edit {
            Edit::Team(_) | Edit::Disband { .. } => format!("team {target}"),
            Edit::Away { .. } | Edit::Home { .. } => format!("household {target}"),
            Edit::Person(_)
            | Edit::Leave { .. }
            | Edit::Assign(_)
            | Edit::Release { .. }
            | Edit::Absent(_)
            | Edit::Back { .. } => format!("person {target}"),
        },
        detail: format!("{}; registry {}", detail.trim(), rows.version).trim_start_matches("; ").into(),
    }
}
