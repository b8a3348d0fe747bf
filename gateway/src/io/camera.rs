//! Cameras that are asked for their events: one task a camera follows its endless answer (Hikvision `alertStream`, Dahua `attach`) and connects again whenever it ends.
//!
//! What a part means is decided in `decode/`; this file only carries it out. A part is bounded, and so is every wait: for the connection, for the head of the answer, and for the next whole part, so that a camera
//! that dribbles is left, too. Every part is a sign of life; when the connection is lost the camera is reported gone, with those behind it, and its rule waits before it says so. After a wrong password nobody tries again for
//! [`LOCKED_FOR`]: cameras lock an account after a few tries. An event of safety that came without a picture is followed by a request for one. The camera cannot repeat what it said, so there is nothing to acknowledge.

pub mod digest;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url, header};
use tokio::select;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::digest::{Session, Verdict};
use super::inlet::{Closed, Inbound, Inlet};
use super::intake::inbound;
use super::stills::{AGAIN_AFTER, Stills};
use crate::clock::Clock;
use crate::config::secret::SecretError;
use crate::config::{self, CameraMaker};
use crate::decode::camera::{PICTURE_BYTES_MAX, Still, Wanted};
use crate::decode::parts::{Broken, Part, Parts};
use crate::decode::{Message, Outcome, REPORTS_MAX, dahua, hikvision};
use crate::engine::backoff::Backoff;
use crate::health::Check;
use crate::model::{DeviceIx, Event, Freshness, Metric, Report};
use crate::units::{Steady, Timestamp};
use crate::world::Shared;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// For the head of an answer, and for a whole picture.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Cameras lock an account for up to half an hour.
const LOCKED_FOR: Duration = Duration::from_secs(1_800);

/// Why following ended; each but the last is followed by another try.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the camera cannot be reached: {0}")]
    Unreachable(String),
    #[error("the camera answers {0}; check `url` and the rights of `user`")]
    Refused(StatusCode),
    #[error(
        "the camera refuses user or password; the next try is in half an hour, because cameras lock an account after a few: correct them in station.toml and restart"
    )]
    WrongPassword,
    #[error(
        "the camera offers no Digest authentication; switch it on in the camera, because Basic shows the password to everybody"
    )]
    NoDigest,
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
    world: Shared,
    inlet: Inlet,
    clock: Clock,
    stills: Stills,
    /// What was told gone with the connection, and is back with it.
    gone: Vec<DeviceIx>,
    asks_for_pictures: bool,
    asked: BTreeMap<(DeviceIx, Metric), Steady>,
    pictures: JoinSet<()>,
    check: Check,
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
        // reqwest finds its TLS in the process's default; whoever installed one before is welcome.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .redirect(Policy::none())
            .user_agent(concat!("gridwarden/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let Ends { world, inlet, clock, stills, check } = ends;
        Ok(Self {
            session: Session::new(config.user.get_ref().clone(), password),
            name,
            maker: config.maker,
            base,
            client,
            silent: Duration::from_secs(u64::from(*config.silent_s.get_ref())),
            world,
            inlet,
            clock,
            stills,
            gone: Vec::new(),
            asks_for_pictures: config.stills,
            asked: BTreeMap::new(),
            pictures: JoinSet::new(),
            check,
        })
    }

    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let mut heard = None;
            let ended = select! {
                () = stop.cancelled() => return Ok(()),
                ended = self.follow(&mut heard) => ended,
            };
            metrics::counter!("gridwarden_camera_reconnects_total", "camera" => self.name.clone())
                .increment(1);
            self.check.wrong(ended.to_string());
            if let Some(since) = heard {
                (told, backoff) = (false, Backoff::default());
                self.gone(since).await;
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(camera = %self.name, reason = %ended, "the events of a camera are not heard; trying again until they are");
            }
            let wait = match ended {
                Ended::Stopping => return Ok(()),
                Ended::WrongPassword => LOCKED_FOR,
                Ended::Unreachable(_)
                | Ended::Refused(_)
                | Ended::NoDigest
                | Ended::Silent(_)
                | Ended::Broken(_)
                | Ended::Closed => backoff.failed(fastrand::f64()).as_duration(),
            };
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
        let mut response = match ask(&self.client, &mut self.session, &url).await {
            Ok(response) => response,
            Err(ended) => return ended,
        };
        let mut parts = Parts::new(PICTURE_BYTES_MAX);
        let mut wanted = None;
        let mut patience = Instant::now() + self.silent;
        loop {
            let chunk = match timeout_at(patience, response.chunk()).await {
                Err(_) => return Ended::Silent(self.silent),
                Ok(Err(error)) => return Ended::Unreachable(error.without_url().to_string()),
                Ok(Ok(None)) => return Ended::Closed,
                Ok(Ok(Some(chunk))) => chunk,
            };
            let mut found = Vec::new();
            let read = parts.take(&chunk, &mut |part| found.push(part));
            for part in found {
                if heard.is_none() {
                    self.check.fine();
                    tracing::info!(camera = %self.name, "the events of a camera are heard");
                    if self.back().await.is_err() {
                        return Ended::Stopping;
                    }
                }
                *heard = Some(self.clock.now().wall);
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
            received: self.clock.now().wall,
        };
        let mut decoded = {
            let context = self.world.load().decoding();
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
            self.inlet.send(inbound).await.map_err(|_| Ended::Stopping)?;
        }
        self.stills.keep_all(pictures).await;
        if let Some((device, event, at)) = *wanted
            && !is_picture
        {
            self.ask_for_picture(device, event, at);
        }
        Ok(())
    }

    /// Beside the stream, which goes on meanwhile.
    fn ask_for_picture(&mut self, device: DeviceIx, event: Metric, at: Timestamp) {
        let now = self.clock.now().steady;
        let before = self.asked.get(&(device, event));
        if !self.asks_for_pictures || before.is_some_and(|&last| now.since(last) < AGAIN_AFTER) {
            return;
        }
        while self.pictures.try_join_next().is_some() {}
        if !self.pictures.is_empty() {
            return; // One at a time.
        }
        self.asked.insert((device, event), now);
        let channel = {
            let world = self.world.load();
            let address = world.registry.device(device).map_or("", |device| device.address.as_str());
            address.rsplit_once('/').and_then(|(_, channel)| channel.parse().ok()).unwrap_or(1u32)
        };
        let url = match self.maker {
            CameraMaker::Hikvision => {
                address(&self.base, &format!("/ISAPI/Streaming/channels/{channel}01/picture"), None)
            }
            CameraMaker::Dahua => {
                address(&self.base, "/cgi-bin/snapshot.cgi", Some(&format!("channel={channel}")))
            }
        };
        let (client, mut session, stills) = (self.client.clone(), self.session.clone(), self.stills.clone());
        self.pictures.spawn(async move {
            let picture = timeout(ANSWER_WITHIN, async {
                let response = ask(&client, &mut session, &url).await.ok()?;
                body(response).await
            });
            if let Ok(Some(bytes)) = picture.await {
                stills.keep_all(vec![Still { device, event, at, bytes }]).await;
            }
        });
    }

    /// The camera, or the recorder with all its cameras: whatever could only be heard over this connection.
    async fn gone(&mut self, since: Timestamp) {
        let maker = match self.maker {
            CameraMaker::Hikvision => "hikvision",
            CameraMaker::Dahua => "dahua",
        };
        let address = format!("{maker}:{}", self.name);
        self.gone = self.world.load().registry.at_or_behind(&address).take(REPORTS_MAX).collect();
        let received = self.clock.now().wall;
        let gone = |&device: &DeviceIx| Event::Gone { device, since, received };
        let _ = self.tell(self.gone.iter().map(gone).collect()).await; // Else everything ends.
    }

    /// A recorder's camera may have nothing to say for days. One that lost its picture is told by the recorder, again and again.
    async fn back(&mut self) -> Result<(), Closed> {
        let received = self.clock.now().wall;
        let alive = |device| {
            let freshness = Freshness::Live;
            Event::Report(Report { device, received, device_time: None, freshness, values: Vec::new() })
        };
        let events = self.gone.drain(..).map(alive).collect();
        self.tell(events).await
    }

    async fn tell(&self, events: Vec<Event>) -> Result<(), Closed> {
        if events.is_empty() {
            return Ok(());
        }
        self.inlet.send(Inbound { events, ..Inbound::default() }).await
    }
}

fn address(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

/// With the answer to the camera's challenge, when there is one; a new challenge is answered once, a nonce that is too old, once more.
async fn ask(client: &Client, session: &mut Session, url: &Url) -> Result<Response, Ended> {
    let uri = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    for _ in 0..3 {
        let cnonce = format!("{:016x}", fastrand::u64(..));
        let mut request = client.get(url.clone());
        if let Some(answer) = session.authorization("GET", &uri, &cnonce) {
            request = request.header(header::AUTHORIZATION, answer);
        }
        let response = timeout(ANSWER_WITHIN, request.send())
            .await
            .map_err(|_| Ended::Unreachable(format!("no answer within {} s", ANSWER_WITHIN.as_secs())))?
            .map_err(|error| Ended::Unreachable(reason(&error.without_url())))?;
        match response.status() {
            StatusCode::OK => return Ok(response),
            StatusCode::UNAUTHORIZED => (),
            status => return Err(Ended::Refused(status)),
        }
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        match session.challenged(challenges.iter().filter_map(|value| value.to_str().ok())) {
            Verdict::Answer => (),
            Verdict::WrongPassword => return Err(Ended::WrongPassword),
            Verdict::NoDigest => return Err(Ended::NoDigest),
        }
    }
    Err(Ended::WrongPassword)
}

/// With its causes: that of reqwest alone says nothing.
fn reason(error: &reqwest::Error) -> String {
    super::driver::Chain(error).to_string()
}

/// A whole picture; `None` when it is too large or does not come whole.
async fn body(mut response: Response) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if PICTURE_BYTES_MAX < bytes.len() + chunk.len() {
            return None;
        }
        bytes.extend_from_slice(&chunk);
    }
    Some(bytes)
}
