//! Files into the registry from the page: what differs is shown first, and then it is taken in, whole or not at all. One device added or moved is a file of one row.
//!
//! The same readers and the same rules as `gridwarden import` ([`crate::grid::import`]); nothing is decided here.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::aside::aside;
use super::auth::{Actor, Caller};
use super::extract::{Params, Switch};
use super::problem::ApiError;
use super::registry::{TRIES, changed_meanwhile, newest};
use crate::clock;
use crate::grid::Rows;
use crate::grid::import;
use crate::import::{What, read};
use crate::problem::{Problem, Problems};
use crate::store::Audit;

/// A city's households are about so large.
pub const FILE_BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct How {
    /// Only say what would change.
    #[param(value_type = Option<bool>)]
    dry_run: Option<Switch>,
    /// Name of the file, for messages and the audit log.
    file: Option<String>,
}

/// What the file changes, or what is wrong with it; one of the two is empty.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Imported {
    pub added: usize,
    pub changed: usize,
    pub retired: usize,
    /// The first 200: `+ device SD-1`, `~ device SD-2 place: a → b`, `- device SD-3`.
    pub lines: Vec<String>,
    /// Worth a look.
    pub hints: Vec<String>,
    /// Nothing was taken in because of these.
    pub problems: Vec<FileProblem>,
    /// Whether it is stored now.
    pub stored: bool,
    /// Of the registry.
    pub version: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FileProblem {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

/// Lay a file over the registry: `cells` (GeoJSON), `devices`, `people`, `absences`, `teams`, `buildings` or `households` (CSV).
///
/// In force within two seconds. What is missing from the file is left alone.
#[utoipa::path(post, path = "/api/v1/imports/{what}", tag = "grid", operation_id = "importFile", params(("what" = String, Path, description = "Such as devices"), How),
    request_body(content = String, content_type = "application/octet-stream", description = "The file as it is, 32 MB at most"),
    responses((status = 200, description = "What it changes, or what is wrong with it", body = Imported)))]
pub async fn import(
    State(api): State<Arc<Api>>,
    Path(what): Path<String>,
    Params(how): Params<How>,
    Actor(caller): Actor,
    file: Bytes,
) -> Result<Json<Imported>, ApiError> {
    let what = What::from_name(&what)
        .ok_or_else(|| ApiError::not_found(format!("There is no import of `{what}`.")))?;
    let name: String =
        how.file.unwrap_or_else(|| what.name().into()).chars().filter(|c| !c.is_control()).take(80).collect();
    let dry_run = how.dry_run == Some(Switch(true));
    take_in(&api, &caller, what, &name, file, dry_run).await.map(Json)
}

/// Lays a file over the registry as it is now, whoever else changes it meanwhile.
pub async fn take_in(
    api: &Api,
    caller: &Caller,
    what: What,
    name: &str,
    file: Bytes,
    dry_run: bool,
) -> Result<Imported, ApiError> {
    for _ in 0..TRIES {
        let registry = newest(api).await?;
        let (before, read_name, bytes) = (registry.version(), name.to_owned(), file.clone());
        let (rows, diff) = match aside(move || merge(what, &read_name, &bytes, registry.rows())).await? {
            Ok(merged) => merged,
            Err(problems) => {
                return Ok(Imported { problems: shown(&problems), version: before, ..Imported::default() });
            }
        };
        let version = rows.version;
        let line = Audit {
            at: api.clock.now().wall,
            who: caller.who(),
            what: "registry.import".into(),
            target: format!("registry {} {name}", what.name()),
            detail: format!(
                "{} added, {} changed, {} retired; registry {version}",
                diff.added, diff.changed, diff.retired
            ),
        };
        let changes = version != before;
        if dry_run || !changes || api.store.save_registry(rows, line).await? {
            return Ok(Imported {
                added: diff.added,
                changed: diff.changed,
                retired: diff.retired,
                lines: diff.lines,
                hints: diff.hints,
                problems: Vec::new(),
                stored: changes && !dry_run,
                version: if dry_run { before } else { version },
            });
        }
    }
    Err(changed_meanwhile())
}

fn merge(what: What, name: &str, bytes: &[u8], rows: &Rows) -> Result<(Rows, import::Diff), Problems> {
    let read = read(what, name, bytes)?;
    if !read.problems.is_empty() {
        return Err(read.against(rows, clock::wall()));
    }
    import::merge_all(rows, &[read.parsed], clock::wall())
}

fn shown(problems: &Problems) -> Vec<FileProblem> {
    let view = |problem: &Problem| FileProblem {
        line: problem.line,
        column: problem.column,
        message: problem.message.clone(),
    };
    problems.iter().map(view).collect()
}
