//! Doors for operators' platforms: `POST /in/<secret>`, answered when the message is on disk.
//!
//! A platform cannot send our token, so the last part of its address is the secret; whoever asks for another finds nothing there. 200 is an acknowledgement: after the commit, and within
//! [`ANSWER_WITHIN`], because senders wait five seconds at the most. When the disk does not answer it is 503 and the platform sends again. What is read and of no use becomes a dead letter
//! and is acknowledged like any other message. A door that is pushed too hard answers 429, but never to a fire. docs/push-in.md.

use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tokio::time::{Instant, timeout};

use super::Api;
use super::problem::ApiError;
use crate::config::PushIn;
use crate::config::secret::SecretError;
use crate::decode::push::{Sender, decode};
use crate::decode::{Message, Reject, Stranger};
use crate::io::acks::AckLine;
use crate::io::inlet::{Inbound, Safe};
use crate::io::intake::{letter, sightings};
use crate::io::listener::pace::Pace;
use crate::model::Event;

/// Under the five seconds of the impatient, with a second for the way.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

#[derive(Debug, thiserror::Error)]
#[error("the secret of the door `{name}` (`[[push_in]]`) is not usable")]
pub struct DoorError {
    name: String,
    source: SecretError,
}

#[derive(Default)]
pub struct Doors(Vec<Door>);

struct Door {
    name: String,
    sender: Sender,
    hash: [u8; 32],
    bytes_max: usize,
    pace: Mutex<Pace>,
}

impl Doors {
    /// `folder` is where station.toml stands.
    pub fn open(doors: &[PushIn], folder: &FilePath) -> Result<Self, DoorError> {
        let open = |door: &PushIn| {
            let name = door.name.get_ref().clone();
            let secret =
                door.secret.read(folder).map_err(|source| DoorError { name: name.clone(), source })?;
            let pace = Pace::new(*door.messages_per_s_max.get_ref(), now());
            Ok(Door {
                name,
                sender: door.sender,
                hash: Sha256::digest(secret).into(),
                bytes_max: *door.max_kb.get_ref() as usize * 1024,
                pace: Mutex::new(pace),
            })
        };
        doors.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Compares with every secret to the end, so that the time of an answer tells nothing.
    fn find(&self, secret: &str) -> Option<&Door> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let (mut found, mut at) = (Choice::from(0), 0);
        for (place, door) in (0u32..).zip(&self.0) {
            let same = door.hash.ct_eq(&hash);
            at.conditional_assign(&place, same);
            found |= same;
        }
        self.0.get(at as usize).filter(|_| bool::from(found))
    }
}

fn now() -> Instant {
    Instant::from_std(crate::clock::instant())
}

/// A platform pushes what its devices say. 200: it is on disk.
#[utoipa::path(post, path = "/in/{secret}", tag = "devices", operation_id = "pushIn",
    params(("secret" = String, Path, description = "Of the `[[push_in]]` in station.toml")), request_body = Vec<u8>, security(()),
    responses((status = 200, description = "It is on disk"), (status = 404, description = "There is no such door"),
        (status = 413, description = "Larger than `max_kb`"), (status = 429, description = "More than `messages_per_s_max`"),
        (status = 503, description = "It could not be stored; send it again")))]
pub async fn take(
    State(api): State<Arc<Api>>,
    Path(secret): Path<String>,
    body: Body,
) -> Result<&'static str, ApiError> {
    let door = api.push_in.find(&secret).ok_or_else(|| ApiError::not_found("There is no such door."))?;
    let large = || {
        let detail =
            format!("A message may have {} bytes here (`max_kb` of its `[[push_in]]`).", door.bytes_max);
        ApiError::status(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let late = || {
        ApiError::status(StatusCode::SERVICE_UNAVAILABLE, "It could not be stored in time; send it again.")
    };
    let payload = timeout(ANSWER_WITHIN, to_bytes(body, door.bytes_max))
        .await
        .map_err(|_| late())?
        .map_err(|_| large())?;
    let message = Message {
        topic: &door.name,
        payload: &payload,
        retained: false,
        dup: false,
        received: api.clock.now().wall,
    };
    let decoded = decode(door.sender, &message, &api.world.load().decoding());
    let paced = door.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now());
    let burns = |stranger: &Stranger| stranger.burns() == Some(true);
    let urgent = decoded.events.iter().any(Event::is_urgent) || decoded.strangers.iter().any(burns);
    if !paced && !urgent {
        let detail =
            format!("The door `{}` takes no more messages a second; send it again in a moment.", door.name);
        return Err(ApiError::status(StatusCode::TOO_MANY_REQUESTS, detail));
    }
    let source = format!("push_in:{}", door.name);
    let dead = decoded.rejects.into_iter().map(|Reject(reason)| letter(&source, &message, reason)).collect();
    let strangers = sightings(&source, &message, decoded.strangers);
    let mut line = AckLine::default();
    let safe = Safe::Ticket(line.issue(()));
    let stored = async {
        let events = decoded.events;
        api.inlet.send(Inbound { events, dead, strangers, safe, ..Inbound::default() }).await?;
        line.ready().await;
        Ok::<_, ApiError>(())
    };
    timeout(ANSWER_WITHIN, stored).await.map_err(|_| late())??;
    Ok("{}")
}
