//! What an idle session takes from the heap, counted. A binary of its own: the counter counts everything in it.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roadstead_protocol::link::memory;
use roadstead_protocol::link::session::{Heartbeat, open};
use roadstead_protocol::message::ids::CommandId;
use roadstead_protocol::message::progress::{LogStream, Progress, ProgressLine};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Most allocations of one heartbeat and its answer, both ends together. All of them are rustls's, which makes a new
/// buffer for each record it sends.
const MOST: usize = 4;

/// The counter counts everything, so that only one test may run.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A message that is large.
const LARGE: usize = 60_000;

/// Lets paused time pass while everything else runs.
async fn pass(duration: Duration) {
    let mut interval = tokio::time::interval(duration);
    interval.tick().await;
    interval.tick().await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_of_an_idle_session() {
    let _alone = ALONE.lock().await;
    let (dialled, accepted) = memory::pair().await;
    let (agent, agent_pump) = open::<_, ToController, ToAgent>(dialled, Heartbeat::Send, || true);
    let heard = Arc::new(AtomicUsize::new(0));
    let count = {
        let heard = Arc::clone(&heard);
        move || heard.fetch_add(1, Ordering::Relaxed) < usize::MAX
    };
    let (_controller, controller_pump) = open::<_, ToAgent, ToController>(accepted, Heartbeat::Expect, count);
    let _pumps = [tokio::spawn(agent_pump), tokio::spawn(controller_pump)];
    pass(Duration::from_secs(600)).await;
    let before = heard.load(Ordering::Relaxed);
    let region = Region::new(HEAP);
    pass(Duration::from_secs(3600)).await;
    let used = region.change();
    let heartbeats = heard.load(Ordering::Relaxed) - before;
    assert!(heartbeats > 150, "{heartbeats} heartbeats in an hour");
    let taken = used.allocations + used.reallocations;
    // The test's own timer takes a little.
    // For docs/benchmarks.md.
    let line = format!("{taken} allocations in {heartbeats} heartbeats\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    assert!(taken <= heartbeats * MOST + 8, "{taken} allocations in {heartbeats} heartbeats");
    assert!(used.bytes_allocated.abs_diff(used.bytes_deallocated) < 4096, "it grows: {used:?}");
    drop(agent);
}

#[tokio::test(start_paused = true)]
async fn a_large_message_leaves_no_large_buffer() {
    let _alone = ALONE.lock().await;
    let (dialled, accepted) = memory::pair().await;
    let (agent, agent_pump) = open::<_, ToController, ToAgent>(dialled, Heartbeat::Send, || true);
    let (mut controller, controller_pump) =
        open::<_, ToAgent, ToController>(accepted, Heartbeat::Expect, || true);
    let _pumps = [tokio::spawn(agent_pump), tokio::spawn(controller_pump)];
    pass(Duration::from_secs(600)).await;
    for round in 0..5 {
        for size in [10, 1_000, LARGE, 200] {
            let entry = Progress::Log { stream: LogStream::Stdout, service: None, text: "x".repeat(size) };
            let (command, at) = (CommandId::generate(), UnixMicros(0));
            let lines = vec![ProgressLine { command, line: round, at, entry }];
            agent.outgoing.send(ToController::Progress { lines }).await.unwrap();
            let ToController::Progress { lines } = controller.incoming.recv().await.unwrap() else {
                panic!()
            };
            let Progress::Log { text, .. } = &lines[0].entry else { panic!() };
            assert_eq!((lines[0].line, text.len()), (round, size));
        }
        let region = Region::new(HEAP);
        pass(Duration::from_secs(60)).await;
        let used = region.change();
        let freed = used.bytes_deallocated.saturating_sub(used.bytes_allocated);
        assert!(freed > LARGE * 3 / 4, "{freed} bytes were given back in round {round}");
    }
}
