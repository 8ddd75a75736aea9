//! What `compose config` says of a project's services.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::tool::Tool;

/// How long compose may take to read the files.
const LIMIT: Duration = Duration::from_secs(60);

/// A project's files, as far as a sync needs them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub services: BTreeMap<String, Written>,
    /// Variables the files want and nobody set.
    pub unset: Vec<String>,
}

/// One service as it is written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub image: Option<String>,
    pub built: bool,
    /// It belongs to a profile, so that it runs only if asked for.
    pub optional: bool,
}

/// Asks compose.
///
/// # Errors
/// If it cannot make sense of the files; in its words.
pub(super) async fn read(tool: &Tool) -> Result<Config, String> {
    let answer = tool.config().capture(LIMIT).await.map_err(|error| error.to_string())?;
    if !answer.status.success() {
        let said: Vec<_> = answer.stderr.lines().take(10).collect();
        return Err(format!("{} rejects the project's files: {}", tool.describe(), said.join(" ")));
    }
    let services = if tool.is_first() { from_first(&answer.stdout) } else { from_json(&answer.stdout)? };
    if services.is_empty() {
        return Err(format!("{} finds no service in the project's files", tool.describe()));
    }
    Ok(Config { services, unset: unset_variables(&answer.stderr) })
}

/// The first generation prints YAML only, but always in the same plain layout: keys sorted, two spaces a level.
fn from_first(text: &str) -> BTreeMap<String, Written> {
    let mut services: BTreeMap<String, Written> = BTreeMap::new();
    let mut within = false;
    let mut current = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let entry = line.trim();
        match depth {
            0 => within = entry == "services:",
            2 if within => {
                let Some(name) = entry.strip_suffix(':') else { continue };
                let name = unquote(name).to_owned();
                services.insert(name.clone(), Written::default());
                current = Some(name);
            }
            4 if within => {
                let Some(service) = current.as_ref().and_then(|name| services.get_mut(name)) else {
                    continue;
                };
                if let Some(image) = entry.strip_prefix("image: ") {
                    service.image = Some(unquote(image).to_owned());
                }
                service.built |= entry.starts_with("build:");
                service.optional |= entry.starts_with("profiles:");
            }
            _ => {}
        }
    }
    services
}

fn unquote(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote| text.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}

fn from_json(text: &str) -> Result<BTreeMap<String, Written>, String> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(default)]
        services: BTreeMap<String, Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        image: Option<String>,
        #[serde(default)]
        build: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        profiles: Vec<String>,
    }
    let document: Document = serde_json::from_str(text)
        .map_err(|error| format!("compose's own description is unreadable: {error}"))?;
    let written = |entry: Entry| Written {
        image: entry.image,
        built: entry.build.is_some(),
        optional: !entry.profiles.is_empty(),
    };
    Ok(document.services.into_iter().map(|(name, entry)| (name, written(entry))).collect())
}

/// `The TAG variable is not set. Defaulting to a blank string.`, with or without quotes, once each.
fn unset_variables(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some((before, _)) = line.split_once(" variable is not set") else { continue };
        let name = before.rsplit(' ').next().unwrap_or_default();
        let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    fn written(image: &str, built: bool) -> Written {
        Written { image: (!image.is_empty()).then(|| image.to_owned()), built, optional: false }
    }

    #[test]
    fn the_first_generations_layout_is_read() {
        let text = "networks:\n  web: {}\nservices:\n  db:\n    environment:\n      image: not-me\n    image: db:1\n  \
                    'no':\n    build:\n      context: /srv\n  web:\n    image: 'app:1'\n    profiles:\n    - extra\n    ports:\n    - 80:80/tcp\n\
                    version: '3.9'\nvolumes:\n  image:\n    name: x\n";
        let services = from_first(text);
        let expected = BTreeMap::from([
            ("db".to_owned(), written("db:1", false)),
            ("no".to_owned(), written("", true)),
            ("web".to_owned(), Written { optional: true, ..written("app:1", false) }),
        ]);
        assert_eq!(services, expected);
    }

    #[test]
    fn the_second_generations_json_is_read() {
        let text = r#"{"name":"shop","services":{"db":{"image":"db:1","command":null},
            "web":{"build":{"context":"/srv"},"image":"shop-web"}}}"#;
        let services = from_json(text).unwrap();
        assert_eq!(services["db"], written("db:1", false));
        assert_eq!(services["web"], written("shop-web", true));
        assert!(from_json("services:").is_err());
    }

    #[test]
    fn variables_nobody_set_are_named_once() {
        let text = "WARNING: The TAG variable is not set. Defaulting to a blank string.\n\
                    time=\"…\" level=warning msg=\"The \\\"PORT\\\" variable is not set. Defaulting to a blank string.\"\n\
                    The TAG variable is not set.\nother\n";
        assert_eq!(unset_variables(text), ["TAG", "PORT"]);
    }

    #[test]
    fn fuzz_what_compose_says() {
        let samples = [
            "services:\n  db:\n    image: db:1\n  'no':\n    build:\n      context: /srv\nversion: '3.9'\n",
            r#"{"name":"shop","services":{"db":{"image":"db:1"},"web":{"build":{},"profiles":["extra"]}}}"#,
            "WARNING: The TAG variable is not set. Defaulting to a blank string.\n",
        ];
        let words = ["services:\n", "    image: ", "  x:\n", " variable is not set"];
        fuzz("what compose says", &text(&samples, &words), |text| {
            let (first, names) = (from_first(&text), unset_variables(&text));
            assert!(first.keys().all(|key| !key.contains('\n')), "{first:?}");
            assert!(names.iter().all(|name| !name.is_empty()), "{names:?}");
            !first.is_empty() || !names.is_empty() || from_json(&text).is_ok()
        });
    }
}
