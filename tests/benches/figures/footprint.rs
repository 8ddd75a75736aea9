//! Memory, CPU time and bytes on the wire of agents at hosts where nothing happens, while nobody looks and while somebody
//! does, and what their engines use with and without them.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::processes::{EngineCpu, cpu_seconds, engine_cpu, memory};
use crate::report::{Row, Section, say};
use crate::stage::{Fleet, Hosts};

/// After the engines' start, until what follows it is over.
const ENGINES_SETTLE: Duration = Duration::from_secs(45);

/// How often the containers of each host are asked for while somebody looks: an agent then samples for 30 s.
const LOOK: Duration = Duration::from_secs(10);

/// With 0, 50 and 200 containers.
const MEMORY_GOALS: [(usize, f64); 3] = [(0, 6.0 * 1024.0), (50, 7.0 * 1024.0), (200, 10.0 * 1024.0)];
const PEAK_GOAL_KIB: f64 = 16.0 * 1024.0;
/// CPU seconds in ten minutes with 50 containers: of the agent while nobody looks and while somebody does, of its
/// engine beyond what it uses by itself.
const CPU_GOAL: f64 = 0.06;
const WATCHED_CPU_GOAL: f64 = 0.30;
const ENGINE_CPU_GOAL: f64 = 0.05;
const GOAL_SECONDS: f64 = 600.0;
const WIRE_GOAL_BYTES: f64 = 700.0;

/// CPU seconds that each engine uses in `idle` without an agent.
///
/// # Errors
/// When `/proc` cannot be read.
pub async fn engines_alone(hosts: &Hosts, idle: Duration) -> anyhow::Result<Vec<EngineCpu>> {
    say(&format!("engines alone, for {} s", idle.as_secs()));
    pause(ENGINES_SETTLE.min(idle)).await;
    let folders: Vec<_> = hosts.all().map(|host| host.engine.folder()).collect();
    let before = folders.iter().map(|folder| engine_cpu(folder)).collect::<Result<Vec<_>, _>>()?;
    pause(idle).await;
    folders.iter().zip(before).map(|(folder, before)| Ok(engine_cpu(folder)?.since(before))).collect()
}

/// The same time with agents, from `settle` after their start on, when the first figures and whatever else follows a start
/// are over.
///
/// # Errors
/// As [`engines_alone`].
pub async fn idle(
    fleet: &Fleet,
    alone: &[EngineCpu],
    settle: Duration,
    idle: Duration,
) -> anyhow::Result<Section> {
    say(&format!("idle agents, from {} s after their start on, for {} s", settle.as_secs(), idle.as_secs()));
    pause(settle).await;
    let mut before = Vec::new();
    for member in &fleet.members {
        member.machine.count().await;
        before.push((cpu_seconds(member.agent.id())?, engine_cpu(member.host.engine.folder())?));
    }
    let controller = cpu_seconds(fleet.controller.id())?;
    pause(idle).await;
    let (seconds, minutes) = (idle.as_secs_f64(), idle.as_secs_f64() / 60.0);
    let mut section = Section::new("Idle agents");
    section.note(format!(
        "watched for {} s, from {} s after their start on, nobody looking",
        idle.as_secs(),
        settle.as_secs()
    ));
    for ((member, (agent, engine)), alone) in fleet.members.iter().zip(before).zip(alone) {
        let bytes = member.machine.counted().await;
        let used = cpu_seconds(member.agent.id())? - agent;
        let engine = engine_cpu(member.host.engine.folder())?.since(engine);
        let memory = memory(member.agent.id())?;
        let count = member.host.containers;
        let what = |what: &str| format!("{count} containers: {what}");
        let row = Row::new(what("agent, resident memory"), kib(memory.resident), "KiB");
        let goal = MEMORY_GOALS.iter().find(|(containers, _)| *containers >= count);
        section.add(goal.into_iter().fold(row, |row, (_, goal)| row.at_most(*goal)));
        section.add(Row::new(what("agent, of that its own (anonymous)"), kib(memory.anonymous), "KiB"));
        let row = Row::new(what("agent, most ever resident"), kib(memory.peak), "KiB");
        section.add(row.at_most(PEAK_GOAL_KIB));
        let row = Row::new(what("agent, CPU time"), used, "s");
        section.add(at_fifty(count, row, CPU_GOAL * seconds / GOAL_SECONDS));
        section.add(Row::new(what("dockerd + containerd, without agent"), alone.daemons, "s"));
        section.add(Row::new(what("dockerd + containerd, with agent"), engine.daemons, "s"));
        let row =
            Row::new(what("dockerd + containerd, because of the agent"), engine.daemons - alone.daemons, "s");
        section.add(at_fifty(count, row, ENGINE_CPU_GOAL * seconds / GOAL_SECONDS));
        section.add(Row::new(what("containers' shims, without agent"), alone.shims, "s"));
        section.add(Row::new(what("containers' shims, with agent"), engine.shims, "s"));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
        let row = Row::new(what("wire, both ways at IP level"), bytes as f64 / minutes, "B/min");
        section.add(row.at_most(WIRE_GOAL_BYTES));
    }
    let memory = memory(fleet.controller.id())?;
    let used = cpu_seconds(fleet.controller.id())? - controller;
    section.add(Row::new("controller of these: resident memory".to_owned(), kib(memory.resident), "KiB"));
    section.add(Row::new("controller of these: CPU time".to_owned(), used, "s"));
    Ok(section)
}

/// The same for `time` while somebody looks at every host. `alone` is of twice that time.
///
/// # Errors
/// As [`engines_alone`].
pub async fn watched(fleet: &Fleet, alone: &[EngineCpu], time: Duration) -> anyhow::Result<Section> {
    say(&format!("agents that somebody looks at, for {} s", time.as_secs()));
    let look = async || {
        for member in &fleet.members {
            let path = format!("/api/instances/{}/containers", member.instance);
            fleet.api.get(&path).await.expect_status(200);
        }
    };
    look().await;
    pause(LOOK).await;
    let mut before = Vec::new();
    for member in &fleet.members {
        before.push((cpu_seconds(member.agent.id())?, engine_cpu(member.host.engine.folder())?));
    }
    let end = Instant::now() + time;
    while Instant::now() < end {
        look().await;
        pause(LOOK.min(end - Instant::now())).await;
    }
    let mut section = Section::new("Agents that somebody looks at");
    section.note(format!("watched for {} s, figures every 5 s", time.as_secs()));
    for ((member, (agent, engine)), alone) in fleet.members.iter().zip(before).zip(alone) {
        let used = cpu_seconds(member.agent.id())? - agent;
        let engine = engine_cpu(member.host.engine.folder())?.since(engine);
        let count = member.host.containers;
        let what = |what: &str| format!("{count} containers: {what}");
        let row = Row::new(what("agent, CPU time"), used, "s");
        section.add(at_fifty(count, row, WATCHED_CPU_GOAL * time.as_secs_f64() / GOAL_SECONDS));
        let row = Row::new(
            what("dockerd + containerd, because of the agent"),
            engine.daemons - alone.daemons / 2.0,
            "s",
        );
        section.add(row);
        let memory = memory(member.agent.id())?;
        section.add(Row::new(what("agent, resident memory"), kib(memory.resident), "KiB"));
    }
    Ok(section)
}

/// A goal that is one for a host with 50 containers or fewer.
fn at_fifty(containers: usize, row: Row, goal: f64) -> Row {
    if containers > 50 { row } else { row.at_most(goal) }
}

impl EngineCpu {
    fn since(self, earlier: Self) -> Self {
        Self { daemons: self.daemons - earlier.daemons, shims: self.shims - earlier.shims }
    }
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 KiB")]
fn kib(kib: u64) -> f64 {
    kib as f64
}

async fn pause(time: Duration) {
    sleep_until(Instant::now() + time).await;
}
