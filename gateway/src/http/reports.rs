//! Providers report what became of their messages. They cannot send our token: the last part of the address is the secret.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use serde_json::Value;

use super::Api;
use super::extract::Body;
use super::problem::ApiError;
use crate::store::outbox::receipts::Receipt;

/// A provider says which of its messages have arrived: their alerts count as shown.
#[utoipa::path(post, path = "/api/v1/channels/{name}/reports/{secret}", tag = "alarms", operation_id = "addReports",
    params(("name" = String, Path, description = "Name of the channel"), ("secret" = String, Path, description = "From station.toml")),
    request_body = Value, security(()),
    responses((status = 200, description = "What the provider wants to hear", body = Value)))]
pub async fn report(
    State(api): State<Arc<Api>>,
    Path((name, secret)): Path<(String, String)>,
    Body(body): Body<Value>,
) -> Result<([(HeaderName, &'static str); 1], String), ApiError> {
    let reporter = api.reports.iter().find(|reporter| reporter.is(&name, &secret));
    let reporter = reporter.ok_or_else(|| ApiError::not_found("Nobody is expected to report here."))?;
    let at = api.clock.now().wall;
    for id in reporter.arrived(&body) {
        api.store.receipt_by_provider(&name, &id, Receipt::Shown, at).await?;
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], reporter.answer.clone()))
}
