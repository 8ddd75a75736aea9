//! How long a controller takes from its start until it listens: an empty one, and one with much to remember.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use roadstead_controller::fleet::{Fleet, persist};
use roadstead_controller::model::Direction;
use roadstead_controller::store::Store;
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::event::EventBatch;
use roadstead_protocol::message::ids::{Epoch, SessionId};
use roadstead_protocol::message::snapshot::{Engine, EngineState, SnapshotPart};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_tests::processes::binary;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::intake::{event, instance, record};
use crate::report::{Row, Section, say};
use crate::statistics::Samples;

/// Starts of each.
const STARTS: usize = 5;

/// Containers of each instance.
const CONTAINERS: u64 = 20;

/// Events of each instance.
const EVENTS: u64 = 100;

/// Writes at a time: they share commits.
const AT_ONCE: usize = 256;

/// How long the first start may take, which reads all events.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts each some times.
///
/// # Errors
/// When one does not start.
pub async fn measure(quick: bool) -> anyhow::Result<Section> {
    let instances: usize = if quick { 1000 } else { 10_000 };
    let (containers, events) = (instances as u64 * CONTAINERS, instances as u64 * EVENTS);
    let mut section = Section::new("Start of a controller");
    section.note(format!(
        "from running the program until it has bound its ports and says so, {STARTS} times; the first start with much \
         to remember, which reads all events once, is left out"
    ));
    say("an empty controller starts");
    let mut took = Samples::default();
    for _ in 0..STARTS {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        took.add(start(folder.path()).await?);
    }
    section.add(Row::new("empty, p50".to_owned(), took.percentile(50), "ms").at_most(50.0));
    say(&format!("{instances} instances, {containers} containers and {events} events are written"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    fill(folder.path(), instances).await?;
    let what = |what: &str| {
        format!("with {instances} instances, {containers} containers and {events} events, {what}")
    };
    section.add(Row::new(what("for the first time"), start(folder.path()).await?, "ms"));
    let mut took = Samples::default();
    for _ in 0..STARTS {
        took.add(start(folder.path()).await?);
    }
    section.add(Row::new(what("p50"), took.percentile(50), "ms").at_most(500.0));
    Ok(section)
}

/// Milliseconds until it listens. It is ended again.
async fn start(data: &Path) -> anyhow::Result<f64> {
    let listening = data.join("listening.json");
    let _ = std::fs::remove_file(&listening);
    let mut command = Command::new(binary("roadstead-controller")?);
    let log = std::fs::File::create(data.join("bench.log"))?;
    command.env("ROADSTEAD_DATA_DIR", data).env("ROADSTEAD_LISTEN", "127.0.0.1:0");
    command.env("ROADSTEAD_AGENT_LISTEN", "127.0.0.1:0").env("ROADSTEAD_LOCAL_AGENT", "off");
    command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    let began = Instant::now();
    let mut controller = command.spawn()?;
    while !listening.exists() {
        if let Some(status) = controller.try_wait()? {
            anyhow::bail!("it ended with {status}: {}", std::fs::read_to_string(data.join("bench.log"))?);
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "it does not listen");
        sleep_until(Instant::now() + Duration::from_millis(1)).await;
    }
    let took = began.elapsed().as_secs_f64() * 1000.0;
    let id = controller.id().context("it ended")?;
    roadstead_tests::tool::run("kill", ["-s", "TERM", &id.to_string()]).await?;
    controller.wait().await?;
    Ok(took)
}

/// Writes what the controller itself would have written.
async fn fill(data: &Path, instances: usize) -> anyhow::Result<()> {
    let store = Store::open(data)?;
    let each = |number: usize| {
        let store = store.clone();
        async move {
            store.insert_instance(record(number)?).await?.ok().context("it is registered already")?;
            let events = (1..=EVENTS).map(|seq| event(number, seq)).collect();
            let batch = EventBatch { epoch: Epoch::generate(), events };
            store.append_events(instance(number)?, batch, UnixMicros::now()).await?;
            anyhow::Ok(())
        }
    };
    stream::iter((0..instances).map(each)).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let fleet = Fleet::new();
    persist::load(&fleet, &store).await?;
    for number in 0..instances {
        let session = SessionId::generate();
        let feed = fleet.link_live(&instance(number)?, session, Direction::Outbound, "192.0.2.1:5");
        let containers = (0..CONTAINERS).map(|one| container(number, one)).collect::<Result<_, _>>()?;
        let part = SnapshotPart { engine: engine(), containers, last: true };
        feed.context("no such instance")?.snapshot_part(part)?;
    }
    let over = CancellationToken::new();
    over.cancel();
    // Saves once more at its end.
    persist::run(fleet, store, over).await;
    Ok(())
}

fn engine() -> Engine {
    Engine {
        state: EngineState::Reachable,
        since: UnixMicros::now(),
        version: Some("28.0.1".to_owned()),
        api_version: Some("1.48".to_owned()),
        os: Some("Debian GNU/Linux 12".to_owned()),
        cpus: Some(8),
        memory_bytes: Some(1 << 34),
    }
}

/// As the events name it.
fn container(host: usize, number: u64) -> anyhow::Result<Container> {
    let now = UnixMicros::now().0;
    let labels = json!({
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.project.working_dir": "/srv/shop",
        "com.docker.compose.project.config_files": "/srv/shop/docker-compose.yml",
        "com.docker.compose.config-hash": format!("{host:032x}{number:032x}"),
        "com.docker.compose.container-number": "1",
    });
    Ok(serde_json::from_value(json!({
        "id": format!("{host:032x}{number:032x}"),
        "name": format!("shop-web-{number}"),
        "image": "registry.example.org/shop/web:1.27",
        "image_id": format!("sha256:{number:064x}"),
        "command": "nginx -g 'daemon off;'",
        "created_at": now - 600_000_000,
        "started_at": now - 500_000_000,
        "state": "running",
        "health": "healthy",
        "networks": ["shop_default"],
        "mounts": ["shop_data"],
        "labels": labels,
        "restart_policy": "unless-stopped",
    }))?)
}
