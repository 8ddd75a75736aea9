//! What people ask of the ledger: to take on a command, to cancel one.

use std::sync::Arc;
use std::time::Duration;

use roadstead_protocol::message::command::Work;
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::Mutex;

use super::log::LogMark;
use super::open::Live;
use super::state::Input;
use super::work::{usual_deadline, validate};
use super::{CancelError, Commands, IssueError, IssueOptions};
use crate::model::{CommandRecord, CommandState};
use crate::store::StoreError;

/// The longest that a command may wait for its agent.
pub const MAX_QUEUE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest that a command may run.
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

impl Commands {
    /// Takes on a command and sends it if the agent is connected.
    ///
    /// # Errors
    /// If it is refused; nothing of it is stored then.
    pub async fn issue(
        &self,
        instance: &InstanceId,
        work: Work,
        by: &str,
        options: IssueOptions<'_>,
    ) -> Result<CommandRecord, IssueError> {
        let record = new_record(instance, work, by, options)?;
        let agent = self.inner.registry.agent(instance);
        if agent.is_none() && options.queue_for.is_none() {
            return Err(IssueError::AgentAway);
        }
        let id = record.id;
        let mut live = Live::new(record.clone(), LogMark::default(), record.issued_at);
        (live.unsaved, live.stored) = (true, false);
        live.registered = agent.as_ref().map(|agent| agent.registered);
        let live = Arc::new(Mutex::new(live));
        // Locked before it is entered, so that nobody comes between entering and the first save.
        let mut locked = Arc::clone(&live).lock_owned().await;
        self.open().enter(&record, &live)?;
        let saved = match &agent {
            Some(agent) => {
                let input = Input::Connected { boot: agent.memory };
                self.apply(&mut locked, input, Some(agent), record.issued_at).await
            }
            None => self.save(&mut locked).await,
        };
        if let Err(error) = saved {
            if !locked.stored {
                self.open().withdraw(id);
                return Err(error.into());
            }
            // It is stored as sent, but waits: forgotten now, it would go to the agent after a restart, unasked for.
            tracing::warn!(command = %id, %error, "a command could not be stored; trying again");
        }
        Ok(locked.tracked.record.clone())
    }

    /// Notes the wish to cancel: a command not yet sent ends at once, others when their agent stops them. Asking
    /// again asks the agent again.
    ///
    /// # Errors
    /// If there is no such command or it has ended.
    pub async fn cancel(&self, id: CommandId, by: &str) -> Result<CommandRecord, CancelError> {
        let Some(entry) = self.open().entry(id) else {
            let record = self.one(id).await?.ok_or(CancelError::NotFound)?;
            return Err(CancelError::AlreadyFinal { state: record.state });
        };
        let mut live = entry.live.lock().await;
        let state = live.tracked.record.state;
        if state.is_final() {
            return Err(CancelError::AlreadyFinal { state });
        }
        let agent = self.inner.registry.agent(&entry.instance);
        self.apply(&mut live, Input::CancelAsked { by: by.to_owned() }, agent.as_ref(), UnixMicros::now())
            .await?;
        Ok(live.tracked.record.clone())
    }

    /// Takes back a command that waits for its agent; one that is further on is left as it is. Returns how it is now,
    /// if there is such a command.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn withdraw(&self, id: CommandId, by: &str) -> Result<Option<CommandRecord>, StoreError> {
        let Some(entry) = self.open().entry(id) else { return self.one(id).await };
        let mut live = entry.live.lock().await;
        if live.tracked.record.state == CommandState::Issued {
            let agent = self.inner.registry.agent(&entry.instance);
            let input = Input::CancelAsked { by: by.to_owned() };
            self.apply(&mut live, input, agent.as_ref(), UnixMicros::now()).await?;
        }
        Ok(Some(live.tracked.record.clone()))
    }
}

fn new_record(
    instance: &InstanceId,
    work: Work,
    by: &str,
    options: IssueOptions<'_>,
) -> Result<CommandRecord, IssueError> {
    validate(&work).map_err(IssueError::Invalid)?;
    if options.queue_for.is_some_and(|wait| wait.is_zero() || wait > MAX_QUEUE) {
        return Err(IssueError::Invalid("queue_for is more than nothing and at most 7 days".to_owned()));
    }
    let deadline = options.deadline.unwrap_or_else(|| usual_deadline(&work));
    if deadline < Duration::from_secs(1) || deadline > MAX_DEADLINE {
        return Err(IssueError::Invalid("the deadline is from 1 second to 24 hours".to_owned()));
    }
    if let Some(ceiling) = options.ceiling
        && !ceiling.allows(work.verb())
    {
        return Err(IssueError::Ceiling { verb: work.verb(), ceiling: ceiling.to_string() });
    }
    if let Some(policy) = options.policy
        && !policy.allows(work.verb())
    {
        return Err(IssueError::Policy { verb: work.verb() });
    }
    let now = UnixMicros::now();
    Ok(CommandRecord {
        id: options.id.unwrap_or_else(CommandId::generate),
        instance: instance.clone(),
        work,
        issued_by: by.to_owned(),
        issued_at: now,
        state: CommandState::Issued,
        queue_until: options.queue_for.map(|wait| now.plus(wait)),
        deadline_secs: u32::try_from(deadline.as_secs()).unwrap_or(u32::MAX),
        boot: None,
        sent_at: None,
        started_at: None,
        ended_at: None,
        cancel_requested: false,
        outcome: None,
        reason: None,
    })
}
