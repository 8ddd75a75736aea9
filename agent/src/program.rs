//! The running program: the agent with the real engine, its signals, and what `healthcheck` reads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use roadstead_protocol::message::time::UnixMicros;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, AgentHealth};
use crate::config::Config;
use crate::engine::docker::{DockerEngine, TlsFiles};

/// How often the health file is written.
const HEALTH_EVERY: Duration = Duration::from_secs(10);

/// A health file older than this means that the agent hangs or is gone.
const HEALTH_FRESH: Duration = Duration::from_secs(35);

/// Runs the agent until a signal ends it. `settings` is called again for every SIGHUP.
///
/// # Errors
/// If it cannot start; the text says what to do.
pub fn run(settings: &dyn Fn() -> anyhow::Result<Config>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(settings));
    // Reading our standard input cannot be called off: whoever supervises us holds it open until we are gone.
    runtime.shutdown_background();
    ended
}

async fn serve(settings: &dyn Fn() -> anyhow::Result<Config>) -> anyhow::Result<()> {
    let config = settings()?;
    let certificates = config.docker_certificates.as_deref().map(TlsFiles::in_directory);
    let engine = DockerEngine::connect(config.docker_host.as_deref(), certificates.as_ref())?;
    let health_file = config.data_dir.join("health");
    let agent = Agent::new(config, Arc::new(engine))?;
    let shutdown = CancellationToken::new();
    let run = agent.run(shutdown.clone());
    tokio::pin!(run);
    let (mut interrupt, mut terminate, mut reload) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut health = tokio::time::interval(HEALTH_EVERY);
    let parent = parent_ended();
    tokio::pin!(parent);
    loop {
        tokio::select! {
            result = &mut run => return result.map_err(Into::into),
            _ = interrupt.recv() => end(&shutdown)?,
            _ = terminate.recv() => end(&shutdown)?,
            () = &mut parent, if !shutdown.is_cancelled() => shutdown.cancel(),
            _ = reload.recv() => match settings() {
                Ok(config) => agent.reload(&config),
                Err(error) => tracing::error!("kept the old configuration: {error:#}"),
            },
            _ = health.tick() => write_health(&health_file, agent.health()),
        }
    }
}

/// The first signal drains, the second aborts.
fn end(shutdown: &CancellationToken) -> anyhow::Result<()> {
    if shutdown.is_cancelled() {
        bail!("ended at once, on a second signal");
    }
    tracing::info!("ending; a second signal ends at once");
    shutdown.cancel();
    Ok(())
}

/// Returns when the supervising controller is gone: it holds the other end of our standard input.
async fn parent_ended() {
    if std::env::var_os("ROADSTEAD_SUPERVISED").is_none() {
        return std::future::pending().await;
    }
    let mut rest = [0; 64];
    let mut input = tokio::io::stdin();
    while !matches!(input.read(&mut rest).await, Ok(0) | Err(_)) {}
}

fn write_health(path: &Path, health: AgentHealth) {
    let text = format!("{} {}\n", UnixMicros::now().as_secs(), health.as_str());
    if let Err(error) = std::fs::write(path, text) {
        tracing::warn!(path = %path.display(), %error, "cannot write the health file");
    }
}

/// Reads what the running agent last wrote about itself.
///
/// # Errors
/// If it is not up, or has no session with its controller.
pub fn healthcheck(config: &Config) -> anyhow::Result<()> {
    let path = config.data_dir.join("health");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: no agent runs with this data folder", path.display()))?;
    let (written, state) = text.trim().split_once(' ').context("the health file is damaged")?;
    let age = UnixMicros::now().since(UnixMicros::from_secs(written.parse()?));
    if age > HEALTH_FRESH {
        bail!("the agent last gave a sign of life {} s ago", age.as_secs());
    }
    if state != AgentHealth::Linked.as_str() {
        bail!("the agent has no session with its controller");
    }
    Ok(())
}
