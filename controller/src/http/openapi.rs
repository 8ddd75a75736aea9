//! The description of the API, made from the routes themselves.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, Ref, ResponseBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::problem::{MEDIA_TYPE, ProblemDocument};

const ABOUT: &str = "One picture of many Docker hosts, and a way to act on them. Log in with POST /api/login and send \
the cookie along, or send an API token as `Authorization: Bearer rst_…`; docs/permissions.md has who may do what. Every refusal and failure is a problem document (RFC 9457) whose `detail` says what to do. Times \
are RFC 3339, UTC; every figure comes with its age.";

/// The description of this API.
#[utoipa::path(get, path = "/api/openapi.json", tag = "controller",
    responses((status = OK, description = "OpenAPI 3.1", content_type = "application/json")))]
pub async fn openapi_document() -> Response {
    // Made once: it takes no login to ask for it again and again.
    static DOCUMENT: LazyLock<String> = LazyLock::new(document);
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// The document as JSON.
pub(super) fn document() -> String {
    let mut document = super::routes().into_openapi();
    document.info = InfoBuilder::new()
        .title("Roadstead")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    describe_login(&mut document);
    describe_problems(&mut document);
    // Made of maps with text keys alone, which always can be written.
    document.to_pretty_json().unwrap_or_default()
}

fn describe_login(document: &mut OpenApi) {
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("roadstead_session")));
    let bearer =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API token (`rst_…`)")).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("session", cookie);
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
}

/// Every operation may answer with a problem.
fn describe_problems(document: &mut OpenApi) {
    let name = ProblemDocument::name();
    let schemas = &mut document.components.get_or_insert_default().schemas;
    schemas.insert(name.to_string(), ProblemDocument::schema());
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(name.as_ref()))).build();
    let problem = ResponseBuilder::new()
        .description("Not done; `detail` says why, and what to do.")
        .content(MEDIA_TYPE, content)
        .build();
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| {
        [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
    });
    for operation in operations {
        let operation: &mut Operation = operation;
        operation.responses.responses.insert("default".to_owned(), problem.clone().into());
    }
}
