//! Which reads fetch a unit's registers: few, within the unit's limit, and never through the middle of a number.
//!
//! There are two layouts. [`together`] merges across small gaps and across fields, which is what most devices like. Some answer
//! `illegal data address` to a read that touches a register they do not have; for those [`apart`] fetches every field on its own, and
//! only registers that lie side by side in one read.

use crate::config::Table;

/// Largest gap worth reading over: on a 9600 baud line a second request costs about as much as this many registers.
const GAP_MAX: u16 = 10;

/// Limits of the specification for one request.
const REGISTERS_MAX: u16 = 125;
const BITS_MAX: u16 = 2_000;

/// One request of function code 1 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    pub table: Table,
    pub start: u16,
    pub count: u16,
}

impl Read {
    /// One past the last address; 65,536 at the most.
    pub fn end(self) -> u32 {
        u32::from(self.start) + u32::from(self.count)
    }

    /// How many bytes of data the answer holds.
    fn answer_bytes(self) -> u16 {
        match self.table {
            Table::Coils | Table::DiscreteInputs => self.count.div_ceil(8),
            Table::Holding | Table::Input => self.count * 2,
        }
    }

    pub fn covers(self, other: Read) -> bool {
        self.table == other.table && self.start <= other.start && other.end() <= self.end()
    }
}

/// Written as `holding registers 4–5 (0x0004–0x0005)`.
impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (table, first, last) = (table_name(self.table), self.start, self.end().saturating_sub(1));
        match self.count {
            1 => write!(f, "{table} {first} (0x{first:04X})"),
            _ => write!(f, "{table}s {first}–{last} (0x{first:04X}–0x{last:04X})"),
        }
    }
}

impl Table {
    pub const ALL: [Self; 4] = [Self::Holding, Self::Input, Self::Coils, Self::DiscreteInputs];

    /// As in station.toml.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Coils => "coils",
            Self::DiscreteInputs => "discrete_inputs",
            Self::Holding => "holding",
            Self::Input => "input",
        }
    }
}

pub const fn table_name(table: Table) -> &'static str {
    match table {
        Table::Coils => "coil",
        Table::DiscreteInputs => "discrete input",
        Table::Holding => "holding register",
        Table::Input => "input register",
    }
}

/// The most that one read of this table may ask of a unit whose limit is `max_registers`.
pub fn count_max(table: Table, max_registers: u16) -> u16 {
    match table {
        Table::Coils | Table::DiscreteInputs => max_registers.saturating_mul(16).clamp(1, BITS_MAX),
        Table::Holding | Table::Input => max_registers.clamp(1, REGISTERS_MAX),
    }
}

/// As few reads as possible. `groups` lists per field the numbers it needs, which are kept in one read where the limit allows.
pub fn together(groups: &[Vec<Read>], max_registers: u16) -> Vec<Read> {
    let mut pieces = Vec::new();
    for group in groups {
        match span(group) {
            Some(whole) if whole.count <= count_max(whole.table, max_registers) => pieces.push(whole),
            Some(_) | None => pieces.extend_from_slice(group),
        }
    }
    merge(pieces, max_registers, GAP_MAX)
}

/// Every field on its own; within it, only what lies side by side is read together.
pub fn apart(groups: &[Vec<Read>], max_registers: u16) -> Vec<Read> {
    let mut reads: Vec<Read> =
        groups.iter().flat_map(|group| merge(group.clone(), max_registers, 0)).collect();
    reads.sort_unstable();
    reads.dedup();
    let all = reads.clone();
    reads.retain(|read| !all.iter().any(|other| other != read && other.covers(*read)));
    reads
}

/// A read beside the first of `reads`, of a length none of them has. A unit that refuses it has answered it too.
pub fn odd(reads: &[Read], max_registers: u16) -> Read {
    let Some(&first) = reads.first() else { return Read { table: Table::Holding, start: 0, count: 1 } };
    let step = match first.table {
        Table::Coils | Table::DiscreteInputs => 8,
        Table::Holding | Table::Input => 1,
    };
    let candidates = (0..)
        .map(|steps| steps * step + 1)
        .take_while(|count| *count <= count_max(first.table, max_registers));
    let of_count = |count: u16| {
        let start = u32::from(first.start).min(u32::from(u16::MAX) + 1 - u32::from(count));
        Read { start: start as u16, count, ..first }
    };
    let is_new = |odd: &Read| reads.iter().all(|read| read.answer_bytes() != odd.answer_bytes());
    candidates.map(of_count).find(is_new).unwrap_or(first)
}

/// The one read that would cover all of them; `None` when they lie in several tables or do not fit.
fn span(group: &[Read]) -> Option<Read> {
    let first = group.first()?;
    let start = group.iter().map(|read| read.start).min()?;
    let end = group.iter().map(|read| read.end()).max()?;
    let count = u16::try_from(end - u32::from(start)).ok()?;
    group.iter().all(|read| read.table == first.table).then_some(Read { table: first.table, start, count })
}

fn merge(mut pieces: Vec<Read>, max_registers: u16, gap_max: u16) -> Vec<Read> {
    pieces.sort_unstable();
    let mut reads: Vec<Read> = Vec::new();
    for piece in pieces {
        if let Some(last) = reads.last_mut()
            && last.table == piece.table
            && u32::from(piece.start) <= last.end() + u32::from(gap_max)
        {
            let count = last.end().max(piece.end()) - u32::from(last.start);
            if count <= u32::from(count_max(piece.table, max_registers)) {
                last.count = count as u16;
                continue;
            }
        }
        reads.push(piece);
    }
    reads
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(start: u16, count: u16) -> Read {
        Read { table: Table::Holding, start, count }
    }

    fn groups(parts: &[(u16, u16)]) -> Vec<Vec<Read>> {
        parts.iter().map(|&(start, count)| vec![read(start, count)]).collect()
    }

    #[test]
    fn neighbours_and_small_gaps_become_one_read() {
        for (parts, max, expected) in [
            (&[(0, 1), (1, 1)][..], 125, vec![read(0, 2)]),
            (&[(0, 2), (12, 2)], 125, vec![read(0, 14)]),
            (&[(0, 2), (13, 2)], 125, vec![read(0, 2), read(13, 2)]),
            (&[(2, 2), (8, 2)], 4, vec![read(2, 2), read(8, 2)]), // KELLER
            (&[(2, 2), (4, 2)], 4, vec![read(2, 4)]),
            (&[(0, 2), (2, 2), (4, 2)], 3, vec![read(0, 2), read(2, 2), read(4, 2)]),
            (&[(0, 100), (100, 50)], 125, vec![read(0, 100), read(100, 50)]),
            (&[(65_534, 2)], 125, vec![read(65_534, 2)]),
            (&[(7, 1), (7, 1)], 125, vec![read(7, 1)]),
        ] {
            assert_eq!(together(&groups(parts), max), expected, "{parts:?} within {max}");
        }
    }

    #[test]
    fn a_field_with_its_helpers_is_one_read_and_falls_apart_at_its_gaps() {
        let mpd_380 = vec![vec![read(4, 1), read(2, 1), read(3, 1), read(12, 1)]];
        assert_eq!(together(&mpd_380, 125), [read(2, 11)]);
        assert_eq!(together(&mpd_380, 4), [read(2, 3), read(12, 1)], "the limit wins");
        assert_eq!(apart(&mpd_380, 125), [read(2, 3), read(12, 1)]);
        assert_eq!(apart(&groups(&[(0x40A, 2), (0x40C, 2)]), 125), [read(0x40A, 2), read(0x40C, 2)]);
    }

    #[test]
    fn bits_have_a_limit_of_their_own() {
        assert_eq!(count_max(Table::Coils, 125), 2_000);
        assert_eq!(count_max(Table::Coils, 1), 16);
        assert_eq!(count_max(Table::Input, 4_000), 125);
    }

    #[test]
    fn the_odd_read_is_as_long_as_none_of_the_others() {
        for (reads, max, expected) in [
            (&[read(2, 11)][..], 125, read(2, 1)),
            (&[read(9, 1)], 125, read(9, 2)),
            (&[read(u16::MAX, 1)], 125, read(u16::MAX - 1, 2)),
            (&[read(2, 2), read(8, 1)], 4, read(2, 3)),
            (&[read(2, 1)], 1, read(2, 1)), // The unit allows no other.
        ] {
            assert_eq!(odd(reads, max), expected, "{reads:?}");
        }
        let coils = Read { table: Table::Coils, start: 4, count: 3 };
        assert_eq!(odd(&[coils], 125), Read { count: 9, ..coils });
    }

    proptest! {
        /// Whatever the registers and the limit: each number lies whole in some read, no read is over the limit, and none is asked twice.
        #[test]
        fn every_number_is_read_whole(
            starts in proptest::collection::vec((0u16..300, prop_oneof![Just(1u16), Just(2), Just(4)]), 1..40),
            max in 4u16..140,
        ) {
            let groups = groups(&starts);
            for layout in [together(&groups, max), apart(&groups, max)] {
                for read in &layout {
                    prop_assert!(read.count <= count_max(read.table, max));
                }
                for number in groups.iter().flatten() {
                    prop_assert!(layout.iter().any(|read| read.covers(*number)), "{number} in {layout:?}");
                }
                for pair in layout.windows(2) {
                    prop_assert!(!pair[0].covers(pair[1]) && !pair[1].covers(pair[0]));
                }
            }
            prop_assert!(together(&groups, max).len() <= apart(&groups, max).len());
        }
    }
}
