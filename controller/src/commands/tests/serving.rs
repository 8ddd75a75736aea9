//! What sessions hand in: standings, lines, outcomes, in any order and more than once.

use super::*;

async fn running(ledger: &Ledger, agent: &mut Agent, project: &str) -> CommandId {
    let record = ledger.sync(project).await.unwrap();
    agent.answers(ledger, record.id, RUNNING).await;
    agent.hears();
    record.id
}

#[tokio::test]
async fn lines_are_stored_and_told_once() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let id = running(&ledger, &mut agent, "shop").await;
    let mut changes = ledger.commands.subscribe();
    ledger.progress(id, 0..3).await;
    ledger.progress(id, 1..5).await;
    ledger.progress(id, 0..5).await;
    assert_eq!(ledger.stored_lines(id).await, [0, 1, 2, 3, 4]);
    let mut told = Vec::new();
    while let Ok(CommandChange::Lines { lines, .. }) = changes.try_recv() {
        told.extend(lines.iter().map(|line| line.line));
    }
    assert_eq!(told, [0, 1, 2, 3, 4]);
    assert_eq!(ledger.commands.log(id, 3, 1).await.unwrap()[0].line, 3);
}

#[tokio::test]
async fn a_missing_line_is_asked_for() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let id = running(&ledger, &mut agent, "shop").await;
    ledger.progress(id, 0..2).await;
    ledger.progress(id, 4..6).await;
    ledger.progress(id, 6..7).await;
    assert_eq!(agent.hears(), [ToAgent::Enquire { command: id, next_line: 2 }]);
    assert_eq!(ledger.stored_lines(id).await, [0, 1]);
    ledger.progress(id, 2..7).await;
    assert_eq!(ledger.stored_lines(id).await, [0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_line_says_that_the_command_runs() {
    let ledger = Ledger::new().await;
    let _agent = ledger.connect(BootId::generate(), 8).await;
    let record = ledger.sync("shop").await.unwrap();
    ledger.progress(record.id, 0..1).await;
    assert_eq!(ledger.state(record.id).await, CommandState::Running);
}

#[tokio::test]
async fn the_last_lines_may_come_after_the_outcome() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let id = running(&ledger, &mut agent, "shop").await;
    ledger.ended(id, succeeded()).await;
    let mut agent = ledger.connect(agent.handle.boot, 8).await;
    assert_eq!(agent.hears(), [ToAgent::Enquire { command: id, next_line: 0 }]);
    ledger.progress(id, 0..2).await;
    assert_eq!(ledger.stored_lines(id).await, [0, 1]);
    assert_eq!(ledger.state(id).await, CommandState::Succeeded);
}

#[tokio::test]
async fn an_agent_cannot_speak_of_another_instances_command() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let id = running(&ledger, &mut agent, "shop").await;
    let other = "other".parse().unwrap();
    ledger.commands.progress(&other, progress(id, 0..1)).await;
    ledger.commands.ended(&other, id, UnixMicros(5), succeeded()).await.unwrap();
    ledger.commands.standing(&other, &agent.handle, id, Standing::NeverSeen).await;
    assert!(ledger.stored_lines(id).await.is_empty());
    assert_eq!(ledger.state(id).await, CommandState::Running);
}

#[tokio::test]
async fn an_order_that_never_arrived_is_sent_again_to_the_same_boot() {
    let ledger = Ledger::new().await;
    let boot = BootId::generate();
    let agent = ledger.connect(boot, 8).await;
    let id = ledger.sync("shop").await.unwrap().id;
    drop(agent);
    let mut agent = ledger.connect(boot, 8).await;
    assert_eq!(agent.hears(), [ToAgent::Enquire { command: id, next_line: 0 }]);
    agent.answers(&ledger, id, Standing::NeverSeen).await;
    assert!(is_order(&agent.hears()[0], id));
}

#[tokio::test]
async fn an_order_that_never_arrived_is_sent_again_to_a_restarted_agent_that_kept_its_memory() {
    for kept in [true, false] {
        let ledger = Ledger::new().await;
        let boot = BootId::generate();
        let agent = ledger.connect(boot, 8).await;
        let id = ledger.sync("shop").await.unwrap().id;
        drop(agent);
        let mut agent = ledger.connect_remembering(BootId::generate(), kept.then_some(boot), 8).await;
        ledger.commands.outbox_drained(&host(), &agent.handle).await;
        assert_eq!(agent.hears(), [ToAgent::Enquire { command: id, next_line: 0 }]);
        agent.answers(&ledger, id, Standing::NeverSeen).await;
        if kept {
            assert!(is_order(&agent.hears()[0], id));
        } else {
            assert_eq!(ledger.state(id).await, CommandState::Lost);
        }
    }
}

#[tokio::test]
async fn a_restarted_agents_outbox_has_the_last_word() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let told = running(&ledger, &mut agent, "shop").await;
    let untold = running(&ledger, &mut agent, "blog").await;
    drop(agent);
    let agent = ledger.connect(BootId::generate(), 8).await;
    for id in [told, untold] {
        agent.answers(&ledger, id, Standing::NeverSeen).await;
        assert_eq!(ledger.state(id).await, CommandState::Running, "the outbox may tell yet");
    }
    ledger.ended(told, succeeded()).await;
    ledger.commands.outbox_drained(&host(), &agent.handle).await;
    assert_eq!(ledger.state(told).await, CommandState::Succeeded);
    let lost = ledger.commands.one(untold).await.unwrap().unwrap();
    assert_eq!(lost.state, CommandState::Lost);
    assert!(lost.reason.unwrap().contains("cannot be known"));
}

#[tokio::test]
async fn an_answer_after_the_outbox_was_drained_is_final() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let id = running(&ledger, &mut agent, "shop").await;
    let agent = ledger.connect(BootId::generate(), 8).await;
    ledger.commands.outbox_drained(&host(), &agent.handle).await;
    agent.answers(&ledger, id, Standing::NeverSeen).await;
    assert_eq!(ledger.state(id).await, CommandState::Lost);
}

#[tokio::test]
async fn a_superseded_session_says_nothing() {
    let ledger = Ledger::new().await;
    let mut old = ledger.connect(BootId::generate(), 8).await;
    let id = running(&ledger, &mut old, "shop").await;
    let new = ledger.connect(BootId::generate(), 8).await;
    ledger.commands.outbox_drained(&host(), &old.handle).await;
    old.answers(&ledger, id, Standing::NeverSeen).await;
    new.answers(&ledger, id, Standing::NeverSeen).await;
    assert_eq!(ledger.state(id).await, CommandState::Running, "the new session's outbox is not drained");
}

#[tokio::test]
async fn removing_the_instance_ends_its_commands() {
    let ledger = Ledger::new().await;
    let queued = ledger.queue("blog", Duration::from_secs(60)).await.unwrap().id;
    ledger.commands.instance_removed(&host()).await;
    assert_eq!(ledger.state(queued).await, CommandState::Cancelled);
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let id = running(&ledger, &mut agent, "shop").await;
    ledger.commands.instance_removed(&host()).await;
    assert_eq!(ledger.state(id).await, CommandState::Lost);
}
