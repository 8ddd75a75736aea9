//! Pulling an image with progress that is worth reading: bytes per layer, a few lines a second.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use roadstead_protocol::message::policy::Verb;
use roadstead_protocol::message::progress::{LogStream, Progress, Step, StepState};
use tokio::time::Instant;

use super::Context;
use crate::engine::{Engine, EngineError, PullProgress};

/// Shortest time between two lines of one layer in one status, for a pull that has said little so far.
const PACE: Duration = Duration::from_millis(200);

/// Why a pull did not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PullError {
    /// The command was told to stop.
    #[error("cancelled while pulling")]
    Halted,
    /// It was never in a registry, and there is none in its registry now: nothing to pull, nothing wrong.
    #[error("the image is only on this host (built or imported here, never pulled): {0}")]
    LocalOnly(EngineError),
    /// The engine or the registry.
    #[error("{0}")]
    Engine(#[from] EngineError),
}

/// Pulls `reference` and returns the id of the local image it then stands for. Nothing but the image store changes.
pub(super) async fn pull<E: Engine>(
    context: &Context<E>,
    service: &str,
    reference: &str,
) -> Result<String, PullError> {
    context.journal.step(Step::Pull, Some(service), StepState::Started, reference);
    // What is asked for was checked before; this also holds what the policy forbade since, and whatever was missed.
    let result = match context.policy.check_image(Verb::Sync, reference) {
        Ok(()) => stream(context, service, reference).await,
        Err(refusal) => Err(EngineError::Refused(refusal.to_string()).into()),
    };
    let (state, detail) = match &result {
        Ok(id) => (StepState::Done, format!("{reference} is {id}")),
        Err(error @ PullError::LocalOnly(_)) => (StepState::Skipped, error.to_string()),
        Err(error) => (StepState::Failed, error.to_string()),
    };
    context.journal.step(Step::Pull, Some(service), state, &detail);
    result
}

async fn stream<E: Engine>(
    context: &Context<E>,
    service: &str,
    reference: &str,
) -> Result<String, PullError> {
    let mut progress = context.engine.pull(reference);
    let mut pacer = Pacer::default();
    let report = |entries: Vec<PullProgress>| {
        for entry in entries {
            context.journal.write(line(service, reference, entry));
        }
    };
    let ended = loop {
        let due = pacer.next_due();
        let woken = tokio::select! {
            biased;
            () = context.halt.cancelled() => Woken::Halted,
            item = progress.next() => Woken::Item(item),
            () = sleep_until(due) => Woken::Due,
        };
        let now = Instant::now();
        match woken {
            Woken::Halted => break Err(PullError::Halted),
            Woken::Item(Some(Ok(item))) => report(pacer.offer(item, now)),
            Woken::Item(Some(Err(error))) => break Err(error.into()),
            Woken::Item(None) => break Ok(()),
            Woken::Due => report(pacer.due(now)),
        }
    };
    report(pacer.rest());
    match ended {
        Ok(()) => {
            let image = context.engine.image(reference).await?;
            let gone = || EngineError::NotFound(format!("{reference} was pulled and is gone again"));
            Ok(image.ok_or_else(gone)?.id)
        }
        Err(PullError::Engine(error)) => Err(explain(context, reference, error).await),
        Err(other) => Err(other),
    }
}

/// Tells an image that cannot be pulled because it never was in a registry from one that should be there.
async fn explain<E: Engine>(context: &Context<E>, reference: &str, error: EngineError) -> PullError {
    let unknown =
        matches!(error, EngineError::NotFound(_) | EngineError::Registry(_) | EngineError::Refused(_));
    if unknown
        && let Ok(Some(image)) = context.engine.image(reference).await
        && image.repo_digests.is_empty()
    {
        return PullError::LocalOnly(error);
    }
    PullError::Engine(error)
}

enum Woken {
    Halted,
    Item(Option<Result<PullProgress, EngineError>>),
    Due,
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn line(service: &str, reference: &str, progress: PullProgress) -> Progress {
    let service = Some(service.to_owned());
    let Some(layer) = progress.layer else {
        return Progress::Log { stream: LogStream::Agent, service, text: progress.status };
    };
    Progress::Layer {
        service,
        image: reference.to_owned(),
        layer,
        status: progress.status,
        done_bytes: progress.done_bytes,
        total_bytes: progress.total_bytes,
    }
}

/// Lets through what is new and holds back mere byte counts that follow each other too closely. The last count
/// of every status always comes through.
#[derive(Default)]
struct Pacer {
    layers: HashMap<String, Layer>,
    said: u32,
}

struct Layer {
    status: String,
    told_at: Instant,
    waiting: Option<PullProgress>,
}

impl Pacer {
    /// What to say now that `progress` has come.
    fn offer(&mut self, progress: PullProgress, now: Instant) -> Vec<PullProgress> {
        let Some(name) = progress.layer.clone() else { return self.say(vec![progress]) };
        let pace = self.pace();
        let Some(layer) = self.layers.get_mut(&name) else {
            let status = progress.status.clone();
            self.layers.insert(name, Layer { status, told_at: now, waiting: None });
            return self.say(vec![progress]);
        };
        if layer.status == progress.status && now < layer.told_at + pace {
            layer.waiting = Some(progress);
            return Vec::new();
        }
        let overtaken = if layer.status == progress.status { None } else { layer.waiting.take() };
        layer.waiting = None;
        layer.status.clone_from(&progress.status);
        layer.told_at = now;
        self.say(overtaken.into_iter().chain([progress]).collect())
    }

    /// When something held back may be said.
    fn next_due(&self) -> Option<Instant> {
        let waiting = self.layers.values().filter(|layer| layer.waiting.is_some());
        waiting.map(|layer| layer.told_at + self.pace()).min()
    }

    /// What was held back long enough.
    fn due(&mut self, now: Instant) -> Vec<PullProgress> {
        let pace = self.pace();
        let mut entries = Vec::new();
        for layer in self.layers.values_mut().filter(|layer| layer.told_at + pace <= now) {
            if let Some(entry) = layer.waiting.take() {
                layer.told_at = now;
                entries.push(entry);
            }
        }
        self.say(entries)
    }

    /// Everything held back.
    fn rest(&mut self) -> Vec<PullProgress> {
        self.layers.values_mut().filter_map(|layer| layer.waiting.take()).collect()
    }

    /// The more a pull has said, the slower it speaks, so that a long one stays within its log.
    fn pace(&self) -> Duration {
        match self.said {
            0..1_000 => PACE,
            1_000..2_000 => PACE * 5,
            _ => PACE * 50,
        }
    }

    fn say(&mut self, entries: Vec<PullProgress>) -> Vec<PullProgress> {
        self.said = self.said.saturating_add(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(layer: &str, status: &str, done_bytes: u64) -> PullProgress {
        let total_bytes = Some(1_000);
        PullProgress { layer: Some(layer.to_owned()), status: status.to_owned(), done_bytes, total_bytes }
    }

    fn counts(entries: &[PullProgress]) -> Vec<u64> {
        entries.iter().map(|entry| entry.done_bytes).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn byte_counts_are_thinned_and_the_last_of_each_status_is_said() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        let mut said = Vec::new();
        for millis in 0..=500 {
            let now = start + Duration::from_millis(millis);
            said.extend(pacer.offer(bytes("a", "Downloading", millis), now));
        }
        assert_eq!(counts(&said), [0, 200, 400]);
        let now = start + Duration::from_millis(501);
        assert_eq!(counts(&pacer.offer(bytes("a", "Extracting", 7), now)), [500, 7]);
        assert!(pacer.rest().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_layer_still_shows_its_last_count() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        pacer.offer(bytes("a", "Downloading", 1), start);
        assert_eq!(pacer.next_due(), None);
        pacer.offer(bytes("a", "Downloading", 2), start);
        assert_eq!(pacer.next_due(), Some(start + PACE));
        assert_eq!(counts(&pacer.due(start + PACE)), [2]);
        assert_eq!(pacer.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn layers_do_not_slow_each_other() {
        let now = Instant::now();
        let mut pacer = Pacer::default();
        assert_eq!(pacer.offer(bytes("a", "Downloading", 1), now).len(), 1);
        assert_eq!(pacer.offer(bytes("b", "Downloading", 1), now).len(), 1);
        pacer.offer(bytes("b", "Downloading", 9), now);
        assert_eq!(counts(&pacer.rest()), [9]);
    }
}
