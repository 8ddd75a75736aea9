//! One order to many hosts: a command of its own for each, as if each had been asked alone.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, StreamExt as _};
use roadstead_protocol::message::command::{ContainerAction, Work};
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::access::{Changer, Peer};
use super::audit::Asked;
use super::containers::find;
use super::extract::Body;
use super::instances::{host, hosts};
use super::json::Json;
use super::orders::{describe, options, project};
use super::problem::Problem;
use super::time::Span;
use crate::accounts::Person;
use crate::fleet::Host;

/// Commands that are taken on at a time: enough to share commits, few enough that others are not kept waiting.
const AT_ONCE: usize = 256;

/// The same to do on many hosts, named by id or by their labels.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManyRequest {
    /// Ids of instances. A host without the container or project is refused by name.
    instances: Option<Vec<String>>,
    /// Instead of ids: hosts with this environment label. One without the container or project is not meant.
    environment: Option<String>,
    /// Instead of ids: hosts with this tag.
    tag: Option<String>,
    /// Instead of all of that: every host. It has to be said.
    #[serde(default)]
    every: bool,
    /// What to do.
    action: ManyAction,
    /// The container that is meant, by name; for all actions but `check`.
    container: Option<String>,
    /// The compose project to check; may be left out where a host has only one.
    project: Option<String>,
    /// How long to wait for absent agents (`90s`, `24h`, `2d`); left out, an absent agent is a refusal.
    queue_for: Option<Span>,
}

/// What to do on many hosts.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManyAction {
    /// Start a container.
    Start,
    /// Stop it.
    Stop,
    /// Restart it.
    Restart,
    /// Kill it.
    Kill,
    /// Freeze it.
    Pause,
    /// Let it go on.
    Unpause,
    /// Remove it.
    Remove,
    /// Find out whether a compose project's images are current.
    Check,
}

/// What became of it, host by host.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ManyView {
    /// The commands that were taken on.
    accepted: Vec<AcceptedOne>,
    /// Hosts that were refused, and why.
    refused: Vec<RefusedOne>,
}

/// A command of one host.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AcceptedOne {
    /// Where.
    instance: String,
    /// The command.
    command_id: String,
}

/// A host that was refused.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RefusedOne {
    /// Which.
    instance: String,
    /// Why, and what to do.
    detail: String,
}

/// Do the same on many hosts: act on a container, or check a project. Syncs of many hosts are rollouts.
#[utoipa::path(post, path = "/api/commands", tag = "commands", request_body = ManyRequest,
    responses((status = ACCEPTED, body = ManyView)))]
pub async fn order_many(
    State(app): State<Arc<App>>,
    Changer(person): Changer,
    peer: Peer,
    Body(request): Body<ManyRequest>,
) -> Result<Response, Problem> {
    let meant = meant(&app, &person, &request)?;
    if meant.is_empty() {
        return Err(Problem::invalid("None of these hosts has what is meant."));
    }
    let asked: Vec<_> = stream::iter(meant)
        .map(|(host, work)| ask(&app, &person, host, work, request.queue_for))
        .buffered(AT_ONCE)
        .collect()
        .await;
    app.audit_many(&person, peer, &asked).await;
    let mut view = ManyView { accepted: Vec::new(), refused: Vec::new() };
    for Asked { instance, result, .. } in asked {
        let instance = instance.to_string();
        match result {
            Ok(command) => view.accepted.push(AcceptedOne { instance, command_id: command.to_string() }),
            Err(problem) => {
                view.refused.push(RefusedOne { instance, detail: problem.detail().to_owned() });
            }
        }
    }
    if view.accepted.is_empty() {
        let refused = serde_json::to_value(view.refused).unwrap_or(Value::Null);
        let detail = "Every one of these hosts was refused; `refused` says why.";
        return Err(
            Problem::new(StatusCode::CONFLICT, "all-refused", "All refused", detail).with("refused", refused)
        );
    }
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

type Meant = Vec<(Arc<Host>, Result<Work, Problem>)>;

/// The hosts that are meant, and what each is to do.
fn meant(app: &App, person: &Person, request: &ManyRequest) -> Result<Meant, Problem> {
    let labelled = request.environment.is_some() || request.tag.is_some();
    let ways = [request.instances.is_some(), labelled, request.every];
    if ways.into_iter().filter(|way| *way).count() != 1 {
        return Err(Problem::invalid(
            "Say which hosts: `instances`, or `environment` and `tag`, or `every`: true; one of the three.",
        ));
    }
    let container = request.container.as_deref();
    if container.is_none() && !matches!(request.action, ManyAction::Check) {
        return Err(Problem::invalid("Say which container.").with("field", "container"));
    }
    let with_work = |host: Arc<Host>| {
        let work = work(&host, request);
        (host, work)
    };
    if let Some(ids) = &request.instances {
        let mut ids: Vec<_> = ids.iter().collect();
        ids.sort();
        ids.dedup();
        let of = |id: &String| {
            let id: InstanceId = id.parse().map_err(|_| {
                Problem::invalid(format!("`{id}` is no id of an instance.")).with("field", "instances")
            })?;
            host(app, person, &id)
        };
        return ids.into_iter().map(|id| of(id).map(with_work)).collect();
    }
    let (environment, tag) = (request.environment.as_ref(), request.tag.as_ref());
    let fits = |host: &Arc<Host>| {
        environment.is_none_or(|wanted| host.record.environment.as_ref() == Some(wanted))
            && tag.is_none_or(|wanted| host.record.tags.contains(wanted))
    };
    let fitting = hosts(app, person).into_iter().filter(fits).map(with_work);
    Ok(fitting.filter(|(_, work)| work.is_ok()).collect())
}

fn work(host: &Host, request: &ManyRequest) -> Result<Work, Problem> {
    let action = match request.action {
        ManyAction::Start => ContainerAction::Start,
        ManyAction::Stop => ContainerAction::Stop,
        ManyAction::Restart => ContainerAction::Restart,
        ManyAction::Kill => ContainerAction::Kill,
        ManyAction::Pause => ContainerAction::Pause,
        ManyAction::Unpause => ContainerAction::Unpause,
        ManyAction::Remove => ContainerAction::Remove,
        ManyAction::Check => return Ok(Work::Check { project: project(host, request.project.clone())? }),
    };
    let container = find(host, request.container.as_deref().unwrap_or_default())?.id.to_string();
    Ok(Work::Container { container, action })
}

async fn ask(
    app: &App,
    person: &Person,
    host: Arc<Host>,
    work: Result<Work, Problem>,
    queue_for: Option<Span>,
) -> Asked {
    let instance = host.record.id.clone();
    let work = match work {
        Ok(work) => work,
        Err(problem) => {
            let target = instance.to_string();
            return Asked { instance, what: "command.order", target, result: Err(problem) };
        }
    };
    let (what, target) = describe(&instance, &work);
    let options = options(&host, queue_for);
    let issued = app.services.commands.issue(&instance, work, &person.label(), options).await;
    let result: Result<CommandId, Problem> = issued.map(|record| record.id).map_err(Problem::from);
    Asked { instance, what, target, result }
}
