//! Rollouts over a real store and the real ledger, with agents that are channels.

use std::collections::BTreeSet;

use roadstead_protocol::message::command::{Outcome, Work};
use roadstead_protocol::message::container::ContainerState;
use roadstead_protocol::message::ids::{BootId, CommandId, InstanceId};
use roadstead_protocol::message::policy::Policy;
use roadstead_protocol::message::snapshot::SnapshotPart;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::queue::Incoming;
use tempfile::TempDir;

use super::*;
use crate::fixtures::{agent, container, engine, instance, record};
use crate::fleet::Feed;
use crate::model::Direction;
use crate::model::rollout::StepState;
use crate::model::scope::Limit;
use crate::registry::{Registration, Registry};
use crate::rollouts::state::RolloutState;

struct Site {
    directory: TempDir,
    store: Store,
    fleet: Fleet,
    registry: Registry,
    commands: Commands,
    rollouts: Rollouts,
}

/// A host whose agent is connected.
struct Connected {
    id: InstanceId,
    orders: Incoming<ToAgent>,
    _registration: Registration,
    _feed: Feed,
}

impl Site {
    /// A controller with these hosts registered, each with the project `shop`.
    async fn new(hosts: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let names: Vec<_> = hosts.iter().map(|name| (*name).to_owned()).collect();
        for name in &names {
            let mut one = record(name);
            one.policy = Some(Policy::default());
            store.insert_instance(one).await.unwrap().unwrap();
        }
        Self::over(directory, store).await
    }

    async fn over(directory: TempDir, store: Store) -> Self {
        let (fleet, registry) = (Fleet::new(), Registry::default());
        for known in store.instances().await.unwrap() {
            fleet.refresh_record(&store, &known.id).await.unwrap();
        }
        let commands = Commands::load(store.clone(), registry.clone()).await.unwrap();
        let rollouts = Rollouts::load(store.clone(), fleet.clone(), commands.clone()).await.unwrap();
        Self { directory, store, fleet, registry, commands, rollouts }
    }

    /// As after a crash of the controller: nothing in memory, no agent connected.
    async fn restarted(self) -> Self {
        let Self { directory, store, .. } = self;
        Self::over(directory, store).await
    }

    fn connect(&self, name: &str) -> Connected {
        let id = instance(name);
        let (handle, orders, _) = agent(BootId::generate());
        let (registration, _) = self.registry.enter(id.clone(), handle.clone());
        let feed = self.fleet.link_live(&id, handle.session, Direction::Outbound, "192.0.2.1:1").unwrap();
        let mut one = container(1, ContainerState::Running);
        one.labels.insert("com.docker.compose.project".to_owned(), "shop".to_owned());
        feed.snapshot_part(SnapshotPart { engine: engine(), containers: vec![one], last: true }).unwrap();
        Connected { id, orders, _registration: registration, _feed: feed }
    }

    async fn ended(&self, host: &Connected, command: CommandId, good: bool) {
        let outcome = if good {
            Outcome::Succeeded { summary: "updated web".to_owned(), services: Vec::new() }
        } else {
            Outcome::Failed { reason: "web does not start".to_owned(), services: Vec::new() }
        };
        self.commands.ended(&host.id, command, UnixMicros::now(), outcome).await.unwrap();
        let ended = self.commands.one(command).await.unwrap().unwrap();
        self.rollouts.go_on(Some(&ended), false).await;
    }

    async fn states(&self, id: RolloutId) -> Vec<StepState> {
        let record = self.rollouts.one(id).await.unwrap().unwrap();
        record.steps.iter().map(|step| step.state).collect()
    }
}

impl Connected {
    /// The syncs that its agent was sent.
    fn syncs(&mut self) -> Vec<CommandId> {
        let sent = std::iter::from_fn(|| self.orders.try_recv());
        let orders = sent.filter_map(|message| match message {
            ToAgent::Order(order) if matches!(order.work, Work::Sync(_)) => Some(order.id),
            _ => None,
        });
        orders.collect()
    }
}

fn new(hosts: &[&str], batch_size: u32) -> NewRollout {
    NewRollout {
        selection: Selection::Instances(hosts.iter().map(|name| instance(name)).collect()),
        project: Some("shop".to_owned()),
        order: Order::Given,
        batch_size,
        stop_on_failure: true,
        queue_secs: None,
        strategy: None,
        verify_secs: 60,
    }
}

#[tokio::test]
async fn hosts_are_synced_in_batches_each_by_one_command_of_the_ledger() {
    let site = Site::new(&["a", "b", "c"]).await;
    let (mut a, mut b, mut c) = (site.connect("a"), site.connect("b"), site.connect("c"));
    let id = site.rollouts.start(&new(&["c", "a", "b"], 2), "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, false).await;
    let (first, second) = (c.syncs(), a.syncs());
    assert_eq!((first.len(), second.len(), b.syncs().len()), (1, 1, 0), "in the order that was given");
    assert_eq!(site.commands.one(first[0]).await.unwrap().unwrap().issued_by, "anna");
    site.ended(&c, first[0], true).await;
    assert!(b.syncs().is_empty());
    site.ended(&a, second[0], true).await;
    let third = b.syncs();
    assert_eq!(third.len(), 1);
    site.ended(&b, third[0], true).await;
    let record = site.rollouts.one(id).await.unwrap().unwrap();
    assert_eq!(record.state(), RolloutState::Succeeded);
    assert_eq!(record.steps[0].reason.as_deref(), Some("updated web"));
}

#[tokio::test]
async fn a_host_that_is_away_is_left_out_by_name_and_the_next_has_its_turn() {
    let site = Site::new(&["a", "b"]).await;
    let (lost, mut b) = (site.connect("a"), site.connect("b"));
    drop(lost);
    let mut wanted = new(&["a", "b"], 1);
    let id = site.rollouts.start(&wanted, "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, true).await;
    assert_eq!(site.states(id).await[0], StepState::Waiting, "it was lost just now, and may be back at once");
    // One that never was connected is not waited for.
    site.store.insert_instance(record("never")).await.unwrap().unwrap();
    site.fleet.refresh_record(&site.store, &instance("never")).await.unwrap();
    site.rollouts.stop(id, "anna").await.unwrap();
    wanted.selection = Selection::Instances(vec![instance("never"), instance("b")]);
    let id = site.rollouts.start(&wanted, "anna", &Scope::default()).await.unwrap().id;
    let planned = site.rollouts.one(id).await.unwrap().unwrap();
    assert_eq!(planned.steps[0].state, StepState::Skipped);
    assert!(planned.steps[0].reason.as_deref().unwrap().contains("no compose project `shop`"));
    site.rollouts.go_on(None, false).await;
    let sent = b.syncs();
    site.ended(&b, sent[0], true).await;
    assert_eq!(site.rollouts.one(id).await.unwrap().unwrap().state(), RolloutState::Incomplete);
}

#[tokio::test]
async fn an_absent_host_can_be_waited_for_and_a_stop_withdraws_its_command() {
    let site = Site::new(&["a", "b"]).await;
    drop(site.connect("a"));
    let mut b = site.connect("b");
    let wanted = NewRollout { queue_secs: Some(3600), ..new(&["a", "b"], 1) };
    let id = site.rollouts.start(&wanted, "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, false).await;
    assert_eq!(site.states(id).await, [StepState::Queued, StepState::Running]);
    let running = b.syncs();
    site.rollouts.stop(id, "bert").await.unwrap();
    site.rollouts.go_on(None, false).await;
    assert_eq!(site.states(id).await, [StepState::Skipped, StepState::Running]);
    assert!(!b.orders.try_recv().is_some_and(|told| matches!(told, ToAgent::Cancel { .. })));
    site.ended(&b, running[0], true).await;
    assert_eq!(site.rollouts.one(id).await.unwrap().unwrap().state(), RolloutState::Stopped);
    assert!(matches!(site.rollouts.stop(id, "bert").await, Err(StopError::Ended)));
    assert!(matches!(site.rollouts.stop(RolloutId::generate(), "bert").await, Err(StopError::NotFound)));
}

#[tokio::test]
async fn who_stops_a_large_rollout_does_not_wait_until_all_of_it_has_begun() {
    let names: Vec<_> = (0..50).map(|number| format!("host-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let site = Site::new(&names).await;
    names.iter().for_each(|name| drop(site.connect(name)));
    let wanted = NewRollout { queue_secs: Some(3600), ..new(&names, 100) };
    let id = site.rollouts.start(&wanted, "anna", &Scope::default()).await.unwrap().id;
    let queued =
        async || site.states(id).await.into_iter().filter(|state| *state == StepState::Queued).count();
    site.rollouts.go_on(None, false).await;
    let first = queued().await;
    assert!((1..=16).contains(&first), "{first} have begun before anybody else had a turn");
    for _ in 0..4 {
        site.rollouts.go_on(None, false).await;
    }
    assert_eq!(queued().await, 50);
    site.rollouts.stop(id, "bert").await.unwrap();
    for _ in 0..4 {
        site.rollouts.go_on(None, false).await;
    }
    assert_eq!(site.rollouts.one(id).await.unwrap().unwrap().state(), RolloutState::Stopped);
}

#[tokio::test]
async fn what_is_told_of_a_large_rollout_holds_no_copy_of_it() {
    let site = Site::new(&["a", "b"]).await;
    drop((site.connect("a"), site.connect("b")));
    let mut told = site.rollouts.subscribe();
    let wanted = NewRollout { queue_secs: Some(3600), ..new(&["a", "b"], 1) };
    let id = site.rollouts.start(&wanted, "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, false).await;
    let newest = site.rollouts.newest(id).unwrap();
    assert_eq!(newest.steps[1].state, StepState::Queued, "changes lead to how it is now");
    let mut changes = 0;
    while let Ok(change) = told.try_recv() {
        assert_eq!(change.id, id);
        changes += 1;
    }
    assert!(changes > 3, "{changes}");
    assert_eq!(Arc::strong_count(&newest), 2, "here, and the newest");
    for _ in 0..=MAX_UNFINISHED {
        let one = site.rollouts.start(&wanted, "anna", &Scope::default()).await;
        let Ok(one) = one else { break };
        site.rollouts.stop(one.id, "anna").await.unwrap();
    }
    assert!(site.rollouts.newest(id).is_some(), "it has not ended");
    let kept = site.rollouts.newest_ones().records.len();
    assert!(kept <= 1 + MAX_UNFINISHED, "{kept}");
}

#[tokio::test]
async fn a_stop_leaves_alone_what_was_sent_before_it_was_heard_of() {
    let site = Site::new(&["a"]).await;
    drop(site.connect("a"));
    let wanted = NewRollout { queue_secs: Some(3600), ..new(&["a"], 1) };
    let id = site.rollouts.start(&wanted, "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, false).await;
    let mut a = site.connect("a");
    let handle = site.registry.agent(&a.id).unwrap();
    site.commands.agent_connected(&a.id, &handle).await;
    assert_eq!(site.states(id).await, [StepState::Queued], "not heard of yet");
    let sent = a.syncs();
    assert_eq!(sent.len(), 1);
    site.rollouts.stop(id, "bert").await.unwrap();
    site.rollouts.go_on(None, false).await;
    assert_eq!(site.states(id).await, [StepState::Running]);
    assert!(a.orders.try_recv().is_none(), "nobody told the agent to cancel it");
}

#[tokio::test]
async fn a_failure_stops_it_and_later_hosts_are_told_apart_from_failed_ones() {
    let site = Site::new(&["a", "b"]).await;
    let (mut a, mut b) = (site.connect("a"), site.connect("b"));
    let id = site.rollouts.start(&new(&["a", "b"], 1), "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, false).await;
    let sent = a.syncs();
    site.ended(&a, sent[0], false).await;
    let record = site.rollouts.one(id).await.unwrap().unwrap();
    assert_eq!(record.state(), RolloutState::Failed);
    assert_eq!(record.steps[0].reason.as_deref(), Some("web does not start"));
    assert_eq!(record.steps[1].state, StepState::Skipped);
    assert!(b.syncs().is_empty());
}

#[tokio::test]
async fn after_a_restart_it_goes_on_without_a_second_command_for_anybody() {
    let site = Site::new(&["a", "b"]).await;
    let (mut a, b) = (site.connect("a"), site.connect("b"));
    let id = site.rollouts.start(&new(&["a", "b"], 1), "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, false).await;
    let first = a.syncs()[0];
    drop((a, b));
    let site = site.restarted().await;
    let (a, mut b) = (site.connect("a"), site.connect("b"));
    site.rollouts.go_on(None, true).await;
    assert_eq!(site.states(id).await, [StepState::Running, StepState::Waiting]);
    site.ended(&a, first, true).await;
    assert_eq!(b.syncs().len(), 1);
    let commands = site.commands.list(crate::commands::CommandFilter::default(), None, 10).await.unwrap();
    let hosts: BTreeSet<_> = commands.iter().map(|command| command.instance.to_string()).collect();
    assert_eq!((commands.len(), hosts.len()), (2, 2));
}

#[tokio::test]
async fn a_step_that_was_begun_but_never_given_to_the_ledger_is_given_once_after_a_restart() {
    let site = Site::new(&["a"]).await;
    drop(site.connect("a"));
    // As if the controller had died between storing the step and issuing its command.
    let mut record = site.rollouts.start(&new(&["a"], 1), "anna", &Scope::default()).await.unwrap();
    let command = CommandId::generate();
    record.begin(0, command);
    site.store.save_rollout(record.clone(), vec![0]).await.unwrap();
    let site = site.restarted().await;
    let mut a = site.connect("a");
    for _ in 0..3 {
        site.rollouts.go_on(None, true).await;
    }
    assert_eq!(a.syncs(), [command]);
    assert_eq!(site.states(record.id).await, [StepState::Running]);
}

#[tokio::test]
async fn a_host_whose_link_was_lost_just_now_is_waited_for() {
    let site = Site::new(&["a"]).await;
    drop(site.connect("a"));
    let id = site.rollouts.start(&new(&["a"], 1), "anna", &Scope::default()).await.unwrap().id;
    site.rollouts.go_on(None, true).await;
    assert_eq!(site.states(id).await, [StepState::Waiting]);
    let mut a = site.connect("a");
    site.rollouts.go_on(None, true).await;
    assert_eq!(a.syncs().len(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_of_it_is_stored() {
    let site = Site::new(&["a"]).await;
    let _a = site.connect("a");
    let rollouts = &site.rollouts;
    let refused = |wanted: NewRollout| async move {
        rollouts.start(&wanted, "anna", &Scope::default()).await.unwrap_err()
    };
    assert!(matches!(refused(new(&["a"], 0)).await, StartError::Batch(0)));
    assert!(matches!(refused(new(&["a"], 101)).await, StartError::Batch(101)));
    assert!(matches!(refused(new(&["b"], 1)).await, StartError::Choose(ChooseError::Unknown(_))));
    let other = NewRollout { project: Some("blog".to_owned()), ..new(&["a"], 1) };
    let text = refused(other).await.to_string();
    assert!(text.contains("`blog`"), "{text}");
    assert!(site.rollouts.list(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn hosts_out_of_sight_are_not_there() {
    let site = Site::new(&["a", "b"]).await;
    let (_a, _b) = (site.connect("a"), site.connect("b"));
    let only_a = Limit { instances: [instance("a")].into(), ..Limit::default() };
    let scope = Scope::default().within(only_a);
    let refused = site.rollouts.start(&new(&["a", "b"], 1), "anna", &scope).await.unwrap_err();
    assert!(matches!(refused, StartError::Choose(ChooseError::Unknown(id)) if id == instance("b")));
    let all = NewRollout { selection: Selection::Labelled { environment: None, tag: None }, ..new(&[], 1) };
    let planned = site.rollouts.plan(&all, "anna", &scope).unwrap();
    assert_eq!(planned.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["a"]);
}
