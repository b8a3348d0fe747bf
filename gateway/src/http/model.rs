//! What the API shows besides alarms ([`crate::view`]), and the bodies it takes.

mod deeds;
mod grid;
mod people;

pub use deeds::*;
pub use grid::*;
pub use people::*;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::card::Card;
use crate::grid::Registry;
use crate::model::{Alarm, DeadLetter, SignalClass};
use crate::store::outbox::receipts::Receipts;
use crate::store::outbox::{Attempt, Outcome};
use crate::store::ratings::Rating;
use crate::units::Timestamp;
use crate::view::{AlarmView, EntryView, PersonRef};

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Ask for the next page with this as cursor; none on the last page.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From up to `limit + 1` items: the one too many proves that there is a next page.
    pub fn cut(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RatingView {
    #[schema(format = DateTime)]
    pub at: String,
    /// 1 (bad) to 5 (good).
    pub stars: u8,
    pub comment: Option<String>,
}

impl From<Rating> for RatingView {
    fn from(rating: Rating) -> Self {
        Self { at: rating.at.rfc3339(), stars: rating.stars, comment: rating.comment }
    }
}

/// An alarm with everything that happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlarmDetail {
    pub alarm: AlarmView,
    /// Oldest first.
    pub history: Vec<EntryView>,
    /// Every attempt to tell somebody, oldest first. Delivered means that the other side took it, not that a person heard it.
    pub attempts: Vec<AttemptView>,
    /// What somebody who goes there must know, as it was when the alarm was raised, but for the plan; none for an alarm from before there were cards.
    pub card: Option<Card>,
    /// What residents said of it, oldest first.
    pub ratings: Vec<RatingView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    Delivered,
    Retry,
    GaveUp,
    /// Given up on this channel; another took over.
    HandedOn,
}

/// How far an alert has come. Only `acknowledged` stops the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// Nobody has taken it.
    Queued,
    /// The provider took it; nobody knows more.
    Accepted,
    /// It stood on the person's screen, or was read aloud.
    Shown,
    Opened,
    /// This person has the alarm in hand.
    Acknowledged,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    #[schema(format = DateTime)]
    pub at: String,
    pub channel: String,
    pub person: Option<PersonRef>,
    /// Step of the ladder, from 1; 0: a summary with other alarms.
    pub step: u32,
    /// Names the alert for its receipts.
    pub key: String,
    /// How far the alert has come by now, whichever attempt it was.
    pub reached: Reached,
    #[schema(format = DateTime)]
    pub shown: Option<String>,
    #[schema(format = DateTime)]
    pub opened: Option<String>,
    /// Which try of this alert it was, from 1.
    pub attempt: u32,
    pub outcome: AttemptOutcome,
    /// The other side's answer, or what went wrong.
    pub detail: String,
    /// The provider's own name for the message.
    pub provider_id: Option<String>,
    /// The channel that took over.
    pub handed_to: Option<String>,
}

impl AttemptView {
    pub fn of(attempt: &Attempt, alarm: &Alarm, registry: &Registry) -> Self {
        let (outcome, detail, provider_id, handed_to) = match &attempt.outcome {
            Outcome::Delivered { receipt, id } => (AttemptOutcome::Delivered, receipt, id.clone(), None),
            Outcome::Retry { error, .. } => (AttemptOutcome::Retry, error, None, None),
            Outcome::GaveUp { error } => (AttemptOutcome::GaveUp, error, None, None),
            Outcome::HandedOn { error, to } => (AttemptOutcome::HandedOn, error, None, Some(to.clone())),
        };
        let acknowledged = alarm.acknowledged.as_ref().map(|signed| &signed.by);
        let Receipts { shown, opened } = attempt.receipts;
        let reached = match (&attempt.alert.person, &attempt.outcome) {
            (Some(person), _) if acknowledged == Some(person) => Reached::Acknowledged,
            _ if opened.is_some() => Reached::Opened,
            _ if shown.is_some() => Reached::Shown,
            (_, Outcome::Delivered { .. }) => Reached::Accepted,
            (_, Outcome::Retry { .. } | Outcome::GaveUp { .. } | Outcome::HandedOn { .. }) => Reached::Queued,
        };
        Self {
            at: attempt.at.rfc3339(),
            channel: attempt.alert.channel.clone(),
            person: attempt.alert.person.as_ref().map(|id| PersonRef::of(id, registry)),
            step: attempt.alert.step,
            key: attempt.alert.key.clone(),
            reached,
            shown: shown.map(Timestamp::rfc3339),
            opened: opened.map(Timestamp::rfc3339),
            attempt: attempt.number,
            outcome,
            detail: detail.clone(),
            provider_id,
            handed_to,
        }
    }
}

/// A message that could not be used.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterView {
    pub number: u64,
    #[schema(format = DateTime)]
    pub received: String,
    #[schema(example = "broker:main")]
    pub source: String,
    pub address: String,
    pub reason: String,
    /// The payload's first 4,096 bytes as text; bytes that are not UTF-8 become U+FFFD.
    pub payload_text: String,
    /// Size of the whole payload.
    pub payload_bytes: usize,
}

impl DeadLetterView {
    pub fn of(number: u64, letter: &DeadLetter) -> Self {
        let shown = &letter.payload[..letter.payload.len().min(4096)];
        Self {
            number,
            received: letter.received.rfc3339(),
            source: letter.source.clone(),
            address: letter.address.clone(),
            reason: letter.reason.clone(),
            payload_text: String::from_utf8_lossy(shown).into_owned(),
            payload_bytes: letter.payload.len(),
        }
    }
}

/// An alarm raised by hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAlarm {
    /// Code of the cell.
    #[schema(example = "320113-XL-01-03")]
    pub cell: String,
    /// Id of a device in it, when it is about one.
    pub device: Option<String>,
    pub class: SignalClass,
    /// One line for a person, up to 200 characters.
    #[schema(example = "居民来电: 地下室有烟")]
    pub text: String,
}
