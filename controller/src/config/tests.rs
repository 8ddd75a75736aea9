//! What may be set, what wins, and what an error must not show.

use roadstead_protocol::fuzz::{fuzz, text};

use super::*;

#[test]
fn nearer_settings_win() {
    let near = Settings { instance_name: Some("near".into()), ..Settings::default() };
    let far = Settings { instance_name: Some("far".into()), demo_mode: Some(true), ..Settings::default() };
    let config = near.over(far).resolve().unwrap();
    assert_eq!(config.name, "near");
    assert!(config.demo_mode);
}

#[test]
fn unknown_keys_are_errors() {
    assert!(toml::from_str::<Settings>("lisen = '127.0.0.1:1'").is_err());
    assert!(toml::from_str::<Settings>("listen = '127.0.0.1:1'").is_ok());
}

#[test]
fn an_empty_password_leaves_the_file_with_one_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "from-the-file\n").unwrap();
    let empty = Settings {
        password: Some(Secret(String::new())),
        password_file: Some(file.clone()),
        ..Settings::default()
    };
    let config = empty.clone().over(Settings::default()).resolve().unwrap();
    assert_eq!(config.password.as_deref(), Some("from-the-file"));
    let far = Settings { password: Some(Secret("farther-off".into())), ..Settings::default() };
    assert_eq!(
        empty.over(far.clone()).resolve().unwrap().password.as_deref(),
        Some("from-the-file"),
        "a nearer file wins over a farther password"
    );
    let near = Settings { password: Some(Secret("near-password".into())), ..Settings::default() };
    let config = near.over(Settings { password_file: Some(file), ..far }).resolve().unwrap();
    assert_eq!(config.password.as_deref(), Some("near-password"));
}

#[test]
fn errors_name_the_line_and_never_show_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roadstead.toml");
    for broken in [
        "# one\npassword = \"hunter2\n",
        "# one\npassword = hunter2\n",
        "# one\npassword = [\"hunter2\"]\n",
        "# one\npassword = 'hunter2' 'hunter2'\n",
        "# one\npasswort = 'hunter2'\n",
    ] {
        std::fs::write(&file, broken).unwrap();
        let error = Settings::from_file(&file).err().unwrap();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(error.to_string().contains("roadstead.toml, line 2: "), "{error}");
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let cases = [
        (Settings { password: Some(Secret("short".into())), ..Settings::default() }, "ROADSTEAD_PASSWORD"),
        (Settings { tls_cert: Some("x".into()), ..Settings::default() }, "ROADSTEAD_TLS_KEY"),
        (Settings { agent_url: Some("https://x".into()), ..Settings::default() }, "ROADSTEAD_AGENT_URL"),
        (Settings { dial_allow: Some("10.0.0.0/99".into()), ..Settings::default() }, "ROADSTEAD_DIAL_ALLOW"),
    ];
    for (settings, names) in cases {
        let error = settings.resolve().err().unwrap().to_string();
        assert!(error.contains(names), "{error}");
    }
}

#[test]
fn fuzz_settings() {
    let file = "listen = '127.0.0.1:1'\npassword = 'long enough'\ndemo-mode = true\nlocal-agent = 'off'\n\
                agent-url = 'wss://a.example:1, wss://[::1]:2'\ndial-allow = '10.0.0.0/8'\naudit-days = 7\n";
    let words = ["audit-days = 4294967295", "dial-allow = '::/129'", "tls-cert = 'x'", "\n[[", "\\U0010FFFF"];
    fuzz("the controller's settings", &text(&[file, ""], &words), |text| {
        let Ok(settings) = toml::from_str::<Settings>(&text) else { return false };
        // Nothing that is only text is looked for on the disk.
        let settings = Settings { password_file: None, ..settings };
        let Ok(config) = settings.resolve() else { return false };
        assert!(
            !config.name.trim().is_empty()
                && config.agent_urls.iter().all(|url| url.to_string().parse().as_ref() == Ok(url))
        );
        assert!(config.password.is_none_or(|password| password.chars().count() >= SHORTEST_PASSWORD));
        true
    });
}
