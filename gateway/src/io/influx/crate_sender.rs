//! The influxdb2 crate as sender (`influx.sender = "influxdb2"`).
//!
//! Its errors carry status and text only, so Retry-After is lost and our own back-off serves; it overwrites the path of the URL, so a base
//! path is refused at start; its roots for https are the compiled-in Mozilla ones. See docs/decisions/0005-influx-senders.md.

use anyhow::{Context, bail};
use bytes::Bytes;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::{Client, ClientBuilder, RequestError};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use reqwest_for_influxdb2 as reqwest;

use super::Settings;
use super::sender::{Sink, chain, pack};
use super::verdict::{Answer, Verdict, judge};
use crate::clock;

pub struct CrateSender {
    client: Client,
    org: String,
    bucket: String,
    gzip: bool,
}

impl CrateSender {
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            client: client(settings, settings.gzip)?,
            org: settings.org.clone(),
            bucket: settings.bucket.clone(),
            gzip: settings.gzip,
        })
    }
}

impl Sink for CrateSender {
    async fn pack(&self, lines: Bytes) -> Bytes {
        pack(self.gzip, lines).await
    }

    async fn post(&self, body: Bytes) -> Verdict {
        let precision = TimestampPrecision::Milliseconds;
        let written =
            self.client.write_line_protocol_with_precision(&self.org, &self.bucket, body, precision);
        verdict(written.await)
    }
}

/// A client of the crate. With `gzip` it is good for writing only: every request claims a compressed body.
pub fn client(settings: &Settings, gzip: bool) -> anyhow::Result<Client> {
    if settings.url.path() != "/" {
        bail!(
            "the influxdb2 client cannot keep the path `{}` of influx.url; write sender = \"gridwarden\"",
            settings.url.path()
        );
    }
    let mut headers = HeaderMap::new();
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let http = reqwest::Client::builder()
        .timeout(settings.timeout)
        .connect_timeout(settings.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .default_headers(headers)
        .user_agent(concat!("gridwarden/", env!("CARGO_PKG_VERSION")));
    // The crate panics on a URL it cannot read; `settings.url` has been read.
    let token = settings.token.clone().unwrap_or_default();
    ClientBuilder::with_builder(http, settings.url.as_str(), &settings.org, token)
        .build()
        .context("cannot set up the influxdb2 client for influx.url")
}

pub fn verdict(written: Result<(), RequestError>) -> Verdict {
    match written {
        Ok(()) => Verdict::Stored,
        Err(RequestError::Http { status, text }) => {
            let answer = Answer { status: status.as_u16(), body: &text, ..Answer::default() };
            judge(answer, clock::wall())
        }
        Err(RequestError::ReqwestProcessing { source }) => {
            Verdict::Later { reason: format!("no answer: {}", chain(&source.without_url())), after: None }
        }
        Err(error @ (RequestError::Serializing { .. } | RequestError::Deserializing { .. })) => {
            Verdict::Later { reason: error.to_string(), after: None }
        }
    }
}
