//! Which pages of other origins may call this server from a browser (`CORS_ORIGINS`).
//!
//! Nothing here keeps anybody out: a browser keeps pages from reading answers, rights are [`super::auth`]'s,
//! and without keys [`super::same_origin`] keeps other pages out. Cookies are never allowed: users prove themselves by tokens, which no page can send for
//! another.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::answers::REQUEST_ID;

/// How long a browser may remember what it may do.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// The origins whose pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// None but the server's own.
    #[default]
    Own,
    /// These.
    Listed(Vec<Origin>),
    /// All.
    Any,
}

/// One origin: `https://editor.example`, with its port if that is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl Origin {
    /// As a browser writes it (RFC 6454, 6.1): lower case, no path, no usual port; else it would match nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, usual_port) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, ":80"),
            (_, Some(rest)) => (rest, ":443"),
            (None, None) => return None,
        };
        let is_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
        let is_fine = !rest.is_empty() && rest.bytes().all(is_host) && !rest.ends_with(usual_port);
        HeaderValue::from_str(text).ok().filter(|_| is_fine).map(Self)
    }

    /// The same without its scheme.
    pub(super) fn authority(&self) -> &str {
        let text = self.0.to_str().unwrap_or_default();
        text.split_once("://").map_or(text, |(_, authority)| authority)
    }
}

impl Origins {
    /// Whether pages of this origin may call.
    pub(super) fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Own => false,
            Self::Listed(listed) => listed.iter().any(|listed| listed.0 == *origin),
            Self::Any => true,
        }
    }
}

/// What answers preflights, and marks answers for browsers; `None` if no other origin may call.
pub(super) fn layer(origins: &Origins) -> Option<CorsLayer> {
    let allowed = match origins {
        Origins::Own => return None,
        Origins::Any => AllowOrigin::any(),
        Origins::Listed(listed) => AllowOrigin::list(listed.iter().map(|origin| origin.0.clone())),
    };
    let asked = [
        header::ACCEPT,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_NONE_MATCH,
        HeaderName::from_static("last-event-id"),
        REQUEST_ID,
        HeaderName::from_static("x-user-id"),
    ];
    let shown = [
        header::ETAG,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        REQUEST_ID,
        HeaderName::from_static("ratelimit"),
        HeaderName::from_static("ratelimit-policy"),
        HeaderName::from_static("x-cache"),
        HeaderName::from_static("x-stale"),
    ];
    let layer = CorsLayer::new().allow_origin(allowed).allow_methods([
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
    ]);
    Some(layer.allow_headers(asked).expose_headers(shown).max_age(MAX_AGE))
}
