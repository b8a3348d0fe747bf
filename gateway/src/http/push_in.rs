//! Doors for operators' platforms and for cameras: `POST /in/<secret>`, answered when the message is on disk.
//!
//! A platform cannot send our token, so the last part of its address is the secret; whoever asks for another finds nothing there. 200 is an acknowledgement: after the commit, and within
//! [`ANSWER_WITHIN`], because senders wait five seconds at the most. When the disk does not answer it is 503 and the platform sends again. What is read and of no use becomes a dead letter
//! and is acknowledged like any other message. A door that is pushed too hard answers 429, but never to a fire. docs/push-in.md.

use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::Api;
use super::problem::ApiError;
use crate::config::PushIn;
use crate::config::secret::SecretError;
use crate::decode::Message;
use crate::decode::push::{Sender, decode};
use crate::io::acks::AckLine;
use crate::io::inlet::{Inbound, Safe};
use crate::io::intake::inbound;
use crate::io::listener::pace::Pace;
use crate::io::stills::Stills;

/// Under the five seconds of the impatient, with a second for the way.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Messages of one door that are read at the same time.
const READ_AT_ONCE: usize = 16;

#[derive(Debug, thiserror::Error)]
#[error("the secret of the door `{name}` (`[[push_in]]`) is not usable")]
pub struct DoorError {
    name: String,
    source: SecretError,
}

#[derive(Default)]
pub struct Doors {
    doors: Vec<Door>,
    /// Where pictures of cameras go.
    stills: Option<Stills>,
}

struct Door {
    name: String,
    sender: Sender,
    hash: [u8; 32],
    bytes_max: usize,
    /// Of messages that may hold pictures only so many are in memory.
    reading: Semaphore,
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
                bytes_max: door.bytes_max(),
                reading: Semaphore::new(READ_AT_ONCE),
                pace: Mutex::new(pace),
            })
        };
        let doors = doors.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { doors, stills: None })
    }

    /// Pictures of cameras are kept.
    pub fn with_stills(self, stills: Stills) -> Self {
        Self { stills: Some(stills), ..self }
    }

    /// Compares with every secret to the end, so that the time of an answer tells nothing.
    fn find(&self, secret: &str) -> Option<&Door> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let (mut found, mut at) = (Choice::from(0), 0);
        for (place, door) in (0u32..).zip(&self.doors) {
            let same = door.hash.ct_eq(&hash);
            at.conditional_assign(&place, same);
            found |= same;
        }
        self.doors.get(at as usize).filter(|_| bool::from(found))
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
    let deadline = now() + ANSWER_WITHIN;
    let whole = async {
        let _turn = door.reading.acquire().await.ok();
        start_of(body, door.bytes_max).await
    };
    let (payload, whole) = timeout_at(deadline, whole).await.map_err(|_| late())?.ok_or_else(late)?;
    // A camera's event stands before its pictures: what is too large costs the picture, not the event.
    if !whole && !door.sender.is_camera() {
        return Err(large());
    }
    let message = Message {
        topic: &door.name,
        payload: &payload,
        retained: false,
        dup: false,
        received: api.clock.now().wall,
    };
    let mut decoded = decode(door.sender, &message, &api.world.load().decoding());
    let paced = door.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now());
    let pictures = std::mem::take(&mut decoded.stills);
    let inbound = inbound(&format!("push_in:{}", door.name), &message, decoded);
    if !paced && !inbound.is_urgent() {
        let detail =
            format!("The door `{}` takes no more messages a second; send it again in a moment.", door.name);
        return Err(ApiError::status(StatusCode::TOO_MANY_REQUESTS, detail));
    }
    let mut line = AckLine::default();
    let safe = Safe::Ticket(line.issue(()));
    let stored = async {
        if let Some(stills) = &api.push_in.stills {
            stills.keep_all(pictures).await;
        }
        api.inlet.send(Inbound { safe, ..inbound }).await?;
        line.ready().await;
        Ok::<_, ApiError>(())
    };
    timeout_at(deadline, stored).await.map_err(|_| late())??;
    Ok("{}")
}

/// At most so many bytes, and whether that is all. `None`: the sender broke off.
async fn start_of(body: Body, bytes_max: usize) -> Option<(Vec<u8>, bool)> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.ok()?;
        let room = bytes_max - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if room < chunk.len() {
            return Some((bytes, false));
        }
    }
    Some((bytes, true))
}
