//! The fake engine as the watcher sees it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use roadstead_protocol::message::container::{Container, Figures};
use roadstead_protocol::message::ids::ContainerId;
use roadstead_protocol::message::inspection::{ContainerDetails, Setting};
use roadstead_protocol::message::time::UnixMicros;
use tokio::sync::mpsc;

use super::FakeEngine;
use super::model::SUBSCRIBER_ROOM;
use crate::engine::{
    Effort, EngineError, EngineEvent, EngineInfo, EngineView, Inspected, Listed, Print, Survey,
};

impl EngineView for FakeEngine {
    async fn identify(&self) -> Result<EngineInfo, EngineError> {
        self.call("identify", false).await?;
        Ok(self.model().info.clone())
    }

    async fn ping(&self) -> Result<(), EngineError> {
        self.call("ping", false).await
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        self.call("list", false).await?;
        let listed = |one: Container| Listed { print: print(&one), id: one.id };
        Ok(self.model().observe_all().into_iter().map(listed).collect())
    }

    async fn survey(&self) -> Result<Survey, EngineError> {
        self.call("containers", false).await?;
        let (mut survey, mut model) = (Survey::default(), self.model());
        for one in model.observe_all() {
            let print = print(&one);
            match model.failure_of(&format!("survey {}", one.name)) {
                Ok(()) => survey.found.push((one, print)),
                Err(error) => survey.failed.push((Listed { id: one.id, print }, error)),
            }
        }
        Ok(survey)
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        let name = self.one(id).map_or_else(|| id.to_owned(), |container| container.name);
        self.call(&format!("container {name}"), false).await?;
        Ok(self.one(id))
    }

    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, EngineError> {
        let Some(found) = self.one(id) else { return Ok(None) };
        self.call(&format!("inspect {}", found.name), false).await?;
        let (reach, env) = self.model().inspections.get(found.id.as_str()).cloned().unwrap_or_default();
        let setting = |(name, value)| Setting { name, value: Some(value) };
        let details = ContainerDetails {
            env: env.into_iter().map(setting).collect(),
            labels: found.labels.into_iter().map(setting).collect(),
            privileges: reach.privileges.clone(),
            image_id: found.image_id,
            ..ContainerDetails::of(found.id)
        };
        Ok(Some(Inspected { details, reach }))
    }

    async fn events(
        &self,
        since: Option<UnixMicros>,
        until: Option<UnixMicros>,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        self.call("events", false).await?;
        // Its clock is its own; until some time is until now.
        if until.is_some() {
            let model = self.model();
            let past = model.history.iter().filter(|event| since <= Some(event.at));
            return Ok(stream::iter(past.cloned().map(Ok).collect::<Vec<_>>()).boxed());
        }
        let (sender, receiver) = mpsc::channel(SUBSCRIBER_ROOM);
        let past: Vec<_> = {
            let mut model = self.model();
            model.subscribers.push(sender);
            let kept = model.history.iter().filter(|event| since.is_some_and(|since| event.at >= since));
            kept.cloned().map(Ok).collect()
        };
        let live = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|event| (event, receiver))
        });
        Ok(stream::iter(past).chain(live).boxed())
    }

    async fn figures(&self, containers: &[ContainerId], effort: Effort) -> Vec<Figures> {
        let call = match effort {
            Effort::Read => "read figures",
            Effort::Ask => "figures",
        };
        if self.call(call, false).await.is_err() {
            return Vec::new();
        }
        let mut model = self.model();
        model.samplings += 1;
        if effort == Effort::Read && !model.readable {
            return Vec::new();
        }
        containers.iter().filter_map(|id| model.figures.get(id.as_str()).cloned()).collect()
    }
}

/// Of what a real engine's list says: not when a container started, nor its restart policy.
fn print(container: &Container) -> Print {
    let mut hasher = DefaultHasher::new();
    let Container { name, image, state, health, exit_code, networks, ports, .. } = container;
    format!("{name} {image} {state:?} {health:?} {exit_code:?} {networks:?} {ports:?}").hash(&mut hasher);
    Print(hasher.finish())
}
