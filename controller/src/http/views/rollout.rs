//! A rollout as the API shows it.

use std::collections::BTreeMap;

use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::time::UnixMicros;
use serde::Serialize;

use crate::fleet::{Fleet, Host};
use crate::http::time::{Time, age_seconds};
use crate::model::rollout::{RolloutRecord, RolloutStep, StepState, Stopped};

/// A sync of many hosts, without its steps.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RolloutSummary {
    /// Its id.
    pub id: String,
    /// `running`, `stopping` (no further step begins), and at the end `succeeded`, `failed`, `incomplete` (hosts were
    /// left out) or `stopped`.
    pub state: &'static str,
    /// Whether that can never change again.
    pub ended: bool,
    /// Who asked.
    pub issued_by: String,
    /// When.
    pub issued_at: Time,
    /// How long ago, in seconds.
    pub age_seconds: f64,
    /// When its last step ended.
    pub ended_at: Option<Time>,
    /// Steps at once.
    pub batch_size: u32,
    /// Whether a failed step keeps later ones from beginning.
    pub stop_on_failure: bool,
    /// How long the command of an absent host waits, in seconds; none skips such a host.
    pub queue_seconds: Option<u32>,
    /// Why no further step begins.
    pub stopped: Option<String>,
    /// The projects that are synced.
    pub projects: Vec<String>,
    /// How many steps are in each state.
    pub counts: StepCounts,
}

/// How many steps are in each state.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the names are the states")]
pub struct StepCounts {
    pub total: usize,
    pub waiting: usize,
    pub queued: usize,
    pub running: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub skipped: usize,
}

/// A sync of many hosts.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RolloutView {
    /// The whole of it.
    #[serde(flatten)]
    pub summary: RolloutSummary,
    /// Its steps, in order.
    pub steps: Vec<StepView>,
}

/// The sync of one project on one host.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct StepView {
    /// Its place in the order, from 0.
    pub place: usize,
    /// Its batch, from 0.
    pub batch: usize,
    /// Which host.
    pub instance: String,
    /// The host's name when the rollout was made.
    pub name: String,
    /// Which project; empty where the host shows none.
    pub project: String,
    /// Where it stands.
    pub state: StepStateView,
    /// Its command, once it has begun.
    pub command: Option<String>,
    /// What came of it, or why it was not done.
    pub reason: Option<String>,
}

/// Where a step stands. `waiting`, `queued` (for an absent agent) and `running` may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as in the model")]
pub enum StepStateView {
    Waiting,
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Lost,
    Refused,
    Skipped,
}

/// What a rollout would do.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RolloutPlanView {
    /// The steps, in order.
    pub steps: Vec<PlannedStepView>,
    /// How many batches that makes.
    pub batches: usize,
}

/// What would be done on one host.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PlannedStepView {
    /// The step.
    #[serde(flatten)]
    pub step: StepView,
    /// Why it would be left out if its turn were now.
    pub obstacle: Option<String>,
    /// The strategies that its agent has, the one it prefers first.
    pub strategies: Vec<String>,
    /// The services and what they run now.
    pub services: Vec<PlannedServiceView>,
}

/// A service of a planned step.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PlannedServiceView {
    /// Its name.
    pub service: String,
    /// Image reference.
    pub image: String,
    /// What it runs now (`sha256:…`).
    pub image_id: String,
    /// How many containers it has.
    pub containers: usize,
}

/// A rollout is new or changed.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RolloutNews {
    /// As it is now.
    pub rollout: RolloutSummary,
    /// The steps that changed.
    pub steps: Vec<StepView>,
}

impl RolloutSummary {
    /// The view of `record` at `now`.
    #[must_use]
    pub fn new(record: &RolloutRecord, now: UnixMicros) -> Self {
        let mut projects: Vec<_> = record.steps.iter().map(|step| step.project.clone()).collect();
        projects.sort_unstable();
        projects.dedup();
        Self {
            id: record.id.to_string(),
            state: record.state().as_str(),
            ended: record.ended_at.is_some(),
            issued_by: record.issued_by.clone(),
            issued_at: Time(record.issued_at),
            age_seconds: age_seconds(record.issued_at, now),
            ended_at: record.ended_at.map(Time),
            batch_size: record.batch_size,
            stop_on_failure: record.stop_on_failure,
            queue_seconds: record.queue_secs,
            stopped: record.stopped.as_ref().map(|stopped| match stopped {
                Stopped::Failure { host } => format!("{host} failed"),
                Stopped::Person { name } => format!("{name} stopped it"),
            }),
            projects,
            counts: StepCounts::new(&record.steps),
        }
    }
}

impl StepCounts {
    fn new(steps: &[RolloutStep]) -> Self {
        let mut counts = Self { total: steps.len(), ..Self::default() };
        for step in steps {
            let place = match step.state {
                StepState::Waiting => &mut counts.waiting,
                StepState::Queued => &mut counts.queued,
                StepState::Begun | StepState::Running => &mut counts.running,
                StepState::Succeeded => &mut counts.succeeded,
                StepState::Failed | StepState::Cancelled | StepState::Lost | StepState::Refused => {
                    &mut counts.failed
                }
                StepState::Skipped => &mut counts.skipped,
            };
            *place += 1;
        }
        counts
    }
}

impl RolloutView {
    /// The view of `record` at `now`.
    #[must_use]
    pub fn new(record: &RolloutRecord, now: UnixMicros) -> Self {
        let steps = (0..record.steps.len()).filter_map(|place| StepView::new(record, place));
        Self { summary: RolloutSummary::new(record, now), steps: steps.collect() }
    }
}

impl RolloutNews {
    /// What changed of `record`.
    #[must_use]
    pub fn new(record: &RolloutRecord, places: impl IntoIterator<Item = usize>, now: UnixMicros) -> Self {
        let steps = places.into_iter().filter_map(|place| StepView::new(record, place)).collect();
        Self { rollout: RolloutSummary::new(record, now), steps }
    }
}

impl StepView {
    /// The view of the step at `place`; none if there is none.
    #[must_use]
    pub fn new(record: &RolloutRecord, place: usize) -> Option<Self> {
        let step = record.steps.get(place)?;
        Some(Self {
            place,
            batch: record.batch_of(place),
            instance: step.instance.to_string(),
            name: step.name.clone(),
            project: step.project.clone(),
            state: step.state.into(),
            command: step.command.map(|id| id.to_string()),
            reason: step.reason.clone(),
        })
    }
}

impl RolloutPlanView {
    /// What `record` would do with the hosts as they are now.
    #[must_use]
    pub fn new(record: &RolloutRecord, fleet: &Fleet) -> Self {
        let planned = (0..record.steps.len()).filter_map(|place| {
            let step = StepView::new(record, place)?;
            let host = fleet.host(&record.steps[place].instance)?;
            Some(PlannedStepView {
                obstacle: obstacle(record, &host),
                strategies: strategies(&host),
                services: services(&host, &step.project),
                step,
            })
        });
        let steps: Vec<_> = planned.collect();
        Self { batches: steps.last().map_or(0, |last| last.step.batch + 1), steps }
    }
}

fn obstacle(record: &RolloutRecord, host: &Host) -> Option<String> {
    if let Some(policy) = &host.record.policy
        && !policy.allows(Verb::Sync)
    {
        return Some(crate::rollouts::refused_by_policy(Verb::Sync));
    }
    let absent = !host.link.state.is_connected();
    (absent && record.queue_secs.is_none()).then(|| "the agent is not connected".to_owned())
}

fn strategies(host: &Host) -> Vec<String> {
    let able = |name: &&str| host.record.abilities.iter().any(|ability| ability == name);
    ["script", "compose"].into_iter().filter(able).chain(["engine"]).map(str::to_owned).collect()
}

fn services(host: &Host, project: &str) -> Vec<PlannedServiceView> {
    let mut services: BTreeMap<&str, PlannedServiceView> = BTreeMap::new();
    let of = host.containers.values().filter(|one| one.compose_project() == Some(project));
    for container in of {
        let name = container.compose_service().unwrap_or(&container.name);
        let service = services.entry(name).or_insert_with(|| PlannedServiceView {
            service: name.to_owned(),
            image: container.image.to_string(),
            image_id: container.image_id.to_string(),
            containers: 0,
        });
        service.containers += 1;
    }
    services.into_values().collect()
}

impl From<StepState> for StepStateView {
    fn from(state: StepState) -> Self {
        match state {
            StepState::Waiting => Self::Waiting,
            StepState::Queued => Self::Queued,
            StepState::Begun | StepState::Running => Self::Running,
            StepState::Succeeded => Self::Succeeded,
            StepState::Failed => Self::Failed,
            StepState::Cancelled => Self::Cancelled,
            StepState::Lost => Self::Lost,
            StepState::Refused => Self::Refused,
            StepState::Skipped => Self::Skipped,
        }
    }
}
