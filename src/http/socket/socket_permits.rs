//! Seats: how many sockets and streams there may be at once, and how few of them may belong to those who have not
//! proved who they are (rules O3, W9).
//!
//! Invariant: sockets that have not proved themselves keep nobody out. They hold a fraction of all seats, one
//! address a fraction of that, and where somebody else needs one of those the oldest gives way: who sends a token at
//! once has proved itself long before.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Of all seats those without proof have one in so many.
const UNPROVEN_FRACTION: usize = 4;
/// Of those one address has one in so many.
const ADDRESS_FRACTION: usize = 4;
/// An IPv6 customer has a network of this many bits, so its addresses are one.
const V6_NETWORK: u128 = u128::MAX << 64;

/// The seats of one server.
pub(super) struct Seats {
    max: usize,
    /// Guards who sits; held to take a seat or give it back, never across an await.
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Those without proof, by the order in which they came.
    unproven: BTreeMap<u64, Unproven>,
    /// The same by address.
    by_address: HashMap<u128, BTreeSet<u64>>,
    came: u64,
}

struct Unproven {
    address: u128,
    evict: CancellationToken,
}

impl Seats {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, taken: Mutex::default() })
    }

    /// A seat for somebody who has proved who they are, or is not asked to.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        self.lock().admit(self.max).then(|| Seat { seats: self.clone(), unproven: None })
    }

    /// A seat for somebody from this address who may prove who they are.
    pub(super) fn take_unproven(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = network(address);
        let unproven_max = (self.max / UNPROVEN_FRACTION).max(1);
        let of_address_max = (unproven_max / ADDRESS_FRACTION).max(1);
        let mut taken = self.lock();
        let own = taken.by_address.get(&address);
        let oldest_own = own.filter(|own| own.len() >= of_address_max).and_then(|own| own.first().copied());
        let oldest = || (taken.unproven.len() >= unproven_max).then(|| taken.unproven.keys().next().copied());
        if let Some(number) = oldest_own.or_else(|| oldest().flatten()) {
            taken.evict(number);
        }
        if !taken.admit(self.max) {
            return None;
        }
        taken.came += 1;
        let (number, evict) = (taken.came, CancellationToken::new());
        taken.unproven.insert(number, Unproven { address, evict: evict.clone() });
        taken.by_address.entry(address).or_default().insert(number);
        Some(Seat { seats: self.clone(), unproven: Some((number, evict)) })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// One more, if need be in the place of the oldest without proof.
    fn admit(&mut self, max: usize) -> bool {
        if self.all >= max
            && let Some(oldest) = self.unproven.keys().next().copied()
        {
            self.evict(oldest);
        }
        let has_room = self.all < max;
        self.all += usize::from(has_room);
        has_room
    }

    /// Its seat is free from here on; its connection is told.
    fn evict(&mut self, number: u64) {
        if let Some(unproven) = self.remove(number) {
            self.all -= 1;
            unproven.evict.cancel();
        }
    }

    /// It is no longer among those without proof; `None` if it was not.
    fn remove(&mut self, number: u64) -> Option<Unproven> {
        let unproven = self.unproven.remove(&number)?;
        if let Some(own) = self.by_address.get_mut(&unproven.address) {
            own.remove(&number);
            if own.is_empty() {
                self.by_address.remove(&unproven.address);
            }
        }
        Some(unproven)
    }
}

/// A place among the connections, given back when it is dropped.
pub(in crate::http) struct Seat {
    seats: Arc<Seats>,
    /// Its number among those without proof, and what tells that it is somebody else's by now.
    unproven: Option<(u64, CancellationToken)>,
}

impl Seat {
    /// Ends when somebody else needs it; `None` for who has proved who they are.
    pub(super) fn evicted(&self) -> Option<WaitForCancellationFutureOwned> {
        self.unproven.as_ref().map(|(_, evict)| evict.clone().cancelled_owned())
    }

    /// From here on it is that of somebody who has proved who they are. False if it was somebody else's by now,
    /// and there is no other.
    pub(super) fn prove(&mut self) -> bool {
        let Some((number, _)) = &self.unproven else { return true };
        let mut taken = self.seats.lock();
        let is_seated = taken.remove(*number).is_some() || taken.admit(self.seats.max);
        drop(taken);
        if is_seated {
            self.unproven = None;
        }
        is_seated
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        let was_seated = match &self.unproven {
            None => true,
            Some((number, _)) => taken.remove(*number).is_some(),
        };
        taken.all -= usize::from(was_seated);
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits() & V6_NETWORK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(n))
    }

    fn is_evicted(seat: &Seat) -> bool {
        seat.unproven.as_ref().is_some_and(|(_, evict)| evict.is_cancelled())
    }

    /// How many seats are taken, by how many without proof, from how many addresses: under one lock.
    fn counts(seats: &Seats) -> (usize, usize, usize) {
        let taken = seats.lock();
        (taken.all, taken.unproven.len(), taken.by_address.len())
    }

    #[test]
    fn w9_there_are_so_many_seats_and_each_is_given_back() {
        let seats = Seats::new(2);
        let (one, two) = (seats.take(), seats.take());
        assert!(one.is_some() && two.is_some() && seats.take().is_none());
        drop(one);
        assert!(seats.take().is_some());
    }

    #[test]
    fn o3_the_unproven_hold_a_fraction_and_the_oldest_gives_way() {
        let seats = Seats::new(16);
        let unproven: Vec<Seat> = (0..100).filter_map(|n| seats.take_unproven(address(n))).collect();
        assert_eq!(unproven.len(), 100, "each is let in, and an older one gives way");
        let seated: Vec<usize> = (0..100).filter(|n| !is_evicted(&unproven[*n])).collect();
        assert_eq!(seated, [96, 97, 98, 99]);
        let proven: Vec<Seat> = std::iter::from_fn(|| seats.take()).take(100).collect();
        assert_eq!(proven.len(), 16, "those who prove who they are have all seats");
        assert!(unproven.iter().all(is_evicted));
        assert!(seats.take_unproven(address(1)).is_none(), "and give none of them up");
        drop(unproven);
        assert!(seats.take().is_none(), "who was evicted gives nothing back");
        drop(proven);
        assert_eq!(counts(&seats), (0, 0, 0));
    }

    #[test]
    fn o3_one_address_gives_up_its_own_seats_first() {
        let seats = Seats::new(64);
        let good = seats.take_unproven(address(1)).expect("a seat");
        let flood: Vec<Seat> = (0..1_000).filter_map(|_| seats.take_unproven(address(2))).collect();
        assert!(!is_evicted(&good));
        assert_eq!(flood.iter().filter(|seat| !is_evicted(seat)).count(), 4);
        assert_eq!(network("::ffff:0.0.0.2".parse().expect("an address")), network(address(2)));
        drop((good, flood));
        assert_eq!(counts(&seats), (0, 0, 0));
    }

    #[test]
    fn o3_who_proves_itself_is_not_evicted() {
        let seats = Seats::new(8);
        let mut good = seats.take_unproven(address(1)).expect("a seat");
        assert!(good.prove());
        let _flood: Vec<Seat> = (0..100).filter_map(|_| seats.take_unproven(address(1))).collect();
        assert_eq!(counts(&seats), (2, 1, 1));
        // One whose seat was taken just before it proved itself takes another.
        let mut late = seats.take_unproven(address(2)).expect("a seat");
        seats.lock().evict(late.unproven.as_ref().expect("unproven").0);
        assert!(late.prove());
        drop((good, late));
        let (all, unproven, _) = counts(&seats);
        assert_eq!(all, unproven);
    }
}
