//! Figures about the controller itself, for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use roadstead_protocol::message::time::UnixMicros;
use tokio::runtime::Handle;

use super::App;
use super::access::Overseer;
use super::problem::Problem;
use crate::fleet::health;
use crate::model::CommandState;

/// Requests answered since the start.
#[derive(Clone, Default)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InstanceLabels {
    link: String,
    health: String,
}

impl HttpMetrics {
    /// Counts an answer.
    pub fn count_request(&self, method: &Method, route: &str, status: StatusCode) {
        // Methods are words of the caller's choice: only the usual ones get a series of their own.
        let known = [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::HEAD].contains(method);
        let method = if known { method.as_str() } else { "other" }.to_owned();
        let labels = RequestLabels { method, route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }
}

/// Who may read the metrics: whoever is logged in, or shows an API token, and sees every instance; anybody where the
/// operator said so.
pub struct Scraper;

impl FromRequestParts<Arc<App>> for Scraper {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        if app.services.about.open_metrics {
            return Ok(Self);
        }
        Overseer::from_request_parts(parts, app).await.map(|_| Self)
    }
}

/// Figures for Prometheus, about every instance. ROADSTEAD_METRICS_OPEN lets anybody read them.
#[utoipa::path(get, path = "/metrics", tag = "controller",
    responses((status = OK, body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(State(app): State<Arc<App>>, _: Scraper) -> Result<Response, Problem> {
    let mut registry = Registry::with_prefix("roadstead");
    let version = app.services.about.version.clone();
    registry.register("build", "The controller", Info::new([("version", version)]));
    registry.register(
        "http_requests",
        "Requests answered, by route and status",
        app.metrics.requests.clone(),
    );
    fleet(&app, &mut registry);
    commands(&app, &mut registry).await?;
    let sessions = app.services.accounts.open_sessions(UnixMicros::now()).await?;
    gauge(&mut registry, "web_sessions", "Web sessions that are open", sessions);
    let streams = u64::try_from(app.streams.open()).unwrap_or(u64::MAX);
    gauge(&mut registry, "live_connections", "Live views and followed logs that are open", streams);
    gauge(
        &mut registry,
        "tasks",
        "Things that the controller does at once",
        tasks(&app.services.fleet_threads),
    );
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| Problem::internal())?;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

/// Tasks on the threads that serve agents, and on those that serve people.
fn tasks(fleet_threads: &Handle) -> u64 {
    let people = Handle::current();
    let own = (people.id() != fleet_threads.id()).then_some(&people);
    let alive =
        [Some(fleet_threads), own].into_iter().flatten().map(|handle| handle.metrics().num_alive_tasks());
    u64::try_from(alive.sum::<usize>()).unwrap_or(u64::MAX)
}

fn fleet(app: &App, registry: &mut Registry) {
    let instances = Family::<InstanceLabels, Gauge>::default();
    let containers = Family::<StateLabel, Gauge>::default();
    for host in app.services.fleet.hosts() {
        let (health, _) = health(&host);
        let link = host.link.state.as_str().to_owned();
        instances.get_or_create(&InstanceLabels { link, health: health.as_str().to_owned() }).inc();
        for (state, count) in host.counts() {
            let state = format!("{state:?}").to_lowercase();
            containers.get_or_create(&StateLabel { state }).inc_by(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
    registry.register("instances", "Instances, by link and health", instances);
    registry.register("containers", "Containers as last heard of, by state", containers);
    let sessions = u64::try_from(app.services.registry.count()).unwrap_or(u64::MAX);
    gauge(registry, "agent_sessions", "Agents that are connected", sessions);
    let duplicates = Counter::<u64, AtomicU64>::default();
    duplicates.inc_by(app.services.events.duplicates());
    registry.register("event_duplicates", "Events that came again after they were stored", duplicates);
}

async fn commands(app: &App, registry: &mut Registry) -> Result<(), Problem> {
    let commands = Family::<StateLabel, Gauge>::default();
    for state in CommandState::ALL {
        commands.get_or_create(&StateLabel { state: state.as_str().to_owned() }).set(0);
    }
    for (state, count) in app.services.store.count_commands().await? {
        let gauge = commands.get_or_create(&StateLabel { state });
        gauge.set(count);
    }
    registry.register("commands", "Commands in the ledger, by state", commands);
    let events = app.services.store.newest_event().await?;
    let stored = Counter::<u64, AtomicU64>::default();
    stored.inc_by(u64::try_from(events).unwrap_or(0));
    registry.register("events_stored", "Events stored since the log began", stored);
    Ok(())
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}
