//! A stand-in for any HTTP server: answers as told, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One request as it came in; a gzip body is unpacked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    pub fn json(status: u16, body: impl ToString) -> Self {
        Self::status(status).header("content-type", "application/json").body(body)
    }

    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn body(mut self, body: impl ToString) -> Self {
        self.body = body.to_string();
        self
    }
}

pub struct Standin {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: CancellationToken,
    server: JoinSet<()>,
}

impl Standin {
    /// Answers by a function; `port` 0 takes a free one.
    pub async fn start<F, R>(port: u16, answer: F) -> anyhow::Result<Self>
    where
        F: Fn(Asked) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Reply> + Send,
    {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = asked.clone();
        let handle = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let body = unpacked(&headers, body);
                let asked = Asked { method, uri, headers, body };
                log.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
                let reply = answer(asked).await;
                let mut response = Response::builder().status(reply.status);
                for (name, value) in reply.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(reply.body)).expect("the test gives valid headers")
            }
        };
        let app = Router::new().fallback(handle).layer(axum::extract::DefaultBodyLimit::disable());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let serving = axum::serve(listener, app).with_graceful_shutdown(stopped.cancelled_owned());
            serving.await.expect("serving loopback does not fail");
        });
        Ok(Self { port, asked, stop, server })
    }

    /// Answers with these in turn, then with the last one for ever.
    pub async fn scripted(replies: impl IntoIterator<Item = Reply>) -> anyhow::Result<Self> {
        let script: Arc<Mutex<VecDeque<Reply>>> = Arc::new(Mutex::new(replies.into_iter().collect()));
        Self::start(0, move |_| {
            let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
            let last = script.len() == 1;
            let reply = if last { script.front().cloned() } else { script.pop_front() };
            std::future::ready(reply.expect("a script has at least one reply"))
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finishes what it is answering and closes the port and every connection.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.server.join_next().await.is_some() {}
    }
}

fn unpacked(headers: &HeaderMap, body: Bytes) -> Bytes {
    use std::io::Read;
    if headers.get("content-encoding").is_none_or(|encoding| encoding != "gzip") {
        return body;
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("what claims to be gzip is gzip");
    plain.into()
}
