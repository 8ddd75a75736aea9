//! Which containers belong to a compose project, and are not only said to by whoever made their image.

use std::collections::BTreeMap;

use roadstead_protocol::message::container::Container;

use crate::commands::Context;
use crate::engine::{Engine, EngineError};

/// Says which project a container is of; compose writes it onto images that it builds, too.
const PROJECT: &str = "com.docker.compose.project";

/// What compose writes onto every container that it makes, and onto no image.
const CONFIG: &str = "com.docker.compose.config-hash";

/// Every container but those that only their image counts among those of `project`: such an image would otherwise take
/// the place, and with it the mounts, of the service that it names.
pub(in crate::commands) async fn containers<E: Engine>(
    context: &Context<E>,
    project: &str,
) -> Result<Vec<Container>, EngineError> {
    let mut containers = context.engine.containers().await?;
    let mut images: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for container in containers.iter().filter(|container| container.compose_project() == Some(project)) {
        if !images.contains_key(&container.image_id) {
            let image = context.engine.image(&container.image_id).await?.unwrap_or_default();
            images.insert(container.image_id.clone(), image.labels);
        }
    }
    containers.retain(|container| {
        images.get(&container.image_id).is_none_or(|image| !only_its_image_says_so(container, image))
    });
    Ok(containers)
}

fn only_its_image_says_so(container: &Container, image: &BTreeMap<String, String>) -> bool {
    let from_image = |label: &str| container.labels.get(label) == image.get(label);
    container.labels.contains_key(PROJECT) && from_image(PROJECT) && from_image(CONFIG)
}
