//! Rule D8: an operation may name the points of the history that its author had in mind. One that is not of
//! today's history says that the author saw another graph, so nothing of the operation is judged.

use dao_projections::{Graph, Hash, Version};

use super::{History, HistoryMissing};
use crate::domain::{
    command::{Claim, Operation},
    refusal::{Reason, Refusal, Resolution},
};

/// The refusal of an operation with a claim that does not hold.
pub(super) fn check(
    graph: &Graph,
    operation: &Operation,
    history: &dyn History,
) -> Result<Option<Refusal>, HistoryMissing> {
    for claim in &operation.claims {
        if !holds(claim, graph, history)? {
            return Ok(Some(refusal(claim, graph)));
        }
    }
    Ok(None)
}

/// Whether the version has this hash today. A version above the head has none.
fn holds(claim: &Claim, graph: &Graph, history: &dyn History) -> Result<bool, HistoryMissing> {
    let (head, version) = (graph.head(), claim.version);
    if version > head.version {
        return Ok(false);
    }
    let hash = match version {
        Version::EMPTY => Hash::EMPTY,
        _ if version == head.version => head.hash,
        _ => history.hash_at(version).ok_or(HistoryMissing::Hash(version))?,
    };
    Ok(claim.hash == Some(hash))
}

fn refusal(claim: &Claim, graph: &Graph) -> Refusal {
    let head = graph.head();
    let message = format!(
        "clientHash is not the hash of version {} in this graph's history: the history was replaced. Fetch the \
         state, move the edit to it, and send it again under the same operationId.",
        claim.version
    );
    let resolution =
        Resolution { current_version: head.version, conflicts: vec![], hash: Some(Box::new(head.hash)) };
    Refusal {
        resolution: Some(resolution),
        index: claim.index,
        ..Refusal::new(Reason::HistoryReplaced, message)
    }
}
