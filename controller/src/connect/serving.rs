//! One link, from the agent's Hello to the session's end. After the handshake nothing here knows who dialled.

use std::sync::Arc;

use roadstead_protocol::link::Link;
use roadstead_protocol::link::handshake::{answer, receive_hello};
use roadstead_protocol::link::session::{Heartbeat, LinkHealth, Session, SessionEnd, open};
use roadstead_protocol::message::event::{EventBatch, EventKind};
use roadstead_protocol::message::hello::{Hello, Refusal, Reply, Welcome};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId, PeerKey, SessionId};
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use roadstead_protocol::message::version;
use roadstead_protocol::queue::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Front;
use crate::events::IntakeError;
use crate::fleet::{Feed, NoLongerFed, PictureTooLarge};
use crate::identities::Ring;
use crate::model::{Direction, InstanceRecord};
use crate::registry::{AgentHandle, Registration};
use crate::relayed::Place;
use crate::store::StoreError;

/// What carries a link: the agent's own connection, or what a web server has taken TLS off.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Who dialled, and for whom.
pub enum Dialled {
    /// The agent.
    ByAgent,
    /// The controller, looking for this instance.
    ByUs(InstanceId),
}

impl Dialled {
    const fn direction(&self) -> Direction {
        match self {
            Self::ByAgent => Direction::Outbound,
            Self::ByUs(_) => Direction::Inbound,
        }
    }

    const fn instance(&self) -> Option<&InstanceId> {
        match self {
            Self::ByAgent => None,
            Self::ByUs(instance) => Some(instance),
        }
    }
}

/// Greets, admits and serves one link until it ends. `place` is what the link takes up until it is a session. The future
/// is small, since there may be ten thousand: what is large and does not last is in a box of its own.
pub async fn serve<S: Stream>(
    front: Arc<Front>,
    link: Box<Link<S>>,
    dialled: Dialled,
    place: Option<Place>,
    stop: CancellationToken,
) {
    let admitted = tokio::select! {
        () = stop.cancelled() => return,
        admitted = Box::pin(admit(&front, link, &dialled)) => admitted,
    };
    drop(place);
    let Some(admitted) = admitted else { return };
    let Some(begun) = begin(&front, admitted, dialled.direction()) else { return };
    serve_session(begun, stop).await;
}

struct Admitted<S> {
    link: Box<Link<S>>,
    hello: Hello,
    record: InstanceRecord,
    session: SessionId,
    acknowledged: EventSeq,
}

async fn admit<S: Stream>(
    front: &Front,
    mut link: Box<Link<S>>,
    dialled: &Dialled,
) -> Option<Box<Admitted<S>>> {
    let remote = link.remote().to_owned();
    let hello = match receive_hello(&mut link).await {
        Ok(hello) => hello,
        Err(error) => {
            front.strangers.note(|| tracing::info!(%remote, %error, "a link ended before its hello"));
            if let Some(instance) = dialled.instance() {
                front.fleet.dial_failed(instance, &error.to_string());
            }
            return None;
        }
    };
    let admission = front.admission.admit(link.peer(), &hello, dialled.direction(), dialled.instance()).await;
    let welcome = match admission {
        Ok(record) => welcome(front, &hello, record).await,
        Err(refusal) => Err(refusal),
    };
    match welcome {
        Ok((record, welcome)) => {
            let (session, acknowledged) = (welcome.session, welcome.acknowledged);
            match answer(&mut link, &Reply::Welcome(welcome)).await {
                Ok(()) => Some(Box::new(Admitted { link, hello, record, session, acknowledged })),
                Err(error) => {
                    tracing::info!(%remote, instance = %record.id, %error, "a link ended at its welcome");
                    None
                }
            }
        }
        Err(refusal) => {
            front.strangers.note(
                || tracing::info!(%remote, peer = %link.peer(), name = ?hello.name, %refusal, "refused an agent"),
            );
            front.refused.record(&remote, link.peer(), &hello.name, &refusal).await;
            if let Some(instance) = dialled.instance() {
                front.fleet.dial_failed(instance, &refusal.to_string());
            }
            if let Err(error) = answer(&mut link, &Reply::Refused(refusal)).await {
                tracing::debug!(%remote, %error, "the refused agent did not wait for the reason");
            }
            None
        }
    }
}

async fn welcome(
    front: &Front,
    hello: &Hello,
    record: InstanceRecord,
) -> Result<(InstanceRecord, Welcome), Refusal> {
    let held = front.events.mark(&record.id, hello.epoch).await.map_err(|error| {
        tracing::error!(instance = %record.id, %error, "cannot look up how far events are stored");
        Refusal::Internal
    })?;
    let welcome = Welcome {
        protocol: version::CURRENT,
        controller_version: env!("CARGO_PKG_VERSION").to_owned(),
        session: SessionId::generate(),
        instance: record.id.clone(),
        name: record.name.clone(),
        acknowledged: held.seq,
        print: held.print,
    };
    Ok((record, welcome))
}

/// A session that has begun.
struct Begun<'a> {
    serving: Serving<'a>,
    pumping: JoinSet<SessionEnd>,
    incoming: Incoming<ToController>,
    health: watch::Receiver<LinkHealth>,
    identities: watch::Receiver<Ring>,
    /// The controller's keys that the agent knows, as far as it has said.
    known: Option<Vec<PeerKey>>,
    closer: CancellationToken,
    registration: Registration,
    session: SessionId,
    acknowledged: EventSeq,
}

/// Opens the session and enters it everywhere. None if the instance was removed meanwhile.
fn begin<S: Stream>(front: &Front, admitted: Box<Admitted<S>>, direction: Direction) -> Option<Begun<'_>> {
    let Admitted { link, hello, record, session: id, acknowledged } = *admitted;
    let remote = link.remote().to_owned();
    let pulse = front.fleet.pulse(&record.id, id);
    let (session, pump) =
        open::<_, ToAgent, ToController>(*link, Heartbeat::Expect, move || pulse.seen().is_ok());
    let Session { outgoing, incoming, health, closer, superseder } = session;
    let handle = AgentHandle::new(id, hello.boot, outgoing, closer.clone(), superseder)
        .remembering(hello.memory())
        .registered_at(record.created_at)
        .under(record.terms.ceiling.clone());
    let (registration, superseded) = front.registry.enter(record.id.clone(), handle.clone());
    // After the entry above: a removal either finds that and ends the session, or was before it and leaves no host.
    let Some(feed) = front.fleet.link_live(&record.id, id, direction, &remote) else {
        tracing::info!(instance = %record.id, %remote, "the instance was removed while its agent joined");
        return None;
    };
    // A task of its own: heartbeats and farewells must not wait for the store while a message is being received.
    let mut pumping = JoinSet::new();
    pumping.spawn(pump);
    tracing::info!(instance = %record.id, %remote, session = %id, direction = direction.as_str(),
        agent = ?hello.agent_version, superseded = superseded.is_some(), "an agent is connected");
    let known = record.terms.controller_keys;
    let serving = Serving {
        front,
        instance: record.id,
        handle,
        feed,
        epoch: hello.epoch,
        to_drain: Some(hello.last_event),
    };
    Some(Begun {
        serving,
        pumping,
        incoming,
        health,
        identities: front.identities.subscribe(),
        known,
        closer,
        registration,
        session: id,
        acknowledged,
    })
}

async fn serve_session(begun: Begun<'_>, stop: CancellationToken) {
    let Begun { mut serving, mut pumping, mut incoming, mut health, .. } = begun;
    let (mut identities, closer) = (begun.identities, begun.closer);
    Box::pin(serving.greet(begun.acknowledged)).await;
    serving.tell_keys(&identities.borrow_and_update().clone(), begun.known.as_deref());

    let end = loop {
        let step = tokio::select! {
            Some(end) = pumping.join_next() => break ended(end),
            () = stop.cancelled(), if !closer.is_cancelled() => Step::Stop,
            Ok(()) = identities.changed() => Step::Identities,
            Ok(()) = health.changed() => Step::Health(*health.borrow_and_update()),
            // What came after a message that could not be kept must not be kept either: it would look as if that one
            // had been lost on the way.
            Some(message) = incoming.recv(), if !closer.is_cancelled() => Step::Message(message),
        };
        match step {
            Step::Stop => closer.cancel(),
            Step::Identities => {
                let ring = identities.borrow_and_update().clone();
                serving.tell_keys(&ring, Some(&[]));
            }
            Step::Health(LinkHealth::Late) => serving.feed.late(),
            Step::Health(LinkHealth::Live) => serving.feed.recovered(),
            Step::Message(message) => {
                if let Err(error) = serving.receive(message).await {
                    // A session that was replaced ends anyway; its agent's outbox brings what is dropped here.
                    if !matches!(error, Broken::NoLongerFed(_)) {
                        tracing::warn!(instance = %serving.instance, %error, "ending a session");
                    }
                    closer.cancel();
                }
            }
        }
    };
    serving.conclude(begun.session, &end);
    drop(begun.registration);
}

/// How the pump ended; a panic in it has cut the connection.
fn ended(end: Result<SessionEnd, JoinError>) -> SessionEnd {
    end.unwrap_or_else(|error| SessionEnd::Transport(error.to_string()))
}

enum Step {
    Stop,
    Identities,
    Health(LinkHealth),
    Message(ToController),
}

/// One session as the controller's other parts see it.
struct Serving<'a> {
    front: &'a Front,
    instance: InstanceId,
    handle: AgentHandle,
    feed: Feed,
    /// The outbox that it announced.
    epoch: Epoch,
    /// The last event in the agent's outbox when it said hello, until it is stored: only then is the agent's not
    /// knowing a command the whole truth.
    to_drain: Option<EventSeq>,
}

impl Serving<'_> {
    /// What the agent is told at the beginning.
    async fn greet(&mut self, acknowledged: EventSeq) {
        self.front.commands.agent_connected(&self.instance, &self.handle).await;
        self.drained_to(acknowledged).await;
    }

    async fn receive(&mut self, message: ToController) -> Result<(), Broken> {
        self.feed.seen()?;
        match message {
            ToController::Snapshot(part) => self.feed.snapshot_part(part)?,
            ToController::Change { change } => self.feed.change(change)?,
            ToController::Figures { samples } => self.feed.figures(samples),
            other => Box::pin(self.work_on(other)).await?,
        }
        Ok(())
    }

    /// What takes the store or the ledger.
    async fn work_on(&mut self, message: ToController) -> Result<(), Broken> {
        let (front, instance) = (self.front, &self.instance);
        match message {
            ToController::Events(batch) => self.store_events(batch).await?,
            ToController::Progress { lines } => front.commands.progress(instance, lines).await,
            ToController::Standing { command, standing } => {
                front.commands.standing(instance, &self.handle, command, standing).await;
            }
            ToController::Probed { nonce, engine, engine_micros } => {
                front.probes.answered(nonce, engine, engine_micros);
            }
            ToController::Inspected { nonce, found } => front.probes.inspected(nonce, found),
            ToController::Policy { policy } => front.admission.policy_changed(instance, policy).await?,
            ToController::NextKey { key } => {
                if front.admission.next_key(instance, key).await?
                    && let Err(error) = self.handle.send(ToAgent::KeyFiled { key })
                {
                    tracing::debug!(%instance, %error, "the agent says its new key again");
                }
            }
            ToController::ControllerKnown { keys } => {
                front.admission.controller_known(instance, keys).await?;
            }
            ToController::Snapshot(_) | ToController::Change { .. } | ToController::Figures { .. } => {}
            ToController::Unknown => {
                tracing::debug!(%instance, "skipped a message of a newer agent");
            }
        }
        Ok(())
    }

    /// Outcomes go into the ledger before their events go into the log, since the log's mark decides what the agent
    /// forgets: whatever dies in between, the agent tells both again.
    async fn store_events(&mut self, batch: EventBatch) -> Result<(), Broken> {
        let (front, instance, epoch) = (self.front, &self.instance, batch.epoch);
        if epoch != self.epoch {
            return Err(Broken::OtherEpoch);
        }
        for event in &batch.events {
            if let EventKind::CommandEnded { command, outcome } = &event.what {
                front.commands.ended(instance, *command, event.at, outcome.clone()).await?;
            }
        }
        let up_to = front.events.intake(instance, batch).await?;
        if let Err(error) = self.handle.send(ToAgent::Acknowledge { epoch, up_to }) {
            tracing::debug!(%instance, %error, "an acknowledgement waits for the next one");
        }
        self.drained_to(up_to).await;
        Ok(())
    }

    /// Tells the agent the controller's keys, unless it is known to know them or there never was but one.
    fn tell_keys(&self, ring: &Ring, known: Option<&[PeerKey]>) {
        let keys = ring.keys();
        // Whoever joined since the last replacement has its one key from its token.
        let never_told = known.is_none() && ring.earlier.is_none();
        if never_told || known == Some(&*keys) {
            return;
        }
        if let Err(error) = self.handle.send(ToAgent::ControllerKeys { keys }) {
            tracing::debug!(instance = %self.instance, %error, "the controller's keys are told with the next session");
        }
    }

    async fn drained_to(&mut self, stored: EventSeq) {
        if self.to_drain.take_if(|last| *last <= stored).is_some() {
            self.front.commands.outbox_drained(&self.instance, &self.handle).await;
        }
    }

    fn conclude(self, session: SessionId, end: &SessionEnd) {
        let instance = &self.instance;
        tracing::info!(%instance, %session, %end, "an agent is gone");
        self.feed.end(end.to_string());
    }
}

/// Why a session is ended by us.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    NoLongerFed(#[from] NoLongerFed),
    #[error(transparent)]
    Picture(#[from] PictureTooLarge),
    #[error(transparent)]
    Events(#[from] IntakeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the agent sends events of another outbox than it announced")]
    OtherEpoch,
}

#[cfg(test)]
mod tests;
