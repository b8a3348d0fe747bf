//! People around one flat, one device or some cells who are no roles of a cell: the five who look after one household (五包一), a response team put
//! together across cells for a while, the neighbours of ten households.

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeamKind {
    /// Five people responsible for one household or person (五包一).
    FiveInOne,
    /// Put together for a while, across cells (应急队伍).
    Response,
    /// Seven or ten households who look after each other (联户).
    Neighbours,
    Other,
}

impl TeamKind {
    /// Names in a table, the English one first.
    pub const TABLE: [(TeamKind, &'static [&'static str]); 4] = [
        (Self::FiveInOne, &["five_in_one", "五包一"]),
        (Self::Response, &["response", "应急队伍", "应急队"]),
        (Self::Neighbours, &["neighbours", "联户", "十户联防", "七户联防"]),
        (Self::Other, &["other", "其他"]),
    ];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(_, names)| names.contains(&name)).map(|(kind, _)| *kind)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub person: String,
    /// What the person does in it, in your own words: `民警`, `driver`.
    pub part: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Team {
    /// Unique within the station.
    pub name: String,
    pub kind: TeamKind,
    pub members: Vec<Member>,
    /// Codes; a cell stands for every cell below it too.
    pub cells: Vec<String>,
    /// Ids of devices.
    pub devices: Vec<String>,
    /// The household it is for, in your own words.
    pub flat: Option<String>,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

impl Team {
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}
