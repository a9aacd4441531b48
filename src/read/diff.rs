//! What differs between two versions of a graph (rule A3).

use dao_projections::{Graph, GraphDiff, GraphId, Version};

use super::{CurrentState, error::ReadError, version_named::version_named};
use crate::{
    domain::VersionRef,
    store::StoreError,
    write::{
        Graphs,
        history_reader::{self, CatchUp},
        run_blocking,
    },
};

/// The difference of two versions.
#[derive(Debug)]
pub struct Difference {
    /// The version that it starts from.
    pub from: Version,
    /// The version that it leads to; it may be the earlier of the two.
    pub to: Version,
    /// What has to happen to the one to make the other of it.
    pub diff: GraphDiff,
}

/// The difference from one version to another.
pub async fn diff(
    graphs: &Graphs,
    id: &GraphId,
    (from, to): (&VersionRef, &VersionRef),
    min_version: Option<Version>,
) -> Result<Difference, ReadError> {
    let current = super::current(graphs, id, min_version).await?;
    let from = version_named(graphs, id, &current.view.graph, from).await?.version;
    let to = version_named(graphs, id, &current.view.graph, to).await?.version;
    let earlier = super::at_version(graphs, id, from.min(to)).await?;
    let later = later(graphs, id, &earlier, &current, from.max(to)).await?;
    let (before, after) = match from <= to {
        true => (&earlier.view.graph, &later),
        false => (&later, &earlier.view.graph),
    };
    Ok(Difference { from, to, diff: run_blocking(|| GraphDiff::between(before, after)) })
}

/// The graph at `version`: the current one, or the earlier one folded on.
async fn later(
    graphs: &Graphs,
    id: &GraphId,
    earlier: &CurrentState,
    current: &CurrentState,
    version: Version,
) -> Result<Graph, ReadError> {
    if version == current.head().version {
        return Ok(current.view.graph.clone());
    }
    let mut graph = earlier.view.graph.clone();
    match history_reader::follow(&**graphs.store(), id, &mut graph, None, version).await? {
        CatchUp::Complete => Ok(graph),
        CatchUp::OtherHistory | CatchUp::NoRoom => {
            let version = graph.head().version.next();
            let problem = "it does not follow on what was read before it".to_owned();
            Err(StoreError::Corrupt { graph: id.clone(), version, problem }.into())
        }
    }
}
