//! Keys of a provider, and tokens signed with them: by other code than what verifies them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A provider's key.
pub(super) enum Key {
    Rsa(Box<RsaKeyPair>, &'static str),
    Ec(EcdsaKeyPair, &'static str),
}

impl Key {
    pub(super) fn rsa(kid: &'static str) -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()), kid)
    }

    pub(super) fn ec(kid: &'static str) -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), kid)
    }

    /// As the provider publishes it.
    pub(super) fn public(&self) -> Value {
        match self {
            Self::Rsa(pair, kid) => {
                let public = pair.public_key();
                let n = encoded(public.modulus().big_endian_without_leading_zero());
                let e = encoded(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
            }
            Self::Ec(pair, kid) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (encoded(x), encoded(y));
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": x, "y": y })
            }
        }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = match self {
            Self::Rsa(_, kid) => json!({ "alg": "RS256", "kid": kid }),
            Self::Ec(_, kid) => json!({ "alg": "ES256", "kid": kid }),
        };
        self.sign_as(&header, claims)
    }

    /// Signs whatever the header says.
    pub(super) fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair, _) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", encoded(&signature))
    }
}

/// A token that is not signed at all.
pub(super) fn unsigned(claims: &Value) -> String {
    format!("{}.", message(&json!({ "alg": "none" }), claims))
}

/// A token "signed" with a secret that everybody knows: the public key, as text.
pub(super) fn hmac_with(public: &Value, claims: &Value) -> String {
    let message = message(&json!({ "alg": "HS256", "kid": public["kid"] }), claims);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.to_string().as_bytes());
    format!("{message}.{}", encoded(aws_lc_rs::hmac::sign(&key, message.as_bytes()).as_ref()))
}

/// What proves a code's owner (RFC 7636).
pub(super) fn challenge_of(verifier: &str) -> String {
    encoded(&Sha256::digest(verifier))
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
