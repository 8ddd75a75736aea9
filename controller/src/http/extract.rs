//! What handlers take from a request, each answering with a problem document where it does not fit.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// Largest request body, in bytes.
pub const MAX_BODY: usize = 256 * 1024;

/// A request body must be whole within this time after its head.
const PATIENCE: Duration = Duration::from_secs(20);

/// A JSON body.
pub struct Body<T>(pub T);

/// A JSON body that may be left out, which counts as `{}`.
pub struct OptionalBody<T>(pub T);

/// Path parameters.
pub struct PathOf<T>(pub T);

/// Query parameters.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let typed = is_json(request.headers());
        let bytes = whole(request, state).await?;
        if !typed {
            return Err(not_json());
        }
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let typed = is_json(request.headers());
        let bytes = whole(request, state).await?;
        match (bytes.is_empty(), typed) {
            (true, _) => parse(b"{}").map(Self),
            (false, true) => parse(&bytes).map(Self),
            (false, false) => Err(not_json()),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::malformed(format!(
                "The path cannot be read: {}. Copy the id from the API's own answers.",
                rejection.body_text()
            ))),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::malformed(format!(
                "The query cannot be read: {}. /api/openapi.json lists what may be asked.",
                rejection.body_text()
            ))),
        }
    }
}

/// Whether a body is declared as JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// The body is not declared as JSON.
pub(super) fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not-json",
        "Not JSON",
        "Send the body as JSON, with the header `Content-Type: application/json`.",
    )
}

/// The whole body. One that trickles in is given up, and its connection with it.
async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    match tokio::time::timeout(PATIENCE, Bytes::from_request(request, state)).await {
        Ok(read) => read.map_err(|rejection| unread(&rejection)),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "Body too slow",
            format!("The body was not whole after {} s; send it faster, or less.", PATIENCE.as_secs()),
        )),
    }
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "Body too large",
            format!("The body is larger than {} KiB; send less.", MAX_BODY / 1024),
        );
    }
    Problem::malformed("The body ended before it was whole; send it again.")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = (error.line(), error.column());
        let problem = if error.is_data() {
            Problem::invalid(format!("The body does not fit: {error}. /api/openapi.json describes it."))
        } else {
            Problem::malformed(format!("The body is not JSON: {error}. Mend it there."))
        };
        problem.with("line", place.0).with("column", place.1)
    })
}
