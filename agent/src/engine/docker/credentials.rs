//! Credentials for registries, as `docker login` keeps them on this host. Read anew for every pull, so that a login
//! takes effect at once. They go to the engine beside this agent and nowhere else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Deserialize;

use super::names::ImageReference;

/// How the file names Docker Hub, which references do not name at all.
const HUB: &str = "https://index.docker.io/v1/";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ConfigFile {
    auths: HashMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    /// Base64 of `user:password`.
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// What the engine is given to sign in to a registry with.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) identitytoken: Option<String>,
    pub(super) serveraddress: String,
}

impl Credentials {
    /// The value of the header `X-Registry-Auth`.
    pub(super) fn header(&self) -> String {
        URL_SAFE.encode(
            serde_json::json!({
                "username": self.username,
                "password": self.password,
                "identitytoken": self.identitytoken,
                "serveraddress": self.serveraddress,
            })
            .to_string(),
        )
    }
}

/// What this host has for the registry of `reference`; none if nobody logged in to it.
pub(super) fn of_registry(reference: &ImageReference<'_>) -> Option<Credentials> {
    let path = config_file()?;
    let file = match read(&path) {
        Ok(file) => file?,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot read the registries' credentials; pulling without");
            return None;
        }
    };
    find(&file, registry(reference.repository))
}

fn config_file() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}

fn read(path: &Path) -> std::io::Result<Option<ConfigFile>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The registry of a repository, as the file names it: its first part if that looks like a host.
fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" | "index.docker.io" => HUB,
            host => host,
        },
        _ => HUB,
    }
}

fn find(file: &ConfigFile, registry: &str) -> Option<Credentials> {
    let bare = |name: &str| {
        let name = name.trim_start_matches("https://").trim_start_matches("http://");
        name.split('/').next().unwrap_or(name).to_owned()
    };
    let entry = file.auths.iter().find(|(name, _)| *name == registry || bare(name) == bare(registry));
    let entry = entry.map(|(_, entry)| entry.clone()).unwrap_or_default();
    let login = entry.auth.as_deref().and_then(|auth| {
        let text = String::from_utf8(STANDARD.decode(auth).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
    });
    if login.is_none() && entry.identitytoken.is_none() {
        if file.creds_store.is_some() || file.cred_helpers.contains_key(&bare(registry)) {
            tracing::debug!(registry, "credentials are kept by a helper program, which is not asked");
        }
        return None;
    }
    let (username, password) = login.unzip();
    Some(Credentials {
        username,
        password,
        identitytoken: entry.identitytoken,
        serveraddress: registry.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    fn file(text: &str) -> ConfigFile {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_registry_is_the_first_part_if_that_is_a_host() {
        let table = [
            ("alpine", HUB),
            ("team/web", HUB),
            ("docker.io/team/web", HUB),
            ("localhost/web", "localhost"),
            ("127.0.0.1:5000/web", "127.0.0.1:5000"),
            ("ghcr.io/team/web", "ghcr.io"),
        ];
        for (repository, expected) in table {
            assert_eq!(registry(repository), expected, "{repository}");
        }
    }

    #[test]
    fn logins_are_found_by_host_however_the_file_writes_it() {
        let auth = STANDARD.encode("me:se:cret");
        for name in ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/"] {
            let file = file(&format!(r#"{{"auths":{{"{name}":{{"auth":"{auth}"}}}}}}"#));
            let found = find(&file, "ghcr.io").unwrap();
            assert_eq!(
                (found.username.as_deref(), found.password.as_deref()),
                (Some("me"), Some("se:cret")),
                "{name}"
            );
            assert!(find(&file, "other.io").is_none());
            assert!(find(&file, HUB).is_none());
        }
    }

    #[test]
    fn what_holds_no_login_is_none() {
        for text in [
            "{}",
            r#"{"auths":{"ghcr.io":{}}}"#,
            r#"{"auths":{"ghcr.io":{"auth":"%%%"}}}"#,
            r#"{"credsStore":"desktop","auths":{"ghcr.io":{}}}"#,
        ] {
            assert!(find(&file(text), "ghcr.io").is_none(), "{text}");
        }
    }

    #[test]
    fn the_header_is_base64url_of_json() {
        let credentials = Credentials {
            username: Some("me".to_owned()),
            password: Some("???>>>".to_owned()),
            identitytoken: None,
            serveraddress: "ghcr.io".to_owned(),
        };
        let json: serde_json::Value =
            serde_json::from_slice(&URL_SAFE.decode(credentials.header()).unwrap()).unwrap();
        assert_eq!(json["password"], "???>>>");
        assert_eq!(json["serveraddress"], "ghcr.io");
    }

    #[test]
    fn fuzz_docker_config() {
        let samples = [
            r#"{"auths":{"ghcr.io":{"auth":"bWU6c2U6Y3JldA=="},"https://index.docker.io/v1/":{"identitytoken":"x"}}}"#,
            r#"{"credsStore":"desktop","credHelpers":{"ghcr.io":"gcloud"},"auths":{"http://ghcr.io/v2/":{}}}"#,
        ];
        let words = ["\"auth\":", "\"auths\":{", "https://", "://", "OgA="];
        fuzz("docker's config.json", &text(&samples, &words), |text| {
            let Ok(file) = serde_json::from_str::<ConfigFile>(&text) else { return false };
            for registry in ["ghcr.io", HUB, ""] {
                if let Some(credentials) = find(&file, registry) {
                    let header = URL_SAFE.decode(credentials.header()).unwrap();
                    assert!(serde_json::from_slice::<serde_json::Value>(&header).is_ok());
                }
            }
            true
        });
    }
}
