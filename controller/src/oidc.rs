//! Signing in at a provider (OpenID Connect): authorization code with PKCE, `state` and `nonce`.
//!
//! Whom the provider names is worth what its groups are worth here; who that is among the users, and what becomes of
//! the session, is the business of `accounts`.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngCore as _;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::config::OidcConfig;

mod error;
mod fetch;
mod groups;
mod pending;
mod provider;
mod token;

pub use error::OidcError;
pub use groups::Access;
pub use pending::PENDING_FOR;

use fetch::Client;
use pending::{Pending, Waiting};
use provider::{Discovery, Provider};
use token::Claims;

/// Longest code, name and the like that is taken from outside, in bytes.
const LONGEST: usize = 4096;

/// The provider that people may sign in at.
pub struct Oidc {
    config: OidcConfig,
    provider: Provider,
    pending: Pending,
}

/// A sign-in that has begun.
pub struct Begun {
    /// Where the browser goes.
    pub location: String,
    /// What only this browser keeps, so that it alone can finish.
    pub browser: String,
}

/// What the provider sent a browser back with.
#[derive(Clone, Default)]
pub struct Returned {
    /// Which sign-in it is about.
    pub state: String,
    /// The code, if the provider let the person in.
    pub code: Option<String>,
    /// Who says so (RFC 9207).
    pub iss: Option<String>,
    /// Why the provider did not.
    pub error: Option<String>,
    /// The same, for people.
    pub error_description: Option<String>,
}

/// Whom the provider vouches for.
#[derive(Debug)]
pub struct Vouched {
    /// The provider's name for the person: never another's.
    pub subject: String,
    /// The person's name, as good as the provider knows it; may be anybody's.
    pub name: String,
    /// What the person's groups may do here; none: nothing.
    pub access: Option<Access>,
    /// The page that was wanted.
    pub to: String,
}

/// What the provider answers to a code. Holds secrets, and therefore has no `Debug`.
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    access_token: Option<String>,
}

impl Oidc {
    /// Nothing is asked of the provider before somebody wants to sign in.
    ///
    /// # Errors
    /// If the file of authorities cannot be used.
    pub fn new(config: OidcConfig) -> Result<Self, OidcError> {
        let client = Client::new(config.ca_file.as_deref())?;
        let provider = Provider::new(config.issuer.clone(), client);
        Ok(Self { config, provider, pending: Pending::default() })
    }

    /// What people know the provider as.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.config.label
    }

    /// The provider.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.config.issuer.as_str()
    }

    /// Begins to sign in from `network`: in a `browser` that has begun before, if it shows what it got then; for the
    /// page `to`.
    ///
    /// # Errors
    /// If the provider cannot be asked, or too many sign-ins wait to be finished.
    pub async fn begin(
        &self,
        network: IpAddr,
        browser: Option<&str>,
        to: Option<&str>,
    ) -> Result<Begun, OidcError> {
        let discovery = self.provider.discovery().await?;
        let browser = browser.filter(|secret| is_secret(secret)).map_or_else(secret, str::to_owned);
        let (state, nonce, verifier) = (secret(), secret(), secret());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let query = form(&[
            ("response_type", "code"),
            ("client_id", self.config.client_id.as_str()),
            ("redirect_uri", &self.config.redirect_uri),
            ("scope", &self.config.scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let endpoint = discovery.authorization.as_str();
        let glue = if endpoint.contains('?') { '&' } else { '?' };
        let to = to.and_then(own_page).unwrap_or("/").to_owned();
        self.pending.add(&state, Waiting::new(network, &browser, nonce, verifier, to))?;
        Ok(Begun { location: format!("{endpoint}{glue}{query}"), browser })
    }

    /// Finishes a sign-in that `browser` has begun. It can be tried once.
    ///
    /// # Errors
    /// If it was not begun, or elsewhere, or too long ago; if the provider refused; or if what it says does not hold.
    pub async fn finish(&self, browser: Option<&str>, returned: Returned) -> Result<Vouched, OidcError> {
        let waiting = self.pending.take(&returned.state, browser)?;
        let discovery = self.provider.discovery().await?;
        self.check_issuer(&discovery, returned.iss.as_deref())?;
        if let Some(error) = returned.error {
            return Err(OidcError::denied(&error, returned.error_description.as_deref()));
        }
        let code = returned.code.filter(|code| !code.is_empty() && code.len() <= LONGEST);
        let code = code.ok_or_else(|| OidcError::untrue("it sent no code"))?;
        let tokens = self.redeem(&discovery, &code, &waiting.verifier).await?;
        let id_token = tokens.id_token.ok_or_else(|| OidcError::untrue("it sent no ID token"))?;
        let claims = self.verify(&id_token, &waiting.nonce).await?;
        let claims = self.complete(&discovery, claims, tokens.access_token).await?;
        let groups = groups::of(&claims.others, &self.config.groups_claim);
        Ok(Vouched {
            name: claims.name(),
            access: groups::access(&self.config.groups, self.config.default_role, &groups),
            subject: claims.sub,
            to: waiting.to,
        })
    }

    /// Whoever answers has to be who was asked: else one provider could be given another's codes.
    fn check_issuer(&self, discovery: &Discovery, iss: Option<&str>) -> Result<(), OidcError> {
        match iss {
            Some(iss) if iss != self.issuer() => Err(OidcError::untrue("another provider answered")),
            None if discovery.names_itself => {
                Err(OidcError::untrue("the answer does not say who it is from"))
            }
            _ => Ok(()),
        }
    }

    async fn redeem(&self, discovery: &Discovery, code: &str, verifier: &str) -> Result<Tokens, OidcError> {
        let (id, secret) = (self.config.client_id.as_str(), self.config.client_secret.as_deref());
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.config.redirect_uri.as_str()),
            ("code_verifier", verifier),
        ];
        let authorization = secret.filter(|_| discovery.takes_basic).map(|secret| {
            let escaped = |part: &str| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>();
            format!("Basic {}", STANDARD.encode(format!("{}:{}", escaped(id), escaped(secret))))
        });
        if authorization.is_none() {
            fields.push(("client_id", id));
            fields.extend(secret.map(|secret| ("client_secret", secret)));
        }
        self.provider.client().post(&discovery.token, form(&fields), authorization).await
    }

    async fn verify(&self, id_token: &str, nonce: &str) -> Result<Claims, OidcError> {
        let header = token::header(id_token)?;
        let key = self.provider.key(&header).await?;
        token::verify(id_token, &header, &key, self.issuer(), &self.config.client_id, nonce)
    }

    /// Many providers tell groups and names only when they are asked for them.
    async fn complete(
        &self,
        discovery: &Discovery,
        mut claims: Claims,
        access_token: Option<String>,
    ) -> Result<Claims, OidcError> {
        let whole = groups::find(&claims.others, &self.config.groups_claim).is_some();
        let (Some(endpoint), Some(access_token), false) = (&discovery.userinfo, access_token, whole) else {
            return Ok(claims);
        };
        let told: Map<String, Value> = self.provider.client().read(endpoint, Some(&access_token)).await?;
        if told.get("sub").and_then(Value::as_str) != Some(&claims.sub) {
            return Err(OidcError::untrue("what it tells is about somebody else"));
        }
        for (name, value) in told {
            claims.others.entry(name).or_insert(value);
        }
        Ok(claims)
    }
}

/// Fields as they stand in a query or form.
fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// 256 random bits as text.
fn secret() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether text has the form of a [`secret`].
fn is_secret(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// A page of this controller's own, if it is one: no other site's, and nothing that is no page.
fn own_page(to: &str) -> Option<&str> {
    let local = to.starts_with('/') && !to.starts_with("//");
    let plain = to.len() <= LONGEST && !to.contains(|c: char| c.is_control() || c == '\\');
    let page = !["/api", "/oidc"].iter().any(|start| to.starts_with(start));
    (local && plain && page).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_pages_are_returned_to() {
        for own in ["/", "/instances/web-1?tab=events", "/audit"] {
            assert_eq!(own_page(own), Some(own));
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        for other in [
            "",
            "https://evil.example.org",
            "//evil.example.org",
            "/\\evil.example.org",
            "/a\\b",
            "/\tevil",
            "evil",
            "/api/logout",
            "/oidc/callback?state=x",
            &long,
        ] {
            assert_eq!(own_page(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_browser_shows_is_a_secret_or_nothing() {
        assert!(is_secret(&secret()) && !is_secret("") && !is_secret("short"));
    }
}
