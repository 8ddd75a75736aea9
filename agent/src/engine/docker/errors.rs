//! What the engine says when something goes wrong, turned into who must act.

use std::error::Error;

use crate::engine::EngineError;

/// Longest message kept, in bytes.
const MAX_MESSAGE: usize = 2048;

/// From an answer with an HTTP status that means failure.
pub(super) fn by_status(status: u16, message: &str) -> EngineError {
    match by_message(message) {
        // The text knows better than the status: the engine answers 404 and 500 for troubles of a registry.
        EngineError::Refused(message) => match status {
            404 => EngineError::NotFound(message),
            409 => EngineError::Conflict(message),
            _ => EngineError::Refused(message),
        },
        known => known,
    }
}

/// From text alone: errors within a stream have no status.
pub(super) fn by_message(message: &str) -> EngineError {
    let text = message.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|part| text.contains(part));
    let message = clipped(message);
    if says(&["no space left on device", "disk quota exceeded"]) {
        EngineError::DiskFull(message)
    } else if says(&[
        "unauthorized",
        "authentication required",
        "no basic auth credentials",
        "pull access denied",
    ]) {
        EngineError::Registry(format!(
            "{message} (docker login as the agent's user on this host gives it access)"
        ))
    } else if says(&["toomanyrequests", "denied: "]) {
        EngineError::Registry(message)
    } else if says(&["manifest unknown", "name unknown", "manifest for "]) {
        EngineError::NotFound(message)
    } else if says(REGISTRY_TROUBLE) {
        EngineError::Registry(message)
    } else {
        EngineError::Refused(message)
    }
}

/// How the engine words it when it cannot talk to a registry. It reaches nothing else over the network for us.
const REGISTRY_TROUBLE: &[&str] = &[
    "dial tcp",
    "connection refused",
    "connection reset",
    "no such host",
    "i/o timeout",
    "tls handshake",
    "x509:",
    "server gave http response",
    "net/http:",
    "request canceled",
    "error parsing http",
    "received unexpected http status",
    "filesystem layer verification failed",
    "unexpected eof",
    "failed to do request",
    "failed to resolve reference",
];

/// The engine could not be asked, or broke off its answer.
pub(super) fn unreachable(error: &(dyn Error + 'static)) -> EngineError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    EngineError::Unreachable(clipped(&text))
}

/// The engine's answer makes no sense here.
pub(super) fn unreadable(why: &str) -> EngineError {
    EngineError::Refused(format!("its answer cannot be read: {}", clipped(why)))
}

fn clipped(text: &str) -> String {
    let text = text.trim();
    text[..text.floor_char_boundary(MAX_MESSAGE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: &EngineError) -> &'static str {
        match error {
            EngineError::Unreachable(_) => "unreachable",
            EngineError::NotFound(_) => "not found",
            EngineError::Conflict(_) => "conflict",
            EngineError::Registry(_) => "registry",
            EngineError::DiskFull(_) => "disk full",
            EngineError::Refused(_) => "refused",
            EngineError::TimedOut(_) => "timed out",
        }
    }

    #[test]
    fn the_engines_words_name_who_must_act() {
        let table = [
            (404, "No such container: web", "not found"),
            (
                404,
                "manifest for 127.0.0.1:5000/x:9 not found: manifest unknown: manifest unknown",
                "not found",
            ),
            (
                404,
                "pull access denied for nothing, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                "registry",
            ),
            (409, "Conflict. The container name \"/web\" is already in use by container \"1f\".", "conflict"),
            (
                409,
                "You cannot remove a running container 1f. Stop the container before attempting removal or force remove",
                "conflict",
            ),
            (
                500,
                "Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
                "registry",
            ),
            (
                500,
                "Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host",
                "registry",
            ),
            (
                500,
                "Head \"https://r.example/v2/x/manifests/1\": unauthorized: authentication required",
                "registry",
            ),
            (500, "toomanyrequests: You have reached your pull rate limit.", "registry"),
            (
                500,
                "failed to register layer: Error processing tar file(exit status 1): write /big: no space left on device",
                "disk full",
            ),
            (400, "invalid reference format", "refused"),
            (
                500,
                "driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:80 failed: port is already allocated",
                "refused",
            ),
        ];
        for (status, message, want) in table {
            assert_eq!(kind(&by_status(status, message)), want, "{message}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let EngineError::Refused(text) = by_message(&"ß".repeat(5000)) else { panic!() };
        assert_eq!(text.len(), MAX_MESSAGE);
    }
}
