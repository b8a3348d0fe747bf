//! Who may do what: the one table, and nothing else decides.
//!
//! [`ENDPOINTS`] says what each route needs; a route without a line is refused. [`GRANTS`] says for each role and right how far it reaches and whether telephone numbers
//! are shown there. A new endpoint is a line in the first, a new kind of thing to do a line in the second; the test in tests/e2e/rights.rs then asks every endpoint as every role.

use axum::http::Method;

use super::auth::Caller;
use super::problem::ApiError;
use crate::accounts::Role;
use crate::grid::{Device, Duty, Registry};
use crate::model::{Alarm, CellIx};
use crate::units::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See alarms and follow them.
    Alarms,
    /// Acknowledge, go, resolve, hand over, put off; take out of service.
    Handle,
    /// Raise an alarm by hand.
    Raise,
    /// Judge what somebody else has handled.
    Verify,
    /// Begin drills and roll-calls, and see how people did.
    Exercise,
    /// See devices and their values.
    Devices,
    /// Command a device.
    Command,
    /// See cells and who answers for them.
    Cells,
    /// See the people who answer.
    People,
    /// See where the people on duty are.
    Positions,
    /// Add and look at photos and voice notes of alarms.
    Attachments,
    /// Go round, and see who went round.
    Patrol,
    /// Change people, duties and absences.
    Roster,
    /// Change cells, devices and who lives where: files of the office.
    Registry,
    /// See how the station does: metrics, messages that could not be used.
    Station,
    /// Read the audit log.
    Audit,
    /// Make and change accounts.
    Accounts,
    /// See what came of alarms, how the station does by it, and what is proposed.
    Learning,
    /// Change what is an alarm.
    Rules,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    Nowhere,
    /// The alarms that were handed to the account's person, or for which he was called.
    Cases,
    /// The same; and the account's cells and those below; a person's duties count.
    Own,
    Everywhere,
}

/// Fields with personal data: telephone numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personal {
    Masked,
    Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub reach: Reach,
    pub personal: Personal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Open to all.
    Nothing,
    /// Anybody who is known, about himself.
    Known,
    /// The same, and also before the first password is changed.
    KnownAtFirst,
    Right(Right),
}

const fn grant(reach: Reach, personal: Personal) -> Grant {
    Grant { reach, personal }
}

const NO: Grant = grant(Reach::Nowhere, Personal::Masked);
const OWN: Grant = grant(Reach::Own, Personal::Shown);
const OWN_MASKED: Grant = grant(Reach::Own, Personal::Masked);
const CASES: Grant = grant(Reach::Cases, Personal::Masked);
const ALL: Grant = grant(Reach::Everywhere, Personal::Shown);

/// Columns in the order of [`Role::ALL`].
#[rustfmt::skip]
pub const GRANTS: &[(Right, [Grant; Role::COUNT])] = &[
    //                 administrator duty_officer supervisor worker department  viewer      service
    (Right::Alarms,   [ALL,          ALL,         OWN,       OWN,   CASES,      OWN_MASKED, ALL]),
    (Right::Handle,   [ALL,          ALL,         NO,        OWN,   CASES,      NO,         ALL]),
    (Right::Raise,    [ALL,          ALL,         OWN,       OWN,   NO,         NO,         ALL]),
    (Right::Verify,   [ALL,          NO,          OWN,       NO,    NO,         NO,         ALL]),
    (Right::Exercise, [ALL,          ALL,         OWN,       NO,    NO,         NO,         ALL]),
    (Right::Devices,  [ALL,          ALL,         OWN,       OWN,   OWN_MASKED, OWN_MASKED, ALL]),
    (Right::Command,  [ALL,          ALL,         NO,        OWN,   NO,         NO,         ALL]),
    (Right::Cells,    [ALL,          ALL,         OWN,       OWN,   OWN_MASKED, OWN_MASKED, ALL]),
    (Right::People,   [ALL,          ALL,         OWN,       OWN,   OWN_MASKED, OWN_MASKED, ALL]),
    (Right::Positions,[ALL,          ALL,         OWN,       NO,    NO,         NO,         ALL]),
    (Right::Attachments,[ALL,        ALL,         OWN,       OWN,   CASES,      NO,         ALL]),
    (Right::Patrol,   [ALL,          ALL,         OWN,       OWN,   NO,         NO,         ALL]),
    (Right::Roster,   [ALL,          ALL,         NO,        NO,    NO,         NO,         ALL]),
    (Right::Registry, [ALL,          NO,          NO,        NO,    NO,         NO,         ALL]),
    (Right::Station,  [ALL,          ALL,         NO,        NO,    NO,         NO,         ALL]),
    (Right::Audit,    [ALL,          NO,          ALL,       NO,    NO,         NO,         NO]),
    (Right::Accounts, [ALL,          NO,          NO,        NO,    NO,         NO,         NO]),
    (Right::Learning, [ALL,          ALL,         OWN_MASKED, NO,   NO,         NO,         ALL]),
    (Right::Rules,    [ALL,          NO,          NO,        NO,    NO,         NO,         NO]),
];

#[rustfmt::skip]
pub const ENDPOINTS: &[(Method, &str, Need)] = &[
    (Method::GET,    "/healthz",                            Need::Nothing),
    (Method::GET,    "/readyz",                             Need::Nothing),
    (Method::GET,    "/metrics",                            Need::Right(Right::Station)),
    (Method::GET,    "/api/v1/openapi.json",                Need::Known),

    (Method::POST,   "/api/v1/session",                     Need::Nothing),
    (Method::GET,    "/api/v1/session",                     Need::KnownAtFirst),
    (Method::DELETE, "/api/v1/session",                     Need::KnownAtFirst),
    (Method::POST,   "/api/v1/session/invited",             Need::Nothing),
    (Method::PUT,    "/api/v1/session/password",            Need::KnownAtFirst),
    (Method::GET,    "/api/v1/session/passes",              Need::Known),
    (Method::DELETE, "/api/v1/session/passes/{number}",     Need::Known),
    (Method::POST,   "/api/v1/session/tokens",              Need::Known),
    (Method::POST,   "/api/v1/session/totp",                Need::Known),
    (Method::PUT,    "/api/v1/session/totp",                Need::Known),
    (Method::DELETE, "/api/v1/session/totp",                Need::Known),

    (Method::GET,    "/api/v1/accounts",                    Need::Right(Right::Accounts)),
    (Method::POST,   "/api/v1/accounts",                    Need::Right(Right::Accounts)),
    (Method::PATCH,  "/api/v1/accounts/{name}",             Need::Right(Right::Accounts)),
    (Method::POST,   "/api/v1/accounts/{name}/invitation",  Need::Right(Right::Accounts)),
    (Method::DELETE, "/api/v1/accounts/{name}/passes",      Need::Right(Right::Accounts)),
    (Method::GET,    "/api/v1/audit",                       Need::Right(Right::Audit)),

    (Method::GET,    "/api/v1/alarms",                      Need::Right(Right::Alarms)),
    (Method::POST,   "/api/v1/alarms",                      Need::Right(Right::Raise)),
    (Method::GET,    "/api/v1/alarms/{id}",                 Need::Right(Right::Alarms)),
    (Method::POST,   "/api/v1/alarms/{id}/acknowledge",     Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/resolve",         Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/on_the_way",         Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/on_site",            Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/hand_over",          Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/suspend",            Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/resume",             Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/shelve",             Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/unshelve",           Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/alarms/{id}/verify",             Need::Right(Right::Verify)),
    (Method::POST,   "/api/v1/alarms/{id}/return",             Need::Right(Right::Verify)),
    (Method::POST,   "/api/v1/alarms/{id}/evaluate",           Need::Right(Right::Verify)),
    (Method::GET,    "/api/v1/maintenance",                    Need::Right(Right::Alarms)),
    (Method::POST,   "/api/v1/maintenance",                    Need::Right(Right::Handle)),
    (Method::POST,   "/api/v1/maintenance/{id}/end",           Need::Right(Right::Handle)),
    (Method::GET,    "/api/v1/drills",                         Need::Right(Right::Exercise)),
    (Method::POST,   "/api/v1/drills",                         Need::Right(Right::Exercise)),
    (Method::GET,    "/api/v1/practice",                       Need::Right(Right::Exercise)),
    (Method::GET,    "/api/v1/roll-calls",                     Need::Right(Right::Exercise)),
    (Method::POST,   "/api/v1/roll-calls",                     Need::Right(Right::Exercise)),
    (Method::POST,   "/api/v1/alarms/{id}/rating_link",        Need::Right(Right::Handle)),
    (Method::GET,    "/api/v1/ratings/{token}",             Need::Nothing),
    (Method::POST,   "/api/v1/ratings/{token}",             Need::Nothing),
    (Method::GET,    "/api/v1/proposals",                   Need::Right(Right::Learning)),
    (Method::POST,   "/api/v1/proposals",                   Need::Right(Right::Rules)),
    (Method::POST,   "/api/v1/proposals/{number}/accept",   Need::Right(Right::Rules)),
    (Method::POST,   "/api/v1/proposals/{number}/refuse",   Need::Right(Right::Rules)),
    (Method::GET,    "/api/v1/tallies",                     Need::Right(Right::Learning)),
    (Method::GET,    "/api/v1/indicators",                  Need::Right(Right::Learning)),
    (Method::GET,    "/api/v1/events",                      Need::Right(Right::Alarms)),

    (Method::POST,   "/api/v1/alerts/{key}/receipts",       Need::Known),
    (Method::GET,    "/api/v1/push/key",                    Need::Known),
    (Method::POST,   "/api/v1/push/subscriptions",          Need::Known),
    (Method::DELETE, "/api/v1/push/subscriptions",          Need::Known),
    (Method::POST,   "/api/v1/channels/{name}/reports/{secret}", Need::Nothing),
    (Method::POST,   "/in/{secret}",                        Need::Nothing),

    (Method::GET,    "/api/v1/devices",                     Need::Right(Right::Devices)),
    (Method::GET,    "/api/v1/devices/{id}",                Need::Right(Right::Devices)),
    (Method::GET,    "/api/v1/devices/{id}/stills",        Need::Right(Right::Attachments)),
    (Method::GET,    "/api/v1/stills/{id}",                Need::Right(Right::Attachments)),
    (Method::GET,    "/api/v1/devices/{id}/explanation",    Need::Right(Right::Alarms)),
    (Method::POST,   "/api/v1/devices/{id}/command",        Need::Right(Right::Command)),
    (Method::POST,   "/api/v1/devices/{id}/orders",         Need::Right(Right::Command)),
    (Method::GET,    "/api/v1/orders",                      Need::Right(Right::Command)),
    (Method::GET,    "/api/v1/orders/known",                Need::Right(Right::Command)),
    (Method::POST,   "/api/v1/orders/{number}/withdraw",    Need::Right(Right::Command)),
    (Method::GET,    "/api/v1/modbus",                      Need::Right(Right::Registry)),
    (Method::POST,   "/api/v1/modbus/{bus}/read",           Need::Right(Right::Registry)),
    (Method::GET,    "/api/v1/series",                      Need::Right(Right::Devices)),
    (Method::GET,    "/api/v1/cells",                       Need::Right(Right::Cells)),
    (Method::GET,    "/api/v1/cells/{code}",                Need::Right(Right::Cells)),
    (Method::POST,   "/api/v1/cells/{code}/split",          Need::Right(Right::Registry)),
    (Method::POST,   "/api/v1/cells/{code}/merge",          Need::Right(Right::Registry)),
    (Method::GET,    "/api/v1/cells/{code}/explanation",    Need::Right(Right::Alarms)),
    (Method::GET,    "/api/v1/plans",                       Need::Right(Right::Cells)),
    (Method::PUT,    "/api/v1/plans/{plan}",                Need::Right(Right::Registry)),
    (Method::DELETE, "/api/v1/plans/{plan}",                Need::Right(Right::Registry)),
    (Method::GET,    "/api/v1/plans/{plan}/picture",        Need::Right(Right::Cells)),
    (Method::PUT,    "/api/v1/plans/{plan}/devices",        Need::Right(Right::Registry)),
    (Method::GET,    "/api/v1/people",                      Need::Right(Right::People)),
    (Method::GET,    "/api/v1/people/{id}",                 Need::Right(Right::People)),
    (Method::PUT,    "/api/v1/people/{id}",                 Need::Right(Right::Roster)),
    (Method::DELETE, "/api/v1/people/{id}",                 Need::Right(Right::Roster)),
    (Method::POST,   "/api/v1/duties",                      Need::Right(Right::Roster)),
    (Method::DELETE, "/api/v1/duties",                      Need::Right(Right::Roster)),
    (Method::PUT,    "/api/v1/households/leave",            Need::Right(Right::Roster)),
    (Method::DELETE, "/api/v1/households/leave",            Need::Right(Right::Roster)),
    (Method::GET,    "/api/v1/absences",                    Need::Right(Right::People)),
    (Method::POST,   "/api/v1/absences",                    Need::Right(Right::Roster)),
    (Method::DELETE, "/api/v1/absences",                    Need::Right(Right::Roster)),
    (Method::GET,    "/api/v1/teams",                       Need::Right(Right::People)),
    (Method::PUT,    "/api/v1/teams/{name}",                Need::Right(Right::Roster)),
    (Method::DELETE, "/api/v1/teams/{name}",                Need::Right(Right::Roster)),
    (Method::GET,    "/api/v1/vacancies",                   Need::Right(Right::Cells)),
    (Method::GET,    "/api/v1/alarms/{id}/attachments",     Need::Right(Right::Attachments)),
    (Method::POST,   "/api/v1/alarms/{id}/attachments",     Need::Right(Right::Attachments)),
    (Method::GET,    "/api/v1/alarms/{id}/attachments/{number}", Need::Right(Right::Attachments)),
    (Method::POST,   "/api/v1/hazards",                     Need::Right(Right::Raise)),
    (Method::GET,    "/api/v1/report/{token}",              Need::Nothing),
    (Method::POST,   "/api/v1/report/{token}",              Need::Nothing),
    (Method::POST,   "/api/v1/report/{token}/photo/{key}",  Need::Nothing),
    (Method::POST,   "/api/v1/cells/{code}/board",          Need::Right(Right::Roster)),
    (Method::POST,   "/api/v1/patrol",                      Need::Right(Right::Patrol)),
    (Method::GET,    "/api/v1/patrol",                      Need::Right(Right::Patrol)),
    (Method::GET,    "/api/v1/patrol/points",               Need::Right(Right::Patrol)),
    (Method::PUT,    "/api/v1/me/position",                 Need::Known),
    (Method::DELETE, "/api/v1/me/position",                 Need::Known),
    (Method::GET,    "/api/v1/positions",                   Need::Right(Right::Positions)),
    (Method::GET,    "/api/v1/dead-letters",                Need::Right(Right::Station)),
    (Method::POST,   "/api/v1/dead-letters/{number}/again", Need::Right(Right::Registry)),
    (Method::GET,    "/api/v1/waiting",                     Need::Right(Right::Registry)),
    (Method::POST,   "/api/v1/waiting/place",               Need::Right(Right::Registry)),
    (Method::POST,   "/api/v1/waiting/dismiss",             Need::Right(Right::Registry)),
    (Method::POST,   "/api/v1/imports/{what}",              Need::Right(Right::Registry)),
    (Method::GET,    "/api/v1/rules",                       Need::Right(Right::Devices)),
    (Method::GET,    "/api/v1/rules/file",                  Need::Right(Right::Rules)),
    (Method::PUT,    "/api/v1/rules/file",                  Need::Right(Right::Rules)),
    (Method::POST,   "/api/v1/rules/check",                 Need::Right(Right::Rules)),
    (Method::POST,   "/api/v1/rules/preview",               Need::Right(Right::Rules)),
    (Method::GET,    "/api/v1/rules/preview",               Need::Right(Right::Rules)),
    (Method::GET,    "/api/v1/ladders",                     Need::Right(Right::Cells)),
];

/// What a request of this method to this route needs; `None`: nobody may.
pub fn need(method: &Method, route: &str) -> Option<Need> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    ENDPOINTS.iter().find(|(one, path, _)| one == method && *path == route).map(|(_, _, need)| *need)
}

pub fn granted(role: Role, right: Right) -> Grant {
    let row = GRANTS.iter().find(|(one, _)| *one == right);
    row.map_or(NO, |(_, columns)| columns[role as usize])
}

/// Where a right holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Area {
    Everywhere,
    /// These cells and those below.
    Below(Vec<CellIx>),
}

impl Area {
    pub fn has(&self, cell: CellIx, registry: &Registry) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Below(tops) => tops.iter().any(|&top| registry.is_in(cell, top)),
        }
    }

    pub fn has_code(&self, code: &str, registry: &Registry) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Below(_) => registry.cell_by_code(code).is_some_and(|cell| self.has(cell.ix, registry)),
        }
    }

    pub fn has_device(&self, device: &Device, registry: &Registry) -> bool {
        *self == Self::Everywhere || device.cells.iter().any(|code| self.has_code(code, registry))
    }

    /// Of the cells with these codes those inside; no codes mean all. `None`: there is none.
    pub fn codes(&self, wanted: Vec<String>, registry: &Registry) -> Option<Vec<String>> {
        let Self::Below(_) = self else { return Some(wanted) };
        let inside: Vec<String> = if wanted.is_empty() {
            let cells = registry.cells().iter().filter(|cell| self.has(cell.ix, registry));
            cells.map(|cell| cell.code.clone()).collect()
        } else {
            wanted.into_iter().filter(|code| self.has_code(code, registry)).collect()
        };
        (!inside.is_empty()).then_some(inside)
    }
}

/// Which alarms a right holds for.
#[derive(Clone, Debug, PartialEq)]
pub struct Concern {
    pub area: Area,
    /// Whose cases count: the caller's person, and those he stands in for.
    pub people: Vec<String>,
}

impl Concern {
    /// By where it stands and in whose hands it is. Whether somebody was called for it knows the store ([`crate::store::Store::is_case`]).
    pub fn has(&self, alarm: &Alarm, registry: &Registry) -> bool {
        self.area.has(alarm.cell, registry) || self.people.iter().any(|person| alarm.is_case_of(person))
    }
}

impl Caller {
    /// Which alarms this right on alarms holds for now.
    pub fn concern(&self, right: Right, registry: &Registry, at: Timestamp) -> Concern {
        let area = self.area(right, registry, at);
        let people = match (self.reach(right), self.person.as_deref()) {
            (Reach::Cases | Reach::Own, Some(me)) => {
                let away = registry.rows().absences.iter().filter(|absence| absence.covers(at));
                let stands_in =
                    |person: &&str| registry.in_place_of(person, at).is_some_and(|at_work| at_work.id == me);
                let others = away.map(|absence| absence.person.as_str()).filter(stands_in);
                std::iter::once(me).chain(others).map(str::to_owned).collect()
            }
            (Reach::Cases | Reach::Own, None) | (Reach::Nowhere | Reach::Everywhere, _) => Vec::new(),
        };
        Concern { area, people }
    }

    /// How far the right reaches; the widest of all roles.
    pub fn reach(&self, right: Right) -> Reach {
        self.widest(right, |_| true)
    }

    fn widest(&self, right: Right, counts: impl Fn(Grant) -> bool) -> Reach {
        let grants = self.roles.iter().map(|role| granted(*role, right)).filter(|grant| counts(*grant));
        grants.map(|grant| grant.reach).max().unwrap_or(Reach::Nowhere)
    }

    /// Where the right holds now.
    pub fn area(&self, right: Right, registry: &Registry, at: Timestamp) -> Area {
        self.area_of(self.reach(right), registry, at)
    }

    /// Where the right holds and telephone numbers are shown.
    pub fn personal(&self, right: Right, registry: &Registry, at: Timestamp) -> Area {
        self.area_of(self.widest(right, |grant| grant.personal == Personal::Shown), registry, at)
    }

    /// For one deed in one cell. A cell that the caller cannot see is refused by those who look it up, as if it were not there.
    pub fn may(
        &self,
        right: Right,
        cell: CellIx,
        registry: &Registry,
        at: Timestamp,
    ) -> Result<(), ApiError> {
        if self.area(right, registry, at).has(cell, registry) {
            return Ok(());
        }
        let code = registry.cell(cell).map_or("?", |cell| cell.code.as_str());
        Err(ApiError::not_allowed(format!(
            "The account `{}` may not do this in the cell `{code}`.",
            self.name
        )))
    }

    fn area_of(&self, reach: Reach, registry: &Registry, at: Timestamp) -> Area {
        match reach {
            Reach::Everywhere => Area::Everywhere,
            Reach::Nowhere | Reach::Cases => Area::Below(Vec::new()),
            Reach::Own => {
                let duties = registry.rows().duties.iter();
                // His own, at every hour of the day, and those of the people he stands in for.
                let own = |duty: &&Duty| {
                    let stands_in =
                        || registry.in_place_of(&duty.person, at).map(|person| person.id.as_str());
                    self.person
                        .as_deref()
                        .is_some_and(|me| duty.covers(at) && (duty.person == me || stands_in() == Some(me)))
                };
                let codes = self.cells.iter().chain(duties.filter(own).map(|duty| &duty.cell));
                Area::Below(codes.filter_map(|code| Some(registry.cell_by_code(code)?.ix)).collect())
            }
        }
    }
}

/// A telephone number of which enough is hidden that nobody can be called: `138****1234`.
pub fn masked(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().collect();
    if digits.len() < 9 {
        return "****".into();
    }
    let end = digits.len() - 4;
    digits[..3].iter().chain("****".chars().collect::<Vec<_>>().iter()).chain(&digits[end..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_has_one_row_and_columns_stand_in_order() {
        for (at, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role as usize, at);
        }
        for (at, (right, _)) in GRANTS.iter().enumerate() {
            assert!(GRANTS[..at].iter().all(|(other, _)| other != right), "{right:?} stands twice");
        }
        for (at, (method, path, need)) in ENDPOINTS.iter().enumerate() {
            assert!(
                ENDPOINTS[..at].iter().all(|(one, other, _)| (one, other) != (method, path)),
                "{method} {path} stands twice"
            );
            if let Need::Right(right) = need {
                assert!(GRANTS.iter().any(|(one, _)| one == right), "{right:?} has no row");
            }
        }
    }

    /// What must not change by accident.
    #[test]
    fn who_judges_does_not_handle_and_only_administrators_make_accounts() {
        assert_eq!(granted(Role::Supervisor, Right::Handle), NO);
        assert_eq!(granted(Role::Worker, Right::Verify), NO);
        for role in Role::ALL {
            let may = granted(role, Right::Accounts).reach != Reach::Nowhere;
            assert_eq!(may, role == Role::Administrator, "{role:?}");
        }
        assert_eq!(need(&Method::HEAD, "/api/v1/people"), need(&Method::GET, "/api/v1/people"));
        assert_eq!(need(&Method::PUT, "/api/v1/people"), None);
    }

    #[test]
    fn a_masked_number_calls_nobody() {
        assert_eq!(masked("13800001234"), "138****1234");
        assert_eq!(masked("+8613800001234"), "+86****1234");
        assert_eq!(masked("110"), "****");
        assert_eq!(masked("82345678"), "****");
        assert_eq!(masked(""), "****");
    }
}
