//! A stand-in for an ONVIF device, by the messages in the Core Specification's clause on events: services, one pull point, its messages, renewal and end.
//!
//! It lets somebody in by Digest or by token, as told, and checks tokens by itself. A pull point ends when its time is over. The addresses that it gives are those of a device behind a router: only their paths lead anywhere.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gateway::units::{Millis, Timestamp};
use ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
use roxmltree::Document;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::digest::Gate;

pub const USER: &str = "events";
pub const PASSWORD: &str = "an-onvif-user-for-tests-only";
const GATE: Gate = Gate { realm: "onvif", user: USER, password: PASSWORD };
const NONCE: &str = "b9a6d1f0c3";
/// A token is no older than this, by the device's own clock.
const TOKEN_AGE_MAX: Millis = Millis::from_secs(60);

/// How a device lets somebody in. Pictures are behind HTTP Digest, or Basic where the device knows nothing better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// HTTP Digest, as Profile T demands.
    Digest,
    /// A token of WS-Security in each request; without one a fault, as the Core Specification says.
    Token,
    /// The same, with a bare 401 instead of the fault.
    TokenUnsaid,
    /// HTTP Basic, and nothing else.
    Basic,
}

/// Who prolongs a pull point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prolonged {
    ByRenew,
    /// The device does not know Renew.
    ByPulling,
    /// The device does not know Renew, and another point must be made.
    Never,
}

/// What kind of device.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub login: Login,
    pub prolonged: Prolonged,
    /// However long was asked for.
    pub stands: Duration,
}

impl Default for Kind {
    fn default() -> Self {
        Self { login: Login::Digest, prolonged: Prolonged::ByRenew, stands: Duration::from_secs(60) }
    }
}

pub struct Onvif {
    pub port: u16,
    device: Arc<Device>,
    _task: AbortOnDropHandle<()>,
}

struct Device {
    kind: Kind,
    picture: Vec<u8>,
    started: Instant,
    news: Notify,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// What was asked by somebody who may, in order.
    asked: Vec<String>,
    /// How often a login was given that is not right.
    refused: usize,
    /// Those of tokens; each is good once.
    nonces: BTreeSet<String>,
    /// By number.
    points: BTreeMap<u32, Point>,
    made: u32,
    /// What happened when there was no pull point.
    unheard: VecDeque<String>,
}

struct Point {
    ends: Instant,
    waiting: VecDeque<String>,
}

impl Device {
    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody has set its clock.
    fn clock(&self) -> Timestamp {
        let begin = Timestamp::parse_rfc3339("2008-10-10T12:24:58Z").expect("a time");
        begin + Millis(self.started.elapsed().as_millis() as u64)
    }

    /// Its clock, and when a point ends that stands as long as this kind's.
    fn times(&self) -> String {
        let stands = Millis(self.kind.stands.as_millis() as u64);
        format!(
            "<wsnt:CurrentTime>{}</wsnt:CurrentTime><wsnt:TerminationTime>{}</wsnt:TerminationTime>",
            self.clock(),
            self.clock() + stands
        )
    }

    /// As long as it stands.
    fn at_the_point<T>(&self, target: &str, act: impl FnOnce(&mut Point) -> T) -> Option<T> {
        let number: u32 = target.strip_prefix("/onvif/Subscription?Idx=")?.parse().ok()?;
        let mut now = self.now();
        let point = now.points.get_mut(&number).filter(|point| Instant::now() < point.ends)?;
        Some(act(point))
    }
}

impl Onvif {
    pub async fn start(kind: Kind, picture: Vec<u8>) -> Self {
        let device = Arc::new(Device {
            kind,
            picture,
            started: Instant::now(),
            news: Notify::new(),
            now: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state(device.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        #[expect(clippy::disallowed_methods, reason = "aborted with the device")]
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { port, device, _task: AbortOnDropHandle::new(task) }
    }

    /// A property of the device has changed.
    pub fn says(&self, topic: &str, item: (&str, &str)) {
        let (name, value) = item;
        let said = format!(
            "<wsnt:NotificationMessage><wsnt:Topic Dialect=\"http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet\">{topic}</wsnt:Topic><wsnt:Message>\
             <tt:Message UtcTime=\"2008-10-10T12:24:57.321Z\" PropertyOperation=\"Changed\"><tt:Source><tt:SimpleItem Name=\"Source\" Value=\"V1\"/></tt:Source>\
             <tt:Data><tt:SimpleItem Name=\"{name}\" Value=\"{value}\"/></tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        );
        let mut now = self.device.now();
        if now.points.is_empty() {
            now.unheard.push_back(said.clone());
        }
        now.points.values_mut().for_each(|point| point.waiting.push_back(said.clone()));
        self.device.news.notify_one();
    }

    /// It starts anew and knows no subscription any more.
    pub fn forgets(&self) {
        self.device.now().points.clear();
    }

    /// How often this was asked by somebody who may.
    pub fn asked(&self, what: &str) -> usize {
        self.device.now().asked.iter().filter(|asked| *asked == what).count()
    }

    /// How often a login was given that is not right.
    pub fn refused(&self) -> usize {
        self.device.now().refused
    }

    /// Pull points that nobody gave back.
    pub fn points(&self) -> usize {
        self.device.now().points.len()
    }
}

const CALLS: [&str; 6] = [
    "GetSystemDateAndTime",
    "GetServices",
    "CreatePullPointSubscription",
    "PullMessages",
    "Renew",
    "Unsubscribe",
];
/// Whoever comes may ask this.
const FOR_ALL: [&str; 2] = ["GetSystemDateAndTime", "GetServices"];

async fn answer(
    State(device): State<Arc<Device>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let text = String::from_utf8_lossy(&body).into_owned();
    let what =
        CALLS.into_iter().find(|what| text.contains(&format!("<{what} xmlns=\"http"))).unwrap_or("picture");
    if !FOR_ALL.contains(&what) {
        let by_digest = what == "picture" || device.kind.login == Login::Digest;
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let right = match device.kind.login {
            Login::Basic => given.map(|given| GATE.admits(given)),
            Login::Digest | Login::Token | Login::TokenUnsaid if by_digest => {
                given.map(|given| GATE.count(given, method.as_str(), &target, NONCE).is_some())
            }
            Login::Digest | Login::Token | Login::TokenUnsaid => token(&text, &device),
        };
        if right != Some(true) {
            device.now().refused += usize::from(right.is_some());
            return match device.kind.login {
                Login::Basic => {
                    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, GATE.basic_challenge())])
                        .into_response()
                }
                Login::Token if !by_digest => fault("ter:NotAuthorized"),
                Login::TokenUnsaid if !by_digest => StatusCode::UNAUTHORIZED.into_response(),
                Login::Digest | Login::Token | Login::TokenUnsaid => {
                    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, GATE.challenge(NONCE))])
                        .into_response()
                }
            };
        }
    }
    device.now().asked.push(what.to_owned());
    match (method, what, target.as_str()) {
        (Method::GET, _, "/snap.jpg") => {
            ([(header::CONTENT_TYPE, "image/jpeg")], device.picture.clone()).into_response()
        }
        (_, "GetSystemDateAndTime", "/onvif/device_service") => {
            soap(&date_and_time(&device.clock().rfc3339()))
        }
        (_, "GetServices", "/onvif/device_service") => soap(
            "<tds:GetServicesResponse><tds:Service><tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace><tds:XAddr>http://192.168.1.108/onvif/media</tds:XAddr></tds:Service>\
             <tds:Service><tds:Namespace>http://www.onvif.org/ver10/events/wsdl</tds:Namespace><tds:XAddr>http://192.168.1.108/onvif/events</tds:XAddr></tds:Service></tds:GetServicesResponse>",
        ),
        (_, "CreatePullPointSubscription", "/onvif/events") => {
            let mut now = device.now();
            now.made += 1;
            let (number, ends, waiting) =
                (now.made, Instant::now() + device.kind.stands, std::mem::take(&mut now.unheard));
            now.points.insert(number, Point { ends, waiting });
            soap(&format!(
                "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>http://192.168.1.108/onvif/Subscription?Idx={number}</wsa:Address></tev:SubscriptionReference>\
                 {}</tev:CreatePullPointSubscriptionResponse>",
                device.times()
            ))
        }
        (_, "PullMessages", target) => pull(&device, target, !text.contains("PT0S")).await,
        (_, "Renew", _) if device.kind.prolonged != Prolonged::ByRenew => fault("ter:ActionNotSupported"),
        (_, "Renew", target) => {
            match device.at_the_point(target, |point| point.ends = Instant::now() + device.kind.stands) {
                Some(()) => soap(&format!("<wsnt:RenewResponse>{}</wsnt:RenewResponse>", device.times())),
                None => StatusCode::BAD_REQUEST.into_response(),
            }
        }
        (_, "Unsubscribe", target) => {
            match device.at_the_point(target, |point| point.ends = Instant::now()) {
                Some(()) => {
                    device.now().points.retain(|_, point| Instant::now() < point.ends);
                    soap("<wsnt:UnsubscribeResponse/>")
                }
                None => StatusCode::BAD_REQUEST.into_response(),
            }
        }
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn pull(device: &Device, target: &str, may_wait: bool) -> Response {
    let is_empty = device.at_the_point(target, |point| point.waiting.is_empty());
    if is_empty == Some(true) && may_wait {
        let _ = tokio::time::timeout(Duration::from_millis(500), device.news.notified()).await;
    }
    let pulled = device.at_the_point(target, |point| {
        if device.kind.prolonged == Prolonged::ByPulling {
            point.ends = Instant::now() + device.kind.stands;
        }
        let left = Millis((point.ends - Instant::now()).as_millis() as u64);
        (point.waiting.drain(..).collect::<String>(), left)
    });
    let Some((all, left)) = pulled else { return StatusCode::BAD_REQUEST.into_response() };
    soap(&format!(
        "<tev:PullMessagesResponse><tev:CurrentTime>{}</tev:CurrentTime><tev:TerminationTime>{}</tev:TerminationTime>{all}</tev:PullMessagesResponse>",
        device.clock(),
        device.clock() + left
    ))
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:wsa=\"http://www.w3.org/2005/08/addressing\" \
         xmlns:wsnt=\"http://docs.oasis-open.org/wsn/b-2\" xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" xmlns:tev=\"http://www.onvif.org/ver10/events/wsdl\" \
         xmlns:tt=\"http://www.onvif.org/ver10/schema\" xmlns:ter=\"http://www.onvif.org/ver10/error\"><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn soap(body: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/soap+xml; charset=utf-8")], envelope(body)).into_response()
}

/// As the Core Specification words it: HTTP 400 with the reason in a subcode.
fn fault(code: &str) -> Response {
    let fault = format!(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang=\"en\">No.</s:Text></s:Reason></s:Fault>"
    );
    (
        StatusCode::BAD_REQUEST,
        [(header::CONTENT_TYPE, "application/soap+xml; charset=utf-8")],
        envelope(&fault),
    )
        .into_response()
}

/// `at` as 2008-10-10T12:24:58.000Z; what it shows on its own wall is another time.
fn date_and_time(at: &str) -> String {
    let number = |from: usize, to: usize| at[from..to].trim_start_matches('0').parse::<u32>().unwrap_or(0);
    let shown = |name: &str, hour: u32| {
        format!(
            "<tt:{name}><tt:Time><tt:Hour>{hour}</tt:Hour><tt:Minute>{}</tt:Minute><tt:Second>{}</tt:Second></tt:Time>\
             <tt:Date><tt:Year>{}</tt:Year><tt:Month>{}</tt:Month><tt:Day>{}</tt:Day></tt:Date></tt:{name}>",
            number(14, 16),
            number(17, 19),
            number(0, 4),
            number(5, 7),
            number(8, 10)
        )
    };
    format!(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>{}{}</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>",
        shown("LocalDateTime", number(11, 13) + 8),
        shown("UTCDateTime", number(11, 13))
    )
}

/// UsernameToken Profile 1.1, clause 3.1, by itself; nothing when there is none.
fn token(request: &str, device: &Device) -> Option<bool> {
    let document = Document::parse(request).ok()?;
    let field = |name| document.descendants().find(|node| node.tag_name().name() == name)?.text();
    let (user, given) = (field("Username")?, field("Password")?);
    let (nonce, created) = (field("Nonce")?, field("Created")?);
    let mut hashed = STANDARD.decode(nonce).unwrap_or_default();
    hashed.extend_from_slice(created.as_bytes());
    hashed.extend_from_slice(PASSWORD.as_bytes());
    let hash = STANDARD.encode(ring::digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed));
    let at = Timestamp::parse_rfc3339(created)?;
    let clock = device.clock();
    let is_fresh = clock.since(at) < TOKEN_AGE_MAX && at.since(clock) < TOKEN_AGE_MAX;
    let mut now = device.now();
    let is_new = now.nonces.insert(nonce.to_owned());
    Some(user == USER && given == hash && is_fresh && is_new)
}
