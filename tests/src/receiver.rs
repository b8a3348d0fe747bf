//! A scripted HTTP receiver: answers as told, and remembers what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One answer of the script.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// Wait so long first.
    pub after: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

#[derive(Clone, Debug)]
pub struct Received {
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// A parameter of the query, decoded.
    pub fn query(&self, name: &str) -> String {
        let url = reqwest::Url::parse("http://x/").and_then(|base| base.join(&self.uri.to_string()));
        let url = url.expect("a path");
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

type Decide = dyn Fn(&Received) -> Option<Reply> + Send + Sync;

#[derive(Default)]
struct Shared {
    /// Answers in order.
    script: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Received>>,
    decide: Mutex<Option<Arc<Decide>>>,
}

/// Ends when dropped.
pub struct Receiver {
    pub url: String,
    /// The address without a path, as a provider's base address.
    pub base: String,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

impl Receiver {
    /// Answers `script` in order, then 200.
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> anyhow::Result<Self> {
        let shared =
            Arc::new(Shared { script: Mutex::new(script.into_iter().collect()), ..Shared::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let url = format!("{base}/hook");
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.expect("axum never ends so") });
        Ok(Self { url, base, shared, _task: task })
    }

    /// Decides before the script does; `None` leaves it to the script.
    pub fn decide(&self, decide: impl Fn(&Received) -> Option<Reply> + Send + Sync + 'static) {
        *self.shared.decide.lock().expect("no panic") = Some(Arc::new(decide));
    }

    /// Everything so far, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no panic").clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<String> {
    let received = Received { method, uri, headers, body };
    let decide = shared.decide.lock().expect("no panic").clone();
    let decided = decide.and_then(|decide| decide(&received));
    shared.received.lock().expect("no panic").push(received);
    let scripted = || shared.script.lock().expect("no panic").pop_front();
    let reply = decided.or_else(scripted).unwrap_or(Reply::status(200).body("taken"));
    tokio::time::sleep(reply.after).await;
    let mut response = Response::new(reply.body);
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status");
    for (name, value) in reply.headers {
        let value = HeaderValue::from_str(&value).expect("a header");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
