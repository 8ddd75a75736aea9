//! Who is connected now. An entry is removed only by the session that made it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use roadstead_protocol::message::ids::{BootId, InstanceId, SessionId};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::queue::{NotQueued, Outgoing};
use tokio_util::sync::CancellationToken;

use crate::model::Ceiling;

/// The live sessions, one per instance.
#[derive(Clone, Default)]
pub struct Registry {
    sessions: Arc<Mutex<HashMap<InstanceId, AgentHandle>>>,
}

/// How the rest of the controller reaches one connected agent.
#[derive(Clone, Debug)]
pub struct AgentHandle {
    /// The session behind it.
    pub session: SessionId,
    /// The agent's process.
    pub boot: BootId,
    /// The boot that its memory of commands goes back to.
    pub memory: BootId,
    /// When its instance was registered: what was asked of an earlier registration is none of its business.
    pub registered: UnixMicros,
    /// The most that may be asked of its instance; none for no such limit.
    pub ceiling: Option<Arc<Ceiling>>,
    messages: Outgoing<ToAgent>,
    end: CancellationToken,
    supersede: CancellationToken,
}

/// The agent is gone, or takes nothing more for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session has ended.
    #[error("the agent's session has ended")]
    Gone,
    /// The session's queue is full.
    #[error("the agent takes no more messages for now")]
    Full,
}

impl AgentHandle {
    /// A handle that sends through `messages`, ends the session through `end`, and through `supersede` when a newer
    /// session takes its place.
    #[must_use]
    pub fn new(
        session: SessionId,
        boot: BootId,
        messages: Outgoing<ToAgent>,
        end: CancellationToken,
        supersede: CancellationToken,
    ) -> Self {
        let (memory, registered, ceiling) = (boot, UnixMicros(0), None);
        Self { session, boot, memory, registered, ceiling, messages, end, supersede }
    }

    /// The same for an agent whose memory of commands goes back further than its process.
    #[must_use]
    pub fn remembering(self, memory: BootId) -> Self {
        Self { memory, ..self }
    }

    /// The same for an agent whose instance was registered then.
    #[must_use]
    pub fn registered_at(self, registered: UnixMicros) -> Self {
        Self { registered, ..self }
    }

    /// The same for an agent of whose instance no more than this may be asked. A new one comes with a join token, which
    /// ends the session.
    #[must_use]
    pub fn under(self, ceiling: Option<Ceiling>) -> Self {
        Self { ceiling: ceiling.map(Arc::new), ..self }
    }

    /// Queues a message; never waits.
    ///
    /// # Errors
    /// If the session is over or its queue is full.
    pub fn send(&self, message: ToAgent) -> Result<(), SendError> {
        self.messages.try_send(message).map_err(|error| match error {
            NotQueued::Full => SendError::Full,
            NotQueued::Ended(_) => SendError::Gone,
        })
    }

    /// Waits until the session takes no more messages because it is over.
    pub async fn ended(&self) {
        self.messages.ended().await;
    }

    /// Ends the session.
    pub fn end(&self) {
        self.end.cancel();
    }
}

/// A place in the registry; given up when dropped.
pub struct Registration {
    registry: Registry,
    instance: InstanceId,
    session: SessionId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut sessions = self.registry.lock();
        if sessions.get(&self.instance).is_some_and(|handle| handle.session == self.session) {
            sessions.remove(&self.instance);
        }
    }
}

impl Registry {
    /// Enters a session. The newest session of an instance supersedes an older one, which is ended and returned.
    #[must_use]
    pub fn enter(&self, instance: InstanceId, handle: AgentHandle) -> (Registration, Option<AgentHandle>) {
        let registration =
            Registration { registry: self.clone(), instance: instance.clone(), session: handle.session };
        let superseded = self.lock().insert(instance, handle);
        if let Some(old) = &superseded {
            old.supersede.cancel();
        }
        (registration, superseded)
    }

    /// The session of an instance, if it has one.
    #[must_use]
    pub fn agent(&self, instance: &InstanceId) -> Option<AgentHandle> {
        self.lock().get(instance).cloned()
    }

    /// How many agents are connected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Every connected agent.
    #[must_use]
    pub fn agents(&self) -> Vec<(InstanceId, AgentHandle)> {
        self.lock().iter().map(|(instance, handle)| (instance.clone(), handle.clone())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<InstanceId, AgentHandle>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
