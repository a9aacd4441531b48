//! Reads of the store for a subscription: its `SYNC`, and commits that are no longer in memory. They run as futures of
//! the connection.

use bytes::Bytes;
use dao_projections::{GraphId, Head, OperationId, Version};

use super::{
    Live,
    read_outcome::{ReadOutcome, ResumeRequest},
    server_frames::{self, FrameEncoding, ServerFrame, SettledOperation, SyncAccess},
};
use crate::{
    domain::{OperationRecord, RecordedOutcome},
    http::{
        format::Format,
        problem::Problem,
        wire::{StateOut, state_json},
    },
    live::{Cursor, FollowedGraph},
    read::{self, ReadError, Resume, ResumeHash},
    websocket::{Deflate, deflate_part, encode_around},
    write::View,
};

/// Chooses how a subscriber catches up, and builds its `SYNC`.
pub(super) async fn sync(
    live: &Live,
    graph: &GraphId,
    request: ResumeRequest,
    access: &'static str,
    encoding: FrameEncoding,
) -> Result<ReadOutcome, Problem> {
    let ResumeRequest { point, pending, reset } = request;
    let resume = resume(live, graph, point).await?;
    let settled = live.graphs.settled(graph, &pending).await.map_err(ReadError::from)?;
    let settled: Vec<_> = pending.iter().zip(settled).map(|(id, record)| settled_out(*id, record)).collect();
    let small = |head: Head, status| {
        let (version, hash, reset, settled) = (head.version, head.hash, false, &settled);
        vec![encoding.encode(&ServerFrame::Sync {
            graph_id: graph,
            version,
            hash,
            status,
            access,
            reset,
            settled,
        })]
    };
    Ok(match resume {
        Resume::InSync(head) => {
            ReadOutcome::Sync { cursor: Cursor::at(head), frame: small(head, "in_sync"), access }
        }
        Resume::Replay { from, head } => {
            ReadOutcome::Sync { cursor: Cursor::at(from), frame: small(head, "replay"), access }
        }
        Resume::Snapshot(view) => {
            let reset = reset || is_reset(live, graph, point, &view).await?;
            let frame = snapshot(live, graph, &view, SyncAccess { access, reset }, &settled, encoding).await;
            ReadOutcome::Sync { cursor: Cursor::at(view.graph.head()), frame, access }
        }
        Resume::StoreAway => return Err(Problem::store_away()),
    })
}

/// Chooses how a follower that is behind the commits in memory catches up: from the log or from a snapshot (rule W6).
pub(super) async fn catch_up(
    live: &Live,
    graph: &GraphId,
    at: Head,
    access: &'static str,
    encoding: FrameEncoding,
) -> Result<ReadOutcome, Problem> {
    let point = Some((at.version, Some(ResumeHash::of(at.hash))));
    match resume(live, graph, point).await? {
        Resume::InSync(head) | Resume::Replay { head, .. } => Ok(ReadOutcome::Replay { to: head.version }),
        Resume::Snapshot(view) => {
            let reset = is_reset(live, graph, point, &view).await?;
            let frame = snapshot(live, graph, &view, SyncAccess { access, reset }, &[], encoding).await;
            Ok(ReadOutcome::Sync { cursor: Cursor::at(view.graph.head()), frame, access })
        }
        Resume::StoreAway => Err(Problem::store_away()),
    }
}

/// Commits of `(after, to]`, up to the limit of one read.
pub(super) async fn from_log(
    followed: &FollowedGraph,
    after: Version,
    to: Version,
) -> Result<ReadOutcome, Problem> {
    Ok(ReadOutcome::Commits(followed.from_log(after, to).await?))
}

/// Loads the graph into memory, which wakes its followers.
pub(super) async fn load(live: &Live, graph: &GraphId) -> Result<ReadOutcome, Problem> {
    live.graphs.refresh(graph).await.map_err(ReadError::from)?;
    Ok(ReadOutcome::Loaded)
}

async fn resume(
    live: &Live,
    graph: &GraphId,
    point: Option<(Version, Option<ResumeHash>)>,
) -> Result<Resume, ReadError> {
    read::resume(&live.graphs, graph, point, View::state_bytes).await
}

/// Whether the resume point belongs to another history. Otherwise the snapshot was only the shorter way.
async fn is_reset(
    live: &Live,
    graph: &GraphId,
    point: Option<(Version, Option<ResumeHash>)>,
    view: &View,
) -> Result<bool, ReadError> {
    let Some((version, hash)) = point else { return Ok(false) };
    Ok(read::continued(&live.graphs, graph, version, hash, view.graph.head()).await?.is_none())
}

async fn snapshot(
    live: &Live,
    graph: &GraphId,
    view: &View,
    access: SyncAccess,
    settled: &[SettledOperation],
    encoding: FrameEncoding,
) -> Vec<Bytes> {
    live.metrics().snapshots.inc();
    let part = &state_part(graph, view, encoding).await;
    let (before, after) =
        server_frames::sync_around_state(graph, view.graph.head(), access, settled, encoding.format);
    encode_around(encoding.kind(), encoding.deflate, &before, part, after).into()
}

/// The state of a graph in the encoding of this connection. It is encoded once for all connections with that encoding.
async fn state_part(graph: &GraphId, view: &View, encoding: FrameEncoding) -> Bytes {
    let FrameEncoding { format, deflate } = encoding;
    let encode = || match format {
        Format::Json => view.state(|state| state_json(graph, state)).clone(),
        Format::MessagePack => format.encode(&StateOut::of(graph, &view.graph)).into(),
    };
    let part = view.part(encoding.slot(), || match deflate {
        Deflate::Off => encode(),
        Deflate::On => deflate_part(&encode()),
    });
    part.await
}

fn settled_out(operation_id: OperationId, record: Option<OperationRecord>) -> SettledOperation {
    let (status, version, code) = match record.map(|record| record.outcome) {
        None => ("unknown", None, None),
        Some(RecordedOutcome::Committed { version }) => ("completed", Some(version), None),
        Some(RecordedOutcome::Unchanged(by)) => ("completed", Some(by.version), None),
        Some(RecordedOutcome::Refused { by, refusal }) => {
            let status = if refusal.is_conflict() { "conflict" } else { "failed" };
            (status, Some(by.version), Some(Problem::code_of(refusal.reason)))
        }
    };
    SettledOperation { operation_id, status, version, code }
}
