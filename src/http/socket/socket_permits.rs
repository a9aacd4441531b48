//! The permits of sockets and streams: how many of them there may be at once, and how few of them may belong to those
//! who have not proved who they are (rules O3, W9).
//!
//! Invariant: sockets that have not proved themselves keep nobody out. They hold a fraction of all permits, one
//! address a fraction of that, and where somebody else needs one of those the oldest gives way: who sends a token at
//! once has proved itself long before.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::http::client_address::network_of;

/// Unauthenticated sockets get one in so many of all permits.
const UNAUTHENTICATED_FRACTION: usize = 4;
/// One address gets one in so many of those.
const ADDRESS_FRACTION: usize = 4;

/// The permits of one server.
pub(super) struct SocketPermits {
    max: usize,
    /// Guards the permits; held to acquire or release one, never across an await.
    taken: Mutex<HeldPermits>,
}

#[derive(Default)]
struct HeldPermits {
    all: usize,
    /// Unauthenticated sockets in order of arrival.
    unauthenticated: BTreeMap<u64, Unauthenticated>,
    /// Unauthenticated sockets by address.
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
    came: u64,
}

struct Unauthenticated {
    address: IpAddr,
    evict: CancellationToken,
}

impl SocketPermits {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    /// A permit for an authenticated peer, or for any peer of a server without keys.
    pub(super) fn acquire(self: &Arc<Self>) -> Option<SocketPermit> {
        self.lock().admit(self.max).then(|| SocketPermit { permits: self.clone(), unauthenticated: None })
    }

    /// A permit for an unauthenticated peer from this address.
    pub(super) fn acquire_unauthenticated(self: &Arc<Self>, address: IpAddr) -> Option<SocketPermit> {
        let address = network_of(address);
        let unproven_max = (self.max / UNAUTHENTICATED_FRACTION).max(1);
        let of_address_max = (unproven_max / ADDRESS_FRACTION).max(1);
        let mut taken = self.lock();
        let own = taken.by_address.get(&address);
        let oldest_own = own.filter(|own| own.len() >= of_address_max).and_then(|own| own.first().copied());
        let oldest = || {
            (taken.unauthenticated.len() >= unproven_max)
                .then(|| taken.unauthenticated.keys().next().copied())
        };
        if let Some(number) = oldest_own.or_else(|| oldest().flatten()) {
            taken.evict(number);
        }
        if !taken.admit(self.max) {
            return None;
        }
        taken.came += 1;
        let (number, evict) = (taken.came, CancellationToken::new());
        taken.unauthenticated.insert(number, Unauthenticated { address, evict: evict.clone() });
        taken.by_address.entry(address).or_default().insert(number);
        Some(SocketPermit { permits: self.clone(), unauthenticated: Some((number, evict)) })
    }

    fn lock(&self) -> MutexGuard<'_, HeldPermits> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldPermits {
    /// Adds one, if necessary by evicting the oldest unauthenticated socket.
    fn admit(&mut self, max: usize) -> bool {
        if self.all >= max
            && let Some(oldest) = self.unauthenticated.keys().next().copied()
        {
            self.evict(oldest);
        }
        let has_room = self.all < max;
        self.all += usize::from(has_room);
        has_room
    }

    /// Frees its permit and tells its connection.
    fn evict(&mut self, number: u64) {
        if let Some(unauthenticated) = self.remove(number) {
            self.all -= 1;
            unauthenticated.evict.cancel();
        }
    }

    /// Removes it from the unauthenticated sockets; `None` if it was not among them.
    fn remove(&mut self, number: u64) -> Option<Unauthenticated> {
        let unauthenticated = self.unauthenticated.remove(&number)?;
        if let Some(own) = self.by_address.get_mut(&unauthenticated.address) {
            own.remove(&number);
            if own.is_empty() {
                self.by_address.remove(&unauthenticated.address);
            }
        }
        Some(unauthenticated)
    }
}

/// The permit of one socket or stream, released on drop.
pub(in crate::http) struct SocketPermit {
    permits: Arc<SocketPermits>,
    /// Its number among the unauthenticated sockets, and the token that signals its eviction.
    unauthenticated: Option<(u64, CancellationToken)>,
}

impl SocketPermit {
    /// Completes when the permit is evicted; `None` for an authenticated peer.
    pub(super) fn evicted(&self) -> Option<WaitForCancellationFutureOwned> {
        self.unauthenticated.as_ref().map(|(_, evict)| evict.clone().cancelled_owned())
    }

    /// The peer has authenticated. False if its permit was evicted and there is no other.
    pub(super) fn authenticate(&mut self) -> bool {
        let Some((number, _)) = &self.unauthenticated else { return true };
        let mut taken = self.permits.lock();
        let is_seated = taken.remove(*number).is_some() || taken.admit(self.permits.max);
        drop(taken);
        if is_seated {
            self.unauthenticated = None;
        }
        is_seated
    }
}

impl Drop for SocketPermit {
    fn drop(&mut self) {
        let mut taken = self.permits.lock();
        let was_seated = match &self.unauthenticated {
            None => true,
            Some((number, _)) => taken.remove(*number).is_some(),
        };
        taken.all -= usize::from(was_seated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(n))
    }

    fn is_evicted(permit: &SocketPermit) -> bool {
        permit.unauthenticated.as_ref().is_some_and(|(_, evict)| evict.is_cancelled())
    }

    /// How many permits are taken, by how many without proof, from how many addresses: under one lock.
    fn counts(permits: &SocketPermits) -> (usize, usize, usize) {
        let taken = permits.lock();
        (taken.all, taken.unauthenticated.len(), taken.by_address.len())
    }

    #[test]
    fn w9_there_are_so_many_seats_and_each_is_given_back() {
        let permits = SocketPermits::new(2);
        let (one, two) = (permits.acquire(), permits.acquire());
        assert!(one.is_some() && two.is_some() && permits.acquire().is_none());
        drop(one);
        assert!(permits.acquire().is_some());
    }

    #[test]
    fn o3_the_unproven_hold_a_fraction_and_the_oldest_gives_way() {
        let permits = SocketPermits::new(16);
        let unauthenticated: Vec<SocketPermit> =
            (0..100).filter_map(|n| permits.acquire_unauthenticated(address(n))).collect();
        assert_eq!(unauthenticated.len(), 100, "each is let in, and an older one gives way");
        let seated: Vec<usize> = (0..100).filter(|n| !is_evicted(&unauthenticated[*n])).collect();
        assert_eq!(seated, [96, 97, 98, 99]);
        let proven: Vec<SocketPermit> = std::iter::from_fn(|| permits.acquire()).take(100).collect();
        assert_eq!(proven.len(), 16, "those who prove who they are have all permits");
        assert!(unauthenticated.iter().all(is_evicted));
        assert!(permits.acquire_unauthenticated(address(1)).is_none(), "and give none of them up");
        drop(unauthenticated);
        assert!(permits.acquire().is_none(), "who was evicted gives nothing back");
        drop(proven);
        assert_eq!(counts(&permits), (0, 0, 0));
    }

    #[test]
    fn o3_one_address_gives_up_its_own_seats_first() {
        let permits = SocketPermits::new(64);
        let good = permits.acquire_unauthenticated(address(1)).expect("a permit");
        let flood: Vec<SocketPermit> =
            (0..1_000).filter_map(|_| permits.acquire_unauthenticated(address(2))).collect();
        assert!(!is_evicted(&good));
        assert_eq!(flood.iter().filter(|permit| !is_evicted(permit)).count(), 4);
        assert_eq!(network_of("::ffff:0.0.0.2".parse().expect("an address")), network_of(address(2)));
        drop((good, flood));
        assert_eq!(counts(&permits), (0, 0, 0));
    }

    #[test]
    fn o3_who_proves_itself_is_not_evicted() {
        let permits = SocketPermits::new(8);
        let mut good = permits.acquire_unauthenticated(address(1)).expect("a permit");
        assert!(good.authenticate());
        let _flood: Vec<SocketPermit> =
            (0..100).filter_map(|_| permits.acquire_unauthenticated(address(1))).collect();
        assert_eq!(counts(&permits), (2, 1, 1));
        // One whose permit was taken just before it proved itself takes another.
        let mut late = permits.acquire_unauthenticated(address(2)).expect("a permit");
        permits.lock().evict(late.unauthenticated.as_ref().expect("unauthenticated").0);
        assert!(late.authenticate());
        drop((good, late));
        let (all, unauthenticated, _) = counts(&permits);
        assert_eq!(all, unauthenticated);
    }
}
