//! The loop that goes on with rollouts: it hears of commands, and begins what is due.

use std::time::Duration;

use roadstead_protocol::message::command::{SyncWork, Work};
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Rollouts;
use crate::commands::{CommandChange, IssueError, IssueOptions};
use crate::fleet::{Host, LinkState};
use crate::model::CommandRecord;
use crate::model::rollout::RolloutRecord;
use crate::store::StoreError;

/// How often it looks by itself: what was missed, or could not be stored, is made good then.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// An agent that was lost so recently is waited for before its host counts as absent.
const EXPECTED_BACK_FOR: Duration = Duration::from_secs(30);

/// Steps of one rollout that are begun, or taken back, before others have their turn: whoever stops one meanwhile waits
/// for no more than these.
const AT_ONCE: usize = 16;

/// What woke the loop.
enum News {
    Look,
    LookAtAll,
    Command(std::sync::Arc<CommandRecord>),
    Nothing,
    Stop,
}

impl Rollouts {
    /// Goes on with every rollout until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut changes = self.inner.commands.subscribe();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let news = tokio::select! {
                () = shutdown.cancelled() => News::Stop,
                _ = looks.tick() => News::LookAtAll,
                () = self.inner.wake.notified() => News::Look,
                change = changes.recv() => match change {
                    Ok(CommandChange::State(record)) => News::Command(record),
                    Ok(CommandChange::Lines { .. }) => News::Nothing,
                    Err(RecvError::Lagged(_)) => News::LookAtAll,
                    Err(RecvError::Closed) => News::Stop,
                },
            };
            match news {
                News::Stop => return,
                News::Nothing => {}
                News::Look => self.go_on(None, false).await,
                News::LookAtAll => self.go_on(None, true).await,
                News::Command(record) => self.go_on(Some(&record), false).await,
            }
        }
    }

    /// Takes in what was heard of one command, or what the ledger says of all; then does what is due.
    pub(super) async fn go_on(&self, heard: Option<&CommandRecord>, look_up: bool) {
        let mut open = self.inner.open.lock().await;
        for record in open.values_mut() {
            if heard.is_some_and(|heard| !record.out().contains(&heard.id)) {
                continue;
            }
            if let Err(error) = self.go_on_with(record, heard, look_up).await {
                let rollout = record.id;
                tracing::warn!(%rollout, %error, "a rollout cannot go on; trying again in a few seconds");
            }
        }
        open.retain(|_, record| record.ended_at.is_none());
    }

    async fn go_on_with(
        &self,
        record: &mut RolloutRecord,
        heard: Option<&CommandRecord>,
        look_up: bool,
    ) -> Result<(), StoreError> {
        let mut after = record.clone();
        if let Some(heard) = heard {
            after.heard(heard, UnixMicros::now());
        }
        if look_up {
            for command in after.out() {
                if let Some(known) = self.inner.commands.one(command).await? {
                    after.heard(&known, UnixMicros::now());
                }
            }
        }
        self.save(record, after).await?;
        // Those whose command was stored, but not taken on before the controller ended.
        self.issue(record, record.begun()).await?;
        let mut left = AT_ONCE;
        loop {
            let mut due = record.due();
            if due.is_empty() || due.iter().any(|place| self.is_expected_back(record, *place)) {
                break;
            }
            due.truncate(left);
            left -= due.len();
            let mut after = record.clone();
            for place in &due {
                after.begin(*place, CommandId::generate());
            }
            self.save(record, after).await?;
            self.issue(record, due).await?;
            if left == 0 {
                self.inner.wake.notify_one();
                break;
            }
        }
        self.withdraw(record).await
    }

    /// Gives the ledger the commands of the steps at `places`.
    async fn issue(&self, record: &mut RolloutRecord, places: Vec<usize>) -> Result<(), StoreError> {
        for place in places {
            let mut after = record.clone();
            self.issue_one(&mut after, place).await?;
            self.save(record, after).await?;
        }
        Ok(())
    }

    async fn issue_one(&self, record: &mut RolloutRecord, place: usize) -> Result<(), StoreError> {
        let now = UnixMicros::now();
        let step = &record.steps[place];
        let Some(host) = self.inner.fleet.host(&step.instance) else {
            record.skip(place, "the instance was removed", now);
            return Ok(());
        };
        if let Some(command) = step.command
            && let Some(known) = self.inner.commands.one(command).await?
        {
            record.heard(&known, now);
            return Ok(());
        }
        let work = Work::Sync(SyncWork {
            project: step.project.clone(),
            services: Vec::new(),
            strategy: record.strategy,
            verify_secs: record.verify_secs,
        });
        let options = IssueOptions {
            id: step.command,
            queue_for: record.queue_secs.map(|seconds| Duration::from_secs(seconds.into())),
            deadline: None,
            policy: host.record.policy.as_ref(),
            ceiling: host.record.terms.ceiling.as_ref(),
        };
        match self.inner.commands.issue(&step.instance, work, &record.issued_by, options).await {
            Ok(issued) => record.heard(&issued, now),
            Err(error) => not_issued(record, place, error, now)?,
        }
        Ok(())
    }

    /// Whether a step's host is away for a moment only: the controller has just started, or the link was just lost.
    fn is_expected_back(&self, record: &RolloutRecord, place: usize) -> bool {
        let host = self.inner.fleet.host(&record.steps[place].instance);
        record.queue_secs.is_none() && host.is_some_and(|host| expected_back(&host, UnixMicros::now()))
    }

    /// Takes back what waits for an absent agent once no further step is to begin.
    async fn withdraw(&self, record: &mut RolloutRecord) -> Result<(), StoreError> {
        let mut left = AT_ONCE;
        for command in record.to_withdraw() {
            if left == 0 {
                self.inner.wake.notify_one();
                break;
            }
            // By now it may have been sent, which is not heard here yet.
            let known = self.inner.commands.withdraw(command, &record.issued_by).await?;
            if let Some(known) = known {
                let mut after = record.clone();
                after.heard(&known, UnixMicros::now());
                left -= usize::from(*record != after);
                self.save(record, after).await?;
            }
        }
        Ok(())
    }
}

fn expected_back(host: &Host, now: UnixMicros) -> bool {
    match host.link.state {
        LinkState::Awaited => true,
        LinkState::Lost => host.link.since <= now && now.since(host.link.since) < EXPECTED_BACK_FOR,
        LinkState::Live | LinkState::Late | LinkState::Never => false,
    }
}

/// What is the host's own doing leaves it out; what should not have been is a failure.
fn not_issued(
    record: &mut RolloutRecord,
    place: usize,
    error: IssueError,
    now: UnixMicros,
) -> Result<(), StoreError> {
    match error {
        IssueError::AgentAway => record.skip(place, "the agent was not connected at its turn", now),
        IssueError::Policy { verb } => record.skip(place, refused_by_policy(verb), now),
        IssueError::Ceiling { .. } => record.skip(place, error.to_string(), now),
        IssueError::Busy { .. } | IssueError::TooMany { .. } | IssueError::Invalid(_) => {
            record.refuse(place, error.to_string(), now);
        }
        IssueError::Store(error) => return Err(error),
    }
    Ok(())
}

/// Why a host is left out whose owner does not allow syncs.
#[must_use]
pub fn refused_by_policy(verb: Verb) -> String {
    format!("the agent's policy does not allow `{verb}`; its owner can allow it with ROADSTEAD_ALLOW")
}
