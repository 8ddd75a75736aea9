//! Problem details (RFC 9457): the one shape in which this API says no.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::accounts::LoginError;
use crate::accounts::password::HashError;
use crate::store::StoreError;

/// Media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done, and what to do about it.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    retry_after: Option<u64>,
    members: Map<String, Value>,
}

/// A problem document as it is sent. Some problems have further members, named in their `detail`.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// Which kind of problem: `urn:roadstead:problem:…`, stable, for programs to tell problems apart.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, and what to do.
    detail: String,
    /// Further members.
    #[serde(flatten)]
    members: Map<String, Value>,
}

impl Problem {
    /// A problem. `detail` says what to do.
    #[must_use]
    pub fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, slug, title, detail: detail.into(), retry_after: None, members: Map::new() }
    }

    /// Adds a member for programs to read.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// What happened, and what to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether it is the controller's fault rather than the request's.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.status.is_server_error()
    }

    /// The request can be read and makes no sense.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid request", detail)
    }

    /// The request cannot be read.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "Malformed request", detail)
    }

    /// There is nothing by that id.
    #[must_use]
    pub fn unknown(slug: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, slug, "Not found", detail)
    }

    /// Nobody is logged in.
    #[must_use]
    pub fn not_logged_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not-logged-in",
            "Not logged in",
            "Log in with POST /api/login first, and send its cookie along; or send an API token.",
        )
    }

    /// Something went wrong here, not with the request.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "The controller made a mistake; its log says which. Please report it.",
        )
    }

    /// Somebody tried to log in too often.
    #[must_use]
    pub fn too_many_attempts(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail = format!("Too many login attempts; try again in {seconds} s.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "Too many attempts", detail)
            .retry_after(seconds)
    }

    /// More is asked than the controller takes on at once.
    #[must_use]
    pub fn busy(detail: impl Into<String>, seconds: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", detail).retry_after(seconds)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: format!("urn:roadstead:problem:{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            members: self.members,
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request failed because of the store");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store",
            "Store unavailable",
            format!("The controller's store does not work ({error}); look at the disk that holds its data."),
        )
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Wrong => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong-password",
                "Login failed",
                "User name or password is wrong. The administrator is called `admin`; its password was printed at \
                 the controller's first start, and ROADSTEAD_PASSWORD sets a new one.",
            ),
            LoginError::CodeMissing => Self::new(
                StatusCode::UNAUTHORIZED,
                "second-factor",
                "Code needed",
                "The password is right, and this account has a second factor: send its `code` along, or a recovery \
                 code.",
            ),
            LoginError::WrongCode => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong-code",
                "Wrong code",
                "The code is wrong, or was used before. Wait for the next one; if all are wrong, set the clock of \
                 the device that shows them.",
            ),
            LoginError::TooMany(wait) => Self::too_many_attempts(wait),
            LoginError::Hash(HashError::Busy) => {
                Self::busy("Too many logins at once; try again in a few seconds.", 2)
            }
            LoginError::Hash(HashError::Failed(error)) => {
                tracing::error!(error, "a password could not be checked");
                Self::internal()
            }
            LoginError::NoGuests => Self::new(
                StatusCode::FORBIDDEN,
                "no-guests",
                "No guests",
                "Guests are only let in where the controller runs with ROADSTEAD_DEMO_MODE=true; log in instead.",
            ),
            LoginError::Store(error) => error.into(),
        }
    }
}
