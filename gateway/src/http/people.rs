//! People and their telephone numbers: whatever shows one writes a line to the audit log first, and shows nothing when it cannot.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::auth::Caller;
use super::extract::{self, Params};
use super::model::{CellDetail, Page, PersonView};
use super::problem::ApiError;
use crate::store::{Audit, Commit};

const PAGE_MAX: u32 = 500;

/// One cell with its polygon and the people who answer for it. Recorded in the audit log.
#[utoipa::path(get, path = "/api/v1/cells/{code}", tag = "grid", operation_id = "getCell",
    params(("code" = String, Path, description = "Code of the cell")),
    responses((status = 200, description = "The cell", body = CellDetail)))]
pub async fn cell(
    State(api): State<Arc<Api>>,
    Path(code): Path<String>,
    caller: Caller,
) -> Result<Json<CellDetail>, ApiError> {
    let registry = api.world.load().registry.clone();
    let unknown = || ApiError::not_found(format!("There is no cell `{code}`."));
    let cell = registry.cell_by_code(&code).ok_or_else(unknown)?;
    let detail = CellDetail::of(cell, &registry, api.clock.now().wall);
    let mut shown: Vec<_> = detail.on_duty.iter().map(|duty| duty.person.id.as_str()).collect();
    shown.extend(detail.responsible.iter().map(|person| person.id.as_str()));
    shown.sort_unstable();
    shown.dedup();
    audit(&api, &caller, format!("cell {code}"), &shown).await?;
    Ok(Json(detail))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeopleFilter {
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only people after this one: `next` of the page before.
    after: Option<String>,
}

/// List people with their telephone numbers and duties. Recorded in the audit log.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", operation_id = "listPeople", params(PeopleFilter),
    responses((status = 200, description = "A page", body = Page<PersonView>)))]
pub async fn people(
    State(api): State<Arc<Api>>,
    Params(filter): Params<PeopleFilter>,
    caller: Caller,
) -> Result<Json<Page<PersonView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let all = registry.people();
    let first = match &filter.after {
        None => 0,
        Some(id) => {
            let unknown = || ApiError::query("after", format!("there is no person `{id}`"));
            all.iter().position(|person| person.id == *id).ok_or_else(unknown)? + 1
        }
    };
    let now = api.clock.now().wall;
    let found: Vec<_> = all[first..]
        .iter()
        .take(limit as usize + 1)
        .map(|person| PersonView::of(person, &registry, now))
        .collect();
    let page = Page::cut(found, limit, |person| person.id.clone());
    let shown: Vec<_> = page.items.iter().map(|person| person.id.as_str()).collect();
    audit(&api, &caller, "people".into(), &shown).await?;
    Ok(Json(page))
}

/// One person with telephone number, contacts, duties and absences. Recorded in the audit log.
#[utoipa::path(get, path = "/api/v1/people/{id}", tag = "people", operation_id = "getPerson",
    params(("id" = String, Path, description = "Id of the person")),
    responses((status = 200, description = "The person", body = PersonView)))]
pub async fn person(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<PersonView>, ApiError> {
    let registry = api.world.load().registry.clone();
    let person =
        registry.person(&id).ok_or_else(|| ApiError::not_found(format!("There is no person `{id}`.")))?;
    let view = PersonView::of(person, &registry, api.clock.now().wall);
    audit(&api, &caller, "person".into(), &[id.as_str()]).await?;
    Ok(Json(view))
}

/// Who looked at whom; on disk before it is shown.
pub(super) async fn audit(
    api: &Api,
    caller: &Caller,
    target: String,
    shown: &[&str],
) -> Result<(), ApiError> {
    if shown.is_empty() {
        return Ok(());
    }
    let line = Audit {
        at: api.clock.now().wall,
        who: caller.name.to_string(),
        what: "people.read".into(),
        target,
        detail: shown.join(" "),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    Ok(())
}
