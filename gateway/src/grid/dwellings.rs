//! Who lives where and what somebody who runs there must know: buildings and households.
//!
//! Personal data: the gateway shows a household only to those who have the right, and records every look. Whoever reads this from the
//! registry answers for that. A place is text as people write it on doors; [`Dwellings`] finds what a device's place begins with.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

/// One building of a cell, as the fire service asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Building {
    pub cell: String,
    /// What every place in it begins with, such as `3栋`. Unique within the cell.
    pub name: String,
    pub floors: u16,
    #[serde(default)]
    pub basements: u16,
    /// Such as `砖混` or `reinforced concrete`.
    #[serde(default)]
    pub structure: String,
    #[serde(default)]
    pub staircases: u16,
    #[serde(default)]
    pub lifts: u16,
    /// What is stored there, where the gas is shut off, what is locked.
    #[serde(default)]
    pub note: String,
}

/// Why somebody in a household cannot leave, hear or decide alone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Help {
    CannotWalk,
    Bedridden,
    Oxygen,
    Deaf,
    Blind,
    Dementia,
    LivesAlone,
    Child,
    Pregnant,
    Other,
}

impl Help {
    pub const ALL: [Help; 10] = [
        Self::CannotWalk,
        Self::Bedridden,
        Self::Oxygen,
        Self::Deaf,
        Self::Blind,
        Self::Dementia,
        Self::LivesAlone,
        Self::Child,
        Self::Pregnant,
        Self::Other,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::CannotWalk => "cannot_walk",
            Self::Bedridden => "bedridden",
            Self::Oxygen => "oxygen",
            Self::Deaf => "deaf",
            Self::Blind => "blind",
            Self::Dementia => "dementia",
            Self::LivesAlone => "lives_alone",
            Self::Child => "child",
            Self::Pregnant => "pregnant",
            Self::Other => "other",
        }
    }

    /// As it stands in a message to the person who runs there.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::CannotWalk => "行动不便",
            Self::Bedridden => "卧床",
            Self::Oxygen => "吸氧",
            Self::Deaf => "听障",
            Self::Blind => "视障",
            Self::Dementia => "失智",
            Self::LivesAlone => "独居",
            Self::Child => "儿童",
            Self::Pregnant => "孕妇",
            Self::Other => "需帮助",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|help| help.name() == name)
    }
}

/// Whoever lives behind one door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Household {
    pub cell: String,
    /// The door, such as `3栋2单元501`; places of devices begin with it. Unique within the cell.
    pub place: String,
    pub people: u16,
    #[serde(default)]
    pub help: Vec<Help>,
    #[serde(default)]
    pub contact: String,
    #[serde(default)]
    pub phone: String,
    /// The group of seven or ten households that looks after each other.
    #[serde(default)]
    pub neighbours: String,
    /// Hospital, travel: nobody is there, and nobody is missed.
    #[serde(default)]
    pub leave: Option<Leave>,
}

/// From a start up to (not including) an end, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Leave {
    #[schema(value_type = i64)]
    pub from: Timestamp,
    #[schema(value_type = Option<i64>)]
    pub until: Option<Timestamp>,
}

impl Leave {
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Buildings and households by their cell.
#[derive(Debug, Default)]
pub struct Dwellings {
    buildings: HashMap<String, Vec<Building>>,
    households: HashMap<String, Vec<Household>>,
}

impl Dwellings {
    pub fn new(buildings: &[Building], households: &[Household]) -> Self {
        let mut dwellings = Self::default();
        for building in buildings {
            dwellings.buildings.entry(building.cell.clone()).or_default().push(building.clone());
        }
        for household in households {
            dwellings.households.entry(household.cell.clone()).or_default().push(household.clone());
        }
        dwellings
    }

    /// The building that a place of a cell lies in.
    pub fn building(&self, cell: &str, place: &str) -> Option<&Building> {
        longest(self.buildings.get(cell)?, |building| &building.name, place)
    }

    /// The household behind whose door a place lies.
    pub fn household(&self, cell: &str, place: &str) -> Option<&Household> {
        longest(self.households.get(cell)?, |household| &household.place, place)
    }
}

fn longest<'a, T>(all: &'a [T], name: impl Fn(&T) -> &str, place: &str) -> Option<&'a T> {
    all.iter().filter(|one| lies_in(place, name(one))).max_by_key(|one| name(one).len())
}

/// `3栋12单元` lies in `3栋`, and not in `3栋1`: a number is not cut.
pub(super) fn lies_in(place: &str, name: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    match place.strip_prefix(name) {
        Some(rest) => {
            let number_goes_on = name.ends_with(digit) && rest.starts_with(digit);
            !(name.is_empty() || number_goes_on)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn household(place: &str) -> Household {
        Household { cell: "G1".into(), place: place.into(), people: 1, ..Household::default() }
    }

    #[test]
    fn a_place_lies_behind_the_longest_door_it_begins_with() {
        let building = |name: &str| Building { cell: "G1".into(), name: name.into(), ..Building::default() };
        let dwellings = Dwellings::new(
            &[building("1栋"), building("11栋"), building("1栋1单元")],
            &[household("1栋1单元10"), household("1栋1单元101")],
        );
        for (cell, place, building, door) in [
            ("G1", "1栋1单元101 厨房", Some("1栋1单元"), Some("1栋1单元101")),
            ("G1", "1栋1单元101", Some("1栋1单元"), Some("1栋1单元101")),
            ("G1", "1栋1单元10", Some("1栋1单元"), Some("1栋1单元10")),
            ("G1", "1栋1单元102", Some("1栋1单元"), None),
            ("G1", "1栋12单元", Some("1栋"), None),
            ("G1", "11栋地下室", Some("11栋"), None),
            ("G1", "111栋", None, None),
            ("G1", "", None, None),
            ("G2", "1栋1单元101", None, None),
        ] {
            assert_eq!(dwellings.building(cell, place).map(|found| found.name.as_str()), building, "{place}");
            assert_eq!(dwellings.household(cell, place).map(|found| found.place.as_str()), door, "{place}");
        }
    }

    #[test]
    fn every_help_has_a_name_of_its_own() {
        for help in Help::ALL {
            assert_eq!(Help::from_name(help.name()), Some(help));
            assert_eq!(serde_json::to_value(help).unwrap(), help.name());
        }
    }
}
