//! Join tokens on the command line.

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use roadstead_protocol::message::ids::InstanceId;
use roadstead_protocol::message::time::UnixMicros;

use crate::enrolment::NewToken;
use crate::model::{Direction, Grants, JoinTokenRecord};

/// A join token as it is asked for.
#[derive(Args)]
pub struct TokenWish {
    /// What to call it, to know it by.
    #[arg(long)]
    name: Option<String>,
    /// Who will dial.
    #[arg(long, default_value = "outbound")]
    mode: Mode,
    /// How long it holds, in minutes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=43_200))]
    minutes: u32,
    /// How many agents may use it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    uses: u32,
    /// The instance it is for; its reinstalled host takes that over, with its history.
    #[arg(long, value_name = "ID")]
    instance: Option<InstanceId>,
    /// Tags that it gives, separated by commas.
    #[arg(long, value_delimiter = ',')]
    tags: Vec<String>,
    /// Environment label that it gives.
    #[arg(long, value_name = "LABEL")]
    environment: Option<String>,
    /// The most that may be asked of what joins with it, whatever its owner allows: verbs, separated by commas.
    #[arg(long, value_name = "VERBS")]
    ceiling: Option<String>,
    /// Print the token of this agent, which the configuration file declares, and make none.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["instance", "ceiling", "tags"])]
    pub agent: Option<String>,
}

/// Who dials.
#[derive(Clone, Copy, ValueEnum)]
pub enum Mode {
    /// The agent dials the controller.
    Outbound,
    /// The controller dials the agent.
    Inbound,
}

impl TokenWish {
    /// The token to make.
    ///
    /// # Errors
    /// If a verb is none.
    pub fn into_token(self) -> anyhow::Result<NewToken> {
        let ceiling = self.ceiling.as_deref().map(str::parse).transpose()?;
        Ok(NewToken {
            name: self.name,
            instance: self.instance,
            direction: match self.mode {
                Mode::Outbound => Direction::Outbound,
                Mode::Inbound => Direction::Inbound,
            },
            ttl: Duration::from_secs(u64::from(self.minutes) * 60),
            uses: self.uses,
            grants: Grants { tags: self.tags, environment: self.environment, ceiling },
        })
    }
}

/// The tokens, a line each.
pub fn listed(tokens: &[JoinTokenRecord], now: UnixMicros) -> String {
    if tokens.is_empty() {
        return "There are no join tokens.".to_owned();
    }
    let mut text = String::new();
    for token in tokens {
        let state = match token.uses_left {
            0 => "used".to_owned(),
            _ if token.expires_at <= now => "expired".to_owned(),
            1 => "1 use left".to_owned(),
            uses => format!("{uses} uses left"),
        };
        let name = token.name.as_deref().unwrap_or("-");
        let target = token.instance.as_ref().map_or("any", InstanceId::as_str);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}  {:8}  {state}  for {target}  {name}", token.id, token.direction.as_str());
    }
    text.truncate(text.trim_end().len());
    text
}
