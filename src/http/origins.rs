//! Origins of pages, as the setting `CORS_ORIGINS` names them.
//!
//! Not here: what follows from them ([`super::cors`], [`super::same_origin`]).

use axum::http::{HeaderValue, uri::Authority};

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
    fn authority(&self) -> &str {
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

    /// Whether the origin of this server, by the name that a proxy has, is listed.
    pub(super) fn names_host(&self, host: &Authority) -> bool {
        match self {
            Self::Own => false,
            Self::Listed(listed) => listed.iter().any(|origin| *host == *origin.authority()),
            Self::Any => true,
        }
    }
}
