//! A graph as it is now, and as it was after one commit.

use std::{sync::Arc, time::Duration};

use dao_projections::{Graph, GraphId, Head, Version};

use super::{error::ReadError, version_wait};
use crate::{
    store::StoreError,
    write::{Graphs, View, WriteError, history_reader},
};

/// How long a read of a graph in memory waits to hear whether there are newer commits; then the
/// store counts as unavailable (rule H4).
const HEAD_PATIENCE: Duration = Duration::from_millis(500);

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateSource {
    /// The graph was in memory, and that is its latest version.
    Memory,
    /// It had to be read from the store first.
    Store,
    /// It was in memory, and the store is unavailable: there may be newer commits (rule H4).
    Stale,
}

/// A graph at its latest version.
pub struct CurrentState {
    /// What it is.
    pub view: Arc<View>,
    /// Where that came from.
    pub source: StateSource,
}

impl CurrentState {
    /// Its head.
    pub fn head(&self) -> Head {
        self.view.graph.head()
    }
}

/// The graph as it is now; at `min_version` or later, if that comes to be in time (rule H3).
pub async fn current(
    graphs: &Graphs,
    id: &GraphId,
    min_version: Option<Version>,
) -> Result<CurrentState, ReadError> {
    let first = latest(graphs, id).await?;
    let Some(min) = min_version.filter(|min| first.head().version < *min) else { return Ok(first) };
    version_wait::reach(graphs, id, first.head(), min).await?;
    let reached = latest(graphs, id).await?;
    match reached.head().version >= min {
        true => Ok(reached),
        // A history that was replaced in between.
        false => Err(ReadError::VersionNotReached { current: reached.head().version }),
    }
}

/// The graph as the store has it. Where no other process can write, memory is as the store has it.
async fn latest(graphs: &Graphs, id: &GraphId) -> Result<CurrentState, ReadError> {
    let Some(view) = graphs.view(id) else {
        return Ok(CurrentState { view: graphs.refresh(id).await?, source: StateSource::Store });
    };
    if !graphs.store().is_shared() {
        return Ok(CurrentState { view, source: StateSource::Memory });
    }
    let head = tokio::time::timeout(HEAD_PATIENCE, graphs.store().head(id)).await;
    match head.unwrap_or_else(|late| Err(StoreError::Unavailable(late.to_string()))) {
        Ok(head) if head == view.graph.head() => Ok(CurrentState { view, source: StateSource::Memory }),
        Ok(_moved) => match graphs.refresh(id).await {
            Ok(view) => Ok(CurrentState { view, source: StateSource::Store }),
            Err(WriteError::StoreUnavailable(_)) => Ok(CurrentState { view, source: StateSource::Stale }),
            Err(error) => Err(error.into()),
        },
        Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::NotReplicated(_)) => {
            Ok(CurrentState { view, source: StateSource::Stale })
        }
        Err(error) => Err(error.into()),
    }
}

/// The graph as it was after commit `version` (rule A2).
pub async fn at_version(graphs: &Graphs, id: &GraphId, version: Version) -> Result<CurrentState, ReadError> {
    let current = current(graphs, id, None).await?;
    match version.cmp(&current.head().version) {
        std::cmp::Ordering::Equal => Ok(current),
        std::cmp::Ordering::Greater => Err(ReadError::VersionNotFound { current: current.head().version }),
        std::cmp::Ordering::Less => {
            let graph: Graph =
                history_reader::at_version(&**graphs.store(), graphs.rows().map(|rows| &**rows), id, version)
                    .await?;
            Ok(CurrentState { view: graphs.view_of(graph).await?, source: StateSource::Store })
        }
    }
}
