//! ONVIF devices whose events are pulled: services, pull point, messages, renewal, and the end of the subscription, by the Core Specification, clause 9.
//!
//! What a notification means is decided in `decode/onvif.rs`. Logged in by HTTP Digest, which Profile T demands; WS-Security's own digest, which needs a clock both agree on, is not spoken. A camera names itself by
//! addresses that may be wrong behind a router, so only their paths are used. After a wrong password nobody tries again for half an hour. Every answer is bounded in time and size, and is a sign of life; an empty one too.

use std::time::Duration;

use reqwest::{Client, Method, Url, header};
use roxmltree::Document;
use tokio::select;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::camera::asking::{ANSWER_WITHIN, NotAnswered, ask, body, client};
use super::camera::behind::Behind;
use super::camera::digest::Session;
use super::camera::pictures::Pictures;
use super::camera::tries::Tries;
use super::camera::{CameraError, Ends};
use super::intake::inbound;
use crate::config;
use crate::decode::onvif::{NOTIFICATIONS_MAX, take};
use crate::decode::{Message, Outcome};
use crate::units::Timestamp;

/// An answer with so many bytes is no list of events.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// So long the camera may wait for something to happen.
const PULL_S: u64 = 10;
/// A pull point that nobody renews ends by itself.
const STANDS_S: u64 = 60;
const UNSUBSCRIBE_WITHIN: Duration = Duration::from_secs(2);

const DEVICE_SERVICE: &str = "/onvif/device_service";
const EVENTS: &str = "http://www.onvif.org/ver10/events/wsdl";
const SUBSCRIPTIONS: &str = "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager";

/// Why following ended; each is followed by another try.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(
        "{1} (asked for {0}; ONVIF is switched on in the camera by itself, and often has users of its own)"
    )]
    NotAnswered(&'static str, #[source] NotAnswered),
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
    behind: Behind,
    pictures: Pictures,
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
        Ok(Self {
            session: Session::new(config.user.get_ref().clone(), password),
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
                Ended::NotAnswered(_, NotAnswered::WrongPassword) => true,
                Ended::NotAnswered(..) | Ended::Broken(..) => false,
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
                self.behind.back(&self.ends).await.map_err(|_| Ended::Stopping)?;
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
        // A camera that cannot show one is followed all the same.
        if let (Some(wanted), Some(url)) = (wanted, self.snapshot.clone()) {
            let with = (self.client.clone(), self.session.clone());
            self.pictures.ask(wanted, self.ends.clock.now().steady, url, with, self.ends.stills.clone());
        }
        Ok(())
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

    async fn call(&mut self, url: &Url, asked: &Ask) -> Result<String, Ended> {
        let not = |why| Ended::NotAnswered(asked.name, why);
        let within = ANSWER_WITHIN + Duration::from_secs(PULL_S);
        let whole = |request: reqwest::RequestBuilder| {
            let kind = format!("application/soap+xml; charset=utf-8; action=\"{}\"", asked.action);
            request.header(header::CONTENT_TYPE, kind).body(asked.envelope(url.as_str()))
        };
        let answer = timeout(within, async {
            let response = ask(&self.client, &mut self.session, (Method::POST, url), within, whole).await?;
            body(response, ANSWER_BYTES_MAX).await
        });
        let late = |_| NotAnswered::Unreachable(format!("no answer within {} s", within.as_secs()));
        let bytes = answer.await.map_err(late).map_err(not)?.map_err(not)?;
        String::from_utf8(bytes).map_err(|error| Ended::Broken(asked.name, error.to_string()))
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
