//! The history of one entity: what each commit changed, with the values before and after (rule A4).
//!
//! Invariants:
//! - A deleted entity that is created again keeps one history: it is the history of an id.
//! - A commit counts as a whole (rule V2): what its events undo among themselves is not a change, but the commit did
//!   touch the entity.
//!
//! Not here: finding the commits. Whoever has them feeds them in order.

use serde_json::Value;

use crate::{
    commit::Commit,
    diff::{Change, edge_changes, node_changes},
    entity::{Edge, Map, Node},
    event::{Entity, Event},
    graph::Graph,
    id::{EdgeId, NodeId},
    patch::Pointer,
};

/// The entity whose history is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A node.
    Node(NodeId),
    /// An edge.
    Edge(EdgeId),
}

impl Subject {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Node(id) => id.as_str(),
            Self::Edge(id) => id.as_str(),
        }
    }

    /// Whether the event is about this entity.
    pub fn is_of(&self, event: &Event) -> bool {
        match (self, event.entity()) {
            (Self::Node(id), Entity::Node(named)) => id == named,
            (Self::Edge(id), Entity::Edge(named)) => id == named,
            (Self::Node(_), Entity::Edge(_) | Entity::Viewport | Entity::Graph)
            | (Self::Edge(_), Entity::Node(_) | Entity::Viewport | Entity::Graph) => false,
        }
    }

    /// Whether the commit touched this entity.
    pub fn is_touched_by(&self, commit: &Commit) -> bool {
        commit.body.events.iter().any(|event| self.is_of(event))
    }

    /// Whether the commit creates it first, so that its result does not depend on an earlier state.
    pub fn is_born_in(&self, commit: &Commit) -> bool {
        let first = commit.body.events.iter().find(|event| self.is_of(event));
        first.is_some_and(Event::is_creation)
    }
}

/// One entity, followed through commits.
#[derive(Clone, Debug, PartialEq)]
pub struct Tracked {
    subject: Subject,
    now: Standing,
}

/// The current entity of the id.
#[derive(Clone, Debug, PartialEq)]
enum Standing {
    Nothing,
    Node(Node),
    Edge(Edge),
}

impl Tracked {
    /// Starts before the first commit.
    pub fn unborn(subject: Subject) -> Self {
        Self { subject, now: Standing::Nothing }
    }

    /// Starts with the state in `graph`.
    pub fn in_graph(subject: Subject, graph: &Graph) -> Self {
        let now = match &subject {
            Subject::Node(id) => graph.nodes().get(id).map(|node| Standing::Node(node.entity.clone())),
            Subject::Edge(id) => graph.edges().get(id).map(|edge| Standing::Edge(edge.entity.clone())),
        };
        Self { subject, now: now.unwrap_or(Standing::Nothing) }
    }

    /// The current entity; `None` if it does not exist.
    pub fn entity(&self) -> Option<Map> {
        match &self.now {
            Standing::Nothing => None,
            Standing::Node(node) => Some(node.to_json()),
            Standing::Edge(edge) => Some(edge.to_json()),
        }
    }

    /// Applies the next commit, and returns what it changed on the entity; `None` if it did not touch it.
    pub fn follow(&mut self, commit: &Commit) -> Option<Vec<Change>> {
        if !self.subject.is_touched_by(commit) {
            return None;
        }
        let before = self.now.clone();
        for event in commit.body.events.iter().filter(|event| self.subject.is_of(event)) {
            self.now.apply(event);
        }
        Some(changes(&before, &self.now))
    }
}

impl Standing {
    /// Does the same to one entity as [`Graph::apply_event`].
    fn apply(&mut self, event: &Event) {
        match (event, &*self) {
            (
                Event::NodeCreated { node } | Event::NodeReplaced { node } | Event::NodeRestored { node, .. },
                _,
            ) => *self = Self::Node(node.clone()),
            (
                Event::EdgeCreated { edge } | Event::EdgeReplaced { edge } | Event::EdgeRestored { edge, .. },
                _,
            ) => *self = Self::Edge(edge.clone()),
            (Event::NodeUpdated { patch, .. }, Self::Node(old)) => *self = Self::Node(old.patched(patch)),
            (Event::EdgeUpdated { patch, .. }, Self::Edge(old)) => *self = Self::Edge(old.patched(patch)),
            (Event::NodeMoved { position, .. }, Self::Node(old)) => {
                *self = Self::Node(old.moved(position.clone()));
            }
            (Event::NodeDeleted { .. } | Event::EdgeDeleted { .. }, _) => *self = Self::Nothing,
            // An update of a missing entity changes nothing. No valid history has one.
            (Event::NodeUpdated { .. } | Event::NodeMoved { .. } | Event::EdgeUpdated { .. }, _)
            | (
                Event::ViewportSet { .. }
                | Event::GraphCreated { .. }
                | Event::GraphUpdated { .. }
                | Event::GraphTrashed { .. }
                | Event::GraphRecovered {}
                | Event::GraphForked { .. }
                | Event::VersionLabelled { .. },
                _,
            ) => {}
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Node(node) => Value::Object(node.to_json()),
            Self::Edge(edge) => Value::Object(edge.to_json()),
        }
    }
}

fn changes(before: &Standing, after: &Standing) -> Vec<Change> {
    match (before, after) {
        (Standing::Nothing, Standing::Nothing) => vec![],
        (Standing::Node(before), Standing::Node(after)) => node_changes(before, after),
        (Standing::Edge(before), Standing::Edge(after)) => edge_changes(before, after),
        (before, after) => {
            vec![Change { path: Pointer::root(), before: before.to_json(), after: after.to_json() }]
        }
    }
}
