//! The way to the server: one request, one [`Verdict`]. Our own sender, on reqwest.
//!
//! Keeps a base path, compresses, reads Retry-After, follows no redirect. Why there are two senders: docs/decisions/0005-influx-senders.md.
//! For https the roots are the system's (`SSL_CERT_FILE` is honoured); plain http works on a box without any.

use std::error::Error;
use std::io::Write;
use std::sync::Once;

use anyhow::Context;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, Url, redirect};

use super::Settings;
use super::verdict::{Answer, Verdict, judge};
use crate::clock;

/// Where lines go.
pub trait Sink: Send + Sync {
    /// Makes the body of a request; compressing takes about as long as the server needs for the request, so it is done while another one is out.
    fn pack(&self, lines: Bytes) -> impl Future<Output = Bytes> + Send;

    /// Sends one request and says what became of it. Never retries; returns within the configured time-out.
    fn post(&self, body: Bytes) -> impl Future<Output = Verdict> + Send;

    /// Both.
    fn write(&self, lines: Bytes) -> impl Future<Output = Verdict> + Send {
        async move { self.post(self.pack(lines).await).await }
    }
}

pub struct Sender {
    client: Client,
    url: Url,
    token: Option<HeaderValue>,
    gzip: bool,
}

/// Of an answer's body, this much is read.
const BODY_MAX: usize = 64 << 10;

impl Sender {
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        use_ring();
        let mut client = Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("gridwarden/", env!("CARGO_PKG_VERSION")));
        if settings.url.scheme() == "http" {
            client = client.tls_certs_only([]);
        }
        let token = settings.token.as_ref().map(|token| -> anyhow::Result<_> {
            let mut value = HeaderValue::from_str(&format!("Token {token}"))
                .context("influx.token contains characters that cannot be sent in a header")?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            client: client.build().context("cannot set up the HTTP client for influx.url")?,
            url: write_url(settings),
            token: token.transpose()?,
            gzip: settings.gzip,
        })
    }

    async fn request(&self, body: Bytes) -> Result<Verdict, reqwest::Error> {
        let mut request =
            self.client.post(self.url.clone()).header(CONTENT_TYPE, "text/plain; charset=utf-8");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if self.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let mut response = request.body(body).send().await?;
        let body = read_some(&mut response).await;
        let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let answer = Answer {
            status: response.status().as_u16(),
            content_type: header(CONTENT_TYPE),
            retry_after: header(RETRY_AFTER),
            location: header(LOCATION),
            body: &body,
        };
        Ok(judge(answer, clock::wall()))
    }
}

impl Sink for Sender {
    async fn pack(&self, lines: Bytes) -> Bytes {
        pack(self.gzip, lines).await
    }

    async fn post(&self, body: Bytes) -> Verdict {
        self.request(body).await.unwrap_or_else(|error| Verdict::Later {
            reason: format!("no answer: {}", chain(&error.without_url())),
            after: None,
        })
    }
}

/// The base path stays in front: `https://proxy/influx` becomes `https://proxy/influx/api/v2/write`.
fn write_url(settings: &Settings) -> Url {
    let mut url = settings.url.clone();
    url.set_path(&format!("{}/api/v2/write", settings.url.path().trim_end_matches('/')));
    url.query_pairs_mut()
        .append_pair("org", &settings.org)
        .append_pair("bucket", &settings.bucket)
        .append_pair("precision", "ms");
    url
}

/// The start of the body; the status counts even if the rest does not come.
async fn read_some(response: &mut Response) -> String {
    let mut body = Vec::new();
    while body.len() < BODY_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(BODY_MAX);
    String::from_utf8_lossy(&body).into_owned()
}

/// Not on a thread that others wait for.
pub async fn pack(compressed: bool, lines: Bytes) -> Bytes {
    if !compressed {
        return lines;
    }
    let packed = tokio::task::spawn_blocking(move || gzip(&lines)).await;
    packed.expect("compressing does not panic").into()
}

/// The fastest level: lines repeat so much that it already takes nine tenths off.
pub fn gzip(lines: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 8), Compression::fast());
    encoder.write_all(lines).and_then(|()| encoder.finish()).expect("memory takes every write")
}

/// An error and its causes, each once.
pub fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.dedup();
    texts.join(": ")
}

/// reqwest is built without a TLS provider of its own and takes the process's.
fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default(); // Somebody else was first: fine.
    });
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_base_path_stays_in_front_and_names_are_encoded() {
        for (url, expected) in [
            ("http://127.0.0.1:8086", "http://127.0.0.1:8086/api/v2/write?org=a+b&bucket=x%26y&precision=ms"),
            ("https://proxy/influx", "https://proxy/influx/api/v2/write?org=a+b&bucket=x%26y&precision=ms"),
            (
                "https://proxy/in/flux/",
                "https://proxy/in/flux/api/v2/write?org=a+b&bucket=x%26y&precision=ms",
            ),
        ] {
            let settings =
                Settings { org: "a b".into(), bucket: "x&y".into(), ..Settings::new("xl", url).unwrap() };
            assert_eq!(write_url(&settings).as_str(), expected);
        }
    }

    #[test]
    fn gzip_goes_both_ways() {
        let lines = "hydrant,device=a pressure=1 100\n".repeat(1_000);
        let packed = gzip(lines.as_bytes());
        let mut back = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut back).unwrap();
        assert_eq!(back, lines);
        assert!(packed.len() * 10 < lines.len());
    }

    #[test]
    fn both_schemes_can_be_set_up_and_a_bad_token_is_named() {
        let plain = Settings::new("xl", "http://127.0.0.1:1").unwrap();
        Sender::new(&plain).expect("http needs no roots");
        let bad = Settings { token: Some("a\nb".into()), ..plain };
        let error = Sender::new(&bad).err().expect("refused");
        assert!(error.to_string().contains("influx.token"), "{error}");
    }
}
