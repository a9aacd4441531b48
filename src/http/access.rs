//! What a caller of a route needs.

use crate::auth::Right;

/// What a caller of a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: health and `/`, for those who only ask whether the server lives and what it is.
    Public,
    /// This right on the graph in the path.
    Graph(Right),
    /// This right on all graphs at once.
    AllGraphs(Right),
    /// A token; the handler finds out which graph it is about.
    Token,
    /// The handler checks it: a socket may bring its token later.
    Socket,
    /// What `DOCS` says: nothing, or a token.
    Docs,
    /// Nothing, where there is a console (`CONSOLE`): its files hold no data.
    Console,
    /// A token, on the server of a demo.
    Demo,
}

/// The one route that `METRICS` can turn off.
pub(super) const METRICS: &str = "/metrics";
