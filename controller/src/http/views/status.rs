//! The status of a container in the words of `docker ps`.

use std::time::Duration;

use roadstead_protocol::message::container::{Container, ContainerHealth, ContainerState};
use roadstead_protocol::message::time::UnixMicros;

/// What `docker ps` would say of `container` at `now`.
#[must_use]
pub fn status(container: &Container, now: UnixMicros) -> String {
    let exit_code = container.exit_code.unwrap_or(0);
    let since = |at: Option<UnixMicros>| at.map(|at| human(now.since(at)));
    match container.state {
        ContainerState::Running => match since(container.started_at) {
            Some(time) => format!("Up {time}{}", health(container.health)),
            None => format!("Up{}", health(container.health)),
        },
        ContainerState::Paused => match since(container.started_at) {
            Some(time) => format!("Up {time} (Paused)"),
            None => "Up (Paused)".to_owned(),
        },
        ContainerState::Restarting => match since(container.finished_at) {
            Some(time) => format!("Restarting ({exit_code}) {time} ago"),
            None => format!("Restarting ({exit_code})"),
        },
        ContainerState::Exited => match since(container.finished_at) {
            Some(time) => format!("Exited ({exit_code}) {time} ago"),
            None => format!("Exited ({exit_code})"),
        },
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Removing => "Removal In Progress".to_owned(),
        ContainerState::Dead => "Dead".to_owned(),
        ContainerState::Unknown => "Unknown".to_owned(),
    }
}

const fn health(health: ContainerHealth) -> &'static str {
    match health {
        ContainerHealth::None | ContainerHealth::Unknown => "",
        ContainerHealth::Starting => " (health: starting)",
        ContainerHealth::Healthy => " (healthy)",
        ContainerHealth::Unhealthy => " (unhealthy)",
    }
}

/// A length of time as Docker rounds it.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Docker rounds hours to the nearest, everything else down.
    let hours = (seconds + 1800) / 3600;
    let whole_hours = seconds / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", whole_hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_rounded_as_docker_does() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (3600, "About an hour"),
            (3600 + 1799, "About an hour"),
            (3600 + 1800, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86_400, "2 weeks"),
            (60 * 86_400, "2 months"),
            (800 * 86_400, "2 years"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), text, "{seconds} s");
        }
    }
}
