//! Which server has which slot of a cluster: [`SlotMap`], as `CLUSTER SLOTS` tells it.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use fred::types::{
    Value,
    config::{Server, TlsHostMapping},
};

/// The slots of a cluster.
pub(in super::super) const SLOTS: u16 = 16_384;
const NOBODY: u16 = u16::MAX;

/// Which server has which slot.
#[derive(Clone)]
pub(in super::super) struct SlotMap {
    /// An index into `primaries` for each slot.
    owners: Arc<[u16]>,
    primaries: Vec<Server>,
    replicas: Vec<Server>,
}

/// By which name a server is reached, and by which its certificate is checked.
#[derive(Clone)]
pub(in super::super) struct ServerNames {
    /// Where an address stands for the name that the cluster was given by.
    pub(in super::super) mapping: TlsHostMapping,
    /// That name.
    pub(in super::super) default_host: String,
}

impl ServerNames {
    fn of(&self, host: &str, port: u16) -> Server {
        let mut server = Server::new(host, port);
        if self.mapping == TlsHostMapping::DefaultHost && host.parse::<IpAddr>().is_ok() {
            server.tls_server_name = Some(self.default_host.as_str().into());
        }
        server
    }

    /// The server of `host:port` in a redirection; without a host it is the one that `answered`.
    pub(in super::super) fn redirected(&self, to: &str, answered: &Server) -> Option<Server> {
        let (host, port) = to.rsplit_once(':')?;
        let host = match host.trim_start_matches('[').trim_end_matches(']') {
            "" | "?" => &answered.host,
            host => host,
        };
        Some(self.of(host, port.parse().ok()?))
    }
}

impl SlotMap {
    /// Nobody has anything.
    pub(super) fn empty() -> Self {
        Self { owners: vec![NOBODY; SLOTS.into()].into(), primaries: vec![], replicas: vec![] }
    }

    /// `[[first, last, [host, port, id, …], replica…]…]`, as `answered` told it.
    pub(super) fn read(reply: &Value, answered: &Server, names: &ServerNames) -> Option<Self> {
        let Value::Array(ranges) = reply else { return None };
        let (mut owners, mut primaries, mut replicas) = (vec![NOBODY; SLOTS.into()], vec![], vec![]);
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [first, last, primary, others @ ..] = range.as_slice() else { return None };
            let primary = server(primary, answered, names)?;
            let index = primaries.iter().position(|known| *known == primary).unwrap_or_else(|| {
                primaries.push(primary);
                primaries.len() - 1
            });
            let (first, last) =
                (usize::try_from(first.as_u64()?).ok()?, usize::try_from(last.as_u64()?).ok()?);
            owners.get_mut(first..=last)?.fill(u16::try_from(index).ok()?);
            replicas.extend(others.iter().filter_map(|other| server(other, answered, names)));
        }
        Some(Self { owners: owners.into(), primaries, replicas })
    }

    /// The server that has this slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Server> {
        self.primaries.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// The servers that have slots.
    pub(super) fn primaries(&self) -> &[Server] {
        &self.primaries
    }

    /// All servers that are told of.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// Whether somebody has each slot.
    pub(super) fn is_whole(&self) -> bool {
        self.owners.iter().all(|owner| *owner != NOBODY)
    }

    pub(super) fn covered(&self) -> usize {
        self.owners.iter().filter(|owner| **owner != NOBODY).count()
    }

    /// The same with another owner of one slot, as a redirection tells.
    pub(super) fn moved(&self, slot: u16, to: &Server) -> Self {
        let mut map = self.clone();
        let index = map.primaries.iter().position(|known| known == to).unwrap_or_else(|| {
            map.primaries.push(to.clone());
            map.primaries.len() - 1
        });
        let mut owners = map.owners.to_vec();
        if let (Some(owner), Ok(index)) = (owners.get_mut(usize::from(slot)), u16::try_from(index)) {
            *owner = index;
        }
        map.owners = owners.into();
        map
    }

    /// A slot of each server that has some, of these.
    pub(super) fn one_of_each(&self, slots: impl Iterator<Item = u16>) -> Vec<(Server, u16)> {
        let mut seen = BTreeSet::new();
        slots
            .filter(|slot| self.owners.get(usize::from(*slot)).is_some_and(|owner| seen.insert(*owner)))
            .filter_map(|slot| Some((self.owner(slot)?.clone(), slot)))
            .collect()
    }
}

/// `[host, port, …]`. A host may be null, or a question mark, or empty: then it is that of the server that answered.
fn server(value: &Value, answered: &Server, names: &ServerNames) -> Option<Server> {
    let Value::Array(fields) = value else { return None };
    let [host, port, ..] = fields.as_slice() else { return None };
    let host = host.as_string().filter(|host| !host.is_empty() && host != "?");
    let host = host.unwrap_or_else(|| answered.host.to_string());
    Some(names.of(&host, u16::try_from(port.as_u64()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> ServerNames {
        ServerNames { mapping: TlsHostMapping::None, default_host: "cluster.example".to_owned() }
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Integer(port), "id".into()])
    }

    fn range(first: i64, last: i64, nodes: Vec<Value>) -> Value {
        let ends = [Value::Integer(first), Value::Integer(last)];
        Value::Array(ends.into_iter().chain(nodes).collect())
    }

    #[test]
    fn o5_the_owner_of_each_slot_is_read() {
        let reply = Value::Array(vec![
            range(0, 99, vec![node("10.0.0.1".into(), 1), node("10.0.0.3".into(), 3)]),
            range(100, 16_383, vec![node(Value::Null, 2)]),
        ]);
        let asked = Server::new("10.0.0.9", 9);
        let map = SlotMap::read(&reply, &asked, &names()).expect("a map");
        assert!(map.is_whole());
        assert_eq!(map.owner(99), Some(&Server::new("10.0.0.1", 1)));
        assert_eq!(map.owner(100), Some(&Server::new("10.0.0.9", 2)), "a null is the host that was asked");
        assert_eq!(map.servers().count(), 3);
        let map = map.moved(99, &Server::new("10.0.0.7", 7));
        assert_eq!(map.owner(99), Some(&Server::new("10.0.0.7", 7)));
        assert_eq!(map.owner(98), Some(&Server::new("10.0.0.1", 1)));
        assert_eq!(map.one_of_each([3, 4, 5, 99, 200, 300].into_iter()).len(), 3);
    }

    #[test]
    fn o5_slots_that_nobody_has_and_replies_that_are_no_map() {
        let asked = Server::new("a", 1);
        let part = Value::Array(vec![range(5, 9, vec![node("b".into(), 2)])]);
        let map = SlotMap::read(&part, &asked, &names()).expect("a map");
        assert_eq!((map.is_whole(), map.covered(), map.owner(10)), (false, 5, None));
        for bad in [
            Value::Null,
            Value::Array(vec![Value::Null]),
            Value::Array(vec![range(0, 16_384, vec![node("a".into(), 1)])]),
            Value::Array(vec![range(9, 5, vec![node("a".into(), 70_000)])]),
            Value::Array(vec![range(0, 1, vec![])]),
        ] {
            assert!(SlotMap::read(&bad, &asked, &names()).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn o5_a_redirection_without_a_host_means_the_server_that_answered() {
        let answered = Server::new("10.0.0.9", 9);
        let to = |text| names().redirected(text, &answered);
        assert_eq!(to("10.0.0.1:7000"), Some(Server::new("10.0.0.1", 7000)));
        assert_eq!(to(":7000"), Some(Server::new("10.0.0.9", 7000)));
        assert_eq!(to("[::1]:7000"), Some(Server::new("::1", 7000)));
        assert_eq!(to("nonsense"), None);
        let by_name = ServerNames { mapping: TlsHostMapping::DefaultHost, ..names() };
        let server = by_name.redirected("10.0.0.1:7000", &answered).expect("a server");
        assert_eq!(server.tls_server_name.as_deref(), Some("cluster.example"));
    }
}
