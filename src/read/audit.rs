//! Who did what: all operations of a graph, accepted and refused, by filter and page (rule A1).
//!
//! Invariants:
//! - A page costs a bounded number of operations looked at, also where none of them matches: then it
//!   is short, or empty, and says where to go on.
//! - Going on from a place never repeats and never skips what was there when the walk began.
//!
//! What is not remembered is not here either: what changed nothing (rule C1) has made no commit, and
//! a malformed, too large or re-used operation never ended (rule C3).

use std::collections::HashMap;

use dao_projections::{CommandType, Commit, Entity, Event, GraphId, OperationId, Timestamp, UserId, Version};

use super::{
    error::ReadError,
    history_walk::{HistoryItem, HistoryWalk, RecordKinds, WalkBudget},
    undone::{self, UnseenBudget},
    version_wait,
};
use crate::{
    domain::{Circumstances, OperationRecord, Reason, RecordedOutcome, Refusal},
    store::{EventStore, Order, READ_BYTES_MAX, RefusalPlace, StoreError, StoredRefusal},
    write::{
        Graphs, history_reader,
        version_at_time::{first_since, last_until},
    },
};

/// How an operation ended, in the words of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// It is a commit.
    Completed,
    /// It was refused because of what others did.
    Conflict,
    /// It was refused for another reason.
    Failed,
}

impl OperationStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Completed, Self::Conflict, Self::Failed];

    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }

    fn of(refusal: &Refusal) -> Self {
        if refusal.is_conflict() { Self::Conflict } else { Self::Failed }
    }
}

/// What somebody wants to see; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// By this user.
    pub user: Option<UserId>,
    /// Of this type.
    pub command: Option<CommandType>,
    /// With an event about the entity of this id; `viewport` is the viewport's too.
    pub entity: Option<String>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// At this time or earlier.
    pub to: Option<Timestamp>,
    /// That ended so.
    pub status: Option<OperationStatus>,
    /// Refused for one of these reasons.
    pub reasons: Option<Vec<Reason>>,
}

/// One page of the operations of a graph.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// Which operations.
    pub filter: AuditFilter,
    /// From which end.
    pub order: Order,
    /// How many at most.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<RefusalPlace>,
    /// The version to wait for (rule H3).
    pub min_version: Option<Version>,
}

/// One operation.
#[derive(Clone, Debug)]
pub enum ListedOperation {
    /// It was accepted.
    Accepted(Commit),
    /// It was refused.
    Refused {
        /// Which.
        operation: OperationId,
        /// Who, what, when, and on which head it was judged.
        by: Circumstances,
        /// Why.
        refusal: Box<Refusal>,
    },
}

impl ListedOperation {
    /// Its commit, if it was accepted.
    pub fn accepted(&self) -> Option<&Commit> {
        match self {
            Self::Accepted(commit) => Some(commit),
            Self::Refused { .. } => None,
        }
    }

    /// How it ended.
    pub fn status(&self) -> OperationStatus {
        match self {
            Self::Accepted(_) => OperationStatus::Completed,
            Self::Refused { refusal, .. } => OperationStatus::of(refusal),
        }
    }
}

/// The answer to a [`AuditQuery`].
#[derive(Clone, Debug, Default)]
pub struct OperationPage {
    /// Those that match, in the order asked; none at all does not mean that there are no more.
    pub operations: Vec<ListedOperation>,
    /// Where to go on; `None` at the end.
    pub next: Option<RefusalPlace>,
    /// Those of the operations that were undone since, each with the operation that did so last (rule U12).
    pub undone_by: HashMap<OperationId, OperationId>,
}

/// The operations of a graph that match.
pub async fn operations(
    graphs: &Graphs,
    id: &GraphId,
    question: &AuditQuery,
) -> Result<OperationPage, ReadError> {
    let head = version_wait::head(graphs, id, question.min_version).await?;
    let mut listing = listing(&**graphs.store(), id, head.version, question).await?;
    let accepted = listing.operations.iter().filter_map(ListedOperation::accepted);
    let accepted: Vec<OperationId> = accepted.map(|commit| commit.body.operation_id).collect();
    listing.undone_by =
        undone::undone_by(graphs, id, head.version, &accepted, &mut UnseenBudget::default()).await?;
    Ok(listing)
}

async fn listing(
    store: &dyn EventStore,
    id: &GraphId,
    head: Version,
    question: &AuditQuery,
) -> Result<OperationPage, ReadError> {
    let mut listing = OperationPage::default();
    let Some(between) = places(store, id, head, question).await? else { return Ok(listing) };
    let mut walk = HistoryWalk::new(store, id, question.order, between, question.filter.records());
    let (mut effort, mut bytes_kept) = (WalkBudget::default(), 0);
    while let Some(happened) = walk.next().await? {
        let (place, bytes) = (happened.place(), happened.bytes());
        effort.spend(bytes);
        if let Some(listed) = question.filter.look_at(id, happened)? {
            bytes_kept += bytes;
            listing.operations.push(listed);
        }
        let is_full = listing.operations.len() >= question.limit || bytes_kept >= READ_BYTES_MAX;
        if is_full || effort.is_spent() {
            listing.next = walk.has_more().await?.then_some(place);
            return Ok(listing);
        }
    }
    Ok(listing)
}

/// Between which places the answer lies: by the times that are asked for, and by where the page
/// before ended. `None` if there is nothing between them.
async fn places(
    store: &dyn EventStore,
    id: &GraphId,
    head: Version,
    question: &AuditQuery,
) -> Result<Option<(RefusalPlace, RefusalPlace)>, StoreError> {
    // What was refused at or after `from` may have been judged on the commit before.
    let mut low = RefusalPlace::before(Version::EMPTY);
    if let Some(from) = question.filter.from {
        let first = first_since(store, id, head, from).await?;
        low.version = Version::new(first.get() - 1).unwrap_or_default();
    }
    let mut high = RefusalPlace::after(head);
    if let Some(to) = question.filter.to {
        high.version = last_until(store, id, head, to).await?;
    }
    match (question.after, question.order) {
        (None, _) => {}
        (Some(place), Order::OldestFirst) => low = low.max(place),
        (Some(place), Order::NewestFirst) => high = high.min(place),
    }
    Ok((low < high).then_some((low, high)))
}

impl AuditFilter {
    fn records(&self) -> RecordKinds {
        match self.status {
            _ if self.reasons.is_some() => RecordKinds::RefusalsOnly,
            // No event of a refused operation names an entity: it has none.
            Some(OperationStatus::Completed) => RecordKinds::CommitsOnly,
            None if self.entity.is_some() => RecordKinds::CommitsOnly,
            None => RecordKinds::Both,
            Some(OperationStatus::Conflict | OperationStatus::Failed) => RecordKinds::RefusalsOnly,
        }
    }

    pub(super) fn look_at(
        &self,
        id: &GraphId,
        happened: HistoryItem,
    ) -> Result<Option<ListedOperation>, StoreError> {
        match happened {
            HistoryItem::Commit(stored) => {
                let commit = history_reader::decode(id, &stored)?;
                Ok(self.wants_commit(&commit).then_some(ListedOperation::Accepted(commit)))
            }
            HistoryItem::Refusal(stored) => {
                let (by, refusal) = decode(id, &stored)?;
                let operation = stored.operation;
                let is_wanted = self.wants_refusal(&by, &refusal);
                Ok(is_wanted.then_some(ListedOperation::Refused { operation, by, refusal }))
            }
        }
    }

    fn wants_commit(&self, commit: &Commit) -> bool {
        let body = &commit.body;
        self.reasons.is_none()
            && self.status.is_none_or(|wanted| wanted == OperationStatus::Completed)
            && self.wants(&body.user_id, body.command_type, body.timestamp)
            && self.entity.as_ref().is_none_or(|id| body.events.iter().any(|event| names(event, id)))
    }

    fn wants_refusal(&self, by: &Circumstances, refusal: &Refusal) -> bool {
        self.wants(&by.user, by.command, by.at)
            && self.entity.is_none()
            && self.status.is_none_or(|wanted| wanted == OperationStatus::of(refusal))
            && self.reasons.as_ref().is_none_or(|wanted| wanted.contains(&refusal.reason))
    }

    fn wants(&self, user: &UserId, command: CommandType, at: Timestamp) -> bool {
        self.user.as_ref().is_none_or(|wanted| wanted == user)
            && self.command.is_none_or(|wanted| wanted == command)
            && self.from.is_none_or(|from| from <= at)
            && self.to.is_none_or(|to| at <= to)
    }
}

fn names(event: &Event, id: &str) -> bool {
    match event.entity() {
        Entity::Node(named) => named.as_str() == id,
        Entity::Edge(named) => named.as_str() == id,
        Entity::Viewport => id == "viewport",
        Entity::Graph => id == "graph",
    }
}

fn decode(id: &GraphId, stored: &StoredRefusal) -> Result<(Circumstances, Box<Refusal>), StoreError> {
    match OperationRecord::decode(&stored.record).map(|record| record.outcome) {
        Some(RecordedOutcome::Refused { by, refusal }) => Ok((by, refusal)),
        Some(RecordedOutcome::Committed { .. } | RecordedOutcome::Unchanged(_)) | None => {
            let problem = format!("the record of refused operation {} can't be read", stored.operation);
            Err(StoreError::Corrupt { graph: id.clone(), version: stored.place.version, problem })
        }
    }
}
