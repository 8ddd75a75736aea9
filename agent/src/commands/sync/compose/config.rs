//! What `compose config` says of a project's services.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::tool::Tool;
use super::yaml::from_yaml;
use crate::policy::Reach;

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
    /// What its containers are to have of the host.
    pub reach: Reach,
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
    let said = answer.stdout.as_str();
    // The first generation prints nothing but YAML.
    let document = if tool.is_first() { from_yaml(said) } else { from_json(said) };
    let services = services(&document.map_err(|error| {
        format!("{} describes the project in a way that cannot be read: {error}", tool.describe())
    })?);
    if services.is_empty() {
        return Err(format!("{} finds no service in the project's files", tool.describe()));
    }
    Ok(Config { services, unset: unset_variables(&answer.stderr) })
}

fn from_json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn services(project: &Value) -> BTreeMap<String, Written> {
    let written = |service: &Value| Written {
        image: service["image"].as_str().map(str::to_owned),
        built: !service["build"].is_null(),
        optional: service["profiles"].as_array().is_some_and(|profiles| !profiles.is_empty()),
        reach: Reach::of_service(project, service),
    };
    let services = project["services"].as_object().into_iter().flatten();
    services.map(|(name, service)| (name.clone(), written(service))).collect()
}

/// `The TAG variable is not set. Defaulting to a blank string.`, with or without quotes, and `cannot expand '~', because
/// the environment lacks HOME`: once each.
fn unset_variables(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let set = line.split_once(" variable is not set").and_then(|(before, _)| before.rsplit(' ').next());
        let lacks = || line.split_once("the environment lacks ")?.1.split([' ', '"']).next();
        let Some(name) = set.or_else(lacks) else { continue };
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
        Written { image: (!image.is_empty()).then(|| image.to_owned()), built, ..Written::default() }
    }

    #[test]
    fn the_first_generations_yaml_is_read() {
        let text = "networks:\n  web: {}\nservices:\n  db:\n    environment:\n      image: not-me\n    image: db:1\n  \
                    'no':\n    build:\n      context: /srv\n  web:\n    image: 'app:1'\n    privileged: true\n    profiles:\n    - extra\n    ports:\n    - 80:80/tcp\n    \
                    volumes:\n    - '/srv/a folder with a long name that the program breaks in two where it\n      likes:/x:rw'\n    \
                    - hidden:/y:rw\nversion: '3.9'\nvolumes:\n  hidden:\n    driver_opts:\n      device: /etc\n";
        let services = services(&from_yaml(text).unwrap());
        let reach = Reach {
            privileges: vec!["privileged mode".to_owned()],
            host_paths: vec![
                "/etc".to_owned(),
                "/srv/a folder with a long name that the program breaks in two where it likes".to_owned(),
            ],
        };
        let expected = BTreeMap::from([
            ("db".to_owned(), written("db:1", false)),
            ("no".to_owned(), written("", true)),
            ("web".to_owned(), Written { optional: true, reach, ..written("app:1", false) }),
        ]);
        assert_eq!(services, expected);
        assert!(from_yaml("services: [").is_err());
    }

    #[test]
    fn the_second_generations_json_is_read() {
        let text = r#"{"name":"shop","services":{"db":{"image":"db:1","command":null,"cap_add":["ALL"]},
            "web":{"build":{"context":"/srv"},"image":"shop-web"}}}"#;
        let services = services(&from_json(text).unwrap());
        assert_eq!(services["db"].image.as_deref(), Some("db:1"));
        assert_eq!(services["db"].reach.privileges, ["capability ALL"]);
        assert_eq!(services["web"], written("shop-web", true));
        assert!(from_json("services:").is_err());
    }

    #[test]
    fn variables_nobody_set_are_named_once() {
        let text = "WARNING: The TAG variable is not set. Defaulting to a blank string.\n\
                    time=\"…\" level=warning msg=\"The \\\"PORT\\\" variable is not set. Defaulting to a blank string.\"\n\
                    The TAG variable is not set.\nother\n\
                    time=\"…\" level=warning msg=\"cannot expand '~', because the environment lacks HOME\"\n";
        assert_eq!(unset_variables(text), ["TAG", "PORT", "HOME"]);
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
            let names = unset_variables(&text);
            assert!(names.iter().all(|name| !name.is_empty()), "{names:?}");
            let read = from_yaml(&text).or_else(|_| from_json(&text));
            read.is_ok_and(|project| !services(&project).is_empty()) || !names.is_empty()
        });
    }
}
