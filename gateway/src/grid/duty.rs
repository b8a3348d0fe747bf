//! What a person is for a cell, and from when to when.
//!
//! [`Role::TABLE`] is the one place that says which roles there are, what they are called, which of them answer for a cell, and in which order.

use serde::{Deserialize, Serialize};

use super::shift::Hours;
use crate::units::Timestamp;

/// In the order in which they answer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The one named person who answers for the cell (网格长).
    Lead,
    Deputy,
    /// 网格员
    Worker,
    /// Of the community's office (社区工作者).
    Officer,
    /// Of the street, around the clock by shifts (街道值班员).
    DutyOfficer,
    /// Building head, property guard, volunteer.
    Helper,
    /// A department of the street or district; takes what is handed over to it.
    Department,
}

/// One line of [`Role::TABLE`].
pub struct RoleLine {
    pub role: Role,
    pub name: &'static str,
    /// As offices write it in their tables.
    pub chinese: &'static [&'static str],
    /// Whether a cell with nobody else on duty is this person's to answer for.
    pub answers: bool,
}

const fn line(role: Role, name: &'static str, chinese: &'static [&'static str], answers: bool) -> RoleLine {
    RoleLine { role, name, chinese, answers }
}

impl Role {
    /// The first who is on duty answers for the cell.
    pub const TABLE: [RoleLine; 7] = [
        line(Self::Lead, "lead", &["网格长"], true),
        line(Self::Deputy, "deputy", &["副网格长"], true),
        line(Self::Worker, "worker", &["网格员"], true),
        line(Self::Officer, "officer", &["社区工作者", "社区专干"], true),
        line(Self::DutyOfficer, "duty_officer", &["值班员", "街道值班员"], true),
        line(Self::Helper, "helper", &["协管员", "楼栋长", "志愿者"], false),
        line(Self::Department, "department", &["部门", "职能部门"], false),
    ];

    pub const fn name(self) -> &'static str {
        Self::TABLE[self as usize].name
    }

    pub const fn answers(self) -> bool {
        Self::TABLE[self as usize].answers
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|line| line.name == name).map(|line| line.role)
    }

    pub fn from_chinese(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|line| line.chinese.contains(&name)).map(|line| line.role)
    }

    /// Every name a table may use, the English ones first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let chinese = Self::TABLE.iter().flat_map(|line| line.chinese.iter().copied());
        Self::TABLE.iter().map(|line| line.name).chain(chinese)
    }
}

/// One person in one role for one cell, from a start up to (not including) an end. Known by person, cell, role and start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Duty {
    pub person: String,
    pub cell: String,
    pub role: Role,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    /// `None`: around the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

impl Duty {
    /// Whether it has begun and not ended; its hours aside.
    pub fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether both hold at some instant.
    pub fn meets(&self, other: &Self) -> bool {
        let hours = match (&self.hours, &other.hours) {
            (Some(mine), Some(theirs)) => mine.meet(theirs),
            (None, _) | (_, None) => true,
        };
        hours && overlap((self.from, self.until), (other.from, other.until))
    }
}

/// Whether two times, each with an end or without, have an instant in common.
pub fn overlap(a: (Timestamp, Option<Timestamp>), b: (Timestamp, Option<Timestamp>)) -> bool {
    a.1.is_none_or(|end| b.0 < end) && b.1.is_none_or(|end| a.0 < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_roles_and_every_name_is_its_own() {
        assert!(Role::TABLE.iter().enumerate().all(|(at, line)| line.role as usize == at));
        let mut names: Vec<_> = Role::names().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let answering: Vec<_> = Role::TABLE.iter().filter(|line| line.answers).map(|l| l.name).collect();
        assert_eq!(answering, ["lead", "deputy", "worker", "officer", "duty_officer"]);
    }
}
