//! ONVIF devices whose events are pulled: services, pull point, messages, renewal, and the end of the subscription, by the Core Specification, clause 9.
//!
//! What a notification means is decided in `decode/onvif.rs`. Logged in by HTTP Digest, which Profile T demands; WS-Security's own digest, which needs a clock both agree on, is not spoken. A camera names itself by
//! addresses that may be wrong behind a router, so only their paths are used. After a wrong password nobody tries again for half an hour. Every answer is bounded in time and size, and is a sign of life; an empty one too.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url, header};
use roxmltree::Document;
use tokio::select;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::camera::digest::{Session, Verdict};
use super::camera::{CameraError, Ends};
use super::inlet::Inbound;
use super::intake::inbound;
use crate::config;
use crate::decode::camera::{PICTURE_BYTES_MAX, Still, Wanted};
use crate::decode::onvif::{NOTIFICATIONS_MAX, take};
use crate::decode::{Message, Outcome};
use crate::engine::backoff::Backoff;
use crate::model::Event;
use crate::units::Timestamp;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An answer with so many bytes is no list of events.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// So long the camera may wait for something to happen.
const PULL_S: u64 = 10;
/// A pull point that nobody renews ends by itself.
const STANDS_S: u64 = 60;
/// Cameras lock an account for up to half an hour.
const LOCKED_FOR: Duration = Duration::from_secs(1_800);
const UNSUBSCRIBE_WITHIN: Duration = Duration::from_secs(2);

const DEVICE_SERVICE: &str = "/onvif/device_service";
const EVENTS: &str = "http://www.onvif.org/ver10/events/wsdl";
const SUBSCRIPTIONS: &str = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager";

/// Why following ended; each is followed by another try.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the camera cannot be reached: {0}")]
    Unreachable(String),
    #[error(
        "the camera answers {0} to {1}; check `url`, the rights of `user`, and that ONVIF is switched on in the camera"
    )]
    Refused(StatusCode, &'static str),
    #[error(
        "the camera refuses user or password; the next try is in half an hour, because cameras lock an account after a few: correct them in station.toml and restart. ONVIF often has users of its own"
    )]
    WrongPassword,
    #[error("the camera offers no Digest authentication; switch it on for ONVIF in the camera")]
    NoDigest,
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
    client: Client,
    ends: Ends,
}

/// What is asked for: a name for people, the action, and the body.
struct Ask {
    name: &'static str,
    action: String,
    body: String,
}

impl Ask {
    fn services() -> Self {
        Self {
            name: "GetServices",
            action: "http://www.onvif.org/ver10/device/wsdl/GetServices".into(),
            body: "<GetServices xmlns=\"http://www.onvif.org/ver10/device/wsdl\"><IncludeCapability>false</IncludeCapability></GetServices>".into(),
        }
    }

    fn create() -> Self {
        Self {
            name: "CreatePullPointSubscription",
            action: format!("{EVENTS}/EventPortType/CreatePullPointSubscriptionRequest"),
            body: format!(
                "<CreatePullPointSubscription xmlns=\"{EVENTS}\"><InitialTerminationTime>PT{STANDS_S}S</InitialTerminationTime></CreatePullPointSubscription>"
            ),
        }
    }

    fn pull() -> Self {
        Self {
            name: "PullMessages",
            action: format!("{EVENTS}/PullPointSubscription/PullMessagesRequest"),
            body: format!(
                "<PullMessages xmlns=\"{EVENTS}\"><Timeout>PT{PULL_S}S</Timeout><MessageLimit>{NOTIFICATIONS_MAX}</MessageLimit></PullMessages>"
            ),
        }
    }

    fn renew() -> Self {
        Self {
            name: "Renew",
            action: format!("{SUBSCRIPTIONS}/RenewRequest"),
            body: format!(
                "<Renew xmlns=\"http://docs.oasis-open.org/wsn/b-2\"><TerminationTime>PT{STANDS_S}S</TerminationTime></Renew>"
            ),
        }
    }

    fn unsubscribe() -> Self {
        Self {
            name: "Unsubscribe",
            action: format!("{SUBSCRIPTIONS}/UnsubscribeRequest"),
            body: "<Unsubscribe xmlns=\"http://docs.oasis-open.org/wsn/b-2\"/>".into(),
        }
    }

    fn envelope(&self, to: &str) -> String {
        let to = to.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">{}</a:Action><a:To s:mustUnderstand=\"1\">{to}</a:To></s:Header><s:Body>{}</s:Body></s:Envelope>",
            self.action, self.body
        )
    }
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
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .redirect(Policy::none())
            .user_agent(concat!("gridwarden/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            session: Session::new(config.user.get_ref().clone(), password),
            name,
            base,
            snapshot,
            client,
            ends,
        })
    }

    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        let mut told = false;
        loop {
            let (mut heard, mut point) = (None, None);
            let ended = select! {
                () = stop.cancelled() => Ended::Stopping,
                ended = self.follow(&mut heard, &mut point) => ended,
            };
            if let Ended::Stopping = ended {
                if let Some(point) = point {
                    let _ = timeout(UNSUBSCRIBE_WITHIN, self.call(&point, &Ask::unsubscribe())).await; // It ends by itself, too.
                }
                return Ok(());
            }
            metrics::counter!("gridwarden_camera_reconnects_total", "camera" => self.name.clone())
                .increment(1);
            self.ends.check.wrong(ended.to_string());
            if let Some(since) = heard {
                (told, backoff) = (false, Backoff::default());
                self.gone(since).await;
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(camera = %self.name, reason = %ended, "the events of a camera are not heard; trying again until they are");
            }
            let wait = match ended {
                Ended::WrongPassword => LOCKED_FOR,
                Ended::Unreachable(_)
                | Ended::Refused(..)
                | Ended::NoDigest
                | Ended::Broken(..)
                | Ended::Stopping => backoff.failed(fastrand::f64()).as_duration(),
            };
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
        point: &mut Option<Url>,
    ) -> Result<std::convert::Infallible, Ended> {
        let mut device_service = self.base.clone();
        if device_service.path() == "/" {
            device_service.set_path(DEVICE_SERVICE);
        }
        let services = self.call(&device_service, &Ask::services()).await?;
        let events = self.reached(&address_of(&services, Some(EVENTS)), "GetServices")?;
        let created = self.call(&events, &Ask::create()).await?;
        let at = self.reached(&address_of(&created, None), "CreatePullPointSubscription")?;
        *point = Some(at.clone());
        let mut renewed = Instant::now();
        loop {
            let answer = self.call(&at, &Ask::pull()).await?;
            if heard.is_none() {
                self.ends.check.fine();
                tracing::info!(camera = %self.name, "the events of a camera are heard");
            }
            *heard = Some(self.ends.clock.now().wall);
            self.hand_on(&answer).await?;
            if Duration::from_secs(STANDS_S / 3) < renewed.elapsed() {
                self.call(&at, &Ask::renew()).await?;
                renewed = Instant::now();
            }
        }
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
        self.keep_picture(wanted).await;
        Ok(())
    }

    /// After the event: no alarm waits for it. A camera that cannot show one is followed all the same.
    async fn keep_picture(&mut self, wanted: Wanted) {
        let (Some((device, event, at)), Some(url)) = (wanted, self.snapshot.clone()) else { return };
        let picture =
            timeout(ANSWER_WITHIN, self.answered(&url, None, "the picture", PICTURE_BYTES_MAX)).await;
        if let Ok(Ok(bytes)) = picture {
            self.ends.stills.keep_beside(vec![Still { device, event, at, bytes }]);
        }
    }

    async fn gone(&self, since: Timestamp) {
        let device = self.ends.world.load().registry.device_by_address(&format!("onvif:{}", self.name));
        let Some(device) = device else { return };
        let event = Event::Gone { device, since, received: self.ends.clock.now().wall };
        let _ = self.ends.inlet.send(Inbound { events: vec![event], ..Inbound::default() }).await; // Else everything ends.
    }

    /// The camera at the address that we know, by the path that it gave.
    fn reached(&self, address: &Option<String>, of: &'static str) -> Result<Url, Ended> {
        let given = address.as_deref().and_then(|text| Url::parse(text.trim()).ok());
        let given = given.ok_or_else(|| Ended::Broken(of, "it names no address".into()))?;
        let mut url = self.base.clone();
        url.set_path(given.path());
        url.set_query(given.query());
        Ok(url)
    }

    async fn call(&mut self, url: &Url, ask: &Ask) -> Result<String, Ended> {
        let within = ANSWER_WITHIN + Duration::from_secs(PULL_S);
        let answer = timeout(within, self.answered(url, Some(ask), ask.name, ANSWER_BYTES_MAX));
        let bytes = answer.await.map_err(|_| {
            Ended::Unreachable(format!("no answer to {} within {} s", ask.name, within.as_secs()))
        })??;
        String::from_utf8(bytes).map_err(|error| Ended::Broken(ask.name, error.to_string()))
    }

    /// With the answer to the camera's challenge, when there is one.
    async fn answered(
        &mut self,
        url: &Url,
        ask: Option<&Ask>,
        name: &'static str,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Ended> {
        let uri = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        for _ in 0..3 {
            let cnonce = format!("{:016x}", fastrand::u64(..));
            let (method, mut request) = match ask {
                Some(ask) => {
                    let kind = format!("application/soap+xml; charset=utf-8; action=\"{}\"", ask.action);
                    let request = self.client.post(url.clone()).header(header::CONTENT_TYPE, kind);
                    ("POST", request.body(ask.envelope(url.as_str())))
                }
                None => ("GET", self.client.get(url.clone())),
            };
            if let Some(answer) = self.session.authorization(method, &uri, &cnonce) {
                request = request.header(header::AUTHORIZATION, answer);
            }
            let unreachable = |error: reqwest::Error| {
                Ended::Unreachable(super::driver::Chain(&error.without_url()).to_string())
            };
            let mut response = request.send().await.map_err(unreachable)?;
            match response.status() {
                StatusCode::OK => {
                    let mut bytes = Vec::new();
                    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
                        if bytes_max < bytes.len() + chunk.len() {
                            return Err(Ended::Broken(name, format!("it has more than {bytes_max} bytes")));
                        }
                        bytes.extend_from_slice(&chunk);
                    }
                    return Ok(bytes);
                }
                StatusCode::UNAUTHORIZED => (),
                status => return Err(Ended::Refused(status, name)),
            }
            let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
            match self.session.challenged(challenges.iter().filter_map(|value| value.to_str().ok())) {
                Verdict::Answer => (),
                Verdict::WrongPassword => return Err(Ended::WrongPassword),
                Verdict::NoDigest => return Err(Ended::NoDigest),
            }
        }
        Err(Ended::WrongPassword)
    }
}

/// The address in an answer: of the service of this name space, or the only one there is.
fn address_of(answer: &str, service: Option<&str>) -> Option<String> {
    let document = Document::parse(answer).ok()?;
    let named = |name: &'static str| move |node: &roxmltree::Node<'_, '_>| node.tag_name().name() == name;
    let found = match service {
        None => document.descendants().find(named("Address"))?,
        Some(space) => {
            let mut services = document.descendants().filter(named("Service"));
            let service = services.find(|service| {
                service
                    .children()
                    .filter(named("Namespace"))
                    .any(|node| node.text().map(str::trim) == Some(space))
            })?;
            service.children().find(named("XAddr"))?
        }
    };
    found.text().map(str::to_owned)
}
