//! The controller's program: arguments, logging, signals.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use roadstead_controller::config::{Config, Settings};
use roadstead_controller::{cli, log};
use roadstead_protocol::arguments;

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
    let hidden = arguments::hide("--password", "ROADSTEAD_PASSWORD")
        .and_then(|()| arguments::hide("--oidc-client-secret", "ROADSTEAD_OIDC_CLIENT_SECRET"));
    let arguments = Arguments::parse();
    log::start(arguments.log);
    if let Err(error) = hidden {
        tracing::warn!(
            %error,
            "other users of this host can read --password and --oidc-client-secret in the list of processes; \
             set them in the environment, or use --password-file and --oidc-client-secret-file, instead"
        );
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
