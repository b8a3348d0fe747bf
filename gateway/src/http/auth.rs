//! Who asks, and may he ask this: one layer around every route.
//!
//! A caller is known by a token of station.toml or a personal token, both in the `Authorization` header only (an address with a token in it would end up in logs), or by the
//! session in his cookie. Of all of them the gateway has SHA-256 hashes; those of station.toml are compared each time without stopping early, so that the time of an answer tells
//! nothing. What a route needs stands in [`rights`]. A cookie counts for a change only from this gateway's own page ([`from_own_page`]).

use std::path::Path;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::Api;
use super::problem::ApiError;
use super::rights::{self, Need, Reach};
use crate::accounts::{self, Account, Pass, PassKind, Role};
use crate::config;
use crate::config::secret::SecretError;
use crate::store::StoreError;
use crate::store::repeats::Repeatable;

/// Name of the session's cookie.
pub const COOKIE: &str = "gridwarden";

#[derive(Debug, thiserror::Error)]
#[error("the secret of the token `{name}` is not usable")]
pub struct TokenError {
    name: String,
    source: SecretError,
}

/// The tokens of station.toml.
#[derive(Default)]
pub struct Tokens(Vec<Known>);

struct Known {
    name: Arc<str>,
    hash: [u8; 32],
    read_only: bool,
}

/// Somebody who is known. As an argument of a handler it is filled in from the request; what he may do says [`rights`].
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// Of the account or the token.
    pub name: Arc<str>,
    /// Id of the account's person.
    pub person: Option<Arc<str>>,
    /// A token of station.toml that may only look.
    pub read_only: bool,
    pub roles: Arc<[Role]>,
    /// Codes of the account's own cells.
    pub cells: Arc<[String]>,
    /// By what he is known; a token of station.toml has none.
    pub pass: Option<(u64, PassKind)>,
    /// The password was given by somebody else and must be changed first.
    pub must_change: bool,
    /// The request may come again: see [`super::repeats`].
    pub repeatable: Option<Arc<Repeatable>>,
}

/// A [`Caller`] who may do what this route does.
pub struct Actor(pub Caller);

impl Caller {
    pub(super) fn of(account: &Account, pass: &Pass) -> Self {
        Self {
            name: account.name.as_str().into(),
            person: account.person.as_deref().map(Into::into),
            read_only: false,
            roles: account.roles.clone().into(),
            cells: account.cells.clone().into(),
            pass: Some((pass.number, pass.kind)),
            must_change: account.must_change,
            repeatable: None,
        }
    }

    fn service(token: &Known) -> Self {
        Self {
            name: token.name.clone(),
            person: None,
            read_only: token.read_only,
            roles: Arc::new([Role::Service]),
            cells: Arc::new([]),
            pass: None,
            must_change: false,
            repeatable: None,
        }
    }

    /// Under which name deeds are recorded: the person's id, or else the account's name.
    pub fn who(&self) -> String {
        self.person.as_ref().unwrap_or(&self.name).to_string()
    }
}

impl Tokens {
    /// `folder` is where station.toml stands.
    pub fn read(http: &config::Http, folder: &Path) -> Result<Self, TokenError> {
        let mut tokens = Self::default();
        for token in &http.tokens {
            let name = token.name.get_ref();
            let secret =
                token.secret.read(folder).map_err(|source| TokenError { name: name.clone(), source })?;
            tokens.add(name, &secret, token.read_only);
        }
        Ok(tokens)
    }

    pub fn add(&mut self, name: &str, secret: &str, read_only: bool) {
        self.0.push(Known { name: name.into(), hash: Sha256::digest(secret).into(), read_only });
    }

    pub fn has_name(&self, name: &str) -> bool {
        self.0.iter().any(|known| *known.name == *name)
    }

    /// Whose secret this is.
    fn caller(&self, secret: &[u8]) -> Option<Caller> {
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let (mut found, mut at) = (Choice::from(0), 0);
        for (place, known) in (0u32..).zip(&self.0) {
            let same = known.hash.ct_eq(&hash);
            at.conditional_assign(&place, same);
            found |= same;
        }
        let known = self.0.get(at as usize)?;
        bool::from(found).then(|| Caller::service(known))
    }
}

/// What follows `Bearer` in the header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let given = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, secret) = given.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(secret)
}

/// The session's secret in the cookies.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, secret)| secret)
}

/// Who sends these headers, if anybody known. A header with a token wins over a cookie.
pub async fn caller(api: &Api, headers: &HeaderMap) -> Result<Option<Caller>, StoreError> {
    let (secret, kind) = match (bearer(headers), cookie(headers)) {
        (Some(secret), _) => {
            if let Some(caller) = api.tokens.caller(secret) {
                return Ok(Some(caller));
            }
            (str::from_utf8(secret).unwrap_or_default(), PassKind::Token)
        }
        (None, Some(secret)) => (secret, PassKind::Session),
        (None, None) => return Ok(None),
    };
    let now = api.clock.now().wall;
    let found = api.store.pass(accounts::hash(secret), now).await?;
    let Some((pass, account)) = found.filter(|(pass, _)| pass.kind == kind) else { return Ok(None) };
    if pass.wants_touch(now)
        && let Err(error) = api.store.touch_pass(pass.number, now).await
    {
        // With a full disk people must still be able to look.
        tracing::debug!(%error, "when a session was last used is not written down");
    }
    Ok(Some(Caller::of(&account, &pass)))
}

/// The same caller as he is now, for what lasts longer than a request; `None`: no longer.
pub async fn again(api: &Api, caller: &Caller) -> Result<Option<Caller>, StoreError> {
    let Some((number, _)) = caller.pass else { return Ok(Some(caller.clone())) };
    let found = api.store.pass_by_number(number, api.clock.now().wall).await?;
    Ok(found.map(|(pass, account)| Caller::of(&account, &pass)))
}

/// Whether a browser says that its request comes from a page of this gateway. `None`: it says nothing, so it is none.
///
/// Browsers send `Sec-Fetch-Site` to https and to localhost, and `Origin` with everything that is not a plain GET; no script can change either.
pub fn from_own_page(headers: &HeaderMap) -> Option<bool> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return Some(site == "same-origin");
    }
    let origin = text("origin")?;
    let host = text("host")?;
    Some(origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)))
}

/// The layer over all routes of the API.
pub async fn authorize(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let need = route.and_then(|route| rights::need(&method, route.as_str()));
    if need == Some(Need::Nothing) {
        return Ok(next.run(request).await);
    }
    let headers = request.headers();
    let Some(caller) = caller(&api, headers).await? else {
        metrics::counter!("gridwarden_http_refused_total").increment(1);
        return Err(unauthorized());
    };
    // A way to ask that is in no table is one that nobody may use.
    let Some(need) = need else {
        let detail = "This path cannot be asked that way; the header `Allow` says how.";
        return Err(ApiError::status(StatusCode::METHOD_NOT_ALLOWED, detail));
    };
    let changes = !matches!(method, Method::GET | Method::HEAD);
    if changes {
        let by_cookie = caller.pass.is_some_and(|(_, kind)| kind == PassKind::Session);
        if by_cookie && from_own_page(headers) != Some(true) {
            return Err(not_own_page());
        }
        if caller.read_only && need != Need::KnownAtFirst {
            let detail = format!("The token `{}` may only look (read_only in station.toml).", caller.name);
            return Err(ApiError::status(StatusCode::FORBIDDEN, detail));
        }
    }
    if caller.must_change && need != Need::KnownAtFirst {
        return Err(ApiError::named(
            StatusCode::FORBIDDEN,
            "change-password",
            "The password must be changed first",
            "This password was made by somebody else: choose your own with PUT /api/v1/session/password."
                .into(),
        ));
    }
    if let Need::Right(right) = need
        && caller.reach(right) == Reach::Nowhere
    {
        let detail = format!("The account `{}` has no role that may do this.", caller.name);
        return Err(ApiError::not_allowed(detail));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

pub fn not_own_page() -> ApiError {
    ApiError::named(
        StatusCode::FORBIDDEN,
        "foreign-page",
        "The request does not come from this station's page",
        "A session in a cookie may change things only from this station's own page (`Origin` must be its `Host`). Programs send a token instead.".into(),
    )
}

fn unauthorized() -> ApiError {
    ApiError::status(
        StatusCode::UNAUTHORIZED,
        "Log in with POST /api/v1/session, or send a valid token in the header `Authorization: Bearer …`.",
    )
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Caller::from_request_parts(parts, state).await.map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a header")))
            .collect()
    }

    fn caller(authorization: &str) -> Option<(String, bool)> {
        let mut tokens = Tokens::default();
        tokens.add("desk", "correct horse", false);
        tokens.add("board", "battery staple", true);
        let caller = tokens.caller(bearer(&headers(&[("authorization", authorization)]))?)?;
        Some((caller.name.to_string(), caller.read_only))
    }

    #[test]
    fn a_token_is_known_by_its_whole_secret() {
        assert_eq!(caller("Bearer correct horse"), Some(("desk".into(), false)));
        assert_eq!(caller("bearer battery staple"), Some(("board".into(), true)));
        for wrong in
            ["Bearer ", "Bearer correct hors", "Bearer correct horse ", "Basic correct horse", "Bea", ""]
        {
            assert_eq!(caller(wrong), None, "{wrong:?}");
        }
        assert!(Tokens::default().caller(b"").is_none());
    }

    #[test]
    fn the_session_is_one_cookie_among_others() {
        for (text, expected) in [
            ("gridwarden=ABC", Some("ABC")),
            ("theme=dark; gridwarden=ABC; x=y", Some("ABC")),
            ("gridwarden2=ABC", None),
            ("ABC", None),
        ] {
            assert_eq!(cookie(&headers(&[("cookie", text)])), expected, "{text}");
        }
    }

    #[test]
    fn only_the_own_page_counts() {
        for (pairs, expected) in [
            (&[][..], None),
            (&[("sec-fetch-site", "same-origin")], Some(true)),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://a:1"), ("host", "a:1")], Some(false)),
            (&[("sec-fetch-site", "cross-site")], Some(false)),
            (&[("sec-fetch-site", "none")], Some(false)),
            (&[("origin", "http://10.0.0.9:8080"), ("host", "10.0.0.9:8080")], Some(true)),
            (&[("origin", "https://Station.example"), ("host", "station.example")], Some(true)),
            (&[("origin", "http://evil.example"), ("host", "station.example")], Some(false)),
            (&[("origin", "http://station.example.evil"), ("host", "station.example")], Some(false)),
            (&[("origin", "null"), ("host", "station.example")], Some(false)),
        ] {
            assert_eq!(from_own_page(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
