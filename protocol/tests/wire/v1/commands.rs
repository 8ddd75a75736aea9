//! Orders, progress, standings, outcomes.

use std::collections::BTreeMap;

use roadstead_protocol::message::command::{
    ContainerAction, InstallWork, Order, OrderRefusal, Outcome, ServiceOutcome, ServiceResult, Standing,
    Strategy, SyncWork, Work,
};
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::{
    LogStream, PlannedService, Progress, ProgressLine, Step, StepState,
};
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;

use super::{AT, command, every, text};

pub fn order_with(work: Work) -> ToAgent {
    ToAgent::Order(Box::new(Order { id: command(), work, deadline_secs: 3600 }))
}

pub fn orders() -> Vec<(String, ToAgent)> {
    let sync = |strategy| Work::Sync(SyncWork { strategy, ..sync_work() });
    let act = |action| Work::Container { container: text("web"), action };
    let works = works().into_iter().map(|(name, work)| (format!("order/{name}"), work));
    let strategies = strategies()
        .into_iter()
        .map(|(name, strategy)| (format!("order/sync/strategy/{name}"), sync(Some(strategy))));
    let actions = container_actions()
        .into_iter()
        .map(|(name, action)| (format!("order/container/action/{name}"), act(action)));
    let minimal = Work::Install(InstallWork {
        command: Vec::new(),
        env: BTreeMap::new(),
        labels: BTreeMap::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        network: None,
        restart_policy: None,
        ..install_work()
    });
    works
        .chain(strategies)
        .chain(actions)
        .chain([(text("order/install/minimal"), minimal)])
        .map(|(name, work)| (name, order_with(work)))
        .collect()
}

pub fn works() -> Vec<(&'static str, Work)> {
    every!(Work {
        "sync" Work::Sync(_) => Work::Sync(sync_work()),
        "install" Work::Install(_) => Work::Install(install_work()),
        "reinstall" Work::Reinstall { .. } => Work::Reinstall { container: text("web") },
        "container" Work::Container { .. } => {
            Work::Container { container: text("web"), action: ContainerAction::Restart }
        },
        "check" Work::Check { .. } => Work::Check { project: text("shop") },
    } never sent: Work::Unknown)
}

fn sync_work() -> SyncWork {
    SyncWork {
        project: text("shop"),
        services: vec![text("web"), text("db")],
        strategy: None,
        verify_secs: 60,
    }
}

fn install_work() -> InstallWork {
    let map = |key: &str, value: &str| BTreeMap::from([(text(key), text(value)), (text("a"), text(""))]);
    InstallWork {
        name: text("web"),
        image: text("registry.example/web:1"),
        command: vec![text("serve"), text("--port=80")],
        env: map("TZ", "UTC"),
        labels: map("owner", "ops"),
        ports: vec![text("127.0.0.1:8080:80/tcp")],
        mounts: vec![text("data:/data:ro")],
        network: Some(text("front")),
        restart_policy: Some(text("unless-stopped")),
        verify_secs: 90,
    }
}

fn strategies() -> Vec<(&'static str, Strategy)> {
    every!(Strategy {
        "script" Strategy::Script => Strategy::Script,
        "compose" Strategy::Compose => Strategy::Compose,
        "engine" Strategy::Engine => Strategy::Engine,
    } never sent: Strategy::Unknown)
}

fn container_actions() -> Vec<(&'static str, ContainerAction)> {
    every!(ContainerAction {
        "start" ContainerAction::Start => ContainerAction::Start,
        "stop" ContainerAction::Stop => ContainerAction::Stop,
        "restart" ContainerAction::Restart => ContainerAction::Restart,
        "kill" ContainerAction::Kill => ContainerAction::Kill,
        "pause" ContainerAction::Pause => ContainerAction::Pause,
        "unpause" ContainerAction::Unpause => ContainerAction::Unpause,
        "remove" ContainerAction::Remove => ContainerAction::Remove,
    } never sent: ContainerAction::Unknown)
}

/// Every line of every kind in one message.
pub fn all_progress() -> ToController {
    let entries = progress().into_iter().map(|(_, entry)| entry);
    ToController::Progress {
        lines: (0..)
            .zip(entries)
            .map(|(line, entry)| ProgressLine { command: command(), line, at: AT, entry })
            .collect(),
    }
}

pub fn progress_messages() -> Vec<(String, ToController)> {
    let step = |step, state| Progress::Step { step, service: Some(text("web")), state, detail: text("") };
    let log = |stream| Progress::Log { stream, service: None, text: text("pulling") };
    let plain = progress().into_iter().map(|(name, entry)| (name.to_owned(), entry));
    let steps =
        steps().into_iter().map(|(name, which)| (format!("step/{name}"), step(which, StepState::Done)));
    let states = step_states()
        .into_iter()
        .map(|(name, state)| (format!("step/state/{name}"), step(Step::Pull, state)));
    let streams = streams().into_iter().map(|(name, stream)| (format!("log/stream/{name}"), log(stream)));
    plain
        .chain(steps)
        .chain(states)
        .chain(streams)
        .map(|(name, entry)| {
            let line = ProgressLine { command: command(), line: u64::MAX, at: AT, entry };
            (format!("progress/{name}"), ToController::Progress { lines: vec![line] })
        })
        .collect()
}

fn progress() -> Vec<(&'static str, Progress)> {
    every!(Progress {
        "plan" Progress::Plan { .. } => Progress::Plan {
            strategy: Some(Strategy::Compose),
            why: text("its files are here"),
            services: vec![
                PlannedService { service: text("web"), image: text("web:1"), current: Some(text("sha256:aa")) },
                PlannedService { service: text("db"), image: text("db:1"), current: None },
            ],
        },
        "step" Progress::Step { .. } => Progress::Step {
            step: Step::Verify,
            service: None,
            state: StepState::Failed,
            detail: text("exited with 1"),
        },
        "layer" Progress::Layer { .. } => Progress::Layer {
            service: Some(text("web")),
            image: text("web:1"),
            layer: text("8a1e25ce7c4f"),
            status: text("Downloading"),
            done_bytes: 1 << 40,
            total_bytes: Some(u64::MAX),
        },
        "log" Progress::Log { .. } => Progress::Log {
            stream: LogStream::Stderr,
            service: Some(text("web")),
            text: text("héllo \u{1f40b}"),
        },
        "dropped" Progress::Dropped { .. } => Progress::Dropped { count: 3 },
    } never sent: Progress::Unknown)
}

fn steps() -> Vec<(&'static str, Step)> {
    every!(Step {
        "pull" Step::Pull => Step::Pull,
        "script" Step::Script => Step::Script,
        "compose" Step::Compose => Step::Compose,
        "create" Step::Create => Step::Create,
        "stop" Step::Stop => Step::Stop,
        "start" Step::Start => Step::Start,
        "verify" Step::Verify => Step::Verify,
        "rollback" Step::Rollback => Step::Rollback,
        "cleanup" Step::Cleanup => Step::Cleanup,
        "act" Step::Act => Step::Act,
    } never sent: Step::Unknown)
}

fn step_states() -> Vec<(&'static str, StepState)> {
    every!(StepState {
        "started" StepState::Started => StepState::Started,
        "done" StepState::Done => StepState::Done,
        "skipped" StepState::Skipped => StepState::Skipped,
        "failed" StepState::Failed => StepState::Failed,
    } never sent: StepState::Unknown)
}

fn streams() -> Vec<(&'static str, LogStream)> {
    every!(LogStream {
        "stdout" LogStream::Stdout => LogStream::Stdout,
        "stderr" LogStream::Stderr => LogStream::Stderr,
        "agent" LogStream::Agent => LogStream::Agent,
        "container" LogStream::Container => LogStream::Container,
    } never sent: LogStream::Unknown)
}

pub fn standings() -> Vec<(String, ToController)> {
    let standings = every!(Standing {
        "running" Standing::Running { .. } => Standing::Running { since: AT },
        "ended" Standing::Ended => Standing::Ended,
        "never_seen" Standing::NeverSeen => Standing::NeverSeen,
    } never sent: Standing::Unknown);
    let message = |standing| ToController::Standing { command: command(), standing };
    standings.into_iter().map(|(name, standing)| (format!("standing/{name}"), message(standing))).collect()
}

pub fn outcomes() -> Vec<(String, Outcome)> {
    let services = vec![service_outcome(ServiceResult::Updated), service_outcome(ServiceResult::Failed)];
    let plain = every!(Outcome {
        "succeeded" Outcome::Succeeded { .. } => {
            Outcome::Succeeded { summary: text("2 services"), services: services.clone() }
        },
        "failed" Outcome::Failed { .. } => {
            Outcome::Failed { reason: text("web: exited with 1"), services: services.clone() }
        },
        "cancelled" Outcome::Cancelled { .. } => {
            Outcome::Cancelled { summary: text("web was done"), services: Vec::new() }
        },
        "refused" Outcome::Refused { .. } => Outcome::Refused { refusal: OrderRefusal::Unsupported },
    } never sent: Outcome::Unknown);
    let plain = plain.into_iter().map(|(name, outcome)| (name.to_owned(), outcome));
    let refusals = order_refusals()
        .into_iter()
        .map(|(name, refusal)| (format!("refused/{name}"), Outcome::Refused { refusal }));
    let results = service_results().into_iter().map(|(name, result)| {
        let services = vec![service_outcome(result)];
        (format!("succeeded/{name}"), Outcome::Succeeded { summary: text(""), services })
    });
    let rule = Some(text("project \"x\" is not among projects shop (policy.toml line 3)"));
    let limited = OrderRefusal::Policy { verb: Verb::Sync, rule };
    let limited = (text("refused/limited"), Outcome::Refused { refusal: limited });
    plain.chain(refusals).chain(results).chain([limited]).collect()
}

fn order_refusals() -> Vec<(&'static str, OrderRefusal)> {
    every!(OrderRefusal {
        "policy" OrderRefusal::Policy { .. } => OrderRefusal::Policy { verb: Verb::Deploy, rule: None },
        "busy" OrderRefusal::Busy { .. } => OrderRefusal::Busy { running: command() },
        "too_many" OrderRefusal::TooMany { .. } => OrderRefusal::TooMany { limit: 8 },
        "invalid" OrderRefusal::Invalid { .. } => OrderRefusal::Invalid { reason: text("no such project") },
        "unsupported" OrderRefusal::Unsupported => OrderRefusal::Unsupported,
    } never sent: OrderRefusal::Unknown)
}

fn service_outcome(result: ServiceResult) -> ServiceOutcome {
    ServiceOutcome {
        service: text("web"),
        image: text("web:1"),
        before: Some(text("sha256:aa")),
        after: None,
        result,
        reason: Some(text("exited with 1")),
        log_tail: vec![text("bye")],
    }
}

fn service_results() -> Vec<(&'static str, ServiceResult)> {
    every!(ServiceResult {
        "updated" ServiceResult::Updated => ServiceResult::Updated,
        "already_current" ServiceResult::AlreadyCurrent => ServiceResult::AlreadyCurrent,
        "restarted" ServiceResult::Restarted => ServiceResult::Restarted,
        "outdated" ServiceResult::Outdated => ServiceResult::Outdated,
        "failed" ServiceResult::Failed => ServiceResult::Failed,
        "rolled_back" ServiceResult::RolledBack => ServiceResult::RolledBack,
        "cannot_check" ServiceResult::CannotCheck => ServiceResult::CannotCheck,
        "not_reached" ServiceResult::NotReached => ServiceResult::NotReached,
    } never sent: ServiceResult::Unknown)
}
