//! Which keys and headers are believed; the rest is tested with real keys in `http/tests/oidc`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use roadstead_protocol::fuzz::{fuzz, text};
use serde_json::json;

use super::*;

fn key(fields: Value) -> Jwk {
    serde_json::from_value(fields).unwrap()
}

fn ec(kid: &str, more: &[(&str, &str)]) -> Jwk {
    let mut fields = json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": "AA", "y": "AA" });
    for (name, value) in more {
        fields[*name] = (*value).into();
    }
    key(fields)
}

fn named(kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::ES256) }
}

#[test]
fn a_key_is_chosen_by_its_name_kind_and_purpose() {
    let keys = [
        ec("a", &[("use", "enc")]),
        ec("b", &[("alg", "ES384")]),
        key(json!({ "kty": "oct", "kid": "c", "k": "c2VjcmV0" })),
        key(json!({ "kty": "RSA", "kid": "d", "n": "AA", "e": "AQAB" })),
        ec("e", &[]),
    ];
    for (kid, chosen) in
        [("a", None), ("b", None), ("c", None), ("d", None), ("e", Some(&keys[4])), ("f", None)]
    {
        assert_eq!(choose(&keys, &named(Some(kid))), chosen, "{kid}");
    }
    assert_eq!(choose(&keys, &named(None)), Some(&keys[4]), "the only one that it can be");
    let two = [ec("e", &[]), ec("f", &[])];
    assert_eq!(choose(&two, &named(None)), None, "it can be either");
}

#[test]
fn fuzz_headers_of_id_tokens() {
    let samples = [r#"{"alg":"RS256","kid":"a"}"#, r#"{"alg":"none"}"#, r#"{"alg":"HS256","typ":"JWT"}"#];
    let words = ["\"ES256\"", "\"crit\":[\"x\"]", "\"alg\":", "\u{0}", "null"];
    fuzz("headers of ID tokens", &text(&samples, &words), |text| {
        let Ok(header) = header(&format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(&text))) else { return false };
        assert!(BELIEVED.contains(&header.alg) && header.alg.family() != AlgorithmFamily::Hmac);
        true
    });
}

#[test]
fn fuzz_claims_of_id_tokens() {
    let samples = [
        r#"{"iss":"i","sub":"s","aud":"c","iat":1000,"nonce":"n","groups":["a"]}"#,
        r#"{"iss":"i","sub":"s","aud":["c"],"azp":"c","iat":1e3,"nonce":"n","email":"a@b"}"#,
    ];
    let words = ["null", "[]", "\"azp\":\"x\",", "-1", "1e400", "\"sub\":\"\"", "\"nonce\":\"m\""];
    fuzz("claims of ID tokens", &text(&samples, &words), |text| {
        let Ok(claims) = serde_json::from_str::<Claims>(&text) else { return false };
        if claims.wrong("i", "c", "n", 1000).is_some() {
            return false;
        }
        assert!(claims.iss == "i" && claims.nonce.as_deref() == Some("n") && !claims.sub.is_empty());
        assert!(claims.azp.as_deref().is_none_or(|azp| azp == "c") && claims.iat.is_finite());
        assert!(claims.name().chars().count() <= LONGEST_SUBJECT && !claims.name().is_empty());
        true
    });
}
