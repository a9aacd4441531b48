//! What an error of a call says about where to go with it: [`FailureAdvice`].

use fred::error::{Error, ErrorKind};

use super::super::errors::reply_code;

/// What can be done about a call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FailureAdvice<'a> {
    /// The slot is with this server now, `host:port`.
    Moved(&'a str),
    /// The slot is on its way to this server, and this key is there already.
    Asking(&'a str),
    /// The slot is on its way, or the cluster is choosing a successor: a moment later it may work.
    Later,
    /// The address leads to a replica: another server is the primary now.
    FindPrimary,
    /// The connection broke, or there was none.
    Broken,
    /// Nothing: whoever asked is told.
    GiveUp,
}

impl<'a> FailureAdvice<'a> {
    pub(super) fn after(error: &'a Error) -> Self {
        let details = error.details();
        let target = || details.split_whitespace().nth(2).unwrap_or_default();
        match reply_code(details) {
            "MOVED" => Self::Moved(target()),
            "ASK" => Self::Asking(target()),
            "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "LOADING" => Self::Later,
            "READONLY" => Self::FindPrimary,
            _ => match error.kind() {
                ErrorKind::IO | ErrorKind::Canceled => Self::Broken,
                _ => Self::GiveUp,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h4_errors_say_where_to_go_next() {
        for (kind, details, next) in [
            (ErrorKind::Cluster, "MOVED 3999 127.0.0.1:6381", FailureAdvice::Moved("127.0.0.1:6381")),
            (ErrorKind::Cluster, "ASK 3999 [::1]:6381", FailureAdvice::Asking("[::1]:6381")),
            (
                ErrorKind::Unknown,
                "TRYAGAIN Multiple keys request during rehashing of slot",
                FailureAdvice::Later,
            ),
            (ErrorKind::Cluster, "CLUSTERDOWN Hash slot not served", FailureAdvice::Later),
            (
                ErrorKind::Unknown,
                "READONLY You can't write against a read only replica.",
                FailureAdvice::FindPrimary,
            ),
            (ErrorKind::IO, "Connection reset by peer", FailureAdvice::Broken),
            (ErrorKind::Timeout, "Request timed out.", FailureAdvice::GiveUp),
            (ErrorKind::Unknown, "OOM command not allowed", FailureAdvice::GiveUp),
        ] {
            assert_eq!(FailureAdvice::after(&Error::new(kind, details)), next, "{details}");
        }
    }
}
