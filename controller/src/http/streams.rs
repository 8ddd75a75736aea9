//! What every open stream has: a place among those that may be open at once, and somebody whose session goes on.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::Instant;

use super::App;
use super::access::{Peer, credential};
use super::problem::Problem;
use crate::accounts::limits::{AtOnce, AtWork};
use crate::accounts::{Credential, Person};

/// Streams (live views, followed logs) at once; a further one is refused.
pub(super) const STREAMS: usize = 256;

/// Streams of one user, or of all guests together: nobody can take every place.
pub(super) const STREAMS_PER_USER: usize = 64;

/// How often a stream makes sure that its session is still open, and agents are asked for figures again.
pub(super) const RECHECK: Duration = Duration::from_secs(10);

/// The places that are taken, by user.
pub(super) struct Streams(AtOnce<String>);

/// A place that is free again once this is dropped.
pub(super) type StreamPlace = AtWork<String>;

/// Somebody who follows a stream, for as long as they may.
pub(super) struct Visit {
    pub(super) person: Person,
    credential: Credential,
}

/// Somebody who reads something long, portion by portion, as slowly as they like.
pub(super) struct Reading {
    app: Arc<App>,
    visit: Visit,
    recheck_at: Instant,
    _place: StreamPlace,
}

/// Whoever reads may not any more: the answer ends before its time, which is told from its end.
#[derive(Debug, thiserror::Error)]
#[error("whoever reads this may not any more")]
pub(super) struct Over;

impl Default for Streams {
    fn default() -> Self {
        Self(AtOnce::new(STREAMS_PER_USER).in_all(STREAMS))
    }
}

impl Streams {
    /// A place for `person`.
    pub(super) fn place(&self, person: &Person) -> Result<StreamPlace, Problem> {
        let detail = "Too many live views are open; close some, or try again in a minute.";
        self.0.begin(person.name.clone()).ok_or_else(|| Problem::busy(detail, 60))
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.0.count()
    }
}

impl Visit {
    /// `person`, who came with these headers.
    pub(super) fn new(person: Person, headers: &HeaderMap, peer: &Peer) -> Result<Self, Problem> {
        let credential = credential(headers, peer)?.ok_or_else(Problem::not_logged_in)?;
        Ok(Self { person, credential })
    }

    /// Whether the session or token is still good, and for the same: a stream ends when a role or tags change, and
    /// the browser opens another.
    pub(super) async fn goes_on(&self, app: &App) -> bool {
        app.services.accounts.is_still(&self.person, &self.credential).await.unwrap_or(false)
    }
}

impl Reading {
    /// `person`, who came with these headers, and takes a place.
    pub(super) fn new(
        app: &Arc<App>,
        person: Person,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Self, Problem> {
        let place = app.streams.place(&person)?;
        let (visit, recheck_at) = (Visit::new(person, headers, peer)?, Instant::now() + RECHECK);
        Ok(Self { app: Arc::clone(app), visit, recheck_at, _place: place })
    }

    /// Asked before each portion.
    pub(super) async fn goes_on(&mut self) -> Result<(), Over> {
        if Instant::now() < self.recheck_at {
            return Ok(());
        }
        self.recheck_at = Instant::now() + RECHECK;
        if self.visit.goes_on(&self.app).await { Ok(()) } else { Err(Over) }
    }
}
