//! A cell split along a line, or several put together, by the person at the map: looked at first, then made, whole and in the audit log. What goes with the ground is decided in
//! [`crate::grid::redraw`].

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Api;
use super::aside::aside;
use super::auth::{Actor, Caller};
use super::extract::Body;
use super::imports::Imported;
use super::problem::ApiError;
use super::registry::{TRIES, changed_meanwhile, newest};
use crate::config::rules::Rules;
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
/// In force within two seconds. 409 `cell-in-use` while a rule names the cell and not the new one. Recorded in the audit log.
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
/// 409 `cell-in-use` while an alarm stands in one of them, or a rule or an account names it and not the cell that stays. Boards that hang there stay good. Recorded in the audit log.
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
    redraw(&api, &actor.0, Redraw::Merge { cell, others }, dry_run).await
}

/// Rules and accounts name cells by their codes: one that covers ground only by the code it loses would cover it no longer, and nobody would see it.
async fn in_use(api: &Api, redraw: &Redraw) -> Result<Vec<String>, ApiError> {
    let goes = matches!(redraw, Redraw::Merge { .. });
    let passes = redraw.passes();
    if goes {
        let open = AlarmState::ALL.into_iter().filter(|state| *state != AlarmState::Closed).collect();
        let cells = passes.iter().map(|(from, _)| (*from).to_owned()).collect();
        let standing = Query { states: open, cells, limit: 1, ..Query::default() };
        if let Some(alarm) = api.store.alarms(standing).await?.first() {
            let why = format!("the alarm {} stands in `{}`: close it first", alarm.id, alarm.cell_code);
            return Err(refused(&why));
        }
    }
    let rules =
        Rules::read(&api.world.load().rules_text).map_err(|fault| ApiError::Internal(fault.into()))?;
    let accounts = api.store.accounts().await?;
    let mut hints = Vec::new();
    for (from, to) in passes {
        let loses = |cells: &[String]| has(cells, from) && !has(cells, to);
        if let Some(named) = rules.named_cells().find(|(_, cells)| loses(cells)).map(|(name, _)| name) {
            let why = format!(
                "in rules.toml {named} is only for `{from}` and would not hold in `{to}`: write `{to}` beside it first"
            );
            return Err(refused(&why));
        }
        // An account can name only cells that are there.
        for account in accounts.iter().filter(|account| loses(&account.cells)) {
            let name = &account.name;
            if goes {
                return Err(refused(&format!(
                    "the account `{name}` has `{from}` and not `{to}`: change that first"
                )));
            }
            hints.push(format!(
                "the account `{name}` has only {from}: give it {to} too, if it is to see both"
            ));
        }
    }
    Ok(hints)
}

fn has(cells: &[String], code: &str) -> bool {
    cells.iter().any(|cell| cell == code)
}

fn refused(why: &str) -> ApiError {
    let detail = format!("It cannot be drawn so: {why}.");
    ApiError::named(StatusCode::CONFLICT, "cell-in-use", "The cell is in use", detail)
}

async fn redraw(
    api: &Api,
    caller: &Caller,
    redraw: Redraw,
    dry_run: bool,
) -> Result<Json<Imported>, ApiError> {
    for _ in 0..TRIES {
        let registry = newest(api).await?;
        let (before, now, asked) = (registry.version(), api.clock.now().wall, redraw.clone());
        let drawn = match aside(move || asked.apply(registry.rows(), now)).await? {
            Ok(drawn) => drawn,
            Err(Refused::Unknown(what)) => return Err(ApiError::not_found(what)),
            Err(Refused::Unsound(wrong)) => {
                return Err(ApiError::named(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "cannot-redraw",
                    "It cannot be drawn so",
                    wrong.join(". "),
                ));
            }
        };
        let Redrawn { rows, codes, mut lines, more_lines, mut hints } = drawn;
        hints.extend(in_use(api, &redraw).await?);
        let count = |sign: char| lines.iter().filter(|line| line.starts_with(sign)).count();
        let (added, changed, retired) = (count('+'), count('~') + more_lines, count('-'));
        if more_lines > 0 {
            lines.push(format!("… {more_lines}"));
        }
        let next = rows.version;
        let line = audit(&redraw, caller, now, next);
        let stored = !dry_run && api.store.save_redrawn(rows, codes, line).await?;
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
    Err(changed_meanwhile())
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
