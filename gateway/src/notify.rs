//! How an alert leaves the house: one worker per channel takes what is due from the outbox and records every attempt.
//!
//! Whether a failure is worth another try is the channel's answer; when, is [`backoff`]'s. Delivery is at least once: a crash between sending and
//! recording sends again, with the same key. While the store cannot be written, alerts come from memory ([`unrecorded`]).
//! A channel is added as a file here that implements [`Channel`].

pub mod accepted;
pub mod alarm_mqtt;
pub mod alertmanager;
mod aliyun;
pub mod backoff;
mod codes;
pub mod condition;
pub mod dingtalk;
pub mod feishu;
mod gotify;
pub mod mail;
pub mod mqtt;
pub mod ntfy;
pub mod open;
pub mod pace;
pub mod post;
mod reading;
pub mod reports;
pub mod template;
pub mod text;
mod turn;
pub mod unrecorded;
pub mod web_push;
pub mod webhook;
mod wecom_app;
mod wecom_robot;
mod worker;

use futures::future::BoxFuture;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use self::worker::Worker;
use crate::card::Card;
use crate::decode::bytes::hex;
use crate::grid::Registry;
use crate::model::SignalClass;
use crate::store::outbox::Row;
use crate::units::{Millis, Timestamp};
use crate::view::AlarmView;

/// One way to tell people.
pub trait Channel: Send + Sync + 'static {
    /// As in the ladders of rules.toml.
    fn name(&self) -> &str;

    /// Ends within a time of its own, whatever the other side does.
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Sent>;
}

/// What a worker does around a channel.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How many messages the other side takes.
    pub limits: pace::Limits,
    /// The channel that takes over what this one cannot deliver.
    pub or_else: Option<String>,
    /// Failing for so long, the channel is dead.
    pub dead_after: Millis,
}

impl Default for Terms {
    fn default() -> Self {
        Self { limits: pace::Limits::NONE, or_else: None, dead_after: Millis::from_secs(60) }
    }
}

/// What the other side said.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// `id` is the provider's own name for the message.
    Delivered {
        receipt: String,
        id: Option<String>,
    },
    /// `after`: the other side asked to wait at least this long.
    Retry {
        error: String,
        after: Option<Millis>,
    },
    GaveUp {
        error: String,
    },
}

impl Sent {
    pub fn delivered(receipt: String, id: Option<String>) -> Self {
        Self::Delivered { receipt, id }
    }

    pub fn retry(error: String, after: Option<Millis>) -> Self {
        Self::Retry { error, after }
    }

    pub fn gave_up(error: String) -> Self {
        Self::GaveUp { error }
    }
}

/// What is sent: one alert to one person, with the alarm as it is now; or several folded into one message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    /// The same for every attempt: drop what you have seen before.
    pub id: String,
    pub station: String,
    pub sent_at: String,
    /// From 1.
    pub attempt: u32,
    pub alert: Telling,
    pub alarm: AlarmView,
    /// What whoever goes there must know, but for who lives there.
    pub card: Option<Card>,
    /// Where to POST to take the alarm in hand, below the gateway's address.
    pub acknowledge: String,
    /// The page with this alarm, when station.toml says where people reach it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Further alerts that this message stands for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Other>,
    /// Nothing has happened: somebody tries the channel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// Since the alarm was raised, while nobody has it in hand.
    #[serde(skip)]
    pub minutes: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Telling {
    /// Names the alert for its receipts; of a single alert the same as the notice's id.
    pub key: String,
    /// Step of the ladder, from 1.
    pub step: u32,
    /// When the step was taken.
    pub at: String,
    pub person: Option<Contact>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contact {
    pub id: String,
    pub name: String,
    pub phone: String,
    /// On the channel in question, from the registry.
    #[serde(skip)]
    pub address: Option<String>,
}

/// One of the alerts folded into a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Other {
    /// Key of the alert.
    pub alert: String,
    pub alarm: String,
    pub class: SignalClass,
    pub text: String,
    #[serde(skip)]
    pub phone: Option<String>,
}

/// What stands on every message.
#[derive(Clone, Debug, Default)]
pub struct Letterhead {
    pub station: String,
    /// Where people reach the page.
    pub public_url: Option<String>,
}

impl Contact {
    /// `channel` is where they are to be told.
    pub fn of(id: &str, channel: &str, registry: &Registry) -> Self {
        let person = registry.person(id);
        Self {
            id: id.to_owned(),
            name: person.map(|person| person.name.clone()).unwrap_or_default(),
            phone: person.map(|person| person.phone.clone()).unwrap_or_default(),
            address: person.and_then(|person| person.contacts.get(channel).cloned()),
        }
    }
}

impl Notice {
    pub fn of(row: &Row, letterhead: &Letterhead, registry: &Registry, now: Timestamp) -> Self {
        let person = row.alert.person.as_ref();
        let alarm = AlarmView::of(&row.alarm, registry);
        let waiting = row.alarm.acknowledged.is_none();
        let public = letterhead.public_url.as_ref().map(|url| url.trim_end_matches('/'));
        Self {
            id: row.alert.key.clone(),
            station: letterhead.station.clone(),
            sent_at: now.rfc3339(),
            attempt: row.attempts + 1,
            alert: Telling {
                key: row.alert.key.clone(),
                step: row.alert.step,
                at: row.alert.at.rfc3339(),
                person: person.map(|id| Contact::of(id, &row.alert.channel, registry)),
            },
            card: row.card.as_deref().cloned().map(Card::impersonal),
            acknowledge: format!("/api/v1/alarms/{}/acknowledge", row.alarm.id),
            link: public.map(|url| format!("{url}/#alarm={}", row.alarm.id)),
            also: Vec::new(),
            test: false,
            minutes: if waiting { now.since(row.alarm.raised).0 / 60_000 } else { 0 },
            alarm,
        }
    }

    /// One message for all of them, the worst first. The same alerts make the same id.
    pub fn fold(rows: &[Row], letterhead: &Letterhead, registry: &Registry, now: Timestamp) -> Option<Self> {
        let (first, others) = rows.split_first()?;
        let mut notice = Self::of(first, letterhead, registry, now);
        if others.is_empty() {
            return Some(notice);
        }
        let mut keys = Sha256::new();
        for row in rows {
            keys.update(&row.alert.key);
            keys.update([0]);
        }
        notice.id = format!("summary/{}", hex(&keys.finalize()[..16]));
        notice.also = others
            .iter()
            .map(|row| Other {
                alert: row.alert.key.clone(),
                alarm: row.alarm.id.to_string(),
                class: row.alarm.class,
                text: row.alarm.text.clone(),
                phone: row.alert.person.as_ref().and_then(|id| Some(registry.person(id)?.phone.clone())),
            })
            .collect();
        Some(notice)
    }

    /// The person's address on this channel.
    pub fn address(&self) -> Option<&str> {
        self.alert.person.as_ref()?.address.as_deref()
    }

    pub fn phone(&self) -> Option<&str> {
        Some(self.alert.person.as_ref()?.phone.as_str()).filter(|phone| !phone.is_empty())
    }

    /// Of everybody whom this message is for.
    pub fn phones(&self) -> Vec<&str> {
        let others = self.also.iter().filter_map(|other| other.phone.as_deref());
        let mut phones: Vec<_> =
            self.phone().into_iter().chain(others).filter(|phone| !phone.is_empty()).collect();
        phones.sort_unstable();
        phones.dedup();
        phones
    }

    /// The id in letters and digits.
    pub fn token(&self) -> String {
        hex(&Sha256::digest(&self.id)[..16])
    }

    /// Nobody can be told this way: a reason to give up, not to try again.
    pub fn no_address(&self, channel: &str, what: &str) -> Sent {
        Sent::gave_up(match &self.alert.person {
            Some(person) => format!("`{}` has no {what} for the channel `{channel}`", person.id),
            None => format!("the step found nobody, and the channel `{channel}` tells only persons"),
        })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::AlarmState;
    use crate::view::{CellRef, DeviceRef, PersonRef};

    /// An alarm in a kitchen, told to Wang Li.
    pub fn notice(class: SignalClass) -> Notice {
        let (at, id) = ("2026-11-23T03:00:00.000Z", "A-17/1/wang-li/duty@1795402800000");
        Notice {
            id: id.into(),
            station: "xianlin-1".into(),
            sent_at: at.into(),
            attempt: 1,
            alert: Telling {
                key: id.into(),
                step: 1,
                at: at.into(),
                person: Some(Contact {
                    id: "wang-li".into(),
                    name: "王丽".into(),
                    phone: "13800000001".into(),
                    address: None,
                }),
            },
            alarm: AlarmView {
                id: "A-17".into(),
                rule: "smoke".into(),
                class,
                text: "烟雾报警".into(),
                state: AlarmState::Unacknowledged,
                open: true,
                cell: CellRef {
                    code: "XL-01-01".into(),
                    name: "杉湖一格".into(),
                    path: vec!["仙林街道".into(), "杉湖一格".into()],
                },
                device: Some(DeviceRef {
                    id: "SD-0001".into(),
                    name: "厨房烟感".into(),
                    place: "3栋2单元501 厨房".into(),
                }),
                raised: at.into(),
                owner: Some(PersonRef { id: "wang-li".into(), name: "王丽".into() }),
                closed: None,
                ..AlarmView::of(&crate::channel_test::nothing(Timestamp(0)), &Registry::default())
            },
            card: None,
            acknowledge: "/api/v1/alarms/A-17/acknowledge".into(),
            link: Some("https://grid.example/#alarm=A-17".into()),
            also: Vec::new(),
            test: false,
            minutes: 0,
        }
    }

    #[test]
    fn a_step_that_finds_nobody_says_so() {
        let mut notice = notice(SignalClass::Fire);
        let said = |notice: &Notice| match notice.no_address("sms", "telephone number") {
            Sent::GaveUp { error } => error,
            other @ (Sent::Delivered { .. } | Sent::Retry { .. }) => panic!("{other:?}"),
        };
        assert_eq!(said(&notice), "`wang-li` has no telephone number for the channel `sms`");
        notice.alert.person = None;
        assert_eq!(said(&notice), "the step found nobody, and the channel `sms` tells only persons");
    }
}
