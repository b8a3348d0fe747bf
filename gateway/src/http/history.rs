//! What was: values over time, and the messages that could not be used.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::auth::Caller;
use super::extract::{self, Params};
use super::model::{DeadLetterView, Page, Series};
use super::problem::ApiError;
use super::rights::Right;
use crate::model::Metric;
use crate::units::{Millis, Timestamp};

const PAGE_MAX: u32 = 200;
const POINTS_MAX: u32 = 5_000;
const DAY: Millis = Millis::from_secs(24 * 3600);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeriesFilter {
    /// Id of a device.
    device: String,
    /// Name of a metric.
    #[param(example = "pressure")]
    metric: String,
    /// RFC 3339; without it, one day before `to`.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// RFC 3339, not included; without it, now.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// The most items to answer with, 1 to 5,000.
    #[param(minimum = 1, maximum = 5000, default = 500)]
    points: Option<u32>,
}

/// Values of one device and metric over time, from the local history.
#[utoipa::path(get, path = "/api/v1/series", tag = "grid", operation_id = "getSeries", params(SeriesFilter),
    responses((status = 200, description = "In order of time", body = Series)))]
pub async fn series(
    State(api): State<Arc<Api>>,
    Params(filter): Params<SeriesFilter>,
    caller: Caller,
) -> Result<Json<Series>, ApiError> {
    let unknown = |field: &str, text: &str| ApiError::query(field, format!("there is no {field} `{text}`"));
    let metric = Metric::from_name(&filter.metric).ok_or_else(|| unknown("metric", &filter.metric))?;
    let device = {
        let world = api.world.load();
        let area = caller.area(Right::Devices, &world.registry, api.clock.now().wall);
        let device = world.registry.device_by_id(&filter.device);
        let device = device.filter(|device| area.has_device(device, &world.registry));
        device.ok_or_else(|| unknown("device", &filter.device))?.ix
    };
    let to = time("to", filter.to.as_deref())?.unwrap_or(api.clock.now().wall + Millis(1));
    let from = time("from", filter.from.as_deref())?.unwrap_or(to - DAY);
    if to <= from {
        return Err(ApiError::query("from", "it must be before `to`"));
    }
    let points = match filter.points {
        None => 500,
        Some(points) if (1..=POINTS_MAX).contains(&points) => points,
        Some(_) => return Err(ApiError::query("points", format!("give 1 to {POINTS_MAX}"))),
    };
    let samples = api.store.series(device, metric, from, to, points).await?;
    Ok(Json(Series::of(&filter.device, metric, from, to, &samples)))
}

pub fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = "give RFC 3339 with an offset, such as 2026-11-23T03:00:00Z (in an address, write + as %2B)";
    Timestamp::parse_rfc3339(text).map(Some).ok_or_else(|| ApiError::query(field, wrong))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterFilter {
    /// Items on a page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only letters before this number: `next` of the page before.
    before: Option<u64>,
}

/// Messages that could not be used, newest first, each with the reason.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "station", operation_id = "listDeadLetters",
    params(DeadLetterFilter),
    responses((status = 200, description = "A page", body = Page<DeadLetterView>)))]
pub async fn dead_letters(
    State(api): State<Arc<Api>>,
    Params(filter): Params<DeadLetterFilter>,
) -> Result<Json<Page<DeadLetterView>>, ApiError> {
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let letters = api.store.dead_letters(filter.before, limit + 1).await?;
    let views = letters.iter().map(|(number, letter)| DeadLetterView::of(*number, letter)).collect();
    Ok(Json(Page::cut(views, limit, |letter: &DeadLetterView| letter.number.to_string())))
}
