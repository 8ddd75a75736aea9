//! The agent's outbox: several callers append at once, and now and then the controller acknowledges.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use roadstead_agent::outbox::{DEFAULT_LIMIT, Outbox};
use roadstead_protocol::message::event::{Event, EventKind};
use roadstead_protocol::message::ids::EventSeq;
use roadstead_protocol::message::time::UnixMicros;

use crate::said::{lines, say};

/// Callers that append at the same time.
const CALLERS: u64 = 4;

/// Events that the controller leaves unacknowledged, and how many it acknowledges at once.
const PENDING: u64 = 300;
const ACKNOWLEDGED_AT_ONCE: u64 = 200;

/// Appends until the power is cut.
///
/// # Errors
/// If the outbox fails.
pub async fn write(directory: &Path) -> anyhow::Result<()> {
    let outbox = Outbox::open(directory, DEFAULT_LIMIT)?;
    say(format_args!("epoch {}", outbox.epoch().0))?;
    try_join_all((0..CALLERS).map(|caller| append(&outbox, caller))).await?;
    Ok(())
}

async fn append(outbox: &Outbox, caller: u64) -> anyhow::Result<()> {
    for number in 0.. {
        let seq = outbox.append(UnixMicros(1), event(caller, number)).await?.0;
        say(format_args!("appended {seq} {caller} {number}"))?;
        if caller == 0 && seq > outbox.acknowledged().0 + PENDING + ACKNOWLEDGED_AT_ONCE {
            let up_to = seq - PENDING;
            say(format_args!("forgotten {up_to}"))?;
            outbox.next_batch(EventSeq(up_to - 1), 1).await;
            outbox.acknowledge(EventSeq(up_to));
        }
    }
    Ok(())
}

/// Fails unless everything is there that was said to be appended and not said to be forgotten.
///
/// # Errors
/// If something is missing or wrong; the text says what.
pub async fn check(directory: &Path, logs: &[PathBuf]) -> anyhow::Result<()> {
    let mut said: BTreeMap<u64, EventKind> = BTreeMap::new();
    let (mut epoch, mut forgotten) = (String::new(), 0);
    for log in logs {
        for line in lines(log)? {
            match line.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["appended", seq, caller, number] => {
                    let before = said.insert(seq.parse()?, event(caller.parse()?, number.parse()?));
                    ensure!(before.is_none(), "number {seq} was used twice");
                }
                ["forgotten", up_to] => forgotten = up_to.parse()?,
                ["epoch", named] => {
                    ensure!(epoch.is_empty() || epoch == *named, "another epoch began: {named}");
                    epoch = (*named).to_owned();
                }
                _ => {}
            }
        }
    }
    let last_said = *said.keys().last().context("nothing was appended: the cut came too early")?;
    let outbox = Outbox::open(directory, DEFAULT_LIMIT)?;
    ensure!(outbox.epoch().0.to_string() == epoch, "another epoch has begun");
    let acknowledged = outbox.acknowledged().0;
    ensure!(acknowledged <= forgotten, "{acknowledged} is forgotten, {forgotten} was acknowledged");
    ensure!(outbox.last().0 >= last_said, "{last_said} was appended, the last is {:?}", outbox.last());
    let found = everything(&outbox).await;
    for (seq, what) in said.range(acknowledged + 1..) {
        let there = found.get(seq);
        // The mark may be older than the last acknowledgement; what was acknowledged may be gone.
        ensure!(
            *seq <= forgotten || there == Some(what),
            "event {seq}: {what:?} was appended, {there:?} is there"
        );
    }
    say(format_args!(
        "appended/found: {last_said}/{}, forgotten/found: {forgotten}/{acknowledged}",
        outbox.last().0
    ))
}

async fn everything(outbox: &Outbox) -> BTreeMap<u64, EventKind> {
    let mut found = BTreeMap::new();
    let mut after = outbox.acknowledged();
    while after < outbox.last() {
        let events: Vec<Event> = outbox.next_batch(after, 64 * 1024).await;
        after = events.last().map_or(outbox.last(), |event| event.seq);
        found.extend(events.into_iter().map(|event| (event.seq.0, event.what)));
    }
    found
}

fn event(caller: u64, number: u64) -> EventKind {
    EventKind::EngineLost { reason: format!("caller {caller} wrote its event {number} before the cut") }
}
