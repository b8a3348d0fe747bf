//! Browsers that want to be told: the gateway's public key, subscribe, unsubscribe.
//!
//! A subscription is an address that the gateway will post to, so it is taken only for the push services that station.toml names.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::{Actor, Caller};
use super::extract::Body;
use super::problem::ApiError;
use super::rights::{Reach, Right};
use crate::notify::web_push::Settings;
use crate::store::push::Subscription;
use crate::store::{Audit, Commit};

const ENDPOINT_CHARACTERS_MAX: usize = 1_000;
/// An uncompressed point of P-256.
const P256DH_BYTES: usize = 65;
const AUTH_BYTES: usize = 16;

#[derive(Debug, Serialize, ToSchema)]
pub struct PushKey {
    /// For `applicationServerKey` of the browser's `PushManager.subscribe`, in Base64url.
    pub public_key: String,
}

/// As `PushSubscription.toJSON()` gives it, and whose browser it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// Id of the person.
    pub person: String,
    pub endpoint: String,
    /// Browsers send it; it is not used, for a subscription that is gone says so.
    #[serde(default, rename = "expirationTime")]
    #[schema(value_type = Option<f64>)]
    pub _expiration_time: serde_json::Value,
    pub keys: SubscriptionKeys,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionKeys {
    pub p256dh: String,
    pub auth: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsubscription {
    pub endpoint: String,
}

fn settings(api: &Api) -> Result<&Settings, ApiError> {
    api.push.as_deref().ok_or_else(|| {
        ApiError::not_found(
            "This station pushes to no browsers; it has no [[channel.web_push]] in station.toml.",
        )
    })
}

/// The key with which a browser subscribes.
#[utoipa::path(get, path = "/api/v1/push/key", tag = "push", operation_id = "getPushKey",
    responses((status = 200, description = "The key", body = PushKey)))]
pub async fn key(State(api): State<Arc<Api>>, _: Caller) -> Result<Json<PushKey>, ApiError> {
    Ok(Json(PushKey { public_key: settings(&api)?.identity.public_key() }))
}

/// Tell a person in this browser too. A browser belongs to whoever subscribed it last.
#[utoipa::path(post, path = "/api/v1/push/subscriptions", tag = "push", operation_id = "subscribePush",
    request_body = SubscriptionRequest,
    responses((status = 204, description = "It is subscribed")))]
pub async fn subscribe(
    State(api): State<Arc<Api>>,
    actor: Actor,
    Body(body): Body<SubscriptionRequest>,
) -> Result<StatusCode, ApiError> {
    let settings = settings(&api)?;
    if api.world.load().registry.person(&body.person).is_none() {
        return Err(ApiError::body("person", format!("there is no person `{}`", body.person)));
    }
    let own = actor.0.person.as_deref() == Some(&body.person);
    if !own && actor.0.reach(Right::Roster) != Reach::Everywhere {
        return Err(ApiError::not_allowed(format!(
            "The account `{}` belongs to another person than `{}`.",
            actor.0.name, body.person
        )));
    }
    let endpoint = body.endpoint;
    let known = endpoint.parse().is_ok_and(|url| settings.allows(&url));
    if !known || ENDPOINT_CHARACTERS_MAX < endpoint.len() {
        let detail =
            "it leads to no push service that this station uses; add it to `services` in station.toml";
        return Err(ApiError::body("endpoint", detail));
    }
    let bytes = |field: &str, text: &str, length: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        bytes
            .filter(|bytes| bytes.len() == length)
            .ok_or_else(|| ApiError::body(field, format!("give {length} bytes in Base64url")))
    };
    let p256dh = bytes("keys.p256dh", &body.keys.p256dh, P256DH_BYTES)?;
    let auth = bytes("keys.auth", &body.keys.auth, AUTH_BYTES)?;
    let at = api.clock.now().wall;
    let subscription = Subscription { endpoint, person: body.person.clone(), p256dh, auth };
    api.store.subscribe(subscription, at).await?;
    let line = Audit {
        at,
        who: actor.0.who(),
        what: "push.subscribe".into(),
        target: body.person,
        detail: String::new(),
    };
    api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// No more in this browser.
#[utoipa::path(delete, path = "/api/v1/push/subscriptions", tag = "push", operation_id = "unsubscribePush",
    request_body = Unsubscription,
    responses((status = 204, description = "It is not subscribed now")))]
pub async fn unsubscribe(
    State(api): State<Arc<Api>>,
    _: Actor,
    Body(body): Body<Unsubscription>,
) -> Result<StatusCode, ApiError> {
    settings(&api)?;
    api.store.unsubscribe(&body.endpoint).await?;
    Ok(StatusCode::NO_CONTENT)
}
