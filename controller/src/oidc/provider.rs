//! What is known of the provider: its endpoints and keys, asked for when they are first needed and kept for an hour.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::OidcError;
use super::fetch::Client;
use super::token;
use crate::web_url::WebUrl;

/// How long what the provider says of itself is believed.
const GOOD_FOR: Duration = Duration::from_secs(3600);

/// An unknown key is asked for at most this often: anybody could name one.
pub(super) const KEYS_EVERY: Duration = Duration::from_secs(30);

/// After a failure nothing is asked for so long, so that those who wait do not each wait for another.
const QUIET_FOR: Duration = Duration::from_secs(3);

/// Most keys that are looked at.
const MAX_KEYS: usize = 100;

/// The provider, as far as it is known.
pub(super) struct Provider {
    issuer: WebUrl,
    client: Client,
    /// Held while it is asked, so that it is asked once by many.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    discovery: Option<(Instant, Arc<Discovery>)>,
    keys: Option<(Instant, Arc<[Jwk]>)>,
    failed: Option<(Instant, OidcError)>,
}

/// What the provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug)]
pub(super) struct Discovery {
    /// Where browsers are sent.
    pub(super) authorization: WebUrl,
    /// Where a code is turned in.
    pub(super) token: WebUrl,
    /// Where it tells of people.
    pub(super) userinfo: Option<WebUrl>,
    keys: WebUrl,
    /// Whether the secret goes into a header instead of the form.
    pub(super) takes_basic: bool,
    /// Whether its answers say whose they are.
    pub(super) names_itself: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Provider {
    pub(super) fn new(issuer: WebUrl, client: Client) -> Self {
        Self { issuer, client, known: Mutex::default() }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Where to ask it for what. What was known before serves while it does not answer.
    pub(super) async fn discovery(&self) -> Result<Arc<Discovery>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((_, discovery)) = known.discovery.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
            return Ok(Arc::clone(discovery));
        }
        let failed = match known.failed.clone().filter(|(at, _)| at.elapsed() < QUIET_FOR) {
            Some((_, error)) => error,
            None => match self.discover().await {
                Ok(discovery) => {
                    let discovery = Arc::new(discovery);
                    known.discovery = Some((Instant::now(), Arc::clone(&discovery)));
                    return Ok(discovery);
                }
                Err(error) => {
                    known.failed = Some((Instant::now(), error.clone()));
                    error
                }
            },
        };
        known.discovery.as_ref().map(|(_, before)| Arc::clone(before)).ok_or(failed)
    }

    /// The key that a token says it is signed with.
    pub(super) async fn key(&self, header: &Header) -> Result<Jwk, OidcError> {
        let discovery = self.discovery().await?;
        let mut known = self.known.lock().await;
        let (age, found) = known
            .keys
            .as_ref()
            .map_or((Duration::MAX, None), |(at, keys)| (at.elapsed(), token::choose(keys, header).cloned()));
        match found {
            Some(key) if age < GOOD_FOR => return Ok(key),
            None if age < KEYS_EVERY => {
                return Err(OidcError::untrue("its ID token is signed with an unknown key"));
            }
            _ => {}
        }
        let keys = self.fetch_keys(&discovery).await?;
        known.keys = Some((Instant::now(), Arc::clone(&keys)));
        let unknown = || OidcError::untrue("its ID token is signed with an unknown key");
        token::choose(&keys, header).cloned().ok_or_else(unknown)
    }

    async fn discover(&self) -> Result<Discovery, OidcError> {
        let issuer = self.issuer.as_str();
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let place: WebUrl = place.parse().map_err(|_| OidcError::Unfit(format!("{issuer} is too long")))?;
        let document: Document = self.client.read(&place, None).await?;
        if document.issuer != issuer {
            let named: String = document.issuer.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(OidcError::Unfit(format!(
                "it calls itself {named}; set ROADSTEAD_OIDC_ISSUER to exactly that"
            )));
        }
        let methods = document.token_endpoint_auth_methods_supported;
        Ok(Discovery {
            authorization: self.endpoint(&document.authorization_endpoint)?,
            token: self.endpoint(&document.token_endpoint)?,
            keys: self.endpoint(&document.jwks_uri)?,
            userinfo: document.userinfo_endpoint.map(|text| self.endpoint(&text)).transpose()?,
            takes_basic: methods.is_none_or(|methods| {
                methods.iter().any(|method| method == "client_secret_basic")
                    || !methods.iter().any(|method| method == "client_secret_post")
            }),
            names_itself: document.authorization_response_iss_parameter_supported,
        })
    }

    /// Secrets go to no endpoint in the clear beyond this host, and to none of this host unless the provider is here.
    fn endpoint(&self, text: &str) -> Result<WebUrl, OidcError> {
        let url: WebUrl = text.parse().map_err(|error| OidcError::Unfit(format!("{error}")))?;
        let fits = url.is_tls() || (url.is_private() && !self.issuer.is_tls());
        if fits { Ok(url) } else { Err(OidcError::Unfit(format!("its endpoint {url} is not under TLS"))) }
    }

    async fn fetch_keys(&self, discovery: &Discovery) -> Result<Arc<[Jwk]>, OidcError> {
        let set: KeySet = self.client.read(&discovery.keys, None).await?;
        // Keys of kinds that are not known here are other people's.
        let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.collect())
    }
}
