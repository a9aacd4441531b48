//! Without keys, pages of other sites are refused (rule O2).
//!
//! A server that needs no proof is safe because only this machine reaches it. But any page that is open in a browser on
//! this machine reaches it too: browsers send no preflight for a WebSocket, or for a POST without `Content-Type`. They do
//! name the page in `Origin`. A page may also give its own name the address of this machine (DNS rebinding); then its
//! `Host` gives it away. Pages that this machine serves itself, such as an editor in development on another port, may call.
//!
//! Not here: servers with keys, where a page would need a token.

use std::net::IpAddr;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, header, uri::Authority},
};
use url::{Host, Url};

use super::{
    access::Access,
    app::{App, ListenerScope},
    client_address::host_of,
    problem::Problem,
    refused_origins::RefusedHeader,
};
use crate::auth::Auth;

/// Refuses a request of a page of another site.
pub(super) fn check(app: &App, request: &Request<Body>, need: Access) -> Result<(), Problem> {
    if matches!(need, Access::Public | Access::Console) {
        return Ok(());
    }
    if app.reach == ListenerScope::Loopback
        && is_of_a_browser(request.headers())
        && let Some(host) = host(request)
        && !is_of_this_machine(host.host())
        && !app.origins.names_host(&host)
    {
        app.refused_origins.note(RefusedHeader::Host, host.as_str());
        let detail = format!(
            "this server has no keys and serves this machine alone, but Host says {host}: use localhost, \
             or list the origin of the proxy in front of it in CORS_ORIGINS"
        );
        return Err(Problem::foreign(detail));
    }
    let may_change = need == Access::Socket || !matches!(*request.method(), Method::GET | Method::HEAD);
    let Some(origin) = request.headers().get(header::ORIGIN).filter(|_| may_change) else { return Ok(()) };
    let text = origin.to_str().unwrap_or_default();
    // Authorities compare without regard to case.
    let is_own = page_of(text).is_some()
        && text.split_once("://").is_some_and(|(_, own)| host(request).is_some_and(|host| host == own));
    if is_own || is_neighbour(app, origin) || app.origins.allow(origin) {
        return Ok(());
    }
    app.refused_origins.note(RefusedHeader::Origin, text);
    let detail = format!(
        "this server has no keys and takes nothing from pages of other origins, and Origin says {text:?}: \
         list it in CORS_ORIGINS"
    );
    Err(Problem::foreign(detail))
}

/// Whether pages of this origin may call without being listed: this machine serves them, only this machine reaches the
/// server, and the server has no keys.
pub(super) fn is_neighbour(app: &App, origin: &HeaderValue) -> bool {
    let is_open = matches!(app.auth, Auth::Off) && app.reach == ListenerScope::Loopback;
    is_open && origin.to_str().ok().and_then(page_of).is_some_and(|page| is_loopback(&page))
}

/// What the caller takes this server to be; nothing where it does not say, as no browser does. What can't be read was
/// refused before ([`super::request_head`]).
fn host(request: &Request<Body>) -> Option<Authority> {
    let said = |headers: &HeaderMap| host_of(headers.get(header::HOST)?.to_str().ok()?);
    request.uri().authority().cloned().or_else(|| said(request.headers()))
}

/// Whether a browser sent it: each of them sends one of these with every request. Other programs call a server by
/// any name they like, and no page tells them to.
fn is_of_a_browser(headers: &HeaderMap) -> bool {
    let marks = [header::ORIGIN, header::REFERER, header::ACCEPT_LANGUAGE];
    let agent = headers.get(header::USER_AGENT).map(|agent| agent.as_bytes()).unwrap_or_default();
    marks.iter().any(|mark| headers.contains_key(mark)) || agent.starts_with(b"Mozilla/")
}

/// The page that an `Origin` names: `http` or `https`, a host and perhaps a port, spelled as browsers spell it
/// (RFC 6454, 6.2), but for the case of letters. Anything else is not a page.
fn page_of(origin: &str) -> Option<Url> {
    let page = Url::parse(origin).ok()?;
    let is_web = matches!(page.scheme(), "http" | "https");
    (is_web && page.origin().ascii_serialization().eq_ignore_ascii_case(origin)).then_some(page)
}

/// A page from there was served by this machine.
fn is_loopback(page: &Url) -> bool {
    match page.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => is_of_this_machine(name),
        None => false,
    }
}

/// An address can't be given to another machine, and these names are reserved for it (RFC 6761, 6.3).
fn is_of_this_machine(host: &str) -> bool {
    let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    is_address || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o2_pages_of_this_machine_are_neighbours_and_those_of_others_are_not() {
        let is_neighbour = |origin: &str| page_of(origin).as_ref().is_some_and(is_loopback);
        for own in [
            "http://localhost",
            "http://localhost:5173",
            "https://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:3000",
            "http://editor.localhost",
            "http://LOCALHOST",
        ] {
            assert!(is_neighbour(own), "{own}");
        }
        for other in [
            "http://10.0.0.7",
            "http://192.168.1.2",
            "http://evil.example",
            "http://[2001:db8::1]",
            "http://[::1].evil.example",
            "http://[::1",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost@evil.example",
            "http://evil.example@localhost",
            "http://localhost:5173/",
            "http://localhost:99999",
            "http://localhost:",
            "http://2130706433",
            "http://127.1",
            "evil://localhost",
            "file://localhost",
            "localhost",
            "//localhost",
            "null",
            "",
        ] {
            assert!(!is_neighbour(other), "{other}");
        }
    }

    #[test]
    fn o2_only_names_that_nobody_else_can_have_are_of_this_machine() {
        for own in
            ["localhost", "LocalHost", "localhost.", "editor.localhost", "127.0.0.1", "[::1]", "10.0.0.7"]
        {
            assert!(is_of_this_machine(own), "{own}");
        }
        for other in ["evil.example", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", ""]
        {
            assert!(!is_of_this_machine(other), "{other}");
        }
    }
}
