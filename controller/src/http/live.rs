//! The live view: whole first, then changes, as server-sent events. A browser that cannot keep up gets the whole view
//! again.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::App;
use super::access::{Peer, Reader};
use super::extract::Params;
use super::instances;
use super::problem::Problem;
use super::streams::{RECHECK, StreamPlace, Visit};
use super::time::Time;
use super::views::command::CommandView;
use super::views::container::ContainersView;
use super::views::instance::InstanceView;
use crate::commands::{CommandChange, CommandFilter};
use crate::fleet::FleetChange;
use crate::lifecycle::LifecycleChange;
use crate::model::{CommandRecord, StoredEvents};
use crate::rollouts::RolloutChange;
use crate::store::StoreError;
use batch::Batch;
use told::LiveEvent;

mod batch;
mod told;

/// In a storm, changes are gathered for so long before they are told.
const GATHER: Duration = Duration::from_millis(40);

/// After a quiet time so many changes go at once, each by itself: a start or a stop is several, some milliseconds apart.
const AT_ONCE: u32 = 8;

/// After a view that comes without them, containers are told in portions of about so many.
const AT_A_TIME: usize = 250;

/// Most unfinished commands in a view.
const MAX_COMMANDS: usize = 1000;

/// What to follow closely.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LiveQuery {
    /// Ids of instances, separated by commas, whose containers' figures are to be fresh while this stream is open.
    watch: Option<String>,
    /// `apart`: a view comes without containers, and those of each instance follow as a `containers` event of their
    /// own, so that the fleet is there before the last of very many containers is. `changes`: no lists of containers
    /// at all but those of instances that are new or taken whole again, only what changes from the view on; GET
    /// /api/instances/{id}/containers and GET /api/containers list them.
    #[param(inline)]
    containers: Option<ContainersWish>,
}

/// How containers come with a whole view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContainersWish {
    /// Within it.
    #[default]
    Within,
    /// After it, those of each instance by themselves.
    Apart,
    /// Only those that change.
    Changes,
}

/// The whole view.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LiveView {
    /// Every instance, by name.
    instances: Vec<InstanceView>,
    /// The containers of each instance; none with `containers=apart` or `changes`.
    containers: Vec<ContainersView>,
    /// The commands that have not ended, newest first.
    commands: Vec<CommandView>,
    /// When this was true.
    at: Time,
    /// The controller's version: a page that was loaded from another should be loaded anew.
    version: String,
}

/// Follow the fleet. Server-sent events: `view` (everything), then `instance`, `containers` {instance, whole, upsert,
/// remove}, `figures` {instance, samples}, `removed` {instance}, `command`, `progress` {command, instance, lines},
/// `rollout` {rollout, steps} and `event` as things change. A `view` may come again at any time and replaces everything.
#[utoipa::path(get, path = "/api/live", tag = "live", params(LiveQuery),
    responses((status = OK, body = LiveEvent, content_type = "text/event-stream")))]
pub async fn live(
    State(app): State<Arc<App>>,
    Reader(person): Reader,
    peer: Peer,
    Params(query): Params<LiveQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = app.streams.place(&person)?;
    let watched = watched(&query)?;
    let visit = Visit::new(person, &headers, &peer)?;
    let viewer = Viewer::new(app, watched, query.containers.unwrap_or_default(), visit, place);
    let answer = Sse::new(viewer.into_stream()).keep_alive(KeepAlive::new());
    // Proxies that gather answers would hold changes back.
    Ok(([("x-accel-buffering", "no")], answer).into_response())
}

/// A server-sent event with a JSON body.
pub(super) fn json_event(name: &str, data: &impl Serialize) -> Event {
    // Views are made of plain fields and maps with text keys, which always can be written.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}

fn watched(query: &LiveQuery) -> Result<Vec<InstanceId>, Problem> {
    let ids = query.watch.as_deref().unwrap_or_default().split(',').filter(|id| !id.is_empty());
    ids.map(|id| {
        id.parse()
            .map_err(|_| Problem::invalid(format!("`{id}` is not an instance's id.")).with("field", "watch"))
    })
    .collect()
}

/// One browser that follows.
struct Viewer {
    app: Arc<App>,
    watched: Vec<InstanceId>,
    containers: ContainersWish,
    visit: Visit,
    /// The instances that were told, where not all are seen.
    told: BTreeSet<InstanceId>,
    /// Instances whose containers are still to come after the view.
    untold: VecDeque<InstanceId>,
    sources: Option<Sources>,
    /// When changes may be told next: each telling moves it on by [`GATHER`], and it lags behind by [`AT_ONCE`] at most.
    tell_at: Instant,
    recheck_at: Instant,
    _place: StreamPlace,
}

/// Where changes come from. Made anew with each whole view.
struct Sources {
    fleet: broadcast::Receiver<FleetChange>,
    commands: broadcast::Receiver<CommandChange>,
    events: broadcast::Receiver<StoredEvents>,
    lifecycles: broadcast::Receiver<LifecycleChange>,
    rollouts: broadcast::Receiver<RolloutChange>,
}

/// What a source said.
enum News {
    Fleet(FleetChange),
    Command(CommandChange),
    Events(StoredEvents),
    Lifecycle(LifecycleChange),
    Rollout(RolloutChange),
    /// A source ran ahead of us.
    Lagged,
    /// The time to gather is over.
    Tell,
    /// Nothing is new, and containers are still to be told of.
    Untold,
    Recheck,
    Stop,
}

impl Viewer {
    fn new(
        app: Arc<App>,
        watched: Vec<InstanceId>,
        containers: ContainersWish,
        visit: Visit,
        place: StreamPlace,
    ) -> Self {
        let now = Instant::now();
        let told = BTreeSet::new();
        Self {
            app,
            watched,
            containers,
            visit,
            told,
            untold: VecDeque::new(),
            sources: None,
            tell_at: now,
            recheck_at: now,
            _place: place,
        }
    }

    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        let batches = stream::unfold(self, |mut viewer| async move {
            let events = viewer.next().await?;
            viewer.told();
            Some((stream::iter(events.into_iter().map(|event| Ok(event.into_sse()))), viewer))
        });
        futures_util::StreamExt::flatten(batches)
    }

    fn told(&mut self) {
        let now = Instant::now();
        self.tell_at = self.tell_at.max(now.checked_sub(GATHER * AT_ONCE).unwrap_or(now)) + GATHER;
    }

    /// The next events; none when the stream is to end.
    async fn next(&mut self) -> Option<Vec<LiveEvent>> {
        let Some(mut sources) = self.sources.take() else { return self.whole().await };
        let mut batch = Batch::default();
        loop {
            let tell_at = (!batch.is_empty()).then_some(self.tell_at);
            match sources.next(&self.app, tell_at, self.recheck_at, !self.untold.is_empty()).await {
                News::Fleet(change) => batch.add_fleet(&change),
                News::Command(change) => batch.add_command(&change),
                News::Events(events) => batch.add_events(&events),
                News::Lifecycle(change) => batch.add_lifecycle(change),
                News::Rollout(change) => match self.app.services.rollouts.newest(change.id) {
                    Some(record) => batch.add_rollout(record, change.places),
                    None => return self.whole().await,
                },
                News::Lagged => return self.whole().await,
                news @ (News::Tell | News::Untold) => {
                    let mut events = self.seen(batch).into_events(&self.app.services, self.visit.person.role);
                    if matches!(news, News::Untold) {
                        events.extend(self.some_untold());
                    }
                    self.sources = Some(sources);
                    return Some(events);
                }
                News::Recheck => self.recheck().await?,
                News::Stop => return None,
            }
            if batch.is_too_large() {
                return self.whole().await;
            }
        }
    }

    /// The whole view, and the sources of what changes after it.
    async fn whole(&mut self) -> Option<Vec<LiveEvent>> {
        self.recheck().await?;
        let services = &self.app.services;
        // In this order: subscribe, then read.
        let commands = services.commands.subscribe();
        let events = services.events.subscribe();
        let lifecycles = services.lifecycles.subscribe();
        let rollouts = services.rollouts.subscribe();
        let unfinished = match self.unfinished().await {
            Ok(unfinished) => unfinished,
            Err(error) => {
                tracing::error!(%error, "a live view cannot be read from the store");
                return None;
            }
        };
        let (mut hosts, fleet) = services.fleet.subscribe();
        hosts.retain(|host| self.visit.person.scope.holds(&host.record));
        self.told = hosts.iter().map(|host| host.record.id.clone()).collect();
        self.sources = Some(Sources { fleet, commands, events, lifecycles, rollouts });
        let (role, now) = (self.visit.person.role, UnixMicros::now());
        let within = if self.containers == ContainersWish::Within { &hosts[..] } else { &[][..] };
        let view = LiveView {
            instances: instances::views(&hosts),
            containers: within
                .iter()
                .map(|host| ContainersView::new(host, &services.lifecycles, role, now))
                .collect(),
            commands: unfinished.iter().map(|record| CommandView::new(record, now)).collect(),
            at: Time(now),
            version: services.about.version.clone(),
        };
        self.untold = match self.containers {
            ContainersWish::Apart => hosts.iter().map(|host| host.record.id.clone()).collect(),
            ContainersWish::Within | ContainersWish::Changes => VecDeque::new(),
        };
        Some(vec![LiveEvent::View(Box::new(view))])
    }

    /// The containers of some instances that were not told of yet, as they are now: a fleet's are never in memory all
    /// at once, and changes come between.
    fn some_untold(&mut self) -> Vec<LiveEvent> {
        let (role, now) = (self.visit.person.role, UnixMicros::now());
        let (mut events, mut count) = (Vec::new(), 0);
        while count < AT_A_TIME
            && let Some(instance) = self.untold.pop_front()
        {
            let Ok(host) = instances::host(&self.app, &self.visit.person, &instance) else { continue };
            count += host.containers.len().max(1);
            let whole = batch::whole(&host, &self.app.services.lifecycles, role, now);
            events.push(LiveEvent::Containers(whole));
        }
        events
    }

    async fn unfinished(&self) -> Result<Vec<CommandRecord>, StoreError> {
        let instances = instances::seen(&self.app, &self.visit.person);
        let filter = CommandFilter { unfinished: true, instances, ..CommandFilter::default() };
        let mut all = Vec::new();
        let mut before: Option<CommandId> = None;
        while all.len() < MAX_COMMANDS {
            let page = self.app.services.commands.list(filter.clone(), before, 200).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            all.extend(page);
        }
        Ok(all)
    }

    /// Makes sure that the session is still open, and asks for fresh figures. None ends the stream.
    async fn recheck(&mut self) -> Option<()> {
        self.recheck_at = Instant::now() + RECHECK;
        for instance in self.watched.iter().filter(|id| self.sees(id)) {
            self.app.watches.look(&self.app.services.registry, instance);
        }
        self.visit.goes_on(&self.app).await.then_some(())
    }

    fn sees(&self, instance: &InstanceId) -> bool {
        instances::host(&self.app, &self.visit.person, instance).is_ok()
    }

    /// What of a batch is to be told: an instance whose tags changed may have come in sight, or gone out of it.
    fn seen(&mut self, mut batch: Batch) -> Batch {
        if !self.visit.person.scope.is_everything() {
            let seen = batch.mentioned().into_iter().filter(|id| self.sees(id)).collect();
            batch.narrow(&seen, &mut self.told);
        }
        batch
    }
}

impl Sources {
    async fn next(&mut self, app: &App, tell_at: Option<Instant>, recheck_at: Instant, untold: bool) -> News {
        let tell = async {
            match tell_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = app.ending.cancelled() => News::Stop,
            () = tell => News::Tell,
            () = tokio::time::sleep_until(recheck_at) => News::Recheck,
            change = self.fleet.recv() => news(change, News::Fleet),
            change = self.commands.recv() => news(change, News::Command),
            events = self.events.recv() => news(events, News::Events),
            change = self.lifecycles.recv() => news(change, News::Lifecycle),
            change = self.rollouts.recv() => news(change, News::Rollout),
            () = std::future::ready(()), if untold => News::Untold,
        }
    }
}

fn news<T>(received: Result<T, RecvError>, wrap: impl FnOnce(T) -> News) -> News {
    match received {
        Ok(value) => wrap(value),
        Err(RecvError::Lagged(_)) => News::Lagged,
        Err(RecvError::Closed) => News::Stop,
    }
}
