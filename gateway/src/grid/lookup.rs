//! From a text that a device carries to its place in the table, without a second copy of four hundred thousand texts.
//!
//! A hash table of places alone: what a place is called is asked where it stands. The table never changes, and lives and dies with its rows.

use std::hash::BuildHasher;
use std::hint::black_box;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Device;

#[derive(Debug, Default)]
pub struct Lookup {
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Lookup {
    /// Of two rows with the same text the later one holds. Rows with `None` cannot be found.
    pub fn new(rows: &[Device], text_of: impl Fn(&Device) -> Option<&String>) -> Self {
        let hasher = DefaultHashBuilder::default();
        let mut places = HashTable::with_capacity(rows.len());
        let hash = |text: &str| hasher.hash_one(text);
        for (at, row) in rows.iter().enumerate() {
            let Some(text) = text_of(row) else { continue };
            let same = |&other: &u32| text_of(&rows[other as usize]) == Some(text);
            let hash_of = |&other: &u32| text_of(&rows[other as usize]).map_or(0, |text| hash(text));
            *places.entry(hash(text), same, hash_of).or_insert(0).get_mut() = at as u32;
        }
        Self { places, hasher }
    }

    /// These are looked for next. The place, the row and the text of each are misses of the caches that wait for one another, so looking for many in turn waits for all of them in turn. Here nothing
    /// waits for what was loaded for the text before it, and the processor fetches many at once.
    pub fn look_ahead<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        text_at: impl Fn(usize) -> &'a String,
    ) {
        let hashes: Vec<u64> = texts.into_iter().map(|text| self.hasher.hash_one(text)).collect();
        let first_with = |&hash: &u64| self.places.find(hash, |_| true).copied();
        let places: Vec<u32> = hashes.iter().filter_map(first_with).collect();
        let letter = |&at: &u32| text_at(at as usize).as_bytes().first().copied();
        black_box(places.iter().filter_map(letter).fold(0, |all, letter| all ^ letter));
    }

    /// The place with this text, where `text_at` says what a place is called.
    pub fn find<'a>(&self, text: &str, text_at: impl Fn(usize) -> &'a String) -> Option<usize> {
        let found = self.places.find(self.hasher.hash_one(text), |&at| text_at(at as usize) == text);
        found.map(|&at| at as usize)
    }
}

#[cfg(test)]
mod tests {
    use crate::grid::{Registry, Rows};
    use crate::model::{DeviceIx, DeviceKind};
    use crate::units::Timestamp;

    use super::*;

    #[test]
    fn every_device_is_found_by_its_texts_and_no_other() {
        let device = |number: u32| Device {
            ix: DeviceIx(number),
            id: format!("D-{number}"),
            kind: DeviceKind::Other,
            name: String::new(),
            // The last one has taken over the address of the first, which is out of service.
            address: format!("native:{}", number % 999),
            cells: [].into(),
            place: String::new(),
            position: None,
            silent_after: None,
            registered: Timestamp(0),
            retired: number == 0,
        };
        let registry = Registry::build(Rows { devices: (0..1_000).map(device).collect(), ..Rows::default() });
        for number in 1..1_000 {
            assert_eq!(
                registry.device_by_address(&format!("native:{}", number % 999)),
                Some(DeviceIx(number))
            );
        }
        for number in 0..1_000 {
            assert_eq!(
                registry.device_by_id(&format!("D-{number}")).map(|device| device.ix),
                Some(DeviceIx(number))
            );
        }
        assert_eq!(registry.device_by_address("native:999"), None);
        assert_eq!(registry.device_by_id("native:1"), None);
    }
    #[test]
    fn what_is_behind_an_address_begins_with_it_and_a_slash() {
        let addresses = ["nvr:gate", "nvr:gate/1", "nvr:gate-2", "nvr:gate/2/1", "nvr:gat", "nvr:gate/3"];
        let device = |(number, address): (u32, &&str)| Device {
            retired: *address == "nvr:gate/3",
            ..Device::bare(DeviceIx(number), DeviceKind::Camera, *address)
        };
        let devices = (0..).zip(&addresses).map(device).collect();
        let registry = Registry::build(Rows { devices, ..Rows::default() });
        let found: Vec<u32> = registry.at_or_behind("nvr:gate").map(|device| device.0).collect();
        assert_eq!(found, [0, 1, 3]);
    }
}
