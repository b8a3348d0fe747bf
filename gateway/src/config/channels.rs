//! `[[channel.<kind>]]` of station.toml: how people are told, one table for each kind of provider.
//!
//! A table of its own for each kind, so that an unknown key is an error with its place, and no key stands where it means nothing. What all kinds
//! share is written into each by the macro: `flatten` would lose line and column. Base addresses have the provider's as default and are
//! configurable: for a proxy, a private deployment, and for the tests.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_spanned::Spanned;

use super::{AcceptedWhen, Secret};

/// At most `count` messages in any `per_s` seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub count: Spanned<u32>,
    pub per_s: Spanned<u32>,
}

/// What every channel has.
pub struct Common<'a> {
    /// The channel's name in the ladders of rules.toml.
    pub name: &'a Spanned<String>,
    /// Another channel that takes over what this one cannot deliver.
    pub or_else: Option<&'a Spanned<String>>,
    /// Failing for so long makes a channel dead.
    pub dead_after_s: Option<&'a Spanned<u32>>,
    /// In place of the provider's.
    pub limits: Option<&'a [Limit]>,
    /// For one attempt.
    pub timeout_s: Option<&'a Spanned<u32>>,
}

macro_rules! channels {
    ($($(#[$about:meta])* $list:ident: $kind:ident { $($(#[$with:meta])* $key:ident: $type:ty,)* })*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $kind {
                pub name: Spanned<String>,
                pub or_else: Option<Spanned<String>>,
                pub dead_after_s: Option<Spanned<u32>>,
                pub limits: Option<Vec<Limit>>,
                pub timeout_s: Option<Spanned<u32>>,
                $($(#[$with])* pub $key: $type,)*
            }

            impl $kind {
                pub fn common(&self) -> Common<'_> {
                    Common {
                        name: &self.name,
                        or_else: self.or_else.as_ref(),
                        dead_after_s: self.dead_after_s.as_ref(),
                        limits: self.limits.as_deref(),
                        timeout_s: self.timeout_s.as_ref(),
                    }
                }
            }
        )*

        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Channels {
            $(#[serde(default)] pub $list: Vec<$kind>,)*
        }

        impl Channels {
            /// Each with the path of its table, such as `channel.ntfy.0`.
            pub fn all(&self) -> Vec<(String, Common<'_>)> {
                let mut all = Vec::new();
                $(for (i, channel) in self.$list.iter().enumerate() {
                    all.push((format!(concat!("channel.", stringify!($list), ".{}"), i), channel.common()));
                })*
                all
            }
        }
    };
}

channels! {
    /// A topic for each person, or one for all.
    ntfy: Ntfy {
        server: Spanned<String>,
        token: Option<Secret>,
        /// For people without a topic of their own in the registry.
        topic: Option<Spanned<String>>,
    }
    gotify: Gotify {
        server: Spanned<String>,
        /// Of the application.
        token: Secret,
    }
    /// 企业微信 group robot.
    wecom_robot: WecomRobot {
        #[serde(default = "defaults::wecom")]
        address: Spanned<String>,
        /// The part of the robot's address after `key=`.
        key: Secret,
    }
    /// 企业微信 application message; a person's address is the member's user id.
    wecom_app: WecomApp {
        #[serde(default = "defaults::wecom")]
        address: Spanned<String>,
        corp_id: String,
        agent_id: u32,
        secret: Secret,
    }
    /// 钉钉 group robot.
    dingtalk_robot: DingtalkRobot {
        #[serde(default = "defaults::dingtalk")]
        address: Spanned<String>,
        /// The part of the robot's address after `access_token=`.
        token: Secret,
        /// For a robot that checks signatures (加签).
        secret: Option<Secret>,
    }
    /// 飞书 group robot.
    feishu_robot: FeishuRobot {
        #[serde(default = "defaults::feishu")]
        address: Spanned<String>,
        /// The last part of the robot's address.
        token: Secret,
        secret: Option<Secret>,
    }
    /// Any provider with an HTTP interface: what is sent and what its answer means stand in the file.
    sms: Sms {
        request: Request,
        answer: Answer,
        reports: Option<Reports>,
    }
    /// A call that reads the alert aloud; as `sms`, with other limits.
    voice: Voice {
        request: Request,
        answer: Answer,
        reports: Option<Reports>,
    }
    mail: Mail {
        server: Spanned<String>,
        /// 465, 587 or 25, as `security` says.
        port: Option<u16>,
        #[serde(default)]
        security: MailSecurity,
        user: Option<String>,
        password: Option<Secret>,
        from: Spanned<String>,
        /// For people without an address of their own in the registry.
        to: Option<Spanned<String>>,
    }
    /// A city's own Alertmanager, which routes further.
    alertmanager: Alertmanager {
        server: Spanned<String>,
        token: Option<Secret>,
    }
    /// Browsers of the people, subscribed through the API.
    web_push: WebPush {
        /// `mailto:` or `https:`, for the push service's operator (RFC 8292 §2.1).
        contact: Spanned<String>,
        /// Where subscriptions may lead, with all hosts below; the gateway posts nowhere else.
        #[serde(default = "defaults::push_services")]
        services: Vec<Spanned<String>>,
        /// How long the push service keeps an alert for a browser that is away.
        #[serde(default = "defaults::keep_s")]
        keep_s: Spanned<u32>,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    #[default]
    Tls,
    Starttls,
    /// Only for a server on this machine.
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    #[default]
    Post,
}

/// What is sent. Values are templates: `{phone}`, `{person}`, `{name}`, `{text}`, `{class}`, `{place}`, `{alarm}`, `{link}`, `{secret}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[serde(default)]
    pub method: Method,
    pub url: Spanned<String>,
    #[serde(default)]
    pub query: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// A body of form fields.
    #[serde(default)]
    pub form: BTreeMap<String, Spanned<String>>,
    /// A body of JSON, in place of `form`.
    pub json: Option<Spanned<String>>,
    pub secret: Option<Secret>,
    /// Sign as Aliyun's V3 interface wants it.
    pub aliyun: Option<Aliyun>,
    /// `{text}` is cut to so many characters.
    pub text_characters_max: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aliyun {
    pub key_id: String,
    pub key_secret: Secret,
    pub action: String,
    pub version: String,
}

/// What the answer's JSON means. What is neither accepted nor named is tried again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub accepted_when: AcceptedWhen,
    /// Where the provider's id of the message stands.
    pub id: Option<String>,
    /// Values at the same place that make another try pointless; `isv.*` is all that begin so.
    #[serde(default)]
    pub never: Vec<String>,
    /// Values that ask for a pause, in seconds.
    #[serde(default)]
    pub wait_s: BTreeMap<String, u32>,
}

/// What the provider says later, to `/api/v1/channels/<name>/reports/<secret>`: whether a message arrived.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// The last part of the address that the provider gets.
    pub secret: Secret,
    /// Where in a report the provider's id of the message stands.
    pub id: String,
    pub arrived_when: AcceptedWhen,
    /// What the provider wants to hear, as JSON.
    pub answer: Option<Spanned<String>>,
}

mod defaults {
    use serde_spanned::Spanned;

    fn at_no_place<T>(value: T) -> Spanned<T> {
        Spanned::new(0..0, value)
    }

    pub fn wecom() -> Spanned<String> {
        at_no_place("https://qyapi.weixin.qq.com".into())
    }

    pub fn dingtalk() -> Spanned<String> {
        at_no_place("https://oapi.dingtalk.com".into())
    }

    pub fn feishu() -> Spanned<String> {
        at_no_place("https://open.feishu.cn".into())
    }

    pub fn push_services() -> Vec<Spanned<String>> {
        let known = [
            "https://fcm.googleapis.com",
            "https://updates.push.services.mozilla.com",
            "https://push.apple.com",
            "https://notify.windows.com",
        ];
        known.map(|service| at_no_place(service.to_owned())).into()
    }

    /// Ten minutes: an alert that is older has climbed the ladder.
    pub fn keep_s() -> Spanned<u32> {
        at_no_place(600)
    }
}
