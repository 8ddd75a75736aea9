//! ID tokens: who signed one, for whom, when, and about whom.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::OidcError;

/// Algorithms that are believed: of public keys alone. A shared secret proves nothing, and `none` less.
const BELIEVED: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 60;

/// How old a token may be that was just asked for, in seconds.
const OLDEST: u64 = 600;

/// Longest subject, in bytes: the standard says 255.
const LONGEST_SUBJECT: usize = 255;

/// What an ID token claims.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    /// The provider's name for the person.
    pub(super) sub: String,
    iss: String,
    aud: Audience,
    azp: Option<String>,
    iat: f64,
    nonce: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// A name to show: what the provider would rather have the person called.
    pub(super) fn name(&self) -> String {
        let text =
            |claim: &str| self.others.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text("preferred_username").or_else(|| text("email")).unwrap_or(&self.sub);
        name.chars().take(LONGEST_SUBJECT).collect()
    }
}

/// What a token says of itself, if that is to be believed at all.
pub(super) fn header(id_token: &str) -> Result<Header, OidcError> {
    let unsigned = || OidcError::untrue("its ID token is not signed in a way that is believed");
    let header = jsonwebtoken::decode_header(id_token).map_err(|_| unsigned())?;
    if BELIEVED.contains(&header.alg) { Ok(header) } else { Err(unsigned()) }
}

/// The key that signed a token with this header: the one it names, or else the only one it can be.
pub(super) fn choose<'a>(keys: &'a [Jwk], header: &Header) -> Option<&'a Jwk> {
    let mut fitting = keys.iter().filter(|key| fits(key, header.alg));
    match &header.kid {
        Some(kid) => fitting.find(|key| key.common.key_id.as_ref() == Some(kid)),
        None => {
            let first = fitting.next();
            first.filter(|_| fitting.next().is_none())
        }
    }
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let family = match key.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(_) => AlgorithmFamily::Ec,
        AlgorithmParameters::OctetKeyPair(_) => AlgorithmFamily::Ed,
        _ => return false,
    };
    let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let own = key.common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(algorithm));
    family == algorithm.family() && signs && own
}

/// What a token claims, if its provider signed it just now, for this client and this sign-in.
pub(super) fn verify(
    id_token: &str,
    header: &Header,
    key: &Jwk,
    issuer: &str,
    client_id: &str,
    nonce: &str,
) -> Result<Claims, OidcError> {
    let key = DecodingKey::from_jwk(key).map_err(|error| OidcError::untrue(format!("its key: {error}")))?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&[client_id]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let claims = jsonwebtoken::decode::<Claims>(id_token, &key, &validation)
        .map_err(|error| OidcError::untrue(format!("its ID token: {error}")))?
        .claims;
    let wrong = claims.wrong(issuer, client_id, nonce, jsonwebtoken::get_current_timestamp());
    wrong.map_or(Ok(claims), |wrong| Err(OidcError::untrue(format!("its ID token {wrong}"))))
}

impl Claims {
    /// What is wrong beyond what the library looks at.
    fn wrong(&self, issuer: &str, client_id: &str, nonce: &str, now: u64) -> Option<&'static str> {
        let (alone, named) = match &self.aud {
            Audience::One(one) => (true, one == client_id),
            Audience::Many(many) => (many.len() == 1, many.iter().any(|one| one == client_id)),
        };
        // Times are whole seconds of this century: a float holds them exactly.
        let (earliest, latest) = ((now - OLDEST) as f64, (now + LEEWAY) as f64);
        if self.iss != issuer {
            Some("is another provider's")
        } else if !named {
            Some("is for another client")
        } else if self.azp.as_ref().map_or(!alone, |azp| azp != client_id) {
            Some("was made out to another client")
        } else if self.nonce.as_deref() != Some(nonce) {
            Some("belongs to another sign-in")
        } else if !(earliest..=latest).contains(&self.iat) {
            Some("was not made just now; set the clocks of provider and controller")
        } else if self.sub.is_empty()
            || self.sub.len() > LONGEST_SUBJECT
            || self.sub.contains(char::is_control)
        {
            Some("names nobody")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
