//! What is an alarm and who is told when, to look at: the rules in force, and a ladder as names and times before it is needed. Rules are changed in rules.toml.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::auth::Caller;
use super::extract::{self, Params};
use super::history::time;
use super::problem::ApiError;
use super::rights::Right;
use crate::config::rules as written;
use crate::engine::timeline::{PlannedWhat, timeline};
use crate::model::{DeviceKind, Metric, SignalClass};

#[derive(Debug, Serialize, ToSchema)]
pub struct RuleList {
    /// In the order of rules.toml.
    pub items: Vec<RuleView>,
}

/// One rule: exactly one of `state`, `threshold`, `rate`, `presence` and `stillness`.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleView {
    pub name: String,
    pub class: SignalClass,
    /// What a person reads; `{device}`, `{place}`, `{value}` are filled in.
    pub text: String,
    pub kinds: Vec<DeviceKind>,
    /// Only in or below these cells; empty: everywhere.
    pub cells: Vec<String>,
    /// Only these devices; empty: all.
    pub devices: Vec<String>,
    pub state: Option<StateView>,
    pub threshold: Option<ThresholdView>,
    pub rate: Option<RateView>,
    pub presence: Option<PresenceView>,
    pub stillness: Option<StillnessView>,
    pub raise_after_s: u32,
    pub clear_after_s: u32,
    /// None: shown, nobody is called.
    pub ladder: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StateView {
    pub flag: String,
    pub is: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ThresholdView {
    pub metric: String,
    /// UCUM code.
    pub unit: String,
    pub above: Option<f64>,
    pub below: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RateView {
    pub metric: String,
    pub unit: String,
    pub rises_by: Option<f64>,
    pub falls_by: Option<f64>,
    pub within_s: u32,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PresenceView {
    /// A device's own time in the registry wins.
    pub silent_after_s: u32,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StillnessView {
    pub metrics: Vec<String>,
    /// Waking hours.
    pub for_h: u32,
}

impl RuleView {
    fn of(rule: written::Rule) -> Self {
        let unit = |metric: &str| {
            Metric::from_name(metric).map(|metric| metric.spec().unit.to_owned()).unwrap_or_default()
        };
        let texts = |texts: Vec<serde_spanned::Spanned<String>>| {
            texts.into_iter().map(serde_spanned::Spanned::into_inner).collect()
        };
        let number =
            |number: Option<serde_spanned::Spanned<f64>>| number.map(serde_spanned::Spanned::into_inner);
        Self {
            name: rule.name.into_inner(),
            class: rule.class.into_inner(),
            text: rule.text,
            kinds: rule.kinds.into_inner(),
            cells: texts(rule.cells),
            devices: texts(rule.devices),
            state: rule.state.map(|state| StateView { flag: state.flag.into_inner(), is: state.is }),
            threshold: rule.threshold.map(|limit| ThresholdView {
                unit: unit(limit.metric.get_ref()),
                metric: limit.metric.into_inner(),
                above: number(limit.above),
                below: number(limit.below),
            }),
            rate: rule.rate.map(|rate| RateView {
                unit: unit(rate.metric.get_ref()),
                metric: rate.metric.into_inner(),
                rises_by: number(rate.rises_by),
                falls_by: number(rate.falls_by),
                within_s: rate.within_s.into_inner(),
            }),
            presence: rule
                .presence
                .map(|silence| PresenceView { silent_after_s: silence.silent_after_s.into_inner() }),
            stillness: rule.stillness.map(|calm| StillnessView {
                for_h: calm.for_h.into_inner(),
                metrics: calm.metrics.into_iter().map(serde_spanned::Spanned::into_inner).collect(),
            }),
            raise_after_s: rule.raise_after_s.into_inner(),
            clear_after_s: rule.clear_after_s.into_inner(),
            ladder: rule.ladder.map(serde_spanned::Spanned::into_inner),
        }
    }
}

/// The rules in force.
#[utoipa::path(get, path = "/api/v1/rules", tag = "station", operation_id = "listRules",
    responses((status = 200, description = "All of them", body = RuleList)))]
pub async fn list(State(api): State<Arc<Api>>) -> Result<Json<RuleList>, ApiError> {
    let text = api.world.load().rules_text.clone();
    let rules = written::Rules::read(&text).map_err(|fault| ApiError::Internal(fault.into()))?;
    Ok(Json(RuleList { items: rules.rules.into_iter().map(RuleView::of).collect() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LadderFilter {
    /// Signal class.
    #[param(example = "fire")]
    class: String,
    /// Code of a cell.
    cell: String,
    /// RFC 3339; without it, now.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<String>,
}

/// What happens if nobody answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct LadderPlan {
    /// Empty: nobody is called for this class.
    pub items: Vec<PlannedStep>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedStep {
    /// Seconds since the alarm.
    pub after_s: f64,
    #[schema(format = DateTime)]
    pub at: String,
    /// Such as `fire (2 of 3)`: the ladder's name, and which of that name.
    pub ladder: String,
    pub told: Vec<PlannedWho>,
    pub channels: Vec<String>,
    /// So many must acknowledge.
    pub need: u32,
    /// Nobody is found: the next step follows at once.
    pub finds_nobody: bool,
    /// No step: the station says that nobody answered.
    pub unanswered: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedWho {
    /// As written in rules.toml.
    #[schema(example = "up:1")]
    pub who: String,
    /// Names of those found at that time.
    pub people: Vec<String>,
}

/// A ladder as names and times: who would be told when in a cell, if nobody answers.
#[utoipa::path(get, path = "/api/v1/ladders", tag = "station", operation_id = "planLadder", params(LadderFilter),
    responses((status = 200, description = "In order of time", body = LadderPlan)))]
pub async fn ladder(
    State(api): State<Arc<Api>>,
    Params(filter): Params<LadderFilter>,
    caller: Caller,
) -> Result<Json<LadderPlan>, ApiError> {
    let world = api.world.load();
    let known = SignalClass::ALL.map(SignalClass::name);
    let class = extract::words("class", Some(&filter.class), SignalClass::from_name, &known)?;
    let [class] = class[..] else { return Err(ApiError::query("class", "give one class")) };
    let now = api.clock.now().wall;
    let area = caller.area(Right::Cells, &world.registry, now);
    let cell = world.registry.cell_by_code(&filter.cell).filter(|cell| area.has(cell.ix, &world.registry));
    let cell = cell.ok_or_else(|| ApiError::query("cell", format!("there is no cell `{}`", filter.cell)))?;
    let at = time("at", filter.at.as_deref())?.unwrap_or(now);
    let planned = timeline(&world.rules, &world.registry, class, cell.ix, at).unwrap_or_default();
    let items = planned.into_iter().map(|step| {
        let finds_nobody = step.finds_nobody();
        let (told, channels, need, unanswered) = match step.what {
            PlannedWhat::Told { who, channels, need } => {
                let told = who.into_iter().map(|(who, people)| PlannedWho { who, people }).collect();
                (told, channels, need, false)
            }
            PlannedWhat::Unanswered => (Vec::new(), Vec::new(), 0, true),
        };
        PlannedStep {
            after_s: step.after.as_secs_f64(),
            at: step.at.rfc3339(),
            ladder: step.ladder,
            told,
            channels,
            need,
            finds_nobody,
            unanswered,
        }
    });
    Ok(Json(LadderPlan { items: items.collect() }))
}
