//! The controller stops in the middle: nothing missing, nothing doubled.

use super::*;

#[tokio::test]
async fn a_running_command_and_its_log_go_on() {
    let ledger = Ledger::new().await;
    let boot = BootId::generate();
    let agent = ledger.connect(boot, 8).await;
    let id = ledger.sync("shop").await.unwrap().id;
    agent.answers(&ledger, id, RUNNING).await;
    ledger.progress(id, 0..3).await;
    drop(agent);

    let ledger = ledger.reopen().await;
    assert_eq!(ledger.state(id).await, CommandState::Running);
    assert!(matches!(ledger.queue("shop", Duration::from_secs(9)).await, Err(IssueError::Busy { .. })));
    let mut agent = ledger.connect(boot, 8).await;
    assert_eq!(agent.hears(), [ToAgent::Enquire { command: id, next_line: 3 }]);
    let mut changes = ledger.commands.subscribe();
    ledger.progress(id, 2..5).await;
    assert_eq!(ledger.stored_lines(id).await, [0, 1, 2, 3, 4]);
    let Ok(CommandChange::Lines { lines, .. }) = changes.try_recv() else { panic!("no lines were told") };
    assert_eq!(lines.iter().map(|line| line.line).collect::<Vec<_>>(), [3, 4]);
    ledger.ended(id, succeeded()).await;
    assert_eq!(ledger.state(id).await, CommandState::Succeeded);
}

#[tokio::test]
async fn a_queued_command_still_waits() {
    let ledger = Ledger::new().await;
    let id = ledger.queue("shop", Duration::from_secs(3600)).await.unwrap().id;
    let ledger = ledger.reopen().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    assert!(is_order(&agent.hears()[0], id));
}

#[tokio::test]
async fn what_ended_just_before_still_takes_its_last_lines() {
    let ledger = Ledger::new().await;
    let agent = ledger.connect(BootId::generate(), 8).await;
    let id = ledger.sync("shop").await.unwrap().id;
    ledger.progress(id, 0..1).await;
    ledger.ended(id, succeeded()).await;
    drop(agent);
    let ledger = ledger.reopen().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    assert_eq!(agent.hears(), [ToAgent::Enquire { command: id, next_line: 1 }]);
    ledger.progress(id, 0..3).await;
    assert_eq!(ledger.stored_lines(id).await, [0, 1, 2]);
    ledger.ended(id, Outcome::Unknown).await;
    assert_eq!(ledger.state(id).await, CommandState::Succeeded);
}
