//! A camera asked over HTTP: one kind of client, Digest or Basic authentication, bounded answers. For streams, pictures and ONVIF alike.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, header};
use tokio::time::timeout;

use super::digest::{Session, Verdict};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// For the head of an answer, and for a whole picture.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotAnswered {
    #[error("the camera cannot be reached: {0}")]
    Unreachable(String),
    #[error("the camera answers {0}; check `url` and the rights of `user`")]
    Refused(StatusCode),
    #[error(
        "the camera refuses user or password; the next try is in half an hour, because cameras lock an account after a few: correct them in station.toml and restart"
    )]
    WrongPassword,
    #[error("the camera offers neither Digest nor Basic authentication; switch Digest on in the camera")]
    NoDigest,
    #[error("the camera offers Basic authentication alone{}", basic_advice(*.secure))]
    OnlyBasic { secure: bool },
    #[error("the camera's answer has more than {0} bytes")]
    TooLarge(usize),
}

fn basic_advice(secure: bool) -> &'static str {
    match secure {
        true => {
            "; switch Digest on in the camera, or allow it with `login = \"basic\"` in its table of station.toml"
        }
        false => {
            ", which shows the password to everybody on the line; switch Digest on in the camera, or reach it by https, or allow it all the same with `login = \"basic\"` in its table of station.toml"
        }
    }
}

pub fn client() -> reqwest::Result<Client> {
    // reqwest finds its TLS in the process's default; whoever installed one before is welcome.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .redirect(Policy::none())
        .user_agent(concat!("gridwarden/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// What was asked for, and nothing else.
pub async fn ask(
    client: &Client,
    session: &mut Session,
    asked: (Method, &Url),
) -> Result<Response, NotAnswered> {
    let response = answer(client, session, asked, ANSWER_WITHIN, |request| request).await?;
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(NotAnswered::Refused(status)),
    }
}

/// With the answer to the camera's challenge, when there is one; a new challenge is answered once, a nonce that is too old, once more. The head of each answer may take so long; `whole` puts the body to
/// the request. Whatever the camera says but 401.
pub async fn answer(
    client: &Client,
    session: &mut Session,
    (method, url): (Method, &Url),
    within: Duration,
    whole: impl Fn(RequestBuilder) -> RequestBuilder,
) -> Result<Response, NotAnswered> {
    let uri = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    for _ in 0..3 {
        let cnonce = format!("{:016x}", fastrand::u64(..));
        let mut request = whole(client.request(method.clone(), url.clone()));
        if let Some(answer) = session.authorization(method.as_str(), &uri, &cnonce) {
            request = request.header(header::AUTHORIZATION, answer);
        }
        let response = timeout(within, request.send())
            .await
            .map_err(|_| NotAnswered::Unreachable(format!("no answer within {} s", within.as_secs())))?
            .map_err(unreachable)?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        match session.challenged(challenges.iter().filter_map(|value| value.to_str().ok())) {
            Verdict::Answer => (),
            Verdict::WrongPassword => return Err(NotAnswered::WrongPassword),
            Verdict::NoDigest => return Err(NotAnswered::NoDigest),
            Verdict::OnlyBasic => {
                return Err(NotAnswered::OnlyBasic { secure: url.scheme() == "https" });
            }
        }
    }
    Err(NotAnswered::WrongPassword)
}

/// The whole body.
pub async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, NotAnswered> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes_max < bytes.len() + chunk.len() {
            return Err(NotAnswered::TooLarge(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// With its causes: that of reqwest alone says nothing.
fn unreachable(error: reqwest::Error) -> NotAnswered {
    NotAnswered::Unreachable(crate::io::driver::Chain(&error.without_url()).to_string())
}
