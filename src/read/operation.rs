//! The outcome of one operation.
//!
//! Invariants: ids are unique within a graph only, so what others did under the same id in graphs of theirs is
//! neither shown to who may not read those nor in the way of what they may read. That an operation is unknown and
//! that it is somebody else's takes the same look-ups.

use std::sync::Arc;

use dao_projections::{CommandType, GraphId, OperationId, Timestamp, UserId, Version};
use futures::{StreamExt, stream};

use super::error::ReadError;
use crate::{
    domain::{OperationRecord, RecordedOutcome, Refusal},
    store::{GraphFilter, OperationPlaces, StoreError},
    write::{Effect, Graphs, history_reader},
};

/// Graphs that may be read and used the id, of which the oldest use is looked for. Beyond that it is found by graph.
const PLACES_MAX: usize = 256;
/// Records read at the same time.
const READS_AT_ONCE: usize = 16;

/// The outcome of an operation.
pub struct OperationFound {
    /// In which graph.
    pub graph: GraphId,
    /// Who sent it.
    pub user: UserId,
    /// What it was.
    pub command: CommandType,
    /// When it was answered.
    pub at: Timestamp,
    /// The graph's version with it, or when it was refused.
    pub version: Version,
    /// How it ended.
    pub ending: OperationEnding,
}

/// How an operation ended.
pub enum OperationEnding {
    /// It was accepted.
    Completed(Effect),
    /// It was refused.
    Refused(Arc<Refusal>),
}

/// The outcome of the operation with this id: in the graph that is named, else in that which used it first of those
/// that may be read.
pub async fn operation(
    graphs: &Graphs,
    id: OperationId,
    graph: Option<&GraphId>,
    may_read: GraphFilter,
) -> Result<Option<OperationFound>, ReadError> {
    if let Some(graph) = graph {
        return if may_read(graph) { Ok(in_graph(graphs, graph, id).await?) } else { Ok(None) };
    }
    let OperationPlaces { graphs: places, is_in_order } =
        graphs.store().find_operation(id, may_read, PLACES_MAX).await?;
    let reads: Vec<_> = places.iter().map(|graph| in_graph(graphs, graph, id)).collect();
    let at_once = if is_in_order { 1 } else { READS_AT_ONCE };
    let mut reads = stream::iter(reads).buffered(at_once);
    let (mut oldest, mut problem): (Option<OperationFound>, _) = (None, None);
    while let Some(read) = reads.next().await {
        match read {
            Ok(Some(found)) if is_in_order => return Ok(Some(found)),
            Ok(Some(found)) => {
                let is_older = oldest.as_ref().is_none_or(|oldest| found.at < oldest.at);
                oldest = if is_older { Some(found) } else { oldest };
            }
            Ok(None) => {}
            // One history that can't be read hides nothing of the others.
            Err(error) => problem = Some(error),
        }
    }
    match (oldest, problem) {
        (None, Some(error)) => Err(error.into()),
        (oldest, _) => Ok(oldest),
    }
}

/// Its outcome in this graph.
async fn in_graph(
    graphs: &Graphs,
    graph: &GraphId,
    id: OperationId,
) -> Result<Option<OperationFound>, StoreError> {
    let record = graphs.store().operations(graph, &[id]).await?.pop().flatten();
    let Some(record) = record.and_then(|record| OperationRecord::decode(&record)) else { return Ok(None) };
    let graph = graph.clone();
    let (by, ending) = match record.outcome {
        RecordedOutcome::Committed { version } => {
            let store = &**graphs.store();
            let Some(recorded) = history_reader::one(store, &graph, version).await? else {
                return Err(history_reader::recorded_missing(store, &graph, id, version).await);
            };
            let body = &recorded.commit.body;
            return Ok(Some(OperationFound {
                graph,
                user: body.user_id.clone(),
                command: body.command_type,
                at: body.timestamp,
                version,
                ending: OperationEnding::Completed(Effect::Committed(body.outcome)),
            }));
        }
        RecordedOutcome::Unchanged(by) => (by, OperationEnding::Completed(Effect::Unchanged)),
        RecordedOutcome::Refused { by, refusal } => (by, OperationEnding::Refused(Arc::new(*refusal))),
    };
    let (user, command, at, version) = (by.user, by.command, by.at, by.version);
    Ok(Some(OperationFound { graph, user, command, at, version, ending }))
}
