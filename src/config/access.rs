//! Authentication settings: keys, and where the server may listen without them (rules O1, O2).

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use super::{Mistakes, Purpose, Settings};
use crate::{
    auth::{Auth, JwksUrl, Keys, KeysConfig},
    http::ConsoleRoute,
};

impl Settings {
    /// The configured authentication; `None` if a key is not usable. Keys of an issuer are fetched only if tokens will
    /// be checked.
    pub(super) fn auth(&self, purpose: Purpose, wrong: &mut Mistakes) -> Option<Auth> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let keys = KeysConfig {
            secret: given(&self.jwt_secret),
            public_key: given(&self.jwt_public_key),
            jwks: given(&self.jwt_jwks).filter(|place| !is_address(place)).map(PathBuf::from),
            jwks_url: self.jwks_url(purpose, wrong),
            audience: given(&self.jwt_audience),
            issuer: given(&self.jwt_issuer),
        };
        if !self.has_keys() {
            if keys.audience.is_some() || keys.issuer.is_some() {
                wrong.0.push(
                    "JWT_AUDIENCE, JWT_ISSUER: no key is set to check tokens with: set JWT_SECRET, \
                     JWT_PUBLIC_KEY or JWT_JWKS"
                        .to_owned(),
                );
            }
            return Some(Auth::Off);
        }
        match Keys::load(keys) {
            Ok(keys) => Some(Auth::Keys(Arc::new(keys))),
            Err(problems) => {
                wrong.0.extend(problems.into_iter().map(|(name, problem)| format!("{name}: {problem}")));
                None
            }
        }
    }

    fn jwks_url(&self, purpose: Purpose, wrong: &mut Mistakes) -> Option<JwksUrl> {
        let place = self.jwt_jwks.as_deref().filter(|place| is_address(place))?;
        let url = wrong.note("JWT_JWKS", JwksUrl::parse(place));
        url.filter(|_| purpose == Purpose::Serving)
    }

    fn has_keys(&self) -> bool {
        [&self.jwt_secret, &self.jwt_public_key, &self.jwt_jwks]
            .iter()
            .any(|given| given.as_deref().is_some_and(|text| !text.is_empty()))
    }

    /// Refuses an address beyond loopback without keys; `host` is `None` if nothing will be served.
    pub(super) fn refuse_unprotected(&self, host: Option<IpAddr>, wrong: &mut Mistakes) {
        if host.is_some_and(|host| !host.is_loopback()) && !self.has_keys() && !self.insecure_no_auth {
            wrong.0.push(format!(
                "HOST: {} is not loopback and no keys are configured, so any caller could impersonate any user: \
                 set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS, use 127.0.0.1, or accept it with --insecure-no-auth",
                self.host
            ));
        }
    }

    /// The address that a worker listens on; `None` if it does not listen.
    pub(super) fn worker_listen(&self, wrong: &mut Mistakes) -> Option<SocketAddr> {
        let could = "anyone could read its metrics";
        self.listen("WORKER_LISTEN", self.worker_listen.as_deref(), could, wrong)
    }

    /// The address of the console, where it is apart from the other routes.
    pub(super) fn console_listen(&self, console: ConsoleRoute, wrong: &mut Mistakes) -> Option<SocketAddr> {
        let could = "any caller could impersonate any user";
        let address = self.listen("CONSOLE_LISTEN", self.console_listen.as_deref(), could, wrong)?;
        if console == ConsoleRoute::Off {
            wrong
                .0
                .push("CONSOLE_LISTEN: there is no console with CONSOLE=off: remove one of them".to_owned());
        }
        Some(address)
    }

    /// An address beside that of the server; `None` if it is not set. Without keys it is loopback, or else anyone `could`
    /// do what is said.
    fn listen(
        &self,
        name: &str,
        text: Option<&str>,
        could: &str,
        wrong: &mut Mistakes,
    ) -> Option<SocketAddr> {
        let text = text.filter(|text| !text.is_empty())?;
        let parsed =
            text.parse().map_err(|_| format!("{text:?} is not an address with a port, like 127.0.0.1:9100"));
        let address: SocketAddr = wrong.note(name, parsed)?;
        if !address.ip().is_loopback() && !self.has_keys() && !self.insecure_no_auth {
            wrong.0.push(format!(
                "{name}: {text} is not loopback and no keys are configured, so {could}: \
                 set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS, use 127.0.0.1, or accept it with --insecure-no-auth"
            ));
        }
        Some(address)
    }
}

fn is_address(place: &str) -> bool {
    place.contains("://")
}
