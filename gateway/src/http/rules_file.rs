//! rules.toml from the page: read, checked with the place of each mistake, tried on the journal of the last days, and then saved.
//!
//! What is saved was tried first, word for word, against the rules in force. Rules under which a fire would have been missed or told later are refused, unless the one who saves them names
//! each rule whose fires those are. The file as it was stays beside it; the audit log has what changed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::Api;
use super::aside::aside;
use super::auth::Actor;
use super::extract::Body;
use super::problem::ApiError;
use crate::config::difference;
use crate::decode::bytes::hex;
use crate::engine::rules::RuleBook;
use crate::learning::preview::{self, DAYS_MAX, Tried};
use crate::problem::{Problems, Severity};
use crate::replay::Difference;
use crate::store::{Audit, Commit};

/// Larger than any that people can still read.
pub const FILE_BYTES_MAX: usize = 256 << 10;
const DAYS: u32 = 7;

#[derive(Debug, Serialize, ToSchema)]
pub struct RulesText {
    /// In force.
    pub text: String,
    /// To be sent back with a change: it is refused when somebody else was faster.
    pub version: String,
}

/// The rules in force, as they are written.
#[utoipa::path(get, path = "/api/v1/rules/file", tag = "station", operation_id = "readRules",
    responses((status = 200, description = "The file", body = RulesText)))]
pub async fn read(State(api): State<Arc<Api>>) -> Json<RulesText> {
    let text = api.world.load().rules_text.to_string();
    Json(RulesText { version: version(&text), text })
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesTried {
    text: String,
    /// How many days of the journal to try them on, 1 to 28; 7 when left out.
    #[schema(minimum = 1, maximum = 28)]
    days: Option<u32>,
}

/// What is wrong with rules, and where.
#[derive(Debug, Serialize, ToSchema)]
pub struct RulesChecked {
    /// Without one they can be saved.
    pub errors: Vec<RuleProblem>,
    /// Worth a look.
    pub hints: Vec<RuleProblem>,
    /// What differs from the rules in force, in words.
    pub changes: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RuleProblem {
    /// Where it stands when it is not in the rules.
    pub file: Option<String>,
    /// From 1; 0 when it has no place.
    pub line: u32,
    pub column: u32,
    pub message: String,
}

/// Check rules without saving them.
#[utoipa::path(post, path = "/api/v1/rules/check", tag = "station", operation_id = "checkRules", request_body = RulesTried,
    responses((status = 200, description = "What is wrong with them", body = RulesChecked)))]
pub async fn check(
    State(api): State<Arc<Api>>,
    _: Actor,
    Body(body): Body<RulesTried>,
) -> Result<Json<RulesChecked>, ApiError> {
    checked(&api, body.text).await.map(Json)
}

async fn checked(api: &Api, text: String) -> Result<RulesChecked, ApiError> {
    let file = api.desk.file()?.clone();
    let world = api.world.load_full();
    let work = move || {
        let changes = difference::of_rules(&world.rules_text, &text);
        let name = file.rules.display().to_string();
        let view = |problems: &Problems, kept: fn(Severity) -> bool| {
            let kept = problems.iter().filter(|problem| kept(problem.severity));
            let view = kept.map(|problem| RuleProblem {
                file: (!name.ends_with(&problem.file) && problem.file != name).then(|| problem.file.clone()),
                line: problem.line,
                column: problem.column,
                message: problem.message.clone(),
            });
            view.collect::<Vec<_>>()
        };
        match file.check(&text) {
            Ok(loaded) => {
                let mut hints = view(&loaded.remarks, |_| true);
                hints.retain(|hint| hint.file.is_none());
                let (_, unfit) = RuleBook::compile(&loaded.rules, &world.registry);
                hints.extend(unfit.into_iter().map(|unfit| RuleProblem {
                    file: None,
                    line: 0,
                    column: 0,
                    message: unfit.to_string(),
                }));
                RulesChecked { errors: Vec::new(), hints, changes }
            }
            Err(problems) => RulesChecked {
                errors: view(&problems, |severity| severity == Severity::Error),
                hints: Vec::new(),
                changes,
            },
        }
    };
    aside(work).await
}

/// A trial of rules on the journal.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewView {
    pub number: u64,
    /// `running`, `done` or `failed`.
    pub state: String,
    pub days: u32,
    /// Of the rules that are tried.
    pub version: String,
    #[schema(format = DateTime)]
    pub asked: String,
    pub failed: Option<String>,
    pub found: Option<PreviewFound>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewFound {
    #[schema(format = DateTime)]
    pub from: String,
    #[schema(format = DateTime)]
    pub to: String,
    /// Messages and deeds that were replayed; 0: the journal has nothing of that time.
    pub events: u64,
    /// The rules in force raise exactly what was raised. If not, rules or registry have changed since, and the trial is less to be believed.
    pub believed: bool,
    pub effect: Difference,
    /// Rules whose fires would be missed or later, and fire rules that are less sensitive or gone: to be named by whoever saves them nevertheless.
    pub fires_of: Vec<String>,
}

impl PreviewView {
    fn of(preview: preview::Preview) -> Self {
        let (state, failed, found) = match preview.state {
            preview::State::Running => ("running", None, None),
            preview::State::Failed(why) => ("failed", Some(why), None),
            preview::State::Done(tried) => ("done", None, Some(PreviewFound::of(&tried))),
        };
        Self {
            number: preview.number,
            state: state.into(),
            days: preview.days,
            version: version(&preview.text),
            asked: preview.asked.rfc3339(),
            failed,
            found,
        }
    }
}

impl PreviewFound {
    fn of(tried: &Tried) -> Self {
        let fires = tried.fires_of().unwrap_or_default();
        Self {
            from: tried.span.from.rfc3339(),
            to: tried.span.to.rfc3339(),
            events: tried.events,
            believed: tried.believed,
            effect: tried.difference.clone(),
            fires_of: fires.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// Try rules on the journal of the last days. It takes a while; `GET` says how far it is.
///
/// One trial at a time: a newer one takes the place of the one that runs.
#[utoipa::path(post, path = "/api/v1/rules/preview", tag = "station", operation_id = "tryRules", request_body = RulesTried,
    responses((status = 202, description = "It is being tried", body = PreviewView)))]
pub async fn begin_preview(
    State(api): State<Arc<Api>>,
    _: Actor,
    Body(body): Body<RulesTried>,
) -> Result<(StatusCode, Json<PreviewView>), ApiError> {
    let days = body.days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(ApiError::body("days", format!("give 1 to {DAYS_MAX}")));
    }
    let found = checked(&api, body.text.clone()).await?;
    if let Some(first) = found.errors.first() {
        return Err(wrong(first));
    }
    api.desk.previews.ask(&body.text, days, api.clock.now().wall);
    let preview = api.desk.previews.newest().ok_or_else(nothing_tried)?;
    Ok((StatusCode::ACCEPTED, Json(PreviewView::of(preview))))
}

/// The newest trial.
#[utoipa::path(get, path = "/api/v1/rules/preview", tag = "station", operation_id = "showTrial",
    responses((status = 200, description = "How far it is, and what was found", body = PreviewView),
        (status = 404, description = "Nothing was tried since the start")))]
pub async fn show_preview(State(api): State<Arc<Api>>) -> Result<Json<PreviewView>, ApiError> {
    api.desk.previews.newest().map(PreviewView::of).map(Json).ok_or_else(nothing_tried)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    text: String,
    /// Of the rules in force when they were read.
    version: String,
    /// Names of all rules whose fires would be missed or later, if there are any: to be said, not assumed.
    #[serde(default)]
    fires_missed_of: Vec<String>,
}

/// Save rules that were tried. In force within a second; the file as it was stays beside it. Recorded in the audit log.
///
/// 409 `not-tried` before a trial of exactly these; 409 `would-miss-fire` while `fires_missed_of` does not name the rules whose fires would be missed or later.
#[utoipa::path(put, path = "/api/v1/rules/file", tag = "station", operation_id = "saveRules", request_body = Saved,
    responses((status = 200, description = "They are saved", body = RulesText)))]
pub async fn save(
    State(api): State<Arc<Api>>,
    Actor(caller): Actor,
    Body(body): Body<Saved>,
) -> Result<Json<RulesText>, ApiError> {
    let in_force = api.world.load().rules_text.clone();
    if body.version != version(&in_force) {
        let detail = "Somebody else changed the rules meanwhile: read them again, then decide again.";
        return Err(ApiError::named(
            StatusCode::CONFLICT,
            "rules-changed",
            "The rules have changed",
            detail.into(),
        ));
    }
    let found = checked(&api, body.text.clone()).await?;
    if let Some(first) = found.errors.first() {
        return Err(wrong(first));
    }
    let prepared = {
        let (api, text, in_force) = (api.clone(), body.text.clone(), in_force.clone());
        aside(move || api.desk.prepare_text(&text, &in_force, api.clock.now().wall)).await??
    };
    let tried = tried(&api, &body.text, &in_force)?;
    let fires = may_save(&tried, &body.fires_missed_of)?;
    let line = |what: &str, more: &str| Audit {
        at: api.clock.now().wall,
        who: caller.who(),
        what: what.into(),
        target: "rules.toml".into(),
        detail: format!("{}{fires}{more}", found.changes),
    };
    api.store.commit(&Commit { audit: vec![line("rules.save", "")], ..Commit::default() }).await?;
    if let Err(fault) = aside(move || prepared.make()).await? {
        let line = line("rules.not_saved", &format!("; {fault}"));
        api.store.commit(&Commit { audit: vec![line], ..Commit::default() }).await?;
        return Err(fault.into());
    }
    Ok(Json(RulesText { version: version(&body.text), text: body.text }))
}

/// What a trial of exactly these rules, against those in force, has found.
fn tried(api: &Api, text: &str, in_force: &str) -> Result<Arc<Tried>, ApiError> {
    let newest = api.desk.previews.newest().filter(|preview| *preview.text == *text);
    match newest.map(|preview| preview.state) {
        Some(preview::State::Done(tried)) if *tried.in_force == *in_force => Ok(tried),
        Some(preview::State::Done(_) | preview::State::Running | preview::State::Failed(_)) | None => {
            let detail = "Try exactly these rules on the journal first, and wait for what it finds.";
            Err(ApiError::named(StatusCode::CONFLICT, "not-tried", "They were not tried yet", detail.into()))
        }
    }
}

/// For the audit log: whose fires are given up.
fn may_save(tried: &Tried, named: &[String]) -> Result<String, ApiError> {
    let refused = |detail| {
        Err(ApiError::named(
            StatusCode::CONFLICT,
            "would-miss-fire",
            "A fire would be missed or told later",
            detail,
        ))
    };
    let Difference { fires_missed, fires_later, .. } = tried.difference;
    let Some(fires) = tried.fires_of() else {
        return refused(format!(
            "{fires_missed} fires would be missed and {fires_later} told later: too many."
        ));
    };
    let unsaid: Vec<&str> =
        fires.iter().copied().filter(|rule| !named.iter().any(|one| one == rule)).collect();
    if !unsaid.is_empty() {
        return refused(format!(
            "{fires_missed} fires would have been missed and {fires_later} told later, and these fire rules are or may be less sensitive: {}. To save them nevertheless, name these rules in `fires_missed_of`.",
            unsaid.join(", ")
        ));
    }
    let named: Vec<&str> = fires.into_iter().collect();
    Ok(if named.is_empty() {
        String::new()
    } else {
        format!("; fires missed or later of {}", named.join(", "))
    })
}

fn version(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..16])
}

fn wrong(first: &RuleProblem) -> ApiError {
    ApiError::body("text", format!("{}:{}: {}", first.line, first.column, first.message))
}

fn nothing_tried() -> ApiError {
    ApiError::not_found("No rules were tried since the station started.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SignalClass, Worth};
    use crate::replay::{Line, Span};
    use crate::units::Timestamp;

    fn tried(classes: &[(&str, SignalClass)], fires_missed: u32, weaker: &[&str]) -> Tried {
        let line = |(rule, class): &(&str, SignalClass)| Line {
            rule: (*rule).into(),
            class: *class,
            device: None,
            cell: "C".into(),
            text: String::new(),
            at: String::new(),
            by_ms: 0,
            alarm: None,
            worth: Worth::Unsaid,
        };
        let gone_lines: Vec<Line> = classes.iter().map(line).collect();
        Tried {
            in_force: "".into(),
            span: Span { from: Timestamp(0), to: Timestamp(1) },
            difference: Difference { fires_missed, gone_lines, ..Difference::default() },
            believed: true,
            events: 1,
            weaker: weaker.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_fire_that_would_be_missed_is_given_up_by_name_or_not_at_all() {
        use SignalClass::{Fire, Trouble};
        let none = tried(&[("battery", Trouble)], 0, &[]);
        assert_eq!(may_save(&none, &[]).expect("no fire"), "");
        let two = tried(&[("smoke", Fire), ("heat", Fire), ("battery", Trouble)], 2, &[]);
        for named in [&[][..], &["smoke"], &["battery", "smoke"]] {
            let named: Vec<String> = named.iter().map(ToString::to_string).collect();
            let Err(ApiError::Refused(problem)) = may_save(&two, &named) else {
                panic!("{named:?} is enough")
            };
            assert!(
                problem.kind.ends_with("would-miss-fire") && problem.detail.contains("heat"),
                "{problem:?}"
            );
        }
        let both = ["heat".to_owned(), "smoke".to_owned()];
        assert!(may_save(&two, &both).expect("named").contains("heat, smoke"));
        // A rule that is weaker is named, though the journal has seen no fire.
        let quiet = tried(&[], 0, &["gas"]);
        assert!(may_save(&quiet, &both).is_err() && may_save(&quiet, &["gas".to_owned()]).is_ok());
        // More than are listed cannot be named.
        assert!(may_save(&tried(&[("smoke", Fire)], 201, &[]), &both).is_err());
    }
}
