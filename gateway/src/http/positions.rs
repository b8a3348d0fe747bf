//! Where the people on duty are: told by their own phones, shown to whoever sends people.
//!
//! For one purpose and no other: to send the nearest. So a place is taken and shown only while its person has a duty, the newest one only and for a quarter of an hour
//! ([`crate::live::positions`]); nobody but the person tells it, and who looked at whom is in the audit log before it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::alarms::cells_in;
use super::auth::{Actor, Caller};
use super::extract::{self, Body, Params};
use super::model::Page;
use super::people;
use super::problem::ApiError;
use super::rights::Right;
use crate::grid::Registry;
use crate::live::positions::{KEPT, Position};
use crate::units::{Millis, Now, Steady};
use crate::view::PersonRef;

/// A board asks every few seconds: the same look at the same people is written down once in so long.
const SAME_LOOK: Millis = Millis::from_secs(600);
/// Callers whose looks are remembered; beyond that every look is written down anew.
const LOOKERS_MAX: usize = 1_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MyPosition {
    /// Degrees north (WGS 84).
    #[schema(minimum = -90, maximum = 90, example = 32.1025)]
    pub lat: f64,
    /// Degrees east (WGS 84).
    #[schema(minimum = -180, maximum = 180, example = 118.9051)]
    pub lon: f64,
    /// Radius of the circle in which the phone says that it is.
    pub accuracy_m: Option<f64>,
    /// When it was measured; now, when left out.
    #[schema(format = DateTime)]
    pub at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PositionView {
    pub person: PersonRef,
    pub lat: f64,
    pub lon: f64,
    pub accuracy_m: Option<f64>,
    #[schema(format = DateTime)]
    pub at: String,
    /// Codes of the cells in which the person has a duty now, of those the caller may see.
    pub cells: Vec<String>,
}

/// Say where you are. Taken only from a person on duty, kept for 15 minutes, never written to disk.
#[utoipa::path(put, path = "/api/v1/me/position", tag = "people", operation_id = "putMyPosition", request_body = MyPosition,
    responses((status = 204, description = "It is known")))]
pub async fn put(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<MyPosition>,
) -> Result<StatusCode, ApiError> {
    let now = api.clock.now();
    let person = me(&actor.0)?;
    let place = placed(body.lat, body.lon)?;
    let accuracy_m = body.accuracy_m.filter(|metres| metres.is_finite() && 0.0 <= *metres);
    let measured = body.at.as_deref().map(|text| extract::moment("at", text)).transpose()?;
    // A phone's clock may be ahead.
    let at = measured.unwrap_or(now.wall).min(now.wall);
    if KEPT <= now.wall.since(at) {
        return Err(ApiError::body("at", format!("it is older than {KEPT}; say where you are now")));
    }
    if !api.world.load().registry.all_on_duty(now.wall).any(|(_, _, on_duty)| on_duty.id == person) {
        api.live.positions.forget(person);
        let detail = "You have no duty now, and where you are is nobody's business.".into();
        return Err(ApiError::named(StatusCode::CONFLICT, "off-duty", "Only on duty", detail));
    }
    api.live.positions.put(person, Position { lon_lat: place, accuracy_m, at, received: now.steady });
    Ok(StatusCode::NO_CONTENT)
}

/// Forget where you are.
#[utoipa::path(delete, path = "/api/v1/me/position", tag = "people", operation_id = "deleteMyPosition",
    responses((status = 204, description = "It is forgotten")))]
pub async fn withdraw(State(api): State<Arc<Api>>, actor: Actor) -> Result<StatusCode, ApiError> {
    api.live.positions.forget(me(&actor.0)?);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PositionFilter {
    /// Code of a cell: people on duty in it or in a cell below it.
    cell: Option<String>,
}

/// Where the people on duty are. Recorded in the audit log, the same look once in 10 minutes.
#[utoipa::path(get, path = "/api/v1/positions", tag = "people", operation_id = "listPositions", params(PositionFilter),
    responses((status = 200, description = "All on one page, by person", body = Page<PositionView>)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Params(filter): Params<PositionFilter>,
    caller: Caller,
) -> Result<Json<Page<PositionView>>, ApiError> {
    let registry = api.world.load().registry.clone();
    let wanted = filter.cell.as_deref().map(|code| cells_in(code, &registry)).transpose()?;
    let now = api.clock.now();
    let items = seen(&api, &caller, &registry, now, wanted.as_deref());
    let shown: BTreeSet<String> = items.iter().map(|item| item.person.id.clone()).collect();
    if looks(&api).is_new(&caller.who(), &shown, now.steady) {
        let shown: Vec<_> = shown.iter().map(String::as_str).collect();
        people::audit(&api, &caller, "positions".into(), &shown).await?;
        let shown = shown.into_iter().map(str::to_owned).collect();
        looks(&api).remember(caller.who(), shown, now.steady);
    }
    Ok(Json(Page { items, next: None }))
}

fn looks(api: &Api) -> std::sync::MutexGuard<'_, Looks> {
    api.own.looks.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seen(
    api: &Api,
    caller: &Caller,
    registry: &Registry,
    now: Now,
    wanted: Option<&[String]>,
) -> Vec<PositionView> {
    let area = caller.area(Right::Positions, registry, now.wall);
    let mut cells_of: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (cell, _, person) in registry.all_on_duty(now.wall).filter(|(cell, ..)| area.has(*cell, registry)) {
        let Some(cell) = registry.cell(cell) else { continue };
        if wanted.is_none_or(|codes| codes.contains(&cell.code)) {
            cells_of.entry(&person.id).or_default().push(cell.code.clone());
        }
    }
    let view = |(id, mut cells): (&str, Vec<String>)| {
        let Position { lon_lat: [lon, lat], accuracy_m, at, .. } = api.live.positions.of(id, now)?;
        cells.dedup(); // Cells come in their order.
        let person = PersonRef::of(id, registry);
        Some(PositionView { person, lat, lon, accuracy_m, at: at.rfc3339(), cells })
    };
    cells_of.into_iter().filter_map(view).collect()
}

fn me(caller: &Caller) -> Result<&str, ApiError> {
    caller.person.as_deref().ok_or_else(|| {
        let detail = format!("The account `{}` belongs to no person of the registry.", caller.name);
        ApiError::named(StatusCode::CONFLICT, "no-person", "This account is nobody's", detail)
    })
}

/// Longitude and latitude, if there is such a place.
pub(super) fn placed(lat: f64, lon: f64) -> Result<[f64; 2], ApiError> {
    match (lat.is_finite() && lat.abs() <= 90.0, lon.is_finite() && lon.abs() <= 180.0) {
        (true, true) => Ok([lon, lat]),
        (false, _) => Err(ApiError::body("lat", "give degrees from -90 to 90")),
        (true, false) => Err(ApiError::body("lon", "give degrees from -180 to 180")),
    }
}

/// Who has looked at whom lately, so that a board does not fill the audit log.
#[derive(Default)]
pub struct Looks(BTreeMap<String, (Steady, BTreeSet<String>)>);

impl Looks {
    /// Whether somebody is shown who was not before, or not for a while.
    fn is_new(&self, who: &str, shown: &BTreeSet<String>, now: Steady) -> bool {
        let known = self.0.get(who).filter(|(at, _)| now.since(*at) < SAME_LOOK);
        !known.map_or(shown.is_empty(), |(_, known)| shown.is_subset(known))
    }

    /// Only after it is written down.
    fn remember(&mut self, who: String, shown: BTreeSet<String>, now: Steady) {
        if LOOKERS_MAX <= self.0.len() {
            self.0.clear();
        }
        self.0.insert(who, (now, shown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_look_is_written_down_once_in_ten_minutes() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let at = |seconds: u64| Steady(seconds * 1000);
        let mut looks = Looks::default();
        assert!(!looks.is_new("desk", &set(&[]), at(0)), "nobody was shown");
        assert!(looks.is_new("desk", &set(&["wang", "li"]), at(0)));
        looks.remember("desk".into(), set(&["wang", "li"]), at(0));
        assert!(!looks.is_new("desk", &set(&["wang"]), at(599)));
        assert!(looks.is_new("desk", &set(&["wang", "zhao"]), at(1)), "another person");
        assert!(looks.is_new("board", &set(&["wang"]), at(1)), "another reader");
        assert!(looks.is_new("desk", &set(&["wang"]), at(600)));
    }

    #[test]
    fn only_places_on_earth_are_taken() {
        assert_eq!(placed(32.1, 118.9).unwrap(), [118.9, 32.1]);
        for (lat, lon) in [(90.1, 0.0), (0.0, 180.5), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert!(placed(lat, lon).is_err(), "{lat} {lon}");
        }
    }
}
