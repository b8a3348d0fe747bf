//! A stand-in for an ONVIF device, by the messages in the Core Specification's clause on events: services, one pull point, its messages, renewal and end.
//!
//! It asks for Digest authentication and checks it by itself. The addresses that it gives are those of a device behind a router: only their paths lead anywhere.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use md5::{Digest, Md5};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

pub const USER: &str = "events";
pub const PASSWORD: &str = "an-onvif-user-for-tests-only";
const NONCE: &str = "b9a6d1f0c3";
const SUBSCRIPTION: &str = "/onvif/Subscription?Idx=3";

pub struct Onvif {
    pub port: u16,
    device: Arc<Device>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Device {
    /// Notifications that nobody has pulled.
    waiting: Mutex<VecDeque<String>>,
    news: Notify,
    /// What was asked, in order.
    asked: Mutex<Vec<String>>,
    subscribed: Mutex<bool>,
    picture: Vec<u8>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Onvif {
    pub async fn start(picture: Vec<u8>) -> Self {
        let device = Arc::new(Device { picture, ..Device::default() });
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
        lock(&self.device.waiting).push_back(format!(
            "<wsnt:NotificationMessage><wsnt:Topic Dialect=\"http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet\">{topic}</wsnt:Topic><wsnt:Message>\
             <tt:Message UtcTime=\"2008-10-10T12:24:57.321Z\" PropertyOperation=\"Changed\"><tt:Source><tt:SimpleItem Name=\"Source\" Value=\"V1\"/></tt:Source>\
             <tt:Data><tt:SimpleItem Name=\"{name}\" Value=\"{value}\"/></tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage>"
        ));
        self.device.news.notify_one();
    }

    /// It starts anew and knows no subscription any more.
    pub fn forgets(&self) {
        *lock(&self.device.subscribed) = false;
    }

    /// How often this was asked with the right password.
    pub fn asked(&self, what: &str) -> usize {
        lock(&self.device.asked).iter().filter(|asked| *asked == what).count()
    }
}

async fn answer(
    State(device): State<Arc<Device>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !given.is_some_and(|given| is_right(given, method.as_str(), &target)) {
        let challenge = format!("Digest realm=\"onvif\", qop=\"auth\", nonce=\"{NONCE}\", algorithm=MD5");
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let known = ["GetServices", "CreatePullPointSubscription", "PullMessages", "Renew", "Unsubscribe"];
    let what =
        known.into_iter().find(|what| text.contains(&format!("<{what} xmlns=\"http"))).unwrap_or("picture");
    lock(&device.asked).push(what.to_owned());
    let soap = |body: String| {
        let envelope = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:wsa=\"http://www.w3.org/2005/08/addressing\" \
             xmlns:wsnt=\"http://docs.oasis-open.org/wsn/b-2\" xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" xmlns:tev=\"http://www.onvif.org/ver10/events/wsdl\" \
             xmlns:tt=\"http://www.onvif.org/ver10/schema\"><s:Body>{body}</s:Body></s:Envelope>"
        );
        ([(header::CONTENT_TYPE, "application/soap+xml; charset=utf-8")], envelope).into_response()
    };
    let at_the_point = target == SUBSCRIPTION && *lock(&device.subscribed);
    match (method, what, target.as_str()) {
        (Method::GET, _, "/snap.jpg") => ([(header::CONTENT_TYPE, "image/jpeg")], device.picture.clone()).into_response(),
        (_, "GetServices", "/onvif/device_service") => soap(
            "<tds:GetServicesResponse><tds:Service><tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace><tds:XAddr>http://192.168.1.108/onvif/media</tds:XAddr></tds:Service>\
             <tds:Service><tds:Namespace>http://www.onvif.org/ver10/events/wsdl</tds:Namespace><tds:XAddr>http://192.168.1.108/onvif/events</tds:XAddr></tds:Service></tds:GetServicesResponse>"
                .into(),
        ),
        (_, "CreatePullPointSubscription", "/onvif/events") => {
            *lock(&device.subscribed) = true;
            soap(format!(
                "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa:Address>http://192.168.1.108{SUBSCRIPTION}</wsa:Address></tev:SubscriptionReference>\
                 <wsnt:CurrentTime>2008-10-09T13:52:59Z</wsnt:CurrentTime><wsnt:TerminationTime>2008-10-09T13:53:59Z</wsnt:TerminationTime></tev:CreatePullPointSubscriptionResponse>"
            ))
        }
        (_, "PullMessages", _) if at_the_point => {
            if lock(&device.waiting).is_empty() {
                let _ = tokio::time::timeout(Duration::from_millis(500), device.news.notified()).await;
            }
            let all: String = lock(&device.waiting).drain(..).collect();
            soap(format!(
                "<tev:PullMessagesResponse><tev:CurrentTime>2008-10-10T12:24:58Z</tev:CurrentTime><tev:TerminationTime>2008-10-10T12:25:58Z</tev:TerminationTime>{all}</tev:PullMessagesResponse>"
            ))
        }
        (_, "Renew", _) if at_the_point => soap("<wsnt:RenewResponse><wsnt:TerminationTime>2008-10-09T13:54:59Z</wsnt:TerminationTime></wsnt:RenewResponse>".into()),
        (_, "Unsubscribe", _) if at_the_point => {
            *lock(&device.subscribed) = false;
            soap("<wsnt:UnsubscribeResponse/>".into())
        }
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// RFC 7616, by itself.
fn is_right(given: &str, method: &str, target: &str) -> bool {
    let field = |name: &str| {
        let fields = given.trim_start_matches("Digest ").split(", ");
        let mut found = fields.filter_map(|field| field.split_once('=')).filter(|(known, _)| *known == name);
        found.next().map_or("", |(_, value)| value.trim_matches('"')).to_owned()
    };
    let hash = |text: String| {
        Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let user = hash(format!("{USER}:onvif:{PASSWORD}"));
    let request = hash(format!("{method}:{target}"));
    let wanted = hash(format!("{user}:{NONCE}:{}:{}:auth:{request}", field("nc"), field("cnonce")));
    field("username") == USER
        && field("uri") == target
        && field("nonce") == NONCE
        && field("response") == wanted
}
