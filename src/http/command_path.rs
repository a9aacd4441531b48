//! Which way commands take: past the router, or through it.

use dao_projections::GraphId;

/// Which way requests for the two routes take. The router's is for tests that compare the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommandPath {
    /// Past the router.
    #[default]
    Fast,
    /// As all other requests.
    Routed,
}

/// The graph in the path of a request that no router has matched, in its extensions.
#[derive(Clone)]
pub(super) struct GraphInPath(pub(super) GraphId);
