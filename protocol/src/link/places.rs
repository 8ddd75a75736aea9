//! What strangers may take up: a place each, from the connection's first byte until it is a session.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The places of one listener; a clone is another handle on the same ones.
#[derive(Clone)]
pub(super) struct Places {
    most: usize,
    most_per_source: usize,
    taken: Arc<Mutex<Taken>>,
    given_up: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A place, given up when dropped.
pub(super) struct Place {
    places: Places,
    source: IpAddr,
}

impl Places {
    /// None are taken.
    pub(super) fn new(most: usize, most_per_source: usize) -> Self {
        Self { most, most_per_source, taken: Arc::default(), given_up: Arc::default() }
    }

    /// A place for a connection from `address`, if there is one. A source may have more than its share while half of all
    /// places are free: thousands may be behind one address.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let source = source(address);
        let mut taken = self.taken();
        let from_source = taken.of(source);
        let crowded = taken.total >= self.most / 2;
        if taken.total >= self.most || crowded && from_source >= self.most_per_source {
            return None;
        }
        taken.total += 1;
        taken.by_source.insert(source, from_source + 1);
        Some(Place { places: self.clone(), source })
    }

    /// How many the source of `address` has.
    pub(super) fn of(&self, address: IpAddr) -> usize {
        self.taken().of(source(address))
    }

    /// Whether that is its share.
    pub(super) fn has_share(&self, address: IpAddr) -> bool {
        self.of(address) >= self.most_per_source
    }

    /// Whether there is none for anybody.
    pub(super) fn are_full(&self) -> bool {
        self.taken().total >= self.most
    }

    /// Waits until a place has been given up since the last call.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn of(&self, source: IpAddr) -> usize {
        self.by_source.get(&source).copied().unwrap_or(0)
    }
}

impl Place {
    pub(super) fn source(&self) -> IpAddr {
        self.source
    }

    /// How many its source has.
    pub(super) fn of_source(&self) -> usize {
        self.places.taken().of(self.source)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.total -= 1;
        if let Some(count) = taken.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.by_source.remove(&self.source);
            }
        }
        self.places.given_up.notify_one();
    }
}

/// What counts as one source: an IPv6 host has a whole network of addresses.
pub(super) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, source};
    use std::net::IpAddr;

    #[test]
    fn places_are_bounded_in_all_and_by_source_and_come_back() {
        let places = Places::new(3, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = places.take(address("192.0.2.1")).unwrap();
        let _two = places.take(address("192.0.2.1")).unwrap();
        assert!(places.take(address("::ffff:192.0.2.1")).is_none(), "its source has two");
        let _three = places.take(address("192.0.2.2")).unwrap();
        assert!(places.take(address("192.0.2.3")).is_none() && places.are_full(), "all are taken");
        drop(one);
        assert!(!places.are_full() && !places.has_share(address("192.0.2.1")));
        assert!(places.take(address("192.0.2.1")).is_some());
        assert_eq!(places.taken().by_source.len(), 2);
    }

    #[test]
    fn while_half_are_free_a_source_may_have_more_than_its_share() {
        let (places, address) = (Places::new(8, 1), |last: u8| IpAddr::from([192, 0, 2, last]));
        let of_one: Vec<_> = std::iter::from_fn(|| places.take(address(1))).collect();
        assert_eq!(of_one.len(), 4);
        let others: Vec<_> = (2..9).filter_map(|last| places.take(address(last))).collect();
        assert_eq!((others.len(), places.of(address(1))), (4, 4));
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(source(parse("2001:db8::1")), source(parse("2001:db8::ffff:1:2:3")));
        assert_ne!(source(parse("2001:db8::1")), source(parse("2001:db8:0:1::1")));
        assert_eq!(source(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
        assert_ne!(source(parse("192.0.2.1")), source(parse("192.0.2.2")));
    }
}
