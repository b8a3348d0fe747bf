//! How it was for the resident: one link for one closed alarm, to be used once and without an account.
//!
//! The secret in the address is all that is needed, so an answer tells nothing about anybody: no name, no door, no telephone number. Tries are counted by address as those of
//! a log-in are, and wrong ones wait longer and longer.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::accounts::{page, qr};
use super::alarms::{NOTE_CHARACTERS_MAX, allowed, parse};
use super::auth::Actor;
use super::extract::{self, Body};
use super::listen::From as Peer;
use super::problem::ApiError;
use super::rights::Right;
use super::session::too_often;
use crate::accounts::throttle::address_of;
use crate::accounts::{hash, secret};
use crate::model::{Alarm, SignalClass};
use crate::store::Audit;
use crate::store::ratings::{Rated, Rating, RatingLink};
use crate::units::Millis;

const LASTS: Millis = Millis::from_secs(14 * 24 * 3600);

#[derive(Debug, Serialize, ToSchema)]
pub struct RatingLinkView {
    /// To be given to the resident only; it is not shown again.
    pub token: String,
    /// Where the page sends it.
    #[schema(example = "/api/v1/ratings/ABC")]
    pub path: String,
    /// The page on which the resident says how it was. The secret stands behind `#`, where no server sees it.
    #[schema(example = "https://station.example/report/rate#ABC")]
    pub link: String,
    /// The link to be scanned: an SVG picture.
    pub qr_svg: String,
    #[schema(format = DateTime)]
    pub ends: String,
}

/// Make a link by which a resident can rate a closed alarm, once.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/rating_link", tag = "alarms", operation_id = "makeRatingLink",
    params(("id" = String, Path, description = "Such as A-17")),
    responses((status = 201, description = "The link", body = RatingLinkView)))]
pub async fn link(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    actor: Actor,
) -> Result<(StatusCode, Json<RatingLinkView>), ApiError> {
    let alarm = allowed(&api, &actor.0, Right::Handle, parse(&id)?).await?;
    let now = api.clock.now().wall;
    if alarm.is_open() {
        return Err(ApiError::named(
            StatusCode::CONFLICT,
            "not-closed",
            "It is not closed yet",
            format!("Alarm {} is still open; residents are asked when it is over.", alarm.id),
        ));
    }
    let (token, hash) = secret();
    let ends = now + LASTS;
    let line = Audit {
        at: now,
        who: actor.0.name.to_string(),
        what: "rating.link".into(),
        target: format!("alarm {}", alarm.id),
        detail: format!("until {}", ends.rfc3339()),
    };
    api.store.add_rating_link(RatingLink { alarm: alarm.id, ends, given: false }, hash, line).await?;
    let path = format!("/api/v1/ratings/{token}");
    let link = format!("{}/report/rate#{token}", page(&headers));
    let qr_svg = qr(&link)?;
    Ok((StatusCode::CREATED, Json(RatingLinkView { token, path, link, qr_svg, ends: ends.rfc3339() })))
}

/// What the page of a link shows.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToRate {
    pub class: SignalClass,
    #[schema(format = DateTime)]
    pub raised: String,
    #[schema(format = DateTime)]
    pub closed: Option<String>,
    /// How long it took until somebody was there, in seconds, when he said so.
    pub arrived_after_s: Option<u64>,
    /// It has been rated.
    pub given: bool,
    #[schema(format = DateTime)]
    pub ends: String,
}

/// What a link is about.
#[utoipa::path(get, path = "/api/v1/ratings/{token}", tag = "residents", operation_id = "getRating", security(()),
    params(("token" = String, Path, description = "The secret of the link")),
    responses((status = 200, description = "What is to be rated", body = ToRate)))]
pub async fn show(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
    Peer(ip): Peer,
) -> Result<Json<ToRate>, ApiError> {
    let (link, alarm) = known(&api, &token, ip).await?;
    Ok(Json(ToRate {
        class: alarm.class,
        raised: alarm.raised.rfc3339(),
        closed: alarm.closed.map(|at| at.rfc3339()),
        arrived_after_s: alarm.handling.on_site.map(|there| there.at.since(alarm.raised).0 / 1000),
        given: link.given,
        ends: link.ends.rfc3339(),
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RatingBody {
    /// 1 (bad) to 5 (good).
    #[schema(minimum = 1, maximum = 5)]
    pub stars: u8,
    pub comment: Option<String>,
}

/// Say how it was. Once.
#[utoipa::path(post, path = "/api/v1/ratings/{token}", tag = "residents", operation_id = "rate", security(()),
    params(("token" = String, Path, description = "The secret of the link")), request_body = RatingBody,
    responses((status = 204, description = "It is stored")))]
pub async fn rate(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
    Peer(ip): Peer,
    Body(body): Body<RatingBody>,
) -> Result<StatusCode, ApiError> {
    if !(1..=5).contains(&body.stars) {
        return Err(ApiError::body("stars", "give 1 to 5"));
    }
    let comment = body.comment.filter(|comment| !comment.trim().is_empty());
    let comment =
        comment.map(|comment| extract::text("comment", &comment, NOTE_CHARACTERS_MAX)).transpose()?;
    known(&api, &token, ip).await?;
    let rating = Rating { at: api.clock.now().wall, stars: body.stars, comment };
    match api.store.rate(hash(&token), rating).await? {
        Rated::Taken => Ok(StatusCode::NO_CONTENT),
        Rated::Unknown => Err(no_link()),
        Rated::Already => Err(ApiError::named(
            StatusCode::CONFLICT,
            "already-rated",
            "It was rated before",
            "This link has been used. Thank you.".into(),
        )),
    }
}

/// The link and its alarm; each wrong try from one address waits longer.
async fn known(
    api: &Api,
    token: &str,
    ip: Option<std::net::IpAddr>,
) -> Result<(RatingLink, Alarm), ApiError> {
    let (now, address) = (api.clock.now(), ip.map_or("unknown".into(), address_of));
    {
        let mut tries = api.own.ratings.lock().unwrap_or_else(PoisonError::into_inner);
        tries.attempt(&address, &address, now.steady).map_err(too_often)?;
    }
    let link = api.store.rating_link(hash(token)).await?.filter(|link| now.wall < link.ends);
    let link = link.ok_or_else(no_link)?;
    let alarm = api.store.alarm(link.alarm).await?.ok_or_else(no_link)?;
    let mut tries = api.own.ratings.lock().unwrap_or_else(PoisonError::into_inner);
    tries.succeeded(&address, &address);
    Ok((link, alarm))
}

fn no_link() -> ApiError {
    ApiError::not_found("This link is not known, or its time is over.")
}
