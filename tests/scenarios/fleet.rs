//! Three Docker hosts behind one controller: one list, the right containers, the right health.

use std::collections::BTreeSet;

use roadstead_tests::{Dockerd, ImageOptions, busybox_image};

use crate::site::{Dial, SOON, Site};
use crate::truth;

/// Containers of every kind: with ports, volumes, labels, networks and health checks, and in every state that lasts.
async fn populate(engine: &Dockerd, mark: &str) {
    busybox_image(engine, "app:1", &ImageOptions::default().with("EXPOSE 80 53/udp")).await;
    let check = |test: &str| {
        ImageOptions::default().with(&format!("HEALTHCHECK --interval=1s --retries=1 CMD [\"/bin/{test}\"]"))
    };
    busybox_image(engine, "well:1", &check("true")).await;
    busybox_image(engine, "ill:1", &check("false")).await;
    engine.docker(["network", "create", "back"]).await;
    let label = format!("where={mark}, with \"quotes\" and = signs");
    engine
        .docker([
            "run",
            "--detach",
            "--name",
            "web",
            "--network",
            "back",
            "--label",
            &label,
            "--label",
            "tier=front",
            "--publish",
            "127.0.0.1::80",
            "--publish",
            "127.0.0.1::53/udp",
            "--volume",
            "data:/data",
            "--volume",
            "/tmp:/host:ro",
            "--restart",
            "unless-stopped",
            "app:1",
        ])
        .await;
    engine.docker(["network", "connect", "bridge", "web"]).await;
    engine.docker(["run", "--detach", "--name", "well", "well:1"]).await;
    engine.docker(["run", "--detach", "--name", "ill", "ill:1"]).await;
    let exit = ["run", "--name", "exited", "app:1", "sh", "-c", "exit 3"];
    engine.docker_output(exit).await;
    engine.docker(["create", "--name", "created", "app:1", "echo", "two words", "one"]).await;
    engine.docker(["run", "--detach", "--name", "frozen", "app:1"]).await;
    engine.docker(["pause", "frozen"]).await;
    engine.docker(["run", "--detach", "--name", &format!("only-{mark}"), "app:1"]).await;
}

#[tokio::test]
async fn three_engines_two_outbound_one_inbound_are_one_list_that_equals_what_docker_says() {
    let (site, one, two, three) =
        tokio::join!(Site::start(), Dockerd::start(), Dockerd::start(), Dockerd::start());
    tokio::join!(populate(&one, "one"), populate(&two, "two"));
    let hosts =
        [(Dial::Outbound, &one, "one"), (Dial::Outbound, &two, "two"), (Dial::Inbound, &three, "three")];
    let mut members = Vec::new();
    for (dial, engine, name) in hosts {
        members.push(site.join(dial, engine, name).await);
    }
    // One has had its containers from the start, the other gets them while it is watched.
    populate(&three, "three").await;

    let list = site.api.get("/api/instances").await.expect_status(200);
    assert_eq!((list["total_count"].as_u64(), list["healthy_count"].as_u64()), (Some(3), Some(3)), "{list}");
    for ((dial, engine, name), member) in hosts.iter().zip(&members) {
        truth::equal(&site.api, &member.id, engine, SOON).await;
        let instance = site.api.instance_named(name).await.unwrap();
        assert_eq!(instance["id"], member.id.as_str());
        assert_eq!(instance["link"]["direction"], dial.word());
        assert_eq!(instance["link"]["state"], "live");
        assert_eq!(instance["stale"], false);
        let version = engine.docker(["version", "--format", "{{.Server.Version}}"]).await;
        assert_eq!(instance["engine"]["version"], version);
        let containers = site.api.containers(&member.id).await;
        let names: BTreeSet<_> = containers.iter().map(|one| one["name"].as_str().unwrap()).collect();
        let only = format!("only-{name}");
        assert_eq!(names, BTreeSet::from(["web", "well", "ill", "exited", "created", "frozen", &only]));
        let counts = &instance["containers"];
        let counted =
            ["total", "running", "paused", "exited", "created"].map(|state| counts[state].as_u64().unwrap());
        assert_eq!(counted, [7, 4, 1, 1, 1], "{counts}");
        let check = site.api.get(&format!("/api/instances/{}/health", member.id)).await.expect_status(200);
        assert_eq!(check["health"], "healthy", "{check}");
        assert!(check["latency_ms"].as_f64().unwrap() > 0.0 && check["engine_ms"].as_f64().unwrap() > 0.0);
    }

    // Health comes from the engine that is really there.
    let (ill, well) = (members.remove(1), members.remove(0));
    let mut two = two;
    two.stop().await;
    let gone =
        site.instance_when("its engine's end to show", SOON, &ill.id, |it| it["health"] == "unhealthy").await;
    assert_eq!(gone["link"]["state"], "live", "the agent is there, the engine is not");
    assert_eq!(gone["engine"]["reachable"], false);
    assert!(gone["health_reason"].as_str().unwrap().contains("engine does not answer"), "{gone}");
    assert_eq!(site.instance(&well.id).await["health"], "healthy");
    let list = site.api.get("/api/instances").await.expect_status(200);
    assert_eq!(list["healthy_count"], 2);
}
