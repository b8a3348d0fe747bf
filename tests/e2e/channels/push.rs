//! Web Push against a stand-in for push service and browser: it checks the gateway's word and decrypts with the browser's key.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::SystemRandom;
use ring::signature;

use super::*;

struct Browser {
    key: EphemeralPrivateKey,
    public: Vec<u8>,
    auth: [u8; 16],
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], input: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    let key = Salt::new(HKDF_SHA256, salt).extract(input);
    key.expand(&[info], Length(length)).unwrap().fill(&mut out).unwrap();
    out
}

impl Browser {
    fn new(number: u8) -> Self {
        let key = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let public = key.compute_public_key().unwrap().as_ref().to_vec();
        Self { key, public, auth: [number; 16] }
    }

    /// RFC 8291 §3.4 from the other side.
    fn open(self, body: &[u8]) -> Vec<u8> {
        let (salt, rest) = body.split_at(16);
        assert_eq!(rest[4], 65, "the length of the sender's key");
        let (sender, record) = rest[5..].split_at(65);
        let info = [b"WebPush: info\0".as_slice(), &self.public, sender].concat();
        let auth = self.auth;
        let input = agree_ephemeral(self.key, &UnparsedPublicKey::new(&ECDH_P256, sender), |shared| {
            derive(&auth, shared, &info, 32)
        })
        .unwrap();
        let key = derive(salt, &input, b"Content-Encoding: aes128gcm\0", 16);
        let nonce = derive(salt, &input, b"Content-Encoding: nonce\0", 12);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        let mut record = record.to_vec();
        let plain = key
            .open_in_place(Nonce::try_assume_unique_for_key(&nonce).unwrap(), Aad::empty(), &mut record)
            .unwrap();
        let (last, plain) = plain.split_last().unwrap();
        assert_eq!(*last, 2, "the last record");
        plain.to_vec()
    }
}

/// Whether the header is the word of the holder of `key` for this service.
fn genuine(header: &str, key: &str, audience: &str) -> bool {
    let parts = header.strip_prefix("vapid t=").and_then(|rest| rest.split_once(", k="));
    let Some((token, given)) = parts else { return false };
    let (text, signature) = token.rsplit_once('.').unwrap();
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let claims: Json = serde_json::from_slice(&bytes(text.split_once('.').unwrap().1)).unwrap();
    let key_bytes = bytes(key);
    let public = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &key_bytes);
    let now = u64::try_from(gateway::clock::wall().0 / 1000).unwrap();
    let left = claims["exp"].as_u64().unwrap().saturating_sub(now);
    given == key
        && public.verify(text.as_bytes(), &bytes(signature)).is_ok()
        && claims["aud"] == audience
        && claims["sub"] == "mailto:duty@street.example"
        && (1..=86_400).contains(&left)
}

#[tokio::test]
async fn a_browser_is_told_and_one_that_is_gone_is_forgotten() {
    let key = Arc::new(Mutex::new(String::new()));
    let (known, base) = (key.clone(), Arc::new(Mutex::new(String::new())));
    let audience = base.clone();
    let receiver = provider(move |got| {
        if !genuine(got.header("authorization"), &known.lock().unwrap(), &audience.lock().unwrap()) {
            return Reply::status(403).body("BadJwtToken");
        }
        if got.header("content-encoding") != "aes128gcm"
            || got.header("ttl") != "600"
            || 4_096 < got.body.len()
        {
            return Reply::status(400);
        }
        match got.uri.path() {
            "/gone" => Reply::status(410),
            "/often" => Reply::status(429),
            "/large" => Reply::status(413),
            "/busy" => Reply::status(503),
            _ => Reply::status(201),
        }
    })
    .await;
    *base.lock().unwrap() = receiver.base.clone();
    let channels = format!(
        "[[channel.web_push]]\nname = \"push\"\ncontact = \"mailto:duty@street.example\"\nservices = [\"{}\"]\nlimits = []\n",
        receiver.base
    );
    let station = Station::start_with_channels(&channels, &[]).await.unwrap();
    let answer: Json = station.get("/api/v1/push/key").send().await.unwrap().json().await.unwrap();
    *key.lock().unwrap() = answer["public_key"].as_str().unwrap().to_owned();

    let browsers = Mutex::new(BTreeMap::new());
    let subscribe = async |person: &str, endpoint: String, number: u8| {
        let browser = Browser::new(number);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({ "p256dh": encode(&browser.public), "auth": encode(&browser.auth) });
        let body = json!({ "person": person, "endpoint": endpoint, "expirationTime": null, "keys": keys });
        let answer = station.post("/api/v1/push/subscriptions", &body).send().await.unwrap();
        browsers.lock().unwrap().insert(endpoint, browser);
        answer.status()
    };
    let at = |path: &str| format!("{}/{path}", receiver.base);
    assert_eq!(subscribe("wang-li", at("phone"), 1).await, StatusCode::NO_CONTENT);
    assert_eq!(subscribe("wang-li", at("gone"), 2).await, StatusCode::NO_CONTENT);
    assert_eq!(subscribe("nobody", at("x"), 3).await, StatusCode::UNPROCESSABLE_ENTITY);
    let elsewhere = "http://169.254.169.254/latest".to_owned();
    assert_eq!(subscribe("wang-li", elsewhere, 4).await, StatusCode::UNPROCESSABLE_ENTITY);

    let fire = station.raise(SignalClass::Fire, "SD-0001", "烟雾报警 smoke").await.unwrap();
    let alert = station.tell(&fire, "push", "wang-li").await.unwrap();
    let made = attempts(&station, fire.id, 1).await;
    assert!(told(&made[0], &station).starts_with("taken - 201"), "{made:?}");
    let got = receiver.received();
    let got = got.iter().find(|got| got.uri.path() == "/phone").unwrap();
    assert_eq!(got.header("urgency"), "high");
    let plain = browsers.lock().unwrap().remove(&at("phone")).unwrap().open(&got.body);
    let payload: Json = serde_json::from_slice(&plain).unwrap();
    assert_eq!(payload["title"], "【火警】烟雾报警 smoke");
    assert_eq!((&payload["alarm"], &payload["alerts"][0]), (&json!("A-1"), &json!(alert.key)));
    assert_eq!(payload["url"], "https://grid.example/#alarm=A-1");
    let left = station.store.subscriptions("wang-li").await.unwrap();
    assert_eq!(left.iter().map(|left| left.endpoint.clone()).collect::<Vec<_>>(), [at("phone")]);

    for (person, path, beginning) in [
        ("zhao-qiang", "busy", "again 10"),
        ("zhao-qiang", "large", "never the receiver answered 413"),
        ("zhao-qiang", "gone", "never the browser has ended its subscription"),
        ("zhao-qiang", "often", "again 60"),
    ] {
        assert_eq!(subscribe(person, at(path), 5).await, StatusCode::NO_CONTENT);
        let alarm = station.raise(SignalClass::Trouble, "SD-0001", path).await.unwrap();
        station.tell(&alarm, "push", person).await.unwrap();
        let said = told(&attempts(&station, alarm.id, 1).await[0], &station);
        assert!(said.starts_with(beginning), "{path}: {said}");
        let client = &station.client;
        let gone = client.delete(format!("{}/api/v1/push/subscriptions", station.url));
        let gone = gone.bearer_auth(tests::station::TOKEN).json(&json!({ "endpoint": at(path) }));
        assert_eq!(gone.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    let alarm = station.raise(SignalClass::Trouble, "SD-0001", "nobody listens").await.unwrap();
    station.tell(&alarm, "push", "zhao-qiang").await.unwrap();
    let said = told(&attempts(&station, alarm.id, 1).await[0], &station);
    assert!(said.starts_with("never `zhao-qiang` has no subscribed browser"), "{said}");
    *key.lock().unwrap() = URL_SAFE_NO_PAD.encode([4; 65]);
    let alarm =
        station.raise(SignalClass::Trouble, "SD-0001", "a service that knows another key").await.unwrap();
    station.tell(&alarm, "push", "wang-li").await.unwrap();
    let said = told(&attempts(&station, alarm.id, 1).await[0], &station);
    assert!(said.contains("BadJwtToken") && said.starts_with("never"), "{said}");
    station.end().await.unwrap();
}
