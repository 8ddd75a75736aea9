//! One session: tells the controller the whole picture and then its changes, the outbox's events, commands' progress
//! and figures; does what the controller asks. Nothing here knows who dialled.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use roadstead_protocol::link::Link;
use roadstead_protocol::link::session::{Heartbeat, Session, SessionEnd, open};
use roadstead_protocol::masking;
use roadstead_protocol::message::codec::{CHUNK, PART, encoded_size};
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::hello::Welcome;
use roadstead_protocol::message::ids::{ContainerId, EventSeq, PeerKey};
use roadstead_protocol::message::inspection::Inspection;
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::snapshot::{Change, Engine as EnginePicture, SnapshotPart};
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use roadstead_protocol::queue::{self, Ended, Incoming};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Inspected};
use crate::executor::Executor;
use crate::figures::{Sampler, Told};
use crate::keys::Keys;
use crate::outbox::Outbox;
use crate::policy::PolicyCell;
use crate::watcher::PictureHandle;

/// What a session speaks for: it lives longer than any session.
pub struct Parts<E: Engine> {
    /// The engine, for probes.
    pub engine: Arc<E>,
    /// What is yet to be told.
    pub outbox: Outbox,
    /// What the owner allows.
    pub policy: Arc<PolicyCell>,
    /// Running commands.
    pub executor: Executor<E>,
    /// Figures.
    pub sampler: Sampler<E>,
    /// The picture of the host.
    pub picture: PictureHandle,
}

type Outgoing = queue::Outgoing<ToController>;

/// Serves one session until it ends.
pub async fn serve<E: Engine>(
    parts: &Parts<E>,
    keys: &Keys,
    link: Link<TcpStream>,
    welcome: &Welcome,
    stop: CancellationToken,
) -> SessionEnd {
    let (shown, peer) = (link.shown(), link.peer());
    let (session, pump) = open::<_, ToController, ToAgent>(link, Heartbeat::Send, || true);
    let Session { outgoing, incoming, closer, .. } = session;
    parts.executor.begin_session();
    let work = async {
        tokio::select! {
            _ = tell_picture(parts, &outgoing) => {}
            _ = tell_events(parts, welcome.acknowledged, &outgoing) => {}
            _ = tell_progress(parts, &outgoing) => {}
            _ = tell_figures(parts, &outgoing) => {}
            _ = tell_policy(parts, &outgoing) => {}
            _ = obey(parts, (keys, shown, peer), incoming, &outgoing) => {}
            () = stop.cancelled() => {}
        }
        closer.cancel();
        std::future::pending::<SessionEnd>().await
    };
    tokio::select! {
        end = pump => end,
        end = work => end,
    }
}

/// The whole picture, then its changes; the whole again after falling behind.
async fn tell_picture<E: Engine>(parts: &Parts<E>, outgoing: &Outgoing) -> Result<(), Ended> {
    loop {
        let (engine, containers, mut changes) = parts.picture.subscribe();
        for mut part in snapshot_parts(&engine, containers) {
            part.containers.iter_mut().for_each(|container| shown(parts, container));
            outgoing.send(ToController::Snapshot(part)).await?;
        }
        while let Some(mut change) = changes.next().await {
            if let Change::Upsert { container } = &mut change {
                shown(parts, container);
            }
            outgoing.send(ToController::Change { change }).await?;
        }
    }
}

/// A container as it may leave this host.
fn shown<E: Engine>(parts: &Parts<E>, container: &mut Container) {
    if parts.policy.check(Verb::ViewEnv).is_err() {
        masking::mask_container(container);
    }
}

/// Splits the picture so that no message is much larger than [`PART`].
fn snapshot_parts(engine: &EnginePicture, containers: Vec<Arc<Container>>) -> Vec<SnapshotPart> {
    let part = |containers| SnapshotPart { engine: engine.clone(), containers, last: false };
    let mut parts = Vec::new();
    let (mut some, mut size) = (Vec::new(), 0);
    for container in containers {
        let more = encoded_size(&*container).unwrap_or(PART);
        if size + more > PART && !some.is_empty() {
            parts.push(part(std::mem::take(&mut some)));
            size = 0;
        }
        size += more;
        some.push(Arc::unwrap_or_clone(container));
    }
    parts.push(SnapshotPart { last: true, ..part(some) });
    parts
}

/// The end of a command goes after everything that it said.
async fn tell_events<E: Engine>(
    parts: &Parts<E>,
    mut told: EventSeq,
    outgoing: &Outgoing,
) -> Result<(), Ended> {
    loop {
        let batch = parts.outbox.next_told(told, CHUNK).await;
        for event in &batch.events {
            if let EventKind::CommandEnded { command, .. } = event.what {
                parts.executor.all_said(command).await;
            }
        }
        if let Some(last) = batch.events.last() {
            told = last.seq;
        }
        outgoing.send(ToController::Events(batch)).await?;
    }
}

async fn tell_progress<E: Engine>(parts: &Parts<E>, outgoing: &Outgoing) -> Result<(), Ended> {
    loop {
        let lines = parts.executor.next_lines().await;
        outgoing.send(ToController::Progress { lines }).await?;
    }
}

/// All of them while somebody looks, otherwise only what is news.
async fn tell_figures<E: Engine>(parts: &Parts<E>, outgoing: &Outgoing) -> Result<(), Ended> {
    let mut sampled = parts.sampler.subscribe();
    let mut told = Told::default();
    while sampled.changed().await.is_ok() {
        let samples = Arc::clone(&sampled.borrow_and_update());
        let news = told.worth(&samples, parts.sampler.is_watched());
        for some in news.chunks(FIGURES_PER_MESSAGE) {
            outgoing.send(ToController::Figures { samples: some.to_vec() }).await?;
        }
    }
    Err(Ended)
}

/// One sample takes less than 300 bytes: this stays below [`CHUNK`].
const FIGURES_PER_MESSAGE: usize = 50;

async fn tell_policy<E: Engine>(parts: &Parts<E>, outgoing: &Outgoing) -> Result<(), Ended> {
    let mut policies = parts.policy.subscribe();
    while policies.changed().await.is_ok() {
        let policy = policies.borrow_and_update().policy.clone();
        outgoing.send(ToController::Policy { policy }).await?;
    }
    Err(Ended)
}

/// Does what the controller asks. Questions to the engine may take long: they run beside the rest.
async fn obey<E: Engine>(
    parts: &Parts<E>,
    (keys, shown, peer): (&Keys, Option<PeerKey>, PeerKey),
    mut incoming: Incoming<ToAgent>,
    outgoing: &Outgoing,
) -> Result<(), Ended> {
    let mut questions = FuturesUnordered::new();
    if let Some(key) = shown.and_then(|shown| keys.unfiled(shown)) {
        outgoing.send(ToController::NextKey { key }).await?;
    }
    loop {
        let message = tokio::select! {
            message = incoming.recv() => message.ok_or(Ended)?,
            Some(answer) = questions.next(), if !questions.is_empty() => {
                outgoing.send(answer).await?;
                continue;
            }
        };
        match message {
            ToAgent::Order(order) => {
                let command = order.id;
                let standing = parts.executor.order(*order);
                parts.executor.recorded(command).await;
                tracing::debug!(%command, ?standing, "the controller orders a command");
                outgoing.send(ToController::Standing { command, standing }).await?;
            }
            ToAgent::Cancel { command } => parts.executor.cancel(command),
            ToAgent::Enquire { command, next_line } => {
                let standing = parts.executor.enquire(command, next_line);
                tracing::debug!(%command, next_line, ?standing, "the controller enquires about a command");
                outgoing.send(ToController::Standing { command, standing }).await?;
            }
            ToAgent::Acknowledge { epoch, up_to } if epoch == parts.outbox.epoch() => {
                tracing::debug!(?up_to, "the controller has stored events");
                parts.outbox.acknowledge(up_to);
            }
            ToAgent::Acknowledge { .. } => {}
            ToAgent::Watch { seconds } => parts.sampler.watch(seconds),
            ToAgent::Probe { nonce } if questions.len() < QUESTIONS => {
                questions.push(probe(parts, nonce).boxed())
            }
            ToAgent::Inspect { nonce, container } if questions.len() < QUESTIONS => {
                questions.push(inspect(parts, nonce, container).boxed());
            }
            ToAgent::Probe { .. } | ToAgent::Inspect { .. } => {
                tracing::debug!("too many questions at once; left one unanswered");
            }
            ToAgent::RotateKey => match shown.map(|shown| keys.replace(shown)) {
                Some(Ok(Some(key))) => outgoing.send(ToController::NextKey { key }).await?,
                Some(Err(error)) => tracing::error!(%error, "cannot make a new key; the present one stays"),
                Some(Ok(None)) | None => {}
            },
            ToAgent::KeyFiled { key } => match keys.filed(key, shown.unwrap_or(key)) {
                // The next link shows it.
                Ok(true) => {
                    tracing::info!(%key, "the controller has filed this agent's new key; coming back with it");
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "cannot take up the new key; the present one stays"),
            },
            ToAgent::ControllerKeys { keys: told } => match keys.learn(shown.map(|_| peer), &told) {
                Ok(true) => outgoing.send(ToController::ControllerKnown { keys: told }).await?,
                Ok(false) => {
                    tracing::warn!("the controller names keys without the one it has shown; not written down")
                }
                Err(error) => tracing::error!(%error, "cannot write down the controller's keys"),
            },
            ToAgent::Unknown => tracing::debug!("skipped a message of a newer controller"),
        }
    }
}

/// Most questions to the engine at once; more go unanswered and time out at the controller.
const QUESTIONS: usize = 8;

async fn inspect<E: Engine>(parts: &Parts<E>, nonce: u64, container: ContainerId) -> ToController {
    let found = match parts.engine.inspect(container.as_str()).await {
        Ok(Some(Inspected { mut details, .. })) => {
            if parts.policy.check(Verb::ViewEnv).is_err() {
                masking::mask_details(&mut details);
            }
            Inspection::Found(Box::new(details))
        }
        Ok(None) => Inspection::Missing,
        Err(error) => Inspection::Failed { reason: error.to_string() },
    };
    ToController::Inspected { nonce, found }
}

async fn probe<E: Engine>(parts: &Parts<E>, nonce: u64) -> ToController {
    let began = Instant::now();
    let identified = parts.engine.identify().await;
    let engine_micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let engine = parts.picture.engine_as_identified(identified);
    ToController::Probed { nonce, engine, engine_micros }
}
