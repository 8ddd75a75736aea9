//! What is hidden, and what is not.

use crate::message::ids::ContainerId;

use super::*;

const GITHUB: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

#[test]
fn names_tell_of_secrets_whatever_their_case() {
    for name in [
        "PASSWORD",
        "db_password",
        "MYSQL_ROOT_PASSWORD",
        "POSTGRES_PASSWD",
        "SSH_PASSPHRASE",
        "DB_PWD",
        "SECRET_KEY_BASE",
        "ClientSecret",
        "API_TOKEN",
        "apikey",
        "ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "SENTRY_DSN",
        "GOOGLE_CREDENTIALS",
        "AUTH",
        "BASIC_AUTH",
        "http.authorization",
        "SMTP_PASS",
        "redis.pass",
        "PRIVATE_PEM",
        "SESSION_COOKIE",
    ] {
        assert!(is_secret(name, "x"), "{name}");
    }
    for name in [
        "PATH",
        "HOME",
        "TZ",
        "PWD",
        "OLDPWD",
        "AUTHOR",
        "org.opencontainers.image.authors",
        "KEYBOARD",
        "COMPASS",
        "PORT",
        "LANG",
    ] {
        assert!(!is_secret(name, "x"), "{name}");
    }
    assert!(!is_secret("PASSWORD", ""), "that there is none may be seen");
}

#[test]
fn values_tell_of_secrets_by_their_shape() {
    for value in [
        "-----BEGIN RSA PRIVATE KEY-----\nMII",
        GITHUB,
        JWT,
        "postgres://app:hunter2@db/shop",
        "https://token@example.com/",
        "AKIAIOSFODNN7EXAMPLE00",
        "Authorization: Bearer abc",
        "user:$apr1$abcdefgh$0123456789abcdefghijkl",
        "amqp://u:p%40ss@host:5672/vhost?x=1",
        "x --token=abc y",
    ] {
        assert!(is_secret("VALUE", value), "{value}");
    }
    for value in [
        "postgres://db/shop",
        "sk-EU",
        "npm_config",
        "a@b.example",
        "eyJ",
        "1",
        "true",
        "mask-0123456789abcdefgh",
        "risk-assessment-of-the-year",
    ] {
        assert!(!is_secret("VALUE", value), "{value}");
    }
}

#[test]
fn only_the_secret_goes_from_a_text() {
    for (text, expected) in [
        ("serve --password hunter2 --port 80", "serve --password •••••• --port 80"),
        ("serve --password=hunter2  -v", "serve --password=••••••  -v"),
        ("DB_PASSWORD=x APP=y run", "DB_PASSWORD=•••••• APP=y run"),
        ("get https://u:p@example.com/path?q=1 now", "get https://••••••@example.com/path?q=1 now"),
        ("curl -H Authorization: Bearer abc def", "curl -H Authorization: Bearer •••••• def"),
        ("plain text\nwith  spaces\t", "plain text\nwith  spaces\t"),
        ("url=redis://:pw@cache", "url=redis://••••••@cache"),
    ] {
        assert_eq!(hide(text), expected);
    }
    assert_eq!(hide(&format!("pushed with {GITHUB}, done")), "pushed with ••••••, done");
    assert!(matches!(hide("nothing to see"), Cow::Borrowed(_)));
}

#[test]
fn a_token_glued_to_something_is_hidden() {
    for (text, expected) in [
        (format!("{GITHUB}authorization: Bearer x"), "••••••: Bearer ••••••"),
        (format!("{GITHUB}auth:"), "••••••:"),
        (format!("{GITHUB}:"), "••••••:"),
        (format!("{GITHUB}token=x"), "••••••••••••"),
        (format!("{GITHUB}=x"), "••••••"),
        (format!("a={GITHUB}"), "a=••••••"),
        (format!("--{GITHUB}-key next"), "--•••••• ••••••"),
        (format!("{GITHUB}://me@host/"), "••••••://••••••@host/"),
        (format!("key%3D{GITHUB}"), "key%3D••••••"),
        (format!("one\\n{GITHUB}"), "one\\n••••••"),
        (format!("_{GITHUB},{GITHUB}"), "_••••••,••••••"),
    ] {
        assert_eq!(hide(&text), expected, "{text}");
    }
    for plain in ["highs-and-lows-of-the-year", "task-runner-of-the-house", "monkeyJumpsOverTheLazyDog"] {
        assert_eq!(hide(plain), plain);
    }
}

#[test]
fn what_follows_in_the_same_word_or_the_next_is_hidden() {
    for (text, expected) in [
        ("authorization=Bearer abc def", "authorization=•••••• •••••• def"),
        ("header=Bearer abc", "header=Bearer ••••••"),
        ("http://proxy/http://me:pw@host/", "http://proxy/http://••••••@host/"),
        ("a://b@c://d@e", "a://••••••@c://••••••@e"),
        ("jdbc:mysql://db/x?user=a&password=b&ssl=1", "jdbc:mysql://db/x?user=a&password=••••••&ssl=1"),
        ("url=https://me:pw@h/?access_token=b", "url=https://••••••@h/?access_token=••••••"),
        ("Server=db;Password=b;Port=1", "Server=db;Password=••••••;Port=1"),
        ("TOKEN=a&b;c", "TOKEN=••••••"),
        ("https://h/?key=&a=b", "https://h/?key=&a=b"),
    ] {
        assert_eq!(hide(text), expected, "{text}");
    }
}

/// A label or a command is as long as the maker of an image likes.
#[test]
fn long_texts_take_neither_stack_nor_time() {
    let start = tokio::time::Instant::now();
    for unit in [
        "a=",
        "://",
        "a://b@",
        "ghp_",
        "ghp_0123456789abcdef,",
        "sk-,",
        "key:",
        "key ",
        "?key=a",
        "&a=b",
        "bearer ",
    ] {
        let text = unit.repeat((1 << 16) / unit.len());
        let hidden = hide(&text).into_owned();
        assert_eq!(hide(&hidden), hidden, "{unit}");
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "took {:?}", start.elapsed());
}

#[test]
fn a_container_in_detail_shows_no_secret() {
    let setting = |name: &str, value: &str| Setting { name: name.to_owned(), value: Some(value.to_owned()) };
    let mut details = ContainerDetails {
        env: vec![
            setting("TZ", "UTC"),
            setting("DB_PASSWORD", "hunter2"),
            setting("URL", "redis://:hunter2@cache"),
        ],
        labels: vec![
            setting("api.token", "hunter2"),
            setting("traefik.http.routers.auth.rule", "Host(`x`)"),
            setting("traefik.http.middlewares.a.basicauth.users", "u:$2y$05$hunter2hunter2hunter2hunter2"),
        ],
        command: ["serve", "--password", "hunter2", "sh -c 'TOKEN=hunter2 run'"].map(str::to_owned).to_vec(),
        entrypoint: vec!["--secret=hunter2".to_owned()],
        health_check: ["CMD", "curl", "http://u:hunter2@localhost/"].map(str::to_owned).to_vec(),
        ..ContainerDetails::of(ContainerId::try_from("0".repeat(64)).unwrap())
    };
    mask_details(&mut details);
    assert!(!format!("{details:?}").contains("hunter2"), "{details:?}");
    assert_eq!(details.env[0].value.as_deref(), Some("UTC"));
    assert_eq!(details.labels[1].value.as_deref(), Some("Host(`x`)"));
    assert_eq!(details.command[3], "sh -c 'TOKEN=•••••• run'");
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC*", name in ".*") {
        let hidden = hide(&text).into_owned();
        assert_eq!(hide(&hidden).as_ref(), hidden.as_str(), "what is hidden stays as it is");
        let _ = is_secret(&name, &text);
    }
}
