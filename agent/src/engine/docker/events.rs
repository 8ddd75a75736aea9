//! The engine's events: which are asked for, and what each becomes.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use hyper::Method;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use serde::Deserialize;
use tokio::time::timeout;

use super::lines::lines;
use super::wire::{Wire, escaped};
use super::{ACT_TIMEOUT, times};
use crate::engine::{EngineError, EngineEvent};

/// What is asked for. The engine filters, since a container with a health check makes three `exec_…` events per check
/// and every subscriber that does not keep up slows the engine down for everybody. `health_status` switches the
/// engine from comparing names to comparing beginnings; none of these begins another that is not wanted.
const FILTERS: &str = r#"{"type":["container","image","network","volume","daemon"],"event":["create","start","restart","stop","die","kill","oom","pause","unpause","rename","update","destroy","health_status","pull","push","tag","untag","delete","load","import","save","connect","disconnect","remove","reload"]}"#;

/// Attributes of a container event that are kept: the rest are its labels, which the picture has.
const ATTRIBUTES: [&str; 6] = [
    "exitCode",
    "signal",
    "execDuration",
    "oldName",
    "com.docker.compose.project",
    "com.docker.compose.service",
];

/// Longest attribute that is kept, in bytes.
const MAX_ATTRIBUTE: usize = 256;

/// How far back a subscription without a `since` reaches, in microseconds: the engine answers before it subscribes,
/// so without looking back an event right after the answer could be missed.
const OVERLAP: i64 = 250_000;

/// Subscribes, until a time if one is given. The subscription stands when this returns.
pub(super) async fn subscribe(
    wire: &Wire,
    since: Option<UnixMicros>,
    until: Option<UnixMicros>,
) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
    let since = since.unwrap_or_else(|| UnixMicros(UnixMicros::now().0 - OVERLAP));
    let until = until.map(|until| format!("&until={}", times::since(until))).unwrap_or_default();
    let path = format!("/events?since={}{until}&filters={}", times::since(since), escaped(FILTERS));
    let answer = timeout(ACT_TIMEOUT, wire.open(Method::GET, &path, Bytes::new()))
        .await
        .map_err(|_| EngineError::TimedOut(ACT_TIMEOUT))??;
    let events = lines(answer).filter_map(|line| async move { line.map(|line| event(&line)).transpose() });
    Ok(events.boxed())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    actor: Actor,
    #[serde(rename = "timeNano", default)]
    time_nano: i64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    attributes: HashMap<String, String>,
}

/// One line of the stream; none if it says nothing to us.
fn event(line: &[u8]) -> Option<EngineEvent> {
    let message: Message = match serde_json::from_slice(line) {
        Ok(message) => message,
        Err(error) => {
            tracing::debug!(%error, "an event of the engine cannot be read and is skipped");
            return None;
        }
    };
    let at = times::from_nanos(message.time_nano);
    let Actor { id, mut attributes } = message.actor;
    let mut take = |key: &str| attributes.remove(key).map(|value| clipped(&value));
    match message.r#type.as_str() {
        "container" => {
            let id = ContainerId::try_from(id).ok()?;
            let attributes = ATTRIBUTES.iter().filter_map(|key| Some((*key, take(key)?))).collect();
            let what = EventKind::Container {
                id: id.clone(),
                name: take("name").unwrap_or_default().into(),
                image: take("image").unwrap_or_default().into(),
                action: clipped(&message.action).into(),
                attributes,
                inferred: false,
            };
            Some(EngineEvent { at, what: Some(what), container: Some(id) })
        }
        // Every start and stop has these too: the picture changes, but nothing is to be told.
        "network" if matches!(message.action.as_str(), "connect" | "disconnect") => {
            let container = take("container").and_then(|id| ContainerId::try_from(id).ok())?;
            Some(EngineEvent { at, what: None, container: Some(container) })
        }
        object => {
            let id = take("name").unwrap_or_else(|| clipped(&id));
            let (object, action) = (clipped(object), clipped(&message.action));
            let what = EventKind::Engine { object, id, action };
            Some(EngineEvent { at, what: Some(what), container: None })
        }
    }
}

fn clipped(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_ATTRIBUTE)].to_owned()
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    const ID: &str = "e0640a4e3412e04ead2f89260678de88e27d35ae40b773c941045574f8a64f9e";

    fn read(line: &str) -> Option<EngineEvent> {
        event(line.replace("$ID", ID).as_bytes())
    }

    #[test]
    fn a_containers_end_keeps_what_matters() {
        let line = r#"{"status":"die","id":"$ID","from":"base:1","Type":"container","Action":"die","Actor":{"ID":"$ID","Attributes":{"com.docker.compose.project":"shop","maintainer":"x","exitCode":"137","image":"base:1","name":"t1"}},"scope":"local","time":1795181331,"timeNano":1795181331824066657}"#;
        let EngineEvent { at, what, container } = read(line).unwrap();
        assert_eq!(at, UnixMicros(1_795_181_331_824_066));
        assert_eq!(container.unwrap().as_str(), ID);
        let Some(EventKind::Container { name, image, action, attributes, inferred, .. }) = what else {
            panic!()
        };
        assert_eq!(
            (name.as_str(), image.as_str(), action.as_str(), inferred),
            ("t1", "base:1", "die", false)
        );
        let kept: Vec<_> = attributes.iter().collect();
        assert_eq!(kept, [("com.docker.compose.project", "shop"), ("exitCode", "137")]);
    }

    #[test]
    fn no_word_of_the_engine_is_longer_than_what_is_kept() {
        let long = "x".repeat(MAX_ATTRIBUTE + 1);
        let line = format!(r#"{{"Type":"{long}","Action":"{long}","Actor":{{"ID":"{long}"}},"timeNano":1}}"#);
        let Some(EventKind::Engine { object, id, action }) = read(&line).unwrap().what else { panic!() };
        assert_eq!([object, id, action].map(|word| word.len()), [MAX_ATTRIBUTE; 3]);
    }

    #[test]
    fn a_network_changes_a_containers_picture_only() {
        let line = r#"{"Type":"network","Action":"connect","Actor":{"ID":"4bb4","Attributes":{"container":"$ID","name":"front","type":"bridge"}},"timeNano":1}"#;
        let event = read(line).unwrap();
        assert_eq!((event.what, event.container.unwrap().as_str()), (None, ID));
    }

    #[test]
    fn other_objects_are_named() {
        let line = r#"{"status":"pull","id":"base:1","Type":"image","Action":"pull","Actor":{"ID":"base:1","Attributes":{"name":"base"}},"timeNano":1}"#;
        let Some(EventKind::Engine { object, id, action }) = read(line).unwrap().what else { panic!() };
        assert_eq!((object.as_str(), id.as_str(), action.as_str()), ("image", "base", "pull"));
    }

    #[test]
    fn nonsense_is_skipped_and_long_text_cut() {
        assert_eq!(read("{"), None);
        assert_eq!(
            read(r#"{"Type":"container","Action":"start","Actor":{"ID":"../x","Attributes":{}}}"#),
            None
        );
        let long = format!(r#"{{"Type":"volume","Action":"create","Actor":{{"ID":"{}"}}}}"#, "ß".repeat(300));
        let Some(EventKind::Engine { id, .. }) = read(&long).unwrap().what else { panic!() };
        assert_eq!(id.len(), 256);
    }

    #[test]
    fn no_wanted_name_begins_an_exec_event() {
        let filters: serde_json::Value = serde_json::from_str(FILTERS).unwrap();
        let names = filters["event"].as_array().unwrap();
        for noise in
            ["exec_create: x", "exec_start: x", "exec_die", "resize", "top", "attach", "mount", "unmount"]
        {
            assert!(!names.iter().any(|name| noise.starts_with(name.as_str().unwrap())), "{noise}");
        }
    }

    #[test]
    fn fuzz_events() {
        let samples = [
            r#"{"status":"die","id":"$ID","from":"base:1","Type":"container","Action":"die","Actor":{"ID":"$ID","Attributes":{"com.docker.compose.project":"shop","exitCode":"137","image":"base:1","name":"t1"}},"scope":"local","time":1795181331,"timeNano":1795181331824066657}"#,
            r#"{"Type":"network","Action":"connect","Actor":{"ID":"4bb4","Attributes":{"container":"$ID","name":"front"}},"timeNano":1}"#,
            r#"{"Type":"image","Action":"pull","Actor":{"ID":"base:1","Attributes":{"name":"base"}},"timeNano":1}"#,
        ]
        .map(|line| line.replace("$ID", ID));
        let samples: Vec<&str> = samples.iter().map(String::as_str).collect();
        let words = ["\"Actor\":", "\"timeNano\":", "\"Attributes\":{}", "\"Type\":\"volume\""];
        fuzz("engine events", &text(&samples, &words), |line| {
            let Some(event) = event(line.as_bytes()) else { return false };
            let told = match event.what {
                Some(EventKind::Container { name, image, action, attributes, .. }) => {
                    assert!(attributes.iter().len() <= ATTRIBUTES.len());
                    let values = attributes.iter().map(|(_, value)| value.to_owned());
                    [name, image, action].map(String::from).into_iter().chain(values).collect()
                }
                Some(EventKind::Engine { id, action, object }) => vec![id, action, object],
                _ => Vec::new(),
            };
            assert!(told.iter().all(|text| text.len() <= MAX_ATTRIBUTE), "{told:?}");
            true
        });
    }
}
