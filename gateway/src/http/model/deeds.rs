//! The bodies of what people do to an open alarm.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::grid::Role;
use crate::http::extract;
use crate::http::problem::ApiError;
use crate::model::{Disposition, FalseCause, HandTo, Verdict};
use crate::units::Timestamp;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Noted {
    /// Up to 1,000 characters.
    pub note: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Up to 1,000 characters.
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolutionRequest {
    /// What it turned out to be.
    pub disposition: Disposition,
    /// Of a false alarm, when somebody knows.
    pub cause: Option<FalseCause>,
    /// Up to 1,000 characters.
    pub note: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRequest {
    pub verdict: Verdict,
    /// Up to 1,000 characters.
    pub note: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutOff {
    #[schema(format = DateTime, example = "2026-11-24T08:00:00+08:00")]
    pub until: String,
    /// Up to 1,000 characters.
    pub reason: String,
}

impl PutOff {
    pub fn until(&self) -> Result<Timestamp, ApiError> {
        extract::moment("until", &self.until)
    }
}

/// Exactly one of `up`, `person` and `role`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOverRequest {
    /// 上报: to whoever answers for the next cell up the tree.
    #[serde(default)]
    pub up: bool,
    /// Id of a person with a duty now.
    #[schema(example = "wang-li")]
    pub person: Option<String>,
    /// A role: whoever has it here, or nearest up the tree.
    #[schema(example = "deputy")]
    pub role: Option<String>,
    /// Up to 1,000 characters.
    pub reason: String,
}

impl HandOverRequest {
    pub fn to(self) -> Result<HandTo, ApiError> {
        match (self.up, self.person, self.role) {
            (true, None, None) => Ok(HandTo::Up),
            (false, Some(person), None) => Ok(HandTo::Person(person)),
            (false, None, Some(role)) if Role::from_name(&role).is_some() => Ok(HandTo::Role(role)),
            (false, None, Some(role)) => {
                let known: Vec<_> = Role::TABLE.iter().map(|line| line.name).collect();
                Err(ApiError::body("role", format!("`{role}` is not one of {}", known.join(", "))))
            }
            (_, _, _) => Err(ApiError::body("up", "give exactly one of `up`, `person` and `role`")),
        }
    }
}

/// A device, or a cell and all below it, out of service.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMaintenance {
    /// Code of a cell; or give `device`.
    #[schema(example = "320113-XL-01-03")]
    pub cell: Option<String>,
    /// Id of a device.
    pub device: Option<String>,
    /// At most 31 days ahead.
    #[schema(format = DateTime, example = "2026-11-24T08:00:00+08:00")]
    pub until: String,
    /// Up to 1,000 characters.
    pub reason: String,
}
