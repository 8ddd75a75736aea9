//! What may be set about a provider, and what is refused by name.

use roadstead_protocol::fuzz::{fuzz, text};

use super::*;
use crate::config::{Config, Settings};

const WHOLE: &str = "public-url = 'https://roadstead.example.org/'\n[oidc]\nissuer = 'https://id.example.org'\n\
    client-id = 'roadstead'\nclient-secret = 'hunter2'\ndefault-role = 'viewer'\n";

fn resolve(text: &str) -> Result<Config, String> {
    toml::from_str::<Settings>(text)
        .map_err(|error| error.to_string())?
        .resolve()
        .map_err(|error| error.to_string())
}

#[test]
fn a_provider_is_described_in_the_file() {
    let groups = "[[oidc.groups]]\nname = 'ops'\nrole = 'operator'\ntags = ['shop', 'blog']\n";
    let oidc = resolve(&format!("{WHOLE}{groups}")).unwrap().oidc.unwrap();
    assert_eq!(oidc.redirect_uri, "https://roadstead.example.org/oidc/callback");
    assert_eq!((oidc.label.as_str(), oidc.groups_claim.as_str()), ("id.example.org", "groups"));
    assert_eq!((oidc.client_secret.as_deref(), oidc.default_role), (Some("hunter2"), Some(Role::Viewer)));
    assert_eq!(oidc.groups[0].tags, ["blog", "shop"]);
    assert!(resolve("").unwrap().oidc.is_none(), "without an issuer there is none");
}

#[test]
fn groups_fit_on_a_line() {
    let Groups(groups) = "cn=admins,ou=it=admin; ops = operator:shop, blog ;;staff=viewer".parse().unwrap();
    let read: Vec<_> =
        groups.iter().map(|one| (one.name.as_str(), one.role.as_str(), one.tags.join("+"))).collect();
    assert_eq!(
        read,
        [
            ("cn=admins,ou=it", "admin", String::new()),
            ("ops", "operator", "shop+blog".to_owned()),
            ("staff", "viewer", String::new())
        ]
    );
    assert!("staff".parse::<Groups>().is_err());
}

#[test]
fn a_secret_in_a_nearer_file_wins_and_none_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "from-the-file\n").unwrap();
    let near = OidcSettings { client_secret_file: Some(file), ..OidcSettings::default() };
    let far: Settings = toml::from_str(WHOLE).unwrap();
    let both = Settings { oidc: near, ..Settings::default() }.over(far);
    assert_eq!(both.resolve().unwrap().oidc.unwrap().client_secret.as_deref(), Some("from-the-file"));
    for broken in ["client-secret = ['hunter2']", "client-secrets = 'hunter2'"] {
        let error = resolve(&WHOLE.replace("client-secret = 'hunter2'", broken)).err().unwrap();
        assert!(!error.lines().last().unwrap().contains("hunter2"), "{error}");
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let group = |text: &str| format!("{WHOLE}[[oidc.groups]]\nname = 'ops'\n{text}\n");
    let cases = [
        (WHOLE.replace("'https://id.", "'http://id."), "ROADSTEAD_OIDC_ISSUER"),
        (WHOLE.replace("id.example.org", "id.example.org/?a=b"), "ROADSTEAD_OIDC_ISSUER"),
        (WHOLE.replace("public-url = 'https://roadstead.example.org/'\n", ""), "ROADSTEAD_PUBLIC_URL"),
        (WHOLE.replace("roadstead.example.org/", "roadstead.example.org/here"), "ROADSTEAD_PUBLIC_URL"),
        (WHOLE.replace("client-id = 'roadstead'\n", ""), "ROADSTEAD_OIDC_CLIENT_ID"),
        (WHOLE.replace("default-role = 'viewer'\n", ""), "nobody would be let in"),
        (WHOLE.replace("'viewer'", "'guest'"), "ROADSTEAD_OIDC_DEFAULT_ROLE"),
        (format!("{WHOLE}scopes = 'profile'\n"), "openid"),
        (group("role = 'boss'"), "group `ops`: the roles are"),
        (group("role = 'admin'\ntags = ['shop']"), "administrators see every instance"),
        (group("role = 'viewer'\ntags = ['']"), "tags"),
    ];
    for (text, names) in cases {
        let error = resolve(&text).err().unwrap_or_else(|| panic!("taken: {text}"));
        assert!(error.contains(names), "{error}");
    }
    assert!(resolve(&WHOLE.replace("https://id.example.org", "http://127.0.0.1:9000")).is_ok());
}

#[test]
fn fuzz_groups_on_a_line() {
    let samples = ["ops=operator:shop,blog; staff=viewer", "cn=a,ou=b=admin"];
    fuzz("groups of a provider", &text(&samples, &["=", ";", ":", ",", "admin", "\0"]), |text| {
        let Ok(Groups(groups)) = text.parse() else { return false };
        let Ok(rules) = rules(groups) else { return false };
        for rule in &rules {
            // An empty tag, or an administrator's, would be a limit that is none.
            assert!(!rule.name.is_empty() && rule.role != Role::Guest);
            assert!(rule.tags.iter().all(|tag| !tag.is_empty()));
            assert!(rule.role != Role::Admin || rule.tags.is_empty());
        }
        !rules.is_empty()
    });
}
