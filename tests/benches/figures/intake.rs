//! How fast events become durable: through the store and intake that serve agents, with lifecycles and live views on,
//! beside a bare SQLite loop with the same rows in the same groups on the same disk.

mod bare;
mod frames;
pub mod recovery;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use roadstead_controller::events::Events;
use roadstead_controller::fleet::{Fleet, persist};
use roadstead_controller::lifecycle::Lifecycles;
use roadstead_controller::model::{InstanceRecord, MemberTerms};
use roadstead_controller::store::Store;
use roadstead_protocol::message::codec::decode_directed;
use roadstead_protocol::message::event::{EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_controller::ToController;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::frames::Frames;
use crate::processes::cpu_seconds;
use crate::report::{Row, Section, say};

/// Agents that tell events at the same time, each a batch at a time.
pub const AGENTS: usize = 1000;

/// Containers of each agent.
const CONTAINERS: u64 = 20;

/// Live views that are told of every event.
const VIEWS: usize = 3;

/// Events in a message, and the fewest that should be acknowledged in a second.
const GOALS: [(u64, f64); 2] = [(1, 100_000.0), (64, 250_000.0)];

/// The least share of what the bare loop does, in per cent.
const GOAL_PER_CENT: f64 = 60.0;

/// The most disk that 1,000,000 events may take, in MB.
const GOAL_MEGABYTES: f64 = 120.0;

/// Measures with one event in a message and with many, and what the events then take on disk.
///
/// # Errors
/// When the store fails.
pub async fn measure(time: Duration) -> anyhow::Result<Section> {
    let mut section = Section::new("Durable intake");
    section.note(format!(
        "{AGENTS} agents, each with one message at a time, {} s; acknowledged after the commit is on disk; {VIEWS} live \
         views and lifecycles on",
        time.as_secs()
    ));
    for (events, least) in GOALS {
        say(&format!("intake with {events} events a message"));
        // The disk's mood changes: the bare loop runs before and after.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let before = bare::rate(folder.path(), events, time / 2)?;
        let alone = store_alone(folder.path(), events, time / 2).await?;
        let real = Real::open(folder.path()).await?;
        let rate = real.rate(events, time).await?;
        real.end().await?;
        let after = bare::rate(folder.path(), events, time / 2)?;
        let yardstick = f64::midpoint(before, after);
        let what = |what: &str| format!("{events} in a message: {what}");
        let share = |rate: f64| rate / yardstick * 100.0;
        section.add(Row::new(what("acknowledged"), rate.a_second, "events/s").at_least(least));
        section.add(Row::new(what("bare SQLite loop"), yardstick, "events/s"));
        section.add(Row::new(what("share of it"), share(rate.a_second), "%").at_least(GOAL_PER_CENT));
        section.add(Row::new(what("store without views and lifecycles"), share(alone.a_second), "%"));
        section.add(Row::new(what("processor time for each"), rate.processor, "µs"));
        if events > 1 {
            let bytes = bare::bytes_per_event(folder.path())?;
            // Bytes of one event are megabytes of a million.
            section
                .add(Row::new("disk for 1,000,000 events".to_owned(), bytes, "MB").at_most(GOAL_MEGABYTES));
        }
    }
    recovery::measure(&mut section).await?;
    Ok(section)
}

/// Events stored in a second by the store alone, in a folder of its own.
async fn store_alone(beside: &Path, events: u64, time: Duration) -> anyhow::Result<Rate> {
    let folder = tempfile::tempdir_in(beside)?;
    let store = Store::open(folder.path())?;
    let agents = agents(events, move |instance, batch| {
        let store = store.clone();
        async move { Ok(store.append_events(instance, batch, UnixMicros::now()).await?.mark) }
    });
    rate(agents.await?, time).await
}

/// An agent that waits for the word to begin, and ends at the time it is told.
type Agent = Pin<Box<dyn Future<Output = anyhow::Result<u64>> + Send>>;

/// Agents that hand `take` one message after another, each a task of its own as in the controller. What they send is
/// decoded as a session does.
async fn agents<T, F>(events: u64, take: T) -> anyhow::Result<Vec<impl FnOnce(Instant) -> Agent>>
where
    T: Fn(InstanceId, EventBatch) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<EventSeq>> + Send + 'static,
{
    let (mut agents, mut gaps) = (Vec::new(), Vec::new());
    for agent in 0..AGENTS {
        let (instance, epoch, take) = (instance(agent)?, Epoch::generate(), take.clone());
        let mut frames = Frames::new(agent, epoch, events)?;
        gaps.push(take(instance.clone(), batch(&Frames::gap(epoch)?)?));
        agents.push(move |until: Instant| -> Agent {
            Box::pin(async move {
                let mut acknowledged = 0;
                while Instant::now() < until {
                    let (frame, last) = frames.next();
                    let mark = take(instance.clone(), batch(frame)?).await?;
                    anyhow::ensure!(mark.0 == last, "{mark:?} was acknowledged instead of {last}");
                    acknowledged += events;
                }
                Ok(acknowledged)
            })
        });
    }
    try_join_all(gaps).await?;
    Ok(agents)
}

fn batch(frame: &[u8]) -> anyhow::Result<EventBatch> {
    match decode_directed(frame)? {
        ToController::Events(batch) => Ok(batch),
        _ => bail!("a message of another kind"),
    }
}

/// How fast it went.
struct Rate {
    /// Events acknowledged in a second.
    a_second: f64,
    /// Processor time for each, in microseconds: of this whole process.
    processor: f64,
}

async fn rate(agents: Vec<impl FnOnce(Instant) -> Agent>, time: Duration) -> anyhow::Result<Rate> {
    let used = cpu_seconds(std::process::id())?;
    let began = Instant::now();
    let mut tasks: JoinSet<_> = agents.into_iter().map(|agent| agent(began + time)).collect();
    let mut acknowledged = 0;
    while let Some(of_one) = tasks.join_next().await {
        acknowledged += of_one??;
    }
    let (took, used) = (began.elapsed().as_secs_f64(), cpu_seconds(std::process::id())? - used);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 events")]
    let acknowledged = acknowledged as f64;
    Ok(Rate { a_second: acknowledged / took, processor: used * 1e6 / acknowledged })
}

/// The controller's own parts.
struct Real {
    events: Events,
    told: Arc<AtomicU64>,
    parts: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Real {
    async fn open(folder: &Path) -> anyhow::Result<Self> {
        let store = Store::open(folder)?;
        let records = (0..AGENTS).map(record).collect::<anyhow::Result<Vec<_>>>()?;
        for inserted in try_join_all(records.into_iter().map(|record| store.insert_instance(record))).await? {
            inserted.ok().context("it is registered already")?;
        }
        let fleet = Fleet::new();
        persist::load(&fleet, &store).await?;
        let events = Events::new(store.clone());
        let lifecycles = Lifecycles::load(store.clone(), fleet).await?;
        let (mut parts, shutdown) = (JoinSet::new(), CancellationToken::new());
        parts.spawn(lifecycles.run(events.subscribe(), shutdown.clone()));
        let told = Arc::new(AtomicU64::new(0));
        for _ in 0..VIEWS {
            let (mut view, told, shutdown) = (events.subscribe(), Arc::clone(&told), shutdown.clone());
            parts.spawn(async move {
                while let Some(told_of) = shutdown.run_until_cancelled(view.recv()).await {
                    let events = told_of.map_or(0, |told_of| told_of.len());
                    told.fetch_add(events as u64, Ordering::Relaxed);
                }
            });
        }
        Ok(Self { events, told, parts, shutdown })
    }

    /// Events acknowledged in a second.
    async fn rate(&self, events: u64, time: Duration) -> anyhow::Result<Rate> {
        let log = self.events.clone();
        let agents = agents(events, move |instance, batch| {
            let log = log.clone();
            async move { Ok(log.intake(&instance, batch).await?) }
        });
        rate(agents.await?, time).await
    }

    /// Ends it.
    async fn end(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while self.parts.join_next().await.is_some() {}
        anyhow::ensure!(self.told.load(Ordering::Relaxed) > 0, "no view was told of any event");
        Ok(())
    }
}

/// The id of this agent's instance.
///
/// # Errors
/// Never, for numbers of agents.
pub fn instance(agent: usize) -> anyhow::Result<InstanceId> {
    Ok(format!("agent-{agent:04}").parse()?)
}

/// As it is registered.
///
/// # Errors
/// Never, for numbers of agents.
pub fn record(agent: usize) -> anyhow::Result<InstanceRecord> {
    let id = instance(agent)?;
    Ok(InstanceRecord {
        name: id.to_string(),
        id,
        url: None,
        description: String::new(),
        environment: None,
        tags: Vec::new(),
        key: None,
        created_at: UnixMicros::now(),
        last_seen: None,
        agent_version: None,
        policy: None,
        abilities: Vec::new(),
        terms: MemberTerms::default(),
    })
}

/// What hosts mostly tell: a container of a compose project started or died.
pub fn happened(agent: usize, seq: u64) -> EventKind {
    let container = seq % CONTAINERS;
    let (action, code) =
        if (seq / CONTAINERS).is_multiple_of(2) { ("start", None) } else { ("die", Some("0")) };
    let id = format!("{agent:032x}{container:032x}");
    EventKind::Container {
        id: id.parse().unwrap_or_else(|_| unreachable!("64 hexadecimal digits")),
        name: format!("shop-web-{container}").into(),
        image: "registry.example.org/shop/web:1.27".into(),
        action: action.into(),
        attributes: code.map(|code| ("exitCode", code)).into_iter().collect(),
        inferred: false,
    }
}
