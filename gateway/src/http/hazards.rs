//! Hazards (隐患) that people see on their way: a kind, a place, and an alarm of an ordinary class with owner and ladder like any other.
//!
//! [`Hazard`] is the list of kinds, for workers here and for residents in `resident.rs`. A fire is none of them: it is raised as an alarm, or called in to 119.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::alarms::act;
use super::auth::Actor;
use super::extract::{self, Body};
use super::positions::placed;
use super::problem::ApiError;
use super::rights::Right;
use crate::grid::Registry;
use crate::grid::locate::Locator;
use crate::model::{CellIx, Deed, Reporter, SignalClass};
use crate::view::AlarmView;

pub const PLACE_CHARACTERS_MAX: usize = 80;
pub const NOTE_CHARACTERS_MAX: usize = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hazard {
    BlockedFireLane,
    BlockedExit,
    /// An electric bicycle in a staircase or lift, or charged by a cable out of a window.
    EbikeIndoors,
    GasSmell,
    BadWiring,
    Combustibles,
    BrokenFireEquipment,
    Hydrant,
    Other,
}

impl Hazard {
    /// What is written into the alarm's line.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::BlockedFireLane => "消防车通道堵塞",
            Self::BlockedExit => "疏散通道或安全出口堵塞",
            Self::EbikeIndoors => "电动自行车进楼或飞线充电",
            Self::GasSmell => "燃气异味",
            Self::BadWiring => "私拉乱接电线",
            Self::Combustibles => "可燃物堆积",
            Self::BrokenFireEquipment => "消防设施损坏",
            Self::Hydrant => "消火栓损坏或被圈占",
            Self::Other => "其他隐患",
        }
    }

    /// What must be looked at soon, and what can wait for a tool.
    pub const fn class(self) -> SignalClass {
        match self {
            Self::BlockedFireLane
            | Self::BlockedExit
            | Self::EbikeIndoors
            | Self::GasSmell
            | Self::BadWiring
            | Self::Combustibles
            | Self::Hydrant => SignalClass::Supervisory,
            Self::BrokenFireEquipment | Self::Other => SignalClass::Trouble,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HazardReport {
    pub kind: Hazard,
    /// Code of the cell; or leave it out and give `lat` and `lon`.
    #[schema(example = "320113-XL-01-03")]
    pub cell: Option<String>,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    /// Where exactly, up to 80 characters.
    #[schema(example = "3栋2单元门口")]
    pub place: Option<String>,
    /// Up to 300 characters.
    pub note: Option<String>,
}

/// Report a hazard where you stand. It becomes an alarm with an owner; a photo is attached to that.
///
/// Of several schemes' cells at the place the first counts that you answer for. The same words again while it is open count as a repetition.
#[utoipa::path(post, path = "/api/v1/hazards", tag = "alarms", operation_id = "reportHazard", request_body = HazardReport,
    responses((status = 201, description = "The alarm", body = AlarmView,
        headers(("location" = String, description = "Where the alarm is")))))]
pub async fn report(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<HazardReport>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<AlarmView>), ApiError> {
    let now = api.clock.now().wall;
    let text = text("隐患", body.kind, body.place.as_deref(), body.note.as_deref())?;
    let cell = {
        let registry = &api.world.load().registry;
        let area = actor.0.area(Right::Raise, registry, now);
        let cell = match (&body.cell, body.lat.zip(body.lon)) {
            (Some(code), _) => {
                let cell = registry.cell_by_code(code).filter(|cell| !cell.retired);
                cell.ok_or_else(|| ApiError::body("cell", format!("there is no cell `{code}`")))?.ix
            }
            (None, Some((lat, lon))) => {
                let here = cells_at(registry, placed(lat, lon)?);
                let own = here.iter().find(|cell| area.has(**cell, registry)).or(here.first());
                *own.ok_or_else(|| ApiError::body("lat", "this place lies in no cell; give the cell's code"))?
            }
            (None, None) => return Err(ApiError::body("cell", "give a cell, or `lat` and `lon`")),
        };
        actor.0.may(Right::Raise, cell, registry, now)?;
        cell
    };
    let deed = Deed::Report { cell, class: body.kind.class(), by: Reporter::Worker, text };
    let alarm = act(&api, &actor.0, deed).await?;
    let place = format!("/api/v1/alarms/{}", alarm.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(alarm)))
}

fn cells_at(registry: &Registry, place: [f64; 2]) -> Vec<CellIx> {
    Locator::new(registry.cells()).cells_at(place).into_iter().map(|cell| cell.ix).collect()
}

/// One line for a person, such as `隐患：消防车通道堵塞，3栋门口（货车）`.
pub fn text(from: &str, kind: Hazard, place: Option<&str>, note: Option<&str>) -> Result<String, ApiError> {
    let given = |text: Option<&str>, field: &str, most: usize| {
        let text = text.filter(|text| !text.trim().is_empty());
        text.map(|text| extract::text(field, text, most)).transpose()
    };
    let mut line = format!("{from}：{}", kind.zh());
    if let Some(place) = given(place, "place", PLACE_CHARACTERS_MAX)? {
        line.push_str(&format!("，{place}"));
    }
    if let Some(note) = given(note, "note", NOTE_CHARACTERS_MAX)? {
        line.push_str(&format!("（{}）", note.replace('\n', " ")));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hazard_reads_as_one_line_and_is_never_a_fire() {
        let line = text("隐患", Hazard::BlockedFireLane, Some(" 3栋门口 "), Some("货车\n占道"));
        assert_eq!(line.unwrap(), "隐患：消防车通道堵塞，3栋门口（货车 占道）");
        assert_eq!(text("隐患", Hazard::Other, Some(" "), None).unwrap(), "隐患：其他隐患");
        assert!(text("隐患", Hazard::Other, Some(&"长".repeat(81)), None).is_err());
        for kind in [Hazard::GasSmell, Hazard::Hydrant, Hazard::Other, Hazard::BrokenFireEquipment] {
            assert!(SignalClass::Fire < kind.class());
        }
    }
}
