//! Logging in: what goes wrong, how often it may, and how long a session lasts.

use std::net::{IpAddr, Ipv4Addr};

use super::attempts::LOGIN_RATE;
use super::person::hash_secret;
use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

async fn open(folder: &tempfile::TempDir, password: Option<&str>) -> (Accounts, Option<String>) {
    let store = Store::open(folder.path()).unwrap();
    Accounts::open(store, password.map(str::to_owned), false).await.unwrap()
}

fn from(address: IpAddr) -> Origin {
    Origin { address, client: None, device: None }
}

fn login(name: &str, password: impl Into<String>, address: IpAddr) -> Login {
    Login { name: name.to_owned(), password: password.into(), code: None, from: from(address) }
}

fn session(token: &str) -> Credential {
    Credential::Session(token.to_owned())
}

/// Whose session it is.
async fn who(accounts: &Accounts, token: &str) -> Option<String> {
    accounts.person(&session(token), HOME).await.unwrap().map(|person| person.name)
}

#[tokio::test]
async fn a_first_start_makes_a_password_once() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, generated) = open(&folder, None).await;
    let password = generated.unwrap();
    assert!(accounts.log_in(login(ADMIN, &*password, HOME)).await.is_ok());
    drop(accounts);

    let (accounts, generated) = open(&folder, None).await;
    assert_eq!(generated, None);
    assert!(accounts.log_in(login(ADMIN, password, HOME)).await.is_ok());
}

#[tokio::test]
async fn a_password_hashed_beforehand_counts_where_there_is_no_administrator_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let accounts = Accounts::of(store, false).await.unwrap();
    drop(FirstPassword::begin(None));
    assert!(!accounts.has_admin().await.unwrap(), "a start that failed leaves none behind");

    let password = accounts.admin(None, Some(FirstPassword::begin(None))).await.unwrap().unwrap();
    assert_eq!(accounts.admin(None, Some(FirstPassword::begin(None))).await.unwrap(), None);
    assert!(accounts.log_in(login(ADMIN, password, HOME)).await.is_ok());

    let configured = || Some("configured".to_owned());
    let first = FirstPassword::begin(configured());
    assert_eq!(accounts.admin(configured(), Some(first)).await.unwrap(), None);
    assert!(accounts.log_in(login(ADMIN, "configured", HOME)).await.is_ok());
}

#[tokio::test]
async fn a_configured_password_replaces_the_old_one_and_ends_its_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, generated) = open(&folder, Some("first")).await;
    assert_eq!(generated, None);
    let session = accounts.log_in(login(ADMIN, "first", HOME)).await.unwrap();
    drop(accounts);

    let (accounts, _) = open(&folder, Some("first")).await;
    assert!(who(&accounts, &session.token).await.is_some(), "the same password keeps sessions");
    drop(accounts);

    let (accounts, _) = open(&folder, Some("second")).await;
    assert_eq!(who(&accounts, &session.token).await, None);
    let old = accounts.log_in(login(ADMIN, "first", HOME)).await;
    assert!(matches!(old, Err(LoginError::Wrong)));
    assert!(accounts.log_in(login(ADMIN, "second", HOME)).await.is_ok());
}

#[tokio::test]
async fn an_empty_password_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let refused = Accounts::open(store, Some(String::new()), false).await;
    assert!(matches!(refused, Err(AccountsError::Password)));
}

#[tokio::test]
async fn the_answer_does_not_tell_whether_the_user_exists() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    let wrong_password = accounts.log_in(login(ADMIN, "wrong", HOME)).await.err().unwrap();
    let wrong_name = accounts.log_in(login("nobody", "right", HOME)).await.err().unwrap();
    let long_name = accounts.log_in(login(&"x".repeat(1000), "right", HOME)).await.err().unwrap();
    assert_eq!(wrong_password.to_string(), wrong_name.to_string());
    assert_eq!(wrong_password.to_string(), long_name.to_string());
}

#[tokio::test]
async fn attempts_run_out_for_an_address_and_for_an_account_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    // Names too long for an account are not worth a hash, and count for the address all the same.
    let long = "x".repeat(LONGEST_NAME + 1);
    tokio::time::pause();
    for _ in 0..10 {
        let tried = accounts.log_in(login(&long, "guess", HOME)).await;
        assert!(matches!(tried, Err(LoginError::Wrong)));
    }
    let Err(LoginError::TooMany(wait)) = accounts.log_in(login(ADMIN, "right", HOME)).await else {
        panic!("the eleventh attempt must be refused");
    };
    assert!(wait <= Duration::from_secs(6));
    tokio::time::advance(wait).await;
    tokio::time::resume();
    assert!(accounts.log_in(login(ADMIN, "right", HOME)).await.is_ok());

    tokio::time::pause();
    for number in 0..10 {
        let from = IpAddr::V4(Ipv4Addr::new(198, 51, 100, number));
        let tried = accounts.log_in(login("somebody", "guess", from)).await;
        assert!(matches!(tried, Err(LoginError::Wrong)));
    }
    let elsewhere = accounts.log_in(login("somebody", "guess", AWAY)).await;
    assert!(matches!(elsewhere, Err(LoginError::TooMany(_))), "the account is counted across addresses");
    tokio::time::resume();
    for _ in 0..12 {
        assert!(accounts.log_in(login(ADMIN, "right", AWAY)).await.is_ok(), "success costs no attempt");
    }
}

#[tokio::test]
async fn one_stranger_who_keeps_guessing_does_not_keep_the_owner_out() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    tokio::time::pause();
    for _ in 0..20 {
        while let Ok(guess) = accounts.attempts.begin(AWAY, ADMIN, None) {
            accounts.attempts.failed(&guess);
        }
        let own =
            accounts.attempts.begin(HOME, ADMIN, None).expect("the owner comes in at the first attempt");
        accounts.attempts.succeeded(&own, false);
        tokio::time::advance(LOGIN_RATE.refill).await;
    }
}

#[tokio::test]
async fn a_password_changed_since_outlives_the_configured_one() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("configured")).await;
    accounts.set_password(ADMIN, Some("changed by hand".to_owned()), None).await.unwrap();
    drop(accounts);
    let (accounts, _) = open(&folder, Some("configured")).await;
    assert!(accounts.log_in(login(ADMIN, "changed by hand", HOME)).await.is_ok());
    assert!(accounts.log_in(login(ADMIN, "configured", HOME)).await.is_err());
    drop(accounts);
    let (accounts, _) = open(&folder, Some("configured anew")).await;
    assert!(accounts.log_in(login(ADMIN, "configured anew", HOME)).await.is_ok());
}

#[tokio::test]
async fn what_was_proven_before_the_password_changed_lets_nobody_in_after() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    let home = from(HOME);
    let proven = || accounts.prove(ADMIN, "right".to_owned(), None, &home);
    let (before, early) = (proven().await.unwrap(), proven().await.unwrap());
    assert!(accounts.let_in(early, from(HOME)).await.is_ok());
    accounts.set_password(ADMIN, Some("changed meanwhile".to_owned()), None).await.unwrap();
    assert!(matches!(accounts.let_in(before, from(HOME)).await, Err(LoginError::Wrong)));
    assert!(accounts.sessions_of(ADMIN).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    let change = |role, disabled| UserChange { role, disabled, tags: None };
    for change in [change(Some(Role::Operator), None), change(None, Some(true))] {
        let refused = accounts.change_user(ADMIN, change).await;
        assert!(matches!(refused, Err(UserError::LastAdmin)));
    }
    assert!(matches!(accounts.remove_user(ADMIN).await, Err(UserError::LastAdmin)));

    let new = |name: &str, role, tags: &[&str]| NewUser {
        name: name.to_owned(),
        password: None,
        role,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let limited = accounts.add_user(new("bob", Role::Admin, &["shop"])).await;
    assert!(matches!(limited, Err(UserError::AdminTags)));
    let (_, password) = accounts.add_user(new("bob", Role::Admin, &[])).await.unwrap();
    accounts.change_user("bob", change(None, Some(true))).await.unwrap();
    let kept_out = accounts.log_in(login("bob", &*password.unwrap(), HOME)).await;
    assert!(matches!(kept_out, Err(LoginError::Wrong)));
    assert!(matches!(accounts.remove_user(ADMIN).await, Err(UserError::LastAdmin)), "bob is kept out");
    accounts.change_user("bob", change(None, Some(false))).await.unwrap();
    accounts.remove_user(ADMIN).await.unwrap();
    drop(accounts);

    let (accounts, generated) = open(&folder, Some("right")).await;
    assert_eq!(generated, None);
    assert!(accounts.known(ADMIN).await.is_err(), "the same configured password does not bring him back");
    assert_eq!(accounts.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn names_roles_and_passwords_that_will_not_do() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    let add = |name: &str, password: Option<&str>, role| {
        let password = password.map(str::to_owned);
        accounts.add_user(NewUser { name: name.to_owned(), password, role, tags: Vec::new() })
    };
    for name in ["", "Anna", "a b", ".a", "guest", "ann\u{e4}", &"x".repeat(65)] {
        assert!(matches!(add(name, None, Role::Viewer).await, Err(UserError::Invalid { field: "name", .. })));
    }
    assert!(matches!(add("anna", Some("short"), Role::Viewer).await, Err(UserError::Password)));
    assert!(matches!(add("anna", None, Role::Guest).await, Err(UserError::Invalid { field: "role", .. })));
    assert!(matches!(add(ADMIN, None, Role::Viewer).await, Err(UserError::Taken(_))));
    let (anna, made) = add("anna@example.org", None, Role::Viewer).await.unwrap();
    assert_eq!(anna.name, "anna@example.org");
    assert!(accounts.log_in(login("Anna@Example.org", &*made.unwrap(), HOME)).await.is_ok());
}

#[tokio::test]
async fn sessions_end_by_logout_and_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    let session = accounts.log_in(login(ADMIN, "right", HOME)).await.unwrap();
    assert_eq!(session.person.role, Role::Admin);
    assert_eq!(who(&accounts, &session.token).await.as_deref(), Some(ADMIN));
    assert_eq!(who(&accounts, "another").await, None);
    accounts.log_out(&session.token).await.unwrap();
    assert_eq!(who(&accounts, &session.token).await, None);

    let session = accounts.log_in(login(ADMIN, "right", HOME)).await.unwrap();
    let hash = hash_secret(&session.token);
    let now = UnixMicros::now();
    let used = UnixMicros(now.0 - 3_600_000_000);
    accounts.store.touch_web_session(hash, used, now.plus(Duration::from_secs(60))).await.unwrap();
    assert!(who(&accounts, &session.token).await.is_some());
    let slid = accounts.store.web_session(hash).await.unwrap().unwrap();
    assert!(slid.expires_at >= now.plus(SESSION_LENGTH), "use makes it last longer");
    accounts.store.touch_web_session(hash, used, now).await.unwrap();
    assert_eq!(who(&accounts, &session.token).await, None);
}

#[tokio::test]
async fn what_a_program_beside_the_controller_changes_counts_at_the_next_request() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    let new = NewUser { name: "anna".to_owned(), password: None, role: Role::Viewer, tags: Vec::new() };
    let (_, password) = accounts.add_user(new).await.unwrap();
    let token = accounts.log_in(login("anna", &*password.unwrap(), HOME)).await.unwrap().token;
    let anna = async || accounts.person(&session(&token), HOME).await.unwrap();
    assert_eq!(anna().await.unwrap().role, Role::Viewer);

    let beside = Store::open(folder.path()).unwrap();
    let change = async |change| beside.change_user("anna".to_owned(), change).await.unwrap();
    change(UserChange { role: Some(Role::Operator), ..UserChange::default() }).await;
    assert_eq!(anna().await.unwrap().role, Role::Operator);
    change(UserChange { tags: Some(vec!["shop".to_owned()]), ..UserChange::default() }).await;
    assert_eq!(anna().await.unwrap().scope.tags(), ["shop"]);
    change(UserChange { disabled: Some(true), ..UserChange::default() }).await;
    assert_eq!(anna().await, None);
}

#[tokio::test]
async fn guests_exist_in_demo_mode_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (demo, _) = Accounts::open(store.clone(), Some("right".to_owned()), true).await.unwrap();
    let guest = demo.let_guest_in(from(HOME)).await.unwrap();
    assert_eq!(guest.person.role, Role::Guest);
    assert_eq!(who(&demo, &guest.token).await.as_deref(), Some(GUEST));

    let (earnest, _) = Accounts::open(store, None, false).await.unwrap();
    assert!(matches!(earnest.let_guest_in(from(HOME)).await, Err(LoginError::NoGuests)));
    assert_eq!(who(&earnest, &guest.token).await, None, "a guest of an earlier demo is out");
}

#[test]
fn an_ipv6_network_counts_as_one_address() {
    let one: IpAddr = "2001:db8::1".parse().unwrap();
    let other: IpAddr = "2001:db8::ffff:2".parse().unwrap();
    assert_eq!(network_of(one), network_of(other));
    assert_eq!(network_of("::ffff:192.0.2.1".parse().unwrap()), HOME);
}
