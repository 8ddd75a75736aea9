//! Whether an order makes sense at all: its names are names and its paths lead nowhere but where they say. The
//! controller has checked the same; an agent does not rely on that. Pure.

use std::collections::BTreeMap;

use roadstead_protocol::message::command::{InstallWork, Work};

use super::replace::base_name;
use crate::engine::COMPOSE_FILES;

/// Longest name, and longest other text, in bytes.
const MAX_NAME: usize = 255;
const MAX_TEXT: usize = 32 * 1024;

/// Most entries of one list.
const MAX_ENTRIES: usize = 512;

/// Checks an order without looking at the host.
///
/// # Errors
/// What is wrong, in words.
pub fn sane(work: &Work) -> Result<(), String> {
    match work {
        Work::Sync(sync) => {
            name("project", &sync.project)?;
            few("services", sync.services.len())?;
            sync.services.iter().try_for_each(|service| name("service", service))
        }
        Work::Check { project } => name("project", project),
        Work::Container { container, .. } | Work::Reinstall { container } => name("container", container),
        Work::Install(install) => sane_install(install),
        Work::Unknown => Ok(()),
    }
}

fn sane_install(install: &InstallWork) -> Result<(), String> {
    name("container", &install.name)?;
    if base_name(&install.name) != install.name {
        let shown = shown(&install.name);
        return Err(format!(
            "{shown:?} is what a container is called while it is being replaced: give another name"
        ));
    }
    let image = install.image.as_str();
    let path = image.split('/').all(|part| !part.is_empty() && !part.bytes().all(|byte| byte == b'.'));
    if !path || image.len() > 2 * MAX_NAME || image.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(format!("{:?} is not an image reference", shown(image)));
    }
    for (what, count) in [
        ("arguments", install.command.len()),
        ("ports", install.ports.len()),
        ("mounts", install.mounts.len()),
    ] {
        few(what, count)?;
    }
    for text in install.command.iter().chain(&install.ports) {
        plain(text)?;
    }
    install.mounts.iter().try_for_each(|mount| sane_mount(mount))?;
    install.network.iter().try_for_each(|network| name("network", network))?;
    pairs("variables", &install.env)?;
    pairs("labels", &install.labels)?;
    match COMPOSE_FILES.iter().find(|label| install.labels.contains_key(**label)) {
        Some(label) => Err(format!("the label {label} is compose's own and is not set by an install")),
        None => Ok(()),
    }
}

fn sane_mount(mount: &str) -> Result<(), String> {
    plain(mount)?;
    let up = mount.split([':', '/']).any(|part| part == "..");
    let relative = mount.starts_with(['.', '~']) || mount.split(':').next().is_none_or(str::is_empty);
    if up || relative {
        return Err(format!("mount {:?}: a host path is absolute and goes nowhere up", shown(mount)));
    }
    Ok(())
}

fn pairs(what: &str, pairs: &BTreeMap<String, String>) -> Result<(), String> {
    few(what, pairs.len())?;
    for (key, value) in pairs {
        if key.is_empty() || key.contains(|c: char| c == '=' || c.is_control()) {
            return Err(format!("among the {what}, {:?} is not a name", shown(key)));
        }
        plain(key)?;
        plain(value)?;
    }
    Ok(())
}

/// What a project, service, container or network may be called: never an option, a path or an escape.
fn name(what: &str, text: &str) -> Result<(), String> {
    let fits = text.len() <= MAX_NAME
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && !text.contains("..");
    if fits { Ok(()) } else { Err(format!("{:?} is not the name of a {what}", shown(text))) }
}

fn few(what: &str, count: usize) -> Result<(), String> {
    if count <= MAX_ENTRIES {
        Ok(())
    } else {
        Err(format!("{count} {what} are too many; {MAX_ENTRIES} may be given"))
    }
}

fn plain(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT || text.contains('\0') {
        return Err(format!("{:?} is too long or contains a zero byte", shown(text)));
    }
    Ok(())
}

/// Somebody's text within a sentence of ours: short.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::message::command::{ContainerAction, SyncWork};
    use serde_json::{Value, json};

    use super::*;

    const TRICKS: [&str; 14] = [
        "",
        ".",
        "..",
        "../shop",
        "/etc",
        "a/b",
        "a..b",
        "-rf",
        "--project-directory=/",
        "a b",
        "a\n",
        "a\0b",
        "\u{1b}[2J",
        "ä",
    ];

    #[test]
    fn no_name_is_a_path_an_option_or_an_escape() {
        let long = "a".repeat(256);
        for trick in TRICKS.into_iter().chain([long.as_str()]) {
            let name = trick.to_owned();
            let sync = |project: &str, services| {
                Work::Sync(SyncWork { project: project.to_owned(), services, strategy: None, verify_secs: 1 })
            };
            for work in [
                sync(trick, Vec::new()),
                sync("shop", vec![name.clone()]),
                Work::Check { project: name.clone() },
                Work::Container { container: name.clone(), action: ContainerAction::Stop },
                Work::Reinstall { container: name.clone() },
                install(json!({ "name": name })),
            ] {
                let reason = sane(&work).expect_err(&format!("{work:?}"));
                assert!(!reason.contains(char::is_control), "{reason:?}");
            }
        }
        assert_eq!(sane(&Work::Check { project: "shop_2.eu-west".to_owned() }), Ok(()));
    }

    fn install(with: Value) -> Work {
        let mut work = json!({ "name": "web", "image": "registry.example:5000/web:1" });
        work.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        Work::Install(serde_json::from_value(work).unwrap())
    }

    #[test]
    fn an_install_leads_nowhere_but_where_it_says() {
        for good in [
            json!({ "mounts": ["/srv:/data:ro", "data:/data"] }),
            json!({ "env": { "A": "1\n2" }, "labels": { "com.docker.compose.project": "shop" } }),
        ] {
            assert_eq!(sane(&install(good)), Ok(()));
        }
        for bad in [
            json!({ "mounts": ["/srv/../etc:/x"] }),
            json!({ "mounts": ["../etc:/x"] }),
            json!({ "mounts": ["./x:/x"] }),
            json!({ "mounts": ["~/x:/x"] }),
            json!({ "mounts": ["/srv:/x/../../y"] }),
            json!({ "mounts": [":/x"] }),
            json!({ "mounts": ["/srv\0:/x"] }),
            json!({ "image": "../web" }),
            json!({ "image": "registry/../web" }),
            json!({ "image": "web\n1" }),
            json!({ "network": "container:web" }),
            json!({ "name": "db_roadstead_old_x" }),
            json!({ "name": "db_roadstead_new_x" }),
            json!({ "env": { "A=B": "1" } }),
            json!({ "env": { "": "1" } }),
            json!({ "command": ["a\0b"] }),
            json!({ "labels": { "com.docker.compose.project.config_files": "/tmp/evil.yml" } }),
            json!({ "labels": { "com.docker.compose.project.working_dir": "/" } }),
        ] {
            assert!(sane(&install(bad.clone())).is_err(), "{bad}");
        }
    }
}
