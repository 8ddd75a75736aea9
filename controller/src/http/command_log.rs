//! The log of a command: what is stored, and, for who wants to follow, what comes until it ends.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::App;
use super::access::{Peer, Reader};
use super::commands::command;
use super::extract::{Params, PathOf};
use super::json::Json;
use super::live::json_event;
use super::problem::Problem;
use super::streams::{RECHECK, StreamPlace, Visit};
use super::views::command::{CommandStateView, CommandView, LogLineView};
use crate::commands::CommandChange;
use crate::model::LogLine;
use crate::store::StoreError;

/// Most lines of one answer, and of one read while following.
const MAX_LINES: usize = 1000;

/// Which lines.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// First line wanted; 0 if left out.
    from: Option<u64>,
    /// How many, at most 1,000; of no meaning while following.
    limit: Option<usize>,
}

/// Lines of a command's log.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LogView {
    /// The command.
    command_id: String,
    /// Where it stands.
    state: CommandStateView,
    /// Whether it has ended; then no more lines come.
    ended: bool,
    /// The lines.
    lines: Vec<LogLineView>,
    /// The line to ask for next.
    next_line: u64,
}

/// A command's log: the lines stored so far. With `Accept: text/event-stream` it follows: each line an event `line`
/// whose id is the line's number (`Last-Event-ID` resumes after it), at last an event `end` with the command.
#[utoipa::path(get, path = "/api/commands/{id}/log", tag = "commands",
    params(("id" = String, Path, description = "Id of the command"), LogQuery),
    responses((status = OK, body = LogView)))]
pub async fn command_log(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    peer: Peer,
    PathOf(id): PathOf<CommandId>,
    Params(query): Params<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from = query.from.unwrap_or(0);
    if headers.get(header::ACCEPT).is_some_and(|accept| names_event_stream(accept.as_bytes())) {
        let changes = app.services.commands.subscribe();
        command(&app, &person, id).await?;
        let place = app.streams.place(&person)?;
        let visit = Visit::new(person, &headers, &peer)?;
        let next_line = resume_after(&headers).unwrap_or(from);
        let recheck_at = Instant::now() + RECHECK;
        let follower =
            Follower { app, id, next_line, changes, visit, recheck_at, ended: false, _place: place };
        return Ok(Sse::new(follower.into_stream()).keep_alive(KeepAlive::new()).into_response());
    }
    // In this order: the lines of a command that has ended are complete.
    let record = command(&app, &person, id).await?;
    let limit = query.limit.unwrap_or(MAX_LINES).clamp(1, MAX_LINES);
    let lines = app.services.commands.log(id, from, limit).await?;
    let next_line = lines.last().map_or(from, |last| last.line + 1);
    Ok(Json(LogView {
        command_id: id.to_string(),
        state: record.state.into(),
        ended: record.state.is_final(),
        lines: lines.iter().map(LogLineView::new).collect(),
        next_line,
    })
    .into_response())
}

/// Somebody who follows one log. Changes only wake it up; what it tells it always reads from the store, so that
/// nothing is missed or told twice.
struct Follower {
    app: Arc<App>,
    id: CommandId,
    next_line: u64,
    changes: broadcast::Receiver<CommandChange>,
    visit: Visit,
    recheck_at: Instant,
    ended: bool,
    _place: StreamPlace,
}

impl Follower {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        let batches = stream::unfold(self, |mut follower| async move {
            let batch = follower.next().await?;
            Some((stream::iter(batch.into_iter().map(Ok)), follower))
        });
        futures_util::StreamExt::flatten(batches)
    }

    /// The next events; none when all is told.
    async fn next(&mut self) -> Option<Vec<Event>> {
        while !self.ended {
            // Whether or not there is more to tell: a log that never rests must not outlive its reader's session.
            if Instant::now() >= self.recheck_at && !self.may_go_on().await {
                return None;
            }
            match self.read().await {
                Ok(events) if !events.is_empty() => return Some(events),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, command = %self.id, "a followed log cannot be read from the store");
                    return None;
                }
            }
            self.wait().await?;
        }
        None
    }

    async fn read(&mut self) -> Result<Vec<Event>, StoreError> {
        // In this order: the lines of a command that has ended are complete.
        let record = self.app.services.commands.one(self.id).await?;
        let lines = self.app.services.commands.log(self.id, self.next_line, MAX_LINES).await?;
        let mut events: Vec<_> = lines.iter().map(line_event).collect();
        if let Some(last) = lines.last() {
            self.next_line = last.line + 1;
        }
        let Some(record) = record else {
            self.ended = true;
            return Ok(events);
        };
        if record.state.is_final() && lines.len() < MAX_LINES {
            self.ended = true;
            events.push(json_event("end", &CommandView::new(&record, UnixMicros::now())));
        }
        Ok(events)
    }

    /// Waits until there may be more to tell, or it is time to look at the session. None ends the stream.
    async fn wait(&mut self) -> Option<()> {
        let id = self.id;
        let changes = &mut self.changes;
        let changed = async {
            loop {
                match changes.recv().await {
                    Ok(CommandChange::State(record)) if record.id == id => return Some(()),
                    Ok(CommandChange::Lines { command, .. }) if command == id => return Some(()),
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => return Some(()),
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        };
        tokio::select! {
            () = self.app.ending.cancelled() => None,
            () = tokio::time::sleep_until(self.recheck_at) => Some(()),
            changed = changed => changed,
        }
    }

    async fn may_go_on(&mut self) -> bool {
        self.recheck_at = Instant::now() + RECHECK;
        // An instance may have gone out of sight since.
        self.visit.goes_on(&self.app).await && command(&self.app, &self.visit.person, self.id).await.is_ok()
    }
}

fn line_event(line: &LogLine) -> Event {
    json_event("line", &LogLineView::new(line)).id(line.line.to_string())
}

fn names_event_stream(accept: &[u8]) -> bool {
    accept
        .split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().to_ascii_lowercase().starts_with(b"text/event-stream"))
}

fn resume_after(headers: &HeaderMap) -> Option<u64> {
    let last: u64 = headers.get("last-event-id")?.to_str().ok()?.parse().ok()?;
    last.checked_add(1)
}
