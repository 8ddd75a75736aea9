//! The owner's policy as it stands now, and the checks every order passes first.

pub mod limits;
pub mod reach;
pub mod written;

use roadstead_protocol::message::command::{OrderRefusal, Work};
use roadstead_protocol::message::policy::{Policy, Verb};
use tokio::sync::watch;

use limits::{Images, Paths, fits};
pub use reach::Reach;

/// A policy, and where each line of it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is allowed.
    pub policy: Policy,
    /// Where that is written.
    pub origins: Origins,
}

/// Where the lines of a policy are written: a setting's name, or a file and line. Empty where nobody wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the lines")]
pub struct Origins {
    pub allow: String,
    pub projects: String,
    pub registries: String,
    pub host_paths: String,
    pub privileged: String,
}

/// The policy in force. Only the agent's own configuration replaces it; nothing a controller says can.
#[derive(Debug)]
pub struct PolicyCell {
    current: watch::Sender<Rules>,
}

/// The policy does not allow something. The host's owner can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRefusal {
    /// What would be needed.
    pub verb: Verb,
    /// The line of the policy that refused it, why, and where it is written; none where only the verb is missing
    /// from a policy that nobody wrote.
    pub rule: Option<String>,
}

impl std::fmt::Display for PolicyRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the owner of this host does not allow this `{}`", self.verb)?;
        match &self.rule {
            Some(rule) => write!(f, ": {rule}"),
            None => f.write_str("; to allow it, add it to ROADSTEAD_ALLOW there"),
        }
    }
}

impl From<PolicyRefusal> for OrderRefusal {
    fn from(refusal: PolicyRefusal) -> Self {
        Self::Policy { verb: refusal.verb, rule: refusal.rule }
    }
}

impl From<Policy> for Rules {
    fn from(policy: Policy) -> Self {
        Self { policy, origins: Origins::default() }
    }
}

impl PolicyCell {
    /// Puts `policy` in force.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::of(policy.into())
    }

    /// Puts `rules` in force.
    #[must_use]
    pub fn of(rules: Rules) -> Self {
        Self { current: watch::Sender::new(rules) }
    }

    /// The policy in force.
    #[must_use]
    pub fn current(&self) -> Policy {
        self.current.borrow().policy.clone()
    }

    /// Puts other rules in force. Commands that run already go on, but pull nothing that is no longer allowed.
    pub fn replace(&self, rules: Rules) {
        self.current.send_replace(rules);
    }

    /// Tells of every replacement.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Rules> {
        self.current.subscribe()
    }

    /// Whether what a command makes can be limited at all: if not, nobody need look at it first.
    #[must_use]
    pub fn limits_reach(&self) -> bool {
        let limits = &self.current.borrow().policy.limits;
        limits.no_privileged || limits.host_paths.is_some()
    }

    /// Whether `verb` is allowed now.
    ///
    /// # Errors
    /// If it is not; the text says who can change that and how.
    pub fn check(&self, verb: Verb) -> Result<(), PolicyRefusal> {
        let rules = self.current.borrow();
        if rules.policy.allows(verb) {
            return Ok(());
        }
        let allowed: Vec<_> = rules.policy.allow.iter().map(|verb| verb.as_str()).collect();
        let rule = format!("the policy allows only {}", listed(&allowed));
        Err(PolicyRefusal { verb, rule: located(rule, &rules.origins.allow) })
    }

    /// Whether `work` is allowed, as far as that can be said without looking at the host.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_work(&self, work: &Work) -> Result<(), PolicyRefusal> {
        let verb = work.verb();
        self.check(verb)?;
        match work {
            Work::Sync(sync) => self.check_project(verb, &sync.project),
            Work::Install(install) => {
                self.check_image(verb, &install.image)?;
                self.check_reach(verb, &install.name, &Reach::of_install(install))
            }
            _ => Ok(()),
        }
    }

    /// Whether a compose project is among those that `verb` may be used for.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_project(&self, verb: Verb, project: &str) -> Result<(), PolicyRefusal> {
        let rules = self.current.borrow();
        match &rules.policy.limits.projects {
            Some(allowed) if !allowed.iter().any(|pattern| fits(pattern, project)) => {
                let rule = format!("project {project:?} is not among projects {}", listed(allowed));
                Err(refusal(verb, rule, &rules.origins.projects))
            }
            _ => Ok(()),
        }
    }

    /// Whether an image may be pulled and used.
    ///
    /// # Errors
    /// If it comes from elsewhere than allowed.
    pub fn check_image(&self, verb: Verb, reference: &str) -> Result<(), PolicyRefusal> {
        let rules = self.current.borrow();
        match &rules.policy.limits.registries {
            Some(allowed) if !Images(allowed).allow(reference) => {
                let rule = format!("image {reference:?} is not from registries {}", listed(allowed));
                Err(refusal(verb, rule, &rules.origins.registries))
            }
            _ => Ok(()),
        }
    }

    /// Whether `what`, a container or service, may have that much of its host.
    ///
    /// # Errors
    /// If it may not.
    pub fn check_reach(&self, verb: Verb, what: &str, reach: &Reach) -> Result<(), PolicyRefusal> {
        let rules = self.current.borrow();
        let limits = &rules.policy.limits;
        if limits.no_privileged
            && let Some(privilege) = reach.privileges.first()
        {
            let rule = format!("privileged is false, and {what:?} has {privilege}");
            return Err(refusal(verb, rule, &rules.origins.privileged));
        }
        if let Some(allowed) = &limits.host_paths {
            let outside = reach.host_paths.iter().find(|path| !Paths(allowed).allow(path));
            if let Some(path) = outside {
                let roots = listed(allowed);
                let rule = format!("{what:?} mounts {path:?}, which is not below host-paths {roots}");
                return Err(refusal(verb, rule, &rules.origins.host_paths));
            }
        }
        Ok(())
    }
}

fn refusal(verb: Verb, rule: String, origin: &str) -> PolicyRefusal {
    PolicyRefusal { verb, rule: Some(located(rule.clone(), origin).unwrap_or(rule)) }
}

/// The rule with its place; none if nobody wrote it.
fn located(rule: String, origin: &str) -> Option<String> {
    (!origin.is_empty()).then(|| format!("{rule} ({origin})"))
}

fn listed<S: AsRef<str>>(entries: &[S]) -> String {
    let entries: Vec<_> = entries.iter().map(AsRef::as_ref).collect();
    if entries.is_empty() { "(none)".to_owned() } else { entries.join(", ") }
}

#[cfg(test)]
mod tests;
