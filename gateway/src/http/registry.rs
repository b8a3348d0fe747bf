//! A change of the registry by hand, decided on what is on disk and stored once: what every such change shares.

use std::sync::Arc;

use axum::http::StatusCode;

use super::Api;
use super::aside::aside;
use super::problem::ApiError;
use crate::grid::Registry;

/// Somebody else may be faster this often.
pub const TRIES: u32 = 5;

/// The registry as it is on disk; the one in force unless somebody has just changed it.
pub async fn newest(api: &Api) -> Result<Arc<Registry>, ApiError> {
    let known = api.world.load().registry.clone();
    if api.store.registry_version().await? == known.version() {
        return Ok(known);
    }
    let rows = api.store.load_registry().await?;
    aside(move || Registry::build(rows)).await
}

pub fn changed_meanwhile() -> ApiError {
    ApiError::named(
        StatusCode::CONFLICT,
        "registry-changed",
        "Somebody else changed the registry meanwhile",
        "The registry has changed since; look at it again, then decide again.".into(),
    )
}
