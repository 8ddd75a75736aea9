//! Which steps a rollout has: from what was asked and how the hosts are now. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use roadstead_protocol::message::ids::InstanceId;

use crate::fleet::Host;
use crate::model::rollout::{RolloutStep, StepState};

/// Most steps of one rollout.
pub const MAX_STEPS: usize = 5000;

/// Which hosts are meant.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These, by id. One without the project is named as skipped.
    Instances(Vec<InstanceId>),
    /// Those with this environment and this tag, as far as given. One without the project is not meant.
    Labelled {
        /// Environment label.
        environment: Option<String>,
        /// Tag.
        tag: Option<String>,
    },
}

/// In which order the hosts have their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were listed; by name where they were not.
    Given,
    /// By name.
    Name,
    /// Those with the fewest containers first: where a mistake does the least harm.
    Containers,
}

/// Why there are no steps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    /// There is no such host.
    #[error("there is no instance `{0}`; GET /api/instances lists those there are")]
    Unknown(InstanceId),
    /// None of the hosts has anything to sync.
    #[error("none of these hosts shows {}", project.as_ref().map_or_else(|| "a compose project".to_owned(), |name| format!("the compose project `{name}`")))]
    Nothing {
        /// The project that was asked for.
        project: Option<String>,
    },
    /// More than one rollout may hold.
    #[error(
        "{count} steps are too many; {MAX_STEPS} may be in one rollout: choose fewer hosts, or name one project"
    )]
    TooMany {
        /// How many there would be.
        count: usize,
    },
}

/// The steps: for each host that is meant the project that was named, or all it shows.
///
/// # Errors
/// If a host is unknown, or there is nothing to do, or too much.
pub fn choose(
    hosts: &[Arc<Host>],
    selection: &Selection,
    project: Option<&str>,
    order: Order,
) -> Result<Vec<RolloutStep>, ChooseError> {
    let mut meant = meant(hosts, selection)?;
    let by_name = |host: &&Arc<Host>| host.record.name.to_lowercase();
    match (order, selection) {
        (Order::Given, Selection::Instances(_)) => {}
        (Order::Given | Order::Name, _) => meant.sort_by_key(by_name),
        (Order::Containers, _) => meant.sort_by_key(|host| (host.containers.len(), by_name(host))),
    }
    let named = matches!(selection, Selection::Instances(_));
    let steps: Vec<_> = meant.into_iter().flat_map(|host| of_host(host, project, named)).collect();
    if !steps.iter().any(|step| step.state == StepState::Waiting) {
        return Err(ChooseError::Nothing { project: project.map(str::to_owned) });
    }
    if steps.len() > MAX_STEPS {
        return Err(ChooseError::TooMany { count: steps.len() });
    }
    Ok(steps)
}

fn meant<'a>(hosts: &'a [Arc<Host>], selection: &Selection) -> Result<Vec<&'a Arc<Host>>, ChooseError> {
    match selection {
        Selection::Instances(ids) => {
            let known: HashMap<_, _> = hosts.iter().map(|host| (&host.record.id, host)).collect();
            let mut seen = BTreeSet::new();
            let fresh = ids.iter().filter(|id| seen.insert(*id));
            fresh.map(|id| known.get(id).copied().ok_or_else(|| ChooseError::Unknown(id.clone()))).collect()
        }
        Selection::Labelled { environment, tag } => {
            let fits = |host: &&Arc<Host>| {
                environment.as_ref().is_none_or(|wanted| host.record.environment.as_ref() == Some(wanted))
                    && tag.as_ref().is_none_or(|wanted| host.record.tags.contains(wanted))
            };
            Ok(hosts.iter().filter(fits).collect())
        }
    }
}

fn of_host(host: &Host, project: Option<&str>, named: bool) -> Vec<RolloutStep> {
    let step = |project: &str, reason: Option<String>| RolloutStep {
        instance: host.record.id.clone(),
        name: host.record.name.clone(),
        project: project.to_owned(),
        state: if reason.is_some() { StepState::Skipped } else { StepState::Waiting },
        command: None,
        reason,
    };
    let shown: BTreeSet<_> = host.containers.values().filter_map(|one| one.compose_project()).collect();
    match project {
        Some(project) if shown.contains(project) => vec![step(project, None)],
        Some(project) if named => {
            vec![step(project, Some(format!("shows no compose project `{project}`")))]
        }
        None if shown.is_empty() && named => vec![step("", Some("shows no compose project".to_owned()))],
        Some(_) => Vec::new(),
        None => shown.into_iter().map(|project| step(project, None)).collect(),
    }
}
