//! What the agents' sessions hand to the ledger. An agent can only speak of its own instance's commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadstead_protocol::message::command::{Outcome, Standing};
use roadstead_protocol::message::ids::{CommandId, InstanceId};
use roadstead_protocol::message::progress::ProgressLine;
use roadstead_protocol::message::time::UnixMicros;

use super::open::{Entry, Live};
use super::state::{Effect, Input};
use super::{CommandChange, Commands};
use crate::model::CommandState;
use crate::registry::AgentHandle;
use crate::store::StoreError;

impl Commands {
    /// An agent's session is up and in the registry: sends what waits for it, enquires about what is out, and about
    /// the last lines of what ended lately.
    pub async fn agent_connected(&self, instance: &InstanceId, agent: &AgentHandle) {
        self.mind_the_clock(UnixMicros::now()).await;
        let entries = {
            let mut open = self.open();
            open.back(instance);
            open.of(instance)
        };
        for entry in entries {
            let mut live = entry.live.lock().await;
            if live.is_of_another(agent.registered, UnixMicros::now()) {
                self.apply_or_warn(&mut live, Input::Removed, None, UnixMicros::now()).await;
                continue;
            }
            live.registered = Some(agent.registered);
            if live.tracked.record.state.is_final() {
                // If the session takes no more, the log lacks its end until the next one.
                let _ = live.tell(agent, Effect::Enquire);
            } else {
                self.apply_or_warn(
                    &mut live,
                    Input::Connected { boot: agent.memory },
                    Some(agent),
                    UnixMicros::now(),
                )
                .await;
            }
        }
    }

    /// Everything that was in the agent's outbox at Hello (up to `Hello.last_event`) has been handed over: a command
    /// that the agent does not know and whose outcome was not among it is lost. Call it once in a session, also where
    /// the outbox was empty.
    pub async fn outbox_drained(&self, instance: &InstanceId, agent: &AgentHandle) {
        if !self.is_current(instance, agent) {
            return;
        }
        let entries = {
            let mut open = self.open();
            open.drain(instance, agent.session);
            open.of(instance)
        };
        for entry in entries {
            let mut live = entry.live.lock().await;
            self.apply_or_warn(&mut live, Input::OutboxDrained, Some(agent), UnixMicros::now()).await;
        }
    }

    /// The agent's answer to an order or an enquiry. The answer of a session that has been superseded says nothing:
    /// the newer one has enquired for itself.
    pub async fn standing(
        &self,
        instance: &InstanceId,
        agent: &AgentHandle,
        id: CommandId,
        standing: Standing,
    ) {
        let Some(entry) = self.entry_of(instance, id) else { return };
        let mut live = entry.live.lock().await;
        if !self.is_current(instance, agent) {
            return;
        }
        let drained = self.open().is_drained(instance, agent.session);
        let heard = live.answers.answered(agent.session);
        let input = Input::Standing { boot: agent.memory, standing, drained, heard };
        self.apply_or_warn(&mut live, input, Some(agent), UnixMicros::now()).await;
    }

    /// Lines of commands' logs. Each is stored once and told once, after it is stored.
    pub async fn progress(&self, instance: &InstanceId, lines: Vec<ProgressLine>) {
        let mut by_command = BTreeMap::<_, Vec<_>>::new();
        for line in lines {
            by_command.entry(line.command).or_default().push(line);
        }
        for (id, lines) in by_command {
            let Some(entry) = self.entry_of(instance, id) else { continue };
            let mut live = entry.live.lock().await;
            if let Err(error) = self.append(&entry, &mut live, lines).await {
                // The agent is asked for these lines again when later ones arrive.
                tracing::warn!(%instance, command = %id, %error, "lines of a command's log could not be stored");
            }
        }
    }

    /// A command ended at `at` by the agent's clock, as told through its outbox. Handing it in twice is fine.
    ///
    /// # Errors
    /// If it could not be stored: do not acknowledge the event then.
    pub async fn ended(
        &self,
        instance: &InstanceId,
        id: CommandId,
        at: UnixMicros,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let Some(entry) = self.entry_of(instance, id) else { return Ok(()) };
        let mut live = entry.live.lock().await;
        self.apply(&mut live, Input::Ended { at, outcome }, None, UnixMicros::now()).await
    }

    /// The instance was removed: none of its commands will come to an end by itself.
    pub async fn instance_removed(&self, instance: &InstanceId) {
        let entries = self.open().of(instance);
        for entry in entries {
            let mut live = entry.live.lock().await;
            self.apply_or_warn(&mut live, Input::Removed, None, UnixMicros::now()).await;
        }
    }

    async fn append(
        &self,
        entry: &Entry,
        live: &mut Live,
        lines: Vec<ProgressLine>,
    ) -> Result<(), StoreError> {
        let id = live.tracked.record.id;
        let first_at = lines.first().map(|line| line.at);
        let (mark, taken) = live.log.take(lines, UnixMicros::now())?;
        if !taken.store.is_empty() {
            self.inner.store.append_command_lines(id, taken.store).await?;
        }
        live.log = mark;
        if !taken.tell.is_empty() {
            let lines = Arc::new(taken.tell);
            let instance = entry.instance.clone();
            // Nobody listening is fine.
            let _ = self.inner.changes.send(CommandChange::Lines { command: id, instance, lines });
        }
        let agent = self.inner.registry.agent(&entry.instance);
        if let Some(agent) = agent.as_ref().filter(|_| taken.ask) {
            // If the session takes no more, the next line that arrives asks again.
            let _ = live.tell(agent, Effect::Enquire);
        }
        match first_at {
            Some(at) if matches!(live.tracked.record.state, CommandState::Issued | CommandState::Sent) => {
                self.apply(live, Input::Progressed { at }, None, UnixMicros::now()).await
            }
            _ => Ok(()),
        }
    }

    /// As [`Commands::apply`], for callers who can do nothing about a failure: the tick saves again.
    pub(super) async fn apply_or_warn(
        &self,
        live: &mut Live,
        input: Input,
        agent: Option<&AgentHandle>,
        now: UnixMicros,
    ) {
        if let Err(error) = self.apply(live, input, agent, now).await {
            let record = &live.tracked.record;
            tracing::warn!(
                instance = %record.instance, command = %record.id, %error,
                "a command's change could not be stored; trying again"
            );
        }
    }

    fn is_current(&self, instance: &InstanceId, agent: &AgentHandle) -> bool {
        self.inner.registry.agent(instance).is_some_and(|current| current.session == agent.session)
    }

    fn entry_of(&self, instance: &InstanceId, id: CommandId) -> Option<Entry> {
        let entry = self.open().entry(id)?;
        if entry.instance != *instance {
            tracing::warn!(%instance, command = %id, "an agent speaks of another instance's command; ignored");
            return None;
        }
        Some(entry)
    }
}
