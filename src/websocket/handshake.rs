//! Answering the opening handshake (RFC 6455 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use sha1::{Digest, Sha1};

use super::extension::{Deflate, is_token, negotiate};

/// The text that RFC 6455 section 1.3 joins to a key.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How many bytes a key encodes.
pub(super) const KEY_BYTES: usize = 16;
/// The one version there is.
pub(super) const VERSION: &str = "13";

/// A handshake that can be answered with 101. It has no `Debug`: offered protocols may hold a
/// credential.
pub struct Accepted {
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The first supported subprotocol that was offered. `None` isn't a failure here, but browsers
    /// drop a connection whose offers were all passed over.
    pub protocol: Option<&'static str>,
    /// Every subprotocol offered, in order: the place where a browser can put a token.
    pub offered: Vec<String>,
    /// Whether messages may be compressed.
    pub deflate: Deflate,
}

/// Why a request isn't a handshake. All but `Version` are the client's bad request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// `Upgrade` doesn't name `websocket`.
    #[error("the request doesn't ask to upgrade to websocket")]
    Upgrade,
    /// `Connection` doesn't name `upgrade`; a proxy may have dropped it.
    #[error("the request's Connection header doesn't name upgrade")]
    Connection,
    /// Another version: answer 426 with `Sec-WebSocket-Version: 13`.
    #[error("only version 13 of the WebSocket protocol is spoken here")]
    Version,
    /// `Sec-WebSocket-Key` isn't one base64 text of 16 bytes.
    #[error("Sec-WebSocket-Key isn't 16 bytes in base64")]
    Key,
    /// `Sec-WebSocket-Protocol` isn't a list of tokens.
    #[error("Sec-WebSocket-Protocol is malformed")]
    Protocol,
    /// `Sec-WebSocket-Extensions` breaks its grammar.
    #[error("Sec-WebSocket-Extensions is malformed")]
    Extensions,
}

/// Reads the headers of an HTTP/1.1 GET and says what to answer. `supported` are the subprotocols, the
/// preferred one first. The method and the HTTP version are the caller's to check.
pub fn accept(request: &HeaderMap, supported: &[&'static str]) -> Result<Accepted, HandshakeError> {
    if !list(request, UPGRADE).any(|item| item.eq_ignore_ascii_case("websocket")) {
        return Err(HandshakeError::Upgrade);
    }
    if !list(request, CONNECTION).any(|item| item.eq_ignore_ascii_case("upgrade")) {
        return Err(HandshakeError::Connection);
    }
    if only(request, SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(HandshakeError::Version);
    }
    let key = only(request, SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    if STANDARD.decode(key).map_err(|_| HandshakeError::Key)?.len() != KEY_BYTES {
        return Err(HandshakeError::Key);
    }
    let offered = offered(request)?;
    let protocol = supported.iter().copied().find(|name| offered.iter().any(|offer| offer == name));
    let extensions = extensions(request)?;

    let mut headers = HeaderMap::new();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept_key(key)?);
    if let Some(protocol) = protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    let deflate = match extensions {
        None => Deflate::Off,
        Some(answer) => {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(answer));
            Deflate::On
        }
    };
    Ok(Accepted { headers, protocol, offered, deflate })
}

/// What a server answers to a key, to show that it has read it.
pub(super) fn accept_key(key: &str) -> Result<HeaderValue, HandshakeError> {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    HeaderValue::try_from(STANDARD.encode(digest)).map_err(|_| HandshakeError::Key)
}

fn offered(request: &HeaderMap) -> Result<Vec<String>, HandshakeError> {
    if request.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(|value| value.to_str().is_err()) {
        return Err(HandshakeError::Protocol);
    }
    let offered: Vec<_> = list(request, SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
    if offered.iter().all(|name| is_token(name)) { Ok(offered) } else { Err(HandshakeError::Protocol) }
}

/// The answer to the offered extensions. Several headers are one list.
fn extensions(request: &HeaderMap) -> Result<Option<&'static str>, HandshakeError> {
    let mut answer = None;
    for value in request.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let value = value.to_str().map_err(|_| HandshakeError::Extensions)?;
        let found = negotiate(value).map_err(|_| HandshakeError::Extensions)?;
        answer = answer.or(found);
    }
    Ok(answer.map(|answer| answer.header()))
}

/// The items of a comma-separated header, over all its lines, without the empty ones.
pub(super) fn list(request: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = request.get_all(name).into_iter();
    let items = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    items.map(str::trim).filter(|item| !item.is_empty())
}

/// The value of a header that may appear once only.
pub(super) fn only(request: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = request.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim())
}
