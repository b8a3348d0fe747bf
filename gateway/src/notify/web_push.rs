//! Web Push: to every browser that a person has subscribed.
//!
//! The message is encrypted for the browser ([`seal`], RFC 8291) and the gateway says who it is ([`vapid`], RFC 8292); the push service sees neither text nor
//! key. Taken by one browser is taken. 404 and 410 mean that a subscription is gone, and it is removed. Only the services of station.toml are asked:
//! a subscription comes from whoever holds a token.

pub mod seal;
pub mod vapid;

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use reqwest::{StatusCode, Url};
use serde_json::json;

use self::vapid::Identity;
use super::post::Post;
use super::text::Text;
use super::{Channel, Notice, Sent};
use crate::clock;
use crate::model::SignalClass;
use crate::store::Store;
use crate::store::push::Subscription;
use crate::units::Millis;

/// A push service takes 4,096 bytes of body (RFC 8030 §7.2); 103 are the envelope's.
const PLAIN_BYTES_MAX: usize = 3_900;

pub struct WebPush {
    name: String,
    settings: Arc<Settings>,
    keep_s: u32,
    store: Store,
    post: Post,
}

/// What the API needs to know as well.
pub struct Settings {
    pub identity: Identity,
    /// For the operator of a push service.
    pub contact: String,
    pub services: Vec<Url>,
}

impl Settings {
    /// Whether a subscription may lead there: a known service or a host below it.
    pub fn allows(&self, endpoint: &Url) -> bool {
        self.services.iter().any(|service| {
            let (Some(host), Some(known)) = (endpoint.host_str(), service.host_str()) else { return false };
            let below =
                host.strip_suffix(known).is_some_and(|front| front.is_empty() || front.ends_with('.'));
            below
                && endpoint.scheme() == service.scheme()
                && endpoint.port_or_known_default() == service.port_or_known_default()
        })
    }
}

/// What one push service said.
enum Said {
    Taken(String, Option<String>),
    Gone,
    Not(Sent),
}

impl WebPush {
    pub fn new(name: &str, settings: Arc<Settings>, keep_s: u32, store: Store, post: Post) -> Self {
        Self { name: name.to_owned(), settings, keep_s, store, post }
    }

    async fn push(&self, notice: &Notice) -> Sent {
        let Some(person) = notice.alert.person.as_ref() else {
            return notice.no_address(&self.name, "browser");
        };
        let subscriptions = match self.store.subscriptions(&person.id).await {
            Ok(subscriptions) if subscriptions.is_empty() => {
                return notice.no_address(&self.name, "subscribed browser");
            }
            Ok(subscriptions) => subscriptions,
            Err(error) => {
                return Sent::retry(format!("the subscriptions cannot be read: {error}"), None);
            }
        };
        let plain = payload(notice);
        let told = join_all(subscriptions.iter().map(|to| self.to_one(notice, to, &plain))).await;
        let (mut taken, mut best) = (Vec::new(), None);
        for (subscription, said) in subscriptions.iter().zip(told) {
            match said {
                Said::Taken(receipt, id) => taken.push((receipt, id)),
                Said::Gone => {
                    // Should this fail, the next push hears it again.
                    let _ = self.store.unsubscribe(&subscription.endpoint).await;
                    best.get_or_insert(Sent::gave_up("the browser has ended its subscription".into()));
                }
                Said::Not(sent @ Sent::Retry { .. }) => best = Some(sent),
                Said::Not(sent @ (Sent::GaveUp { .. } | Sent::Delivered { .. })) => {
                    best.get_or_insert(sent);
                }
            }
        }
        match (taken.into_iter().next(), best) {
            (Some((receipt, id)), _) => Sent::delivered(receipt, id),
            (None, Some(sent)) => sent,
            (None, None) => notice.no_address(&self.name, "subscribed browser"),
        }
    }

    async fn to_one(&self, notice: &Notice, to: &Subscription, plain: &[u8]) -> Said {
        match self.request(notice, to, plain) {
            Err(why) => Said::Not(Sent::gave_up(why)),
            Ok(request) => match self.post.ask(request).await {
                Err(sent) => Said::Not(sent),
                Ok(answer) => match (answer.status, answer.success()) {
                    (StatusCode::NOT_FOUND | StatusCode::GONE, _) => Said::Gone,
                    (_, Ok(())) => Said::Taken(answer.said(), None),
                    (StatusCode::TOO_MANY_REQUESTS, Err(_)) => {
                        let wait = answer.after.unwrap_or(Millis::from_secs(60));
                        let said = answer.said();
                        Said::Not(Sent::retry(
                            format!("the push service has had too many for now: {said}"),
                            Some(wait),
                        ))
                    }
                    (_, Err(sent)) => Said::Not(sent),
                },
            },
        }
    }

    fn request(
        &self,
        notice: &Notice,
        to: &Subscription,
        plain: &[u8],
    ) -> Result<reqwest::RequestBuilder, String> {
        let endpoint: Url = to.endpoint.parse().map_err(|_| "the subscription leads nowhere".to_owned())?;
        if !self.settings.allows(&endpoint) {
            return Err("the subscription leads to a push service that station.toml does not name".into());
        }
        let body = seal::seal(plain, &to.p256dh, &to.auth)?;
        let now = clock::wall().0.div_euclid(1000);
        let who = self.settings.identity.authorization(&endpoint, &self.settings.contact, now)?;
        let urgency = match notice.alarm.class {
            SignalClass::Fire | SignalClass::Supervisory => "high",
            SignalClass::Trouble | SignalClass::Disabled | SignalClass::Test => "normal",
        };
        Ok(self
            .post
            .to(&endpoint)
            .header("authorization", who)
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .header("ttl", self.keep_s)
            .header("urgency", urgency)
            .body(body))
    }
}

/// What the service worker of the page gets.
fn payload(notice: &Notice) -> Vec<u8> {
    let text = Text::of(notice);
    let mut bytes_max = 3_000;
    loop {
        let payload = json!({
            "title": text.title,
            "body": text.body(bytes_max),
            "tag": notice.alarm.id,
            "class": notice.alarm.class.name(),
            "alarm": notice.alarm.id,
            "alerts": std::iter::once(&notice.alert.key).chain(notice.also.iter().map(|other| &other.alert)).take(8).collect::<Vec<_>>(),
            "url": notice.link,
        });
        let bytes = payload.to_string().into_bytes();
        if bytes.len() <= PLAIN_BYTES_MAX || bytes_max == 0 {
            return bytes;
        }
        bytes_max = bytes_max.saturating_sub(500);
    }
}

impl Channel for WebPush {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent> {
        Box::pin(self.push(notice))
    }
}
