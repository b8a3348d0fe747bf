//! Who knew what, when, and did what: the audit log and the history of alarms in one list. Looking is recorded too.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::extract::{self, Params};
use super::history::time;
use super::model::Page;
use super::problem::ApiError;
use crate::store::audit::{Place, Search};
use crate::store::chain::Chain;
use crate::store::{Audit, Commit};
use crate::units::Timestamp;

const PAGE_MAX: u32 = 200;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Id of a person or name of an account: what he did, and what he was told.
    #[param(example = "wang-li")]
    who: Option<String>,
    /// Beginning of a word: `alarm.` for all about alarms, `people.read`, `account.`, `session.`
    what: Option<String>,
    /// What it was done to, a whole word of it.
    #[param(example = "A-17")]
    target: Option<String>,
    /// RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// RFC 3339, not included.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// Items on a page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only lines before this one: `next` of the page before.
    before: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    #[schema(format = DateTime)]
    pub at: String,
    pub who: String,
    #[schema(example = "alarm.acknowledged")]
    pub what: String,
    #[schema(example = "alarm A-17")]
    pub target: String,
    /// Of an alert that was told: the person, the channel and its receipt.
    pub detail: String,
    /// Its table and number, as `gridwarden audit verify` names it.
    #[schema(example = "entries/42")]
    pub row: String,
}

/// Search what was done, looked at and told, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "accounts", operation_id = "searchAudit", params(AuditFilter),
    responses((status = 200, description = "A page", body = Page<AuditView>)))]
pub async fn search(
    State(api): State<Arc<Api>>,
    Params(filter): Params<AuditFilter>,
    caller: Caller,
) -> Result<Json<Page<AuditView>>, ApiError> {
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let before = filter
        .before
        .as_deref()
        .map(|text| place(text).ok_or_else(|| ApiError::query("before", "give `next` of the page before")));
    let search = Search {
        who: filter.who.clone(),
        what: filter.what.clone(),
        target: filter.target.clone(),
        from: time("from", filter.from.as_deref())?,
        to: time("to", filter.to.as_deref())?,
        before: before.transpose()?,
        limit: limit + 1,
    };
    let found = api.store.search_audit(search).await?;
    if filter.before.is_none() {
        let words = [("who", &filter.who), ("what", &filter.what), ("target", &filter.target)];
        let words = words.into_iter().filter_map(|(name, word)| Some(format!("{name} {}", word.as_ref()?)));
        let line = Audit {
            at: api.clock.now().wall,
            who: caller.who(),
            what: "audit.read".into(),
            target: "audit".into(),
            detail: words.collect::<Vec<_>>().join("; "),
        };
        api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    }
    let page = Page::cut(found, limit, |(place, _)| written(place));
    let items = page.items.into_iter().map(|(place, line)| AuditView {
        at: line.at.rfc3339(),
        who: line.who,
        what: line.what,
        target: line.target,
        detail: line.detail,
        row: format!("{}/{}", place.chain.name(), place.number),
    });
    Ok(Json(Page { items: items.collect(), next: page.next }))
}

/// A cursor such as `1795402800000-audit-17`.
fn written(place: &Place) -> String {
    format!("{}-{}-{}", place.at.0, place.chain.name(), place.number)
}

fn place(text: &str) -> Option<Place> {
    let (at, rest) = text.split_once('-')?;
    let (chain, number) = rest.split_once('-')?;
    let chain = Chain::ALL.into_iter().find(|one| one.name() == chain)?;
    Some(Place { at: Timestamp(at.parse().ok()?), chain, number: number.parse().ok()? })
}
