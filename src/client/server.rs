//! Where a server is: `http://host:port`, `https://host:port`, or a Unix socket of this machine.

use std::{fmt, path::PathBuf, str::FromStr};

/// The address of a server. `ws://` means `http://`, and `wss://` means `https://`. A path is the prefix under which a
/// proxy serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address; that of an IPv6 address in brackets.
    host: String,
    port: u16,
    /// Empty, or a path without its last slash.
    base: String,
    token: Option<Token>,
    transport: Transport,
}

/// What carries the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Tls,
    /// The socket at this path.
    Unix(PathBuf),
}

/// The caller's token (rule O1). Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let is_fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        is_fine.then(|| Self(text.to_owned())).ok_or(InvalidToken)
    }
}

/// A text that can't be sent as a token in a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one word of ASCII, as `dao-api token` prints it")]
pub struct InvalidToken;

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Another scheme, or none.
    #[error("must begin with http://, https://, ws:// or wss://")]
    Scheme,
    /// A user or a password before the host.
    #[error("must have no user and no password")]
    Credentials,
    /// No host, or one with characters that a host can't have.
    #[error("must name a host, like http://127.0.0.1:3000")]
    Host,
    /// The port is not a port.
    #[error("must name a port from 1 to 65535, like http://127.0.0.1:3000")]
    Port,
    /// A query or a fragment.
    #[error("must end with the path")]
    Query,
}

impl Server {
    /// A server at this host and port.
    pub fn new(host: std::net::IpAddr, port: u16) -> Self {
        let host = if host.is_ipv6() { format!("[{host}]") } else { host.to_string() };
        Self { host, port, base: String::new(), token: None, transport: Transport::Tcp }
    }

    /// The server that listens on this socket of this machine.
    pub fn at_socket(path: PathBuf) -> Self {
        let (host, base) = ("localhost".to_owned(), String::new());
        Self { host, port: 80, base, token: None, transport: Transport::Unix(path) }
    }

    /// The same server, asked with this token.
    #[must_use]
    pub fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// `host:port`, as it stands in a `Host` header and as TCP resolves it.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Its name or address without brackets, as a certificate has it.
    pub(super) fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The request target of this path of the server.
    pub(super) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match &self.transport {
            Transport::Unix(path) => return write!(f, "{}", path.display()),
            Transport::Tcp => "http",
            Transport::Tls => "https",
        };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.base)
    }
}

impl FromStr for Server {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let (transport, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => (Transport::Tcp, ":80"),
            "https" | "wss" => (Transport::Tls, ":443"),
            _ => return Err(InvalidUrl::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(InvalidUrl::Credentials);
        }
        if rest.contains(['?', '#']) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidUrl::Query);
        }
        let after_brackets = authority.rfind(']').unwrap_or(0);
        let (host, port) = match authority[after_brackets..].find(':') {
            Some(colon) => authority.split_at(after_brackets + colon),
            None => (authority, default_port),
        };
        let port = port[1..].parse().ok().filter(|port| *port != 0).ok_or(InvalidUrl::Port)?;
        if !is_host(host) {
            return Err(InvalidUrl::Host);
        }
        let (host, base) = (host.to_owned(), path.trim_end_matches('/').to_owned());
        Ok(Self { host, port, base, token: None, transport })
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    }
    !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, InvalidUrl> {
        text.parse::<Server>().map(|server| server.to_string())
    }

    #[test]
    fn addresses_are_read() {
        for (text, expected) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("WS://localhost:3000/", "http://localhost:3000"),
            ("http://db_1.example", "http://db_1.example:80"),
            ("http://[::1]:9/dao/", "http://[::1]:9/dao"),
            ("https://127.0.0.1", "https://127.0.0.1:443"),
            ("wss://x", "https://x:443"),
        ] {
            assert_eq!(shown(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, why) in [
            ("https://", InvalidUrl::Host),
            ("wss://x:0", InvalidUrl::Port),
            ("127.0.0.1:3000", InvalidUrl::Scheme),
            ("redis://x", InvalidUrl::Scheme),
            ("http://", InvalidUrl::Host),
            ("http://ada@host", InvalidUrl::Credentials),
            ("https://ada:secret@host:0/path?x", InvalidUrl::Credentials),
            ("http://[::g]:1", InvalidUrl::Host),
            ("http://host:0", InvalidUrl::Port),
            ("http://host:x", InvalidUrl::Port),
            ("http://host:99999", InvalidUrl::Port),
            ("http://host/ws?graphId=g", InvalidUrl::Query),
            ("http://host/a b", InvalidUrl::Query),
        ] {
            assert_eq!(shown(text), Err(why), "{text}");
        }
    }
}
