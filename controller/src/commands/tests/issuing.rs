//! What is taken on, what is refused, and what can be cancelled.

use futures_util::FutureExt as _;

use super::super::open::MAX_UNFINISHED;
use super::*;

#[tokio::test]
async fn a_command_goes_from_issued_to_its_outcome() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let mut changes = ledger.commands.subscribe();
    let record = ledger.sync("shop").await.unwrap();
    assert_eq!((record.state, record.boot), (CommandState::Sent, Some(agent.handle.boot)));
    assert_eq!(record.deadline_secs, 1800);
    let heard = agent.hears();
    assert!(heard.len() == 1 && is_order(&heard[0], record.id), "{heard:?}");

    agent.answers(&ledger, record.id, RUNNING).await;
    ledger.progress(record.id, 0..2).await;
    ledger.ended(record.id, succeeded()).await;
    ledger.ended(record.id, Outcome::Unknown).await;
    let after = ledger.commands.one(record.id).await.unwrap().unwrap();
    assert_eq!((after.state, after.outcome), (CommandState::Succeeded, Some(succeeded())));

    let mut told = Vec::new();
    while let Ok(change) = changes.try_recv() {
        told.push(match change {
            CommandChange::State(record) => record.state.as_str().to_owned(),
            CommandChange::Lines { lines, .. } => format!("{} lines", lines.len()),
        });
    }
    assert_eq!(told, ["sent", "running", "2 lines", "succeeded"]);
}

#[tokio::test]
async fn refusals_leave_nothing_behind() {
    let ledger = Ledger::new().await;
    assert!(matches!(ledger.sync("shop").await, Err(IssueError::AgentAway)));
    assert!(matches!(ledger.sync("../shop").await, Err(IssueError::Invalid(_))));
    let _agent = ledger.connect(BootId::generate(), 8).await;
    let eight_days = Duration::from_secs(8 * 24 * 3600);
    assert!(matches!(ledger.queue("shop", eight_days).await, Err(IssueError::Invalid(_))));
    assert!(matches!(ledger.queue("shop", Duration::ZERO).await, Err(IssueError::Invalid(_))));
    let policy = "view".parse().unwrap();
    let options = IssueOptions { policy: Some(&policy), ..IssueOptions::default() };
    let refused = ledger.commands.issue(&host(), sync("shop"), "admin", options).await;
    assert!(matches!(refused, Err(IssueError::Policy { verb }) if verb.as_str() == "sync"));
    let options = IssueOptions { deadline: Some(eight_days), ..IssueOptions::default() };
    let refused = ledger.commands.issue(&host(), sync("shop"), "admin", options).await;
    assert!(matches!(refused, Err(IssueError::Invalid(_))));
    assert_eq!(ledger.commands.list(CommandFilter::default(), None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn one_change_of_a_project_at_a_time() {
    let ledger = Ledger::new().await;
    let _agent = ledger.connect(BootId::generate(), 8).await;
    let first = ledger.sync("shop").await.unwrap();
    assert!(matches!(ledger.sync("shop").await, Err(IssueError::Busy { running }) if running == first.id));
    ledger.sync("blog").await.unwrap();
    let check = Work::Check { project: "shop".to_owned() };
    ledger.commands.issue(&host(), check, "admin", IssueOptions::default()).await.unwrap();
    ledger.ended(first.id, succeeded()).await;
    ledger.sync("shop").await.unwrap();
}

#[tokio::test]
async fn an_instance_has_a_bounded_number_of_unfinished_commands() {
    let ledger = Ledger::new().await;
    let day = Duration::from_secs(24 * 3600);
    for number in 0..MAX_UNFINISHED {
        ledger.queue(&format!("shop{number}"), day).await.unwrap();
    }
    assert!(matches!(ledger.queue("shop", day).await, Err(IssueError::TooMany { limit: MAX_UNFINISHED })));
}

#[tokio::test]
async fn a_queued_command_is_sent_when_the_agent_comes() {
    let ledger = Ledger::new().await;
    let first = ledger.queue("shop", Duration::from_secs(60)).await.unwrap();
    let second = ledger.queue("blog", Duration::from_secs(60)).await.unwrap();
    assert_eq!(first.state, CommandState::Issued);
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let heard = agent.hears();
    assert!(is_order(&heard[0], first.id) && is_order(&heard[1], second.id), "in order of issue");
    assert_eq!(ledger.state(second.id).await, CommandState::Sent);
}

#[tokio::test]
async fn an_order_that_the_session_does_not_take_waits() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 1).await;
    ledger.sync("shop").await.unwrap();
    let waiting = ledger.sync("blog").await.unwrap();
    assert_eq!((waiting.state, waiting.boot), (CommandState::Issued, None));
    assert_eq!(agent.hears().len(), 1);
    ledger.commands.tick(UnixMicros::now()).await;
    assert!(is_order(&agent.hears()[0], waiting.id));
    assert_eq!(ledger.state(waiting.id).await, CommandState::Sent);
}

#[tokio::test]
async fn a_command_goes_on_when_whoever_asked_hangs_up() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let (release, held) = std::sync::mpsc::channel::<()>();
    let slow_disk = ledger.commands.inner.store.write(move |_| {
        let _ = held.recv();
        Ok(())
    });
    assert!(slow_disk.now_or_never().is_none());
    assert!(ledger.sync("shop").now_or_never().is_none(), "it waits for the disk");
    drop(release);
    let now = UnixMicros::now();
    ledger.commands.tick(now).await;
    let listed = ledger.commands.list(CommandFilter::default(), None, 9).await.unwrap();
    assert_eq!(listed[0].state, CommandState::Sent);
    assert_eq!(agent.hears(), [], "whether it was sent is asked, not assumed");
    ledger.commands.tick(now.plus(state::ANSWER_WITHIN)).await;
    assert_eq!(agent.hears(), [ToAgent::Enquire { command: listed[0].id, next_line: 0 }]);
    agent.answers(&ledger, listed[0].id, Standing::NeverSeen).await;
    assert!(is_order(&agent.hears()[0], listed[0].id));
    agent.answers(&ledger, listed[0].id, Standing::NeverSeen).await;
    assert_eq!(agent.hears(), []);
    assert_eq!(ledger.state(listed[0].id).await, CommandState::Issued, "the agent takes no orders now");
    ledger.commands.tick(now).await;
    assert!(is_order(&agent.hears()[0], listed[0].id));
}

#[tokio::test]
async fn cancelling_before_the_order_is_sent_ends_it() {
    let ledger = Ledger::new().await;
    let queued = ledger.queue("shop", Duration::from_secs(60)).await.unwrap();
    let cancelled = ledger.commands.cancel(queued.id, "eve").await.unwrap();
    assert_eq!(cancelled.state, CommandState::Cancelled);
    assert!(cancelled.reason.unwrap().contains("eve"));
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let heard = agent.hears();
    assert!(!heard.iter().any(|message| matches!(message, ToAgent::Order(_))), "{heard:?}");
    assert!(matches!(
        ledger.commands.cancel(queued.id, "eve").await,
        Err(CancelError::AlreadyFinal { state: CommandState::Cancelled })
    ));
    assert!(matches!(ledger.commands.cancel(CommandId::generate(), "eve").await, Err(CancelError::NotFound)));
}

#[tokio::test]
async fn cancelling_a_running_command_is_up_to_the_agent() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let record = ledger.sync("shop").await.unwrap();
    agent.answers(&ledger, record.id, RUNNING).await;
    let asked = ledger.commands.cancel(record.id, "eve").await.unwrap();
    assert_eq!((asked.state, asked.cancel_requested), (CommandState::Running, true));
    assert_eq!(agent.hears()[1], ToAgent::Cancel { command: record.id });

    let mut agent = ledger.connect(agent.handle.boot, 8).await;
    let enquiry = ToAgent::Enquire { command: record.id, next_line: 0 };
    assert_eq!(agent.hears(), [enquiry, ToAgent::Cancel { command: record.id }]);
    ledger.ended(record.id, succeeded()).await;
    assert_eq!(ledger.state(record.id).await, CommandState::Succeeded, "it was too late");
}

#[tokio::test]
async fn container_actions_have_a_shorter_deadline() {
    let ledger = Ledger::new().await;
    let _agent = ledger.connect(BootId::generate(), 8).await;
    let work = Work::Container { container: "web".to_owned(), action: ContainerAction::Restart };
    let record = ledger.commands.issue(&host(), work, "admin", IssueOptions::default()).await.unwrap();
    assert_eq!(record.deadline_secs, 300);
}

#[tokio::test]
async fn more_than_the_ceiling_allows_is_refused_here_whatever_the_owner_allows() {
    let ledger = Ledger::new().await;
    let (all, ceiling) = ("all".parse().unwrap(), "view logs".parse().unwrap());
    let options = IssueOptions { policy: Some(&all), ceiling: Some(&ceiling), ..IssueOptions::default() };
    let refused = ledger.commands.issue(&host(), sync("web"), "admin", options).await;
    assert!(matches!(refused, Err(IssueError::Ceiling { verb, .. }) if verb.as_str() == "sync"));
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_command_another_instances() {
    let ledger = Ledger::new().await;
    let (agent, _sent, _end) = crate::fixtures::agent(BootId::generate());
    // Registered by a clock that was an hour ahead of the present one.
    let agent = agent.registered_at(UnixMicros::now().plus(Duration::from_secs(3600)));
    let (_registration, _) = ledger.registry.enter(host(), agent.clone());
    let options = IssueOptions::default();
    let record = ledger.commands.issue(&host(), sync("web"), "admin", options).await.unwrap();
    ledger.commands.agent_connected(&host(), &agent).await;
    let after = ledger.commands.one(record.id).await.unwrap().unwrap();
    assert!(!after.state.is_final(), "{after:?}");
}

#[tokio::test]
async fn what_waits_while_the_ceiling_comes_down_is_not_sent() {
    let ledger = Ledger::new().await;
    let record = ledger.queue("web", Duration::from_secs(3600)).await.unwrap();
    let (agent, mut sent, _end) = crate::fixtures::agent(BootId::generate());
    let agent = agent.under(Some("view logs".parse().unwrap()));
    let (_registration, _) = ledger.registry.enter(host(), agent.clone());
    ledger.commands.tick(UnixMicros::now()).await;
    ledger.commands.agent_connected(&host(), &agent).await;
    let after = ledger.commands.one(record.id).await.unwrap().unwrap();
    assert_eq!(after.state, CommandState::Failed);
    assert!(after.reason.unwrap().contains("`sync` may not be asked"));
    assert!(sent.try_recv().is_none_or(|message| matches!(message, ToAgent::Enquire { .. })));
}

#[tokio::test]
async fn what_waits_for_a_removed_instance_does_not_reach_a_later_one_of_the_same_id() {
    let ledger = Ledger::new().await;
    let record = ledger.queue("web", Duration::from_secs(3600)).await.unwrap();
    let (agent, mut sent, _end) = crate::fixtures::agent(BootId::generate());
    let agent = agent.registered_at(record.issued_at.plus(Duration::from_micros(1)));
    let (_registration, _) = ledger.registry.enter(host(), agent.clone());
    ledger.commands.agent_connected(&host(), &agent).await;
    let after = ledger.commands.one(record.id).await.unwrap().unwrap();
    assert!(after.state.is_final(), "{after:?}");
    assert!(sent.try_recv().is_none());
}

#[tokio::test]
async fn what_was_stored_as_sent_but_could_neither_be_sent_nor_stored_again_is_not_forgotten() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 1).await;
    let first = ledger.sync("first").await.unwrap();
    let disk = rusqlite::Connection::open(ledger.directory.path().join("roadstead.db")).unwrap();
    let fails = "CREATE TRIGGER fails BEFORE UPDATE ON commands BEGIN SELECT RAISE(ABORT, 'full'); END";
    disk.execute_batch(fails).unwrap();
    let second = ledger.sync("second").await.unwrap();
    assert_eq!(second.state, CommandState::Issued, "it waits");
    assert_eq!(ledger.state(second.id).await, CommandState::Sent, "as it was stored");
    disk.execute_batch("DROP TRIGGER fails").unwrap();
    assert!(is_order(&agent.hears()[0], first.id));
    ledger.commands.tick(UnixMicros::now()).await;
    assert!(agent.hears().iter().any(|heard| is_order(heard, second.id)));
}
