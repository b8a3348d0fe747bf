//! A photo with a resident's report: no log-in, so only whoever has just reported may send one, one, for a quarter of an hour.
//!
//! The answer to the report carries the address; what stands behind it is in memory ([`Awaited`]) and gone after a restart. The photo itself goes the way of every attachment: its first bytes say what it is, metadata is taken
//! away, the store has a limit of its own for residents. Few are taken at the same time, so that a worker's photo never waits for a stranger's.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::Api;
use super::aside::aside;
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

/// A phone at the edge of its network tries more than once.
const TRIES_MAX: u8 = 5;
/// A place is not held longer than this by somebody who sends slowly.
const SENT_WITHIN: Duration = Duration::from_secs(60);

/// Reports to which a photo may still come, by the hash of the address's secret.
#[derive(Default)]
pub struct Awaited(BTreeMap<[u8; 32], Report>);

struct Report {
    alarm: AlarmId,
    since: Steady,
    tries: u8,
}

impl Awaited {
    fn add(&mut self, key: [u8; 32], alarm: AlarmId, now: Steady) {
        self.0.retain(|_, report| now.since(report.since) < WITHIN);
        if AWAITED_MAX <= self.0.len() {
            let oldest = self.0.iter().min_by_key(|(_, report)| report.since).map(|(key, _)| *key);
            oldest.and_then(|key| self.0.remove(&key));
        }
        self.0.insert(key, Report { alarm, since: now, tries: 0 });
    }

    /// Somebody begins to send: to which report. It stays awaited until the photo is there.
    fn begin(&mut self, key: &[u8; 32], now: Steady) -> Option<AlarmId> {
        let report = self.0.get_mut(key)?;
        if WITHIN <= now.since(report.since) || TRIES_MAX <= report.tries {
            self.0.remove(key);
            return None;
        }
        report.tries += 1;
        Some(report.alarm)
    }

    /// It is there whole; of two that came at once the first counts.
    fn take(&mut self, key: &[u8; 32]) -> bool {
        self.0.remove(key).is_some()
    }
}

/// Where the photo of this report may be sent.
pub(super) fn address(api: &Api, token: &str, alarm: AlarmId) -> String {
    let (text, key) = secret();
    awaited(api).add(key, alarm, api.clock.now().steady);
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
    let alarm = awaited(&api).begin(&key, api.clock.now().steady).ok_or_else(not_awaited)?;
    let bytes = timeout(SENT_WITHIN, to_bytes(request.into_body(), BYTES_MAX)).await;
    let bytes = bytes.map_err(|_| {
        let detail = "The photo took longer than a minute; try again where the network is better.";
        ApiError::status(StatusCode::REQUEST_TIMEOUT, detail)
    })?;
    let bytes = bytes.map_err(|_| {
        ApiError::status(StatusCode::PAYLOAD_TOO_LARGE, "A photo may have 1 MiB; make it smaller.")
    })?;
    let photo = aside(move || picture::take(&bytes)).await?.ok().filter(|(kind, _)| kind.is_photo());
    let (kind, bytes) = photo.ok_or_else(|| {
        let detail = "It is no whole photo (JPEG, PNG, WebP); take it again.";
        ApiError::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    })?;
    if !awaited(&api).take(&key) {
        return Err(not_awaited());
    }
    let hash = Sha256::digest(&bytes).into();
    let new =
        NewAttachment { alarm, who: WHO.into(), kind: kind.media_type(), note: String::new(), bytes, hash };
    match api.store.attach(new, api.clock.now()).await {
        Ok(Stored::New(_) | Stored::Before(_)) => Ok(StatusCode::NO_CONTENT),
        Ok(Stored::TooMany | Stored::Full) => Err(ApiError::named(
            StatusCode::CONFLICT,
            "no-room",
            "There is no room for it",
            "The report has arrived; there is no room for its photo.".into(),
        )),
        Err(error) => {
            awaited(&api).add(key, alarm, api.clock.now().steady); // Nobody's fault: another quarter of an hour.
            Err(error.into())
        }
    }
}

fn awaited(api: &Api) -> MutexGuard<'_, Awaited> {
    api.own.awaited.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_awaited() -> ApiError {
    ApiError::not_found("No photo is awaited here: its time is over, or one has come already.")
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
        assert_eq!(awaited.begin(&key(2), at(20)), None);
        // One that breaks off takes nothing away from the next; one whole photo ends it.
        for seconds in 20..24 {
            assert_eq!(awaited.begin(&key(1), at(seconds)), Some(AlarmId(7)));
        }
        assert!(awaited.take(&key(1)) && !awaited.take(&key(1)), "of two at once the first");
        assert_eq!(awaited.begin(&key(1), at(24)), None, "once");
        awaited.add(key(1), AlarmId(7), at(10));
        assert_eq!((0..6).filter(|_| awaited.begin(&key(1), at(20)).is_some()).count(), 5, "not for ever");
        awaited.add(key(1), AlarmId(7), at(10));
        assert_eq!(awaited.begin(&key(1), at(910)), None, "too late");
        for number in 0..1_010 {
            awaited.add(key(number), AlarmId(number.into()), at(1_000 + u64::from(number) / 100));
        }
        assert_eq!(awaited.0.len(), AWAITED_MAX);
        assert!(awaited.begin(&key(1_009), at(1_020)).is_some(), "the newest are there");
    }
}
