//! The fake engine as commands see it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use roadstead_protocol::message::command::{ContainerAction, InstallWork};
use roadstead_protocol::message::container::{ContainerHealth, ContainerState};
use roadstead_protocol::message::ids::ContainerId;

use super::model::{Model, repository};
use super::{FakeEngine, RegistryImage};
use crate::engine::{EngineControl, EngineError, Image, PullProgress};

impl EngineControl for FakeEngine {
    fn pull(&self, reference: &str) -> BoxStream<'static, Result<PullProgress, EngineError>> {
        Self::pulling(self.clone(), reference.to_owned())
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        self.call(&format!("image {reference}"), false).await?;
        let model = self.model();
        let by_id = || model.images.values().find(|image| image.id == reference);
        Ok(model.images.get(reference).or_else(by_id).cloned())
    }

    async fn registry_digest(&self, reference: &str) -> Result<String, EngineError> {
        self.call(&format!("registry_digest {reference}"), false).await?;
        let image = self.model().registry.get(reference).cloned().ok_or_else(|| missing(reference))?;
        Ok(image.id)
    }

    async fn act(&self, container: &str, action: ContainerAction) -> Result<(), EngineError> {
        let (id, name) = self.known(container)?;
        let word = match action {
            ContainerAction::Start => "start",
            ContainerAction::Stop => "stop",
            ContainerAction::Restart => "restart",
            ContainerAction::Kill => "kill",
            ContainerAction::Pause => "pause",
            ContainerAction::Unpause => "unpause",
            ContainerAction::Remove => return self.remove(container, false).await,
            ContainerAction::Unknown => return Err(EngineError::Refused("no such action".to_owned())),
        };
        self.call(&format!("{word} {name}"), true).await?;
        let mut model = self.model();
        match action {
            ContainerAction::Start => model.start(&id),
            ContainerAction::Restart => {
                model.halt(&id, 0);
                model.start(&id)
            }
            ContainerAction::Kill => {
                model.halt(&id, 137);
                Ok(())
            }
            ContainerAction::Pause => model.freeze(&id, ContainerState::Running, ContainerState::Paused),
            ContainerAction::Unpause => model.freeze(&id, ContainerState::Paused, ContainerState::Running),
            _ => {
                model.halt(&id, 0);
                Ok(())
            }
        }
    }

    async fn stop(&self, container: &str, _grace: Duration) -> Result<(), EngineError> {
        self.act(container, ContainerAction::Stop).await
    }

    async fn rename(&self, container: &str, name: &str) -> Result<(), EngineError> {
        let (id, old) = self.known(container)?;
        self.call(&format!("rename {old} {name}"), true).await?;
        let mut model = self.model();
        model.free_name(name)?;
        if let Some(held) = model.containers.get_mut(&id) {
            name.clone_into(&mut held.container.name);
        }
        model.tell(&id, "rename");
        Ok(())
    }

    async fn remove(&self, container: &str, force: bool) -> Result<(), EngineError> {
        let (id, name) = self.known(container)?;
        self.call(&format!("remove {name}"), true).await?;
        let running = self.one(&id).is_some_and(|found| found.state == ContainerState::Running);
        if running && !force {
            return Err(EngineError::Conflict(format!("container {name} is running: stop it first")));
        }
        let mut model = self.model();
        model.halt(&id, 137);
        model.tell(&id, "destroy");
        model.containers.remove(&id);
        Ok(())
    }

    async fn restart_as(&self, container: &str, like: Option<&str>) -> Result<(), EngineError> {
        let (id, name) = self.known(container)?;
        let policy = match like {
            Some(like) => self.one(like).ok_or_else(|| gone(like))?.restart_policy,
            None => "no".to_owned(),
        };
        self.call(&format!("restart_as {name} {policy}"), true).await?;
        if let Some(held) = self.model().containers.get_mut(&id) {
            held.container.restart_policy = policy;
        }
        Ok(())
    }

    async fn create_like(&self, like: &str, name: &str, image: &str) -> Result<ContainerId, EngineError> {
        let (id, old) = self.known(like)?;
        self.call(&format!("create_like {old} {name} {image}"), true).await?;
        let mut model = self.model();
        model.free_name(name)?;
        let image_id = model.local(image)?;
        let like = model.containers.get(&id).map(|held| held.container.clone()).ok_or_else(|| gone(like))?;
        let mut created = model.blank(name, image, &image_id);
        created.ports = like.ports;
        created.networks = like.networks;
        created.mounts = like.mounts;
        created.labels = like.labels;
        created.restart_policy = like.restart_policy;
        Ok(model.created(created))
    }

    async fn create(&self, work: &InstallWork) -> Result<ContainerId, EngineError> {
        self.call(&format!("create {} {}", work.name, work.image), true).await?;
        let mut model = self.model();
        model.free_name(&work.name)?;
        let image_id = model.local(&work.image)?;
        let mut created = model.blank(&work.name, &work.image, &image_id);
        created.labels = work.labels.clone();
        created.mounts = work.mounts.clone();
        created.restart_policy = work.restart_policy.clone().unwrap_or_else(|| "no".to_owned());
        Ok(model.created(created))
    }

    async fn log_tail(&self, container: &str, lines: usize) -> Result<Vec<String>, EngineError> {
        let (id, name) = self.known(container)?;
        self.call(&format!("log_tail {name}"), false).await?;
        let log = self.model().containers.get(&id).map(|held| held.log.clone()).unwrap_or_default();
        Ok(log[log.len().saturating_sub(lines)..].to_vec())
    }

    async fn own_container(&self) -> Option<ContainerId> {
        self.model().own.clone()
    }
}

impl FakeEngine {
    /// Full id and name of a container.
    fn known(&self, container: &str) -> Result<(String, String), EngineError> {
        let model = self.model();
        let id = model.find(container).ok_or_else(|| gone(container))?;
        let name = model.containers.get(&id).map(|held| held.container.name.clone()).unwrap_or_default();
        Ok((id, name))
    }

    fn pulling(self, reference: String) -> BoxStream<'static, Result<PullProgress, EngineError>> {
        let begin = async move {
            if let Err(error) = self.call(&format!("pull {reference}"), true).await {
                return stream::iter([Err(error)]).boxed();
            }
            let Some(image) = self.model().registry.get(&reference).cloned() else {
                return stream::iter([Err(missing(&reference))]).boxed();
            };
            self.layers(reference, image)
        };
        stream::once(begin).flatten().boxed()
    }

    /// The layers one after another, each a call of its own, and then the image.
    fn layers(
        self,
        reference: String,
        image: RegistryImage,
    ) -> BoxStream<'static, Result<PullProgress, EngineError>> {
        let layers = image.layers.clone();
        let engine = self.clone();
        let of = reference.clone();
        let progress = stream::iter(layers).then(move |(layer, bytes)| {
            let (engine, line) = (engine.clone(), format!("layer {of} {layer}"));
            async move {
                match engine.call(&line, false).await {
                    Ok(()) => layer_progress(&layer, bytes).into_iter().map(Ok).collect(),
                    Err(error) => vec![Err(error)],
                }
            }
        });
        let end = stream::once(async move {
            let mut model = self.model();
            let fresh = model.images.get(&reference).is_none_or(|known| known.id != image.id);
            let digest = format!("{}@{}", repository(&reference), image.id);
            let pulled = Image { id: image.id.clone(), repo_digests: vec![digest], ..Image::default() };
            // One that lost its name stays as long as a container is made from it.
            if let Some(before) = model.images.insert(reference.clone(), pulled)
                && fresh
            {
                model.images.insert(before.id.clone(), before);
            }
            let word = if fresh { "Downloaded newer image for" } else { "Image is up to date for" };
            Ok(PullProgress { status: format!("Status: {word} {reference}"), ..PullProgress::default() })
        });
        // A failed layer ends the pull: the image must not appear after it.
        let all = progress.flat_map(stream::iter).chain(end);
        all.scan(false, |failed, item: Result<PullProgress, EngineError>| {
            let over = *failed;
            *failed |= item.is_err();
            std::future::ready((!over).then_some(item))
        })
        .boxed()
    }
}

impl Model {
    fn start(&mut self, id: &str) -> Result<(), EngineError> {
        let now = self.now();
        let Some(held) = self.containers.get(id) else { return Err(gone(id)) };
        if held.observe(now).state == ContainerState::Running {
            return Ok(());
        }
        let wanted: Vec<_> = held.container.ports.iter().filter_map(|port| port.public).collect();
        let taken = self.containers.values().map(|other| other.observe(now)).find_map(|other| {
            let mut ports = other.ports.iter().filter_map(|port| port.public);
            let running = matches!(other.state, ContainerState::Running | ContainerState::Restarting);
            ports.find(|port| running && other.id.as_str() != id && wanted.contains(port))
        });
        if let Some(port) = taken {
            return Err(EngineError::Refused(format!("port {port} is already allocated")));
        }
        let time = self.time();
        if let Some(held) = self.containers.get_mut(id) {
            held.behaviour = self.behaviours.get(&held.container.image_id).cloned().unwrap_or_default();
            held.log.extend(held.behaviour.log.clone());
            held.started = Some((now, time));
            held.container.state = ContainerState::Running;
            held.container.started_at = Some(time);
            held.container.finished_at = None;
            held.container.exit_code = None;
        }
        self.tell(id, "start");
        Ok(())
    }

    fn halt(&mut self, id: &str, code: i64) {
        let (now, time) = (self.now(), self.time());
        let Some(held) = self.containers.get_mut(id) else { return };
        let mut container = held.observe(now);
        let ran = matches!(
            container.state,
            ContainerState::Running | ContainerState::Paused | ContainerState::Restarting
        );
        if ran {
            container.state = ContainerState::Exited;
            container.exit_code = Some(code);
            container.finished_at = Some(time);
            container.health = ContainerHealth::None;
        }
        held.container = container;
        held.started = None;
        if ran {
            self.tell(id, "die");
        }
    }

    fn freeze(&mut self, id: &str, from: ContainerState, to: ContainerState) -> Result<(), EngineError> {
        let now = self.now();
        let Some(held) = self.containers.get_mut(id) else { return Err(gone(id)) };
        if held.observe(now).state != from {
            return Err(EngineError::Conflict(format!("the container is not {from:?}")));
        }
        held.container.state = to;
        self.tell(id, if to == ContainerState::Paused { "pause" } else { "unpause" });
        Ok(())
    }

    fn free_name(&self, name: &str) -> Result<(), EngineError> {
        if self.containers.values().any(|held| held.container.name == name) {
            return Err(EngineError::Conflict(format!("the container name {name} is in use")));
        }
        Ok(())
    }

    fn local(&self, image: &str) -> Result<String, EngineError> {
        let by_id = || self.images.values().find(|known| known.id == image);
        let found = self.images.get(image).or_else(by_id);
        found
            .map(|image| image.id.clone())
            .ok_or_else(|| EngineError::NotFound(format!("no such image: {image}")))
    }

    fn created(&mut self, mut container: roadstead_protocol::message::container::Container) -> ContainerId {
        container.state = ContainerState::Created;
        container.started_at = None;
        let id = container.id.clone();
        self.insert(container);
        self.tell(id.as_str(), "create");
        id
    }
}

fn layer_progress(layer: &str, bytes: u64) -> Vec<PullProgress> {
    let line = |status: &str, done: u64, total: Option<u64>| PullProgress {
        layer: Some(layer.to_owned()),
        status: status.to_owned(),
        done_bytes: done,
        total_bytes: total,
    };
    vec![
        line("Pulling fs layer", 0, None),
        line("Downloading", bytes / 3, Some(bytes)),
        line("Downloading", bytes, Some(bytes)),
        line("Download complete", 0, None),
        line("Extracting", bytes, Some(bytes)),
        line("Pull complete", 0, None),
    ]
}

fn gone(container: &str) -> EngineError {
    EngineError::NotFound(format!("no such container: {container}"))
}

fn missing(reference: &str) -> EngineError {
    EngineError::NotFound(format!("manifest for {reference} not found: manifest unknown"))
}
