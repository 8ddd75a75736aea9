//! What the controller has, in the words of the checker.

use jiff::Timestamp;
use roadstead_tests::SyntheticEngine;
use serde_json::Value;

use crate::checker::{Stored, Told};
use crate::site::Site;

/// Events of the engine's containers that the controller has of an instance, in order of its log.
pub async fn stored(site: &Site, instance: &str) -> Vec<Stored> {
    let path = format!("/api/events?instance={instance}&kind=container&limit=500");
    let mut all = site.pages(&path, "events", event).await;
    all.reverse();
    all
}

/// Gaps that the controller was told of, as `count: reason`.
pub async fn gaps(site: &Site, instance: &str) -> Vec<String> {
    let path = format!("/api/events?instance={instance}&kind=gap&limit=500");
    let gap = |event: &Value| format!("{} events: {}", event["what"]["count"], event["what"]["reason"]);
    site.pages(&path, "events", gap).await
}

/// The time of the newest event of a container that the controller has of an instance.
pub async fn newest(site: &Site, instance: &str) -> Option<i64> {
    let path = format!("/api/events?instance={instance}&kind=container&limit=1");
    let page = site.ask(&path).await?;
    page["events"].as_array()?.first().map(|newest| event(newest).what.at)
}

/// What a synthetic engine told.
pub fn told(engine: &SyntheticEngine) -> Vec<Told> {
    let told = engine.told().into_iter();
    told.map(|one| Told {
        at: one.at,
        container: one.container,
        action: one.action.to_owned(),
        number: Some(one.number),
    })
    .collect()
}

fn event(event: &Value) -> Stored {
    let what = &event["what"];
    let text = |field: &str| what[field].as_str().unwrap().to_owned();
    let at: Timestamp = event["at"].as_str().unwrap().parse().unwrap();
    let number = what["attributes"]["execDuration"].as_str().and_then(|number| number.parse().ok());
    Stored {
        what: Told { at: at.as_microsecond(), container: text("id"), action: text("action"), number },
        inferred: what["inferred"] == true,
    }
}
