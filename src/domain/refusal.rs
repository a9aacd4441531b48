//! Refusals: why a well-formed command can't be applied, and what the client is told about it.

use dao_projections::{EntityKind, Hash, OperationId, Pointer, Trashed, UserId, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{memory::value_memory, size::json_bytes};

/// Why a command was refused; on the wire it is the problem's `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Others wrote the same field since the client's version (rule D3), or anything at all (D5).
    Conflict,
    /// The target was deleted since the client's version (rule D4).
    TargetDeleted,
    /// The node does not exist.
    NodeNotFound,
    /// The edge does not exist.
    EdgeNotFound,
    /// The id to create is already in use.
    IdTaken,
    /// The source or target of an edge does not exist.
    DanglingEdge,
    /// The parent of a node does not exist.
    ParentNotFound,
    /// A node would be inside itself.
    ParentCycle,
    /// The client's version is above the graph's (rule D6).
    VersionAhead,
    /// The client's version has a different hash in the current history (rule D8).
    HistoryReplaced,
    /// The operation id belongs to another command, or to another user (rule C3).
    OperationIdReused,
    /// The graph would exceed its limit of nodes or edges (rule O3).
    TooManyEntities,
    /// The entity would exceed its size limit (rules H1, O3).
    EntityTooLarge,
    /// A document save is for another version than the latest.
    VersionChanged,
    /// A document save does not say which version it started from (rule DS7).
    BaseRequired,
    /// The base of a document save is not of today's history (rule DS8).
    BaseUnknown,
    /// Too much has happened since the base of a document save (rule DS8).
    BaseTooOld,
    /// A document save would delete most of the graph and does not say so (rule DS11).
    DeletesMuch,
    /// The answer to the request would exceed its size limit (rule O3).
    AnswerTooLarge,
    /// An operation that is to be undone is not the commit of the version that was named (rule U2).
    OperationNotFound,
    /// Nothing can be undone without overwriting others' work, or not all of it (rule U5).
    UndoConflict,
    /// The operation that this one builds on has not ended (rule W5).
    DependencyPending,
    /// The operation that this one builds on was refused (rule W5).
    DependencyRefused,
    /// The graph to create has a history already (rule L4).
    GraphExists,
    /// Nobody has created the graph (rules L4, L8).
    GraphNotFound,
    /// The graph is in the trash (rule L8).
    GraphTrashed,
    /// The graph's settings allow no changes of its contents (rule L14).
    GraphReadOnly,
    /// There is no such version (rules L11, L12).
    VersionNotFound,
    /// The graph has no such label (rule L11).
    LabelNotFound,
    /// The label names another version than expected (rule L12).
    LabelMoved,
    /// The graph would have too many labels, or too long notes on them (rule L12).
    TooManyLabels,
    /// The attributes of the graph would exceed their size limit (rule L1).
    AttributesTooLarge,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 32] = [
        Self::Conflict,
        Self::TargetDeleted,
        Self::NodeNotFound,
        Self::EdgeNotFound,
        Self::IdTaken,
        Self::DanglingEdge,
        Self::ParentNotFound,
        Self::ParentCycle,
        Self::VersionAhead,
        Self::HistoryReplaced,
        Self::OperationIdReused,
        Self::TooManyEntities,
        Self::EntityTooLarge,
        Self::VersionChanged,
        Self::BaseRequired,
        Self::BaseUnknown,
        Self::BaseTooOld,
        Self::DeletesMuch,
        Self::AnswerTooLarge,
        Self::OperationNotFound,
        Self::UndoConflict,
        Self::DependencyPending,
        Self::DependencyRefused,
        Self::GraphExists,
        Self::GraphNotFound,
        Self::GraphTrashed,
        Self::GraphReadOnly,
        Self::VersionNotFound,
        Self::LabelNotFound,
        Self::LabelMoved,
        Self::TooManyLabels,
        Self::AttributesTooLarge,
    ];

    /// Whether the refusal is the operation's final outcome (rule C3). Other refusals are not recorded, and the same
    /// operation id may be tried again.
    pub fn is_final(self) -> bool {
        !self.depends_on_state()
            && !matches!(
                self,
                Self::EntityTooLarge | Self::AnswerTooLarge | Self::OperationIdReused | Self::BaseTooOld
            )
    }

    /// Whether the same operation may be accepted once the graph is in another state. Such a refusal is not recorded,
    /// so before it is given the store is asked whether the graph still is in this one.
    pub fn depends_on_state(self) -> bool {
        matches!(
            self,
            Self::HistoryReplaced
                | Self::GraphNotFound
                | Self::GraphTrashed
                | Self::GraphReadOnly
                | Self::BaseRequired
                | Self::BaseUnknown
                | Self::VersionChanged
                | Self::DeletesMuch
                | Self::DependencyPending
        )
    }
}

/// Replaces a value in a resolution that is too large to send or keep.
pub(crate) const TOO_LARGE_TO_SHOW: &str = "(too large to keep: read the graph)";
/// Conflicts kept in the record of a refused operation, at most.
const RECORD_CONFLICTS_MAX: usize = 16;
/// Bytes that their paths, ids and values may take in all.
const RECORD_BYTES_MAX: usize = 16 << 10;
/// Bytes of one value that is kept with them, at most.
const RECORD_VALUE_BYTES_MAX: usize = 4 << 10;

/// The refusal of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, as a code.
    pub reason: Reason,
    /// One sentence for a person, without its full stop. It names the entity.
    pub message: Box<str>,
    /// The conflicting changes; present if and only if this is a conflict with others (rule D7).
    pub resolution: Option<Resolution>,
    /// The index of the refused member in an atomic batch.
    pub index: Option<usize>,
    /// More about it, of refusals that are not recorded.
    #[serde(skip)]
    pub details: Option<Box<Details>>,
}

/// What is told of a refusal beside its message.
#[derive(Clone, Debug, PartialEq)]
pub enum Details {
    /// Since when the graph is in the trash (rule L8).
    Trashed(Trashed),
    /// What a document save would delete (rule DS11).
    Deletes {
        /// How many nodes.
        nodes: usize,
        /// How many edges.
        edges: usize,
    },
}

impl Refusal {
    /// A refusal that is not a conflict with others.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into().into_boxed_str(),
            resolution: None,
            index: None,
            details: None,
        }
    }

    /// The part that is stored for later requests of the outcome. It leaves out large values, and conflicts beyond the
    /// first few: a refusal must not cost the store more than a commit does.
    #[must_use]
    pub fn for_the_record(&self) -> Self {
        let resolution = self.resolution.as_ref().map(|resolution| {
            let mut room = RECORD_BYTES_MAX;
            let mut conflicts = Vec::new();
            for conflict in &resolution.conflicts {
                if !conflicts.is_empty() && (conflicts.len() >= RECORD_CONFLICTS_MAX || room == 0) {
                    break;
                }
                room = room.saturating_sub(conflict.path.as_str().len() + conflict.id.len());
                conflicts.push(conflict.for_the_record(&mut room));
            }
            Resolution { conflicts, hash: resolution.hash.clone(), ..*resolution }
        });
        let (reason, index) = (self.reason, self.index);
        let message = self.message.clone();
        Self { reason, message, resolution, index, details: None }
    }

    /// About how many bytes the resolution takes, in memory or on the wire, whichever is more.
    pub fn resolution_bytes(&self) -> usize {
        let conflicts = self.resolution.iter().flat_map(|resolution| &resolution.conflicts);
        conflicts.map(Conflict::bytes).sum()
    }

    /// Whether this is a conflict with changes of others: a 409.
    pub fn is_conflict(&self) -> bool {
        self.resolution.is_some()
    }
}

/// What a client needs to show the conflict to a person, and to try again (rule D7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// The graph's version when the operation was judged.
    pub current_version: Version,
    /// The conflicts, one per path.
    pub conflicts: Vec<Conflict>,
    /// The hash of that version, where the history was replaced (rule D8). Such a refusal is not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub hash: Option<Box<Hash>>,
}

/// One field on which two sides disagree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The kind of the entity.
    pub entity: EntityKind,
    /// The id of the entity; `viewport` for the viewport.
    pub id: String,
    /// The path within the entity; `""` is the whole entity.
    pub path: Pointer,
    /// The value that the command asked for; null to remove it.
    pub yours: Value,
    /// The current value; null if there is none.
    pub current: Value,
    /// The version of the latest commit that wrote the path.
    pub version: Version,
    /// The user who made that commit.
    pub user_id: UserId,
    /// The operation of that commit.
    pub operation_id: OperationId,
}

impl Conflict {
    fn for_the_record(&self, room: &mut usize) -> Self {
        let [yours, current] = [&self.yours, &self.current].map(|value| {
            let bytes = json_bytes(value).max(value_memory(value));
            let is_small = json_bytes(value) <= RECORD_VALUE_BYTES_MAX && bytes <= *room;
            *room -= if is_small { bytes } else { 0 };
            if is_small { value.clone() } else { Value::from(TOO_LARGE_TO_SHOW) }
        });
        let (id, path, user_id) = (self.id.clone(), self.path.clone(), self.user_id.clone());
        Self { id, path, yours, current, user_id, ..*self }
    }

    /// Whether it is about the same path as another.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        (self.entity, &self.id, &self.path) == (other.entity, &other.id, &other.path)
    }

    /// About how many bytes it takes, in memory or on the wire.
    pub(super) fn bytes(&self) -> usize {
        // Some values take more as JSON: a control character is six bytes there.
        let values: usize =
            [&self.yours, &self.current].map(|value| value_memory(value).max(json_bytes(value))).iter().sum();
        size_of::<Self>() + self.id.len() + self.path.as_str().len() + values
    }
}
