//! The OpenAPI document: what the code does not say by itself, around what it says.

use std::sync::Arc;

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::auth;
use super::events::{Lagged, PresenceEvent, ReadingEvent, RegistryEvent};
use super::problem::Problem;
use super::station::Document;

const ABOUT: &str = "The API of a Gridwarden station. Errors are problem documents (RFC 9457). Times are RFC 3339 in UTC. \
Lists come in pages: pass `next` of one page as the cursor of the following one. docs/api.md tells more.";

/// Title, version and the two ways to be known.
pub fn head() -> OpenApi {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A personal token, or one of station.toml ([[http.token]])."))
        .build();
    let mut components = Components::new();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let cookie = ApiKeyValue::with_description(auth::COOKIE, "The session that POST /api/v1/session begins.");
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let info = InfoBuilder::new()
        .title("Gridwarden")
        .description(Some(ABOUT))
        .version(env!("CARGO_PKG_VERSION"))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some(["token", "session"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()))))
        .build()
}

/// Adds what holds for every route: the error answer, and the schemas of events that no route names.
pub fn finish(mut document: OpenApi) -> Document {
    let components = document.components.get_or_insert_with(Components::new);
    let mut schemas = vec![
        (Problem::name().into(), Problem::schema()),
        (Lagged::name().into(), Lagged::schema()),
        (PresenceEvent::name().into(), PresenceEvent::schema()),
        (ReadingEvent::name().into(), ReadingEvent::schema()),
        (RegistryEvent::name().into(), RegistryEvent::schema()),
    ];
    Problem::schemas(&mut schemas);
    PresenceEvent::schemas(&mut schemas);
    ReadingEvent::schemas(&mut schemas);
    components.schemas.extend(schemas);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            let content = ContentBuilder::new()
                .schema(Some(RefOr::Ref(Ref::from_schema_name(Problem::name()))))
                .build();
            let problem = ResponseBuilder::new()
                .description("What went wrong")
                .content("application/problem+json", content)
                .build();
            operation.responses.responses.insert("default".into(), problem.into());
        }
    }
    let text = document.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written as JSON");
        "{}".into()
    });
    Document(Arc::from(text))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete, &mut item.patch].into_iter().flatten()
}
