//! Refusals: what is told to somebody whose command was understood and can't be done.

use dao_projections::{EntityKind, Hash, OperationId, Pointer, UserId, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{memory::value_memory, size::json_bytes};

/// Why a command was refused; on the wire it is the problem's `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Others wrote the same field since the client's version (rule D3), or anything at all (D5).
    Conflict,
    /// The target was deleted since (rule D4).
    TargetDeleted,
    /// There is no such node.
    NodeNotFound,
    /// There is no such edge.
    EdgeNotFound,
    /// The id to create exists.
    IdTaken,
    /// An edge would lead to or from a node that is not there.
    DanglingEdge,
    /// A node would be inside of one that is not there.
    ParentNotFound,
    /// A node would be inside of itself.
    ParentCycle,
    /// The client's version is above the graph's (rule D6).
    VersionAhead,
    /// The client's version has another hash in today's history (rule D8).
    HistoryReplaced,
    /// The operation id belongs to another command, or to another user (rule C3).
    OperationIdReused,
    /// The graph would hold more nodes or edges than it may (rule O3).
    TooManyEntities,
    /// The entity would be larger than it may (rules H1, O3).
    EntityTooLarge,
    /// The answer to the request would show more than it may (rule O3).
    AnswerTooLarge,
    /// An operation that is to be undone is not the commit of the version that was named (rule U2).
    OperationNotFound,
    /// Nothing can be undone without overwriting others' work, or not all of it (rule U5).
    UndoConflict,
}

impl Reason {
    /// Whether the refusal is the operation's outcome for good (rule C3). One that is not is not
    /// remembered, and the same id may be tried again.
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            Self::EntityTooLarge | Self::AnswerTooLarge | Self::OperationIdReused | Self::HistoryReplaced
        )
    }
}

/// What stands in a resolution in place of a value that is too large to be told or kept.
pub(crate) const TOO_LARGE_TO_SHOW: &str = "(too large to be kept: read the graph)";
/// Conflicts that are kept of a refused operation.
const RECORD_CONFLICTS_MAX: usize = 16;
/// What their paths, ids and values may occupy.
const RECORD_BYTES_MAX: usize = 16 << 10;
/// A value that is kept with them.
const RECORD_VALUE_BYTES_MAX: usize = 4 << 10;

/// A refused operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// For a person; names what it is about.
    pub message: String,
    /// What stands in the way; there if and only if this is a conflict with others (rule D7).
    pub resolution: Option<Resolution>,
    /// The member of an atomic batch that was refused.
    pub index: Option<usize>,
}

impl Refusal {
    /// A refusal that is not about what others did.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), resolution: None, index: None }
    }

    /// What is kept of it for those who ask again. Large values in a resolution are left out, and conflicts beyond
    /// the first where there are many: a refusal must not cost the store more than a commit does.
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
            Resolution { conflicts, ..*resolution }
        });
        let (reason, index) = (self.reason, self.index);
        Self { reason, message: self.message.clone(), resolution, index }
    }

    /// About how many bytes its resolution takes, in memory or as it is told, whichever is more.
    pub fn resolution_bytes(&self) -> usize {
        let conflicts = self.resolution.iter().flat_map(|resolution| &resolution.conflicts);
        conflicts.map(Conflict::bytes).sum()
    }

    /// Whether it is a conflict with what others did: a 409.
    pub fn is_conflict(&self) -> bool {
        self.resolution.is_some()
    }
}

/// What a client needs to show a person what happened, and to try again (rule D7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// The graph's version when it was judged.
    pub current_version: Version,
    /// One entry a path.
    pub conflicts: Vec<Conflict>,
    /// The hash of that version, for those who hold another history (rule D8). Such a refusal is not remembered.
    #[serde(default, skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub hash: Option<Hash>,
}

/// One field on which two sides disagree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// What kind of thing it is about.
    pub entity: EntityKind,
    /// Its id; `viewport` for the viewport.
    pub id: String,
    /// Where in it; `""` is the whole entity.
    pub path: Pointer,
    /// What was asked for; null where that is absence.
    pub yours: Value,
    /// What stands there; null where nothing does.
    pub current: Value,
    /// The latest commit that wrote it.
    pub version: Version,
    /// Who made that commit.
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

    fn bytes(&self) -> usize {
        // Some take more as they are told: a control character is six bytes there.
        let values: usize =
            [&self.yours, &self.current].map(|value| value_memory(value).max(json_bytes(value))).iter().sum();
        size_of::<Self>() + self.id.len() + self.path.as_str().len() + values
    }
}
