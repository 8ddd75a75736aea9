//! One session of a simulated agent: the picture and its changes, events, progress and figures; and what the controller
//! asks.

use std::time::Duration;

use roadstead_protocol::link::Link;
use roadstead_protocol::link::session::{Heartbeat, LinkHealth, Session, SessionEnd, open};
use roadstead_protocol::message::codec::{PART, encoded_size};
use roadstead_protocol::message::event::EventKind;
use roadstead_protocol::message::hello::Welcome;
use roadstead_protocol::message::inspection::Inspection;
use roadstead_protocol::message::snapshot::SnapshotPart;
use roadstead_protocol::message::to_agent::ToAgent;
use roadstead_protocol::message::to_controller::ToController;
use roadstead_protocol::queue::{Ended, Incoming, Outgoing};
use tokio::net::TcpStream;
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::agent::Agent;
use super::host::{Happenings, Host};
use super::pulse::{Pulse, part_of};
use super::script::Script;
use super::work::Said;

/// Between figures while somebody looks.
const WATCHED: Duration = Duration::from_secs(10);

/// How the work of a session ended before the session itself.
enum Stopped {
    /// All agents end.
    Goodbye,
    /// The script cuts the link.
    Cut,
    /// The session is over.
    Closed,
}

/// Serves one session until it ends.
pub(super) async fn serve(
    agent: &mut Agent,
    link: Link<TcpStream>,
    welcome: &Welcome,
    stop: &CancellationToken,
) {
    let common = std::sync::Arc::clone(&agent.common);
    let (session, pump) = open::<_, ToController, ToAgent>(link, Heartbeat::Send, || true);
    let Session { outgoing, incoming, health, closer, .. } = session;
    common.tally.acknowledged.add(agent.outbox.begin_session(welcome.acknowledged));
    let _live = common.tally.begun(common.script.agents);
    let work = async {
        let stopped = Live::new(agent, outgoing, incoming, health).run(stop).await;
        if !matches!(stopped, Stopped::Cut) {
            closer.cancel();
            std::future::pending::<()>().await;
        }
    };
    select! {
        end = pump => match end {
            SessionEnd::ClosedByUs => {}
            end => common.tally.lost(end.to_string()),
        },
        () = work => common.tally.cut.add(1),
    }
}

/// A session at work.
struct Live<'a> {
    agent: &'a mut Agent,
    outgoing: Outgoing<ToController>,
    incoming: Incoming<ToAgent>,
    health: watch::Receiver<LinkHealth>,
    happenings: Pulse,
    churn: Pulse,
    cut: Pulse,
    slow: Option<Duration>,
    figures_at: Option<Instant>,
    watched_until: Instant,
}

/// What comes next.
enum Next {
    Stop(Stopped),
    Heard(ToAgent),
    Health(LinkHealth),
    Happened(Happenings),
    Storm(usize),
    Said(Said),
    Figures,
}

impl<'a> Live<'a> {
    fn new(
        agent: &'a mut Agent,
        outgoing: Outgoing<ToController>,
        incoming: Incoming<ToAgent>,
        health: watch::Receiver<LinkHealth>,
    ) -> Self {
        let (script, number) = (&agent.common.script, agent.number);
        let now = Instant::now();
        let every = Duration::from_secs_f64(script.figures_every);
        let chosen = |per_cent, value: f64| if Script::among(number, per_cent) { value } else { 0.0 };
        Self {
            happenings: Pulse::new(script.share(script.events)),
            churn: Pulse::new(script.share(script.churn)),
            cut: Pulse::new(chosen(script.flapping, script.flap_after)),
            slow: Script::among(number, script.slow).then(|| Duration::from_secs_f64(script.slow_by)),
            figures_at: (!every.is_zero()).then(|| now + part_of(every)),
            watched_until: now,
            agent,
            outgoing,
            incoming,
            health,
        }
    }

    async fn run(mut self, stop: &CancellationToken) -> Stopped {
        if self.tell_picture().await.is_err() {
            return Stopped::Closed;
        }
        loop {
            if self.tell_events().await.is_err() {
                return Stopped::Closed;
            }
            let told = match self.next(stop).await {
                Next::Stop(stopped) => return stopped,
                Next::Heard(message) => self.obey(message).await,
                Next::Health(health) => {
                    self.agent.common.tally.late.add(usize::from(health == LinkHealth::Late));
                    Ok(())
                }
                Next::Happened(happenings) => self.happened(happenings).await,
                Next::Storm(size) => {
                    for _ in 0..size {
                        let what = self.agent.host.say();
                        self.record(what);
                    }
                    Ok(())
                }
                Next::Said(said) => self.said(said).await,
                Next::Figures => self.tell_figures().await,
            };
            if told.is_err() {
                return Stopped::Closed;
            }
        }
    }

    async fn next(&mut self, stop: &CancellationToken) -> Next {
        let (full, slow) = (self.agent.outbox.is_full(), self.slow);
        let Agent { host, commands, common, storms, .. } = &mut *self.agent;
        let figures_at = self.figures_at;
        let figures = async {
            match figures_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let heard = async {
            if let Some(slow) = slow {
                sleep_until(Instant::now() + slow).await;
            }
            self.incoming.recv().await
        };
        select! {
            () = stop.cancelled() => Next::Stop(Stopped::Goodbye),
            () = self.cut.beat() => Next::Stop(Stopped::Cut),
            message = heard => message.map_or(Next::Stop(Stopped::Closed), Next::Heard),
            Ok(()) = self.health.changed() => Next::Health(*self.health.borrow_and_update()),
            said = commands.next() => Next::Said(said),
            Ok(()) = storms.changed() => Next::Storm(storms.borrow_and_update().1),
            () = self.happenings.beat() => happen(common, full, || host.stop_or_start()),
            () = self.churn.beat() => happen(common, full, || host.replace()),
            () = figures => Next::Figures,
        }
    }

    async fn obey(&mut self, message: ToAgent) -> Result<(), Ended> {
        let commands = &mut self.agent.commands;
        match message {
            ToAgent::Order(order) => {
                let command = order.id;
                let (new, standing) = commands.order(*order);
                self.agent.common.tally.orders.add(usize::from(new));
                self.send(ToController::Standing { command, standing }).await
            }
            ToAgent::Cancel { command } => {
                commands.cancel(command);
                Ok(())
            }
            ToAgent::Enquire { command, next_line } => {
                let (standing, lines) = (commands.standing(command), commands.lines(command, next_line));
                self.send(ToController::Standing { command, standing }).await?;
                if lines.is_empty() { Ok(()) } else { self.send(ToController::Progress { lines }).await }
            }
            ToAgent::Acknowledge { epoch, up_to } => {
                let (settled, took) = self.agent.outbox.acknowledged(epoch, up_to);
                let tally = &self.agent.common.tally;
                tally.acknowledged.add(settled.len());
                tally.settled(&settled);
                took.into_iter().for_each(|took| tally.acknowledging.add(took));
                Ok(())
            }
            ToAgent::Watch { seconds } => {
                let now = Instant::now();
                self.watched_until = now + Duration::from_secs(seconds.into());
                self.figures_at.get_or_insert(now);
                Ok(())
            }
            ToAgent::Probe { nonce } => {
                let engine = self.agent.host.engine();
                self.send(ToController::Probed { nonce, engine, engine_micros: 300 }).await
            }
            ToAgent::Inspect { nonce, .. } => {
                let reason = "a simulated host has no details of its containers".to_owned();
                self.send(ToController::Inspected { nonce, found: Inspection::Failed { reason } }).await
            }
            ToAgent::ControllerKeys { keys } => self.send(ToController::ControllerKnown { keys }).await,
            // Its key stays the one in the file.
            ToAgent::RotateKey | ToAgent::KeyFiled { .. } | ToAgent::Unknown => Ok(()),
        }
    }

    async fn happened(&mut self, happenings: Happenings) -> Result<(), Ended> {
        for what in happenings.events {
            self.record(what);
        }
        for change in happenings.changes {
            self.send(ToController::Change { change }).await?;
        }
        Ok(())
    }

    async fn said(&mut self, said: Said) -> Result<(), Ended> {
        self.send(ToController::Progress { lines: vec![said.line] }).await?;
        if let Some((command, outcome)) = said.outcome {
            self.agent.common.tally.outcomes.add(1);
            self.record(EventKind::CommandEnded { command, outcome });
        }
        Ok(())
    }

    fn record(&mut self, what: EventKind) {
        self.agent.common.tally.events.add(1);
        self.agent.outbox.append(what);
    }

    async fn tell_picture(&self) -> Result<(), Ended> {
        for part in snapshot_parts(&self.agent.host) {
            self.send(ToController::Snapshot(part)).await?;
        }
        Ok(())
    }

    async fn tell_events(&mut self) -> Result<(), Ended> {
        while let Some(batch) = self.agent.outbox.next_batch() {
            self.send(ToController::Events(batch)).await?;
        }
        Ok(())
    }

    async fn tell_figures(&mut self) -> Result<(), Ended> {
        let (now, every) = (Instant::now(), Duration::from_secs_f64(self.agent.common.script.figures_every));
        let every = if every.is_zero() { WATCHED } else { every };
        let goes_on = self.agent.common.script.figures_every > 0.0 || now < self.watched_until;
        self.figures_at = goes_on.then(|| now + every);
        let samples = self.agent.host.figures();
        if samples.is_empty() { Ok(()) } else { self.send(ToController::Figures { samples }).await }
    }

    async fn send(&self, message: ToController) -> Result<(), Ended> {
        self.outgoing.send(message).await
    }
}

/// Something happens, unless too much of what happened before is still to be acknowledged.
fn happen(common: &super::Common, full: bool, what: impl FnOnce() -> Happenings) -> Next {
    common.tally.held_back.add(usize::from(full));
    Next::Happened(if full { Happenings::default() } else { what() })
}

/// The whole picture, in messages that are not much larger than [`PART`].
fn snapshot_parts(host: &Host) -> Vec<SnapshotPart> {
    let part = |containers| SnapshotPart { engine: host.engine(), containers, last: false };
    let (mut parts, mut some, mut size) = (Vec::new(), Vec::new(), 0);
    for container in host.containers() {
        let more = encoded_size(&container).unwrap_or(PART);
        if size + more > PART && !some.is_empty() {
            parts.push(part(std::mem::take(&mut some)));
            size = 0;
        }
        size += more;
        some.push(container);
    }
    parts.push(SnapshotPart { last: true, ..part(some) });
    parts
}
