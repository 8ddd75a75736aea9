//! The audit log: reading it, and what handlers write to it.

use std::sync::Arc;

use axum::BoxError;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Administrator, Peer};
use super::extract::Params;
use super::json::Json;
use super::problem::Problem;
use super::streams::Reading;
use super::time::Time;
use crate::accounts::Person;
use crate::audit::export::Format;
use crate::audit::{Audit, AuditResult, Entry};
use crate::store::audit::{AuditEntry, AuditRecord};

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
    /// The command that it is about; how that ended is at `/api/commands/{id}`.
    command: Option<String>,
    /// Its place in the chain, to be noted elsewhere: `id:hash`.
    anchor: String,
}

/// What to export.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// In which form; `jsonl` if left out.
    #[param(inline)]
    format: Option<ExportFormat>,
    /// Only entries newer than this one.
    after: Option<i64>,
}

/// Forms of an export.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// JSON lines: exact, one entry a line.
    Jsonl,
    /// CSV with a header, made safe for spreadsheets.
    Csv,
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
    Ok(Json(AuditView { entries: records.into_iter().map(AuditEntryView::from).collect(), next }))
}

/// The whole audit log, oldest first, as a file. Each entry holds the hash of the one before it and its own.
#[utoipa::path(get, path = "/api/audit/export", tag = "audit", params(ExportQuery),
    responses((status = OK, content(
        (String = "application/x-ndjson"),
        (String = "text/csv")
    ))))]
pub async fn export_audit_log(
    State(app): State<Arc<App>>,
    Administrator(person): Administrator,
    peer: Peer,
    Params(query): Params<ExportQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reading = Reading::new(&app, person.clone(), &headers, &peer)?;
    let (format, media_type, name) = match query.format.unwrap_or(ExportFormat::Jsonl) {
        ExportFormat::Jsonl => (Format::JsonLines, "application/x-ndjson", "audit.jsonl"),
        ExportFormat::Csv => (Format::Csv, "text/csv; charset=utf-8", "audit.csv"),
    };
    app.audit(&person, peer, "audit.export", name, &Ok::<_, Problem>(())).await;
    let export =
        Export { audit: app.services.audit.clone(), format, after: query.after.unwrap_or(0), reading };
    let header = stream::iter((!format.header().is_empty()).then(|| Ok(format.header().to_owned())));
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, media_type.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, Body::from_stream(header.chain(export.into_stream()))).into_response())
}

/// An export under way, which reads a page whenever its reader has taken the one before.
struct Export {
    audit: Audit,
    format: Format,
    after: i64,
    reading: Reading,
}

impl Export {
    /// Its pages. An error ends the answer before its time, which a client can tell from its end.
    fn into_stream(self) -> impl Stream<Item = Result<String, BoxError>> + Send {
        stream::try_unfold(self, |mut export| async move {
            export.reading.goes_on().await?;
            let records = export.audit.after(export.after, MAX_PAGE).await?;
            let Some(last) = records.last() else { return Ok(None) };
            export.after = last.id;
            let page: String = records.iter().map(|record| export.format.line(record)).collect();
            Ok(Some((page, export)))
        })
    }
}

impl From<AuditRecord> for AuditEntryView {
    fn from(record: AuditRecord) -> Self {
        let (id, anchor, entry) = (record.id, record.anchor().to_string(), record.entry);
        Self {
            id,
            at: Time(entry.at),
            who: entry.who,
            address: entry.address,
            what: entry.what,
            target: entry.target,
            result: entry.result,
            detail: entry.detail,
            command: entry.command.map(|id| id.to_string()),
            anchor,
        }
    }
}

/// What was asked of one of many hosts, and how that went.
pub(super) struct Asked {
    pub(super) instance: InstanceId,
    pub(super) what: &'static str,
    pub(super) target: String,
    pub(super) result: Result<CommandId, Problem>,
}

impl App {
    /// Writes down what `person` asked of many hosts, in one write.
    pub(super) async fn audit_many(&self, person: &Person, peer: Peer, asked: &[Asked]) {
        let who = person.label();
        let entries = asked.iter().filter_map(|one| {
            let (result, detail) = outcome(&one.result);
            if result == AuditResult::Refused && !self.may_audit_refusal(&person.name) {
                return None;
            }
            let (address, target) = (Some(peer.ip()), Some(one.target.as_str()));
            let entry = Entry { who: &who, address, what: one.what, target, result, detail };
            Some(AuditEntry { command: one.result.as_ref().ok().copied(), ..entry.to_store() })
        });
        let entries: Vec<_> = entries.collect();
        if !entries.is_empty() {
            self.services.audit.write(entries).await;
        }
    }

    /// Writes down what `person` asked for and how it went.
    pub(super) async fn audit<T: Sync>(
        &self,
        person: &Person,
        peer: Peer,
        what: &str,
        target: &str,
        result: &Result<T, Problem>,
    ) {
        self.audit_about(person, peer, what, target, result, None).await;
    }

    /// The same, about a command.
    pub(super) async fn audit_about<T: Sync>(
        &self,
        person: &Person,
        peer: Peer,
        what: &str,
        target: &str,
        result: &Result<T, Problem>,
        command: Option<CommandId>,
    ) {
        let (outcome, detail) = outcome(result);
        if outcome == AuditResult::Refused && !self.may_audit_refusal(&person.name) {
            return;
        }
        let entry = Entry {
            who: &person.label(),
            address: Some(peer.ip()),
            what,
            target: Some(target),
            result: outcome,
            detail,
        };
        self.services.audit.record_about(entry, command).await;
    }
}

fn outcome<T>(result: &Result<T, Problem>) -> (AuditResult, Option<&str>) {
    match result {
        Ok(_) => (AuditResult::Done, None),
        Err(problem) if problem.is_ours() => (AuditResult::Failed, Some(problem.detail())),
        Err(problem) => (AuditResult::Refused, Some(problem.detail())),
    }
}
