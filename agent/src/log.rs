//! Log lines on standard error, for people and for `docker logs` alike.

use std::io::IsTerminal as _;

use roadstead_protocol::message::printable::printable;
use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging at `level`. Libraries say nothing unless everything is asked for, and even then not all of it: at
/// their lowest level they print what they carry, secrets included.
pub fn start(level: Level) {
    let libraries = if level == Level::TRACE { LevelFilter::DEBUG } else { LevelFilter::OFF };
    let filter = Targets::new()
        .with_default(libraries)
        .with_target("roadstead_agent", level)
        .with_target("roadstead_protocol", level);
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// One field of a line. What strangers say is in there too: it must neither reach the terminal's controls nor look
/// like a line of its own.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", printable(&text)),
        // What the `log` crate adds about itself.
        name if name.starts_with("log.") => Ok(()),
        name => write!(writer, "{name}={}", printable(&text)),
    }
}
