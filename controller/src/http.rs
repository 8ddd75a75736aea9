//! The HTTP API: every route on this page. Handlers are thin; what they answer is in `http/views`, who may call them
//! in `http/access.rs`, what holds for every request in `http/guard.rs`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Router, middleware};
use roadstead_protocol::message::ids::InstanceId;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub mod access;
mod account;
mod agent;
mod api_tokens;
mod assets;
mod audit;
mod command_log;
mod commands;
mod config;
mod containers;
mod events;
mod everywhere;
pub mod extract;
mod guard;
mod health;
mod instances;
mod join;
mod json;
mod keys;
mod lifecycle;
mod live;
mod many;
mod metrics;
mod oidc;
mod openapi;
mod orders;
mod page;
pub mod problem;
mod proxied;
mod refusals;
mod rollouts;
mod server;
mod session;
mod sessions;
mod stall;
mod streams;
#[cfg(test)]
mod tests;
pub mod time;
mod tokens;
mod users;
pub mod views;
mod watch;

use crate::accounts::limits::{AtOnce, AtWork, Buckets, Rate};
use crate::accounts::sources::{Sources, site_of};
use crate::accounts::{Accounts, LOGIN_RATE, network_of};
use crate::audit::Audit;
use crate::commands::Commands;
use crate::enrolment::Enrolment;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::lifecycle::Lifecycles;
use crate::networks::Networks;
use crate::oidc::Oidc;
use crate::probes::Probes;
use crate::registry::Registry;
use crate::relayed::Relay;
use crate::reload::Reload;
use crate::rollouts::Rollouts;
use crate::rotation::Rotation;
use crate::store::Store;

/// Addresses whose refusals without login are audited apart.
const STRANGERS: usize = 10_000;

/// Requests from one network that wait for their answer at the same time.
const REQUESTS: usize = 128;

/// Agents that are not known, from one network: a whole site may join at once, or have been removed.
const KNOCKING_RATE: Rate = Rate { burst: 32, refill: Duration::from_secs(1) };

/// Sign-ins at the provider that are begun from one network: a whole office may come in the morning.
const BEGIN_RATE: Rate = Rate { burst: 32, refill: Duration::from_secs(1) };

/// What handlers work with.
#[derive(Clone)]
pub struct Services {
    /// The store.
    pub store: Store,
    /// The picture of all hosts.
    pub fleet: Fleet,
    /// Who is connected now.
    pub registry: Registry,
    /// Registering and removing instances, join tokens.
    pub enrolment: Enrolment,
    /// The command ledger.
    pub commands: Commands,
    /// Syncs of many hosts.
    pub rollouts: Rollouts,
    /// The event log.
    pub events: Events,
    /// Where containers and projects are in their life.
    pub lifecycles: Lifecycles,
    /// Users and web sessions.
    pub accounts: Arc<Accounts>,
    /// The provider that people may sign in at, if there is one.
    pub oidc: Option<Arc<Oidc>>,
    /// The audit log.
    pub audit: Audit,
    /// Checks under way.
    pub probes: Probes,
    /// Replacing keys.
    pub rotation: Rotation,
    /// Reading the configuration again.
    pub reload: Reload,
    /// Where agents that come through a web server are handed over.
    pub relay: Relay,
    /// The threads that serve agents; those that serve people are where this is asked.
    pub fleet_threads: Handle,
    /// The controller itself.
    pub about: About,
}

/// What the controller tells of itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Its version.
    pub version: String,
    /// Name of its host.
    pub name: String,
    /// Its own instance, if it runs an agent for its host.
    pub this_instance: Option<InstanceId>,
    /// Image reference of the agent, for the commands that start one.
    pub agent_image: String,
    /// Whether anybody may read the metrics.
    pub open_metrics: bool,
    /// Networks whose proxies are believed about who is behind them.
    pub trusted_proxies: Networks,
}

/// The state behind the routes.
pub struct App {
    services: Services,
    metrics: metrics::HttpMetrics,
    streams: streams::Streams,
    watches: watch::Watches,
    strangers: Mutex<Sources>,
    refusals: Mutex<Buckets<String>>,
    knocking: Mutex<Buckets<IpAddr>>,
    beginning: Mutex<Buckets<IpAddr>>,
    /// Requests that have no answer yet: whoever lets a body trickle in keeps a connection from others, of a proxy, too.
    requests: AtOnce<IpAddr>,
    /// Requests that change something: they outlive whoever asked.
    changes: TaskTracker,
    ending: CancellationToken,
}

impl App {
    fn new(services: Services, ending: CancellationToken) -> Self {
        Self {
            services,
            metrics: metrics::HttpMetrics::default(),
            streams: streams::Streams::default(),
            watches: watch::Watches::default(),
            strangers: Mutex::new(Sources::audited()),
            refusals: Mutex::new(Buckets::new(LOGIN_RATE, STRANGERS)),
            knocking: Mutex::new(Buckets::new(KNOCKING_RATE, STRANGERS)),
            beginning: Mutex::new(Buckets::new(BEGIN_RATE, STRANGERS)),
            requests: AtOnce::new(REQUESTS),
            changes: TaskTracker::new(),
            ending,
        }
    }

    /// Whether a refusal of somebody who is not logged in still goes into the audit log: a flood of them must not
    /// push out everything else.
    fn may_audit_stranger(&self, address: IpAddr) -> bool {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.take(address, Instant::now()).is_ok()
    }

    /// The same for somebody who is logged in; all guests are one.
    fn may_audit_refusal(&self, name: &str) -> bool {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.take(name.to_owned(), Instant::now()).is_ok()
    }

    /// Whether an agent that is not known may still come in from there.
    fn may_knock(&self, address: IpAddr) -> bool {
        let mut knocking = self.knocking.lock().unwrap_or_else(PoisonError::into_inner);
        knocking.take(network_of(address), Instant::now()).is_ok()
    }

    /// A request's turn until it has its answer; none if there are enough from that network, or IPv6 site.
    fn begin_request(&self, address: IpAddr) -> Option<AtWork<IpAddr>> {
        let network = network_of(address);
        self.requests.begin(site_of(network).unwrap_or(network))
    }

    /// Whether somebody may begin to sign in at the provider from there, or how long to wait.
    fn may_begin(&self, address: IpAddr) -> Result<(), Duration> {
        let mut beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        beginning.take(network_of(address), Instant::now())
    }
}

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(assets::front_page))
        .routes(routes!(health::controller_health))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi_document))
        .routes(routes!(session::log_in))
        .routes(routes!(session::log_in_guest))
        .routes(routes!(session::log_out))
        .routes(routes!(session::session))
        .routes(routes!(oidc::begin))
        .routes(routes!(oidc::finish))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::revoke_session))
        .routes(routes!(account::own_account))
        .routes(routes!(account::change_password))
        .routes(routes!(account::begin_second_factor))
        .routes(routes!(account::confirm_second_factor))
        .routes(routes!(account::remove_second_factor))
        .routes(routes!(account::renew_recovery_codes))
        .routes(routes!(api_tokens::list_tokens, api_tokens::make_token))
        .routes(routes!(api_tokens::revoke_token))
        .routes(routes!(users::list_users, users::add_user))
        .routes(routes!(users::one_user, users::change_user, users::remove_user))
        .routes(routes!(users::set_password))
        .routes(routes!(users::reset_second_factor))
        .routes(routes!(instances::list_instances, instances::register_instance))
        .routes(routes!(instances::one_instance, instances::change_instance, instances::remove_instance))
        .routes(routes!(health::instance_health))
        .routes(routes!(containers::list_containers))
        .routes(routes!(containers::one_container))
        .routes(routes!(everywhere::find_containers))
        .routes(routes!(everywhere::all_containers))
        .routes(routes!(lifecycle::container_lifecycle))
        .routes(routes!(lifecycle::instance_lifecycles))
        .routes(routes!(lifecycle::list_projects))
        .routes(routes!(orders::act_on_container))
        .routes(routes!(orders::sync))
        .routes(routes!(orders::check))
        .routes(routes!(orders::install))
        .routes(routes!(orders::reinstall))
        .routes(routes!(commands::list_commands, many::order_many))
        .routes(routes!(commands::one_command, commands::cancel_command))
        .routes(routes!(command_log::command_log))
        .routes(routes!(rollouts::list_rollouts, rollouts::start_rollout))
        .routes(routes!(rollouts::one_rollout, rollouts::stop_rollout))
        .routes(routes!(events::list_events))
        .routes(routes!(live::live))
        .routes(routes!(tokens::list_join_tokens, tokens::make_join_token))
        .routes(routes!(tokens::revoke_join_token))
        .routes(routes!(audit::audit_log))
        .routes(routes!(keys::controller_keys))
        .routes(routes!(keys::rotate_controller_key))
        .routes(routes!(keys::rotate_agent_key))
        .routes(routes!(config::reload_config))
        .routes(routes!(audit::export_audit_log))
}

/// The router over `services`. Streams end when `ending` is cancelled.
pub fn router(services: Services, ending: CancellationToken) -> Router {
    router_of(Arc::new(App::new(services, ending)))
}

fn router_of(app: Arc<App>) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .route("/agent", get(agent::take_link))
        .fallback(assets::file_or_page)
        .method_not_allowed_fallback(page::no_such_method)
        .layer(DefaultBodyLimit::max(extract::MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}

/// Serves the API on `listener` until `shutdown`; then streams end and requests under way have five seconds, and so
/// have changes whose asker is gone.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    services: Services,
    shutdown: CancellationToken,
) {
    let proxies = services.about.trusted_proxies.clone();
    let app = Arc::new(App::new(services, shutdown.clone()));
    server::serve(listener, tls, router_of(Arc::clone(&app)), proxies, shutdown).await;
    app.changes.close();
    if tokio::time::timeout(server::DRAIN, app.changes.wait()).await.is_err() {
        tracing::warn!(changes = app.changes.len(), "changes were cut off at shutdown");
    }
}

/// The OpenAPI document of the API, as JSON.
#[must_use]
pub fn openapi() -> String {
    openapi::document()
}
