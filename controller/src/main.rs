//! The controller's program: arguments, logging, signals.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use roadstead_controller::config::{Config, Settings};
use roadstead_controller::{cli, log};

/// The Roadstead controller: one place for a fleet of Docker hosts.
#[derive(Parser)]
#[command(name = "roadstead-controller", version)]
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
    command: Option<cli::Command>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log::start(arguments.log);
    for secret in ["--password", "--oidc-client-secret"] {
        let given = |argument: String| {
            argument.strip_prefix(secret).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        if std::env::args().any(given) {
            tracing::warn!(
                "other users of this host can read {secret} in the list of processes; set it in the environment, or \
                 use {secret}-file instead"
            );
        }
    }
    let (file, near) = (arguments.config, arguments.settings);
    let configure = move || -> anyhow::Result<Config> {
        let file = file.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
        Ok(near.clone().over(file).resolve()?)
    };
    match configure().and_then(|config| cli::run(arguments.command, config, Box::new(configure))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
