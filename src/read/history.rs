//! What happened to one node or edge, newest first, from and to (rule A4).
//!
//! A patch says what an entity became, not what it was. So the commits of a page are looked for
//! backwards, and then the entity is followed forwards through them: from nothing, if the page
//! reaches back to its creation, else from the graph as it was before the oldest of them.

use dao_projections::{Change, Commit, GraphId, Subject, Tracked, Version};

use super::{
    error::ReadError,
    history_walk::{CommitWalk, WalkBudget},
    version_wait,
};
use crate::{
    store::{Order, READ_BYTES_MAX},
    write::{Graphs, history_reader},
};

/// One page of an entity's history.
#[derive(Debug)]
pub struct EntityHistory {
    /// The commits that touched it, the latest first; none at all does not mean that there are no
    /// earlier ones.
    pub touches: Vec<EntityChange>,
    /// Where to go on: before this version. `None` at the beginning of the graph's history.
    pub next: Option<Version>,
}

/// A commit, and what it changed on the entity.
#[derive(Debug)]
pub struct EntityChange {
    /// The commit.
    pub commit: Commit,
    /// What it changed; empty where the entity came out as it had been.
    pub changes: Vec<Change>,
}

/// The commits before version `before`, or up to the head, that touched an entity: at most `limit`.
pub async fn history(
    graphs: &Graphs,
    id: &GraphId,
    subject: &Subject,
    before: Option<Version>,
    limit: usize,
    min_version: Option<Version>,
) -> Result<EntityHistory, ReadError> {
    let head = version_wait::head(graphs, id, min_version).await?.version;
    let high = before
        .map_or(head, |before| head.min(Version::new(before.get().saturating_sub(1)).unwrap_or_default()));
    let (touching, next) = touching(graphs, id, subject, high, limit).await?;
    let Some(oldest) = touching.last() else { return Ok(EntityHistory { touches: vec![], next }) };
    let mut tracked = match next {
        Some(_) if !subject.is_born_in(oldest) => {
            let earlier = Version::new(oldest.version.get() - 1).unwrap_or_default();
            let graph = super::at_version(graphs, id, earlier).await?;
            Tracked::in_graph(subject.clone(), &graph.view.graph)
        }
        _ => Tracked::unborn(subject.clone()),
    };
    let follow = |commit: Commit| {
        let changes = tracked.follow(&commit).unwrap_or_default();
        EntityChange { commit, changes }
    };
    let mut touches: Vec<EntityChange> = touching.into_iter().rev().map(follow).collect();
    touches.reverse();
    Ok(EntityHistory { touches, next })
}

/// The commits up to `high` that touch the entity, newest first, and where to look on if the page is
/// full or one request has looked far enough.
async fn touching(
    graphs: &Graphs,
    id: &GraphId,
    subject: &Subject,
    high: Version,
    limit: usize,
) -> Result<(Vec<Commit>, Option<Version>), ReadError> {
    let store = &**graphs.store();
    let mut commits = CommitWalk::new(store, id, Order::NewestFirst, (Version::EMPTY, high));
    let (mut found, mut bytes_kept, mut effort) = (Vec::new(), 0, WalkBudget::default());
    while let Some(stored) = commits.next().await? {
        let (version, bytes) = (stored.version, stored.body.len());
        effort.spend(bytes);
        // MessagePack holds a string's bytes as they are: who does not find them need not decode.
        if contains(&stored.body, subject.as_str().as_bytes()) {
            let commit = history_reader::decode(id, &stored)?;
            if subject.is_touched_by(&commit) {
                bytes_kept += bytes;
                found.push(commit);
            }
        }
        let is_full = found.len() >= limit || bytes_kept >= READ_BYTES_MAX;
        if is_full || effort.is_spent() {
            return Ok((found, Some(version).filter(|version| *version > Version::EMPTY.next())));
        }
    }
    Ok((found, None))
}

fn contains(body: &[u8], id: &[u8]) -> bool {
    body.windows(id.len()).any(|window| window == id)
}
