//! Changes gathered for one browser. Of the fleet only *what* changed is kept: how it is now is looked up when it is
//! told, so that many changes of one thing are told once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roadstead_protocol::message::ids::{CommandId, ContainerId, InstanceId};
use roadstead_protocol::message::time::UnixMicros;

use super::told::{ContainersChange, FiguresChange, LiveEvent, ProgressChange, Removal};
use crate::accounts::Role;
use crate::commands::CommandChange;
use crate::fleet::{FleetChange, Host};
use crate::http::Services;
use crate::http::views::command::{CommandView, LogLineView};
use crate::http::views::container::{ContainerView, FiguresView};
use crate::http::views::event::EventView;
use crate::http::views::instance::InstanceView;
use crate::http::views::rollout::RolloutNews;
use crate::lifecycle::{LifecycleChange, Lifecycles};
use crate::model::rollout::{RolloutId, RolloutRecord};
use crate::model::{CommandRecord, EventRecord, LogLine};

/// More changes than this in one batch: telling everything anew is cheaper.
const TOO_LARGE: usize = 4096;

/// What has changed since something was last told.
#[derive(Default)]
pub(super) struct Batch {
    size: usize,
    removed: BTreeSet<InstanceId>,
    instances: BTreeSet<InstanceId>,
    whole: BTreeSet<InstanceId>,
    containers: BTreeMap<InstanceId, BTreeSet<ContainerId>>,
    figures: BTreeMap<InstanceId, BTreeSet<ContainerId>>,
    commands: BTreeMap<CommandId, Arc<CommandRecord>>,
    lines: BTreeMap<CommandId, (InstanceId, Vec<LogLine>)>,
    rollouts: BTreeMap<RolloutId, (Arc<RolloutRecord>, BTreeSet<usize>)>,
    events: Vec<Arc<EventRecord>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.size > TOO_LARGE
    }

    pub(super) fn add_fleet(&mut self, change: &FleetChange) {
        self.size += 1;
        match change {
            FleetChange::Host(host) => {
                self.instances.insert(host.record.id.clone());
            }
            FleetChange::Replaced(host) => {
                self.instances.insert(host.record.id.clone());
                self.whole.insert(host.record.id.clone());
            }
            FleetChange::Containers { instance, upsert, remove } => {
                self.size += upsert.len() + remove.len();
                // Its counts have changed as well.
                self.instances.insert(instance.clone());
                let changed = self.containers.entry(instance.clone()).or_default();
                changed.extend(upsert.iter().map(|container| container.id.clone()));
                changed.extend(remove.iter().cloned());
            }
            FleetChange::Figures { instance, samples } => {
                // What they add up to has changed.
                self.instances.insert(instance.clone());
                let sampled = self.figures.entry(instance.clone()).or_default();
                sampled.extend(samples.iter().map(|sample| sample.container.clone()));
            }
            FleetChange::Removed(instance) => {
                self.instances.remove(instance);
                self.whole.remove(instance);
                self.containers.remove(instance);
                self.figures.remove(instance);
                self.removed.insert(instance.clone());
            }
        }
    }

    /// The containers are told anew, with everything about them.
    pub(super) fn add_lifecycle(&mut self, change: LifecycleChange) {
        self.size += change.containers.len();
        self.containers.entry(change.instance).or_default().extend(change.containers);
    }

    pub(super) fn add_command(&mut self, change: &CommandChange) {
        match change {
            CommandChange::State(record) => {
                self.size += 1;
                self.commands.insert(record.id, Arc::clone(record));
            }
            CommandChange::Lines { command, instance, lines } => {
                self.size += lines.len();
                let (_, told) = self.lines.entry(*command).or_insert_with(|| (instance.clone(), Vec::new()));
                told.extend(lines.iter().cloned());
            }
        }
    }

    pub(super) fn add_rollout(&mut self, record: Arc<RolloutRecord>, places: Vec<usize>) {
        self.size += 1;
        let (newest, changed) =
            self.rollouts.entry(record.id).or_insert_with(|| (Arc::clone(&record), BTreeSet::new()));
        *newest = record;
        changed.extend(places);
    }

    pub(super) fn add_events(&mut self, events: &[Arc<EventRecord>]) {
        self.size += events.len();
        self.events.extend_from_slice(events);
    }

    /// The instances that something is to be told of.
    pub(super) fn mentioned(&self) -> BTreeSet<InstanceId> {
        let fleet =
            self.instances.iter().chain(&self.whole).chain(self.containers.keys()).chain(self.figures.keys());
        let commands = self.commands.values().map(|record| &record.instance);
        let lines = self.lines.values().map(|(instance, _)| instance);
        let events = self.events.iter().map(|event| &event.instance);
        let steps = self.rollouts.values().flat_map(|(record, _)| &record.steps).map(|step| &step.instance);
        fleet.chain(commands).chain(lines).chain(events).chain(steps).cloned().collect()
    }

    /// Leaves out what is not `seen`. Of instances, `told` are known to the browser: of one that has come in sight
    /// everything is told, and one that has gone out of sight is told to be removed.
    pub(super) fn narrow(&mut self, seen: &BTreeSet<InstanceId>, told: &mut BTreeSet<InstanceId>) {
        let gone: Vec<_> =
            self.mentioned().into_iter().filter(|id| told.contains(id) && !seen.contains(id)).collect();
        self.removed.retain(|id| told.contains(id));
        self.removed.extend(gone);
        let new: Vec<_> = seen.iter().filter(|id| !told.contains(*id)).cloned().collect();
        self.instances.extend(new.iter().cloned());
        self.whole.extend(new.iter().cloned());
        for instances in [&mut self.instances, &mut self.whole] {
            instances.retain(|id| seen.contains(id));
        }
        for changed in [&mut self.containers, &mut self.figures] {
            changed.retain(|id, _| seen.contains(id));
        }
        self.commands.retain(|_, record| seen.contains(&record.instance));
        self.lines.retain(|_, (instance, _)| seen.contains(instance));
        self.events.retain(|event| seen.contains(&event.instance));
        self.rollouts.retain(|_, (record, _)| record.steps.iter().all(|step| seen.contains(&step.instance)));
        told.retain(|id| !self.removed.contains(id));
        told.extend(new);
    }

    /// The changes as events for somebody of this role. A host that is gone by now is left out: its removal is on its way.
    pub(super) fn into_events(self, services: &Services, role: Role) -> Vec<LiveEvent> {
        let (fleet, lifecycles) = (&services.fleet, &services.lifecycles);
        let now = UnixMicros::now();
        let mut told = Vec::new();
        told.extend(self.removed.iter().map(|id| LiveEvent::Removed(Removal { instance: id.to_string() })));
        for host in self.instances.iter().filter_map(|instance| fleet.host(instance)) {
            told.push(LiveEvent::Instance(Box::new(InstanceView::new(&host, now))));
        }
        for host in self.whole.iter().filter_map(|instance| fleet.host(instance)) {
            told.push(LiveEvent::Containers(whole(&host, lifecycles, role, now)));
        }
        for (instance, changed) in self.containers.iter().filter(|(id, _)| !self.whole.contains(*id)) {
            let Some(host) = fleet.host(instance) else { continue };
            told.push(LiveEvent::Containers(some(&host, changed, lifecycles, role, now)));
        }
        for (instance, sampled) in &self.figures {
            let Some(host) = fleet.host(instance) else { continue };
            let samples = sampled.iter().filter_map(|id| host.figures.get(id));
            let samples = samples.map(|figures| FiguresView::new(figures, now)).collect();
            told.push(LiveEvent::Figures(FiguresChange { instance: instance.to_string(), samples }));
        }
        told.extend(
            self.commands.values().map(|one| LiveEvent::Command(Box::new(CommandView::new(one, now)))),
        );
        told.extend(self.lines.iter().map(|(command, (instance, lines))| {
            LiveEvent::Progress(ProgressChange {
                command: command.to_string(),
                instance: instance.to_string(),
                lines: lines.iter().map(LogLineView::new).collect(),
            })
        }));
        told.extend(self.rollouts.values().map(|(record, places)| {
            LiveEvent::Rollout(Box::new(RolloutNews::new(record, places.iter().copied(), now)))
        }));
        told.extend(self.events.iter().map(|event| LiveEvent::Event(Box::new(EventView::new(event, now)))));
        told
    }
}

/// The containers of a host, all of them.
pub(super) fn whole(host: &Host, lifecycles: &Lifecycles, role: Role, now: UnixMicros) -> ContainersChange {
    ContainersChange {
        instance: host.record.id.to_string(),
        whole: true,
        upsert: host
            .containers
            .values()
            .map(|one| ContainerView::new(one, host, lifecycles, role, now))
            .collect(),
        remove: Vec::new(),
    }
}

fn some(
    host: &Host,
    changed: &BTreeSet<ContainerId>,
    lifecycles: &Lifecycles,
    role: Role,
    now: UnixMicros,
) -> ContainersChange {
    let instance = host.record.id.to_string();
    let mut change = ContainersChange { instance, whole: false, upsert: Vec::new(), remove: Vec::new() };
    for id in changed {
        match host.containers.get(id) {
            Some(container) => change.upsert.push(ContainerView::new(container, host, lifecycles, role, now)),
            None => change.remove.push(id.to_string()),
        }
    }
    change
}
