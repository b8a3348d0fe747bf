//! The indicators of ISA-18.2, IEC 62682 and EEMUA 191 over a time: of the station, by week, by cell and by person.
//!
//! Bounded: 31 days and 100,000 alarms at the most. What they mean stands in docs/indicators.md.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::aside::aside;
use super::auth::Caller;
use super::extract::Params;
use super::history::time;
use super::problem::ApiError;
use super::rights::Right;
use crate::indicators::{self, Chatterer, Indicators, LINES_MAX};
use crate::model::{Alarm, AlarmId};
use crate::units::{Millis, Timestamp};

const DAY: Millis = Millis::from_secs(24 * 3600);
const WEEK: Millis = Millis(7 * DAY.0);
const LONGEST: Millis = Millis(31 * DAY.0);
const ALARMS_MAX: u32 = 100_000;
const TOLD_MAX: u32 = 400_000;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IndicatorFilter {
    /// RFC 3339; seven days before `to` when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// RFC 3339, not included; now when left out. At most 31 days after `from`.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IndicatorsView {
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub to: String,
    /// Of all alarms that the caller may see.
    pub all: Indicators,
    /// Seven days each, counted back from the end; the oldest may be shorter.
    pub weeks: Vec<Part>,
    /// By code of the cell, the one with the most alarms first; 100 at the most.
    pub cells: Vec<Part>,
    /// By id of the person who was told, the one with the most alarms first; 100 at the most.
    pub people: Vec<Part>,
    pub chattering: Vec<Chatterer>,
    /// There were more alarms or alerts than are looked at: the oldest are left out.
    pub cut: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Part {
    /// A moment (of a week its beginning), the code of a cell, or the id of a person.
    pub of: String,
    pub indicators: Indicators,
}

/// How well the alarm system serves people: load, floods, priorities, stale and chattering alarms, and how long people took.
#[utoipa::path(get, path = "/api/v1/indicators", tag = "learning", operation_id = "getIndicators", params(IndicatorFilter),
    responses((status = 200, description = "The indicators", body = IndicatorsView)))]
pub async fn indicators(
    State(api): State<Arc<Api>>,
    Params(filter): Params<IndicatorFilter>,
    caller: Caller,
) -> Result<Json<IndicatorsView>, ApiError> {
    let now = api.clock.now().wall;
    let to = time("to", filter.to.as_deref())?.unwrap_or(now);
    let from = time("from", filter.from.as_deref())?.unwrap_or(to - WEEK);
    if to <= from || LONGEST < to.since(from) {
        return Err(ApiError::query("from", "it must lie before `to`, by 31 days at most"));
    }
    let (mut alarms, cut) = api.store.alarms_between(from, to, ALARMS_MAX).await?;
    let (mut told, told_cut) = api.store.told_between(from, to, TOLD_MAX).await?;
    let registry = api.world.load().registry.clone();
    let area = caller.area(Right::Learning, &registry, now);
    alarms.retain(|alarm| area.has(alarm.cell, &registry));
    let view = aside(move || {
        let known: BTreeMap<AlarmId, &Alarm> = alarms.iter().map(|alarm| (alarm.id, alarm)).collect();
        told.retain(|one| known.contains_key(&one.alarm));
        let of = |some: Vec<&Alarm>, from: Timestamp, to: Timestamp| {
            indicators::of(some.into_iter().map(|alarm| (alarm, alarm.raised)), from, to, now)
        };
        let mut cells: BTreeMap<&str, Vec<&Alarm>> = BTreeMap::new();
        for alarm in &alarms {
            cells.entry(&alarm.cell_code).or_default().push(alarm);
        }
        let cells =
            cells.into_iter().map(|(cell, some)| Part { of: cell.into(), indicators: of(some, from, to) });
        let people = indicators::by_person(&told);
        let people = people.into_iter().map(|(person, presented)| Part {
            of: person.into(),
            indicators: indicators::of(
                presented.into_iter().filter_map(|(id, at)| Some((*known.get(&id)?, at))),
                from,
                to,
                now,
            ),
        });
        let mut weeks = Vec::new();
        let mut end = to;
        while from < end {
            let begin = from.max(end - WEEK);
            weeks.push(Part { of: begin.rfc3339(), indicators: of(alarms.iter().collect(), begin, end) });
            end = begin;
        }
        IndicatorsView {
            from: from.rfc3339(),
            to: to.rfc3339(),
            all: of(alarms.iter().collect(), from, to),
            weeks,
            cells: busiest(cells.collect()),
            people: busiest(people.collect()),
            chattering: indicators::chatterers(&alarms),
            cut: cut || told_cut,
        }
    });
    Ok(Json(view.await?))
}

fn busiest(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by(|a, b| b.indicators.alarms.cmp(&a.indicators.alarms).then_with(|| a.of.cmp(&b.of)));
    parts.truncate(LINES_MAX);
    parts
}
