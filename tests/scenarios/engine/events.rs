//! Events: the engine's own words and times, without the noise of health checks.

use futures_util::{Stream, StreamExt};
use roadstead_agent::engine::{EngineControl, EngineError, EngineEvent, EngineView};
use roadstead_protocol::message::command::ContainerAction;
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::time::UnixMicros;
use roadstead_tests::{Dockerd, ImageOptions, busybox_image};
use serde_json::Value;
use tokio::time::timeout;

use super::{SOON, agent_of, seen};

/// Reads until an event of `container` with `action`.
async fn until<S>(events: &mut S, container: &str, action: &str) -> Vec<EngineEvent>
where
    S: Stream<Item = Result<EngineEvent, EngineError>> + Unpin,
{
    let mut read = Vec::new();
    while let Ok(Some(Ok(event))) = timeout(SOON, events.next()).await {
        let found = matches!(&event.what, Some(EventKind::Container { name, action: said, .. }) if name == container && said == action);
        read.push(event);
        if found {
            return read;
        }
    }
    panic!("no {action} of {container} among {read:#?}");
}

/// Time and word of each event of `container`.
fn story(events: &[EngineEvent], container: &str) -> Vec<(i64, String)> {
    let told = events.iter().filter_map(|event| match &event.what {
        Some(EventKind::Container { name, action, .. }) if name == container => {
            Some((event.at.0, action.to_string()))
        }
        _ => None,
    });
    told.collect()
}

#[tokio::test]
async fn events_have_the_engines_words_and_times_and_no_health_check_noise() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine.docker(["network", "create", "front"]).await;
    let before = UnixMicros::now();
    let mut events = agent.events(None, None).await.expect("the engine answers");
    let labels = ["--label", "com.docker.compose.project=shop", "--label", "secret=x"];
    let health = ["--health-cmd", "true", "--health-interval", "100ms", "--network", "front"];
    engine
        .docker(["run", "--detach", "--name", "app"].into_iter().chain(labels).chain(health).chain(["app:1"]))
        .await;
    let mut read = until(&mut events, "app", "health_status: healthy").await;
    let id = seen(&agent, "app").await.id;
    engine.docker(["exec", "app", "true"]).await;
    engine.docker(["rename", "app", "renamed"]).await;
    agent.act("renamed", ContainerAction::Kill).await.expect("it runs");
    read.extend(until(&mut events, "renamed", "die").await);
    engine.docker(["rm", "renamed"]).await;
    engine.docker(["volume", "create", "data"]).await;
    read.extend(until(&mut events, "renamed", "destroy").await);

    // Exactly what the command line tells about it, but for the execs of the health check.
    let (since, until) = (before.as_secs().to_string(), (UnixMicros::now().as_secs() + 1).to_string());
    let filter = format!("container={id}");
    let theirs = ["events", "--since", &since, "--until", &until, "--filter", &filter, "--format", "json"];
    let theirs: Vec<(i64, String)> = engine
        .docker(theirs)
        .await
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["Type"] == "container")
        .map(|event| {
            (
                event["timeNano"].as_i64().unwrap_or(0) / 1000,
                event["Action"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let (noise, told): (Vec<_>, Vec<_>) =
        theirs.into_iter().partition(|(_, action)| action.starts_with("exec_"));
    assert!(!noise.is_empty(), "the health check ran");
    let ours: Vec<_> = [story(&read, "app"), story(&read, "renamed")].concat();
    assert_eq!(ours, told);
    assert!(ours.iter().all(|(at, _)| *at >= before.0), "by the engine's clock, which is this host's");

    let connected = read.iter().any(|event| event.what.is_none() && event.container.as_ref() == Some(&id));
    assert!(connected, "its networks changed, so its picture did");
    let died = read.iter().find_map(|event| match &event.what {
        Some(EventKind::Container { action, attributes, .. }) if action == "die" => Some(attributes.clone()),
        _ => None,
    });
    assert_eq!(died, Some([("com.docker.compose.project", "shop"), ("exitCode", "137")].into()));
}

#[tokio::test]
async fn what_happened_before_the_subscription_is_told_from_where_it_was_left() {
    let mut engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    let mut events = agent.events(None, None).await.expect("the engine answers");
    engine.docker(["create", "--name", "one", "--network", "none", "app:1"]).await;
    let seen_until = until(&mut events, "one", "create").await.pop().expect("an event").at;
    drop(events);
    engine.docker(["create", "--name", "two", "--network", "none", "app:1"]).await;
    let two = seen(&agent, "two").await.id;

    let mut events = agent.events(Some(seen_until), None).await.expect("the engine answers");
    let missed = until(&mut events, "two", "create").await;
    assert_eq!(missed.last().and_then(|event| event.container.clone()), Some(two));

    // Up to now, and no further: the answer ends by itself.
    let past = agent.events(Some(seen_until), Some(UnixMicros::now())).await.expect("the engine answers");
    let past = timeout(SOON, past.map(|event| event.expect("an event")).collect::<Vec<_>>()).await;
    assert_eq!(past.expect("it ends"), missed);

    engine.stop().await;
    let end = timeout(SOON, async { while let Some(Ok(_)) = events.next().await {} }).await;
    assert!(end.is_ok(), "the subscription ends with the engine");
}

#[tokio::test]
async fn an_event_with_more_labels_than_are_read_costs_no_other() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    let mut events = agent.events(None, None).await.expect("the engine answers");
    // Together more than a mebibyte; no argument of a program may be as long.
    let labels =
        (0..11).flat_map(|number| ["--label".to_owned(), format!("l{number}={}", "x".repeat(100_000))]);
    let create = ["create", "--name", "large", "--network", "none"].map(str::to_owned);
    engine.docker(create.into_iter().chain(labels).chain(["app:1".to_owned()])).await;
    engine.docker(["create", "--name", "after", "--network", "none", "app:1"]).await;
    let mut errors = events.by_ref().filter_map(|event| std::future::ready(event.err()));
    let lost = timeout(SOON, errors.next()).await.expect("it is told");
    assert!(matches!(lost, Some(EngineError::Refused(_))), "{lost:?}");
    until(&mut events, "after", "create").await;
}
