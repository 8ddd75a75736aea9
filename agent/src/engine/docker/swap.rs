//! What replacing a container asks of the engine beside creating, renaming and removing.

use serde_json::{Value, json};

use super::names::checked;
use super::{ACT_TIMEOUT, DockerEngine, LIST_TIMEOUT, recreate};
use crate::engine::EngineError;

impl DockerEngine {
    /// Whether the container of this inspection may be replaced.
    pub(super) async fn replaceable(&self, inspection: &Value) -> Result<(), EngineError> {
        if let Some(obstacle) = recreate::obstacle(inspection) {
            return Err(EngineError::Conflict(obstacle));
        }
        let list: Value = self.wire.get("/containers/json?all=1", LIST_TIMEOUT).await?;
        let sharers = recreate::sharers(&list, inspection["Id"].as_str().unwrap_or_default());
        if sharers.is_empty() {
            return Ok(());
        }
        Err(EngineError::Conflict(format!(
            "its network is used by {}, which would be left with none: update them together, with compose or a script",
            sharers.join(", ")
        )))
    }

    /// Gives a container the restart policy of another one, or none (<https://docs.docker.com/reference/api/engine/>,
    /// `ContainerUpdate`).
    pub(super) async fn update_restart(
        &self,
        container: &str,
        like: Option<&str>,
    ) -> Result<(), EngineError> {
        let policy = match like {
            Some(like) => {
                let other = self.inspect_as::<Value>(like).await?;
                let gone = || EngineError::NotFound(format!("No such container: {like}"));
                other.ok_or_else(gone)?["HostConfig"]["RestartPolicy"].clone()
            }
            None => json!({ "Name": "no" }),
        };
        let path = format!("/containers/{}/update", checked(container)?);
        self.wire.post::<Value>(&path, &json!({ "RestartPolicy": policy }), ACT_TIMEOUT).await.map(drop)
    }
}
