//! Looking at every container in a list. One that cannot be looked at, or takes too long, is no reason to know nothing of
//! the others; an engine that is gone is.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use crate::engine::{EngineError, EngineView, Listed, Survey};

/// Containers that are looked at at the same time.
const AT_ONCE: usize = 8;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(25);

pub(super) async fn every<E: EngineView>(engine: &E, list: Vec<Listed>) -> Result<Survey, EngineError> {
    let until = Instant::now() + LIMIT;
    let looks = list.into_iter().map(|listed| async move {
        let found = timeout_at(until, engine.container(listed.id.as_str())).await;
        (listed, found.unwrap_or(Err(EngineError::TimedOut(LIMIT))))
    });
    let mut looks = stream::iter(looks).buffered(AT_ONCE);
    let mut survey = Survey::default();
    while let Some((listed, found)) = looks.next().await {
        match found {
            Ok(Some(container)) => survey.found.push((container, listed.print)),
            // It vanished meanwhile.
            Ok(None) => {}
            Err(error @ EngineError::Unreachable(_)) => return Err(error),
            Err(error) => survey.failed.push((listed, error)),
        }
    }
    Ok(survey)
}
