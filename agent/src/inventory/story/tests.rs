//! Tables of what was told, what is, and what has to have happened between.

use roadstead_protocol::message::attributes::Attributes;

use super::*;
use crate::engine::fake::FakeEngine;

fn running(engine: &FakeEngine) -> Container {
    let mut container = engine.compose_sample("shop", "web", "app:1");
    container.started_at = Some(UnixMicros(100));
    container
}

fn exited(engine: &FakeEngine, code: i64) -> Container {
    Container {
        state: ContainerState::Exited,
        exit_code: Some(code),
        finished_at: Some(UnixMicros(200)),
        ..running(engine)
    }
}

/// Stories that have seen `container`, and a function that tells them `actions`.
fn after(container: Option<&Container>, actions: &[&str]) -> Stories {
    let mut stories = Stories::default();
    stories.begin();
    if let Some(container) = container {
        stories.infer(&container.id, Some(container));
        for action in actions {
            stories.tell(&told(container, action));
        }
    }
    stories
}

fn told(container: &Container, action: &str) -> EventKind {
    EventKind::Container {
        id: container.id.clone(),
        name: (&container.name).into(),
        image: (&container.image).into(),
        action: action.into(),
        attributes: Attributes::default(),
        inferred: false,
    }
}

fn actions(events: &[EventKind]) -> Vec<String> {
    let action = |event: &EventKind| match event {
        EventKind::Container { action, attributes, inferred: true, .. } => {
            attributes.get("exitCode").map_or_else(|| action.to_string(), |code| format!("{action} {code}"))
        }
        other => panic!("{other:?}"),
    };
    events.iter().map(action).collect()
}

#[tokio::test]
async fn what_was_told_is_not_inferred() {
    let engine = FakeEngine::new();
    let ran = running(&engine);
    let with = |change: fn(&mut Container)| {
        let mut container = ran.clone();
        change(&mut container);
        container
    };
    let later = with(|c| c.started_at = Some(UnixMicros(300)));
    let stopped = with(|c| {
        (c.state, c.finished_at, c.exit_code) = (ContainerState::Exited, Some(UnixMicros(200)), Some(3));
    });
    let cases: [(&[&str], &Container, &[&str]); 14] = [
        (&[], &ran, &[]),
        (&[], &stopped, &["die 3"]),
        (&["kill", "die"], &stopped, &[]),
        (&[], &later, &["die", "start"]),
        (&["die"], &later, &["start"]),
        (&["die", "start"], &later, &[]),
        (&["die", "start", "die"], &stopped, &[]),
        (&["die", "start"], &stopped, &["die 3"]),
        (&[], &with(|c| c.state = ContainerState::Paused), &["pause"]),
        (&["pause"], &with(|c| c.state = ContainerState::Paused), &[]),
        (&["pause"], &ran, &["unpause"]),
        (&[], &with(|c| c.health = ContainerHealth::Unhealthy), &["health_status: unhealthy"]),
        (&["health_status: healthy"], &with(|c| c.health = ContainerHealth::Healthy), &[]),
        (&[], &with(|c| c.name = "other".to_owned()), &["rename"]),
    ];
    for (told, now, expected) in cases {
        let mut stories = after(Some(&ran), told);
        assert_eq!(actions(&stories.infer(&now.id, Some(now))), expected, "told {told:?}, now {now:?}");
        assert_eq!(stories.infer(&now.id, Some(now)), [], "afterwards the story explains it");
    }
}

#[tokio::test]
async fn containers_that_came_and_went() {
    let engine = FakeEngine::new();
    let ran = running(&engine);
    let created = Container { state: ContainerState::Created, started_at: None, ..ran.clone() };
    for (now, expected) in [
        (&created, &["create"][..]),
        (&ran, &["create", "start"]),
        (&Container { id: ran.id.clone(), ..exited(&engine, 0) }, &["create", "start", "die 0"]),
    ] {
        assert_eq!(actions(&after(None, &[]).infer(&now.id, Some(now))), expected);
    }
    assert_eq!(actions(&after(Some(&ran), &[]).infer(&ran.id, None)), ["die", "destroy"]);
    assert_eq!(actions(&after(Some(&ran), &["die"]).infer(&ran.id, None)), ["destroy"]);
    assert_eq!(after(Some(&ran), &["die", "destroy"]).infer(&ran.id, None), []);
    assert_eq!(actions(&after(Some(&created), &["start", "die"]).infer(&ran.id, Some(&ran))), ["start"]);
}

#[tokio::test]
async fn a_run_between_two_stops_is_noticed_by_its_time() {
    let engine = FakeEngine::new();
    let before = exited(&engine, 0);
    let mut now = before.clone();
    (now.finished_at, now.exit_code) = (Some(UnixMicros(900)), Some(137));
    assert_eq!(actions(&after(Some(&before), &[]).infer(&now.id, Some(&now))), ["start", "die 137"]);
}

#[tokio::test]
async fn looking_at_a_container_dates_its_start() {
    let engine = FakeEngine::new();
    let ran = running(&engine);
    let mut stories = after(Some(&exited(&engine, 0)), &[]);
    stories.tell(&told(&ran, "start"));
    stories.date(&ran);
    let mut later = ran.clone();
    later.started_at = Some(UnixMicros(400));
    assert_eq!(actions(&stories.infer(&later.id, Some(&later))), ["die", "start"]);
}

#[tokio::test]
async fn the_first_list_explains_itself() {
    let engine = FakeEngine::new();
    let ran = running(&engine);
    let mut stories = Stories::default();
    assert_eq!(stories.infer(&ran.id, Some(&ran)), []);
    stories.begin();
    assert_eq!(actions(&stories.infer(&ran.id, None)), ["die", "destroy"]);
}

#[tokio::test]
async fn an_inferred_event_names_what_a_told_one_does() {
    let engine = FakeEngine::new();
    let now = exited(&engine, 7);
    let events = after(None, &[]).infer(&now.id, Some(&now));
    let Some(EventKind::Container { id, name, image, attributes, .. }) = events.last() else { panic!() };
    assert_eq!((id, name.as_str(), image.as_str()), (&now.id, &*now.name, &*now.image));
    let attributes: Vec<_> = attributes.iter().collect();
    let expected =
        [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web"), ("exitCode", "7")];
    assert_eq!(attributes, expected);
}
