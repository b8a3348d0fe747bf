//! An order to a device: what it is told, by whom, until when, and how far that came. A device that sleeps hears it hours later, so an order waits, and is not done before the device says so.
//!
//! Pure. Stored as a record in `store/orders.rs`: a new field needs a default. Absent: sirens and everything else that must act at once ([`crate::io::commands`]).

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::decode::downlink::Said;
use crate::model::DeviceIx;
use crate::units::Timestamp;

/// Of one device that are not done; a queue that grows longer says that nobody hears it.
pub const OPEN_EACH_MAX: usize = 8;
/// Of all devices.
pub const OPEN_MAX: usize = 1_000;
/// LoRaWAN's FPort of an application (TS001-1.0.4, 4.3.2: 0 is the MAC's own, from 224 on they are kept for tests and extensions).
pub const PORTS: RangeInclusive<u8> = 1..=223;
/// The largest payload that LoRaWAN carries at any data rate (RP002-1.0.4, table 43: 222 bytes without a repeater's margin).
pub const BYTES_MAX: usize = 222;

const TOO_LATE: &str = "it was taken back when the network server had it already";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// A UUID, by which the network server knows it.
    pub id: String,
    pub device: DeviceIx,
    /// In words: `report_interval 1200 s of milesight-em500-pp`.
    pub what: String,
    pub port: u8,
    pub bytes: Vec<u8>,
    /// Whose it is: who gave it.
    pub by: String,
    pub at: Timestamp,
    /// Not confirmed by then, it is shown as unconfirmed.
    pub until: Timestamp,
    pub stage: Stage,
    /// When the stage began.
    pub since: Timestamp,
    /// Why it is not further.
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It is here.
    Waiting,
    /// The network server has it.
    Handed,
    /// A gateway has sent it.
    Sent,
    /// The device has acknowledged it.
    Confirmed,
    Failed,
    /// It was taken back before the network server had it.
    Withdrawn,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Handed => "handed",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Something may still come of it.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Waiting | Self::Handed | Self::Sent => true,
            Self::Confirmed | Self::Failed | Self::Withdrawn => false,
        }
    }
}

impl Order {
    /// What people are shown.
    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.stage.is_open() && self.until <= now { "unconfirmed" } else { self.stage.name() }
    }

    /// Answers come twice and out of order; whether it came further. What the device itself says is the last word, also after the end and after a failure: some servers try again.
    pub fn hear(&mut self, said: &Said, at: Timestamp) -> bool {
        let (stage, note) = match (said, self.stage) {
            (_, Stage::Confirmed) => return false,
            (Said::Confirmed, _) => (Stage::Confirmed, String::new()),
            (Said::Queued, Stage::Waiting) => (Stage::Handed, String::new()),
            // It was on its way at the very moment.
            (Said::Queued, Stage::Withdrawn) => (Stage::Handed, TOO_LATE.to_owned()),
            (Said::Queued, Stage::Handed | Stage::Sent | Stage::Failed) => return false,
            (Said::Sent, Stage::Sent) => return false,
            (Said::Sent, Stage::Withdrawn) => (Stage::Sent, TOO_LATE.to_owned()),
            (Said::Sent, Stage::Waiting | Stage::Handed | Stage::Failed) => (Stage::Sent, String::new()),
            (Said::NotConfirmed, _) => {
                (Stage::Failed, "the device was told and did not acknowledge it".to_owned())
            }
            (Said::Failed(why), _) => (Stage::Failed, format!("the network server: {why}")),
        };
        (self.stage, self.since, self.note) = (stage, at, note);
        true
    }

    /// Taken back, as long as it is here; afterwards only the network server could do that. Whether it could be.
    pub fn withdraw(&mut self, who: &str, at: Timestamp) -> bool {
        if self.stage != Stage::Waiting {
            return false;
        }
        (self.stage, self.since, self.note) = (Stage::Withdrawn, at, format!("taken back by {who}"));
        true
    }

    /// It could not be handed over, and waits; whether that is for another reason than before.
    pub fn stays(&mut self, why: String) -> bool {
        let new = self.note != why;
        self.note = why;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            id: String::new(),
            device: DeviceIx(1),
            what: String::new(),
            port: 85,
            bytes: vec![1],
            by: "wang-li".into(),
            at: Timestamp(0),
            until: Timestamp(1_000),
            stage: Stage::Waiting,
            since: Timestamp(0),
            note: String::new(),
        }
    }

    #[test]
    fn only_the_device_s_own_word_confirms() {
        let failed = || Said::Failed("too long".into());
        let tables: &[(&[Said], Stage)] = &[
            (&[], Stage::Waiting),
            (&[Said::Queued], Stage::Handed),
            (&[Said::Queued, Said::Sent], Stage::Sent),
            (&[Said::Sent, Said::Queued], Stage::Sent),
            (&[Said::Queued, Said::Sent, Said::Confirmed], Stage::Confirmed),
            (&[Said::Confirmed, Said::NotConfirmed, failed(), Said::Sent], Stage::Confirmed),
            (&[Said::Sent, Said::NotConfirmed], Stage::Failed),
            (&[Said::Sent, Said::NotConfirmed, Said::Sent, Said::Confirmed], Stage::Confirmed),
            (&[failed(), Said::Queued], Stage::Failed),
        ];
        for (said, stage) in tables {
            let mut order = order();
            said.iter().for_each(|said| {
                order.hear(said, Timestamp(5));
            });
            assert_eq!(order.stage, *stage, "{said:?}");
        }
    }

    #[test]
    fn what_is_taken_back_is_over_unless_the_server_had_it() {
        let mut taken_back = order();
        assert!(taken_back.withdraw("wang-li", Timestamp(7)));
        assert_eq!((taken_back.state(Timestamp(9_000)), taken_back.since), ("withdrawn", Timestamp(7)));
        assert!(!taken_back.withdraw("wang-li", Timestamp(8)), "once");
        for (said, stage) in
            [(Said::Queued, Stage::Handed), (Said::Sent, Stage::Sent), (Said::Confirmed, Stage::Confirmed)]
        {
            let mut order = taken_back.clone();
            assert!(order.hear(&said, Timestamp(9)));
            assert_eq!(order.stage, stage, "what happened is shown");
            assert!(!order.withdraw("wang-li", Timestamp(10)), "{said:?}: it is not here");
        }
    }

    #[test]
    fn what_nobody_confirms_in_time_is_shown_so_and_can_still_be_confirmed() {
        let mut order = order();
        order.hear(&Said::Sent, Timestamp(10));
        assert_eq!((order.state(Timestamp(999)), order.state(Timestamp(1_000))), ("sent", "unconfirmed"));
        order.hear(&Said::Confirmed, Timestamp(2_000));
        assert_eq!((order.state(Timestamp(2_000)), order.since), ("confirmed", Timestamp(2_000)));
        assert!(!order.hear(&Said::Confirmed, Timestamp(3_000)), "once");
    }
}
