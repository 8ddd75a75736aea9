//! Pulling an image, and asking its registry what it has.

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::errors;
use super::names::{ImageReference, checked_image};
use crate::engine::{EngineError, PullProgress};

/// Pulls. Dropping the stream closes the connection, on which the engine stops. It has no time-out of its own:
/// whoever ordered the pull has a deadline.
pub(super) fn pull(
    docker: &bollard::Docker,
    reference: &str,
) -> BoxStream<'static, Result<PullProgress, EngineError>> {
    let reference = match ImageReference::parse(reference) {
        Ok(reference) => reference,
        Err(error) => return stream::iter([Err(error)]).boxed(),
    };
    let options =
        CreateImageOptionsBuilder::new().from_image(reference.repository).tag(reference.version).build();
    docker
        .create_image(Some(options), None, None)
        .map(|item| item.map(progress).map_err(errors::from_bollard))
        .boxed()
}

/// The digest of what the registry has for `reference`.
pub(super) async fn registry_digest(
    docker: &bollard::Docker,
    reference: &str,
) -> Result<String, EngineError> {
    let reference = checked_image(reference)?;
    let answer = docker.inspect_registry_image(reference, None).await.map_err(|error| {
        match errors::from_bollard(error) {
            // Nothing but the registry was asked.
            EngineError::Refused(reason) => EngineError::Registry(reason),
            other => other,
        }
    })?;
    answer.descriptor.digest.ok_or_else(|| errors::unreadable("no digest of the image"))
}

fn progress(info: CreateImageInfo) -> PullProgress {
    let (done, total) = info.progress_detail.map_or((None, None), |detail| (detail.current, detail.total));
    let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let status = info.status.unwrap_or_default();
    // The first line carries the tag where layers carry their id.
    let layer = info.id.filter(|_| !status.starts_with("Pulling from "));
    PullProgress {
        layer,
        status,
        done_bytes: bytes(done).unwrap_or(0),
        total_bytes: bytes(total).filter(|total| *total > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> PullProgress {
        progress(serde_json::from_str(line).unwrap())
    }

    #[test]
    fn lines_as_an_engine_writes_them() {
        let first = read(r#"{"status":"Pulling from team/web","id":"2"}"#);
        assert_eq!((first.layer, first.status.as_str()), (None, "Pulling from team/web"));
        let layer = read(
            r#"{"status":"Downloading","progressDetail":{"current":32768,"total":4194304},"progress":"[>  ]","id":"5d20c808ce19"}"#,
        );
        assert_eq!(
            (layer.layer.as_deref(), layer.done_bytes, layer.total_bytes),
            (Some("5d20c808ce19"), 32768, Some(4_194_304))
        );
        let done = read(r#"{"status":"Pull complete","progressDetail":{},"id":"5d20c808ce19"}"#);
        assert_eq!((done.done_bytes, done.total_bytes), (0, None));
        let unknown_size =
            read(r#"{"status":"Downloading","progressDetail":{"current":7,"total":-1},"id":"a"}"#);
        assert_eq!((unknown_size.done_bytes, unknown_size.total_bytes), (7, None));
    }
}
