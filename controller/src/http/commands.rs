//! The command ledger: list, look at one, cancel.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};

use super::App;
use super::access::{Changer, Peer, Reader};
use super::extract::{Params, PathOf};
use super::instances::{host, seen};
use super::json::Json;
use super::problem::Problem;
use super::refusals::unknown_command;
use super::views::command::{CommandStateView, CommandView};
use crate::accounts::Person;
use crate::commands::CommandFilter;
use crate::model::CommandRecord;

/// Most commands of one page.
const MAX_PAGE: usize = 200;

/// Which commands to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CommandQuery {
    /// Only this instance's.
    #[param(value_type = Option<String>)]
    instance: Option<InstanceId>,
    /// Only those in this state.
    state: Option<CommandStateView>,
    /// Only those that have not ended.
    #[serde(default)]
    unfinished: bool,
    /// From the page before: `next`.
    #[param(value_type = Option<String>)]
    cursor: Option<CommandId>,
    /// How many, at most 200.
    limit: Option<usize>,
}

/// Commands, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CommandsView {
    /// The commands.
    commands: Vec<CommandView>,
    /// The cursor of the next page; none if this is the last.
    next: Option<String>,
}

/// Commands, newest first.
#[utoipa::path(get, path = "/api/commands", tag = "commands", params(CommandQuery),
    responses((status = OK, body = CommandsView)))]
pub async fn list_commands(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    Params(query): Params<CommandQuery>,
) -> Result<Json<CommandsView>, Problem> {
    let filter = CommandFilter {
        instances: seen(&app, &person),
        instance: query.instance,
        state: query.state.map(Into::into),
        unfinished: query.unfinished,
    };
    let limit = query.limit.unwrap_or(50).clamp(1, MAX_PAGE);
    let records = app.services.commands.list(filter, query.cursor, limit).await?;
    let next = (records.len() == limit).then(|| records.last().map(|last| last.id.to_string())).flatten();
    let now = UnixMicros::now();
    Ok(Json(CommandsView { commands: records.iter().map(|one| CommandView::new(one, now)).collect(), next }))
}

/// One command.
#[utoipa::path(get, path = "/api/commands/{id}", tag = "commands",
    params(("id" = String, Path, description = "Id of the command")),
    responses((status = OK, body = CommandView)))]
pub async fn one_command(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    PathOf(id): PathOf<CommandId>,
) -> Result<Json<CommandView>, Problem> {
    let record = command(&app, &person, id).await?;
    Ok(Json(CommandView::new(&record, UnixMicros::now())))
}

/// Cancel a command: it stops at its next safe point; one that was not sent yet ends at once.
#[utoipa::path(delete, path = "/api/commands/{id}", tag = "commands",
    params(("id" = String, Path, description = "Id of the command")),
    responses((status = ACCEPTED, body = CommandView)))]
pub async fn cancel_command(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    PathOf(id): PathOf<CommandId>,
) -> Result<(StatusCode, Json<CommandView>), Problem> {
    command(&app, &person, id).await?;
    let cancelled = app.services.commands.cancel(id, &person.label()).await.map_err(Problem::from);
    app.audit_about(&person, peer, "command.cancel", &id.to_string(), &cancelled, Some(id)).await;
    Ok((StatusCode::ACCEPTED, Json(CommandView::new(&cancelled?, UnixMicros::now()))))
}

/// A command, if `person` sees where it is to run.
pub(super) async fn command(app: &App, person: &Person, id: CommandId) -> Result<CommandRecord, Problem> {
    let record = app.services.commands.one(id).await?.ok_or_else(|| unknown_command(id))?;
    // Where an instance was removed, nobody can say whose it would be.
    if !person.scope.is_everything() && host(app, person, &record.instance).is_err() {
        return Err(unknown_command(id));
    }
    Ok(record)
}
