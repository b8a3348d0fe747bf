//! People, duties, absences, teams and the gaps between them, as the API shows and takes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::grid::vacancy::Gap;
use crate::grid::{Absence, Person, Registry, Role, Team, TeamKind};
use crate::http::rights::masked;
use crate::units::Timestamp;
use crate::view::PersonRef;

#[derive(Debug, Serialize, ToSchema)]
pub struct PersonView {
    pub id: String,
    pub name: String,
    pub phone: String,
    /// Name of a channel → the address there.
    pub contacts: BTreeMap<String, String>,
    /// The first moment at which the training no longer counts.
    #[schema(format = DateTime)]
    pub trained_until: Option<String>,
    /// Has left.
    pub retired: bool,
    pub duties: Vec<DutyView>,
    pub absences: Vec<AbsenceView>,
    /// Of the registry; give it back with a change that was decided on this.
    pub version: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DutyView {
    pub cell: String,
    pub role: Role,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: Option<String>,
    /// None: around the clock.
    #[schema(example = "Mon-Fri 08:00-20:00")]
    pub hours: Option<String>,
    /// Whether this person does it now: within its hours, and not absent.
    pub now: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AbsenceView {
    pub person: PersonRef,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: Option<String>,
    pub stand_in: Option<PersonRef>,
    pub reason: String,
    pub now: bool,
}

impl PersonView {
    pub fn of(person: &Person, registry: &Registry, now: Timestamp) -> Self {
        let rows = registry.rows();
        let mine = |role: Role, cell: &str| {
            let cell = registry.cell_by_code(cell);
            cell.is_some_and(|cell| {
                registry.on_duty(cell.ix, now).iter().any(|(r, p)| *r == role && p.id == person.id)
            })
        };
        let at_work = registry.in_place_of(&person.id, now).is_some_and(|other| other.id == person.id);
        let duties = rows.duties.iter().filter(|duty| duty.person == person.id).map(|duty| DutyView {
            cell: duty.cell.clone(),
            role: duty.role,
            from: duty.from.rfc3339(),
            until: duty.until.map(Timestamp::rfc3339),
            hours: duty.hours.as_ref().map(|hours| hours.text().to_owned()),
            now: at_work && duty.covers(now) && mine(duty.role, &duty.cell),
        });
        let absences = rows.absences.iter().filter(|absence| absence.person == person.id);
        Self {
            id: person.id.clone(),
            name: person.name.clone(),
            phone: person.phone.clone(),
            contacts: person.contacts.clone(),
            trained_until: person.trained_until.map(Timestamp::rfc3339),
            retired: person.retired,
            duties: duties.collect(),
            absences: absences.map(|absence| AbsenceView::of(absence, registry, now)).collect(),
            version: registry.version(),
        }
    }

    /// For those who may know that there is this person, and no more.
    pub fn masked(self) -> Self {
        Self { phone: masked(&self.phone), contacts: BTreeMap::new(), absences: Vec::new(), ..self }
    }
}

impl AbsenceView {
    pub fn of(absence: &Absence, registry: &Registry, now: Timestamp) -> Self {
        Self {
            person: PersonRef::of(&absence.person, registry),
            from: absence.from.rfc3339(),
            until: absence.until.map(Timestamp::rfc3339),
            stand_in: absence.stand_in.as_ref().map(|id| PersonRef::of(id, registry)),
            reason: absence.reason.clone(),
            now: absence.covers(now),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TeamView {
    pub name: String,
    pub kind: TeamKind,
    pub members: Vec<MemberView>,
    /// Codes; each stands for the cells below it too.
    pub cells: Vec<String>,
    pub devices: Vec<String>,
    pub flat: Option<String>,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: Option<String>,
    pub now: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MemberView {
    pub person: PersonRef,
    /// What the person does in it.
    pub part: String,
    /// Who does it now: the person, or a stand-in; none: nobody.
    pub now: Option<PersonRef>,
}

impl TeamView {
    pub fn of(team: &Team, registry: &Registry, now: Timestamp) -> Self {
        let member = |member: &crate::grid::Member| MemberView {
            person: PersonRef::of(&member.person, registry),
            part: member.part.clone(),
            now: registry.in_place_of(&member.person, now).map(|person| PersonRef::of(&person.id, registry)),
        };
        Self {
            name: team.name.clone(),
            kind: team.kind,
            members: team.members.iter().map(member).collect(),
            cells: team.cells.clone(),
            devices: team.devices.clone(),
            flat: team.flat.clone(),
            from: team.from.rfc3339(),
            until: team.until.map(Timestamp::rfc3339),
            now: team.covers(now),
        }
    }
}

/// The roster of the week ahead, where it has gaps.
#[derive(Debug, Serialize, ToSchema)]
pub struct Vacancies {
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: String,
    pub gaps: Vec<GapView>,
    /// Gaps beyond `limit`.
    pub left_out: usize,
    /// People with a duty whose training ends within 30 days.
    pub training: Vec<TrainingView>,
    /// Of the registry this was found in.
    pub version: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct GapView {
    pub cell: String,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub until: String,
    /// The cell above that answers meanwhile; none: nobody does.
    pub covered_by: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TrainingView {
    pub person: PersonRef,
    #[schema(format = DateTime)]
    pub trained_until: String,
}

impl GapView {
    pub fn of(gap: &Gap, registry: &Registry) -> Self {
        let code = |cell| registry.cell(cell).map_or_else(String::new, |cell| cell.code.clone());
        Self {
            cell: code(gap.cell),
            from: gap.from.rfc3339(),
            until: gap.until.rfc3339(),
            covered_by: gap.covered_by.map(code),
        }
    }
}

/// A person as the office enters one; what is left out is empty.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonBody {
    pub name: String,
    #[serde(default)]
    pub phone: String,
    /// Name of a channel → the address there.
    #[serde(default)]
    pub contacts: BTreeMap<String, String>,
    /// Last day of the training, or a moment.
    #[schema(example = "2027-06-30")]
    pub trained_until: Option<String>,
    /// Version of the registry this was decided on; 409 when it has changed since.
    pub version: Option<u64>,
}

/// A duty. Replaces the one of the same person, cell, role and start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DutyBody {
    pub person: String,
    /// Code of the cell.
    pub cell: String,
    pub role: Role,
    /// First day in the station's time zone, or a moment.
    #[schema(example = "2026-12-01")]
    pub from: String,
    /// Last day, which still counts, or the moment it ends. None: open.
    pub until: Option<String>,
    /// None: around the clock.
    #[schema(example = "Mon-Fri 08:00-20:00; Sat,Sun 20:00-08:00")]
    pub hours: Option<String>,
    /// Version of the registry this was decided on; 409 when it has changed since.
    pub version: Option<u64>,
}

/// An absence. Replaces the one of the same person and start.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbsenceBody {
    pub person: String,
    /// First day in the station's time zone, or a moment.
    #[schema(example = "2026-12-01")]
    pub from: String,
    /// Last day, which still counts, or the moment it ends. None: until further notice.
    pub until: Option<String>,
    /// Has all duties of the person meanwhile. None: the next in order answers.
    pub stand_in: Option<String>,
    #[serde(default)]
    pub reason: String,
    /// Version of the registry this was decided on; 409 when it has changed since.
    pub version: Option<u64>,
}

/// A team: five around one household, a response team for a while, the neighbours of ten households. Replaces the one of the same name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamBody {
    pub kind: TeamKind,
    pub members: Vec<MemberBody>,
    /// Codes; each stands for the cells below it too.
    #[serde(default)]
    pub cells: Vec<String>,
    /// Ids of devices.
    #[serde(default)]
    pub devices: Vec<String>,
    /// The household it is for, in your own words.
    pub flat: Option<String>,
    /// First day in the station's time zone, or a moment.
    #[schema(example = "2026-12-01")]
    pub from: String,
    /// Last day, which still counts, or the moment it ends. None: open.
    pub until: Option<String>,
    /// Version of the registry this was decided on; 409 when it has changed since.
    pub version: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberBody {
    pub person: String,
    /// What the person does in it, in your own words.
    #[serde(default)]
    #[schema(example = "民警")]
    pub part: String,
}

/// What a change of the registry came to. It is in force within two seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    /// Of the registry after it.
    pub version: u64,
    /// Whether anything was different before.
    pub changed: bool,
}
