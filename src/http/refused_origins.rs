//! Tells operators which pages were refused because of their `Origin` or `Host`. A browser hides the answer from the page,
//! and so from the person who wrote it.
//!
//! Invariant: one warning for each origin, and a bounded number of warnings, whatever callers send.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use super::request_span::in_request;

/// Origins that get a warning of their own. The next one gets a last warning for all others.
const ORIGINS_MAX: usize = 100;
/// Bytes of an origin that are logged.
const SHOWN_BYTES_MAX: usize = 200;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RefusedHeader {
    /// `Origin`: the page.
    Origin,
    /// `Host`: the name that a page used for this server.
    Host,
}

/// The origins that were refused and logged. Locked only to look up and to insert.
#[derive(Debug, Default)]
pub(super) struct RefusedOrigins(Mutex<BTreeSet<(RefusedHeader, String)>>);

/// Whether a refusal was logged before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    First,
    /// The limit is reached with this one.
    Full,
    Known,
}

impl RefusedOrigins {
    /// Logs this refusal, unless it was logged before.
    pub(super) fn note(&self, by: RefusedHeader, value: &str) {
        let shown: String = value.chars().take(SHOWN_BYTES_MAX).collect();
        let novelty = self.add(by, &shown);
        in_request(|| match (novelty, by) {
            (Novelty::First, RefusedHeader::Origin) => tracing::warn!(
                origin = shown,
                "refused a page of this origin: list the origin in CORS_ORIGINS if its pages may call"
            ),
            (Novelty::First, RefusedHeader::Host) => tracing::warn!(
                host = shown,
                "refused a browser that calls this server by this name: use localhost, or list the origin of the \
                 proxy in front in CORS_ORIGINS"
            ),
            (Novelty::Full, _) => {
                tracing::warn!("refused pages of {ORIGINS_MAX} origins: further ones are not logged")
            }
            (Novelty::Known, _) => {}
        });
    }

    fn add(&self, by: RefusedHeader, shown: &str) -> Novelty {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = (by, shown.to_owned());
        if known.len() > ORIGINS_MAX || known.contains(&entry) {
            return Novelty::Known;
        }
        known.insert(entry);
        if known.len() > ORIGINS_MAX { Novelty::Full } else { Novelty::First }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o2_each_refused_origin_is_news_once_and_not_for_ever() {
        let refused = RefusedOrigins::default();
        assert_eq!(refused.add(RefusedHeader::Origin, "https://a.example"), Novelty::First);
        assert_eq!(refused.add(RefusedHeader::Origin, "https://a.example"), Novelty::Known);
        assert_eq!(refused.add(RefusedHeader::Host, "https://a.example"), Novelty::First);
        let news: Vec<Novelty> =
            (0..1_000).map(|n| refused.add(RefusedHeader::Origin, &format!("https://{n}.example"))).collect();
        assert_eq!(news.iter().filter(|news| **news == Novelty::First).count(), ORIGINS_MAX - 2);
        assert_eq!(news.iter().filter(|news| **news == Novelty::Full).count(), 1);
        assert_eq!(refused.0.lock().expect("no panic").len(), ORIGINS_MAX + 1, "and no more is kept");
    }
}
