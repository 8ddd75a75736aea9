//! The checks, and the policy as it is written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use roadstead_protocol::message::command::SyncWork;
use roadstead_protocol::message::policy::Limits;

use super::written::{PolicyError, Words};
use super::*;

#[test]
fn a_refusal_names_the_verb_what_is_allowed_and_where_to_change_it() {
    let cell = PolicyCell::new("view,logs".parse().unwrap());
    assert_eq!(cell.check(Verb::View), Ok(()));
    let text = cell.check(Verb::Sync).unwrap_err().to_string();
    for part in ["`sync`", "ROADSTEAD_ALLOW"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_verb_of_a_newer_version_is_never_allowed() {
    let cell = PolicyCell::new("all".parse().unwrap());
    assert!(cell.check(Verb::Unknown).is_err());
}

#[test]
fn replacing_the_policy_counts_at_once_and_is_told() {
    let cell = PolicyCell::new(Policy::default());
    let mut told = cell.subscribe();
    cell.replace(Rules::from("view".parse::<Policy>().unwrap()));
    assert!(cell.check(Verb::Sync).is_err());
    assert!(told.has_changed().unwrap());
    assert_eq!(told.borrow_and_update().policy, cell.current());
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    (folder, path)
}

fn from_file(path: &Path) -> Result<Rules, PolicyError> {
    Rules::written(Some(path), Words::default())
}

const FILE: &str = "# What the controller may do here\nallow = ['sync', 'deploy']\nprojects = ['shop', 'blog-*']\n\
                    registries = [\n  'registry.example',\n]\nhost-paths = ['/srv']\nprivileged = false\n";

#[test]
fn every_limit_refuses_with_its_line() {
    let (_folder, path) = file(FILE);
    let cell = PolicyCell::of(from_file(&path).unwrap());
    let sync = |project: &str| {
        let project = project.to_owned();
        Work::Sync(SyncWork { project, services: Vec::new(), strategy: None, verify_secs: 60 })
    };
    let install = |with: serde_json::Value| {
        let mut work = serde_json::json!({ "name": "web", "image": "registry.example/web:1" });
        work.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        Work::Install(serde_json::from_value(work).unwrap())
    };
    use serde_json::json;
    for allowed in [
        sync("shop"),
        sync("blog-eu"),
        install(json!({})),
        install(json!({ "mounts": ["/srv/x:/x", "data:/d"] })),
    ] {
        assert_eq!(cell.check_work(&allowed), Ok(()), "{allowed:?}");
    }
    for (work, line, why) in [
        (sync("other"), 3, "project \"other\" is not among projects shop, blog-*"),
        (install(json!({ "image": "docker.io/web" })), 4, "is not from registries registry.example"),
        (install(json!({ "mounts": ["/etc:/x:ro"] })), 7, "mounts \"/etc\""),
        (install(json!({ "mounts": ["/srv/../etc:/x"] })), 7, "/srv/../etc"),
        (install(json!({ "network": "host" })), 8, "the host's network namespace"),
    ] {
        let refusal = cell.check_work(&work).unwrap_err();
        assert_eq!(refusal.verb, work.verb());
        let rule = refusal.rule.unwrap();
        assert!(rule.contains(why) && rule.ends_with(&format!("policy.toml line {line})")), "{rule}");
    }
    let refusal = cell.check(Verb::Exec).unwrap_err().rule.unwrap();
    assert!(refusal.contains("view sync deploy") || refusal.contains("view, sync, deploy"), "{refusal}");
    assert!(refusal.ends_with("policy.toml line 2)"), "{refusal}");
}

#[test]
fn settings_say_the_same_as_a_file_but_not_both_at_once() {
    let (_folder, path) = file(FILE);
    let words = Words {
        allow: Some("sync deploy".to_owned()),
        projects: Some("shop, blog-*".to_owned()),
        registries: Some("registry.example".to_owned()),
        host_paths: Some("/srv".to_owned()),
        privileged: Some(false),
    };
    let written = Rules::written(None, words.clone()).unwrap();
    assert_eq!(written.policy, from_file(&path).unwrap().policy);
    assert_eq!(written.origins.registries, "ROADSTEAD_ALLOW_REGISTRIES");
    let both = Rules::written(Some(&path), Words { privileged: Some(true), ..Words::default() });
    assert!(both.unwrap_err().to_string().contains("ROADSTEAD_ALLOW_PRIVILEGED"));
    let nothing = Rules::written(None, Words::default()).unwrap().policy;
    assert_eq!(nothing, Policy::default());
    assert_eq!(nothing.limits, Limits::default());
    let none_at_all = Words { projects: Some(String::new()), ..Words::default() };
    let cell = PolicyCell::of(Rules::written(None, none_at_all).unwrap());
    assert!(cell.check_project(Verb::Sync, "shop").unwrap_err().rule.unwrap().contains("(none)"));
}

#[test]
fn what_cannot_be_used_is_named() {
    for (text, part) in [
        ("allow = ['fly']", "`fly`"),
        ("allow = 'sync'", "policy.toml"),
        ("priviledged = false", "priviledged"),
        ("host-paths = ['srv']", "policy.toml line 1: \"srv\" is no absolute path"),
        ("host-paths = ['/srv/../etc']", "is no absolute path"),
        ("registries = ['https://registry.example']", "leave out https://"),
        ("projects = ['']", "is no project"),
    ] {
        let (_folder, path) = file(text);
        let error = from_file(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let many: Vec<_> = (0..1000).map(|number| format!("'project-{number}'")).collect();
    let (_folder, path) = file(&format!("projects = [{}]", many.join(",")));
    assert!(matches!(from_file(&path), Err(PolicyError::TooLarge)));
    assert!(matches!(from_file(Path::new("/nowhere/policy")), Err(PolicyError::Read { .. })));
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    let (folder, path) = file(FILE);
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for loose in [0o666, 0o664, 0o646] {
        mode(&path, loose);
        assert!(from_file(&path).unwrap_err().to_string().contains("chmod go-w"), "{loose:o}");
    }
    mode(&path, 0o600);
    assert!(from_file(&path).is_ok());
    mode(folder.path(), 0o777);
    assert!(from_file(&path).unwrap_err().to_string().contains("folder that anybody can write to"));
    mode(folder.path(), 0o1777);
    assert!(from_file(&path).is_ok());
    assert!(from_file(folder.path()).is_err());
    std::fs::write(&path, "#".repeat(70_000)).unwrap();
    assert!(from_file(&path).unwrap_err().to_string().contains("64"));
}
