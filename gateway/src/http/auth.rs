//! Bearer tokens: who asks, and may they act.
//!
//! Only SHA-256 hashes are kept, and all of them are compared each time without stopping early, so that the time of an answer tells nothing.
//! Tokens come in the `Authorization` header only: an address with a token in it would end up in logs.

use std::path::Path;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::Api;
use super::problem::ApiError;
use crate::config;
use crate::config::secret::SecretError;

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

/// An authenticated account. As an argument of a handler it is filled in from the request's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub name: Arc<str>,
    pub read_only: bool,
}

/// A [`Caller`] that may act; a read-only token gets 403.
pub struct Actor(pub Caller);

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

    /// Whose token is in these headers.
    pub fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let given = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, secret) = given.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(secret).into();
        let (mut found, mut at) = (Choice::from(0), 0);
        for (place, known) in (0u32..).zip(&self.0) {
            let same = known.hash.ct_eq(&hash);
            at.conditional_assign(&place, same);
            found |= same;
        }
        let known = self.0.get(at as usize)?;
        bool::from(found).then(|| Caller { name: known.name.clone(), read_only: known.read_only })
    }
}

/// Layer over everything that is not open to all.
pub async fn authenticate(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(caller) = api.tokens.caller(request.headers()) else {
        metrics::counter!("gridwarden_http_refused_total").increment(1);
        return Err(unauthorized());
    };
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn unauthorized() -> ApiError {
    ApiError::status(
        StatusCode::UNAUTHORIZED,
        "Send a valid token in the header `Authorization: Bearer …`; tokens are named in station.toml under [[http.token]].",
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
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.read_only {
            let detail = format!("The token `{}` may only look (read_only in station.toml).", caller.name);
            return Err(ApiError::status(StatusCode::FORBIDDEN, detail));
        }
        Ok(Self(caller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(authorization: &str) -> Option<(String, bool)> {
        let mut tokens = Tokens::default();
        tokens.add("desk", "correct horse", false);
        tokens.add("board", "battery staple", true);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().expect("a header"));
        tokens.caller(&headers).map(|caller| (caller.name.to_string(), caller.read_only))
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
        assert!(Tokens::default().caller(&HeaderMap::new()).is_none());
    }
}
