//! What time brings about.

use super::super::clock::Clock;
use super::super::open::LINGER;
use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_queued_command_expires() {
    let ledger = Ledger::new().await;
    let id = ledger.queue("shop", DAY).await.unwrap().id;
    let now = UnixMicros::now();
    ledger.commands.tick(now).await;
    assert_eq!(ledger.state(id).await, CommandState::Issued);
    ledger.commands.tick(now.plus(DAY)).await;
    let expired = ledger.commands.one(id).await.unwrap().unwrap();
    assert_eq!(expired.state, CommandState::Failed);
    assert!(expired.reason.unwrap().contains("within 24 hours"));
    ledger.queue("shop", DAY).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_changes_nothing_of_how_long_a_command_waits() {
    for forth in [true, false] {
        let ledger = Ledger::new().await;
        let before = UnixMicros::now();
        let waiting = ledger.queue("shop", DAY).await.unwrap().id;
        let mut clock = Clock::new(before);
        let set = if forth { before.plus(2 * DAY) } else { before.minus(2 * DAY) };
        ledger.commands.clock_was_set(clock.step(set).unwrap()).await;
        ledger.commands.tick(set.plus(DAY / 2)).await;
        assert_eq!(ledger.state(waiting).await, CommandState::Issued, "half of its time is left");
        ledger.commands.tick(set.plus(DAY + Duration::from_secs(1))).await;
        assert_eq!(ledger.state(waiting).await, CommandState::Failed);
    }
}

#[tokio::test]
async fn what_an_agent_took_along_is_lost_after_a_day() {
    let ledger = Ledger::new().await;
    let agent = ledger.connect(BootId::generate(), 8).await;
    let id = ledger.sync("shop").await.unwrap().id;
    let now = UnixMicros::now();
    drop(agent);
    ledger.commands.tick(now).await;
    let agent = ledger.connect(BootId::generate(), 8).await;
    ledger.commands.tick(now.plus(DAY)).await;
    drop(agent);
    ledger.commands.tick(now.plus(DAY)).await;
    assert_eq!(ledger.state(id).await, CommandState::Sent, "it was back in between");
    ledger.commands.tick(now.plus(2 * DAY)).await;
    assert_eq!(ledger.state(id).await, CommandState::Lost);
}

#[tokio::test]
async fn an_overdue_command_is_asked_about() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 8).await;
    let id = ledger.sync("shop").await.unwrap().id;
    agent.answers(&ledger, id, RUNNING).await;
    agent.hears();
    let overdue = UnixMicros::now().plus(Duration::from_secs(1800) + state::OVERDUE_AFTER);
    ledger.commands.tick(overdue).await;
    assert_eq!(agent.hears(), [ToAgent::Enquire { command: id, next_line: 0 }]);
    ledger.commands.tick(overdue).await;
    assert_eq!(agent.hears(), [], "not with every tick");
}

#[tokio::test]
async fn an_ended_command_leaves_memory_but_not_the_ledger() {
    let ledger = Ledger::new().await;
    let _agent = ledger.connect(BootId::generate(), 8).await;
    let id = ledger.sync("shop").await.unwrap().id;
    ledger.ended(id, succeeded()).await;
    ledger.commands.tick(UnixMicros::now().plus(LINGER)).await;
    ledger.progress(id, 0..1).await;
    assert!(ledger.stored_lines(id).await.is_empty());
    assert_eq!(ledger.state(id).await, CommandState::Succeeded);
    assert!(matches!(
        ledger.commands.cancel(id, "eve").await,
        Err(CancelError::AlreadyFinal { state: CommandState::Succeeded })
    ));
}

#[tokio::test]
async fn old_commands_are_forgotten_in_pieces() {
    let ledger = Ledger::new().await;
    let _agent = ledger.connect(BootId::generate(), 64).await;
    for number in 0..20 {
        let id = ledger.sync(&format!("shop{number}")).await.unwrap().id;
        ledger.ended(id, succeeded()).await;
    }
    let open = ledger.sync("shop").await.unwrap().id;
    let list = async || ledger.commands.list(CommandFilter::default(), None, 99).await.unwrap();
    ledger.commands.forget(UnixMicros::now(), DAY, 10).await.unwrap();
    assert_eq!(list().await.len(), 10);
    ledger.commands.forget(UnixMicros::now().plus(2 * DAY), DAY, 10).await.unwrap();
    assert_eq!(list().await.into_iter().map(|record| record.id).collect::<Vec<_>>(), [open]);
}

#[tokio::test]
async fn the_loop_ticks_and_ends_at_shutdown() {
    let ledger = Ledger::new().await;
    let mut agent = ledger.connect(BootId::generate(), 1).await;
    ledger.sync("shop").await.unwrap();
    let waiting = ledger.sync("blog").await.unwrap();
    assert_eq!(agent.hears().len(), 1);
    let shutdown = CancellationToken::new();
    let ticking = tokio::spawn(ledger.commands.clone().run(shutdown.clone()));
    assert!(is_order(&agent.received.recv().await.unwrap(), waiting.id));
    shutdown.cancel();
    ticking.await.unwrap();
}
