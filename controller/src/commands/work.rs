//! What a request for a command may look like, and what it changes. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use roadstead_protocol::message::codec;
use roadstead_protocol::message::command::{ContainerAction, InstallWork, Strategy, SyncWork, Work};

#[cfg(test)]
mod tests;

/// Largest work as it travels, in bytes: an order must fit into one message with room to spare.
const MAX_WORK: usize = 48 * 1024;

const MAX_NAME: usize = 128;
const MAX_SERVICES: usize = 100;
const MAX_ENTRIES: usize = 256;
const MAX_IMAGE: usize = 512;
const MAX_PORT: usize = 128;
const MAX_MOUNT: usize = 4096;
/// The longest that a restarted service may take, in seconds.
pub const MAX_VERIFY_SECS: u32 = 3600;
const RESTART_POLICIES: [&str; 4] = ["no", "always", "unless-stopped", "on-failure"];

/// What a command changes, so that two that change the same are not out at once; none if it changes nothing. A
/// container named by its id and by its name are two things here: the agent, which knows, refuses the second.
#[must_use]
pub fn changes(work: &Work) -> Option<String> {
    match work {
        Work::Sync(sync) => Some(format!("project {}", sync.project)),
        Work::Install(install) => Some(format!("container {}", install.name)),
        Work::Reinstall { container } | Work::Container { container, .. } => {
            Some(format!("container {container}"))
        }
        Work::Check { .. } | Work::Unknown => None,
    }
}

/// How long work may usually run.
#[must_use]
pub const fn usual_deadline(work: &Work) -> Duration {
    match work {
        Work::Sync(_) | Work::Install(_) | Work::Reinstall { .. } => Duration::from_secs(30 * 60),
        Work::Container { .. } | Work::Check { .. } | Work::Unknown => Duration::from_secs(5 * 60),
    }
}

/// Checks what can be checked without knowing the host.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn validate(work: &Work) -> Result<(), String> {
    match work {
        Work::Sync(sync) => validate_sync(sync)?,
        Work::Install(install) => validate_install(install)?,
        Work::Container { action: ContainerAction::Unknown, .. } => {
            return Err(
                "the action is not known; it is one of start, stop, restart, kill, pause, unpause, remove"
                    .to_owned(),
            );
        }
        Work::Reinstall { container } | Work::Container { container, .. } => {
            validate_container(container)?;
        }
        Work::Check { project } => validate_project(project)?,
        Work::Unknown => return Err("the work is not known to this controller".to_owned()),
    }
    if codec::encode(work, MAX_WORK).is_err() {
        return Err(format!("the request is too large; it may take {MAX_WORK} bytes in all"));
    }
    Ok(())
}

fn validate_sync(sync: &SyncWork) -> Result<(), String> {
    validate_project(&sync.project)?;
    at_most("services", sync.services.len(), MAX_SERVICES)?;
    for service in &sync.services {
        if !is_name(service) {
            return Err(format!("`{}` is not a service's name", shown(service)));
        }
    }
    if sync.strategy == Some(Strategy::Unknown) {
        return Err("the strategy is not known; it is one of script, compose, engine".to_owned());
    }
    validate_verify(sync.verify_secs)
}

fn validate_install(install: &InstallWork) -> Result<(), String> {
    validate_container(&install.name)?;
    if !is_image(&install.image) {
        return Err(format!("`{}` is not an image reference", shown(&install.image)));
    }
    at_most("command arguments", install.command.len(), MAX_ENTRIES)?;
    if install.command.iter().any(|argument| argument.contains('\0')) {
        return Err("a command argument contains a zero byte".to_owned());
    }
    validate_pairs("environment variables", &install.env)?;
    validate_pairs("labels", &install.labels)?;
    at_most("ports", install.ports.len(), MAX_ENTRIES)?;
    if let Some(port) = install.ports.iter().find(|port| !is_port(port)) {
        return Err(format!(
            "`{}` is not a port; write [host-ip:]host-port:container-port[/protocol]",
            shown(port)
        ));
    }
    at_most("mounts", install.mounts.len(), MAX_ENTRIES)?;
    if let Some(mount) = install.mounts.iter().find(|mount| !is_mount(mount)) {
        return Err(format!(
            "`{}` is not a mount; write volume-or-host-path:container-path[:ro]",
            shown(mount)
        ));
    }
    if let Some(network) = install.network.as_ref().filter(|network| !is_name(network)) {
        return Err(format!("`{}` is not a network's name", shown(network)));
    }
    if let Some(policy) = &install.restart_policy
        && !RESTART_POLICIES.contains(&policy.as_str())
    {
        return Err(format!(
            "`{}` is not a restart policy; it is one of {}",
            shown(policy),
            RESTART_POLICIES.join(", ")
        ));
    }
    validate_verify(install.verify_secs)
}

fn validate_pairs(what: &str, pairs: &BTreeMap<String, String>) -> Result<(), String> {
    at_most(what, pairs.len(), MAX_ENTRIES)?;
    for (name, value) in pairs {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("among the {what}, `{}` has an impossible name or value", shown(name)));
        }
    }
    Ok(())
}

fn validate_project(project: &str) -> Result<(), String> {
    let fits = (1..=MAX_NAME).contains(&project.len())
        && project.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && project
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
    if fits { Ok(()) } else { Err(format!("`{}` is not a compose project's name", shown(project))) }
}

fn validate_container(container: &str) -> Result<(), String> {
    if is_name(container) {
        Ok(())
    } else {
        Err(format!("`{}` is not a container's id or name", shown(container)))
    }
}

fn validate_verify(seconds: u32) -> Result<(), String> {
    if (1..=MAX_VERIFY_SECS).contains(&seconds) {
        Ok(())
    } else {
        Err(format!("verify_secs is {seconds}; it is from 1 to {MAX_VERIFY_SECS}"))
    }
}

fn at_most(what: &str, count: usize, limit: usize) -> Result<(), String> {
    if count <= limit { Ok(()) } else { Err(format!("{count} {what} are too many; {limit} may be given")) }
}

/// The names that the engine itself allows.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn is_image(text: &str) -> bool {
    (1..=MAX_IMAGE).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b':' | b'@' | b'_' | b'-' | b'+')
        })
}

fn is_port(text: &str) -> bool {
    (1..=MAX_PORT).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'[' | b']' | b'/' | b'-')
        })
}

fn is_mount(text: &str) -> bool {
    text.len() <= MAX_MOUNT
        && !text.chars().any(char::is_control)
        && text.split_once(':').is_some_and(|(source, target)| !source.is_empty() && target.starts_with('/'))
}

/// Somebody's text within a sentence of ours: short and without control characters.
fn shown(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
