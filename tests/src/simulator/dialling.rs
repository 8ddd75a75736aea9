//! Links and again, as a real agent does it: the protocol's own back-off between attempts.

use std::time::Duration;

use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::Link;
use roadstead_protocol::link::backoff::Backoff;
use roadstead_protocol::link::dialer::dial_from;
use roadstead_protocol::link::handshake::{GreetError, greet};
use roadstead_protocol::link::listener::{ListenLimits, Listener};
use roadstead_protocol::link::tls::Trust;
use roadstead_protocol::message::hello::Refusal;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::agent::Agent;
use super::invitation::Way;
use super::pulse::part_of;
use super::serving::serve;

/// How long to wait after a refusal that only a person can lift.
const REFUSED: Duration = Duration::from_secs(60);

/// What became of a link.
enum After {
    /// There was a session, or an attempt that failed.
    Usual,
    /// The controller wants to be left alone for so long at least.
    Asked(Duration),
}

impl Agent {
    pub(super) async fn keep_dialling(&mut self, way: Way, stop: &CancellationToken) {
        let ramp = Duration::from_secs_f64(self.common.script.ramp);
        let mut wait = part_of(ramp);
        let mut backoff = Backoff::default();
        while stop.run_until_cancelled(sleep_until(Instant::now() + wait)).await.is_some() {
            let began = Instant::now();
            let trust = Trust::Only(way.token.controller);
            let dialling = Box::pin(dial_from(way.source, way.socket, &way.address, &self.identity, trust));
            let Some(dialled) = stop.run_until_cancelled(dialling).await else { return };
            let after = match dialled {
                Ok(link) => self.session(link, &way.token, began, stop).await,
                Err(error) => {
                    tracing::debug!(agent = self.number, %error, "cannot dial");
                    self.common.tally.undialled.add(1);
                    After::Usual
                }
            };
            wait = match after {
                After::Usual => {
                    backoff.session_lasted(began.elapsed());
                    backoff.next_wait()
                }
                After::Asked(asked) => backoff.next_wait_asked(asked),
            };
        }
    }

    pub(super) async fn be_dialled(
        &mut self,
        listener: TcpListener,
        token: &JoinToken,
        stop: &CancellationToken,
    ) {
        let trust = Trust::Only(token.controller);
        let mut listener = Listener::new(listener, self.identity.clone(), trust, ListenLimits::default());
        while let Some(Ok(link)) = stop.run_until_cancelled(listener.accept()).await {
            self.session(link, token, Instant::now(), stop).await;
        }
    }

    /// One link, from Hello to its end.
    async fn session(
        &mut self,
        mut link: Link<TcpStream>,
        token: &JoinToken,
        began: Instant,
        stop: &CancellationToken,
    ) -> After {
        let hello = self.hello(token.proof());
        let Some(greeted) = stop.run_until_cancelled(Box::pin(greet(&mut link, &hello))).await else {
            return After::Usual;
        };
        let tally = &self.common.tally;
        match greeted {
            Ok(welcome) => {
                tally.linking.add(began.elapsed());
                Box::pin(serve(self, link, &welcome, stop)).await;
                After::Usual
            }
            Err(GreetError::Refused(refusal)) => {
                tally.refused(name(&refusal));
                match refusal {
                    Refusal::Busy { retry_after_ms } => {
                        After::Asked(Duration::from_millis(retry_after_ms.into()))
                    }
                    refusal if refusal.is_temporary() => After::Usual,
                    _ => After::Asked(REFUSED),
                }
            }
            Err(error) => {
                tracing::debug!(agent = self.number, %error, "no session");
                tally.undialled.add(1);
                After::Usual
            }
        }
    }
}

/// The refusal's text without what differs from one to the next.
fn name(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Busy { .. } => "busy".to_owned(),
        other => other.to_string(),
    }
}
