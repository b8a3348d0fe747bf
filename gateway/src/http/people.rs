//! People and their telephone numbers: whatever shows one writes a line to the audit log first, and shows nothing when it cannot. Without the right to it a number is masked.

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
use super::rights::{self, Area, Right};
use crate::grid::{Person, Registry};
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
    let now = api.clock.now().wall;
    let area = caller.area(Right::Cells, &registry, now);
    let cell =
        registry.cell_by_code(&code).filter(|cell| area.has(cell.ix, &registry)).ok_or_else(unknown)?;
    let mut detail = CellDetail::of(cell, &registry, now);
    if !caller.personal(Right::Cells, &registry, now).has(cell.ix, &registry) {
        let people =
            detail.on_duty.iter_mut().map(|duty| &mut duty.person).chain(detail.responsible.as_mut());
        people.for_each(|person| person.phone = rights::masked(&person.phone));
        return Ok(Json(detail));
    }
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
    let (area, personal) =
        (caller.area(Right::People, &registry, now), caller.personal(Right::People, &registry, now));
    let inside = |person: &Person, area: &Area| within(person, area, &caller, &registry);
    let view = |person: &Person| {
        let view = PersonView::of(person, &registry, now);
        if inside(person, &personal) { view } else { view.masked() }
    };
    let seen = all[first..].iter().filter(|person| inside(person, &area));
    let found: Vec<_> = seen.take(limit as usize + 1).map(view).collect();
    let page = Page::cut(found, limit, |person| person.id.clone());
    let bare = |id: &str| registry.person(id).is_some_and(|person| inside(person, &personal));
    let shown: Vec<_> = page.items.iter().map(|person| person.id.as_str()).filter(|id| bare(id)).collect();
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
    let now = api.clock.now().wall;
    let (area, personal) =
        (caller.area(Right::People, &registry, now), caller.personal(Right::People, &registry, now));
    let unknown = || ApiError::not_found(format!("There is no person `{id}`."));
    let person = registry
        .person(&id)
        .filter(|person| within(person, &area, &caller, &registry))
        .ok_or_else(unknown)?;
    let view = PersonView::of(person, &registry, now);
    if !within(person, &personal, &caller, &registry) {
        return Ok(Json(view.masked()));
    }
    audit(&api, &caller, "person".into(), &[id.as_str()]).await?;
    Ok(Json(view))
}

/// Whether the person has a duty in the area, or is the caller himself.
pub(super) fn within(person: &Person, area: &Area, caller: &Caller, registry: &Registry) -> bool {
    *area == Area::Everywhere
        || caller.person.as_deref() == Some(&person.id)
        || registry
            .rows()
            .duties
            .iter()
            .any(|duty| duty.person == person.id && area.has_code(&duty.cell, registry))
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
        who: caller.who(),
        what: "people.read".into(),
        target,
        detail: shown.join(" "),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    Ok(())
}
