//! Pulling an image, and asking its registry what it has.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use hyper::Method;
use serde::Deserialize;

use super::lines::lines;
use super::names::{ImageReference, checked_image};
use super::wire::{Wire, escaped};
use super::{credentials, errors};
use crate::engine::{EngineError, PullProgress};

/// Pulls. Dropping the stream closes the connection, on which the engine stops. It has no time-out of its own:
/// whoever ordered the pull has a deadline.
pub(super) fn pull(
    wire: Arc<Wire>,
    reference: &str,
) -> BoxStream<'static, Result<PullProgress, EngineError>> {
    let asked = ImageReference::parse(reference).map(|image| {
        let (repository, version) = (escaped(image.repository), escaped(image.version));
        (format!("/images/create?fromImage={repository}&tag={version}"), credentials::of_registry(&image))
    });
    let begun = async move {
        let (path, credentials) = asked?;
        wire.open_signed_in(Method::POST, &path, credentials.as_ref()).await.map(lines)
    };
    stream::once(begun).try_flatten().try_filter_map(|line| ready(progress(&line).transpose())).boxed()
}

/// The digest of what the registry has for `reference`.
pub(super) async fn registry_digest(
    wire: &Wire,
    reference: &str,
    within: Duration,
) -> Result<String, EngineError> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Distribution {
        descriptor: Descriptor,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Descriptor {
        digest: Option<String>,
    }
    let path = format!("/distribution/{}/json", checked_image(reference)?);
    let credentials = credentials::of_registry(&ImageReference::parse(reference)?);
    let answer = wire.get_signed_in::<Distribution>(&path, credentials.as_ref(), within).await;
    let answer = answer.map_err(|error| match error {
        // Nothing but the registry was asked.
        EngineError::Refused(reason) => EngineError::Registry(reason),
        other => other,
    })?;
    answer.descriptor.digest.ok_or_else(|| errors::unreadable("no digest of the image"))
}

/// What is read of a line.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Line {
    id: Option<String>,
    status: Option<String>,
    error_detail: Option<ErrorDetail>,
    progress_detail: Option<ProgressDetail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProgressDetail {
    current: Option<i64>,
    total: Option<i64>,
}

/// One line of the stream; none if it is empty.
fn progress(line: &[u8]) -> Option<Result<PullProgress, EngineError>> {
    if line.trim_ascii().is_empty() {
        return None;
    }
    let line: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => return Some(Err(errors::unreadable(&error.to_string()))),
    };
    if let Some(error) = line.error_detail {
        return Some(Err(errors::by_message(&error.message.unwrap_or_default())));
    }
    let (done, total) = line.progress_detail.map_or((None, None), |detail| (detail.current, detail.total));
    let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let status = line.status.unwrap_or_default();
    // The first line carries the tag where layers carry their id.
    let layer = line.id.filter(|_| !status.starts_with("Pulling from "));
    Some(Ok(PullProgress {
        layer,
        status,
        done_bytes: bytes(done).unwrap_or(0),
        total_bytes: bytes(total).filter(|total| *total > 0),
    }))
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    fn read(line: &str) -> PullProgress {
        progress(line.as_bytes()).unwrap().unwrap()
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
        assert_eq!(progress(b"\r\n"), None);
    }

    #[test]
    fn an_error_within_the_stream_is_one() {
        let line = br#"{"errorDetail":{"message":"write /x: no space left on device"},"error":"write /x: no space left on device"}"#;
        assert!(matches!(progress(line), Some(Err(EngineError::DiskFull(_)))));
        assert!(matches!(progress(b"<html>"), Some(Err(EngineError::Refused(_)))));
    }

    #[test]
    fn fuzz_progress_of_a_pull() {
        let samples = [
            r#"{"status":"Downloading","progressDetail":{"current":1234,"total":5678},"progress":"[=>  ]","id":"a3ed95caeb02"}"#,
            r#"{"status":"Pulling from library/base","id":"1"}"#,
            r#"{"errorDetail":{"code":401,"message":"unauthorized"},"error":"unauthorized"}"#,
        ];
        fuzz("progress of a pull", &text(&samples, &["\"total\":-1", "\"current\":"]), |line| {
            matches!(progress(line.as_bytes()), Some(Ok(_)))
        });
    }
}
