//! A photo with a resident's report: no log-in, so only whoever has just reported may send one, one, for a quarter of an hour.
//!
//! The answer to the report carries the address; what stands behind it is in memory ([`Awaited`]) and gone after a restart. The photo itself goes the way of every attachment: its first bytes say what it is, metadata is taken
//! away, the store has a limit of its own for residents. Few are taken at the same time, so that a worker's photo never waits for a stranger's.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use sha2::{Digest, Sha256};

use super::Api;
use super::problem::ApiError;
use super::resident::WHO;
use crate::accounts::{hash, secret};
use crate::model::AlarmId;
use crate::picture;
use crate::store::attachments::{NewAttachment, Stored};
use crate::units::{Millis, Steady};

const WITHIN: Millis = Millis::from_secs(900);
/// The page makes a photo smaller before it sends it.
const BYTES_MAX: usize = 1 << 20;
/// Reports that wait for a photo; beyond that the oldest gets none.
const AWAITED_MAX: usize = 1_000;
/// In memory at the same time; who comes then is asked to try again.
pub const UPLOADS_MAX: usize = 2;

/// Reports to which a photo may still come, by the hash of the address's secret.
#[derive(Default)]
pub struct Awaited(BTreeMap<[u8; 32], (AlarmId, Steady)>);

impl Awaited {
    fn add(&mut self, key: [u8; 32], alarm: AlarmId, now: Steady) {
        self.0.retain(|_, (_, since)| now.since(*since) < WITHIN);
        if AWAITED_MAX <= self.0.len() {
            let oldest = self.0.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key);
            oldest.and_then(|key| self.0.remove(&key));
        }
        self.0.insert(key, (alarm, now));
    }

    /// It is not awaited any more, unless it is put back.
    fn take(&mut self, key: &[u8; 32], now: Steady) -> Option<(AlarmId, Steady)> {
        self.0.remove(key).filter(|(_, since)| now.since(*since) < WITHIN)
    }
}

/// Where the photo of this report may be sent.
pub(super) fn address(api: &Api, token: &str, alarm: AlarmId) -> String {
    let (text, key) = secret();
    let mut awaited = api.own.awaited.lock().unwrap_or_else(PoisonError::into_inner);
    awaited.add(key, alarm, api.clock.now().steady);
    format!("/api/v1/report/{token}/photo/{text}")
}

/// Add a photo (JPEG, PNG, WebP) to the report just made; the body is the file, at most 1 MiB. Once, within 15 minutes.
///
/// What a camera writes beside the picture, such as where it was taken, is not kept.
#[utoipa::path(post, path = "/api/v1/report/{token}/photo/{key}", tag = "resident", operation_id = "addResidentPhoto", security(()),
    params(("token" = String, Path, description = "What is printed on the board"), ("key" = String, Path, description = "From the answer to the report")),
    request_body(content_type = "application/octet-stream", description = "The file"),
    responses((status = 204, description = "It is on disk")))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Path((_token, key)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let busy = |_| {
        let detail = "Others are sending photos; try again in a moment.";
        ApiError::status(StatusCode::SERVICE_UNAVAILABLE, detail)
    };
    let _place = api.own.residents_uploads.try_acquire().map_err(busy)?;
    let key = hash(&key);
    let taken = {
        let mut awaited = api.own.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.take(&key, api.clock.now().steady)
    };
    let (alarm, since) = taken.ok_or_else(|| {
        ApiError::not_found("No photo is awaited here: its time is over, or one has come already.")
    })?;
    let stored = store(&api, alarm, request).await;
    if stored.is_err() {
        let mut awaited = api.own.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.add(key, alarm, since); // Another try.
    }
    stored
}

async fn store(api: &Api, alarm: AlarmId, request: Request) -> Result<StatusCode, ApiError> {
    let bytes = to_bytes(request.into_body(), BYTES_MAX).await.map_err(|_| {
        ApiError::status(StatusCode::PAYLOAD_TOO_LARGE, "A photo may have 1 MiB; make it smaller.")
    })?;
    let taken = tokio::task::spawn_blocking(move || picture::take(&bytes)).await;
    let taken = taken.map_err(anyhow::Error::from).map_err(ApiError::Internal)?;
    let photo = taken.ok().filter(|(kind, _)| kind.is_photo());
    let (kind, bytes) = photo.ok_or_else(|| {
        let detail = "It is no whole photo (JPEG, PNG, WebP); take it again.";
        ApiError::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    })?;
    let hash = Sha256::digest(&bytes).into();
    let new =
        NewAttachment { alarm, who: WHO.into(), kind: kind.media_type(), note: String::new(), bytes, hash };
    match api.store.attach(new, api.clock.now()).await? {
        Stored::New(_) | Stored::Before(_) => Ok(StatusCode::NO_CONTENT),
        Stored::TooMany | Stored::Full => Err(ApiError::named(
            StatusCode::CONFLICT,
            "no-room",
            "There is no room for it",
            "The report has arrived; there is no room for its photo.".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_awaited_once_for_a_quarter_of_an_hour_and_never_more_than_so_many() {
        let at = |seconds: u64| Steady(seconds * 1000);
        let key = |number: u16| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            key
        };
        let mut awaited = Awaited::default();
        awaited.add(key(1), AlarmId(7), at(10));
        assert_eq!(awaited.take(&key(2), at(20)), None);
        assert_eq!(awaited.take(&key(1), at(20)), Some((AlarmId(7), at(10))));
        assert_eq!(awaited.take(&key(1), at(20)), None, "once");
        awaited.add(key(1), AlarmId(7), at(10));
        assert_eq!(awaited.take(&key(1), at(910)), None, "too late");
        for number in 0..1_010 {
            awaited.add(key(number), AlarmId(number.into()), at(1_000 + u64::from(number) / 100));
        }
        assert_eq!(awaited.0.len(), AWAITED_MAX);
        assert!(awaited.take(&key(1_009), at(1_020)).is_some(), "the newest are there");
    }
}
