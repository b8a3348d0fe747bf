//! Accounts, for those who administer them. Every change is written to the audit log with it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::{Actor, Caller};
use super::extract::Body;
use super::problem::ApiError;
use crate::accounts::{self, Account, Pass, PassKind, Role};
use crate::grid::Registry;
use crate::store::Audit;
use crate::store::accounts::{Changed, Ends};
use crate::units::{Millis, Timestamp};
use crate::view::PersonRef;

/// Long enough for a worker to find his phone, and not for the link to lie about.
const INVITATION_LASTS: Millis = Millis::from_secs(3 * 24 * 3600);

#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    pub name: String,
    pub person: Option<PersonRef>,
    pub roles: Vec<Role>,
    /// Codes of cells; those below belong to it, and a person's duties come on top.
    pub cells: Vec<String>,
    pub has_password: bool,
    /// The password was made by somebody else and not changed yet.
    pub must_change: bool,
    /// Asks for a code at log-in.
    pub totp: bool,
    pub disabled: bool,
    #[schema(format = DateTime)]
    pub made: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AccountList {
    pub items: Vec<AccountView>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    #[schema(example = "wang-li")]
    pub name: String,
    /// Id of a person, under which the account acts.
    pub person: Option<String>,
    pub roles: Vec<Role>,
    #[serde(default)]
    pub cells: Vec<String>,
}

/// What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Id of a person; empty for none.
    pub person: Option<String>,
    pub roles: Option<Vec<Role>>,
    pub cells: Option<Vec<String>>,
    /// Ends all sessions and tokens.
    pub disabled: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub struct Invitation {
    /// Lets in once. The part behind `#` is not sent by browsers, so it is in no log.
    pub link: String,
    /// The link to be scanned: an SVG picture.
    pub qr_svg: String,
    #[schema(format = DateTime)]
    pub ends: String,
}

/// List all accounts.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "accounts", operation_id = "listAccounts",
    responses((status = 200, description = "In order of name", body = AccountList)))]
pub async fn list(State(api): State<Arc<Api>>) -> Result<Json<AccountList>, ApiError> {
    let accounts = api.store.accounts().await?;
    let registry = &api.world.load().registry;
    Ok(Json(AccountList { items: accounts.iter().map(|account| view(account, registry)).collect() }))
}

/// Make an account. It has no password: invite its owner next.
#[utoipa::path(post, path = "/api/v1/accounts", tag = "accounts", operation_id = "addAccount", request_body = NewAccount,
    responses((status = 201, description = "The account", body = AccountView)))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Actor(caller): Actor,
    Body(body): Body<NewAccount>,
) -> Result<(StatusCode, Json<AccountView>), ApiError> {
    let registry = api.world.load().registry.clone();
    let name = body.name.trim().to_owned();
    accounts::check_name(&name).map_err(|wrong| ApiError::body("name", wrong))?;
    if api.tokens.has_name(&name) {
        return Err(ApiError::body("name", "a token of station.toml has it"));
    }
    check_roles(&body.roles)?;
    check_cells(&body.cells, &registry)?;
    check_person(&name, body.person.as_deref(), &registry)?;
    let now = api.clock.now().wall;
    let account = Account {
        person: body.person,
        roles: body.roles,
        cells: body.cells,
        ..Account::new(&name, Role::Viewer, now)
    };
    let shown = view(&account, &registry);
    let line = line(&caller, now, "account.add", &name, said(&account));
    if !api.store.add_account(account, line).await? {
        return Err(ApiError::named(
            StatusCode::CONFLICT,
            "account-exists",
            "There is such an account",
            format!("There is an account `{name}` already."),
        ));
    }
    Ok((StatusCode::CREATED, Json(shown)))
}

/// Change roles, cells or person of an account, or disable it.
#[utoipa::path(patch, path = "/api/v1/accounts/{name}", tag = "accounts", operation_id = "changeAccount",
    params(("name" = String, Path, description = "Name of the account")), request_body = AccountChange,
    responses((status = 200, description = "The account as it is now", body = AccountView)))]
pub async fn change(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Actor(caller): Actor,
    Body(body): Body<AccountChange>,
) -> Result<Json<AccountView>, ApiError> {
    let registry = api.world.load().registry.clone();
    let person = body.person.map(|person| (!person.is_empty()).then_some(person));
    if let Some(roles) = &body.roles {
        check_roles(roles)?;
    }
    check_cells(body.cells.as_deref().unwrap_or_default(), &registry)?;
    if let Some(person) = &person {
        check_person(&name, person.as_deref(), &registry)?;
    }
    let ends = if body.disabled == Some(true) { Ends::All } else { Ends::None };
    let mut detail = Vec::new();
    detail.extend(body.roles.as_ref().map(|roles| format!("roles {}", role_names(roles))));
    detail.extend(body.cells.as_ref().map(|cells| format!("cells {}", cells.join(" "))));
    detail.extend(person.as_ref().map(|person| format!("person {}", person.as_deref().unwrap_or("none"))));
    detail.extend(body.disabled.map(|disabled| format!("disabled {disabled}")));
    let now = api.clock.now().wall;
    let line = line(&caller, now, "account.change", &name, detail.join("; "));
    let (roles, cells, disabled) = (body.roles, body.cells, body.disabled);
    let changed = api.store.change_account(&name, ends, line, move |account| {
        account.roles = roles.unwrap_or(std::mem::take(&mut account.roles));
        account.cells = cells.unwrap_or(std::mem::take(&mut account.cells));
        account.person = person.unwrap_or(account.person.take());
        account.disabled = disabled.unwrap_or(account.disabled);
        true
    });
    changed_account(changed.await?, &name).map(|account| Json(view(&account, &registry)))
}

/// Make a link that lets the account's owner in once, within three days. An older one no longer holds.
#[utoipa::path(post, path = "/api/v1/accounts/{name}/invitation", tag = "accounts", operation_id = "invite",
    params(("name" = String, Path, description = "Name of the account")),
    responses((status = 201, description = "Shown this once", body = Invitation)))]
pub async fn invite(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Actor(caller): Actor,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Invitation>), ApiError> {
    let account = api.store.account(&name).await?.filter(|account| !account.disabled);
    let account = account.ok_or_else(|| no_account(&name))?;
    let now = api.clock.now().wall;
    let (secret, hash) = accounts::secret();
    let pass = Pass {
        number: 0,
        kind: PassKind::Invitation,
        account: account.name,
        label: format!("by {}", caller.name),
        address: String::new(),
        made: now,
        seen: now,
        idle: INVITATION_LASTS,
        ends: now + INVITATION_LASTS,
    };
    let ends = pass.ends.rfc3339();
    let line = line(&caller, now, "invitation.make", &name, format!("until {ends}"));
    api.store.add_pass(pass, hash, line).await?;
    let link = format!("{}/#invite={secret}", page(&headers));
    Ok((StatusCode::CREATED, Json(Invitation { qr_svg: qr(&link)?, link, ends })))
}

/// End all sessions, tokens and invitations of an account.
#[utoipa::path(delete, path = "/api/v1/accounts/{name}/passes", tag = "accounts", operation_id = "endPasses",
    params(("name" = String, Path, description = "Name of the account")),
    responses((status = 204, description = "All ended")))]
pub async fn end_passes(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    Actor(caller): Actor,
) -> Result<StatusCode, ApiError> {
    let line = line(&caller, api.clock.now().wall, "account.passes", &name, "all ended".into());
    let changed = api.store.change_account(&name, Ends::All, line, |_| true).await?;
    changed_account(changed, &name).map(|_| StatusCode::NO_CONTENT)
}

/// A picture of black squares, readable at any size.
pub(super) fn qr(text: &str) -> Result<String, ApiError> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(|_| {
        ApiError::Internal(anyhow::anyhow!("a text of {} bytes fits into no QR code", text.len()))
    })?;
    const QUIET: i32 = 4; // ISO/IEC 18004: four modules around.
    let side = code.size() + 2 * QUIET;
    let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    let squares: String = dark
        .filter(|(x, y)| code.get_module(*x, *y))
        .map(|(x, y)| format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET))
        .collect();
    Ok(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{squares}"/></svg>"##
    ))
}

/// Where the caller sees this gateway's page: what his browser says, or the host he asked.
pub(super) fn page(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    match text(header::ORIGIN) {
        Some(origin) => origin.to_owned(),
        None => format!("http://{}", text(header::HOST).unwrap_or("localhost")),
    }
}

fn view(account: &Account, registry: &Registry) -> AccountView {
    AccountView {
        name: account.name.clone(),
        person: account.person.as_ref().map(|id| PersonRef::of(id, registry)),
        roles: account.roles.clone(),
        cells: account.cells.clone(),
        has_password: account.password.is_some(),
        must_change: account.must_change,
        totp: account.totp.is_some(),
        disabled: account.disabled,
        made: account.made.rfc3339(),
    }
}

pub(crate) fn role_names(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" ")
}

fn said(account: &Account) -> String {
    let person = account.person.as_deref().unwrap_or("none");
    format!("roles {}; cells {}; person {person}", role_names(&account.roles), account.cells.join(" "))
}

fn line(caller: &Caller, at: Timestamp, what: &str, name: &str, detail: String) -> Audit {
    Audit { at, who: caller.who(), what: what.into(), target: format!("account {name}"), detail }
}

fn check_roles(roles: &[Role]) -> Result<(), ApiError> {
    if roles.is_empty() {
        return Err(ApiError::body("roles", "give at least one"));
    }
    Ok(())
}

fn check_cells(cells: &[String], registry: &Registry) -> Result<(), ApiError> {
    match cells.iter().find(|code| registry.cell_by_code(code).is_none()) {
        Some(unknown) => Err(ApiError::body("cells", format!("there is no cell `{unknown}`"))),
        None => Ok(()),
    }
}

/// Deeds are recorded under the person's id, or else the account's name: these must never be mixed up.
fn check_person(name: &str, person: Option<&str>, registry: &Registry) -> Result<(), ApiError> {
    if let Some(unknown) = person.filter(|id| registry.person(id).is_none()) {
        return Err(ApiError::body("person", format!("there is no person `{unknown}`")));
    }
    if person.is_none_or(|id| id != name) && registry.person(name).is_some() {
        return Err(ApiError::body(
            "person",
            format!("the account's name is the id of a person: give `{name}`"),
        ));
    }
    Ok(())
}

fn changed_account(changed: Changed, name: &str) -> Result<Account, ApiError> {
    match changed {
        Changed::Done(account) => Ok(*account),
        Changed::NoSuchAccount | Changed::Refused => Err(no_account(name)),
        Changed::LastAdministrator => Err(ApiError::named(
            StatusCode::CONFLICT,
            "last-administrator",
            "Somebody must administer",
            format!(
                "`{name}` is the last account that can change accounts; make another administrator first."
            ),
        )),
    }
}

fn no_account(name: &str) -> ApiError {
    ApiError::not_found(format!("There is no account `{name}`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_a_picture() {
        let svg = qr("http://10.0.0.9:8080/#invite=MZXW6YTBOI").expect("it fits");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
        // The first finder pattern begins with seven dark squares in the upper left corner.
        for x in 4..11 {
            assert!(svg.contains(&format!("M{x} 4h1v1h-1z")), "{svg}");
        }
        assert!(!svg.contains("M11 4h"), "and a light one behind it");
        assert!(qr(&"x".repeat(5000)).is_err());
    }
}
