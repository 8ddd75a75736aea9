//! How simulated agents get into a controller: with join tokens, or with the password of its administrator.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, bail, ensure};
use reqwest::Client;
use roadstead_protocol::join_token::JoinToken;
use roadstead_protocol::link::address::AgentAddress;
use serde_json::{Value, json};

/// How often a controller lets one token be used.
const USES: usize = 1000;

/// How an agent that dials gets in.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) address: AgentAddress,
    pub(super) socket: SocketAddr,
    pub(super) source: Option<IpAddr>,
    pub(super) token: JoinToken,
}

/// What lets a fleet into a controller.
#[derive(Debug)]
pub struct Invitation {
    tokens: Vec<JoinToken>,
    dial: Option<(AgentAddress, SocketAddr)>,
    api: Option<Api>,
}

#[derive(Debug)]
struct Api {
    root: String,
    client: Client,
}

impl Invitation {
    /// With join tokens, each for up to as many agents as it has uses: they are shared out evenly. `controller` is where
    /// to dial, if not where the first token says.
    ///
    /// # Errors
    /// When a text is no token, or there is no address to dial.
    pub async fn with_tokens(tokens: &[String], controller: Option<&str>) -> anyhow::Result<Self> {
        let tokens = tokens.iter().map(|text| text.parse()).collect::<Result<Vec<JoinToken>, _>>()?;
        let first = tokens.first().context("at least one join token")?;
        let address = controller.or(first.addresses.first().map(String::as_str));
        let address: AgentAddress =
            address.context("the token names no address: say --controller")?.parse()?;
        let socket = tokio::net::lookup_host((address.host(), address.port())).await?.next();
        let socket = socket.with_context(|| format!("{} has no address", address.host()))?;
        Ok(Self { tokens, dial: Some((address, socket)), api: None })
    }

    /// With the administrator's password: makes as many join tokens as `agents` agents need, and can register instances
    /// that the controller dials. `root` is `http://host:port`.
    ///
    /// # Errors
    /// When the controller does not answer or refuses.
    pub async fn with_password(
        root: &str,
        password: &str,
        agents: usize,
        controller: Option<&str>,
    ) -> anyhow::Result<Self> {
        let client = Client::builder().cookie_store(true).no_proxy().build()?;
        let api = Api { root: root.trim_end_matches('/').to_owned(), client };
        api.post("/api/login", &json!({ "password": password })).await?;
        let mut tokens = Vec::new();
        for begun in (0..agents).step_by(USES) {
            let uses = (agents - begun).min(USES);
            let made = api.post("/api/join-tokens", &json!({ "uses": uses, "ttl": "24h" })).await?;
            tokens.push(made["token"].as_str().context("no token in the answer")?.to_owned());
        }
        if tokens.is_empty() {
            return Ok(Self { tokens: Vec::new(), dial: None, api: Some(api) });
        }
        Ok(Self { api: Some(api), ..Self::with_tokens(&tokens, controller).await? })
    }

    /// For agent `number` of `of` that dial.
    pub(super) fn outbound(&self, number: usize, of: usize, source: Option<IpAddr>) -> anyhow::Result<Way> {
        let (address, socket) = self.dial.clone().context("no join token")?;
        let share = of.div_ceil(self.tokens.len());
        let token = self.tokens.get(number / share).context("no token for so many")?.clone();
        Ok(Way { address, socket, source, token })
    }

    /// Registers an agent that waits to be dialled at `url`.
    pub(super) async fn inbound(&self, name: &str, url: &str) -> anyhow::Result<JoinToken> {
        let api = self.api.as_ref().context("agents that are dialled need --api")?;
        let name = format!("{name}-{}", url.rsplit(':').next().unwrap_or_default());
        let made = api.post("/api/instances", &json!({ "name": name, "url": url })).await?;
        Ok(made["join"]["token"].as_str().context("no token in the answer")?.parse()?)
    }
}

impl Api {
    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.root);
        let request = self.client.post(&url).header("origin", &self.root).json(body);
        let answer = request.send().await.with_context(|| format!("cannot reach {url}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if !status.is_success() {
            bail!("{path} was answered with {status}: {}", body["detail"].as_str().unwrap_or_default());
        }
        ensure!(!body.is_string() || body == "", "{url} is no API of a controller");
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::ids::{PeerKey, TokenId};
    use roadstead_protocol::message::time::UnixMicros;

    use super::*;

    fn token(address: &str) -> String {
        let token = JoinToken {
            addresses: vec![address.to_owned()],
            controller: PeerKey([1; 32]),
            id: TokenId::generate(),
            secret: [2; 32],
            expires_at: UnixMicros(i64::MAX),
        };
        token.to_text().unwrap()
    }

    #[tokio::test]
    async fn tokens_are_shared_out_evenly() {
        let texts = [token("wss://127.0.0.1:1"), token("wss://127.0.0.1:1")];
        let invitation = Invitation::with_tokens(&texts, Some("wss://127.0.0.2:7")).await.unwrap();
        let ways: Vec<_> = (0..5).map(|number| invitation.outbound(number, 5, None).unwrap()).collect();
        let first = ways.iter().filter(|way| way.token == ways[0].token).count();
        assert_eq!((first, ways[4].socket.to_string()), (3, "127.0.0.2:7".to_owned()));
        assert!(invitation.inbound("one", "wss://127.0.0.1:1").await.is_err());
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused() {
        assert!(Invitation::with_tokens(&[], None).await.is_err());
        assert!(Invitation::with_tokens(&["rsj_x".to_owned()], None).await.is_err());
    }
}
