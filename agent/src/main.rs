//! The agent's program: arguments, logging, signals.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use roadstead_agent::config::{Config, Settings};
use roadstead_agent::{log, program};
use roadstead_protocol::arguments;

/// The Roadstead agent: runs beside a Docker engine and tells the controller about it.
#[derive(Parser)]
#[command(name = "roadstead-agent", version)]
struct Arguments {
    /// TOML file with settings of the same names.
    #[arg(long, env = "ROADSTEAD_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// How much to say: error, warn, info, debug or trace.
    #[arg(long, env = "ROADSTEAD_LOG", value_name = "LEVEL", default_value = "info", global = true)]
    log: tracing::Level,

    #[command(flatten)]
    settings: Settings,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Tell by exit code whether the agent that uses this data folder is up and has its controller.
    Healthcheck,
}

fn main() -> ExitCode {
    let hidden = arguments::hide("--join", "ROADSTEAD_JOIN");
    let arguments = Arguments::parse();
    log::start(arguments.log);
    if let Err(error) = hidden {
        tracing::warn!(
            %error,
            "other users of this host can read --join in the list of processes; \
             set ROADSTEAD_JOIN or --join-file instead"
        );
    }
    let settings = {
        let (config, near) = (arguments.config, arguments.settings);
        move || -> anyhow::Result<Config> {
            let file = config.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
            Ok(near.clone().over(file).resolve()?)
        }
    };
    let result = match arguments.command {
        None => program::run(&settings),
        Some(Command::Healthcheck) => settings().and_then(|config| program::healthcheck(&config)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
