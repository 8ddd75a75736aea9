//! What it takes an agent to start with many events that it could not tell yet.

use anyhow::ensure;
use roadstead_agent::outbox::{DEFAULT_LIMIT, Outbox};
use roadstead_protocol::message::codec::CHUNK;
use roadstead_protocol::message::ids::EventSeq;
use roadstead_protocol::message::time::UnixMicros;
use tokio::time::Instant;

use super::happened;
use crate::report::{Row, Section, say};

const PENDING: u64 = 100_000;

/// The argument that makes this program an agent's outbox that recovers, in a process of its own for its memory's sake.
pub const ARGUMENT: &str = "recover-outbox";

/// Measures it in a fresh process.
///
/// # Errors
/// When the outbox fails.
pub async fn measure(section: &mut Section) -> anyhow::Result<()> {
    say("an outbox with 100,000 pending events");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let outbox = Outbox::open(folder.path(), DEFAULT_LIMIT)?;
    for some in 0..PENDING / 100 {
        let events = (1..=100).map(|one| (UnixMicros::now(), happened(1, some * 100 + one)));
        outbox.append_all(events.collect()).await?;
    }
    outbox.settle().await;
    drop(outbox);
    let mut again = tokio::process::Command::new(std::env::current_exe()?);
    let output = again.arg(ARGUMENT).arg(folder.path()).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout)?;
    let mut figures = said.split_whitespace().map(str::parse::<f64>);
    let rows = [
        ("opened", "ms"),
        ("all read back", "ms"),
        ("resident before", "KiB"),
        ("most ever resident", "KiB"),
    ];
    for (what, unit) in rows {
        let figure = figures.next().ok_or_else(|| anyhow::anyhow!("{said:?}"))??;
        section.add(Row::new(format!("agent's outbox with 100,000 pending events: {what}"), figure, unit));
    }
    Ok(())
}

/// What the fresh process does: opens, reads everything as a session does, and prints the figures.
///
/// # Errors
/// When the outbox fails.
#[expect(clippy::print_stdout, reason = "the parent process reads it")]
pub async fn recover(folder: &str) -> anyhow::Result<()> {
    let before = resident("VmRSS:")?;
    let began = Instant::now();
    let outbox = Outbox::open(folder.as_ref(), DEFAULT_LIMIT)?;
    let opened = began.elapsed();
    let began = Instant::now();
    let (mut told, mut count) = (EventSeq(0), 0);
    while told < outbox.last() {
        let events = outbox.next_batch(told, CHUNK).await;
        count += events.len();
        told = events.last().map_or(told, |event| event.seq);
    }
    ensure!(count == usize::try_from(PENDING)?, "{count} events came back");
    let read = began.elapsed();
    let most = resident("VmHWM:")?;
    println!("{} {} {before} {most}", opened.as_secs_f64() * 1000.0, read.as_secs_f64() * 1000.0);
    Ok(())
}

/// A line of this process's status, in KiB.
fn resident(line: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let found =
        status.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().next()?.parse().ok());
    found.ok_or_else(|| anyhow::anyhow!("no {line}"))
}
