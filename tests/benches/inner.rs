//! The inner functions that everything goes through, each alone, in memory: how long one takes. `cargo bench -p
//! roadstead-tests --bench inner`, part of `make bench`.
#![expect(clippy::unwrap_used, reason = "what is made up here is valid")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use roadstead_agent::commands::services_of;
use roadstead_agent::inventory::Inventory;
use roadstead_controller::fleet::{Feed, Fleet, Host, persist};
use roadstead_controller::lifecycle::Lifecycles;
use roadstead_controller::lifecycle::fact::{Fact, Moment, What};
use roadstead_controller::lifecycle::history::{History, MAX_FACTS};
use roadstead_controller::model::{Direction, InstanceRecord, MemberTerms};
use roadstead_controller::store::Store;
use roadstead_protocol::message::codec::{MAX_MESSAGE, decode_directed, encode};
use roadstead_protocol::message::container::Container;
use roadstead_protocol::message::event::{Event, EventBatch, EventKind};
use roadstead_protocol::message::ids::{Epoch, EventSeq, InstanceId, SessionId};
use roadstead_protocol::message::snapshot::{Change, Engine, EngineState, SnapshotPart};
use roadstead_protocol::message::time::UnixMicros;
use roadstead_protocol::message::to_controller::ToController;
use serde_json::json;

/// Containers of the host.
const CONTAINERS: u64 = 200;

fn container(number: u64, started_at: i64) -> Container {
    let (project, service) = (format!("shop-{}", number / 10), format!("web-{}", number % 10));
    let made_up = json!({
        "id": format!("{number:064x}"),
        "name": format!("{project}-{service}-1"),
        "image": "registry.example.org/shop/web:1.27",
        "image_id": format!("sha256:{number:064x}"),
        "command": "/docker-entrypoint.sh nginx -g 'daemon off;'",
        "created_at": 1_760_000_000_000_000_i64,
        "state": "running",
        "started_at": started_at,
        "ports": [{"private": 80, "protocol": "tcp", "host_ip": "0.0.0.0", "public": 20_000 + number}],
        "networks": [format!("{project}_default")],
        "mounts": [format!("{project}_data"), "/etc/localtime"],
        "labels": {
            "com.docker.compose.config-hash": format!("{number:064x}"),
            "com.docker.compose.container-number": "1",
            "com.docker.compose.depends_on": "db:service_healthy:true,cache:service_started:false",
            "com.docker.compose.image": format!("sha256:{number:064x}"),
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.project": project,
            "com.docker.compose.project.config_files": format!("/srv/{project}/compose.yaml"),
            "com.docker.compose.project.working_dir": format!("/srv/{project}"),
            "com.docker.compose.service": service,
            "com.docker.compose.version": "2.29.1",
            "maintainer": "NGINX Docker Maintainers <docker-maint@nginx.com>",
        },
        "restart_policy": "unless-stopped",
    });
    serde_json::from_value(made_up).unwrap()
}

fn containers() -> Vec<Container> {
    (0..CONTAINERS).map(|number| container(number, 1)).collect()
}

fn engine() -> Engine {
    let (state, since) = (EngineState::Reachable, UnixMicros(1));
    Engine { state, since, version: None, api_version: None, os: None, cpus: None, memory_bytes: None }
}

fn events(count: u64) -> ToController {
    let event = |seq: u64| {
        let labels = [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web")];
        let what = EventKind::Container {
            id: format!("{:064x}", seq % 20).parse().unwrap(),
            name: "shop-web-1".into(),
            image: "registry.example.org/shop/web:1.27".into(),
            action: "die".into(),
            attributes: labels.into_iter().chain([("exitCode", "0")]).collect(),
            inferred: false,
        };
        Event { seq: EventSeq(seq), at: UnixMicros(1_760_000_000_000_000), what }
    };
    ToController::Events(EventBatch::plain(Epoch::generate(), (1..=count).map(event).collect()))
}

fn codec(bench: &mut Criterion) {
    let upsert = ToController::Change { change: Change::Upsert { container: Box::new(container(1, 1)) } };
    let part = SnapshotPart { engine: engine(), containers: containers().split_off(180), last: true };
    for (name, message) in [
        ("1 event", events(1)),
        ("64 events", events(64)),
        ("a change of a container", upsert),
        ("a picture of 20 containers", ToController::Snapshot(part)),
    ] {
        let bytes = encode(&message, MAX_MESSAGE).unwrap();
        bench.bench_function(&format!("codec: encode {name}"), |one| {
            one.iter(|| encode(black_box(&message), MAX_MESSAGE).unwrap());
        });
        bench.bench_function(&format!("codec: decode {name}"), |one| {
            one.iter(|| decode_directed::<ToController>(black_box(&bytes)).unwrap());
        });
    }
}

fn inventory(bench: &mut Criterion) {
    let mut inventory = Inventory::default();
    inventory.replace(containers());
    let mut turn = 1;
    bench.bench_function("inventory: a container of 200 changed", |one| {
        let changed = || {
            turn += 1;
            container(7, turn)
        };
        let mut inventory = inventory.clone();
        one.iter_batched(changed, |changed| inventory.upsert(changed), BatchSize::SmallInput);
    });
    bench.bench_function("inventory: a list of the same 200", |one| {
        let mut inventory = inventory.clone();
        one.iter_batched(containers, |list| inventory.replace(list), BatchSize::SmallInput);
    });
}

/// A controller's picture of one host, that its agent feeds.
fn fleet() -> (Fleet, Feed, InstanceId, Lifecycles, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let id: InstanceId = "nas".parse().unwrap();
    let record = InstanceRecord {
        id: id.clone(),
        name: "nas".to_owned(),
        url: None,
        description: String::new(),
        environment: None,
        tags: Vec::new(),
        key: None,
        created_at: UnixMicros(1),
        last_seen: None,
        agent_version: None,
        policy: None,
        abilities: Vec::new(),
        terms: MemberTerms::default(),
    };
    let fleet = Fleet::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lifecycles = runtime.block_on(async {
        store.insert_instance(record).await.unwrap().unwrap();
        persist::load(&fleet, &store).await.unwrap();
        Lifecycles::load(store, fleet.clone()).await.unwrap()
    });
    let feed = fleet.link_live(&id, SessionId::generate(), Direction::Outbound, "bench").unwrap();
    feed.snapshot_part(SnapshotPart { engine: engine(), containers: containers(), last: true }).unwrap();
    (fleet, feed, id, lifecycles, folder)
}

fn picture(bench: &mut Criterion) {
    let (fleet, feed, ..) = fleet();
    let (_hosts, _changes) = fleet.subscribe();
    let mut turn = 1;
    bench.bench_function("fleet: a container of 200 changed", |one| {
        let changed = || {
            turn += 1;
            Change::Upsert { container: Box::new(container(7, turn)) }
        };
        one.iter_batched(changed, |change| feed.change(change).unwrap(), BatchSize::SmallInput);
    });
    bench.bench_function("fleet: a picture of 200, one of them changed", |one| {
        let whole = || {
            turn += 1;
            let mut containers = containers();
            containers[7] = container(7, turn);
            SnapshotPart { engine: engine(), containers, last: true }
        };
        one.iter_batched(whole, |part| feed.snapshot_part(part).unwrap(), BatchSize::SmallInput);
    });
}

fn fact(at: i64, what: What) -> Fact {
    let moment = Moment { at: UnixMicros(at), source: uuid::Uuid::nil(), seq: at.unsigned_abs() };
    Fact { moment, heard: UnixMicros(at), what }
}

fn lifecycle(bench: &mut Criterion) {
    let full: History =
        (0..40).map(|at| fact(at, if at % 2 == 0 { What::Start } else { What::Die(Some(0)) })).collect();
    assert_eq!(full.facts().len(), MAX_FACTS);
    bench.bench_function("lifecycle: a fact into a full history", |one| {
        one.iter_batched_ref(|| full.clone(), |full| full.add(fact(50, What::Start)), BatchSize::SmallInput);
    });
    let (fleet, _feed, id, lifecycles, _folder) = fleet();
    let host: &Host = &fleet.host(&id).unwrap();
    let container = host.containers.values().next().unwrap();
    let now = UnixMicros::now();
    bench.bench_function("lifecycle: state of a container", |one| {
        one.iter(|| lifecycles.container(black_box(host), container, now));
    });
    bench.bench_function("lifecycle: states of the 20 projects of 200 containers", |one| {
        one.iter(|| lifecycles.projects(black_box(host), now));
    });
}

fn labels(bench: &mut Criterion) {
    let containers = containers();
    bench.bench_function("labels: a project of 10 among 200 containers", |one| {
        one.iter(|| services_of(black_box(&containers), "shop-7"));
    });
}

fn main() {
    let mut bench = Criterion::default().configure_from_args();
    for group in [codec, inventory, picture, lifecycle, labels] {
        group(&mut bench);
    }
    bench.final_summary();
}
