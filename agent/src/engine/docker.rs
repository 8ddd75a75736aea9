//! The Docker engine, over its API. Only this module and those under it know bollard and HTTP.

mod connect;
mod convert;
mod create;
mod credentials;
mod details;
mod errors;
mod events;
mod figures;
mod groups;
mod lines;
mod listed;
mod logs;
mod names;
mod own;
mod pull;
mod recreate;
mod survey;
mod swap;
mod times;
mod wire;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
    RestartContainerOptions, StartContainerOptions, StopContainerOptionsBuilder,
};
use futures_util::stream::BoxStream;
use roadstead_protocol::message::command::{ContainerAction, InstallWork};
use roadstead_protocol::message::container::{Container, Figures};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::time::UnixMicros;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use self::connect::Endpoint;
pub use self::connect::{ConnectError, TlsFiles};
use self::convert::Inspection;
use self::figures::Sampler;
use self::groups::Groups;
use self::listed::Entry;
use self::names::{checked, checked_image};
use self::recreate::NewImage;
use self::wire::Wire;
use super::{
    Effort, EngineControl, EngineError, EngineEvent, EngineInfo, EngineView, Image, Inspected, Listed,
    PullProgress, Survey,
};
use crate::policy::Reach;

/// Listing all containers.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Looking at one thing.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Changing one thing.
const ACT_TIMEOUT: Duration = Duration::from_secs(60);
/// What stopping may take beyond its grace.
const STOP_MARGIN: Duration = Duration::from_secs(30);
/// bollard's own limit covers the response head only and cannot differ by call; ours are shorter.
const BOLLARD_TIMEOUT_SECS: u64 = 3600;

/// A Docker engine on this host or, over TLS, on another. Making one dials nothing: an engine that is down is a state
/// that passes. Holds no connection but those of calls under way.
pub struct DockerEngine {
    wire: Arc<Wire>,
    docker: bollard::Docker,
    sampler: Sampler,
    groups: Arc<Mutex<Groups>>,
    /// Bytes, from the last identification; 0 before.
    host_memory: AtomicU64,
}

impl DockerEngine {
    /// The engine at `docker_host`, the text of `DOCKER_HOST`: `unix:///path` or `tcp://host:port`, the default socket
    /// if none. `tls` is what `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` ask for; without it TCP is accepted for
    /// loopback addresses only.
    pub fn connect(docker_host: Option<&str>, tls: Option<&TlsFiles>) -> Result<Self, ConnectError> {
        let wire = Arc::new(Wire::new(Endpoint::parse(docker_host, tls)?));
        let transport = {
            let wire = Arc::clone(&wire);
            move |request: bollard::BollardRequest| {
                let wire = Arc::clone(&wire);
                async move { Ok(wire.send(request).await?) }
            }
        };
        let version = bollard::API_DEFAULT_VERSION;
        let docker = bollard::Docker::connect_with_custom_transport(
            transport,
            Some("http://docker"),
            BOLLARD_TIMEOUT_SECS,
            version,
        )
        .map_err(|error| ConnectError::Malformed(format!("{} ({error})", docker_host.unwrap_or_default())))?;
        let groups = Arc::new(Mutex::new(Groups::new()));
        Ok(Self { wire, docker, sampler: Sampler::default(), groups, host_memory: AtomicU64::new(0) })
    }

    /// Inspects a container, as JSON or what is read of it; none if there is no such.
    async fn inspect_as<T: DeserializeOwned>(&self, container: &str) -> Result<Option<T>, EngineError> {
        let path = format!("/containers/{}/json", checked(container)?);
        found(self.wire.get(&path, INSPECT_TIMEOUT).await)
    }

    async fn inspect_image<T: DeserializeOwned>(&self, reference: &str) -> Result<Option<T>, EngineError> {
        let path = format!("/images/{}/json", checked_image(reference)?);
        found(self.wire.get(&path, INSPECT_TIMEOUT).await)
    }

    /// Creates a container and connects it to further networks; one that cannot be connected is removed again.
    async fn create_whole(
        &self,
        name: &str,
        body: &Value,
        networks: &[recreate::Endpoint],
    ) -> Result<ContainerId, EngineError> {
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "Id")]
            id: ContainerId,
        }
        let path = format!("/containers/create?name={}", checked(name)?);
        let Created { id } = self.wire.post(&path, body, ACT_TIMEOUT).await?;
        for (network, settings) in networks {
            let path = format!("/networks/{}/connect", wire::escaped(network));
            let body = json!({ "Container": id.as_str(), "EndpointConfig": settings });
            if let Err(error) = self.wire.post::<Value>(&path, &body, ACT_TIMEOUT).await {
                // It was never started; whether this works changes nothing about the failure.
                let _ = self.remove(id.as_str(), true).await;
                return Err(error);
            }
        }
        Ok(id)
    }
}

/// An answer about one thing, where "no such" is an answer.
fn found<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for a call of bollard, but not longer than `limit`.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineError> {
    timeout(limit, call).await.map_err(|_| EngineError::TimedOut(limit))?.map_err(errors::from_bollard)
}

impl EngineView for DockerEngine {
    async fn ping(&self) -> Result<(), EngineError> {
        // The engine may be another version since it was last asked.
        let negotiated = timeout(INSPECT_TIMEOUT, self.wire.negotiate()).await;
        let negotiated = negotiated.map_err(|_| EngineError::TimedOut(INSPECT_TIMEOUT))?;
        negotiated.map(drop).map_err(|error| errors::unreachable(&error))
    }

    async fn identify(&self) -> Result<EngineInfo, EngineError> {
        self.ping().await?;
        let version = within(INSPECT_TIMEOUT, self.docker.version()).await?;
        let info: HostInfo = self.wire.get("/info", LIST_TIMEOUT).await?;
        self.host_memory.store(info.mem_total, Ordering::Relaxed);
        Ok(EngineInfo {
            version: version.version.unwrap_or_default(),
            api_version: version.api_version.unwrap_or_default(),
            os: info.operating_system,
            cpus: info.ncpu,
            memory_bytes: info.mem_total,
        })
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let entries: Vec<Entry> = self.wire.get("/containers/json?all=1", LIST_TIMEOUT).await?;
        Ok(entries.into_iter().filter_map(|Entry(listed)| listed).collect())
    }

    async fn survey(&self) -> Result<Survey, EngineError> {
        survey::every(self, self.list().await?).await
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        let inspection: Option<Inspection> = self.inspect_as(id).await?;
        Ok(inspection.and_then(convert::container))
    }

    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, EngineError> {
        let Some(inspection) = self.inspect_as::<Value>(id).await? else { return Ok(None) };
        let image = match inspection["Image"].as_str() {
            // Without its image a container is worth showing all the same.
            Some(image) => self.inspect_image::<Value>(image).await.ok().flatten().unwrap_or_default(),
            None => Value::Null,
        };
        let reach = Reach::of_inspection(&inspection);
        Ok(details::details(&inspection, &image, &reach).map(|details| Inspected { details, reach }))
    }

    async fn events(
        &self,
        since: Option<UnixMicros>,
        until: Option<UnixMicros>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        events::subscribe(&self.wire, since, until).await
    }

    async fn figures(&self, containers: &[ContainerId], effort: Effort) -> Vec<Figures> {
        let host_memory = self.host_memory.load(Ordering::Relaxed);
        let mut figures = groups::read(&self.groups, containers, host_memory).await;
        if effort == Effort::Ask && figures.len() < containers.len() {
            let read: HashSet<_> = figures.iter().map(|figures| &figures.container).collect();
            let rest: Vec<_> = containers.iter().filter(|id| !read.contains(id)).cloned().collect();
            figures.extend(self.sampler.sample(&self.wire, &rest, host_memory).await);
        }
        figures
    }
}

/// What is read of the engine's own facts.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostInfo {
    operating_system: String,
    #[serde(rename = "NCPU")]
    ncpu: u32,
    mem_total: u64,
}

impl EngineControl for DockerEngine {
    fn pull(&self, reference: &str) -> BoxStream<'static, Result<PullProgress, EngineError>> {
        pull::pull(Arc::clone(&self.wire), reference)
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            id: String,
            repo_digests: Option<Vec<String>>,
            config: Option<Config>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            labels: Option<BTreeMap<String, String>>,
        }
        let inspected: Option<Inspected> = self.inspect_image(reference).await?;
        Ok(inspected.map(|image| Image {
            id: image.id,
            repo_digests: image.repo_digests.unwrap_or_default(),
            labels: image.config.unwrap_or_default().labels.unwrap_or_default(),
        }))
    }

    async fn registry_digest(&self, reference: &str) -> Result<String, EngineError> {
        timeout(ACT_TIMEOUT, pull::registry_digest(&self.docker, reference))
            .await
            .map_err(|_| EngineError::TimedOut(ACT_TIMEOUT))?
    }

    async fn act(&self, container: &str, action: ContainerAction) -> Result<(), EngineError> {
        let name = checked(container)?;
        let docker = &self.docker;
        let done = match action {
            ContainerAction::Start => {
                within(ACT_TIMEOUT, docker.start_container(name, None::<StartContainerOptions>)).await
            }
            // Without a grace of its own the engine takes the container's, which may be long.
            ContainerAction::Stop => {
                let options = None::<bollard::query_parameters::StopContainerOptions>;
                within(ACT_TIMEOUT * 5, docker.stop_container(name, options)).await
            }
            ContainerAction::Restart => {
                within(ACT_TIMEOUT * 5, docker.restart_container(name, None::<RestartContainerOptions>)).await
            }
            ContainerAction::Kill => {
                within(ACT_TIMEOUT, docker.kill_container(name, None::<KillContainerOptions>)).await
            }
            ContainerAction::Pause => within(ACT_TIMEOUT, docker.pause_container(name)).await,
            ContainerAction::Unpause => within(ACT_TIMEOUT, docker.unpause_container(name)).await,
            ContainerAction::Remove => self.remove(name, false).await,
            ContainerAction::Unknown => {
                Err(EngineError::Refused("this agent does not know the action".to_owned()))
            }
        };
        match done {
            // Pausing the paused, and the like, is a conflict to the engine; here it is done.
            Err(EngineError::Conflict(_) | EngineError::Refused(_))
                if self.is_so_already(name, action).await =>
            {
                Ok(())
            }
            done => done,
        }
    }

    async fn stop(&self, container: &str, grace: Duration) -> Result<(), EngineError> {
        let name = checked(container)?;
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        within(grace + STOP_MARGIN, self.docker.stop_container(name, Some(options))).await
    }

    async fn rename(&self, container: &str, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::new().name(checked(name)?).build();
        within(ACT_TIMEOUT, self.docker.rename_container(checked(container)?, options)).await
    }

    async fn remove(&self, container: &str, force: bool) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().force(force).v(false).build();
        within(ACT_TIMEOUT, self.docker.remove_container(checked(container)?, Some(options))).await
    }

    async fn restart_as(&self, container: &str, like: Option<&str>) -> Result<(), EngineError> {
        self.update_restart(container, like).await
    }

    async fn create_like(&self, like: &str, name: &str, image: &str) -> Result<ContainerId, EngineError> {
        let Some(inspection) = self.inspect_as::<Value>(like).await? else {
            return Err(EngineError::NotFound(format!("No such container: {like}")));
        };
        self.replaceable(&inspection).await?;
        let Some(new) = self.inspect_image::<Value>(image).await? else {
            return Err(EngineError::NotFound(format!("No such image: {image}")));
        };
        let old = match inspection["Image"].as_str() {
            Some(id) => self.inspect_image::<Value>(id).await?,
            None => None,
        };
        let id = new["Id"].as_str().unwrap_or_default();
        let plan = recreate::plan(
            &inspection,
            old.as_ref().map(|old| &old["Config"]),
            &NewImage { reference: image, id, labels: &new["Config"]["Labels"] },
        );
        self.create_whole(name, &plan.body, &plan.networks).await
    }

    async fn create(&self, work: &InstallWork) -> Result<ContainerId, EngineError> {
        self.create_whole(&work.name, &create::body(work)?, &[]).await
    }

    async fn log_tail(&self, container: &str, lines: usize) -> Result<Vec<String>, EngineError> {
        let name = checked(container)?;
        let Some(inspection) = self.inspect_as::<Inspection>(name).await? else {
            return Err(EngineError::NotFound(format!("No such container: {name}")));
        };
        timeout(LIST_TIMEOUT, logs::tail(&self.wire, name, lines, inspection.config.tty))
            .await
            .map_err(|_| EngineError::TimedOut(LIST_TIMEOUT))?
    }

    async fn own_container(&self) -> Option<ContainerId> {
        for candidate in own::candidates() {
            let Ok(Some(found)) = self.inspect_as::<Inspection>(&candidate).await else { continue };
            // A short id is only a host name: it must be the one this very container was given.
            if candidate.len() == 64 || found.config.hostname == candidate {
                return ContainerId::try_from(found.id).ok();
            }
        }
        None
    }
}

impl DockerEngine {
    /// Whether a container is already as `action` would make it.
    async fn is_so_already(&self, container: &str, action: ContainerAction) -> bool {
        let wanted: &[&str] = match action {
            ContainerAction::Pause => &["paused"],
            ContainerAction::Unpause => &["running"],
            ContainerAction::Kill => &["exited", "dead", "created"],
            _ => return false,
        };
        match self.inspect_as::<Inspection>(container).await {
            Ok(Some(found)) => wanted.contains(&found.state.status.as_str()),
            _ => false,
        }
    }
}
