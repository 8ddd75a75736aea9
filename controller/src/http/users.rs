//! Users, for administrators.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Administrator, Peer};
use super::extract::{Body, OptionalBody, PathOf};
use super::json::Json;
use super::problem::Problem;
use super::time::Time;
use crate::accounts::{NewUser, Person, Role, UserChange, UserRecord};

/// What somebody may do; each may do what those before may.
#[derive(Clone, Copy, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleView {
    /// Looks.
    Viewer,
    /// Changes instances and runs commands.
    Operator,
    /// Sees the audit log as well, and manages users.
    Admin,
}

/// A user to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUserRequest {
    /// Name: small letters, digits, and `. _ - @ +`.
    #[schema(pattern = "^[a-z0-9][a-z0-9._@+-]{0,63}$")]
    name: String,
    /// Password, at least 8 characters; left out, one is made and answered once.
    #[schema(min_length = 8, max_length = 256)]
    password: Option<String>,
    /// What the user may do.
    role: RoleView,
    /// The user sees and acts on instances with one of these tags; empty for all.
    #[serde(default)]
    tags: Vec<String>,
}

/// What to change about a user: what is left out stays as it is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChangeRequest {
    /// New role.
    role: Option<RoleView>,
    /// New tags; empty for every instance.
    tags: Option<Vec<String>>,
    /// Whether the user is kept out: sessions end, and tokens are of no use.
    disabled: Option<bool>,
}

/// A new password for a user.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPasswordRequest {
    /// The password, at least 8 characters; left out, one is made and answered once.
    password: Option<String>,
}

/// A user.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserView {
    /// Name.
    name: String,
    /// `admin`, `operator` or `viewer`.
    role: &'static str,
    /// The user sees and acts on instances with one of these tags; empty for all.
    tags: Vec<String>,
    /// Whether the user is kept out.
    disabled: bool,
    /// The provider that the user signs in at; none for a user with a password.
    issuer: Option<String>,
    /// Whether signing in takes a second factor.
    second_factor: bool,
    /// Recovery codes that are left; none without a second factor.
    recovery_codes: Option<u32>,
    /// When the user was made.
    created_at: Time,
    /// When the user last signed in.
    last_login: Option<Time>,
}

/// Every user, by name.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UsersView {
    /// The users.
    users: Vec<UserView>,
}

/// A user with the password that was made.
#[derive(Serialize, utoipa::ToSchema)]
pub struct NewUserView {
    /// The user.
    user: UserView,
    /// The password that was made, shown this once; none if one was given.
    password: Option<String>,
}

/// Every user.
#[utoipa::path(get, path = "/api/users", tag = "users", responses((status = OK, body = UsersView)))]
pub async fn list_users(State(app): State<Arc<App>>, _: Administrator) -> Result<Json<UsersView>, Problem> {
    let mut users = Vec::new();
    for record in app.services.accounts.users().await? {
        users.push(view(&app, record).await?);
    }
    Ok(Json(UsersView { users }))
}

/// Make a user.
#[utoipa::path(post, path = "/api/users", tag = "users", request_body = NewUserRequest,
    responses((status = CREATED, body = NewUserView)))]
pub async fn add_user(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
    Body(request): Body<NewUserRequest>,
) -> Result<Response, Problem> {
    let name = request.name.clone();
    let role = request.role.into();
    let new = NewUser { name: request.name, password: request.password, role, tags: request.tags };
    let added = app.services.accounts.add_user(new).await.map_err(Problem::from);
    app.audit(&person, peer, "user.add", &format!("{name} ({})", role.as_str()), &added).await;
    let (record, password) = added?;
    let location = format!("/api/users/{}", record.name);
    let user = view(&app, record).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(NewUserView { user, password }))
        .into_response())
}

/// One user.
#[utoipa::path(get, path = "/api/users/{name}", tag = "users",
    params(("name" = String, Path, description = "Name of the user")),
    responses((status = OK, body = UserView)))]
pub async fn one_user(
    State(app): State<Arc<App>>,
    _: Administrator,
    PathOf(name): PathOf<String>,
) -> Result<Json<UserView>, Problem> {
    let record = app.services.accounts.known(&name).await?;
    view(&app, record).await.map(Json)
}

/// Change a user's role or tags, or keep the user out. It counts from the next request on. The last administrator
/// stays one.
#[utoipa::path(patch, path = "/api/users/{name}", tag = "users", request_body = UserChangeRequest,
    params(("name" = String, Path, description = "Name of the user")),
    responses((status = OK, body = UserView)))]
pub async fn change_user(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
    PathOf(name): PathOf<String>,
    Body(request): Body<UserChangeRequest>,
) -> Result<Json<UserView>, Problem> {
    let change =
        UserChange { role: request.role.map(Into::into), tags: request.tags, disabled: request.disabled };
    let target = describe(&name, &change);
    let changed = app.services.accounts.change_user(&name, change).await.map_err(Problem::from);
    app.audit(&person, peer, "user.change", &target, &changed).await;
    view(&app, changed?).await.map(Json)
}

/// Remove a user with every session and API token. The last administrator stays.
#[utoipa::path(delete, path = "/api/users/{name}", tag = "users",
    params(("name" = String, Path, description = "Name of the user")),
    responses((status = NO_CONTENT)))]
pub async fn remove_user(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
    PathOf(name): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let removed = app.services.accounts.remove_user(&name).await.map_err(Problem::from);
    app.audit(&person, peer, "user.remove", &name, &removed).await;
    removed.map(|()| StatusCode::NO_CONTENT)
}

/// Give another user a new password. Every session of the user ends; API tokens and the second factor stay. Not for who
/// signs in at a provider.
#[utoipa::path(post, path = "/api/users/{name}/password", tag = "users", request_body = NewPasswordRequest,
    params(("name" = String, Path, description = "Name of the user")),
    responses((status = OK, body = NewUserView)))]
pub async fn set_password(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
    PathOf(name): PathOf<String>,
    OptionalBody(request): OptionalBody<NewPasswordRequest>,
) -> Result<Json<NewUserView>, Problem> {
    let set = async {
        others(&person, &name, "POST /api/account/password")?;
        app.services.accounts.set_password(&name, request.password, None).await.map_err(Problem::from)
    };
    let set = set.await;
    app.audit(&person, peer, "user.password", &name, &set).await;
    let password = set?;
    let user = view(&app, app.services.accounts.known(&name).await?).await?;
    Ok(Json(NewUserView { user, password }))
}

/// Take another user's second factor away: for who has lost it, and the recovery codes.
#[utoipa::path(delete, path = "/api/users/{name}/second-factor", tag = "users",
    params(("name" = String, Path, description = "Name of the user")),
    responses((status = NO_CONTENT)))]
pub async fn reset_second_factor(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
    PathOf(name): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let reset = async {
        others(&person, &name, "POST /api/account/second-factor/remove")?;
        app.services.accounts.remove_second_factor(&name).await.map_err(Problem::from)
    };
    let reset = reset.await;
    app.audit(&person, peer, "user.second-factor", &name, &reset).await;
    reset.map(|()| StatusCode::NO_CONTENT)
}

/// One's own account is changed with a proof of who asks, which whoever found an open browser does not have.
fn others(person: &Person, name: &str, instead: &str) -> Result<(), Problem> {
    if person.name != name {
        return Ok(());
    }
    let detail = format!("This is your own account, which takes your password to change: use {instead}.");
    Err(Problem::new(StatusCode::FORBIDDEN, "own-account", "Own account", detail))
}

/// The change as the audit log names it.
fn describe(name: &str, change: &UserChange) -> String {
    let mut parts = vec![name.to_owned()];
    parts.extend(change.role.map(|role| format!("role={}", role.as_str())));
    parts.extend(change.tags.as_ref().map(|tags| format!("tags={}", tags.join(","))));
    parts.extend(change.disabled.map(|disabled| format!("disabled={disabled}")));
    parts.join(" ")
}

/// A user as the API tells of one.
pub(super) async fn view(app: &App, record: UserRecord) -> Result<UserView, Problem> {
    let recovery_codes = match record.totp_secret {
        Some(_) => Some(app.services.accounts.recovery_codes_left(&record.name).await?),
        None => None,
    };
    Ok(UserView {
        role: record.role.as_str(),
        tags: record.tags,
        disabled: record.disabled,
        second_factor: record.totp_secret.is_some(),
        issuer: record.issuer,
        recovery_codes,
        created_at: Time(record.created_at),
        last_login: record.last_login.map(Time),
        name: record.name,
    })
}

impl From<RoleView> for Role {
    fn from(role: RoleView) -> Self {
        match role {
            RoleView::Viewer => Self::Viewer,
            RoleView::Operator => Self::Operator,
            RoleView::Admin => Self::Admin,
        }
    }
}
