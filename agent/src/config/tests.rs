//! What settings come to, and what is refused by name.

use roadstead_protocol::fuzz::{fuzz, text};
use roadstead_protocol::message::policy::Verb;

use super::*;

#[test]
fn nearer_settings_win() {
    let near = Settings { instance_name: Some("near".into()), ..Settings::default() };
    let far = Settings {
        instance_name: Some("far".into()),
        environment: Some("test".into()),
        ..Settings::default()
    };
    let config = near.over(far).resolve().unwrap();
    assert_eq!(config.name, "near");
    assert_eq!(config.environment.as_deref(), Some("test"));
}

#[test]
fn a_token_on_the_command_line_beats_a_token_file_in_the_file() {
    let near = Settings { join: Some("rsj_x".into()), ..Settings::default() };
    let far = Settings { join_file: Some("/nowhere".into()), ..Settings::default() };
    assert!(matches!(near.over(far).resolve(), Err(ConfigError::Join(_))));
}

#[test]
fn every_policy_allows_to_view() {
    let settings = Settings { allow: Some("sync".into()), ..Settings::default() };
    let rules = settings.resolve().unwrap().policy;
    assert_eq!(rules.policy.allow, [Verb::View, Verb::Sync].into());
}

#[test]
fn unknown_keys_are_errors() {
    assert!(toml::from_str::<Settings>("instance-nmae = 'x'").is_err());
    assert!(toml::from_str::<Settings>("instance-name = 'x'").is_ok());
}

#[test]
fn errors_name_the_line_and_never_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    for broken in ["join = 'rsj_SEED\n", "join = rsj_SEED\n", "join = ['rsj_SEED']\n", "jion = 'rsj_SEED'\n"]
    {
        std::fs::write(&file, format!("# one\n{broken}")).unwrap();
        let error = Settings::from_file(&file).err().unwrap();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("SEED"), "{shown}");
        }
        assert!(error.to_string().contains("agent.toml, line 2: "), "{error}");
    }
}

#[test]
fn tags_are_sorted_without_doubles() {
    let settings = Settings { tags: Some(" web, eu ,web,,".into()), ..Settings::default() };
    assert_eq!(settings.resolve().unwrap().tags, ["eu", "web"]);
}

#[test]
fn what_cannot_be_used_is_named() {
    let cases = [
        (Settings { allow: Some("view,fly".into()), ..Settings::default() }, "fly"),
        (Settings { controller: Some("http://x".into()), ..Settings::default() }, "ROADSTEAD_CONTROLLER"),
        (Settings { sync_script: Some("run.sh".into()), ..Settings::default() }, "absolute"),
        (Settings { sync_script: Some("/proc/version".into()), ..Settings::default() }, "not executable"),
        (Settings { join_file: Some("/nowhere/token".into()), ..Settings::default() }, "/nowhere/token"),
    ];
    for (settings, names) in cases {
        let error = settings.resolve().unwrap_err().to_string();
        assert!(error.contains(names), "{error}");
    }
}

#[test]
fn fuzz_settings() {
    let token = "rsj_hKlhZGRyZXNzZXOQ";
    let file = format!(
        "join = '{token}'\nlisten = '0.0.0.0:1'\ntags = 'a, b,a'\nallow = 'view,sync'\ncontroller = 'wss://c.example:1'\n"
    );
    let more = "[x]\nenvironment = \"test\"\ndocker-host = 'unix:///x'\ndocker-tls-verify = '1'\nsync-script = 'x'\n";
    let words = [
        "tags = ",
        "allow = 'all'",
        "instance-name = \"\\u0000\"",
        "\n[[",
        "\u{27}\u{27}\u{27}",
        "\\U0010FFFF",
    ];
    fuzz("the agent's settings", &text(&[&file, more, ""], &words), |text| {
        let Ok(settings) = toml::from_str::<Settings>(&text) else { return false };
        assert!(!format!("{settings:?}").contains(token), "{settings:?}");
        let Ok(config) = settings.resolve() else { return false };
        assert!(config.policy.policy.allows(Verb::View));
        assert!(!config.name.trim().is_empty() && config.tags.is_sorted());
        true
    });
}
