//! Who may hold a connection (rule O3): a bound for all, a share for each address, and nothing for those who only
//! take up room.
//!
//! A connection is *unproven* until a request on it was let in (`guard::guard`). When there is no place, the oldest
//! unproven connection of the address that has most of them makes way: whoever only opens connections, or sends half
//! heads, keeps nobody out. A connection on which a request was let in is never closed to make room for another.
//!
//! Invariants:
//! - At most [`Bounds::connections`] connections, and [`Bounds::per_address`] from one address, but for trusted
//!   proxies: behind a proxy everybody has its address.
//! - Heads that have not come to their end hold [`HEADS_BYTES_MAX`] in all; beyond that the oldest are closed.
//!
//! Not here: who is let in ([`super::guard`]), and what those are told who are not ([`super::listener`]).

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::oneshot;

use super::client_address::{Proxies, network_of};

/// Bytes of heads that are not whole yet, of all connections together. The server's buffers for them are up to
/// twice as large.
pub(super) const HEADS_BYTES_MAX: usize = 32 << 20;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections: usize,
    pub(super) per_address: usize,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// This address holds its share.
    Address,
    /// All places are taken by others who proved themselves.
    All,
}

/// Counts connections. Cheap to clone, and each clone is the same one.
#[derive(Clone)]
pub(super) struct Admission(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    proxies: Arc<Proxies>,
    /// Never held across anything that waits.
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// The number of the next connection: a lower one is older.
    next: u64,
    connections: HashMap<u64, Entry>,
    addresses: HashMap<IpAddr, Address>,
    /// How many unproven connections an address has, for those that have any.
    loads: BTreeSet<(usize, IpAddr)>,
    /// Connections whose next head has begun and not ended.
    heads: BTreeSet<u64>,
    heads_bytes: usize,
}

struct Entry {
    address: IpAddr,
    is_proven: bool,
    head_bytes: usize,
    /// Dropped to tell its task that the place is gone.
    _evict: oneshot::Sender<()>,
}

#[derive(Default)]
struct Address {
    connections: usize,
    unproven: BTreeSet<u64>,
}

/// A place among the connections, given back when it is dropped.
pub(super) struct Place {
    shared: Arc<Shared>,
    number: u64,
    is_proven: AtomicBool,
}

/// Resolves when the place of a connection was given to another.
pub(super) struct Evicted(oneshot::Receiver<()>);

impl Evicted {
    /// Cancel-safe.
    pub(super) async fn wait(&mut self) {
        let _the_sender_is_gone = (&mut self.0).await;
    }
}

impl Admission {
    pub(super) fn new(bounds: Bounds, proxies: Arc<Proxies>) -> Self {
        Self(Arc::new(Shared { bounds, proxies, table: Mutex::default() }))
    }

    /// A place for a connection from this peer; others may have to make way.
    pub(super) fn admit(&self, peer: IpAddr) -> Result<(Arc<Place>, Evicted), Full> {
        let shared = &self.0;
        let address = network_of(peer);
        let mut table = shared.lock();
        let held = table.addresses.get(&address).map_or(0, |address| address.connections);
        if held >= shared.bounds.per_address
            && !shared.proxies.contains(peer)
            && !table.evict_oldest_of(address)
        {
            return Err(Full::Address);
        }
        if table.connections.len() >= shared.bounds.connections && !table.evict_from_heaviest() {
            return Err(Full::All);
        }
        let (number, evicted) = table.insert(address);
        drop(table);
        let place = Place { shared: shared.clone(), number, is_proven: AtomicBool::new(false) };
        Ok((Arc::new(place), Evicted(evicted)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A request on it was let in: from now on it makes way for nobody.
    pub(super) fn prove(&self) {
        if !self.is_proven.swap(true, Ordering::Relaxed) {
            self.shared.lock().prove(self.number);
        }
    }

    /// So many bytes of a head have come, and it has not ended; 0 once it has.
    pub(super) fn hold_head(&self, bytes: usize) {
        self.shared.lock().hold_head(self.number, bytes);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().remove(self.number);
    }
}

impl Table {
    fn insert(&mut self, address: IpAddr) -> (u64, oneshot::Receiver<()>) {
        let number = self.next;
        self.next += 1;
        let (evict, evicted) = oneshot::channel();
        self.connections.insert(number, Entry { address, is_proven: false, head_bytes: 0, _evict: evict });
        self.change(address, |of| {
            of.connections += 1;
            of.unproven.insert(number);
        });
        (number, evicted)
    }

    /// Changes what is known of an address, and its place among the others.
    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut Address)) {
        let known = self.addresses.entry(address).or_default();
        let before = known.unproven.len();
        change(known);
        let (after, is_gone) = (known.unproven.len(), known.connections == 0);
        if before != after {
            self.loads.remove(&(before, address));
            if after > 0 {
                self.loads.insert((after, address));
            }
        }
        if is_gone {
            self.addresses.remove(&address);
        }
    }

    fn prove(&mut self, number: u64) {
        let Some(entry) = self.connections.get_mut(&number) else { return };
        entry.is_proven = true;
        let address = entry.address;
        self.change(address, |of| {
            of.unproven.remove(&number);
        });
    }

    fn hold_head(&mut self, number: u64, bytes: usize) {
        let Some(entry) = self.connections.get_mut(&number) else { return };
        self.heads_bytes = self.heads_bytes - entry.head_bytes + bytes;
        entry.head_bytes = bytes;
        match bytes {
            0 => self.heads.remove(&number),
            _ => self.heads.insert(number),
        };
        while self.heads_bytes > HEADS_BYTES_MAX
            && let Some(oldest) = self.heads.first().copied()
        {
            self.remove(oldest);
        }
    }

    fn evict_oldest_of(&mut self, address: IpAddr) -> bool {
        let oldest = self.addresses.get(&address).and_then(|address| address.unproven.first().copied());
        oldest.map(|oldest| self.remove(oldest)).is_some()
    }

    fn evict_from_heaviest(&mut self) -> bool {
        let heaviest = self.loads.last().map(|(_, address)| *address);
        heaviest.is_some_and(|address| self.evict_oldest_of(address))
    }

    /// Gives a place back; one that was taken from its connection is given back already.
    fn remove(&mut self, number: u64) {
        let Some(entry) = self.connections.remove(&number) else { return };
        self.heads.remove(&number);
        self.heads_bytes -= entry.head_bytes;
        self.change(entry.address, |of| {
            of.connections -= 1;
            if !entry.is_proven {
                of.unproven.remove(&number);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, per_address: usize) -> Admission {
        let proxies = Proxies::parse("10.0.0.9").expect("proxies");
        Admission::new(Bounds { connections, per_address }, Arc::new(proxies))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn is_evicted(evicted: &mut Evicted) -> bool {
        matches!(evicted.0.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn o3_an_unproven_connection_makes_way_and_the_oldest_of_the_heaviest_address_is_first() {
        let admission = admission(4, 4);
        let (eve, ada) = (address("10.0.0.1"), address("10.0.0.2"));
        let (first_ada, mut of_ada) = admission.admit(ada).expect("room");
        let mut of_eve: Vec<_> = (0..3).map(|_| admission.admit(eve).expect("room")).collect();
        let (_bob, mut of_bob) = admission.admit(address("10.0.0.3")).expect("somebody makes way");
        assert!(is_evicted(&mut of_eve[0].1) && !is_evicted(&mut of_eve[1].1));
        assert!(!is_evicted(&mut of_ada) && !is_evicted(&mut of_bob));
        drop(first_ada);
        assert!(admission.admit(ada).is_ok());
        assert!(!is_evicted(&mut of_eve[1].1), "there was room");
    }

    #[test]
    fn o3_those_who_proved_themselves_make_way_for_nobody() {
        let admission = admission(2, 2);
        let places: Vec<_> = (0..2).map(|_| admission.admit(address("10.0.0.1")).expect("room")).collect();
        places.iter().for_each(|(place, _)| place.prove());
        assert_eq!(admission.admit(address("10.0.0.2")).err(), Some(Full::All));
        assert_eq!(admission.admit(address("10.0.0.1")).err(), Some(Full::Address));
        drop(places);
        assert!(admission.0.lock().addresses.is_empty() && admission.0.lock().loads.is_empty());
        assert!(admission.admit(address("10.0.0.2")).is_ok());
    }

    #[test]
    fn o3_an_address_has_its_share_and_a_trusted_proxy_has_none() {
        let admission = admission(10, 2);
        let prove = |peer: &str| {
            let admitted = admission.admit(address(peer))?;
            admitted.0.prove();
            Ok::<_, Full>(admitted)
        };
        let _two = (prove("2001:db8::1").expect("room"), prove("2001:db8::2").expect("room"));
        assert_eq!(prove("2001:db8::3").err(), Some(Full::Address), "a network is one address");
        let proxied: Vec<_> = (0..4).map(|_| prove("10.0.0.9").expect("no share")).collect();
        assert_eq!(proxied.len(), 4);
    }

    #[test]
    fn o3_at_its_share_an_address_makes_way_for_itself() {
        let admission = admission(10, 2);
        let eve = address("10.0.0.1");
        let (_first, mut first) = admission.admit(eve).expect("room");
        let (second, mut of_second) = admission.admit(eve).expect("room");
        second.prove();
        let (_third, _) = admission.admit(eve).expect("the first makes way");
        assert!(is_evicted(&mut first) && !is_evicted(&mut of_second));
    }

    #[test]
    fn o3_heads_that_do_not_end_are_bounded_whoever_sends_them() {
        let admission = admission(10_000, 10_000);
        let heads = HEADS_BYTES_MAX / (32 << 10);
        let mut all = Vec::new();
        for _ in 0..heads + 3 {
            let (place, evicted) = admission.admit(address("10.0.0.1")).expect("room");
            place.prove();
            place.hold_head(32 << 10);
            all.push((place, evicted));
        }
        let gone = all.iter_mut().filter_map(|(_, evicted)| is_evicted(evicted).then_some(())).count();
        assert_eq!(gone, 3);
        assert!(is_evicted(&mut all[2].1) && !is_evicted(&mut all[3].1), "the oldest are first");
        all[3].0.hold_head(0);
        assert_eq!(admission.0.lock().heads_bytes, HEADS_BYTES_MAX - (32 << 10));
        drop(all);
        assert_eq!(admission.0.lock().heads_bytes, 0);
    }
}
