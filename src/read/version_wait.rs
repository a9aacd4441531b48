//! Waiting for a version (rule H3): on what this process hears first, and on few looks into a store that others write
//! to, shared by all who wait for one graph.
//!
//! Nothing is loaded and no task is started here: who waits may be waiting for a graph that never comes to be.
//!
//! Not here: what is read then ([`super::state`]), and rows that are behind ([`super::activity`]).

use std::time::Duration;

use dao_projections::{GraphId, Head, Version};
use tokio::time::Instant;

use super::error::ReadError;
use crate::{
    store::StoreError,
    write::{Graphs, WriteError},
};

/// How long a read waits for the version it was asked to see.
pub(super) const WAIT: Duration = Duration::from_secs(2);
/// Before the first look into the store, or at its rows; doubled with each that follows.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest between two looks.
pub(super) const PAUSE_MAX: Duration = Duration::from_millis(400);

/// Waits until the graph, which was at `known`, is at `min` or later: the head then.
pub(super) async fn reach(
    graphs: &Graphs,
    id: &GraphId,
    known: Head,
    min: Version,
) -> Result<Head, ReadError> {
    if known.version >= min {
        return Ok(known);
    }
    let _place = graphs.place_to_wait()?;
    reach_by(graphs, id, known, min, Instant::now() + WAIT).await
}

/// The same until this time, for a read that has a place of those who wait.
pub(super) async fn reach_by(
    graphs: &Graphs,
    id: &GraphId,
    known: Head,
    min: Version,
    deadline: Instant,
) -> Result<Head, ReadError> {
    let is_shared = graphs.store().is_shared();
    let (mut hot, mut head, mut pause) = (graphs.hot(id), known, FIRST_PAUSE);
    loop {
        // What happens after this look wakes the next wait.
        hot.mark_seen();
        let here = hot.head().unwrap_or(head);
        if here.version > head.version {
            head = here;
        }
        if head.version >= min {
            return Ok(head);
        }
        let look = async {
            match is_shared {
                true => graphs.next_head(&hot.clone(), id, pause).await,
                false => std::future::pending().await,
            }
        };
        let mut changes = hot.clone();
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(deadline) => {
                return Err(ReadError::VersionNotReached { current: head.version });
            }
            still_there = changes.changed() => match still_there {
                true => {}
                false => return Err(WriteError::Stopped.into()),
            },
            found = look => {
                head = match found {
                    Ok(found) => found,
                    // It may be back before the time is over.
                    Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::NotReplicated(_)) => head,
                    Err(error) => return Err(error.into()),
                };
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Waits until the graph is at `min_version` or later (rule H3), for a read that takes a turn of others: it must not have one
/// while it waits.
pub async fn await_version(
    graphs: &Graphs,
    id: &GraphId,
    min_version: Option<Version>,
) -> Result<(), ReadError> {
    match min_version {
        None => Ok(()),
        Some(_) => head(graphs, id, min_version).await.map(drop),
    }
}

/// The graph's head, without loading the graph; at `min_version` or later, if that comes to be in
/// time (rule H3).
pub(super) async fn head(
    graphs: &Graphs,
    id: &GraphId,
    min_version: Option<Version>,
) -> Result<Head, ReadError> {
    let head = graphs.store().head(id).await?;
    match min_version {
        None => Ok(head),
        Some(min) => reach(graphs, id, head, min).await,
    }
}
