//! From the moment that the engine gives an event to the live view, beside what a raw client of the engine sees.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use roadstead_controller::store::Store;
use roadstead_controller::store::events::EventFilter;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_tests::Api;
use roadstead_tests::api::LiveEvent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::engine_client::{RawEvents, ask};
use crate::fsync::Probe;
use crate::report::{Row, Section, say};
use crate::stage::{Fleet, create};
use crate::statistics::Samples;

/// Containers that take turns.
const IN_TURN: usize = 10;

/// One that is not seen by then is counted as lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// How often it is looked what the controller's store has, and for how many events at most.
const LOOK: Duration = Duration::from_micros(500);
const LOOKED_AT: usize = 16;

/// What is done to a container, and the event that says so.
const VERBS: [(&str, &str); 2] = [("start", "start"), ("stop", "die")];

/// Where something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Engine,
    Picture,
    Committed,
    Durable,
}

/// Something seen.
#[derive(Debug)]
struct Sighting {
    at: UnixMicros,
    place: Where,
    id: String,
    action: String,
    /// The engine's own time of the event; only raw events have it.
    happened: Option<i64>,
}

/// When one start or stop was seen where.
#[derive(Debug, Default, Clone, Copy)]
struct Passage {
    action: &'static str,
    happened: Option<i64>,
    engine: Option<i64>,
    picture: Option<i64>,
    committed: Option<i64>,
    durable: Option<i64>,
}

/// Starts and stops containers one after another.
///
/// # Errors
/// When the engine refuses, or its events end.
pub async fn measure(fleet: &Fleet, starts: usize) -> anyhow::Result<Section> {
    let member = fleet.middling().context("no host")?;
    let engine = &member.host.engine;
    say(&format!("{starts} starts and stops beside {} containers", member.host.containers));
    let mut ids = Vec::new();
    for number in 0..IN_TURN {
        ids.push(create(engine, &format!("turn-{number}")).await?);
    }
    let (seen, mut sightings) = unbounded_channel();
    let mut followers = JoinSet::new();
    followers.spawn(follow_engine(RawEvents::subscribe(&engine.socket()).await?, seen.clone()));
    let store = Store::open(&fleet.controller.data()).context("the controller's store")?;
    followers.spawn(follow_store(store, seen.clone()));
    followers.spawn(follow_live(fleet.api.clone(), seen));
    let probe = Probe::start(&fleet.controller.data())?;
    let mut passages = Vec::new();
    for turn in 0..starts {
        for (verb, action) in VERBS {
            let id = &ids[turn % ids.len()];
            let order = order(engine.socket(), id.clone(), verb);
            passages.push(passage(order, id, action, &mut sightings).await?);
        }
        if turn % 100 == 99 {
            say(&format!("{} of {starts}", turn + 1));
        }
    }
    followers.shutdown().await;
    Ok(section(&passages, &probe.end().await?))
}

async fn order(socket: PathBuf, id: String, verb: &str) -> anyhow::Result<()> {
    ask(&socket, "POST", &format!("/containers/{id}/{verb}"), None).await.map(drop)
}

/// Orders it, and waits until it was seen everywhere.
async fn passage(
    order: impl Future<Output = anyhow::Result<()>>,
    id: &str,
    action: &'static str,
    sightings: &mut UnboundedReceiver<Sighting>,
) -> anyhow::Result<Passage> {
    order.await?;
    let mut passage = Passage { action, ..Passage::default() };
    let seen_everywhere = |passage: &Passage| {
        [passage.engine, passage.picture, passage.committed, passage.durable].iter().all(Option::is_some)
    };
    while !seen_everywhere(&passage) {
        let sighting = match timeout(LOST_AFTER, sightings.recv()).await {
            Ok(Some(sighting)) => sighting,
            Ok(None) => bail!("the engine's events or the live view have ended"),
            Err(_) => break,
        };
        if sighting.id != id || sighting.action != action {
            continue;
        }
        let place = match sighting.place {
            Where::Engine => &mut passage.engine,
            Where::Picture => &mut passage.picture,
            Where::Committed => &mut passage.committed,
            Where::Durable => &mut passage.durable,
        };
        // The picture may tell the same state again.
        place.get_or_insert(sighting.at.0);
        passage.happened = passage.happened.or(sighting.happened);
    }
    Ok(passage)
}

async fn follow_engine(mut events: RawEvents, seen: UnboundedSender<Sighting>) {
    while let Ok(event) = events.next().await {
        let (at, place) = (UnixMicros::now(), Where::Engine);
        let happened = Some(event.at);
        let _ = seen.send(Sighting { at, place, id: event.id, action: event.action, happened });
    }
}

async fn follow_live(api: Api, seen: UnboundedSender<Sighting>) {
    let mut live = api.live().await;
    while let Some(event) = live.next().await {
        let at = UnixMicros::now();
        for (place, id, action) in seen_in(&event) {
            let _ = seen.send(Sighting { at, place, id, action, happened: None });
        }
    }
}

/// Reads the controller's own file as another program would: what it finds there is committed.
async fn follow_store(store: Store, seen: UnboundedSender<Sighting>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = 0;
    loop {
        looks.tick().await;
        // What the writer has not come to yet is found at the next look.
        let Ok(page) = store.events_before(EventFilter::default(), None, LOOKED_AT).await else { continue };
        let at = UnixMicros::now();
        let before = known;
        known = page.first().map_or(known, |newest| newest.id);
        for record in page.into_iter().filter(|record| record.id > before) {
            if let EventKind::Container { id, action, .. } = record.what {
                let (place, id) = (Where::Committed, id.to_string());
                let _ = seen.send(Sighting { at, place, id, action: action.to_string(), happened: None });
            }
        }
    }
}

/// What an event of the live view says about containers.
fn seen_in(event: &LiveEvent) -> Vec<(Where, String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    match event.name.as_str() {
        "event" => {
            let what = &event.data["what"];
            vec![(Where::Durable, text(&what["id"]), text(&what["action"]))]
        }
        "containers" => {
            let upsert = event.data["upsert"].as_array().map(Vec::as_slice).unwrap_or_default();
            let state = |state: &str| if state == "running" { "start" } else { "die" }.to_owned();
            upsert
                .iter()
                .map(|one| (Where::Picture, text(&one["full_id"]), state(&text(&one["state"]))))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn section(passages: &[Passage], fsync: &Samples) -> Section {
    let mut section = Section::new("From the engine's event to the live view");
    section.note(format!(
        "{} starts and stops, one after another; F probed {} times meanwhile",
        passages.len(),
        fsync.count()
    ));
    let between = |from: fn(&Passage) -> Option<i64>, to: fn(&Passage) -> Option<i64>| -> Samples {
        passages.iter().filter_map(|passage| Some(milliseconds(to(passage)? - from(passage)?))).collect()
    };
    let happened = |passage: &Passage| passage.happened;
    let engine = |passage: &Passage| passage.engine;
    let picture = |passage: &Passage| passage.picture;
    let committed = |passage: &Passage| passage.committed;
    let durable = |passage: &Passage| passage.durable;
    let (f50, f99) = (fsync.percentile(50), fsync.percentile(99));
    let mut add = |what: &str, samples: &Samples, goals: Option<(f64, f64)>| {
        for (per_cent, goal) in [(50, goals.map(|goals| goals.0)), (99, goals.map(|goals| goals.1))] {
            let row = Row::new(format!("{what}, p{per_cent}"), samples.percentile(per_cent), "ms");
            section.add(match goal {
                Some(goal) => row.at_most(goal),
                None => row,
            });
        }
    };
    let goals = Some((3.0 * f50 + 8.0, 5.0 * f99 + 50.0));
    // The agent's disk has it before the controller: another F.
    let commit_goals = Some((2.6 * f50 + 3.0, 3.5 * f99 + 10.0));
    let told_goals = Some((5.0, 50.0));
    add("F, a raw append made durable", fsync, None);
    add("event's time to raw client", &between(happened, engine), None);
    add("event's time to change of the picture", &between(happened, picture), None);
    add("event's time until it is committed", &between(happened, committed), commit_goals);
    add("committed until it is told", &between(committed, durable), told_goals);
    add("event's time to durable event", &between(happened, durable), None);
    add("change of the picture beyond raw client", &between(engine, picture), goals);
    add("durable event beyond raw client", &between(engine, durable), goals);
    for (verb, action) in VERBS {
        let some = passages.iter().filter(|passage| passage.action == action);
        let beyond =
            some.filter_map(|passage| Some(milliseconds(passage.picture? - passage.engine?))).collect();
        add(&format!("change of the picture beyond raw client, {verb} alone"), &beyond, None);
    }
    let lost = |to: fn(&Passage) -> Option<i64>| {
        passages.iter().filter(|passage| passage.engine.is_none() || to(passage).is_none()).count()
    };
    for (what, count) in [
        ("changes of the picture", lost(picture)),
        ("commits", lost(committed)),
        ("durable events", lost(durable)),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "a thousand at most")]
        section.add(Row::new(format!("{what} not seen"), count as f64, "").at_most(0.0));
    }
    section
}

#[expect(clippy::cast_precision_loss, reason = "seconds at most")]
fn milliseconds(micros: i64) -> f64 {
    micros as f64 / 1000.0
}
