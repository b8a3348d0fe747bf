//! The API under /api/v1 and the pages at /, /worker/ and /report/.
//!
//! [`router`] is everything as a value, for tests too; [`serve`] runs it. A route is added with `routes!` below, which also puts it into the OpenAPI
//! document; it also needs a line in [`rights`]. Layers from the outside in: security headers, problem documents, counting, time limit, then who asks and
//! whether he may ([`auth`]). Absent: TLS, CORS.

pub mod accounts;
pub mod alarms;
pub mod aside;
pub mod attachments;
pub mod audit;
pub mod auth;
pub mod called;
pub mod commands;
pub mod deeds;
pub mod document;
pub mod drills;
pub mod events;
pub mod exercises;
pub mod explain;
pub mod extract;
pub mod grid;
pub mod hazards;
pub mod history;
pub mod imports;
pub mod indicators;
pub mod leave;
pub mod letters;
pub mod listen;
pub mod maintenance;
pub mod modbus;
pub mod model;
pub mod orders;
pub mod page;
pub mod patrol;
pub mod people;
pub mod photos;
pub mod plans;
pub mod positions;
pub mod practice;
pub mod problem;
pub mod proposals;
pub mod push;
pub mod push_in;
pub mod ratings;
pub mod receipts;
pub mod redraw;
pub mod registry;
pub mod repeats;
pub mod reports;
pub mod resident;
pub mod rights;
pub mod roll_calls;
pub mod roster;
pub mod rules;
pub mod rules_file;
pub mod session;
pub mod staffing;
pub mod station;
pub mod stills;
pub mod teams;
pub mod waiting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::password::Passwords;
use crate::accounts::throttle::Throttle;
use crate::clock::Clock;
use crate::health::Health;
use crate::io::commands::Commands;
use crate::io::inlet::Inlet;
use crate::learning::Desk;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::notify::reports::Reporter;
use crate::notify::web_push;
use crate::store::Store;
use crate::waiting::SharedRoom;
use crate::world;
use problem::ApiError;

/// Bodies are small forms.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// For the beginning of an answer; event streams go on after it.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long open requests may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);

/// What the handlers work with.
pub struct Api {
    pub store: Store,
    pub world: world::Shared,
    pub live: Arc<Live>,
    pub inlet: Inlet,
    pub waiting: Arc<SharedRoom>,
    pub commands: Arc<Commands>,
    pub clock: Clock,
    pub tokens: auth::Tokens,
    /// What browsers need to be told; `None` without a channel for them.
    pub push: Option<Arc<web_push::Settings>>,
    /// Providers that say later what became of a message.
    pub reports: Vec<Reporter>,
    /// Where platforms push to.
    pub push_in: push_in::Doors,
    pub health: Arc<Health>,
    pub metrics: Metrics,
    /// Where proposals are decided.
    pub desk: Desk,
    /// Ends the event streams.
    pub stop: CancellationToken,
    /// What the handlers share among themselves: `Own::default()`.
    pub own: Own,
}

pub struct Own {
    streams: Arc<Semaphore>,
    called: called::Called,
    probe: station::Probe,
    passwords: Passwords,
    throttle: Mutex<Throttle>,
    /// Of links for residents.
    ratings: Mutex<Throttle>,
    refusals: session::Refusals,
    looks: Mutex<positions::Looks>,
    running: repeats::Running,
    allowance: Mutex<resident::Allowance>,
    uploads: Semaphore,
    /// One change of plans' pictures at a time.
    plans: Semaphore,
    awaited: Mutex<photos::Awaited>,
    residents_uploads: Semaphore,
    explanations: Semaphore,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            streams: Arc::new(Semaphore::new(events::STREAMS_MAX)),
            called: called::Called::default(),
            probe: station::Probe::default(),
            passwords: Passwords::default(),
            throttle: Mutex::default(),
            ratings: Mutex::default(),
            refusals: session::Refusals::default(),
            looks: Mutex::default(),
            running: repeats::Running::default(),
            allowance: Mutex::default(),
            uploads: Semaphore::new(attachments::UPLOADS_MAX),
            plans: Semaphore::new(1),
            awaited: Mutex::default(),
            residents_uploads: Semaphore::new(photos::UPLOADS_MAX),
            explanations: Semaphore::new(1),
        }
    }
}

fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(alarms::list, alarms::raise))
        .routes(routes!(alarms::one))
        .routes(routes!(deeds::acknowledge))
        .routes(routes!(deeds::on_the_way))
        .routes(routes!(deeds::on_site))
        .routes(routes!(deeds::resolve))
        .routes(routes!(deeds::verify))
        .routes(routes!(deeds::send_back))
        .routes(routes!(deeds::evaluate))
        .routes(routes!(deeds::hand_over))
        .routes(routes!(deeds::suspend))
        .routes(routes!(deeds::resume))
        .routes(routes!(deeds::shelve))
        .routes(routes!(deeds::unshelve))
        .routes(routes!(ratings::link))
        .routes(routes!(ratings::show, ratings::rate))
        .routes(routes!(proposals::list))
        .routes(routes!(proposals::look))
        .routes(routes!(proposals::accept))
        .routes(routes!(proposals::refuse))
        .routes(routes!(proposals::tallies))
        .routes(routes!(indicators::indicators))
        .routes(routes!(maintenance::list, maintenance::begin))
        .routes(routes!(maintenance::end))
        .routes(routes!(drills::list, drills::begin))
        .routes(routes!(roll_calls::list, roll_calls::call))
        .routes(routes!(practice::practice))
        .routes(routes!(receipts::receipt))
        .routes(routes!(push::key))
        .routes(routes!(push::subscribe, push::unsubscribe))
        .routes(routes!(reports::report))
        .routes(routes!(push_in::take))
        .routes(routes!(events::follow))
        .routes(routes!(grid::devices))
        .routes(routes!(grid::device))
        .routes(routes!(stills::list))
        .routes(routes!(stills::one))
        .routes(routes!(explain::device))
        .routes(routes!(explain::cell))
        .routes(routes!(commands::command))
        .routes(routes!(orders::give))
        .routes(routes!(orders::list))
        .routes(routes!(orders::known))
        .routes(routes!(orders::withdraw))
        .routes(routes!(modbus::list))
        .routes(routes!(modbus::read))
        .routes(routes!(grid::cells))
        .routes(routes!(people::cell))
        .routes(routes!(plans::list))
        .routes(routes!(plans::put, plans::delete))
        .routes(routes!(plans::picture))
        .routes(routes!(plans::hang))
        .routes(routes!(redraw::split))
        .routes(routes!(redraw::merge))
        .routes(routes!(people::people))
        .routes(routes!(people::person, staffing::put_person, staffing::delete_person))
        .routes(routes!(staffing::post_duty, staffing::delete_duty))
        .routes(routes!(roster::absences, staffing::post_absence, staffing::delete_absence))
        .routes(routes!(leave::put, leave::end))
        .routes(routes!(roster::teams))
        .routes(routes!(teams::put, teams::end))
        .routes(routes!(roster::vacancies))
        .routes(routes!(attachments::list, attachments::add))
        .routes(routes!(attachments::one))
        .routes(routes!(hazards::report))
        .routes(routes!(resident::front, resident::report))
        .routes(routes!(photos::add))
        .routes(routes!(patrol::board))
        .routes(routes!(patrol::check_in, patrol::visits))
        .routes(routes!(patrol::points))
        .routes(routes!(positions::put, positions::withdraw))
        .routes(routes!(positions::list))
        .routes(routes!(history::series))
        .routes(routes!(history::dead_letters))
        .routes(routes!(letters::again))
        .routes(routes!(waiting::list))
        .routes(routes!(waiting::place))
        .routes(routes!(waiting::dismiss))
        .routes(routes!(rules::list))
        .routes(routes!(rules::ladder))
        .merge(files())
        .merge(rules_files())
        .routes(routes!(session::log_in, session::me, session::log_out))
        .routes(routes!(session::invited))
        .routes(routes!(session::change_password))
        .routes(routes!(session::passes))
        .routes(routes!(session::end_pass))
        .routes(routes!(session::make_token))
        .routes(routes!(session::offer_totp, session::begin_totp, session::end_totp))
        .routes(routes!(accounts::list, accounts::add))
        .routes(routes!(accounts::change))
        .routes(routes!(accounts::invite))
        .routes(routes!(accounts::end_passes))
        .routes(routes!(audit::search))
        .routes(routes!(station::metrics))
        .routes(routes!(station::openapi))
        .routes(routes!(station::healthz))
        .routes(routes!(station::readyz))
}

/// Whose bodies are files.
fn files() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(imports::import))
        .layer(DefaultBodyLimit::max(imports::FILE_BYTES_MAX))
}

/// The same with the rules, in JSON.
fn rules_files() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(rules_file::read, rules_file::save))
        .routes(routes!(rules_file::check))
        .routes(routes!(rules_file::begin_preview, rules_file::show_preview))
        .layer(DefaultBodyLimit::max(rules_file::FILE_BYTES_MAX))
}

pub fn router(api: Arc<Api>) -> Router {
    let guarded = routes()
        .route_layer(from_fn_with_state(api.clone(), repeats::once))
        .route_layer(from_fn_with_state(api.clone(), auth::authorize));
    let (router, document) = OpenApiRouter::with_openapi(document::head()).merge(guarded).split_for_parts();
    router
        .merge(page::routes())
        .layer(axum::Extension(document::finish(document)))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(within_time))
        .layer(from_fn(count))
        .layer(from_fn(problem::finish))
        .layer(from_fn(secure))
        .with_state(api)
}

/// Runs until `stop`; then open requests get a moment to end.
pub async fn serve(listener: TcpListener, api: Arc<Api>, stop: CancellationToken) -> anyhow::Result<()> {
    let service = router(api).into_make_service_with_connect_info::<listen::Peer>();
    let serving = axum::serve(listen::Guarded::new(listener), service)
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        ended = serving.into_future() => Ok(ended?),
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN).await } => {
            tracing::warn!("open HTTP connections did not end within {} s and are cut", DRAIN.as_secs());
            Ok(())
        }
    }
}

async fn within_time(request: Request, next: Next) -> Result<Response, ApiError> {
    tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await.map_err(|_| {
        let detail = "The gateway is too busy. If this was an action, look whether it took effect before you repeat it.";
        ApiError::status(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

async fn count(request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or("none".into(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::counter!("gridwarden_http_requests_total", "route" => route, "status" => status).increment(1);
    response
}

/// The page may load only its own files and talk only to this gateway; nobody may frame it.
async fn secure(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; \
        media-src 'self' blob:; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store")); // But the pages' own files.
    response
}
