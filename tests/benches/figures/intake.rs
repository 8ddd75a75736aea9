//! How fast events become durable: through the store and intake that serve agents, with lifecycles and live views on,
//! beside a bare SQLite loop with the same rows in the same groups on the same disk.

mod bare;
pub mod recovery;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use roadstead_controller::events::Events;
use roadstead_controller::fleet::{Fleet, persist};
use roadstead_controller::lifecycle::Lifecycles;
use roadstead_controller::model::{InstanceRecord, MemberTerms};
use roadstead_controller::store::Store;
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::report::{Row, Section, say};

/// Agents that tell events at the same time, each a batch at a time.
pub const AGENTS: usize = 1000;

/// Containers of each agent.
const CONTAINERS: u64 = 20;

/// Live views that are told of every event.
const VIEWS: usize = 3;

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
    for events in [1, 64] {
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
        section.add(Row::new(what("acknowledged"), rate, "events/s"));
        section.add(Row::new(what("bare SQLite loop"), yardstick, "events/s"));
        section.add(Row::new(what("share of it"), rate / yardstick * 100.0, "%").at_least(GOAL_PER_CENT));
        section.add(Row::new(what("store without views and lifecycles"), alone / yardstick * 100.0, "%"));
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
async fn store_alone(beside: &Path, events: u64, time: Duration) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir_in(beside)?;
    let store = Store::open(folder.path())?;
    rate(events, time, async |instance, batch| {
        Ok(store.append_events(instance, batch, UnixMicros::now()).await?.mark.0)
    })
    .await
}

/// Events acknowledged in a second, when every agent hands `take` one message after the other.
async fn rate(
    events: u64,
    time: Duration,
    take: impl AsyncFn(InstanceId, EventBatch) -> anyhow::Result<u64>,
) -> anyhow::Result<f64> {
    let (began, take) = (Instant::now(), &take);
    let agents = (0..AGENTS).map(|agent| async move {
        let (instance, epoch) = (instance(agent)?, Epoch::generate());
        let mut mark = 0;
        while began.elapsed() < time {
            let batch = (mark + 1..=mark + events).map(|seq| event(agent, seq)).collect();
            mark = take(instance.clone(), EventBatch::plain(epoch, batch)).await?;
        }
        anyhow::Ok(mark)
    });
    let acknowledged: u64 = try_join_all(agents).await?.into_iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 events")]
    Ok(acknowledged as f64 / began.elapsed().as_secs_f64())
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
        for agent in 0..AGENTS {
            store.insert_instance(record(agent)?).await?.ok().context("it is registered already")?;
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
                    told.fetch_add(u64::from(told_of.is_ok()), Ordering::Relaxed);
                }
            });
        }
        Ok(Self { events, told, parts, shutdown })
    }

    /// Events acknowledged in a second.
    async fn rate(&self, events: u64, time: Duration) -> anyhow::Result<f64> {
        rate(events, time, async |instance, batch| Ok(self.events.intake(&instance, batch).await?.0)).await
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
pub fn event(agent: usize, seq: u64) -> Event {
    let container = seq % CONTAINERS;
    let (action, code) =
        if (seq / CONTAINERS).is_multiple_of(2) { ("start", None) } else { ("die", Some("0")) };
    let id = format!("{agent:032x}{container:032x}");
    let what = EventKind::Container {
        id: id.parse().unwrap_or_else(|_| unreachable!("64 hexadecimal digits")),
        name: format!("shop-web-{container}"),
        image: "registry.example.org/shop/web:1.27".to_owned(),
        action: action.to_owned(),
        attributes: code.map(|code| ("exitCode".to_owned(), code.to_owned())).into_iter().collect(),
        inferred: false,
    };
    Event { seq: EventSeq(seq), at: UnixMicros::now(), what }
}
