//! Logging in and out, and what an account does about itself: password, second factor, sessions and tokens.
//!
//! A refused log-in says one thing only, whatever was wrong, and takes the same time. Secrets are answered once, when they are made; the store has their hashes. Who only
//! holds a token may not make more of what lets in: that needs a session.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::auth::{self, COOKIE, Caller};
use super::extract::{self, Body};
use super::listen::From as Peer;
use super::problem::ApiError;
use super::rights::{GRANTS, Reach};
use crate::accounts::password::{self, Busy};
use crate::accounts::throttle::address_of;
use crate::accounts::{self, Account, Pass, PassKind, Role, Totp, base32, totp};
use crate::store::Audit;
use crate::store::accounts::{Changed, Ends};
use crate::units::{Millis, Steady, Timestamp};
use crate::view::PersonRef;

const LABEL_CHARACTERS_MAX: usize = 80;
const TOKEN_DAYS_MAX: u32 = 366;
const DAY: Millis = Millis::from_secs(24 * 3600);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    pub name: String,
    pub password: String,
    /// Six digits of the authenticator app, when the account has one.
    pub code: Option<String>,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub name: String,
    pub person: Option<PersonRef>,
    pub roles: Vec<Role>,
    /// Codes of the account's own cells; duties come on top.
    pub cells: Vec<String>,
    /// Nothing else may be done before PUT /api/v1/session/password.
    pub must_change: bool,
    /// May only look.
    pub read_only: bool,
    /// None: a token of station.toml.
    pub by: Option<PassKind>,
    /// What may be done somewhere: such as `handle` or `accounts`.
    pub rights: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invited {
    /// What follows `#invite=` in the link.
    pub secret: String,
    /// Leave out to have a session and no password.
    pub password: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The one until now; not needed by an account that has none.
    pub old: Option<String>,
    pub new: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for, up to 80 characters.
    pub label: String,
    /// 1 to 366.
    #[schema(minimum = 1, maximum = 366)]
    pub days: u32,
}

#[derive(Serialize, ToSchema)]
pub struct MadeToken {
    pub number: u64,
    /// Shown this once.
    pub token: String,
    #[schema(format = DateTime)]
    pub ends: String,
}

/// A session, a token or an open invitation.
#[derive(Debug, Serialize, ToSchema)]
pub struct PassView {
    pub number: u64,
    pub kind: PassKind,
    pub label: String,
    /// From where it was made.
    pub address: String,
    #[schema(format = DateTime)]
    pub made: String,
    /// About when it was last used.
    #[schema(format = DateTime)]
    pub seen: String,
    #[schema(format = DateTime)]
    pub ends: String,
    /// Whether this very request comes with it.
    pub this: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PassList {
    pub items: Vec<PassView>,
}

#[derive(Serialize, ToSchema)]
pub struct TotpOffer {
    /// In base 32, to be typed.
    pub secret: String,
    pub uri: String,
    /// The same to be scanned: an SVG picture.
    pub qr_svg: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpBegin {
    pub password: String,
    /// From POST.
    pub secret: String,
    /// What the app shows now.
    pub code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordOnly {
    pub password: String,
}

type WithCookie = [(HeaderName, String); 1];

/// Log in: the answer sets the session's cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "accounts", operation_id = "logIn", security(()), request_body = LogIn,
    responses((status = 200, description = "In", body = Me)))]
pub async fn log_in(
    State(api): State<Arc<Api>>,
    Peer(ip): Peer,
    headers: HeaderMap,
    Body(body): Body<LogIn>,
) -> Result<(WithCookie, Json<Me>), ApiError> {
    from_here(&headers)?;
    let address = ip.map_or("unknown".into(), address_of);
    let now = api.clock.now();
    let name = body.name.trim();
    // A name that cannot be one shares its tries with all such names.
    let counted = if accounts::check_name(name).is_ok() { name } else { "" };
    let attempt = throttle(&api).attempt(counted, &address, now.steady);
    attempt.map_err(too_often)?;
    let account = api.store.account(name).await?;
    let known = account.as_ref().and_then(|account| account.password.clone());
    let right = api.own.passwords.verify(body.password, known).await.map_err(busy)?;
    let account = account.filter(|account| right && !account.disabled);
    let account = match account {
        Some(account) => with_code(&api, account, body.code.as_deref(), now.wall).await?,
        None => None,
    };
    let Some(account) = account else {
        if let Some(unwritten) = api.own.refusals.may_write(now.steady) {
            let detail = format!("from {address}; {unwritten} more before were not written down");
            let what = "session.refused";
            let line =
                Audit { at: now.wall, who: "nobody".into(), what: what.into(), target: named(name), detail };
            api.store.commit(&crate::store::Commit { audit: vec![line], ..Default::default() }).await?;
        }
        metrics::counter!("gridwarden_http_refused_total").increment(1);
        return Err(ApiError::status(StatusCode::UNAUTHORIZED, "Name, password or code is wrong."));
    };
    throttle(&api).succeeded(counted, &address);
    let (session, secret, hash) = session(&account, &headers, &address, now.wall);
    let line = about(&account, now.wall, "session.begin", format!("from {address}"));
    let (ends, number) = (session.ends, api.store.add_pass(session.clone(), hash, line).await?);
    let caller = Caller::of(&account, &Pass { number, ..session });
    Ok((set_cookie(&headers, &secret, now.wall, ends), Json(view(&api, &caller))))
}

/// The account, if it needs no code or the code is right; a code is used up by that.
async fn with_code(
    api: &Api,
    account: Account,
    code: Option<&str>,
    now: Timestamp,
) -> Result<Option<Account>, ApiError> {
    let Some(Totp { secret, last_step }) = &account.totp else { return Ok(Some(account)) };
    let secret = base32::decode(&secret.0).unwrap_or_default();
    let step = totp::check(&secret, code.unwrap_or_default(), now, *last_step);
    let Some(step) = step else { return Ok(None) };
    let line = about(&account, now, "session.code", format!("step {step}"));
    let changed = api.store.change_account(&account.name, Ends::None, line, move |account| {
        account.totp.as_mut().is_some_and(|totp| {
            let newer = totp.last_step < step;
            totp.last_step = totp.last_step.max(step);
            newer
        })
    });
    Ok(match changed.await? {
        Changed::Done(account) => Some(*account),
        Changed::NoSuchAccount | Changed::LastAdministrator | Changed::Refused => None,
    })
}

/// Come in by an invitation, once. With a password the next time goes by name and password; without, this session is all.
#[utoipa::path(post, path = "/api/v1/session/invited", tag = "accounts", operation_id = "acceptInvitation", security(()),
    request_body = Invited, responses((status = 200, description = "In", body = Me)))]
pub async fn invited(
    State(api): State<Arc<Api>>,
    Peer(ip): Peer,
    headers: HeaderMap,
    Body(body): Body<Invited>,
) -> Result<(WithCookie, Json<Me>), ApiError> {
    from_here(&headers)?;
    let address = ip.map_or("unknown".into(), address_of);
    let now = api.clock.now().wall;
    let hash = accounts::hash(body.secret.trim());
    let gone = || {
        let detail = "This invitation was used or is too old; ask for a new one.".into();
        ApiError::named(StatusCode::GONE, "invitation-gone", "The invitation does not hold", detail)
    };
    let invitation = api.store.pass(hash, now).await?;
    let (_, account) = invitation.filter(|(pass, _)| pass.kind == PassKind::Invitation).ok_or_else(gone)?;
    let password = match body.password {
        None => None,
        Some(password) => Some(hashed(&api, password, &account.name, "password").await?),
    };
    let (session, secret, session_hash) = session(&account, &headers, &address, now);
    let (ends, kept) = (session.ends, session.clone());
    let accepted = api.store.accept_invitation(hash, now, move |account| {
        // Without a new one a one-time password goes too: nobody could change it any more.
        if password.is_some() || account.must_change {
            (account.password, account.must_change) = (password, false);
        }
        let line = about(account, now, "invitation.accept", format!("from {address}"));
        (kept, session_hash, line)
    });
    let account = accepted.await?.ok_or_else(gone)?;
    let caller = Caller::of(&account, &session);
    Ok((set_cookie(&headers, &secret, now, ends), Json(view(&api, &caller))))
}

/// Who am I, and what may I do.
#[utoipa::path(get, path = "/api/v1/session", tag = "accounts", operation_id = "whoAmI",
    responses((status = 200, description = "The caller", body = Me)))]
pub async fn me(State(api): State<Arc<Api>>, caller: Caller) -> Json<Me> {
    Json(view(&api, &caller))
}

/// Log out: this session, or this token, ends.
#[utoipa::path(delete, path = "/api/v1/session", tag = "accounts", operation_id = "logOut",
    responses((status = 204, description = "Out")))]
pub async fn log_out(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<(StatusCode, WithCookie), ApiError> {
    if let Some((number, kind)) = caller.pass {
        let line = deed(&api, &caller, "session.end", format!("{} {number}", kind.name()));
        api.store.end_pass(&caller.name, number, line).await?;
    }
    let cookie = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]))
}

/// Change the own password. All other sessions and tokens of the account end.
#[utoipa::path(put, path = "/api/v1/session/password", tag = "accounts", operation_id = "changePassword",
    request_body = NewPassword, responses((status = 204, description = "Changed")))]
pub async fn change_password(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body<NewPassword>,
) -> Result<StatusCode, ApiError> {
    let (number, account) = by_session(&api, &caller).await?;
    if account.password.is_some() {
        is_password(&api, &caller, &account, body.old.unwrap_or_default(), "old").await?;
    }
    let old = account.password.clone();
    let new = hashed(&api, body.new, &account.name, "new").await?;
    let line = deed(&api, &caller, "account.password", "changed by itself".into());
    let changed = api.store.change_account(&account.name, Ends::Others(number), line, move |account| {
        let same = account.password == old;
        (account.password, account.must_change) = (Some(new), false);
        same
    });
    done(changed.await?)
}

/// Own sessions, tokens and open invitation, newest first.
#[utoipa::path(get, path = "/api/v1/session/passes", tag = "accounts", operation_id = "listPasses",
    responses((status = 200, description = "All of them", body = PassList)))]
pub async fn passes(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<PassList>, ApiError> {
    let this = caller.pass.map(|(number, _)| number);
    let items = match this {
        None => Vec::new(), // A token of station.toml is no account.
        Some(_) => api.store.passes(&caller.name, api.clock.now().wall).await?,
    };
    let view = |pass: Pass| PassView {
        number: pass.number,
        kind: pass.kind,
        label: pass.label,
        address: pass.address,
        made: pass.made.rfc3339(),
        seen: pass.seen.rfc3339(),
        ends: pass.ends.rfc3339(),
        this: this == Some(pass.number),
    };
    Ok(Json(PassList { items: items.into_iter().map(view).collect() }))
}

/// End one of the own sessions, tokens or invitations.
#[utoipa::path(delete, path = "/api/v1/session/passes/{number}", tag = "accounts", operation_id = "endPass",
    params(("number" = u64, Path, description = "As listed")),
    responses((status = 204, description = "It ended")))]
pub async fn end_pass(
    State(api): State<Arc<Api>>,
    Path(number): Path<String>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    let unknown = || ApiError::not_found(format!("You have no session or token {number}."));
    caller.pass.ok_or_else(unknown)?;
    let wanted: u64 = number.parse().map_err(|_| unknown())?;
    let line = deed(&api, &caller, "session.end", format!("number {wanted}"));
    if !api.store.end_pass(&caller.name, wanted, line).await? {
        return Err(unknown());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Make a personal token for a program: it may what the account may, but make no more tokens.
#[utoipa::path(post, path = "/api/v1/session/tokens", tag = "accounts", operation_id = "makeToken",
    request_body = NewToken, responses((status = 201, description = "Shown this once", body = MadeToken)))]
pub async fn make_token(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Peer(ip): Peer,
    Body(body): Body<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), ApiError> {
    let (_, account) = by_session(&api, &caller).await?;
    let label = extract::text("label", &body.label, LABEL_CHARACTERS_MAX)?;
    if !(1..=TOKEN_DAYS_MAX).contains(&body.days) {
        return Err(ApiError::body("days", format!("give 1 to {TOKEN_DAYS_MAX}")));
    }
    let now = api.clock.now().wall;
    let lasts = Millis(DAY.0 * u64::from(body.days));
    let (token, hash) = accounts::secret();
    let pass = Pass {
        number: 0,
        kind: PassKind::Token,
        account: account.name.clone(),
        label: label.clone(),
        address: ip.map_or("unknown".into(), address_of),
        made: now,
        seen: now,
        idle: lasts,
        ends: now + lasts,
    };
    let ends = pass.ends.rfc3339();
    let line = deed(&api, &caller, "token.make", format!("{label}, until {ends}"));
    let number = api.store.add_pass(pass, hash, line).await?;
    Ok((StatusCode::CREATED, Json(MadeToken { number, token, ends })))
}

/// A secret for an authenticator app; nothing is kept before PUT.
#[utoipa::path(post, path = "/api/v1/session/totp", tag = "accounts", operation_id = "offerTotp",
    responses((status = 200, description = "To be scanned", body = TotpOffer)))]
pub async fn offer_totp(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<TotpOffer>, ApiError> {
    by_session(&api, &caller).await?;
    let secret = base32::encode(&accounts::random::<{ totp::SECRET_BYTES }>());
    let uri = totp::uri(&caller.name, &secret);
    Ok(Json(TotpOffer { qr_svg: super::accounts::qr(&uri)?, secret, uri }))
}

/// Ask for a code at every log-in from now on.
#[utoipa::path(put, path = "/api/v1/session/totp", tag = "accounts", operation_id = "beginTotp", request_body = TotpBegin,
    responses((status = 204, description = "From now on")))]
pub async fn begin_totp(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body<TotpBegin>,
) -> Result<StatusCode, ApiError> {
    let (_, account) = by_session(&api, &caller).await?;
    let bytes = base32::decode(&body.secret).filter(|bytes| bytes.len() == totp::SECRET_BYTES);
    let bytes = bytes.ok_or_else(|| ApiError::body("secret", "send back the one that POST gave"))?;
    is_password(&api, &caller, &account, body.password, "password").await?;
    let step = totp::check(&bytes, &body.code, api.clock.now().wall, 0);
    let step = step.ok_or_else(|| {
        ApiError::body("code", "it is not what the app shows now; is the clock of the phone right?")
    })?;
    let secret = accounts::Hidden(base32::encode(&bytes));
    let line = deed(&api, &caller, "account.totp", "begun".into());
    let changed = api.store.change_account(&account.name, Ends::None, line, move |account| {
        account.totp = Some(Totp { secret, last_step: step });
        true
    });
    done(changed.await?)
}

/// Ask for no code any more.
#[utoipa::path(delete, path = "/api/v1/session/totp", tag = "accounts", operation_id = "endTotp", request_body = PasswordOnly,
    responses((status = 204, description = "No longer")))]
pub async fn end_totp(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body<PasswordOnly>,
) -> Result<StatusCode, ApiError> {
    let (_, account) = by_session(&api, &caller).await?;
    is_password(&api, &caller, &account, body.password, "password").await?;
    let line = deed(&api, &caller, "account.totp", "ended".into());
    let changed = api.store.change_account(&account.name, Ends::None, line, |account| {
        account.totp = None;
        true
    });
    done(changed.await?)
}

/// Lines about refused log-ins, so many a minute: a flood of them must not fill the disk.
#[derive(Default)]
pub struct Refusals(Mutex<(Steady, u32)>);

impl Refusals {
    const PER_MINUTE: u32 = 30;

    /// Whether one more may be written, and how many before were not.
    fn may_write(&self, now: Steady) -> Option<u32> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unwritten = 0;
        if minute.0 + Millis::from_secs(60) <= now || minute.1 == 0 {
            unwritten = minute.1.saturating_sub(Self::PER_MINUTE);
            *minute = (now, 0);
        }
        minute.1 = minute.1.saturating_add(1);
        (minute.1 <= Self::PER_MINUTE).then_some(unwritten)
    }
}

fn throttle(api: &Api) -> std::sync::MutexGuard<'_, accounts::throttle::Throttle> {
    api.own.throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The account behind a session.
async fn by_session(api: &Api, caller: &Caller) -> Result<(u64, Account), ApiError> {
    let Some((number, PassKind::Session)) = caller.pass else {
        return Err(ApiError::not_allowed("Log in with name and password for this; a token may not.".into()));
    };
    let account = api.store.account(&caller.name).await?;
    let account =
        account.ok_or_else(|| ApiError::not_found(format!("There is no account `{}`.", caller.name)))?;
    Ok((number, account))
}

/// Refuses a wrong password. Counted like a log-in: a session that was left open must not be a way to guess.
async fn is_password(
    api: &Api,
    caller: &Caller,
    account: &Account,
    given: String,
    field: &str,
) -> Result<(), ApiError> {
    let place = format!("session {}", caller.pass.map_or(0, |(number, _)| number));
    let attempt = throttle(api).attempt(&account.name, &place, api.clock.now().steady);
    attempt.map_err(too_often)?;
    if api.own.passwords.verify(given, account.password.clone()).await.map_err(busy)? {
        throttle(api).succeeded(&account.name, &place);
        return Ok(());
    }
    Err(ApiError::body(field, "it is not the account's password"))
}

/// A password that may be one, as its hash.
pub(super) async fn hashed(
    api: &Api,
    wanted: String,
    account: &str,
    field: &str,
) -> Result<accounts::Hidden, ApiError> {
    password::check(&wanted, account).map_err(|wrong| ApiError::body(field, wrong))?;
    api.own.passwords.hash(wanted).await.map_err(busy)
}

fn session(
    account: &Account,
    headers: &HeaderMap,
    address: &str,
    now: Timestamp,
) -> (Pass, String, [u8; 32]) {
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (idle, lasts) = account.session_lasts();
    let pass = Pass {
        number: 0,
        kind: PassKind::Session,
        account: account.name.clone(),
        label: browser.chars().take(LABEL_CHARACTERS_MAX).collect(),
        address: address.to_owned(),
        made: now,
        seen: now,
        idle,
        ends: now + lasts,
    };
    let (secret, hash) = accounts::secret();
    (pass, secret, hash)
}

/// `Secure` where the page came over TLS; over plain HTTP the browser would not keep it.
fn set_cookie(headers: &HeaderMap, secret: &str, now: Timestamp, ends: Timestamp) -> WithCookie {
    let tls = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if tls { "; Secure" } else { "" };
    let age_s = (ends.0 - now.0) / 1000;
    let cookie = format!("{COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age_s}{secure}");
    [(header::SET_COOKIE, cookie)]
}

/// A foreign page must not log its visitor in here as somebody else. Programs say nothing about pages.
fn from_here(headers: &HeaderMap) -> Result<(), ApiError> {
    if auth::from_own_page(headers) == Some(false) {
        return Err(auth::not_own_page());
    }
    Ok(())
}

fn view(api: &Api, caller: &Caller) -> Me {
    let registry = &api.world.load().registry;
    let somewhere =
        GRANTS.iter().map(|(right, _)| *right).filter(|right| caller.reach(*right) != Reach::Nowhere);
    Me {
        name: caller.name.to_string(),
        person: caller.person.as_ref().map(|id| PersonRef::of(id, registry)),
        roles: caller.roles.to_vec(),
        cells: caller.cells.to_vec(),
        must_change: caller.must_change,
        read_only: caller.read_only,
        by: caller.pass.map(|(_, kind)| kind),
        rights: somewhere.map(|right| format!("{right:?}").to_lowercase()).collect(),
    }
}

fn about(account: &Account, at: Timestamp, what: &str, detail: String) -> Audit {
    Audit { at, who: account.who().to_owned(), what: what.into(), target: named(&account.name), detail }
}

fn deed(api: &Api, caller: &Caller, what: &str, detail: String) -> Audit {
    Audit {
        at: api.clock.now().wall,
        who: caller.who(),
        what: what.into(),
        target: named(&caller.name),
        detail,
    }
}

/// What somebody typed as a name may be anything.
fn named(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("account {shown}")
}

fn done(changed: Changed) -> Result<StatusCode, ApiError> {
    match changed {
        Changed::Done(_) => Ok(StatusCode::NO_CONTENT),
        Changed::NoSuchAccount | Changed::LastAdministrator | Changed::Refused => {
            let detail = "The account was changed by somebody else at the same moment; look and try again.";
            Err(ApiError::status(StatusCode::CONFLICT, detail))
        }
    }
}

pub(super) fn too_often(wait: Millis) -> ApiError {
    let seconds = wait.0.div_ceil(1000);
    ApiError::named(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-tries",
        "Too many tries",
        format!("Too many wrong tries; the next is possible in {seconds} s."),
    )
}

fn busy(Busy: Busy) -> ApiError {
    let detail = "Too many log in at this moment; try again in a few seconds.";
    ApiError::status(StatusCode::SERVICE_UNAVAILABLE, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written() {
        let refusals = Refusals::default();
        let written = (0..100).filter(|_| refusals.may_write(Steady(5)).is_some()).count();
        assert_eq!(written, 30);
        assert_eq!(refusals.may_write(Steady(60_005)), Some(70));
        assert_eq!(refusals.may_write(Steady(60_006)), Some(0));
    }
}
