//! What an error of Redis or of the connection means to a caller of the store.
//!
//! Invariant: only what Redis or the client certainly did not execute is `Unavailable` after an
//! append; everything else has an unknown outcome.

use dao_projections::{GraphId, Version};
use fred::error::{Error, ErrorKind};

use crate::store::StoreError;

/// Replies that begin with one of these words say that nothing was written. Of a script that holds
/// too: Redis checks them at the first write at the latest, and the scripts do their own checks,
/// type errors among them, before it.
const REFUSALS: [&str; 18] = [
    "OOM",
    "READONLY",
    "LOADING",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
    "WRONGPASS",
    "NOREPLICAS",
    "BUSY",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "MASTERDOWN",
    "MOVED",
    "ASK",
    "NOSCRIPT",
    "WRONGTYPE",
    "DENIED",
];

/// Of a read: it changed nothing, whatever happened to it.
pub(super) fn of_read(error: &Error) -> StoreError {
    StoreError::Unavailable(error.details().to_owned())
}

/// Of an append to `graph` whose first commit was `first`.
pub(super) fn of_append(error: &Error, graph: &GraphId, first: Version) -> StoreError {
    let details = error.details().to_owned();
    if details.contains("ID specified in XADD is equal or smaller") {
        let problem = "the stream had commits beyond its last entry; they were deleted".to_owned();
        return StoreError::Corrupt { graph: graph.clone(), version: first, problem };
    }
    if REFUSALS.contains(&reply_code(&details)) {
        return StoreError::Unavailable(details);
    }
    match error.kind() {
        ErrorKind::Backpressure
        | ErrorKind::Auth
        | ErrorKind::Config
        | ErrorKind::Routing
        | ErrorKind::InvalidCommand
        | ErrorKind::InvalidArgument => StoreError::Unavailable(details),
        _ => StoreError::OutcomeUnknown(details),
    }
}

/// The word a Redis error begins with.
pub(super) fn reply_code(details: &str) -> &str {
    details.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append_error(kind: ErrorKind, details: &'static str) -> StoreError {
        let graph = GraphId::parse("g").expect("a graph id");
        of_append(&Error::new(kind, details), &graph, Version::EMPTY.next())
    }

    #[test]
    fn h4_a_refusal_is_told_from_an_unknown_outcome() {
        for refused in [
            "OOM command not allowed when used memory > 'maxmemory'. script: 4c, on @user_script:97.",
            "READONLY You can't write against a read only replica.",
            "LOADING Redis is loading the dataset in memory",
        ] {
            let error = append_error(ErrorKind::Unknown, refused);
            assert!(matches!(error, StoreError::Unavailable(_)), "{refused}");
        }
        for (kind, unknown) in [
            (ErrorKind::Timeout, "Request timed out."),
            (ErrorKind::IO, "Connection reset by peer"),
            (ErrorKind::Canceled, "Canceled."),
            (ErrorKind::Unknown, "ERR something new"),
        ] {
            let error = append_error(kind, unknown);
            assert!(matches!(error, StoreError::OutcomeUnknown(_)), "{unknown}");
        }
    }
}
