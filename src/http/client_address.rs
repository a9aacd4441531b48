//! The address that a request comes from: the peer of its connection, or the client that a trusted proxy names
//! (`TRUSTED_PROXIES`).
//!
//! Invariant: a header is trusted only as far as a listed proxy wrote it. Anybody can send `X-Forwarded-For`; only the
//! entries that listed proxies appended count.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::http::{Extensions, HeaderMap, uri::Authority};

use super::connection_limits::ConnectionPermit;

/// The proxies that are trusted to name their clients; none unless configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

/// Addresses that begin with the same bits: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Proxies {
    /// Parses addresses and networks, separated by commas. An error names the entry that is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let listed = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let network = |entry: &str| {
            Network::parse(entry).ok_or_else(|| {
                format!(
                    "{entry:?} is neither an address nor a network, like 10.0.0.7, 10.0.0.0/8 or fd00::/8"
                )
            })
        };
        listed.map(network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this is one of them.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client behind this peer. If the peer is a trusted proxy, the entries of `X-Forwarded-For` are followed from right
    /// to left up to the first that is not a trusted proxy, or that can't be read.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        if !self.contains(client) {
            return client;
        }
        let forwarded: Vec<&str> = (headers.get_all("x-forwarded-for").iter())
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        for entry in forwarded.iter().rev() {
            let Some(named) = address_in(entry.trim()) else { break };
            client = named;
            if !self.contains(client) {
                break;
            }
        }
        client
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// An IPv6 customer has a /64 network, so its addresses count as one.
const V6_NETWORK: u128 = u128::MAX << 64;

/// What counts as one address: an IPv4 address, or an IPv6 network.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & V6_NETWORK).into()),
    }
}

/// An address as proxies write them: alone, `[v6]`, or with a port.
fn address_in(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// The host of a `Host` field, with its port if it has one; `None` where browsers and proxies could read it
/// differently.
pub(super) fn host_of(text: &str) -> Option<Authority> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, port)
        }
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let has_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    let is_alone = !host.is_empty() && !host.contains('@');
    text.parse().ok().filter(|_| has_port && is_alone)
}

/// The connection that a request came by, as the listener knows it.
#[derive(Clone)]
pub(super) struct ConnectionInfo {
    pub(super) peer: IpAddr,
    /// The permit of the connection. A WebSocket keeps it.
    pub(super) place: Arc<ConnectionPermit>,
}

/// The address that a request comes from; unspecified if no listener accepted it.
pub(super) fn of(proxies: &Proxies, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
    let peer = extensions.get::<ConnectionInfo>().map(|arrival| arrival.peer);
    proxies.client(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).expect("a header"));
        }
        let proxies = Proxies::parse(proxies).expect("proxies");
        proxies.client(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn o3_only_listed_proxies_are_believed() {
        assert_eq!(client("", "10.0.0.1", &["1.2.3.4"]), "10.0.0.1", "nobody is believed by default");
        assert_eq!(client("10.0.0.0/8", "11.0.0.1", &["1.2.3.4"]), "11.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.9.9.9", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("10.0.0.0/8", "10.9.9.9", &[]), "10.9.9.9");
    }

    #[test]
    fn o3_what_a_client_wrote_before_the_proxy_is_not_believed() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("10.0.0.1,10.0.0.2", "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.2"]), "1.2.3.4");
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["6.6.6.6, nonsense"]), "10.0.0.1");
    }

    #[test]
    fn o3_addresses_are_read_as_proxies_write_them() {
        for (entry, address) in [
            ("1.2.3.4:5678", "1.2.3.4"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
        ] {
            assert_eq!(client("fd00::/8", "fd00::1", &[entry]), address, "{entry}");
        }
    }

    #[test]
    fn o4_a_network_is_an_address_and_bits() {
        for good in ["0.0.0.0/0", "10.0.0.1", "::/0", "fd00::/128", " 10.0.0.1 , ::1 "] {
            assert!(Proxies::parse(good).is_ok(), "{good}");
        }
        for bad in ["10.0.0.0/33", "::/129", "10.0.0/8", "proxy.example", "10.0.0.1/", "10.0.0.1/-1"] {
            assert!(Proxies::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(client("0.0.0.0/0", "9.9.9.9", &["1.2.3.4, 5.6.7.8"]), "1.2.3.4", "all are proxies");
    }
}
