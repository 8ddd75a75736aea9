//! From the moment that an agent knows its event to be committed until a live view tells of it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use roadstead_protocol::message::time::UnixMicros;
use roadstead_tests::api::Live;
use roadstead_tests::simulator::Settled;
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout_at};

use super::{CONTAINERS, HOSTS};
use crate::fleet::crowd::{Crowd, pause};
use crate::fsync::Probe;
use crate::report::{Row, Section, say};
use crate::statistics::Samples;

/// What happens on all hosts together in a second, and the goals for p50 and p99: in a storm changes are gathered.
const RATES: [(f64, Option<f64>, f64); 2] = [(5.0, Some(5.0), 50.0), (500.0, None, 150.0)];

/// Follows for `time` at each rate.
///
/// # Errors
/// When the fleet does not come, or the live view ends.
pub async fn measure(time: Duration, keys: &Path) -> anyhow::Result<Section> {
    let mut section = Section::new("From the commit to a live view");
    section.note(format!(
        "{HOSTS} simulated agents with {CONTAINERS} containers each; *acknowledged* is when an agent has the \
         acknowledgement that follows the commit, so what is told before that counts as 0; *happened* is the event's \
         own time, so the way to the controller and the commit are in it; all on one clock"
    ));
    for (rate, p50, p99) in RATES {
        say(&format!("{rate} events a second, told live"));
        let crowd = Crowd::busy(HOSTS, CONTAINERS, keys, rate).await?;
        pause(Duration::from_secs(3)).await;
        let probe = Probe::start(&crowd.controller.data())?;
        let settled = crowd.fleet.settled();
        let live = crowd.api.stream("/api/live?containers=changes").await;
        let (told, happened, lost) = follow(live, settled, time).await;
        let fsync = probe.end().await?;
        let what = |what: &str| format!("{rate} events a second: {what}");
        for (per_cent, goal) in [(50, p50), (99, Some(p99))] {
            let named = |name: &str| what(&format!("{name}, p{per_cent}"));
            let row = Row::new(named("acknowledged until told"), told.percentile(per_cent), "ms");
            section.add(match goal {
                Some(goal) => row.at_most(goal),
                None => row,
            });
            section.add(Row::new(named("happened until told"), happened.percentile(per_cent), "ms"));
            section.add(Row::new(named("F, a raw append made durable"), fsync.percentile(per_cent), "ms"));
        }
        #[expect(clippy::cast_precision_loss, reason = "thousands at most")]
        section.add(Row::new(what("events measured"), told.count() as f64, ""));
        #[expect(clippy::cast_precision_loss, reason = "thousands at most")]
        section.add(Row::new(what("acknowledged, and not told"), lost as f64, "").at_most(0.0));
        crowd.fleet.stop().await;
    }
    Ok(section)
}

/// Events that were both acknowledged and told in `time`: from the one to the other, and from the event to when it was
/// told; and how many were acknowledged alone.
async fn follow(mut live: Live, mut settled: Receiver<Settled>, time: Duration) -> (Samples, Samples, usize) {
    let (mut told, mut acknowledged) = (HashMap::new(), HashMap::new());
    let began = UnixMicros::now();
    let end = Instant::now() + time;
    while let Ok(Some(event)) = timeout_at(end, live.next()).await {
        if event.name == "event"
            && let Some(at) = moment(&event.data["at"])
        {
            told.insert(at, UnixMicros::now().0);
        }
        while let Ok(one) = settled.try_recv() {
            acknowledged.insert(one.happened.0, one.acknowledged.0);
        }
    }
    // Those of the last moments may still be on their way.
    let until = UnixMicros::now().0 - 2_000_000;
    let (mut between, mut whole, mut lost) = (Samples::default(), Samples::default(), 0);
    for (happened, acknowledged) in acknowledged {
        if happened < began.0 || happened > until {
            continue;
        }
        let Some(told) = told.get(&happened) else {
            lost += 1;
            continue;
        };
        between.add(milliseconds((told - acknowledged).max(0)));
        whole.add(milliseconds(told - happened));
    }
    (between, whole, lost)
}

fn moment(text: &Value) -> Option<i64> {
    Some(text.as_str()?.parse::<jiff::Timestamp>().ok()?.as_microsecond())
}

#[expect(clippy::cast_precision_loss, reason = "seconds at most")]
fn milliseconds(micros: i64) -> f64 {
    micros as f64 / 1000.0
}
