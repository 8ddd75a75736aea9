//! The list equals what the `docker` command line says, and figures are what containers really use.

use std::collections::BTreeSet;

use anyhow::Context as _;
use roadstead_agent::engine::{Effort, EngineControl, EngineView};
use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState, Figures, Port};
use roadstead_tests::condition::try_eventually;
use roadstead_tests::{Dockerd, ImageOptions, busybox_image, eventually};
use serde_json::Value;
use tokio::time::timeout;

use super::{SOON, agent_of, inspected, seen};

#[tokio::test]
async fn the_list_equals_what_docker_ps_says_field_by_field() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default().with("LABEL from=image").with("EXPOSE 53/udp"))
        .await;
    busybox_image(&engine, "moved:1", &ImageOptions::default()).await;
    engine.docker(["network", "create", "front"]).await;
    engine.docker(["network", "create", "back"]).await;
    let folder = engine.folder().display().to_string();
    let bind = format!("{folder}:/folder:ro");
    let run = |arguments: &str| {
        let arguments: Vec<_> =
            ["run", "--detach"].into_iter().chain(arguments.split(' ')).map(str::to_owned).collect();
        engine.docker(arguments)
    };
    run(&format!(
        "--name full --network front --publish 127.0.0.1::80 --publish 0:81 --volume data:/data --volume /anonymous \
         --volume {bind} --label team=a=b --label com.docker.compose.project=shop --restart unless-stopped app:1"
    ))
    .await;
    engine.docker(["network", "connect", "back", "full"]).await;
    run("--name healthy --network none --health-cmd true --health-interval 200ms app:1").await;
    run("--name sick --network host --health-cmd false --health-interval 200ms --health-retries 1 app:1")
        .await;
    run("--name young --network none --health-cmd true --health-interval 1h app:1").await;
    run("--name shares --network container:full app:1").await;
    run("--name frozen --network none app:1").await;
    engine.docker(["pause", "frozen"]).await;
    engine.docker(["create", "--name", "new", "--publish", "80", "app:1"]).await;
    let quoted = [
        "run",
        "--name",
        "ended",
        "--network",
        "none",
        "app:1",
        "sh",
        "-c",
        "echo \"it's\tover\"; sleep 0.2; exit 3",
    ];
    engine.docker_output(quoted).await;
    // Its tag goes to another image: `docker ps` then shows the id, the agent still what it was made from.
    run("--name moved --network none moved:1").await;
    busybox_image(&engine, "moved:1", &ImageOptions::running("exit 0")).await;

    eventually("the list to equal docker ps", SOON, async || {
        let ours = agent.containers().await.ok()?;
        let theirs = engine.docker(["ps", "--all", "--no-trunc", "--format", "json"]).await;
        let theirs: Vec<Value> = theirs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(ours.len(), theirs.len());
        let differences: Vec<_> =
            ours.iter().zip(&theirs).flat_map(|(ours, theirs)| differences(ours, theirs)).collect();
        // Health checks run on while the two lists are asked for.
        let steady = seen(&agent, "healthy").await.health == ContainerHealth::Healthy
            && seen(&agent, "sick").await.health == ContainerHealth::Unhealthy;
        assert!(!steady || differences.is_empty(), "{differences:#?}");
        steady.then_some(())
    })
    .await;

    let moved = seen(&agent, "moved").await;
    assert_eq!(
        (moved.image.as_str(), moved.image_id),
        ("moved:1", text(&inspected(&engine, "moved").await["Image"]))
    );
    let full = seen(&agent, "full").await;
    assert_eq!((full.restart_policy.as_str(), full.compose_project()), ("unless-stopped", Some("shop")));
    let ended = seen(&agent, "ended").await;
    assert_eq!((ended.state, ended.exit_code), (ContainerState::Exited, Some(3)));
    let (started, finished) = (ended.started_at.expect("it ran"), ended.finished_at.expect("it ended"));
    assert!(ended.created_at < started && started < finished);
    assert_eq!(seen(&agent, "young").await.health, ContainerHealth::Starting);
    assert_eq!(agent.container("nobody").await, Ok(None));
    assert_eq!(agent.own_container().await, None, "this test runs on the host");
}

/// Where a container of ours differs from a line of `docker ps`.
fn differences(ours: &Container, theirs: &Value) -> Vec<String> {
    let set = |text: &str| {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let created = text(&theirs["CreatedAt"]);
    let (status, image) = (text(&theirs["Status"]), text(&theirs["Image"]));
    let labels: BTreeSet<String> = ours.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let ports: BTreeSet<String> = ours.ports.iter().map(port).collect();
    let health = match ours.health {
        ContainerHealth::Healthy => status.contains("(healthy)"),
        ContainerHealth::Unhealthy => status.contains("(unhealthy)"),
        ContainerHealth::Starting => status.contains("(health: starting)"),
        _ => !status.contains("health"),
    };
    let state = serde_json::to_value(ours.state).map(|state| text(&state)).unwrap_or_default();
    let checks = [
        ("id", ours.id.as_str() == theirs["ID"]),
        ("name", ours.name == text(&theirs["Names"])),
        ("image", image == ours.image || image == ours.image_id),
        // The command line shows it as a literal of Go, which is one of Rust here.
        ("command", format!("{:?}", ours.command).replace("\\'", "'") == text(&theirs["Command"])),
        ("created", created.starts_with(&date(ours.created_at.as_secs()))),
        ("state", state == text(&theirs["State"])),
        ("health", health),
        ("exit code", ours.exit_code.is_none_or(|code| status.starts_with(&format!("Exited ({code})")))),
        ("ports", ports == set(&text(&theirs["Ports"]))),
        ("labels", labels == set(&text(&theirs["Labels"]))),
        ("mounts", ours.mounts.iter().cloned().collect::<BTreeSet<_>>() == set(&text(&theirs["Mounts"]))),
        (
            "networks",
            ours.networks.iter().cloned().collect::<BTreeSet<_>>() == set(&text(&theirs["Networks"])),
        ),
    ];
    checks
        .iter()
        .filter(|(_, same)| !same)
        .map(|(field, _)| format!("{field}: {ours:?} and {theirs}"))
        .collect()
}

fn port(port: &Port) -> String {
    let Port { private, protocol, host_ip, public } = port;
    match (host_ip, public) {
        (Some(ip), Some(public)) if ip.contains(':') => format!("[{ip}]:{public}->{private}/{protocol}"),
        (Some(ip), Some(public)) => format!("{ip}:{public}->{private}/{protocol}"),
        _ => format!("{private}/{protocol}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The time of day that `docker ps` shows for a time: enough to tell two containers apart.
fn date(seconds: i64) -> String {
    let clock = seconds.rem_euclid(86_400);
    let day =
        std::process::Command::new("date").args(["--utc", &format!("--date=@{seconds}"), "+%F"]).output();
    let day = day.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    format!("{day} {:02}:{:02}:{:02}", clock / 3600, clock % 3600 / 60, clock % 60)
}

#[tokio::test]
async fn figures_are_what_containers_really_use() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine.docker(["network", "create", "front"]).await;
    let busy = [
        "run",
        "--detach",
        "--name",
        "busy",
        "--network",
        "front",
        "--memory",
        "64m",
        "--cpus",
        "0.5",
        "app:1",
    ];
    engine.docker(busy.into_iter().chain(["sh", "-c", "while :; do :; done"])).await;
    engine.docker(["run", "--detach", "--name", "idle", "--network", "none", "app:1"]).await;
    engine.docker(["run", "--name", "ended", "--network", "none", "app:1", "true"]).await;
    let info = agent.identify().await.expect("the engine answers");
    assert!(info.cpus > 0 && info.memory_bytes > 0 && info.api_version.starts_with("1."), "{info:?}");

    let mut ids = Vec::new();
    for name in ["busy", "idle", "ended"] {
        ids.push(seen(&agent, name).await.id);
    }
    let first = agent.figures(&ids, Effort::Ask).await;
    assert!(first.iter().all(|figures| figures.cpu_percent.is_none()), "nothing to compare with yet");
    let of = |name: usize| ids[name].clone();
    eventually("half a core in use", SOON, async || {
        let second = agent.figures(&ids, Effort::Ask).await;
        assert!(!second.iter().any(|figures| figures.container == of(2)), "an ended container has none");
        let busy = second.iter().find(|figures| figures.container == of(0))?;
        let idle = second.iter().find(|figures| figures.container == of(1))?;
        assert!(busy.memory_bytes > 0 && busy.memory_bytes < 64 << 20, "{busy:?}");
        assert_eq!((busy.memory_limit_bytes, idle.memory_limit_bytes), (Some(64 << 20), None));
        assert!(
            busy.network_rx_bytes + busy.network_tx_bytes > 0 && idle.network_rx_bytes == 0,
            "{second:?}"
        );
        let (busy_cpu, idle_cpu) = (busy.cpu_percent?, idle.cpu_percent?);
        // Other tests use the machine too, but nothing passes the limit by far.
        ((5.0..75.0).contains(&busy_cpu) && idle_cpu < busy_cpu).then_some(())
    })
    .await;
}

/// The engine is stopped meanwhile, so whatever is read is read without it.
#[tokio::test]
async fn figures_are_read_without_the_engine_and_agree_with_docker_stats() {
    let engine = Dockerd::start().await;
    let agent = agent_of(&engine);
    busybox_image(&engine, "app:1", &ImageOptions::default()).await;
    engine.docker(["network", "create", "front"]).await;
    let work = "dd if=/dev/zero of=/dev/shm/held bs=1M count=20; while :; do :; done";
    let limits = ["--network", "front", "--memory", "64m", "--cpus", "0.3"];
    let busy = ["run", "--detach", "--name", "busy"].into_iter().chain(limits);
    engine.docker(busy.chain(["app:1", "sh", "-c", work])).await;
    engine.docker(["run", "--detach", "--name", "hosts", "--network", "host", "app:1"]).await;
    let mut ids = Vec::new();
    for name in ["busy", "hosts"] {
        ids.push(seen(&agent, name).await.id);
    }
    let read = async || {
        let figures = agent.figures(&ids, Effort::Read).await;
        <[Figures; 2]>::try_from(figures).ok()
    };
    eventually("memory in use, and a sample before", SOON, async || {
        let [busy, _] = read().await?;
        (busy.memory_bytes > 20 << 20 && busy.cpu_percent.is_some()).then_some(())
    })
    .await;
    let compared = try_eventually(SOON, async || {
        read().await.context("nothing was read")?;
        let format = "{{.CPUPerc}} {{.MemUsage}} {{.NetIO}}";
        let said = engine.docker(["stats", "--no-stream", "--format", format, "busy"]).await;
        let [busy, hosts] = read().await.context("nothing was read")?;
        let words: Vec<&str> = said.split_whitespace().filter(|word| *word != "/").collect();
        let Ok([cpu, memory, limit, received, sent]) = <[&str; 5]>::try_from(words) else {
            anyhow::bail!("docker stats said {said}")
        };
        let cpu: f64 = cpu.trim_end_matches('%').parse()?;
        assert_eq!((hosts.network_rx_bytes, hosts.memory_limit_bytes), (0, None), "{hosts:?}");
        assert_eq!((quantity(limit), busy.memory_limit_bytes), (64 << 20, Some(64 << 20)));
        let near = |ours: u64, theirs: &str, slack: u64| ours.abs_diff(quantity(theirs)) <= slack;
        let agree = busy.cpu_percent.is_some_and(|ours| (ours - cpu).abs() < 10.0)
            && near(busy.memory_bytes, memory, 1 << 20)
            && near(busy.network_rx_bytes, received, 2_000)
            && near(busy.network_tx_bytes, sent, 2_000);
        agree.then_some(()).with_context(|| format!("{busy:?}, but docker stats said {said}"))
    });
    compared.await.unwrap_or_else(|last| panic!("no agreement: {last:?}"));
    engine.freeze().await;
    let alone = timeout(SOON, read()).await;
    engine.resume().await;
    assert!(alone.is_ok_and(|figures| figures.is_some()), "the engine was waited for");
}

/// `21.5MiB`, `1.09kB`.
fn quantity(text: &str) -> u64 {
    let units =
        [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];
    let split = units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (number, size) = split.unwrap_or_else(|| panic!("{text} has no unit"));
    let number: f64 = number.parse().unwrap_or_else(|_| panic!("{text} is no number"));
    (number * f64::from(size)) as u64
}
