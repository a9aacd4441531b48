//! The texts and resolutions of refusals: what was asked for, what is there now, and who wrote it (rules D4 and D7).
//!
//! A message is one sentence without its full stop; the HTTP layer adds what to do about it.

use std::borrow::Cow;

use dao_projections::{Entity, Graph, NodeId, Version};
use serde_json::Value;

use super::{
    HistoryMissing,
    asked::Asked,
    current::Current,
    judgement::Judgement,
    overlap::{Conflicts, whole},
    writes::{Write, last_written},
};
use crate::domain::{
    lifecycle::ATTRIBUTES_BYTES_MAX,
    refusal::{Conflict, Reason, Refusal, Resolution},
    rejection::Rejection,
};

impl Judgement<'_> {
    pub(super) fn conflict(
        &self,
        reason: Reason,
        message: impl Into<String>,
        conflicts: Vec<Conflict>,
    ) -> Refusal {
        let resolution = Resolution { current_version: self.graph.head().version, conflicts, hash: None };
        Refusal { resolution: Some(resolution), ..Refusal::new(reason, message) }
    }

    /// `yours` is what the command asked for; null to remove the target.
    pub(super) fn target_deleted(
        &self,
        entity: Entity<'_>,
        yours: Cow<'_, Value>,
        deletion: &Write<'_>,
    ) -> Refusal {
        let who = &deletion.commit.body.user_id;
        let message =
            format!("{} {entity} was deleted by {who} in version {}", noun(entity), deletion.commit.version);
        let mut entry = Conflicts::default();
        let current = whole(self.graph, entity);
        entry.add(entity, &[], yours, Cow::Owned(current), deletion.commit);
        self.conflict(Reason::TargetDeleted, message, entry.told)
    }

    /// A command that the current graph does not allow, with what others did about it (rule D4).
    pub(super) fn refusal(&self, rejection: Rejection) -> Result<Refusal, HistoryMissing> {
        Ok(match rejection {
            Rejection::NodeNotFound(id) => {
                Refusal::new(Reason::NodeNotFound, format!("Node {id} does not exist"))
            }
            Rejection::EdgeNotFound(id) => {
                Refusal::new(Reason::EdgeNotFound, format!("Edge {id} does not exist"))
            }
            Rejection::NodeIdTaken(id) => self.id_taken(Entity::Node(&id))?,
            Rejection::EdgeIdTaken(id) => self.id_taken(Entity::Edge(&id))?,
            Rejection::DanglingEdge { edge, end, node } => {
                let message = format!("The {end} of edge {edge}, node {node}, does not exist");
                self.missing(Reason::DanglingEdge, message, Entity::Edge(&edge), end, &node)?
            }
            Rejection::ParentNotFound { node, field, parent } => {
                let message = format!("The {field} of node {node}, node {parent}, does not exist");
                self.missing(Reason::ParentNotFound, message, Entity::Node(&node), field, &parent)?
            }
            Rejection::ParentCycle(id) => {
                Refusal::new(Reason::ParentCycle, format!("Node {id} would be inside itself"))
            }
            Rejection::TooManyNodes => Refusal::new(
                Reason::TooManyEntities,
                format!("The graph would have more than {} nodes", self.limits.nodes_max),
            ),
            Rejection::TooManyEdges => Refusal::new(
                Reason::TooManyEntities,
                format!("The graph would have more than {} edges", self.limits.edges_max),
            ),
            Rejection::NodeTooLarge(id) => self.too_large(Entity::Node(&id)),
            Rejection::EdgeTooLarge(id) => self.too_large(Entity::Edge(&id)),
            Rejection::GraphExists => self.graph_exists()?,
            Rejection::AttributesTooLarge => Refusal::new(
                Reason::AttributesTooLarge,
                format!("The attributes of the graph would be larger than {ATTRIBUTES_BYTES_MAX} bytes"),
            ),
        })
    }

    fn too_large(&self, entity: Entity<'_>) -> Refusal {
        let max = self.limits.entity_bytes_max;
        let message = format!("{} {entity} would be larger than {max} bytes", noun(entity));
        Refusal::new(Reason::EntityTooLarge, message)
    }

    /// It names the commit that created the graph.
    fn graph_exists(&self) -> Result<Refusal, HistoryMissing> {
        let first = Version::EMPTY.next();
        let commit = self.history.at(first).ok_or(HistoryMissing::At(first))?;
        let mut entry = Conflicts::default();
        let values = (Asked::by(&self.member.command).yours(&[]), whole(self.graph, Entity::Graph));
        entry.add(Entity::Graph, &[], values.0, Cow::Owned(values.1), commit);
        Ok(self.conflict(Reason::GraphExists, "This graph already exists", entry.told))
    }

    fn id_taken(&self, entity: Entity<'_>) -> Result<Refusal, HistoryMissing> {
        let (version, user_id, operation_id) = match last_written(self.base, entity) {
            Some(version) => {
                let commit = self.history.at(version).ok_or(HistoryMissing::At(version))?;
                (version, commit.body.user_id.clone(), commit.body.operation_id)
            }
            // An earlier member of this batch would have created it.
            None => (self.base.head().version.next(), self.operation.user.clone(), self.operation.id),
        };
        let mut entry = Conflicts::default();
        let yours = match Asked::by(&self.member.command) {
            Asked::Nothing => Cow::Owned(Value::Null),
            asked => asked.yours(&[]),
        };
        let values = (yours, Cow::Owned(whole(self.graph, entity)));
        entry.add_by(entity, &[], values, (version, user_id, operation_id));
        let message = format!("{} {entity} already exists", noun(entity));
        Ok(self.conflict(Reason::IdTaken, message, entry.told))
    }

    /// A reference to a missing node: a conflict if the node was deleted since the client's version, otherwise a plain
    /// refusal.
    fn missing(
        &self,
        reason: Reason,
        message: String,
        referrer: Entity<'_>,
        field: &str,
        node: &NodeId,
    ) -> Result<Refusal, HistoryMissing> {
        // A document save looked for the writes to what it changes. This node it only names.
        let writes = Self { written: None, ..*self }.writes_since(Entity::Node(node))?;
        let Some(deletion) = self.deletion_of(Entity::Node(node), &writes) else {
            return Ok(Refusal::new(reason, message));
        };
        let (yours, current) = (Value::from(node.as_str()), Current::of(self.graph, referrer));
        let mut entry = Conflicts::default();
        let stands = current.field(field).value();
        entry.add(referrer, &[field], Cow::Owned(yours), stands, deletion.commit);
        Ok(self.conflict(reason, message, entry.told))
    }
}

fn noun(entity: Entity<'_>) -> &'static str {
    match entity {
        Entity::Node(_) => "Node",
        Entity::Edge(_) => "Edge",
        Entity::Viewport | Entity::Graph => "The",
    }
}

/// Characters of a path or an id in the message; the resolution has it in full.
const WORDS_CHARS_MAX: usize = 200;

pub(super) fn conflict_message(conflicts: &Conflicts) -> String {
    let Some(first) = conflicts.told.first() else { return String::new() };
    let short = |text: &str| match text.char_indices().nth(WORDS_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let path = first.path.as_str();
    let field = if path.is_empty() { String::new() } else { format!(" at {}", short(path)) };
    let more =
        if conflicts.found > 1 { format!(", and {} more", conflicts.found - 1) } else { String::new() };
    let id = short(&first.id);
    format!("{} wrote {id}{field} in version {}{more}", first.user_id, first.version)
}

pub(super) fn with_resolution(graph: &Graph, refusal: Refusal, conflicts: Vec<Conflict>) -> Refusal {
    let resolution = Resolution { current_version: graph.head().version, conflicts, hash: None };
    Refusal { resolution: Some(resolution), ..refusal }
}
