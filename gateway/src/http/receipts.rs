//! Receipts of alerts: an app says that one was shown, or opened.
//!
//! They only rise and may come twice. None of them acknowledges anything.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::Actor;
use super::extract::Body;
use super::problem::ApiError;
use super::rights::{Reach, Right};
use crate::store::outbox::receipts::Receipt;
use crate::units::Timestamp;

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It stood on the person's screen.
    Shown,
    /// The person opened it.
    Opened,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptRequest {
    pub receipt: Kind,
}

/// What is known of the alert; the first moment of each counts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptsView {
    #[schema(format = DateTime)]
    pub shown: Option<String>,
    #[schema(format = DateTime)]
    pub opened: Option<String>,
}

/// Say that an alert was shown or opened. May be repeated; an alert that was opened was shown.
#[utoipa::path(post, path = "/api/v1/alerts/{key}/receipts", tag = "alarms", operation_id = "addReceipt",
    params(("key" = String, Path, description = "Key of the alert, percent-encoded", example = "A-17%2F2%2Fwang-li%2Fpush%401795402800000")),
    request_body = ReceiptRequest,
    responses((status = 200, description = "What is known then", body = ReceiptsView)))]
pub async fn receipt(
    State(api): State<Arc<Api>>,
    Path(key): Path<String>,
    actor: Actor,
    Body(body): Body<ReceiptRequest>,
) -> Result<Json<ReceiptsView>, ApiError> {
    let unknown = || ApiError::not_found(format!("There is no alert `{key}`."));
    // The key names the person after alarm and step. Nobody else says what he has seen, but for a station's own programs.
    let mine = key.split('/').nth(2) == Some(actor.0.who().as_str());
    if !mine && actor.0.reach(Right::Handle) != Reach::Everywhere {
        return Err(unknown());
    }
    let receipt = match body.receipt {
        Kind::Shown => Receipt::Shown,
        Kind::Opened => Receipt::Opened,
    };
    let known = api.store.receipt(&key, receipt, api.clock.now().wall).await?;
    let known = known.ok_or_else(unknown)?;
    let view = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    Ok(Json(ReceiptsView { shown: view(known.shown), opened: view(known.opened) }))
}
