//! HTTP Digest as the stand-ins ask for it and check it: RFC 7616 with MD5 and `qop=auth`; and Basic, RFC 7617. By itself, so that a mistake of the gateway's does not pass both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// Who is let in.
pub struct Gate {
    pub realm: &'static str,
    pub user: &'static str,
    pub password: &'static str,
}

impl Gate {
    /// `WWW-Authenticate`.
    pub fn challenge(&self, nonce: &str) -> String {
        format!("Digest qop=\"auth\", realm=\"{}\", nonce=\"{nonce}\"", self.realm)
    }

    /// `WWW-Authenticate` of one that knows nothing better.
    pub fn basic_challenge(&self) -> String {
        format!("Basic realm=\"{}\"", self.realm)
    }

    /// Whether an `Authorization` by Basic is right.
    pub fn admits(&self, header: &str) -> bool {
        let given = header.strip_prefix("Basic ").and_then(|given| STANDARD.decode(given).ok());
        given.is_some_and(|given| given == format!("{}:{}", self.user, self.password).as_bytes())
    }

    /// The count `nc` of an `Authorization` that is right.
    pub fn count(&self, header: &str, method: &str, uri: &str, nonce: &str) -> Option<String> {
        let fields = header.strip_prefix("Digest ")?;
        let field = |name: &str| {
            fields.split(", ").find_map(|field| {
                let (known, value) = field.split_once('=')?;
                (known == name).then(|| value.trim_matches('"').to_owned())
            })
        };
        let hash =
            |text: String| Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let who = hash(format!("{}:{}:{}", self.user, self.realm, self.password));
        let what = hash(format!("{method}:{uri}"));
        let (nc, cnonce) = (field("nc")?, field("cnonce")?);
        let wanted = hash(format!("{who}:{nonce}:{nc}:{cnonce}:auth:{what}"));
        let good = field("response")? == wanted
            && field("username")? == self.user
            && field("uri")? == uri
            && field("nonce")? == nonce;
        good.then_some(nc)
    }
}
