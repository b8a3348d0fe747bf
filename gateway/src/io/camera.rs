//! Cameras that are asked for their events: one task a camera follows its endless answer (Hikvision `alertStream`, Dahua `attach`) and connects again whenever it ends.
//!
//! What a part means is decided in `decode/`; this file only carries it out. A part is bounded, and so is every wait: for the connection, for the head of the answer, and for the next whole part, so that a camera
//! that dribbles is left, too. Every part is a sign of life; when the connection is lost the camera is reported gone, with those behind it, and its rule waits before it says so. After a wrong password nobody tries again for
//! [`tries`]: cameras lock an account after a few tries. An event of safety that came without a picture is followed by a request for one. The camera cannot repeat what it said, so there is nothing to acknowledge.

pub mod asking;
pub mod behind;
pub mod digest;
pub mod pictures;
pub mod tries;

use std::time::Duration;

use reqwest::{Client, Method, Url};
use tokio::select;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use self::asking::{NotAnswered, ask, client};
use self::behind::Behind;
use self::digest::Session;
use self::pictures::Pictures;
use self::tries::Tries;
use super::inlet::Inlet;
use super::intake::inbound;
use super::stills::Stills;
use crate::clock::Clock;
use crate::config::secret::SecretError;
use crate::config::{self, CameraMaker};
use crate::decode::camera::{PICTURE_BYTES_MAX, Wanted};
use crate::decode::parts::{Broken, Part, Parts};
use crate::decode::{Message, Outcome, dahua, hikvision};
use crate::health::Check;
use crate::model::DeviceIx;
use crate::units::Timestamp;
use crate::world::Shared;

/// Why following ended; each but the last is followed by another try.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    NotAnswered(#[from] NotAnswered),
    #[error("the camera said nothing whole for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the camera's answer cannot be read: {0}")]
    Broken(#[from] Broken),
    #[error("the camera closed the connection")]
    Closed,
    #[error("the gateway is stopping")]
    Stopping,
}

/// One camera of station.toml with the ways out.
pub struct Camera {
    name: String,
    maker: CameraMaker,
    base: Url,
    session: Session,
    client: Client,
    silent: Duration,
    /// What is heard over its connection.
    behind: Behind,
    asks_for_pictures: bool,
    pictures: Pictures,
    ends: Ends,
}

/// What a camera works with.
pub struct Ends {
    pub world: Shared,
    pub inlet: Inlet,
    pub clock: Clock,
    pub stills: Stills,
    pub check: Check,
}

#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    #[error("the password of the camera `{name}` is not usable")]
    Password { name: String, source: SecretError },
    #[error("the address of the camera `{0}` is no URL")]
    Url(String),
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

impl Camera {
    /// `folder` is where station.toml stands.
    pub fn new(config: &config::Camera, folder: &std::path::Path, ends: Ends) -> Result<Self, CameraError> {
        let name = config.name.get_ref().clone();
        let password = config
            .password
            .read(folder)
            .map_err(|source| CameraError::Password { name: name.clone(), source })?;
        let base = Url::parse(config.url.get_ref()).map_err(|_| CameraError::Url(name.clone()))?;
        let maker = match config.maker {
            CameraMaker::Hikvision => "hikvision",
            CameraMaker::Dahua => "dahua",
        };
        Ok(Self {
            session: Session::new(config.user.get_ref().clone(), password, config.login),
            behind: Behind::new(format!("{maker}:{name}")),
            name,
            maker: config.maker,
            base,
            client: client()?,
            silent: Duration::from_secs(u64::from(*config.silent_s.get_ref())),
            asks_for_pictures: config.stills,
            pictures: Pictures::default(),
            ends,
        })
    }

    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut tries = Tries::default();
        loop {
            let mut heard = None;
            let ended = select! {
                () = stop.cancelled() => return Ok(()),
                ended = self.follow(&mut heard) => ended,
            };
            let locked = match ended {
                Ended::Stopping => return Ok(()),
                Ended::NotAnswered(NotAnswered::WrongPassword) => true,
                Ended::NotAnswered(_) | Ended::Silent(_) | Ended::Broken(_) | Ended::Closed => false,
            };
            if let Some(since) = heard {
                self.behind.gone(since, &self.ends).await;
            }
            let wait = tries.ended(&self.name, &ended, locked, heard.is_some(), &self.ends.check);
            select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(wait) => (),
            }
        }
    }

    /// Until the stream ends. `heard`: when the last part came.
    async fn follow(&mut self, heard: &mut Option<Timestamp>) -> Ended {
        let (path, query) = match self.maker {
            CameraMaker::Hikvision => ("/ISAPI/Event/notification/alertStream", None),
            CameraMaker::Dahua => {
                ("/cgi-bin/eventManager.cgi", Some("action=attach&codes=[All]&heartbeat=5"))
            }
        };
        let url = address(&self.base, path, query);
        let asked = ask(&self.client, &mut self.session, (Method::GET, &url)).await;
        let mut response = match asked {
            Ok(response) => response,
            Err(not_answered) => return not_answered.into(),
        };
        let mut parts = Parts::new(PICTURE_BYTES_MAX);
        let mut wanted = None;
        let mut patience = Instant::now() + self.silent;
        loop {
            let chunk = match timeout_at(patience, response.chunk()).await {
                Err(_) => return Ended::Silent(self.silent),
                Ok(Err(error)) => return NotAnswered::Unreachable(error.without_url().to_string()).into(),
                Ok(Ok(None)) => return Ended::Closed,
                Ok(Ok(Some(chunk))) => chunk,
            };
            let mut found = Vec::new();
            let read = parts.take(&chunk, &mut |part| found.push(part));
            for part in found {
                if heard.is_none() {
                    self.ends.check.fine();
                    tracing::info!(camera = %self.name, "the events of a camera are heard");
                    if self.behind.back(&self.ends).await.is_err() {
                        return Ended::Stopping;
                    }
                }
                *heard = Some(self.ends.clock.now().wall);
                patience = Instant::now() + self.silent;
                if let Err(ended) = self.hand_on(part, &mut wanted).await {
                    return ended;
                }
            }
            if let Err(broken) = read {
                return broken.into();
            }
        }
    }

    async fn hand_on(&mut self, part: Part, wanted: &mut Wanted) -> Result<(), Ended> {
        let is_picture = part.is_picture();
        let message = Message {
            topic: &self.name,
            payload: b"",
            retained: false,
            dup: false,
            received: self.ends.clock.now().wall,
        };
        let mut decoded = {
            let context = self.ends.world.load().decoding();
            let mut outcome = Outcome::new(&message, &context);
            match self.maker {
                CameraMaker::Hikvision => hikvision::take(part, Some(&self.name), wanted, &mut outcome),
                CameraMaker::Dahua => dahua::take(part, &self.name, wanted, &mut outcome),
            }
            outcome.finish()
        };
        let pictures = std::mem::take(&mut decoded.stills);
        let inbound = inbound(&format!("camera:{}", self.name), &message, decoded);
        if !inbound.is_empty() {
            self.ends.inlet.send(inbound).await.map_err(|_| Ended::Stopping)?;
        }
        self.ends.stills.keep_all(pictures).await;
        if let Some(wanted) = *wanted
            && self.asks_for_pictures
            && !is_picture
        {
            let (device, ..) = wanted;
            let (url, with) = (self.picture_of(device), (self.client.clone(), self.session.clone()));
            self.pictures.ask(wanted, self.ends.clock.now().steady, url, with, self.ends.stills.clone());
        }
        Ok(())
    }

    /// Where the camera shows what a device of its sees now.
    fn picture_of(&self, device: DeviceIx) -> Url {
        let channel = {
            let world = self.ends.world.load();
            let address = world.registry.device(device).map_or("", |device| device.address.as_str());
            address.rsplit_once('/').and_then(|(_, channel)| channel.parse().ok()).unwrap_or(1u32)
        };
        match self.maker {
            CameraMaker::Hikvision => {
                address(&self.base, &format!("/ISAPI/Streaming/channels/{channel}01/picture"), None)
            }
            CameraMaker::Dahua => {
                address(&self.base, "/cgi-bin/snapshot.cgi", Some(&format!("channel={channel}")))
            }
        }
    }
}

fn address(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}
