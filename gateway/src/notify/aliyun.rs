//! The signature of Aliyun's V3 interface (ACS3-HMAC-SHA256), over a request with all parameters in the query and an empty body.
//!
//! Pure. As described in Aliyun's "V3 request structure and signature"; checked against the worked example there.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::decode::bytes::hex;

/// All but letters, digits and `-_.~` (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub struct Signing<'a> {
    pub key_id: &'a str,
    pub key_secret: &'a str,
    pub action: &'a str,
    pub version: &'a str,
}

/// The query with which the address must be asked; as good for a form.
pub fn query(parameters: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = parameters.iter().map(|(key, value)| (encode(key), encode(value))).collect();
    pairs.sort();
    pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

impl Signing<'_> {
    /// The headers to send. `date` is ISO 8601 in UTC to the second; `nonce` is used once.
    pub fn headers(
        &self,
        method: &str,
        host: &str,
        path: &str,
        query: &str,
        date: &str,
        nonce: &str,
    ) -> Vec<(&'static str, String)> {
        let body = hex(&Sha256::digest(b""));
        let signed = [
            ("host", host),
            ("x-acs-action", self.action),
            ("x-acs-content-sha256", &body),
            ("x-acs-date", date),
            ("x-acs-signature-nonce", nonce),
            ("x-acs-version", self.version),
        ];
        let names = signed.map(|(name, _)| name).join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body}");
        let text = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(request)));
        let key = self.key_secret.as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(text.as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        let mut headers: Vec<_> =
            signed.iter().skip(1).map(|(name, value)| (*name, (*value).to_owned())).collect();
        headers.push((
            "authorization",
            format!(
                "ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}",
                self.key_id
            ),
        ));
        headers
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_worked_example_of_the_document() {
        let parameters =
            [("RegionId", "cn-shanghai"), ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd")];
        let query = query(&parameters.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let signing = Signing {
            key_id: "YourAccessKeyId",
            key_secret: "YourAccessKeySecret",
            action: "RunInstances",
            version: "2014-05-26",
        };
        let (date, nonce) = ("2023-10-26T10:22:32Z", "3156853299f313e23d1673dc12e1703d");
        let headers = signing.headers("POST", "ecs.cn-shanghai.aliyuncs.com", "/", &query, date, nonce);
        let (_, authorization) = headers.last().expect("the last header");
        let signature = authorization.rsplit_once("Signature=").map(|(_, signature)| signature);
        assert_eq!(signature, Some("06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"));
    }

    #[test]
    fn what_is_reserved_is_encoded_once() {
        let parameters = [("b".to_owned(), "甲 +*~".to_owned()), ("a".to_owned(), "{\"x\":1}".to_owned())];
        assert_eq!(query(&parameters), "a=%7B%22x%22%3A1%7D&b=%E7%94%B2%20%2B%2A~");
    }
}
