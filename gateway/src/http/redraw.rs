//! A cell split along a line, or several put together, by the person at the map: looked at first, then made, whole and in the audit log. What goes with the ground is decided in
//! [`crate::grid::redraw`].

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::auth::{Actor, Caller};
use super::extract::Body;
use super::imports::{Imported, TRIES};
use super::problem::ApiError;
use crate::grid::edit::Refused;
use crate::grid::redraw::{Redraw, Redrawn};
use crate::model::AlarmState;
use crate::store::Audit;
use crate::store::alarms::Query;
use crate::units::Timestamp;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitCell {
    /// Two points of the line, longitude and latitude; it goes on in both directions. What lies to its right becomes the new cell.
    line: [[f64; 2]; 2],
    /// Code of the new cell.
    code: String,
    name: String,
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeCells {
    /// Codes of the cells that become part of this one; 20 at the most.
    others: Vec<String>,
    /// Only say what would change.
    #[serde(default)]
    dry_run: bool,
}

/// Split a cell: what lies to the right of a line becomes a cell of its own, with the devices, doors and people of its ground.
///
/// In force within two seconds. Recorded in the audit log.
#[utoipa::path(post, path = "/api/v1/cells/{code}/split", tag = "grid", operation_id = "splitCell",
    params(("code" = String, Path, description = "Code of the cell")), request_body = SplitCell,
    responses((status = 200, description = "What it changes", body = Imported)))]
pub async fn split(
    State(api): State<Arc<Api>>,
    Path(cell): Path<String>,
    actor: Actor,
    Body(body): Body<SplitCell>,
) -> Result<Json<Imported>, ApiError> {
    let SplitCell { line, code, name, dry_run } = body;
    redraw(&api, &actor.0, Redraw::Split { cell, line, code, name }, dry_run).await
}

/// Put other cells to this one. Their codes stay known, out of service; devices, doors, people and teams follow.
///
/// 409 `cell-in-use` while an alarm stands in one of them, or the rules or an account name it. Recorded in the audit log.
#[utoipa::path(post, path = "/api/v1/cells/{code}/merge", tag = "grid", operation_id = "mergeCells",
    params(("code" = String, Path, description = "Code of the cell that stays")), request_body = MergeCells,
    responses((status = 200, description = "What it changes", body = Imported)))]
pub async fn merge(
    State(api): State<Arc<Api>>,
    Path(cell): Path<String>,
    actor: Actor,
    Body(body): Body<MergeCells>,
) -> Result<Json<Imported>, ApiError> {
    let MergeCells { others, dry_run } = body;
    in_use(&api, &others).await?;
    redraw(&api, &actor.0, Redraw::Merge { cell, others }, dry_run).await
}

/// What names a cell that is to go would find nobody there afterwards.
async fn in_use(api: &Api, codes: &[String]) -> Result<(), ApiError> {
    let open = AlarmState::ALL.into_iter().filter(|state| *state != AlarmState::Closed).collect();
    let standing =
        api.store.alarms(Query { states: open, cells: codes.to_vec(), limit: 1, ..Query::default() });
    let by = match standing.await?.first() {
        Some(alarm) => {
            Some(format!("the alarm {} stands in `{}`: close it first", alarm.id, alarm.cell_code))
        }
        None => {
            let rules = api.world.load().rules_text.clone();
            let accounts = api.store.accounts().await?;
            codes.iter().find_map(|code| {
                let ruled = rules.contains(&format!("\"{code}\"")).then(|| "rules.toml names".to_owned());
                let account = accounts.iter().find(|account| account.cells.contains(code));
                let by =
                    ruled.or_else(|| account.map(|account| format!("the account `{}` has", account.name)));
                by.map(|by| format!("{by} the cell `{code}`: change that first"))
            })
        }
    };
    let refused = |why| {
        ApiError::named(
            StatusCode::CONFLICT,
            "cell-in-use",
            "The cell is in use",
            format!("It cannot go: {why}."),
        )
    };
    by.map_or(Ok(()), |why| Err(refused(why)))
}

async fn redraw(
    api: &Api,
    caller: &Caller,
    redraw: Redraw,
    dry_run: bool,
) -> Result<Json<Imported>, ApiError> {
    for _ in 0..TRIES {
        let rows = api.store.load_registry().await?;
        let (before, now, asked) = (rows.version, api.clock.now().wall, redraw.clone());
        let drawn = tokio::task::spawn_blocking(move || asked.apply(&rows, now)).await;
        let drawn = match drawn.map_err(|fault| ApiError::Internal(fault.into()))? {
            Ok(drawn) => drawn,
            Err(Refused::Unknown(what)) => return Err(ApiError::not_found(what)),
            Err(Refused::Unsound(wrong)) => {
                let title = "It cannot be drawn so";
                return Err(ApiError::named(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "cannot-redraw",
                    title,
                    wrong.join(". "),
                ));
            }
        };
        let Redrawn { rows, mut lines, more_lines, hints } = drawn;
        let count = |sign: char| lines.iter().filter(|line| line.starts_with(sign)).count();
        let (added, changed, retired) = (count('+'), count('~') + more_lines, count('-'));
        if more_lines > 0 {
            lines.push(format!("… {more_lines}"));
        }
        let next = rows.version;
        let stored = !dry_run && api.store.save_registry(rows, audit(&redraw, caller, now, next)).await?;
        if dry_run || stored {
            let version = if stored { next } else { before };
            return Ok(Json(Imported {
                added,
                changed,
                retired,
                lines,
                hints,
                problems: Vec::new(),
                stored,
                version,
            }));
        }
    }
    Err(ApiError::named(
        StatusCode::CONFLICT,
        "registry-changed",
        "Somebody else changed the registry meanwhile",
        "The registry has changed since; look at it again, then decide again.".into(),
    ))
}

fn audit(redraw: &Redraw, caller: &Caller, at: Timestamp, version: u64) -> Audit {
    let (what, cell, detail) = match redraw {
        Redraw::Split { cell, line, code, name } => {
            ("cell.split", cell, format!("{code} {name}, along {line:?}"))
        }
        Redraw::Merge { cell, others } => ("cell.merge", cell, others.join(", ")),
    };
    let detail = format!("{detail}; registry {version}");
    Audit { at, who: caller.who(), what: what.into(), target: format!("cell {cell}"), detail }
}
