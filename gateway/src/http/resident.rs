//! What a resident sees and sends who scans the code on a cell's board: without a log-in, within a limit, and believed only so far.
//!
//! A report becomes an alarm with the rule `reported`, of an ordinary class, to whoever answers for the cell; never a fire, whatever it says. The answer tells nothing about people or other alarms.
//! [`Allowance`] is in memory: a restart forgets it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::extract::Body;
use super::hazards::{self, Hazard};
use super::listen::From as Peer;
use super::photos;
use super::problem::ApiError;
use crate::accounts::throttle::address_of;
use crate::grid::Cell;
use crate::model::{Action, Deed, Reporter};
use crate::store::attachments::RESIDENT;
use crate::store::points::code_of;
use crate::units::{Millis, Steady};

/// Under this name residents' reports stand in the history, and their photos beside them.
pub const WHO: &str = RESIDENT;
const HOUR: Millis = Millis::from_secs(3600);
/// A household may share one address; a cell is a hundred households.
const EACH_ADDRESS: u32 = 5;
const EACH_CELL: u32 = 20;
/// Addresses and cells that are counted; beyond that the oldest is forgotten.
const COUNTED_MAX: usize = 10_000;

#[derive(Debug, Serialize, ToSchema)]
pub struct BoardFront {
    pub cell: String,
    /// Names from the root of the scheme down to the cell.
    pub path: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResidentReport {
    pub kind: Hazard,
    /// Where exactly, up to 80 characters.
    pub place: String,
    /// Up to 300 characters.
    pub note: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Received {
    /// To ask after it at the station.
    #[schema(example = "A-17")]
    pub reference: String,
    /// Where one photo may be sent within 15 minutes.
    #[schema(example = "/api/v1/report/8D3K9QWX2MTV/photo/ABC")]
    pub photo: String,
}

/// How many reports have come in the last hour, by address and by cell.
#[derive(Default)]
pub struct Allowance(BTreeMap<String, (Steady, u32)>);

impl Allowance {
    /// Counts one report, or says how long to wait.
    fn take(&mut self, address: &str, cell: &str, now: Steady) -> Result<(), Millis> {
        let keys = [(format!("a {address}"), EACH_ADDRESS), (format!("c {cell}"), EACH_CELL)];
        self.0.retain(|_, (begun, _)| now.since(*begun) < HOUR);
        for (key, most) in &keys {
            if let Some((begun, _)) = self.0.get(key).filter(|(_, count)| *most <= *count) {
                return Err(Millis(HOUR.0 - now.since(*begun).0));
            }
        }
        for (key, _) in keys {
            if COUNTED_MAX <= self.0.len() && !self.0.contains_key(&key) {
                let oldest = self.0.iter().min_by_key(|(_, (begun, _))| *begun).map(|(key, _)| key.clone());
                oldest.and_then(|key| self.0.remove(&key));
            }
            self.0.entry(key).or_insert((now, 0)).1 += 1;
        }
        Ok(())
    }
}

async fn cell(api: &Api, token: &str) -> Result<Cell, ApiError> {
    let unknown = || ApiError::not_found("This code is not valid any more. If you see fire, call 119.");
    let point = match code_of(token) {
        Some(code) => api.store.point(&code).await?,
        None => None,
    };
    let point = point.ok_or_else(unknown)?;
    let registry = &api.world.load().registry;
    registry.cell_by_code(&point.place.cell).filter(|cell| !cell.retired).cloned().ok_or_else(unknown)
}

/// Which cell this code is for. Nothing about people.
#[utoipa::path(get, path = "/api/v1/report/{token}", tag = "resident", operation_id = "getBoardFront", security(()),
    params(("token" = String, Path, description = "What is printed on the board")),
    responses((status = 200, description = "The cell", body = BoardFront)))]
pub async fn front(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
) -> Result<Json<BoardFront>, ApiError> {
    let cell = cell(&api, &token).await?;
    let registry = &api.world.load().registry;
    Ok(Json(BoardFront { path: registry.names_down_to(cell.ix), cell: cell.name }))
}

/// Report a hazard as a resident. Whoever answers for the cell is told. In a fire call 119: this is read when there is time.
#[utoipa::path(post, path = "/api/v1/report/{token}", tag = "resident", operation_id = "reportAsResident", security(()),
    params(("token" = String, Path, description = "What is printed on the board")), request_body = ResidentReport,
    responses((status = 201, description = "It is on disk", body = Received)))]
pub async fn report(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
    Peer(ip): Peer,
    Body(body): Body<ResidentReport>,
) -> Result<(StatusCode, Json<Received>), ApiError> {
    let cell = cell(&api, &token).await?;
    if body.place.trim().is_empty() {
        return Err(ApiError::body("place", "it is empty"));
    }
    let text = hazards::text("居民上报", body.kind, Some(&body.place), body.note.as_deref())?;
    let address = ip.map_or("unknown".into(), address_of);
    let taken = {
        let mut allowance = api.own.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.take(&address, &cell.code, api.clock.now().steady)
    };
    taken.map_err(|wait| {
        let detail =
            format!("Enough was reported from here; try again in {wait}. If you see fire, call 119.");
        ApiError::named(StatusCode::TOO_MANY_REQUESTS, "too-many-reports", "Too many reports", detail)
    })?;
    let what = Deed::Report { cell: cell.ix, class: body.kind.class(), by: Reporter::Resident, text };
    let alarm = api.inlet.act(Action { who: WHO.into(), what }).await??;
    let photo = photos::address(&api, &token, alarm);
    Ok((StatusCode::CREATED, Json(Received { reference: alarm.to_string(), photo })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_cell_have_their_share_each_hour() {
        let at = |seconds: u64| Steady(seconds * 1000);
        let mut allowance = Allowance::default();
        for _ in 0..EACH_ADDRESS {
            assert_eq!(allowance.take("10.0.0.1", "G1", at(10)), Ok(()));
        }
        assert_eq!(allowance.take("10.0.0.1", "G1", at(20)), Err(Millis::from_secs(3590)));
        assert_eq!(
            allowance.take("10.0.0.1", "G2", at(20)),
            Err(Millis::from_secs(3590)),
            "elsewhere neither"
        );
        for other in 0..EACH_CELL - EACH_ADDRESS {
            assert_eq!(allowance.take(&format!("10.0.1.{other}"), "G1", at(30)), Ok(()));
        }
        assert!(allowance.take("10.0.2.1", "G1", at(40)).is_err(), "the cell has had enough");
        assert_eq!(allowance.take("10.0.2.1", "G2", at(40)), Ok(()));
        assert_eq!(allowance.take("10.0.0.1", "G1", at(3610)), Ok(()), "an hour later");
    }

    #[test]
    fn memory_has_a_limit() {
        let mut allowance = Allowance::default();
        for number in 0..COUNTED_MAX + 10 {
            let _ = allowance.take(&format!("{number}"), &format!("{number}"), Steady(number as u64));
        }
        assert!(allowance.0.len() <= COUNTED_MAX);
    }
}
