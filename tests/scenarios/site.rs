//! A site as scenarios of the whole use it: a controller, and agents that join it in either dial direction.

use std::path::Path;
use std::time::Duration;

use roadstead_tests::api::text;
use roadstead_tests::{
    AgentOptions, AgentProcess, Api, ControllerOptions, ControllerProcess, Dockerd, Netns, eventually,
};
use serde_json::{Value, json};

/// Long enough for anything that is to happen by itself and soon, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Who dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    /// The agent.
    Outbound,
    /// The controller.
    Inbound,
}

pub const BOTH: [Dial; 2] = [Dial::Outbound, Dial::Inbound];

impl Dial {
    pub fn word(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

/// An agent that has joined, and the id of its instance.
pub struct Member {
    pub id: String,
    pub agent: AgentProcess,
}

/// A controller and its administrator.
pub struct Site {
    pub controller: ControllerProcess,
    pub api: Api,
}

impl Site {
    pub async fn start() -> Self {
        Self::start_with(ControllerOptions::default()).await
    }

    /// A controller that agents inside `machine` reach.
    pub async fn start_beside(machine: &Netns) -> Self {
        let agent_listen = format!("{}:0", machine.outside());
        Self::start_with(ControllerOptions { agent_listen, ..ControllerOptions::default() }).await
    }

    pub async fn start_with(options: ControllerOptions) -> Self {
        let controller = ControllerProcess::start(options).await;
        let api = controller.api().await;
        Self { controller, api }
    }

    /// A join token that is for no instance in particular.
    pub async fn token(&self, dial: Dial) -> String {
        let made = self.api.post("/api/join-tokens", &json!({ "direction": dial.word() })).await;
        text(&made.expect_status(201), "token")
    }

    /// Starts an agent for `engine`, and waits until it is live under this name.
    pub async fn join(&self, dial: Dial, engine: &Dockerd, name: &str) -> Member {
        self.join_with(dial, engine, name, |options| options).await
    }

    /// [`join`](Self::join) of an agent inside `machine`.
    pub async fn join_on(&self, machine: &Netns, dial: Dial, engine: &Dockerd, name: &str) -> Member {
        self.join_at(machine.inside().to_string(), dial, engine, name, |options| options.on(machine)).await
    }

    /// [`join`](Self::join) with more options.
    pub async fn join_with(
        &self,
        dial: Dial,
        engine: &Dockerd,
        name: &str,
        change: impl FnOnce(AgentOptions) -> AgentOptions,
    ) -> Member {
        self.join_at("127.0.0.1".to_owned(), dial, engine, name, change).await
    }

    async fn join_at(
        &self,
        host: String,
        dial: Dial,
        engine: &Dockerd,
        name: &str,
        change: impl FnOnce(AgentOptions) -> AgentOptions,
    ) -> Member {
        let member = match dial {
            Dial::Outbound => {
                let (id, token) = self.api.register(&json!({ "name": name })).await;
                let agent = AgentProcess::start(change(AgentOptions::outbound(engine, &token))).await;
                Member { id, agent }
            }
            Dial::Inbound => {
                // Which port the agent has got is known only now, hence a token for any instance.
                let token = self.token(dial).await;
                let options = AgentOptions::inbound(engine, &token, &format!("{host}:0"));
                let agent = AgentProcess::start(change(options)).await;
                let url = format!("wss://{}", agent.link().unwrap());
                let (id, _) = self.api.register(&json!({ "name": name, "url": url })).await;
                Member { id, agent }
            }
        };
        self.healthy(&member.id).await;
        member
    }

    /// One instance as it is now.
    pub async fn instance(&self, id: &str) -> Value {
        self.api.get(&format!("/api/instances/{id}")).await.expect_status(200)
    }

    /// Waits until an instance is healthy.
    pub async fn healthy(&self, id: &str) -> Value {
        self.instance_when("it to be healthy", SOON, id, |instance| instance["health"] == "healthy").await
    }

    /// Waits until an instance's link is in this state.
    pub async fn link_is(&self, state: &str, deadline: Duration, id: &str) -> Value {
        let link = |instance: &Value| instance["link"]["state"] == state;
        self.instance_when(&format!("its link to be {state}"), deadline, id, link).await
    }

    /// Waits until an instance is as `wanted`.
    pub async fn instance_when(
        &self,
        what: &str,
        deadline: Duration,
        id: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = async {
            eventually(&format!("{what} ({id})"), deadline + SOON, async || {
                last = self.instance(id).await;
                wanted(&last).then(|| last.clone())
            })
            .await
        };
        match tokio::time::timeout(deadline, found).await {
            Ok(found) => found,
            Err(_) => panic!("waited {deadline:?} in vain for {what}; {id} is {}", brief(&last)),
        }
    }
}

/// What matters of an instance in the message of a failure.
fn brief(instance: &Value) -> Value {
    json!({ "health": instance["health"], "reason": instance["health_reason"], "link": instance["link"],
        "engine": instance["engine"], "containers": instance["containers"], "stale": instance["stale"] })
}

/// Waits until a program's log has a line that holds all of `words`, and gives it.
pub async fn logged(log: &Path, words: &[&str]) -> String {
    eventually(&format!("{words:?} in {}", log.display()), SOON, async || logged_now(log, words)).await
}

/// The first line of a log that holds all of `words`, if there is one.
pub fn logged_now(log: &Path, words: &[&str]) -> Option<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
}
