//! What an engine says of its containers, asked of it with the `docker` command line, beside what the API says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roadstead_tests::{Api, Dockerd, eventually};
use serde_json::{Map, Value, json};

/// Waits until the API's list of an instance's containers says, field by field, what its engine says.
pub async fn equal(api: &Api, id: &str, engine: &Dockerd, deadline: Duration) {
    let mut difference = String::new();
    let same = async {
        eventually("the picture to equal the engine's truth", deadline * 2, async || {
            // Before and after, since either may change between two questions, as `Up 3 seconds` does.
            let (before, shown, after) = (asked(engine).await, shown(api, id).await, asked(engine).await);
            difference = differences(&shown, &before);
            (shown == before || shown == after).then_some(())
        })
        .await;
    };
    if tokio::time::timeout(deadline, same).await.is_err() {
        panic!("after {deadline:?} the picture still differs from the engine's truth:\n{difference}");
    }
}

type Containers = BTreeMap<String, Map<String, Value>>;

/// What `docker ps` and `docker inspect` say.
async fn asked(engine: &Dockerd) -> Containers {
    let format = r#"{"id":{{json .ID}},"name":{{json .Names}},"image":{{json .Image}},"command":{{.Command}},"state":{{json .State}},"status":{{json .Status}},"ports":{{json .Ports}},"networks":{{json .Networks}},"mounts":{{json .Mounts}}}"#;
    let list = engine.docker(["ps", "--all", "--no-trunc", "--format", format]).await;
    let mut containers = Containers::new();
    for line in list.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let id = line["id"].as_str().unwrap().to_owned();
        let output = engine.docker_output(["inspect", "--type", "container", &id]).await;
        let Ok(Value::Array(mut found)) = serde_json::from_slice(&output.stdout) else { continue };
        let Some(found) = found.pop() else { continue };
        let up = line["state"] == "running" || line["state"] == "paused";
        let fields = json!({
            "name": line["name"], "image": line["image"], "command": line["command"], "state": line["state"],
            "status": line["status"],
            "ports": names(&line["ports"]), "networks": names(&line["networks"]), "mounts": names(&line["mounts"]),
            "image_id": found["Image"],
            "health": found["State"]["Health"]["Status"].as_str().unwrap_or("none"),
            "exit_code": if up || line["state"] == "created" { Value::Null } else { found["State"]["ExitCode"].clone() },
            "created_at": moment(&found["Created"]),
            "started_at": moment(&found["State"]["StartedAt"]),
            "labels": found["Config"]["Labels"],
            "restart_policy": found["HostConfig"]["RestartPolicy"]["Name"],
        });
        containers.insert(id, fields.as_object().unwrap().clone());
    }
    containers
}

/// What the API says, in the same words.
async fn shown(api: &Api, id: &str) -> Containers {
    let list = api.containers(id).await.into_iter();
    list.map(|container| {
        let id = container["full_id"].as_str().unwrap().to_owned();
        assert_eq!(container["id"], id[..12]);
        let strings = |field: &str| {
            let all = container[field].as_array().unwrap().iter();
            all.map(|one| one.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let ports: BTreeSet<_> = container["ports"].as_array().unwrap().iter().map(port).collect();
        let fields = json!({
            "name": container["name"], "image": container["image"], "command": container["command"],
            "state": container["state"], "status": container["status"],
            "ports": ports, "networks": strings("networks"), "mounts": strings("mounts"),
            "image_id": container["image_id"], "health": container["health"],
            "exit_code": container["exit_code"],
            "created_at": moment(&container["created_at"]), "started_at": moment(&container["started_at"]),
            "labels": container["labels"], "restart_policy": container["restart_policy"],
        });
        (id, fields.as_object().unwrap().clone())
    })
    .collect()
}

/// A port in the words of `docker ps`.
fn port(port: &Value) -> String {
    let inside = format!("{}/{}", port["private"], port["protocol"].as_str().unwrap());
    match (port["host_ip"].as_str(), port["public"].as_u64()) {
        (Some(host), Some(public)) => format!("{host}:{public}->{inside}"),
        _ => inside,
    }
}

/// The members of a list as `docker ps` prints it.
fn names(list: &Value) -> BTreeSet<String> {
    let members = list.as_str().unwrap().split(',').map(str::trim);
    members.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A time to the microsecond, so that both spellings of it are equal; the engine's word for never is none.
fn moment(time: &Value) -> Option<String> {
    let text = time.as_str()?;
    let (seconds, fraction) =
        text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
    (!seconds.starts_with("0001-")).then(|| format!("{seconds}.{:0<6.6}", fraction))
}

fn differences(shown: &Containers, truth: &Containers) -> String {
    let ids: BTreeSet<_> = shown.keys().chain(truth.keys()).collect();
    let mut lines = Vec::new();
    for id in ids {
        match (shown.get(id), truth.get(id)) {
            (Some(shown), Some(truth)) => {
                let differing = truth.iter().filter(|(field, value)| shown.get(*field) != Some(value));
                lines.extend(differing.map(|(field, value)| {
                    format!("  {} {field}: shown {}, truth {value}", truth["name"], shown[field])
                }));
            }
            (Some(shown), None) => lines.push(format!("  {} is shown and does not exist", shown["name"])),
            (None, Some(truth)) => lines.push(format!("  {} exists and is not shown", truth["name"])),
            (None, None) => {}
        }
    }
    lines.join("\n")
}
