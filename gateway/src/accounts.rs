//! Accounts: who may log in, as what, for which cells. What a role may do stands in `http/rights.rs`, how accounts are kept in `store/accounts.rs`.
//!
//! [`Account`] is stored; a new field needs a default. Passwords and secrets exist here only as hashes, and for the moment in which they are shown to their owner.

pub mod base32;
pub mod password;
pub mod throttle;
pub mod totp;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::units::{Millis, Timestamp};

/// The account that a first start makes.
pub const FIRST: &str = "admin";
const NAME_CHARACTERS_MAX: usize = 64;
const DAY: Millis = Millis::from_secs(24 * 3600);

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Role {
    /// Everything, accounts too.
    Administrator,
    /// 值班员: sees and handles everywhere.
    DutyOfficer,
    /// Verifies what others have handled, in his cells.
    Supervisor,
    /// 网格员: sees and handles in his cells.
    Worker,
    /// Handles in its cells what is handed to it; telephone numbers are masked.
    Department,
    /// Looks, in his cells; telephone numbers are masked.
    Viewer,
    /// A program; the tokens of station.toml.
    Service,
}

impl Role {
    pub const COUNT: usize = 7;
    pub const ALL: [Self; Self::COUNT] = [
        Self::Administrator,
        Self::DutyOfficer,
        Self::Supervisor,
        Self::Worker,
        Self::Department,
        Self::Viewer,
        Self::Service,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::DutyOfficer => "duty_officer",
            Self::Supervisor => "supervisor",
            Self::Worker => "worker",
            Self::Department => "department",
            Self::Viewer => "viewer",
            Self::Service => "service",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    /// Id of a person of the registry, under which the account acts.
    pub person: Option<String>,
    pub roles: Vec<Role>,
    /// Codes of cells; those below belong to it. A worker's duties come on top.
    pub cells: Vec<String>,
    /// None: only by invitation.
    pub password: Option<Hidden>,
    /// The password was chosen by somebody else: nothing may be done before it is changed.
    pub must_change: bool,
    pub totp: Option<Totp>,
    pub disabled: bool,
    pub made: Timestamp,
}

/// A second factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Totp {
    /// In base 32.
    pub secret: Hidden,
    /// Of the newest code that was used: none is taken twice.
    pub last_step: u64,
}

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Account {
    pub fn new(name: &str, role: Role, made: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            person: None,
            roles: vec![role],
            cells: Vec::new(),
            password: None,
            must_change: false,
            totp: None,
            disabled: false,
            made,
        }
    }

    pub fn administers(&self) -> bool {
        !self.disabled && self.roles.contains(&Role::Administrator)
    }

    /// Under which name deeds are recorded.
    pub fn who(&self) -> &str {
        self.person.as_deref().unwrap_or(&self.name)
    }

    /// How long a session may rest, and how long it may last. A worker must not find himself locked out at night; who can change accounts must not leave that lying about.
    pub fn session_lasts(&self) -> (Millis, Millis) {
        if self.roles.contains(&Role::Administrator) {
            (Millis(DAY.0 / 2), Millis(7 * DAY.0))
        } else {
            (Millis(30 * DAY.0), Millis(180 * DAY.0))
        }
    }
}

/// What is wrong with a name, if anything.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX {
        return Err(format!("give 1 to {NAME_CHARACTERS_MAX} characters"));
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '/') {
        return Err("it may have no spaces, slashes or control characters".into());
    }
    Ok(())
}

/// What somebody holds instead of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PassKind {
    /// In a browser's cookie.
    Session,
    /// For programs, in the header `Authorization`.
    Token,
    /// A link that lets in once.
    Invitation,
}

impl PassKind {
    pub const ALL: [Self; 3] = [Self::Session, Self::Token, Self::Invitation];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
            Self::Invitation => "invitation",
        }
    }

    /// Of one account; one more, and the oldest goes.
    pub const fn kept(self) -> u32 {
        match self {
            Self::Session | Self::Token => 20,
            Self::Invitation => 1,
        }
    }
}

/// A session, a token or an invitation, without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// Given by the store.
    pub number: u64,
    pub kind: PassKind,
    pub account: String,
    /// The token's name, or what the browser says that it is.
    pub label: String,
    /// Where it was made from.
    pub address: String,
    pub made: Timestamp,
    /// About when it was last used.
    pub seen: Timestamp,
    /// It ends when it rests for so long.
    pub idle: Millis,
    pub ends: Timestamp,
}

impl Pass {
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.ends && now < self.seen + self.idle
    }

    /// Seldom, because it is written to the disk.
    pub fn wants_touch(&self, now: Timestamp) -> bool {
        self.seen + Millis(self.idle.0 / 50) < now
    }
}

/// A random secret of 256 bits as text, and what is kept of it. Being random it needs no slow hash, and looking it up by its hash tells nobody anything.
pub fn secret() -> (String, [u8; 32]) {
    let text = base32::encode(&random::<32>());
    let hash = hash(&text);
    (text, hash)
}

pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_ends_by_age_and_by_rest() {
        let pass = Pass {
            number: 1,
            kind: PassKind::Session,
            account: "wang".into(),
            label: String::new(),
            address: String::new(),
            made: Timestamp(0),
            seen: Timestamp(1_000),
            idle: Millis(500),
            ends: Timestamp(1_400),
        };
        assert!(pass.holds(Timestamp(1_399)));
        assert!(!pass.holds(Timestamp(1_400)), "too old");
        let longer = Pass { ends: Timestamp(9_000), ..pass };
        assert!(longer.holds(Timestamp(1_499)));
        assert!(!longer.holds(Timestamp(1_500)), "not used for too long");
        assert!(!longer.wants_touch(Timestamp(1_010)) && longer.wants_touch(Timestamp(1_011)));
    }

    #[test]
    fn names_are_words() {
        for good in ["admin", "王丽", "wang-li@xl"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "wang li", "a/b", "a\u{7}", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
