//! Conversion, on inspections as a real engine 20.10 gave them and on what others may give.

use super::*;
use roadstead_protocol::fuzz::{fuzz, text};
use roadstead_protocol::message::time::UnixMicros;
use serde_json::json;

const ID: &str = "a13cdc3caf8b801f273466e8132c1e6b2786f59b1162de64652b54c83853145d";

fn read(text: &str) -> Container {
    container(serde_json::from_str(text).unwrap()).unwrap()
}

fn from(inspection: Value) -> Container {
    container(serde_json::from_value(inspection).unwrap()).unwrap()
}

#[test]
fn a_running_container() {
    let web = read(include_str!("../fixtures/engine_20_10_running.json"));
    assert_eq!(web.id.as_str(), ID);
    assert_eq!((web.name.as_str(), web.image.as_str(), web.command.as_str()), ("w1", "web:1", "sleep 1000"));
    assert!(web.image_id.starts_with("sha256:a1d7e4ea"));
    assert_eq!((web.state, web.health), (ContainerState::Running, ContainerHealth::Healthy));
    assert_eq!(web.created_at, UnixMicros(1_795_182_200_478_184));
    assert_eq!(web.started_at, Some(UnixMicros(1_795_182_200_776_426)));
    assert_eq!((web.finished_at, web.exit_code, web.oom_killed), (None, None, false));
    let port = |ip: &str| Port {
        private: 80,
        protocol: "tcp".to_owned(),
        host_ip: Some(ip.to_owned()),
        public: Some(18080),
    };
    assert_eq!(web.ports, [port("0.0.0.0"), port("::")]);
    assert_eq!(web.networks, ["n1", "n2"]);
    assert_eq!(web.mounts.len(), 5);
    assert!(web.mounts.contains(&"named".to_owned()) && web.mounts.contains(&"/srv/site".to_owned()));
    assert_eq!((web.compose_project(), web.compose_service()), (Some("shop"), Some("web")));
    assert_eq!((web.restart_policy.as_str(), web.labels_truncated), ("unless-stopped", false));
}

#[test]
fn one_that_ended_and_one_that_never_ran() {
    let ended = read(include_str!("../fixtures/engine_20_10_exited.json"));
    assert_eq!((ended.state, ended.exit_code), (ContainerState::Exited, Some(3)));
    assert!(ended.finished_at > ended.started_at);
    assert_eq!(ended.command, r#"sh -c 'echo "a b"; exit 3'"#);
    let created = read(include_str!("../fixtures/engine_20_10_created.json"));
    assert_eq!(created.state, ContainerState::Created);
    assert_eq!((created.started_at, created.finished_at, created.exit_code), (None, None, None));
}

#[test]
fn a_container_started_again_has_not_ended() {
    let state = json!({ "Status": "running", "ExitCode": 0, "StartedAt": "2026-01-02T00:00:00Z", "FinishedAt": "2026-01-01T00:00:00Z" });
    let running = from(json!({ "Id": ID, "State": state }));
    assert_eq!((running.finished_at, running.exit_code), (None, None));
}

#[test]
fn an_engine_of_the_future_hides_nothing() {
    let odd = from(json!({
        "Id": ID, "Created": "soon", "Surprise": {},
        "State": { "Status": "hibernating", "Health": { "Status": "convalescent", "Log": 7 } },
        "Config": { "Labels": null, "Image": "x" },
        "Mounts": [{ "Type": "quantum", "Source": "/q" }],
        "NetworkSettings": { "Ports": { "80": null, "x/tcp": null, "81/udp": [] }, "Networks": null },
    }));
    assert_eq!((odd.state, odd.health), (ContainerState::Unknown, ContainerHealth::Unknown));
    assert_eq!(odd.mounts, ["/q"]);
    assert_eq!(odd.ports.iter().map(|port| port.private).collect::<Vec<_>>(), [80, 81]);
    assert_eq!(odd.restart_policy, "no");
}

#[test]
fn no_container_without_a_proper_id() {
    for id in ["", "../../version", "ABCDEF012345"] {
        let inspection = serde_json::from_value(json!({ "Id": id })).unwrap();
        assert!(container(inspection).is_none(), "{id:?}");
    }
}

#[test]
fn too_many_labels_lose_the_largest_first_and_compose_last() {
    let labels = BTreeMap::from([
        ("a".to_owned(), "x".repeat(3_000)),
        ("b".to_owned(), "x".repeat(5_000)),
        ("c".to_owned(), "x".repeat(10)),
        ("com.docker.compose.project".to_owned(), "x".repeat(4_000)),
    ]);
    let (kept, truncated) = fitting(labels.clone(), MAX_LABELS);
    assert!(truncated);
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "c", "com.docker.compose.project"]);
    let (kept, truncated) = fitting(labels.clone(), 20_000);
    assert_eq!((kept, truncated), (labels, false));
    let hopeless = BTreeMap::from([("com.docker.compose.config".to_owned(), "x".repeat(9_000))]);
    assert_eq!(fitting(hopeless, MAX_LABELS), (BTreeMap::new(), true));
}

#[test]
fn the_largest_container_fits_in_a_message() {
    let ports: serde_json::Map<_, _> = (1..=10_000)
        .map(|port| (format!("{port}/tcp"), json!([{ "HostIp": "0.0.0.0", "HostPort": port.to_string() }])))
        .collect();
    let huge = from(json!({
        "Id": ID, "Path": "run", "Args": ["ß".repeat(50_000)],
        "Config": { "Labels": { "x": "y".repeat(8_000) } },
        "NetworkSettings": { "Ports": ports },
    }));
    assert_eq!((huge.command.len(), huge.ports.len()), (MAX_COMMAND, MAX_PORTS));
    let encoded = roadstead_protocol::message::codec::encode(&huge, usize::MAX).unwrap();
    assert!(encoded.len() < roadstead_protocol::message::codec::MAX_MESSAGE, "{}", encoded.len());
}

#[test]
fn fuzz_inspections() {
    let samples = [
        include_str!("../fixtures/engine_20_10_running.json"),
        include_str!("../fixtures/engine_20_10_exited.json"),
        include_str!("../fixtures/engine_20_10_created.json"),
    ];
    let words =
        ["\"80/tcp\":null", "\"Labels\":null", "\"Ports\":{", "\"HostPort\":\"70000\"", "\"Health\":{}"];
    fuzz("inspections", &text(&samples, &words), |text| {
        let Ok(inspection) = serde_json::from_str::<Inspection>(&text) else { return false };
        let Some(container) = container(inspection) else { return false };
        let labels: usize = container.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(labels <= MAX_LABELS && container.ports.len() <= MAX_PORTS, "{labels}");
        true
    });
}
