//! The controller's store: several agents' events at once, through the intake that serves agents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use roadstead_controller::events::{EventFilter, Events};
use roadstead_controller::store::Store;
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId};
use roadstead_protocol::message::time::UnixMicros;
use uuid::Uuid;

use crate::said::{lines, say};

/// Agents that write at the same time.
const AGENTS: u64 = 4;

/// Events in one batch.
const BATCH: u64 = 5;

const EPOCH: Epoch = Epoch(Uuid::from_u128(1));

/// Writes until the power is cut, going on where an earlier cut left it.
///
/// # Errors
/// If the store fails.
pub async fn write(directory: &Path, careless: bool) -> anyhow::Result<()> {
    let store = if careless { Store::open_careless(directory)? } else { Store::open(directory)? };
    let events = Events::new(store);
    let agents = (0..AGENTS).map(|agent| tell(&events, agent));
    try_join_all(agents).await?;
    Ok(())
}

async fn tell(events: &Events, agent: u64) -> anyhow::Result<()> {
    let instance = instance(agent)?;
    let mut mark = events.mark(&instance, EPOCH).await?.seq.0;
    loop {
        let batch = (mark + 1..=mark + BATCH).map(|seq| event(agent, seq)).collect();
        let batch = EventBatch::plain(EPOCH, batch);
        mark = events.intake(&instance, batch).await?.0;
        say(format_args!("stored {agent} {mark}"))?;
    }
}

/// Fails unless the database is whole and holds everything that was said to be stored.
///
/// # Errors
/// If something is missing or wrong; the text says what.
pub async fn check(directory: &Path, logs: &[PathBuf]) -> anyhow::Result<()> {
    let mut said: BTreeMap<u64, u64> = BTreeMap::new();
    for log in logs {
        for line in lines(log)? {
            if let ["stored", agent, mark] = line.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                let known = said.entry(agent.parse()?).or_default();
                *known = (*known).max(mark.parse()?);
            }
        }
    }
    ensure!(!said.is_empty(), "nothing was said to be stored: the cut came too early to prove anything");
    let store = Store::open(directory)?;
    store.check().await?;
    let events = Events::new(store);
    let mut counts = Vec::new();
    for (agent, said) in said {
        let mark = events.mark(&instance(agent)?, EPOCH).await?.seq.0;
        ensure!(mark >= said, "agent {agent}: {said} events were acknowledged, {mark} are there");
        whole(&events, agent, mark).await?;
        counts.push(format!("{said}/{mark}"));
    }
    say(format_args!("acknowledged/found: {}", counts.join(" ")))
}

/// Whether the events of an agent are there from the first to `mark`, each once and as it was.
async fn whole(events: &Events, agent: u64, mark: u64) -> anyhow::Result<()> {
    let filter = EventFilter { instance: Some(instance(agent)?), ..EventFilter::default() };
    let (mut cursor, mut expected) = (None, mark);
    loop {
        let page = events.page(filter.clone(), cursor, 500).await?;
        for record in &page.events {
            let (_, seq) = record.origin.context("an event without a number")?;
            ensure!(seq.0 == expected, "agent {agent}: event {seq:?} where {expected} should be");
            ensure!(record.what == event(agent, seq.0).what, "agent {agent}: event {seq:?} is another");
            expected -= 1;
        }
        cursor = page.next;
        if cursor.is_none() {
            ensure!(expected == 0, "agent {agent}: events up to {expected} are missing");
            return Ok(());
        }
    }
}

fn instance(agent: u64) -> anyhow::Result<InstanceId> {
    Ok(format!("agent-{agent}").parse()?)
}

fn event(agent: u64, seq: u64) -> Event {
    let what = EventKind::EngineLost { reason: format!("agent {agent} wrote event {seq} before the cut") };
    Event { seq: EventSeq(seq), at: UnixMicros(1), what }
}
