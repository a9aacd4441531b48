//! What the saver of a document started from (rules DS3, DS7, DS8).

use dao_projections::{Graph, Version};

use super::{History, HistoryMissing, wording::with_resolution};
use crate::domain::{
    command::{Member, Operation},
    document::{Base, Save, Saver, WithoutBase, effective_base},
    refusal::{Reason, Refusal},
};

/// Commits between a base and the head: beyond, the document has to be read again (rule DS8).
pub(super) const COMMITS_MAX: u64 = 20_000;
/// Own commits that a base names (rule DS10).
const OWN_VERSIONS_MAX: usize = 100;

/// What a saver started from.
pub(super) struct Started {
    pub(super) graph: Graph,
    /// Own commits since.
    pub(super) own: Vec<Version>,
    /// Whether others made commits since.
    pub(super) has_others: bool,
}

/// The graph that the document is compared with, or why it can't be.
pub(super) fn start(
    graph: &Graph,
    operation: &Operation,
    (save, member): (&Save, &Member),
    history: &dyn History,
) -> Result<Result<Started, Refusal>, HistoryMissing> {
    let head = graph.head().version;
    if save.expects_another(graph.head()) {
        let message =
            format!("the graph is at version {head}, not as If-Match or If-None-Match of the save says");
        return Ok(Err(Refusal::new(Reason::VersionChanged, message)));
    }
    let as_it_stands = |graph: &Graph| Started { graph: graph.clone(), own: vec![], has_others: false };
    let named = match &save.base {
        Base::Unknown(WithoutBase::Create) if head > Version::EMPTY => return Ok(Err(base_required(graph))),
        Base::Unknown(_) => return Ok(Ok(as_it_stands(graph))),
        Base::Known { own } => own,
    };
    let base = member.client_version.unwrap_or(head);
    if base > head {
        let message = format!("the base is above version {head}, the latest of this graph");
        return Ok(Err(with_resolution(graph, Refusal::new(Reason::VersionAhead, message), vec![])));
    }
    if base == head {
        return Ok(Ok(as_it_stands(graph)));
    }
    if head.since(base) > COMMITS_MAX || named.len() > OWN_VERSIONS_MAX {
        let message = format!(
            "version {base} is too far back to save on: more than {COMMITS_MAX} commits, or {OWN_VERSIONS_MAX} of the saver's \
             own, came after it"
        );
        return Ok(Err(with_resolution(graph, Refusal::new(Reason::BaseTooOld, message), vec![])));
    }
    let client = operation.is_client_named.then_some(&operation.client);
    let saver = Saver { user: &operation.user, client, versions: named };
    let own = match saver.client.is_some() || !named.is_empty() {
        true => history.owned_since(base, &saver).ok_or(HistoryMissing::Owned(base))?,
        false => vec![],
    };
    let before = match base {
        Version::EMPTY => Graph::empty(),
        _ => history.graph_at(base).ok_or(HistoryMissing::Graph(base))?,
    };
    let versions: Vec<Version> = own.iter().map(|commit| commit.version).collect();
    let has_others = head.since(base) > own.len() as u64;
    Ok(Ok(Started { graph: effective_base(before, own), own: versions, has_others }))
}

fn base_required(graph: &Graph) -> Refusal {
    let message = format!(
        "the graph has {} commits, and the save does not name the version that it started from",
        graph.head().version
    );
    Refusal::new(Reason::BaseRequired, message)
}
