//! Limits on connections (rule O3): one for all, one for each address, and one for the bytes of unfinished heads.
//!
//! A connection is *unproven* until a request on it was let in ([`super::guard`]). When the limit is reached, the oldest
//! unproven connection of the address that has the most of them is closed. So a client that only opens connections, or
//! sends half a head, keeps nobody out. A proven connection is never closed to make room for another.
//!
//! Invariants:
//! - At most [`ConnectionBounds::connections`] connections, and [`ConnectionBounds::per_address`] from one address.
//!   Trusted proxies have no limit per address: everybody behind a proxy has its address.
//! - Unfinished heads hold at most [`HEADS_BYTES_MAX`] in all; beyond that the oldest connections are closed.
//!
//! Not here: which requests are let in ([`super::guard`]), and what refused clients are told ([`super::listener`]).

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

/// Bytes of unfinished heads, over all connections. The server's buffers for them are up to
/// twice as large.
pub(super) const HEADS_BYTES_MAX: usize = 32 << 20;

/// The limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionBounds {
    pub(super) connections: usize,
    pub(super) per_address: usize,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// The address has as many connections as it may have.
    Address,
    /// All connections are taken, and all are proven.
    All,
}

/// Counts connections. Cheap to clone, and each clone is the same one.
#[derive(Clone)]
pub(super) struct ConnectionLimiter(Arc<Shared>);

struct Shared {
    bounds: ConnectionBounds,
    proxies: Arc<Proxies>,
    /// Never held across anything that waits.
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// The number of the next connection: a lower one is older.
    next: u64,
    connections: HashMap<u64, Connection>,
    addresses: HashMap<IpAddr, AddressLoad>,
    /// How many unproven connections an address has, for those that have any.
    loads: BTreeSet<(usize, IpAddr)>,
    /// Connections whose next head has begun and not ended.
    heads: BTreeSet<u64>,
    heads_bytes: usize,
}

struct Connection {
    address: IpAddr,
    is_proven: bool,
    head_bytes: usize,
    /// Dropped to tell the task of the connection that it is evicted.
    _evict: oneshot::Sender<()>,
}

#[derive(Default)]
struct AddressLoad {
    connections: usize,
    unproven: BTreeSet<u64>,
}

/// The right to hold one connection, given back when it is dropped.
pub(super) struct ConnectionPermit {
    shared: Arc<Shared>,
    number: u64,
    is_proven: AtomicBool,
}

/// Resolves when the connection was evicted to make room for another.
pub(super) struct Eviction(oneshot::Receiver<()>);

impl Eviction {
    /// Cancel-safe.
    pub(super) async fn wait(&mut self) {
        let _the_sender_is_gone = (&mut self.0).await;
    }
}

impl ConnectionLimiter {
    pub(super) fn new(bounds: ConnectionBounds, proxies: Arc<Proxies>) -> Self {
        Self(Arc::new(Shared { bounds, proxies, table: Mutex::default() }))
    }

    /// Admits a connection from this peer, and evicts another if that is needed.
    pub(super) fn admit(&self, peer: IpAddr) -> Result<(Arc<ConnectionPermit>, Eviction), LimitReached> {
        let shared = &self.0;
        let address = network_of(peer);
        let mut table = shared.lock();
        let held = table.addresses.get(&address).map_or(0, |address| address.connections);
        if held >= shared.bounds.per_address
            && !shared.proxies.contains(peer)
            && !table.evict_oldest_of(address)
        {
            return Err(LimitReached::Address);
        }
        if table.connections.len() >= shared.bounds.connections && !table.evict_from_heaviest() {
            return Err(LimitReached::All);
        }
        let (number, evicted) = table.insert(address);
        drop(table);
        let permit = ConnectionPermit { shared: shared.clone(), number, is_proven: AtomicBool::new(false) };
        Ok((Arc::new(permit), Eviction(evicted)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPermit {
    /// Marks the connection as proven: it can no longer be evicted.
    pub(super) fn prove(&self) {
        if !self.is_proven.swap(true, Ordering::Relaxed) {
            self.shared.lock().prove(self.number);
        }
    }

    /// Records how many bytes of an unfinished head have arrived; 0 when the head is complete.
    pub(super) fn hold_head(&self, bytes: usize) {
        self.shared.lock().hold_head(self.number, bytes);
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.shared.lock().remove(self.number);
    }
}

impl Table {
    fn insert(&mut self, address: IpAddr) -> (u64, oneshot::Receiver<()>) {
        let number = self.next;
        self.next += 1;
        let (evict, evicted) = oneshot::channel();
        self.connections
            .insert(number, Connection { address, is_proven: false, head_bytes: 0, _evict: evict });
        self.change(address, |of| {
            of.connections += 1;
            of.unproven.insert(number);
        });
        (number, evicted)
    }

    /// Changes the record of an address and keeps `loads` in step.
    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut AddressLoad)) {
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

    /// Removes a connection. Does nothing if it was evicted before.
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

    fn limiter(connections: usize, per_address: usize) -> ConnectionLimiter {
        let proxies = Proxies::parse("10.0.0.9").expect("proxies");
        ConnectionLimiter::new(ConnectionBounds { connections, per_address }, Arc::new(proxies))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn is_evicted(evicted: &mut Eviction) -> bool {
        matches!(evicted.0.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn o3_an_unproven_connection_makes_way_and_the_oldest_of_the_heaviest_address_is_first() {
        let limiter = limiter(4, 4);
        let (eve, ada) = (address("10.0.0.1"), address("10.0.0.2"));
        let (first_ada, mut of_ada) = limiter.admit(ada).expect("room");
        let mut of_eve: Vec<_> = (0..3).map(|_| limiter.admit(eve).expect("room")).collect();
        let (_bob, mut of_bob) = limiter.admit(address("10.0.0.3")).expect("somebody makes way");
        assert!(is_evicted(&mut of_eve[0].1) && !is_evicted(&mut of_eve[1].1));
        assert!(!is_evicted(&mut of_ada) && !is_evicted(&mut of_bob));
        drop(first_ada);
        assert!(limiter.admit(ada).is_ok());
        assert!(!is_evicted(&mut of_eve[1].1), "there was room");
    }

    #[test]
    fn o3_those_who_proved_themselves_make_way_for_nobody() {
        let limiter = limiter(2, 2);
        let permits: Vec<_> = (0..2).map(|_| limiter.admit(address("10.0.0.1")).expect("room")).collect();
        permits.iter().for_each(|(permit, _)| permit.prove());
        assert_eq!(limiter.admit(address("10.0.0.2")).err(), Some(LimitReached::All));
        assert_eq!(limiter.admit(address("10.0.0.1")).err(), Some(LimitReached::Address));
        drop(permits);
        assert!(limiter.0.lock().addresses.is_empty() && limiter.0.lock().loads.is_empty());
        assert!(limiter.admit(address("10.0.0.2")).is_ok());
    }

    #[test]
    fn o3_an_address_has_its_share_and_a_trusted_proxy_has_none() {
        let limiter = limiter(10, 2);
        let prove = |peer: &str| {
            let admitted = limiter.admit(address(peer))?;
            admitted.0.prove();
            Ok::<_, LimitReached>(admitted)
        };
        let _two = (prove("2001:db8::1").expect("room"), prove("2001:db8::2").expect("room"));
        assert_eq!(prove("2001:db8::3").err(), Some(LimitReached::Address), "a network is one address");
        let proxied: Vec<_> = (0..4).map(|_| prove("10.0.0.9").expect("no share")).collect();
        assert_eq!(proxied.len(), 4);
    }

    #[test]
    fn o3_at_its_share_an_address_makes_way_for_itself() {
        let limiter = limiter(10, 2);
        let eve = address("10.0.0.1");
        let (_first, mut first) = limiter.admit(eve).expect("room");
        let (second, mut of_second) = limiter.admit(eve).expect("room");
        second.prove();
        let (_third, _) = limiter.admit(eve).expect("the first makes way");
        assert!(is_evicted(&mut first) && !is_evicted(&mut of_second));
    }

    #[test]
    fn o3_heads_that_do_not_end_are_bounded_whoever_sends_them() {
        let limiter = limiter(10_000, 10_000);
        let heads = HEADS_BYTES_MAX / (32 << 10);
        let mut all = Vec::new();
        for _ in 0..heads + 3 {
            let (permit, evicted) = limiter.admit(address("10.0.0.1")).expect("room");
            permit.prove();
            permit.hold_head(32 << 10);
            all.push((permit, evicted));
        }
        let gone = all.iter_mut().filter_map(|(_, evicted)| is_evicted(evicted).then_some(())).count();
        assert_eq!(gone, 3);
        assert!(is_evicted(&mut all[2].1) && !is_evicted(&mut all[3].1), "the oldest are first");
        all[3].0.hold_head(0);
        assert_eq!(limiter.0.lock().heads_bytes, HEADS_BYTES_MAX - (32 << 10));
        drop(all);
        assert_eq!(limiter.0.lock().heads_bytes, 0);
    }
}
