//! The fleet simulator's program.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use roadstead_tests::simulator::{Invitation, Script, Simulator, Summary};
use tokio::time::{Instant, interval, sleep_until};

/// A fleet of simulated Roadstead agents: real keys, links and messages beside made-up Docker hosts. Shows what a
/// controller bears. It may run on the controller's machine or on another.
///
/// Says once a second how the fleet is, on standard error, and at the end prints a summary as JSON.
#[derive(Parser)]
#[command(name = "roadstead-simulator", version)]
struct Arguments {
    /// A join token of the controller, made with as many uses as there are agents; say it again for more tokens, which
    /// are shared out evenly. Agents that have joined need it only for the controller's key and address.
    #[arg(
        long,
        env = "ROADSTEAD_JOIN",
        value_delimiter = ',',
        conflicts_with = "api",
        hide_env_values = true
    )]
    join: Vec<String>,
    /// The controller's API (http://host:port): the simulator makes the tokens that it needs. Needs --password.
    #[arg(long, value_name = "URL", requires = "password")]
    api: Option<String>,
    /// The password of the user admin.
    #[arg(long, env = "ROADSTEAD_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Where to dial (wss://host:port), if not where the token says.
    #[arg(long, value_name = "URL")]
    controller: Option<String>,
    /// Folder for the agents' keys. The same folder makes the same agents again.
    #[arg(long, value_name = "FOLDER", default_value = "simulator-keys")]
    keys: PathBuf,
    /// Ends after so many seconds; left out, at Ctrl-C.
    #[arg(long)]
    seconds: Option<u64>,
    #[command(flatten)]
    script: Script,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    roadstead_controller::cli::raise_file_limit();
    let Arguments { join, api, password, controller, keys, seconds, script } = arguments;
    let controller = controller.as_deref();
    let invitation = match api {
        Some(api) => {
            let password = password.context("--api needs --password")?;
            Invitation::with_password(&api, &password, script.agents - script.inbound, controller).await?
        }
        None => {
            ensure!(!join.is_empty(), "say --join TOKEN, or --api URL with --password");
            Invitation::with_tokens(&join, controller).await?
        }
    };
    let simulator = Simulator::start(script, invitation, &keys).await?;
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let over = async {
        match end {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = show(&simulator) => {}
        () = over => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    let summary = simulator.stop().await;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&summary)?)?;
    Ok(())
}

/// Says how the fleet is, for ever.
async fn show(simulator: &Simulator) {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        // Nobody reading any more is no reason to end.
        let _ = writeln!(std::io::stderr(), "{}", line(&simulator.summary()));
    }
}

fn line(now: &Summary) -> String {
    let refused: u64 = now.refusals.values().sum();
    format!(
        "{:5.0} s  {} of {} live  sessions {} lost {} cut {} late {} undialled {} refused {refused}  events {} \
         acknowledged {}  commands {} of {}  welcome p50 {:.0} worst {:.0} ms  acknowledgement p50 {:.1} worst {:.0} ms",
        now.seconds,
        now.live,
        now.agents,
        now.sessions,
        now.lost,
        now.cut,
        now.late,
        now.undialled,
        now.events,
        now.acknowledged,
        now.outcomes,
        now.orders,
        now.linking.p50_ms,
        now.linking.worst_ms,
        now.acknowledging.p50_ms,
        now.acknowledging.worst_ms,
    )
}
