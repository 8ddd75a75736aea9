//! How a rollout goes on: what it makes of what it hears, and what is to be done next. Pure, and level-triggered: the
//! next thing to do follows from the steps as they are, however they came to be so.
//!
//! - A batch begins when every step before it has ended, or waits for an absent agent: a host that is away for a day
//!   does not hold up the others. Within a batch, a host's steps run one after another: an agent refuses more work
//!   than it can do at once, and that would be a failure.
//! - A step has its command's id, and that is stored, before the ledger is given the command: after a restart the
//!   same command is asked for again, never a second one.
//! - A stop, by a person or by a failure, begins nothing more and withdraws what still waits for its agent. What an
//!   agent has begun runs to its end: a sync that is broken off leaves more behind than one that is done.

use std::collections::BTreeSet;

use roadstead_protocol::message::command::Outcome;
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::time::UnixMicros;

use crate::model::rollout::{RolloutRecord, RolloutStep, StepState, Stopped};
use crate::model::{CommandRecord, CommandState};

#[cfg(test)]
mod tests;

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutState {
    /// Steps run, or are to.
    Running,
    /// No further step begins; some still run.
    Stopping,
    /// Every step succeeded.
    Succeeded,
    /// Some step failed.
    Failed,
    /// None failed, but some hosts were left out.
    Incomplete,
    /// Somebody stopped it; no step failed.
    Stopped,
}

impl RolloutState {
    /// The word used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
            Self::Stopped => "stopped",
        }
    }
}

impl RolloutRecord {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> RolloutState {
        let any = |fits: fn(StepState) -> bool| self.steps.iter().any(|step| fits(step.state));
        match (&self.stopped, self.ended_at) {
            (None, None) => RolloutState::Running,
            (Some(_), None) => RolloutState::Stopping,
            (_, Some(_)) if any(StepState::is_failure) => RolloutState::Failed,
            (Some(_), Some(_)) => RolloutState::Stopped,
            (None, Some(_)) if any(|state| state == StepState::Skipped) => RolloutState::Incomplete,
            (None, Some(_)) => RolloutState::Succeeded,
        }
    }

    /// The batch that a step belongs to, from 0.
    #[must_use]
    pub fn batch_of(&self, place: usize) -> usize {
        place / self.batch_length()
    }

    fn batch_length(&self) -> usize {
        usize::try_from(self.batch_size.max(1)).unwrap_or(usize::MAX)
    }

    /// The places of the steps to begin now: those of the first batch that waits, if nothing before it is in the way,
    /// and of those one for each host that runs none.
    #[must_use]
    pub fn due(&self) -> Vec<usize> {
        if self.stopped.is_some() {
            return Vec::new();
        }
        let waits = |step: &RolloutStep| step.state == StepState::Waiting;
        let Some(first) = self.steps.iter().position(waits) else { return Vec::new() };
        let from = self.batch_of(first) * self.batch_length();
        let out_of_the_way = |step: &RolloutStep| step.state.is_final() || step.state == StepState::Queued;
        if !self.steps[..from].iter().all(out_of_the_way) {
            return Vec::new();
        }
        let to = from.saturating_add(self.batch_length()).min(self.steps.len());
        let runs = |step: &&RolloutStep| matches!(step.state, StepState::Begun | StepState::Running);
        let mut busy: BTreeSet<_> = self.steps.iter().filter(runs).map(|step| &step.instance).collect();
        let due = (from..to).filter(|place| waits(&self.steps[*place]));
        due.filter(|place| busy.insert(&self.steps[*place].instance)).collect()
    }

    /// The places of steps whose command the ledger has not been heard to take on.
    #[must_use]
    pub fn begun(&self) -> Vec<usize> {
        (0..self.steps.len()).filter(|place| self.steps[*place].state == StepState::Begun).collect()
    }

    /// The commands that have not ended as far as is known here.
    #[must_use]
    pub fn out(&self) -> Vec<CommandId> {
        let out = self.steps.iter().filter(|step| !step.state.is_final());
        out.filter_map(|step| step.command).collect()
    }

    /// The commands to withdraw: they wait for an absent agent, and no further step is to begin.
    #[must_use]
    pub fn to_withdraw(&self) -> Vec<CommandId> {
        if self.stopped.is_none() {
            return Vec::new();
        }
        let queued = self.steps.iter().filter(|step| step.state == StepState::Queued);
        queued.filter_map(|step| step.command).collect()
    }

    /// A step is given its command's id.
    pub fn begin(&mut self, place: usize, command: CommandId) {
        let step = &mut self.steps[place];
        step.state = StepState::Begun;
        step.command = Some(command);
    }

    /// The ledger says how a command is. Without effect if it is none of this rollout's, or has ended before.
    pub fn heard(&mut self, command: &CommandRecord, now: UnixMicros) {
        let of = |step: &&mut RolloutStep| step.command == Some(command.id) && !step.state.is_final();
        let Some(step) = self.steps.iter_mut().find(of) else { return };
        step.state = match command.state {
            CommandState::Issued if command.queue_until.is_some() => StepState::Queued,
            CommandState::Issued | CommandState::Sent | CommandState::Running => StepState::Running,
            CommandState::Succeeded => StepState::Succeeded,
            CommandState::Failed => StepState::Failed,
            // Withdrawn by the rollout's own end: that is no failure of the host's.
            CommandState::Cancelled if self.stopped.is_some() && command.sent_at.is_none() => {
                StepState::Skipped
            }
            CommandState::Cancelled => StepState::Cancelled,
            CommandState::Lost => StepState::Lost,
        };
        if step.state.is_final() {
            step.reason = in_words(command);
        }
        self.settle(now);
    }

    /// A step is left out.
    pub fn skip(&mut self, place: usize, why: impl Into<String>, now: UnixMicros) {
        self.end_step(place, StepState::Skipped, why.into(), now);
    }

    /// The ledger did not take a step's command on.
    pub fn refuse(&mut self, place: usize, why: impl Into<String>, now: UnixMicros) {
        self.end_step(place, StepState::Refused, why.into(), now);
    }

    /// No further step is to begin. Without effect if that is so already, or it has ended.
    pub fn stop(&mut self, why: Stopped, now: UnixMicros) {
        if self.ended_at.is_none() && self.stopped.is_none() {
            self.stopped = Some(why);
            self.settle(now);
        }
    }

    fn end_step(&mut self, place: usize, state: StepState, why: String, now: UnixMicros) {
        let step = &mut self.steps[place];
        step.state = state;
        step.reason = Some(why);
        self.settle(now);
    }

    /// Draws the conclusions: a failure stops it, a stop skips what waits, and with the last step it ends.
    fn settle(&mut self, now: UnixMicros) {
        if self.stop_on_failure
            && self.stopped.is_none()
            && let Some(failed) = self.steps.iter().find(|step| step.state.is_failure())
            && self.steps.iter().any(|step| !step.state.is_final())
        {
            self.stopped = Some(Stopped::Failure { host: failed.name.clone() });
        }
        if let Some(stopped) = &self.stopped {
            let why = match stopped {
                Stopped::Failure { host } => format!("not begun, because {host} failed before"),
                Stopped::Person { name } => format!("not begun, because {name} stopped the rollout"),
            };
            for step in self.steps.iter_mut().filter(|step| step.state == StepState::Waiting) {
                step.state = StepState::Skipped;
                step.reason = Some(why.clone());
            }
        }
        if self.steps.iter().all(|step| step.state.is_final()) {
            self.ended_at.get_or_insert(now);
        }
    }
}

fn in_words(command: &CommandRecord) -> Option<String> {
    match &command.outcome {
        Some(Outcome::Succeeded { summary, .. } | Outcome::Cancelled { summary, .. }) => {
            Some(summary.clone())
        }
        Some(Outcome::Failed { reason, .. }) => Some(reason.clone()),
        Some(Outcome::Refused { .. } | Outcome::Unknown) | None => command.reason.clone(),
    }
}
