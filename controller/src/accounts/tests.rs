//! Logging in: what goes wrong, how often it may, and how long a session lasts.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

async fn open(folder: &tempfile::TempDir, password: Option<&str>) -> (Accounts, Option<String>) {
    let store = Store::open(folder.path()).unwrap();
    Accounts::open(store, password.map(str::to_owned), false).await.unwrap()
}

#[tokio::test]
async fn a_first_start_makes_a_password_once() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, generated) = open(&folder, None).await;
    let password = generated.unwrap();
    assert!(accounts.log_in(ADMIN, password.clone(), HOME).await.is_ok());
    drop(accounts);

    let (accounts, generated) = open(&folder, None).await;
    assert_eq!(generated, None);
    assert!(accounts.log_in(ADMIN, password, HOME).await.is_ok());
}

#[tokio::test]
async fn a_configured_password_replaces_the_old_one_and_ends_its_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, generated) = open(&folder, Some("first")).await;
    assert_eq!(generated, None);
    let session = accounts.log_in(ADMIN, "first".to_owned(), HOME).await.unwrap();
    drop(accounts);

    let (accounts, _) = open(&folder, Some("first")).await;
    assert!(accounts.is_open(&session.token).await.unwrap(), "the same password keeps sessions");
    drop(accounts);

    let (accounts, _) = open(&folder, Some("second")).await;
    assert!(!accounts.is_open(&session.token).await.unwrap());
    let old = accounts.log_in(ADMIN, "first".to_owned(), HOME).await;
    assert!(matches!(old, Err(LoginError::Wrong)));
    assert!(accounts.log_in(ADMIN, "second".to_owned(), HOME).await.is_ok());
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
    let wrong_password = accounts.log_in(ADMIN, "wrong".to_owned(), HOME).await.err().unwrap();
    let wrong_name = accounts.log_in("nobody", "right".to_owned(), HOME).await.err().unwrap();
    let long_name = accounts.log_in(&"x".repeat(1000), "right".to_owned(), HOME).await.err().unwrap();
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
        let tried = accounts.log_in(&long, "guess".to_owned(), HOME).await;
        assert!(matches!(tried, Err(LoginError::Wrong)));
    }
    let Err(LoginError::TooMany(wait)) = accounts.log_in(ADMIN, "right".to_owned(), HOME).await else {
        panic!("the eleventh attempt must be refused");
    };
    assert!(wait <= Duration::from_secs(6));
    tokio::time::advance(wait).await;
    tokio::time::resume();
    assert!(accounts.log_in(ADMIN, "right".to_owned(), HOME).await.is_ok());

    for number in 0..10 {
        let from = IpAddr::V4(Ipv4Addr::new(198, 51, 100, number));
        let tried = accounts.log_in("somebody", "guess".to_owned(), from).await;
        assert!(matches!(tried, Err(LoginError::Wrong)));
    }
    let elsewhere = accounts.log_in("somebody", "guess".to_owned(), AWAY).await;
    assert!(matches!(elsewhere, Err(LoginError::TooMany(_))), "the account is counted across addresses");
    for _ in 0..12 {
        assert!(accounts.log_in(ADMIN, "right".to_owned(), AWAY).await.is_ok(), "success costs no attempt");
    }
}

#[tokio::test]
async fn one_stranger_who_keeps_guessing_does_not_keep_the_owner_out() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    tokio::time::pause();
    while accounts.take_attempt(AWAY, Some(ADMIN)).is_ok() {}
    for _ in 0..20 {
        tokio::time::advance(LOGIN_RATE.refill).await;
        accounts.take_attempt(AWAY, Some(ADMIN)).expect("the stranger guesses as fast as he may");
        accounts.take_attempt(HOME, Some(ADMIN)).expect("the owner comes in at the first attempt");
        accounts.give_back_attempt(HOME, ADMIN);
    }
}

#[tokio::test]
async fn sessions_end_by_logout_and_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let (accounts, _) = open(&folder, Some("right")).await;
    let session = accounts.log_in(ADMIN, "right".to_owned(), HOME).await.unwrap();
    let person = accounts.person(&session.token).await.unwrap().unwrap();
    assert_eq!(person, Person { name: "admin".to_owned(), role: Role::Admin });
    assert_eq!(accounts.person("another").await.unwrap(), None);
    accounts.log_out(&session.token).await.unwrap();
    assert_eq!(accounts.person(&session.token).await.unwrap(), None);

    let session = accounts.log_in(ADMIN, "right".to_owned(), HOME).await.unwrap();
    let hash = hash_token(&session.token);
    let now = UnixMicros::now();
    let used = UnixMicros(now.0 - 3_600_000_000);
    accounts.store.touch_web_session(hash, used, now.plus(Duration::from_secs(60))).await.unwrap();
    assert!(accounts.person(&session.token).await.unwrap().is_some());
    let slid = accounts.store.web_session(hash).await.unwrap().unwrap();
    assert!(slid.expires_at >= now.plus(SESSION_LENGTH), "use makes it last longer");
    accounts.store.touch_web_session(hash, used, now).await.unwrap();
    assert_eq!(accounts.person(&session.token).await.unwrap(), None);
}

#[tokio::test]
async fn guests_exist_in_demo_mode_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (demo, _) = Accounts::open(store.clone(), Some("right".to_owned()), true).await.unwrap();
    let guest = demo.let_guest_in(HOME).await.unwrap();
    assert_eq!(demo.person(&guest.token).await.unwrap().unwrap().role, Role::Guest);

    let (earnest, _) = Accounts::open(store, None, false).await.unwrap();
    assert!(matches!(earnest.let_guest_in(HOME).await, Err(LoginError::NoGuests)));
    assert_eq!(earnest.person(&guest.token).await.unwrap(), None, "a guest of an earlier demo is out");
}

#[test]
fn an_ipv6_network_counts_as_one_address() {
    let one: IpAddr = "2001:db8::1".parse().unwrap();
    let other: IpAddr = "2001:db8::ffff:2".parse().unwrap();
    assert_eq!(network_of(one), network_of(other));
    assert_eq!(network_of("::ffff:192.0.2.1".parse().unwrap()), HOME);
}
