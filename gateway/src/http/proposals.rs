//! What the station proposes to change, and what people decide; and the counters that it judges by.
//!
//! Accepting goes: checked against the rules in force, written down with the audit log, then made. What was written down and not made, because the power went, is seen by
//! `in_force` and can be accepted once more.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Given};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::alarms::{NOTE_CHARACTERS_MAX, act};
use super::aside::aside;
use super::auth::{Actor, Caller};
use super::deeds::reason;
use super::extract::{self, Body, Params};
use super::model::{Because, Page};
use super::problem::ApiError;
use super::rights::{Area, Right};
use crate::learning::CannotAccept;
use crate::model::{Deed, SignalClass};
use crate::proposal::edit::is_in;
use crate::proposal::{Change, Counts, Decision, Proposal, State};
use crate::replay::Difference;
use crate::store::Audit;
use crate::store::cards::{By, Tally};

const PAGE_MAX: u32 = 200;

#[derive(Debug, Serialize, ToSchema)]
pub struct ProposalView {
    pub number: u64,
    pub state: State,
    pub change: Change,
    /// The change in words.
    pub text: String,
    pub because: String,
    /// What came of the alarms that it is judged by.
    pub counts: Counts,
    /// What would have been otherwise in the time that was replayed.
    pub effect: Difference,
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub to: String,
    #[schema(format = DateTime)]
    pub made: String,
    pub decided_by: Option<String>,
    #[schema(format = DateTime)]
    pub decided: Option<String>,
    pub reason: Option<String>,
    /// The case that was opened for a device to be exchanged.
    pub alarm: Option<String>,
    /// Whether the rules say so now.
    pub in_force: bool,
}

impl ProposalView {
    fn of(number: u64, state: State, proposal: Proposal, rules: &str) -> Self {
        let Proposal { made, change, because, counts, from, to, effect, decided } = proposal;
        Self {
            number,
            state,
            text: change.to_string(),
            in_force: state == State::Accepted && is_in(rules, &change),
            change,
            because,
            counts,
            effect,
            from: from.rfc3339(),
            to: to.rfc3339(),
            made: made.rfc3339(),
            decided: decided.as_ref().map(|decision| decision.at.rfc3339()),
            alarm: decided.as_ref().and_then(|decision| decision.alarm).map(|id| id.to_string()),
            reason: decided.as_ref().map(|decision| decision.reason.clone()).filter(|text| !text.is_empty()),
            decided_by: decided.map(|decision| decision.by),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProposalFilter {
    /// `open`, `accepted`, `refused`, `withdrawn`, separated by commas.
    state: Option<String>,
    /// Items on a page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Only proposals before this one: `next` of the page before.
    before: Option<u64>,
}

/// List proposals, newest first.
///
/// Each with what the change would have done to the alarms of the last four weeks, replayed on the journal.
#[utoipa::path(get, path = "/api/v1/proposals", tag = "learning", operation_id = "listProposals", params(ProposalFilter),
    responses((status = 200, description = "A page", body = Page<ProposalView>)))]
pub async fn list(
    Given(api): Given<Arc<Api>>,
    Params(filter): Params<ProposalFilter>,
    caller: Caller,
) -> Result<Json<Page<ProposalView>>, ApiError> {
    let known = State::ALL.map(State::name);
    let states = extract::words("state", filter.state.as_deref(), State::from_name, &known)?;
    let limit = extract::limit(filter.limit, PAGE_MAX)?;
    let world = api.world.load_full();
    let area = caller.area(Right::Learning, &world.registry, api.clock.now().wall);
    let found = api.store.proposals(states, filter.before, limit + 1).await?;
    let views =
        found.into_iter().map(|(number, state, one)| ProposalView::of(number, state, one, &world.rules_text));
    let page = Page::cut(views.collect(), limit, |view: &ProposalView| view.number.to_string());
    // Rules are the whole station's; of devices those that the caller may see.
    let seen = |view: &ProposalView| match &view.change {
        Change::Threshold { .. } | Change::Delay { .. } => area == Area::Everywhere,
        Change::Exchange { device } => world
            .registry
            .device_by_id(device)
            .map_or(area == Area::Everywhere, |device| area.has_device(device, &world.registry)),
    };
    Ok(Json(Page { items: page.items.into_iter().filter(seen).collect(), next: page.next }))
}

/// Look at the evidence now, not only once a day.
///
/// It takes a while; the list shows what comes of it.
#[utoipa::path(post, path = "/api/v1/proposals", tag = "learning", operation_id = "lookForProposals",
    responses((status = 202, description = "It is being looked at")))]
pub async fn look(Given(api): Given<Arc<Api>>, _: Actor) -> StatusCode {
    api.desk.look();
    StatusCode::ACCEPTED
}

/// Accept a proposal: the rules change, or a case is opened for the device.
///
/// rules.toml is changed at that one number and taken over at once; the file as it was stays beside it. Recorded in the audit log.
#[utoipa::path(post, path = "/api/v1/proposals/{number}/accept", tag = "learning", operation_id = "acceptProposal",
    params(("number" = u64, Path, description = "Number of the proposal")), request_body = Because,
    responses((status = 200, description = "It is accepted", body = ProposalView)))]
pub async fn accept(
    Given(api): Given<Arc<Api>>,
    Path(number): Path<u64>,
    actor: Actor,
    Body(body): Body<Because>,
) -> Result<Json<ProposalView>, ApiError> {
    let reason = reason(&body.reason)?;
    let (state, proposal) = known(&api, number).await?;
    let rules = api.world.load().rules_text.clone();
    let again = state == State::Accepted && !is_in(&rules, &proposal.change);
    if state != State::Open && !again {
        return Err(decided_before(number, state));
    }
    let (prepared, alarm) = match &proposal.change {
        Change::Threshold { .. } | Change::Delay { .. } => {
            let (api, change) = (api.clone(), proposal.change.clone());
            (Some(aside(move || api.desk.prepare(number, &change, &rules)).await??), None)
        }
        Change::Exchange { device } => (None, Some(case(&api, &actor.0, device, number, &proposal).await?)),
    };
    let accepted = decision(&api, &actor.0, &proposal, reason, alarm);
    let line = audit(&api, &actor.0, "proposal.accept", number, &accepted);
    if !api.store.decide(number, state, State::Accepted, accepted.clone(), line).await? {
        return Err(decided_before(number, state));
    }
    if let Some(prepared) = prepared
        && let Err(fault) = aside(move || prepared.make()).await?
    {
        let mut line = audit(&api, &actor.0, "proposal.not_made", number, &accepted);
        line.detail = format!("{}; {fault}", line.detail);
        api.store.decide(number, State::Accepted, State::Open, proposal, line).await?;
        return Err(fault.into());
    }
    let rules = api.world.load().rules_text.clone();
    Ok(Json(ProposalView::of(number, State::Accepted, accepted, &rules)))
}

/// Refuse a proposal. The same is not proposed again for four weeks. Recorded in the audit log.
#[utoipa::path(post, path = "/api/v1/proposals/{number}/refuse", tag = "learning", operation_id = "refuseProposal",
    params(("number" = u64, Path, description = "Number of the proposal")), request_body = Because,
    responses((status = 200, description = "It is refused", body = ProposalView)))]
pub async fn refuse(
    Given(api): Given<Arc<Api>>,
    Path(number): Path<u64>,
    actor: Actor,
    Body(body): Body<Because>,
) -> Result<Json<ProposalView>, ApiError> {
    let reason = reason(&body.reason)?;
    let (state, proposal) = known(&api, number).await?;
    let refused = decision(&api, &actor.0, &proposal, reason, None);
    let line = audit(&api, &actor.0, "proposal.refuse", number, &refused);
    if !api.store.decide(number, State::Open, State::Refused, refused.clone(), line).await? {
        return Err(decided_before(number, state));
    }
    Ok(Json(ProposalView::of(number, State::Refused, refused, "")))
}

async fn known(api: &Api, number: u64) -> Result<(State, Proposal), ApiError> {
    let found = api.store.proposal(number).await?;
    found.ok_or_else(|| ApiError::not_found(format!("There is no proposal {number}.")))
}

fn decision(
    api: &Api,
    caller: &Caller,
    proposal: &Proposal,
    reason: String,
    alarm: Option<crate::model::AlarmId>,
) -> Proposal {
    let decision = Decision { by: caller.who(), at: api.clock.now().wall, reason, alarm };
    Proposal { decided: Some(decision), ..proposal.clone() }
}

/// The exchange of a device is a case with an owner, like every other.
async fn case(
    api: &Api,
    caller: &Caller,
    device: &str,
    number: u64,
    proposal: &Proposal,
) -> Result<crate::model::AlarmId, ApiError> {
    let (cell, ix) = {
        let registry = &api.world.load().registry;
        let known = registry.device_by_id(device).filter(|device| !device.retired);
        let known = known.and_then(|device| Some((registry.home(device.ix)?, device.ix)));
        known.ok_or_else(|| ApiError::not_found(format!("There is no device `{device}` in service.")))?
    };
    let text: String = format!("{} ({}; proposal {number})", proposal.change, proposal.because);
    let text: String = text.chars().take(NOTE_CHARACTERS_MAX).collect();
    let deed = Deed::Raise { cell, device: Some(ix), class: SignalClass::Trouble, text };
    let alarm = act(api, caller, deed).await?;
    alarm.id.parse().map_err(|()| ApiError::Internal(anyhow::anyhow!("an alarm without a number")))
}

fn audit(api: &Api, caller: &Caller, what: &str, number: u64, proposal: &Proposal) -> Audit {
    let reason = proposal.decided.as_ref().map_or("", |decision| decision.reason.as_str());
    Audit {
        at: api.clock.now().wall,
        who: caller.name.to_string(),
        what: what.into(),
        target: format!("proposal {number}"),
        detail: format!("{}: {reason}", proposal.change),
    }
}

fn decided_before(number: u64, state: State) -> ApiError {
    ApiError::named(
        StatusCode::CONFLICT,
        "already-decided",
        "It was decided before",
        format!(
            "Proposal {number} is {} already, or was decided at this moment by somebody else.",
            state.name()
        ),
    )
}

impl From<CannotAccept> for ApiError {
    fn from(fault: CannotAccept) -> Self {
        let detail = fault.to_string();
        match fault {
            CannotAccept::Edit(_) | CannotAccept::NotInForce | CannotAccept::Unsound(_) => Self::named(
                StatusCode::CONFLICT,
                "rules-changed",
                "It does not fit the rules in force",
                detail,
            ),
            CannotAccept::NoFile | CannotAccept::Unwritable { .. } => Self::named(
                StatusCode::SERVICE_UNAVAILABLE,
                "rules-not-writable",
                "The station cannot change its rules",
                detail,
            ),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TallyFilter {
    /// `rule`, `cell` or `device`; `rule` when left out.
    by: Option<String>,
    /// Items in the answer, 1 to 5,000.
    #[param(minimum = 1, maximum = 5_000, default = 50)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TallyView {
    pub rule: String,
    /// Code of the cell.
    pub cell: Option<String>,
    /// Id of the device.
    pub device: Option<String>,
    pub counts: Counts,
}

/// What came of all alarms, by rule, cell or device: those with the most alarms for nothing first.
#[utoipa::path(get, path = "/api/v1/tallies", tag = "learning", operation_id = "listTallies", params(TallyFilter),
    responses((status = 200, description = "Counters", body = Page<TallyView>)))]
pub async fn tallies(
    Given(api): Given<Arc<Api>>,
    Params(filter): Params<TallyFilter>,
    caller: Caller,
) -> Result<Json<Page<TallyView>>, ApiError> {
    let by = match filter.by.as_deref() {
        None | Some("rule") => By::Rule,
        Some("cell") => By::Cell,
        Some("device") => By::Device,
        Some(other) => {
            return Err(ApiError::query("by", format!("`{other}` is not one of rule, cell, device")));
        }
    };
    let limit = extract::limit(filter.limit, 5_000)?;
    // By rule: the sum over the cells that the caller may see.
    let mut found = api.store.tallies(if by == By::Rule { By::Cell } else { by }).await?;
    let registry = api.world.load().registry.clone();
    let area = caller.area(Right::Learning, &registry, api.clock.now().wall);
    found.retain(|tally| match (&tally.cell, tally.device) {
        (Some(cell), _) => area.has_code(cell, &registry),
        (None, Some(device)) => {
            registry.device(device).is_some_and(|device| area.has_device(device, &registry))
        }
        (None, None) => true,
    });
    if by == By::Rule {
        let mut rules: std::collections::BTreeMap<String, Tally> = std::collections::BTreeMap::new();
        for Tally { rule, counts, .. } in found {
            let none = Tally { rule: rule.clone(), cell: None, device: None, counts: Counts::default() };
            rules.entry(rule).or_insert(none).counts.join(counts);
        }
        found = rules.into_values().collect();
    }
    found.sort_by_key(|tally| std::cmp::Reverse((tally.counts.wolf(), tally.counts.raised)));
    found.truncate(limit as usize);
    let view = |tally: Tally| TallyView {
        rule: tally.rule,
        cell: tally.cell,
        device: tally.device.and_then(|ix| registry.device(ix)).map(|device| device.id.clone()),
        counts: tally.counts,
    };
    Ok(Json(Page { items: found.into_iter().map(view).collect(), next: None }))
}
