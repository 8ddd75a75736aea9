//! The executor: once, one at a time, within its deadline, and nothing of it is lost.

use std::time::Duration;

use roadstead_agent::commands::CommandOptions;
use roadstead_protocol::message::codec::{CHUNK, encoded_size};
use roadstead_protocol::message::command::{ContainerAction, Order, OrderRefusal, Outcome, Standing, Work};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{CommandId, EventSeq};
use roadstead_protocol::message::policy::Verb;

use crate::support::{Bench, failure, invalid_reason, summary, sync};

fn stop(container: &str) -> Work {
    Work::Container { container: container.to_owned(), action: ContainerAction::Stop }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_order_runs_once_also_after_the_end() {
    let bench = Bench::new();
    bench.shop();
    let order = Order { id: CommandId::generate(), work: stop("shop_web_1"), deadline_secs: 60 };
    let hold = bench.engine.hold_when("stop shop_web_1");
    assert!(matches!(bench.executor.order(order.clone()), Standing::Running { .. }));
    assert!(matches!(bench.executor.order(order.clone()), Standing::Running { .. }));
    hold.release();
    assert_eq!(summary(&bench.outcome(order.id).await), "shop_web_1 is stopped");
    // The ledger notes the end after the outbox has it.
    while bench.executor.order(order.clone()) != Standing::Ended {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.executor.enquire(order.id, 0), Standing::Ended);
    assert_eq!(bench.engine.calls(), ["stop shop_web_1"]);
    assert_eq!(bench.executor.enquire(CommandId::generate(), 0), Standing::NeverSeen);
}

#[tokio::test(start_paused = true)]
async fn the_policy_comes_first_and_its_refusal_is_an_event() {
    let bench = Bench::with("view", CommandOptions::default());
    bench.shop();
    let id = bench.begin(stop("shop_web_1"));
    let verb = Verb::Lifecycle;
    assert_eq!(
        bench.outcome(id).await,
        Outcome::Refused { refusal: OrderRefusal::Policy { verb, rule: None } }
    );
    let events = bench.outbox.next_batch(EventSeq(0), 1 << 20).await;
    let what = "stop of shop_web_1".to_owned();
    assert_eq!(events[0].what, EventKind::Refused { command: id, verb, what, rule: None });
    assert!(bench.engine.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_command_of_a_newer_version_is_refused_by_name() {
    let bench = Bench::new();
    bench.shop();
    let unsupported = Outcome::Refused { refusal: OrderRefusal::Unsupported };
    assert_eq!(bench.run(Work::Unknown).await, unsupported);
    let action = ContainerAction::Unknown;
    assert_eq!(bench.run(Work::Container { container: "shop_web_1".to_owned(), action }).await, unsupported);
}

#[tokio::test(start_paused = true)]
async fn one_change_per_project_at_a_time() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.add(bench.engine.sample("alone", "other:1"));
    let mut hold = bench.engine.hold_when("pull app:1");
    let first = bench.begin(sync("shop"));
    hold.reached().await;
    let busy = Outcome::Refused { refusal: OrderRefusal::Busy { running: first } };
    assert_eq!(bench.run(sync("shop")).await, busy);
    assert_eq!(bench.run(stop("shop_db_1")).await, busy);
    assert_eq!(summary(&bench.run(stop("alone")).await), "alone is stopped");
    hold.release();
    bench.outcome(first).await;
    assert_eq!(summary(&bench.run(stop("shop_db_1")).await), "shop_db_1 is stopped");
}

#[tokio::test(start_paused = true)]
async fn two_containers_of_one_project_do_not_exclude_each_other() {
    let bench = Bench::new();
    bench.shop();
    let mut hold = bench.engine.hold_when("stop shop_web_1");
    let first = bench.begin(stop("shop_web_1"));
    hold.reached().await;
    assert_eq!(summary(&bench.run(stop("shop_db_1")).await), "shop_db_1 is stopped");
    let refused = Outcome::Refused { refusal: OrderRefusal::Busy { running: first } };
    assert_eq!(bench.run(stop("shop_web_1")).await, refused);
}

#[tokio::test(start_paused = true)]
async fn a_fifth_command_is_refused_while_four_run() {
    let bench = Bench::new();
    let hold = bench.engine.hold_when("stop ");
    for number in 0..4 {
        let name = format!("c{number}");
        bench.engine.add(bench.engine.sample(&name, "app:1"));
        bench.begin(stop(&name));
    }
    let outcome = bench.run(stop("c0")).await;
    assert_eq!(outcome, Outcome::Refused { refusal: OrderRefusal::TooMany { limit: 4 } });
    hold.release();
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_pull_changes_nothing() {
    let bench = Bench::new();
    bench.shop();
    let mut hold = bench.engine.hold_when("layer app:1");
    let id = bench.begin(sync("shop"));
    hold.reached().await;
    bench.executor.cancel(id);
    let outcome = bench.outcome(id).await;
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    assert_eq!(summary(&outcome), "db already current; web not reached");
    assert!(bench.changes().is_empty());
    bench.assert_runs("shop_web_1", "sha256:app-old");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_command_at_a_safe_point_and_says_so() {
    let bench = Bench::new();
    bench.shop();
    let _hold = bench.engine.hold_when("layer app:1");
    let id = bench.begin_within(sync("shop"), 30);
    let outcome = bench.outcome(id).await;
    let reason = failure(&outcome);
    assert_eq!(reason, "the deadline of 30 s passed; by then: db already current; web not reached");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_reaches_no_safe_point_is_given_up_and_its_place_is_free() {
    let bench = Bench::new();
    bench.shop();
    let _hold = bench.engine.hold_when("stop shop_web_1");
    let id = bench.begin_within(stop("shop_web_1"), 30);
    let outcome = bench.outcome(id).await;
    assert!(failure(&outcome).contains("given up where it stood"), "{outcome:?}");
    let work = Work::Container { container: "shop_web_1".to_owned(), action: ContainerAction::Start };
    assert_eq!(summary(&bench.run(work).await), "shop_web_1 is running");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_of_that_command_alone() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.panic_when("stop shop_web_1");
    let outcome = bench.run(stop("shop_web_1")).await;
    assert!(failure(&outcome).contains("defect"), "{outcome:?}");
    assert_eq!(summary(&bench.run(stop("shop_db_1")).await), "shop_db_1 is stopped");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_refused_with_what_does() {
    let bench = Bench::new();
    bench.shop();
    assert!(invalid_reason(&bench.run(stop("nobody")).await).contains("`nobody`"));
    let outcome = bench.run(sync("shoop")).await;
    assert!(invalid_reason(&outcome).ends_with("there is: shop"), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn lines_are_replayed_from_any_line_without_holes() {
    let bench = Bench::new();
    bench.shop();
    let id = bench.begin(sync("shop"));
    bench.outcome(id).await;
    let all = bench.lines(id).await;
    assert!(all.len() > 10);
    assert!(all.iter().enumerate().all(|(number, line)| line.line == number as u64));
    assert_eq!(bench.lines(id).await, all);
    let _ = bench.executor.enquire(id, 5);
    let again = bench.executor.next_lines().await;
    assert_eq!(again, all[5..]);
    assert!(again.iter().map(|line| encoded_size(line).unwrap()).sum::<usize>() <= CHUNK);
}

#[tokio::test(start_paused = true)]
async fn a_new_session_gets_lines_only_when_it_asks() {
    let bench = Bench::new();
    bench.shop();
    let mut hold = bench.engine.hold_when("layer app:1");
    let id = bench.begin(sync("shop"));
    hold.reached().await;
    let first = bench.executor.next_lines().await;
    bench.executor.begin_session();
    hold.release();
    bench.outcome(id).await;
    let nothing = tokio::time::timeout(Duration::from_secs(60), bench.executor.next_lines()).await;
    assert!(nothing.is_err());
    let _ = bench.executor.enquire(id, first.len() as u64);
    assert_eq!(bench.executor.next_lines().await[0].line, first.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_all_that_was_said_before_it() {
    let bench = Bench::new();
    bench.shop();
    bench.executor.begin_session();
    let id = bench.begin(sync("shop"));
    bench.outcome(id).await;
    let mut all_said = std::pin::pin!(bench.executor.all_said(id));
    let lines = bench.executor.next_lines().await;
    assert!(lines.len() > 10, "all of them fit");
    let early = tokio::time::timeout(Duration::from_secs(600), &mut all_said).await;
    assert!(early.is_err(), "they are taken, but not handed over yet");
    let nothing_left = tokio::time::timeout(Duration::from_secs(1), bench.executor.next_lines()).await;
    assert!(nothing_left.is_err());
    all_said.await;
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_until_the_controller_asks_but_not_for_ever() {
    let bench = Bench::new();
    bench.shop();
    let id = bench.begin(sync("shop"));
    bench.outcome(id).await;
    bench.executor.begin_session();
    let mut all_said = std::pin::pin!(bench.executor.all_said(id));
    let early = tokio::time::timeout(Duration::from_secs(1), &mut all_said).await;
    assert!(early.is_err(), "the session is young");
    let _ = bench.executor.enquire(id, 0);
    let early = tokio::time::timeout(Duration::from_secs(600), &mut all_said).await;
    assert!(early.is_err(), "it was asked for, and nothing is sent");
    bench.executor.begin_session();
    all_said.await;
    bench.executor.all_said(CommandId::generate()).await;
}

#[tokio::test(start_paused = true)]
async fn shutting_down_stops_at_safe_points_and_leaves_outcomes() {
    let bench = Bench::new();
    bench.shop();
    bench.engine.add(bench.engine.sample("stuck", "app:1"));
    let mut pulling = bench.engine.hold_when("layer app:1");
    let mut stopping = bench.engine.hold_when("stop stuck");
    let (syncing, stuck) = (bench.begin(sync("shop")), bench.begin(stop("stuck")));
    pulling.reached().await;
    stopping.reached().await;
    bench.executor.shut_down().await;
    let outcome = bench.outcome(syncing).await;
    assert!(summary(&outcome).starts_with("the agent was stopped"), "{outcome:?}");
    assert!(failure(&bench.outcome(stuck).await).contains("the agent stopped"));
    let order = Order { id: CommandId::generate(), work: stop("shop_db_1"), deadline_secs: 60 };
    assert_eq!(bench.executor.order(order), Standing::NeverSeen);
}
