//! The audit log: reading it, and what handlers write to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Administrator, Peer};
use super::extract::Params;
use super::problem::Problem;
use super::time::Time;
use crate::accounts::Person;
use crate::audit::{AuditResult, Entry};

/// Most entries of one page.
const MAX_PAGE: u32 = 500;

/// Which entries to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// From the page before: `next`.
    cursor: Option<i64>,
    /// How many, at most 500.
    limit: Option<u32>,
}

/// Entries of the audit log, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditView {
    /// The entries.
    entries: Vec<AuditEntryView>,
    /// The cursor of the next page; none if this is the last.
    next: Option<i64>,
}

/// One entry.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditEntryView {
    /// Its place in the log, ascending.
    id: i64,
    /// When.
    at: Time,
    /// Who: a user's name, or what was claimed at login.
    who: String,
    /// From which network address.
    address: Option<String>,
    /// What was done or asked.
    what: String,
    /// To what.
    target: Option<String>,
    /// `ok`, `refused` or `failed`.
    result: String,
    /// More, for a person to read.
    detail: Option<String>,
}

/// Who did what, when, from where: newest first.
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(AuditQuery),
    responses((status = OK, body = AuditView)))]
pub async fn audit_log(
    State(app): State<Arc<App>>,
    _: Administrator,
    Params(query): Params<AuditQuery>,
) -> Result<Json<AuditView>, Problem> {
    let limit = query.limit.unwrap_or(100).clamp(1, MAX_PAGE);
    let mut records = app.services.audit.page(query.cursor, limit + 1).await?;
    let more = records.len() > limit as usize;
    records.truncate(limit as usize);
    let next = if more { records.last().map(|last| last.id) } else { None };
    let entries = records.into_iter().map(|record| AuditEntryView {
        id: record.id,
        at: Time(record.at),
        who: record.who,
        address: record.address,
        what: record.what,
        target: record.target,
        result: record.result,
        detail: record.detail,
    });
    Ok(Json(AuditView { entries: entries.collect(), next }))
}

impl App {
    /// Writes down what `person` asked for and how it went.
    pub(super) async fn audit<T: Sync>(
        &self,
        person: &Person,
        peer: Peer,
        what: &str,
        target: &str,
        result: &Result<T, Problem>,
    ) {
        let (outcome, detail) = match result {
            Ok(_) => (AuditResult::Done, None),
            Err(problem) if problem.is_ours() => (AuditResult::Failed, Some(problem.detail())),
            Err(problem) => (AuditResult::Refused, Some(problem.detail())),
        };
        let entry = Entry {
            who: &person.label(),
            address: Some(peer.ip()),
            what,
            target: Some(target),
            result: outcome,
            detail,
        };
        self.services.audit.record(entry).await;
    }
}
