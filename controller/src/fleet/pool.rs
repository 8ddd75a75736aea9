//! What containers of all hosts share: texts, lists and sets of labels that are the same are there once.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roadstead_protocol::message::container::{Container, Port};

use super::kept::{Kept, Labels, Texts};

/// What containers share.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Sets>);

/// The same, while nobody else keeps anything.
///
/// Everything is found by a hash with keys that nobody knows: agents tell the texts, and must not be able to choose ones
/// that are slow to find. A list consists of texts that are there once, so it is hashed and compared by where they are.
#[derive(Debug, Default)]
pub(super) struct Sets {
    hasher: RandomState,
    texts: Shared<str>,
    lists: Shared<[Arc<str>]>,
    ports: Shared<[Port]>,
    labels: Shared<[(Arc<str>, Arc<str>)]>,
}

impl Pool {
    /// The container as it is kept.
    pub(crate) fn keep(&self, container: Container) -> Kept {
        let sets = &mut *self.lock();
        Kept {
            name: sets.text(&container.name),
            image: sets.text(&container.image),
            image_id: sets.text(&container.image_id),
            command: sets.text(&container.command),
            ports: sets.ports(container.ports),
            networks: sets.texts(&container.networks),
            mounts: sets.texts(&container.mounts),
            labels: {
                let labels = container.labels.iter();
                let labels: Vec<_> =
                    labels.map(|(name, value)| (sets.text(name), sets.text(value))).collect();
                sets.labels(&labels)
            },
            restart_policy: sets.text(&container.restart_policy),
            id: container.id,
            created_at: container.created_at,
            state: container.state,
            health: container.health,
            started_at: container.started_at,
            finished_at: container.finished_at,
            exit_code: container.exit_code,
            oom_killed: container.oom_killed,
            labels_truncated: container.labels_truncated,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Sets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sets {
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        self.texts.share(self.hasher.hash_one(text), |known| known == text, || text.into())
    }

    fn texts(&mut self, texts: &[String]) -> Texts {
        let texts: Vec<_> = texts.iter().map(|text| self.text(text)).collect();
        self.list(&texts)
    }

    /// A list of texts that come from here.
    pub(super) fn list<T: Borrow<Arc<str>>>(&mut self, texts: &[T]) -> Texts {
        let mut hasher = self.hasher.build_hasher();
        texts.iter().for_each(|text| hash_place(text.borrow(), &mut hasher));
        let same = |known: &[Arc<str>]| {
            known.len() == texts.len()
                && known.iter().zip(texts).all(|(known, text)| Arc::ptr_eq(known, text.borrow()))
        };
        let new = || texts.iter().map(|text| Arc::clone(text.borrow())).collect();
        self.lists.share(hasher.finish(), same, new)
    }

    pub(super) fn ports(&mut self, ports: Vec<Port>) -> Arc<[Port]> {
        let hash = self.hasher.hash_one(&ports);
        self.ports.share(hash, |known| *known == *ports, || ports.as_slice().into())
    }

    /// A set of labels whose texts come from here, in order of their names.
    pub(super) fn labels<T: Borrow<Arc<str>>>(&mut self, labels: &[(T, T)]) -> Labels {
        let mut hasher = self.hasher.build_hasher();
        for (name, value) in labels {
            hash_place(name.borrow(), &mut hasher);
            hash_place(value.borrow(), &mut hasher);
        }
        let same = |known: &[(Arc<str>, Arc<str>)]| {
            known.len() == labels.len()
                && known.iter().zip(labels).all(|(known, label)| {
                    Arc::ptr_eq(&known.0, label.0.borrow()) && Arc::ptr_eq(&known.1, label.1.borrow())
                })
        };
        let shared = |(name, value): &(T, T)| (Arc::clone(name.borrow()), Arc::clone(value.borrow()));
        self.labels.share(hasher.finish(), same, || labels.iter().map(shared).collect())
    }
}

fn hash_place(text: &Arc<str>, hasher: &mut impl Hasher) {
    hasher.write_usize(Arc::as_ptr(text).addr());
}

/// Values that are there once, for as long as somebody has them.
#[derive(Debug)]
struct Shared<T: ?Sized> {
    /// By their hashes. Of two with the same one, which hardly ever happens, the second is not shared.
    known: HashMap<u64, Arc<T>, BuildHasherDefault<Hashed>>,
    /// How many there may be before those that nobody has any more make room.
    sweep_at: usize,
}

/// Values that are never worth a sweep.
const FEW: usize = 1024;

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self { known: HashMap::default(), sweep_at: FEW }
    }
}

impl<T: ?Sized> Shared<T> {
    fn share(&mut self, hash: u64, same: impl FnOnce(&T) -> bool, new: impl FnOnce() -> Arc<T>) -> Arc<T> {
        if let Some(known) = self.known.get(&hash) {
            return if same(known) { Arc::clone(known) } else { new() };
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, one| Arc::strong_count(one) > 1);
            self.sweep_at = (self.known.len() * 2).max(FEW);
        }
        let shared = new();
        self.known.insert(hash, Arc::clone(&shared));
        shared
    }
}

/// Takes what is a hash already for its hash.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use roadstead_protocol::message::container::ContainerState;

    use super::*;
    use crate::fixtures::container;

    fn labelled(number: u32, unlike: &str) -> Container {
        let labels = [("com.docker.compose.project", "shop"), ("unlike", unlike)];
        Container {
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            networks: vec!["shop_default".to_owned()],
            ports: vec![Port { private: 80, protocol: "tcp".to_owned(), host_ip: None, public: None }],
            ..container(number, ContainerState::Running)
        }
    }

    #[test]
    fn what_is_the_same_is_there_once_and_nothing_is_lost() {
        let pool = Pool::default();
        let (one, two, other) =
            (pool.keep(labelled(1, "a")), pool.keep(labelled(2, "a")), pool.keep(labelled(3, "b")));
        assert!(Arc::ptr_eq(&one.labels, &two.labels) && Arc::ptr_eq(&one.networks, &other.networks));
        assert!(Arc::ptr_eq(&one.ports, &two.ports) && Arc::ptr_eq(&one.labels[0].1, &other.labels[0].1));
        assert_ne!(one.labels, other.labels);
        assert_eq!(other.to_container(), labelled(3, "b"));
        assert!(other.is(&labelled(3, "b")) && !other.is(&labelled(3, "a")));
        assert_eq!(
            (one.compose_project(), one.label("unlike"), one.label("x")),
            (Some("shop"), Some("a"), None)
        );
        let fewer = Container { labels: BTreeMap::new(), ..labelled(3, "b") };
        assert!(!other.is(&fewer) && !pool.keep(fewer).is(&labelled(3, "b")));
    }

    #[test]
    fn what_nobody_has_any_more_makes_room() {
        let pool = Pool::default();
        let kept = pool.keep(labelled(0, "stays"));
        for number in 0..10_000 {
            pool.keep(labelled(number, &format!("goes {number}")));
        }
        let sets = pool.0.lock().unwrap();
        assert!(sets.texts.known.len() <= 2 * FEW && sets.labels.known.len() <= 2 * FEW);
        assert!(sets.labels.known.values().any(|labels| Arc::ptr_eq(labels, &kept.labels)));
    }

    #[test]
    fn one_of_two_with_the_same_hash_is_not_shared() {
        let mut shared = Shared::<str>::default();
        let mut share = |text: &str| shared.share(7, |known| known == text, || text.into());
        let (one, other, again) = (share("one"), share("other"), share("one"));
        assert_eq!((&*one, &*other), ("one", "other"));
        assert!(Arc::ptr_eq(&one, &again));
    }
}
