//! How long an agent of a synthetic engine takes to start, and what its memory has grown by after many events, all of them
//! told, stored and acknowledged.

use std::time::Duration;

use anyhow::Context as _;
use roadstead_tests::condition::try_eventually;
use roadstead_tests::synthetic_engine::SyntheticOptions;
use roadstead_tests::{
    AgentOptions, AgentProcess, Api, ControllerOptions, ControllerProcess, SyntheticEngine,
};
use serde_json::json;
use tokio::time::{Instant, interval, timeout};

use crate::processes::memory;
use crate::report::{Row, Section, say};
use crate::statistics::Samples;

/// Events after which the agent has all that it keeps for good: caches, buffers, what it remembers of events.
const WARM_UP: usize = 20_000;

/// Events at once.
const STEP: usize = 20_000;

/// Events a second.
const PACE: u32 = 2_000;

/// How long a step may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// Starts that are timed.
const STARTS: usize = 20;

/// How often it is looked whether an agent is there.
const LOOK: Duration = Duration::from_millis(1);

const GROWTH_GOAL_KIB: f64 = 300.0;
const PEAK_GOAL_KIB: f64 = 16.0 * 1024.0;

/// Lets `events` happen after the first ones.
///
/// # Errors
/// When they do not arrive, or `/proc` cannot be read.
pub async fn measure(events: usize) -> anyhow::Result<Section> {
    say(&format!("an agent and {events} events"));
    let engine =
        SyntheticEngine::start(SyntheticOptions { pace: PACE, containers: 50, ..Default::default() });
    let controller = ControllerProcess::start(ControllerOptions::default()).await;
    let api = controller.api().await;
    let (instance, token) = api.register(&json!({ "name": "many-events" })).await;
    let mut agent = AgentProcess::start(AgentOptions::of(engine.host(), &token)).await;
    happen(&engine, &api, &instance, WARM_UP).await?;
    let mut starts = Samples::default();
    for _ in 0..STARTS {
        agent.kill().await;
        timeout(DEADLINE, live(&api, &instance, false)).await?;
        let began = Instant::now();
        agent.start_again().await;
        timeout(DEADLINE, live(&api, &instance, true)).await?;
        starts.add(began.elapsed().as_secs_f64() * 1000.0);
    }
    happen(&engine, &api, &instance, WARM_UP).await?;
    let before = memory(agent.id())?;
    for _ in 0..events / STEP {
        happen(&engine, &api, &instance, STEP).await?;
    }
    let after = memory(agent.id())?;
    let mut section = Section::new("An agent after many events");
    section.note(format!("{PACE} events a second of 50 containers, after {WARM_UP} to warm up"));
    #[expect(clippy::cast_precision_loss, reason = "no process has 2^52 KiB")]
    let kib = |kib: u64| kib as f64;
    let what = "from its start until it is live at the controller".to_owned();
    section.add(Row::new(what, starts.percentile(50), "ms"));
    section.add(Row::new("resident memory before".to_owned(), kib(before.resident), "KiB"));
    section.add(Row::new(format!("resident memory after {events} events"), kib(after.resident), "KiB"));
    let growth = Row::new("growth".to_owned(), kib(after.resident) - kib(before.resident), "KiB");
    section.add(growth.at_most(GROWTH_GOAL_KIB));
    section.add(Row::new("most ever resident".to_owned(), kib(after.peak), "KiB").at_most(PEAK_GOAL_KIB));
    Ok(section)
}

/// Returns when the agent has a session, or none.
async fn live(api: &Api, instance: &str, wanted: bool) {
    let path = format!("/api/instances/{instance}");
    let mut looks = interval(LOOK);
    while (api.get(&path).await.expect_status(200)["link"]["state"] == "live") != wanted {
        looks.tick().await;
    }
}

/// Lets `count` events happen; returns when the controller has the last of them.
async fn happen(engine: &SyntheticEngine, api: &Api, instance: &str, count: usize) -> anyhow::Result<()> {
    engine.happen(count);
    let last = (engine.count() - 1).to_string();
    let path = format!("/api/events?instance={instance}&kind=container&limit=1");
    let stored = try_eventually(DEADLINE, async || {
        let page = api.get(&path).await.expect_status(200);
        let number = &page["events"][0]["what"]["attributes"]["execDuration"];
        (*number == last.as_str()).then_some(()).with_context(|| format!("{number} of {last}"))
    });
    stored.await.map_err(|so_far| anyhow::anyhow!("the controller has event {so_far:?}"))
}
