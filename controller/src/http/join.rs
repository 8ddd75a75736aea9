//! The ready-to-paste commands that start an agent with a join token.

use serde::Serialize;

use super::About;
use super::time::Time;
use crate::enrolment::IssuedToken;
use crate::model::Direction;

/// How a host joins. Shown once: the controller does not keep the token.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JoinView {
    /// The join token: a secret until it has been used.
    pub token: String,
    /// Id of the token, for revoking it.
    pub token_id: String,
    /// Who dials: `outbound` (the agent) or `inbound` (the controller).
    pub direction: &'static str,
    /// When it ends.
    pub expires_at: Time,
    /// The commands; any one of them will do.
    pub commands: JoinCommands,
}

/// The same agent, started in four ways.
#[derive(Serialize, utoipa::ToSchema)]
pub struct JoinCommands {
    /// With `docker run`.
    pub docker_run: String,
    /// As a compose file.
    pub compose: String,
    /// As a unit of systemd.
    pub systemd: String,
    /// As a program on the host.
    pub binary: String,
}

impl JoinView {
    /// How an agent joins with `token`; `url` is where the controller will dial it, if it does.
    #[must_use]
    pub fn new(token: &IssuedToken, url: Option<&str>, about: &About) -> Self {
        let port = match token.record.direction {
            Direction::Inbound => Some(url.and_then(port_of).unwrap_or(DEFAULT_PORT)),
            Direction::Outbound => None,
        };
        Self {
            token: token.text.clone(),
            token_id: token.record.id.to_string(),
            direction: token.record.direction.as_str(),
            expires_at: Time(token.record.expires_at),
            commands: JoinCommands::new(&token.text, port, &about.agent_image),
        }
    }
}

/// Where an inbound agent listens if its address is not known yet.
const DEFAULT_PORT: u16 = 8082;

impl JoinCommands {
    fn new(token: &str, port: Option<u16>, image: &str) -> Self {
        let mut words = vec![
            "docker run -d --name roadstead-agent --restart unless-stopped".to_owned(),
            "-v /var/run/docker.sock:/var/run/docker.sock -v roadstead-agent:/data".to_owned(),
            "-e ROADSTEAD_DATA_DIR=/data".to_owned(),
        ];
        words.extend(port.map(|port| format!("-p {port}:{port} -e ROADSTEAD_LISTEN=0.0.0.0:{port}")));
        words.extend([format!("-e ROADSTEAD_JOIN={token}"), image.to_owned()]);
        let docker_run = words.join(" \\\n  ");
        let (listen, ports) = match port {
            Some(port) => (
                format!("      ROADSTEAD_LISTEN: 0.0.0.0:{port}\n"),
                format!("    ports:\n      - \"{port}:{port}\"\n"),
            ),
            None => Default::default(),
        };
        let compose = format!(
            "services:\n  roadstead-agent:\n    image: {image}\n    restart: unless-stopped\n    environment:\n      \
             ROADSTEAD_DATA_DIR: /data\n      ROADSTEAD_JOIN: {token}\n{listen}{ports}    volumes:\n      \
             - /var/run/docker.sock:/var/run/docker.sock\n      - roadstead-agent:/data\nvolumes:\n  \
             roadstead-agent:\n"
        );
        let listen = port.map(|port| format!("ROADSTEAD_LISTEN=0.0.0.0:{port}\n")).unwrap_or_default();
        let systemd = format!(
            "# with the program as /usr/local/bin/roadstead-agent and docker/systemd/roadstead-agent.service installed\n\
             sudo install -D -m 0600 /dev/stdin /etc/roadstead/agent.env <<'END'\nROADSTEAD_JOIN={token}\n{listen}END\n\
             sudo systemctl enable roadstead-agent\nsudo systemctl restart roadstead-agent\n"
        );
        let listen = port.map(|port| format!(" ROADSTEAD_LISTEN=0.0.0.0:{port}")).unwrap_or_default();
        let binary = format!("ROADSTEAD_JOIN={token}{listen} roadstead-agent");
        Self { docker_run, compose, systemd, binary }
    }
}

fn port_of(url: &str) -> Option<u16> {
    url.trim_end_matches('/').rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbound_agent_listens_where_the_controller_will_dial() {
        assert_eq!(port_of("wss://[2001:db8::1]:9443/"), Some(9443));
        let commands = JoinCommands::new("rsj_x", Some(9443), "agent:1");
        assert!(commands.docker_run.contains("-p 9443:9443 -e ROADSTEAD_LISTEN=0.0.0.0:9443"));
        assert!(commands.docker_run.ends_with("-e ROADSTEAD_JOIN=rsj_x \\\n  agent:1"));
        assert!(
            commands.systemd.contains("<<'END'\nROADSTEAD_JOIN=rsj_x\nROADSTEAD_LISTEN=0.0.0.0:9443\nEND\n")
        );
        assert!(commands.compose.contains("\n      ROADSTEAD_LISTEN: 0.0.0.0:9443\n"));
        assert!(commands.compose.contains("\n    ports:\n      - \"9443:9443\"\n"));
        assert_eq!(commands.binary, "ROADSTEAD_JOIN=rsj_x ROADSTEAD_LISTEN=0.0.0.0:9443 roadstead-agent");
    }

    #[test]
    fn an_outbound_agent_publishes_nothing() {
        let commands = JoinCommands::new("rsj_x", None, "agent:1");
        for text in [&commands.docker_run, &commands.compose, &commands.systemd, &commands.binary] {
            assert!(!text.contains("LISTEN") && !text.contains("ports"), "{text}");
        }
    }
}
