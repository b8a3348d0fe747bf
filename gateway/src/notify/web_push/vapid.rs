//! Who pushes: the gateway's key pair and its signed word to a push service (RFC 8292).
//!
//! The key is made once and kept in the store: a new one would end every subscription. A token names the push service and is good for half a
//! day; the standard allows a day.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;

use crate::store::{Store, StoreError};

/// Name under which the store keeps the key.
const MEMO: &str = "web push key";
const GOOD_FOR_S: i64 = 12 * 3_600;

pub struct Identity {
    pair: EcdsaKeyPair,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the key for web push in the store is damaged")]
    Damaged,
    #[error("no key for web push can be made")]
    NoKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Identity {
    /// The one in the store; the first time a new one.
    pub async fn of(store: &Store) -> Result<Self, IdentityError> {
        if let Some(text) = store.recall(MEMO).await? {
            let document = STANDARD.decode(text).map_err(|_| IdentityError::Damaged)?;
            return Self::read(&document).ok_or(IdentityError::Damaged);
        }
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let document = document.map_err(|_| IdentityError::NoKey)?;
        store.remember(MEMO, &STANDARD.encode(document.as_ref())).await?;
        Self::read(document.as_ref()).ok_or(IdentityError::NoKey)
    }

    fn read(document: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document, &SystemRandom::new());
        pair.ok().map(|pair| Self { pair })
    }

    /// For `applicationServerKey` in the browser: the uncompressed point in Base64url.
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// The header `Authorization` for a push to this endpoint. `now` is seconds since 1970.
    pub fn authorization(&self, endpoint: &Url, contact: &str, now: i64) -> Result<String, String> {
        let head = json!({ "typ": "JWT", "alg": "ES256" });
        let audience = endpoint.origin().ascii_serialization();
        let claims = json!({ "aud": audience, "exp": now + GOOD_FOR_S, "sub": contact });
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(head), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.map_err(|_| "no signature can be made")?);
        Ok(format!("vapid t={text}.{signature}, k={}", self.public_key()))
    }
}
