//! One's own account: password and second factor. Who asks shows the password again, so that a stranger at an open
//! browser cannot take the account over.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Member, Peer};
use super::extract::Body;
use super::json::Json;
use super::problem::Problem;
use super::session::origin;
use super::users::{UserView, view};
use crate::accounts::{Person, UserError};

/// A new password for oneself.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChangeRequest {
    /// The password so far.
    password: String,
    /// Code of the second factor, where there is one.
    code: Option<String>,
    /// The new password: at least 8 characters.
    new_password: String,
}

/// Proof that it is really oneself who asks.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofRequest {
    /// The password.
    password: String,
    /// Code of the second factor, where there is one, or a recovery code.
    code: Option<String>,
}

/// The first code of a second factor.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// The code that the app shows.
    code: String,
}

/// A second factor that counts from its first code on. Shown once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PendingFactorView {
    /// The secret, as it is typed into an app.
    secret: String,
    /// The same as a link, for apps and QR codes.
    otpauth_url: String,
}

/// Recovery codes. Shown once; each is good once, in place of a code.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RecoveryCodesView {
    /// The codes.
    recovery_codes: Vec<String>,
}

/// One's own account.
#[utoipa::path(get, path = "/api/account", tag = "account", responses((status = OK, body = UserView)))]
pub async fn own_account(
    State(app): State<Arc<App>>,
    Member(person): Member,
) -> Result<Json<UserView>, Problem> {
    let record = app.services.accounts.known(&person.name).await?;
    view(&app, record).await.map(Json)
}

/// Change one's password. Every other session of the account ends; API tokens stay.
#[utoipa::path(post, path = "/api/account/password", tag = "account", request_body = PasswordChangeRequest,
    responses((status = NO_CONTENT)))]
pub async fn change_password(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    headers: HeaderMap,
    Body(request): Body<PasswordChangeRequest>,
) -> Result<StatusCode, Problem> {
    let proof = ProofRequest { password: request.password, code: request.code };
    let change = async {
        prove(&app, &person, &headers, &peer, proof).await?;
        let keep = person.session();
        app.services.accounts.set_password(&person.name, Some(request.new_password), keep).await
    };
    let changed = change.await.map_err(Problem::from);
    app.audit(&person, peer, "account.password", &person.name, &changed).await;
    changed.map(|_| StatusCode::NO_CONTENT)
}

/// Begin to set up a second factor. It counts once its first code is confirmed.
#[utoipa::path(post, path = "/api/account/second-factor", tag = "account", request_body = ProofRequest,
    responses((status = CREATED, body = PendingFactorView)))]
pub async fn begin_second_factor(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    headers: HeaderMap,
    Body(request): Body<ProofRequest>,
) -> Result<(StatusCode, Json<PendingFactorView>), Problem> {
    let begin = async {
        prove(&app, &person, &headers, &peer, request).await?;
        app.services.accounts.begin_second_factor(&person.name).await
    };
    let begun = begin.await.map_err(Problem::from);
    app.audit(&person, peer, "second-factor.begin", &person.name, &begun).await;
    let pending = begun?;
    Ok((StatusCode::CREATED, Json(PendingFactorView { secret: pending.secret, otpauth_url: pending.url })))
}

/// Confirm a second factor by its first code. Answers with recovery codes.
#[utoipa::path(post, path = "/api/account/second-factor/confirm", tag = "account", request_body = CodeRequest,
    responses((status = OK, body = RecoveryCodesView)))]
pub async fn confirm_second_factor(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    Body(request): Body<CodeRequest>,
) -> Result<Json<RecoveryCodesView>, Problem> {
    let confirmed = app.services.accounts.confirm_second_factor(&person.name, &request.code).await;
    let confirmed = confirmed.map_err(Problem::from);
    app.audit(&person, peer, "second-factor.confirm", &person.name, &confirmed).await;
    Ok(Json(RecoveryCodesView { recovery_codes: confirmed? }))
}

/// Take one's second factor away.
#[utoipa::path(post, path = "/api/account/second-factor/remove", tag = "account", request_body = ProofRequest,
    responses((status = NO_CONTENT)))]
pub async fn remove_second_factor(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    headers: HeaderMap,
    Body(request): Body<ProofRequest>,
) -> Result<StatusCode, Problem> {
    let remove = async {
        prove(&app, &person, &headers, &peer, request).await?;
        app.services.accounts.remove_second_factor(&person.name).await
    };
    let removed = remove.await.map_err(Problem::from);
    app.audit(&person, peer, "second-factor.remove", &person.name, &removed).await;
    removed.map(|()| StatusCode::NO_CONTENT)
}

/// Replace one's recovery codes.
#[utoipa::path(post, path = "/api/account/recovery-codes", tag = "account", request_body = ProofRequest,
    responses((status = OK, body = RecoveryCodesView)))]
pub async fn renew_recovery_codes(
    State(app): State<Arc<App>>,
    Member(person): Member,
    peer: Peer,
    headers: HeaderMap,
    Body(request): Body<ProofRequest>,
) -> Result<Json<RecoveryCodesView>, Problem> {
    let renew = async {
        prove(&app, &person, &headers, &peer, request).await?;
        app.services.accounts.renew_recovery_codes(&person.name).await
    };
    let renewed = renew.await.map_err(Problem::from);
    app.audit(&person, peer, "recovery-codes.renew", &person.name, &renewed).await;
    Ok(Json(RecoveryCodesView { recovery_codes: renewed? }))
}

async fn prove(
    app: &App,
    person: &Person,
    headers: &HeaderMap,
    peer: &Peer,
    proof: ProofRequest,
) -> Result<(), UserError> {
    app.services.accounts.known_with_password(&person.name).await?;
    let from = origin(headers, peer);
    app.services.accounts.prove(&person.name, proof.password, proof.code, &from).await?;
    Ok(())
}
