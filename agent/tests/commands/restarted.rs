//! Commands and a killed agent: what an earlier process left is gone on with or ended, once, and nothing runs twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use roadstead_agent::commands::CommandOptions;
use roadstead_agent::engine::fake::FakeEngine;
use roadstead_protocol::message::command::{ContainerAction, Order, Outcome, Standing, Work};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::{BootId, CommandId, EventSeq};
use roadstead_protocol::message::progress::{Progress, ProgressLine};

use crate::support::{Bench, failure, summary, sync};

/// A host whose agent is killed at the end of each life: everything it does ends where it stands.
struct Host {
    data: tempfile::TempDir,
    engine: FakeEngine,
}

impl Host {
    fn new() -> Self {
        let host = Self { data: tempfile::tempdir().unwrap(), engine: FakeEngine::new() };
        host.life(async |bench| bench.shop());
        host
    }

    fn life<T>(&self, deed: impl AsyncFnOnce(&Bench) -> T) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let options =
                CommandOptions { search_path: Some("/nowhere".into()), ..CommandOptions::default() };
            let bench = Bench::at(self.data.path(), self.engine.clone(), "all", options);
            bench.executor.resume().await;
            deed(&bench).await
        })
    }

    /// Orders `work`, and is killed when the engine is asked for `point`. Returns the lines told until then.
    fn dies_at(&self, work: Work, point: &str) -> (Order, Vec<ProgressLine>) {
        let order = Order { id: CommandId::generate(), work, deadline_secs: 600 };
        let mut hold = self.engine.hold_when(point);
        let lines = self.life(async |bench| {
            // The engine's clock stands still meanwhile, and orders are dated by the machine's.
            tokio::time::advance(Duration::from_secs(1)).await;
            let _ = bench.executor.order(order.clone());
            hold.reached().await;
            bench.lines(order.id).await
        });
        (order, lines)
    }

    fn commands(&self) -> PathBuf {
        self.data.path().join("commands")
    }
}

/// How often the outbox tells each command's end.
async fn ends(bench: &Bench) -> BTreeMap<CommandId, u32> {
    let mut ends = BTreeMap::new();
    let last = bench.outbox.last();
    let mut after = EventSeq(0);
    while after < last {
        for event in bench.outbox.next_batch(after, 1 << 20).await {
            after = event.seq;
            if let EventKind::CommandEnded { command, .. } = event.what {
                *ends.entry(command).or_default() += 1;
            }
        }
    }
    ends
}

fn stop() -> Work {
    Work::Container { container: "shop_web_1".to_owned(), action: ContainerAction::Stop }
}

fn is_numbered(lines: &[ProgressLine]) -> bool {
    lines.iter().enumerate().all(|(number, line)| line.line == number as u64)
}

#[test]
fn a_sync_goes_on_under_its_own_id_and_in_its_own_log() {
    let late = "remove shop_web_1_roadstead_old";
    for point in ["layer app:1", "create_like", "stop shop_web_1", "start shop_web_1", late] {
        let host = Host::new();
        let (order, told) = host.dies_at(sync("shop"), point);
        assert!(!told.is_empty() && is_numbered(&told));
        host.life(async |bench| {
            assert!(matches!(bench.executor.enquire(order.id, told.len() as u64), Standing::Running { .. }));
            assert!(matches!(bench.executor.order(order.clone()), Standing::Running { .. }));
            assert_eq!(summary(&bench.outcome(order.id).await), "updated web; db already current", "{point}");
            bench.assert_runs("shop_web_1", "sha256:app-new");
            let lines = bench.lines(order.id).await;
            assert_eq!(lines[..told.len()], told, "{point}");
            assert!(is_numbered(&lines) && lines.len() > told.len());
            let restarted = |line: &ProgressLine| matches!(&line.entry, Progress::Log { text, .. } if text.contains("agent restarted"));
            assert_eq!(lines.iter().filter(|line| restarted(line)).count(), 1);
            assert!(restarted(&lines[told.len()]), "{:?}", lines[told.len()]);
        });
    }
}

#[test]
fn what_is_not_harmless_to_repeat_ends_as_interrupted_exactly_once() {
    let host = Host::new();
    let (order, _) = host.dies_at(stop(), "stop shop_web_1");
    host.life(async |bench| {
        let outcome = bench.outcome(order.id).await;
        let expected = "interrupted: the agent restarted while stop of shop_web_1 ran";
        assert!(failure(&outcome).starts_with(expected), "{outcome:?}");
    });
    for _ in 0..3 {
        host.life(async |bench| {
            assert_eq!(bench.executor.order(order.clone()), Standing::Ended);
            assert_eq!(ends(bench).await, BTreeMap::from([(order.id, 1)]));
        });
    }
    assert_eq!(host.engine.calls(), ["stop shop_web_1"]);
}

#[test]
fn an_ended_command_is_not_run_again_and_its_last_lines_can_still_be_had() {
    let host = Host::new();
    let order = Order { id: CommandId::generate(), work: stop(), deadline_secs: 60 };
    let lines = host.life(async |bench| {
        let _ = bench.executor.order(order.clone());
        bench.outcome(order.id).await;
        bench.lines(order.id).await
    });
    host.life(async |bench| {
        assert_eq!(bench.executor.order(order.clone()), Standing::Ended);
        assert_eq!(bench.lines(order.id).await, lines);
        assert_eq!(ends(bench).await, BTreeMap::from([(order.id, 1)]));
    });
    assert_eq!(host.engine.calls(), ["stop shop_web_1"]);
}

#[test]
fn an_outcome_in_the_outbox_is_not_told_twice_when_the_end_was_not_noted() {
    let host = Host::new();
    let (order, _) = host.dies_at(sync("shop"), "layer app:1");
    let other = Host { data: tempfile::tempdir().unwrap(), engine: host.engine.clone() };
    let copy = |from: &Path, to: &Path| std::fs::copy(from, to).unwrap();
    std::fs::create_dir_all(other.commands()).unwrap();
    for entry in std::fs::read_dir(host.commands()).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &other.commands().join(entry.file_name()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let outbox =
            roadstead_agent::outbox::Outbox::open(&other.data.path().join("outbox"), 1 << 20).unwrap();
        let outcome = Outcome::Succeeded { summary: "done".to_owned(), services: Vec::new() };
        let ended = EventKind::CommandEnded { command: order.id, outcome };
        let at = roadstead_protocol::message::time::UnixMicros::now();
        let told = outbox.append(at, ended).await.unwrap();
        // Even where the controller has it already.
        outbox.next_batch(EventSeq(0), 1).await;
        outbox.acknowledge(told);
        outbox.settle().await;
    });
    drop(runtime);
    let calls = other.engine.calls();
    other.life(async |bench| {
        assert_eq!(bench.executor.order(order.clone()), Standing::Ended);
        assert_eq!(bench.outbox.last(), EventSeq(1));
    });
    assert_eq!(other.engine.calls(), calls);
}

#[test]
fn a_sync_that_ends_the_agent_again_and_again_is_given_up() {
    let host = Host::new();
    let (order, _) = host.dies_at(sync("shop"), "layer app:1");
    for _ in 0..3 {
        let mut hold = host.engine.hold_when("layer app:1");
        host.life(async |_| hold.reached().await);
    }
    host.life(async |bench| {
        let outcome = bench.outcome(order.id).await;
        assert!(failure(&outcome).contains("restarted 4 times"), "{outcome:?}");
        assert_eq!(ends(bench).await, BTreeMap::from([(order.id, 1)]));
    });
}

#[test]
fn lines_that_a_power_cut_took_are_made_up_for_by_what_the_controller_has() {
    let host = Host::new();
    let (order, told) = host.dies_at(sync("shop"), "layer app:1");
    let path = host.commands().join(format!("{}.log", order.id));
    let bytes = std::fs::read(&path).unwrap();
    // Only what was synced is left: the order.
    let first = 8 + usize::try_from(u32::from_le_bytes(bytes[..4].try_into().unwrap())).unwrap();
    std::fs::write(&path, &bytes[..first]).unwrap();
    host.life(async |bench| {
        let next = told.len() as u64;
        let _ = bench.executor.enquire(order.id, next);
        bench.outcome(order.id).await;
        assert_eq!(bench.executor.next_lines().await[0].line, next);
        assert!(is_numbered(&bench.lines(order.id).await));
    });
}

#[test]
fn an_order_whose_record_cannot_be_written_is_not_begun() {
    let host = Host::new();
    host.life(async |bench| {
        let order = Order { id: CommandId::generate(), work: stop(), deadline_secs: 60 };
        // A folder lies where the record should.
        std::fs::create_dir(host.commands().join(format!("{}.log", order.id))).unwrap();
        let _ = bench.executor.order(order.clone());
        bench.executor.recorded(order.id).await;
        let outcome = bench.outcome(order.id).await;
        assert!(failure(&outcome).starts_with("not begun"), "{outcome:?}");
    });
    assert!(host.engine.calls().is_empty());
}

#[test]
fn a_lost_list_of_ended_commands_begins_a_new_memory() {
    let host = Host::new();
    let since = || host.life(async |bench| bench.executor.remembers_since());
    let first = since();
    assert_eq!(since(), first);
    std::fs::remove_file(host.commands().join("ended")).unwrap();
    let second = since();
    assert_ne!(second, first);
    std::fs::write(host.commands().join("ended"), b"").unwrap();
    assert!(![first, second].contains(&since()));
}

/// Damages one file of the ledger.
fn damage(folder: &Path, file: &prop::sample::Index, at: &prop::sample::Index, bit: Option<u8>) {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let path = file.get(&files);
    let mut bytes = std::fs::read(path).unwrap();
    let at = at.index(bytes.len());
    match bit {
        Some(bit) => bytes[at] ^= 1 << bit,
        None => bytes.truncate(at),
    }
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_damage_runs_a_command_twice_or_leaves_one_without_an_end(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in prop::option::of(0u8..8),
    ) {
        let host = Host::new();
        let done = Order { id: CommandId::generate(), work: stop(), deadline_secs: 60 };
        host.life(async |bench| {
            let _ = bench.executor.order(done.clone());
            bench.outcome(done.id).await;
            bench.executor.shut_down().await;
        });
        let start = Work::Container { container: "shop_web_1".to_owned(), action: ContainerAction::Start };
        let (open, _) = host.dies_at(start, "start shop_web_1");
        let before: BootId = host.life_without_resuming();
        damage(&host.commands(), &file, &at, bit);
        host.life(async |bench| {
            let outcome = bench.outcome(open.id).await;
            assert!(failure(&outcome).starts_with("interrupted"), "{outcome:?}");
            let same_memory = bench.executor.remembers_since() == before;
            // Only an order that the same memory does not know is ever sent again.
            assert!(!same_memory || bench.executor.enquire(done.id, 0) == Standing::Ended);
            assert!(matches!(bench.executor.enquire(open.id, 0), Standing::Running { .. } | Standing::Ended));
        });
        host.life(async |bench| {
            assert_eq!(ends(bench).await, BTreeMap::from([(done.id, 1), (open.id, 1)]));
        });
        assert_eq!(host.engine.calls(), ["stop shop_web_1", "start shop_web_1"]);
    }
}

impl Host {
    /// The boot that the memory goes back to, as a process finds it that does nothing.
    fn life_without_resuming(&self) -> BootId {
        let boot = BootId::generate();
        roadstead_agent::executor::ledger::Ledger::open(&self.commands(), boot).unwrap().since()
    }
}
