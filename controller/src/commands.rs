//! The command ledger: work asked of agents, from the request to its outcome, across every reconnect and restart.
//!
//! A command belongs to its id, never to a connection. Its state changes in memory first, is then stored, and only
//! after that told to watchers and to the agent; whoever asked may hang up in between, since the tick stores and asks
//! again. What may happen in which state is in [`state`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use roadstead_protocol::message::command::Order;
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use tokio::sync::broadcast;

pub use error::{CancelError, IssueError};

pub use self::issuing::MAX_QUEUE;
pub use crate::store::commands::CommandFilter;

use self::open::{Live, OpenCommands};
use self::state::{Effect, Input, step};
use crate::model::{Ceiling, CommandRecord, CommandState, LogLine};
use crate::registry::{AgentHandle, Registry, SendError};
use crate::store::{Store, StoreError};

mod clock;
mod error;
mod issuing;
mod log;
mod open;
mod serving;
pub mod state;
#[cfg(test)]
mod tests;
mod upkeep;
pub mod work;

use clock::Clock;

/// Changes that a slow reader may fall behind before it has to read the whole again.
const CHANGES: usize = 1024;

/// Most commands in one page of the list.
pub const MAX_PAGE: usize = 200;

/// Most lines in one page of a log.
pub const MAX_LOG_PAGE: usize = 1000;

/// The ledger; cheap to clone.
#[derive(Clone)]
pub struct Commands {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    registry: Registry,
    changes: broadcast::Sender<CommandChange>,
    open: Mutex<OpenCommands>,
    clock: Mutex<Clock>,
}

/// Something new in the ledger, told after it is on disk.
#[derive(Clone, Debug)]
pub enum CommandChange {
    /// A command is new or changed.
    State(Arc<CommandRecord>),
    /// A command's log grew.
    Lines {
        /// Whose log.
        command: CommandId,
        /// Where it runs.
        instance: InstanceId,
        /// The new lines, in order.
        lines: Arc<Vec<LogLine>>,
    },
}

/// What a request for a command says beside the work.
#[derive(Clone, Copy, Debug, Default)]
pub struct IssueOptions<'a> {
    /// Its identity, where that was stored before; none for a fresh one.
    pub id: Option<CommandId>,
    /// How long it waits for an absent agent, at most seven days; none refuses it when the agent is away.
    pub queue_for: Option<Duration>,
    /// How long it may run, at most 24 hours; none for what is usual for the work.
    pub deadline: Option<Duration>,
    /// The agent's policy as last heard; what it does not allow is refused here already.
    pub policy: Option<&'a Policy>,
    /// The most that may be asked of the instance; none for no such limit.
    pub ceiling: Option<&'a Ceiling>,
}

impl Commands {
    /// The ledger over `store`, with every unfinished command in it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load(store: Store, registry: Registry) -> Result<Self, StoreError> {
        let open = OpenCommands::load(&store, UnixMicros::now()).await?;
        let changes = broadcast::Sender::new(CHANGES);
        let (open, clock) = (Mutex::new(open), Mutex::new(Clock::new(UnixMicros::now())));
        Ok(Self { inner: Arc::new(Inner { store, registry, changes, open, clock }) })
    }

    /// One command.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn one(&self, id: CommandId) -> Result<Option<CommandRecord>, StoreError> {
        self.inner.store.command(id).await
    }

    /// Commands, newest first, from the one before `before` on; at most [`MAX_PAGE`].
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(
        &self,
        filter: CommandFilter,
        before: Option<CommandId>,
        limit: usize,
    ) -> Result<Vec<CommandRecord>, StoreError> {
        self.inner.store.commands(filter, before, limit.min(MAX_PAGE)).await
    }

    /// Lines of a command's log from `from_line` on; at most [`MAX_LOG_PAGE`].
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn log(&self, id: CommandId, from_line: u64, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        self.inner.store.command_lines(id, from_line, limit.min(MAX_LOG_PAGE)).await
    }

    /// Everything new from now on: subscribe, then read. A reader that falls 1,024 changes behind is told so and must
    /// read again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<CommandChange> {
        self.inner.changes.subscribe()
    }

    fn open(&self) -> MutexGuard<'_, OpenCommands> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies `input`, stores the outcome, tells watchers, then tells the agent what there is to tell.
    async fn apply(
        &self,
        live: &mut Live,
        input: Input,
        agent: Option<&AgentHandle>,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        let input = match input {
            Input::Connected { .. } => beyond(&live.tracked.record, agent).unwrap_or(input),
            input => input,
        };
        let (tracked, effects) = step(live.tracked.clone(), input, now);
        live.unsaved |= tracked.record != live.tracked.record;
        live.tracked = tracked;
        self.save(live).await?;
        let Some(agent) = agent else { return Ok(()) };
        for effect in effects {
            let sent = live.tell(agent, effect);
            if let (Effect::Send, Err(error)) = (effect, sent) {
                return self.put_back(live, error, now).await;
            }
            // What else could not be sent is asked about again by the tick, or when the agent is back.
        }
        Ok(())
    }

    /// The session certainly did not take the order, nor did an earlier one, so it may go to whichever boot.
    async fn put_back(&self, live: &mut Live, error: SendError, now: UnixMicros) -> Result<(), StoreError> {
        tracing::debug!(command = %live.tracked.record.id, %error, "order not taken; it waits");
        let (tracked, _) = step(live.tracked.clone(), Input::NotSent, now);
        live.tracked = tracked;
        live.unsaved = true;
        self.save(live).await
    }

    /// Stores the command if it changed, then tells watchers. The caller may be dropped while this waits: the command
    /// stays marked as unsaved then, and the tick saves it.
    async fn save(&self, live: &mut Live) -> Result<(), StoreError> {
        if !live.unsaved {
            return Ok(());
        }
        let record = live.tracked.record.clone();
        self.inner.store.save_command(record.clone()).await?;
        (live.unsaved, live.stored) = (false, true);
        if record.state.is_final() {
            self.open().finish(record.id, UnixMicros::now());
        }
        // Nobody listening is fine.
        let _ = self.inner.changes.send(CommandChange::State(Arc::new(record)));
        Ok(())
    }
}

/// What becomes of a command that waited while its instance was given a ceiling below it.
fn beyond(record: &CommandRecord, agent: Option<&AgentHandle>) -> Option<Input> {
    let ceiling = agent?.ceiling.as_deref().filter(|ceiling| !ceiling.allows(record.work.verb()))?;
    (record.state == CommandState::Issued).then(|| Input::BeyondCeiling { ceiling: ceiling.to_string() })
}

impl Live {
    /// Gives the session what is to be told, and notes that it owes an answer.
    fn tell(&mut self, agent: &AgentHandle, effect: Effect) -> Result<(), SendError> {
        agent.send(self.message(effect))?;
        self.answers.asked(agent.session, effect);
        Ok(())
    }

    fn message(&self, effect: Effect) -> ToAgent {
        let record = &self.tracked.record;
        match effect {
            Effect::Send => ToAgent::Order(Box::new(Order {
                id: record.id,
                work: record.work.clone(),
                deadline_secs: record.deadline_secs,
            })),
            Effect::Enquire => ToAgent::Enquire { command: record.id, next_line: self.log.next_line },
            Effect::Cancel => ToAgent::Cancel { command: record.id },
        }
    }
}
