//! ONVIF devices whose events are pulled: services, pull point, messages, renewal, and the end of the subscription, by the Core Specification, clause 9.
//!
//! What a notification means is decided in `decode/onvif.rs`. Logged in by HTTP Digest where the device asks for it, else by a token in the request: which one is found out by asking without, as the Core Specification says that
//! a device answers (401 with a challenge, or 400 with a fault). A camera names itself by addresses that may be wrong behind a router, so only their paths are used. After a wrong password nobody tries again for
//! half an hour. A pull point is renewed in time; where the device does not know how and does not prolong it by itself, another is made before it ends. Every answer is bounded in time and size, and is a sign of life; an empty one too.

pub mod soap;
pub mod token;

use std::convert::Infallible;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode, Url, header};
use tokio::select;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::soap::{Ask, EVENTS, STANDS_S};
use self::token::Login;
use super::camera::asking::{ANSWER_WITHIN, NotAnswered, answer, body, client};
use super::camera::behind::Behind;
use super::camera::digest::Session;
use super::camera::pictures::Pictures;
use super::camera::tries::Tries;
use super::camera::{CameraError, Ends};
use super::intake::inbound;
use crate::config;
use crate::decode::onvif::take;
use crate::decode::{Message, Outcome};
use crate::units::Timestamp;

/// An answer with so many bytes is no list of events.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// So long the camera may wait for something to happen, at the most.
const PULL_MAX: Duration = Duration::from_secs(10);
const UNSUBSCRIBE_WITHIN: Duration = Duration::from_secs(2);
const DEVICE_SERVICE: &str = "/onvif/device_service";

/// Why following ended; each is followed by another try.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(
        "{1} (asked for {0}; ONVIF is switched on in the camera by itself, and often has users of its own)"
    )]
    NotAnswered(&'static str, #[source] NotAnswered),
    #[error("the camera answers {0} with the fault {1}")]
    Fault(&'static str, String),
    #[error("the camera's answer to {0} cannot be read: {1}")]
    Broken(&'static str, String),
    #[error("the gateway is stopping")]
    Stopping,
}

/// One device of station.toml with the ways out.
pub struct PullPoint {
    name: String,
    base: Url,
    snapshot: Option<Url>,
    session: Session,
    login: Login,
    client: Client,
    behind: Behind,
    pictures: Pictures,
    ends: Ends,
}

/// A pull point that stands at the camera.
struct Point {
    at: Url,
    /// How long it stood when it was made.
    stands: Duration,
    /// When it was made or renewed.
    since: Instant,
    is_renewed: bool,
}

impl PullPoint {
    /// `folder` is where station.toml stands.
    pub fn new(config: &config::Onvif, folder: &std::path::Path, ends: Ends) -> Result<Self, CameraError> {
        let name = config.name.get_ref().clone();
        let password = config
            .password
            .read(folder)
            .map_err(|source| CameraError::Password { name: name.clone(), source })?;
        let url = |text: &str| Url::parse(text).map_err(|_| CameraError::Url(name.clone()));
        let base = url(config.url.get_ref())?;
        let snapshot = config.snapshot_url.as_ref().map(|text| url(text.get_ref())).transpose()?;
        let user = config.user.get_ref().clone();
        Ok(Self {
            session: Session::new(user.clone(), password.clone(), config.login),
            login: Login::new(user, password),
            behind: Behind::new(format!("onvif:{name}")),
            name,
            base,
            snapshot,
            client: client()?,
            pictures: Pictures::default(),
            ends,
        })
    }

    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut tries = Tries::default();
        loop {
            let (mut heard, mut point) = (None, None);
            let ended = select! {
                () = stop.cancelled() => Ended::Stopping,
                ended = self.follow(&mut heard, &mut point) => ended,
            };
            let locked = match ended {
                Ended::Stopping => {
                    if let Some(point) = point {
                        let _ = timeout(UNSUBSCRIBE_WITHIN, self.call(&point, &Ask::unsubscribe())).await; // It ends by itself, too.
                    }
                    return Ok(());
                }
                // Before Basic was all that was left, a token was tried.
                Ended::NotAnswered(_, NotAnswered::WrongPassword | NotAnswered::OnlyBasic { .. }) => true,
                Ended::NotAnswered(..) | Ended::Fault(..) | Ended::Broken(..) => false,
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

    /// Until something fails. `heard`: when the last answer came; `point`: the pull point that stands.
    async fn follow(&mut self, heard: &mut Option<Timestamp>, point: &mut Option<Url>) -> Ended {
        match self.pull(heard, point).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn pull(
        &mut self,
        heard: &mut Option<Timestamp>,
        at: &mut Option<Url>,
    ) -> Result<Infallible, Ended> {
        let services = self.call(&self.device_service(), &Ask::services()).await?;
        let events = self.reached(soap::service(&services, EVENTS), "GetServices")?;
        let mut point = self.subscribe(&events, at).await?;
        loop {
            // However late it begins, it ends before the point does.
            let wait = (point.stands / 3).clamp(Duration::from_secs(1), PULL_MAX);
            let answer = self.call(&point.at, &Ask::pull(wait)).await?;
            if heard.is_none() {
                self.ends.check.fine();
                tracing::info!(camera = %self.name, "the events of a camera are heard");
                self.behind.back(&self.ends).await.map_err(|_| Ended::Stopping)?;
            }
            *heard = Some(self.ends.clock.now().wall);
            self.hand_on(&answer).await?;
            if !self.goes_on(&mut point, &answer).await? {
                // What happened between the last pull and now is in the old one only, and what happens from now on in both.
                let old = std::mem::replace(&mut point, self.subscribe(&events, at).await?);
                match self.give_back(&old).await {
                    Ok(()) | Err(Ended::Fault(..)) => (), // It ends by itself, too.
                    Err(ended) => return Err(ended),
                }
            }
        }
    }

    async fn give_back(&mut self, old: &Point) -> Result<(), Ended> {
        let rest = self.call(&old.at, &Ask::pull(Duration::ZERO)).await?;
        self.hand_on(&rest).await?;
        self.call(&old.at, &Ask::unsubscribe()).await.map(drop)
    }

    async fn subscribe(&mut self, events: &Url, at: &mut Option<Url>) -> Result<Point, Ended> {
        let since = Instant::now();
        let created = self.call(events, &Ask::create()).await?;
        let url = self.reached(soap::address(&created), "CreatePullPointSubscription")?;
        *at = Some(url.clone());
        // No longer than what is asked for when it is renewed.
        let asked = Duration::from_secs(STANDS_S);
        let stands = soap::stands(&created).filter(|stands| !stands.is_zero()).unwrap_or(asked).min(asked);
        Ok(Point { at: url, stands, since, is_renewed: true })
    }

    /// Whether the point stands for another while, renewed when a third of its time is over. Not every device can renew: by the Core Specification pulling alone prolongs it, too, and the answer says how long it stands.
    async fn goes_on(&mut self, point: &mut Point, answer: &str) -> Result<bool, Ended> {
        let enough = point.stands * 2 / 3;
        let since = Instant::now();
        let left = point.stands.saturating_sub(since - point.since);
        if point.is_renewed && left < enough {
            match self.call(&point.at, &Ask::renew()).await {
                Ok(_) => point.since = since,
                Err(Ended::Fault(..) | Ended::NotAnswered(_, NotAnswered::Refused(_))) => {
                    point.is_renewed = false
                }
                Err(ended) => return Err(ended),
            }
        }
        Ok(point.is_renewed || enough <= soap::stands(answer).unwrap_or(left))
    }

    async fn hand_on(&mut self, answer: &str) -> Result<(), Ended> {
        let received = self.ends.clock.now().wall;
        let message = Message { topic: &self.name, payload: b"", retained: false, dup: false, received };
        let (decoded, wanted) = {
            let context = self.ends.world.load().decoding();
            let mut outcome = Outcome::new(&message, &context);
            let wanted =
                take(answer, &self.name, &mut outcome).map_err(|why| Ended::Broken("PullMessages", why))?;
            (outcome.finish(), wanted)
        };
        let inbound = inbound(&format!("onvif:{}", self.name), &message, decoded);
        self.ends.inlet.send(inbound).await.map_err(|_| Ended::Stopping)?;
        // A camera that cannot show one is followed all the same.
        if let (Some(wanted), Some(url)) = (wanted, self.snapshot.clone()) {
            let with = (self.client.clone(), self.session.clone());
            self.pictures.ask(wanted, self.ends.clock.now().steady, url, with, self.ends.stills.clone());
        }
        Ok(())
    }

    fn device_service(&self) -> Url {
        let mut url = self.base.clone();
        if url.path() == "/" {
            url.set_path(DEVICE_SERVICE);
        }
        url
    }

    /// The camera at the address that we know, by the path that it gave.
    fn reached(&self, address: Option<String>, of: &'static str) -> Result<Url, Ended> {
        let given = address.as_deref().and_then(|text| Url::parse(text.trim()).ok());
        let given = given.ok_or_else(|| Ended::Broken(of, "it names no address".into()))?;
        let mut url = self.base.clone();
        url.set_path(given.path());
        url.set_query(given.query());
        Ok(url)
    }

    /// Once more when another login is wanted.
    async fn call(&mut self, url: &Url, asked: &Ask) -> Result<String, Ended> {
        loop {
            let header = self.login.header(self.ends.clock.now(), fastrand::u128(..).to_be_bytes());
            let why = match self.post(url, asked, &header).await {
                Ok(answer) => {
                    self.login.taken();
                    return Ok(answer);
                }
                Err(Ended::NotAnswered(_, NotAnswered::NoDigest)) => NotAnswered::WrongPassword,
                Err(Ended::NotAnswered(_, why @ NotAnswered::OnlyBasic { .. })) => why,
                Err(Ended::Fault(_, fault)) if soap::is_about_the_login(&fault) => NotAnswered::WrongPassword,
                Err(ended) => return Err(ended),
            };
            if !self.login.may_try() {
                self.login.forget();
                return Err(Ended::NotAnswered(asked.name, why));
            }
            let shown = self.clock_shows().await?;
            self.login.begin(shown, self.ends.clock.now());
        }
    }

    /// The device's clock; ours where it does not show it to everybody.
    async fn clock_shows(&mut self) -> Result<Timestamp, Ended> {
        let shown = match self.post(&self.device_service(), &Ask::clock(), "").await {
            Ok(answer) => soap::clock(&answer),
            Err(
                Ended::Fault(..)
                | Ended::NotAnswered(_, NotAnswered::NoDigest | NotAnswered::OnlyBasic { .. }),
            ) => None,
            Err(ended) => return Err(ended),
        };
        Ok(shown.unwrap_or(self.ends.clock.now().wall))
    }

    async fn post(&mut self, url: &Url, asked: &Ask, login: &str) -> Result<String, Ended> {
        let not = |why| Ended::NotAnswered(asked.name, why);
        let within = ANSWER_WITHIN + PULL_MAX;
        let whole = |request: reqwest::RequestBuilder| {
            let kind = format!("application/soap+xml; charset=utf-8; action=\"{}\"", asked.action);
            request.header(header::CONTENT_TYPE, kind).body(asked.envelope(url.as_str(), login))
        };
        let answered = timeout(within, async {
            let response =
                answer(&self.client, &mut self.session, (Method::POST, url), within, whole).await?;
            Ok((response.status(), body(response, ANSWER_BYTES_MAX).await?))
        });
        let late = |_| NotAnswered::Unreachable(format!("no answer within {} s", within.as_secs()));
        let (status, bytes) = answered.await.map_err(late).map_err(not)?.map_err(not)?;
        let text = String::from_utf8(bytes).map_err(|error| Ended::Broken(asked.name, error.to_string()))?;
        if status == StatusCode::OK {
            return Ok(text);
        }
        Err(soap::fault(&text)
            .map_or(not(NotAnswered::Refused(status)), |fault| Ended::Fault(asked.name, fault)))
    }
}
