//! What is taken and what is refused.

use super::*;

fn sync(project: &str) -> SyncWork {
    SyncWork { project: project.to_owned(), services: Vec::new(), strategy: None, verify_secs: 60 }
}

fn install() -> InstallWork {
    InstallWork {
        name: "web".to_owned(),
        image: "127.0.0.1:5000/team/web:1.2".to_owned(),
        command: vec!["serve".to_owned(), "--all".to_owned()],
        env: BTreeMap::from([("MODE".to_owned(), "a=b".to_owned())]),
        labels: BTreeMap::from([("com.example.role".to_owned(), String::new())]),
        ports: vec!["[::1]:8080:80/tcp".to_owned(), "127.0.0.1:53:53/udp".to_owned()],
        mounts: vec!["data:/var/lib/web".to_owned(), "/etc/web:/etc/web:ro".to_owned()],
        network: Some("front_end".to_owned()),
        restart_policy: Some("unless-stopped".to_owned()),
        verify_secs: 60,
    }
}

fn container(name: &str, action: ContainerAction) -> Work {
    Work::Container { container: name.to_owned(), action }
}

#[test]
fn sensible_requests_are_taken() {
    let good = [
        Work::Sync(SyncWork { services: vec!["web".to_owned()], ..sync("shop-2_b") }),
        Work::Install(install()),
        Work::Reinstall { container: "0123456789ab".to_owned() },
        container("shop.web_1-x", ContainerAction::Restart),
        Work::Check { project: "0shop".to_owned() },
    ];
    for work in good {
        assert_eq!(validate(&work), Ok(()), "{work:?}");
    }
}

#[test]
fn impossible_names_are_refused() {
    for project in ["", "Shop", "-shop", "_shop", "shop/..", "shop\n", "café", &"x".repeat(MAX_NAME + 1)] {
        assert!(validate(&Work::Sync(sync(project))).is_err(), "{project:?}");
        assert!(validate(&Work::Check { project: project.to_owned() }).is_err(), "{project:?}");
    }
    for name in ["", "/web", "-web", "web/../../x", "web?force=1", "we b", "web\0", &"x".repeat(MAX_NAME + 1)]
    {
        assert!(validate(&container(name, ContainerAction::Start)).is_err(), "{name:?}");
        assert!(validate(&Work::Reinstall { container: name.to_owned() }).is_err(), "{name:?}");
    }
}

#[test]
fn what_a_newer_version_means_is_refused() {
    assert!(validate(&Work::Unknown).is_err());
    assert!(validate(&container("web", ContainerAction::Unknown)).is_err());
    assert!(validate(&Work::Sync(SyncWork { strategy: Some(Strategy::Unknown), ..sync("shop") })).is_err());
}

#[test]
fn each_part_of_an_install_is_checked() {
    type Spoil = fn(&mut InstallWork);
    let cases: [(&str, Spoil); 13] = [
        ("image", |work| work.image = "--privileged".to_owned()),
        ("image", |work| work.image = "web latest".to_owned()),
        ("argument", |work| work.command = vec!["a\0b".to_owned()]),
        ("arguments", |work| work.command = vec![String::new(); MAX_ENTRIES + 1]),
        ("environment", |work| _ = work.env.insert(String::new(), String::new())),
        ("environment", |work| _ = work.env.insert("A=B".to_owned(), String::new())),
        ("environment", |work| {
            work.env = (0..=MAX_ENTRIES).map(|number| (format!("V{number}"), String::new())).collect();
        }),
        ("labels", |work| _ = work.labels.insert("a".to_owned(), "\0".to_owned())),
        ("port", |work| work.ports = vec!["80 80".to_owned()]),
        ("mount", |work| work.mounts = vec!["/etc/passwd".to_owned()]),
        ("network", |work| work.network = Some("a b".to_owned())),
        ("restart policy", |work| work.restart_policy = Some("sometimes".to_owned())),
        ("too large", |work| _ = work.env.insert("BIG".to_owned(), "x".repeat(MAX_WORK))),
    ];
    for (part, spoil) in cases {
        let mut work = install();
        spoil(&mut work);
        let refusal = validate(&Work::Install(work)).unwrap_err();
        assert!(refusal.contains(part), "{refusal:?} does not name the {part}");
    }
}

#[test]
fn verification_has_an_end() {
    for seconds in [0, MAX_VERIFY_SECS + 1] {
        assert!(validate(&Work::Sync(SyncWork { verify_secs: seconds, ..sync("shop") })).is_err());
    }
}

#[test]
fn a_refusal_shows_no_control_characters() {
    let refusal = validate(&Work::Check { project: "\u{1b}[31mshop".to_owned() }).unwrap_err();
    assert!(!refusal.chars().any(char::is_control));
}

#[test]
fn commands_that_change_the_same_share_a_key() {
    assert_eq!(changes(&Work::Sync(sync("shop"))), changes(&Work::Sync(sync("shop"))));
    assert_ne!(changes(&Work::Sync(sync("web"))), changes(&Work::Install(install())));
    assert_eq!(changes(&Work::Install(install())), changes(&container("web", ContainerAction::Stop)));
    assert_eq!(changes(&Work::Check { project: "shop".to_owned() }), None);
}
