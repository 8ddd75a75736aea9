//! The lifecycle of a compose project: from those of its containers and the last command that worked on it.

use roadstead_protocol::message::time::UnixMicros;

use super::fact::What;
use super::history::History;
use super::machine::{Lifecycle, Reason, Status};

/// A container of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// How it is.
    pub lifecycle: Lifecycle,
    /// When it was last created or started, as far as was told.
    pub begun_at: Option<UnixMicros>,
}

/// How a project is. The first that applies: a command works on it → installing; the last command failed and no
/// container was created or started since → failed; it has no containers → removed; then its containers decide, a
/// failed one before an installing one before a ready one before a stopped one.
#[must_use]
pub fn lifecycle(members: &[Member], commands: &History) -> Lifecycle {
    let begun_at = members.iter().filter_map(|member| member.begun_at).max();
    match commands.facts().last().map(|fact| (fact.moment.at, &fact.what)) {
        Some((since, What::CommandStarted)) => {
            return Lifecycle { status: Status::Installing, reason: None, since };
        }
        Some((since, What::CommandFailed(why))) if begun_at.is_none_or(|begun| begun <= since) => {
            let reason = Some(Reason::Command(why.clone()));
            return Lifecycle { status: Status::Failed, reason, since };
        }
        _ => {}
    }
    let of = |status| members.iter().filter(move |member| member.lifecycle.status == status);
    let since = |member: &&Member| member.lifecycle.since;
    if let Some(first) = of(Status::Failed).min_by_key(since) {
        let Lifecycle { status, reason, since } = first.lifecycle.clone();
        let reason = reason.map(|reason| Reason::Member(first.name.clone(), Box::new(reason)));
        return Lifecycle { status, reason, since };
    }
    let status = [Status::Installing, Status::Ready, Status::Stopped];
    let status = status.into_iter().find(|status| of(*status).next().is_some()).unwrap_or(Status::Removed);
    let last = of(status).max_by_key(since).map(|member| member.lifecycle.since);
    let gone = commands.facts().last().map(|fact| fact.moment.at);
    Lifecycle { status, reason: None, since: last.or(gone).unwrap_or_default() }
}
