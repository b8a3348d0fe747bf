//! Each person's results in drills and roll-calls over time.
//!
//! Bounded in time, and by how many alarms one look goes through ([`Look`]); `cut` says that there was more.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::exercises::Look;
use super::extract::Params;
use super::history::time;
use super::problem::ApiError;
use crate::model::Entry;
use crate::practice::{People, Practice};
use crate::units::{Millis, Timestamp};
use crate::view::PersonRef;

const DAY: Millis = Millis::from_secs(24 * 3600);
const YEAR: Millis = Millis(366 * DAY.0);
const LONGEST: Millis = Millis(3 * YEAR.0);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PracticeFilter {
    /// Code of a cell: exercises in it and in every cell below it.
    cell: Option<String>,
    /// Id of a person: only his results.
    person: Option<String>,
    /// RFC 3339; 366 days before `to` when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// RFC 3339, not included; now when left out. At most three years after `from`.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PracticeView {
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub to: String,
    /// By id.
    pub people: Vec<PersonPractice>,
    /// There were more exercises than are looked at: the oldest are left out.
    pub cut: bool,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PersonPractice {
    pub person: PersonRef,
    pub all: Practice,
    /// Those in which there was something, oldest first.
    pub months: Vec<MonthPractice>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MonthPractice {
    /// Of the station's calendar.
    #[schema(example = "2026-11")]
    pub month: String,
    pub practice: Practice,
}

/// How each person did in drills and roll-calls, over the whole time and month by month.
#[utoipa::path(get, path = "/api/v1/practice", tag = "exercises", operation_id = "getPractice", params(PracticeFilter),
    responses((status = 200, description = "The results", body = PracticeView)))]
pub async fn practice(
    State(api): State<Arc<Api>>,
    Params(filter): Params<PracticeFilter>,
    caller: Caller,
) -> Result<Json<PracticeView>, ApiError> {
    let to = time("to", filter.to.as_deref())?.unwrap_or(api.clock.now().wall);
    let from = time("from", filter.from.as_deref())?.unwrap_or(to - YEAR);
    if to <= from || LONGEST < to.since(from) {
        return Err(ApiError::query("from", "it must lie before `to`, by three years at most"));
    }
    let registry = api.world.load().registry.clone();
    let mut look = Look::of(&api, &caller, filter.cell.as_deref())?;
    look.back_from(to).await?;
    let (people, whole) = since(&api, &mut look, from, to).await?;
    let people = people.practice().filter(|(id, ..)| filter.person.as_ref().is_none_or(|one| one == id));
    let month = |(month, practice)| MonthPractice { month, practice };
    let people = people.map(|(id, all, months)| PersonPractice {
        person: PersonRef::of(&id, &registry),
        all,
        months: months.into_iter().map(month).collect(),
    });
    Ok(Json(PracticeView { from: from.rfc3339(), to: to.rfc3339(), people: people.collect(), cut: !whole }))
}

/// What was begun in this time, and whether all of it was looked at.
async fn since(
    api: &Api,
    look: &mut Look,
    from: Timestamp,
    to: Timestamp,
) -> Result<(People, bool), ApiError> {
    let zone = api.world.load().registry.rows().zone.clone();
    let mut people = People::default();
    while let Some(alarms) = look.more().await? {
        for alarm in alarms {
            if alarm.raised < from {
                return Ok((people, true)); // Numbers are given in the order of raising.
            }
            if to <= alarm.raised {
                continue;
            }
            let history: Vec<Entry> = match alarm.drill() {
                Some(_) => api.store.entries(alarm.id).await?.into_iter().map(|(_, entry)| entry).collect(),
                None => Vec::new(),
            };
            people.add(&alarm, &history, &zone);
        }
    }
    Ok((people, look.at_end))
}
