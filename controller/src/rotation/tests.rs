//! Keys that are replaced because they are old: the controller's own, and those of whoever is connected.

use roadstead_protocol::message::ids::{BootId, PeerKey};
use roadstead_protocol::queue::Incoming;
use tempfile::TempDir;

use super::*;
use crate::dial_allow::DialAllow;
use crate::fixtures::{agent, instance, record, store};
use crate::model::{InstanceRecord, MemberTerms};
use crate::registry::Registration;
use crate::store::Store;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Controller {
    rotation: Rotation,
    store: Store,
    fleet: Fleet,
    registry: Registry,
    _directory: TempDir,
}

async fn controller(days: u32) -> Controller {
    let (store, directory) = store();
    let (fleet, registry) = (Fleet::new(), Registry::default());
    let identities = Identities::load(&store, directory.path()).await.unwrap();
    let key = identities.ring().newest.key();
    let urls = vec!["wss://controller.example:8081".to_owned()];
    let enrolment = Enrolment::new(
        store.clone(),
        fleet.clone(),
        registry.clone(),
        key,
        urls,
        "127.0.0.0/8".parse::<DialAllow>().unwrap(),
    );
    let rotation = Rotation::new(identities, enrolment, fleet.clone(), registry.clone(), days);
    Controller { rotation, store, fleet, registry, _directory: directory }
}

impl Controller {
    /// A connected agent with a key from `since`.
    async fn member(
        &self,
        name: &str,
        number: u8,
        since: UnixMicros,
        next_key: Option<PeerKey>,
    ) -> (Incoming<ToAgent>, Registration) {
        let terms = MemberTerms { key_since: Some(since), next_key, ..MemberTerms::default() };
        let new = InstanceRecord { key: Some(PeerKey([number; 32])), terms, ..record(name) };
        self.store.insert_instance(new).await.unwrap().unwrap();
        self.fleet.refresh_record(&self.store, &instance(name)).await.unwrap();
        let (handle, sent, _) = agent(BootId::generate());
        let (place, _) = self.registry.enter(instance(name), handle);
        (sent, place)
    }

    fn key(&self) -> PeerKey {
        self.rotation.ring().newest.key()
    }
}

fn is_asked(sent: &mut Incoming<ToAgent>) -> bool {
    let mut asked = false;
    while let Some(message) = sent.try_recv() {
        assert_eq!(message, ToAgent::RotateKey);
        asked = true;
    }
    asked
}

#[tokio::test]
async fn keys_are_replaced_when_they_are_as_old_as_the_operator_lets_them_become() {
    let controller = controller(90).await;
    let now = UnixMicros::now();
    let (mut young, _young) = controller.member("young", 1, now, None).await;
    let (mut old, _old) = controller.member("old", 2, now.minus(DAY * 60), None).await;
    let (mut asked, _asked) =
        controller.member("asked", 3, now.minus(DAY * 60), Some(PeerKey([9; 32]))).await;
    let first = controller.key();

    controller.rotation.look(now.plus(DAY * 29)).await;
    assert!(![&mut young, &mut old, &mut asked].into_iter().any(is_asked), "none is 90 days old");
    assert_eq!(controller.key(), first);

    controller.rotation.look(now.plus(DAY * 31)).await;
    assert!(is_asked(&mut old) && !is_asked(&mut young));
    assert!(!is_asked(&mut asked), "it is on its way to a new one");
    assert_eq!(controller.key(), first, "the controller's own is younger");

    let later = now.plus(DAY * 91);
    controller.rotation.look(later).await;
    let second = controller.key();
    assert_ne!(second, first, "the controller's own");
    assert!(is_asked(&mut young));
    assert_eq!(controller.rotation.ring().earlier.unwrap().key(), first, "both count");
    // As long as an agent does not know it, there is no third, however old it becomes.
    controller.rotation.look(later.plus(DAY * 200)).await;
    assert_eq!(controller.key(), second);
}

#[tokio::test]
async fn no_age_is_too_old_unless_the_operator_says_so() {
    let controller = controller(0).await;
    let now = UnixMicros::now();
    let (mut sent, _place) = controller.member("old", 1, now.minus(DAY * 4000), None).await;
    let first = controller.key();
    controller.rotation.look(now.plus(DAY * 4000)).await;
    assert!(!is_asked(&mut sent));
    assert_eq!(controller.key(), first);
    // A reload of the configuration counts at once.
    controller.rotation.set_days(30);
    controller.rotation.look(now.plus(DAY * 4000)).await;
    assert!(is_asked(&mut sent));
    assert_ne!(controller.key(), first);
}

#[tokio::test]
async fn a_fleet_of_old_keys_is_asked_by_and_by_the_oldest_first() {
    let controller = controller(1).await;
    let now = UnixMicros::now();
    let mut members = Vec::new();
    for number in 1..=u8::try_from(AT_A_TIME + 3).unwrap() {
        let since = now.minus(DAY * (100 - u32::from(number)));
        members.push(controller.member(&format!("host-{number}"), number, since, None).await);
    }
    controller.rotation.look(now).await;
    let asked: Vec<_> = members.iter_mut().map(|(sent, _)| is_asked(sent)).collect();
    assert!(asked[..AT_A_TIME].iter().all(|asked| *asked), "{asked:?}");
    assert!(!asked[AT_A_TIME..].iter().any(|asked| *asked), "{asked:?}");
}
