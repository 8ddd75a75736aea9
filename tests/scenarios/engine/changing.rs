//! Acting on containers, recreating them with everything they have, and their logs.

use std::time::Duration;

use roadstead_agent::engine::EngineControl;
use roadstead_protocol::message::command::{ContainerAction, InstallWork};
use roadstead_protocol::message::container::ContainerState;
use roadstead_tests::addresses::AddressBlock;
use roadstead_tests::{Dockerd, ImageOptions, busybox_image, eventually};
use serde_json::{Value, json};

use super::{SOON, agent_of, inspected, kind, seen};

#[tokio::test]
async fn a_container_is_recreated_with_everything_it_has_and_the_new_images_defaults() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    let old = ImageOptions::default()
        .with("ENV A=old B=old GONE=old")
        .with("LABEL of=old gone=old")
        .with("VOLUME /image")
        .with("EXPOSE 1000")
        .with("WORKDIR /tmp");
    let new = ImageOptions::default()
        .with("ENV A=new B=new ADDED=new")
        .with("LABEL of=new")
        .with("EXPOSE 2000")
        .with("WORKDIR /bin");
    busybox_image(&engine, "app:1", &old).await;
    busybox_image(&engine, "app:2", &new).await;
    engine.docker(["network", "create", "front"]).await;
    engine.docker(["network", "create", "back"]).await;
    let run = "run --detach --name app --network front --network-alias web --publish 127.0.0.1::80 \
               --env B=mine --env C=mine --label team=mine --volume named:/named --volume /anonymous \
               --mount type=volume,dst=/mounted --tmpfs /scratch --restart on-failure:3 --memory 64m --cpus 0.5 \
               --cap-add NET_ADMIN --ulimit nofile=100:200 --read-only --hostname chosen --add-host other:10.0.0.1 \
               --health-cmd true --health-interval 1h --stop-timeout 1 --log-opt max-size=1m app:1";
    engine.docker(run.split_whitespace()).await;
    engine.docker(["network", "connect", "--alias", "db", "back", "app"]).await;
    let data = ["/named/x", "/anonymous/x", "/image/x", "/mounted/x"];
    for path in data {
        engine.docker(["exec", "app", "sh", "-c", &format!("echo kept > {path}")]).await;
    }
    let before = inspected(&engine, "app").await;

    agent.rename("app", "app-old").await.expect("renamed");
    agent.stop("app-old", Duration::from_secs(1)).await.expect("stopped");
    let id = agent.create_like("app-old", "app", "app:2").await.expect("created");
    agent.act(id.as_str(), ContainerAction::Start).await.expect("started");
    agent.remove("app-old", false).await.expect("removed");

    let after = inspected(&engine, "app").await;
    for path in data {
        assert_eq!(engine.docker(["exec", "app", "cat", path]).await, "kept", "{path}");
    }
    let mut host = [before["HostConfig"].clone(), after["HostConfig"].clone()];
    for config in &mut host {
        // How volumes are named differs, on purpose; that they are the same was just seen.
        config["Binds"] = Value::Null;
        config["Mounts"] = Value::Null;
    }
    assert_eq!(host[0], host[1]);
    let config = &after["Config"];
    let env: Vec<_> = config["Env"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (entry, there) in
        [("A=new", true), ("ADDED=new", true), ("B=mine", true), ("C=mine", true), ("GONE=old", false)]
    {
        assert_eq!(env.contains(&entry), there, "{entry}: {env:?}");
    }
    assert_eq!(config["Labels"], json!({ "of": "new", "team": "mine" }));
    assert_eq!((&config["WorkingDir"], &config["Hostname"]), (&json!("/bin"), &json!("chosen")));
    assert_eq!(config["ExposedPorts"], json!({ "80/tcp": {}, "2000/tcp": {} }));
    for setting in ["Healthcheck", "StopTimeout", "Cmd", "Entrypoint", "User"] {
        assert_eq!(config[setting], before["Config"][setting], "{setting}");
    }
    let aliases = |container: &Value, network: &str| {
        let short = container["Id"].as_str().map(|id| id[..12].to_owned());
        let aliases = container["NetworkSettings"]["Networks"][network]["Aliases"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        aliases.into_iter().filter(|alias| alias.as_str() != short.as_deref()).collect::<Vec<_>>()
    };
    for (network, alias) in [("front", "web"), ("back", "db")] {
        assert_eq!(aliases(&after, network), aliases(&before, network));
        assert!(aliases(&after, network).contains(&json!(alias)), "{network}");
    }
    assert_eq!(engine.docker(["ps", "--all", "--quiet"]).await.lines().count(), 1);
}

#[tokio::test]
async fn addresses_hosts_and_shared_networks_survive_recreation() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    // An address can be chosen only where the subnet was.
    let block = AddressBlock::take().expect("a free block");
    let (subnet, address) = (format!("{}/27", block.address(0)), block.address(9).to_string());
    engine.docker(["network", "create", "--subnet", &subnet, "front"]).await;
    for (name, options) in [
        ("fixed", format!("--network front --ip {address}")),
        ("plain", String::new()),
        ("host", "--network host".to_owned()),
        ("none", "--network none".to_owned()),
        ("shares", "--network container:fixed".to_owned()),
    ] {
        let run = format!("run --detach --name {name} {options} app:1");
        engine.docker(run.split_whitespace()).await;
    }
    // The one that shares goes first: it needs the container whose network it shares.
    for name in ["shares", "none", "host", "plain", "fixed"] {
        let before = inspected(&engine, name).await;
        agent.stop(name, Duration::from_secs(1)).await.expect(name);
        if name == "fixed" {
            let refused =
                agent.create_like(name, "fixed-new", "app:1").await.expect_err("others use its network");
            let (kind, reason) = kind(&refused);
            assert!(kind == "conflict" && reason.contains("shares-new, shares"), "{reason}");
            engine.docker(["rm", "--force", "shares", "shares-new"]).await;
        }
        let id = agent.create_like(name, &format!("{name}-new"), "app:1").await.expect(name);
        agent.act(id.as_str(), ContainerAction::Start).await.expect(name);
        let after = inspected(&engine, id.as_str()).await;
        assert_eq!(after["HostConfig"]["NetworkMode"], before["HostConfig"]["NetworkMode"], "{name}");
        let names = |container: &Value| {
            container["NetworkSettings"]["Networks"]
                .as_object()
                .map(|all| all.keys().cloned().collect::<Vec<_>>())
        };
        assert_eq!(names(&after), names(&before), "{name}");
        if name == "fixed" {
            assert_eq!(after["NetworkSettings"]["Networks"]["front"]["IPAddress"], json!(address));
        }
    }
}

#[tokio::test]
async fn actions_are_idempotent_and_their_failures_have_names() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    let work: InstallWork = serde_json::from_value(json!({
        "name": "app", "image": "app:1", "env": { "A": "1" }, "labels": { "team": "x" },
        "ports": ["127.0.0.1::80"], "mounts": ["data:/data:ro"], "restart_policy": "always",
    }))
    .expect("an order");
    let id = agent.create(&work).await.expect("created");
    assert_eq!(kind(&agent.create(&work).await.expect_err("the name is taken")).0, "conflict");
    assert_eq!(seen(&agent, "app").await.state, ContainerState::Created);
    use ContainerAction::{Kill, Pause, Restart, Start, Stop, Unpause};
    for (action, state) in [
        (Start, ContainerState::Running),
        (Pause, ContainerState::Paused),
        (Unpause, ContainerState::Running),
        (Stop, ContainerState::Exited),
        (Restart, ContainerState::Running),
        (Kill, ContainerState::Exited),
        (Start, ContainerState::Running),
    ] {
        for time in ["once", "twice"] {
            agent.act(id.as_str(), action).await.unwrap_or_else(|error| panic!("{action:?} {time}: {error}"));
            eventually(&format!("{state:?}"), SOON, async || {
                (seen(&agent, "app").await.state == state).then_some(())
            })
            .await;
        }
    }
    let app = seen(&agent, "app").await;
    assert_eq!(
        (app.restart_policy.as_str(), app.mounts.as_slice()),
        ("always", ["data".to_owned()].as_slice())
    );
    assert_eq!(app.ports[0].host_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(kind(&agent.act("app", ContainerAction::Remove).await.expect_err("it runs")).0, "conflict");
    assert_eq!(kind(&agent.act("nobody", Start).await.expect_err("there is none")).0, "not found");
    assert_eq!(kind(&agent.act("app", ContainerAction::Unknown).await.expect_err("unknown")).0, "refused");
    assert_eq!(kind(&agent.create_like("app", "b", "app:9").await.expect_err("no image")).0, "not found");
    assert_eq!(kind(&agent.create_like("nobody", "b", "app:1").await.expect_err("none")).0, "not found");
    assert_eq!(kind(&agent.create_like("app", "app", "app:1").await.expect_err("taken")).0, "conflict");
    agent.act("app", Stop).await.expect("it runs");
    agent.act("app", ContainerAction::Remove).await.expect("it is stopped");
    assert_eq!(kind(&agent.remove("app", true).await.expect_err("gone")).0, "not found");
}

#[tokio::test]
async fn the_end_of_a_log_comes_from_both_streams_and_from_terminals() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    let script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done; busybox sleep 0.3; \
                  busybox head -c 40000 /dev/zero | busybox tr '\\0' x; echo; printf end";
    busybox_image(&engine, "app:1", &ImageOptions::running(script)).await;
    for (name, terminal) in [("pipes", "--tty=false"), ("terminal", "--tty=true")] {
        engine.docker(["run", "--detach", terminal, "--name", name, "--network", "none", "app:1"]).await;
        let lines = eventually("its end", SOON, async || {
            let ended = seen(&agent, name).await.state == ContainerState::Exited;
            let lines = agent.log_tail(name, 100).await.ok()?;
            (ended && lines.last().is_some_and(|line| line == "end")).then_some(lines)
        })
        .await;
        assert_eq!(lines.len(), 8, "{name}: {lines:?}");
        assert!(
            lines[..6].contains(&"out 1".to_owned()) && lines[..6].contains(&"err 3".to_owned()),
            "{lines:?}"
        );
        assert_eq!(lines[6], "x".repeat(4096), "cut");
        assert_eq!(agent.log_tail(name, 1).await, Ok(vec!["end".to_owned()]));
    }
    assert_eq!(kind(&agent.log_tail("nobody", 1).await.expect_err("there is none")).0, "not found");
}
