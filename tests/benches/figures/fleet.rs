//! Many agents on one controller: memory and CPU time of each, joining, coming back after a kill, a command to all.
//! The agents are simulated (`roadstead_tests::simulator`), everything else is real.

pub mod crowd;
pub mod echo;

use std::time::Duration;

use anyhow::ensure;
use futures_util::stream::{self, StreamExt as _};
use reqwest::Method;
use roadstead_tests::Api;
use roadstead_tests::processes::PASSWORD;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::fsync::Probe;
use crate::options::Options;
use crate::processes::{cpu_seconds, memory};
use crate::report::{Report, Row, Section, say};
use crate::statistics::Samples;
use crowd::{ALL_LIVE, Crowd, pause};
use echo::Echo;

/// Containers of each host where there are some.
const CONTAINERS: usize = 20;

/// After joining, until what a start leaves behind is done.
const SETTLE: Duration = Duration::from_secs(10);

/// Requests a second to the API while a fleet comes back.
const PROBES: f64 = 20.0;

/// Orders that are posted at a time.
const POSTED_AT_ONCE: usize = 64;

/// Measures all of it.
///
/// # Errors
/// When something does not work at all: a figure that misses its goal is no error.
pub async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    roadstead_controller::cli::raise_file_limit();
    let keys = roadstead_tests::scratch::Scratch::new()?;
    for (position, &agents) in options.agents.iter().enumerate() {
        let largest = position + 1 == options.agents.len();
        say(&format!("{agents} connections to a bare server"));
        let mut bare = Echo::start(agents).await?;
        let yardstick = Yardstick {
            memory: bare.memory()?,
            connected_in: bare.connected_in,
            round: bare.round().await?.as_secs_f64(),
        };
        drop(bare);
        say(&format!("{agents} agents without containers"));
        let crowd = Crowd::start(agents, 0, keys.path()).await?;
        pause(SETTLE).await;
        let without = crowd.memory_of_one()?;
        crowd.fleet.stop().await;
        drop(crowd.controller);
        say(&format!("{agents} agents with {CONTAINERS} containers"));
        let mut crowd = Crowd::start(agents, CONTAINERS, keys.path()).await?;
        pause(SETTLE).await;

        let mut section = Section::new(&format!("{agents} agents on one controller"));
        section.note("agents are simulated, on the same machine".to_owned());
        sizes(&mut section, &crowd, &yardstick, without)?;
        idle(&mut section, &crowd, options.crowd_idle).await?;
        command(&mut section, &crowd, &yardstick).await?;
        if largest {
            back(&mut section, &mut crowd, &yardstick).await?;
        }
        crowd.fleet.stop().await;
        report.add(section)?;
    }
    Ok(())
}

/// What a bare server does with as many connections.
struct Yardstick {
    /// KiB of one connection.
    memory: f64,
    /// Seconds for all handshakes.
    connected_in: f64,
    /// Seconds for a message to all and back.
    round: f64,
}

fn sizes(section: &mut Section, crowd: &Crowd, bare: &Yardstick, without: f64) -> anyhow::Result<()> {
    let with = crowd.memory_of_one()?;
    section.add(Row::new("bare server, memory of a connection".to_owned(), bare.memory, "KiB"));
    let row = Row::new("controller, memory of an agent without containers".to_owned(), without, "KiB");
    section.add(row.at_most(24.0));
    section
        .add(Row::new("the same, of the bare server's".to_owned(), without / bare.memory, "x").at_most(1.5));
    let row = Row::new(format!("controller, memory of an agent with {CONTAINERS} containers"), with, "KiB");
    section.add(row.at_most(36.0));
    #[expect(clippy::cast_precision_loss, reason = "agents are few")]
    let rate = crowd.agents as f64 / crowd.joined_in;
    section.add(Row::new("bare server, all handshakes".to_owned(), bare.connected_in, "s"));
    section.add(Row::new("controller, all agents join".to_owned(), crowd.joined_in, "s"));
    section.add(Row::new("new enrolments a second".to_owned(), rate, "/s").at_least(800.0));
    Ok(())
}

/// What heartbeats alone cost.
async fn idle(section: &mut Section, crowd: &Crowd, watched: Duration) -> anyhow::Result<()> {
    say(&format!("idle for {} s", watched.as_secs()));
    let (before, began) = (cpu_seconds(crowd.controller.id())?, Instant::now());
    pause(watched).await;
    let used = cpu_seconds(crowd.controller.id())? - before;
    let share = used / began.elapsed().as_secs_f64() * 100.0;
    section.add(Row::new("controller, CPU with idle agents".to_owned(), share, "% of a core").at_most(4.0));
    let now = crowd.fleet.summary();
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let disturbed = (now.late + now.lost) as f64;
    section.add(Row::new("late or lost meanwhile".to_owned(), disturbed, "").at_most(0.0));
    Ok(())
}

/// One command to each agent.
async fn command(section: &mut Section, crowd: &Crowd, bare: &Yardstick) -> anyhow::Result<()> {
    say("a command to each agent");
    let instances = crowd.api.instances().await;
    let paths = instances.iter().filter_map(|one| {
        Some(format!("/api/instances/{}/containers/shop-web-1/restart", one["id"].as_str()?))
    });
    let began = Instant::now();
    let post = |path: String| async move {
        let sent = crowd.api.request(Method::POST, &path).json(&json!({})).send().await;
        sent.is_ok_and(|answer| answer.status().as_u16() == 202)
    };
    let taken: Vec<bool> = stream::iter(paths.map(post)).buffer_unordered(POSTED_AT_ONCE).collect().await;
    let posted = began.elapsed().as_secs_f64();
    ensure!(
        taken.iter().all(|taken| *taken),
        "{} orders were refused",
        taken.iter().filter(|it| !**it).count()
    );
    let succeeded = "roadstead_commands{state=\"succeeded\"}";
    crowd.metric_is(succeeded, crowd.agents).await?;
    let done = began.elapsed().as_secs_f64();
    let probe = Probe::start(&crowd.controller.data())?;
    let began = Instant::now();
    let order = json!({ "every": true, "action": "restart", "container": "shop-web-1" });
    let answer = crowd.api.request(Method::POST, "/api/commands").json(&order).send().await?;
    ensure!(answer.status().as_u16() == 202, "the order was answered with {}", answer.status());
    let all_posted = began.elapsed().as_secs_f64();
    crowd.metric_is(succeeded, 2 * crowd.agents).await?;
    let all_done = began.elapsed().as_secs_f64();
    let commit = probe.end().await?.percentile(50) / 1000.0;
    section.add(Row::new("bare server, a message to all and back".to_owned(), bare.round, "s"));
    section.add(Row::new("a command to each agent: all posted, one request each".to_owned(), posted, "s"));
    section.add(Row::new("a command to each agent: every outcome stored".to_owned(), done, "s"));
    section.add(Row::new("F meanwhile, a raw append made durable, p50".to_owned(), commit * 1000.0, "ms"));
    section.add(Row::new("one order to all agents: answered".to_owned(), all_posted, "s"));
    let row = Row::new("one order to all agents: every outcome stored".to_owned(), all_done, "s");
    section.add(row.at_most(2.0 * bare.round + commit));
    Ok(())
}

/// The controller is killed, and starts again.
async fn back(section: &mut Section, crowd: &mut Crowd, bare: &Yardstick) -> anyhow::Result<()> {
    say("the controller is killed");
    let steady = memory(crowd.controller.id())?.resident;
    let undialled = crowd.fleet.summary().undialled;
    crowd.controller.kill().await;
    crowd.fleet.none_live(ALL_LIVE).await?;
    crowd.fleet.forget_latencies();
    let killed = Instant::now();
    crowd.controller.start_again().await;
    crowd.api = crowd.controller.api().await;
    let up = Instant::now();
    let until = CancellationToken::new();
    let probing = probe(crowd.controller.url(), until.clone());
    let until = until.drop_guard();
    let live = crowd.fleet.all_live(ALL_LIVE).await?.as_secs_f64();
    drop(until);
    crowd.healthy().await?;
    let healthy = up.elapsed().as_secs_f64();
    let (probed, failed) = probing.await??;
    let peak = memory(crowd.controller.id())?.peak;
    let now = crowd.fleet.summary();
    section.note(format!(
        "after the kill the controller listened again in {:.2} s; {} attempts of agents ended without an answer, {} were \
         refused by name",
        (up - killed).as_secs_f64(),
        now.undialled - undialled,
        now.refusals.values().sum::<u64>()
    ));
    section.add(Row::new("after a kill: all live again".to_owned(), live, "s").at_most(20.0));
    section.add(Row::new("after a kill: every picture true again".to_owned(), healthy, "s").at_most(20.0));
    let ratio = healthy / bare.connected_in;
    section.add(Row::new("the same, of the bare server's handshakes".to_owned(), ratio, "x").at_most(3.0));
    section.add(Row::new("after a kill: longest welcome".to_owned(), now.linking.worst_ms, "ms"));
    section.add(Row::new("meanwhile: API, p50".to_owned(), probed.percentile(50), "ms"));
    section.add(Row::new("meanwhile: API, p99".to_owned(), probed.percentile(99), "ms").at_most(150.0));
    #[expect(clippy::cast_precision_loss, reason = "few")]
    section.add(Row::new("meanwhile: requests that failed".to_owned(), failed as f64, "").at_most(0.0));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 KiB")]
    let ratio = peak as f64 / steady as f64;
    section.add(Row::new("most memory of before, at its peak".to_owned(), ratio, "x").at_most(1.3));
    Ok(())
}

/// Asks for events again and again while agents come back, and gives milliseconds and how many requests failed. On a
/// thread of its own: among the simulated agents an answer would wait for its turn, and that is not the controller's doing.
fn probe(url: String, until: CancellationToken) -> JoinHandle<anyhow::Result<(Samples, usize)>> {
    tokio::task::spawn_blocking(move || {
        Builder::new_current_thread().enable_all().build()?.block_on(probed(&url, until))
    })
}

async fn probed(url: &str, until: CancellationToken) -> anyhow::Result<(Samples, usize)> {
    let api = Api::anonymous(url);
    api.login(PASSWORD).await.expect_status(200);
    let (mut took, mut failed) = (Samples::default(), 0);
    let mut ticks = interval(Duration::from_secs_f64(1.0 / PROBES));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while until.run_until_cancelled(ticks.tick()).await.is_some() {
        let began = Instant::now();
        let asked = api.request(Method::GET, "/api/events?limit=50").send();
        match timeout(Duration::from_secs(10), asked).await {
            Ok(Ok(answer)) if answer.status().is_success() => {
                answer.bytes().await?;
                took.add(began.elapsed().as_secs_f64() * 1000.0);
            }
            _ => failed += 1,
        }
    }
    Ok((took, failed))
}
