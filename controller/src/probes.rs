//! Asking an agent something now: whether it and its engine answer, or all about one container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::inspection::Inspection;
use roadstead_protocol::message::snapshot::Engine;
use roadstead_protocol::message::to_agent::ToAgent;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::registry::{AgentHandle, SendError};

#[cfg(test)]
mod tests;

/// Most probes under way at once; a further one is refused.
const MAX_WAITING: usize = 256;

/// The probes under way; cheap to clone.
#[derive(Clone, Default)]
pub struct Probes {
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>,
}

enum Answer {
    Probed { engine: Engine, engine_micros: u64 },
    Inspected(Inspection),
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// The engine as it answered just now.
    pub engine: Engine,
    /// How long the engine took, in microseconds, by the agent's account.
    pub engine_micros: u64,
    /// From question to answer, without the engine's part.
    pub round_trip: Duration,
}

/// Why a probe found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The question could not be sent.
    #[error("The agent could not be asked: {0}. Try again in a moment.")]
    Send(#[from] SendError),
    /// No answer in time.
    #[error("The agent did not answer within {0:?}. Its link or its engine is stuck; look at the host.")]
    TimedOut(Duration),
    /// The session ended before the answer.
    #[error("The agent's session ended before it answered. Try again when it is back.")]
    Gone,
    /// The answer was to another question.
    #[error("The agent answered something else. Upgrade the older of agent and controller.")]
    Nonsense,
    /// Too many probes at once.
    #[error("Too many checks are under way. Try again in a moment.")]
    TooMany,
}

impl Probes {
    /// Asks the agent behind `handle` and waits for its answer at most `deadline`.
    ///
    /// # Errors
    /// If it cannot be asked or does not answer in time.
    pub async fn probe(&self, handle: &AgentHandle, deadline: Duration) -> Result<ProbeResult, ProbeError> {
        let asked = Instant::now();
        let answer = self.ask(handle, deadline, |nonce| ToAgent::Probe { nonce }).await?;
        let Answer::Probed { engine, engine_micros } = answer else { return Err(ProbeError::Nonsense) };
        let round_trip = asked.elapsed().saturating_sub(Duration::from_micros(engine_micros));
        Ok(ProbeResult { engine, engine_micros, round_trip })
    }

    /// Asks the agent behind `handle` for everything about one container, and waits at most `deadline`.
    ///
    /// # Errors
    /// If it cannot be asked or does not answer in time.
    pub async fn inspect(
        &self,
        handle: &AgentHandle,
        container: ContainerId,
        deadline: Duration,
    ) -> Result<Inspection, ProbeError> {
        let answer = self.ask(handle, deadline, |nonce| ToAgent::Inspect { nonce, container }).await?;
        if let Answer::Inspected(found) = answer { Ok(found) } else { Err(ProbeError::Nonsense) }
    }

    /// An agent's answer to a probe. One that nobody waits for any more is dropped.
    pub fn answered(&self, nonce: u64, engine: Engine, engine_micros: u64) {
        self.give(nonce, Answer::Probed { engine, engine_micros });
    }

    /// An agent's answer to an inspection. One that nobody waits for any more is dropped.
    pub fn inspected(&self, nonce: u64, found: Inspection) {
        self.give(nonce, Answer::Inspected(found));
    }

    fn give(&self, nonce: u64, answer: Answer) {
        if let Some(waiting) = self.lock().remove(&nonce) {
            let _ = waiting.send(answer);
        }
    }

    async fn ask(
        &self,
        handle: &AgentHandle,
        deadline: Duration,
        question: impl FnOnce(u64) -> ToAgent,
    ) -> Result<Answer, ProbeError> {
        let (answer, answered) = oneshot::channel();
        let place = self.enter(answer)?;
        handle.send(question(place.nonce))?;
        let answer = tokio::select! {
            answer = tokio::time::timeout(deadline, answered) => answer,
            () = handle.ended() => return Err(ProbeError::Gone),
        };
        answer.map_err(|_| ProbeError::TimedOut(deadline))?.map_err(|_| ProbeError::Gone)
    }

    fn enter(&self, answer: oneshot::Sender<Answer>) -> Result<Place<'_>, ProbeError> {
        let mut waiting = self.lock();
        if waiting.len() >= MAX_WAITING {
            return Err(ProbeError::TooMany);
        }
        // Random, so that one agent cannot answer for another.
        let nonce = rand::random();
        waiting.insert(nonce, answer);
        Ok(Place { probes: self, nonce })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the waiting, given up however the wait ends.
struct Place<'a> {
    probes: &'a Probes,
    nonce: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.probes.lock().remove(&self.nonce);
    }
}
