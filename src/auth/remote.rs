//! A key set at a URL (`JWT_JWKS=https://…`): when and how it is fetched.
//!
//! Invariant: the last usable set stays in use until a newer usable one is fetched. A slow, unreachable or broken issuer
//! locks out nobody. Not here: the contents of a set ([`super::source`]).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig, TlsProvider},
};

/// A set is fetched again after this time.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// The shortest time between two fetches, also for a token with an unknown key or after a failure: nobody can make this
/// server flood its issuer.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The timeout of one fetch.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest set, in bytes.
const SET_BYTES_MAX: u64 = 1 << 20;

/// The URL of a key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksUrl {
    text: String,
    /// Whether it is on this machine, where no TLS and no proxy is used.
    is_plain: bool,
}

impl JwksUrl {
    /// Parses `https://…`, or `http://…` on this machine.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed: http::Uri = text.parse().map_err(|error| format!("{text} is no address: {error}"))?;
        let host = parsed.host().unwrap_or_default();
        if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(
                "an address with a password in it would be written into logs: leave it out".to_owned()
            );
        }
        let is_plain = match parsed.scheme_str() {
            Some("https") => false,
            Some("http") if is_loopback(host) => true,
            Some("http") => {
                return Err(format!(
                    "{text} is not encrypted, so anybody in between could bring their own keys: use https://"
                ));
            }
            _ => return Err(format!("{text} is neither a file nor an https:// address")),
        };
        Ok(Self { text: text.to_owned(), is_plain })
    }

    /// Fetches the set. Blocks.
    fn fetch(&self) -> Result<String, String> {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let mut config = Agent::config_builder().tls_config(tls).timeout_global(Some(PATIENCE));
        config = match self.is_plain {
            true => config.proxy(None).max_redirects(0),
            false => config.https_only(true).max_redirects(3),
        };
        let problem = |error: ureq::Error| format!("{} can't be fetched: {error}", self.text);
        let mut answer = config.build().new_agent().get(&self.text).call().map_err(problem)?;
        if answer.status().as_u16() != 200 {
            return Err(format!("{} can't be fetched: it answers {}", self.text, answer.status()));
        }
        answer.body_mut().with_config().limit(SET_BYTES_MAX).read_to_string().map_err(problem)
    }
}

impl std::fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = match bare {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        bare => bare.parse().or_else(|_| bare.parse::<Ipv6Addr>().map(IpAddr::V6)),
    };
    address.is_ok_and(|address| address.is_loopback())
}

/// The last set that was fetched, and when the next fetch is due.
pub(super) struct Remote {
    url: JwksUrl,
    state: Mutex<State>,
    /// Notified when a token names an unknown key.
    pub(super) wanted: Notify,
}

struct State {
    text: String,
    /// The latest time of the next fetch.
    due: Instant,
    /// The earliest time of the next fetch.
    not_before: Instant,
    is_wanted: bool,
}

impl Remote {
    /// Fetches for the first time. Blocks.
    pub(super) fn fetched(url: JwksUrl) -> Result<Self, String> {
        let (text, now) = (url.fetch()?, Instant::now());
        let state =
            State { text, due: now + REFRESH_INTERVAL, not_before: now + RETRY_INTERVAL, is_wanted: false };
        Ok(Self { url, state: Mutex::new(state), wanted: Notify::new() })
    }

    pub(super) fn text(&self) -> String {
        self.state().text.clone()
    }

    /// A token names an unknown key, which may be new.
    pub(super) fn want(&self) {
        self.want_at(Instant::now());
    }

    fn want_at(&self, now: Instant) {
        let mut state = self.state();
        if now >= state.not_before && !state.is_wanted {
            state.is_wanted = true;
            self.wanted.notify_one();
        }
    }

    /// Fetches the set if that is due or wanted. A set that `check` refuses is not used. Blocks.
    pub(super) fn refresh(&self, check: impl FnOnce(&str) -> Result<(), String>) -> Result<(), String> {
        if !self.begins_at(Instant::now()) {
            return Ok(());
        }
        let text = self.url.fetch()?;
        check(&text).map_err(|problem| format!("{} {problem}", self.url))?;
        let mut state = self.state();
        (state.text, state.due) = (text, Instant::now() + REFRESH_INTERVAL);
        Ok(())
    }

    /// Whether to fetch now. If so, the next fetch is scheduled as after a failure.
    fn begins_at(&self, now: Instant) -> bool {
        let mut state = self.state();
        if now < state.due && !(state.is_wanted && now >= state.not_before) {
            return false;
        }
        (state.due, state.not_before, state.is_wanted) = (now + RETRY_INTERVAL, now + RETRY_INTERVAL, false);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o1_keys_come_encrypted_or_from_this_machine() {
        for good in [
            "https://issuer.example/jwks.json",
            "http://127.0.0.1:1/k",
            "http://localhost/k",
            "http://[::1]:8/k",
        ] {
            assert!(JwksUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://issuer.example/k",
            "http://localhost.example/k",
            "ftp://a/k",
            "https://u:p@a/k",
            "https://",
            "://",
        ] {
            assert!(JwksUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn o1_a_set_is_fetched_when_it_is_old_or_when_a_key_is_missing_and_never_more_often() {
        let began = Instant::now();
        let state = State {
            text: String::new(),
            due: began + REFRESH_INTERVAL,
            not_before: began + RETRY_INTERVAL,
            is_wanted: false,
        };
        let url = JwksUrl::parse("https://issuer.example/jwks.json").expect("an address");
        let remote = Remote { url, state: Mutex::new(state), wanted: Notify::new() };
        let at = |seconds| began + Duration::from_secs(seconds);
        remote.want_at(at(10));
        assert!(!remote.begins_at(at(40)), "what was wanted too soon is forgotten: who wants it asks again");
        remote.want_at(at(41));
        assert!(remote.begins_at(at(41)));
        remote.want_at(at(42));
        assert!(!remote.begins_at(at(42)));
        assert!(remote.begins_at(at(71)), "as if the fetch before had failed");
        remote.state().due = at(71) + REFRESH_INTERVAL; // it succeeded
        assert!(!remote.begins_at(at(370)));
        assert!(remote.begins_at(at(371)));
    }
}
