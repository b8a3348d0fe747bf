//! The waiting room: devices that are heard, or announced by a bridge, and not registered. They wait until somebody places them in a cell or dismisses them.
//!
//! Pure: time comes in as `now`, and what must be stored and said goes out as [`Due`]. A device here raises no alarm of its own, whatever it measures; only when it reports fire
//! does a trouble alarm say so, because somebody must find out where it hangs, and that in bounded number. The room is bounded, too: a stranger that may burn takes the place of one that
//! is silent, another takes only the place of one that was silent for a day. The driver keeps it ([`crate::io::driver`]), people decide in `http/waiting.rs`.
//! [`Waiting`] is stored as JSON: fields are added with a default.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::decode::stranger::kind_by;
use crate::decode::{Announced, Stranger};
use crate::engine::hourly::Hourly;
use crate::model::{DeviceKind, Metric};
use crate::units::{Millis, Now, Steady, Timestamp};

/// How many devices wait at the most.
pub const WAITING_MAX: usize = 500;
/// One that said nothing for so long gives way to another.
const STALE: Millis = Millis::from_secs(24 * 3600);
/// So much of the newest message is kept.
pub const EXCERPT_BYTES: usize = 512;
/// Counts reach the disk this often; a power cut loses no more.
const KEEP_EVERY: Millis = Millis::from_secs(60);
/// Who is new, or was announced.
const KEEP_NEW_AFTER: Millis = Millis::from_secs(2);
/// Burning strangers that are named one by one within an hour; one more alarm speaks for all others.
const FIRES_PER_HOUR: usize = 10;

/// One device that waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// As the registry would have it.
    pub address: String,
    /// `listener`, `broker:main`, `push_in:aep`, `gbt26875`.
    pub source: String,
    /// Where it was heard or announced last.
    pub topic: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Messages of its own; 0: it was only announced.
    pub count: u64,
    /// The beginning of the newest message.
    pub excerpt: String,
    /// The newest value of each metric, as its decoder understands it.
    pub says: Vec<(Metric, f64)>,
    pub announced: Announced,
    /// It reports fire.
    pub burns: bool,
    /// A trouble alarm names it.
    pub told: bool,
    /// Somebody said that it is none of ours.
    pub dismissed: bool,
}

impl Waiting {
    /// What it most likely is.
    pub fn kind(&self) -> Option<DeviceKind> {
        let by_values = || kind_by(self.says.iter().map(|(metric, _)| *metric));
        match self.announced.kind {
            None | Some(DeviceKind::Other) => by_values().or(self.announced.kind),
            known => known,
        }
    }
}

/// A stranger, as a source met him.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    pub stranger: Stranger,
    pub source: String,
    pub topic: String,
    pub received: Timestamp,
    pub excerpt: String,
}

/// What becomes of a row of the store.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Keep(Box<Waiting>),
    Forget(String),
}

/// A trouble alarm of the topmost cell begins or is over, told apart by its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub begins: bool,
    pub text: String,
}

/// What is to be stored and said now.
#[derive(Debug, Default, PartialEq)]
pub struct Due {
    pub changes: Vec<Change>,
    pub troubles: Vec<Trouble>,
}

/// Speaks for burning strangers beyond [`FIRES_PER_HOUR`].
pub const MANY_BURN: &str =
    "未登记设备报火警 several devices that are not registered report fire; the waiting room lists them";

/// The words of the alarm about one device.
pub fn burns_text(address: &str) -> String {
    let shown: String = address.chars().filter(|c| !c.is_control()).take(120).collect();
    format!(
        "未登记设备报火警 a device that is not registered reports fire, and nobody knows where it is: {shown}"
    )
}

#[derive(Debug, Default)]
pub struct Room {
    waiting: BTreeMap<String, Waiting>,
    /// Addresses whose rows are older than what is known.
    unsaved: BTreeSet<String>,
    keep_at: Option<Steady>,
    troubles: Vec<Trouble>,
    /// Burning strangers that were named one by one.
    named: Hourly<FIRES_PER_HOUR>,
    turned_away: u64,
}

impl Room {
    /// What an earlier run knew.
    pub fn resume(rows: Vec<Waiting>) -> Self {
        let waiting = rows.into_iter().map(|one| (one.address.clone(), one)).collect();
        Self { waiting, ..Self::default() }
    }

    pub fn see(&mut self, sighting: Sighting, now: Now) {
        let Sighting { stranger, source, topic, received, excerpt } = sighting;
        let burns = stranger.burns();
        let known = self.waiting.contains_key(&stranger.address);
        if !known && !self.makes_room(burns == Some(true), received) {
            self.turned_away += 1;
            if burns == Some(true) {
                self.name_fire(None, now.steady);
            }
            return;
        }
        let address = stranger.address.clone();
        let one = self.waiting.entry(address.clone()).or_insert_with(|| Waiting {
            address: stranger.address,
            first_seen: received,
            ..Waiting::default()
        });
        let announced = one.announced.clone();
        one.announced.add(stranger.announced);
        let mut after = if known && one.announced == announced { KEEP_EVERY } else { KEEP_NEW_AFTER };
        one.last_seen = one.last_seen.max(received);
        if stranger.spoke || one.count == 0 {
            (one.source, one.topic, one.excerpt) = (source, topic, excerpt);
        }
        if stranger.spoke {
            one.count += 1;
            for value in stranger.values {
                match one.says.iter_mut().find(|(metric, _)| *metric == value.metric) {
                    Some(known) => known.1 = value.value,
                    None => one.says.push((value.metric, value.value)),
                }
            }
        }
        if let Some(burns) = burns.filter(|burns| *burns != one.burns) {
            one.burns = burns;
            after = Millis(0);
        }
        let (tell, over) = (one.burns && !one.told && !one.dismissed, !one.burns && one.told);
        if tell {
            one.told = true;
            self.name_fire(Some(&address), now.steady);
        }
        if over {
            self.is_over(&address);
        }
        self.keep(address, now.steady + after);
    }

    /// Devices that are registered now have left the room.
    pub fn settle(&mut self, is_registered: impl Fn(&str) -> bool, now: Steady) {
        let gone: Vec<String> =
            self.waiting.keys().filter(|address| is_registered(address)).cloned().collect();
        for address in gone {
            self.is_over(&address);
            self.waiting.remove(&address);
            self.keep(address, now);
        }
    }

    /// Somebody says that it is none of ours. `None`: it does not wait here.
    pub fn dismiss(&mut self, address: &str, now: Steady) -> Option<Waiting> {
        self.is_over(address);
        let one = self.waiting.get_mut(address)?;
        one.dismissed = true;
        let dismissed = one.clone();
        self.keep(address.to_owned(), now);
        Some(dismissed)
    }

    pub fn get(&self, address: &str) -> Option<&Waiting> {
        self.waiting.get(address)
    }

    pub fn all(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// Devices for which there was no room, since the start.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// When [`Room::due`] has something.
    pub fn wake_at(&self) -> Option<Steady> {
        if self.troubles.is_empty() { self.keep_at } else { Some(Steady(0)) }
    }

    pub fn due(&mut self, now: Steady) -> Due {
        let troubles = std::mem::take(&mut self.troubles);
        if self.keep_at.is_none_or(|at| now < at) {
            return Due { changes: Vec::new(), troubles };
        }
        Due { changes: self.unsaved(), troubles }
    }

    /// Every row that is older than what is known.
    pub fn unsaved(&mut self) -> Vec<Change> {
        self.keep_at = None;
        let addresses = std::mem::take(&mut self.unsaved).into_iter();
        let change = |address: String| match self.waiting.get(&address) {
            Some(one) => Change::Keep(Box::new(one.clone())),
            None => Change::Forget(address),
        };
        addresses.map(change).collect()
    }

    fn keep(&mut self, address: String, by: Steady) {
        self.unsaved.insert(address);
        self.keep_at = Some(self.keep_at.map_or(by, |at| at.min(by)));
    }

    /// A place for one more; whoever was silent longest leaves.
    fn makes_room(&mut self, burns: bool, received: Timestamp) -> bool {
        if self.waiting.len() < WAITING_MAX {
            return true;
        }
        let calm = self.waiting.values().filter(|one| !one.burns);
        let silent = calm.min_by_key(|one| one.last_seen).map(|one| (one.address.clone(), one.last_seen));
        match silent {
            Some((address, last)) if burns || STALE <= received.since(last) => {
                self.waiting.remove(&address);
                self.unsaved.insert(address);
                true
            }
            Some(_) | None => false,
        }
    }

    /// `None`: one that found no room.
    fn name_fire(&mut self, address: Option<&str>, now: Steady) {
        let text = match address {
            Some(address) if self.named.take(now) => burns_text(address),
            Some(_) | None => MANY_BURN.to_owned(),
        };
        let trouble = Trouble { begins: true, text };
        if !self.troubles.contains(&trouble) {
            self.troubles.push(trouble);
        }
    }

    /// The alarm about this device has nothing to say any more. Where many burned, a person ends the alarm.
    fn is_over(&mut self, address: &str) {
        if let Some(one) = self.waiting.get_mut(address)
            && std::mem::take(&mut one.told)
        {
            self.troubles.push(Trouble { begins: false, text: burns_text(address) });
        }
    }
}

/// The driver's and the API's.
#[derive(Debug, Default)]
pub struct SharedRoom(Mutex<Room>);

impl SharedRoom {
    pub fn new(room: Room) -> Self {
        Self(Mutex::new(room))
    }

    pub fn lock(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Quality, Value};

    const DAY: u64 = 24 * 3_600_000;

    fn at(ms: u64) -> Now {
        Now { wall: Timestamp(1_795_402_800_000 + ms as i64), steady: Steady(ms) }
    }

    fn sighting(address: &str, values: &[(Metric, f64)], ms: u64) -> Sighting {
        let value = |&(metric, value): &(Metric, f64)| Value { metric, value, quality: Quality::Good };
        let mut stranger = Stranger { address: address.into(), ..Stranger::default() };
        stranger.says(values.iter().map(value).collect());
        Sighting {
            stranger,
            source: "listener".into(),
            topic: address.into(),
            received: at(ms).wall,
            excerpt: "{}".into(),
        }
    }

    fn see(room: &mut Room, address: &str, smoke: f64, ms: u64) {
        room.see(sighting(address, &[(Metric::SMOKE, smoke)], ms), at(ms));
    }

    fn texts(due: &Due) -> Vec<(bool, &str)> {
        due.troubles.iter().map(|trouble| (trouble.begins, trouble.text.as_str())).collect()
    }

    #[test]
    fn it_is_counted_kept_and_guessed() {
        let mut room = Room::default();
        see(&mut room, "z2m:a", 0.0, 0);
        see(&mut room, "z2m:a", 0.0, 1_000);
        assert_eq!(room.due(Steady(1_999)), Due::default(), "not one write a message");
        let due = room.due(Steady(2_000));
        let [Change::Keep(one)] = due.changes.as_slice() else { panic!("{due:?}") };
        assert_eq!((one.count, one.kind()), (2, Some(DeviceKind::SmokeDetector)));
        assert_eq!((one.first_seen, one.last_seen), (at(0).wall, at(1_000).wall));
        see(&mut room, "z2m:a", 0.0, 3_000);
        assert_eq!(room.wake_at(), Some(Steady(63_000)), "only the count changed");
        let mut again = Room::resume(vec![one.as_ref().clone()]);
        see(&mut again, "z2m:a", 0.0, 4_000);
        assert_eq!(again.get("z2m:a").map(|one| one.count), Some(3), "after a restart it goes on");
    }

    #[test]
    fn a_fire_is_said_once_and_its_end_once() {
        let mut room = Room::default();
        let text = burns_text("z2m:a");
        see(&mut room, "z2m:a", 1.0, 0);
        assert_eq!(room.wake_at(), Some(Steady(0)));
        let due = room.due(Steady(0));
        assert_eq!(texts(&due), [(true, text.as_str())]);
        let [Change::Keep(stored)] = due.changes.as_slice() else { panic!("stored with the alarm: {due:?}") };
        see(&mut room, "z2m:a", 1.0, 10);
        assert_eq!(room.due(Steady(10)), Due::default());
        let mut room = Room::resume(vec![stored.as_ref().clone()]);
        see(&mut room, "z2m:a", 1.0, 20);
        assert_eq!(room.due(Steady(20)).troubles, [], "a restart does not say it again");
        see(&mut room, "z2m:a", 0.0, 30);
        assert_eq!(texts(&room.due(Steady(30))), [(false, text.as_str())]);
        see(&mut room, "z2m:a", 1.0, 40);
        assert_eq!(texts(&room.due(Steady(40))), [(true, text.as_str())], "it burns again");
        room.settle(|address| address == "z2m:a", Steady(50));
        let due = room.due(Steady(50));
        assert_eq!(texts(&due), [(false, text.as_str())], "now its own alarms speak");
        assert_eq!(due.changes, [Change::Forget("z2m:a".into())]);
        assert_eq!(room.all().count(), 0);
    }

    #[test]
    fn what_was_dismissed_says_nothing_more() {
        let mut room = Room::default();
        see(&mut room, "z2m:a", 1.0, 0);
        assert_eq!(room.due(Steady(0)).troubles.len(), 1);
        assert!(room.dismiss("z2m:a", Steady(1)).is_some_and(|one| one.dismissed));
        assert_eq!(texts(&room.due(Steady(1))), [(false, burns_text("z2m:a").as_str())]);
        for (ms, smoke) in [(2, 0.0), (3, 1.0), (4, 0.0)] {
            see(&mut room, "z2m:a", smoke, ms);
            assert_eq!(room.due(Steady(ms)).troubles, [], "{ms}");
        }
        assert_eq!(room.dismiss("z2m:b", Steady(5)), None);
    }

    #[test]
    fn a_crowd_of_strangers_stays_within_the_room_and_a_fire_finds_a_place() {
        let mut room = Room::default();
        for n in 0..10_000u64 {
            see(&mut room, &format!("z2m:{n}"), 0.0, n);
        }
        assert_eq!((room.all().count(), room.turned_away()), (WAITING_MAX, 10_000 - WAITING_MAX as u64));
        see(&mut room, "z2m:fire", 1.0, 10_000);
        assert!(room.get("z2m:fire").is_some() && room.get("z2m:0").is_none());
        assert_eq!(room.all().count(), WAITING_MAX);
        see(&mut room, "z2m:late", 0.0, DAY + 1);
        assert!(room.get("z2m:late").is_some(), "whoever was silent for a day gives way");
    }

    #[test]
    fn a_crowd_of_fires_is_named_ten_times_and_then_as_many() {
        let mut room = Room::default();
        for n in 0..2_000u64 {
            see(&mut room, &format!("z2m:{n}"), 1.0, n);
        }
        let due = room.due(Steady(2_000));
        assert_eq!(due.troubles.len(), FIRES_PER_HOUR + 1, "{:?}", due.troubles.last());
        assert_eq!(due.troubles.last().map(|last| last.text.as_str()), Some(MANY_BURN));
        assert!(due.changes.len() <= WAITING_MAX + 1);
        see(&mut room, "z2m:next", 1.0, 3_700_000);
        assert_eq!(texts(&room.due(Steady(3_700_000))), [(true, MANY_BURN)], "the room is full of fires");
    }

    #[test]
    fn what_is_only_announced_is_a_proposal() {
        let mut room = Room::default();
        let announced = Announced { kind: Some(DeviceKind::DoorSensor), ..Announced::named("gate") };
        let stranger = Stranger { address: "z2m:g".into(), announced, ..Stranger::default() };
        let heard = sighting("z2m:g", &[], 0);
        for ms in [0, 5_000] {
            room.see(Sighting { stranger: stranger.clone(), ..heard.clone() }, at(ms));
        }
        let one = room.get("z2m:g").expect("proposed");
        assert_eq!((one.count, one.kind()), (0, Some(DeviceKind::DoorSensor)));
        see(&mut room, "z2m:g", 0.0, 6_000);
        let one = room.get("z2m:g").expect("still");
        assert_eq!((one.count, one.announced.name.as_deref()), (1, Some("gate")));
    }
}
