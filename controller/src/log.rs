//! Log lines on standard error, for people and for `docker logs` alike.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging at `level`; libraries say only what is at least a warning, unless everything is asked for.
pub fn start(level: Level) {
    let libraries = if level == Level::TRACE { Level::TRACE } else { Level::WARN };
    let filter = Targets::new()
        .with_default(libraries)
        .with_target("roadstead_controller", level)
        .with_target("roadstead_protocol", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
}
