//! What somebody who is refused is told: what was asked for, what stands there now, and who wrote it
//! (rules D4 and D7).

use dao_projections::{Commit, Entity, NodeId, Pointer};
use serde_json::Value;

use super::{
    HistoryMissing, Judgement, Write,
    asked::{Standing, asked_by},
    last_written,
};
use crate::domain::{
    decide::Rejection,
    refusal::{Conflict, Reason, Refusal, Resolution},
};

impl Judgement<'_> {
    /// The entity as JSON, for people; null if it is not there.
    pub(super) fn current(&self, entity: Entity<'_>) -> Value {
        let fields = match entity {
            Entity::Node(id) => self.graph.nodes().get(id).map(|node| node.entity.to_json()),
            Entity::Edge(id) => self.graph.edges().get(id).map(|edge| edge.entity.to_json()),
            Entity::Viewport => return self.graph.viewport().to_json(),
        };
        fields.map_or(Value::Null, Value::Object)
    }

    pub(super) fn conflict(
        &self,
        reason: Reason,
        message: impl Into<String>,
        conflicts: Vec<Conflict>,
    ) -> Refusal {
        let resolution = Resolution { current_version: self.graph.head().version, conflicts, hash: None };
        Refusal { resolution: Some(resolution), ..Refusal::new(reason, message) }
    }

    /// `yours` is what was to be done about it, null to remove it.
    pub(super) fn target_deleted(&self, entity: Entity<'_>, yours: Value, deletion: &Write<'_>) -> Refusal {
        let who = &deletion.commit.body.user_id;
        let message =
            format!("{} {entity} was deleted by {who} in version {}", noun(entity), deletion.commit.version);
        let entry = conflict(entity, Pointer::root(), yours, self.current(entity), deletion.commit);
        self.conflict(Reason::TargetDeleted, message, vec![entry])
    }

    /// What the graph as it stands does not allow, told with what others did about it (rule D4).
    pub(super) fn refusal(&self, rejection: Rejection) -> Result<Refusal, HistoryMissing> {
        Ok(match rejection {
            Rejection::NodeNotFound(id) => {
                Refusal::new(Reason::NodeNotFound, format!("there is no node {id}"))
            }
            Rejection::EdgeNotFound(id) => {
                Refusal::new(Reason::EdgeNotFound, format!("there is no edge {id}"))
            }
            Rejection::NodeIdTaken(id) => self.id_taken(Entity::Node(&id))?,
            Rejection::EdgeIdTaken(id) => self.id_taken(Entity::Edge(&id))?,
            Rejection::DanglingEdge { edge, end, node } => {
                let message = format!("the {end} of edge {edge}, node {node}, does not exist");
                self.missing(Reason::DanglingEdge, message, Entity::Edge(&edge), end, &node)?
            }
            Rejection::ParentNotFound { node, field, parent } => {
                let message = format!("the {field} of node {node}, node {parent}, does not exist");
                self.missing(Reason::ParentNotFound, message, Entity::Node(&node), field, &parent)?
            }
            Rejection::ParentCycle(id) => {
                Refusal::new(Reason::ParentCycle, format!("node {id} would be inside of itself"))
            }
            Rejection::TooManyNodes => Refusal::new(
                Reason::TooManyEntities,
                format!("nodes: a graph holds at most {}", self.limits.nodes_max),
            ),
            Rejection::TooManyEdges => Refusal::new(
                Reason::TooManyEntities,
                format!("edges: a graph holds at most {}", self.limits.edges_max),
            ),
            Rejection::NodeTooLarge(id) => self.too_large(Entity::Node(&id)),
            Rejection::EdgeTooLarge(id) => self.too_large(Entity::Edge(&id)),
        })
    }

    fn too_large(&self, entity: Entity<'_>) -> Refusal {
        let max = self.limits.entity_bytes_max;
        let message =
            format!("{} {entity} would be larger than the {max} bytes an entity may have", noun(entity));
        Refusal::new(Reason::EntityTooLarge, message)
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
        let entry = Conflict {
            entity: entity.kind(),
            id: entity.to_string(),
            path: Pointer::root(),
            yours: asked_by(&self.member.command).into_iter().next().map_or(Value::Null, |asked| asked.yours),
            current: self.current(entity),
            version,
            user_id,
            operation_id,
        };
        let message = format!("{} {entity} exists already", noun(entity));
        Ok(self.conflict(Reason::IdTaken, message, vec![entry]))
    }

    /// A node that something would refer to and that is not there: a conflict if it was deleted
    /// since the client's version, else simply wrong.
    fn missing(
        &self,
        reason: Reason,
        message: String,
        referrer: Entity<'_>,
        field: &str,
        node: &NodeId,
    ) -> Result<Refusal, HistoryMissing> {
        let writes = self.writes_since(Entity::Node(node))?;
        let Some(deletion) = self.deletion_of(Entity::Node(node), &writes) else {
            return Ok(Refusal::new(reason, message));
        };
        let path = Pointer::root().child(field);
        let stands = Standing::at(&path, &self.current(referrer)).value();
        let entry = conflict(referrer, path, Value::from(node.as_str()), stands, deletion.commit);
        Ok(self.conflict(reason, message, vec![entry]))
    }
}

pub(super) fn conflict(
    entity: Entity<'_>,
    path: Pointer,
    yours: Value,
    current: Value,
    by: &Commit,
) -> Conflict {
    Conflict {
        entity: entity.kind(),
        id: entity.to_string(),
        path,
        yours,
        current,
        version: by.version,
        user_id: by.body.user_id.clone(),
        operation_id: by.body.operation_id,
    }
}

fn noun(entity: Entity<'_>) -> &'static str {
    match entity {
        Entity::Node(_) => "node",
        Entity::Edge(_) => "edge",
        Entity::Viewport => "the",
    }
}

pub(super) fn conflict_message(conflicts: &[Conflict]) -> String {
    let Some(first) = conflicts.first() else { return String::new() };
    let field = if first.path == Pointer::root() { String::new() } else { format!(" at {}", first.path) };
    let more =
        if conflicts.len() > 1 { format!(", and {} more", conflicts.len() - 1) } else { String::new() };
    let id = &first.id;
    format!("{} wrote {id}{field} in version {}{more}", first.user_id, first.version)
}
