//! Gathers what one message becomes: events and rejects, both bounded, each device looked up in the registry.
//!
//! A device that is not registered is read all the same, so that the waiting room knows what it is and whether it burns: it gets a number that no registry gives, and what it
//! said goes to [`Decoded::strangers`] instead of the events.

use super::camera::{Meanings, Still};
use super::profile::Profile;
use super::scalar::{shortened, shortened_to};
use super::stranger::{Announced, Stranger};
use super::time::{Stamp, stamp};
use super::values::{VALUES_MAX, Values};
use super::{Context, Decoded, Message, Reject};
use crate::model::{DeviceIx, Event, Freshness, Quality, Report};
use crate::units::Timestamp;

/// More complaints than this about one message help nobody.
pub const REJECTS_MAX: usize = 16;

/// Of one message.
const STILLS_MAX: usize = 4;

/// How many reports one message may hold.
pub const REPORTS_MAX: usize = 1_000;

/// How many unregistered devices of one message are read; the others are only named.
const STRANGERS_MAX: usize = REPORTS_MAX;
/// Their numbers begin here; a registry never gets so far.
const FIRST_STRANGER: u32 = u32::MAX - STRANGERS_MAX as u32;

pub struct Outcome<'a> {
    message: &'a Message<'a>,
    context: &'a Context,
    decoded: Decoded,
    untold: usize,
}

impl<'a> Outcome<'a> {
    pub fn new(message: &'a Message<'a>, context: &'a Context) -> Self {
        Self { message, context, decoded: Decoded::default(), untold: 0 }
    }

    /// The registered device with this address; quiet when there is none.
    pub fn find(&self, address: &str) -> Option<DeviceIx> {
        self.context.registry.device_by_address(address)
    }

    /// The device with this address. One that is not registered is rejected, and read for the waiting room.
    pub fn device(&mut self, address: &str) -> Option<DeviceIx> {
        let device = self.find(address);
        if device.is_some() {
            return device;
        }
        if let Some(known) = self.decoded.strangers.iter().position(|known| known.address == address) {
            return Some(DeviceIx(FIRST_STRANGER + known as u32));
        }
        self.reject(format!(
            "device `{0}` is not registered; place it from the waiting room, or add a row with address `{0}` to the devices file and run `gridwarden import devices FILE`",
            shortened(address)
        ));
        self.stranger(address)
    }

    /// The same for one that is not said to be missing, because others of its kind are none of ours.
    pub fn stranger(&mut self, address: &str) -> Option<DeviceIx> {
        let number = self.decoded.strangers.len();
        if STRANGERS_MAX <= number {
            return None;
        }
        self.decoded.strangers.push(Stranger { address: address.to_owned(), ..Stranger::default() });
        Some(DeviceIx(FIRST_STRANGER + number as u32))
    }

    fn stranger_mut(&mut self, device: DeviceIx) -> Option<&mut Stranger> {
        let number = device.0.checked_sub(FIRST_STRANGER)?;
        self.decoded.strangers.get_mut(number as usize)
    }

    /// What is known of a device beside what it measures. Of a registered one it is known already.
    pub fn introduce(&mut self, device: DeviceIx, announced: Announced) {
        if let Some(stranger) = self.stranger_mut(device) {
            stranger.announced = announced;
        }
    }

    /// The profile that reads it.
    pub fn read_by(&mut self, device: DeviceIx, profile: &Profile) {
        if let Some(stranger) = self.stranger_mut(device) {
            stranger.announced.kind = Some(profile.kind);
            stranger.announced.profile = Some(profile.name.clone());
        }
    }

    /// The device said this, at `said` by its own clock.
    pub fn report(&mut self, device: DeviceIx, said: Option<Timestamp>, declared: Quality, values: Values) {
        let stamp = stamp(self.message, said, self.context);
        self.push(device, Stamp { quality: stamp.quality.max(declared), ..stamp }, values);
    }

    /// The same by a device that says itself that it speaks of the past, however short ago.
    pub fn report_past(&mut self, device: DeviceIx, said: Option<Timestamp>, values: Values) {
        if self.stranger_mut(device).is_some() {
            return self.alive(device); // What burned once burns no more, and nobody else asks.
        }
        let stamp = stamp(self.message, said, self.context);
        self.push(device, Stamp { freshness: Freshness::Backfill, ..stamp }, values);
    }

    fn push(&mut self, device: DeviceIx, stamp: Stamp, values: Values) {
        if values.left_out() > 0 {
            self.reject(format!(
                "more than {VALUES_MAX} values in one report: {} were left out; send them in several messages",
                values.left_out()
            ));
        }
        if let Some(stranger) = self.stranger_mut(device) {
            return stranger.says(values.finish(stamp.quality));
        }
        self.decoded.events.push(Event::Report(Report {
            device,
            received: self.message.received,
            device_time: stamp.device_time,
            freshness: stamp.freshness,
            values: values.finish(stamp.quality),
        }));
    }

    /// The device lives, and says nothing else.
    pub fn alive(&mut self, device: DeviceIx) {
        self.report(device, None, Quality::Good, Values::default());
    }

    /// The path says that the device is gone. A retained notice is of unknown age, so that any report ever received beats it;
    /// a source that knows when the lost connection was last alive puts that into `since` afterwards.
    pub fn gone(&mut self, device: DeviceIx) {
        if self.stranger_mut(device).is_some() {
            return; // Nobody misses it.
        }
        let received = self.message.received;
        let since = if self.message.retained { Timestamp(0) } else { received };
        self.decoded.events.push(Event::Gone { device, since, received });
    }

    pub fn reject(&mut self, reason: String) {
        if self.decoded.rejects.len() < REJECTS_MAX {
            self.decoded.rejects.push(Reject(reason));
        } else {
            self.untold += 1;
        }
    }

    /// Whether further rejects are only counted: then none need be worded.
    pub fn is_full(&self) -> bool {
        self.decoded.rejects.len() >= REJECTS_MAX
    }

    pub fn count_untold(&mut self, count: usize) {
        self.untold += count;
    }

    /// The payload is not what the family speaks at all.
    pub fn unreadable(&mut self, error: &serde_json::Error) {
        self.reject(format!(
            "the payload on `{}` cannot be read: {}; send JSON in UTF-8 as the family defines it",
            shortened(self.message.topic),
            shortened_to(200, &error.to_string())
        ));
    }

    pub fn received(&self) -> Timestamp {
        self.message.received
    }

    /// A picture that is worth keeping; few come with one message.
    pub fn keep_still(&mut self, still: Still) {
        if self.decoded.stills.len() < STILLS_MAX {
            self.decoded.stills.push(still);
        }
    }

    /// A network server says what became of an order.
    pub fn answer(&mut self, answer: Option<super::downlink::Answer>) {
        self.decoded.answer = answer;
    }

    /// A dead letter about this message keeps these bytes in the place of its own.
    pub fn show(&mut self, bytes: Vec<u8>) {
        self.decoded.shown = Some(bytes);
    }

    pub fn meanings(&self) -> &'a Meanings {
        &self.context.profiles.meanings
    }

    pub fn profiles(&self) -> &'a super::profile::Profiles {
        &self.context.profiles
    }

    pub fn registry(&self) -> &'a crate::grid::Registry {
        &self.context.registry
    }

    pub fn finish(mut self) -> Decoded {
        if self.untold > 0 {
            self.decoded.rejects.push(Reject(format!("{} more complaints about this message", self.untold)));
        }
        self.decoded
    }
}
