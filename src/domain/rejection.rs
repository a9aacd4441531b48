//! Why a command that conflicts with nothing changes nothing: it breaks a rule of the graph.

use dao_projections::{EdgeId, NodeId};

/// Why the current graph does not allow a command.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rejection {
    NodeNotFound(NodeId),
    EdgeNotFound(EdgeId),
    NodeIdTaken(NodeId),
    EdgeIdTaken(EdgeId),
    DanglingEdge { edge: EdgeId, end: &'static str, node: NodeId },
    ParentNotFound { node: NodeId, field: &'static str, parent: NodeId },
    ParentCycle(NodeId),
    TooManyNodes,
    TooManyEdges,
    NodeTooLarge(NodeId),
    EdgeTooLarge(EdgeId),
    GraphExists,
    AttributesTooLarge,
}
