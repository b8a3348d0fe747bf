//! From a name to its place in a fixed list: a hash table that the compiler fills. Every field of every message is looked up.
//!
//! The list itself stays where it is: what a place is called is asked, so a name is found by one comparison as a rule.

/// No place; a list is shorter.
const NONE: u8 = u8::MAX;

/// `SLOTS` is a power of two and at least twice the number of names, or looking takes long.
#[derive(Debug)]
pub struct Names<const SLOTS: usize>([u8; SLOTS]);

impl<const SLOTS: usize> Names<SLOTS> {
    pub const fn new() -> Self {
        assert!(SLOTS.is_power_of_two());
        Self([NONE; SLOTS])
    }

    /// The name that stands at this place.
    pub const fn with(mut self, name: &str, place: usize) -> Self {
        assert!(place < SLOTS / 2 && place < NONE as usize, "too many names for so many slots");
        let mut slot = first_slot::<SLOTS>(name.as_bytes());
        while self.0[slot] != NONE {
            slot = (slot + 1) % SLOTS;
        }
        self.0[slot] = place as u8;
        self
    }

    /// Where this name stands, when `name_at` says how a place is called.
    pub fn find(&self, name: &str, name_at: impl Fn(usize) -> &'static str) -> Option<usize> {
        let mut slot = first_slot::<SLOTS>(name.as_bytes());
        loop {
            match self.0[slot] {
                NONE => return None,
                place if name_at(place.into()) == name => return Some(place.into()),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

/// Length, both ends and the middle tell most names apart.
const fn first_slot<const SLOTS: usize>(name: &[u8]) -> usize {
    if name.is_empty() {
        return 0;
    }
    let parts = [name.len() as u8, name[0], name[name.len() / 2], name[name.len() - 1]];
    // By the golden ratio: neighbours get far apart.
    (u32::from_le_bytes(parts).wrapping_mul(0x9E37_79B1) >> 16) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        const LIST: [&str; 6] = ["smoke", "smore", "", "a", "battery", "battery_low"];
        let names =
            LIST.iter().enumerate().fold(Names::<16>::new(), |names, (at, name)| names.with(name, at));
        let find = |name: &str| names.find(name, |at| LIST[at]);
        for (at, name) in LIST.iter().enumerate() {
            assert_eq!(find(name), Some(at), "{name}");
        }
        for other in ["smoge", "b", "battery_lo", "batteryy", "烟"] {
            assert_eq!(find(other), None, "{other}");
        }
    }
}
