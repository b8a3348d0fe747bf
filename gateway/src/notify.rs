//! How an alert leaves the house: one worker per channel takes what is due from the outbox and records every attempt.
//!
//! Whether a failure is worth another try is the channel's answer; when, is [`backoff`]'s. Delivery is at least once: a crash between sending and
//! recording sends again, with the same key. While the store cannot be written, alerts come from memory ([`unrecorded`]).
//! A channel is added as a file here that implements [`Channel`].

pub mod accepted;
pub mod alarm_mqtt;
pub mod backoff;
pub mod mqtt;
mod reading;
pub mod unrecorded;
pub mod webhook;
mod worker;

use futures::future::BoxFuture;
use serde::Serialize;

pub use self::worker::Worker;
use crate::grid::Registry;
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

/// What the other side said.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    Delivered {
        receipt: String,
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

/// What is sent: one alert to one person, with the alarm as it is now.
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
    /// Where to POST to take the alarm in hand, below the gateway's address.
    pub acknowledge: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Telling {
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
}

impl Notice {
    pub fn of(row: &Row, station: &str, registry: &Registry, now: Timestamp) -> Self {
        let person = row.alert.person.as_ref().map(|id| match registry.person(id) {
            Some(person) => {
                Contact { id: id.clone(), name: person.name.clone(), phone: person.phone.clone() }
            }
            None => Contact { id: id.clone(), name: String::new(), phone: String::new() },
        });
        Self {
            id: row.alert.key.clone(),
            station: station.to_owned(),
            sent_at: now.rfc3339(),
            attempt: row.attempts + 1,
            alert: Telling { step: row.alert.step, at: row.alert.at.rfc3339(), person },
            alarm: AlarmView::of(&row.alarm, registry),
            acknowledge: format!("/api/v1/alarms/{}/acknowledge", row.alarm.id),
        }
    }
}
