//! The roster: who is away, which teams there are, and where the week ahead has gaps.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::alarms::cells_in;
use super::aside::aside;
use super::auth::Caller;
use super::extract::{self, Params, Switch};
use super::model::{AbsenceView, GapView, Page, TeamView, TrainingView, Vacancies};
use super::people::{audit, within};
use super::problem::ApiError;
use super::rights::Right;
use crate::grid::{Team, vacancy};
use crate::view::PersonRef;

const PAGE_MAX: u32 = 500;
const GAPS_MAX: u32 = 5_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VacancyFilter {
    /// Code of a cell: gaps of it and of every cell below it.
    cell: Option<String>,
    /// Only gaps for which nobody above answers either.
    #[param(value_type = Option<bool>)]
    uncovered: Option<Switch>,
    /// Gaps in the answer, 1 to 5,000.
    #[param(minimum = 1, maximum = 5_000, default = 50)]
    limit: Option<u32>,
}

/// Gaps of the week ahead, and training that runs out.
///
/// A gap is a time in which nobody with a duty in the very cell answers for it. Those that nobody above covers are trouble alarms too.
#[utoipa::path(get, path = "/api/v1/vacancies", tag = "people", operation_id = "listVacancies", params(VacancyFilter),
    responses((status = 200, description = "The gaps", body = Vacancies)))]
pub async fn vacancies(
    State(api): State<Arc<Api>>,
    Params(filter): Params<VacancyFilter>,
    caller: Caller,
) -> Result<Json<Vacancies>, ApiError> {
    let registry = api.world.load().registry.clone();
    let area = caller.area(Right::Cells, &registry, api.clock.now().wall);
    let limit = extract::limit(filter.limit, GAPS_MAX)? as usize;
    let cells = filter.cell.as_deref().map(|code| cells_in(code, &registry)).transpose()?;
    let from = api.clock.now().wall;
    let until = from + vacancy::AHEAD;
    let looking = registry.clone();
    let mut gaps = aside(move || vacancy::gaps(&looking, from, until)).await?;
    if filter.uncovered == Some(Switch(true)) {
        gaps.retain(|gap| gap.covered_by.is_none());
    }
    gaps.retain(|gap| area.has(gap.cell, &registry));
    let mut views: Vec<_> = gaps.iter().map(|gap| GapView::of(gap, &registry)).collect();
    if let Some(cells) = cells {
        let cells: std::collections::HashSet<String> = cells.into_iter().collect();
        views.retain(|gap| cells.contains(&gap.cell));
    }
    let left_out = views.len().saturating_sub(limit);
    views.truncate(limit);
    let concerned = vacancy::training_runs_out(&registry, from).into_iter();
    let concerned = concerned.filter(|(person, _)| within(person, &area, &caller, &registry));
    let training = concerned.map(|(person, end)| TrainingView {
        person: PersonRef::of(&person.id, &registry),
        trained_until: end.rfc3339(),
    });
    Ok(Json(Vacancies {
        from: from.rfc3339(),
        until: until.rfc3339(),
        gaps: views,
        left_out,
        training: training.collect(),
        version: registry.version(),
    }))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TeamFilter {
    /// Only teams for this cell, or for one above it.
    cell: Option<String>,
    /// Only teams for this device or its primary cell.
    device: Option<String>,
    /// Also those that are over or have not begun.
    #[param(value_type = Option<bool>)]
    all: Option<Switch>,
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only teams after this one: `next` of the page before.
    after: Option<String>,
}

/// List teams by name.
#[utoipa::path(get, path = "/api/v1/teams", tag = "people", operation_id = "listTeams", params(TeamFilter),
    responses((status = 200, description = "A page", body = Page<TeamView>)))]
pub async fn teams(
    State(api): State<Arc<Api>>,
    Params(filter): Params<TeamFilter>,
    caller: Caller,
) -> Result<Json<Page<TeamView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let now = api.clock.now().wall;
    let device = filter.device.as_deref().map(|id| {
        let unknown = || ApiError::query("device", format!("there is no device `{id}`"));
        registry.device_by_id(id).ok_or_else(unknown)
    });
    let device = device.transpose()?;
    let cell = filter.cell.as_deref().map(|code| {
        let unknown = || ApiError::query("cell", format!("there is no cell `{code}`"));
        registry.cell_by_code(code).map(|cell| cell.ix).ok_or_else(unknown)
    });
    let cell = cell.transpose()?.or_else(|| device.and_then(|device| registry.home(device.ix)));
    let concerned = cell.map(|cell| registry.teams_for(cell, device.map(|device| device.ix), now));
    let all = filter.all == Some(Switch(true));
    let area = caller.area(Right::People, &registry, now);
    let mine = |id: &str| registry.person(id).is_some_and(|person| within(person, &area, &caller, &registry));
    let seen = |team: &Team| {
        team.cells.iter().any(|cell| area.has_code(cell, &registry))
            || team.members.iter().any(|member| mine(&member.person))
    };
    let found = registry
        .rows()
        .teams
        .iter()
        .filter(|team| (all || team.covers(now)) && seen(team))
        .filter(|team| concerned.as_ref().is_none_or(|some| some.iter().any(|one| one.name == team.name)))
        .filter(|team| filter.after.as_ref().is_none_or(|after| *after < team.name))
        .take(limit as usize + 1)
        .map(|team| TeamView::of(team, &registry, now))
        .collect();
    Ok(Json(Page::cut(found, limit, |team: &TeamView| team.name.clone())))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AbsenceFilter {
    /// Also those that are over.
    #[param(value_type = Option<bool>)]
    all: Option<Switch>,
    /// Items on a page, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// Only absences after this one: `next` of the page before.
    #[param(example = "wang-li@2026-12-01T00:00:00.000Z")]
    after: Option<String>,
}

/// List absences by person and start. Recorded in the audit log.
#[utoipa::path(get, path = "/api/v1/absences", tag = "people", operation_id = "listAbsences", params(AbsenceFilter),
    responses((status = 200, description = "A page", body = Page<AbsenceView>)))]
pub async fn absences(
    State(api): State<Arc<Api>>,
    Params(filter): Params<AbsenceFilter>,
    caller: Caller,
) -> Result<Json<Page<AbsenceView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let now = api.clock.now().wall;
    let all = filter.all == Some(Switch(true));
    let key = |view: &AbsenceView| (view.person.id.clone(), view.from.clone());
    let after = filter.after.as_deref().and_then(|text| text.rsplit_once('@'));
    if filter.after.is_some() && after.is_none() {
        return Err(ApiError::query("after", "give `next` of the page before"));
    }
    let area = caller.personal(Right::People, &registry, now);
    let mine = |id: &str| registry.person(id).is_some_and(|person| within(person, &area, &caller, &registry));
    let found = registry
        .rows()
        .absences
        .iter()
        .filter(|absence| mine(&absence.person))
        .filter(|absence| all || absence.until.is_none_or(|until| now < until))
        .map(|absence| AbsenceView::of(absence, &registry, now))
        .filter(|view| after.is_none_or(|(person, from)| (person.to_owned(), from.to_owned()) < key(view)))
        .take(limit as usize + 1)
        .collect();
    let page = Page::cut(found, limit, |view| format!("{}@{}", view.person.id, view.from));
    let shown: Vec<_> = page.items.iter().map(|absence| absence.person.id.as_str()).collect();
    audit(&api, &caller, "absences".into(), &shown).await?;
    Ok(Json(page))
}
